//! Range functions over windows that hold histograms, or floats and histograms.

use std::sync::Arc;

use kernels::{RangeFn, eval_window};
use model::{Histogram, ResetHint};

use super::bounds::is_custom;
use super::sums::{HistogramAvg, HistogramSum};
use super::terms::Reconciled;
use super::{HistogramError, Sample, add, compact, copy_to_schema, detect_reset, div, equals, mul, sub};

/// The operation a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HistogramOp {
    /// An addition.
    Add,
    /// A subtraction.
    Sub,
    /// An aggregation, over time as well.
    Agg,
}

/// A remark on a window, named as upstream's; the caller knows the metric and the place in the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WindowNote {
    /// Warning: floats and histograms, so there is no result.
    MixedFloatsHistograms,
    /// Warning: exponential and custom buckets, so there is no result.
    MixedExponentialCustom,
    /// Warning: a gauge where counters are expected.
    NotCounter,
    /// Warning: a counter where gauges are expected.
    NotGauge,
    /// Info: histograms were left out.
    HistogramIgnored,
    /// Info: custom bounds differed and were reconciled.
    MismatchedCustomBuckets(HistogramOp),
    /// Warning: hints of a reset and of none met.
    CounterResetCollision(HistogramOp),
    /// Warning: a sample began to count before the one before it was taken, and not when that one did.
    StartTimeOverlap,
}

/// What a function makes of a window.
#[derive(Debug, Clone, Default)]
pub(crate) struct WindowResult {
    /// Its value, where it has one.
    pub(crate) value: Option<Sample>,
    /// Remarks, each once.
    pub(crate) notes: Vec<WindowNote>,
}

impl WindowResult {
    pub(super) fn note(&mut self, note: WindowNote) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// No value, and this remark alone.
    pub(super) fn only(note: WindowNote) -> Self {
        Self { value: None, notes: vec![note] }
    }

    /// No value, and no remarks.
    pub(super) fn nothing() -> Self {
        Self::default()
    }

    pub(super) fn float(value: f64) -> Self {
        Self { value: Some(Sample::Float(value)), notes: Vec::new() }
    }

    pub(super) fn histogram(&mut self, h: Histogram) {
        self.value = Some(Sample::Histogram(Arc::new(h)));
    }

    /// Takes note of reconciled bounds; tells whether the operation succeeded.
    pub(super) fn reconciled(
        &mut self,
        result: &Result<Reconciled, HistogramError>,
        op: HistogramOp,
    ) -> bool {
        match result {
            Ok(done) => {
                if done.bounds_reconciled {
                    self.note(WindowNote::MismatchedCustomBuckets(op));
                }
                true
            }
            Err(_) => {
                self.note(WindowNote::MixedExponentialCustom);
                false
            }
        }
    }
}

/// A window's samples by kind, each ascending in time.
#[derive(Debug, Default)]
pub(super) struct ByKind<'a> {
    pub(super) float_ts: Vec<i64>,
    pub(super) floats: Vec<f64>,
    pub(super) histograms: Vec<(i64, &'a Histogram)>,
}

impl<'a> ByKind<'a> {
    pub(super) fn new(samples: &'a [(i64, Sample)]) -> Self {
        let mut kinds = Self::default();
        for (ts, sample) in samples {
            match sample {
                Sample::Float(v) => {
                    kinds.float_ts.push(*ts);
                    kinds.floats.push(*v);
                }
                Sample::Histogram(h) => kinds.histograms.push((*ts, h)),
            }
        }
        kinds
    }

    pub(super) fn is_mixed(&self) -> bool {
        !self.floats.is_empty() && !self.histograms.is_empty()
    }
}

/// Evaluates `f` on the samples of one window that ends at `end_ms`.
///
/// `samples` ascend in time and lie within `(end_ms - range_ms, end_ms]`, without staleness markers but for `Last` and
/// `LastTimestamp`, where the newest sample decides. Histograms are floats (see [`super::to_float`]). Windows of floats alone have
/// the bits of [`kernels::eval_window`].
pub(crate) fn window(f: RangeFn, samples: &[(i64, Sample)], end_ms: i64, range_ms: i64) -> WindowResult {
    let (Some((first_ts, first)), Some((last_ts, last))) = (samples.first(), samples.last()) else {
        return WindowResult::nothing();
    };
    let of = |sample: &Sample| WindowResult { value: Some(sample.clone()), notes: Vec::new() };
    let seconds = |ts: i64| WindowResult::float(ts as f64 / 1000.0);
    match f {
        RangeFn::Last | RangeFn::LastTimestamp if last.is_stale() => WindowResult::nothing(),
        RangeFn::Last | RangeFn::LastOverTime => of(last),
        RangeFn::FirstOverTime => of(first),
        RangeFn::LastTimestamp | RangeFn::TsOfLastOverTime => seconds(*last_ts),
        RangeFn::TsOfFirstOverTime => seconds(*first_ts),
        RangeFn::CountOverTime => WindowResult::float(samples.len() as f64),
        RangeFn::PresentOverTime => WindowResult::float(1.0),
        RangeFn::Changes => WindowResult::float(changes(samples)),
        RangeFn::Resets => WindowResult::float(resets(samples)),
        RangeFn::Irate | RangeFn::Idelta => instant_rate(f, samples, end_ms, range_ms),
        _ => by_kind(f, &ByKind::new(samples), end_ms, range_ms),
    }
}

