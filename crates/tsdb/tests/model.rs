//! The store against a model, over random sequences of everything that can be done to it.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use kernels::{Grid, RangeFn};
use model::{Histogram, LabelSet, Matcher, STALE_NAN, Span};
use proptest::prelude::*;
use storage::{
    ABSENT, ErrorKind, LeafBatch, LeafData, LeafExecutor, LeafOp, LeafRequest, MetaRequest, PointAppender,
    QueryContext, RefusalKind, Refusals, RowAppender, SampleAppender, SeriesPoints, SeriesSample,
    StoreStatus, TimeRange, is_absent,
};
use support::{Model, NOW, dump, open, series};
use tsdb::Store;

#[derive(Debug, Clone, Copy)]
enum Value {
    Float(f64),
    /// [`histogram`] of this.
    Histogram(u32),
}

/// Points of one series: steps of time before or after the newest, and values.
type Points = (usize, Vec<(i64, Value)>);

#[derive(Debug, Clone)]
enum Step {
    Define(usize, Vec<usize>),
    Row(usize, i64, Vec<f64>),
    /// A row so many steps of time before the last one.
    LateRow(usize, i64, Vec<f64>),
    Loose(Vec<(usize, i64, f64)>),
    Points(Vec<Points>, bool),
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

fn sample() -> impl Strategy<Value = f64> {
    value().prop_filter("a sample", |v| !is_absent(*v))
}

fn points() -> impl Strategy<Value = Points> {
    let point = prop_oneof![
        5 => sample().prop_map(Value::Float),
        2 => (0..4_u32).prop_map(|i| Value::Float(f64::from(i))),
        2 => (0..12_u32).prop_map(Value::Histogram),
    ];
    (0..14_usize, proptest::collection::vec((-30..40_i64, point), 1..20))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_usize, proptest::collection::vec(0..12_usize, 1..6)).prop_map(|(g, s)| Step::Define(g, s)),
        20 => (0..3_usize, 1..40_i64, proptest::collection::vec(value(), 0..8)).prop_map(|(g, t, v)| Step::Row(g, t, v)),
        2 => (0..3_usize, 1..60_i64, proptest::collection::vec(value(), 0..8)).prop_map(|(g, t, v)| Step::LateRow(g, t, v)),
        6 => proptest::collection::vec((0..14_usize, -5..60_i64, sample()), 1..12).prop_map(Step::Loose),
        8 => (proptest::collection::vec(points(), 1..6), any::<bool>()).prop_map(|(p, fail)| Step::Points(p, fail)),
        1 => (0..3_usize).prop_map(Step::Close),
        3 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
        1 => Just(Step::CloseAndReopen),
    ]
}

/// A histogram; every third has another layout than the rest.
fn histogram(n: u32) -> Histogram {
    let (count, buckets) = (f64::from(n), n % 3 + 1);
    Histogram {
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: count,
        count: count * f64::from(buckets + 1),
        sum: count * 1.5,
        positive_spans: vec![Span { offset: -2, length: buckets }],
        positive_buckets: vec![count; buckets as usize],
        integer: true,
        ..Histogram::default()
    }
}

/// What stands for a histogram among the bits of doubles.
const HISTOGRAM_BITS: u64 = 0x7ff3_0000_dead_0000;

impl Value {
    fn bits(self) -> u64 {
        match self {
            Self::Float(v) => v.to_bits(),
            Self::Histogram(n) => HISTOGRAM_BITS | u64::from(n),
        }
    }
}

