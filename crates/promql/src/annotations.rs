//! Warnings and infos while a query runs, one per text as upstream keeps them.

use model::float::{format_g, format_g_precision, go_quote};

use crate::dates::rfc3339;
use crate::histogram::{HistogramOp, WindowNote};
use crate::parser::Span;
use crate::value::Annotations;

/// Collects remarks; a text that comes again replaces the earlier one's position.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    notes: Vec<Note>,
    /// Overlapping start timestamps: the metric, where it was asked for, and how often they were met.
    overlaps: Vec<(String, Span, usize)>,
}

#[derive(Debug)]
struct Note {
    warning: bool,
    text: String,
    span: Span,
    monotonicity: Option<Monotonicity>,
}

/// Where classic buckets had to be fixed, summed up over all samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Monotonicity {
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    pub(crate) max_diff: f64,
    pub(crate) min_ts: i64,
    pub(crate) max_ts: i64,
    pub(crate) samples: usize,
}

impl Monotonicity {
    fn merge(&mut self, other: &Self) {
        self.min_bucket = self.min_bucket.min(other.min_bucket);
        self.max_bucket = self.max_bucket.max(other.max_bucket);
        self.max_diff = self.max_diff.max(other.max_diff);
        self.min_ts = self.min_ts.min(other.min_ts);
        self.max_ts = self.max_ts.max(other.max_ts);
        self.samples += other.samples;
    }
}

impl Notes {
    fn add(&mut self, warning: bool, text: String, span: Span) {
        match self.notes.iter_mut().find(|n| n.text == text && n.warning == warning) {
            Some(note) => note.span = span,
            None => self.notes.push(Note { warning, text, span, monotonicity: None }),
        }
    }

    pub(crate) fn invalid_quantile(&mut self, q: f64, span: Span) {
        let text = format!("quantile value should be between 0 and 1, got {}", format_g(q));
        self.add(true, text, span);
    }

    pub(crate) fn invalid_ratio(&mut self, r: f64, to: f64, span: Span) {
        let (r, to) = (format_g(r), format_g(to));
        self.add(true, format!("ratio value should be between -1 and 1, got {r}, capping to {to}"), span);
    }

    pub(crate) fn bad_bucket_label(&mut self, metric: &str, label: &str, span: Span) {
        let label = go_quote(label);
        let text = format!(r#"bucket label "le" is missing or has a malformed value of {label}"#);
        self.add(true, text + &for_metric(metric), span);
    }

    pub(crate) fn sort_in_range(&mut self, span: Span) {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        self.add(true, text.to_owned(), span);
    }

    pub(crate) fn possible_non_counter(&mut self, metric: &str, span: Span) {
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ";
        self.add(false, text.to_owned() + &go_quote(metric), span);
    }

    pub(crate) fn possible_non_counter_label(&mut self, metric: &str, found: &str, span: Span) {
        let (metric, found) = (go_quote(metric), go_quote(found));
        let text = format!(
            r#"metric might not be a counter, __type__ label is not set to "counter" or "histogram", got {found}: {metric}"#
        );
        self.add(false, text, span);
    }

    pub(crate) fn incompatible_types(&mut self, lhs: &str, op: &str, rhs: &str, span: Span) {
        let quoted = go_quote(op);
        let text =
            format!("incompatible sample types encountered for binary operator {quoted}: {lhs} {op} {rhs}");
        self.add(false, text, span);
    }

    pub(crate) fn incompatible_layout(&mut self, op: &str, span: Span) {
        self.add(true, format!("incompatible bucket layout encountered for binary operator {op}"), span);
    }

    pub(crate) fn reset_collision(&mut self, op: HistogramOp, span: Span) {
        self.add(true, format!("conflicting counter resets during histogram {}", word(op)), span);
    }

    pub(crate) fn mismatched_custom_buckets(&mut self, op: HistogramOp, span: Span) {
        self.add(false, format!("mismatched custom buckets were reconciled during {}", word(op)), span);
    }

    pub(crate) fn mixed_in_aggregation(&mut self, span: Span) {
        self.add(true, "encountered a mix of histograms and floats for aggregation".to_owned(), span);
    }

    pub(crate) fn ignored_in_aggregation(&mut self, aggregation: &str, span: Span) {
        self.add(false, format!("ignored histogram in {aggregation} aggregation"), span);
    }

    pub(crate) fn mixed_exponential_custom(&mut self, metric: &str, span: Span) {
        let text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name ";
        self.add(true, text.to_owned() + &go_quote(metric), span);
    }

    pub(crate) fn mixed_classic_native(&mut self, metric: &str, span: Span) {
        let text = "vector contains a mix of classic and native histograms";
        self.add(true, text.to_owned() + &for_metric(metric), span);
    }

    pub(crate) fn quantile_of_nan(&mut self, metric: &str, effect: &str, span: Span) {
        let text = format!("input to histogram_quantile has NaN observations, result is {effect}");
        self.add(false, text + &for_metric(metric), span);
    }

    pub(crate) fn fraction_of_nan(&mut self, metric: &str, span: Span) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        self.add(false, text.to_owned() + &for_metric(metric), span);
    }

