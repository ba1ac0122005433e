//! The store over the whole life of a sample: head, blocks, merges, deletes, snapshots, retention.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kernels::{Grid, RangeFn};
use model::{LabelSet, MatchOp, Matcher, STALE_NAN};
use proptest::prelude::*;
use storage::{
    ABSENT, LeafBatch, LeafExecutor as _, LeafOp, LeafRequest, MetaRequest, QueryContext, RowAppender as _,
    SampleAppender as _, SeriesSample, StoreAdmin as _, StoreStatus as _, TimeRange, is_absent,
};
use support::{Model, NOW, dump_all, options, series};
use tsdb::{Store, StoreOptions};

const SPAN: i64 = 400;

fn open(path: &Path) -> Arc<Store> {
    let options = StoreOptions { block_span_ms: SPAN, out_of_order_window_ms: 0, ..options() };
    Store::open(path, options).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Row(i64, Vec<f64>),
    /// Series above those of rows, how far from the newest row, value.
    Loose(Vec<(usize, i64, f64)>),
    Maintain,
    Compact,
    /// A remainder of series numbers, from, length.
    Delete(usize, i64, i64),
    CleanTombstones,
    Snapshot,
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
    let loose = (10..16_usize, -300..50_i64, value().prop_filter("a sample", |v| !is_absent(*v)));
    prop_oneof![
        30 => (1..60_i64, proptest::collection::vec(value(), 0..10)).prop_map(|(t, v)| Step::Row(t, v)),
        8 => proptest::collection::vec(loose, 1..8).prop_map(Step::Loose),
        6 => Just(Step::Maintain),
        3 => Just(Step::Compact),
        2 => (0..4_usize, -1500..100_i64, 0..900_i64).prop_map(|(s, from, len)| Step::Delete(s, from, len)),
        1 => Just(Step::CleanTombstones),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Reopen),
        1 => Just(Step::CloseAndReopen),
    ]
}

fn key() -> LabelSet {
    LabelSet::from_pairs([("job", "j")])
}

fn modulo(i: usize, rest: usize) -> bool {
    i % 4 == rest
}

