//! Samples that a query sees, counted as upstream counts them (`util/stats/query_stats.go`) where somebody asked.
//!
//! A [`Frame`] counts for one grid: the query's own, the one step of a part that does not depend on it, or a subquery's. What a
//! leaf saw is added to the innermost frame; when a frame ends, its figures go to the one around it by upstream's rules: the one step
//! of an invariant part counts at each step but is read once, and of a subquery only what was read counts, because the function
//! around it counts the windows over its result.

use std::cell::RefCell;

use kernels::{Grid, RangeFn, Windows};
use model::is_stale;
use storage::{LeafBatch, LeafData, LeafOp, LeafRequest, RawBlock, WindowCounts, histogram_cost, is_absent};

use super::Evaluator;
use super::block::Block;
use super::column::{Column, Samples, each_series};
use crate::error::QueryError;
use crate::plan::Detail;
use crate::value::StepStats;

/// The frames, the outermost first.
#[derive(Debug)]
pub(crate) struct Tally {
    frames: RefCell<Vec<Frame>>,
    /// Everything that the last subquery's inside saw.
    subquery_total: RefCell<u64>,
}

/// What each step of a grid saw.
#[derive(Debug)]
struct Frame {
    counts: WindowCounts,
    steps: usize,
}

impl Frame {
    fn new(steps: usize) -> Self {
        Self { counts: WindowCounts { total: vec![0; steps], fresh: vec![0; steps] }, steps }
    }

    /// Adds what a leaf saw: by step, or on the one step of `@`, which counts at each step and is read once.
    fn add(&mut self, leaf: &WindowCounts) {
        if leaf.total.len() == 1 && self.steps > 1 {
            (0..self.steps).for_each(|step| self.counts.add(step, leaf.total[0], 0));
            self.counts.add(0, 0, leaf.fresh[0]);
            return;
        }
        for (step, (total, fresh)) in leaf.total.iter().zip(&leaf.fresh).enumerate().take(self.steps) {
            self.counts.add(step, *total, *fresh);
        }
    }
}

impl Tally {
    /// A tally for a query of this many steps.
    pub(crate) fn new(steps: usize) -> Self {
        Self { frames: RefCell::new(vec![Frame::new(steps)]), subquery_total: RefCell::new(0) }
    }

    fn push(&self, steps: usize) {
        self.frames.borrow_mut().push(Frame::new(steps));
    }

    fn pop(&self) -> WindowCounts {
        self.frames.borrow_mut().pop().map(|frame| frame.counts).unwrap_or_default()
    }

    fn add(&self, leaf: &WindowCounts) {
        if let Some(frame) = self.frames.borrow_mut().last_mut() {
            frame.add(leaf);
        }
    }

    /// The last subquery is the query's result: its inside is what the query saw.
    pub(crate) fn root_is_subquery(&self) {
        if let Some(frame) = self.frames.borrow_mut().last_mut() {
            frame.counts.total.fill(0);
            frame.counts.add(frame.steps.saturating_sub(1), *self.subquery_total.borrow(), 0);
        }
    }

    /// All of it: samples seen and read by step of the query.
    pub(crate) fn finish(&self, start_ms: i64, step_ms: i64) -> StepStats {
        let counts = self.pop();
        StepStats { start_ms, step_ms, total_samples: counts.total, samples_read: counts.fresh }
    }
}

impl Evaluator<'_> {
    /// Evaluates a part that does not depend on the step.
    pub(super) fn tally_once<T>(&self, eval: impl FnOnce() -> T) -> T {
        let Some(tally) = &self.tally else { return eval() };
        tally.push(1);
        let out = eval();
        let inside = tally.pop();
        tally.add(&inside);
        out
    }

    /// Evaluates a subquery's inside, on `inner`, for windows that end on `outer`.
    pub(super) fn tally_subquery<T>(
        &self,
        inner: &Grid,
        outer: &Grid,
        range_ms: i64,
        eval: impl FnOnce() -> T,
    ) -> T {
        let Some(tally) = &self.tally else { return eval() };
        tally.push(inner.steps);
        let out = eval();
        let inside = tally.pop();
        *tally.subquery_total.borrow_mut() = inside.total.iter().sum();
        let mut read = WindowCounts { total: vec![0; outer.steps], fresh: vec![0; outer.steps] };
        for (step, fresh) in inside.fresh.iter().enumerate().filter(|(_, fresh)| **fresh > 0) {
            if let Some(at) = consumer(inner.at(step), outer, range_ms) {
                read.add(at, 0, *fresh);
            }
        }
        tally.add(&read);
        out
    }

    /// Counts the windows over a subquery's result.
    pub(super) fn tally_windows(&self, inner: &Block, inner_grid: &Grid, outer: &Grid, range_ms: i64) {
        let Some(tally) = &self.tally else { return };
        let mut counts = WindowCounts::default();
        let mut samples = Samples::default();
        for row in 0..inner.rows() {
            samples.read_row(inner, row, inner_grid);
            let column = samples.column();
            let windows = Windows::new(column.ts, outer, range_ms);
            count(column, &windows, &mut |step, total, _| counts.add(step, total, 0));
        }
        tally.add(&counts);
    }

    /// Counts what a batch of a leaf saw, where the executor did not.
    pub(super) fn tally_batch(&self, request: &LeafRequest, batch: &LeafBatch) -> Result<(), QueryError> {
        let Some(tally) = &self.tally else { return Ok(()) };
        let newest = match request.op {
            LeafOp::Range(RangeFn::Last) => Newest::Sample,
            LeafOp::Range(RangeFn::LastTimestamp) => Newest::Time,
            _ => Newest::No,
        };
        let mut counts = WindowCounts::default();
        match &batch.data {
            LeafData::Grid(cells) if newest != Newest::No => {
                for row in 0..cells.rows() {
                    let present = cells.row(row).1;
                    let steps = (0..request.grid.steps).filter(|step| kernels::bit(present, *step));
                    steps.for_each(|step| counts.add(step, 1, 1));
                }
            }
            // The executor counts the windows it sees.
            LeafData::Grid(_) => return Ok(()),
            LeafData::Raw(raw) => count_raw(request, newest, batch, raw, &mut counts)?,
        }
        tally.add(&counts);
        Ok(())
    }

    /// Adds what the executor counted.
    pub(super) fn tally_leaf(&self) {
        if let Some(tally) = &self.tally {
            tally.add(&self.ctx.take_window_counts());
        }
    }
}

