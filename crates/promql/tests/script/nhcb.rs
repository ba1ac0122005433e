//! Classic histograms to native ones with custom buckets, as `load_with_nhcb` stores them beside.

use std::collections::BTreeMap;

use model::{CUSTOM_BUCKETS_SCHEMA, Histogram, LabelSet, METRIC_NAME, Span};

/// What the classic series of a histogram say at one time.
#[derive(Debug, Default)]
struct Parts {
    /// Bounds with cumulative counts, ascending.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// A series with its native histograms, by time.
type HistogramSeries = (LabelSet, Vec<(i64, Histogram)>);

/// Collects the samples of classic series.
#[derive(Debug, Default)]
pub(crate) struct Converter {
    histograms: BTreeMap<LabelSet, BTreeMap<i64, Parts>>,
}

impl Converter {
    /// Takes a float sample of any series; of those that are no part of a histogram nothing is kept.
    pub(crate) fn add(&mut self, labels: &LabelSet, t: i64, value: f64) {
        let name = labels.metric_name();
        let Some((base, part)) = ["_bucket", "_count", "_sum"]
            .into_iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, suffix)))
        else {
            return;
        };
        let bound = (part == "_bucket").then(|| model::float::parse_go_float(labels.value("le")));
        if bound.is_some_and(|b| b.is_none_or(f64::is_nan)) {
            return;
        }
        let mut series = labels.without(&["le"]).to_builder();
        series.set(METRIC_NAME, base);
        let parts = self.histograms.entry(series.build()).or_default().entry(t).or_default();
        match (part, bound.flatten()) {
            ("_count", _) => parts.count = Some(value),
            ("_sum", _) => parts.sum = value,
            (_, Some(bound)) => {
                let at = parts.buckets.partition_point(|b| b.0 < bound);
                if parts.buckets.get(at).is_none_or(|b| b.0 != bound) {
                    parts.buckets.insert(at, (bound, value));
                }
            }
            _ => {}
        }
    }

    /// The native histograms.
    pub(crate) fn finish(self) -> Result<Vec<HistogramSeries>, String> {
        let convert = |(t, parts): (i64, Parts)| Ok((t, parts.histogram()?));
        self.histograms
            .into_iter()
            .map(|(labels, times)| {
                Ok((labels, times.into_iter().map(convert).collect::<Result<_, String>>()?))
            })
            .collect()
    }
}

impl Parts {
    fn histogram(mut self) -> Result<Histogram, String> {
        let highest = self.buckets.last().map_or(0.0, |b| b.1);
        let count = self.count.unwrap_or(highest);
        if self.buckets.last().is_none_or(|b| b.0 != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        if self.buckets.windows(2).any(|w| w[0].1 > w[1].1) {
            return Err(format!("count is not cumulative: {self:?}"));
        }
        if self.buckets.last().is_some_and(|b| b.1 != count) {
            return Err(format!("count mismatch: {self:?}"));
        }
        let mut below = 0.0;
        let counts = self.buckets.iter().map(|b| {
            let own = b.1 - below;
            below = b.1;
            own
        });
        let positive_buckets: Vec<f64> = counts.collect();
        let length = u32::try_from(positive_buckets.len()).map_err(|e| e.to_string())?;
        Ok(Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length }],
            positive_buckets,
            custom_values: self.buckets.iter().map(|b| b.0).filter(|b| b.is_finite()).collect(),
            ..Histogram::default()
        })
    }
}
