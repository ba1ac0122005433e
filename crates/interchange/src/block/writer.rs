//! Writes a block, crash-safe: everything goes to `<ULID>.tmp-for-creation` (which Prometheus removes at start) and is synced before the
//! directory gets its name.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use model::LabelSet;

use super::index_writer::{Failure, IndexWriter};
use super::{ChunkMeta, Compaction, Meta, Stats, is_ulid, segments, tombstones};
use crate::bytes::put_uvarint;
use crate::chunk::{self, Encoded, Encoding, Samples};
use crate::{Error, ErrorKind};

/// Where a chunk file ends.
const SEGMENT_BYTES: u64 = 512 << 20;

/// A block being written. Dropped before [`BlockWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct BlockWriter {
    dir: PathBuf,
    tmp: PathBuf,
    ulid: String,
    index: IndexWriter,
    segments: SegmentWriter,
    stats: Stats,
    span: Option<(i64, i64)>,
    finished: bool,
}

impl BlockWriter {
    /// Begins the block `dir/ulid`. `dir` must exist.
    ///
    /// # Errors
    /// When `ulid` is none or is taken, or the directory cannot be made.
    pub fn create(dir: &Path, ulid: &str) -> Result<Self, Error> {
        if !is_ulid(ulid) {
            return Err(Error::new(ErrorKind::Misuse, format!("{ulid:?} is no ULID")));
        }
        if dir.join(ulid).exists() {
            return Err(Error::new(
                ErrorKind::Misuse,
                format!("block {} is there already", dir.join(ulid).display()),
            ));
        }
        let tmp = dir.join(format!("{ulid}.tmp-for-creation"));
        let chunks = tmp.join("chunks");
        if tmp.exists() {
            fs::remove_dir_all(&tmp).map_err(|e| Error::io("remove", &tmp, e))?;
        }
        fs::create_dir(&tmp).map_err(|e| Error::io("create", &tmp, e))?;
        let begun = Self {
            dir: dir.to_owned(),
            tmp,
            ulid: ulid.to_owned(),
            index: IndexWriter::default(),
            segments: SegmentWriter { dir: chunks.clone(), number: 0, open: None },
            stats: Stats::default(),
            span: None,
            finished: false,
        };
        fs::create_dir(&chunks).map_err(|e| Error::io("create", &chunks, e))?;
        Ok(begun)
    }

    /// Appends a series with its samples. Series come in ascending label order, each once; one without samples is left out.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] for series or samples out of order; failures of the disk.
    pub fn series(&mut self, labels: &LabelSet, samples: &Samples) -> Result<(), Error> {
        let chunks = chunk::encode(samples).map_err(|e| e.within(labels))?;
        self.series_of_chunks(labels, &chunks)
    }

