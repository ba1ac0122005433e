//! A histogram taken apart for arithmetic, and the addition of another one to it.

use model::{Histogram, ResetHint};

use super::HistogramError;
use super::bounds::{bound, exponential, is_custom};
use super::buckets::Indexed;
use super::runs::{Cell, Reduced, Runs};

/// What adding or subtracting had to reconcile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reconciled {
    /// One side said there was a reset, the other that there was none; the result's hint is unknown.
    pub(crate) counter_reset_collision: bool,
    /// Custom bounds differed; the result has those common to both.
    pub(crate) bounds_reconciled: bool,
}

/// A histogram whose counts are plain numbers or compensated sums.
#[derive(Debug, Clone)]
pub(super) struct Terms<C> {
    schema: i32,
    zero_threshold: f64,
    zero_count: C,
    count: C,
    sum: C,
    positive: Runs<C>,
    negative: Runs<C>,
    custom_values: Vec<f64>,
    reset_hint: ResetHint,
}

impl Terms<f64> {
    /// Takes a histogram's fields; [`Self::put`] gives them back.
    pub(super) fn take(h: &mut Histogram) -> Self {
        Self {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: h.zero_count,
            count: h.count,
            sum: h.sum,
            positive: Runs {
                spans: std::mem::take(&mut h.positive_spans),
                cells: std::mem::take(&mut h.positive_buckets),
            },
            negative: Runs {
                spans: std::mem::take(&mut h.negative_spans),
                cells: std::mem::take(&mut h.negative_buckets),
            },
            custom_values: std::mem::take(&mut h.custom_values),
            reset_hint: h.reset_hint,
        }
    }

    pub(super) fn put(self, h: &mut Histogram) {
        *h = self.into_histogram();
    }

    fn into_histogram(self) -> Histogram {
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            positive_buckets: self.positive.cells,
            negative_buckets: self.negative.cells,
            custom_values: self.custom_values,
            reset_hint: self.reset_hint,
            integer: false,
        }
    }
}

impl<C: Cell> Terms<C> {
    /// `h` with every count multiplied by `sign`.
    pub(super) fn of(h: &Histogram, sign: f64) -> Self {
        let cells = |counts: &[f64]| counts.iter().map(|&v| C::of(v * sign)).collect();
        Self {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: C::of(h.zero_count * sign),
            count: C::of(h.count * sign),
            sum: C::of(h.sum * sign),
            positive: Runs { spans: h.positive_spans.clone(), cells: cells(&h.positive_buckets) },
            negative: Runs { spans: h.negative_spans.clone(), cells: cells(&h.negative_buckets) },
            custom_values: h.custom_values.clone(),
            reset_hint: h.reset_hint,
        }
    }

    /// The histogram, each count made a number by `number`.
    pub(super) fn finish(self, number: impl Fn(C) -> f64) -> Histogram {
        let numbers =
            |runs: Runs<C>| Runs { spans: runs.spans, cells: runs.cells.into_iter().map(&number).collect() };
        Terms {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: number(self.zero_count),
            count: number(self.count),
            sum: number(self.sum),
            positive: numbers(self.positive),
            negative: numbers(self.negative),
            custom_values: self.custom_values,
            reset_hint: self.reset_hint,
        }
        .into_histogram()
    }

    /// Changes every count.
    pub(super) fn each(&mut self, change: impl Fn(C) -> C) {
        let fields = [&mut self.zero_count, &mut self.count, &mut self.sum].into_iter();
        for cell in fields.chain(&mut self.positive.cells).chain(&mut self.negative.cells) {
            *cell = change(*cell);
        }
    }

