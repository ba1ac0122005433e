//! Binary operations: scalars, a vector with a scalar, and vectors matched by labels.
//!
//! Matching is done per series, not per step: the match groups and the labels of results are found once, then each pair
//! of series is a loop over cells under the presence both have.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kernels::{Grid, GridBlock};
use model::{Histogram, LabelSet, METRIC_NAME};

use super::arith::{self, Op};
use super::block::{Block, HistogramRow, RESERVED};
use super::elements::{Element, Remark, element};
use super::grouping::Grouping;
use super::mixed::MixedRow;
use super::{Evaluator, Out};
use crate::error::QueryError;
use crate::histogram::Sample;
use crate::parser::{BinaryOp, Cardinality, VectorMatching};
use crate::plan::Binary;

impl Evaluator<'_> {
    pub(super) fn binary(&self, node: &Binary, grid: &Grid) -> Result<Out, QueryError> {
        let lhs = self.eval(&node.lhs, grid)?;
        let rhs = self.eval(&node.rhs, grid)?;
        match (lhs, rhs) {
            (Out::Scalar(a), Out::Scalar(b)) => scalars(node.op, &a, &b).map(Out::Scalar),
            (Out::Vector(block), Out::Scalar(scalar)) => self.with_scalar(node, block, &scalar, false),
            (Out::Scalar(scalar), Out::Vector(block)) => self.with_scalar(node, block, &scalar, true),
            (Out::Vector(lhs), Out::Vector(rhs)) => {
                let everything;
                let matching = match &node.matching {
                    Some(matching) => matching,
                    None => {
                        everything = VectorMatching {
                            card: Cardinality::OneToOne,
                            labels: Vec::new(),
                            on: false,
                            include: Vec::new(),
                            fill: crate::parser::FillValues::default(),
                        };
                        &everything
                    }
                };
                let mut out = if node.op.is_set() {
                    set_operation(node.op, matching, lhs, rhs)
                } else {
                    Match { evaluator: self, node, matching, steps: grid.steps }.run(lhs, rhs)?
                };
                self.settle(&mut out)?;
                Ok(Out::of(out))
            }
            _ => Err(QueryError::execution("a string is no operand")),
        }
    }

    fn with_scalar(
        &self,
        node: &Binary,
        mut block: Block,
        scalar: &[f64],
        swapped: bool,
    ) -> Result<Out, QueryError> {
        let op = arith::op(node.op);
        let steps = block.steps();
        let mut results = vec![0.0; steps];
        let mut holds = vec![0; steps.div_ceil(64)];
        let mut remarks = Remarks::default();
        for row in 0..block.rows() {
            if matches!(op, Op::Histogram) {
                remarks.on_floats(block.cells.row(row).1, steps);
            }
            let histograms = block.take_histograms(row);
            let (values, present) = block.cells.row_mut(row);
            let (a, b) = if swapped { (scalar, &*values) } else { (&*values, scalar) };
            match op {
                Op::Compute(f) => {
                    arith::compute(node.op, f, a, b, &mut results);
                    values.copy_from_slice(&results);
                }
                Op::Compare(f) => {
                    arith::compare(f, a, b, &mut holds);
                    if node.return_bool {
                        as_numbers(&holds, values);
                    } else {
                        present.iter_mut().zip(&holds).for_each(|(p, h)| *p &= h);
                    }
                }
                Op::Histogram => present.fill(0),
            }
            if histograms.is_empty() {
                continue;
            }
            let mut kept: HistogramRow = Vec::new();
            for (step, h) in histograms {
                let (mut lhs, mut rhs) = (Sample::Histogram(h), Sample::Float(scalar[step]));
                if swapped {
                    std::mem::swap(&mut lhs, &mut rhs);
                }
                match element(node.op, &lhs, &rhs) {
                    Element::Value(Sample::Histogram(h), _) => kept.push((step, h)),
                    Element::Failed(remark) => remarks.set(step, steps, remark),
                    Element::Value(..) | Element::Compared(_) => {}
                }
            }
            block.set_histograms(row, kept);
        }
        remarks.pass_on(self, node);
        if arith::changes_meaning(node.op) || node.return_bool {
            block.drop_names(self.delayed_name_removal);
        }
        block.retain_present();
        self.settle(&mut block)?;
        Ok(Out::Vector(block))
    }
}

