//! Batches of points: what becomes of each sample, by table; exemplars; what a crash leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(missing_docs, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{CUSTOM_BUCKETS_SCHEMA, Exemplar, Histogram, LabelSet, Matcher, STALE_NAN, Span};
use storage::{
    ABSENT, ExemplarReader, PointAppender, RefusalKind, Refusals, RowAppender, SeriesPoints, StoreStatus,
    TimeRange,
};
use support::{NOW, dump, open, options, series};
use tsdb::{Store, StoreOptions};

use RefusalKind::{Duplicate, InvalidHistogram, OutOfBounds, OutOfOrder, TooOld};

fn points<'a>(labels: &'a LabelSet, floats: &'a [(i64, f64)]) -> SeriesPoints<'a> {
    SeriesPoints { key: None, labels, floats, histograms: &[], exemplars: &[] }
}

/// Appends plain samples of series 0, times from [`NOW`], and says what became of them.
fn append(store: &Store, key: Option<u128>, samples: &[(i64, f64)]) -> (usize, Option<RefusalKind>) {
    let labels = series(0);
    let floats: Vec<(i64, f64)> = samples.iter().map(|(t, v)| (NOW + t, *v)).collect();
    let points = SeriesPoints { key, ..points(&labels, &floats) };
    let report = store.append_points(&[points], Refusals::Skip).unwrap();
    let refused: usize = report.refused.iter().sum();
    assert_eq!(report.floats + refused, samples.len());
    assert_eq!(report.first.as_ref().map(|f| &f.labels), report.first.is_some().then_some(&labels));
    (report.floats, report.first.map(|f| f.kind))
}

#[test]
fn verdicts_by_window() {
    // What is there, then a batch, how many of it are taken with a window of 100 ms and with none, and the first refusal of each.
    type Case = (
        &'static [(i64, f64)],
        &'static [(i64, f64)],
        (usize, Option<RefusalKind>),
        (usize, Option<RefusalKind>),
    );
    let cases: &[Case] = &[
        (&[], &[(0, 1.0), (1, 2.0)], (2, None), (2, None)),
        (&[(0, 1.0)], &[(0, 1.0)], (1, None), (1, None)),
        (&[(0, 1.0)], &[(0, 2.0)], (0, Some(Duplicate)), (0, Some(Duplicate))),
        (&[(0, STALE_NAN)], &[(0, STALE_NAN)], (1, None), (1, None)),
        (&[(0, 0.0)], &[(0, -0.0)], (0, Some(Duplicate)), (0, Some(Duplicate))),
        (&[(10, 1.0)], &[(5, 1.0)], (1, None), (0, Some(OutOfOrder))),
        (&[(10, 1.0)], &[(-90, 1.0)], (1, None), (0, Some(OutOfOrder))),
        (&[(10, 1.0)], &[(-91, 1.0)], (0, Some(TooOld)), (0, Some(OutOfOrder))),
        // In any order within a batch.
        (&[(10, 1.0)], &[(30, 3.0), (20, 2.0)], (2, None), (2, None)),
        (&[(10, 1.0)], &[(30, 3.0), (5, 2.0), (30, 4.0)], (2, Some(Duplicate)), (1, Some(OutOfOrder))),
        // Late ones that are there: in the stream, late before, in the batch.
        (&[(5, 5.0), (10, 1.0)], &[(5, 5.0)], (1, None), (0, Some(OutOfOrder))),
        (&[(5, 5.0), (10, 1.0)], &[(5, 6.0)], (0, Some(Duplicate)), (0, Some(OutOfOrder))),
        (&[(10, 1.0), (5, 5.0)], &[(5, 5.0), (5, 6.0)], (1, Some(Duplicate)), (0, Some(OutOfOrder))),
        (&[(10, 1.0)], &[(5, 5.0), (5, 5.0), (5, 6.0)], (2, Some(Duplicate)), (0, Some(OutOfOrder))),
        (&[(0, 1.0)], &[(1000, 1.0), (1001, 1.0)], (1, Some(OutOfBounds)), (1, Some(OutOfBounds))),
        (&[], &[(-5001, 1.0), (-5000, 1.0)], (1, Some(OutOfBounds)), (1, Some(OutOfBounds))),
        (&[], &[(0, ABSENT)], (1, None), (1, None)),
    ];
    for (there, batch, with, without) in cases {
        for (window, expect) in [(100, with), (0, without)] {
            for key in [None, Some(7)] {
                let dir = tempfile::tempdir().unwrap();
                let options = StoreOptions {
                    out_of_order_window_ms: window,
                    max_future_ms: 1000,
                    retention_ms: Some(5000),
                    ..options()
                };
                let store = Store::open(dir.path(), options).unwrap();
                append(&store, key, there);
                assert_eq!(append(&store, key, batch), *expect, "{batch:?} onto {there:?}, window {window}");
                let before = dump(&store);
                drop(store);
                assert_eq!(dump(&open(dir.path())), before);
            }
        }
    }
}

