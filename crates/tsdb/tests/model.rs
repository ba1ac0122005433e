//! The store against a model, over random sequences of everything that can be done to it.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use kernels::{Grid, RangeFn};
use model::{LabelSet, Matcher, STALE_NAN};
use proptest::prelude::*;
use storage::{
    ABSENT, ErrorKind, LeafBatch, LeafData, LeafExecutor, LeafOp, LeafRequest, MetaRequest, QueryContext,
    RowAppender, SampleAppender, SeriesSample, StoreStatus, TimeRange, is_absent,
};
use support::{Model, NOW, dump, dump_range, open, series};
use tsdb::Store;

#[derive(Debug, Clone)]
enum Step {
    Define(usize, Vec<usize>),
    Row(usize, i64, Vec<f64>),
    Loose(Vec<(usize, i64, f64)>),
    Close(usize),
    Maintain,
    /// Without a clean end.
    Reopen,
    CloseAndReopen,
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0_i64..1000).prop_map(|i| i as f64),
        2 => (0_i64..1000).prop_map(|i| i as f64 / 100.0),
        2 => Just(ABSENT),
        1 => Just(STALE_NAN),
        1 => any::<f64>().prop_filter("the mark is no value", |v| !is_absent(*v)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_usize, proptest::collection::vec(0..12_usize, 1..6)).prop_map(|(g, s)| Step::Define(g, s)),
        20 => (0..3_usize, 1..40_i64, proptest::collection::vec(value(), 0..8)).prop_map(|(g, t, v)| Step::Row(g, t, v)),
        6 => proptest::collection::vec((0..14_usize, -5..60_i64, value().prop_filter("a sample", |v| !is_absent(*v))), 1..12).prop_map(Step::Loose),
        1 => (0..3_usize).prop_map(Step::Close),
        3 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
        1 => Just(Step::CloseAndReopen),
    ]
}

type Rows = Vec<(i64, Vec<f64>)>;

/// What has to be in the store.
#[derive(Debug, Default)]
struct Expect {
    /// Series of the slots, last time, rows.
    groups: BTreeMap<usize, (Vec<usize>, i64, Rows)>,
    loose: BTreeMap<usize, BTreeMap<i64, f64>>,
}

impl Expect {
    /// Merged as the store does: places in the order series came to them; here only times that do not clash are made.
    fn model(&self) -> Model {
        let mut model = Model::new();
        let mut put = |s: usize, ts: i64, v: f64| {
            if !is_absent(v) && !model::is_stale(v) {
                model.entry(series(s)).or_default().insert(ts, v.to_bits());
            }
        };
        for (slots, _, rows) in self.groups.values() {
            for (ts, row) in rows {
                row.iter().zip(slots).for_each(|(v, s)| put(*s, *ts, *v));
            }
        }
        for (s, samples) in &self.loose {
            samples.iter().for_each(|(ts, v)| put(*s, *ts, *v));
        }
        model
    }
}

fn key(g: usize) -> LabelSet {
    LabelSet::from_pairs([("job", g.to_string())])
}

