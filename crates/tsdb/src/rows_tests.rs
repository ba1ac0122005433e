//! When a key that comes back gets a group of its own, and segments of the log that end under rows.

use kernels::Grid;
use model::Matcher;
use storage::{ABSENT, LeafBatch, LeafData, LeafExecutor, LeafOp, LeafRequest, QueryContext, StoreStatus};

use super::*;
use crate::StoreOptions;
use crate::disk::Faults;

fn options() -> StoreOptions {
    StoreOptions {
        sync_interval_ms: -1,
        max_future_ms: i64::MAX / 4,
        clock: Arc::new(|| 1_000_000),
        ..StoreOptions::default()
    }
}

fn open(path: &std::path::Path) -> Store {
    crate::recover::open(path, options(), Faults::default()).unwrap()
}

fn key() -> LabelSet {
    LabelSet::from_pairs([("instance", "host:1")])
}

fn sets(n: usize) -> Vec<LabelSet> {
    (0..n).map(|i| LabelSet::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())])).collect()
}

/// Times and values of series `i`.
fn samples(store: &Store, i: usize) -> Vec<(i64, f64)> {
    let request = LeafRequest {
        matchers: vec![Matcher::equal("i", i.to_string())],
        op: LeafOp::Select,
        range_ms: 1 << 40,
        grid: Grid::instant(1 << 39),
    };
    let mut all = vec![];
    let mut sink = |batch: LeafBatch| {
        let LeafData::Raw(raw) = batch.data else { panic!("raw data") };
        all.extend(raw.ts.iter().copied().zip(raw.values.iter().copied()));
        Ok(())
    };
    store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
    all
}

#[test]
fn a_key_gets_a_new_group_once_a_quarter_of_its_slots_are_dead() {
    for (slots, dead, new) in [
        (1_000, 0, false),
        // Fewer than are worth it, though more than a quarter.
        (300, 255, false),
        (300, 256, true),
        (1_000, 256, true),
        // Just a quarter.
        (1_024, 256, false),
        (1_024, 257, true),
        (2_000, 499, false),
        (2_000, 501, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let first = store.open_group(&key()).unwrap();
        store.define(first, &sets(slots)).unwrap();
        store.append_row(first, 1_000, &vec![1.0; slots]).unwrap();
        let mut row = vec![2.0; slots];
        row[..dead].fill(ABSENT);
        store.append_row(first, 2_000, &row).unwrap();
        store.close_group(first);
        let what = format!("{dead} of {slots}");
        let second = store.open_group(&key()).unwrap();
        assert_eq!(first != second, new, "{what}");
        // Series stay what they were, in whichever group; rows of both are one series.
        let living = &sets(slots)[slots - 2..];
        let places = store.define(second, living).unwrap();
        assert_eq!(places[0].0 == 0, new, "{what}");
        let mut row = vec![ABSENT; store.group(second.0).unwrap().state.read().slots.len()];
        row[places[1].0 as usize] = 3.0;
        store.append_row(second, 3_000, &row).unwrap();
        assert_eq!(store.head_stats().num_series, slots as u64);
        assert_eq!(samples(&store, slots - 1), [(1_000, 1.0), (2_000, 2.0), (3_000, 3.0)], "{what}");
        store.close_group(second);
        drop(store);
        // After a start it is the newest that the key opens.
        let store = open(dir.path());
        assert_eq!(samples(&store, slots - 1), [(1_000, 1.0), (2_000, 2.0), (3_000, 3.0)], "{what}");
        if new {
            assert_eq!(store.open_group(&key()).unwrap(), second, "{what}");
        }
    }
}

#[test]
fn a_width_that_was_never_full_counts_its_missing_end_as_dead() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = store.open_group(&key()).unwrap();
    store.define(first, &sets(600)).unwrap();
    store.append_row(first, 1_000, &[1.0; 300]).unwrap();
    store.close_group(first);
    assert_ne!(store.open_group(&key()).unwrap(), first);
}

#[test]
fn the_row_that_ends_a_segment_has_it_synced_outside_of_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let options = StoreOptions { segment_bytes: 256, ..options() };
    let store = crate::recover::open(dir.path(), options.clone(), faults.clone()).unwrap();
    let group = store.open_group(&key()).unwrap();
    store.define(group, &sets(20)).unwrap();
    let row = |k: i64| (0..20).map(|i| (k * 31 + i) as f64 / 7.0).collect::<Vec<_>>();
    for k in 1..20 {
        store.append_row(group, k, &row(k)).unwrap();
        // By policy at a segment's end, whatever the interval.
        assert!(!store.segment_ended.load(Ordering::Relaxed));
        assert!(store.log.lock().sync_handles().0.is_none());
    }
    assert!(store.stats().log_segments > 3);
    // A failure there is no failure of the row, and memory is written anew.
    faults.set_fail_sync(true);
    let segments = store.stats().log_segments;
    for k in 20..30 {
        store.append_row(group, k, &row(k)).unwrap();
    }
    assert!(store.stats().log_segments > segments);
    assert!(store.stats().fsync_failures > 0);
    faults.set_fail_sync(false);
    store.maintain(0).unwrap();
    assert_eq!((store.stats().checkpoints, store.stats().log_segments), (1, 1));
    drop(store);
    let store = crate::recover::open(dir.path(), options, Faults::default()).unwrap();
    assert_eq!(samples(&store, 3).len(), 29);
}
