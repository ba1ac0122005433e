//! Quantiles of plain samples, with linear interpolation between ranks.

use std::cmp::Ordering;

use crate::kahan::NAN;

/// NaN sorts before every number, as upstream's heap of samples has it.
#[inline]
fn nan_first(a: &f64, b: &f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        // Distinguishes the two zeros, so that the result does not depend on the order of the input.
        (false, false) => a.total_cmp(b),
    }
}

/// The two samples between which a quantile lies, by their places among the sorted ones, and the share of the upper one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NearRank {
    pub(crate) lower: usize,
    pub(crate) upper: usize,
    pub(crate) weight: f64,
}

/// For `q` of 0 to 1 and at least one sample: `lower <= upper < count`.
#[inline(always)]
pub(crate) fn near_rank(q: f64, count: usize) -> NearRank {
    let n = count as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(n - 1.0);
    NearRank { lower: lower as usize, upper: upper as usize, weight: rank - rank.floor() }
}

/// The `q` quantile of `values`, which are reordered. NaN for no values or a NaN `q`; an infinity for `q` outside of 0 to 1.
#[must_use]
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let NearRank { lower, upper, weight } = near_rank(q, values.len());
    let (_, &mut low, rest) = values.select_nth_unstable_by(lower, nan_first);
    let high =
        if upper == lower { low } else { rest.iter().copied().min_by(nan_first).expect("upper is in range") };
    low * (1.0 - weight) + high * weight
}

/// The median of the absolute deviations from the median; NaN if any value is. `values` are overwritten.
#[must_use]
pub(crate) fn median_absolute_deviation(values: &mut [f64]) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return NAN;
    }
    let median = quantile(0.5, values);
    for v in values.iter_mut() {
        *v = (*v - median).abs();
    }
    quantile(0.5, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_between_ranks() {
        for (q, values, expect) in [
            (0.5, vec![3.0, 1.0, 2.0], 2.0),
            (0.75, vec![0.0, 1.0, 2.0, 3.0], 2.25),
            (0.0, vec![5.0, 4.0], 4.0),
            (1.0, vec![5.0, 4.0], 5.0),
            (-0.1, vec![1.0], f64::NEG_INFINITY),
            (1.1, vec![1.0], f64::INFINITY),
            (1.0, vec![f64::NAN, 1.0, 7.0], 7.0),
        ] {
            assert_eq!(quantile(q, &mut values.clone()), expect, "{q} of {values:?}");
        }
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
        assert!(quantile(f64::NAN, &mut [1.0]).is_nan() && quantile(0.5, &mut []).is_nan());
        assert_eq!(median_absolute_deviation(&mut [4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0]), 1.0);
    }
}
