//! Operations between vectors matched by labels.
//!
//! Matching is done per series, not per step: the match groups and the labels of results are found once, then each pair
//! of series is a loop over cells under the presence both have.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kernels::GridBlock;
use model::{Histogram, LabelSet, METRIC_NAME};

use super::{Remarks, as_numbers, match_groups, presence};
use crate::error::QueryError;
use crate::eval::Evaluator;
use crate::eval::arith::{self, Op};
use crate::eval::block::{Block, RESERVED};
use crate::eval::elements::{Element, element};
use crate::eval::mixed::MixedRow;
use crate::histogram::Sample;
use crate::parser::{Cardinality, VectorMatching};
use crate::plan::Binary;

/// An operation between vectors. `many` and `one` are the sides after `group_right` has swapped them.
pub(super) struct Match<'a> {
    pub(super) evaluator: &'a Evaluator<'a>,
    pub(super) node: &'a Binary,
    pub(super) matching: &'a VectorMatching,
    pub(super) steps: usize,
}

/// What has matched so far.
struct Progress {
    /// Steps at which a match group has had a match.
    matched: Vec<u64>,
    /// Many-to-one: the same per match group and labels of the result.
    results: HashMap<(usize, LabelSet), Vec<u64>, RandomState>,
    remarks: Remarks,
    out: Block,
}

/// A row, or what is filled in for a missing one.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    values: &'a [f64],
    histograms: &'a [(usize, Arc<Histogram>)],
}

impl<'a> Side<'a> {
    fn row(block: &'a Block, row: usize) -> Self {
        Self { values: block.cells.row(row).0, histograms: block.histograms_of(row) }
    }

    fn fill(values: &'a [f64]) -> Self {
        Self { values, histograms: &[] }
    }

    /// The sample of a step at which there is one.
    fn sample(self, step: usize) -> Sample {
        match self.histograms.binary_search_by_key(&step, |h| h.0) {
            Ok(i) => Sample::Histogram(Arc::clone(&self.histograms[i].1)),
            Err(_) => Sample::Float(self.values[step]),
        }
    }
}

