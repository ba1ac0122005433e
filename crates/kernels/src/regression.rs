//! Least squares and exponential smoothing over one window.

use crate::kahan::{NAN, kahan_inc};

/// The least-squares line through the samples: its slope per second and its value at `intercept_ms`.
///
/// A constant series has slope 0 and its own value, or NaN if that is infinite. `ts` must not be empty.
#[must_use]
pub fn linear_regression(ts: &[i64], values: &[f64], intercept_ms: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().all(|&v| v == first) || values.len() == 1 {
        return if first.is_infinite() { (NAN, NAN) } else { (0.0, first) };
    }
    let mut n = 0.0;
    let (mut sum_x, mut c_x) = (0.0, 0.0);
    let (mut sum_y, mut c_y) = (0.0, 0.0);
    let (mut sum_xy, mut c_xy) = (0.0, 0.0);
    let (mut sum_x2, mut c_x2) = (0.0, 0.0);
    for (&t, &y) in ts.iter().zip(values) {
        n += 1.0;
        let x = t.wrapping_sub(intercept_ms) as f64 / 1e3;
        (sum_x, c_x) = kahan_inc(x, sum_x, c_x);
        (sum_y, c_y) = kahan_inc(y, sum_y, c_y);
        (sum_xy, c_xy) = kahan_inc(x * y, sum_xy, c_xy);
        (sum_x2, c_x2) = kahan_inc(x * x, sum_x2, c_x2);
    }
    sum_x += c_x;
    sum_y += c_y;
    sum_xy += c_xy;
    sum_x2 += c_x2;
    let cov_xy = sum_xy - sum_x * sum_y / n;
    let var_x = sum_x2 - sum_x * sum_x / n;
    let slope = cov_xy / var_x;
    (slope, sum_y / n - slope * sum_x / n)
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
