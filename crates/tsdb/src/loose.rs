//! Samples with their own timestamps: rules, remote write, lines that name their time.
//!
//! Each series keeps its newest samples as they are, then in small compressed chunks in memory, then in chunk files.

use hashbrown::HashMap;
use roaring::RoaringBitmap;
use storage::is_absent;

use crate::MAX_CHUNK_ROWS;
use crate::bytes::{Reader, put_bytes};
use crate::codec::{Decoder, Encoder, IntDecoder, IntEncoder};
use crate::mmap::Blob;
use crate::segment::Damaged;

/// Samples that stay uncompressed.
const RAW_SAMPLES: usize = 32;

/// Some samples of one series, compressed.
#[derive(Debug, Clone)]
pub(crate) struct LooseChunk {
    pub(crate) rows: u32,
    pub(crate) mint: i64,
    pub(crate) maxt: i64,
    pub(crate) crc: u32,
    pub(crate) body: Blob,
}

impl LooseChunk {
    /// A chunk from a file; `None` when its numbers cannot be true.
    pub(crate) fn new(rows: u32, mint: i64, maxt: i64, crc: u32, body: Blob) -> Option<Self> {
        let sane = rows >= 1 && rows as usize <= MAX_CHUNK_ROWS && mint <= maxt;
        sane.then_some(Self { rows, mint, maxt, crc, body })
    }
}

/// Makes and reads loose chunks; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct LooseCodec {
    ints: IntEncoder,
    values: Encoder,
    int_decoder: IntDecoder,
    decoder: Decoder,
    ts_bytes: Vec<u8>,
}

impl LooseCodec {
    /// Encodes 1 to [`MAX_CHUNK_ROWS`] samples.
    pub(crate) fn encode(&mut self, ts: &[i64], values: &[f64]) -> LooseChunk {
        let mut body = vec![];
        self.ts_bytes.clear();
        self.ints.encode(ts, &mut self.ts_bytes);
        put_bytes(&mut body, &self.ts_bytes);
        self.values.encode(values, &mut body);
        LooseChunk {
            rows: u32::try_from(ts.len()).expect("at most MAX_CHUNK_ROWS"),
            mint: ts[0],
            maxt: ts[ts.len() - 1],
            crc: crc32c::crc32c(&body),
            body: Blob::Memory(body.into()),
        }
    }

    /// Appends a chunk's samples.
    pub(crate) fn decode(
        &mut self,
        chunk: &LooseChunk,
        ts: &mut Vec<i64>,
        values: &mut Vec<f64>,
    ) -> Result<(), Damaged> {
        if crc32c::crc32c(&chunk.body) != chunk.crc {
            return Err(Damaged("chunk's crc mismatch"));
        }
        let (start, end) = (ts.len(), ts.len() + chunk.rows as usize);
        ts.resize(end, 0);
        values.resize(end, 0.0);
        let mut r = Reader::new(&chunk.body);
        let read = r.bytes().and_then(|bytes| {
            self.int_decoder.decode(&mut Reader::new(bytes), &mut ts[start..])?;
            let rest = r.take(r.len())?;
            self.decoder.decode(rest, &mut values[start..])
        });
        if read.is_none() || !ts[start..].is_sorted() {
            ts.truncate(start);
            values.truncate(start);
            return Err(Damaged("chunk does not decode"));
        }
        Ok(())
    }
}

/// What becomes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    /// The newest sample again, bit for bit.
    Known,
    Duplicate,
    OutOfOrder,
}

/// Judges a sample by the newest of its series: timestamp and bits.
pub(crate) fn judge(last: Option<(i64, u64)>, ts: i64, value: f64) -> Verdict {
    match last {
        Some((last, bits)) if last == ts && bits == value.to_bits() => Verdict::Known,
        Some((last, _)) if last == ts => Verdict::Duplicate,
        Some((last, _)) if last > ts => Verdict::OutOfOrder,
        _ => Verdict::New,
    }
}

/// One series' loose samples.
#[derive(Debug, Default)]
pub(crate) struct LooseSeries {
    /// Timestamp and bits of the newest sample.
    pub(crate) last: Option<(i64, u64)>,
    pub(crate) ts: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) pieces: Vec<LooseChunk>,
    /// Chunks in files, with the file's number.
    pub(crate) sealed: Vec<(u32, LooseChunk)>,
}

