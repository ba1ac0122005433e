//! Aggregations. Those with a small state per group fold the batches of a leaf as they come.

use hashbrown::HashMap;
use kernels::{Avg, Count, Grid, GridBlock, Max, Min, Sum, Variance, bit, quantile};
use model::float::{format_f, go_quote};
use model::{LabelSet, NORMAL_NAN};

use super::block::{Block, RESERVED};
use super::grouping::Grouping;
use super::histogram_fold::HistogramFold;
use super::leaf::Names;
use super::{Evaluator, Out};
use crate::error::QueryError;
use crate::histogram::Text;
use crate::parser::{AggregateOp, Span};
use crate::plan::{Aggregate, Node};

/// The state of one group at one step.
trait Cell: Clone + Default {
    fn add(&mut self, v: f64);
    fn value(&self) -> f64;
}

macro_rules! cells {
    ($($state:ty: $value:expr),* $(,)?) => {
        $(impl Cell for $state {
            #[inline(always)]
            fn add(&mut self, v: f64) {
                <$state>::add(self, v);
            }
            fn value(&self) -> f64 {
                $value(self)
            }
        })*
    };
}
cells!(Sum: Sum::value, Avg: Avg::value, Min: Min::value, Max: Max::value, Count: Count::value);

macro_rules! wrapped {
    ($($name:ident($inner:ty): $value:expr),* $(,)?) => {
        $(#[derive(Clone, Default)]
        struct $name($inner);
        impl Cell for $name {
            #[inline(always)]
            fn add(&mut self, v: f64) {
                self.0.add(v);
            }
            fn value(&self) -> f64 {
                $value(&self.0)
            }
        })*
    };
}
wrapped!(Group(Count): |_| 1.0, Stdvar(Variance): Variance::variance, Stddev(Variance): Variance::deviation);

/// The states of all groups.
struct Fold<S> {
    steps: usize,
    grouping: Grouping,
    states: Vec<S>,
    present: Vec<u64>,
    drop_name: Vec<bool>,
    histograms: HistogramFold,
}

impl<S: Cell> Fold<S> {
    fn new(grouping: Grouping, steps: usize, histograms: HistogramFold) -> Self {
        let (states, present, drop_name) = (Vec::new(), Vec::new(), Vec::new());
        Self { steps, grouping, states, present, drop_name, histograms }
    }

