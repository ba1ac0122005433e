//! Metric metadata and exemplars.

use std::fmt;

use crate::{LabelSet, TimestampMs};

/// The type a metric family declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricType {
    /// Only goes up, or starts again at zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets.
    Histogram,
    /// Buckets that may go down.
    GaugeHistogram,
    /// Quantiles computed by the client.
    Summary,
    /// Always 1; what counts are the labels.
    Info,
    /// One series per state, 0 or 1.
    StateSet,
    /// Not declared, or declared `untyped`.
    #[default]
    Unknown,
}

impl MetricType {
    /// The word used in the API and in OpenMetrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a target says of a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    /// The family's type.
    pub kind: MetricType,
    /// The unit, empty if none is given.
    pub unit: String,
    /// The help text, empty if none is given.
    pub help: String,
}

/// An example of what a sample counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// Its own labels, such as `trace_id`.
    pub labels: LabelSet,
    /// The observed value.
    pub value: f64,
    /// When it was observed, if the target said so.
    pub ts: Option<TimestampMs>,
}
