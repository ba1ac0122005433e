//! The log of a Prometheus' head, read: `wal/` with its newest checkpoint, and `wbl/`, the log of samples that came late.
//!
//! Which files hold what: upstream replays the mapped chunks (`chunks_head/`) and the log, and passes over samples of the log that the
//! chunks have. But writing a chunk to `chunks_head/` cuts nothing from the log: segments go only when the head is truncated to a
//! time, their younger samples go to the checkpoint, and the samples before that time are in blocks. So checkpoint and segments hold
//! *every* sample that no block has, and `chunks_head/` is an accelerator of the start. The same holds for `wbl/`. [`head_chunks`] is
//! there for the one case where it has more: a log with damage.

pub mod head_chunks;
mod record;
mod segment;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use model::{Exemplar, Histogram, LabelSet, Metadata};

use crate::Error;
use crate::map::Mapped;

/// What the log says. A series is named before its samples, once or more often; one label set may have several references.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A series' labels.
    Series {
        /// Stands for the series in what follows.
        reference: u64,
        /// Its labels.
        labels: LabelSet,
    },
    /// A float.
    Sample {
        /// The series.
        reference: u64,
        /// When.
        ts: i64,
        /// The value; may be the staleness marker.
        value: f64,
    },
    /// A native histogram.
    Histogram {
        /// The series.
        reference: u64,
        /// When.
        ts: i64,
        /// The histogram.
        histogram: Box<Histogram>,
    },
    /// A deletion of what the head has of a series by then.
    Tombstone {
        /// The series.
        reference: u64,
        /// First millisecond.
        mint: i64,
        /// Last millisecond.
        maxt: i64,
    },
    /// An exemplar.
    Exemplar {
        /// The series.
        reference: u64,
        /// The exemplar; it has a time.
        exemplar: Exemplar,
    },
    /// What the metric is.
    Metadata {
        /// The series.
        reference: u64,
        /// Type, unit and help.
        metadata: Metadata,
    },
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Segments, those of the checkpoint too.
    pub segments: usize,
    /// Sound records.
    pub records: u64,
    /// Bytes of segments after the place where reading them ended.
    pub bytes_left_out: u64,
    /// Where segments ended early, and why. The end of the last one is what a crash leaves and no damage.
    pub damage: Vec<String>,
    /// The last segment's torn end, if it has one.
    pub torn_tail: Option<String>,
}

/// Reads the log of the data directory `dir`: the newest checkpoint, then the segments after it. No log is an empty one.
///
/// A segment that is damaged ends there, with a line in the report; the next one is read all the same (upstream's repair would
/// remove it), so that damage costs as little as it can.
///
/// # Errors
/// When files cannot be opened. Never for what is in them.
pub fn read(dir: &Path, sink: &mut dyn FnMut(Event)) -> Result<Report, Error> {
    let dir = dir.join("wal");
    let mut report = Report::default();
    if !dir.is_dir() {
        return Ok(report);
    }
    let checkpoint = checkpoint(&dir)?;
    if let Some((_, path)) = &checkpoint {
        for (_, segment) in segments(path)? {
            one(&segment, false, &mut report, sink)?;
        }
    }
    let after = checkpoint.map(|(number, _)| number);
    let all = segments(&dir)?;
    for (i, (number, segment)) in all.iter().enumerate() {
        if after.is_none_or(|a| *number > a) {
            one(segment, i + 1 == all.len(), &mut report, sink)?;
        }
    }
    Ok(report)
}

/// Reads the log of late samples in `dir/wbl`, as [`read`]. Its series are those of `dir/wal`.
///
/// # Errors
/// As [`read`].
pub fn read_late(dir: &Path, sink: &mut dyn FnMut(Event)) -> Result<Report, Error> {
    let dir = dir.join("wbl");
    let mut report = Report::default();
    if !dir.is_dir() {
        return Ok(report);
    }
    let all = segments(&dir)?;
    for (i, (_, segment)) in all.iter().enumerate() {
        one(segment, i + 1 == all.len(), &mut report, sink)?;
    }
    Ok(report)
}

fn one(path: &Path, is_last: bool, report: &mut Report, sink: &mut dyn FnMut(Event)) -> Result<(), Error> {
    let bytes = Mapped::open(path)?;
    report.segments += 1;
    let mut records = 0;
    let end = segment::records(&bytes, &mut |r| {
        record::read(r, sink)?;
        records += 1;
        Ok(())
    });
    report.records += records;
    if let Err(torn) = end {
        let text = format!("{} at {}: {}", path.display(), torn.offset, torn.why);
        report.bytes_left_out += (bytes.len() - torn.offset.min(bytes.len())) as u64;
        if is_last {
            report.torn_tail = Some(text);
        } else {
            report.damage.push(text);
        }
    }
    Ok(())
}

/// Files named by a number, in order.
fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io("read", dir, e))? {
        let path = entry.map_err(|e| Error::io("read", dir, e))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok());
        if let Some(number) = number.filter(|_| path.is_file()) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The newest whole checkpoint: `checkpoint.<last segment it covers>`.
fn checkpoint(dir: &Path) -> Result<Option<(u64, PathBuf)>, Error> {
    let mut newest = None;
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io("read", dir, e))? {
        let path = entry.map_err(|e| Error::io("read", dir, e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix("checkpoint."));
        // `checkpoint.00000003.tmp` is one that was being written.
        if let Some(number) = name.and_then(|n| n.parse().ok()).filter(|_| path.is_dir()) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest)
}

/// Unpacks and reads one segment's bytes; for tests with bytes of any kind.
pub(crate) fn read_bytes(bytes: &[u8], sink: &mut dyn FnMut(Event)) -> Result<(), String> {
    segment::records(bytes, &mut |r| record::read(r, sink)).map_err(|t| t.why)
}