/// What of a window a leaf is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newest {
    /// All of it.
    No,
    /// Its newest sample.
    Sample,
    /// Its newest sample's time.
    Time,
}

fn count_raw(
    request: &LeafRequest,
    newest: Newest,
    batch: &LeafBatch,
    raw: &RawBlock,
    counts: &mut WindowCounts,
) -> Result<(), QueryError> {
    each_series(&batch.labels, raw, Detail::Whole, &mut |_, column| {
        let windows = Windows::new(column.ts, &request.grid, request.range_ms);
        if newest != Newest::No {
            for (step, window) in windows.iter().enumerate() {
                let weight = window.last().map_or(0, |i| weight(column, i));
                // A time is a plain number, whatever had it.
                let weight = if newest == Newest::Time { weight.min(1) } else { weight };
                counts.add(step, weight, weight);
            }
        } else {
            count(column, &windows, &mut |step, total, fresh| counts.add(step, total, fresh));
        }
        Ok(())
    })
}

/// The step whose window is the first to use a subquery's value at `t`; `None` where it lies between windows.
fn consumer(t: i64, outer: &Grid, range_ms: i64) -> Option<usize> {
    if outer.steps <= 1 {
        return Some(0);
    }
    let step_ms = outer.step.max(1);
    let step = match t.checked_sub(outer.start) {
        Some(after) if after > 0 => usize::try_from(after.saturating_add(step_ms - 1) / step_ms).ok()?,
        _ => 0,
    };
    let step = step.min(outer.steps - 1);
    (t > outer.at(step).saturating_sub(range_ms)).then_some(step)
}

/// What a sample counts for: a histogram for as many plain samples as take its room.
fn weight(column: Column<'_>, i: usize) -> u64 {
    match column.histograms.binary_search_by_key(&i, |h| h.0) {
        Ok(at) if column.histograms[at].1.is_stale() => 0,
        Ok(at) => histogram_cost(&column.histograms[at].1) as u64,
        Err(_) => u64::from(!is_stale(column.values[i]) && !is_absent(column.values[i])),
    }
}

/// Hands on each step's window: its samples, and those of them that no earlier window saw.
fn count(column: Column<'_>, windows: &Windows, take: &mut dyn FnMut(usize, u64, u64)) {
    let mut sum = 0;
    let mut before = Vec::with_capacity(column.ts.len() + 1);
    before.push(0);
    for i in 0..column.ts.len() {
        sum += weight(column, i);
        before.push(sum);
    }
    let mut seen = 0;
    for (step, window) in windows.iter().enumerate() {
        let end = window.end;
        let start = window.start.min(end);
        take(step, before[end] - before[start], before[end] - before[start.max(seen).min(end)]);
        seen = seen.max(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subquery_is_read_by_the_first_window_that_uses_it() {
        let outer = Grid::range(100, 400, 100);
        for (t, range_ms, expect) in [
            (50, 1000, Some(0)),
            (100, 1000, Some(0)),
            (101, 1000, Some(1)),
            (400, 1000, Some(3)),
            (450, 1000, Some(3)),
            // Between windows.
            (150, 30, None),
            (171, 30, Some(1)),
        ] {
            assert_eq!(consumer(t, &outer, range_ms), expect, "{t}");
        }
        assert_eq!(consumer(7, &Grid::instant(1000), 1), Some(0));
    }
}
