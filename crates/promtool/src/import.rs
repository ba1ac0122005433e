//! `promtool tsdb import`: a Prometheus directory, blocks and log, into a Vigie store.
//!
//! Each finished block is noted in `imported-blocks` in the store's directory, so that an import that was ended begins again with
//! the block it was at; samples that are there already are taken without effect.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use interchange::{Block, Directory, Samples, TimeRange};
use model::LabelSet;
use storage::{PointAppender, PointsReport, Refusals, SeriesPoints};

use crate::args::{Args, Spec, required};
use crate::{Failure, Outside};

pub(crate) const SPEC: Spec = Spec {
    about: "Copy the samples of a Prometheus directory (blocks and log) into a Vigie store. Can be repeated and resumed.",
    flags: &[],
    positional: &[required("prometheus directory"), required("store")],
};

/// Samples of one batch.
const BATCH: usize = 20_000;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) series: u64,
}

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let (from, to) = (Path::new(args.positional(0)), Path::new(args.positional(1)));
    if !Directory::is_one(from) {
        return Err(Failure::new(format!(
            "{}: no directory of Prometheus: it has neither blocks nor wal",
            from.display()
        )));
    }
    let source = Directory::open(from)?;
    // Blocks may overlap, and the log's late samples are older than its others: nothing is too old here.
    let options =
        tsdb::StoreOptions { out_of_order_window_ms: i64::MAX / 4, ..tsdb::StoreOptions::default() };
    let store = tsdb::Store::open(to, options)?;
    let total = copy(&source, &*store, &Progress::at(to), outside)?;
    store.sync()?;
    writeln!(
        outside.out,
        "imported {} samples of {} series, refused {}",
        total.accepted, total.series, total.refused
    )?;
    Ok(())
}

/// Copies all that is not noted as copied, block by block, then the log.
pub(crate) fn copy(
    source: &Directory,
    store: &dyn PointAppender,
    progress: &Progress,
    outside: &mut Outside<'_>,
) -> Result<Total, Failure> {
    let done = progress.read()?;
    let mut total = Total::default();
    for block in source.blocks() {
        let ulid = &block.meta().ulid;
        if done.contains(ulid) {
            writeln!(outside.out, "block {ulid}: imported before")?;
            continue;
        }
        let mut batch = Batch::new(store);
        copy_block(block, &mut batch)?;
        let part = batch.finish()?;
        writeln!(outside.out, "block {ulid}: {} samples of {} series", part.accepted, part.series)?;
        progress.note(ulid)?;
        total.add(part);
    }
    let head = source.read_head()?;
    for damage in &head.report.damage {
        writeln!(outside.out, "log: damaged, read as far as it can be: {damage}")?;
    }
    let mut batch = Batch::new(store);
    head.for_each(TimeRange::ALL, &mut |(labels, samples)| batch.push(labels, samples))?;
    let part = batch.finish()?;
    writeln!(outside.out, "log: {} samples of {} series", part.accepted, part.series)?;
    total.add(part);
    Ok(total)
}

fn copy_block(block: &Block, batch: &mut Batch<'_>) -> Result<(), Failure> {
    for series in block.series() {
        let series = series?;
        let samples = block.samples(&series, TimeRange::ALL)?;
        batch.push(series.labels, samples)?;
    }
    Ok(())
}

impl Total {
    fn add(&mut self, part: Self) {
        self.accepted += part.accepted;
        self.refused += part.refused;
        self.series += part.series;
    }

    fn count(&mut self, report: &PointsReport) {
        self.accepted += (report.floats + report.histograms) as u64;
        self.refused += report.refused.iter().sum::<usize>() as u64;
    }
}

/// Series on their way into the store.
struct Batch<'a> {
    store: &'a dyn PointAppender,
    series: Vec<(LabelSet, Samples)>,
    samples: usize,
    total: Total,
}

impl<'a> Batch<'a> {
    fn new(store: &'a dyn PointAppender) -> Self {
        Self { store, series: Vec::new(), samples: 0, total: Total::default() }
    }

    fn push(&mut self, labels: LabelSet, samples: Samples) -> Result<(), Failure> {
        if samples.is_empty() {
            return Ok(());
        }
        self.samples += samples.len();
        self.total.series += 1;
        self.series.push((labels, samples));
        if self.samples >= BATCH { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Failure> {
        let points: Vec<SeriesPoints<'_>> = self
            .series
            .iter()
            .map(|(labels, samples)| SeriesPoints {
                key: None,
                labels,
                floats: &samples.floats,
                histograms: &samples.histograms,
                exemplars: &[],
            })
            .collect();
        let report = self.store.append_points(&points, Refusals::Skip)?;
        self.total.count(&report);
        self.series.clear();
        self.samples = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Total, Failure> {
        if !self.series.is_empty() {
            self.send()?;
        }
        Ok(self.total)
    }
}

/// Which blocks are copied.
pub(crate) struct Progress(PathBuf);

impl Progress {
    pub(crate) fn at(store: &Path) -> Self {
        Self(store.join("imported-blocks"))
    }

    fn read(&self) -> Result<BTreeSet<String>, Failure> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(e) => Err(Failure::new(format!("read {}: {e}", self.0.display()))),
        }
    }

    fn note(&self, ulid: &str) -> Result<(), Failure> {
        let write = || {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.0)?;
            file.write_all(format!("{ulid}\n").as_bytes())?;
            file.sync_data()
        };
        write().map_err(|e| Failure::new(format!("write {}: {e}", self.0.display())))
    }
}
