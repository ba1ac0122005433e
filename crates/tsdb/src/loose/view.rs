//! Reading: what a request can see of a series is taken under the lock, and decoded and merged after it.

use std::sync::Arc;

use model::Histogram;
use storage::ABSENT;

use super::chunk::{ChunkCodec, ChunkMeta, HISTOGRAMS, LATE};
use super::judge::Sample;
use super::stream::{self, State};
use super::{Loose, LooseSeries};
use crate::mmap::Blob;

/// Chunks that are decoded to see whether a late sample is there already.
const JUDGED_CHUNKS: usize = 64;

/// A series' samples between two times, not yet decoded.
#[derive(Debug, Default)]
pub(crate) struct LooseTaken {
    mint: i64,
    maxt: i64,
    chunks: Vec<(ChunkMeta, Blob)>,
    stream: Vec<u8>,
    count: usize,
    late: Vec<(i64, f64)>,
    histograms: Vec<(i64, Arc<Histogram>)>,
}

/// Samples of one series, ascending.
#[derive(Debug, Default, Clone)]
pub(crate) struct LooseSamples {
    pub(crate) ts: Vec<i64>,
    /// [`ABSENT`] where the sample is a histogram.
    pub(crate) values: Vec<f64>,
    /// By their index, ascending.
    pub(crate) histograms: Vec<(usize, Arc<Histogram>)>,
}

impl LooseSamples {
    pub(crate) fn clear(&mut self) {
        self.ts.clear();
        self.values.clear();
        self.histograms.clear();
    }

    /// The plain samples.
    pub(crate) fn floats(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        let mut histograms = self.histograms.iter().map(|h| h.0).peekable();
        self.ts
            .iter()
            .zip(&self.values)
            .enumerate()
            .filter_map(move |(i, (ts, v))| histograms.next_if_eq(&i).is_none().then_some((*ts, *v)))
    }

    /// The histograms.
    pub(crate) fn histograms(&self) -> impl Iterator<Item = (i64, Arc<Histogram>)> + '_ {
        self.histograms.iter().map(|(i, h)| (self.ts[*i], Arc::clone(h)))
    }

    /// The sample of one time.
    pub(crate) fn at(&self, ts: i64) -> Option<Sample> {
        let i = self.ts.binary_search(&ts).ok()?;
        Some(match self.histograms.binary_search_by_key(&i, |h| h.0) {
            Ok(h) => Sample::Histogram(Arc::clone(&self.histograms[h].1)),
            Err(_) => Sample::Float(self.values[i]),
        })
    }
}

impl LooseSeries {
    fn stream_overlaps(&self, mint: i64, maxt: i64) -> bool {
        self.count > 0
            && self.last_ts >= mint
            && stream::first_ts(&self.stream).is_some_and(|first| first <= maxt)
    }

    /// Samples in chunks that overlap the times: what would be read at most.
    pub(crate) fn rows_in(&self, mint: i64, maxt: i64) -> u64 {
        let pieces = self.extra.iter().flat_map(|e| e.pieces.iter().map(|p| p.meta));
        let chunks = self.sealed.iter().map(|s| s.meta()).chain(pieces);
        let of_chunks: u64 = chunks.filter(|m| m.overlaps(mint, maxt)).map(|m| u64::from(m.rows)).sum();
        let of_extra =
            self.extra.as_ref().map_or(0, |e| e.late.len() + e.histograms.len() + e.late_histograms.len());
        let of_stream = if self.stream_overlaps(mint, maxt) { u64::from(self.count) } else { 0 };
        of_chunks + of_extra as u64 + of_stream
    }
}

impl Loose {
    /// What a series has between two times, inclusive; `None` when that is nothing. Both what is taken for one request and
    /// what is taken for several series under one lock is of one moment: a batch is in it wholly or not at all.
    pub(crate) fn take(&self, series: u32, mint: i64, maxt: i64) -> Option<LooseTaken> {
        let entry = self.get(series)?;
        let mut taken = LooseTaken { mint, maxt, ..LooseTaken::default() };
        for sealed in &entry.sealed {
            let meta = sealed.meta();
            if meta.overlaps(mint, maxt)
                && let Some(map) = self.files.get(&sealed.file)
                && let Some(body) = Blob::mapped(map, sealed.range())
            {
                taken.chunks.push((meta, body));
            }
        }
        if entry.stream_overlaps(mint, maxt) {
            taken.stream.clone_from(&entry.stream);
            taken.count = entry.count as usize;
        }
        if let Some(extra) = &entry.extra {
            let pieces = extra.pieces.iter().filter(|p| p.meta.overlaps(mint, maxt));
            taken.chunks.extend(pieces.map(|p| (p.meta, Blob::Memory(p.body.as_ref().into()))));
            taken.late.extend(extra.late.iter().filter(|s| (mint..=maxt).contains(&s.0)));
            let histograms = extra.histograms.iter().chain(&extra.late_histograms);
            taken.histograms.extend(histograms.filter(|s| (mint..=maxt).contains(&s.0)).cloned());
        }
        (!taken.is_empty()).then_some(taken)
    }
}

