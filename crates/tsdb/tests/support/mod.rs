//! What the store's tests share.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses some of it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kernels::Grid;
use model::{LabelSet, MatchOp, Matcher};
use storage::{LeafBatch, LeafData, LeafExecutor, LeafOp, LeafRequest, QueryContext};
use tsdb::{Store, StoreOptions};

/// Label set to timestamp to bits.
pub type Model = BTreeMap<LabelSet, BTreeMap<i64, u64>>;

pub const NOW: i64 = 1_700_000_000_000;

pub fn options() -> StoreOptions {
    StoreOptions {
        sync_interval_ms: -1,
        segment_bytes: 4096,
        raw_rows: 4,
        seal_samples: 10,
        chunk_file_bytes: 16 << 10,
        max_future_ms: i64::MAX / 4,
        clock: Arc::new(|| NOW),
        ..StoreOptions::default()
    }
}

pub fn open(path: &Path) -> Arc<Store> {
    Store::open(path, options()).unwrap()
}

pub fn open_with(path: &Path, options: StoreOptions) -> Arc<Store> {
    Store::open(path, options).unwrap()
}

/// Every sample, staleness markers too, of series made by [`series`]: by the series' number and time.
pub fn samples(store: &Store) -> BTreeMap<(usize, i64), u64> {
    let request = LeafRequest {
        matchers: vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()],
        op: LeafOp::Samples,
        range_ms: i64::MAX / 2,
        grid: Grid::instant(i64::MAX / 4),
    };
    let mut all = BTreeMap::new();
    let mut sink = |batch: LeafBatch| {
        let LeafData::Raw(raw) = batch.data else { panic!("raw data") };
        for (i, labels) in batch.labels.into_iter().enumerate() {
            let number = labels.value("i").parse().unwrap();
            for at in raw.offsets[i]..raw.offsets[i + 1] {
                assert!(
                    all.insert((number, raw.ts[at]), raw.values[at].to_bits()).is_none(),
                    "each time once"
                );
            }
        }
        Ok(())
    };
    store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
    all
}

pub fn series(i: usize) -> LabelSet {
    LabelSet::from_pairs([("__name__", format!("m{}", i % 3)), ("i", i.to_string())])
}

/// Every sample, staleness markers left out.
pub fn dump(store: &Store) -> Model {
    dump_range(store, i64::MIN / 4, i64::MAX / 4)
}

/// Every sample as it is stored, staleness markers included.
pub fn dump_all(store: &Store) -> Model {
    dump_by(store, LeafOp::Samples, i64::MIN / 4, i64::MAX / 4)
}

pub fn dump_range(store: &Store, after: i64, maxt: i64) -> Model {
    dump_by(store, LeafOp::Select, after, maxt)
}

fn dump_by(store: &Store, op: LeafOp, after: i64, maxt: i64) -> Model {
    let request = LeafRequest {
        matchers: vec![Matcher::new("__name__", MatchOp::Regex, ".+").unwrap()],
        op,
        range_ms: maxt.saturating_sub(after),
        grid: Grid::instant(maxt),
    };
    let mut model = Model::new();
    let ctx = QueryContext::unbounded();
    let mut sink = |batch: LeafBatch| {
        let LeafData::Raw(raw) = batch.data else { panic!("raw data") };
        for (i, labels) in batch.labels.into_iter().enumerate() {
            let range = raw.offsets[i]..raw.offsets[i + 1];
            assert!(raw.ts[range.clone()].windows(2).all(|w| w[0] < w[1]), "ascending");
            let samples =
                raw.ts[range.clone()].iter().copied().zip(raw.values[range].iter().map(|v| v.to_bits()));
            assert!(model.insert(labels, samples.collect()).is_none(), "a series is in one batch only");
        }
        Ok(())
    };
    store.run(&request, &ctx, &mut sink).unwrap();
    model
}