/// The functions that treat floats and histograms apart.
fn by_kind(f: RangeFn, kinds: &ByKind<'_>, end_ms: i64, range_ms: i64) -> WindowResult {
    let floats = || eval_window(f, &kinds.float_ts, &kinds.floats, end_ms, range_ms);
    let of_floats = || WindowResult { value: floats().map(Sample::Float), notes: Vec::new() };
    if kinds.histograms.is_empty() {
        return of_floats();
    }
    match f {
        RangeFn::Rate | RangeFn::Increase | RangeFn::Delta | RangeFn::SumOverTime | RangeFn::AvgOverTime
            if kinds.is_mixed() =>
        {
            WindowResult::only(WindowNote::MixedFloatsHistograms)
        }
        RangeFn::Rate | RangeFn::Increase | RangeFn::Delta => {
            extrapolated_rate(f, &kinds.histograms, end_ms, range_ms)
        }
        RangeFn::SumOverTime => {
            let sum = HistogramSum::new(kinds.histograms[0].1);
            total(sum, &kinds.histograms, HistogramSum::add, |sum| {
                (sum.counter_reset_collision(), sum.value())
            })
        }
        RangeFn::AvgOverTime => {
            let avg = HistogramAvg::new(kinds.histograms[0].1);
            total(avg, &kinds.histograms, HistogramAvg::add, |avg| {
                (avg.counter_reset_collision(), avg.value())
            })
        }
        _ if kinds.floats.is_empty() => WindowResult::nothing(),
        _ => WindowResult { notes: vec![WindowNote::HistogramIgnored], ..of_floats() },
    }
}

/// A sum or an average over time.
fn total<T>(
    mut state: T,
    histograms: &[(i64, &Histogram)],
    add: impl Fn(&mut T, &Histogram) -> Result<Reconciled, HistogramError>,
    finish: impl FnOnce(T) -> (bool, Histogram),
) -> WindowResult {
    let mut result = WindowResult::nothing();
    for (_, h) in &histograms[1..] {
        if !result.reconciled(&add(&mut state, h), HistogramOp::Agg) {
            return WindowResult::only(WindowNote::MixedExponentialCustom);
        }
    }
    let (collision, value) = finish(state);
    if collision {
        result.note(WindowNote::CounterResetCollision(HistogramOp::Agg));
    }
    result.histogram(value);
    result
}

/// How often neighbours differ, in kind or value.
pub(super) fn changes(samples: &[(i64, Sample)]) -> f64 {
    let changed = |pair: &&[(i64, Sample)]| match (&pair[0].1, &pair[1].1) {
        (Sample::Float(a), Sample::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Sample::Histogram(a), Sample::Histogram(b)) => !equals(a, b),
        _ => true,
    };
    samples.windows(2).filter(changed).count() as f64
}

/// How often a counter was reset between neighbours; a change of kind is a reset.
pub(super) fn resets(samples: &[(i64, Sample)]) -> f64 {
    let reset = |pair: &&[(i64, Sample)]| match (&pair[0].1, &pair[1].1) {
        (Sample::Float(a), Sample::Float(b)) => b < a,
        (Sample::Histogram(a), Sample::Histogram(b)) => detect_reset(b, a),
        _ => true,
    };
    samples.windows(2).filter(reset).count() as f64
}

