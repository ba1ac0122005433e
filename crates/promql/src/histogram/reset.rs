//! Counter resets between two histograms of a series.

use model::{Histogram, ResetHint};

use super::bounds::{bound, exponential, is_custom};
use super::buckets::Indexed;
use super::terms::{as_schema, common_bounds, zero_count_within};

/// Whether a counter was reset between `previous` and `current`: its hint says so, a count went down, a populated bucket
/// went missing, or the layout changed as it only does with a reset (finer schema, narrower zero bucket, a zero bucket
/// that now cuts a populated one). The sum has no say.
#[must_use]
pub fn detect_reset(current: &Histogram, previous: &Histogram) -> bool {
    match current.reset_hint {
        ResetHint::Reset => return true,
        ResetHint::NoReset => return false,
        ResetHint::Unknown | ResetHint::Gauge => {}
    }
    if current.count < previous.count {
        return true;
    }
    if is_custom(current.schema) {
        if !is_custom(previous.schema) {
            return true;
        }
        if current.custom_values != previous.custom_values {
            return went_down_between_common_bounds(current, previous);
        }
    }
    if current.schema > previous.schema || current.zero_threshold < previous.zero_threshold {
        return true;
    }
    let sides = [
        Indexed::new(&previous.positive_spans, &previous.positive_buckets),
        Indexed::new(&previous.negative_spans, &previous.negative_buckets),
    ];
    let (zero_count, threshold) = zero_count_within(
        previous.zero_count,
        current.zero_threshold,
        previous.zero_threshold,
        &sides,
        previous.schema,
    );
    if threshold != current.zero_threshold || current.zero_count < zero_count {
        return true;
    }
    let [positive, negative] = sides;
    let now = Indexed::new(&current.positive_spans, &current.positive_buckets);
    went_down(now, positive, current, previous)
        || went_down(
            Indexed::new(&current.negative_spans, &current.negative_buckets),
            negative,
            current,
            previous,
        )
}

/// Whether a bucket outside the current zero bucket has fewer observations than before.
fn went_down(
    now: Indexed<'_, f64>,
    before: Indexed<'_, f64>,
    current: &Histogram,
    previous: &Histogram,
) -> bool {
    let (schema, threshold) = (current.schema, current.zero_threshold);
    let within_zero =
        |&(i, _): &(i32, f64)| !is_custom(schema) && threshold != 0.0 && exponential(i, schema) <= threshold;
    let mut now = now.skip_while(within_zero).peekable();
    as_schema(before, previous.schema, schema).skip_while(within_zero).any(|(index, count)| {
        while now.next_if(|&(i, _)| i < index).is_some() {}
        match now.peek() {
            Some(&(i, now)) if i == index => now < count,
            _ => count != 0.0,
        }
    })
}

/// Custom buckets with other bounds: whether fewer lie between two of the bounds both have.
fn went_down_between_common_bounds(current: &Histogram, previous: &Histogram) -> bool {
    let mut common = common_bounds(&current.custom_values, &previous.custom_values);
    common.push(f64::INFINITY);
    let mut sides = [current, previous].map(|h| {
        let buckets = Indexed::new(&h.positive_spans, &h.positive_buckets);
        buckets.map(|(i, count)| (bound(i, h.schema, &h.custom_values), count)).peekable()
    });
    common.into_iter().any(|upper| {
        let [now, before] = sides.each_mut().map(|side| {
            let mut sum = 0.0;
            while let Some((_, count)) = side.next_if(|&(bucket_upper, _)| bucket_upper <= upper) {
                sum += count;
            }
            sum
        });
        now < before
    })
}
