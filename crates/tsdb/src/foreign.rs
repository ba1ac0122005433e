//! A Prometheus' data in the store's directory: its blocks are read where they are, its log is copied once. Nothing of it is
//! changed or removed, so that Prometheus can have it back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use interchange::{Block, Directory, TimeRange as Range};
use model::Matcher;
use roaring::RoaringBitmap;
use storage::{Error, ErrorKind, TimeRange};

use crate::StoreOptions;
use crate::block::{About, BlockWriter, SeriesData};
use crate::codec::Effort;
use crate::disk::{Faults, sync_dir};
use crate::flush::entropy;

/// Opens the blocks in `root` by time; those that cannot be read are named and counted.
pub(crate) fn open(root: &Path) -> Result<(Vec<Arc<Block>>, u64), Error> {
    let failed = |e| Error::io(format!("list {}", root.display()), e);
    let (mut blocks, mut damaged) = (vec![], 0);
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let named = path.file_name().and_then(|n| n.to_str()).is_some_and(interchange::is_ulid);
        if !named || !path.join("meta.json").is_file() {
            continue;
        }
        match Block::open(&path) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(e) => {
                tracing::error!(block = %path.display(), error = %e, "block of Prometheus cannot be read");
                damaged += 1;
            }
        }
    }
    blocks.sort_by_key(|b| (b.meta().min_time, b.meta().max_time));
    Ok((blocks, damaged))
}

/// First and last millisecond.
pub(crate) fn range_of(block: &Block) -> TimeRange {
    TimeRange { mint: block.meta().min_time, maxt: block.meta().max_time - 1 }
}

/// The range in the other crate's words.
pub(crate) fn range(range: TimeRange) -> Range {
    Range { mint: range.mint, maxt: range.maxt }
}

/// References of the series that match. They are offsets in units of 16 bytes, so they fit for any index below 64 GiB.
pub(crate) fn select(block: &Block, matchers: &[Matcher]) -> Result<RoaringBitmap, Error> {
    let all = block.select(matchers).map_err(error)?;
    let all = all.into_iter().map(u32::try_from).collect::<Result<_, _>>();
    all.map_err(|_| {
        let ulid = &block.meta().ulid;
        Error::new(ErrorKind::Unsupported, format!("block {ulid}: an index of more than 64 GiB"))
    })
}

/// What of a Prometheus' log has been copied: number and length of its newest segment, and its newest sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Copied {
    segment: u64,
    len: u64,
    newest: Option<i64>,
}

impl Copied {
    fn path(root: &Path) -> PathBuf {
        root.join("prometheus-log-copied")
    }

    fn read(root: &Path) -> Self {
        let text = std::fs::read_to_string(Self::path(root)).unwrap_or_default();
        let mut words = text.split_ascii_whitespace();
        let read = |words: &mut std::str::SplitAsciiWhitespace<'_>| {
            let (segment, len) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(Self { segment, len, newest: words.next().and_then(|w| w.parse().ok()) })
        };
        read(&mut words).unwrap_or_default()
    }

    fn write(self, root: &Path) -> std::io::Result<()> {
        let newest = self.newest.map_or(String::new(), |n| n.to_string());
        let (path, partial) = (Self::path(root), root.join("prometheus-log-copied.tmp"));
        std::fs::write(&partial, format!("{} {} {newest}\n", self.segment, self.len))?;
        std::fs::File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, &path)?;
        sync_dir(root)
    }
}

/// Copies the samples of a Prometheus' log in `root` to blocks in `blocks`, those that were not there the last time. A crash on the
/// way has it done again, and equal samples are merged.
pub(crate) fn copy_log(
    root: &Path,
    blocks: &Path,
    options: &StoreOptions,
    faults: &Faults,
) -> Result<(), Error> {
    let Some((segment, len)) = newest_segment(&root.join("wal")) else { return Ok(()) };
    let before = Copied::read(root);
    if (before.segment, before.len) == (segment, len) {
        return Ok(());
    }
    let directory = Directory::open(root).map_err(error)?;
    let head = directory.read_head().map_err(error)?;
    for damage in &head.report.damage {
        tracing::error!(damage, "log of Prometheus is damaged, the rest of that segment is lost");
    }
    let mut copied = Copied { segment, len, newest: before.newest };
    if let Some(bounds) = head.bounds() {
        let (span, now) = (options.block_span_ms, (options.clock)());
        let mint = before.newest.map_or(bounds.mint, |n| bounds.mint.max(n.saturating_add(1)));
        let mut start = mint.div_euclid(span).saturating_mul(span);
        while start <= bounds.maxt {
            let range = Range { mint: start.max(mint), maxt: (start + span - 1).min(bounds.maxt) };
            let mut writer = BlockWriter::create(blocks, now, entropy(), Effort::Fresh, faults)?;
            head.for_each(range, &mut |(labels, samples)| {
                let (ts, values): (Vec<i64>, Vec<f64>) = samples.floats.into_iter().unzip();
                let histograms: Vec<_> =
                    samples.histograms.into_iter().map(|(t, h)| (t, Arc::new(h))).collect();
                let data = SeriesData { ts: &ts, values: &values, histograms: &histograms };
                writer.series(&labels, &data).map_err(Failed)
            })
            .map_err(|Failed(e)| e)?;
            writer.finish(About { level: 1, ..About::default() })?;
            start += span;
        }
        copied.newest = Some(bounds.maxt);
    }
    tracing::info!(series = head.len(), segments = head.report.segments, "log of Prometheus copied");
    copied.write(root).map_err(|e| Error::io("note that the log of Prometheus was copied", e))
}

/// An error of either crate on its way through the other.
struct Failed(Error);

impl From<interchange::Error> for Failed {
    fn from(e: interchange::Error) -> Self {
        Self(error(e))
    }
}

fn newest_segment(wal: &Path) -> Option<(u64, u64)> {
    let number = |e: std::fs::DirEntry| {
        let number = e.file_name().to_str()?.parse::<u64>().ok()?;
        Some((number, e.metadata().ok()?.len()))
    };
    std::fs::read_dir(wal).ok()?.filter_map(|e| number(e.ok()?)).max()
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn error(e: interchange::Error) -> Error {
    Error::new(ErrorKind::Corrupt, e.to_string())
}
