//! Results of queries.

use std::sync::Arc;
use std::time::Duration;

use model::{Histogram, LabelSet};

use crate::samples::Samples;

/// What a query evaluates to.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// The evaluation time in milliseconds.
        ts: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// The evaluation time in milliseconds.
        ts: i64,
        /// The text.
        value: String,
    },
    /// One sample per series, in the order of evaluation; only sorting functions, `topk` and `bottomk` give it a meaning.
    Vector(Vec<VectorSample>),
    /// Samples per series, sorted by labels.
    Matrix(Vec<Series>),
}

impl Value {
    /// The name the API uses: `scalar`, `string`, `vector`, `matrix`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar { .. } => "scalar",
            Self::String { .. } => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
}

/// A series' sample in an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub labels: LabelSet,
    /// The evaluation time in milliseconds.
    pub ts: i64,
    /// The value; 0 where the sample is a histogram.
    pub value: f64,
    /// The sample, where it is a native histogram.
    pub histogram: Option<Arc<Histogram>>,
}

/// A series with samples, floats or histograms, at least one. Both lists are ascending in time, and share no time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The series.
    pub labels: LabelSet,
    /// The floats.
    pub samples: Samples,
    /// Times in milliseconds and native histograms.
    pub histograms: Vec<(i64, Arc<Histogram>)>,
}

/// Remarks on a query that has a result, in upstream's words, each once, positions included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Texts that begin with `PromQL warning: `.
    pub warnings: Vec<String>,
    /// Texts that begin with `PromQL info: `.
    pub infos: Vec<String>,
}

/// What a query cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples read from the store. Where [`crate::QueryOptions::stats`] was asked for: by upstream's definition, samples that
    /// an earlier step saw left out.
    pub samples_read: u64,
    /// Samples that the steps saw, each as often as a step saw it, as upstream counts them. Only where
    /// [`crate::QueryOptions::stats`] was asked for; else as `samples_read`.
    pub total_samples: u64,
    /// Both by step, where [`crate::StatsLevel::PerStep`] was asked for.
    pub per_step: Option<StepStats>,
    /// The most samples held at once.
    pub peak_samples: u64,
    /// The most bytes held at once, as far as they are accounted.
    pub peak_bytes: u64,
    /// Waiting for a turn.
    pub queue: Duration,
    /// Parsing and planning.
    pub prepare: Duration,
    /// Evaluating, reading included.
    pub eval: Duration,
    /// Sorting and shaping the result.
    pub sort: Duration,
}

/// What each step of a query saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepStats {
    /// The first step's time in milliseconds.
    pub start_ms: i64,
    /// From one step to the next, in milliseconds.
    pub step_ms: i64,
    /// See [`QueryStats::total_samples`].
    pub total_samples: Vec<u64>,
    /// See [`QueryStats::samples_read`].
    pub samples_read: Vec<u64>,
}

/// A query's result.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// Remarks.
    pub annotations: Annotations,
    /// What it cost.
    pub stats: QueryStats,
}
