//! Measures the head: `cargo run --release -p vigie-tsdb --example head [SERIES [ROWS [DIR [GROUPS]]]]`.
//!
//! GROUPS (200) groups of node_exporter-like series (64 % constant, counters, decimals, a few full doubles), one row every 5 s
//! of a simulated clock, `maintain` every 30 s. One process fills the store and is killed with SIGKILL; another opens it and
//! asks for each series of a metric. Prints CPU per sample, memory per series, bytes per sealed sample, start-up.
//!
//! `head open DIR` opens a store that is there, as the second process does: for a profiler.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use kernels::{Grid, RangeFn};
use model::{LabelSet, Matcher};
use storage::{LeafBatch, LeafExecutor, LeafOp, LeafRequest, QueryContext, RowAppender, StoreStatus};
use tsdb::{Store, StoreOptions};

/// Where the simulated clock starts.
const START_MS: i64 = 1_700_000_000_000;
/// What the filling process prints when it is to be killed.
const FILLED: &str = "filled";

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

/// CPU of this thread, to the nanosecond where the kernel counts it.
fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0))
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["fill", series, rows, dir, groups] => {
            Ok(fill(series.parse()?, rows.parse()?, Path::new(dir), groups.parse()?)?)
        }
        ["ask", dir] => Ok(open(Path::new(dir))?),
        ["open", dir] => {
            // What each part of the start took.
            tracing_subscriber::fmt()
                .with_writer(std::io::stderr)
                .with_max_level(tracing::Level::DEBUG)
                .init();
            Ok(open(Path::new(dir))?)
        }
        _ => {
            let argument = |i: usize, default| words.get(i).copied().unwrap_or(default);
            let dir = argument(2, "target/head-bench");
            measure(argument(0, "500000"), argument(1, "360"), dir, argument(3, "200"))
        }
    }
}

/// Fills a store in a process of its own, kills that, and opens the store in another.
fn measure(series: &str, rows: &str, dir: &str, groups: &str) -> Result<(), Box<dyn std::error::Error>> {
    let _ = std::fs::remove_dir_all(dir);
    let program = std::env::current_exe()?;
    let mut filling = Command::new(&program)
        .args(["fill", series, rows, dir, groups])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut filled = false;
    if let Some(out) = filling.stdout.take() {
        for line in BufReader::new(out).lines() {
            let line = line?;
            if line == FILLED {
                filled = true;
                // SIGKILL on Unix.
                filling.kill()?;
                break;
            }
            println!("{line}");
        }
    }
    let status = filling.wait()?;
    if !filled {
        return Err(format!("the filling process ended with {status}").into());
    }
    let status = Command::new(&program).args(["ask", dir]).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("the opening process ended with {status}").into()) }
}

fn options(now: &Arc<AtomicI64>) -> StoreOptions {
    let clock = Arc::clone(now);
    StoreOptions { clock: Arc::new(move || clock.load(Ordering::Relaxed)), ..StoreOptions::default() }
}

/// Opens the store and asks it.
fn open(dir: &Path) -> Result<(), storage::Error> {
    let (_, before) = resident();
    let (t, c) = (Instant::now(), cpu());
    let now = Arc::new(AtomicI64::new(START_MS));
    let store = Store::open(dir, options(&now))?;
    let opened = t.elapsed();
    let stats = store.head_stats();
    let series = stats.num_series;
    now.store(stats.max_time.max(START_MS), Ordering::Relaxed);
    let asked = query(&store, "one metric", &now)?;
    println!(
        "start without a clean end: {opened:.1?}, first answer {asked:.1?} later, {:.1?} cpu, {} records replayed, {series} series",
        cpu().saturating_sub(c),
        store.stats().replayed_records,
    );
    let (all, anon) = resident();
    println!(
        "memory after it: {} MiB resident, {} MiB anonymous: {:.0} B/series; index by its own account {:.0} B/series",
        all >> 20,
        anon >> 20,
        anon.saturating_sub(before) as f64 / series.max(1) as f64,
        store.stats().index_bytes as f64 / series.max(1) as f64,
    );
    query(&store, "one metric", &now)?;
    query(&store, "all", &now)?;
    Ok(())
}