impl LooseSeries {
    pub(crate) fn judge(&self, ts: i64, value: f64) -> Verdict {
        judge(self.last, ts, value)
    }

    /// Takes a sample that [`LooseSeries::judge`] found new.
    pub(crate) fn push(&mut self, ts: i64, value: f64, codec: &mut LooseCodec) {
        // The mark of an absent cell is no sample; a writer cannot mean it.
        let value = if is_absent(value) { model::NORMAL_NAN } else { value };
        self.last = Some((ts, value.to_bits()));
        self.ts.push(ts);
        self.values.push(value);
        if self.ts.len() >= RAW_SAMPLES {
            self.compress(codec);
        }
    }

    /// Moves the raw samples into a piece.
    pub(crate) fn compress(&mut self, codec: &mut LooseCodec) {
        if !self.ts.is_empty() {
            self.pieces.push(codec.encode(&self.ts, &self.values));
            self.ts.clear();
            self.values.clear();
        }
    }

    pub(crate) fn piece_samples(&self) -> usize {
        self.pieces.iter().map(|p| p.rows as usize).sum()
    }

    /// Oldest and newest sample.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let mint = self
            .sealed
            .first()
            .map(|(_, c)| c.mint)
            .or_else(|| self.pieces.first().map(|c| c.mint))
            .or_else(|| self.ts.first().copied())?;
        let maxt = self
            .ts
            .last()
            .copied()
            .or_else(|| self.pieces.last().map(|c| c.maxt))
            .or_else(|| self.sealed.last().map(|(_, c)| c.maxt))?;
        Some((mint, maxt))
    }

    /// A chunk found in a file at start.
    pub(crate) fn adopt_sealed(&mut self, file: u32, chunk: LooseChunk) {
        // The bits are learnt from the checkpoint or the log, which both outlive this chunk's first hours.
        if self.last.is_none_or(|(ts, _)| ts < chunk.maxt) {
            self.last = Some((chunk.maxt, 0));
        }
        self.sealed.push((file, chunk));
    }

    /// The newest timestamp that is in a chunk file.
    pub(crate) fn sealed_maxt(&self) -> Option<i64> {
        self.sealed.last().map(|(_, c)| c.maxt)
    }
}

/// What was there at a time: see [`Loose::drop_before`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(());

/// All loose series by reference.
#[derive(Debug, Default)]
pub(crate) struct Loose {
    pub(crate) series: HashMap<u32, LooseSeries, foldhash::fast::RandomState>,
    pub(crate) codec: LooseCodec,
}

impl Loose {
    pub(crate) fn push(&mut self, series: u32, ts: i64, value: f64) {
        self.series.entry(series).or_default().push(ts, value, &mut self.codec);
    }
    /// The time of a series' newest sample.
    pub(crate) fn newest(&self, series: u32) -> Option<i64> {
        self.series.get(&series)?.last.map(|(ts, _)| ts)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(())
    }

    /// Bounds of what lies before `t`: raw samples, pieces, chunks in files.
    pub(crate) fn bounds_before(&self, t: i64) -> Vec<(i64, i64)> {
        let mut bounds = vec![];
        for series in self.series.values() {
            let chunks = series.sealed.iter().map(|(_, c)| c).chain(&series.pieces).map(|c| (c.mint, c.maxt));
            let raw = series.ts.first().copied().zip(series.ts.last().copied());
            bounds.extend(chunks.chain(raw).filter(|b| b.0 < t).map(|b| (b.0, b.1.min(t - 1))));
        }
        bounds.sort_unstable();
        bounds.dedup();
        bounds
    }

    /// Drops samples before `t`, a multiple of the blocks' span, that were there at the mark.
    pub(crate) fn drop_before(&mut self, t: i64, _mark: Mark) {
        for series in self.series.values_mut() {
            series.sealed.retain(|(_, c)| c.maxt >= t);
            series.pieces.retain(|c| c.maxt >= t);
            let n = series.ts.partition_point(|&ts| ts < t);
            series.ts.drain(..n);
            series.values.drain(..n);
        }
    }

    /// Drops series without samples.
    pub(crate) fn retain_nonempty(&mut self) {
        self.series.retain(|_, series| series.bounds().is_some());
    }

    /// Forgets series that leave the index.
    pub(crate) fn forget(&mut self, series: &RoaringBitmap) {
        self.series.retain(|id, _| !series.contains(*id));
    }
}
