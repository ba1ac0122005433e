//! Sealing: series with enough samples in memory get chunks in chunk files instead.
//!
//! What is sealed is copied under the lock, encoded and written without it, and taken out of memory under it again. Meanwhile
//! samples may be appended but nothing else happens: who seals, flushes or drops holds `maintenance`.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Histogram;
use storage::Error;

use super::chunk::{HISTOGRAMS, ItemBuilder, LATE, LooseItem, Piece, Sealed};
use super::extra::{Extra, float_pieces, histogram_pieces};
use super::stream::State;
use super::{ChunkCodec, Loose, LooseSeries, Pressure, STREAM_BYTES, STREAM_URGENT};
use crate::Store;
use crate::chunkfile::{Batch, Item};

/// Series whose chunks are written at once.
const PORTION: usize = 16 << 10;
/// Series that are copied, or let go of, under one hold of the lock: about a millisecond.
const HELD: usize = 1024;
/// Chunks per item of a chunk file.
const PER_ITEM: u32 = 4096;
/// A chunk has up to this many times `seal_samples`, where so many wait.
const LONGEST: usize = 4;
/// Bytes of late samples and histograms from which they are sealed however few they are.
const EXTRA_BYTES: usize = 8 << 10;
/// Budgets of memory beyond which appending waits for a maintenance that is under way.
const FAR_OVER: usize = 4;

/// What is sealed of one series.
#[derive(Debug)]
struct Job {
    series: u32,
    /// Where in the copies its stream is.
    stream: Range<usize>,
    count: u32,
    /// Pieces of one kind, the first ones of that kind.
    pieces: Vec<(u8, Vec<Piece>)>,
    chunks: u32,
}

/// The kinds of pieces that are to be sealed.
fn ready_kinds(extra: &Extra, seal_samples: usize) -> impl Iterator<Item = u8> + '_ {
    let large = extra.memory() > EXTRA_BYTES;
    [LATE, HISTOGRAMS, HISTOGRAMS | LATE].into_iter().filter(move |&kind| {
        let rows = extra.rows(kind);
        rows >= seal_samples || (large && rows >= 8)
    })
}

fn stream_is_ready(s: &LooseSeries, seal_samples: usize) -> bool {
    s.count as usize >= seal_samples || s.stream.len() >= STREAM_BYTES
}

impl Loose {
    fn ready(&self, seal_samples: usize) -> Vec<u32> {
        let ready = |s: &&LooseSeries| {
            stream_is_ready(s, seal_samples)
                || s.extra.as_ref().is_some_and(|e| ready_kinds(e, seal_samples).next().is_some())
        };
        let mut series: Vec<u32> = self.iter().filter(ready).map(|s| s.series).collect();
        series.sort_unstable();
        series
    }

    /// What is to be sealed of a series; its stream is copied to the end of `streams`.
    fn job(&mut self, series: u32, seal_samples: usize, streams: &mut Vec<u8>) -> Option<Job> {
        let slot = self.slot_of(series)?;
        let Self { pages, codec, block_span_ms, bytes, .. } = self;
        let (page, i) = super::page_of(slot);
        let entry = &mut pages[page][i];
        let mut job = Job { series, stream: 0..0, count: 0, pieces: vec![], chunks: 0 };
        if stream_is_ready(entry, seal_samples) {
            let start = streams.len();
            streams.extend_from_slice(&entry.stream);
            job.stream = start..streams.len();
            job.count = entry.count;
        }
        let before = entry.memory();
        if let Some(extra) = &mut entry.extra {
            let kinds: Vec<u8> = ready_kinds(extra, seal_samples).collect();
            for kind in kinds {
                extra.compress(kind, *block_span_ms, codec);
                job.pieces
                    .push((kind, extra.pieces.iter().filter(|p| p.meta.kind == kind).cloned().collect()));
            }
        }
        *bytes = (*bytes + entry.memory()).saturating_sub(before);
        Some(job)
    }