fn numbers(rest: usize) -> Vec<Matcher> {
    let all: Vec<String> = (0..16).filter(|&i| modulo(i, rest)).map(|i| i.to_string()).collect();
    vec![Matcher::new("i", MatchOp::Regex, all.join("|")).unwrap()]
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let sets: Vec<LabelSet> = (0..10).map(series).collect();
    let mut id = store.open_group(&key()).unwrap();
    store.define(id, &sets).unwrap();
    let mut now = NOW;
    let mut expect: BTreeMap<usize, BTreeMap<i64, u64>> = BTreeMap::new();
    let mut newest: BTreeMap<usize, i64> = BTreeMap::new();
    let model = |expect: &BTreeMap<usize, BTreeMap<i64, u64>>| -> Model {
        expect.iter().filter(|(_, s)| !s.is_empty()).map(|(i, s)| (series(*i), s.clone())).collect()
    };
    for step in steps {
        match step {
            Step::Row(forward, row) => {
                now += forward;
                store.append_row(id, now, &row).unwrap();
                for (i, v) in row.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                    expect.entry(i).or_default().insert(now, v.to_bits());
                }
                (0..10).for_each(|i| _ = newest.insert(i, now));
            }
            Step::Loose(batch) => {
                let mut samples = vec![];
                for (i, ahead, value) in batch {
                    let ts = newest.get(&i).map_or(now + ahead, |&n| (n + 1).max(now + ahead));
                    newest.insert(i, ts);
                    expect.entry(i).or_default().insert(ts, value.to_bits());
                    samples.push(SeriesSample { labels: series(i), ts, value });
                }
                assert_eq!(store.append(&samples).unwrap().accepted, samples.len());
            }
            Step::Maintain => store.maintain(now).unwrap(),
            Step::Compact => _ = store.compact(now).unwrap(),
            Step::Delete(rest, from, len) => {
                let range = TimeRange { mint: now + from, maxt: now + from + len };
                store.delete(&[numbers(rest)], range).unwrap();
                for (_, samples) in expect.iter_mut().filter(|(i, _)| modulo(**i, rest)) {
                    samples.retain(|t, _| *t < range.mint || *t > range.maxt);
                }
            }
            Step::CleanTombstones => store.clean_tombstones().unwrap(),
            Step::Snapshot => {
                store.snapshot("s", false).unwrap();
                let path = dir.path().join("snapshots/s");
                assert_eq!(dump_all(&open(&path)), model(&expect), "snapshot");
                std::fs::remove_dir_all(path).unwrap();
            }
            Step::Reopen | Step::CloseAndReopen => {
                if matches!(step, Step::CloseAndReopen) {
                    store.close().unwrap();
                }
                drop(store);
                store = open(dir.path());
                assert_eq!(store.head_stats().corruptions, 0);
                id = store.open_group(&key()).unwrap();
                store.define(id, &sets).unwrap();
            }
        }
    }
    let model = model(&expect);
    assert_eq!(dump_all(&store), model);
    let everything = MetaRequest { matcher_sets: vec![], range: TimeRange { mint: 0, maxt: i64::MAX } };
    let names = store.series(&everything, &QueryContext::unbounded()).unwrap();
    assert!(model.keys().all(|labels| names.contains(labels)));
    drop(store);
    let store = open(dir.path());
    assert_eq!(dump_all(&store), model, "opened again");
    store.compact_all().unwrap();
    assert_eq!(dump_all(&store), model, "all in blocks");
    assert_eq!(store.head_stats().chunk_count, 0);
    drop(store);
    assert_eq!(dump_all(&open(dir.path())), model, "from blocks alone");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn samples_are_found_wherever_they_are(steps in proptest::collection::vec(step(), 1..150)) {
        run(steps);
    }
}

fn write_rows(store: &Store, from: i64, rows: i64) {
    let id = store.open_group(&key()).unwrap();
    store.define(id, &(0..10).map(series).collect::<Vec<_>>()).unwrap();
    for k in 0..rows {
        let row: Vec<f64> = (0..10).map(|i| (i * k) as f64).collect();
        store.append_row(id, from + k * 10, &row).unwrap();
        if k % 20 == 0 {
            store.maintain(from + k * 10).unwrap();
        }
    }
    store.close_group(id);
}

#[test]
fn series_leave_memory_with_their_last_sample() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write_rows(&store, NOW, 200);
    let id = store.open_group(&LabelSet::from_pairs([("job", "other")])).unwrap();
    store.define(id, &[series(99)]).unwrap();
    for k in 0..100 {
        store.append_row(id, NOW + 2000 + k * 10, &[1.0]).unwrap();
    }
    store.maintain(NOW + 3000).unwrap();
    assert_eq!(store.head_stats().num_series, 1);
    assert!(store.stats().blocks_written >= 5);
    let all = dump_all(&store);
    assert_eq!(all.len(), 11);
    assert_eq!(all[&series(3)].len(), 200);
    let before = store.stats().blocks;
    store.compact(NOW + 3000).unwrap();
    assert!(store.stats().blocks < before);
    assert_eq!(dump_all(&store), all);
}

#[test]
fn the_oldest_blocks_go_when_the_store_is_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let limit = {
        let store = open(dir.path());
        write_rows(&store, NOW, 400);
        store.stats().block_bytes * 2 / 3
    };
    let options = StoreOptions {
        block_span_ms: SPAN,
        max_block_span_ms: Some(SPAN),
        retention_bytes: Some(limit),
        ..options()
    };
    let store = Store::open(dir.path(), options).unwrap();
    store.maintain(NOW + 4000).unwrap();
    let newest = dump_all(&store)[&series(3)].len();
    store.compact(NOW + 4000).unwrap();
    assert!(store.stats().size_retentions > 0);
    let left = &dump_all(&store)[&series(3)];
    assert!(left.len() < newest && left.contains_key(&(NOW + 3990)), "the newest stay");
    drop(store);
    assert_eq!(&dump_all(&open(dir.path()))[&series(3)], left);
}

