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

/// How far a window's samples are from its ends, in seconds, as far as is extrapolated.
struct Ends {
    sampled: f64,
    to_start: f64,
    to_end: f64,
}

impl Ends {
    /// For at least two samples.
    #[inline(always)]
    fn new(ts: &[i64], end: i64, range_ms: i64) -> Self {
        let (first_t, last_t) = (ts[0], ts[ts.len() - 1]);
        let mut to_start = (first_t - (end - range_ms)) as f64 / 1000.0;
        let mut to_end = (end - last_t) as f64 / 1000.0;
        let sampled = (last_t - first_t) as f64 / 1000.0;
        let spacing = sampled / (ts.len() - 1) as f64;
        let threshold = spacing * 1.1;
        if to_start >= threshold {
            to_start = spacing / 2.0;
        }
        if to_end >= threshold {
            to_end = spacing / 2.0;
        }
        Self { sampled, to_start, to_end }
    }
}

/// Extrapolates from the samples of one window, of which there are at least two. `change` is the difference of last and
/// first, resets added back.
#[inline(always)]
fn extrapolate(ts: &[i64], first: f64, change: f64, end: i64, range_ms: i64, flavour: Flavour) -> f64 {
    let Ends { sampled, mut to_start, to_end } = Ends::new(ts, end, range_ms);
    if flavour != Flavour::Delta && change > 0.0 && first >= 0.0 {
        // A counter is not extrapolated below zero.
        let to_zero = sampled * (first / change);
        if to_zero < to_start {
            to_start = to_zero;
        }
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

/// What extrapolating one window needs of its timestamps: the same for all series that share them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extrapolation {
    /// First and last sample; both 0 where there are not two.
    first: u32,
    last: u32,
    /// By what a change is multiplied, and the same per second.
    factor: f64,
    per_second: f64,
    /// A counter that begins above its change times this is not extrapolated below zero for certain.
    above: f64,
}

/// The extrapolations of all windows, and which of them have two samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extrapolations {
    steps: Vec<Extrapolation>,
    present: Vec<u64>,
}

impl Extrapolations {
    pub(crate) fn new(ts: &[i64], windows: &Windows, grid: &Grid, range_ms: i64) -> Self {
        let mut this =
            Self { steps: Vec::with_capacity(grid.steps), present: vec![0; grid.steps.div_ceil(64)] };
        for (i, (w, end)) in windows.iter().zip(grid.times()).enumerate() {
            if w.len() < 2 {
                this.steps.push(Extrapolation::default());
                continue;
            }
            this.present[i / 64] |= 1 << (i % 64);
            let Ends { sampled, to_start, to_end } = Ends::new(&ts[w.clone()], end, range_ms);
            let factor = (sampled + to_start + to_end) / sampled;
            this.steps.push(Extrapolation {
                first: w.start as u32,
                last: (w.end - 1) as u32,
                factor,
                per_second: factor / seconds(range_ms),
                // The margin is far more than rounding can move.
                above: to_start / sampled * 1.000_001,
            });
        }
        this
    }
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
    if resets.is_empty() && !values.is_empty() {
        return steady_column(ts, values, windows, grid, range_ms, flavour, (out, present));
    }
    let mut next = 0;
    fill(windows, grid, out, present, |end, w| {
        if w.len() < 2 {
            return None;
        }
        let first = values[w.start];
        let mut change = values[w.end - 1] - first;
        // Windows only move forward.
        while resets.get(next).is_some_and(|&i| i <= w.start) {
            next += 1;
        }
        for &i in resets[next..].iter().take_while(|&&i| i < w.end) {
            change += values[i - 1];
        }
        Some(extrapolate(&ts[w], first, change, end, range_ms, flavour))
    });
}

/// Without resets a window is two samples, a difference and a product, but for counters that begin near zero.
fn steady_column(
    ts: &[i64],
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    range_ms: i64,
    flavour: Flavour,
    (out, present): (&mut [f64], &mut [u64]),
) {
    let Extrapolations { steps, present: two } = windows.extrapolations(ts, grid, range_ms);
    present.copy_from_slice(two);
    for (chunk, (out, steps)) in out.chunks_mut(64).zip(steps.chunks(64)).enumerate() {
        let mut exactly = 0_u64;
        for (i, (o, step)) in out.iter_mut().zip(steps).enumerate() {
            let first = values[step.first as usize];
            let change = values[step.last as usize] - first;
            let factor = if flavour == Flavour::Rate { step.per_second } else { step.factor };
            *o = change * factor;
            // Products below this lose bits, and the margin may not hold.
            let clear = first > change * step.above && change > 1e-200;
            let limited = flavour != Flavour::Delta && change > 0.0 && first >= 0.0 && !clear;
            exactly |= u64::from(limited) << i;
        }
        exactly &= two[chunk];
        while exactly != 0 {
            let i = exactly.trailing_zeros() as usize;
            exactly &= exactly - 1;
            let (first, last) = (steps[i].first as usize, steps[i].last as usize);
            let change = values[last] - values[first];
            let end = grid.at(chunk * 64 + i);
            out[i] = extrapolate(&ts[first..=last], values[first], change, end, range_ms, flavour);
        }
    }
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
