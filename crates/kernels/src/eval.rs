//! One range function over one series: all its steps at once, or a single window.

use std::ops::Range;

use crate::kahan::kahan_inc;
use crate::partial::{Max, Min};
use crate::rate::{self, Flavour};
use crate::regression::{self, double_exponential_smoothing, linear_regression};
use crate::sums::{self, Kind};
use crate::{Grid, RangeFn, Windows, quantile::median_absolute_deviation, quantile::quantile, sliding};

/// Bits of the staleness marker; `model` has the same constant, but this crate depends on nothing.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

#[inline(always)]
fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_BITS
}

/// Evaluates `f` for one series on all steps of `grid`.
///
/// `ts` and `values` have the same length; `windows` was made by [`Windows::new`] for `ts`, `grid` and `range_ms`, and is shared
/// by all series that share `ts`. `out` has one value per step, `present` one bit per step (bit `i % 64` of word
/// `i / 64`); both are overwritten whole, and a value whose bit is clear is unspecified. Staleness markers in the column
/// are treated as [`RangeFn`] says; a column that has one costs a copy.
///
/// # Panics
/// When `out`, `present` or `windows` do not fit the grid.
#[expect(
    clippy::too_many_arguments,
    reason = "a kernel's operands; a struct would be built per series for nothing"
)]
pub fn eval_column(
    f: RangeFn,
    ts: &[i64],
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    range_ms: i64,
    out: &mut [f64],
    present: &mut [u64],
) {
    assert!(windows.len() == grid.steps && out.len() == grid.steps, "windows and output fit the grid");
    if !matches!(f, RangeFn::Last | RangeFn::LastTimestamp) && has_stale(values, windows) {
        let (ts, values) = strip_stale(ts, values);
        let windows = Windows::new(&ts, grid, range_ms);
        return live_column(f, &ts, &values, &windows, grid, range_ms, (out, present));
    }
    live_column(f, ts, values, windows, grid, range_ms, (out, present));
}

/// Evaluates `f` on the samples of one window that ends at `t_ms`: no staleness markers, all within `(t_ms - range_ms, t_ms]`.
///
/// For parameters that differ between steps, and windows that are at hand anyway. Same bits as [`eval_column`].
#[must_use]
pub fn eval_window(f: RangeFn, ts: &[i64], values: &[f64], t_ms: i64, range_ms: i64) -> Option<f64> {
    one_window(f, ts, values, t_ms, range_ms, &mut Vec::new())
}

/// Whether a marker lies within the windows; tested by blocks, so that the test vectorises.
fn has_stale(values: &[f64], windows: &Windows) -> bool {
    let mut blocks = values[windows.extent()].chunks(256);
    blocks.any(|c| c.iter().fold(false, |any, &v| any | is_stale(v)))
}

/// The column without its markers.
fn strip_stale(ts: &[i64], values: &[f64]) -> (Vec<i64>, Vec<f64>) {
    ts.iter().zip(values).filter(|(_, v)| !is_stale(**v)).unzip()
}

/// All steps of a column without markers (or, for the two `Last`, with them).
fn live_column(
    f: RangeFn,
    ts: &[i64],
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    range_ms: i64,
    (out, present): (&mut [f64], &mut [u64]),
) {
    let slides = |values: &[f64], windows: &Windows| {
        sliding::pays(windows, 2) && !sliding::order_shows(&values[windows.extent()])
    };
    // What can be done faster for a column than window by window, with the same bits.
    let flavour = match f {
        RangeFn::Rate => Flavour::Rate,
        RangeFn::Increase => Flavour::Increase,
        RangeFn::Delta => Flavour::Delta,
        RangeFn::Changes | RangeFn::Resets => {
            return count_column(values, windows, grid, f == RangeFn::Resets, (out, present));
        }
        RangeFn::Deriv => return regression::column(ts, values, windows, grid, None, (out, present)),
        RangeFn::PredictLinear(ahead) => {
            return regression::column(ts, values, windows, grid, Some(ahead), (out, present));
        }
        RangeFn::SumOverTime => return sums::column(Kind::Sum, values, windows, grid, (out, present)),
        RangeFn::AvgOverTime => return sums::column(Kind::Avg, values, windows, grid, (out, present)),
        RangeFn::MinOverTime if slides(values, windows) => {
            return sliding::extremes(values, windows, grid, (out, present), |a, b| a > b);
        }
        RangeFn::MaxOverTime if slides(values, windows) => {
            return sliding::extremes(values, windows, grid, (out, present), |a, b| a < b);
        }
        // Selecting costs some nanoseconds a sample, sorting some dozens.
        RangeFn::QuantileOverTime(q) if (0.0..=1.0).contains(&q) && sliding::pays(windows, 8) => {
            return sliding::quantiles(q, values, windows, grid, (out, present));
        }
        _ => {
            let mut scratch = Vec::new();
            // Each arm gets its own loop: `f` is a constant in it.
            macro_rules! each {
                ($($pattern:pat => $f:expr),* $(,)?) => {
                    match f {
                        $($pattern => fill(windows, grid, out, present, |t, w| {
                            one_window($f, &ts[w.clone()], &values[w], t, range_ms, &mut scratch)
                        }),)*
                        f => fill(windows, grid, out, present, |t, w| {
                            one_window(f, &ts[w.clone()], &values[w], t, range_ms, &mut scratch)
                        }),
                    }
                };
            }
            return each! {
                RangeFn::Last => RangeFn::Last,
                RangeFn::Irate => RangeFn::Irate,
                RangeFn::MinOverTime => RangeFn::MinOverTime,
                RangeFn::MaxOverTime => RangeFn::MaxOverTime,
                RangeFn::CountOverTime => RangeFn::CountOverTime,
            };
        }
    };
    rate::column(ts, values, windows, grid, range_ms, flavour, (out, present));
}