    /// Every count, and the bounds of custom buckets.
    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        let cells = self.positive.cells.iter().chain(&self.negative.cells);
        let fields = [self.zero_count, self.count, self.sum].into_iter();
        fields.chain(cells.copied()).map(Cell::count).chain(self.custom_values.iter().copied())
    }

    /// Adds `h` with every count multiplied by `sign`; see [`Self::add`].
    pub(super) fn add_histogram(&mut self, h: &Histogram, sign: f64) -> Result<Reconciled, HistogramError> {
        if !self.is_laid_out_as(h) {
            return self.add(Self::of(h, sign));
        }
        let counter_reset_collision = self.combine_hints(h.reset_hint);
        let plus = |cell: &mut C, count: f64| *cell = cell.plus(C::of(count * sign));
        plus(&mut self.zero_count, h.zero_count);
        plus(&mut self.count, h.count);
        plus(&mut self.sum, h.sum);
        self.positive.cells.iter_mut().zip(&h.positive_buckets).for_each(|(c, &v)| plus(c, v));
        self.negative.cells.iter_mut().zip(&h.negative_buckets).for_each(|(c, &v)| plus(c, v));
        Ok(Reconciled { counter_reset_collision, bounds_reconciled: false })
    }

    /// Whether `h` has the same buckets, and none below the zero threshold, which are not added.
    fn is_laid_out_as(&self, h: &Histogram) -> bool {
        let sides = [(&self.positive, &h.positive_spans), (&self.negative, &h.negative_spans)];
        let clear = |s: &model::Span| exponential(s.offset, h.schema) > h.zero_threshold;
        self.schema == h.schema
            && self.zero_threshold == h.zero_threshold
            && self.custom_values == h.custom_values
            && sides.iter().all(|(runs, spans)| &&runs.spans == spans)
            && (is_custom(h.schema) || sides.iter().all(|(_, spans)| spans.first().is_none_or(clear)))
    }

    /// Adds `other`, whose counts are already negative where it is to be subtracted. Untouched on error.
    ///
    /// The result has the coarser schema, a zero bucket wide enough for both, the custom bounds both have.
    pub(super) fn add(&mut self, mut other: Self) -> Result<Reconciled, HistogramError> {
        if is_custom(self.schema) != is_custom(other.schema) {
            return Err(HistogramError::IncompatibleSchema);
        }
        let counter_reset_collision = self.combine_hints(other.reset_hint);
        let mut reconciled = Reconciled { counter_reset_collision, bounds_reconciled: false };
        self.count = self.count.plus(other.count);
        self.sum = self.sum.plus(other.sum);
        if is_custom(self.schema) {
            if self.custom_values == other.custom_values {
                self.positive.add(&other.positive, 0.0, self.schema);
            } else {
                reconciled.bounds_reconciled = true;
                self.add_common_bounds(&other);
            }
            return Ok(reconciled);
        }
        self.widen_zero_buckets(&mut other);
        self.zero_count = self.zero_count.plus(other.zero_count);
        let schema = self.schema.min(other.schema);
        self.reduce(schema);
        other.reduce(schema);
        self.positive.add(&other.positive, self.zero_threshold, schema);
        self.negative.add(&other.negative, self.zero_threshold, schema);
        Ok(reconciled)
    }

    /// Goes over to a coarser exponential schema.
    pub(super) fn reduce(&mut self, schema: i32) {
        if self.schema != schema {
            for side in [&mut self.positive, &mut self.negative] {
                *side = Runs::reduced(side.iter(), self.schema, schema);
            }
            self.schema = schema;
        }
    }

    /// See [`super::compact`].
    pub(super) fn compact(&mut self, max_empty: usize) {
        self.positive.compact(max_empty);
        self.negative.compact(max_empty);
    }

    /// A gauge makes the result a gauge, something unknown makes it unknown; a reset and none do not go together.
    fn combine_hints(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        let hint = self.reset_hint;
        let collision = hint != other && [hint, other].iter().all(|h| !matches!(h, Gauge | Unknown));
        if hint != other && hint != Gauge {
            self.reset_hint = if other == Gauge { Gauge } else { Unknown };
        }
        collision
    }

    /// Widens the zero buckets to one that ends within no populated bucket of either side.
    ///
    /// Buckets of `self` that it swallows are emptied; those of `other` are left for [`Runs::add`] to skip.
    fn widen_zero_buckets(&mut self, other: &mut Self) {
        let (mut threshold, mut zero_count) = (other.zero_threshold, other.zero_count);
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (zero_count, threshold) = other.zero_count_within(self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                (self.zero_count, self.zero_threshold) = self.zero_count_within(threshold);
                self.positive.empty_below(self.zero_threshold, self.schema);
                self.negative.empty_below(self.zero_threshold, self.schema);
            } else if threshold != self.zero_threshold {
                // Not comparable: a width that is no number.
                break;
            }
        }
        other.zero_count = zero_count;
    }

    /// The zero count a wider zero bucket would have, and the width it needs so as not to end within a populated bucket.
    fn zero_count_within(&self, threshold: f64) -> (C, f64) {
        let sides = [self.positive.iter(), self.negative.iter()];
        zero_count_within(self.zero_count, threshold, self.zero_threshold, &sides, self.schema)
    }

    /// Adds custom buckets where bounds differ: to the buckets between the bounds both have.
    fn add_common_bounds(&mut self, other: &Self) {
        let common = common_bounds(&self.custom_values, &other.custom_values);
        let mut target: Vec<Option<C>> = vec![None; common.len() + 1];
        for h in [&*self, other] {
            for (index, cell) in h.positive.iter() {
                let upper = bound(index, h.schema, &h.custom_values);
                let at = common.partition_point(|&c| c < upper);
                target[at] = Some(target[at].map_or(cell, |t| t.plus(cell)));
            }
        }
        let filled = target.into_iter().zip(0..).filter_map(|(cell, i)| Some((i, cell?)));
        self.positive = Runs::collect(filled.filter(|(_, cell)| !cell.is_zero()));
        self.custom_values = common;
    }
}

/// See [`Terms::zero_count_within`]; `sides` go from zero outwards.
pub(super) fn zero_count_within<C: Cell>(
    zero_count: C,
    mut threshold: f64,
    own_threshold: f64,
    sides: &[Indexed<'_, C>; 2],
    schema: i32,
) -> (C, f64) {
    if threshold == own_threshold {
        return (zero_count, threshold);
    }
    // A populated bucket that the width cuts widens it, which may let it cut one of the other side: once more then.
    loop {
        let before = threshold;
        let mut total = zero_count;
        for side in sides {
            for (index, cell) in side.clone() {
                if exponential(index.wrapping_sub(1), schema) >= threshold {
                    break;
                }
                total = total.plus(cell);
                let upper = exponential(index, schema);
                if upper > threshold {
                    if cell.count() != 0.0 {
                        threshold = upper;
                    }
                    break;
                }
            }
        }
        if threshold == before || threshold.is_nan() {
            return (total, threshold);
        }
    }
}

/// The bounds in both ascending lists.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut rest = b.iter().peekable();
    a.iter()
        .copied()
        .filter(|bound| {
            while rest.next_if(|r| **r < *bound).is_some() {}
            rest.next_if(|r| **r == *bound).is_some()
        })
        .collect()
}

/// The buckets of a side as the coarser schema `target` has them.
pub(super) fn as_schema<'a>(
    buckets: Indexed<'a, f64>,
    origin: i32,
    target: i32,
) -> impl Iterator<Item = (i32, f64)> + 'a {
    Reduced { buckets: buckets.peekable(), origin, target }
}