#[test]
fn deleted_samples_stay_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write_rows(&store, NOW, 200);
    let range = TimeRange { mint: NOW + 300, maxt: NOW + 1_990 };
    store.delete(&[vec![Matcher::equal("i", "3")], vec![Matcher::equal("i", "4")]], range).unwrap();
    let check = |store: &Store| {
        let all = dump_all(store);
        assert_eq!(all[&series(3)].len(), 30);
        assert_eq!(all[&series(4)].len(), 30);
        assert_eq!(all[&series(5)].len(), 200);
    };
    check(&store);
    drop(store);
    let store = open(dir.path());
    check(&store);
    let tombstones = |store: &Store| store.blocks().iter().map(|b| b.tombstones).sum::<u64>();
    assert!(tombstones(&store) > 0);
    store.clean_tombstones().unwrap();
    assert_eq!(tombstones(&store), 0);
    check(&store);
    // What comes after is not deleted.
    let id = store.open_group(&key()).unwrap();
    store.append_row(id, NOW + 5_000, &[7.0; 10]).unwrap();
    assert_eq!(dump_all(&store)[&series(3)].len(), 31);
}

#[test]
fn a_merge_changes_no_answer_where_two_blocks_differ() {
    let dir = tempfile::tempdir().unwrap();
    // Blocks are told apart by when they were written.
    let now = std::sync::atomic::AtomicI64::new(NOW);
    let clock = Arc::new(move || now.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let options = StoreOptions { block_span_ms: SPAN, out_of_order_window_ms: 1_000_000, clock, ..options() };
    let store = Store::open(dir.path(), options).unwrap();
    let put = |value: f64| {
        for k in 0..20 {
            // Once they are in a block nobody knows that they are duplicates.
            store.append(&[SeriesSample { labels: series(1), ts: NOW + k * 10, value }]).unwrap();
        }
    };
    put(1.0);
    store.append(&[SeriesSample { labels: series(1), ts: NOW + 3_000, value: 9.0 }]).unwrap();
    store.maintain(NOW + 3_000).unwrap();
    assert_eq!(store.stats().blocks, 1);
    put(2.0);
    let in_head = dump_all(&store);
    store.append(&[SeriesSample { labels: series(1), ts: NOW + 9_000, value: 9.0 }]).unwrap();
    store.maintain(NOW + 9_000).unwrap();
    let mut in_blocks = dump_all(&store);
    assert!(store.stats().blocks > 1);
    in_blocks.get_mut(&series(1)).unwrap().remove(&(NOW + 9_000));
    assert_eq!(in_blocks, in_head, "by the flush");
    store.compact_all().unwrap();
    let mut merged = dump_all(&store);
    merged.get_mut(&series(1)).unwrap().remove(&(NOW + 9_000));
    assert_eq!(merged, in_head, "by the merge");
}

/// A block has a series whose samples are all outside the window, and nothing of it was read before.
#[test]
fn a_first_series_without_samples_in_the_window() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let samples = [(0, NOW + 10), (1, NOW + 300)];
    let samples = samples.map(|(i, ts)| SeriesSample { labels: series(i), ts, value: 1.0 });
    store.append(&samples).unwrap();
    store.compact_all().unwrap();
    let request = LeafRequest {
        matchers: vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()],
        op: LeafOp::Range(RangeFn::Last),
        range_ms: 50,
        grid: Grid::instant(NOW + 320),
    };
    let mut found = Vec::new();
    let mut sink = |batch: LeafBatch| {
        found.extend(batch.labels);
        Ok(())
    };
    store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
    assert_eq!(found, [series(1)]);
}
