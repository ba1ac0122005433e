//! `anchored` and `smoothed`: ranges that look past their edges instead of extrapolating (experimental upstream).
//!
//! Anchored takes the newest sample at or before the range's start, smoothed interpolates at both edges with the
//! samples beyond them; both look as far as the lookback.

use kernels::{Grid, GridBlock, RangeFn, Windows, eval_window};
use model::{LabelSet, Matcher};
use storage::{LeafData, LeafOp, LeafRequest};

use super::Evaluator;
use super::block::Block;
use super::column::{Column, TakeSeries, each_series};
use super::leaf::{Sink, shift, wrong_batch};
use super::mixed::MixedRow;
use crate::error::QueryError;
use crate::histogram::{self, Sample, extended_window, smoothed_instant};
use crate::parser::{RangeModifier, Span};
use crate::plan::{Detail, Selector};
use crate::value::Series;

/// A range with edges that are looked past.
struct Edges {
    start: i64,
    end: i64,
    smoothed: bool,
}

/// A range selector with a modifier.
pub(super) struct Extended<'a> {
    pub(super) matchers: &'a [Matcher],
    pub(super) modifier: RangeModifier,
    pub(super) detail: Detail,
    pub(super) span: Span,
    pub(super) range_ms: i64,
    /// `@` and `offset`.
    pub(super) at: (Option<i64>, i64),
}

impl Extended<'_> {
    fn smoothed(&self) -> bool {
        self.modifier == RangeModifier::Smoothed
    }
}

