//! `rate`, `increase`, `delta` and their instant forms.

use crate::{Grid, Windows, eval::fill};

/// Which of the three extrapolating functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Rate,
    Increase,
    Delta,
}

/// A range in seconds as Go's `Duration.Seconds` computes it.
pub(crate) fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + ((ms % 1000) * 1_000_000) as f64 / 1e9
}

/// Extrapolates from the samples of one window, of which there are at least two. `change` is the difference of last and
/// first, resets added back.
#[inline(always)]
fn extrapolate(ts: &[i64], first: f64, change: f64, end: i64, range_ms: i64, flavour: Flavour) -> f64 {
    let (first_t, last_t) = (ts[0], ts[ts.len() - 1]);
    let mut to_start = (first_t - (end - range_ms)) as f64 / 1000.0;
    let mut to_end = (end - last_t) as f64 / 1000.0;
    let sampled = (last_t - first_t) as f64 / 1000.0;
    let spacing = sampled / (ts.len() - 1) as f64;
    let threshold = spacing * 1.1;
    if to_start >= threshold {
        to_start = spacing / 2.0;
    }
    if flavour != Flavour::Delta && change > 0.0 && first >= 0.0 {
        // A counter is not extrapolated below zero.
        let to_zero = sampled * (first / change);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    if to_end >= threshold {
        to_end = spacing / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if flavour == Flavour::Rate {
        factor /= seconds(range_ms);
    }
    change * factor
}

/// One window of an extrapolating function.
pub(crate) fn window(ts: &[i64], values: &[f64], end: i64, range_ms: i64, flavour: Flavour) -> Option<f64> {
    if ts.len() < 2 {
        return None;
    }
    let mut change = values[values.len() - 1] - values[0];
    if flavour != Flavour::Delta {
        for pair in values.windows(2) {
            if pair[1] < pair[0] {
                change += pair[0];
            }
        }
    }
    Some(extrapolate(ts, values[0], change, end, range_ms, flavour))
}

/// All windows of an extrapolating function. Resets are found once per column; a window then costs as much as it has resets.
pub(crate) fn column(
    ts: &[i64],
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    range_ms: i64,
    flavour: Flavour,
    (out, present): (&mut [f64], &mut [u64]),
) {
    let resets = if flavour == Flavour::Delta { Vec::new() } else { drops(values) };
    let mut next = 0;
    fill(windows, grid, out, present, |end, w| {
        if w.len() < 2 {
            return None;
        }
        let first = values[w.start];
        let mut change = values[w.end - 1] - first;
        if !resets.is_empty() {
            // Windows only move forward.
            while resets.get(next).is_some_and(|&i| i <= w.start) {
                next += 1;
            }
            for &i in resets[next..].iter().take_while(|&&i| i < w.end) {
                change += values[i - 1];
            }
        }
        Some(extrapolate(&ts[w], first, change, end, range_ms, flavour))
    });
}

/// The indices of samples below their predecessor, ascending.
fn drops(values: &[f64]) -> Vec<usize> {
    const STRIDE: usize = 128;
    let mut found = Vec::new();
    // Most columns have none: whole strides are tested without a branch per sample.
    for from in (1..values.len()).step_by(STRIDE) {
        let to = (from + STRIDE).min(values.len());
        let (before, after) = (&values[from - 1..to - 1], &values[from..to]);
        if before.iter().zip(after).fold(false, |any, (a, b)| any | (b < a)) {
            found.extend((from..to).filter(|&i| values[i] < values[i - 1]));
        }
    }
    found
}

/// The samples where a column changes (NaN equals NaN) or falls, for counting them per window.
pub(crate) fn events(values: &[f64], only_drops: bool) -> Vec<usize> {
    if only_drops {
        return drops(values);
    }
    (1..values.len()).filter(|&i| changed(values[i - 1], values[i])).collect()
}

fn changed(a: f64, b: f64) -> bool {
    a != b && !(a.is_nan() && b.is_nan())
}

/// `changes` or `resets` of one window.
pub(crate) fn count_events(values: &[f64], only_drops: bool) -> f64 {
    let hit = |p: &&[f64]| if only_drops { p[1] < p[0] } else { changed(p[0], p[1]) };
    values.windows(2).filter(hit).count() as f64
}

/// `irate` or `idelta` of one window, from its last two samples.
#[inline]
pub(crate) fn instant(ts: &[i64], values: &[f64], per_second: bool) -> Option<f64> {
    let (&[t0, t1], &[v0, v1]) = (ts.last_chunk::<2>()?, values.last_chunk::<2>()?);
    let interval = t1 - t0;
    if interval == 0 {
        return None;
    }
    let change = if per_second && v1 < v0 { v1 } else { v1 - v0 };
    Some(if per_second { change / (interval as f64 / 1000.0) } else { change })
}