#[test]
fn the_window_is_measured_against_the_whole_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreOptions { out_of_order_window_ms: 100, ..options() }).unwrap();
    append(&store, None, &[(0, 1.0)]);
    let other = series(1);
    store.append_points(&[points(&other, &[(NOW + 500, 1.0)])], Refusals::Skip).unwrap();
    assert_eq!(append(&store, None, &[(-1, 1.0)]), (0, Some(TooOld)));
    // Newer than its own newest is in order, however far behind others it is.
    assert_eq!(append(&store, None, &[(1, 1.0)]), (1, None));
}

#[test]
fn a_batch_with_a_refusal_is_written_wholly_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    append(&store, Some(1), &[(0, 1.0)]);
    let before = dump(&store);
    let (a, b) = (series(0), series(5));
    let (new, clash) = ([(NOW + 1, 1.0)], [(NOW, 9.0)]);
    let batch = [points(&b, &new), SeriesPoints { key: Some(1), ..points(&a, &clash) }];
    let report = store.append_points(&batch, Refusals::FailBatch).unwrap();
    assert_eq!((report.floats, report.refused[Duplicate as usize]), (1, 1));
    assert_eq!(dump(&store), before);
    assert_eq!(store.head_stats().num_series, 1);
    store.append_points(&batch, Refusals::Skip).unwrap();
    assert_eq!(dump(&store).len(), 2);
}

#[test]
fn a_clock_that_jumps_back_loses_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.open_group(&LabelSet::from_pairs([("job", "a")])).unwrap();
    store.define(id, &[series(0), series(1)]).unwrap();
    store.append_row(id, NOW + 100, &[1.0, 2.0]).unwrap();
    for k in 0..40 {
        store.append_row(id, NOW + k, &[k as f64, ABSENT]).unwrap();
        store.append_row(id, NOW + 101 + k, &[-(k as f64), 1.0]).unwrap();
    }
    let all = dump(&store);
    assert_eq!((all[&series(0)].len(), all[&series(1)].len()), (81, 41));
    assert_eq!(all[&series(0)][&(NOW + 7)], 7.0_f64.to_bits());
    store.maintain(NOW).unwrap();
    drop(store);
    assert_eq!(dump(&open(dir.path())), all);
}

fn histogram() -> Histogram {
    Histogram {
        schema: 1,
        zero_count: 1.0,
        count: 6.0,
        sum: 3.5,
        positive_spans: vec![Span { offset: -3, length: 1 }, Span { offset: 2, length: 1 }],
        positive_buckets: vec![2.0, 3.0],
        integer: true,
        ..Histogram::default()
    }
}

