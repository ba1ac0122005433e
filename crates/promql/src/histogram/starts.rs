//! Functions of counters over samples that say since when they count: a start timestamp behind the sample before is a reset
//! even where the value did not fall, and one within the window is where the counter was zero.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use kernels::{RangeFn, eval_window};
use model::{Histogram, ResetHint};

use super::window::{HistogramOp, WindowNote, WindowResult, change, window};
use super::{Sample, add, mul};

/// As [`super::window`] for `rate`, `increase`, `irate` and `resets`, with a start timestamp per sample, 0 where unknown.
pub(crate) fn window_with_starts(
    f: RangeFn,
    samples: &[(i64, Sample)],
    starts: &[i64],
    end_ms: i64,
    range_ms: i64,
) -> WindowResult {
    debug_assert_eq!(samples.len(), starts.len(), "a start timestamp per sample");
    let marked = mark_resets(samples, starts);
    match f {
        RangeFn::Resets => {
            let reset = |i: &usize| match (&marked[i - 1].1, &marked[*i].1) {
                (Sample::Float(a), Sample::Float(b)) => b < a || is_reset(samples, starts, *i),
                _ => matches!(
                    window(f, &marked[i - 1..=*i], end_ms, range_ms).value,
                    Some(Sample::Float(found)) if found == 1.0
                ),
            };
            WindowResult::float((1..samples.len()).filter(reset).count() as f64)
        }
        RangeFn::Irate => match marked.as_ref() {
            [.., (a_ts, Sample::Float(_)), (b_ts, Sample::Float(b))]
                if a_ts != b_ts && is_reset(samples, starts, samples.len() - 1) =>
            {
                // All that is counted was counted since the reset, as where the value has fallen.
                let value = eval_window(f, &[*a_ts, *b_ts], &[0.0, *b], end_ms, range_ms);
                WindowResult { value: value.map(Sample::Float), notes: Vec::new() }
            }
            _ => window(f, &marked, end_ms, range_ms),
        },
        _ => rate(f, samples, &marked, starts, end_ms, range_ms),
    }
}

/// Whether the start timestamp of sample `i` says that the counter was reset since the sample before.
fn is_reset(samples: &[(i64, Sample)], starts: &[i64], i: usize) -> bool {
    let ((before, start_before), (t, start)) = ((samples[i - 1].0, starts[i - 1]), (samples[i].0, starts[i]));
    // Unknown, impossible, or OpenTelemetry's way to say that it is not known.
    if start == 0 || start >= t {
        return false;
    }
    match start.cmp(&before) {
        Ordering::Less => false,
        Ordering::Greater => true,
        // A delta, which begins where the one before ended; unless that one's own start was not known.
        Ordering::Equal => start_before != 0 && start_before < before,
    }
}

/// Histograms behind a reset with the hint that says so: what looks for resets finds them there.
fn mark_resets<'a>(samples: &'a [(i64, Sample)], starts: &[i64]) -> Cow<'a, [(i64, Sample)]> {
    let mut marked = Cow::Borrowed(samples);
    for i in 1..samples.len() {
        if let Sample::Histogram(h) = &samples[i].1
            && h.reset_hint != ResetHint::Reset
            && is_reset(samples, starts, i)
        {
            let reset = Histogram { reset_hint: ResetHint::Reset, ..Histogram::clone(h) };
            marked.to_mut()[i].1 = Sample::Histogram(Arc::new(reset));
        }
    }
    marked
}

/// What a counter grew by between the first and the last sample.
enum Growth {
    Float(f64),
    /// Nothing yet of a lone histogram.
    Histogram(Option<Histogram>),
}

