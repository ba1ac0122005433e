//! What a block costs: time to write, select and read it, bytes by file. `cargo run --profile quick --example block [series]`.
//!
//! Blocks are no public part of the store, so their modules are compiled in here.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "the modules have more than is timed")]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program for a terminal")]

#[path = "../src/block/mod.rs"]
mod block;
#[path = "../src/bytes.rs"]
mod bytes;
#[path = "../src/codec/mod.rs"]
mod codec;
#[path = "../src/disk.rs"]
mod disk;
#[path = "../src/index/mod.rs"]
mod index;
#[path = "../src/mmap.rs"]
mod mmap;
#[path = "../src/segment.rs"]
mod segment;

use std::sync::Arc;
use std::time::Instant;

use model::{LabelSet, MatchOp, Matcher};
use storage::TimeRange;

const MAX_CHUNK_ROWS: usize = 4096;
const ROWS: usize = 480;
const STEP_MS: i64 = 15_000;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn labels(series: usize) -> Vec<LabelSet> {
    let mut sets: Vec<LabelSet> = (0..series)
        .map(|i| {
            let (target, metric) = (i % 100, i / 100);
            LabelSet::from_pairs([
                ("__name__", format!("node_metric_{}_total", metric / 10)),
                ("cpu", (metric % 10).to_string()),
                ("instance", format!("host-{target:03}.example.org:9100")),
                ("job", format!("node-{}", target % 5)),
                ("mode", ["idle", "user", "system"][i % 3].to_owned()),
                ("zone", format!("eu-{}", target % 7)),
            ])
        })
        .collect();
    sets.sort();
    sets
}

fn main() {
    let series: usize = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(100_000);
    let dir = tempfile::tempdir().unwrap();
    let sets = labels(series);
    // The vectors of 100 targets, each with its own jitter; values: 60 % constant, counters, gauges.
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut blocks = vec![];
    let faults = disk::Faults::default();
    let before_kib = resident_kib();
    for part in 0..2 {
        let vectors: Vec<Vec<i64>> = (0..100)
            .map(|target| {
                let start = part * 7_200_000 + i64::from(target) * 100;
                (0..ROWS).map(|r| start + r as i64 * STEP_MS + (next() % 7) as i64).collect()
            })
            .collect();
        let mut writing = 0;
        let started = Instant::now();
        let mut writer =
            block::BlockWriter::create(dir.path(), part, 1, codec::Effort::Fresh, &faults).unwrap();
        writing += started.elapsed().as_nanos();
        let mut values = vec![0.0; ROWS];
        for (i, set) in sets.iter().enumerate() {
            let host = set.value("instance");
            let target: usize = host[5..8].parse().unwrap();
            let mut value = (next() % 1_000_000) as f64;
            for v in &mut values {
                match i % 10 {
                    0..6 => {}
                    6 | 7 => value += (next() % 100) as f64,
                    _ => value = (next() % 10_000) as f64 / 100.0,
                }
                *v = value;
            }
            let started = Instant::now();
            let data = block::SeriesData { ts: &vectors[target], values: &values, histograms: &[] };
            writer.series(set, &data).unwrap();
            writing += started.elapsed().as_nanos();
        }
        let started = Instant::now();
        let block = writer.finish(block::About { level: 1, ..Default::default() }).unwrap().unwrap();
        let finishing = started.elapsed();
        writing += finishing.as_nanos();
        let samples = (series * ROWS) as f64;
        println!(
            "write: {:.1} ns/sample, of it finish {:.0} ms; peak {} MiB above {} MiB",
            writing as f64 / samples,
            finishing.as_secs_f64() * 1e3,
            (resident_kib() - before_kib) >> 10,
            before_kib >> 10
        );
        for name in ["index", "chunks", "timestamps"] {
            let len = std::fs::metadata(dir.path().join(&block.meta().ulid).join(name)).unwrap().len();
            println!(
                "{name}: {len} bytes, {:.1} a series, {:.4} a sample",
                len as f64 / series as f64,
                len as f64 / samples
            );
        }
        blocks.push(Arc::new(block));
    }
    read(&blocks[0], &sets);
    let started = Instant::now();
    let merged = block::merge(dir.path(), &blocks, 9, 9, codec::Effort::Cold, &faults).unwrap().unwrap();
    let samples = merged.meta().samples as f64;
    println!(
        "merge: {:.1} ns/sample, {:.4} bytes/sample",
        started.elapsed().as_nanos() as f64 / samples,
        merged.bytes() as f64 / samples
    );
    read(&merged, &sets);
}

fn read(block: &block::Block, sets: &[LabelSet]) {
    let started = Instant::now();
    let opened = block::Block::open(block.dir()).unwrap();
    println!("open: {:.2} ms", started.elapsed().as_secs_f64() * 1e3);
    for (name, pattern) in [
        ("__name__", "node_metric_1.*_total"),
        ("instance", "host-0[0-4].*"),
        ("__name__", ".*_77_.*"),
        ("instance", ".*7.example.*"),
    ] {
        let started = Instant::now();
        let found = opened.select(&[Matcher::new(name, MatchOp::Regex, pattern).unwrap()]).unwrap();
        println!(
            "select {name}=~{pattern}: {} series in {:.3} ms",
            found.len(),
            started.elapsed().as_secs_f64() * 1e3
        );
    }
    let started = Instant::now();
    let mut reader = opened.label_reader();
    for i in 0..u32::try_from(sets.len()).unwrap() {
        assert!(!reader.get(i).unwrap().is_empty());
    }
    println!("labels in order: {:.0} ns a series", started.elapsed().as_nanos() as f64 / sets.len() as f64);
    let started = Instant::now();
    for i in (0..sets.len()).step_by(101) {
        opened.labels(u32::try_from(i).unwrap()).unwrap();
    }
    println!(
        "labels alone: {:.0} ns a series",
        started.elapsed().as_nanos() as f64 / (sets.len() / 101) as f64
    );
    let all = TimeRange { mint: i64::MIN, maxt: i64::MAX };
    let started = Instant::now();
    let mut chunks = vec![];
    for i in 0..u32::try_from(sets.len()).unwrap() {
        chunks.clear();
        opened.chunks(i, all, &mut chunks).unwrap();
    }
    println!("chunks: {:.0} ns a series", started.elapsed().as_nanos() as f64 / sets.len() as f64);
    for round in ["first", "second"] {
        let started = Instant::now();
        let (mut decoder, mut ints) = (codec::Decoder::default(), codec::IntDecoder::default());
        // As a query does: each vector once.
        let mut vectors = std::collections::HashMap::<u32, Vec<i64>>::new();
        let (mut values, mut samples) = (vec![0.0; MAX_CHUNK_ROWS], 0_usize);
        for i in 0..u32::try_from(sets.len()).unwrap() {
            chunks.clear();
            opened.chunks(i, all, &mut chunks).unwrap();
            for chunk in &chunks {
                let ts = vectors.entry(chunk.ts).or_default();
                if ts.is_empty() {
                    opened.timestamps(chunk, &mut ints, ts).unwrap();
                }
                opened.values(chunk, &mut decoder, &mut values[..chunk.rows as usize]).unwrap();
                samples += chunk.rows as usize;
            }
        }
        println!(
            "read all, {round} time: {:.2} ns/sample",
            started.elapsed().as_nanos() as f64 / samples as f64
        );
    }
}
