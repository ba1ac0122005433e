//! Arithmetic of native histograms as PromQL needs it; equal to upstream's `model/histogram`, `promql/quantile.go` and the
//! histogram branches of `promql/functions.go`.
#![expect(clippy::todo, dead_code, unused_variables, missing_docs, reason = "bodies follow")]

use std::fmt;
use std::sync::Arc;

use kernels::RangeFn;
use model::Histogram;

/// A value of a series at a time.
#[derive(Debug, Clone)]
pub enum Sample {
    Float(f64),
    Histogram(Arc<Histogram>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reconciled {
    pub(crate) counter_reset_collision: bool,
    pub(crate) bounds_reconciled: bool,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HistogramError {
    #[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
    IncompatibleSchema,
    /// From [`validate`].
    #[error("{0}")]
    Invalid(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub lower_inclusive: bool,
    pub upper_inclusive: bool,
    pub count: f64,
}

/// All floats; a resolution finer than schema 8 is reduced to it.
pub(crate) fn to_float(h: Histogram) -> Histogram { todo!() }
pub(crate) fn validate(h: &Histogram) -> Result<(), HistogramError> { todo!() }
pub(crate) fn compact(h: &mut Histogram, max_empty: usize) { todo!() }
/// Upstream's `Equals`: counts by their bits, hint ignored.
pub(crate) fn equals(a: &Histogram, b: &Histogram) -> bool { todo!() }
pub(crate) fn reduce_resolution(h: &mut Histogram, schema: i32) -> Result<(), HistogramError> { todo!() }
pub(crate) fn copy_to_schema(h: &Histogram, schema: i32) -> Histogram { todo!() }
/// Negative, zero (where it has a count), positive; empty buckets included.
pub fn all_buckets(h: &Histogram) -> impl DoubleEndedIterator<Item = Bucket> + '_ { std::iter::empty() }

/// `h` is untouched on error.
pub(crate) fn add(a: &mut Histogram, b: &Histogram) -> Result<Reconciled, HistogramError> { todo!() }
/// Does not make the result a gauge: the operator does (see `subtract` in upstream's engine).
pub(crate) fn sub(a: &mut Histogram, b: &Histogram) -> Result<Reconciled, HistogramError> { todo!() }
pub(crate) fn mul(h: &mut Histogram, factor: f64) { todo!() }
pub(crate) fn div(h: &mut Histogram, divisor: f64) { todo!() }
pub(crate) fn neg(h: &mut Histogram) { todo!() }
pub(crate) fn trim_upper(h: &mut Histogram, limit: f64) { todo!() }
pub(crate) fn trim_lower(h: &mut Histogram, limit: f64) { todo!() }

pub(crate) fn detect_reset(current: &Histogram, previous: &Histogram) -> bool { todo!() }

/// What an estimate found about observations that are NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum NanObservations {
    #[default]
    None,
    /// The result is NaN because of them (info "result is NaN", quantile only).
    Result,
    /// The result is skewed by them (quantile) or leaves them out (fraction).
    Skew,
}
pub(crate) fn quantile(q: f64, h: &Histogram) -> (f64, NanObservations) { todo!() }
pub(crate) fn fraction(lower: f64, upper: f64, h: &Histogram) -> (f64, NanObservations) { todo!() }
pub(crate) fn avg(h: &Histogram) -> f64 { todo!() }
pub(crate) fn stddev(h: &Histogram) -> f64 { todo!() }
pub(crate) fn stdvar(h: &Histogram) -> f64 { todo!() }

/// `sum` and `sum_over_time`: compensated. After an error the value is gone: the group has no result.
#[derive(Debug, Clone)]
pub(crate) struct HistogramSum {}
impl HistogramSum {
    pub(crate) fn new(first: &Histogram) -> Self { todo!() }
    /// `counter_reset_collision` of the result is always false: ask [`Self::counter_reset_collision`] at the end.
    pub(crate) fn add(&mut self, h: &Histogram) -> Result<Reconciled, HistogramError> { todo!() }
    /// Both a reset and a "no reset" hint were seen: the warning of the aggregation.
    pub(crate) fn counter_reset_collision(&self) -> bool { todo!() }
    /// The sum; the aggregation operator compacts it (`compact(&mut h, 0)`), `sum_over_time` does not.
    pub(crate) fn value(self) -> Histogram { todo!() }
}
/// `avg` and `avg_over_time`.
#[derive(Debug, Clone)]
pub(crate) struct HistogramAvg {}
impl HistogramAvg {
    pub(crate) fn new(first: &Histogram) -> Self { todo!() }
    pub(crate) fn add(&mut self, h: &Histogram) -> Result<Reconciled, HistogramError> { todo!() }
    pub(crate) fn counter_reset_collision(&self) -> bool { todo!() }
    pub(crate) fn value(self) -> Histogram { todo!() }
}

/// The word upstream puts into its remarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HistogramOp {
    Add,
    Sub,
    Agg,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WindowNote {
    /// Warning `NewMixedFloatsHistogramsWarning`.
    MixedFloatsHistograms,
    /// Warning `NewMixedExponentialCustomHistogramsWarning`.
    MixedExponentialCustom,
    /// Warning `NewNativeHistogramNotCounterWarning`.
    NotCounter,
    /// Warning `NewNativeHistogramNotGaugeWarning`.
    NotGauge,
    /// Info `NewHistogramIgnoredInMixedRangeInfo`.
    HistogramIgnored,
    /// Info `NewMismatchedCustomBucketsHistogramsInfo`.
    MismatchedCustomBuckets(HistogramOp),
    /// Warning `NewHistogramCounterResetCollisionWarning`.
    CounterResetCollision(HistogramOp),
}
#[derive(Debug, Clone, Default)]
pub(crate) struct WindowResult {
    pub(crate) value: Option<Sample>,
    pub(crate) notes: Vec<WindowNote>,
}
/// Samples ascending in time, without staleness markers but for `Last` and `LastTimestamp`.
pub(crate) fn window(f: RangeFn, samples: &[(i64, Sample)], end_ms: i64, range_ms: i64) -> WindowResult { todo!() }

/// The edges of a range with `anchored` or `smoothed`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edges {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) smoothed: bool,
}
/// `rate`, `increase`, `delta`, `changes`, `resets` with a modifier; samples as upstream's matrix for it has them (those
/// looked at past the edges included). Floats only: [`None`], no notes: the caller has its own loops.
pub(crate) fn extended_window(f: RangeFn, samples: &[(i64, Sample)], edges: Edges) -> WindowResult { todo!() }
/// An instant selector with `smoothed` at `t_ms`.
pub(crate) fn smoothed_instant(samples: &[(i64, Sample)], t_ms: i64) -> WindowResult { todo!() }

/// As upstream's `String()`: `{count:2, sum:3, [-0.001,0.001]:2}`. What `promtool` and logs print.
pub struct Text<'a>(pub &'a Histogram);
impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() }
}
/// As upstream's `TestExpression()`: `{{schema:1 count:2 …}}`.
pub struct TestExpression<'a>(pub &'a Histogram);
impl fmt::Display for TestExpression<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { todo!() }
}
