//! Arithmetic of native histograms: what PromQL does with them, equal to upstream's `model/histogram/float_histogram.go`,
//! `promql/quantile.go` and the histogram branches of `promql/functions.go`.
//!
//! The value is [`model::Histogram`], of exponential schemas -4 to 8 or with custom buckets; in queries all counts are
//! floats ([`to_float`]). Spans and counts from outside need not fit together: what has both counts, nothing panics. Results
//! differ from upstream's in one way that nothing shows: spans that touch are always one.

mod bounds;
mod buckets;
mod estimate;
mod extended;
mod ops;
mod reset;
mod runs;
mod starts;
mod sums;
mod terms;
#[cfg(test)]
mod tests;
mod text;
mod trim;
mod validate;
mod window;

use std::sync::Arc;

use model::Histogram;

pub use buckets::{Bucket, all_buckets};
pub(crate) use estimate::{NanObservations, avg, fraction, quantile, stddev, stdvar};
pub(crate) use extended::{Edges, extended_window, smoothed_instant};
pub use ops::to_float;
pub(crate) use ops::{add, compact, copy_to_schema, div, equals, mul, neg, sub};
pub use reset::detect_reset;
pub(crate) use starts::window_with_starts;
pub(crate) use sums::{HistogramAvg, HistogramSum};
pub(crate) use terms::Reconciled;
pub use text::{TestExpression, Text};
pub(crate) use trim::{trim_lower, trim_upper};
pub use validate::validate;
pub(crate) use window::{HistogramOp, WindowNote, WindowResult, window};

/// A value of a series at a time.
#[derive(Debug, Clone)]
pub enum Sample {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl Sample {
    /// Whether this is the staleness marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Float(v) => model::is_stale(*v),
            Self::Histogram(h) => h.is_stale(),
        }
    }
}

/// Why an operation on histograms has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// One has exponential buckets, the other custom ones.
    #[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
    IncompatibleSchema,
    /// Spans, counts, bounds or schema are inconsistent, or do not allow the operation; the text says how.
    #[error("{0}")]
    Invalid(String),
}
