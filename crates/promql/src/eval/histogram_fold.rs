//! What aggregations do with native histograms, beside the floats of the same groups.

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use model::{Histogram, LabelSet};
use std::sync::Arc;
use storage::histogram_cost;

use super::Evaluator;
use super::block::{Block, HistogramRow};
use crate::error::QueryError;
use crate::histogram::{HistogramAvg, HistogramError, HistogramOp, HistogramSum, Reconciled, compact};
use crate::parser::{AggregateOp, Span};
use crate::plan::Aggregate;

/// The histograms of all groups at all steps.
pub(super) struct HistogramFold {
    op: AggregateOp,
    span: Span,
    /// By group and step; nothing without histograms.
    cells: HashMap<(usize, usize), Cell, foldhash::fast::RandomState>,
    ignored: bool,
    held: usize,
}

/// The histograms of one group at one step.
enum Cell {
    Sum(HistogramSum),
    Avg(HistogramAvg),
    /// Floats came first, so that there will be no result.
    AfterFloats,
    /// Exponential and custom buckets met; whether floats had come before.
    Incompatible {
        floats: bool,
    },
}

impl HistogramFold {
    pub(super) fn new(node: &Aggregate) -> Self {
        Self { op: node.op, span: node.input_span, cells: HashMap::default(), ignored: false, held: 0 }
    }

    /// Whether a histogram counts like any other sample.
    pub(super) fn counts(&self) -> bool {
        matches!(self.op, AggregateOp::Count | AggregateOp::Group)
    }

