//! Sums and averages of many histograms, compensated for rounding: `sum`, `avg`, `sum_over_time`, `avg_over_time`.

use model::{Histogram, ResetHint};

use super::HistogramError;
use super::runs::{Cell, Kahan};
use super::terms::{Reconciled, Terms};

/// The hints seen; a reset and a "no reset" together are worth a warning.
#[derive(Debug, Clone, Copy, Default)]
struct Hints {
    reset: bool,
    no_reset: bool,
}

impl Hints {
    fn see(&mut self, h: &Histogram) {
        self.reset |= h.reset_hint == ResetHint::Reset;
        self.no_reset |= h.reset_hint == ResetHint::NoReset;
    }
}

/// A sum of histograms.
#[derive(Debug, Clone)]
pub(crate) struct HistogramSum {
    total: Terms<Kahan>,
    hints: Hints,
}

impl HistogramSum {
    /// The sum of one.
    pub(crate) fn new(first: &Histogram) -> Self {
        let mut hints = Hints::default();
        hints.see(first);
        Self { total: Terms::of(first, 1.0), hints }
    }

    /// Adds one more. Whether hints collide is told at the end, by [`Self::counter_reset_collision`], not here.
    ///
    /// # Errors
    /// As [`super::add`]; upstream gives such a group or window no result.
    pub(crate) fn add(&mut self, h: &Histogram) -> Result<Reconciled, HistogramError> {
        self.hints.see(h);
        let reconciled = self.total.add_histogram(h, 1.0)?;
        Ok(Reconciled { counter_reset_collision: false, ..reconciled })
    }

    /// Whether both a reset and a "no reset" hint were seen.
    pub(crate) fn counter_reset_collision(&self) -> bool {
        self.hints.reset && self.hints.no_reset
    }

    /// The sum. Not compacted: the operator `sum` compacts it, `sum_over_time` does not.
    pub(crate) fn value(self) -> Histogram {
        self.total.finish(|v| v.sum + v.lost)
    }
}

/// An average of histograms: of the sum as long as it does not overflow, from then on by updating the mean.
#[derive(Debug, Clone)]
pub(crate) struct HistogramAvg {
    /// The sum, or the mean.
    total: Terms<Kahan>,
    hints: Hints,
    count: f64,
    mean: bool,
}

impl HistogramAvg {
    /// The average of one.
    pub(crate) fn new(first: &Histogram) -> Self {
        let HistogramSum { total, hints } = HistogramSum::new(first);
        Self { total, hints, count: 1.0, mean: false }
    }

    /// As [`HistogramSum::add`].
    ///
    /// # Errors
    /// As [`HistogramSum::add`].
    pub(crate) fn add(&mut self, h: &Histogram) -> Result<Reconciled, HistogramError> {
        self.hints.see(h);
        self.count += 1.0;
        let mut reconciled = Reconciled::default();
        if !self.mean {
            if self.cannot_overflow(h) {
                reconciled = self.total.add_histogram(h, 1.0)?;
                return Ok(Reconciled { counter_reset_collision: false, ..reconciled });
            }
            let mut next = self.total.clone();
            reconciled = next.add_histogram(h, 1.0)?;
            if next.numbers().all(|v| !v.is_infinite()) {
                self.total = next;
                return Ok(Reconciled { counter_reset_collision: false, ..reconciled });
            }
            self.mean = true;
            let before = self.count - 1.0;
            self.total.each(|v| v.over(before));
        }
        let weight = (self.count - 1.0) / self.count;
        self.total.each(|v| v.times(weight));
        let mut more = Terms::<Kahan>::of(h, 1.0);
        more.each(|v| v.over(self.count));
        let again = self.total.add(more)?;
        let bounds_reconciled = reconciled.bounds_reconciled || again.bounds_reconciled;
        Ok(Reconciled { counter_reset_collision: false, bounds_reconciled })
    }

    /// Whether even all counts of both together stay far from overflow; spares a copy of the sum.
    fn cannot_overflow(&self, h: &Histogram) -> bool {
        let more =
            h.positive_buckets.iter().chain(&h.negative_buckets).chain([&h.zero_count, &h.count, &h.sum]);
        let bound: f64 = self.total.numbers().chain(more.copied()).map(f64::abs).sum();
        bound < f64::MAX / 4.0
    }

    /// As [`HistogramSum::counter_reset_collision`].
    pub(crate) fn counter_reset_collision(&self) -> bool {
        self.hints.reset && self.hints.no_reset
    }

    /// The average. Not compacted: the operator `avg` compacts it, `avg_over_time` does not.
    pub(crate) fn value(self) -> Histogram {
        let Self { total, count, mean, .. } = self;
        total.finish(|v| if mean { v.sum + v.lost } else { v.sum / count + v.lost / count })
    }
}
