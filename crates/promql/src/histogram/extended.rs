//! `anchored` and `smoothed` ranges, and `smoothed` instants, over histograms (experimental upstream).

use model::{Histogram, ResetHint};

use kernels::RangeFn;

use super::bounds::is_custom;
use super::window::{ByKind, changes, resets};
use super::{HistogramOp, Sample, WindowNote, WindowResult, add, compact, detect_reset, div, mul, sub};

/// The edges of a range with a modifier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edges {
    /// Where the range begins, in milliseconds.
    pub(crate) start_ms: i64,
    /// Where it ends.
    pub(crate) end_ms: i64,
    /// `smoothed`, else `anchored`.
    pub(crate) smoothed: bool,
}

/// A sample of a range.
type Point<'a> = (i64, &'a Histogram);

/// `rate`, `increase`, `delta`, `changes` or `resets` over a range with a modifier that may hold histograms.
///
/// `samples` ascend in time, without staleness markers; those that may be looked at past the edges are included. Where `samples` has
/// floats alone, the first three have no value here, nor remarks: the float loops do that.
pub(crate) fn extended_window(f: RangeFn, samples: &[(i64, Sample)], edges: Edges) -> WindowResult {
    if let RangeFn::Changes | RangeFn::Resets = f {
        let mut from = 0;
        if !edges.smoothed {
            let after = samples.partition_point(|(ts, _)| *ts <= edges.start_ms);
            if after >= samples.len() {
                return WindowResult::nothing();
            }
            from = after.saturating_sub(1);
        }
        if samples.is_empty() {
            return WindowResult::nothing();
        }
        let count = if f == RangeFn::Changes { changes } else { resets };
        return WindowResult::float(count(&samples[from..]));
    }
    let kinds = ByKind::new(samples);
    if kinds.is_mixed() {
        return WindowResult::only(WindowNote::MixedFloatsHistograms);
    }
    rate(f, &kinds.histograms, edges)
}

/// The value of an instant selector with `smoothed` at `t_ms`: interpolated between the samples around it.
///
/// `samples` are those within the lookback on both sides of `t_ms`. Where they are floats alone there is no value here.
pub(crate) fn smoothed_instant(samples: &[(i64, Sample)], t_ms: i64) -> WindowResult {
    let kinds = ByKind::new(samples);
    if kinds.is_mixed() {
        return WindowResult::only(WindowNote::MixedFloatsHistograms);
    }
    let points = &kinds.histograms;
    let i = points.partition_point(|(ts, _)| *ts < t_ms);
    let mut result = WindowResult::nothing();
    match (i.checked_sub(1).map(|i| points[i]), points.get(i)) {
        (_, Some((ts, h))) if *ts == t_ms => result.histogram(Histogram::clone(h)),
        (Some(before), Some(after)) => {
            if is_custom(before.1.schema) != is_custom(after.1.schema) {
                result.note(WindowNote::MixedExponentialCustom);
                return result;
            }
            let counter = [before.1, after.1].iter().any(|h| h.reset_hint != ResetHint::Gauge);
            if let Some(h) = interpolate(before, *after, t_ms, counter, &mut result) {
                result.histogram(h);
            }
        }
        (Some((_, before)), None) => {
            result.histogram(Histogram { reset_hint: ResetHint::Unknown, ..before.clone() });
        }
        (None, _) => {}
    }
    result
}

/// The value at `t` on the line through two samples; after a reset a counter starts from zero.
fn interpolate(
    a: Point<'_>,
    b: Point<'_>,
    t: i64,
    counter: bool,
    result: &mut WindowResult,
) -> Option<Histogram> {
    if t == a.0 {
        return Some(a.1.clone());
    }
    let mut h = b.1.clone();
    if t == b.0 {
        return Some(h);
    }
    let part = (t - a.0) as f64 / (b.0 - a.0) as f64;
    if counter && detect_reset(b.1, a.1) {
        mul(&mut h, part);
        return Some(h);
    }
    if !result.reconciled(&sub(&mut h, a.1), HistogramOp::Sub) {
        return None;
    }
    mul(&mut h, part);
    result.reconciled(&add(&mut h, a.1), HistogramOp::Add).then_some(h)
}

/// The difference between the values at the edges, resets within added back for a counter.
fn rate(f: RangeFn, points: &[Point<'_>], edges: Edges) -> WindowResult {
    let mut result = WindowResult::nothing();
    let Edges { start_ms: start, end_ms: end, smoothed } = edges;
    let Some(mut last) = points.len().checked_sub(1) else { return result };
    // Among all but the last sample, as upstream searches.
    let first = points[..last].partition_point(|(ts, _)| *ts <= start).saturating_sub(1);
    if smoothed {
        last = points[..last].partition_point(|(ts, _)| *ts < end).max(first);
    }
    if points[last].0 <= start || (smoothed && points[first].0 > end) {
        return result;
    }
    let counter = f != RangeFn::Delta;
    for (_, h) in &points[first..=last] {
        if is_custom(h.schema) != is_custom(points[first].1.schema) {
            result.note(WindowNote::MixedExponentialCustom);
            return result;
        }
        if counter && h.reset_hint == ResetHint::Gauge {
            result.note(WindowNote::NotCounter);
        }
    }
    let before_start = smoothed && points[first].0 < start;
    let left = if before_start {
        interpolate(points[first], points[first + 1], start, counter, &mut result)
    } else {
        Some(points[first].1.clone())
    };
    let right = if smoothed && last > 0 && points[last].0 > end {
        interpolate(points[last - 1], points[last], end, counter, &mut result)
    } else {
        Some(points[last].1.clone())
    };
    let (Some(left), Some(right)) = (left, right) else { return result };
    if !counter && [&left, &right].iter().any(|h| h.reset_hint != ResetHint::Gauge) {
        result.note(WindowNote::NotGauge);
    }
    let mut total = right.clone();
    if !result.reconciled(&sub(&mut total, &left), HistogramOp::Sub) {
        return result;
    }
    if counter {
        // The sample behind a reset that the left edge was interpolated across is accounted for by that.
        let across = before_start && detect_reset(points[first + 1].1, points[first].1);
        let between = points.get(first + 1 + usize::from(across)..last);
        let start = if across { points[first + 1].1 } else { &left };
        let Some(lost) = lost_by_resets(start, between, &right, &mut result) else { return result };
        if lost.is_some_and(|lost| !result.reconciled(&add(&mut total, &lost), HistogramOp::Add)) {
            return result;
        }
    }
    if f == RangeFn::Rate {
        div(&mut total, (end - edges.start_ms) as f64 / 1000.0);
    }
    total.reset_hint = ResetHint::Gauge;
    compact(&mut total, 0);
    result.histogram(total);
    result
}

/// What a counter had before each reset, added up: `Some(None)` without resets, `None` where it cannot be added.
///
/// `between` are the samples between both edges, `None` where the edges are interpolated from the same two samples.
fn lost_by_resets(
    left: &Histogram,
    between: Option<&[Point<'_>]>,
    right: &Histogram,
    result: &mut WindowResult,
) -> Option<Option<Histogram>> {
    let Some(between) = between else { return Some(None) };
    let mut lost: Option<Histogram> = None;
    let mut previous = left;
    for h in between.iter().map(|(_, h)| *h).chain([right]) {
        if detect_reset(h, previous) {
            match &mut lost {
                None => lost = Some(previous.clone()),
                Some(lost) => {
                    if !result.reconciled(&add(lost, previous), HistogramOp::Add) {
                        return None;
                    }
                }
            }
        }
        previous = h;
    }
    Some(lost)
}
