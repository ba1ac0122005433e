//! Writes a block: series in label order, each cut into chunks; whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Histogram, LabelSet};
use storage::{Error, ErrorKind};

use super::index_write::IndexWriter;
use super::pages::PageWriter;
use super::timestamps::{Span, TimesWriter};
use super::{About, Block, BlockMeta, SeriesData, cut, file, ulid};
use crate::codec::histogram::{HistogramCodec, can_share};
use crate::codec::{Effort, Encoder};
use crate::disk::{Faults, sync_dir};

pub(super) const CHUNKS_MAGIC: &[u8; 8] = b"VIGIECHU";
/// Buckets of the histograms of one chunk, after which it ends: a megabyte when decoded.
const MAX_BUCKETS: usize = 1 << 17;

/// Writes one block.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    blocks: PathBuf,
    /// The directory being written, removed with the writer.
    temporary: Temporary,
    faults: Faults,
    meta: BlockMeta,
    chunks: PageWriter,
    times: TimesWriter,
    index: IndexWriter,
    encoder: Encoder,
    histograms: HistogramCodec,
    last: Option<LabelSet>,
    /// Chunks of the series at hand, and where they are in `bytes`.
    spans: Vec<(Span, usize, u32)>,
    bytes: Vec<u8>,
    timeline: Vec<Span>,
    lengths: Vec<u32>,
    share: Vec<Arc<Histogram>>,
    ts: Vec<i64>,
}

#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    keep: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed now is removed when the store is next opened.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

impl BlockWriter {
    /// Begins `<blocks>/<ULID>.tmp`; clock and randomness make the ULID.
    ///
    /// # Errors
    /// When the files cannot be created.
    pub(crate) fn create(
        blocks: &Path,
        now_ms: i64,
        entropy: u128,
        effort: Effort,
        faults: &Faults,
    ) -> Result<Self, Error> {
        let name = ulid::ulid(now_ms, entropy);
        let path = blocks.join(format!("{name}{}", file::TEMPORARY));
        std::fs::create_dir_all(blocks)
            .and_then(|()| std::fs::create_dir(&path))
            .map_err(|e| Error::io(format!("block: create directory {}", path.display()), e))?;
        let temporary = Temporary { path: path.clone(), keep: false };
        Ok(Self {
            blocks: blocks.to_owned(),
            temporary,
            faults: faults.clone(),
            meta: BlockMeta { ulid: name, mint: i64::MAX, maxt: i64::MIN, ..BlockMeta::default() },
            chunks: PageWriter::create(&path.join(file::CHUNKS), CHUNKS_MAGIC, faults)?,
            times: TimesWriter::create(&path.join(file::TIMESTAMPS), effort, faults)?,
            index: IndexWriter::create(&path.join(file::INDEX), faults)?,
            encoder: Encoder::with_effort(effort),
            histograms: HistogramCodec::with_effort(effort),
            last: None,
            spans: vec![],
            bytes: vec![],
            timeline: vec![],
            lengths: vec![],
            share: vec![],
            ts: vec![],
        })
    }

