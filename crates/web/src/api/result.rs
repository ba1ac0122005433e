//! The result of a query as JSON, written piece by piece (upstream `web/api/v1/json_codec.go`).

use std::time::Duration;

use model::{Histogram, LabelSet, TimestampMs};
use promql::{Cursor, QueryStats, Series, StepStats, Value};
use serde::Serialize;

use crate::json;
use crate::stream::{PIECE_BYTES, Pieces};

/// `{"resultType":…,"result":…,"stats":…}`
pub(super) struct ResultJson {
    rest: Rest,
    /// What follows the list: statistics and the closing brace.
    tail: Vec<u8>,
    begun: bool,
}

enum Rest {
    Vector(std::vec::IntoIter<promql::VectorSample>),
    Matrix(std::vec::IntoIter<Series>, Option<OpenSeries>),
    /// A scalar or a string, which is written at once.
    Single(Value),
    Done,
}

/// A series whose points are being written.
struct OpenSeries {
    series: Series,
    floats: Cursor,
    /// Whether the list of floats is begun and not ended.
    open: bool,
    histograms: usize,
}

impl ResultJson {
    /// `stats` as [`stats_json`] has them.
    pub(super) fn new(value: Value, stats: Option<Vec<u8>>) -> Self {
        let mut tail = Vec::new();
        if let Some(stats) = stats {
            tail.extend_from_slice(b",\"stats\":");
            tail.extend_from_slice(&stats);
        }
        tail.push(b'}');
        let rest = match value {
            Value::Vector(samples) => Rest::Vector(samples.into_iter()),
            Value::Matrix(series) => Rest::Matrix(series.into_iter(), None),
            single => Rest::Single(single),
        };
        Self { rest, tail, begun: false }
    }
}

impl Pieces for ResultJson {
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.begun {
            self.begun = true;
            let (kind, open) = match &self.rest {
                Rest::Vector(_) => ("vector", "["),
                Rest::Matrix(..) => ("matrix", "["),
                Rest::Single(value) => (value.type_name(), ""),
                Rest::Done => return false,
            };
            out.extend_from_slice(format!("{{\"resultType\":\"{kind}\",\"result\":{open}").as_bytes());
            if self.rest.write(out, First::Yes) {
                return true;
            }
        } else if self.rest.write(out, First::No) {
            return true;
        }
        if matches!(self.rest, Rest::Vector(_) | Rest::Matrix(..)) {
            out.push(b']');
        }
        self.rest = Rest::Done;
        out.append(&mut self.tail);
        false
    }
}

/// Whether an element is the list's first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Yes,
    No,
}

impl Rest {
    /// Writes one element or some of its points; false when there was none.
    fn write(&mut self, out: &mut Vec<u8>, first: First) -> bool {
        match self {
            Self::Vector(samples) => {
                let Some(sample) = samples.next() else { return false };
                open_element(out, first, &sample.labels);
                match &sample.histogram {
                    None => {
                        out.extend_from_slice(b",\"value\":");
                        json::write_point(out, sample.ts, sample.value);
                    }
                    Some(histogram) => {
                        out.extend_from_slice(b",\"histogram\":");
                        write_histogram_point(out, sample.ts, histogram);
                    }
                }
                out.push(b'}');
                true
            }
            Self::Matrix(series, open) => {
                let mut current = match open.take() {
                    Some(current) => current,
                    None => {
                        let Some(series) = series.next() else { return false };
                        open_element(out, first, &series.labels);
                        OpenSeries { series, floats: Cursor::default(), open: false, histograms: 0 }
                    }
                };
                if current.write(out) {
                    *open = Some(current);
                }
                true
            }
            Self::Single(value) => {
                write_single(out, value);
                false
            }
            Self::Done => false,
        }
    }
}

fn open_element(out: &mut Vec<u8>, first: First, labels: &LabelSet) {
    if first == First::No {
        out.push(b',');
    }
    out.extend_from_slice(b"{\"metric\":");
    json::write_labels(out, labels);
}

impl OpenSeries {
    /// Writes points until there is a piece; whether there are more.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        while let Some((ts, value)) = self.series.samples.next_at(&mut self.floats) {
            out.extend_from_slice(if self.open { b"," } else { b",\"values\":[" });
            self.open = true;
            json::write_point(out, ts, value);
            if out.len() >= PIECE_BYTES {
                return true;
            }
        }
        if std::mem::take(&mut self.open) {
            out.push(b']');
        }
        let histograms = &self.series.histograms;
        for (ts, histogram) in &histograms[self.histograms..] {
            let before: &[u8] = if self.histograms == 0 { b",\"histograms\":[" } else { b"," };
            out.extend_from_slice(before);
            write_histogram_point(out, *ts, histogram);
            self.histograms += 1;
            if self.histograms == histograms.len() {
                out.push(b']');
            } else if out.len() >= PIECE_BYTES {
                return true;
            }
        }
        out.push(b'}');
        false
    }
}

