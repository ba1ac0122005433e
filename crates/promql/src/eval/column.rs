//! A series' samples as columns: what raw leaves and the rows of subqueries are to functions of ranges.

use std::sync::Arc;

use kernels::Grid;
use model::{Histogram, LabelSet, ResetHint};
use storage::{ABSENT, RawBlock};

use super::block::Block;
use crate::error::QueryError;
use crate::histogram::{Sample, detect_reset, to_float};
use crate::plan::Detail;
use crate::value::Series;

/// A series' samples, ascending in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    pub(crate) ts: &'a [i64],
    /// One per timestamp; of no meaning where the sample is a histogram.
    pub(crate) values: &'a [f64],
    /// By index in `ts`, ascending.
    pub(crate) histograms: &'a [(usize, Arc<Histogram>)],
    /// Start timestamps, 0 where unknown: one per sample, or none at all.
    pub(crate) starts: &'a [i64],
}

/// Takes a series' samples.
pub(crate) type TakeSeries<'a> = dyn FnMut(&LabelSet, Column<'_>) -> Result<(), QueryError> + 'a;

impl Column<'_> {
    /// Times and samples, for functions of windows that have both kinds.
    pub(crate) fn samples(self) -> Vec<(i64, Sample)> {
        let mut histograms = self.histograms.iter().peekable();
        let sample = |(i, (t, v)): (usize, (&i64, &f64))| {
            let histogram = histograms.next_if(|(at, _)| *at == i);
            (*t, histogram.map_or(Sample::Float(*v), |(_, h)| Sample::Histogram(Arc::clone(h))))
        };
        self.ts.iter().zip(self.values).enumerate().map(sample).collect()
    }

    /// Whether no sample of a window is a histogram.
    pub(crate) fn floats_only(self, window: &std::ops::Range<usize>) -> bool {
        let first = self.histograms.partition_point(|(i, _)| *i < window.start);
        self.histograms.get(first).is_none_or(|(i, _)| *i >= window.end)
    }

    /// The samples as they are returned to users.
    pub(crate) fn to_series(self, labels: LabelSet) -> Series {
        let mut histograms = self.histograms.iter().peekable();
        let (mut floats, mut all) = (Vec::with_capacity(self.ts.len()), Vec::new());
        for (i, (&t, &v)) in self.ts.iter().zip(self.values).enumerate() {
            match histograms.next_if(|(at, _)| *at == i) {
                Some((_, h)) => all.push((t, Arc::clone(h))),
                None => floats.push((t, v)),
            }
        }
        Series { labels, samples: floats.into(), histograms: all }
    }
}

/// A column that owns its samples; kept from series to series.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) ts: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) histograms: Vec<(usize, Arc<Histogram>)>,
}

impl Samples {
    pub(crate) fn column(&self) -> Column<'_> {
        // A subquery's samples are computed, so what they count has no start.
        Column { ts: &self.ts, values: &self.values, histograms: &self.histograms, starts: &[] }
    }

    /// Takes what is known of resets off the histograms, but for gauges: it is about neighbours in the store, not about those
    /// that a subquery has.
    pub(crate) fn forget_resets(&mut self) {
        for (_, h) in &mut self.histograms {
            if matches!(h.reset_hint, ResetHint::Reset | ResetHint::NoReset) {
                Arc::make_mut(h).reset_hint = ResetHint::Unknown;
            }
        }
    }

    /// Takes in a row of a subquery's inside.
    pub(crate) fn read_row(&mut self, block: &Block, row: usize, grid: &Grid) {
        self.ts.clear();
        self.values.clear();
        self.histograms.clear();
        let (cells, present) = block.cells.row(row);
        let mut histograms = block.histograms_of(row).iter().peekable();
        for (i, v) in cells.iter().enumerate() {
            if let Some((_, h)) = histograms.next_if(|(step, _)| *step == i) {
                self.histograms.push((self.ts.len(), Arc::clone(h)));
                self.ts.push(grid.at(i));
                self.values.push(ABSENT);
            } else if kernels::bit(present, i) {
                self.ts.push(grid.at(i));
                self.values.push(*v);
            }
        }
    }
}

/// Hands on the series of a raw batch, one after the other; what it has of histograms becomes what queries see of them.
pub(crate) fn each_series(
    labels: &[LabelSet],
    raw: &RawBlock,
    detail: Detail,
    take: &mut TakeSeries<'_>,
) -> Result<(), QueryError> {
    let RawBlock { offsets, ts, values, histograms, starts } = raw;
    let mut own = Vec::new();
    let mut left = &histograms[..];
    for (labels, o) in labels.iter().zip(offsets.windows(2)) {
        let here = left.partition_point(|(i, _)| *i < o[1]);
        own.clear();
        own.extend(left[..here].iter().map(|(i, h)| (i - o[0], float(h))));
        if detail == Detail::Statistics {
            reduce_to_statistics(&mut own);
        }
        left = &left[here..];
        let (ts, values) = (&ts[o[0]..o[1]], &values[o[0]..o[1]]);
        let starts = starts.get(o[0]..o[1]).unwrap_or_default();
        take(labels, Column { ts, values, histograms: &own, starts })?;
    }
    Ok(())
}

fn float(h: &Arc<Histogram>) -> Arc<Histogram> {
    if h.integer || h.schema > 8 { Arc::new(to_float((**h).clone())) } else { Arc::clone(h) }
}

/// Leaves schema, count, sum, and the hint: that of the store or, where it has none, what comparing with the histogram before
/// yields.
fn reduce_to_statistics(histograms: &mut [(usize, Arc<Histogram>)]) {
    let mut last: Option<Arc<Histogram>> = None;
    for (_, h) in histograms {
        let mut reset_hint = h.reset_hint;
        if !h.is_stale() {
            if let (ResetHint::Unknown, Some(last)) = (reset_hint, &last) {
                reset_hint = if detect_reset(h, last) { ResetHint::Reset } else { ResetHint::NoReset };
            }
            last = Some(Arc::clone(h));
        }
        let Histogram { schema, count, sum, .. } = **h;
        *h = Arc::new(Histogram { schema, count, sum, reset_hint, ..Histogram::default() });
    }
}
