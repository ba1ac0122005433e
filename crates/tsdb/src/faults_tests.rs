//! A disk that fills up and an fsync that fails.

use std::path::Path;
use std::sync::Arc;

use kernels::Grid;
use model::{LabelSet, Matcher};
use storage::{
    ErrorKind, LeafBatch, LeafData, LeafExecutor, LeafOp, LeafRequest, QueryContext, RowAppender,
    SampleAppender, SeriesSample, StoreStatus,
};

use crate::disk::Faults;
use crate::{Store, StoreOptions};

fn options() -> StoreOptions {
    StoreOptions {
        sync_interval_ms: -1,
        raw_rows: 4,
        seal_samples: 8,
        max_future_ms: i64::MAX / 4,
        clock: Arc::new(|| 1_000_000),
        ..StoreOptions::default()
    }
}

fn open(path: &Path, faults: &Faults) -> Store {
    crate::recover::open(path, options(), faults.clone()).unwrap()
}

fn labels(i: i32) -> LabelSet {
    LabelSet::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())])
}

fn times(store: &Store, i: i32) -> Vec<i64> {
    let request = LeafRequest {
        matchers: vec![Matcher::equal("i", i.to_string())],
        op: LeafOp::Select,
        range_ms: 1 << 40,
        grid: Grid::instant(1 << 39),
    };
    let mut ts = vec![];
    let mut sink = |batch: LeafBatch| {
        let LeafData::Raw(raw) = batch.data else { panic!("raw data") };
        ts.extend(raw.ts);
        Ok(())
    };
    store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
    ts
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_all_goes_on_when_space_returns() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let store = open(dir.path(), &faults);
    let id = store.open_group(&labels(-1)).unwrap();
    store.define(id, &[labels(0), labels(1)]).unwrap();
    let mut kept = vec![];
    for ts in 1..=20 {
        store.append_row(id, ts, &[ts as f64, 0.5]).unwrap();
        kept.push(ts);
    }
    // Each amount of space left over cuts the record at another byte.
    for space in 0..12 {
        faults.set_space(space);
        let ts = 100 + space;
        assert_eq!(
            store.append_row(id, ts, &[1e300, ts as f64 / 3.0]).unwrap_err().kind(),
            ErrorKind::NoSpace
        );
        assert_eq!(store.define(id, &[labels(50)]).unwrap_err().kind(), ErrorKind::NoSpace);
        let sample = SeriesSample { labels: labels(60), ts, value: 1.0 };
        assert_eq!(store.append(&[sample]).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(store.maintain(0).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(store.close().unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!(store.open_group(&labels(-2)).unwrap_err().kind(), ErrorKind::NoSpace);
        assert_eq!((times(&store, 0), times(&store, 50), times(&store, 60)), (kept.clone(), vec![], vec![]));
        faults.set_space(i64::MAX);
        store.append_row(id, ts, &[2.0, 3.0]).unwrap();
        kept.push(ts);
    }
    store.maintain(0).unwrap();
    assert!(store.head_stats().chunk_bytes > 0);
    let slots = store.define(id, &[labels(1), labels(50)]).unwrap();
    assert_eq!(slots.iter().map(|s| s.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(times(&store, 1), kept);
    assert!(store.stats().log_write_failures >= 48);
    drop(store);
    let store = open(dir.path(), &Faults::default());
    assert_eq!((times(&store, 0), times(&store, 1)), (kept.clone(), kept));
    assert_eq!((store.head_stats().corruptions, store.head_stats().num_series), (0, 3));
}

#[test]
fn a_failed_fsync_ends_the_segment_and_memory_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let store = open(dir.path(), &faults);
    let id = store.open_group(&labels(-1)).unwrap();
    store.define(id, &[labels(0)]).unwrap();
    store.append_row(id, 1, &[1.0]).unwrap();
    faults.set_fail_sync(true);
    assert_eq!(store.sync().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(store.stats().fsync_failures, 1);
    faults.set_fail_sync(false);
    let segments = store.stats().log_segments;
    store.append_row(id, 2, &[2.0]).unwrap();
    assert_eq!(store.stats().log_segments, segments + 1);
    store.maintain(0).unwrap();
    // The checkpoint holds both rows, the poisoned segment is gone.
    assert_eq!((store.stats().checkpoints, store.stats().log_segments), (1, 1));
    drop(store);
    let store = open(dir.path(), &Faults::default());
    assert_eq!(times(&store, 0), [1, 2]);
}

#[test]
fn a_chunk_file_that_cannot_be_synced_leaves_its_rows_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let store = open(dir.path(), &faults);
    let id = store.open_group(&labels(-1)).unwrap();
    store.define(id, &[labels(0)]).unwrap();
    for ts in 1..=16 {
        store.append_row(id, ts, &[ts as f64]).unwrap();
    }
    faults.set_fail_sync(true);
    assert_eq!(store.maintain(0).unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(times(&store, 0).len(), 16);
    faults.set_fail_sync(false);
    store.maintain(0).unwrap();
    drop(store);
    let store = open(dir.path(), &Faults::default());
    assert_eq!(times(&store, 0), (1..=16).collect::<Vec<_>>());
    assert_eq!(store.head_stats().corruptions, 0);
}
