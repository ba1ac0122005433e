//! One side of a histogram: counts in spans, and what is done with them whatever they stand for.
//!
//! A count is a [`Cell`]: a plain number, or one with what rounding lost of it, so that single additions and long sums share
//! every loop.

use kernels::kahan_inc;
use model::Span;

use super::bounds::{exponential, is_custom, reduced_index};
use super::buckets::Indexed;

/// A count that can be added to.
pub(super) trait Cell: Copy {
    fn of(count: f64) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, factor: f64) -> Self;
    fn over(self, divisor: f64) -> Self;
    /// The number without what was lost.
    fn count(self) -> f64;
    fn is_zero(self) -> bool;
}

impl Cell for f64 {
    fn of(count: f64) -> Self {
        count
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn times(self, factor: f64) -> Self {
        self * factor
    }
    fn over(self, divisor: f64) -> Self {
        self / divisor
    }
    fn count(self) -> f64 {
        self
    }
    fn is_zero(self) -> bool {
        self == 0.0
    }
}

/// A sum and what rounding lost of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Kahan {
    pub(super) sum: f64,
    pub(super) lost: f64,
}

impl Cell for Kahan {
    fn of(count: f64) -> Self {
        Self { sum: count, lost: 0.0 }
    }
    fn plus(self, other: Self) -> Self {
        let (mut sum, mut lost) = kahan_inc(other.sum, self.sum, self.lost);
        if other.lost != 0.0 {
            (sum, lost) = kahan_inc(other.lost, sum, lost);
        }
        Self { sum, lost }
    }
    fn times(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
    fn over(self, divisor: f64) -> Self {
        Self { sum: self.sum / divisor, lost: self.lost / divisor }
    }
    fn count(self) -> f64 {
        self.sum
    }
    fn is_zero(self) -> bool {
        self.sum == 0.0 && self.lost == 0.0
    }
}

/// The buckets of one side.
#[derive(Debug, Clone)]
pub(super) struct Runs<C> {
    pub(super) spans: Vec<Span>,
    pub(super) cells: Vec<C>,
}

impl<C> Default for Runs<C> {
    fn default() -> Self {
        Self { spans: Vec::new(), cells: Vec::new() }
    }
}

impl<C: Cell> Runs<C> {
    pub(super) fn iter(&self) -> Indexed<'_, C> {
        Indexed::new(&self.spans, &self.cells)
    }

    /// All of `buckets`, ascending, in as few spans as they need.
    pub(super) fn collect(buckets: impl Iterator<Item = (i32, C)>) -> Self {
        let mut runs = Self::default();
        runs.cells.reserve(buckets.size_hint().0);
        let mut next = 0i32;
        for (index, cell) in buckets {
            match runs.spans.last_mut() {
                Some(span) if index == next => span.length += 1,
                Some(_) => runs.spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
                None => runs.spans.push(Span { offset: index, length: 1 }),
            }
            runs.cells.push(cell);
            next = index.wrapping_add(1);
        }
        runs
    }

    /// Adds `other`'s buckets, but for those wholly within a zero bucket of this width; those only one side has are taken
    /// over.
    pub(super) fn add(&mut self, other: &Self, threshold: f64, schema: i32) {
        let mut right = other.iter().peekable();
        let mut skipped = false;
        if !is_custom(schema) {
            while right.next_if(|&(i, _)| exponential(i, schema) <= threshold).is_some() {
                skipped = true;
            }
        }
        if !skipped && self.spans == other.spans {
            for (cell, (_, more)) in self.cells.iter_mut().zip(right) {
                *cell = cell.plus(more);
            }
            return;
        }
        *self = Self::collect(Union { left: self.iter().peekable(), right });
    }

    /// The same observations in the buckets of the coarser schema `target`.
    pub(super) fn reduced(buckets: Indexed<'_, C>, origin: i32, target: i32) -> Self {
        Self::collect(Reduced { buckets: buckets.peekable(), origin, target })
    }

    /// Empties the buckets that begin below the zero threshold (they are in the zero bucket) and drops all empty ones.
    pub(super) fn empty_below(&mut self, threshold: f64, schema: i32) {
        let below =
            self.iter().take_while(|&(i, _)| exponential(i.wrapping_sub(1), schema) < threshold).count();
        self.cells[..below].fill(C::of(0.0));
        self.compact(0);
    }

    /// Without empty buckets, but for gaps of at most `max_empty` between two others, which are filled.
    pub(super) fn compact(&mut self, max_empty: usize) {
        let max_empty = i64::try_from(max_empty).unwrap_or(i64::MAX);
        let close = self.spans.iter().skip(1).any(|s| i64::from(s.offset) <= max_empty);
        if !close && self.spans.iter().all(|s| s.length > 0) && !self.cells.iter().any(|c| c.is_zero()) {
            return;
        }
        let mut last = None;
        let mut filled = Vec::new();
        for (index, cell) in self.iter().filter(|(_, c)| !c.is_zero()) {
            if let Some(last) = last {
                let last: i32 = last;
                let gap = i64::from(index) - i64::from(last) - 1;
                if gap > 0 && gap <= max_empty {
                    filled.extend((last + 1..index).map(|i| (i, C::of(0.0))));
                }
            }
            filled.push((index, cell));
            last = Some(index);
        }
        *self = Self::collect(filled.into_iter());
    }
}

/// Two ascending lists of buckets as one.
struct Union<'a, C: Copy> {
    left: std::iter::Peekable<Indexed<'a, C>>,
    right: std::iter::Peekable<Indexed<'a, C>>,
}

impl<C: Cell> Iterator for Union<'_, C> {
    type Item = (i32, C);

    fn next(&mut self) -> Option<(i32, C)> {
        let Some(&(right, _)) = self.right.peek() else { return self.left.next() };
        match self.left.peek() {
            Some(&(left, _)) if left < right => self.left.next(),
            Some(&(left, _)) if left == right => {
                let (left, right) = (self.left.next()?, self.right.next()?);
                Some((left.0, left.1.plus(right.1)))
            }
            _ => self.right.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left.size_hint().0.max(self.right.size_hint().0), None)
    }
}

/// Neighbours that fall into one bucket of a coarser schema, added up.
pub(super) struct Reduced<'a, C: Copy> {
    pub(super) buckets: std::iter::Peekable<Indexed<'a, C>>,
    pub(super) origin: i32,
    pub(super) target: i32,
}

impl<C: Cell> Iterator for Reduced<'_, C> {
    type Item = (i32, C);

    fn next(&mut self) -> Option<(i32, C)> {
        let (index, mut cell) = self.buckets.next()?;
        let target = reduced_index(index, self.origin, self.target);
        let same = |&(i, _): &(i32, C)| reduced_index(i, self.origin, self.target) == target;
        while let Some((_, more)) = self.buckets.next_if(same) {
            cell = cell.plus(more);
        }
        Some((target, cell))
    }
}
