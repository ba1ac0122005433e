//! Native histograms, as both of upstream's types (`model/histogram/histogram.go`, `float_histogram.go`) in one.

/// A run of buckets: `length` of them, `offset` empty ones after the run before (or, for the first, after index 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Buckets left out before this run; for the first run the index of its first bucket, which may be negative.
    pub offset: i32,
    /// Buckets in this run.
    pub length: u32,
}

/// What is known of a counter reset between a histogram and the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// Nothing: compare with the one before.
    #[default]
    Unknown,
    /// There was a reset.
    Reset,
    /// There was none.
    NoReset,
    /// A gauge, which has no resets.
    Gauge,
}

/// The schema of histograms with custom bucket boundaries.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// A native histogram. Bucket counts are absolute, also where the wire has deltas.
///
/// Whole counts of an integer histogram are held as doubles, which is exact below 2^53.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// Resolution, -4 to 8 (buckets grow by 2^(2^-schema)), or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations. The staleness marker here marks the series as stale.
    pub sum: f64,
    /// Runs of positive (or custom) buckets.
    pub positive_spans: Vec<Span>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<Span>,
    /// Count of each bucket of the positive spans.
    pub positive_buckets: Vec<f64>,
    /// Count of each bucket of the negative spans.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, ascending, without +Inf; empty for other schemas.
    pub custom_values: Vec<f64>,
    /// About the histogram before.
    pub reset_hint: ResetHint,
    /// Counts are whole numbers and travel as such.
    pub integer: bool,
}

impl Histogram {
    /// Whether this is the staleness marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// Whether both have the same buckets: schema, zero threshold, spans and custom values.
    #[must_use]
    pub fn same_layout(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && self.custom_values == other.custom_values
    }
}
