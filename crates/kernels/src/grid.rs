//! Step grids, the windows they open on a column of timestamps, and blocks of results.

use std::sync::OnceLock;

use crate::rate::Extrapolations;
use crate::regression::{Intercept, Times, times_of_windows};

/// Evaluation times: `start`, `start + step`, … up to `end`. Any `offset` or `@` is already folded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First evaluation time in milliseconds.
    pub start: i64,
    /// Distance of evaluation times in milliseconds; positive.
    pub step: i64,
    /// The number of evaluation times; at least 1.
    pub steps: usize,
}

impl Grid {
    /// The grid with the single time `t`.
    #[must_use]
    pub fn instant(t: i64) -> Self {
        Self { start: t, step: 1, steps: 1 }
    }

    /// The grid from `start` to at most `end`; one step where `end` is before `start + step`.
    #[must_use]
    pub fn range(start: i64, end: i64, step: i64) -> Self {
        let step = step.max(1);
        let steps = usize::try_from((end - start) / step).unwrap_or(0) + 1;
        Self { start, step, steps }
    }

    /// The evaluation time of step `i`.
    #[inline]
    #[must_use]
    pub fn at(&self, i: usize) -> i64 {
        self.start + self.step * i64::try_from(i).expect("a grid is shorter than 2^63")
    }

    /// The last evaluation time.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.at(self.steps - 1)
    }

    /// The evaluation times.
    pub fn times(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.steps).map(|i| self.at(i))
    }
}

/// For each step, which samples of a column lie in `(t - range, t]`: found once per column of timestamps, used by
/// every series that shares it.
#[derive(Debug, Clone, Default)]
pub struct Windows {
    bounds: Vec<(u32, u32)>,
    /// Made for the first series that needs them.
    extrapolations: OnceLock<Extrapolations>,
    /// Of lines with their intercept at the first sample, and at the end.
    times: [OnceLock<Vec<Times>>; 2],
}

impl Windows {
    /// Finds the windows by one walk over `ts` (ascending, at most 2^32 long) and the grid.
    #[must_use]
    pub fn new(ts: &[i64], grid: &Grid, range_ms: i64) -> Self {
        let (mut lo, mut hi) = (0, 0);
        let mut bounds = Vec::with_capacity(grid.steps);
        for t in grid.times() {
            hi += ts[hi..].iter().take_while(|&&s| s <= t).count();
            let after = t.saturating_sub(range_ms);
            lo += ts[lo..hi].iter().take_while(|&&s| s <= after).count();
            bounds.push((index(lo), index(hi)));
        }
        Self { bounds, extrapolations: OnceLock::new(), times: Default::default() }
    }

    /// What rates need of the timestamps. Arguments as for [`Windows::new`].
    pub(crate) fn extrapolations(&self, ts: &[i64], grid: &Grid, range_ms: i64) -> &Extrapolations {
        self.extrapolations.get_or_init(|| Extrapolations::new(ts, self, grid, range_ms))
    }

    /// What lines need of the timestamps. Arguments as for [`Windows::new`].
    pub(crate) fn times(&self, ts: &[i64], grid: &Grid, intercept: Intercept) -> &[Times] {
        self.times[usize::from(intercept == Intercept::End)]
            .get_or_init(|| times_of_windows(ts, self, grid, intercept))
    }

    /// The half-open index range of each step's samples.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = std::ops::Range<usize>> + '_ {
        self.bounds.iter().map(|&(lo, hi)| lo as usize..hi as usize)
    }

    /// From the first window's first sample to the last window's last.
    pub(crate) fn extent(&self) -> std::ops::Range<usize> {
        let lo = self.bounds.first().map_or(0, |b| b.0 as usize);
        lo..self.bounds.last().map_or(lo, |b| b.1 as usize)
    }

    /// The number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bounds.len()
    }

    /// Whether there is no step.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bounds.is_empty()
    }
}

fn index(i: usize) -> u32 {
    u32::try_from(i).expect("a column holds fewer than 2^32 samples")
}

/// Results of many series on one grid: row `i` is series `i`. An absent cell's value is unspecified.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GridBlock {
    steps: usize,
    values: Vec<f64>,
    present: Vec<u64>,
}

impl GridBlock {
    /// A block of `rows` rows without any value.
    #[must_use]
    pub fn new(rows: usize, steps: usize) -> Self {
        Self { steps, values: vec![0.0; rows * steps], present: vec![0; rows * steps.div_ceil(64)] }
    }

    /// An empty block with room for `rows` rows.
    #[must_use]
    pub fn with_capacity(rows: usize, steps: usize) -> Self {
        Self {
            steps,
            values: Vec::with_capacity(rows * steps),
            present: Vec::with_capacity(rows * steps.div_ceil(64)),
        }
    }

