//! Start timestamps, where the engine is told to look at them: resets of counters that no value shows, and
//! `start_timestamp()`.

use kernels::{Grid, GridBlock, RangeFn, Windows, eval_window};
use storage::{LeafData, LeafOp, LeafRequest};

use super::Evaluator;
use super::block::Block;
use super::column::each_series;
use super::leaf::{Sink, note_span, shift, wrong_batch};
use super::mixed::MixedRow;
use crate::error::QueryError;
use crate::histogram::{Sample, window, window_with_starts};
use crate::plan::{RangeNode, Selector, Window};

/// Whether a function looks at start timestamps.
pub(super) fn starts_matter(f: RangeFn) -> bool {
    matches!(f, RangeFn::Rate | RangeFn::Increase | RangeFn::Irate | RangeFn::Resets)
}

impl Evaluator<'_> {
    /// A function of counters over a range selector, on raw samples with their start timestamps.
    pub(super) fn window_with_starts(
        &self,
        f: RangeFn,
        call: &Window,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let RangeNode { range_ms, at_ms, offset_ms, .. } = call.range;
        let ends = shift(grid, at_ms, offset_ms);
        self.raw(&call.range, grid, &mut |labels, column| {
            self.ctx.check()?;
            let mut row = MixedRow::new(ends.steps);
            let plain = column.histograms.is_empty() && column.starts.is_empty();
            let samples = if plain { Vec::new() } else { column.samples() };
            let windows = Windows::new(column.ts, &ends, range_ms);
            for (step, w) in windows.iter().enumerate().filter(|(_, w)| !w.is_empty()) {
                let end = ends.at(step);
                if plain {
                    let value = eval_window(f, &column.ts[w.clone()], &column.values[w], end, range_ms);
                    value.into_iter().for_each(|v| row.set(step, Sample::Float(v)));
                    continue;
                }
                let starts = column.starts.get(w.clone()).unwrap_or_default();
                let result = if starts.iter().all(|s| *s == 0) {
                    window(f, &samples[w], end, range_ms)
                } else {
                    window_with_starts(f, &samples[w], starts, end, range_ms)
                };
                self.take_window(result, step, &mut row, labels, note_span(call));
            }
            let Some(block) = row.finish(labels) else { return Ok(()) };
            sink(if at_ms.is_some() { block.broadcast(grid.steps) } else { block })
        })
    }

    /// `start_timestamp(selector)`: of the samples that the selector takes, in seconds, 0 where unknown. Nothing unless
    /// start timestamps are looked at.
    pub(super) fn start_timestamps(&self, selector: &Selector, grid: &Grid) -> Result<Block, QueryError> {
        let mut whole = Block::new(grid.steps);
        if !self.use_start_timestamps {
            return Ok(whole);
        }
        let ends = shift(grid, selector.at_ms, selector.offset_ms);
        let range_ms = self.lookback_ms;
        let (matchers, op) = (selector.matchers.clone(), LeafOp::Samples);
        let request = LeafRequest { matchers, op, range_ms, grid: ends };
        self.run(&request, &mut |batch| {
            let LeafData::Raw(raw) = &batch.data else { return Err(wrong_batch()) };
            each_series(&batch.labels, raw, selector.detail, &mut |labels, column| {
                let mut block = Block::from_parts(vec![labels.clone()], GridBlock::new(1, ends.steps));
                for (step, w) in Windows::new(column.ts, &ends, range_ms).iter().enumerate() {
                    let Some(newest) = w.end.checked_sub(1).filter(|_| !w.is_empty()) else { continue };
                    let histogram = column.histograms.iter().find(|(i, _)| *i == newest);
                    let stale = histogram
                        .map_or_else(|| model::is_stale(column.values[newest]), |(_, h)| h.is_stale());
                    if !stale {
                        let start = column.starts.get(newest).copied().unwrap_or_default();
                        block.cells.set(0, step, start as f64 / 1000.0);
                    }
                }
                if !block.cells.is_row_empty(0) {
                    let steps = grid.steps;
                    whole.append(if selector.at_ms.is_some() { block.broadcast(steps) } else { block });
                    whole.account(&self.ctx)?;
                }
                Ok(())
            })
        })?;
        whole.drop_names(self.delayed_name_removal);
        self.settle(&mut whole)?;
        Ok(whole)
    }
}
