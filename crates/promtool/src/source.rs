//! What is read: a directory of Prometheus, or one of Vigie.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use interchange::{Directory, Head, Samples, TimeRange};
use kernels::Grid;
use model::{LabelSet, MatchOp, Matcher};
use serde::Deserialize;
use storage::{LeafBatch, LeafData, LeafOp, LeafRequest, QueryContext};

use crate::Failure;

/// A store that is read.
pub(crate) enum Source {
    Prometheus(Box<Directory>),
    Vigie(Arc<tsdb::Store>),
}

/// A block as `list` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BlockLine {
    pub(crate) ulid: String,
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) samples: u64,
    pub(crate) chunks: u64,
    pub(crate) series: u64,
    pub(crate) bytes: u64,
}

/// The part of a Vigie block's `meta.json` that is shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VigieMeta {
    ulid: String,
    min_time: i64,
    max_time: i64,
    #[serde(default)]
    stats: VigieStats,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VigieStats {
    num_samples: u64,
    num_series: u64,
    num_chunks: u64,
}

pub(crate) type Sink<'a> = dyn FnMut(&LabelSet, &Samples) -> Result<(), Failure> + 'a;

/// Whether `dir` is a store of Vigie's: it has a log or blocks in folders of those names.
fn is_vigie(dir: &Path) -> bool {
    dir.join("log").is_dir() || dir.join("blocks").is_dir()
}

fn check(dir: &Path) -> Result<(), Failure> {
    match fs::metadata(dir) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Failure::new(format!(
            "opening the db dir: stat {}: no such file or directory",
            dir.display()
        ))),
        Err(e) => Err(Failure::new(format!("opening the db dir: stat {}: {e}", dir.display()))),
    }
}

impl Source {
    /// Opens what is in `dir`. A store of Vigie's that a process has open cannot be read beside it.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        check(dir)?;
        if is_vigie(dir) {
            Self::open_vigie(dir)
        } else {
            Ok(Self::Prometheus(Box::new(Directory::open(dir)?)))
        }
    }

    /// Opens a store of Vigie's that must be there.
    pub(crate) fn open_vigie(dir: &Path) -> Result<Self, Failure> {
        check(dir)?;
        Ok(Self::Vigie(tsdb::Store::open(dir, tsdb::StoreOptions::default())?))
    }

    /// The blocks of `dir` by time, without opening a store.
    pub(crate) fn list(dir: &Path) -> Result<Vec<BlockLine>, Failure> {
        check(dir)?;
        if !is_vigie(dir) {
            return Ok(Directory::open(dir)?.blocks().iter().map(BlockLine::of).collect());
        }
        let mut lines = Vec::new();
        let blocks = dir.join("blocks");
        let entries = match fs::read_dir(&blocks) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(lines),
            Err(e) => return Err(Failure::new(format!("read {}: {e}", blocks.display()))),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if !path.file_name().and_then(|n| n.to_str()).is_some_and(interchange::is_ulid) {
                continue;
            }
            let meta_path = path.join("meta.json");
            let meta: VigieMeta = fs::read(&meta_path)
                .map_err(|e| e.to_string())
                .and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()))
                .map_err(|e| Failure::new(format!("{}: {e}", meta_path.display())))?;
            lines.push(BlockLine {
                ulid: meta.ulid,
                min_time: meta.min_time,
                max_time: meta.max_time,
                samples: meta.stats.num_samples,
                chunks: meta.stats.num_chunks,
                series: meta.stats.num_series,
                bytes: bytes_of(&path),
            });
        }
        lines.sort_by(|a, b| (a.min_time, &a.ulid).cmp(&(b.min_time, &b.ulid)));
        Ok(lines)
    }

    /// Hands the series that any of the matcher sets selects to `sink`, with their samples within `range`. A Prometheus directory's
    /// come in label order, a Vigie store's in its own; each comes once.
    pub(crate) fn for_each(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        sink: &mut Sink<'_>,
    ) -> Result<(), Failure> {
        match self {
            Self::Prometheus(directory) => {
                let head = if range.maxt >= directory.head_begins() {
                    directory.read_head()?
                } else {
                    Head::default()
                };
                let mut failed = None;
                let ended = directory.for_each(Some(&head), sets, range, &mut |(labels, samples)| {
                    sink(&labels, &samples).map_err(|e| {
                        failed = Some(e);
                        interchange::Error::new(interchange::ErrorKind::Io, "the output failed")
                    })
                });
                match failed {
                    Some(e) => Err(e),
                    None => Ok(ended?),
                }
            }
            Self::Vigie(store) => for_each_stored(&**store, sets, range, sink),
        }
    }
}

impl BlockLine {
    pub(crate) fn of(block: &interchange::Block) -> Self {
        let meta = block.meta();
        Self {
            ulid: meta.ulid.clone(),
            min_time: meta.min_time,
            max_time: meta.max_time,
            samples: meta.stats.num_samples,
            chunks: meta.stats.num_chunks,
            series: meta.stats.num_series,
            bytes: block.size_bytes(),
        }
    }
}

/// Bytes of all files below.
fn bytes_of(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => bytes_of(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

/// The samples of a store within `range`, through leaves. A series that several sets select comes once.
pub(crate) fn for_each_stored(
    store: &dyn storage::LeafExecutor,
    sets: &[Vec<Matcher>],
    range: TimeRange,
    sink: &mut Sink<'_>,
) -> Result<(), Failure> {
    let Some(covered) = store.covers() else { return Ok(()) };
    let (mint, maxt) = (range.mint.max(covered.mint), range.maxt.min(covered.maxt));
    if mint > maxt {
        return Ok(());
    }
    let everything = vec![Matcher::new(model::METRIC_NAME, MatchOp::Regex, ".*").expect("a right pattern")];
    let one_set = [everything];
    let sets = if sets.is_empty() { &one_set[..] } else { sets };
    for (i, set) in sets.iter().enumerate() {
        let range_ms = maxt.saturating_sub(mint).saturating_add(1);
        let request =
            LeafRequest { matchers: set.clone(), op: LeafOp::Samples, range_ms, grid: Grid::instant(maxt) };
        let mut failed = None;
        let ended = store.run(&request, &QueryContext::unbounded(), &mut |batch: LeafBatch| {
            each_series(batch, &mut |labels, samples| {
                let is_seen = sets[..i].iter().any(|s| s.iter().all(|m| m.matches_labels(labels)));
                if is_seen { Ok(()) } else { sink(labels, samples) }
            })
            .map_err(|e| {
                failed = Some(e);
                storage::Error::new(storage::ErrorKind::Io, "the output failed")
            })
        });
        match failed {
            Some(e) => return Err(e),
            None => ended?,
        }
    }
    Ok(())
}

fn each_series(batch: LeafBatch, sink: &mut Sink<'_>) -> Result<(), Failure> {
    let LeafData::Raw(raw) = batch.data else {
        return Err(Failure::new("the store answered a request for samples with something else"));
    };
    let mut histograms = raw.histograms.into_iter().peekable();
    for (labels, bounds) in batch.labels.iter().zip(raw.offsets.windows(2)) {
        let mut samples = Samples::default();
        for i in bounds[0]..bounds[1] {
            match histograms.next_if(|(at, _)| *at == i) {
                Some((_, h)) => samples.histograms.push((raw.ts[i], Arc::unwrap_or_clone(h))),
                None => samples.floats.push((raw.ts[i], raw.values[i])),
            }
        }
        sink(labels, &samples)?;
    }
    Ok(())
}
