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
