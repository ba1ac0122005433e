//! Compensated sums of many windows side by side: each window's own sum is one chain of operations that wait for each other, so
//! several chains at once take hardly longer than one.

use std::ops::Range;

use crate::eval::fill;
use crate::kahan::kahan_inc;
use crate::partial::Avg;
use crate::{Grid, Windows};

/// Windows at once.
const LANES: usize = 8;

/// Which of the two functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sum,
    Avg,
}

/// `sum_over_time` of one window.
pub(crate) fn sum(values: &[f64]) -> f64 {
    let (sum, c) = values.iter().fold((0.0, 0.0), |(sum, c), &v| kahan_inc(v, sum, c));
    sum + c
}

/// `avg_over_time` of one window.
pub(crate) fn avg(values: &[f64]) -> f64 {
    let mut avg = Avg::default();
    values.iter().for_each(|&v| avg.add(v));
    avg.value()
}

/// All windows of a column, with the bits of [`sum`] and [`avg`].
pub(crate) fn column(
    kind: Kind,
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    (out, present): (&mut [f64], &mut [u64]),
) {
    let mut ahead = windows.iter();
    let mut ready = [0.0; LANES];
    let mut used = LANES;
    let mut bounds: [Range<usize>; LANES] = Default::default();
    fill(windows, grid, out, present, |_, w| {
        if used == LANES {
            used = 0;
            bounds = std::array::from_fn(|_| ahead.next().unwrap_or_default());
            let len = bounds[0].len();
            if len > 1 && bounds.iter().all(|b| b.len() == len) {
                ready = lanes(kind, values, &bounds, len);
            } else {
                ready = std::array::from_fn(|i| one(kind, &values[bounds[i].clone()]));
            }
        }
        let value = ready[used];
        used += 1;
        (!w.is_empty()).then_some(value)
    });
}

fn one(kind: Kind, values: &[f64]) -> f64 {
    match kind {
        Kind::Sum => sum(values),
        Kind::Avg => avg(values),
    }
}

fn lanes(kind: Kind, values: &[f64], bounds: &[Range<usize>; LANES], len: usize) -> [f64; LANES] {
    let columns: [&[f64]; LANES] = std::array::from_fn(|lane| &values[bounds[lane].start..][..len]);
    // What the two start from differs in the sign of zero.
    let mut sums = [if kind == Kind::Sum { 0.0 } else { -0.0 }; LANES];
    let mut cs = [0.0; LANES];
    #[expect(clippy::needless_range_loop, reason = "the same place of several columns")]
    for i in 0..len {
        for lane in 0..LANES {
            (sums[lane], cs[lane]) = kahan_inc(columns[lane][i], sums[lane], cs[lane]);
        }
    }
    let count = len as f64;
    std::array::from_fn(|lane| match kind {
        Kind::Sum => sums[lane] + cs[lane],
        // Past the range of sums the mean is found in another way. An infinite sum never becomes finite again.
        Kind::Avg if !sums[lane].is_finite() => avg(columns[lane]),
        Kind::Avg => sums[lane] / count + cs[lane] / count,
    })
}
