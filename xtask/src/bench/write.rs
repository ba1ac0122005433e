//! Measures `write`, `write-single` and `disk`: the noisy set by remote write, and what is left of it on disk.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::http::{self, Connection};
use super::noise::{self, Series};
use super::peers::{Kind, Program, Server};
use super::report::{Figure, Row, Section, Unit};
use super::requests::{Builder, Requests};
use super::scrape::column;
use super::targets::now_ms;
use super::{Bench, proto, usage};

/// Sizes of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) series: usize,
    /// Samples of each series, and milliseconds between them.
    pub(crate) samples: usize,
    pub(crate) step_ms: i64,
    /// In one request: series, and samples of each.
    pub(crate) series_per_request: usize,
    pub(crate) samples_per_series: usize,
    pub(crate) connections: usize,
    /// Seconds watched after the last answer, for work put off.
    pub(crate) afterwards: u64,
    /// Seconds that merging may take, for the bytes on disk.
    pub(crate) merging: u64,
}

/// What was sent, to be looked for afterwards.
pub(crate) struct Sent {
    pub(crate) requests: Requests,
    /// Some series, and the last value of each.
    watched: Vec<(String, f64)>,
    /// Time of the newest samples.
    pub(crate) last_ms: i64,
    per_series: usize,
}

/// Measures `write` and `disk`, which share one run.
pub(crate) fn run(bench: &mut Bench, want_write: bool, want_disk: bool) -> anyhow::Result<Vec<Section>> {
    let sizes = bench.sizes.write;
    let load_average = usage::load_average();
    let sent = make(&bench.directory.join("write.requests"), &sizes)?;
    let mut kept = vec![];
    let rows = bench.each("write", |bench, program| {
        let (mut server, row) = one(bench, program, &sent, &sizes)?;
        if want_disk {
            kept.push(disk(&mut server, row.label.clone(), sent.requests.samples, sizes.merging)?);
        }
        Ok(row)
    })?;
    fs::remove_file(bench.directory.join("write.requests"))?;
    let text = text(&sizes, &sent, bench);
    let mut sections = vec![];
    if want_write {
        sections.push(Section {
            name: "write",
            title: "Remote write, 20 samples per series and request",
            text,
            columns: columns(),
            rows,
            figures: vec![Figure {
                title: "remote write, 20 samples per series and request, 115 M samples: CPU s per million; peak memory",
                columns: &["cpu_per_million", "peak"],
                goal: "≤ 0.25; ≤ 150 MiB",
            }],
            printed: vec![],
            load_average,
        });
    }
    if want_disk {
        sections.push(Section {
            name: "disk",
            title: "Bytes on disk",
            text: format!(
                "The load of the remote write with 20 samples per series and request ({:.1} M samples, {} series). Then each server is brought to what it keeps: Prometheus by a snapshot, whose blocks a second process without \
                 a load merges (its log, empty then, is not counted); VictoriaMetrics by a forced merge and a stop (its caches are not \
                 counted); Vigie by a stop and `promtool tsdb compact`. Indexes are counted, files are whole disk blocks. {}",
                sent.requests.samples as f64 / 1e6,
                sizes.series,
                bench.built()
            ),
            columns: disk_columns(),
            rows: kept,
            figures: vec![Figure {
                title: "bytes per sample on disk after compaction, index included (that noisy set)",
                columns: &["per_sample"],
                goal: "≤ 0.8",
            }],
            printed: vec![],
            load_average,
        });
    }
    Ok(sections)
}