impl Match<'_> {
    pub(super) fn run(&self, lhs: Block, rhs: Block) -> Result<Block, QueryError> {
        let fill = self.matching.fill;
        let nothing = if fill.left.is_none() && fill.right.is_none() {
            lhs.rows() == 0 || rhs.rows() == 0
        } else {
            lhs.rows() == 0 && rhs.rows() == 0
        };
        if nothing {
            return Ok(Block::new(self.steps));
        }
        let swapped = self.matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let (many_groups, one_groups, count) = match_groups(self.matching, &many, &one);
        self.check_one_side(&many, &one, &one_groups, count)?;

        let words = self.steps.div_ceil(64);
        let mut one_rows = vec![Vec::new(); count];
        one_groups.iter().enumerate().for_each(|(row, &g)| one_rows[g].push(row));
        let one_present = presence(&one, &one_groups, count);
        let mut progress = Progress {
            matched: vec![0; count * words],
            results: HashMap::default(),
            remarks: Remarks::default(),
            out: Block::new(self.steps),
        };
        let mut both = vec![0; words];
        for (row, &group) in many_groups.iter().enumerate() {
            self.evaluator.ctx.check()?;
            let (here, present) = (Side::row(&many, row), many.presence(row));
            for &other in &one_rows[group] {
                let other_present = one.presence(other);
                both.iter_mut().zip(present.iter().zip(&*other_present)).for_each(|(b, (x, y))| *b = x & y);
                let labels = (&many.labels[row], &one.labels[other]);
                self.pair(&mut progress, group, labels, here, Side::row(&one, other), &both)?;
            }
            if let Some(fill) = fill.right {
                let there = &one_present[group * words..][..words];
                both.iter_mut().zip(present.iter().zip(there)).for_each(|(b, (x, y))| *b = x & !y);
                let labels = (&many.labels[row], &self.match_labels(&many.labels[row]));
                let fill = vec![fill; self.steps];
                self.pair(&mut progress, group, labels, here, Side::fill(&fill), &both)?;
            }
        }
        if let Some(fill) = fill.left {
            for (row, &group) in one_groups.iter().enumerate() {
                let present = one.presence(row);
                let matched = &progress.matched[group * words..][..words];
                both.iter_mut().zip(present.iter().zip(matched)).for_each(|(b, (x, y))| *b = x & !y);
                let labels = (&self.match_labels(&one.labels[row]), &one.labels[row]);
                let fill = vec![fill; self.steps];
                self.pair(&mut progress, group, labels, Side::fill(&fill), Side::row(&one, row), &both)?;
            }
        }
        progress.remarks.pass_on(self.evaluator, self.node);
        Ok(progress.out)
    }

    /// The "one" side must have one series per match group and step.
    fn check_one_side(
        &self,
        many: &Block,
        one: &Block,
        groups: &[usize],
        count: usize,
    ) -> Result<(), QueryError> {
        let words = self.steps.div_ceil(64);
        let fill = self.matching.fill;
        // Where the other side is empty nothing is compared, unless values are filled in.
        let mut compared = vec![u64::MAX; words];
        if fill.left.is_none() && fill.right.is_none() {
            compared.fill(0);
            crate::eval::leaf::union(many, &mut compared);
        }
        let mut seen = vec![0_u64; count * words];
        for (row, &group) in groups.iter().enumerate() {
            let present = &*one.presence(row);
            let seen = &mut seen[group * words..][..words];
            let clash = seen.iter().zip(present).zip(&compared).position(|((s, p), c)| s & p & c != 0);
            if let Some(word) = clash {
                let step =
                    word * 64 + (seen[word] & present[word] & compared[word]).trailing_zeros() as usize;
                let other = (0..row).find(|&r| groups[r] == group && kernels::bit(&one.presence(r), step));
                return Err(self.duplicate(&one.labels[row], &one.labels[other.unwrap_or(row)]));
            }
            seen.iter_mut().zip(present).for_each(|(s, p)| *s |= p);
        }
        Ok(())
    }

    fn duplicate(&self, a: &LabelSet, b: &LabelSet) -> QueryError {
        let side = if self.matching.card == Cardinality::OneToMany { "left" } else { "right" };
        let group = self.match_labels(a);
        let (mut first, mut second) = (a.to_string(), b.to_string());
        if first > second {
            std::mem::swap(&mut first, &mut second);
        }
        QueryError::execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    /// The labels that decide the match.
    fn match_labels(&self, labels: &LabelSet) -> LabelSet {
        let mut names: Vec<&str> = self.matching.labels.iter().map(String::as_str).collect();
        if self.matching.on {
            return labels.only(&names);
        }
        names.push(METRIC_NAME);
        labels.without(&names)
    }

    /// One pair of rows, at the steps of `both`.
    fn pair(
        &self,
        progress: &mut Progress,
        group: usize,
        (many_labels, one_labels): (&LabelSet, &LabelSet),
        many: Side<'_>,
        one: Side<'_>,
        both: &[u64],
    ) -> Result<(), QueryError> {
        if both.iter().all(|w| *w == 0) {
            return Ok(());
        }
        let (a, b) = if self.matching.card == Cardinality::OneToMany { (one, many) } else { (many, one) };
        let op = arith::op(self.node.op);
        if matches!(op, Op::Histogram) || !a.histograms.is_empty() || !b.histograms.is_empty() {
            return self.mixed_pair(progress, group, (many_labels, one_labels), a, b, both);
        }
        let labels = self.result_labels(many_labels, one_labels);
        self.mark_matched(progress, group, &labels, both)?;
        let (a, b) = (a.values, b.values);
        let mut cells = GridBlock::new(1, self.steps);
        let (values, present) = cells.row_mut(0);
        present.copy_from_slice(both);
        match op {
            Op::Compute(f) => arith::compute(self.node.op, f, a, b, values),
            Op::Compare(f) => {
                let mut holds = vec![0; both.len()];
                arith::compare(f, a, b, &mut holds);
                if self.node.return_bool {
                    as_numbers(&holds, values);
                } else {
                    values.copy_from_slice(a);
                    present.iter_mut().zip(&holds).for_each(|(p, h)| *p &= h);
                }
            }
            Op::Histogram => {}
        }
        if !cells.is_row_empty(0) {
            let (values, present) = cells.row(0);
            // Arithmetic has dropped the names from its labels even where removal is delayed.
            progress.out.push(labels, self.node.return_bool, values, present);
        }
        Ok(())
    }

    /// As [`Self::pair`], step by step; `a` is the left operand.
    fn mixed_pair(
        &self,
        progress: &mut Progress,
        group: usize,
        (many_labels, one_labels): (&LabelSet, &LabelSet),
        a: Side<'_>,
        b: Side<'_>,
        both: &[u64],
    ) -> Result<(), QueryError> {
        let op = arith::op(self.node.op);
        let mut row = MixedRow::new(self.steps);
        let mut matched = both.to_vec();
        for step in (0..self.steps).filter(|step| kernels::bit(both, *step)) {
            let (x, y) = (a.sample(step), b.sample(step));
            let result = match (&x, &y, op) {
                (Sample::Float(x), Sample::Float(y), Op::Compute(f)) => {
                    Element::Value(Sample::Float(f(*x, *y)), None)
                }
                (Sample::Float(x), Sample::Float(y), Op::Compare(f)) => Element::Compared(f(*x, *y)),
                _ => element(self.node.op, &x, &y),
            };
            match result {
                Element::Value(sample, remark) => {
                    if let Some(remark) = remark {
                        progress.remarks.set(step, self.steps, remark);
                    }
                    row.set(step, sample);
                }
                Element::Compared(holds) if self.node.return_bool => {
                    row.set(step, Sample::Float(f64::from(u8::from(holds))));
                }
                Element::Compared(true) => row.set(step, x),
                Element::Compared(false) => {}
                Element::Failed(remark) => {
                    progress.remarks.set(step, self.steps, remark);
                    matched[step / 64] &= !(1 << (step % 64));
                }
            }
        }
        if matched.iter().all(|w| *w == 0) {
            return Ok(());
        }
        let labels = self.result_labels(many_labels, one_labels);
        self.mark_matched(progress, group, &labels, &matched)?;
        if let Some(mut block) = row.finish(&labels) {
            block.drop_name[0] = self.node.return_bool;
            progress.out.append(block);
        }
        Ok(())
    }

    /// Remembers the steps at which a pair has matched.
    ///
    /// # Errors
    /// Where there was a match already.
    fn mark_matched(
        &self,
        progress: &mut Progress,
        group: usize,
        labels: &LabelSet,
        steps: &[u64],
    ) -> Result<(), QueryError> {
        let words = steps.len();
        let matched = &mut progress.matched[group * words..][..words];
        let overlap = |seen: &[u64]| seen.iter().zip(steps).any(|(s, b)| s & b != 0);
        if self.matching.card == Cardinality::OneToOne {
            if overlap(matched) {
                return Err(QueryError::execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
        } else {
            let seen = progress.results.entry((group, labels.clone())).or_insert_with(|| vec![0; words]);
            if overlap(seen) {
                return Err(QueryError::execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                ));
            }
            seen.iter_mut().zip(steps).for_each(|(s, b)| *s |= b);
        }
        matched.iter_mut().zip(steps).for_each(|(s, b)| *s |= b);
        Ok(())
    }

    fn result_labels(&self, many: &LabelSet, one: &LabelSet) -> LabelSet {
        let drop_names = (!self.evaluator.delayed_name_removal && self.node.return_bool)
            || arith::changes_meaning(self.node.op);
        let names: Vec<&str> = self.matching.labels.iter().map(String::as_str).collect();
        let one_to_one = self.matching.card == Cardinality::OneToOne;
        let mut labels = if drop_names { many.without(&RESERVED) } else { many.clone() };
        if one_to_one {
            labels = if self.matching.on { labels.only(&names) } else { labels.without(&names) };
        }
        if self.matching.include.is_empty() {
            return labels;
        }
        let mut builder = labels.to_builder();
        for name in &self.matching.include {
            builder.set(name, one.value(name));
        }
        builder.build()
    }
}
