//! What queries get of series with native histograms: raw samples in the place of a grid row, in the order of the series.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(missing_docs, reason = "a test")]

mod support;

use kernels::{Grid, RangeFn};
use model::{Histogram, LabelSet, Matcher, STALE_NAN, Span};
use storage::{
    LeafBatch, LeafData, LeafExecutor, LeafOp, LeafRequest, PointAppender, QueryContext, Refusals,
    SeriesPoints,
};
use support::{NOW, open};
use tsdb::Store;

fn histogram(n: f64) -> Histogram {
    Histogram {
        count: n,
        sum: n,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![n],
        integer: true,
        ..Histogram::default()
    }
}

fn stale() -> Histogram {
    Histogram { sum: STALE_NAN, integer: true, ..Histogram::default() }
}

fn fill(store: &Store) -> [LabelSet; 4] {
    let sets = ["a", "b", "c", "d"].map(|i| LabelSet::from_pairs([("__name__", "m"), ("i", i)]));
    let floats: Vec<(i64, f64)> = (0..5).map(|t| (NOW + t, t as f64)).collect();
    let histograms: Vec<(i64, Histogram)> =
        (5..8).map(|t| (NOW + t, histogram(t as f64))).chain([(NOW + 8, stale())]).collect();
    let points = |i: usize, with_floats: bool, with_histograms: bool| SeriesPoints {
        key: None,
        labels: &sets[i],
        floats: if with_floats { &floats } else { &[] },
        histograms: if with_histograms { &histograms } else { &[] },
        exemplars: &[],
    };
    let batch =
        [points(0, true, false), points(1, false, true), points(2, true, true), points(3, true, false)];
    let report = store.append_points(&batch, Refusals::Skip).unwrap();
    assert_eq!((report.floats, report.histograms), (15, 8));
    sets
}

/// The series with how each is delivered: in a grid, or raw with so many floats and histograms.
fn ask(store: &Store, op: LeafOp, maxt: i64) -> Vec<(LabelSet, Option<(usize, usize)>)> {
    let request = LeafRequest {
        matchers: vec![Matcher::equal("__name__", "m")],
        op,
        range_ms: 100,
        grid: Grid::instant(maxt),
    };
    let mut found = vec![];
    let mut sink = |batch: LeafBatch| {
        for (i, labels) in batch.labels.into_iter().enumerate() {
            found.push((
                labels,
                match &batch.data {
                    LeafData::Grid(_) => None,
                    LeafData::Raw(raw) => {
                        let samples = raw.offsets[i]..raw.offsets[i + 1];
                        assert!(raw.ts[samples.clone()].is_sorted_by(|a, b| a < b), "ascending");
                        let histograms = raw.histograms.iter().filter(|(at, _)| samples.contains(at)).count();
                        Some((samples.len() - histograms, histograms))
                    }
                },
            ));
        }
        Ok(())
    };
    store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
    found
}

#[test]
fn series_with_histograms_come_raw() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let sets = fill(&store);
    let with = |kinds: [Option<(usize, usize)>; 4]| sets.iter().cloned().zip(kinds).collect::<Vec<_>>();
    let check = |store: &Store| {
        let last = LeafOp::Range(RangeFn::Last);
        assert_eq!(ask(store, last, NOW + 9), with([None, Some((0, 4)), Some((5, 4)), None]));
        let rate = LeafOp::Range(RangeFn::Rate);
        assert_eq!(ask(store, rate, NOW + 9), with([None, Some((0, 3)), Some((5, 3)), None]));
        let raw = with([Some((5, 0)), Some((0, 3)), Some((5, 3)), Some((5, 0))]);
        assert_eq!(ask(store, LeafOp::Select, NOW + 9), raw);
        // Only histograms in the request's range count.
        let early: Vec<_> = ask(store, last, NOW + 4);
        assert_eq!(early, [0, 2, 3].map(|i| (sets[i].clone(), None)));
    };
    check(&store);
    drop(store);
    check(&open(dir.path()));
}
