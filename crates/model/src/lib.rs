//! The words every part shares: label sets, matchers, staleness, timestamps, durations, number formats.
//!
//! This crate knows nothing of files, networks or clocks. Timestamps are `i64` milliseconds since the Unix
//! epoch, always in variables ending `_ms` or named `ts`, `mint`, `maxt`; bounds are inclusive. They are an alias
//! and not a newtype because columns of them (`&[i64]`) are what kernels and codecs work on.

pub mod duration;
pub mod float;
mod histogram;
mod labels;
mod matcher;
mod metadata;

pub use histogram::{CUSTOM_BUCKETS_SCHEMA, Histogram, ResetHint, Span};
pub use labels::{
    LabelSet, LabelSetBuilder, METRIC_NAME, is_valid_label_name, is_valid_metric_name, with_packed,
};
pub use matcher::{MatchOp, Matcher, MatcherError, anchored};
pub use metadata::{Exemplar, Metadata, MetricType};

/// Milliseconds since the Unix epoch.
pub type TimestampMs = i64;

/// Bits of the NaN that marks a series as stale (upstream `model/value/value.go`).
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Bits of the NaN that stands for every other NaN read from text.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The staleness marker as a value. Compare it with [`is_stale`], never with `==`.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// The canonical NaN as a value.
pub const NORMAL_NAN: f64 = f64::from_bits(NORMAL_NAN_BITS);

/// Whether `v` is the staleness marker, bit for bit.
#[inline]
#[must_use]
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// One float sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When, in milliseconds since the Unix epoch.
    pub ts: TimestampMs,
    /// The value; may be the staleness marker.
    pub value: f64,
}
