//! Leaves and windows of series that have native histograms, computed here and not by the executor.

use std::sync::Arc;

use kernels::{Grid, GridBlock, RangeFn, Windows};
use model::{Histogram, LabelSet, is_stale};

use super::Evaluator;
use super::block::{Block, HistogramRow};
use super::column::Column;
use crate::error::QueryError;

/// The newest sample of a window.
enum Newest<'a> {
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

impl Evaluator<'_> {
    /// A function over a series that has histograms, as a block of one row; `None` where it has no value at any step.
    pub(super) fn mixed(
        &self,
        f: RangeFn,
        labels: &LabelSet,
        column: Column<'_>,
        ends: &Grid,
        range_ms: i64,
    ) -> Result<Option<Block>, QueryError> {
        self.ctx.check()?;
        let mut cells = GridBlock::new(1, ends.steps);
        let mut row: HistogramRow = Vec::new();
        for (step, w) in Windows::new(column.ts, ends, range_ms).iter().enumerate() {
            match f {
                RangeFn::Last | RangeFn::LastTimestamp => {
                    let Some(newest) = newest(column, w.end, w.start) else { continue };
                    match newest {
                        _ if f == RangeFn::LastTimestamp => {
                            cells.set(0, step, column.ts[w.end - 1] as f64 / 1000.0);
                        }
                        Newest::Float(v) => cells.set(0, step, v),
                        Newest::Histogram(h) => row.push((step, Arc::clone(h))),
                    }
                }
                _ => return Err(QueryError::execution("functions of ranges with histograms are not there yet")),
            }
        }
        let mut block = Block::from_parts(vec![labels.clone()], cells);
        block.set_histograms(0, row);
        Ok((!block.is_row_empty(0)).then_some(block))
    }
}

/// The sample before index `end`, unless there is none from `start` on or it marks the series as stale.
fn newest<'a>(column: Column<'a>, end: usize, start: usize) -> Option<Newest<'a>> {
    let at = end.checked_sub(1).filter(|at| *at >= start)?;
    match column.histograms.binary_search_by_key(&at, |h| h.0) {
        Ok(i) => {
            let h = &column.histograms[i].1;
            (!h.is_stale()).then_some(Newest::Histogram(h))
        }
        Err(_) => {
            let v = column.values[at];
            (!is_stale(v)).then_some(Newest::Float(v))
        }
    }
}
