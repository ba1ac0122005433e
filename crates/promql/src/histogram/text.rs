//! Histograms as text: what logs show, and the notation of test scripts.

use std::fmt;

use model::float::format_g;
use model::{Histogram, ResetHint, Span};

use super::bounds::is_custom;
use super::buckets::{Bucket, negative, positive, zero_bucket};
use super::compact;

/// Empty buckets the notation of tests writes out between two others at most.
const MAX_GAP: usize = 1 << 16;

/// As logs and API clients show it: `{count:2, sum:3, [-0.001,0.001]:2}`, populated buckets ascending.
#[derive(Debug)]
pub struct Text<'a>(pub &'a Histogram);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let h = self.0;
        write!(f, "{{count:{}, sum:{}", format_g(h.count), format_g(h.sum))?;
        let zero = (h.zero_count != 0.0 && !is_custom(h.schema)).then(|| zero_bucket(h));
        let buckets = negative(h).rev().chain(zero).chain(positive(h));
        for b in buckets.filter(|b| b.count != 0.0) {
            write!(f, ", {b}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Bucket {
    /// In the notation of intervals: `(0.5,1]:3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) =
            (if self.lower_inclusive { '[' } else { '(' }, if self.upper_inclusive { ']' } else { ')' });
        let [lower, upper, count] = [self.lower, self.upper, self.count].map(format_g);
        write!(f, "{open}{lower},{upper}{close}:{count}")
    }
}

/// As test scripts write it: `{{schema:1 count:2 sum:3 offset:-1 buckets:[2]}}`.
///
/// The notation knows one span a side: gaps are written out as empty buckets, and what lies behind a gap of more than 65536
/// is left out.
#[derive(Debug)]
pub struct TestExpression<'a>(pub &'a Histogram);

impl fmt::Display for TestExpression<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut h = self.0.clone();
        compact(&mut h, MAX_GAP);
        let mut items = Vec::new();
        if h.schema != 0 {
            items.push(format!("schema:{}", h.schema));
        }
        let fields = [
            ("count", h.count),
            ("sum", h.sum),
            ("z_bucket", h.zero_count),
            ("z_bucket_w", h.zero_threshold),
        ];
        items.extend(
            fields.iter().filter(|(_, v)| *v != 0.0).map(|(name, v)| format!("{name}:{}", format_g(*v))),
        );
        if is_custom(h.schema) {
            items.push(format!("custom_values:{}", list(&h.custom_values)));
        }
        items.extend(match h.reset_hint {
            ResetHint::Unknown => None,
            ResetHint::Reset => Some("counter_reset_hint:reset".to_owned()),
            ResetHint::NoReset => Some("counter_reset_hint:not_reset".to_owned()),
            ResetHint::Gauge => Some("counter_reset_hint:gauge".to_owned()),
        });
        let mut side = |prefix: &str, spans: &[Span], buckets: &[f64]| {
            let Some(span) = spans.first() else { return };
            if span.offset != 0 {
                items.push(format!("{prefix}offset:{}", span.offset));
            }
            items.push(format!(
                "{prefix}buckets:{}",
                list(&buckets[..buckets.len().min(span.length as usize)])
            ));
        };
        side("", &h.positive_spans, &h.positive_buckets);
        side("n_", &h.negative_spans, &h.negative_buckets);
        write!(f, "{{{{{}}}}}", items.join(" "))
    }
}

fn list(values: &[f64]) -> String {
    let texts: Vec<_> = values.iter().map(|v| format_g(*v)).collect();
    format!("[{}]", texts.join(" "))
}