/// `[t,{"count":"…","sum":"…","buckets":[[rule,"lower","upper","count"],…]}]`, empty buckets left out. The rule: 0 for
/// `(lower,upper]`, 1 for `[lower,upper)`, 2 for both open, 3 for both closed.
fn write_histogram_point(out: &mut Vec<u8>, ts: TimestampMs, h: &Histogram) {
    let text = |out: &mut Vec<u8>, value| {
        out.push(b'"');
        json::write_value(out, value);
        out.push(b'"');
    };
    out.push(b'[');
    json::write_timestamp(out, ts);
    out.extend_from_slice(b",{\"count\":");
    text(out, h.count);
    out.extend_from_slice(b",\"sum\":");
    text(out, h.sum);
    let mut any = false;
    for bucket in promql::histogram::all_buckets(h).filter(|b| b.count != 0.0) {
        let before: &[u8] = if any { b",[" } else { b",\"buckets\":[[" };
        out.extend_from_slice(before);
        any = true;
        out.push(match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => b'0',
            (true, false) => b'1',
            (false, false) => b'2',
            (true, true) => b'3',
        });
        for value in [bucket.lower, bucket.upper, bucket.count] {
            out.push(b',');
            text(out, value);
        }
        out.push(b']');
    }
    out.extend_from_slice(if any { b"]}]" } else { b"}]" });
}

fn write_single(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Scalar { ts, value } => json::write_point(out, *ts, *value),
        Value::String { ts, value } => {
            out.push(b'[');
            json::write_timestamp(out, *ts);
            out.push(b',');
            json::write(out, value);
            out.push(b']');
        }
        Value::Vector(_) | Value::Matrix(_) => out.extend_from_slice(b"[]"),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats<'a> {
    timings: Timings,
    samples: Samples<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Timings {
    eval_total_time: f64,
    result_sort_time: f64,
    query_preparation_time: f64,
    inner_eval_time: f64,
    exec_queue_time: f64,
    exec_total_time: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Samples<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    total_queryable_samples_per_step: Option<PerStep<'a>>,
    total_queryable_samples: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples_read_per_step: Option<PerStep<'a>>,
    samples_read: u64,
    peak_samples: u64,
}

/// `[[t,n],…]`, times in seconds.
struct PerStep<'a> {
    steps: &'a StepStats,
    counts: &'a [u64],
}

impl Serialize for PerStep<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = self.counts.iter().enumerate().map(|(i, count)| {
            let ms = self.steps.start_ms.saturating_add(self.steps.step_ms.saturating_mul(i as TimestampMs));
            let seconds = serde_json::Number::from_f64(ms as f64 / 1000.0);
            let whole = ms % 1000 == 0;
            (if whole { Some((ms / 1000).into()) } else { seconds }, count)
        });
        serializer.collect_seq(pairs)
    }
}