/// `irate` and `idelta`: of the last two samples.
fn instant_rate(f: RangeFn, samples: &[(i64, Sample)], end_ms: i64, range_ms: i64) -> WindowResult {
    let [.., before, last] = samples else { return WindowResult::nothing() };
    let (a, b) = match (&before.1, &last.1) {
        (Sample::Float(a), Sample::Float(b)) => {
            let value = eval_window(f, &[before.0, last.0], &[*a, *b], end_ms, range_ms);
            return WindowResult { value: value.map(Sample::Float), notes: Vec::new() };
        }
        (Sample::Histogram(a), Sample::Histogram(b)) => (a, b),
        _ => return WindowResult::only(WindowNote::MixedFloatsHistograms),
    };
    if before.0 == last.0 {
        return WindowResult::nothing();
    }
    let mut result = WindowResult::nothing();
    let is_gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let rate = f == RangeFn::Irate;
    if rate && (is_gauge(a) || is_gauge(b)) {
        result.note(WindowNote::NotCounter);
    }
    if !(rate || is_gauge(a) && is_gauge(b)) {
        result.note(WindowNote::NotGauge);
    }
    let mut h = Histogram::clone(b);
    if (!rate || !detect_reset(b, a)) && !result.reconciled(&sub(&mut h, a), HistogramOp::Sub) {
        return result;
    }
    h.reset_hint = ResetHint::Gauge;
    compact(&mut h, 0);
    if rate {
        div(&mut h, (last.0 - before.0) as f64 / 1000.0);
    }
    result.histogram(h);
    result
}

/// `rate`, `increase` and `delta`, extrapolated to the window's edges as for floats.
fn extrapolated_rate(
    f: RangeFn,
    histograms: &[(i64, &Histogram)],
    end_ms: i64,
    range_ms: i64,
) -> WindowResult {
    let ((first_ts, first), (last_ts, _)) = match histograms {
        [first, .., last] => (*first, *last),
        _ => return WindowResult::nothing(),
    };
    let counter = f != RangeFn::Delta;
    let (mut result, change) = change(histograms, counter);
    let Some(mut h) = change else { return result };

    let mut to_start = first_ts.saturating_sub(end_ms.saturating_sub(range_ms)) as f64 / 1000.0;
    let mut to_end = end_ms.saturating_sub(last_ts) as f64 / 1000.0;
    let sampled = last_ts.saturating_sub(first_ts) as f64 / 1000.0;
    let average = sampled / (histograms.len() - 1) as f64;
    // Samples that begin or end further from the edge than they are apart: the series does, too.
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if counter {
        // A counter is not extrapolated to below zero.
        let to_zero =
            if h.count > 0.0 && first.count >= 0.0 { sampled * (first.count / h.count) } else { to_start };
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if f == RangeFn::Rate {
        factor /= range_ms as f64 / 1000.0;
    }
    mul(&mut h, factor);
    result.histogram(h);
    result
}

/// The difference between the last and the first histogram, what was lost by resets in between added back for a counter.
///
/// At least two samples. Without a histogram there is no result, but for the remarks.
pub(super) fn change(histograms: &[(i64, &Histogram)], counter: bool) -> (WindowResult, Option<Histogram>) {
    let mixed = || (WindowResult::only(WindowNote::MixedExponentialCustom), None);
    let mut result = WindowResult::nothing();
    let is_gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let (first, last) = (histograms[0].1, histograms[histograms.len() - 1].1);
    if counter && (is_gauge(first) || is_gauge(last)) {
        result.note(WindowNote::NotCounter);
    }
    // A first sample right before a reset has no say but its place: nothing is subtracted, and its layout does not matter.
    let second = histograms[1].1;
    let empty = (counter && detect_reset(second, first)).then(|| Histogram {
        schema: second.schema,
        custom_values: second.custom_values.clone(),
        ..Histogram::default()
    });
    let mut previous = empty.as_ref().unwrap_or(first);
    let custom = is_custom(previous.schema);
    if is_custom(last.schema) != custom {
        result.note(WindowNote::MixedExponentialCustom);
        return (result, None);
    }
    let mut schema = last.schema.min(previous.schema);
    for (_, h) in &histograms[1..histograms.len() - 1] {
        if !counter {
            break;
        }
        if is_gauge(h) {
            result.note(WindowNote::NotCounter);
        }
        schema = schema.min(h.schema);
        if is_custom(h.schema) != custom {
            return mixed();
        }
    }
    let mut total = copy_to_schema(last, schema);
    if !result.reconciled(&sub(&mut total, previous), HistogramOp::Sub) {
        return mixed();
    }
    if counter {
        for (_, h) in &histograms[1..] {
            if detect_reset(h, previous) && !result.reconciled(&add(&mut total, previous), HistogramOp::Add) {
                return mixed();
            }
            previous = h;
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        result.note(WindowNote::NotGauge);
    }
    total.reset_hint = ResetHint::Gauge;
    compact(&mut total, 0);
    (result, Some(total))
}