impl Evaluator<'_> {
    /// `rate`, `increase`, `delta`, `changes` or `resets` of a range with a modifier.
    pub(super) fn extended_window(
        &self,
        name: &str,
        range: &Extended<'_>,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let ends = shift(grid, range.at.0, range.at.1);
        let (smoothed, range_ms) = (range.smoothed(), range.range_ms);
        self.extended_raw(range, &ends, &mut |labels, column| {
            if !column.histograms.is_empty() {
                let Some(block) = self.extended_mixed(name, range, labels, column, &ends) else {
                    return Ok(());
                };
                return sink(if range.at.0.is_some() { block.broadcast(grid.steps) } else { block });
            }
            let Column { ts, values, .. } = column;
            let mut cells = GridBlock::new(1, ends.steps);
            let (seen, seen_range) = self.seen(range, &ends);
            for (i, w) in Windows::new(ts, &seen, seen_range).iter().enumerate() {
                let (ts, values) = (&ts[w.clone()], &values[w]);
                let end = ends.at(i);
                let edges = Edges { start: end - range_ms, end, smoothed };
                if let Some(v) = float_window(name, ts, values, &edges) {
                    cells.set(0, i, v);
                }
            }
            if cells.is_row_empty(0) {
                return Ok(());
            }
            let block = Block::from_parts(vec![labels.clone()], cells);
            sink(if range.at.0.is_some() { block.broadcast(grid.steps) } else { block })
        })
    }

    /// As [`Self::extended_window`], for a series that has histograms.
    fn extended_mixed(
        &self,
        name: &str,
        range: &Extended<'_>,
        labels: &LabelSet,
        column: Column<'_>,
        ends: &Grid,
    ) -> Option<Block> {
        let f = match name {
            "changes" => RangeFn::Changes,
            "resets" => RangeFn::Resets,
            "delta" => RangeFn::Delta,
            "increase" => RangeFn::Increase,
            _ => RangeFn::Rate,
        };
        let samples = column.samples();
        let mut row = MixedRow::new(ends.steps);
        let (seen, seen_range) = self.seen(range, ends);
        for (step, w) in Windows::new(column.ts, &seen, seen_range).iter().enumerate() {
            let end = ends.at(step);
            let edges = Edges { start: end - range.range_ms, end, smoothed: range.smoothed() };
            if column.floats_only(&w) {
                let value = float_window(name, &column.ts[w.clone()], &column.values[w], &edges);
                value.into_iter().for_each(|v| row.set(step, Sample::Float(v)));
                continue;
            }
            let edges =
                histogram::Edges { start_ms: edges.start, end_ms: edges.end, smoothed: edges.smoothed };
            let result = extended_window(f, &samples[w], edges);
            self.take_window(result, step, &mut row, labels, range.span);
        }
        row.finish(labels)
    }

    /// As [`Self::smoothed_select`], for a series that has histograms.
    fn smoothed_mixed(
        &self,
        range: &Extended<'_>,
        labels: &LabelSet,
        column: Column<'_>,
        ends: &Grid,
    ) -> Option<Block> {
        let samples = column.samples();
        let mut row = MixedRow::new(ends.steps);
        let (seen, seen_range) = self.seen(range, ends);
        for (step, w) in Windows::new(column.ts, &seen, seen_range).iter().enumerate() {
            if column.floats_only(&w) {
                let value = smoothed_float(&column.ts[w.clone()], &column.values[w], ends.at(step));
                value.into_iter().for_each(|v| row.set(step, Sample::Float(v)));
                continue;
            }
            let result = smoothed_instant(&samples[w], ends.at(step));
            self.take_window(result, step, &mut row, labels, range.span);
        }
        row.finish(labels)
    }

    /// An instant selector with `smoothed`: values interpolated to the evaluation times.
    pub(super) fn smoothed_select(
        &self,
        selector: &Selector,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let range = Extended {
            matchers: &selector.matchers,
            modifier: RangeModifier::Smoothed,
            detail: selector.detail,
            span: selector.span,
            range_ms: 0,
            at: (selector.at_ms, selector.offset_ms),
        };
        let ends = shift(grid, range.at.0, range.at.1);
        self.extended_raw(&range, &ends, &mut |labels, column| {
            if !column.histograms.is_empty() {
                let Some(block) = self.smoothed_mixed(&range, labels, column, &ends) else { return Ok(()) };
                return sink(if selector.at_ms.is_some() { block.broadcast(grid.steps) } else { block });
            }
            let Column { ts, values, .. } = column;
            let mut cells = GridBlock::new(1, ends.steps);
            let (seen, seen_range) = self.seen(&range, &ends);
            for (step, w) in Windows::new(ts, &seen, seen_range).iter().enumerate() {
                if let Some(v) = smoothed_float(&ts[w.clone()], &values[w], ends.at(step)) {
                    cells.set(0, step, v);
                }
            }
            if cells.is_row_empty(0) {
                return Ok(());
            }
            let block = Block::from_parts(vec![labels.clone()], cells);
            sink(if selector.at_ms.is_some() { block.broadcast(grid.steps) } else { block })
        })
    }

    /// The samples of a range with a modifier, edges included, at the root of an instant query.
    pub(super) fn extended_root(&self, range: &Extended<'_>, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let ends = shift(grid, range.at.0, range.at.1);
        let edges = Edges { start: ends.start - range.range_ms, end: ends.start, smoothed: range.smoothed() };
        let mut all = Vec::new();
        self.extended_raw(range, &ends, &mut |labels, column| {
            if !column.histograms.is_empty() {
                let word = if range.smoothed() { "smoothed" } else { "anchored" };
                return Err(QueryError::execution(format!(
                    "{word} modifier is not supported with histograms"
                )));
            }
            let Column { ts, values, .. } = column;
            let Some((mut first, mut last)) = bounds(ts, &edges) else { return Ok(()) };
            let (left, right) = at_edges(ts, values, (first, last), &edges, false);
            first += usize::from(ts[first] <= edges.start);
            last = if ts[last] >= edges.end { last } else { last + 1 };
            let mut samples = vec![(edges.start, left)];
            if first < last {
                samples.extend(ts[first..last].iter().copied().zip(values[first..last].iter().copied()));
            }
            samples.push((edges.end, right));
            self.ctx.hold(samples.len())?;
            all.push(Series { labels: labels.clone(), samples: samples.into(), histograms: Vec::new() });
            Ok(())
        })?;
        Ok(all)
    }

    /// The grid and window length of all samples a range may look at.
    fn seen(&self, range: &Extended<'_>, ends: &Grid) -> (Grid, i64) {
        let after = if range.smoothed() { self.lookback_ms } else { 0 };
        let grid = Grid { start: ends.start.saturating_add(after), ..*ends };
        (grid, range.range_ms.saturating_add(self.lookback_ms).saturating_add(after))
    }

    fn extended_raw(
        &self,
        range: &Extended<'_>,
        ends: &Grid,
        take: &mut TakeSeries<'_>,
    ) -> Result<(), QueryError> {
        let (grid, range_ms) = self.seen(range, ends);
        let request = LeafRequest { matchers: range.matchers.to_vec(), op: LeafOp::Select, range_ms, grid };
        self.run(&request, &mut |batch| {
            let LeafData::Raw(raw) = &batch.data else { return Err(wrong_batch()) };
            each_series(&batch.labels, raw, range.detail, take)
        })
    }
}