/// Measure `write-single`.
pub(crate) fn run_single(bench: &mut Bench) -> anyhow::Result<Section> {
    let sizes = bench.sizes.write_single;
    let load_average = usage::load_average();
    let sent = make(&bench.directory.join("write.requests"), &sizes)?;
    let rows = bench.each("write-single", |bench, program| Ok(one(bench, program, &sent, &sizes)?.1))?;
    fs::remove_file(bench.directory.join("write.requests"))?;
    Ok(Section {
        name: "write-single",
        title: "Remote write, 1 sample per series and request",
        text: text(&sizes, &sent, bench),
        columns: columns(),
        rows,
        figures: vec![Figure {
            title: "remote write, 1 sample per series and request: CPU s per million",
            columns: &["cpu_per_million"],
            goal: "≤ 0.6",
        }],
        printed: vec![],
        load_average,
    })
}

fn text(sizes: &Sizes, sent: &Sent, bench: &Bench) -> String {
    format!(
        "{} series, {:.1} M samples, one each {} s up to now: whole counters (37 %), CPU seconds with two decimals (9 %), latency \
         histograms (14 %), memory and disk space in steps of 4 KiB (18 %), gauges with two and three decimals (4 %), small whole numbers \
         (6 %), constants (12 %). {} requests of \
         {} series with {} samples each ({:.1} bytes a sample as sent), over {} connections, each with its own series, in the \
         order of time, each request after the answer to the one before. `afterwards` adds the CPU of the {} s after the last \
         answer. Of twenty series number of samples and last value are checked. {}",
        sizes.series,
        sent.requests.samples as f64 / 1e6,
        sizes.step_ms / 1000,
        sent.requests.count(),
        sizes.series_per_request,
        sizes.samples_per_series,
        sent.requests.bytes as f64 / sent.requests.samples as f64,
        sent.requests.connections(),
        sizes.afterwards,
        bench.built()
    )
}

fn columns() -> Vec<super::report::Column> {
    vec![
        column("cpu_per_million", "CPU s per million samples", Unit::Number),
        column("cpu_afterwards", "afterwards", Unit::Number),
        column("wall", "wall time", Unit::Seconds),
        column("peak", "peak memory", Unit::Mebibytes),
        column("resident", "resident at the end", Unit::Mebibytes),
        column("anonymous", "of it anonymous", Unit::Mebibytes),
        column("disk", "on disk then", Unit::Mebibytes),
    ]
}

pub(crate) fn disk_columns() -> Vec<super::report::Column> {
    vec![
        column("per_sample", "bytes per sample", Unit::Number),
        column("disk", "on disk", Unit::Mebibytes),
        column("samples", "samples", Unit::Millions),
    ]
}

/// Makes the load, kept in the file `path`.
pub(crate) fn make(path: &Path, sizes: &Sizes) -> anyhow::Result<Sent> {
    ensure!(sizes.connections > 0 && sizes.series >= sizes.connections, "at least one series per connection");
    let mut series = noise::series(sizes.series);
    let labels: Vec<Vec<u8>> = series.iter().map(encoded_labels).collect();
    let mut builder = Builder::create(path, sizes.connections)?;
    let last_ms = now_ms();
    let first_ms = last_ms - sizes.step_ms * i64::try_from(sizes.samples - 1)?;
    let (mut body, mut scratch, mut samples) = (vec![], vec![], vec![]);
    let mut last = vec![0.0; series.len()];
    let share = series.len().div_ceil(sizes.connections);
    for (slice, from) in (0..sizes.samples).step_by(sizes.samples_per_series).enumerate() {
        let to = (from + sizes.samples_per_series).min(sizes.samples);
        for (connection, first) in (0..series.len()).step_by(share).enumerate() {
            let own: Vec<usize> = (first..(first + share).min(series.len())).collect();
            for request in own.chunks(sizes.series_per_request) {
                body.clear();
                for &number in request {
                    samples.clear();
                    for at in from..to {
                        last[number] = series[number].next();
                        samples.push((first_ms + at as i64 * sizes.step_ms, last[number]));
                    }
                    proto::put_series(&labels[number], &samples, &mut scratch, &mut body);
                }
                builder.push(connection, slice, &body, (request.len() * (to - from)) as u64)?;
            }
        }
    }
    // Odd steps meet each kind of series.
    let watched = (0..20).map(|n| n * (series.len() / 20).max(1) + 7 * n).filter(|n| *n < series.len());
    let watched = watched.map(|n| (series[n].selector(), last[n])).collect();
    Ok(Sent { requests: builder.finish()?, watched, last_ms, per_series: sizes.samples })
}

