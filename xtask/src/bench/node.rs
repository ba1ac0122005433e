//! Measure `node`: real scrapes of node_exporter, captured or collected now, replayed with their own timestamps.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use exposition::{Entry, Format, Parser};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use model::LabelSet;

use super::peers::{Server, free_address};
use super::report::{Figure, Section};
use super::requests::{Builder, Requests};
use super::targets::now_ms;
use super::write::{disk, disk_columns};
use super::{Bench, http, proto, usage};
use crate::paths;
use crate::process::{self, Output, Running, command};

/// Scrapes that go into one request per series, and series in one request.
const SCRAPES_PER_REQUEST: usize = 20;
const SERIES_PER_REQUEST: usize = 100;
/// A scrape is not larger than this, inflated.
const MAX_SCRAPE: u64 = 64 << 20;
const INTERVAL: Duration = Duration::from_secs(15);

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Option<Section>> {
    let directory = match (&bench.options.capture, bench.options.minutes) {
        (Some(directory), _) => directory.clone(),
        (None, Some(minutes)) => {
            let directory = bench.directory.join("capture");
            collect(&directory, Duration::from_secs(minutes * 60))?;
            directory
        }
        (None, None) => {
            println!("SKIPPED: node: give --capture DIR, or --minutes N to collect scrapes now");
            return Ok(None);
        }
    };
    let load_average = usage::load_average();
    let path = bench.directory.join("node.requests");
    let replay = make(&directory, &path)?;
    let merging = bench.sizes.write.merging;
    let rows = bench.each("node", |bench, program| {
        let mut server = Server::start(program, bench.home("node", program), None)?;
        println!("{}: replaying {} scrapes", server.label, replay.scrapes);
        replay.requests.send(&server.address)?;
        let label = server.label.clone();
        disk(&mut server, label, replay.requests.samples, merging)
    })?;
    fs::remove_file(path)?;
    Ok(Some(Section {
        name: "node",
        title: "Real scrapes of node_exporter",
        text: format!(
            "{} scrapes of one node_exporter in {:.0} min, {} series, {} samples; replayed by remote write with their own \
             timestamps ({SCRAPES_PER_REQUEST} of a series in a request), then stopped and compacted as for the bytes on disk. {}",
            replay.scrapes,
            replay.minutes,
            replay.series,
            replay.requests.samples,
            bench.built()
        ),
        columns: disk_columns(),
        rows,
        figures: vec![Figure {
            title: "real node_exporter, 15 s, as stopped and compacted: bytes per sample",
            columns: &["per_sample"],
            goal: "≤ 1.2 for 50 min; ≤ 0.5 for 24 h",
        }],
        printed: vec![],
        load_average,
    }))
}

struct Replay {
    requests: Requests,
    scrapes: usize,
    series: usize,
    minutes: f64,
}

/// A series and its samples that are in no request yet.
struct Pending {
    /// As fields of the message.
    labels: Vec<u8>,
    points: Vec<(i64, f64)>,
}

/// The captured scrapes, `<unix ms>.txt.gz` or `.txt`, by time.
fn captured(directory: &Path) -> anyhow::Result<Vec<(i64, PathBuf)>> {
    let mut scrapes = vec![];
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".gz").unwrap_or(&name).strip_suffix(".txt");
        if let Some(ts) = stem.and_then(|stem| stem.parse().ok()) {
            scrapes.push((ts, path));
        }
    }
    scrapes.sort_unstable();
    ensure!(!scrapes.is_empty(), "{} has no files <unix ms>.txt.gz", directory.display());
    Ok(scrapes)
}

fn body(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut body = vec![];
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(file).take(MAX_SCRAPE).read_to_end(&mut body)?;
    } else {
        file.take(MAX_SCRAPE).read_to_end(&mut body)?;
    }
    Ok(body)
}