/// Times of group g are 4k + g, those of loose samples 4k + 3, so that no two places have the same.
fn time(k: i64, place: usize) -> i64 {
    NOW + 4 * k + i64::try_from(place).unwrap()
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store: Arc<Store> = open(dir.path());
    let mut ids = BTreeMap::new();
    let mut expect = Expect::default();
    for step in steps {
        match step {
            Step::Define(g, list) => {
                let id = *ids.entry(g).or_insert_with(|| store.open_group(&key(g)).unwrap());
                let sets: Vec<LabelSet> = list.iter().map(|&s| series(s)).collect();
                let got = store.define(id, &sets).unwrap();
                let slots = &mut expect.groups.entry(g).or_default().0;
                for (s, slot) in list.iter().zip(got) {
                    if !slots.contains(s) {
                        slots.push(*s);
                    }
                    assert_eq!(slots[slot.0 as usize], *s);
                }
            }
            Step::Row(g, forward, mut row) => {
                let (Some(id), Some((slots, k, rows))) = (ids.get(&g), expect.groups.get_mut(&g)) else {
                    continue;
                };
                row.truncate(slots.len());
                *k += forward;
                let ts = time(*k, g);
                store.append_row(*id, ts, &row).unwrap();
                assert_eq!(store.append_row(*id, ts, &row).unwrap_err().kind(), ErrorKind::Duplicate);
                assert_eq!(store.append_row(*id, ts - 1, &row).unwrap_err().kind(), ErrorKind::OutOfOrder);
                rows.push((ts, row));
            }
            Step::Loose(batch) => {
                let mut samples = vec![];
                let (mut accepted, mut out_of_order, mut duplicate) = (0, 0, 0);
                for (s, k, v) in batch {
                    let known = expect.loose.entry(s).or_default();
                    let last = known.last_key_value().map(|(t, v)| (*t, v.to_bits()));
                    let ts = last.map_or(time(0, 3), |(t, _)| t) + 4 * (k / 4);
                    samples.push(SeriesSample { labels: series(s), ts, value: v });
                    match last {
                        Some((t, bits)) if t == ts && bits == v.to_bits() => accepted += 1,
                        Some((t, _)) if t == ts => duplicate += 1,
                        Some((t, _)) if t > ts => out_of_order += 1,
                        _ => {
                            accepted += 1;
                            known.insert(ts, v);
                        }
                    }
                }
                let report = store.append(&samples).unwrap();
                assert_eq!(
                    (report.accepted, report.out_of_order, report.duplicate),
                    (accepted, out_of_order, duplicate)
                );
            }
            Step::Close(g) => {
                if let Some(id) = ids.remove(&g) {
                    store.close_group(id);
                    assert_eq!(store.append_row(id, i64::MAX, &[]).unwrap_err().kind(), ErrorKind::NotOpen);
                }
            }
            Step::Maintain => store.maintain(NOW).unwrap(),
            Step::Reopen | Step::CloseAndReopen => {
                if matches!(step, Step::CloseAndReopen) {
                    store.close().unwrap();
                }
                drop(store);
                store = open(dir.path());
                assert_eq!(store.head_stats().corruptions, 0);
                for (g, id) in &mut ids {
                    *id = store.open_group(&key(*g)).unwrap();
                }
            }
        }
    }
    let model = expect.model();
    assert_eq!(dump(&store), model);
    let middle = time(40, 0);
    let mut part = model.clone();
    part.values_mut().for_each(|s| s.retain(|t, _| *t > middle - 80 && *t <= middle));
    part.retain(|_, s| !s.is_empty());
    assert_eq!(dump_range(&store, middle - 80, middle), part);
    drop(store);
    assert_eq!(dump(&open(dir.path())), model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_its_model(steps in proptest::collection::vec(step(), 1..120)) {
        run(steps);
    }
}

fn leaf(
    store: &Store,
    name: &str,
    f: RangeFn,
    range_ms: i64,
    grid: Grid,
) -> Vec<(LabelSet, Vec<Option<f64>>)> {
    let request = LeafRequest {
        matchers: vec![Matcher::equal("__name__", name)],
        op: LeafOp::Range(f),
        range_ms,
        grid,
    };
    let mut rows = vec![];
    let mut sink = |batch: LeafBatch| {
        let LeafData::Grid(block) = batch.data else { panic!("a grid") };
        for (i, labels) in batch.labels.into_iter().enumerate() {
            rows.push((labels, (0..grid.steps).map(|s| block.get(i, s)).collect()));
        }
        Ok(())
    };
    store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
    rows
}

#[test]
fn leaves_over_many_series_are_computed_in_one_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let n = 3000;
    let id = store.open_group(&key(0)).unwrap();
    let sets: Vec<LabelSet> = (0..n)
        .map(|i: i32| LabelSet::from_pairs([("__name__", "up".to_owned()), ("i", i.to_string())]))
        .collect();
    store.define(id, &sets).unwrap();
    for k in 0..30 {
        let row: Vec<f64> = (0..n)
            .map(|i| match (i % 4, k) {
                (1, ..5) => ABSENT,
                (2, 29) => STALE_NAN,
                _ => f64::from(i * k),
            })
            .collect();
        store.append_row(id, NOW + i64::from(k) * 1000, &row).unwrap();
        if k == 21 {
            store.maintain(NOW).unwrap();
        }
    }
    let grid = Grid { start: NOW + 3000, step: 13_000, steps: 3 };
    let rows = leaf(&store, "up", RangeFn::Last, 2000, grid);
    assert_eq!(rows.len(), usize::try_from(n).unwrap());
    for (i, (labels, row)) in (0..n).zip(&rows) {
        assert_eq!(labels.get("i"), Some(i.to_string().as_str()));
        let at = |k: i32| Some(f64::from(i * k));
        let expect = match i % 4 {
            1 => [None, at(16), at(29)],
            2 => [at(3), at(16), None],
            _ => [at(3), at(16), at(29)],
        };
        assert_eq!(row[..], expect);
    }
    let again = leaf(&store, "up", RangeFn::Last, 2000, grid);
    assert_eq!(rows, again);
    let counts = leaf(&store, "up", RangeFn::CountOverTime, 60_001, Grid::instant(NOW + 60_000));
    assert_eq!(counts[0].1, [Some(30.0)]);
    assert_eq!(counts[1].1, [Some(25.0)]);
    assert_eq!(counts[2].1, [Some(29.0)]);

    let request = LeafRequest {
        matchers: vec![Matcher::equal("__name__", "up")],
        op: LeafOp::Select,
        range_ms: 60_000,
        grid: Grid::instant(NOW + 60_000),
    };
    assert_eq!(store.estimate(&request).unwrap().series, 3000);
    let tight = QueryContext::new(None, 1000);
    let error = store.run(&request, &tight, &mut |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManySamples);
    let cancelled = QueryContext::unbounded();
    cancelled.cancel();
    assert_eq!(store.run(&request, &cancelled, &mut |_| Ok(())).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn one_label_set_in_many_places_is_one_series() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let labels = series(0);
    for g in 0..2 {
        let id = store.open_group(&key(g)).unwrap();
        assert_eq!(store.open_group(&key(g)).unwrap_err().kind(), ErrorKind::AlreadyOpen);
        store.define(id, std::slice::from_ref(&labels)).unwrap();
        store.append_row(id, NOW, &[10.0 + f64::from(u32::try_from(g).unwrap())]).unwrap();
        store.append_row(id, NOW + 1 + i64::try_from(g).unwrap(), &[20.0]).unwrap();
    }
    store.append(&[SeriesSample { labels: labels.clone(), ts: NOW + 9, value: 9.0 }]).unwrap();
    let got = dump(&store);
    let expect = [(NOW, 10.0), (NOW + 1, 20.0), (NOW + 2, 20.0), (NOW + 9, 9.0_f64)];
    assert_eq!(got[&labels], expect.map(|(t, v)| (t, v.to_bits())).into());
    assert_eq!(got.len(), 1);
}

#[test]
fn metadata_names_what_the_range_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let ctx = QueryContext::unbounded();
    for (s, ts) in [(0, 100), (1, 200), (5, 300)] {
        store.append(&[SeriesSample { labels: series(s), ts, value: 1.0 }]).unwrap();
    }
    let request = |mint, maxt, sets: Vec<Vec<Matcher>>| MetaRequest {
        matcher_sets: sets,
        range: TimeRange { mint, maxt },
    };
    let all = request(i64::MIN, i64::MAX, vec![]);
    assert_eq!(store.series(&all, &ctx).unwrap(), [series(0), series(1), series(5)]);
    assert_eq!(store.label_names(&all, &ctx).unwrap(), ["__name__", "i"]);
    assert_eq!(store.label_values("i", &request(150, 250, vec![]), &ctx).unwrap(), ["1"]);
    let either =
        request(0, 1000, vec![vec![Matcher::equal("i", "0")], vec![Matcher::equal("__name__", "m2")]]);
    assert_eq!(store.series(&either, &ctx).unwrap(), [series(0), series(5)]);
    assert_eq!(store.covers(), Some(TimeRange { mint: 100, maxt: 300 }));
    let top = store.cardinality(1);
    assert_eq!(top.label_value_count_by_label_name[0].value, 3);
    assert_eq!(store.head_stats().num_label_pairs, 6);
}