/// A function of a window of floats.
fn float_window(name: &str, ts: &[i64], values: &[f64], edges: &Edges) -> Option<f64> {
    match name {
        "changes" => count(RangeFn::Changes, ts, values, edges),
        "resets" => count(RangeFn::Resets, ts, values, edges),
        "delta" => change(ts, values, edges, false),
        "increase" => change(ts, values, edges, true),
        _ => change(ts, values, edges, true).map(|v| v / ((edges.end - edges.start) as f64 / 1000.0)),
    }
}

/// The value at `t`, of floats around it.
fn smoothed_float(ts: &[i64], values: &[f64], t: i64) -> Option<f64> {
    let i = ts.partition_point(|s| *s < t);
    if ts.get(i) == Some(&t) {
        Some(values[i])
    } else if i > 0 && i < ts.len() {
        Some(interpolate(&ts[i - 1..=i], &values[i - 1..=i], t, false))
    } else {
        i.checked_sub(1).map(|before| values[before])
    }
}

/// The value at `t` on the line through two samples; after a reset a counter starts from zero.
fn interpolate(ts: &[i64], values: &[f64], t: i64, counter: bool) -> f64 {
    let (mut y1, y2) = (values[0], values[1]);
    if counter && y2 < y1 {
        y1 = 0.0;
    }
    y1 + (y2 - y1) * (t - ts[0]) as f64 / (ts[1] - ts[0]) as f64
}

/// The first and last sample that decide; `None` where nothing lies after the start.
fn bounds(ts: &[i64], edges: &Edges) -> Option<(usize, usize)> {
    let mut last = ts.len().checked_sub(1)?;
    // Among all but the last sample, as upstream searches.
    let first = ts[..last].partition_point(|t| *t <= edges.start).saturating_sub(1);
    if edges.smoothed {
        last = ts[..last].partition_point(|t| *t < edges.end);
    }
    let nothing = ts[last] <= edges.start || (edges.smoothed && ts[first] > edges.end);
    (!nothing).then_some((first, last))
}

/// The values at both edges.
fn at_edges(
    ts: &[i64],
    values: &[f64],
    (first, last): (usize, usize),
    edges: &Edges,
    counter: bool,
) -> (f64, f64) {
    let left = if edges.smoothed && ts[first] < edges.start {
        interpolate(&ts[first..=first + 1], &values[first..=first + 1], edges.start, counter)
    } else {
        values[first]
    };
    let right = if edges.smoothed && last > 0 && ts[last] > edges.end {
        interpolate(&ts[last - 1..=last], &values[last - 1..=last], edges.end, counter)
    } else {
        values[last]
    };
    (left, right)
}

/// The difference between the edges, resets within added back for a counter.
fn change(ts: &[i64], values: &[f64], edges: &Edges, counter: bool) -> Option<f64> {
    let (first, last) = bounds(ts, edges)?;
    let (left, right) = at_edges(ts, values, (first, last), edges, counter);
    let mut result = right - left;
    if counter {
        let from = first + usize::from(ts[first] <= edges.start);
        let to = if ts[last] >= edges.end { last } else { last + 1 };
        let mut correction = 0.0;
        let mut previous = left;
        for &v in values.get(from..to).unwrap_or_default() {
            if v < previous {
                correction += previous;
            }
            previous = v;
        }
        if right < previous {
            correction += previous;
        }
        result += correction;
    }
    Some(result)
}

/// Changes or resets from the anchor on.
fn count(f: RangeFn, ts: &[i64], values: &[f64], edges: &Edges) -> Option<f64> {
    let after = ts.partition_point(|t| *t <= edges.start);
    if after >= ts.len() {
        return None;
    }
    let first = after.saturating_sub(1);
    eval_window(f, &ts[first..], &values[first..], edges.end, edges.end - edges.start)
}
