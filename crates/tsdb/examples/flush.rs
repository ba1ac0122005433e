//! Times a flush of the head to blocks, a merge, and reads from blocks: `flush [series] [rows]`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may fail")]

use std::sync::Arc;
use std::time::Instant;

use kernels::{Grid, RangeFn};
use model::{LabelSet, Matcher};
use storage::{
    LeafBatch, LeafExecutor as _, LeafOp, LeafRequest, QueryContext, RowAppender as _, StoreAdmin as _,
};
use tsdb::{Store, StoreOptions};

const START: i64 = 1_699_999_200_000;
const STEP: i64 = 5_000;
const PER_GROUP: usize = 2_500;

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>().unwrap());
    let series = args.next().unwrap_or(100_000);
    let rows = args.next().unwrap_or(720);
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { sync_interval_ms: -1, clock: Arc::new(|| START), ..StoreOptions::default() };
    let store = Store::open(dir.path(), options).unwrap();
    let mut groups = vec![];
    for g in 0..series / PER_GROUP {
        let id = store.open_group(&LabelSet::from_pairs([("instance", g.to_string())])).unwrap();
        let sets: Vec<LabelSet> = (0..PER_GROUP)
            .map(|i| {
                LabelSet::from_pairs([
                    ("__name__", format!("metric_{:03}_total", i / 10)),
                    ("instance", format!("host-{g}:9100")),
                    ("job", "bench".to_owned()),
                    ("path", format!("/api/v{}", i % 10)),
                ])
            })
            .collect();
        store.define(id, &sets).unwrap();
        groups.push(id);
    }
    let mut values = vec![0_f64; series];
    let mut seed = 1_u64;
    for k in 0..rows {
        for (g, &id) in groups.iter().enumerate() {
            let row = &mut values[g * PER_GROUP..][..PER_GROUP];
            for (i, v) in row.iter_mut().enumerate().filter(|(i, _)| i % 10 >= 7) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *v += ((seed >> 33) % (10 + i as u64)) as f64;
            }
            store.append_row(id, START + i64::try_from(k).unwrap() * STEP, row).unwrap();
        }
        if k % 12 == 0 {
            store.maintain(START).unwrap();
        }
    }
    let samples = (series * rows) as f64;
    let at = Instant::now();
    store.compact_all().unwrap();
    println!("flush: {:.1} ns/sample, {:?}", at.elapsed().as_nanos() as f64 / samples, at.elapsed());
    for block in store.blocks() {
        println!(
            "block {}: {} series, {} samples, {:.3} bytes/sample",
            block.ulid,
            block.series,
            block.samples,
            block.bytes as f64 / block.samples as f64
        );
    }
    for (name, op) in [
        ("rate", LeafOp::Range(RangeFn::Rate)),
        ("last", LeafOp::Range(RangeFn::Last)),
        ("select", LeafOp::Select),
    ] {
        let end = START + i64::try_from(rows).unwrap() * STEP;
        let request = LeafRequest {
            matchers: vec![Matcher::equal("job", "bench")],
            op,
            range_ms: 300_000,
            grid: Grid::range(START, end, 60_000),
        };
        let mut found = 0;
        let at = Instant::now();
        let mut sink = |batch: LeafBatch| {
            found += batch.labels.len();
            Ok(())
        };
        let ctx = QueryContext::unbounded();
        store.run(&request, &ctx, &mut sink).unwrap();
        let ns = at.elapsed().as_nanos() as f64;
        println!("{name}: {found} series, {:.2} ns/sample wall", ns / ctx.samples_read() as f64);
    }
}
