//! A block that can be read: mapped, shared by reference, unchanged but for its deletions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Histogram, LabelSet, Matcher};
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;
use storage::{BlockInfo, Error, ErrorKind, TimeRange};

use super::index_read::{Index, LabelReader};
use super::pages::Pages;
use super::timestamps::{Span, Times};
use super::tombstones::Tombstones;
use super::writer::CHUNKS_MAGIC;
use super::{BlockMeta, PlanInput, file, ulid};
use crate::codec::histogram::HistogramCodec;
use crate::codec::{Decoder, IntDecoder};
use crate::disk::Faults;
use crate::segment::Damaged;

/// One chunk of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkRef {
    /// Samples in it.
    pub(crate) rows: u32,
    /// Oldest sample.
    pub(crate) mint: i64,
    /// Newest sample.
    pub(crate) maxt: i64,
    /// The id of its timestamp vector, which chunks of other series share: equal ids, equal timestamps.
    pub(crate) ts: u32,
    /// Whether it holds histograms.
    pub(crate) histogram: bool,
    at: u64,
    len: u32,
}

impl ChunkRef {
    fn span(&self) -> Span {
        Span { ts: self.ts, mint: self.mint, maxt: self.maxt, rows: self.rows, histogram: self.histogram }
    }

    pub(super) fn range(&self) -> TimeRange {
        TimeRange { mint: self.mint, maxt: self.maxt }
    }
}

/// A block. Parts that are damaged make the calls that touch them fail, and no others.
#[derive(Debug)]
pub(crate) struct Block {
    dir: PathBuf,
    meta: BlockMeta,
    index: Index,
    chunks: Pages,
    times: Times,
    tombstones: RwLock<Tombstones>,
    /// Held while deletions are written, so that one does not overwrite another.
    deleting: Mutex<()>,
    meta_len: u64,
    failed: AtomicBool,
    faults: Faults,
}