    /// As [`BlockWriter::series`], of chunks that [`chunk::encode`] made, by time and without overlap.
    ///
    /// # Errors
    /// As [`BlockWriter::series`].
    pub fn series_of_chunks(&mut self, labels: &LabelSet, chunks: &[Encoded]) -> Result<(), Error> {
        if self.index.last().is_some_and(|last| last >= labels) {
            let message = format!("block {}: series {labels} does not come after the one before", self.ulid);
            return Err(Error::new(ErrorKind::Misuse, message));
        }
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return Ok(()) };
        if chunks.windows(2).any(|w| w[0].maxt >= w[1].mint) {
            let message = format!("block {}: chunks of series {labels} overlap", self.ulid);
            return Err(Error::new(ErrorKind::Misuse, message));
        }
        let mut metas = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let reference = self.segments.put(chunk.encoding as u8, &chunk.data)?;
            metas.push(ChunkMeta { mint: chunk.mint, maxt: chunk.maxt, reference });
        }
        let (low, high) = self.span.unwrap_or((first.mint, last.maxt));
        self.span = Some((low.min(first.mint), high.max(last.maxt)));
        let count = |floats: bool| -> u64 {
            let of_kind = chunks.iter().filter(|c| (c.encoding == Encoding::Xor) == floats);
            of_kind.map(|c| u64::from(c.samples)).sum()
        };
        let (floats, histograms) = (count(true), count(false));
        self.stats.num_samples += floats + histograms;
        self.stats.num_float_samples += floats;
        self.stats.num_histogram_samples += histograms;
        self.stats.num_series += 1;
        self.stats.num_chunks += chunks.len() as u64;
        self.index.push(labels.clone(), &metas);
        Ok(())
    }

    /// How many series have been written.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.index.len()
    }

    /// Writes the rest and gives the block its name. Its span is that of its samples.
    ///
    /// # Errors
    /// [`ErrorKind::Misuse`] when no series was written; failures of the disk.
    pub fn finish(mut self) -> Result<Meta, Error> {
        let Some((mint, maxt)) = self.span else {
            return Err(Error::new(ErrorKind::Misuse, format!("block {}: no series was written", self.ulid)));
        };
        self.segments.close()?;
        let index_path = self.tmp.join("index");
        let file = File::create_new(&index_path).map_err(|e| Error::io("create", &index_path, e))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        self.index.write(&mut out).map_err(|e| match e {
            Failure::Io(e) => Error::io("write", &index_path, e),
            Failure::Refused(e) => e,
        })?;
        close(out, &index_path)?;
        let meta = Meta {
            ulid: self.ulid.clone(),
            min_time: mint,
            max_time: maxt.saturating_add(1),
            stats: self.stats.clone(),
            compaction: Compaction { level: 1, sources: vec![self.ulid.clone()], ..Compaction::default() },
            version: 1,
        };
        write_file(&self.tmp.join("tombstones"), &tombstones::EMPTY)?;
        write_file(&self.tmp.join("meta.json"), &meta.to_json())?;
        sync_dir(&self.tmp.join("chunks"))?;
        sync_dir(&self.tmp)?;
        let path = self.dir.join(&self.ulid);
        fs::rename(&self.tmp, &path).map_err(|e| Error::io("rename to", &path, e))?;
        self.finished = true;
        sync_dir(&self.dir)?;
        Ok(meta)
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed by Prometheus' next start, or by the next block of this name.
            let _ = fs::remove_dir_all(&self.tmp);
        }
    }
}

/// Chunk files as they grow.
#[derive(Debug)]
struct SegmentWriter {
    dir: PathBuf,
    /// Files begun.
    number: u64,
    open: Option<(BufWriter<File>, PathBuf, u64)>,
}

impl SegmentWriter {
    /// Appends a chunk and tells its reference.
    fn put(&mut self, encoding: u8, data: &[u8]) -> Result<u64, Error> {
        let mut head = Vec::with_capacity(6);
        put_uvarint(&mut head, data.len() as u64);
        head.push(encoding);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[encoding]), data);
        let len = (head.len() + data.len() + 4) as u64;
        if self.open.as_ref().is_none_or(|(_, _, at)| at + len > SEGMENT_BYTES) {
            self.begin()?;
        }
        let (out, path, at) = self.open.as_mut().expect("begun above");
        let reference = (self.number - 1) << 32 | *at;
        [&head[..], data, &crc.to_be_bytes()]
            .iter()
            .try_for_each(|part| out.write_all(part))
            .map_err(|e| Error::io("write", path, e))?;
        *at += len;
        Ok(reference)
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.close()?;
        self.number += 1;
        let path = self.dir.join(format!("{:06}", self.number));
        let file = File::create_new(&path).map_err(|e| Error::io("create", &path, e))?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        out.write_all(&segments::HEADER).map_err(|e| Error::io("write", &path, e))?;
        self.open = Some((out, path, segments::HEADER.len() as u64));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.open.take() {
            Some((out, path, _)) => close(out, &path),
            None => Ok(()),
        }
    }
}

fn close(out: BufWriter<File>, path: &Path) -> Result<(), Error> {
    let file = out.into_inner().map_err(|e| Error::io("write", path, e.into_error()))?;
    file.sync_all().map_err(|e| Error::io("sync", path, e))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create_new(path).map_err(|e| Error::io("create", path, e))?;
    file.write_all(bytes).map_err(|e| Error::io("write", path, e))?;
    file.sync_all().map_err(|e| Error::io("sync", path, e))
}

fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|d| d.sync_all()).map_err(|e| Error::io("sync", path, e))
}