fn make(directory: &Path, path: &Path) -> anyhow::Result<Replay> {
    let scrapes = captured(directory)?;
    let mut builder = Builder::create(path, 1)?;
    let mut numbers: HashMap<LabelSet, usize> = HashMap::new();
    let mut series: Vec<Pending> = vec![];
    let (mut scratch, mut request) = (vec![], vec![]);
    let (mut taken, mut torn) = (0, 0);
    for (slice, portion) in scrapes.chunks(SCRAPES_PER_REQUEST).enumerate() {
        for (ts, path) in portion {
            // The last one may be in the making.
            match read(&body(path).unwrap_or_default(), *ts, &mut numbers, &mut series) {
                Ok(()) => taken += 1,
                Err(error) => {
                    println!("{} is left out: {error:#}", path.display());
                    torn += 1;
                }
            }
        }
        for some in series.chunks_mut(SERIES_PER_REQUEST) {
            request.clear();
            let mut samples = 0;
            for one in some.iter_mut().filter(|one| !one.points.is_empty()) {
                proto::put_series(&one.labels, &one.points, &mut scratch, &mut request);
                samples += one.points.len() as u64;
                one.points.clear();
            }
            if samples > 0 {
                builder.push(0, slice, &request, samples)?;
            }
        }
    }
    ensure!(torn <= 1, "{torn} scrapes of {} cannot be read", scrapes.len());
    let span = scrapes[scrapes.len() - 1].0 - scrapes[0].0;
    let minutes = span as f64 / 60_000.0;
    Ok(Replay { requests: builder.finish()?, scrapes: taken, series: numbers.len(), minutes })
}

fn read(
    body: &[u8],
    ts: i64,
    numbers: &mut HashMap<LabelSet, usize>,
    series: &mut Vec<Pending>,
) -> anyhow::Result<()> {
    let mut parser = Parser::new(Format::Text, body);
    let mut found = vec![];
    while let Some(entry) = parser.next()? {
        if let Entry::Series(sample) = entry {
            let mut labels = sample.label_set().to_builder();
            labels.set("job", "node");
            labels.set("instance", "localhost:9100");
            found.push((labels.build(), sample.ts.unwrap_or(ts), sample.value));
        }
    }
    ensure!(!found.is_empty(), "no samples");
    for (labels, ts, value) in found {
        let number = *numbers.entry(labels.clone()).or_insert_with(|| {
            let mut fields = vec![];
            proto::put_labels(labels.iter(), &mut fields);
            series.push(Pending { labels: fields, points: vec![] });
            series.len() - 1
        });
        series[number].points.push((ts, value));
    }
    Ok(())
}

/// Collects scrapes of a node_exporter that is started for it.
fn collect(directory: &Path, time: Duration) -> anyhow::Result<()> {
    let program = paths::installed(&["prometheus-node-exporter", "node_exporter"]);
    let program = program.context("node_exporter is not installed")?;
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    let address = free_address()?;
    let mut exporter = command(program);
    exporter.arg(format!("--web.listen-address={address}"));
    let log = directory.join("log");
    let mut exporter = Running::start("node_exporter", &mut exporter, &Output::File(&log))?;
    exporter.wait_until_listening(&address)?;
    println!("collecting scrapes for {} min", time.as_secs() / 60);
    let (started, mut next) = (Instant::now(), Instant::now());
    while started.elapsed() < time {
        let ts = now_ms();
        let body = http::get(&address, "/metrics")?;
        let mut file =
            GzEncoder::new(File::create(directory.join(format!("{ts}.txt.gz")))?, Compression::fast());
        file.write_all(&body)?;
        file.finish()?;
        next += INTERVAL;
        while Instant::now() < next {
            ensure!(!process::interrupted(), "interrupted");
            exporter.check()?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_become_requests() {
        let directory = std::env::temp_dir().join(format!("vigie-bench-node-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for n in 0..45_i64 {
            let file =
                File::create(directory.join(format!("{}.txt.gz", 1_700_000_000_000 + n * 15_000))).unwrap();
            let mut file = GzEncoder::new(file, Compression::fast());
            write!(file, "# TYPE a counter\na{{x=\"1\"}} {n}\nb 2.5\n").unwrap();
            file.finish().unwrap();
        }
        let replay = make(&directory, &directory.join("requests")).unwrap();
        assert_eq!((replay.scrapes, replay.series, replay.requests.samples), (45, 2, 90));
        assert_eq!(replay.requests.count(), 3);
        assert_eq!(replay.minutes, 11.0);
        fs::remove_dir_all(directory).unwrap();
    }
}