/// The last remark of each step.
#[derive(Debug, Default)]
struct Remarks {
    /// As many as there are steps, or none.
    by_step: Vec<Option<Remark>>,
}

impl Remarks {
    fn set(&mut self, step: usize, steps: usize, remark: Remark) {
        self.by_step.resize(steps, None);
        self.by_step[step] = Some(remark);
    }

    /// Floats met an operator on histograms.
    fn on_floats(&mut self, present: &[u64], steps: usize) {
        for step in (0..steps).filter(|step| kernels::bit(present, *step)) {
            self.set(step, steps, Remark::Types("float", "float"));
        }
    }

    fn pass_on(self, ev: &Evaluator<'_>, node: &Binary) {
        let mut notes = ev.notes.borrow_mut();
        self.by_step.into_iter().flatten().for_each(|r| r.add_to(&mut notes, node.op, node.span));
    }
}

fn scalars(op: BinaryOp, a: &[f64], b: &[f64]) -> Result<Vec<f64>, QueryError> {
    let mut out = vec![0.0; a.len()];
    match arith::op(op) {
        Op::Compute(f) => arith::compute(op, f, a, b, &mut out),
        Op::Compare(f) => {
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(o, (a, b))| *o = f64::from(u8::from(f(*a, *b))));
        }
        Op::Histogram => {
            return Err(QueryError::execution(format!(
                "operator {:?} not allowed for Scalar operations",
                op.as_str()
            )));
        }
    }
    Ok(out)
}

fn as_numbers(bits: &[u64], out: &mut [f64]) {
    for (i, v) in out.iter_mut().enumerate() {
        *v = f64::from(u8::from(kernels::bit(bits, i)));
    }
}

/// The match group of each row of both sides, and how many there are.
fn match_groups(matching: &VectorMatching, lhs: &Block, rhs: &Block) -> (Vec<usize>, Vec<usize>, usize) {
    let mut grouping = Grouping::new(&matching.labels, !matching.on);
    let left = lhs.labels.iter().map(|l| grouping.group_of(l)).collect();
    let right = rhs.labels.iter().map(|l| grouping.group_of(l)).collect();
    (left, right, grouping.len())
}

/// For each match group, the steps at which any of its rows has a value.
fn presence(block: &Block, groups: &[usize], count: usize) -> Vec<u64> {
    let words = block.steps().div_ceil(64);
    let mut all = vec![0; count * words];
    for (row, &group) in groups.iter().enumerate() {
        let to = &mut all[group * words..][..words];
        to.iter_mut().zip(&*block.presence(row)).for_each(|(a, b)| *a |= b);
    }
    all
}

fn set_operation(op: BinaryOp, matching: &VectorMatching, mut lhs: Block, mut rhs: Block) -> Block {
    let (left, right, count) = match_groups(matching, &lhs, &rhs);
    let words = lhs.steps().div_ceil(64);
    let mask = |block: &mut Block, groups: &[usize], by: &[u64], keep: bool| {
        let mut kept = vec![0; words];
        for (row, &group) in groups.iter().enumerate() {
            let by = &by[group * words..][..words];
            kept.iter_mut().zip(by).for_each(|(k, m)| *k = if keep { *m } else { !*m });
            block.mask(row, &kept);
        }
        block.retain_present();
    };
    match op {
        BinaryOp::And => mask(&mut lhs, &left, &presence(&rhs, &right, count), true),
        BinaryOp::Unless => mask(&mut lhs, &left, &presence(&rhs, &right, count), false),
        _ => {
            mask(&mut rhs, &right, &presence(&lhs, &left, count), false);
            lhs.append(rhs);
        }
    }
    lhs
}

/// An operation between vectors. `many` and `one` are the sides after `group_right` has swapped them.
struct Match<'a> {
    evaluator: &'a Evaluator<'a>,
    node: &'a Binary,
    matching: &'a VectorMatching,
    steps: usize,
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
    fn run(&self, lhs: Block, rhs: Block) -> Result<Block, QueryError> {
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
            super::leaf::union(many, &mut compared);
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