impl Loose {
    /// What a series has between two times, decoded, as far as a judge of samples looks: not more than so many chunks.
    pub(crate) fn stored(&self, series: u32, mint: i64, maxt: i64) -> LooseSamples {
        let mut samples = LooseSamples::default();
        if let Some(mut taken) = self.take(series, mint, maxt) {
            // The newest ones are where what comes twice is likely to be.
            let before = taken.chunks.len().saturating_sub(JUDGED_CHUNKS);
            taken.chunks.drain(..before);
            LooseReader::default().read(&taken, &mut samples);
        }
        samples
    }
}

impl LooseTaken {
    /// Whether there may be histograms in it.
    pub(crate) fn has_histograms(&self) -> bool {
        !self.histograms.is_empty() || self.chunks.iter().any(|(meta, _)| meta.kind & HISTOGRAMS != 0)
    }

    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.count == 0 && self.late.is_empty() && self.histograms.is_empty()
    }
}

/// Decodes what was taken; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct LooseReader {
    codec: ChunkCodec,
    histograms: Vec<Arc<Histogram>>,
    rows: Vec<(i64, f64, Option<Arc<Histogram>>)>,
}

impl LooseReader {
    /// Fills `out` with the samples taken, ascending, of equal times the one first written. Returns how many chunks were
    /// damaged and left out.
    pub(crate) fn read(&mut self, taken: &LooseTaken, out: &mut LooseSamples) -> u64 {
        out.clear();
        let mut damaged = 0;
        let plain = taken.late.is_empty()
            && taken.histograms.is_empty()
            && taken.chunks.iter().all(|(meta, _)| meta.kind == 0);
        if plain {
            for (meta, body) in &taken.chunks {
                let read = self.codec.decode(meta, body, &mut out.ts, &mut out.values, &mut self.histograms);
                damaged += u64::from(read.is_err());
            }
            damaged += read_stream(taken, out);
            // Chunks follow each other. Where the same samples were replayed beside a chunk they do not.
            if out.ts.windows(2).all(|w| w[0] < w[1]) {
                out.clip(taken.mint, taken.maxt);
                return damaged;
            }
            out.clear();
            damaged = 0;
        }
        self.rows.clear();
        for late in [false, true] {
            for (meta, body) in taken.chunks.iter().filter(|(m, _)| (m.kind & LATE != 0) == late) {
                out.clear();
                self.histograms.clear();
                let read = self.codec.decode(meta, body, &mut out.ts, &mut out.values, &mut self.histograms);
                damaged += u64::from(read.is_err());
                if self.histograms.is_empty() {
                    self.rows.extend(out.ts.iter().zip(&out.values).map(|(ts, v)| (*ts, *v, None)));
                } else {
                    let histograms = self.histograms.drain(..);
                    self.rows.extend(out.ts.iter().zip(histograms).map(|(ts, h)| (*ts, ABSENT, Some(h))));
                }
            }
            if !late {
                out.clear();
                damaged += read_stream(taken, out);
                self.rows.extend(out.ts.iter().zip(&out.values).map(|(ts, v)| (*ts, *v, None)));
            }
        }
        self.rows.extend(taken.histograms.iter().map(|(ts, h)| (*ts, ABSENT, Some(Arc::clone(h)))));
        self.rows.extend(taken.late.iter().map(|(ts, v)| (*ts, *v, None)));
        out.clear();
        self.rows.retain(|r| (taken.mint..=taken.maxt).contains(&r.0));
        // Stable: of equal times the first written stays first.
        self.rows.sort_by_key(|r| r.0);
        self.rows.dedup_by_key(|r| r.0);
        for (i, (ts, value, histogram)) in self.rows.drain(..).enumerate() {
            out.ts.push(ts);
            out.values.push(value);
            out.histograms.extend(histogram.map(|h| (i, h)));
        }
        damaged
    }
}

fn read_stream(taken: &LooseTaken, out: &mut LooseSamples) -> u64 {
    let read = State::default().decode(&taken.stream, taken.count, |ts, v| {
        out.ts.push(ts);
        out.values.push(v);
    });
    u64::from(read.is_none())
}

impl LooseSamples {
    /// Keeps what is between two times; there are no histograms.
    fn clip(&mut self, mint: i64, maxt: i64) {
        let end = self.ts.partition_point(|&t| t <= maxt);
        self.ts.truncate(end);
        self.values.truncate(end);
        let start = self.ts.partition_point(|&t| t < mint);
        self.ts.drain(..start);
        self.values.drain(..start);
    }
}