/// Everything, staleness markers and histograms too.
fn dump_all(store: &Store, after: i64, maxt: i64) -> Model {
    let request = LeafRequest {
        matchers: vec![Matcher::new("__name__", model::MatchOp::Regex, ".+").unwrap()],
        op: LeafOp::Samples,
        range_ms: maxt.saturating_sub(after),
        grid: Grid::instant(maxt),
    };
    let mut model = Model::new();
    let mut sink = |batch: LeafBatch| {
        let LeafData::Raw(raw) = batch.data else { panic!("raw data") };
        for (i, labels) in batch.labels.into_iter().enumerate() {
            let range = raw.offsets[i]..raw.offsets[i + 1];
            assert!(raw.ts[range.clone()].windows(2).all(|w| w[0] < w[1]), "ascending");
            let samples = range.map(|at| {
                let bits = match raw.histograms.binary_search_by_key(&at, |h| h.0) {
                    Ok(h) => {
                        let found = &raw.histograms[h].1;
                        let n =
                            (0..12).find(|&n| histogram(n) == **found).unwrap_or_else(|| panic!("{found:?}"));
                        Value::Histogram(n).bits()
                    }
                    Err(_) => raw.values[at].to_bits(),
                };
                (raw.ts[at], bits)
            });
            assert!(model.insert(labels, samples.collect()).is_none(), "a series is in one batch only");
        }
        Ok(())
    };
    store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
    model
}

type Rows = Vec<(i64, Vec<f64>)>;

/// What has to be in the store.
#[derive(Debug, Default)]
struct Expect {
    /// Series of the slots, last time, rows.
    groups: BTreeMap<usize, (Vec<usize>, i64, Rows)>,
    loose: BTreeMap<usize, BTreeMap<i64, u64>>,
}

impl Expect {
    /// Merged as the store does: places in the order series came to them; here only times that do not clash are made.
    fn model(&self) -> Model {
        let mut model = Model::new();
        let mut put = |s: usize, ts: i64, bits: u64| {
            if bits != ABSENT.to_bits() {
                model.entry(series(s)).or_default().insert(ts, bits);
            }
        };
        for (slots, _, rows) in self.groups.values() {
            for (ts, row) in rows {
                row.iter().zip(slots).for_each(|(v, s)| put(*s, *ts, v.to_bits()));
            }
        }
        for (s, samples) in &self.loose {
            samples.iter().for_each(|(ts, bits)| put(*s, *ts, *bits));
        }
        model
    }

    /// Takes points as the store should: by series and time, of equal times the first, plain ones before histograms. Returns
    /// how many plain samples and histograms were accepted, and how many points were refused as duplicates.
    fn points(&mut self, batch: &[(usize, i64, u64)]) -> (usize, usize, usize) {
        let mut by_series: BTreeMap<usize, Vec<(i64, bool, u64)>> = BTreeMap::new();
        for &(s, ts, bits) in batch {
            by_series.entry(s).or_default().push((ts, bits & !0xffff == HISTOGRAM_BITS, bits));
        }
        let (mut floats, mut histograms, mut duplicates) = (0, 0, 0);
        for (s, mut samples) in by_series {
            samples.sort_by_key(|p| (p.0, p.1));
            let known = self.loose.entry(s).or_default();
            for (ts, is_histogram, bits) in samples {
                if *known.entry(ts).or_insert(bits) == bits {
                    *(if is_histogram { &mut histograms } else { &mut floats }) += 1;
                } else {
                    duplicates += 1;
                }
            }
        }
        (floats, histograms, duplicates)
    }
}

fn key(g: usize) -> LabelSet {
    LabelSet::from_pairs([("job", g.to_string())])
}

/// Times of group g are 8k + g, those of its late rows 8k + 4 + g, those of loose samples 8k + 3: no two places have the same.
fn time(k: i64, place: usize) -> i64 {
    NOW + 8 * k + i64::try_from(place).unwrap()
}