/// `changes` and `resets`: the events of the column, counted per window by two pointers.
fn count_column(
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    only_drops: bool,
    (out, present): (&mut [f64], &mut [u64]),
) {
    let events = rate::events(values, only_drops);
    let (mut from, mut to) = (0, 0);
    fill(windows, grid, out, present, |_, w| {
        if w.is_empty() {
            return None;
        }
        while events.get(from).is_some_and(|&i| i <= w.start) {
            from += 1;
        }
        to = to.max(from);
        while events.get(to).is_some_and(|&i| i < w.end) {
            to += 1;
        }
        Some((to - from) as f64)
    });
}

#[inline(always)]
fn one_window(
    f: RangeFn,
    ts: &[i64],
    values: &[f64],
    t: i64,
    range_ms: i64,
    scratch: &mut Vec<f64>,
) -> Option<f64> {
    let (&first_t, &last_t) = (ts.first()?, ts.last()?);
    let (&first, &last) = (values.first()?, values.last()?);
    let mut copy = || {
        scratch.clear();
        scratch.extend_from_slice(values);
    };
    Some(match f {
        RangeFn::Last if is_stale(last) => return None,
        RangeFn::LastTimestamp if is_stale(last) => return None,
        RangeFn::Last | RangeFn::LastOverTime => last,
        RangeFn::LastTimestamp | RangeFn::TsOfLastOverTime => last_t as f64 / 1000.0,
        RangeFn::FirstOverTime => first,
        RangeFn::TsOfFirstOverTime => first_t as f64 / 1000.0,
        RangeFn::Rate => return rate::window(ts, values, t, range_ms, Flavour::Rate),
        RangeFn::Increase => return rate::window(ts, values, t, range_ms, Flavour::Increase),
        RangeFn::Delta => return rate::window(ts, values, t, range_ms, Flavour::Delta),
        RangeFn::Irate => return rate::instant(ts, values, true),
        RangeFn::Idelta => return rate::instant(ts, values, false),
        RangeFn::Changes => rate::count_events(values, false),
        RangeFn::Resets => rate::count_events(values, true),
        RangeFn::Deriv if values.len() < 2 => return None,
        RangeFn::Deriv => linear_regression(ts, values, first_t).0,
        RangeFn::PredictLinear(_) if values.len() < 2 => return None,
        RangeFn::PredictLinear(ahead) => {
            let (slope, intercept) = linear_regression(ts, values, t);
            slope * ahead + intercept
        }
        RangeFn::AvgOverTime => sums::avg(values),
        RangeFn::SumOverTime => sums::sum(values),
        RangeFn::MinOverTime => {
            let mut min = Min::default();
            values.iter().for_each(|&v| min.add(v));
            min.value()
        }
        RangeFn::MaxOverTime => {
            let mut max = Max::default();
            values.iter().for_each(|&v| max.add(v));
            max.value()
        }
        RangeFn::CountOverTime => values.len() as f64,
        RangeFn::PresentOverTime => 1.0,
        RangeFn::StddevOverTime => variance(values).sqrt(),
        RangeFn::StdvarOverTime => variance(values),
        RangeFn::QuantileOverTime(q) => {
            copy();
            quantile(q, scratch)
        }
        RangeFn::MadOverTime => {
            copy();
            median_absolute_deviation(scratch)
        }
        RangeFn::DoubleExponentialSmoothing { smoothing, trend } => {
            return double_exponential_smoothing(values, smoothing, trend);
        }
        RangeFn::TsOfMinOverTime => time_of_extreme(ts, values, |v, best| v <= best),
        RangeFn::TsOfMaxOverTime => time_of_extreme(ts, values, |v, best| v >= best),
    })
}