    fn add(&mut self, ev: &Evaluator<'_>, block: &Block) -> Result<(), QueryError> {
        let words = self.steps.div_ceil(64);
        for (row, labels) in block.labels.iter().enumerate() {
            let group = self.grouping.group_of(labels);
            if group == self.drop_name.len() {
                self.states.resize(self.states.len() + self.steps, S::default());
                self.present.resize(self.present.len() + words, 0);
                self.drop_name.push(false);
            }
            self.drop_name[group] |= block.drop_name[row];
            let (values, present) = block.cells.row(row);
            let states = &mut self.states[group * self.steps..][..self.steps];
            let seen = &mut self.present[group * words..][..words];
            for (((states, values), &bits), seen) in
                states.chunks_mut(64).zip(values.chunks(64)).zip(present).zip(seen)
            {
                *seen |= bits;
                if bits == u64::MAX {
                    states.iter_mut().zip(values).for_each(|(s, v)| s.add(*v));
                    continue;
                }
                let mut left = bits;
                while left != 0 {
                    let i = left.trailing_zeros() as usize;
                    left &= left - 1;
                    states[i].add(values[i]);
                }
            }
            let histograms = block.histograms_of(row);
            if !histograms.is_empty() {
                let states = &mut self.states[group * self.steps..][..self.steps];
                let seen = &mut self.present[group * words..][..words];
                for (step, h) in histograms {
                    if self.histograms.counts() {
                        states[*step].add(0.0);
                        seen[step / 64] |= 1 << (step % 64);
                    } else {
                        self.histograms.add(ev, (group, *step), bit(seen, *step), h, labels)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(self, ev: &Evaluator<'_>) -> Block {
        let labels = self.grouping.into_labels();
        let mut cells = GridBlock::new(labels.len(), self.steps);
        let (values, present) = cells.cells_mut();
        values.iter_mut().zip(&self.states).for_each(|(v, s)| *v = s.value());
        present.copy_from_slice(&self.present);
        let mut block = Block::from_parts(labels, cells);
        block.drop_name = self.drop_name;
        self.histograms.finish(ev, &mut block);
        block
    }
}

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, node: &Aggregate, grid: &Grid) -> Result<Block, QueryError> {
        match node.op {
            AggregateOp::Sum => self.fold::<Sum>(node, grid),
            AggregateOp::Avg => self.fold::<Avg>(node, grid),
            AggregateOp::Min => self.fold::<Min>(node, grid),
            AggregateOp::Max => self.fold::<Max>(node, grid),
            AggregateOp::Count => self.fold::<Count>(node, grid),
            AggregateOp::Group => self.fold::<Group>(node, grid),
            AggregateOp::Stdvar => self.fold::<Stdvar>(node, grid),
            AggregateOp::Stddev => self.fold::<Stddev>(node, grid),
            AggregateOp::Quantile => self.quantile(node, grid),
            AggregateOp::CountValues => self.count_values(node, grid),
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio => {
                self.rank(node, grid)
            }
        }
    }

    fn fold<S: Cell>(&self, node: &Aggregate, grid: &Grid) -> Result<Block, QueryError> {
        let by_reserved = node.grouping.iter().any(|n| RESERVED.contains(&n.as_str()));
        let names = if node.without || by_reserved { Names::Exact } else { Names::Irrelevant };
        let grouping = Grouping::new(&node.grouping, node.without);
        let mut fold = Fold::<S>::new(grouping, grid.steps, HistogramFold::new(node));
        self.stream(&node.input, grid, names, &mut |mut part| {
            part.account(&self.ctx)?;
            fold.add(self, &part)
        })?;
        Ok(fold.finish(self))
    }

    /// The values of an operator's scalar parameter.
    pub(super) fn scalar_param(&self, node: &Aggregate, grid: &Grid) -> Result<(Vec<f64>, Span), QueryError> {
        match &node.param {
            Some((param, span)) => Ok((self.eval(param, grid)?.scalar()?, *span)),
            None => Err(QueryError::execution("missing parameter of an aggregation")),
        }
    }

    /// The groups of a block's rows, as row indices, and the grouping.
    pub(super) fn rows_by_group(node: &Aggregate, block: &Block) -> (Grouping, Vec<Vec<usize>>) {
        let mut grouping = Grouping::new(&node.grouping, node.without);
        let mut rows: Vec<Vec<usize>> = Vec::new();
        for (row, labels) in block.labels.iter().enumerate() {
            let group = grouping.group_of(labels);
            rows.resize(grouping.len(), Vec::new());
            rows[group].push(row);
        }
        (grouping, rows)
    }

    fn quantile(&self, node: &Aggregate, grid: &Grid) -> Result<Block, QueryError> {
        let (qs, span) = self.scalar_param(node, grid)?;
        let input = self.eval(&node.input, grid)?.vector()?;
        let (min, max) = extremes(&qs);
        {
            let mut notes = self.notes.borrow_mut();
            if qs.iter().any(|q| q.is_nan()) {
                notes.invalid_quantile(NORMAL_NAN, span);
            }
            if max > 1.0 {
                notes.invalid_quantile(max, span);
            }
            if min < 0.0 {
                notes.invalid_quantile(min, span);
            }
            if input.has_histograms() {
                notes.ignored_in_aggregation("quantile", node.input_span);
            }
        }
        let (grouping, groups) = Self::rows_by_group(node, &input);
        let mut out = Block::from_parts(grouping.into_labels(), GridBlock::new(groups.len(), grid.steps));
        let mut values = Vec::new();
        for (group, rows) in groups.iter().enumerate() {
            self.ctx.check()?;
            out.drop_name[group] = rows.iter().any(|&r| input.drop_name[r]);
            for (step, q) in qs.iter().enumerate() {
                values.clear();
                values.extend(rows.iter().filter_map(|&row| input.cells.get(row, step)));
                if !values.is_empty() {
                    out.cells.set(group, step, quantile(*q, &mut values));
                }
            }
        }
        Ok(out)
    }

    fn count_values(&self, node: &Aggregate, grid: &Grid) -> Result<Block, QueryError> {
        let Some((Node::Text(label), _)) = &node.param else {
            return Err(QueryError::execution("count_values wants a string parameter"));
        };
        if label.is_empty() {
            return Err(QueryError::execution(format!("invalid label name {}", go_quote(label))));
        }
        let input = self.eval(&node.input, grid)?.vector()?;
        let (grouping, groups) = Self::rows_by_group(node, &input);
        let group_labels = grouping.into_labels();
        let keep_label = !(node.without && node.grouping.contains(label));
        // Groups that differ in the counted label only become one.
        let mut out_rows: HashMap<LabelSet, usize, foldhash::fast::RandomState> = HashMap::default();
        let mut out = Block::new(grid.steps);
        for (group, rows) in groups.iter().enumerate() {
            self.ctx.check()?;
            let mut by_value: HashMap<u64, usize, foldhash::fast::RandomState> = HashMap::default();
            // The row of results for a value written like this.
            let mut row_of = |out: &mut Block, text: &str| {
                let mut labels = group_labels[group].to_builder();
                if keep_label {
                    labels.set(label, text);
                }
                *out_rows.entry(labels.build()).or_insert_with_key(|labels| {
                    out.labels.push(labels.clone());
                    out.drop_name.push(false);
                    out.cells.push_row()
                })
            };
            let count = |out: &mut Block, to: usize, step: usize| {
                let count = out.cells.get(to, step).unwrap_or(0.0);
                out.cells.set(to, step, count + 1.0);
            };
            for &row in rows {
                for step in 0..grid.steps {
                    let Some(v) = input.cells.get(row, step) else { continue };
                    let v = if v.is_nan() { NORMAL_NAN } else { v };
                    let to = *by_value.entry(v.to_bits()).or_insert_with(|| row_of(&mut out, &format_f(v)));
                    count(&mut out, to, step);
                }
                for (step, h) in input.histograms_of(row) {
                    let to = row_of(&mut out, &Text(h).to_string());
                    count(&mut out, to, *step);
                }
            }
        }
        Ok(out)
    }
}

/// Least and greatest of a parameter as upstream's `fParams` has them: NaN if any value is.
pub(super) fn extremes(values: &[f64]) -> (f64, f64) {
    let fold = |start: f64, pick: fn(f64, f64) -> f64| {
        values.iter().fold(start, |a, &b| if a.is_nan() || b.is_nan() { f64::NAN } else { pick(a, b) })
    };
    (fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max))
}

impl Out {
    /// A vector that is the whole result.
    pub(super) fn of(block: Block) -> Self {
        Self::Vector(block)
    }
}
