//! Measures the per-series path: `cargo run --profile quick -p vigie-tsdb --example points [SERIES [SAMPLES [DIR]]]`.
//!
//! SERIES series (20,000), SAMPLES of each (2,880: 12 hours at 15 s), in batches of 500 series: first with 20 samples a series
//! and batch, then with 1, each in a store of its own. Prints CPU per sample, bytes of memory per series, bytes of log per sample.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a program that prints figures")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use model::LabelSet;
use storage::{Error, PointAppender, Refusals, SeriesPoints, StoreStatus};
use tsdb::{Store, StoreOptions};

const BATCH: usize = 500;
const START: i64 = 1_700_000_000_000;
const STEP: i64 = 15_000;

fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0) * 1024
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
        0..20 => (series % 997) as f64,
        20..30 => k * 15.0 + (noise % 8) as f64,
        30..36 => (k * 123.0 + (noise % 40) as f64) / 100.0,
        36..42 => k * 48_000.0 + (noise % 5000) as f64,
        42..44 => ((noise % 4000) * 4096) as f64,
        44..47 => (noise % 20) as f64,
        47..49 => (k * 1000.0 + (noise % 900) as f64) * 0.001,
        _ => 1.0 / (noise % 10_000 + 3) as f64,
    }
}

fn labels(i: usize) -> LabelSet {
    LabelSet::from_pairs([
        ("__name__", format!("node_metric_{}_total", i % 300)),
        ("instance", format!("10.0.{}.{}:9100", i / 50_000, i / 2500 % 250)),
        ("job", "node".to_owned()),
        ("device", format!("dev{}", i / 300)),
        ("mode", ["idle", "user", "system", "iowait"][i % 4].to_owned()),
    ])
}

fn run(dir: &std::path::Path, series: usize, samples: usize, each: usize) -> Result<(), Error> {
    let _ = std::fs::remove_dir_all(dir);
    let now = Arc::new(AtomicI64::new(START));
    let clock = Arc::clone(&now);
    let options =
        StoreOptions { clock: Arc::new(move || clock.load(Ordering::Relaxed)), ..StoreOptions::default() };
    let store = Store::open(dir, options.clone())?;
    let sets: Vec<LabelSet> = (0..series).map(labels).collect();
    let (anon, mut noise) = (status("RssAnon:"), 88_172_645_463_325_252_u64);
    let (mut inside, mut maintaining, mut filling) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut peak, mut logged) = (0, 0);
    let mut floats: Vec<(i64, f64)> = Vec::with_capacity(BATCH * each);
    let (mut maintained, mut first) = (Instant::now(), Duration::ZERO);
    for round in 0..samples / each {
        for batch in (0..series).step_by(BATCH) {
            let t = Instant::now();
            floats.clear();
            let batch = batch..(batch + BATCH).min(series);
            for s in batch.clone() {
                for i in 0..each {
                    noise ^= noise << 13;
                    noise ^= noise >> 7;
                    noise ^= noise << 17;
                    let k = i64::try_from(round * each + i).expect("small");
                    floats.push((START + k * STEP, value(s, k, noise)));
                }
            }
            now.store(floats[floats.len() - 1].0, Ordering::Relaxed);
            let points: Vec<SeriesPoints<'_>> = batch
                .zip(floats.chunks(each))
                .map(|(s, floats)| SeriesPoints {
                    key: Some((s as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)),
                    labels: &sets[s],
                    floats,
                    histograms: &[],
                    exemplars: &[],
                })
                .collect();
            filling += t.elapsed();
            let t = Instant::now();
            store.append_points(&points, Refusals::Skip)?;
            inside += t.elapsed();
            if round == 0 {
                first += t.elapsed();
            }
        }
        peak = peak.max(status("RssAnon:"));
        if round == 0 {
            logged = store.head_stats().log_bytes;
        }
        if round == 1 {
            logged = store.head_stats().log_bytes - logged;
        }
        // The owner does so about each 30 seconds of its own time.
        if maintained.elapsed() > Duration::from_secs(2) {
            let t = Instant::now();
            store.maintain(now.load(Ordering::Relaxed))?;
            maintaining += t.elapsed();
            maintained = Instant::now();
        }
    }
    let n = (series * (samples / each) * each) as f64;
    let (own, stats) = (status("RssAnon:"), store.head_stats());
    println!(
        "{each} samples a series and batch: {:.0} ns a sample in append ({:.0} ns a new series), {:.0} ns in maintain, \
         {:.2} log bytes a sample; memory {:.0} B a series, peak {:.0} MiB over the start; {:.2} sealed bytes a sample",
        (inside - first).as_nanos() as f64 / (n - (series * each) as f64).max(1.0),
        first.as_nanos() as f64 / series as f64,
        maintaining.as_nanos() as f64 / n,
        logged as f64 / (series * each) as f64,
        own.saturating_sub(anon) as f64 / series as f64,
        peak.saturating_sub(anon) as f64 / (1 << 20) as f64,
        stats.chunk_bytes as f64 / n,
    );
    println!("  filling took {filling:.1?}, cpu of the process {:.1?}", cpu());
    drop(store);
    let t = Instant::now();
    let store = Store::open(dir, options)?;
    println!(
        "  opened again in {:.0?} with {} records replayed, {} series",
        t.elapsed(),
        store.stats().replayed_records,
        store.head_stats().num_series
    );
    Ok(())
}

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let series: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(20_000);
    let samples: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(2880);
    let dir = args.next().unwrap_or_else(|| "target/points-bench".to_owned());
    let dir = std::path::Path::new(&dir);
    run(dir, series, samples, 20)?;
    run(dir, series, samples / 10, 1)?;
    let _ = std::fs::remove_dir_all(dir);
    Ok(())
}
