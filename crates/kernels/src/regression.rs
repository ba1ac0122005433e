//! Least squares and exponential smoothing over one window.

use crate::eval::fill;
use crate::kahan::{NAN, kahan_inc};
use crate::{Grid, Windows};

/// The least-squares line through the samples: its slope per second and its value at `intercept_ms`.
///
/// A constant series has slope 0 and its own value, or NaN if that is infinite. `ts` must not be empty.
#[must_use]
pub fn linear_regression(ts: &[i64], values: &[f64], intercept_ms: i64) -> (f64, f64) {
    line(ts, values, intercept_ms, || times(ts, intercept_ms))
}

/// Compensated sums of the samples' distances from the intercept in seconds, and of their squares.
pub(crate) type Times = (f64, f64);

fn times(ts: &[i64], intercept_ms: i64) -> Times {
    let (mut sum_x, mut c_x) = (0.0, 0.0);
    let (mut sum_x2, mut c_x2) = (0.0, 0.0);
    for &t in ts {
        let x = distance(t, intercept_ms);
        (sum_x, c_x) = kahan_inc(x, sum_x, c_x);
        (sum_x2, c_x2) = kahan_inc(x * x, sum_x2, c_x2);
    }
    (sum_x + c_x, sum_x2 + c_x2)
}

#[inline(always)]
fn distance(t: i64, intercept_ms: i64) -> f64 {
    t.wrapping_sub(intercept_ms) as f64 / 1e3
}

#[inline(always)]
fn line(ts: &[i64], values: &[f64], intercept_ms: i64, times: impl FnOnce() -> Times) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|&v| v == first) || values.len() == 1 {
        return if first.is_infinite() { (NAN, NAN) } else { (0.0, first) };
    }
    let (mut sum_y, mut c_y) = (0.0, 0.0);
    let (mut sum_xy, mut c_xy) = (0.0, 0.0);
    for (&t, &y) in ts.iter().zip(values) {
        (sum_y, c_y) = kahan_inc(y, sum_y, c_y);
        (sum_xy, c_xy) = kahan_inc(distance(t, intercept_ms) * y, sum_xy, c_xy);
    }
    let n = values.len() as f64;
    sum_y += c_y;
    sum_xy += c_xy;
    let (sum_x, sum_x2) = times();
    let cov_xy = sum_xy - sum_x * sum_y / n;
    let var_x = sum_x2 - sum_x * sum_x / n;
    let slope = cov_xy / var_x;
    (slope, sum_y / n - slope * sum_x / n)
}

/// Where a line has its intercept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intercept {
    /// At the window's first sample, for `deriv`.
    First,
    /// At its end, for `predict_linear`.
    End,
}

impl Intercept {
    fn of(self, ts: &[i64], end: i64) -> i64 {
        if self == Self::First { ts[0] } else { end }
    }
}

/// The sums of times of all windows, which series with the same timestamps share.
pub(crate) fn times_of_windows(
    ts: &[i64],
    windows: &Windows,
    grid: &Grid,
    intercept: Intercept,
) -> Vec<Times> {
    let of = |(w, end): (std::ops::Range<usize>, i64)| {
        let ts = &ts[w];
        if ts.len() < 2 { Times::default() } else { times(ts, intercept.of(ts, end)) }
    };
    windows.iter().zip(grid.times()).map(of).collect()
}

/// All windows of a column: `deriv`, or with a time `ahead` in seconds `predict_linear`.
pub(crate) fn column(
    ts: &[i64],
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    ahead: Option<f64>,
    (out, present): (&mut [f64], &mut [u64]),
) {
    let intercept = if ahead.is_some() { Intercept::End } else { Intercept::First };
    let mut times = windows.times(ts, grid, intercept).iter();
    fill(windows, grid, out, present, |end, w| {
        let times = times.next().copied().unwrap_or_default();
        if w.len() < 2 {
            return None;
        }
        let ts = &ts[w.clone()];
        let (slope, value) = line(ts, &values[w], intercept.of(ts, end), || times);
        Some(ahead.map_or(slope, |ahead| slope * ahead + value))
    });
}

/// Holt's double exponential smoothing; `None` below two samples.
pub(crate) fn double_exponential_smoothing(values: &[f64], smoothing: f64, trend: f64) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let (mut s0, mut s1) = (0.0, values[0]);
    let mut b = values[1] - values[0];
    for (i, &v) in values.iter().enumerate().skip(1) {
        let x = smoothing * v;
        if i > 1 {
            b = trend * (s1 - s0) + (1.0 - trend) * b;
        }
        let y = (1.0 - smoothing) * (s1 + b);
        (s0, s1) = (s1, x + y);
    }
    Some(s1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_lines_and_constants() {
        let ts = [0, 10_000, 20_000];
        assert_eq!(linear_regression(&ts, &[1.0, 3.0, 5.0], 0), (0.2, 1.0));
        assert_eq!(linear_regression(&ts, &[7.0; 3], 5), (0.0, 7.0));
        assert!(linear_regression(&ts, &[f64::INFINITY; 3], 0).0.is_nan());
    }
}