#[test]
fn histograms_are_validated_as_upstream_does() {
    let h = histogram;
    let custom = || Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_count: 0.0,
        count: 5.0,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        custom_values: vec![1.0],
        ..histogram()
    };
    let cases: Vec<(&str, Histogram, bool)> = vec![
        ("sound", h(), true),
        ("count too small", Histogram { count: 5.0, ..h() }, false),
        ("observations of NaN are in no bucket", Histogram { count: 9.0, sum: f64::NAN, ..h() }, true),
        ("fewer observations than in buckets", Histogram { count: 2.0, sum: f64::NAN, ..h() }, false),
        ("stale", Histogram { sum: STALE_NAN, ..Histogram::default() }, true),
        ("float counts need not add up", Histogram { count: 7.5, integer: false, ..h() }, true),
        ("schema 9", Histogram { schema: 9, ..h() }, false),
        ("schema -5", Histogram { schema: -5, ..h() }, false),
        ("buckets without spans", Histogram { positive_spans: vec![], ..h() }, false),
        (
            "negative offset",
            Histogram {
                positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: -1, length: 1 }],
                ..h()
            },
            false,
        ),
        ("negative bucket", Histogram { positive_buckets: vec![6.0, -1.0], ..h() }, false),
        ("custom values with another schema", Histogram { custom_values: vec![1.0], ..h() }, false),
        ("custom buckets", custom(), true),
        ("too few bounds", Histogram { custom_values: vec![], ..custom() }, false),
        ("bounds not ascending", Histogram { custom_values: vec![1.0, 1.0], ..custom() }, false),
        ("infinite bound", Histogram { custom_values: vec![f64::INFINITY], ..custom() }, false),
        ("zero bucket", Histogram { zero_count: 1.0, count: 6.0, ..custom() }, false),
    ];
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (i, (what, histogram, sound)) in (0_i64..).zip(cases) {
        let labels = series(0);
        let histograms = [(NOW + i, histogram)];
        let points = SeriesPoints { histograms: &histograms, ..points(&labels, &[]) };
        let report = store.append_points(&[points], Refusals::Skip).unwrap();
        assert_eq!(report.histograms == 1, sound, "{what}");
        assert_eq!(report.first.map(|f| f.kind), (!sound).then_some(InvalidHistogram), "{what}");
    }
}

fn exemplar(ts: i64, trace: &str) -> Exemplar {
    Exemplar { labels: LabelSet::from_pairs([("trace_id", trace)]), value: 1.0, ts: Some(NOW + ts) }
}

#[test]
fn exemplars_survive_a_crash_and_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let limited = || StoreOptions { max_exemplars: 5, ..options() };
    let mut store = Store::open(dir.path(), limited()).unwrap();
    let all = TimeRange { mint: i64::MIN, maxt: i64::MAX };
    let any = [vec![Matcher::equal("__name__", "m0")], vec![Matcher::equal("i", "1")]];
    let get = |store: &Arc<Store>, range| {
        let found = store.exemplars(&any, range).unwrap();
        found
            .into_iter()
            .map(|(l, e)| (l, e.into_iter().filter_map(|e| e.ts).map(|t| t - NOW).collect::<Vec<_>>()))
            .collect::<Vec<_>>()
    };
    let put = |store: &Store, s: usize, samples: &[(i64, f64)], exemplars: &[Exemplar]| {
        let labels = series(s);
        let points = SeriesPoints { key: Some(s as u128), exemplars, ..points(&labels, samples) };
        let report = store.append_points(&[points], Refusals::Skip).unwrap();
        (report.exemplars, report.refused_exemplars)
    };
    // A series without samples has no exemplars.
    assert_eq!(put(&store, 0, &[], &[exemplar(0, "a")]), (0, 1));
    assert_eq!(put(&store, 0, &[(NOW, 1.0)], &[exemplar(1, "b"), exemplar(0, "a")]), (2, 0));
    // The newest again; older ones.
    assert_eq!(put(&store, 0, &[], &[exemplar(1, "b")]), (1, 0));
    assert_eq!(put(&store, 0, &[], &[exemplar(0, "c"), exemplar(2, "d")]), (1, 1));
    assert_eq!(
        put(&store, 1, &[(NOW, 1.0)], &[exemplar(9, &"x".repeat(120)), exemplar(10, &"x".repeat(121))]),
        (1, 1)
    );
    let expect = vec![(series(0), vec![0, 1, 2]), (series(1), vec![9])];
    assert_eq!(get(&store, all), expect);
    assert_eq!(get(&store, TimeRange { mint: NOW + 1, maxt: NOW + 1 }), [(series(0), vec![1])]);
    for clean in [false, true, false] {
        if clean {
            store.close().unwrap();
        }
        drop(store);
        store = Store::open(dir.path(), limited()).unwrap();
        assert_eq!(get(&store, all), expect);
    }
    // The oldest of all give way.
    assert_eq!(put(&store, 1, &[], &[exemplar(20, "e"), exemplar(21, "f")]), (2, 0));
    assert_eq!(get(&store, all), [(series(0), vec![1, 2]), (series(1), vec![9, 20, 21])]);
}

