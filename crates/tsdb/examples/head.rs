//! Measures the head: `cargo run --release -p vigie-tsdb --example head [SERIES [ROWS [DIR]]]`.
//!
//! 200 groups of node_exporter-like series (64 % constant, counters, decimals, a few full doubles), one row every 5 s
//! of a simulated clock, `maintain` every 30 s. Prints CPU per sample, memory per series, bytes per sealed sample, start-up.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use kernels::{Grid, RangeFn};
use model::{LabelSet, Matcher};
use storage::{LeafBatch, LeafExecutor, LeafOp, LeafRequest, QueryContext, RowAppender, StoreStatus};
use tsdb::{Store, StoreOptions};

const GROUPS: usize = 200;

/// Resident bytes of this process: all, and those of its own (not of mapped files).
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    (field("VmRSS:").unwrap_or(0) * 1024, field("RssAnon:").unwrap_or(0) * 1024)
}

/// User and system CPU of this process.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or("");
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn value(series: usize, k: i64, noise: u64) -> f64 {
    let k = k as f64;
    match series % 50 {
        0..32 => (series % 997) as f64,
        32..36 => k * 15.0 + (noise % 8) as f64,
        36..39 => (k * 123.0 + (noise % 40) as f64) / 100.0,
        39..42 => k * 48_000.0 + (noise % 5000) as f64,
        42..44 => ((noise % 4000) * 4096) as f64,
        44..47 => (noise % 20) as f64,
        47..49 => (k * 1000.0 + (noise % 900) as f64) * 0.001,
        _ => 1.0 / (noise % 10_000 + 3) as f64,
    }
}

fn main() -> Result<(), storage::Error> {
    let mut args = std::env::args().skip(1);
    let series: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(500_000);
    let rows: i64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(360);
    let dir = args.next().unwrap_or_else(|| "target/head-bench".to_owned());
    let dir = std::path::Path::new(&dir);
    let _ = std::fs::remove_dir_all(dir);
    let now = Arc::new(AtomicI64::new(1_700_000_000_000));
    let clock = Arc::clone(&now);
    let options =
        StoreOptions { clock: Arc::new(move || clock.load(Ordering::Relaxed)), ..StoreOptions::default() };
    let per_group = series / GROUPS;
    let store = Store::open(dir, options.clone())?;

    let (_, before) = resident();
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut groups = vec![];
    for g in 0..GROUPS {
        let instance = format!("10.0.{}.{}:9100", g / 250, g % 250);
        let id = store.open_group(&LabelSet::from_pairs([("instance", &instance)]))?;
        let sets: Vec<LabelSet> = (0..per_group)
            .map(|i| {
                LabelSet::from_pairs([
                    ("__name__", format!("node_metric_{}_total", i % 300)),
                    ("instance", instance.clone()),
                    ("job", "node".to_owned()),
                    ("device", format!("dev{}", i / 300)),
                    ("mode", ["idle", "user", "system", "iowait"][i % 4].to_owned()),
                    ("env", "production".to_owned()),
                ])
            })
            .collect();
        store.define(id, &sets)?;
        groups.push(id);
    }
    let (_, defined) = resident();
    println!(
        "define: {series} series in {:.1?} ({:.1?} cpu), {:.0} B/series resident, index by its own account {:.0} B/series",
        started.elapsed(),
        cpu().saturating_sub(cpu_before),
        defined.saturating_sub(before) as f64 / series as f64,
        store.stats().index_bytes as f64 / series as f64,
    );

    let mut noise = 88_172_645_463_325_252_u64;
    let mut row = vec![0.0; per_group];
    let (mut in_append, mut in_maintain, mut peak) = (Duration::ZERO, Duration::ZERO, (0, 0));
    let mut cpu_own = Duration::ZERO;
    for k in 0..rows {
        let ts = now.fetch_add(5000, Ordering::Relaxed) + 5000;
        let round = cpu();
        let mut filling = Duration::ZERO;
        for (g, id) in groups.iter().enumerate() {
            let t = Instant::now();
            for (i, v) in row.iter_mut().enumerate() {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                *v = value(i, k, noise);
            }
            filling += t.elapsed();
            let t = Instant::now();
            store.append_row(*id, ts + g as i64, &row)?;
            in_append += t.elapsed();
        }
        if k % 6 == 5 {
            let t = Instant::now();
            store.maintain(ts)?;
            in_maintain += t.elapsed();
        }
        cpu_own += cpu().saturating_sub(round).saturating_sub(filling);
        let (all, anon) = resident();
        peak = (peak.0.max(all), peak.1.max(anon));
    }
    let samples = (rows as usize * per_group * GROUPS) as f64;
    let stats = store.head_stats();
    println!(
        "append: {:.1} ns/sample wall; maintain {:.1} ns/sample wall; {:.1} ns/sample cpu in the store",
        in_append.as_nanos() as f64 / samples,
        in_maintain.as_nanos() as f64 / samples,
        cpu_own.as_nanos() as f64 / samples,
    );
    println!(
        "memory: peak {} MiB resident, {} MiB anonymous: {:.0} B/series",
        peak.0 >> 20,
        peak.1 >> 20,
        peak.1.saturating_sub(before) as f64 / series as f64
    );
    let sealed = (rows - rows % 120) as f64 * (per_group * GROUPS) as f64;
    println!(
        "disk: chunks {} MiB ({:.3} B/sample if {} rows are sealed), log {} MiB, checkpoint {} MiB, {} checkpoints",
        stats.chunk_bytes >> 20,
        stats.chunk_bytes as f64 / sealed.max(1.0),
        rows - rows % 120,
        stats.log_bytes >> 20,
        store.stats().checkpoint_bytes >> 20,
        store.stats().checkpoints,
    );

    for (name, matchers) in [
        ("one metric", vec![Matcher::equal("__name__", "node_metric_7_total")]),
        ("all", vec![Matcher::equal("job", "node")]),
    ] {
        let end = now.load(Ordering::Relaxed);
        let grid = Grid::range(end - 1_800_000, end, 15_000);
        let request = LeafRequest { matchers, op: LeafOp::Range(RangeFn::Rate), range_ms: 60_000, grid };
        let ctx = QueryContext::unbounded();
        let (t, c) = (Instant::now(), cpu());
        let mut selected = 0;
        store.run(&request, &ctx, &mut |batch: LeafBatch| {
            selected += batch.labels.len();
            Ok(())
        })?;
        println!(
            "rate over 30 min, {name}: {selected} series, {} samples in {:.1?} ({:.1?} cpu)",
            ctx.samples_read(),
            t.elapsed(),
            cpu().saturating_sub(c)
        );
    }

    // Not closed: as after a crash.
    drop(store);
    let t = Instant::now();
    let store = Store::open(dir, options)?;
    println!(
        "start without a clean end: {:.1?}, {} records replayed, {} series",
        t.elapsed(),
        store.stats().replayed_records,
        store.head_stats().num_series
    );
    Ok(())
}
