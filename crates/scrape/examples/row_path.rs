//! Measures the row path: nanoseconds per sample for a body of 2,500 series as a node_exporter gives it.
//!
//! `cargo run --profile quick -p vigie-scrape --example row_path`
#![allow(clippy::print_stdout, reason = "the figures are the point")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use exposition::Format;
use model::{LabelSet, TimestampMs};
use scrape::ingest::{Fetched, Ingest, SampleSettings, Sinks};
use storage::{AppendReport, Error, GroupId, RowAppender, SampleAppender, SeriesSample, Slot};

/// Takes everything and keeps nothing.
struct Nowhere;

impl RowAppender for Nowhere {
    fn open_group(&self, _: &LabelSet) -> Result<GroupId, Error> {
        Ok(GroupId(0))
    }
    fn define(&self, _: GroupId, series: &[LabelSet]) -> Result<Vec<Slot>, Error> {
        // The report series come first and alone.
        let first = if series.len() == 5 { 0 } else { 5 };
        Ok((0..series.len()).map(|i| Slot(u32::try_from(first + i).unwrap_or(u32::MAX))).collect())
    }
    fn append_row(&self, _: GroupId, _: TimestampMs, _: &[f64]) -> Result<(), Error> {
        Ok(())
    }
    fn close_group(&self, _: GroupId) {}
}

impl SampleAppender for Nowhere {
    fn append(&self, batch: &[SeriesSample]) -> Result<AppendReport, Error> {
        Ok(AppendReport { accepted: batch.len(), ..AppendReport::default() })
    }
}

/// Families of ten series with values as exporters print them.
fn body(scrape: u64) -> String {
    let mut out = String::new();
    for family in 0..250_u64 {
        out.push_str(&format!(
            "# HELP node_subsystem_{family}_seconds_total Seconds the subsystem spent in each mode, by CPU.\n\
             # TYPE node_subsystem_{family}_seconds_total counter\n"
        ));
        for i in 0..10_u64 {
            let series = format!(
                "node_subsystem_{family}_seconds_total{{cpu=\"{i}\",device=\"eth{i}\",mode=\"iowait\"}}"
            );
            let n = family * 7919 + i * 104_729 + scrape * 31;
            let value = match i % 4 {
                0 => format!("{n}"),
                1 => format!("{}.{:02}", n / 100, n % 100),
                2 => format!("{}", n as f64 * 1.000_000_37),
                _ => format!("1.{n}e+09"),
            };
            out.push_str(&format!("{series} {value}\n"));
        }
    }
    out
}

fn main() {
    let nowhere = Arc::new(Nowhere);
    let sinks =
        Sinks { rows: nowhere.clone(), samples: nowhere, stats: Arc::default(), metadata: Arc::default() };
    let settings = Arc::new(SampleSettings::new(&config::ScrapeConfig::default()));
    let target = LabelSet::from_pairs([("instance", "host:9100"), ("job", "node")]);
    let mut ingest = Ingest::new(sinks, settings, target.clone(), target, Duration::from_secs(10));
    let bodies: Vec<String> = (0..64).map(body).collect();
    let mut ts = 0;
    let mut run = |ingest: &mut Ingest, body: &str| {
        ts += 1;
        let fetched = Fetched::Body { format: Format::Text, bytes: body.as_bytes() };
        let summary = ingest.scrape(ts, fetched, || Duration::ZERO);
        assert_eq!((summary.error, summary.scraped), (None, 2500));
    };
    let first = Instant::now();
    run(&mut ingest, &bodies[0]);
    println!("first scrape: {:.0} ns per sample", first.elapsed().as_nanos() as f64 / 2500.0);
    let rounds = 200;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        for round in 0..rounds {
            run(&mut ingest, &bodies[round % bodies.len()]);
        }
        best = best.min(begin.elapsed().as_nanos() as f64 / (rounds * 2500) as f64);
    }
    println!("row path: {best:.1} ns per sample, {} bytes per body", bodies[0].len());
    println!("kept between scrapes: {:.1} bytes per series", ingest.heap_bytes() as f64 / 2500.0);
    // One line in the middle missing every second time.
    let shorter: Vec<String> = bodies
        .iter()
        .map(|b| b.replace("node_subsystem_125_seconds_total{cpu=\"5\"", "node_x{cpu=\"5\""))
        .collect();
    let begin = Instant::now();
    for round in 0..rounds {
        let set = if round % 2 == 0 { &shorter } else { &bodies };
        run(&mut ingest, &set[round % bodies.len()]);
    }
    println!(
        "with a line that changes: {:.1} ns per sample",
        begin.elapsed().as_nanos() as f64 / (rounds * 2500) as f64
    );
}
