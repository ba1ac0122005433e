//! Whether a histogram is consistent, in upstream's words.

use model::{Histogram, Span};

use super::HistogramError;
use super::bounds::{MAX_SCHEMA, MIN_SCHEMA, is_custom};
use model::float::format_g;

/// Checks that spans and buckets fit together, no count is negative, custom bounds ascend and are finite, and nothing is
/// there that does not belong to the schema. Not checked: that buckets add up to the count, which rounding spoils.
///
/// # Errors
/// Says what is wrong.
pub fn validate(h: &Histogram) -> Result<(), HistogramError> {
    check(h).map_err(HistogramError::Invalid)
}

fn check(h: &Histogram) -> Result<(), String> {
    let side = |name: &str, result: Result<(), String>| result.map_err(|e| format!("{name} side: {e}"));
    let fail = |text: &str| Err(text.to_owned());
    if is_custom(h.schema) {
        check_bounds(h).map_err(|e| format!("custom buckets: {e}"))?;
        if h.zero_count != 0.0 {
            return fail("custom buckets: must have zero count of 0");
        }
        if h.zero_threshold != 0.0 {
            return fail("custom buckets: must have zero threshold of 0");
        }
        if !h.negative_spans.is_empty() {
            return fail("custom buckets: must not have negative spans");
        }
        if !h.negative_buckets.is_empty() {
            return fail("custom buckets: must not have negative buckets");
        }
    } else if (MIN_SCHEMA..=MAX_SCHEMA).contains(&h.schema) {
        side("positive", check_spans(&h.positive_spans, h.positive_buckets.len(), 1))?;
        side("negative", check_spans(&h.negative_spans, h.negative_buckets.len(), 1))?;
        side("negative", check_counts(&h.negative_buckets))?;
        if h.zero_count < 0.0 {
            let count = format_g(h.zero_count);
            return Err(format!(
                "zero bucket has observation count of {count}: histogram has a bucket whose observation count is negative"
            ));
        }
        if !h.custom_values.is_empty() {
            return fail("histogram with exponential schema must not have custom bounds");
        }
    } else {
        return Err(format!(
            "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets, got schema {}",
            h.schema
        ));
    }
    if h.count < 0.0 {
        let count = format_g(h.count);
        return Err(format!("observation count is  {count}: histogram's observation count is negative"));
    }
    side("positive", check_counts(&h.positive_buckets))
}

/// Spans from the one at `first` (from 0) on must not go back, and all together need as many buckets as there are.
fn check_spans(spans: &[Span], buckets: usize, first: usize) -> Result<(), String> {
    if let Some((i, span)) = spans.iter().enumerate().skip(first).find(|(_, s)| s.offset < 0) {
        return Err(format!(
            "span number {} with offset {}: histogram has a span whose offset is negative",
            i + 1,
            span.offset
        ));
    }
    let needed: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    if needed != buckets as u64 {
        return Err(format!(
            "spans need {needed} buckets, have {buckets} buckets: histogram spans specify different number of buckets than provided"
        ));
    }
    Ok(())
}

fn check_counts(buckets: &[f64]) -> Result<(), String> {
    match buckets.iter().enumerate().find(|(_, c)| **c < 0.0) {
        Some((i, count)) => Err(format!(
            "bucket number {} has observation count of {}: histogram has a bucket whose observation count is negative",
            i + 1,
            format_g(*count)
        )),
        None => Ok(()),
    }
}

fn check_bounds(h: &Histogram) -> Result<(), String> {
    let bounds = &h.custom_values;
    if bounds.iter().any(|b| b.is_nan()) {
        return Err("histogram custom bounds must not be NaN".to_owned());
    }
    if let Some(pair) = bounds.windows(2).find(|pair| pair[1] <= pair[0]) {
        let [previous, current] = [pair[0], pair[1]].map(|v| format!("{v:.6}"));
        return Err(format!(
            "previous bound is {previous} and current is {current}: histogram custom bounds must be in strictly increasing order"
        ));
    }
    if bounds.last() == Some(&f64::INFINITY) {
        return Err("last +Inf bound must not be explicitly defined: histogram custom bounds must be finite"
            .to_owned());
    }
    check_spans(&h.positive_spans, h.positive_buckets.len(), 0)?;
    let covered: u64 =
        h.positive_spans.iter().map(|s| u64::from(s.length) + u64::from(s.offset.unsigned_abs())).sum();
    if (bounds.len() as u64) + 1 < covered {
        return Err(format!(
            "only {} custom bounds defined which is insufficient to cover total span length of {covered}: histogram custom bounds are too few",
            bounds.len()
        ));
    }
    Ok(())
}