/// The statistics of a query as the JSON object that upstream's `util/stats` writes.
#[must_use]
pub fn stats_json(s: &QueryStats) -> Vec<u8> {
    let seconds = |d: Duration| d.as_secs_f64();
    let per_step = |counts: fn(&StepStats) -> &Vec<u64>| {
        let steps = s.per_step.as_ref().filter(|steps| !counts(steps).is_empty())?;
        Some(PerStep { steps, counts: counts(steps) })
    };
    let stats = Stats {
        timings: Timings {
            eval_total_time: seconds(s.prepare + s.eval + s.sort),
            result_sort_time: seconds(s.sort),
            query_preparation_time: seconds(s.prepare),
            inner_eval_time: seconds(s.eval),
            exec_queue_time: seconds(s.queue),
            exec_total_time: seconds(s.queue + s.prepare + s.eval + s.sort),
        },
        samples: Samples {
            total_queryable_samples_per_step: per_step(|s| &s.total_samples),
            total_queryable_samples: s.total_samples,
            samples_read_per_step: per_step(|s| &s.samples_read),
            samples_read: s.samples_read,
            peak_samples: s.peak_samples,
        },
    };
    let mut out = Vec::new();
    json::write(&mut out, &stats);
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn written(value: Value, stats: Option<Vec<u8>>) -> (String, usize) {
        let (mut json, mut out, mut largest) = (ResultJson::new(value, stats), Vec::new(), 0);
        loop {
            let mut piece = Vec::new();
            let more = json.write(&mut piece);
            largest = largest.max(piece.len());
            out.append(&mut piece);
            if !more {
                return (String::from_utf8(out).unwrap(), largest);
            }
        }
    }

    #[test]
    fn each_kind_of_value() {
        let labels = LabelSet::from_pairs([("job", "a<b")]);
        let sample =
            |value| promql::VectorSample { labels: labels.clone(), ts: 1500, value, histogram: None };
        for (value, expect) in [
            (Value::Scalar { ts: 1000, value: 2.5 }, r#"{"resultType":"scalar","result":[1,"2.5"]}"#),
            (
                Value::String { ts: 1000, value: "a\"".to_owned() },
                r#"{"resultType":"string","result":[1,"a\""]}"#,
            ),
            (Value::Vector(vec![]), r#"{"resultType":"vector","result":[]}"#),
            (
                Value::Vector(vec![sample(1.0), sample(f64::NAN)]),
                r#"{"resultType":"vector","result":[{"metric":{"job":"a\u003cb"},"value":[1.500,"1"]},{"metric":{"job":"a\u003cb"},"value":[1.500,"NaN"]}]}"#,
            ),
            (Value::Matrix(vec![]), r#"{"resultType":"matrix","result":[]}"#),
        ] {
            assert_eq!(written(value, None).0, expect);
        }
    }

    #[test]
    fn a_long_series_comes_in_pieces() {
        let samples: Vec<(i64, f64)> = (0..10_000).map(|i| (i * 1000, i as f64 + 0.5)).collect();
        let series = |samples: Vec<_>| Series {
            labels: LabelSet::empty(),
            samples: samples.into(),
            histograms: vec![],
        };
        let value = Value::Matrix(vec![series(samples), series(vec![(0, 1.0)])]);
        let (text, largest) = written(value, Some(b"{}".to_vec()));
        assert!(largest < 2 * PIECE_BYTES, "{largest}");
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        let values = parsed["result"][0]["values"].as_array().unwrap();
        assert_eq!((values.len(), &values[9_999]), (10_000, &serde_json::json!([9_999, "9999.5"])));
        assert_eq!(parsed["result"][1], serde_json::json!({"metric": {}, "values": [[0, "1"]]}));
        assert_eq!(parsed["stats"], serde_json::json!({}));
    }

    #[test]
    fn histograms_have_their_buckets() {
        let histogram = Histogram {
            zero_threshold: 0.25,
            zero_count: 3.0,
            count: 42.0,
            sum: 34_593.34,
            positive_spans: vec![model::Span { offset: -1, length: 4 }],
            positive_buckets: vec![12.0, 21.0, 0.0, 6.0],
            ..Histogram::default()
        };
        let object = r#"{"count":"42","sum":"34593.34","buckets":[[3,"-0.25","0.25","3"],[0,"0.25","0.5","12"],[0,"0.5","1","21"],[0,"2","4","6"]]}"#;
        let empty = Arc::new(Histogram::default());
        let histogram = Arc::new(histogram);
        let labels = LabelSet::empty();
        let sample = promql::VectorSample {
            labels: labels.clone(),
            ts: 1000,
            value: 0.0,
            histogram: Some(Arc::clone(&histogram)),
        };
        assert_eq!(
            written(Value::Vector(vec![sample]), None).0,
            format!(r#"{{"resultType":"vector","result":[{{"metric":{{}},"histogram":[1,{object}]}}]}}"#)
        );
        let series = Series {
            labels,
            samples: vec![(0, 1.0)].into(),
            histograms: vec![(1000, histogram), (2000, empty)],
        };
        assert_eq!(
            written(Value::Matrix(vec![series]), None).0,
            format!(
                r#"{{"resultType":"matrix","result":[{{"metric":{{}},"values":[[0,"1"]],"histograms":[[1,{object}],[2,{{"count":"0","sum":"0"}}]]}}]}}"#
            )
        );
    }

    #[test]
    fn figures_by_step_have_times() {
        let steps =
            StepStats { start_ms: 1500, step_ms: 500, total_samples: vec![3, 4], samples_read: vec![] };
        let stats = QueryStats { total_samples: 7, per_step: Some(steps), ..QueryStats::default() };
        let json: serde_json::Value = serde_json::from_slice(&stats_json(&stats)).unwrap();
        let samples = serde_json::json!({
            "totalQueryableSamplesPerStep": [[1.5, 3], [2, 4]], "totalQueryableSamples": 7, "samplesRead": 0, "peakSamples": 0
        });
        assert_eq!(json["samples"], samples);
    }
}