#[test]
fn keys_find_their_series_in_any_order() {
    // The store guesses that series come in the order in which they came first; a wrong guess must cost nothing but time.
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let all: Vec<LabelSet> = (0..50).map(series).collect();
    let orders: [Vec<usize>; 6] = [
        (0..50).collect(),
        (0..50).rev().collect(),
        (0..50).map(|i| i * 7 % 50).collect(),
        (10..40).collect(),
        vec![3, 3, 4, 3],
        vec![49, 0, 48, 1],
    ];
    let mut expect: Vec<Vec<(i64, f64)>> = vec![vec![]; all.len()];
    for (round, order) in orders.iter().enumerate() {
        let floats: Vec<(i64, f64)> =
            (0..order.len()).map(|i| (NOW + (round * 100 + i) as i64, (round * 1000 + i) as f64)).collect();
        let batch: Vec<SeriesPoints<'_>> = order
            .iter()
            .zip(floats.chunks(1))
            .map(|(&s, floats)| SeriesPoints { key: Some(1000 + s as u128), ..points(&all[s], floats) })
            .collect();
        order.iter().zip(&floats).for_each(|(&s, f)| expect[s].push(*f));
        let report = store.append_points(&batch, Refusals::FailBatch).unwrap();
        assert_eq!(report.floats, order.len(), "{order:?}");
    }
    let stored = dump(&store);
    for (labels, samples) in all.iter().zip(&expect) {
        let bits: BTreeMap<i64, u64> = samples.iter().map(|(t, v)| (*t, v.to_bits())).collect();
        assert_eq!(stored[labels], bits, "{labels}");
    }
    drop(store);
    assert_eq!(dump(&open(dir.path())), stored);
}

#[test]
fn what_is_kept_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        dir.path(),
        StoreOptions { sync_interval_ms: 5000, out_of_order_window_ms: 100, ..options() },
    )
    .unwrap();
    append(&store, Some(7), &[(0, 1.0), (10, 2.0)]);
    assert!(!store.may_wait(), "memory is nearly empty and nothing is held");
    append(&store, Some(7), &[(5, 1.5), (6, 1.6), (10, 2.0)]);
    let labels = series(0);
    let exemplars = [exemplar(10, "a"), exemplar(11, "b")];
    let batch = [SeriesPoints { exemplars: &exemplars, ..points(&labels, &[]) }];
    store.append_points(&batch, Refusals::FailBatch).unwrap();
    let stats = store.stats();
    assert_eq!(stats.late_samples, [2, 0]);
    assert_eq!((stats.exemplars_appended, stats.exemplars.kept, stats.exemplars.series), (2, 2, 1));
    assert_eq!(stats.exemplars.oldest_ms, Some(NOW + 10));
    assert!(stats.loose_bytes > 0);
    drop(store);
    let store = Store::open(dir.path(), StoreOptions { sync_interval_ms: 0, ..options() }).unwrap();
    append(&store, Some(7), &[(20, 2.0)]);
    assert!(store.may_wait(), "each batch is synced");
}