fn append_points(store: &Store, expect: &mut Expect, batch: &[Points], fail: bool) {
    let mut flat = vec![];
    for (s, points) in batch {
        let newest = expect.loose.get(s).and_then(|l| l.last_key_value()).map_or(time(0, 3), |(t, _)| *t);
        // Late rows share the map; back to the grid of loose samples.
        let newest = newest - (newest - time(0, 3)).rem_euclid(8);
        flat.extend(points.iter().map(|(k, v)| (*s, newest + 8 * k, *v)));
    }
    let labels: Vec<LabelSet> = batch.iter().map(|(s, _)| series(*s)).collect();
    let of = |i: usize| {
        let start: usize = batch[..i].iter().map(|b| b.1.len()).sum();
        &flat[start..start + batch[i].1.len()]
    };
    type Owned = (Vec<(i64, f64)>, Vec<(i64, Histogram)>);
    let owned: Vec<Owned> = (0..batch.len())
        .map(|i| {
            let floats = of(i).iter().filter_map(|p| match p.2 {
                Value::Float(v) => Some((p.1, v)),
                Value::Histogram(_) => None,
            });
            let histograms = of(i).iter().filter_map(|p| match p.2 {
                Value::Float(_) => None,
                Value::Histogram(n) => Some((p.1, histogram(n))),
            });
            (floats.collect(), histograms.collect())
        })
        .collect();
    let points: Vec<SeriesPoints<'_>> = (0..batch.len())
        .map(|i| SeriesPoints {
            // Two keys of one label set, and none.
            key: [Some(batch[i].0 as u128), Some(batch[i].0 as u128 + (1 << 90)), None][batch[i].1.len() % 3],
            labels: &labels[i],
            floats: &owned[i].0,
            histograms: &owned[i].1,
            exemplars: &[],
        })
        .collect();
    let refusals = if fail { Refusals::FailBatch } else { Refusals::Skip };
    let report = store.append_points(&points, refusals).unwrap();
    let before = expect.loose.clone();
    let flat: Vec<(usize, i64, u64)> = flat.into_iter().map(|(s, ts, v)| (s, ts, v.bits())).collect();
    let (floats, histograms, duplicates) = expect.points(&flat);
    assert_eq!(
        (report.floats, report.histograms),
        (floats, histograms),
        "{flat:x?} onto {before:x?}, {report:?}"
    );
    assert_eq!(report.refused, [0, 0, duplicates, 0, 0]);
    assert_eq!(report.first.map(|f| f.kind), (duplicates > 0).then_some(RefusalKind::Duplicate));
    if fail && duplicates > 0 {
        expect.loose = before;
    }
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
                let old = store.append_row(*id, ts - 100_000_000, &row).unwrap_err();
                assert_eq!(old.kind(), ErrorKind::OutOfOrder);
                rows.push((ts, row));
            }
            Step::LateRow(g, back, mut row) => {
                let (Some(id), Some((slots, k, rows))) = (ids.get(&g), expect.groups.get(&g)) else {
                    continue;
                };
                if rows.is_empty() {
                    continue;
                }
                row.truncate(slots.len());
                let ts = time(*k - back, 4 + g);
                store.append_row(*id, ts, &row).unwrap();
                for (s, v) in slots.iter().zip(&row) {
                    if !is_absent(*v) {
                        expect.loose.entry(*s).or_default().entry(ts).or_insert(v.to_bits());
                    }
                }
            }
            Step::Loose(batch) => {
                let mut samples = vec![];
                let mut flat = vec![];
                for (s, k, v) in batch {
                    let ts = time(k, 3);
                    samples.push(SeriesSample { labels: series(s), ts, value: v });
                    flat.push((s, ts, v.to_bits()));
                }
                let (accepted, _, duplicate) = expect.points(&flat);
                let report = store.append(&samples).unwrap();
                assert_eq!(
                    (report.accepted, report.out_of_order, report.duplicate),
                    (accepted, 0, duplicate)
                );
            }
            Step::Points(batch, fail) => append_points(&store, &mut expect, &batch, fail),
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
    let (first, last) = (i64::MIN / 4, i64::MAX / 4);
    let mut model = expect.model();
    model.retain(|_, s| !s.is_empty());
    assert_eq!(dump_all(&store, first, last), model);
    let middle = time(40, 0);
    let mut part = model.clone();
    part.values_mut().for_each(|s| s.retain(|t, _| *t > middle - 160 && *t <= middle));
    part.retain(|_, s| !s.is_empty());
    assert_eq!(dump_all(&store, middle - 160, middle), part);
    // Without markers; `dump` has the values beside histograms, which are absent.
    let mut live = model.clone();
    live.values_mut().for_each(|s| {
        s.retain(|_, bits| !model::is_stale(f64::from_bits(*bits)));
        for bits in s.values_mut().filter(|bits| **bits & !0xffff == HISTOGRAM_BITS) {
            *bits = ABSENT.to_bits();
        }
    });
    live.retain(|_, s| !s.is_empty());
    assert_eq!(dump(&store), live);
    drop(store);
    assert_eq!(dump_all(&open(dir.path()), first, last), model);
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
