//! Estimates from buckets: quantiles, fractions, deviation.

use kernels::kahan_inc;
use model::Histogram;

use super::bounds::is_custom;
use super::buckets::{Bucket, all_buckets};

/// What observations that are NaN did to an estimate; they are counted, but in no bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NanObservations {
    /// Nothing, as there are none.
    #[default]
    None,
    /// The quantile is among them, so the result is NaN.
    Result,
    /// The quantile is skewed by them; the fraction leaves them out.
    Skew,
}

/// The value below which the part `q` of all observations lies: -Inf below 0, +Inf above 1, NaN without observations.
///
/// Within a bucket values are taken to be spread evenly, on a logarithmic scale for exponential buckets.
pub(crate) fn quantile(q: f64, h: &Histogram) -> (f64, NanObservations) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, NanObservations::None);
    }
    if q > 1.0 {
        return (f64::INFINITY, NanObservations::None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (f64::NAN, NanObservations::None);
    }
    let nan_sum = h.sum.is_nan();
    // From the nearer end, which loses the least; observations that are NaN are beyond the upper one.
    let upwards = nan_sum || q < 0.5;
    let mut rank = if upwards { q * h.count } else { (1.0 - q) * h.count };
    let mut rest = all_buckets(h);
    let mut bucket =
        Bucket { lower: 0.0, upper: 0.0, lower_inclusive: false, upper_inclusive: false, count: 0.0 };
    let mut count = 0.0;
    while let Some(next) = if upwards { rest.next() } else { rest.next_back() } {
        bucket = next;
        count += next.count;
        if next.count != 0.0 && count >= rank {
            break;
        }
    }
    if is_custom(h.schema) {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, NanObservations::None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, NanObservations::None);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        one_sided(&mut bucket, h);
    }
    count = if count > h.count { h.count } else { count };
    if count < rank {
        return if nan_sum {
            (f64::NAN, NanObservations::Result)
        } else {
            (bucket.upper, NanObservations::None)
        };
    }
    rank = if upwards { rank - (count - bucket.count) } else { count - rank };
    let mut nans = NanObservations::None;
    if nan_sum {
        // -Inf and +Inf together make the sum NaN as well; then nothing is missing in the buckets.
        count += rest.map(|b| b.count).sum::<f64>();
        if count < h.count {
            nans = NanObservations::Skew;
        }
    }
    let part = rank / bucket.count;
    let Bucket { lower, upper, .. } = bucket;
    if is_custom(h.schema) || (lower <= 0.0 && upper >= 0.0) {
        return (lower + (upper - lower) * part, nans);
    }
    let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
    let value = if lower > 0.0 {
        (log_lower + (log_upper - log_lower) * part).exp2()
    } else {
        -(log_upper + (log_lower - log_upper) * (1.0 - part)).exp2()
    };
    (value, nans)
}

/// The part of all observations between two values; NaN without observations.
pub(crate) fn fraction(lower: f64, upper: f64, h: &Histogram) -> (f64, NanObservations) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, NanObservations::None);
    }
    if lower >= upper {
        return (0.0, NanObservations::None);
    }
    let (mut count, mut rank) = (0.0, 0.0);
    let (mut lower_rank, mut upper_rank) = (None, None);
    let mut rest = all_buckets(h);
    for mut b in rest.by_ref() {
        count += b.count;
        let holds_zero = b.lower <= 0.0 && b.upper >= 0.0;
        if holds_zero {
            one_sided(&mut b, h);
        }
        let linear = is_custom(h.schema) || holds_zero;
        let rank_of = |v: f64, found: &mut Option<f64>| {
            if found.is_none() && b.lower >= v {
                *found = Some(rank);
            } else if found.is_none() && b.upper > v {
                // There is nothing to interpolate within a bucket without a beginning: all of it is below.
                let endless = linear && b.lower == f64::NEG_INFINITY;
                *found = Some(if endless { b.count } else { rank + b.count * part_below(&b, v, linear) });
            }
        };
        rank_of(lower, &mut lower_rank);
        rank_of(upper, &mut upper_rank);
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += b.count;
    }
    let mut nans = NanObservations::None;
    if h.sum.is_nan() {
        count += rest.map(|b| b.count).sum::<f64>();
        if count < h.count {
            nans = NanObservations::Skew;
        }
    } else {
        count = h.count;
    }
    let capped = |rank: Option<f64>| rank.map_or(count, |r| if r > count { count } else { r });
    ((capped(upper_rank) - capped(lower_rank)) / h.count, nans)
}

/// The part of a bucket's width, of both finite bounds, that lies below `v`, which lies within.
pub(super) fn part_below(b: &Bucket, v: f64, linear: bool) -> f64 {
    if linear {
        return (v - b.lower) / (b.upper - b.lower);
    }
    let [lower, upper, at] = [b.lower, b.upper, v].map(|x| x.abs().log2());
    if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
}

/// A zero bucket of a histogram that has buckets on one side only is on that side as well.
fn one_sided(zero: &mut Bucket, h: &Histogram) {
    match (h.negative_buckets.is_empty(), h.positive_buckets.is_empty()) {
        (true, false) => zero.lower = 0.0,
        (false, true) => zero.upper = 0.0,
        _ => {}
    }
}

/// The mean of all observations.
pub(crate) fn avg(h: &Histogram) -> f64 {
    h.sum / h.count
}

/// The estimated standard deviation, as if all observations of a bucket were at its middle.
pub(crate) fn stddev(h: &Histogram) -> f64 {
    stdvar(h).sqrt()
}

/// The estimated variance; see [`stddev`].
pub(crate) fn stdvar(h: &Histogram) -> f64 {
    let mean = avg(h);
    let (mut sum, mut lost) = (0.0, 0.0);
    for b in all_buckets(h).filter(|b| b.count != 0.0) {
        let middle = if is_custom(h.schema) {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            (b.upper * b.lower).sqrt().copysign(b.upper)
        };
        let delta = middle - mean;
        (sum, lost) = kahan_inc(b.count * delta * delta, sum, lost);
    }
    (sum + lost) / h.count
}