fn encoded_labels(series: &Series) -> Vec<u8> {
    let mut out = vec![];
    proto::put_labels(series.labels.iter().map(|(name, value)| (*name, value.as_str())), &mut out);
    out
}

fn one(bench: &Bench, program: &Program, sent: &Sent, sizes: &Sizes) -> anyhow::Result<(Server, Row)> {
    let mut server = Server::start(program, bench.home("write", program), None)?;
    let samples = sent.requests.samples as f64;
    println!("{}: sending {:.1} M samples", server.label, samples / 1e6);
    let before = server.cpu_seconds()?;
    let wall = sent.requests.send(&server.address)?;
    let cpu = server.cpu_seconds()? - before;
    let memory = server.memory()?;
    let disk = server.disk_bytes()?;
    println!(
        "{}: {:.2} CPU s per million in {:.0} s, then watching for {} s",
        server.label,
        cpu / samples * 1e6,
        wall.as_secs_f64(),
        sizes.afterwards
    );
    server.wait(Duration::from_secs(sizes.afterwards))?;
    let afterwards = server.cpu_seconds()? - before - cpu;
    // The peak of all, work put off included.
    let peak = server.memory()?.peak;
    check(&server, sent)?;
    let row = Row {
        kind: server.kind,
        label: server.label.clone(),
        values: vec![
            ("cpu_per_million", cpu / samples * 1e6),
            ("cpu_afterwards", (cpu + afterwards) / samples * 1e6),
            ("wall", wall.as_secs_f64()),
            ("peak", peak as f64),
            ("resident", memory.resident as f64),
            ("anonymous", memory.anonymous as f64),
            ("disk", disk as f64),
            ("samples", samples),
        ],
        note: String::new(),
    };
    Ok((server, row))
}

/// Whether the server has what it took: number of samples and last value of some series.
pub(crate) fn check(server: &Server, sent: &Sent) -> anyhow::Result<()> {
    if server.kind == Kind::Victoria {
        http::get(&server.address, "/internal/force_flush")?;
    }
    let mut connection = Connection::open(&server.address, Duration::from_secs(120))?;
    let mut ask = |expression: &str| -> anyhow::Result<f64> {
        let result = http::query(&mut connection, expression, sent.last_ms)?;
        let value = result.first().and_then(|series| series["value"][1].as_str());
        value.with_context(|| format!("no answer to {expression}"))?.parse().context("a value")
    };
    for (selector, last) in &sent.watched {
        let count = ask(&format!("count_over_time({selector}[26h])"))?;
        ensure!(count == sent.per_series as f64, "{selector}: {count} samples of {}", sent.per_series);
        let value = ask(&format!("last_over_time({selector}[1m])"))?;
        ensure!((value - last).abs() <= last.abs() * 1e-12, "{selector}: {value}, not {last}");
    }
    Ok(())
}

/// What the server keeps on disk of `samples` samples; it is stopped by that.
pub(crate) fn disk(server: &mut Server, label: String, samples: u64, merging: u64) -> anyhow::Result<Row> {
    println!("{}: stopping and compacting", server.label);
    let (bytes, note) = server.compact(Duration::from_secs(merging))?;
    println!("{}: {:.3} bytes per sample", server.label, bytes as f64 / samples as f64);
    Ok(Row {
        kind: server.kind,
        label,
        values: vec![
            ("per_sample", bytes as f64 / samples as f64),
            ("disk", bytes as f64),
            ("samples", samples as f64),
        ],
        note: note.to_owned(),
    })
}