    fn install(&mut self, jobs: &[Job], chunks: &mut impl Iterator<Item = Sealed>) {
        for job in jobs {
            let these: Vec<Sealed> = chunks.by_ref().take(job.chunks as usize).collect();
            let Some(slot) = self.slot_of(job.series) else { continue };
            let Self { pages, room, bytes, .. } = self;
            let (page, i) = super::page_of(slot);
            let entry = &mut pages[page][i];
            let before = entry.memory();
            if job.count > 0 && entry.count == job.count {
                entry.clear_stream();
            } else if job.count > 0 {
                entry.retain_stream(|n, _| n >= job.count as usize, room);
            }
            if let Some(extra) = &mut entry.extra {
                for (kind, pieces) in &job.pieces {
                    let mut taken = pieces.len();
                    extra.pieces.retain(|p| {
                        let take = p.meta.kind == *kind && taken > 0;
                        taken -= usize::from(take);
                        !take
                    });
                }
                extra.pieces.shrink_to_fit();
                extra.account();
            }
            *bytes = (*bytes + entry.memory()).saturating_sub(before);
            entry.add_sealed(&these);
        }
    }

    /// Remembers where a file's chunks are read.
    pub(super) fn add_map(&mut self, file: u32, item: &LooseItem) {
        self.files.entry(file).or_insert_with(|| Arc::clone(&item.map));
    }
}

impl LooseSeries {
    pub(super) fn add_sealed(&mut self, chunks: &[Sealed]) {
        self.sealed.reserve_exact(chunks.len());
        self.sealed.extend_from_slice(chunks);
        if !self.sealed.is_sorted_by_key(|s| s.meta().mint) {
            self.sealed.sort_by_key(|s| s.meta().mint);
        }
    }
}

impl Extra {
    /// Makes pieces of what is raw of one kind.
    fn compress(&mut self, kind: u8, span: i64, codec: &mut ChunkCodec) {
        match kind {
            LATE => {
                let raw = std::mem::take(&mut self.late);
                float_pieces(&raw, raw.len(), true, span, codec, &mut self.pieces);
            }
            HISTOGRAMS => {
                let raw = std::mem::take(&mut self.histograms);
                histogram_pieces(&raw, raw.len(), false, span, codec, &mut self.pieces);
            }
            _ => {
                let raw = std::mem::take(&mut self.late_histograms);
                histogram_pieces(&raw, raw.len(), true, span, codec, &mut self.pieces);
            }
        }
        self.account();
    }
}

/// Encodes what is sealed; keeps its buffers.
#[derive(Debug, Default)]
struct Sealer {
    codec: ChunkCodec,
    /// Copies of streams.
    streams: Vec<u8>,
    samples: Vec<(i64, f64)>,
    histograms: Vec<(i64, Arc<Histogram>)>,
    ts: Vec<i64>,
    values: Vec<f64>,
    decoded: Vec<Arc<Histogram>>,
    pieces: Vec<Piece>,
    damaged: u64,
}

impl Sealer {
    /// Leaves a job's chunks in `pieces`.
    fn encode(&mut self, job: &Job, most: usize, span: i64) {
        self.pieces.clear();
        self.samples.clear();
        let samples = &mut self.samples;
        if State::default()
            .decode(&self.streams[job.stream.clone()], job.count as usize, |ts, v| samples.push((ts, v)))
            .is_none()
        {
            self.damaged += 1;
        }
        float_pieces(&self.samples, most, false, span, &mut self.codec, &mut self.pieces);
        for (kind, pieces) in &job.pieces {
            self.samples.clear();
            self.histograms.clear();
            for piece in pieces {
                self.ts.clear();
                self.values.clear();
                self.decoded.clear();
                let read = self.codec.decode(
                    &piece.meta,
                    &piece.body,
                    &mut self.ts,
                    &mut self.values,
                    &mut self.decoded,
                );
                self.damaged += u64::from(read.is_err());
                if kind & HISTOGRAMS != 0 {
                    self.histograms.extend(self.ts.iter().copied().zip(self.decoded.drain(..)));
                } else {
                    self.samples.extend(self.ts.iter().copied().zip(self.values.iter().copied()));
                }
            }
            let late = kind & LATE != 0;
            // Pieces of late samples overlap; of equal times the first written stays.
            self.samples.sort_by_key(|s| s.0);
            self.samples.dedup_by_key(|s| s.0);
            self.histograms.sort_by_key(|s| s.0);
            self.histograms.dedup_by_key(|s| s.0);
            float_pieces(&self.samples, most, late, span, &mut self.codec, &mut self.pieces);
            histogram_pieces(&self.histograms, most, late, span, &mut self.codec, &mut self.pieces);
        }
    }
}