impl Block {
    /// Opens the block in `dir`, which has its name.
    ///
    /// # Errors
    /// When a file is missing, cut short, of another block or version, or damaged where everything depends on it.
    #[cfg(test)]
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_with(dir, &Faults::default())
    }

    pub(super) fn open_with(dir: &Path, faults: &Faults) -> Result<Self, Error> {
        let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let meta_path = dir.join(file::META);
        let meta = BlockMeta::read(&meta_path, name)?;
        let index = Index::open(&dir.join(file::INDEX))?;
        if Some(index.ulid) != ulid::parse(name) || u64::from(index.series) != meta.series {
            let message = format!("block: {}: index and meta.json are not of one block", dir.display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        let meta_len = std::fs::metadata(&meta_path).map_or(0, |m| m.len());
        Ok(Self {
            chunks: Pages::open(&dir.join(file::CHUNKS), CHUNKS_MAGIC)?,
            times: Times::open(&dir.join(file::TIMESTAMPS))?,
            tombstones: RwLock::new(Tombstones::read(dir, index.series)?),
            deleting: Mutex::new(()),
            dir: dir.to_owned(),
            meta,
            index,
            meta_len,
            failed: AtomicBool::new(false),
            faults: faults.clone(),
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// From its oldest to its newest sample.
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange { mint: self.meta.mint, maxt: self.meta.maxt }
    }

    fn corrupt(&self, d: Damaged) -> Error {
        Error::new(ErrorKind::Corrupt, format!("block {}: index: {}", self.meta.ulid, d.0))
    }

    /// The ordinals of the series that satisfy all matchers; all series without any. Ordinals count up in label order.
    ///
    /// # Errors
    /// When a part of the index that is needed is damaged.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, Error> {
        self.index.select(matchers).map_err(|d| self.corrupt(d))
    }

    /// The [`super::series_key`] of a series. Where the index is damaged there, a key that no label set has.
    pub(crate) fn key(&self, ordinal: u32) -> u128 {
        self.index.key(ordinal).unwrap_or_else(|_| match LabelReader::new(&self.index).get(ordinal) {
            Ok(labels) => super::series_key(&labels),
            // Its labels cannot be read either, so all that matters is that it is joined to nothing.
            Err(_) => {
                let name = format!("{} {ordinal}", self.meta.ulid);
                xxhash_rust::xxh3::xxh3_128(name.as_bytes())
            }
        })
    }

    /// The label set of a series. For many, [`Block::label_reader`] is several times faster.
    ///
    /// # Errors
    /// When that part of the index is damaged.
    pub(crate) fn labels(&self, ordinal: u32) -> Result<LabelSet, Error> {
        LabelReader::new(&self.index).get(ordinal).map_err(|d| self.corrupt(d))
    }

    /// Reads label sets one after the other.
    pub(crate) fn label_reader(&self) -> LabelReader<'_> {
        LabelReader::new(&self.index)
    }

    /// Appends the chunks of a series that overlap `range`, ascending by their oldest sample, not cut to the range.
    ///
    /// # Errors
    /// When its part of the index, or its timeline, is damaged; nothing is appended then.
    pub(crate) fn chunks(
        &self,
        ordinal: u32,
        range: TimeRange,
        out: &mut Vec<ChunkRef>,
    ) -> Result<(), Damaged> {
        let mut places = self.index.places(ordinal)?;
        let timeline = self.times.timeline(places.timeline)?;
        let before = out.len();
        for span in timeline.spans() {
            let Some((at, len)) = places.next() else {
                out.truncate(before);
                return Err(Damaged("a series with fewer chunks than its timeline"));
            };
            if span.mint > range.maxt {
                break;
            }
            if span.maxt >= range.mint {
                let Span { ts, mint, maxt, rows, histogram } = *span;
                out.push(ChunkRef { rows, mint, maxt, ts, histogram, at, len });
            }
        }
        Ok(())
    }

    /// Appends a chunk's timestamps, `chunk.rows` of them.
    ///
    /// # Errors
    /// When they are damaged; nothing is appended then.
    pub(crate) fn timestamps(
        &self,
        chunk: &ChunkRef,
        ints: &mut IntDecoder,
        out: &mut Vec<i64>,
    ) -> Result<(), Damaged> {
        self.times.vector(&chunk.span(), ints, out)
    }

    /// Fills `out`, which is `chunk.rows` long, with a chunk's values.
    ///
    /// # Errors
    /// When they are damaged, or the chunk holds histograms; `out` is then unspecified.
    pub(crate) fn values(
        &self,
        chunk: &ChunkRef,
        decoder: &mut Decoder,
        out: &mut [f64],
    ) -> Result<(), Damaged> {
        let bytes = self.chunk_bytes(chunk)?;
        if chunk.histogram || out.len() != chunk.rows as usize {
            return Err(Damaged("no chunk of values"));
        }
        decoder.decode(bytes, out).ok_or(Damaged("chunk does not decode"))
    }

    /// Appends a chunk's histograms, `chunk.rows` of them.
    ///
    /// # Errors
    /// When they are damaged, or the chunk holds plain values; nothing is appended then.
    pub(crate) fn histograms(
        &self,
        chunk: &ChunkRef,
        codec: &mut HistogramCodec,
        out: &mut Vec<Arc<Histogram>>,
    ) -> Result<(), Damaged> {
        if !chunk.histogram {
            return Err(Damaged("no chunk of histograms"));
        }
        let bytes = self.chunk_bytes(chunk)?;
        codec.decode(bytes, chunk.rows as usize, out).ok_or(Damaged("chunk does not decode"))
    }

    pub(super) fn chunk_bytes(&self, chunk: &ChunkRef) -> Result<&[u8], Damaged> {
        self.chunks.get(chunk.at, chunk.len as usize)
    }

    /// The deleted intervals of a series: inclusive, sorted, joined.
    pub(crate) fn deleted(&self, ordinal: u32) -> Vec<TimeRange> {
        self.tombstones.read().of(ordinal)
    }

    pub(crate) fn has_tombstones(&self) -> bool {
        !self.tombstones.read().is_empty()
    }

    /// Deletes what the series have in `range`. In force and durable when it returns.
    ///
    /// # Errors
    /// When it cannot be written; then nothing is deleted.
    pub(crate) fn delete(&self, ordinals: &RoaringBitmap, range: TimeRange) -> Result<(), Error> {
        let _one_at_a_time = self.deleting.lock();
        let range = TimeRange { mint: range.mint.max(self.meta.mint), maxt: range.maxt.min(self.meta.maxt) };
        let mut touched = RoaringBitmap::new();
        let mut chunks = vec![];
        if range.mint <= range.maxt {
            for ordinal in ordinals.iter().take_while(|&o| o < self.index.series) {
                chunks.clear();
                // What cannot be read now may be readable again; it is to be gone then too.
                if self.chunks(ordinal, range, &mut chunks).is_err() || !chunks.is_empty() {
                    touched.insert(ordinal);
                }
            }
        }
        if touched.is_empty() {
            return Ok(());
        }
        let mut next = self.tombstones.read().clone();
        next.add(&touched, range);
        next.write(&self.dir, &self.faults)?;
        *self.tombstones.write() = next;
        Ok(())
    }

    /// The label names of the selected series, sorted; of all series where none are selected by `None`.
    ///
    /// # Errors
    /// When a part of the index that is needed is damaged.
    pub(crate) fn label_names(&self, selected: Option<&RoaringBitmap>) -> Result<Vec<String>, Error> {
        self.index.label_names(selected).map_err(|d| self.corrupt(d))
    }

    /// The values of a label over the selected series, sorted.
    ///
    /// # Errors
    /// When a part of the index that is needed is damaged.
    pub(crate) fn label_values(
        &self,
        name: &str,
        selected: Option<&RoaringBitmap>,
    ) -> Result<Vec<String>, Error> {
        self.index.label_values(name, selected).map_err(|d| self.corrupt(d))
    }

    /// Bytes of all its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.meta_len
            + self.index.pages.file_len()
            + self.chunks.file_len()
            + self.times.file_len()
            + self.tombstones.read().file_len()
    }

    pub(crate) fn info(&self) -> BlockInfo {
        let meta = &self.meta;
        BlockInfo {
            ulid: meta.ulid.clone(),
            min_time: meta.mint,
            max_time: meta.maxt.saturating_add(1),
            samples: meta.samples,
            histogram_samples: meta.histogram_samples,
            series: meta.series,
            chunks: meta.chunks,
            tombstones: self.tombstones.read().count(),
            level: meta.level,
            sources: meta.sources.clone(),
            bytes: self.bytes(),
        }
    }

    /// What [`super::plan`] needs to know.
    pub(crate) fn plan_input(&self) -> PlanInput {
        PlanInput {
            ulid: self.meta.ulid.clone(),
            mint: self.meta.mint,
            maxt: self.meta.maxt,
            series: self.meta.series,
            tombstones: self.tombstones.read().count(),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// A merge met damage here.
    pub(super) fn mark_failed(&self) {
        // Relaxed: only a hint to the next plan.
        self.failed.store(true, Ordering::Relaxed);
    }
}
