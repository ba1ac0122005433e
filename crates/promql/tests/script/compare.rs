//! Results against what a script expects of them: floats within a relative 1e-6, histograms bucket by bucket.

use std::collections::BTreeMap;

use model::{Histogram, LabelSet, Span, is_stale};
use promql::{Series, VectorSample};

use super::parse::Cell;

pub(crate) type Expected = [(LabelSet, Vec<Option<Cell>>)];

/// A sample of a result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'a> {
    Float(f64),
    Histogram(&'a Histogram),
}

impl Found<'_> {
    fn is(&self, want: &Cell) -> bool {
        match (self, want) {
            (Self::Float(v), Cell::Float(want)) => almost_equal(*v, *want),
            (Self::Histogram(h), Cell::Histogram { value, hint_given }) => {
                same_histogram(h, value, *hint_given)
            }
            _ => false,
        }
    }
}

/// The samples of an instant vector.
pub(crate) fn samples(vector: &[VectorSample]) -> Vec<(LabelSet, Found<'_>)> {
    vector.iter().map(|s| (s.labels.clone(), found(s.histogram.as_deref(), s.value))).collect()
}

fn found(histogram: Option<&Histogram>, value: f64) -> Found<'_> {
    histogram.map_or(Found::Float(value), Found::Histogram)
}

/// The samples of a matrix at one time.
pub(crate) fn samples_at(matrix: &[Series], t: i64) -> Vec<(LabelSet, Found<'_>)> {
    let at = |s| points(s).into_iter().find(|p| p.0 == t);
    matrix.iter().filter_map(|s| Some((s.labels.clone(), at(s)?.1))).collect()
}

/// All samples of a series in the order of their times.
fn points(series: &Series) -> Vec<(i64, Found<'_>)> {
    let mut all: Vec<_> = series.samples.iter().map(|(t, v)| (t, Found::Float(v))).collect();
    all.extend(series.histograms.iter().map(|(t, h)| (*t, Found::Histogram(h))));
    all.sort_by_key(|p| p.0);
    all
}

pub(crate) fn vector(
    got: &[(LabelSet, Found<'_>)],
    expected: &Expected,
    ordered: bool,
) -> Result<(), String> {
    let describe = |what: String| format!("{what}: {got:?}, wanted {expected:?}");
    if got.len() != expected.len() {
        return Err(describe(format!("{} series", got.len())));
    }
    for (i, (labels, cells)) in expected.iter().enumerate() {
        let found =
            if ordered { got.get(i).filter(|g| g.0 == *labels) } else { got.iter().find(|g| g.0 == *labels) };
        match (found, cells.as_slice()) {
            (Some((_, value)), [Some(want)]) if value.is(want) => {}
            _ => return Err(describe(format!("at {labels}"))),
        }
    }
    Ok(())
}

/// Compares at `start`, `start + step`, ….
pub(crate) fn matrix(got: &[Series], expected: &Expected, start: i64, step: i64) -> Result<(), String> {
    let describe = |what: String| format!("{what}: {got:?}, wanted {expected:?}");
    if got.windows(2).any(|w| w[0].labels >= w[1].labels) {
        return Err(describe("not sorted by labels".to_owned()));
    }
    if got.len() != expected.len() {
        return Err(describe(format!("{} series", got.len())));
    }
    for (labels, cells) in expected {
        let points = got.iter().find(|s| s.labels == *labels).map(points).unwrap_or_default();
        let want: Vec<_> =
            cells.iter().zip(0_i64..).filter_map(|(c, i)| Some((start + step * i, c.as_ref()?))).collect();
        let same = want.len() == points.len()
            && want.iter().zip(&points).all(|((wt, want), (t, value))| wt == t && value.is(want));
        if !same {
            return Err(describe(format!("at {labels}")));
        }
    }
    Ok(())
}

/// A NaN equals a NaN, but not a staleness marker.
pub(crate) fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (diff, sum) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < 1e-6 * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < 1e-6
}

/// Whether both have the same buckets but for empty ones, and almost the same counts in them.
fn same_histogram(got: &Histogram, want: &Histogram, with_hint: bool) -> bool {
    let same_buckets = |a: &BTreeMap<i32, f64>, b: &BTreeMap<i32, f64>| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && almost_equal(*a.1, *b.1))
    };
    let positive = |h: &Histogram| filled(&h.positive_spans, &h.positive_buckets);
    let negative = |h: &Histogram| filled(&h.negative_spans, &h.negative_buckets);
    got.schema == want.schema
        && almost_equal(got.count, want.count)
        && almost_equal(got.sum, want.sum)
        && got.zero_threshold == want.zero_threshold
        && almost_equal(got.zero_count, want.zero_count)
        && got.custom_values == want.custom_values
        && same_buckets(&positive(got), &positive(want))
        && same_buckets(&negative(got), &negative(want))
        && (!with_hint || got.reset_hint == want.reset_hint)
}

/// The buckets that are not empty, by index.
fn filled(spans: &[Span], counts: &[f64]) -> BTreeMap<i32, f64> {
    let mut out = BTreeMap::new();
    let (mut index, mut counts) = (0, counts.iter());
    for span in spans {
        index += span.offset;
        for _ in 0..span.length {
            out.extend(counts.next().filter(|c| **c != 0.0).map(|c| (index, *c)));
            index += 1;
        }
    }
    out
}
