//! What becomes of a sample: taken in order, taken late, already there, or refused, as upstream's `memSeries.appendable` has it.
//!
//! The out-of-order window is measured against the newest sample of the whole head, not of the series.

use std::sync::Arc;

use model::{CUSTOM_BUCKETS_SCHEMA, Histogram, Span};
use storage::{RefusalKind, is_absent};

use super::{LooseSamples, as_sample};
use crate::codec::histogram::can_share;

/// The times a batch may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) oldest: i64,
    pub(crate) latest: i64,
    /// The oldest time a late sample may have; `None` takes none.
    pub(crate) late_from: Option<i64>,
}

/// The newest sample of a series. With neither bits nor histogram its value is not known.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) ts: i64,
    pub(crate) bits: Option<u64>,
    pub(crate) histogram: Option<Arc<Histogram>>,
}

impl Newest {
    /// The newer one; of two at one time the first.
    pub(crate) fn of(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if b.ts > a.ts { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// A sample of either kind.
#[derive(Debug, Clone)]
pub(crate) enum Sample {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Sample {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => same_histogram(a, b),
            _ => false,
        }
    }
}

/// Whether both say the same, to the bit; what they know of resets aside, as upstream.
fn same_histogram(a: &Histogram, b: &Histogram) -> bool {
    let same = |a: &[f64], b: &[f64]| a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()));
    can_share(a, b)
        && a.zero_count.to_bits() == b.zero_count.to_bits()
        && a.count.to_bits() == b.count.to_bits()
        && a.sum.to_bits() == b.sum.to_bits()
        && same(&a.positive_buckets, &b.positive_buckets)
        && same(&a.negative_buckets, &b.negative_buckets)
}

/// The samples of a series that are written, each list ascending.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) floats: Vec<(i64, f64)>,
    pub(crate) late: Vec<(i64, f64)>,
    pub(crate) histograms: Vec<(i64, Arc<Histogram>)>,
    pub(crate) late_histograms: Vec<(i64, Arc<Histogram>)>,
}

impl Accepted {
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty()
            && self.late.is_empty()
            && self.histograms.is_empty()
            && self.late_histograms.is_empty()
    }
}

/// The verdict on a series' samples.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) accepted: Accepted,
    /// Samples already there: plain ones, histograms.
    pub(crate) known: [usize; 2],
    pub(crate) refused: [usize; 5],
    pub(crate) first: Option<(RefusalKind, i64)>,
}

impl Judged {
    fn refuse(&mut self, kind: RefusalKind, ts: i64) {
        self.refused[kind as usize] += 1;
        self.first.get_or_insert((kind, ts));
    }

    fn take(&mut self, ts: i64, sample: Sample, late: bool) {
        let a = &mut self.accepted;
        match (sample, late) {
            (Sample::Float(v), false) => a.floats.push((ts, v)),
            (Sample::Float(v), true) => a.late.push((ts, v)),
            (Sample::Histogram(h), false) => a.histograms.push((ts, h)),
            (Sample::Histogram(h), true) => a.late_histograms.push((ts, h)),
        }
    }
}

/// Whether all samples can be taken as they are: ascending, newer than `after`, within bounds, none with the mark of an absent
/// cell.
#[inline]
pub(crate) fn is_plain_run(samples: &[(i64, f64)], after: i64, bounds: &Bounds) -> bool {
    let (Some((first, _)), Some((last, _))) = (samples.first(), samples.last()) else { return true };
    let mut before = after;
    let mut sound = *first >= bounds.oldest && *last <= bounds.latest;
    for (ts, value) in samples {
        sound &= *ts > before && !is_absent(*value);
        before = *ts;
    }
    sound
}