    /// Takes in a histogram of `series`. `floats`: the group has floats at this step already.
    pub(super) fn add(
        &mut self,
        ev: &Evaluator<'_>,
        at: (usize, usize),
        floats: bool,
        h: &Histogram,
        series: &LabelSet,
    ) -> Result<(), QueryError> {
        if !matches!(self.op, AggregateOp::Sum | AggregateOp::Avg) {
            self.ignored = true;
            return Ok(());
        }
        let mut entry = match self.cells.entry(at) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => {
                let cost = histogram_cost(h);
                ev.ctx.hold(cost)?;
                self.held += cost;
                entry.insert(match self.op {
                    _ if floats => Cell::AfterFloats,
                    AggregateOp::Sum => Cell::Sum(HistogramSum::new(h)),
                    _ => Cell::Avg(HistogramAvg::new(h)),
                });
                return Ok(());
            }
        };
        let result: Result<Reconciled, HistogramError> = match entry.get_mut() {
            Cell::Sum(sum) => sum.add(h),
            Cell::Avg(avg) => avg.add(h),
            Cell::AfterFloats | Cell::Incompatible { .. } => return Ok(()),
        };
        match result {
            Ok(Reconciled { bounds_reconciled: false, .. }) => {}
            Ok(_) => ev.notes.borrow_mut().mismatched_custom_buckets(HistogramOp::Agg, self.span),
            Err(_) => {
                ev.notes.borrow_mut().mixed_exponential_custom(series.metric_name(), self.span);
                entry.insert(Cell::Incompatible { floats });
            }
        }
        Ok(())
    }

    /// Puts the results into the block of the floats' results; where both kinds met, there is neither.
    pub(super) fn finish(self, ev: &Evaluator<'_>, block: &mut Block) {
        let mut notes = ev.notes.borrow_mut();
        if self.ignored {
            notes.ignored_in_aggregation(self.op.as_str(), self.span);
        }
        let mut rows: Vec<HistogramRow> = Vec::new();
        let mut cells: Vec<_> = self.cells.into_iter().collect();
        cells.sort_unstable_by_key(|(at, _)| *at);
        for ((row, step), cell) in cells {
            let floats = kernels::bit(block.cells.row(row).1, step);
            let (collision, mut h) = match cell {
                Cell::Incompatible { floats: before } => {
                    if before {
                        notes.mixed_in_aggregation(self.span);
                    }
                    block.clear_float(row, step);
                    continue;
                }
                _ if floats => {
                    notes.mixed_in_aggregation(self.span);
                    block.clear_float(row, step);
                    continue;
                }
                Cell::AfterFloats => continue,
                Cell::Sum(sum) => (sum.counter_reset_collision(), sum.value()),
                Cell::Avg(avg) => (avg.counter_reset_collision(), avg.value()),
            };
            if collision {
                notes.reset_collision(HistogramOp::Agg, self.span);
            }
            compact(&mut h, 0);
            if rows.len() <= row {
                rows.resize_with(row + 1, Vec::new);
            }
            rows[row].push((step, Arc::new(h)));
        }
        block.histograms = rows;
        ev.ctx.release(self.held);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use storage::{
        Error, LeafCost, LeafExecutor, LeafRequest, LeafSink, MetaRequest, QueryContext, TimeRange,
    };

    use super::*;
    use crate::annotations::Notes;
    use crate::plan::Node;

    /// A fold does not read.
    struct Nothing;

    impl LeafExecutor for Nothing {
        fn covers(&self) -> Option<TimeRange> {
            None
        }
        fn estimate(&self, _: &LeafRequest) -> Result<LeafCost, Error> {
            Ok(LeafCost::default())
        }
        fn run(&self, _: &LeafRequest, _: &QueryContext, _: &mut dyn LeafSink) -> Result<(), Error> {
            Ok(())
        }
        fn series(&self, _: &MetaRequest, _: &QueryContext) -> Result<Vec<LabelSet>, Error> {
            Ok(Vec::new())
        }
        fn label_names(&self, _: &MetaRequest, _: &QueryContext) -> Result<Vec<String>, Error> {
            Ok(Vec::new())
        }
        fn label_values(&self, _: &str, _: &MetaRequest, _: &QueryContext) -> Result<Vec<String>, Error> {
            Ok(Vec::new())
        }
    }

    fn exponential(sum: f64) -> Histogram {
        let positive_spans = vec![model::Span { offset: 0, length: 1 }];
        Histogram { count: 1.0, sum, positive_spans, positive_buckets: vec![1.0], ..Histogram::default() }
    }

    fn custom() -> Histogram {
        Histogram { schema: -53, custom_values: vec![1.0], ..exponential(1.0) }
    }

    /// Adds to the only group's only step, which has a float then where `float` says so; what is there in the end, and the remarks.
    fn fold(op: AggregateOp, histograms: &[(bool, Histogram)], float: bool) -> (String, Vec<String>) {
        let ev = Evaluator {
            store: &Nothing,
            ctx: Arc::new(QueryContext::unbounded()),
            lookback_ms: 0,
            default_subquery_step_ms: 1,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            use_start_timestamps: false,
            notes: RefCell::new(Notes::default()),
            tally: None,
        };
        let span = Span::default();
        let (input, grouping) = (Node::Number(0.0), Vec::new());
        let node = Aggregate { op, input, param: None, grouping, without: false, span, input_span: span };
        let mut fold = HistogramFold::new(&node);
        let series = LabelSet::from_pairs([("__name__", "m")]);
        for (floats, h) in histograms {
            fold.add(&ev, (0, 0), *floats, h, &series).unwrap();
        }
        let mut block = Block::from_parts(vec![LabelSet::empty()], kernels::GridBlock::new(1, 1));
        if float {
            block.cells.set(0, 0, 7.0);
        }
        fold.finish(&ev, &mut block);
        let shown = match (block.cells.get(0, 0), block.histogram(0, 0)) {
            (None, None) => "nothing".to_owned(),
            (Some(v), None) => v.to_string(),
            (None, Some(h)) => format!("count {} sum {}", h.count, h.sum),
            (Some(_), Some(_)) => panic!("a float and a histogram in one cell"),
        };
        let notes = ev.notes.into_inner().finish("m");
        (shown, [notes.warnings, notes.infos].concat())
    }

    #[test]
    fn sums_means_and_what_stands_against_them() {
        use AggregateOp::{Avg, Max, Sum};
        let (one, three) = (|floats| (floats, exponential(1.0)), (false, exponential(3.0)));
        for (op, histograms, float, expect, remark) in [
            (Sum, vec![one(false), three.clone()], false, "count 2 sum 4", None),
            (Avg, vec![one(false), three.clone()], false, "count 1 sum 2", None),
            // A float before a histogram, after it, and between two: neither kind is left.
            (Sum, vec![one(true), three.clone()], true, "nothing", Some("mix of histograms and floats")),
            (Sum, vec![one(false)], true, "nothing", Some("mix of histograms and floats")),
            (Avg, vec![one(false), one(true)], true, "nothing", Some("mix of histograms and floats")),
            (
                Sum,
                vec![one(false), (false, custom())],
                false,
                "nothing",
                Some("exponential and custom buckets"),
            ),
            // The others leave histograms out.
            (Max, vec![one(true)], true, "7", Some("ignored histogram in max aggregation")),
            (Max, vec![one(false)], false, "nothing", Some("ignored histogram in max aggregation")),
        ] {
            let (shown, notes) = fold(op, &histograms, float);
            assert_eq!(shown, expect, "{op:?} {histograms:?}");
            match (&notes[..], remark) {
                ([], None) => {}
                ([said], Some(remark)) if said.contains(remark) => {}
                (said, _) => panic!("{op:?}: {said:?}, expected {remark:?}"),
            }
        }
    }
}
