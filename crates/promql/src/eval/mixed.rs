//! Leaves and windows of series that have native histograms, computed here and not by the executor.

use std::sync::Arc;

use kernels::{Grid, GridBlock, RangeFn, Windows};
use model::LabelSet;

use super::Evaluator;
use super::block::{Block, HistogramRow};
use super::column::Column;
use super::leaf::{Asked, note_span, shift};
use crate::error::QueryError;
use crate::histogram::{Sample, WindowResult, window};
use crate::parser::Span;
use crate::plan::{RangeNode, Window};

/// A row that is being computed.
pub(super) struct MixedRow {
    cells: GridBlock,
    histograms: HistogramRow,
}

impl MixedRow {
    pub(super) fn new(steps: usize) -> Self {
        Self { cells: GridBlock::new(1, steps), histograms: Vec::new() }
    }

    /// Sets a step. Steps come in ascending order.
    pub(super) fn set(&mut self, step: usize, sample: Sample) {
        match sample {
            Sample::Float(v) => self.cells.set(0, step, v),
            Sample::Histogram(h) => self.histograms.push((step, h)),
        }
    }

    /// The row as a block, unless it is empty.
    pub(super) fn finish(self, labels: &LabelSet) -> Option<Block> {
        let mut block = Block::from_parts(vec![labels.clone()], self.cells);
        block.set_histograms(0, self.histograms);
        (!block.is_row_empty(0)).then_some(block)
    }
}

impl Evaluator<'_> {
    /// A function over a series that has histograms, as a block of one row; `None` where it has no value at any step.
    pub(super) fn mixed(
        &self,
        asked: Asked,
        labels: &LabelSet,
        column: Column<'_>,
        ends: &Grid,
    ) -> Result<Option<Block>, QueryError> {
        self.ctx.check()?;
        let Asked { f, range_ms, span, .. } = asked;
        let mut row = MixedRow::new(ends.steps);
        let windows = Windows::new(column.ts, ends, range_ms);
        if matches!(f, RangeFn::Last | RangeFn::LastTimestamp) {
            for (step, w) in windows.iter().enumerate() {
                let Some(newest) = newest(column, w.clone()) else { continue };
                let seconds = || Sample::Float(column.ts[w.end - 1] as f64 / 1000.0);
                row.set(step, if f == RangeFn::LastTimestamp { seconds() } else { newest });
            }
            return Ok(row.finish(labels));
        }
        let samples = column.samples();
        for (step, w) in windows.iter().enumerate().filter(|(_, w)| !w.is_empty()) {
            let result = window(f, &samples[w], ends.at(step), range_ms);
            self.take_window(result, step, &mut row, labels, span);
        }
        Ok(row.finish(labels))
    }

    /// As [`Self::mixed`], with a function of its own for each step.
    pub(super) fn mixed_by_step(
        &self,
        call: &Window,
        fns: &[RangeFn],
        labels: &LabelSet,
        column: Column<'_>,
        grid: &Grid,
    ) -> Result<Option<Block>, QueryError> {
        self.ctx.check()?;
        let RangeNode { range_ms, at_ms, offset_ms, .. } = call.range;
        let ends = shift(grid, at_ms, offset_ms);
        let windows: Vec<_> = Windows::new(column.ts, &ends, range_ms).iter().collect();
        let samples = column.samples();
        let mut row = MixedRow::new(grid.steps);
        for (step, f) in fns.iter().enumerate() {
            let at = if at_ms.is_some() { 0 } else { step };
            let w = windows[at].clone();
            if w.is_empty() {
                continue;
            }
            // The prediction starts at the evaluation time, not at the end of a shifted window.
            let end = if matches!(f, RangeFn::PredictLinear(_)) { grid.at(step) } else { ends.at(at) };
            let result = window(*f, &samples[w], end, range_ms);
            self.take_window(result, step, &mut row, labels, note_span(call));
        }
        Ok(row.finish(labels))
    }

    /// Puts a window's value into its row, and passes on its remarks.
    pub(super) fn take_window(
        &self,
        result: WindowResult,
        step: usize,
        row: &mut MixedRow,
        labels: &LabelSet,
        span: Span,
    ) {
        if !result.notes.is_empty() {
            let mut notes = self.notes.borrow_mut();
            result.notes.into_iter().for_each(|note| notes.window(note, labels.metric_name(), span));
        }
        if let Some(sample) = result.value {
            row.set(step, sample);
        }
    }
}

/// The last sample of a window, unless there is none or it marks the series as stale.
fn newest(column: Column<'_>, window: std::ops::Range<usize>) -> Option<Sample> {
    let at = window.clone().next_back()?;
    let sample = match column.histograms.binary_search_by_key(&at, |h| h.0) {
        Ok(i) => Sample::Histogram(Arc::clone(&column.histograms[i].1)),
        Err(_) => Sample::Float(column.values[at]),
    };
    (!sample.is_stale()).then_some(sample)
}

#[cfg(test)]
mod tests {
    use model::{Histogram, STALE_NAN};

    use super::*;

    fn histogram(sum: f64) -> Arc<Histogram> {
        Arc::new(Histogram { count: 1.0, sum, ..Histogram::default() })
    }

    #[test]
    fn a_row_keeps_both_kinds_by_step() {
        let labels = LabelSet::from_pairs([("a", "b")]);
        assert!(MixedRow::new(3).finish(&labels).is_none());
        let mut row = MixedRow::new(70);
        row.set(1, Sample::Float(2.0));
        row.set(65, Sample::Histogram(histogram(3.0)));
        let block = row.finish(&labels).unwrap();
        assert_eq!(block.labels, [labels]);
        assert_eq!((block.cells.get(0, 1), block.cells.get(0, 65)), (Some(2.0), None));
        assert_eq!(block.histogram(0, 65).map(|h| h.sum), Some(3.0));
        assert_eq!(&*block.presence(0), [1 << 1, 1 << 1]);
    }

    #[test]
    fn the_newest_sample_of_a_window() {
        let histograms = [(1, histogram(5.0)), (3, histogram(STALE_NAN))];
        let column = Column {
            ts: &[10, 20, 30, 40, 50],
            values: &[1.0, 0.0, 3.0, 0.0, STALE_NAN],
            histograms: &histograms,
            starts: &[],
        };
        let value = |window| match newest(column, window) {
            None => "nothing".to_owned(),
            Some(Sample::Float(v)) => v.to_string(),
            Some(Sample::Histogram(h)) => format!("a histogram of {}", h.sum),
        };
        for (window, expect) in [
            (0..0, "nothing"),
            (0..1, "1"),
            (0..2, "a histogram of 5"),
            (1..3, "3"),
            (0..4, "nothing"),
            (0..5, "nothing"),
        ] {
            assert_eq!(value(window.clone()), expect, "{window:?}");
        }
    }
}