/// Judges a series' samples, which come in any order: they are taken by time, of equal times the first. `stored` gives what the
/// series has between two times; it is asked once, and only where a sample is late or the newest one's value is not known.
pub(crate) fn judge(
    mut newest: Option<Newest>,
    floats: &[(i64, f64)],
    histograms: &[(i64, Histogram)],
    bounds: &Bounds,
    stored: impl FnOnce(i64, i64) -> LooseSamples,
) -> Judged {
    let mut judged = Judged::default();
    let mut samples: Vec<(i64, Sample)> = Vec::with_capacity(floats.len() + histograms.len());
    samples.extend(floats.iter().map(|&(ts, v)| (ts, Sample::Float(as_sample(v)))));
    for (ts, h) in histograms {
        if *ts <= bounds.latest && *ts >= bounds.oldest && !sound_histogram(h) {
            judged.refuse(RefusalKind::InvalidHistogram, *ts);
        } else {
            samples.push((*ts, Sample::Histogram(Arc::new(h.clone()))));
        }
    }
    samples.sort_by_key(|s| s.0);
    let mut stored = Some(stored);
    let mut there = LooseSamples::default();
    let mut late: Option<(i64, Sample)> = None;
    for (ts, sample) in samples {
        if ts > bounds.latest || ts < bounds.oldest {
            judged.refuse(RefusalKind::OutOfBounds, ts);
            continue;
        }
        let in_order = newest.as_ref().is_none_or(|n| ts > n.ts);
        if in_order {
            let (bits, histogram) = match &sample {
                Sample::Float(v) => (Some(v.to_bits()), None),
                Sample::Histogram(h) => (None, Some(Arc::clone(h))),
            };
            newest = Some(Newest { ts, bits, histogram });
            judged.take(ts, sample, false);
            continue;
        }
        let Some(last) = newest.as_ref() else { continue };
        let mut same = None;
        if ts == last.ts {
            same = match (&last.bits, &last.histogram) {
                (Some(bits), _) => Some(Sample::Float(f64::from_bits(*bits)).is(&sample)),
                (None, Some(h)) => Some(Sample::Histogram(Arc::clone(h)).is(&sample)),
                (None, None) => None,
            };
        } else {
            match bounds.late_from {
                None => {
                    judged.refuse(RefusalKind::OutOfOrder, ts);
                    continue;
                }
                Some(from) if ts < from => {
                    judged.refuse(RefusalKind::TooOld, ts);
                    continue;
                }
                Some(_) => {}
            }
            if let Some((_, before)) = late.as_ref().filter(|l| l.0 == ts) {
                same = Some(before.is(&sample));
            }
        }
        if same.is_none() {
            if let Some(stored) = stored.take() {
                there = stored(ts, last.ts);
            }
            same = there.at(ts).map(|s| s.is(&sample));
        }
        match same {
            Some(true) => judged.known[usize::from(matches!(sample, Sample::Histogram(_)))] += 1,
            Some(false) => judged.refuse(RefusalKind::Duplicate, ts),
            // The newest sample's value went with a block or a damaged chunk: a writer that repeats itself is right.
            None if ts == last.ts => judged.known[usize::from(matches!(sample, Sample::Histogram(_)))] += 1,
            None => {
                late = Some((ts, sample.clone()));
                judged.take(ts, sample, true);
            }
        }
    }
    judged
}

/// Whether a histogram does not contradict itself, by the rules of upstream's `Histogram.Validate` and
/// `FloatHistogram.Validate`.
pub(crate) fn sound_histogram(h: &Histogram) -> bool {
    let total = |buckets: &[f64]| buckets.iter().sum::<f64>();
    let counts = |buckets: &[f64]| buckets.iter().all(|c| !(*c < 0.0));
    let spans = if h.schema == CUSTOM_BUCKETS_SCHEMA {
        h.zero_count == 0.0
            && h.zero_threshold == 0.0
            && h.negative_spans.is_empty()
            && h.negative_buckets.is_empty()
            && sound_bounds(&h.custom_values, &h.positive_spans)
            && sound_spans(&h.positive_spans, h.positive_buckets.len())
    } else {
        (-4..=8).contains(&h.schema)
            && h.custom_values.is_empty()
            && sound_spans(&h.positive_spans, h.positive_buckets.len())
            && sound_spans(&h.negative_spans, h.negative_buckets.len())
    };
    if !spans
        || !counts(&h.positive_buckets)
        || !counts(&h.negative_buckets)
        || h.zero_count < 0.0
        || h.count < 0.0
    {
        return false;
    }
    // Whole counts must add up; beyond 2^53 they were rounded on the way and cannot.
    if !h.integer || h.count >= 9_007_199_254_740_992.0 {
        return true;
    }
    let sum = total(&h.positive_buckets) + total(&h.negative_buckets) + h.zero_count;
    // Observations of NaN are counted but in no bucket.
    if h.sum.is_nan() { sum <= h.count } else { sum == h.count }
}

fn sound_spans(spans: &[Span], buckets: usize) -> bool {
    let length: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
    spans.iter().skip(1).all(|s| s.offset >= 0) && length == buckets as u64
}

fn sound_bounds(bounds: &[f64], spans: &[Span]) -> bool {
    let covered: i64 = spans.iter().map(|s| i64::from(s.length) + i64::from(s.offset)).sum();
    bounds.iter().all(|b| !b.is_nan())
        && bounds.windows(2).all(|w| w[0] < w[1])
        && bounds.last() != Some(&f64::INFINITY)
        && spans.iter().all(|s| s.offset >= 0)
        && i64::try_from(bounds.len()).is_ok_and(|n| n + 1 >= covered)
}
