//! Range functions and partial aggregates over slices.
//!
//! Every executor of a leaf (the local store, a peer, a cluster) runs these same loops, so that a result has the
//! same bits wherever it was computed. No dependencies, no allocation per sample, no clock.
//!
//! Shapes: a series is two slices of equal length, `ts` (ascending milliseconds) and `values`. A [`Grid`] is the
//! list of evaluation times. A row of results has one `f64` per step and one presence bit per step.

mod eval;
mod grid;
mod kahan;
mod partial;
mod quantile;
mod rate;
mod regression;
mod sliding;
mod sums;

pub use eval::{eval_column, eval_window};
pub use grid::{Grid, GridBlock, Windows, bit, mask_tail};
pub use kahan::kahan_inc;
pub use partial::{Avg, Count, Max, Min, Sum, Variance};
pub use quantile::quantile;
pub use regression::linear_regression;

/// What a leaf computes per series and step.
///
/// `range_ms` of the request is the window's length; the window of step `t` is `(t - range_ms, t]`. Staleness
/// markers in a window are skipped by all functions but [`RangeFn::Last`], for which the newest sample decides: if it is the
/// marker, the step has no value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RangeFn {
    /// The newest sample in the window: an instant selector, with the lookback as window.
    Last,
    /// The timestamp, in seconds, of the sample [`RangeFn::Last`] would take: `timestamp(selector)`.
    LastTimestamp,
    /// `rate`
    Rate,
    /// `increase`
    Increase,
    /// `delta`
    Delta,
    /// `irate`
    Irate,
    /// `idelta`
    Idelta,
    /// `changes`
    Changes,
    /// `resets`
    Resets,
    /// `deriv`
    Deriv,
    /// `predict_linear(m, t)` with `t` in seconds.
    PredictLinear(f64),
    /// `avg_over_time`
    AvgOverTime,
    /// `sum_over_time`
    SumOverTime,
    /// `min_over_time`
    MinOverTime,
    /// `max_over_time`
    MaxOverTime,
    /// `count_over_time`
    CountOverTime,
    /// `last_over_time`
    LastOverTime,
    /// `first_over_time`
    FirstOverTime,
    /// `present_over_time`
    PresentOverTime,
    /// `stddev_over_time`
    StddevOverTime,
    /// `stdvar_over_time`
    StdvarOverTime,
    /// `quantile_over_time(q, m)`
    QuantileOverTime(f64),
    /// `mad_over_time`
    MadOverTime,
    /// `double_exponential_smoothing(m, sf, tf)`
    DoubleExponentialSmoothing {
        /// Smoothing factor, between 0 and 1.
        smoothing: f64,
        /// Trend factor, between 0 and 1.
        trend: f64,
    },
    /// `ts_of_min_over_time`
    TsOfMinOverTime,
    /// `ts_of_max_over_time`
    TsOfMaxOverTime,
    /// `ts_of_first_over_time`
    TsOfFirstOverTime,
    /// `ts_of_last_over_time`
    TsOfLastOverTime,
}