#[test]
fn retention_drops_files_then_groups_and_series() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        tsdb::StoreOptions { retention_ms: Some(100_000), chunk_file_span_ms: 1000, ..support::options() };
    let store = Store::open(dir.path(), options).unwrap();
    let id = store.open_group(&key(0)).unwrap();
    store.define(id, &[series(0)]).unwrap();
    for k in 0..50 {
        store.append_row(id, NOW + k * 100, &[1.0]).unwrap();
    }
    store.close_group(id);
    store.maintain(NOW).unwrap();
    assert_eq!(dump(&store)[&series(0)].len(), 50);
    store.maintain(NOW + 200_000).unwrap();
    assert!(dump(&store).is_empty());
    assert_eq!((store.head_stats().num_series, store.head_stats().chunk_bytes), (0, 0));
    // Later life under the same names.
    let id = store.open_group(&key(0)).unwrap();
    store.define(id, &[series(0)]).unwrap();
    store.append_row(id, NOW + 300_000, &[2.0]).unwrap();
    assert_eq!(dump(&store)[&series(0)].len(), 1);
    let late = store.append(&[SeriesSample { labels: series(1), ts: NOW - 100_001, value: 1.0 }]).unwrap();
    assert_eq!(late.out_of_bounds, 1);
}

#[test]
fn the_log_does_not_grow_without_bound_and_a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let id = store.open_group(&key(0)).unwrap();
    store.define(id, &(0..12).map(series).collect::<Vec<_>>()).unwrap();
    for k in 0..2000 {
        store.append_row(id, NOW + k, &[k as f64 * 1.1; 12]).unwrap();
        if k % 100 == 0 {
            store.maintain(NOW).unwrap();
        }
    }
    store.maintain(NOW).unwrap();
    assert!(store.head_stats().log_bytes < 8192, "{}", store.head_stats().log_bytes);
    assert!(store.stats().checkpoints > 1);
    assert_eq!(Store::open(dir.path(), support::options()).unwrap_err().kind(), ErrorKind::AlreadyOpen);
    let before = dump(&store);
    drop(store);
    let store = open(dir.path());
    assert!(store.stats().replayed_records < 200);
    assert_eq!(dump(&store), before);
}