/// `rate` and `increase`.
fn rate(
    f: RangeFn,
    samples: &[(i64, Sample)],
    marked: &[(i64, Sample)],
    starts: &[i64],
    end_ms: i64,
    range_ms: i64,
) -> WindowResult {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return WindowResult::nothing() };
    let mut result = WindowResult::nothing();
    let mut growth = match growth(samples, marked, starts, &mut result) {
        Ok(growth) => growth,
        Err(failed) => return failed,
    };
    let overlaps = |i: usize| {
        let (before, start) = (samples[i - 1].0, starts[i]);
        start != 0 && start < before && start != starts[i - 1]
    };
    if (1..samples.len()).any(overlaps) {
        result.note(WindowNote::StartTimeOverlap);
    }

    let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1000.0;
    let range_start = end_ms.saturating_sub(range_ms);
    let mut to_start = seconds(range_start, first.0);
    let mut to_end = seconds(last.0, end_ms);
    let mut sampled = seconds(first.0, last.0);
    let gaps = samples.len() - 1;
    let average = if gaps > 0 { sampled / gaps as f64 } else { 0.0 };
    let threshold = average * 1.1;
    if starts[0] != 0 && starts[0] > range_start && starts[0] < first.0 {
        // The counter was zero there: nothing to extrapolate to.
        to_start = 0.0;
        sampled = seconds(starts[0], last.0);
        let added = match (&mut growth, &first.1) {
            (Growth::Float(grown), Sample::Float(v)) => {
                *grown += v;
                true
            }
            (Growth::Histogram(Some(grown)), Sample::Histogram(h)) => {
                result.reconciled(&add(grown, h), HistogramOp::Add)
            }
            (Growth::Histogram(grown), Sample::Histogram(h)) => {
                *grown = Some(Histogram::clone(h));
                true
            }
            _ => true,
        };
        if !added {
            return result;
        }
    } else if gaps == 0 {
        return result;
    } else {
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        let (grown, at_first) = match (&growth, &first.1) {
            (Growth::Float(grown), Sample::Float(v)) => (*grown, *v),
            (Growth::Histogram(Some(grown)), Sample::Histogram(h)) => (grown.count, h.count),
            _ => (0.0, 0.0),
        };
        // A counter is not extrapolated to below zero.
        if grown > 0.0 && at_first >= 0.0 {
            to_start = to_start.min(sampled * (at_first / grown));
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
    if f == RangeFn::Rate {
        factor /= range_ms as f64 / 1000.0;
    }
    match growth {
        Growth::Float(grown) => result.value = Some(Sample::Float(grown * factor)),
        Growth::Histogram(Some(mut grown)) => {
            mul(&mut grown, factor);
            result.histogram(grown);
        }
        Growth::Histogram(None) => {}
    }
    result
}

/// The difference between the last and the first sample, what was lost by resets in between added. The error is the result
/// of a window that has none.
fn growth(
    samples: &[(i64, Sample)],
    marked: &[(i64, Sample)],
    starts: &[i64],
    result: &mut WindowResult,
) -> Result<Growth, WindowResult> {
    let floats: Vec<f64> =
        samples.iter().filter_map(|(_, s)| if let Sample::Float(v) = s { Some(*v) } else { None }).collect();
    if floats.len() == samples.len() {
        let mut grown = floats[floats.len() - 1] - floats[0];
        for (i, pair) in floats.windows(2).enumerate() {
            if pair[1] < pair[0] || is_reset(samples, starts, i + 1) {
                grown += pair[0];
            }
        }
        return Ok(Growth::Float(grown));
    }
    if !floats.is_empty() {
        return Err(WindowResult::only(WindowNote::MixedFloatsHistograms));
    }
    let histograms = histograms(marked);
    if histograms.len() < 2 {
        return Ok(Growth::Histogram(None));
    }
    let (mut changed, grown) = change(&histograms, true);
    // A mark may have taken the place of the hint.
    if self::histograms(samples).iter().any(|(_, h)| h.reset_hint == ResetHint::Gauge) {
        changed.note(WindowNote::NotCounter);
    }
    match grown {
        Some(grown) => {
            *result = changed;
            Ok(Growth::Histogram(Some(grown)))
        }
        None => Err(changed),
    }
}

fn histograms(samples: &[(i64, Sample)]) -> Vec<(i64, &Histogram)> {
    let mut out = Vec::with_capacity(samples.len());
    for (t, sample) in samples {
        if let Sample::Histogram(h) = sample {
            out.push((*t, &**h));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn increase(samples: &[(i64, f64, i64)]) -> Option<f64> {
        let floats: Vec<_> = samples.iter().map(|(t, v, _)| (t * 1000, Sample::Float(*v))).collect();
        let starts: Vec<_> = samples.iter().map(|(.., start)| start * 1000).collect();
        match window_with_starts(RangeFn::Increase, &floats, &starts, 300_000, 300_000).value {
            Some(Sample::Float(v)) => Some(v),
            _ => None,
        }
    }

    #[test]
    fn a_start_behind_the_sample_before_is_a_reset() {
        // From zero at 60 s: 5, and 7 since the reset; no room for extrapolation at either edge.
        assert_eq!(increase(&[(120, 5.0, 60), (300, 7.0, 121)]), Some(12.0));
        assert_eq!(increase(&[(120, 5.0, 60), (300, 7.0, 60)]), Some(7.0));
        // A delta begins where the one before ended; a start equal to the sample's time is unknown.
        assert_eq!(increase(&[(120, 5.0, 60), (300, 7.0, 120)]), Some(12.0));
        assert_eq!(increase(&[(120, 5.0, 60), (300, 7.0, 300)]), Some(7.0));
        // One sample is enough where it says when it was zero.
        assert_eq!(increase(&[(300, 7.0, 60)]), Some(7.0));
        assert_eq!(increase(&[(300, 7.0, -60)]), None);
    }
}