fn query(store: &Store, name: &str, now: &AtomicI64) -> Result<Duration, storage::Error> {
    let matcher = match name {
        "all" => Matcher::equal("job", "node"),
        _ => Matcher::equal("__name__", "node_metric_7_total"),
    };
    let end = now.load(Ordering::Relaxed);
    let grid = Grid::range(end - 1_800_000, end, 15_000);
    let request =
        LeafRequest { matchers: vec![matcher], op: LeafOp::Range(RangeFn::Rate), range_ms: 60_000, grid };
    let ctx = QueryContext::unbounded();
    let (t, c) = (Instant::now(), cpu());
    let mut selected = 0;
    store.run(&request, &ctx, &mut |batch: LeafBatch| {
        selected += batch.labels.len();
        Ok(())
    })?;
    let elapsed = t.elapsed();
    println!(
        "rate over 30 min, {name}: {selected} series, {} samples in {elapsed:.1?} ({:.1?} cpu)",
        ctx.samples_read(),
        cpu().saturating_sub(c)
    );
    Ok(elapsed)
}

fn fill(series: usize, rows: i64, dir: &Path, group_count: usize) -> Result<(), storage::Error> {
    let now = Arc::new(AtomicI64::new(START_MS));
    let per_group = series / group_count.max(1);
    let store = Store::open(dir, options(&now))?;

    let (_, before) = resident();
    let (started, cpu_before) = (Instant::now(), cpu());
    let mut groups = vec![];
    for g in 0..group_count {
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
    let (mut cpu_append, mut cpu_maintain) = (Duration::ZERO, Duration::ZERO);
    // Memory is touched for the first time until then.
    let warm_up = if rows >= 48 { 24 } else { 0 };
    for k in 0..rows {
        let ts = now.fetch_add(5000, Ordering::Relaxed) + 5000;
        let steady = k >= warm_up;
        for (g, id) in groups.iter().enumerate() {
            for (i, v) in row.iter_mut().enumerate() {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                *v = value(i, k, noise);
            }
            let (t, c) = (Instant::now(), thread_cpu());
            store.append_row(*id, ts + g as i64, &row)?;
            in_append += t.elapsed();
            if steady {
                cpu_append += thread_cpu().saturating_sub(c);
            }
        }
        if k % 6 == 5 {
            let (t, c) = (Instant::now(), thread_cpu());
            store.maintain(ts)?;
            in_maintain += t.elapsed();
            if steady {
                cpu_maintain += thread_cpu().saturating_sub(c);
            }
        }
        let (all, anon) = resident();
        peak = (peak.0.max(all), peak.1.max(anon));
    }
    let samples = (rows as usize * per_group * group_count) as f64;
    let steady = ((rows - warm_up) as usize * per_group * group_count) as f64;
    let stats = store.head_stats();
    println!(
        "append: {:.1} ns/sample wall; maintain {:.1} ns/sample wall; cpu per sample, {:.1} ns in appends, {:.1} ns in maintenance: {:.1} ns/sample cpu",
        in_append.as_nanos() as f64 / samples,
        in_maintain.as_nanos() as f64 / samples,
        cpu_append.as_nanos() as f64 / steady,
        cpu_maintain.as_nanos() as f64 / steady,
        (cpu_append + cpu_maintain).as_nanos() as f64 / steady,
    );
    println!(
        "memory: peak {} MiB resident, {} MiB anonymous: {:.0} B/series",
        peak.0 >> 20,
        peak.1 >> 20,
        peak.1.saturating_sub(before) as f64 / series as f64
    );
    let sealed = (rows - rows % 120) as f64 * (per_group * group_count) as f64;
    println!(
        "disk: chunks {} MiB ({:.3} B/sample if {} rows are sealed), log {} MiB, checkpoint {} MiB, {} checkpoints",
        stats.chunk_bytes >> 20,
        stats.chunk_bytes as f64 / sealed.max(1.0),
        rows - rows % 120,
        stats.log_bytes >> 20,
        store.stats().checkpoint_bytes >> 20,
        store.stats().checkpoints,
    );

    for name in ["one metric", "all"] {
        query(&store, name, &now)?;
    }
    println!("{FILLED}");
    // Until it is killed; should nobody do so, not for ever.
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}