impl Store {
    /// Seals the series that have enough samples. The caller holds `maintenance`.
    pub(crate) fn seal_loose(&self) -> Result<(), Error> {
        let seal_samples = self.options.seal_samples;
        let ready = self.loose.read().ready(seal_samples);
        let mut sealer = Sealer::default();
        let sealed = ready.chunks(PORTION).try_for_each(|portion| self.seal_portion(portion, &mut sealer));
        if sealer.damaged > 0 {
            tracing::error!(pieces = sealer.damaged, "samples of series in memory are damaged");
            self.note_damage(sealer.damaged);
        }
        if !ready.is_empty() {
            self.note_sealed();
        }
        sealed
    }

    fn seal_portion(&self, portion: &[u32], sealer: &mut Sealer) -> Result<(), Error> {
        let seal_samples = self.options.seal_samples;
        let mut jobs: Vec<Job> = Vec::with_capacity(portion.len());
        let (mut batch, mut item, mut items) = (Batch::default(), ItemBuilder::default(), 0);
        for held in portion.chunks(HELD) {
            let first = jobs.len();
            sealer.streams.clear();
            {
                let mut loose = self.loose.write();
                jobs.extend(held.iter().filter_map(|&s| loose.job(s, seal_samples, &mut sealer.streams)));
            }
            for job in &mut jobs[first..] {
                sealer.encode(job, seal_samples * LONGEST, self.options.block_span_ms);
                sealer.pieces.iter().for_each(|p| item.push(job.series, p));
                job.chunks = u32::try_from(sealer.pieces.len()).expect("fewer chunks than samples");
                if item.count >= PER_ITEM {
                    batch.loose(&std::mem::take(&mut item));
                    items += 1;
                }
            }
        }
        if item.count > 0 {
            batch.loose(&item);
            items += 1;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let (file, items) = self.append_chunks(&batch, items)?;
        let mut sealed = vec![];
        {
            let mut loose = self.loose.write();
            for item in items {
                if let Item::Loose(item) = item {
                    loose.add_map(file, &item);
                    sealed.extend(item.chunks.iter().map(|c| Sealed::new(file, c)));
                }
            }
        }
        let mut sealed = sealed.into_iter();
        for held in jobs.chunks(HELD) {
            self.loose.write().install(held, &mut sealed);
        }
        Ok(())
    }

    /// Seals where memory is over its budget. Appending waits for a maintenance that is under way only when it is far over.
    pub(crate) fn relieve(&self) {
        if self.pressure.load(Ordering::Relaxed) != Pressure::Over as u8 {
            return;
        }
        let far = {
            let loose = self.loose.read();
            if !loose.is_over_budget() {
                return;
            }
            loose.bytes > FAR_OVER * loose.budget() + STREAM_URGENT
        };
        let one = if far { Some(self.maintenance.lock()) } else { self.maintenance.try_lock() };
        if one.is_none() || !self.loose.read().is_over_budget() {
            return;
        }
        if let Err(e) = self.seal_loose() {
            // What was appended stands, in the log and in memory.
            tracing::error!(error = %e, "series in memory could not be sealed");
            self.note_sealed();
        }
    }

    fn note_sealed(&self) {
        let mut loose = self.loose.write();
        loose.note_sealed();
        self.note_pressure(&loose);
    }
}