    /// What a function remarks on a window of the series of this metric.
    pub(crate) fn window(&mut self, note: WindowNote, metric: &str, span: Span) {
        let quoted = go_quote(metric);
        let (warning, text) = match note {
            WindowNote::MixedFloatsHistograms => {
                (true, "encountered a mix of histograms and floats for metric name ")
            }
            WindowNote::NotCounter => (true, "this native histogram metric is not a counter: "),
            WindowNote::NotGauge => (true, "this native histogram metric is not a gauge: "),
            WindowNote::HistogramIgnored => (
                false,
                "ignored histograms in a range containing both floats and histograms for metric name ",
            ),
            WindowNote::MixedExponentialCustom => return self.mixed_exponential_custom(metric, span),
            WindowNote::MismatchedCustomBuckets(op) => return self.mismatched_custom_buckets(op, span),
            WindowNote::CounterResetCollision(op) => return self.reset_collision(op, span),
            WindowNote::StartTimeOverlap => return self.start_time_overlap(metric, span),
        };
        self.add(warning, text.to_owned() + &quoted, span);
    }

    fn start_time_overlap(&mut self, metric: &str, span: Span) {
        match self.overlaps.iter_mut().find(|o| o.0 == metric) {
            Some((_, at, count)) => (*at, *count) = (span, *count + 1),
            None => self.overlaps.push((metric.to_owned(), span, 1)),
        }
    }

    pub(crate) fn forced_monotonicity(&mut self, metric: &str, fixed: Monotonicity, span: Span) {
        let text = format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
            for_metric(metric)
        );
        match self.notes.iter_mut().find(|n| n.text == text) {
            Some(Note { monotonicity: Some(sum), .. }) => sum.merge(&fixed),
            _ => self.notes.push(Note { warning: false, text, span, monotonicity: Some(fixed) }),
        }
    }

    /// The texts with prefixes and positions.
    pub(crate) fn finish(self, query: &str) -> Annotations {
        let mut out = Annotations::default();
        for (metric, span, count) in self.overlaps {
            let times = if count > 1 { format!(" ({count} occurrences)") } else { String::new() };
            out.warnings.push(format!(
                "PromQL warning: sample has start time that overlaps with previous sample timestamp for metric {}{times} ({})",
                go_quote(&metric),
                position(query, span)
            ));
        }
        for note in self.notes {
            let (kind, list) = if note.warning {
                ("PromQL warning", &mut out.warnings)
            } else {
                ("PromQL info", &mut out.infos)
            };
            let detail = note.monotonicity.map_or_else(String::new, |m| {
                format!(
                    ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                    format_g(m.min_bucket),
                    format_g(m.max_bucket),
                    format_g_precision(m.max_diff, 2),
                    m.samples,
                    rfc3339(m.min_ts.div_euclid(1000)),
                    rfc3339(m.max_ts.div_euclid(1000)),
                )
            });
            list.push(format!("{kind}: {}{detail} ({})", note.text, position(query, note.span)));
        }
        out
    }
}

fn word(op: HistogramOp) -> &'static str {
    match op {
        HistogramOp::Add => "addition",
        HistogramOp::Sub => "subtraction",
        HistogramOp::Agg => "aggregation",
    }
}

fn for_metric(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" for metric name {}", go_quote(name)) }
}

/// `line:column` of a span's start, both from 1.
fn position(query: &str, span: Span) -> String {
    let Some(before) = query.as_bytes().get(..span.start) else { return "invalid position".to_owned() };
    if query.is_empty() {
        return "unknown position".to_owned();
    }
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = before.len() - before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1) + 1;
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_upstreams() {
        let mut notes = Notes::default();
        notes.invalid_quantile(1.5, Span::new(9, 12));
        notes.invalid_quantile(1.5, Span::new(9, 12));
        notes.bad_bucket_label("m", "x", Span::new(0, 1));
        let fixed = |min_bucket, ts| Monotonicity {
            min_bucket,
            max_bucket: 5.0,
            max_diff: 0.126,
            min_ts: ts,
            max_ts: ts,
            samples: 1,
        };
        notes.forced_monotonicity("", fixed(2.0, 1_000), Span::new(0, 1));
        notes.forced_monotonicity("", fixed(1.0, 61_000), Span::new(0, 1));
        let out = notes.finish("quantile(\n1.5, x)");
        assert_eq!(
            out.warnings,
            [
                "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)",
                r#"PromQL warning: bucket label "le" is missing or has a malformed value of "x" for metric name "m" (1:1)"#,
            ]
        );
        let info = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), from buckets 1 to 5, with a max diff of 0.13, over 2 samples from 1970-01-01T00:00:01Z to 1970-01-01T00:01:01Z (1:1)";
        assert_eq!(out.infos, [info]);
    }
}