/// Welford's recurrence with both of its sums compensated.
fn variance(values: &[f64]) -> f64 {
    let mut count = 0.0;
    let (mut mean, mut c_mean) = (0.0, 0.0);
    let (mut aux, mut c_aux) = (0.0, 0.0);
    for &v in values {
        count += 1.0;
        let delta = v - (mean + c_mean);
        (mean, c_mean) = kahan_inc(delta / count, mean, c_mean);
        (aux, c_aux) = kahan_inc(delta * (v - (mean + c_mean)), aux, c_aux);
    }
    (aux + c_aux) / count
}

/// The time in seconds of the last sample with the extreme value; NaN gives way to any number.
fn time_of_extreme(ts: &[i64], values: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    let (mut best, mut at) = (values[0], ts[0]);
    for (&t, &v) in ts.iter().zip(values) {
        if beats(v, best) || best.is_nan() {
            (best, at) = (v, t);
        }
    }
    at as f64 / 1000.0
}

/// Runs `f(end of window, indices of its samples)` for each step and writes what it returns.
#[inline(always)]
pub(crate) fn fill(
    windows: &Windows,
    grid: &Grid,
    out: &mut [f64],
    present: &mut [u64],
    mut f: impl FnMut(i64, Range<usize>) -> Option<f64>,
) {
    let mut bounds = windows.iter();
    let mut end = grid.start;
    for (cells, word) in out.chunks_mut(64).zip(present.iter_mut()) {
        let mut bits = 0_u64;
        for (i, (cell, window)) in cells.iter_mut().zip(&mut bounds).enumerate() {
            if let Some(v) = f(end, window) {
                *cell = v;
                bits |= 1 << i;
            }
            end = end.wrapping_add(grid.step);
        }
        *word = bits;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STALE: f64 = f64::from_bits(STALE_BITS);

    fn column(f: RangeFn, ts: &[i64], values: &[f64], grid: Grid, range_ms: i64) -> Vec<Option<f64>> {
        let windows = Windows::new(ts, &grid, range_ms);
        let mut out = vec![-7.0; grid.steps];
        let mut present = vec![u64::MAX; grid.steps.div_ceil(64)];
        eval_column(f, ts, values, &windows, &grid, range_ms, &mut out, &mut present);
        (0..grid.steps).map(|i| (present[i / 64] >> (i % 64) & 1 == 1).then(|| out[i])).collect()
    }

    fn at(f: RangeFn, values: &[f64]) -> Option<f64> {
        // Samples each 10 s from 10 s on, one window that takes them all.
        let ts: Vec<i64> = (1..=values.len() as i64).map(|i| i * 10_000).collect();
        let end = ts.last().copied().unwrap_or(0);
        column(f, &ts, values, Grid::instant(end), 1_000_000)[0]
    }

    #[test]
    fn functions_follow_upstream() {
        let nan = f64::NAN;
        for (f, values, expect) in [
            (RangeFn::Last, vec![1.0, 2.0], Some(2.0)),
            (RangeFn::Last, vec![1.0, STALE], None),
            (RangeFn::LastOverTime, vec![1.0, STALE], Some(1.0)),
            (RangeFn::LastTimestamp, vec![1.0, 2.0], Some(20.0)),
            (RangeFn::SumOverTime, vec![1.0, 1e100, 1.0, -1e100], Some(2.0)),
            (RangeFn::AvgOverTime, vec![f64::MAX, f64::MAX], Some(f64::MAX)),
            (RangeFn::MinOverTime, vec![nan, 3.0, 1.0], Some(1.0)),
            (RangeFn::MaxOverTime, vec![nan, 3.0, 1.0, STALE], Some(3.0)),
            (RangeFn::CountOverTime, vec![nan, 3.0, STALE], Some(2.0)),
            (RangeFn::CountOverTime, vec![STALE], None),
            (RangeFn::Changes, vec![nan, nan, 1.0, 1.0, 2.0], Some(2.0)),
            (RangeFn::Resets, vec![3.0, 1.0, nan, 0.0, 5.0, 2.0], Some(2.0)),
            (RangeFn::Irate, vec![1.0, 5.0, 2.0], Some(0.2)),
            (RangeFn::Idelta, vec![1.0, 5.0, 2.0], Some(-3.0)),
            (RangeFn::Idelta, vec![1.0], None),
            (RangeFn::StdvarOverTime, vec![0.0, 8.0, 8.0, 2.0, 3.0], Some(10.56)),
            (RangeFn::StddevOverTime, vec![1.0, 1.0], Some(0.0)),
            (RangeFn::QuantileOverTime(0.5), vec![3.0, 1.0], Some(2.0)),
            (RangeFn::MadOverTime, vec![4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0], Some(1.0)),
            (RangeFn::TsOfMinOverTime, vec![1.0, 0.0, 0.0, 2.0], Some(30.0)),
            (RangeFn::TsOfMaxOverTime, vec![nan, 2.0, 0.0], Some(20.0)),
            (RangeFn::Deriv, vec![1.0, 2.0, 3.0], Some(0.1)),
            (RangeFn::PredictLinear(10.0), vec![1.0, 2.0, 3.0], Some(4.0)),
            (RangeFn::PresentOverTime, vec![nan], Some(1.0)),
        ] {
            let got = at(f, &values);
            let close = match (got, expect) {
                (Some(a), Some(b)) => (a - b).abs() <= b.abs() * 1e-15,
                (a, b) => a == b,
            };
            assert!(close, "{f:?} of {values:?}: {got:?}, not {expect:?}");
        }
    }

    #[test]
    fn rates_extrapolate_as_upstream() {
        // (samples as (ms, value), range, expected increase at 60 s)
        for (samples, range_ms, expect) in [
            // Both ends are within 1.1 spacings: to the borders.
            (
                vec![(10_000, 100.0), (20_000, 110.0), (50_000, 140.0)],
                60_000,
                40.0 * (40.0 + 10.0 + 10.0) / 40.0,
            ),
            // Far from the start: half a spacing only.
            (vec![(40_000, 100.0), (50_000, 110.0)], 60_000, 10.0 * (10.0 + 5.0 + 10.0) / 10.0),
            // Not below zero.
            (vec![(40_000, 2.0), (50_000, 12.0)], 60_000, 10.0 * (10.0 + 2.0 + 10.0) / 10.0),
            // A reset in between.
            (vec![(20_000, 100.0), (40_000, 4.0), (60_000, 10.0)], 40_000, 10.0),
        ] {
            let (ts, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
            let got = column(RangeFn::Increase, &ts, &values, Grid::instant(60_000), range_ms)[0];
            let got = got.expect("two samples");
            assert!((got - expect).abs() < 1e-9, "{samples:?}: {got} {expect}");
        }
        assert_eq!(column(RangeFn::Rate, &[1], &[1.0], Grid::instant(1), 10), [None]);
        assert_eq!(rate::seconds(1_001), 1.001);
    }

    /// Every function, with arguments.
    fn functions() -> Vec<RangeFn> {
        use RangeFn::*;
        vec![
            Last,
            LastTimestamp,
            Rate,
            Increase,
            Delta,
            Irate,
            Idelta,
            Changes,
            Resets,
            Deriv,
            PredictLinear(60.0),
            AvgOverTime,
            SumOverTime,
            MinOverTime,
            MaxOverTime,
            CountOverTime,
            LastOverTime,
            FirstOverTime,
            PresentOverTime,
            StddevOverTime,
            StdvarOverTime,
            QuantileOverTime(0.3),
            MadOverTime,
            DoubleExponentialSmoothing { smoothing: 0.3, trend: 0.6 },
            TsOfMinOverTime,
            TsOfMaxOverTime,
            TsOfFirstOverTime,
            TsOfLastOverTime,
        ]
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (0..50_i32).prop_map(f64::from),
            1 => Just(STALE),
            1 => Just(f64::from_bits(0x7ff8_0000_0000_0001)),
            2 => any::<f64>().prop_filter("markers come from their own arm", |v| !is_stale(*v)),
        ]
    }

    proptest! {
        /// The column's shortcuts give the bits of the window taken by itself.
        #[test]
        fn columns_equal_windows(
            samples in proptest::collection::vec((1..30_i64, value()), 0..90),
            start in -20..200_i64, step in 1..40_i64, steps in 1..140_usize, range_ms in 1..400_i64,
        ) {
            let mut now = 0;
            let ts: Vec<i64> = samples.iter().map(|(gap, _)| { now += gap; now }).collect();
            let values: Vec<f64> = samples.iter().map(|&(_, v)| v).collect();
            let grid = Grid { start, step, steps };
            for f in functions() {
                let got = column(f, &ts, &values, grid, range_ms);
                for (i, t) in grid.times().enumerate() {
                    let keep = |(s, v): &(&i64, &f64)| {
                        **s > t - range_ms && **s <= t
                            && (matches!(f, RangeFn::Last | RangeFn::LastTimestamp) || !is_stale(**v))
                    };
                    let (wt, wv): (Vec<i64>, Vec<f64>) = ts.iter().zip(&values).filter(keep).unzip();
                    let expect = eval_window(f, &wt, &wv, t, range_ms);
                    let same = match (got[i], expect) {
                        (Some(a), Some(b)) => a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                        (a, b) => a.is_none() && b.is_none(),
                    };
                    prop_assert!(same, "{:?} at {}: {:?}, window {:?}", f, t, got[i], expect);
                }
            }
        }
    }
}
