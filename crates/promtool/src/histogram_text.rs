//! A native histogram in one line, as upstream's `Histogram.String` and `FloatHistogram.String`.

use std::fmt::Write as _;

use model::float::format_g;
use model::{CUSTOM_BUCKETS_SCHEMA, Histogram, Span};

use crate::bounds::upper_bound;

/// `{count:3, sum:2.5, [-1,-0.5):1, [-0.001,0.001]:1, (1,2]:1}`: empty buckets are left out, negative ones come first, from below.
pub(crate) fn text(h: &Histogram) -> String {
    let count = |v: f64| if h.integer { format!("{v:.0}") } else { format_g(v) };
    let mut out = format!("{{count:{}, sum:{}", count(h.count), format_g(h.sum));
    let mut bucket = |open: char, low: f64, high: f64, close: char, n: f64| {
        let _ = write!(out, ", {open}{},{}{close}:{}", format_g(low), format_g(high), count(n));
    };
    let is_custom = h.schema == CUSTOM_BUCKETS_SCHEMA;
    let bound = |index: i32| upper_bound(index, h.schema, &h.custom_values);
    let mut negative: Vec<_> =
        indexed(&h.negative_spans, &h.negative_buckets).filter(|(_, n)| *n != 0.0).collect();
    negative.reverse();
    for (index, n) in negative {
        let (low, high) = (-bound(index), -bound(index.saturating_sub(1)));
        bucket(if low < 0.0 { '[' } else { '(' }, low, high, if high > 0.0 { ']' } else { ')' }, n);
    }
    if h.zero_count != 0.0 {
        bucket('[', -h.zero_threshold, h.zero_threshold, ']', h.zero_count);
    }
    for (index, n) in indexed(&h.positive_spans, &h.positive_buckets).filter(|(_, n)| *n != 0.0) {
        let (low, high) = (bound(index.saturating_sub(1)), bound(index));
        let opens = if is_custom { index == 0 } else { low < 0.0 };
        bucket(if opens { '[' } else { '(' }, low, high, if is_custom || high > 0.0 { ']' } else { ')' }, n);
    }
    out.push('}');
    out
}

/// Counts with the index of their bucket.
fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut at = 0_i32;
    let indices = spans.iter().flat_map(move |span| {
        let first = at.saturating_add(span.offset);
        at = first.saturating_add(i32::try_from(span.length).unwrap_or(i32::MAX));
        first..at
    });
    indices.zip(counts.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_named_by_their_bounds() {
        let spans = |offset| vec![Span { offset, length: 2 }];
        let h = Histogram {
            count: 6.0,
            sum: 2.5,
            zero_count: 1.0,
            zero_threshold: 0.001,
            positive_spans: spans(0),
            positive_buckets: vec![1.0, 0.0],
            negative_spans: spans(1),
            negative_buckets: vec![2.0, 2.0],
            integer: true,
            ..Histogram::default()
        };
        assert_eq!(text(&h), "{count:6, sum:2.5, [-4,-2):2, [-2,-1):2, [-0.001,0.001]:1, (0.5,1]:1}");
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 1.5,
            positive_spans: spans(0),
            positive_buckets: vec![0.5, 1.0],
            custom_values: vec![5.0],
            ..Histogram::default()
        };
        assert_eq!(text(&custom), "{count:1.5, sum:0, [-Inf,5]:0.5, (5,+Inf]:1}");
    }
}
