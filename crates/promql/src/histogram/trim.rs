//! The operators `</` and `>/`: a histogram without what lies above, or below, a value.

use model::Histogram;

use super::bounds::is_custom;
use super::buckets::{Bucket, negative, positive, zero_bucket};
use super::compact;
use super::estimate::part_below;

/// Which side is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Above,
    Below,
}

/// Drops the observations above `limit`. Count and sum are estimated anew where anything was dropped.
pub(crate) fn trim_upper(h: &mut Histogram, limit: f64) {
    trim(h, limit, Cut::Above);
}

/// Drops the observations below `limit`, as [`trim_upper`].
pub(crate) fn trim_lower(h: &mut Histogram, limit: f64) {
    trim(h, limit, Cut::Below);
}

fn trim(h: &mut Histogram, limit: f64, cut: Cut) {
    let custom = is_custom(h.schema);
    let (mut count, mut sum, mut trimmed) = (0.0, 0.0, false);
    let mut side = |buckets: Vec<Bucket>, counts: &mut [f64], sign: f64| {
        let mut populated = false;
        for (b, bucket_count) in buckets.iter().zip(counts).filter(|(b, _)| b.count != 0.0) {
            populated = true;
            let (kept, middle) = keep(b, limit, cut, sign, custom);
            count += kept;
            sum += middle * kept;
            if *bucket_count != kept {
                *bucket_count = kept;
                trimmed = true;
            }
        }
        populated
    };
    let buckets = positive(h).collect();
    let has_positive = side(buckets, &mut h.positive_buckets, 1.0);
    let buckets = negative(h).collect();
    let has_negative = side(buckets, &mut h.negative_buckets, -1.0);
    if h.zero_count > 0.0 {
        let mut zero = zero_bucket(h);
        match (has_negative, has_positive) {
            (true, false) => zero.upper = 0.0,
            (false, true) => zero.lower = 0.0,
            _ => {}
        }
        let (kept, middle) = keep_of_zero(&zero, limit, cut);
        trimmed |= h.zero_count != kept;
        h.zero_count = kept;
        sum += middle * kept;
        count += kept;
    }
    if trimmed {
        h.count = count;
        h.sum = sum;
        compact(h, 0);
    }
}

/// How many observations of a bucket stay, and the value they are taken to have.
fn keep(b: &Bucket, limit: f64, cut: Cut, sign: f64, custom: bool) -> (f64, f64) {
    let (whole, part) = match cut {
        Cut::Above => (b.upper <= limit, b.lower < limit),
        Cut::Below => (b.lower >= limit, b.upper > limit),
    };
    if whole {
        return (b.count, middle(b.lower, b.upper, sign, custom));
    }
    if !part {
        return (0.0, 0.0);
    }
    if b.lower == f64::NEG_INFINITY || b.upper == f64::INFINITY {
        return keep_of_endless(b, limit, cut);
    }
    let below = b.count * part_below(b, limit, custom);
    match cut {
        Cut::Above => (below, middle(b.lower, limit, sign, custom)),
        Cut::Below => (b.count - below, middle(limit, b.upper, sign, custom)),
    }
}

/// As [`keep`] for a bucket without a beginning or an end, which cannot be divided but where it may be taken to begin at 0.
fn keep_of_endless(b: &Bucket, limit: f64, cut: Cut) -> (f64, f64) {
    let finite_or_zero = |v: f64| if v.is_infinite() { 0.0 } else { v };
    let from_zero = b.upper > 0.0 && b.upper != f64::INFINITY;
    if b.lower != f64::NEG_INFINITY {
        return match cut {
            Cut::Below if limit >= b.lower => (b.count, limit),
            _ => (0.0, finite_or_zero(b.lower)),
        };
    }
    match cut {
        Cut::Above if limit >= b.upper => (b.count, 0.0),
        Cut::Above if limit > 0.0 && from_zero => (b.count * limit / b.upper, limit / 2.0),
        Cut::Above if b.upper <= 0.0 => (b.count, limit),
        Cut::Below if limit <= b.lower => (b.count, 0.0),
        Cut::Below if limit >= 0.0 && b.upper > limit && b.upper != f64::INFINITY => {
            (b.count * (1.0 - limit / b.upper), (limit + b.upper) / 2.0)
        }
        _ => (0.0, finite_or_zero(b.upper)),
    }
}

/// As [`keep`] for the zero bucket, spread evenly.
fn keep_of_zero(zero: &Bucket, limit: f64, cut: Cut) -> (f64, f64) {
    let Bucket { lower, upper, count, .. } = *zero;
    let all = (count, (lower + upper) / 2.0);
    let (below, above) = (limit <= lower, limit >= upper);
    match cut {
        Cut::Above if below => (0.0, 0.0),
        Cut::Above if above => all,
        Cut::Above => (count * ((limit - lower) / (upper - lower)), (lower + limit) / 2.0),
        Cut::Below if below => all,
        Cut::Below if above => (0.0, 0.0),
        Cut::Below => (count * ((upper - limit) / (upper - lower)), (limit + upper) / 2.0),
    }
}

/// The value observations between two bounds are taken to have: the geometric mean for exponential buckets.
fn middle(lower: f64, upper: f64, sign: f64, custom: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if custom => (lower + upper) / 2.0,
        (false, false) => (lower * upper).abs().sqrt() * sign,
    }
}
