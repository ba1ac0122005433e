//! Operators: plus, minus, times, over, and changes of resolution.

use model::{Histogram, ResetHint, Span};

use super::HistogramError;
use super::bounds::{MAX_SCHEMA, MIN_SCHEMA, is_custom};
use super::terms::{Reconciled, Terms};

/// The histogram as queries see it: counts are floats, a resolution finer than schema 8 is reduced to it.
#[must_use]
pub fn to_float(mut h: Histogram) -> Histogram {
    if h.schema > MAX_SCHEMA {
        change(&mut h, |terms| terms.reduce(MAX_SCHEMA));
    }
    h.integer = false;
    h
}

/// Drops empty buckets, but for gaps of at most `max_empty` of them between two others, which become explicit.
pub(crate) fn compact(h: &mut Histogram, max_empty: usize) {
    change(h, |terms| terms.compact(max_empty));
}

/// Whether both have the same buckets and counts: counts by their bits, thresholds and bounds by value, no look at hints.
pub(crate) fn equals(a: &Histogram, b: &Histogram) -> bool {
    let bits =
        |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    a.schema == b.schema
        && bits(&[a.count, a.sum, a.zero_count], &[b.count, b.sum, b.zero_count])
        && a.zero_threshold == b.zero_threshold
        && (!is_custom(a.schema) || a.custom_values == b.custom_values)
        && runs(&a.negative_spans).eq(runs(&b.negative_spans))
        && runs(&a.positive_spans).eq(runs(&b.positive_spans))
        && bits(&a.negative_buckets, &b.negative_buckets)
        && bits(&a.positive_buckets, &b.positive_buckets)
}

/// Gap before and length of each span that has buckets.
fn runs(spans: &[Span]) -> impl Iterator<Item = (i64, u32)> + '_ {
    let mut gap = 0;
    spans.iter().filter_map(move |span| {
        gap += i64::from(span.offset);
        (span.length > 0).then(|| (std::mem::take(&mut gap), span.length))
    })
}

/// Goes over to the coarser schema `schema`.
///
/// # Errors
/// For custom buckets and where `schema` is not coarser, or none.
pub(super) fn reduce_resolution(h: &mut Histogram, schema: i32) -> Result<(), HistogramError> {
    let invalid = |text: String| Err(HistogramError::Invalid(text));
    if is_custom(h.schema) {
        return invalid("cannot reduce resolution when there are custom buckets".to_owned());
    }
    if is_custom(schema) {
        return invalid("cannot reduce resolution to custom buckets schema".to_owned());
    }
    if schema >= h.schema || schema < MIN_SCHEMA {
        return invalid(format!("cannot reduce resolution from schema {} to {schema}", h.schema));
    }
    change(h, |terms| terms.reduce(schema));
    Ok(())
}

/// A copy in the schema `schema` where that is coarser; else, and for custom buckets, as it is.
pub(crate) fn copy_to_schema(h: &Histogram, schema: i32) -> Histogram {
    let mut copy = h.clone();
    if !is_custom(schema) {
        // What cannot be reduced stays as it is.
        let _ = reduce_resolution(&mut copy, schema);
    }
    copy
}

/// Adds `b` to `a`, in the coarser schema of both, with a zero bucket wide enough for both, or the custom bounds both have. Not compacted.
///
/// # Errors
/// Where one has custom buckets and the other has not; `a` is untouched then.
pub(crate) fn add(a: &mut Histogram, b: &Histogram) -> Result<Reconciled, HistogramError> {
    change(a, |terms| terms.add_histogram(b, 1.0))
}

/// Subtracts `b` from `a`, like [`add`]. The hint is combined as in an addition; the operator `-` makes the result a gauge.
///
/// # Errors
/// As [`add`].
pub(crate) fn sub(a: &mut Histogram, b: &Histogram) -> Result<Reconciled, HistogramError> {
    change(a, |terms| terms.add_histogram(b, -1.0))
}

/// Multiplies all counts and the sum; a negative factor makes it a gauge.
pub(crate) fn mul(h: &mut Histogram, factor: f64) {
    change(h, |terms| terms.each(|v| v * factor));
    if factor < 0.0 {
        h.reset_hint = ResetHint::Gauge;
    }
}

/// Divides all counts and the sum; a negative divisor makes it a gauge, zero leaves no buckets.
pub(crate) fn div(h: &mut Histogram, divisor: f64) {
    change(h, |terms| terms.each(|v| v / divisor));
    if divisor == 0.0 {
        h.positive_spans.clear();
        h.negative_spans.clear();
        h.positive_buckets.clear();
        h.negative_buckets.clear();
    } else if divisor < 0.0 {
        h.reset_hint = ResetHint::Gauge;
    }
}

/// Unary minus.
pub(crate) fn neg(h: &mut Histogram) {
    mul(h, -1.0);
}

fn change<T>(h: &mut Histogram, f: impl FnOnce(&mut Terms<f64>) -> T) -> T {
    let mut terms = Terms::take(h);
    let result = f(&mut terms);
    terms.put(h);
    result
}