    /// The number of steps of each row.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.steps).unwrap_or(0)
    }

    /// Appends an empty row and returns its index.
    pub fn push_row(&mut self) -> usize {
        let row = self.rows();
        self.values.resize(self.values.len() + self.steps, 0.0);
        self.present.resize(self.present.len() + self.steps.div_ceil(64), 0);
        row
    }

    /// Removes the last row.
    pub fn pop_row(&mut self) {
        if let Some(last) = self.rows().checked_sub(1) {
            self.values.truncate(last * self.steps);
            self.present.truncate(last * self.steps.div_ceil(64));
        }
    }

    /// Values and presence words of a row; step `i` is bit `i % 64` of word `i / 64`.
    #[must_use]
    pub fn row(&self, row: usize) -> (&[f64], &[u64]) {
        let words = self.steps.div_ceil(64);
        (&self.values[row * self.steps..][..self.steps], &self.present[row * words..][..words])
    }

    /// As [`GridBlock::row`], for writing.
    pub fn row_mut(&mut self, row: usize) -> (&mut [f64], &mut [u64]) {
        let words = self.steps.div_ceil(64);
        (&mut self.values[row * self.steps..][..self.steps], &mut self.present[row * words..][..words])
    }

    /// The value of a cell, if present.
    #[must_use]
    pub fn get(&self, row: usize, step: usize) -> Option<f64> {
        let (values, present) = self.row(row);
        bit(present, step).then(|| values[step])
    }

    /// Sets a cell.
    pub fn set(&mut self, row: usize, step: usize, value: f64) {
        let (values, present) = self.row_mut(row);
        values[step] = value;
        present[step / 64] |= 1 << (step % 64);
    }

    /// Values and presence words of all rows, one after the other: `steps` values and `steps.div_ceil(64)` words each.
    #[must_use]
    pub fn cells(&self) -> (&[f64], &[u64]) {
        (&self.values, &self.present)
    }

    /// As [`GridBlock::cells`], for writing. Bits past a row's last step must stay clear.
    pub fn cells_mut(&mut self) -> (&mut [f64], &mut [u64]) {
        (&mut self.values, &mut self.present)
    }

    /// Appends a row with these values and presence words, and returns its index.
    ///
    /// # Panics
    /// When the slices do not have a row's length.
    pub fn push(&mut self, values: &[f64], present: &[u64]) -> usize {
        assert!(values.len() == self.steps && present.len() == self.steps.div_ceil(64), "a row's length");
        let row = self.rows();
        self.values.extend_from_slice(values);
        self.present.extend_from_slice(present);
        row
    }

    /// Appends the rows of `other`.
    ///
    /// # Panics
    /// When the blocks have different numbers of steps.
    pub fn append(&mut self, other: Self) {
        assert!(self.steps == other.steps, "blocks on one grid");
        if self.values.is_empty() {
            *self = other;
            return;
        }
        self.values.extend_from_slice(&other.values);
        self.present.extend_from_slice(&other.present);
    }

    /// This block of one step with its values repeated on `steps` steps.
    ///
    /// # Panics
    /// When the block has more than one step.
    #[must_use]
    pub fn broadcast(&self, steps: usize) -> Self {
        assert!(self.steps == 1, "only one step can be repeated");
        let mut wide = Self::new(self.rows(), steps);
        for row in 0..self.rows() {
            if let Some(v) = self.get(row, 0) {
                let (values, present) = wide.row_mut(row);
                values.fill(v);
                present.fill(u64::MAX);
                mask_tail(present, steps);
            }
        }
        wide
    }

    /// Whether a row has no value at all.
    #[must_use]
    pub fn is_row_empty(&self, row: usize) -> bool {
        self.row(row).1.iter().all(|&w| w == 0)
    }
}

/// Clears the bits past the last of `steps` steps.
pub fn mask_tail(present: &mut [u64], steps: usize) {
    if let (Some(last), rest @ 1..) = (present.last_mut(), steps % 64) {
        *last &= (1 << rest) - 1;
    }
}

/// Whether bit `i` of a row's presence words is set.
#[inline]
#[must_use]
pub fn bit(present: &[u64], i: usize) -> bool {
    present[i / 64] >> (i % 64) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_left_open_and_right_closed() {
        let ts = [10, 20, 30, 40];
        let w = Windows::new(&ts, &Grid::range(5, 60, 15), 20);
        let got: Vec<_> = w.iter().collect();
        // t = 5, 20, 35, 50
        assert_eq!(got, [0..0, 0..2, 1..3, 3..4]);
    }

    #[test]
    fn blocks_hold_what_was_set() {
        let mut b = GridBlock::new(1, 70);
        b.push_row();
        b.set(1, 69, 2.5);
        assert_eq!((b.rows(), b.get(1, 69), b.get(1, 68), b.get(0, 69)), (2, Some(2.5), None, None));
        assert!(b.is_row_empty(0) && !b.is_row_empty(1));
        b.pop_row();
        assert_eq!(b.rows(), 1);
    }
}
