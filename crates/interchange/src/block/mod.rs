//! A block: an immutable directory of samples over a span of time, `DIR/<ULID>/{meta.json,index,chunks/,tombstones}`.

mod index;
mod index_writer;
mod meta;
mod segments;
mod select;
mod tombstones;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};

use model::LabelSet;

use crate::Error;
use crate::chunk::{self, Encoding, Samples};
use crate::map::Mapped;
use index::Index;
use segments::Segments;
use tombstones::Tombstones;

pub use meta::{Compaction, Meta, Parent, Stats, is_ulid, ulid};
pub use writer::BlockWriter;

/// Inclusive bounds in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// First millisecond.
    pub mint: i64,
    /// Last millisecond.
    pub maxt: i64,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { mint: i64::MIN, maxt: i64::MAX };

    /// Whether `ts` lies within.
    #[must_use]
    pub fn contains(&self, ts: i64) -> bool {
        (self.mint..=self.maxt).contains(&ts)
    }
}

/// Where a chunk is, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Time of the first sample.
    pub mint: i64,
    /// Time of the last sample.
    pub maxt: i64,
    /// File in the high 32 bits, counted from 0; offset in the low ones.
    pub reference: u64,
}

/// A series of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesRef {
    /// Its labels.
    pub labels: LabelSet,
    /// Its chunks by time.
    pub chunks: Vec<ChunkMeta>,
    /// Its number within the block, ascending with the labels.
    pub reference: u64,
}

/// A block that is read. Its files are mapped; nothing of them is changed.
#[derive(Debug)]
pub struct Block {
    dir: PathBuf,
    meta: Meta,
    index_bytes: Mapped,
    index: Index,
    segments: Segments,
    tombstones: Tombstones,
    size_bytes: u64,
}

impl Block {
    /// Opens the block in `dir`. Table of contents, symbols and table of postings are checked now, all else when it is read.
    ///
    /// # Errors
    /// When a file is missing, damaged, or of a version that is not read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let meta = Meta::read(dir)?;
        let index_path = dir.join("index");
        let index_bytes = Mapped::open(&index_path)?;
        let index = Index::parse(&index_bytes).map_err(|e| e.within(index_path.display()))?;
        let segments = Segments::open(dir)?;
        let (tombstones, tombstone_bytes) = Tombstones::open(dir)?;
        let meta_path = dir.join("meta.json");
        let meta_bytes = std::fs::metadata(&meta_path).map_err(|e| Error::io("read", &meta_path, e))?.len();
        let size_bytes = segments.size_bytes() + index_bytes.len() as u64 + tombstone_bytes + meta_bytes;
        Ok(Self { dir: dir.to_owned(), meta, index_bytes, index, segments, tombstones, size_bytes })
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its description.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Bytes of its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// All series in label order. A damaged list of series is one error, a damaged series an error in its place.
    pub fn series(&self) -> impl Iterator<Item = Result<SeriesRef, Error>> + '_ {
        let (all, failure) = match self.index.all(&self.index_bytes) {
            Ok(all) => (all, None),
            Err(e) => (Vec::new(), Some(Err(self.here(e)))),
        };
        failure.into_iter().chain(all.into_iter().map(|reference| self.resolve(reference)))
    }

    /// The series of a reference that [`Block::select`] gave.
    ///
    /// # Errors
    /// When it is damaged or there is none.
    pub fn resolve(&self, reference: u64) -> Result<SeriesRef, Error> {
        let (labels, chunks) = self.index.series(&self.index_bytes, reference).map_err(|e| self.here(e))?;
        Ok(SeriesRef { labels, chunks, reference })
    }

    /// The samples of a series within `range`, deleted ones left out.
    ///
    /// # Errors
    /// When a chunk is damaged or has an encoding that is not read.
    pub fn samples(&self, series: &SeriesRef, range: TimeRange) -> Result<Samples, Error> {
        let mut out = Samples::default();
        for chunk in series.chunks.iter().filter(|c| c.mint <= range.maxt && range.mint <= c.maxt) {
            let (encoding, data) = self.chunk(chunk)?;
            chunk::decode(encoding, data, &mut out).map_err(|e| {
                self.here(e.within(format_args!("series {} chunk {:#x}", series.labels, chunk.reference)))
            })?;
        }
        let deleted = self.tombstones.of(series.reference);
        let keep = |ts: i64| range.contains(ts) && !deleted.iter().any(|d| d.contains(ts));
        out.floats.retain(|(ts, _)| keep(*ts));
        out.histograms.retain(|(ts, _)| keep(*ts));
        // Chunks of one series never overlap; where they do all the same, readers still see ascending times.
        if !out.floats.is_sorted_by(|a, b| a.0 < b.0) {
            out.floats.sort_by_key(|(ts, _)| *ts);
            out.floats.dedup_by_key(|(ts, _)| *ts);
        }
        if !out.histograms.is_sorted_by(|a, b| a.0 < b.0) {
            out.histograms.sort_by_key(|(ts, _)| *ts);
            out.histograms.dedup_by_key(|(ts, _)| *ts);
        }
        Ok(out)
    }

    /// Encoding and data of a chunk, its checksum proven.
    ///
    /// # Errors
    /// When it lies outside its file, is damaged, or has an encoding that is not read.
    pub fn chunk(&self, chunk: &ChunkMeta) -> Result<(Encoding, &[u8]), Error> {
        self.segments.chunk(chunk.reference).map_err(|e| self.here(e))
    }

    /// Names of labels, sorted.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.index.names().collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// Values of a label, sorted.
    pub fn label_values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.index.values(&self.index_bytes, name).map(|(v, _)| v)
    }

    /// How many series have a label with a value.
    ///
    /// # Errors
    /// When the list of them is damaged.
    pub fn count(&self, name: &str, value: &str) -> Result<usize, Error> {
        match self.index.find(&self.index_bytes, name, value) {
            Some(at) => Ok(index::postings(&self.index_bytes, at).map_err(|e| self.here(e))?.len()),
            None => Ok(0),
        }
    }

    fn here(&self, e: Error) -> Error {
        e.within(format_args!("block {}", self.meta.ulid))
    }
}

/// Compares a CRC-32C with what the file has.
fn check_crc(bytes: &[u8], expected: u32, what: impl fmt::Display) -> Result<(), Error> {
    let found = crc32c::crc32c(bytes);
    if found == expected {
        return Ok(());
    }
    Err(Error::corrupt(format!("{what}: crc mismatch (found {found:08x}, expected {expected:08x})")))
}

/// Reads everything that an index of these bytes leads to.
pub(crate) fn fuzz_index(bytes: &[u8]) {
    let Ok(index) = Index::parse(bytes) else { return };
    for name in index.names() {
        for (value, at) in index.values(bytes, name) {
            assert!(index.find(bytes, name, value).is_some(), "what is listed is found");
            let _ = index::postings(bytes, at);
        }
    }
    for reference in index.all(bytes).unwrap_or_default() {
        let _ = index.series(bytes, reference);
    }
}

#[cfg(test)]
mod tests;