    /// Adds a series, greater than those before; one without samples is skipped.
    ///
    /// # Errors
    /// When the series is not greater, its data are not ascending, or a file cannot be written.
    pub(crate) fn series(&mut self, labels: &LabelSet, data: &SeriesData<'_>) -> Result<(), Error> {
        if data.ts.len() != data.values.len() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("block: series {labels}: times and values differ in number"),
            ));
        }
        self.floats(data.ts, data.values)?;
        self.histograms(data.histograms)?;
        self.end_series(labels)
    }

    /// Adds plain samples, ascending, to the series at hand.
    pub(super) fn floats(&mut self, ts: &[i64], values: &[f64]) -> Result<(), Error> {
        let slot = cut::slot_ms(cut::interval_ms(ts));
        let (mut ts, mut values) = (ts, values);
        while !ts.is_empty() {
            let n = cut::first(ts, slot);
            let start = self.bytes.len();
            self.encoder.encode(&values[..n], &mut self.bytes);
            self.push(&ts[..n], false, start)?;
            (ts, values) = (&ts[n..], &values[n..]);
        }
        Ok(())
    }

    /// Adds histograms, ascending, to the series at hand.
    pub(super) fn histograms(&mut self, histograms: &[(i64, Arc<Histogram>)]) -> Result<(), Error> {
        let mut all = std::mem::take(&mut self.ts);
        all.clear();
        all.extend(histograms.iter().map(|h| h.0));
        let slot = cut::slot_ms(cut::interval_ms(&all));
        let mut done = 0;
        while done < all.len() {
            let rest = &histograms[done..done + cut::first(&all[done..], slot)];
            let mut buckets = 0;
            let n = (0..rest.len())
                .take_while(|&i| {
                    buckets += rest[i].1.positive_buckets.len() + rest[i].1.negative_buckets.len();
                    i == 0 || buckets <= MAX_BUCKETS && can_share(&rest[i - 1].1, &rest[i].1)
                })
                .count();
            self.share.clear();
            self.share.extend(rest[..n].iter().map(|h| Arc::clone(&h.1)));
            let start = self.bytes.len();
            self.histograms.encode(&self.share, &mut self.bytes);
            self.push(&all[done..done + n], true, start)?;
            done += n;
        }
        self.ts = all;
        Ok(())
    }

    /// The id of a timestamp vector, for [`BlockWriter::chunk`].
    pub(super) fn vector(&mut self, ts: &[i64]) -> Result<u32, Error> {
        self.times.vector(ts)
    }

    /// Adds a chunk that was encoded before to the series at hand.
    pub(super) fn chunk(&mut self, span: Span, bytes: &[u8]) -> Result<(), Error> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.push_span(span, start)
    }

    fn push(&mut self, ts: &[i64], histogram: bool, start: usize) -> Result<(), Error> {
        if !ts.windows(2).all(|w| w[0] < w[1]) {
            return Err(Error::new(ErrorKind::Unsupported, "block: timestamps of a series do not ascend"));
        }
        let span = Span {
            ts: self.times.vector(ts)?,
            mint: ts[0],
            maxt: ts[ts.len() - 1],
            rows: u32::try_from(ts.len()).expect("cut before"),
            histogram,
        };
        self.push_span(span, start)
    }

    fn push_span(&mut self, span: Span, start: usize) -> Result<(), Error> {
        let len = u32::try_from(self.bytes.len() - start)
            .map_err(|_| Error::new(ErrorKind::Unsupported, "block: a chunk of 4 GiB"))?;
        self.spans.push((span, start, len));
        Ok(())
    }

    /// Ends the series at hand, whose label set is greater than those before.
    pub(super) fn end_series(&mut self, labels: &LabelSet) -> Result<(), Error> {
        if self.spans.is_empty() {
            return Ok(());
        }
        if self.last.as_ref().is_some_and(|last| last >= labels) {
            let message = format!("block: series {labels} does not come after the one before");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        self.spans.sort_by_key(|(span, ..)| (span.mint, span.histogram));
        self.timeline.clear();
        self.lengths.clear();
        let at = self.chunks.at();
        for (span, start, len) in &self.spans {
            self.timeline.push(*span);
            self.lengths.push(*len);
            self.chunks.append(&self.bytes[*start..][..*len as usize])?;
            self.meta.mint = self.meta.mint.min(span.mint);
            self.meta.maxt = self.meta.maxt.max(span.maxt);
            self.meta.samples += u64::from(span.rows);
            self.meta.histogram_samples += if span.histogram { u64::from(span.rows) } else { 0 };
        }
        self.meta.chunks += self.spans.len() as u64;
        let timeline = self.times.timeline(&self.timeline)?;
        self.index.series(labels, timeline, at, &self.lengths)?;
        self.last = Some(labels.clone());
        self.spans.clear();
        self.bytes.clear();
        Ok(())
    }

    /// Syncs all files, gives the directory its name and opens the block. `None`, and nothing stays, where there was no sample.
    ///
    /// # Errors
    /// When a file cannot be written or synced; then nothing stays.
    pub(crate) fn finish(self, about: About) -> Result<Option<Block>, Error> {
        let Self { blocks, mut temporary, faults, mut meta, chunks, times, index, .. } = self;
        if index.series_count() == 0 {
            return Ok(None);
        }
        meta.series = u64::from(index.series_count());
        meta.level = about.level;
        meta.sources = if about.sources.is_empty() { vec![meta.ulid.clone()] } else { about.sources };
        meta.parents = about.parents;
        meta.flushed_until = about.flushed_until;
        chunks.finish()?;
        times.finish()?;
        index.finish(ulid::parse(&meta.ulid).expect("made by create"))?;
        meta.write(&temporary.path.join(file::META), &faults)?;
        let place = blocks.join(&meta.ulid);
        let failed = |e| Error::io(format!("block: put {} in force", place.display()), e);
        sync_dir(&temporary.path).map_err(failed)?;
        std::fs::rename(&temporary.path, &place).map_err(failed)?;
        // From here on this is what goes if it is not to stay.
        temporary.path.clone_from(&place);
        sync_dir(&blocks).map_err(failed)?;
        let block = Block::open_with(&place, &faults)?;
        temporary.keep = true;
        Ok(Some(block))
    }
}
