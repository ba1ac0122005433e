//! Chunks of one series: plain samples or histograms with their times, in memory (pieces) or in a chunk file (sealed).
//!
//! ```text
//! chunk     := crc32c u32 of what follows, length of the times varint, times (ints), values chunk | histogram chunk
//! item meta := count u32, then per chunk: series u32, kind u8 (1 histograms | 2 late), 0, rows u16, mint i64, span u32,
//!              offset in the body u32, length u32
//! ```
//! A chunk's newest time is `mint + span`; chunks are cut so that none is longer than 2^32 ms and none straddles a multiple of
//! the blocks' span. Late chunks may overlap others of their series, the rest follow each other.

use std::sync::Arc;

use memmap2::Mmap;
use model::Histogram;

use crate::MAX_CHUNK_ROWS;
use crate::bytes::{Reader, put_bytes};
use crate::codec::histogram::HistogramCodec;
use crate::codec::{Decoder, Encoder, IntDecoder, IntEncoder};
use crate::segment::Damaged;

/// The chunk holds histograms.
pub(crate) const HISTOGRAMS: u8 = 1;
/// The chunk's samples came late: it may overlap others.
pub(crate) const LATE: u8 = 2;

/// Bytes of a chunk's entry in an item's meta.
const ENTRY: usize = 28;

/// What is known of a chunk without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkMeta {
    pub(crate) mint: i64,
    /// `maxt - mint`.
    pub(crate) span: u32,
    pub(crate) rows: u16,
    /// [`HISTOGRAMS`] and [`LATE`].
    pub(crate) kind: u8,
}

impl ChunkMeta {
    pub(crate) fn maxt(&self) -> i64 {
        self.mint.saturating_add(i64::from(self.span))
    }

    pub(crate) fn overlaps(&self, mint: i64, maxt: i64) -> bool {
        self.mint <= maxt && self.maxt() >= mint
    }

    /// `None` when the numbers cannot be true.
    pub(crate) fn sane(self) -> Option<Self> {
        let rows = usize::from(self.rows);
        let sound = (1..=MAX_CHUNK_ROWS).contains(&rows) && self.kind <= (HISTOGRAMS | LATE);
        (sound && self.mint.checked_add(i64::from(self.span)).is_some()).then_some(self)
    }
}

/// A chunk in memory.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) meta: ChunkMeta,
    pub(crate) body: Box<[u8]>,
}

/// A chunk in a chunk file. Packed by hand: there are several of each series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    mint: [u32; 2],
    span: u32,
    pub(crate) file: u32,
    offset: u32,
    len: u32,
    rows: u16,
    kind: u8,
}

impl Sealed {
    pub(crate) fn new(file: u32, chunk: &FileChunk) -> Self {
        let ChunkMeta { mint, span, rows, kind } = chunk.meta;
        let [a, b, c, d, e, f, g, h] = mint.to_le_bytes();
        let mint = [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])];
        Self { mint, span, file, offset: chunk.offset, len: chunk.len, rows, kind }
    }

    pub(crate) fn meta(&self) -> ChunkMeta {
        let mint = u64::from(self.mint[0]) | u64::from(self.mint[1]) << 32;
        ChunkMeta { mint: mint.cast_signed(), span: self.span, rows: self.rows, kind: self.kind }
    }

    /// Its place in its file.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.offset as usize..self.offset as usize + self.len as usize
    }
}

/// A chunk as an item of a chunk file names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileChunk {
    pub(crate) series: u32,
    pub(crate) meta: ChunkMeta,
    offset: u32,
    len: u32,
}

/// The chunks of an item, and the map of the file they are in.
#[derive(Debug)]
pub(crate) struct LooseItem {
    pub(crate) map: Arc<Mmap>,
    pub(crate) chunks: Vec<FileChunk>,
}

impl LooseItem {
    /// Reads an item whose body is `body` of the map; `None` when its numbers cannot be true.
    pub(crate) fn read(map: &Arc<Mmap>, meta: &[u8], body: std::ops::Range<usize>) -> Option<Self> {
        let mut r = Reader::new(meta);
        let count = r.u32()? as usize;
        if r.len() != count.checked_mul(ENTRY)? {
            return None;
        }
        let mut chunks = Vec::with_capacity(count);
        for _ in 0..count {
            let series = r.u32()?;
            let [kind, _] = r.array()?;
            let rows = u16::from_le_bytes(r.array()?);
            let meta = ChunkMeta { mint: r.i64()?, span: r.u32()?, rows, kind }.sane()?;
            let (at, len) = (r.u32()?, r.u32()?);
            let offset = body.start.checked_add(at as usize)?;
            if offset.checked_add(len as usize)? > body.end {
                return None;
            }
            chunks.push(FileChunk { series, meta, offset: u32::try_from(offset).ok()?, len });
        }
        Some(Self { map: Arc::clone(map), chunks })
    }

    pub(crate) fn maxt(&self) -> Option<i64> {
        self.chunks.iter().map(|c| c.meta.maxt()).max()
    }
}

/// Gathers the chunks of an item that is to be written.
#[derive(Debug, Default)]
pub(crate) struct ItemBuilder {
    entries: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) count: u32,
    pub(crate) mint: Option<i64>,
    pub(crate) maxt: Option<i64>,
}

impl ItemBuilder {
    pub(crate) fn push(&mut self, series: u32, piece: &Piece) {
        let meta = &piece.meta;
        let length = |n: usize| u32::try_from(n).expect("an item is far below 4 GiB").to_le_bytes();
        self.entries.extend_from_slice(&series.to_le_bytes());
        self.entries.extend_from_slice(&[meta.kind, 0]);
        self.entries.extend_from_slice(&meta.rows.to_le_bytes());
        self.entries.extend_from_slice(&meta.mint.to_le_bytes());
        self.entries.extend_from_slice(&meta.span.to_le_bytes());
        self.entries.extend_from_slice(&length(self.body.len()));
        self.entries.extend_from_slice(&length(piece.body.len()));
        self.body.extend_from_slice(&piece.body);
        self.count += 1;
        self.mint = Some(self.mint.map_or(meta.mint, |m| m.min(meta.mint)));
        self.maxt = Some(self.maxt.map_or(meta.maxt(), |m| m.max(meta.maxt())));
    }

    pub(crate) fn meta(&self) -> Vec<u8> {
        [&self.count.to_le_bytes()[..], &self.entries].concat()
    }
}

/// Makes and reads chunks; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct ChunkCodec {
    ints: IntEncoder,
    values: Encoder,
    int_decoder: IntDecoder,
    decoder: Decoder,
    pub(crate) histograms: HistogramCodec,
    ts_bytes: Vec<u8>,
}

impl ChunkCodec {
    /// Encodes 1 to [`MAX_CHUNK_ROWS`] plain samples, ascending, that span less than 2^32 ms.
    pub(crate) fn floats(&mut self, ts: &[i64], values: &[f64], late: bool) -> Piece {
        let mut body = self.start(ts);
        self.values.encode(values, &mut body);
        finish(ts, if late { LATE } else { 0 }, body)
    }

    /// The same of histograms, which all have one layout.
    pub(crate) fn histograms(&mut self, ts: &[i64], values: &[Arc<Histogram>], late: bool) -> Piece {
        let mut body = self.start(ts);
        self.histograms.encode(values, &mut body);
        finish(ts, HISTOGRAMS | if late { LATE } else { 0 }, body)
    }

    fn start(&mut self, ts: &[i64]) -> Vec<u8> {
        let mut body = vec![0; 4];
        self.ts_bytes.clear();
        self.ints.encode(ts, &mut self.ts_bytes);
        put_bytes(&mut body, &self.ts_bytes);
        body
    }

    /// Appends a chunk's samples to `ts` and, by its kind, to `values` or to `histograms`.
    pub(crate) fn decode(
        &mut self,
        meta: &ChunkMeta,
        body: &[u8],
        ts: &mut Vec<i64>,
        values: &mut Vec<f64>,
        histograms: &mut Vec<Arc<Histogram>>,
    ) -> Result<(), Damaged> {
        let (crc, rest) = body.split_first_chunk::<4>().ok_or(Damaged("chunk cut short"))?;
        if crc32c::crc32c(rest) != u32::from_le_bytes(*crc) {
            return Err(Damaged("chunk's crc mismatch"));
        }
        let rows = usize::from(meta.rows);
        let (start, values_before, histograms_before) = (ts.len(), values.len(), histograms.len());
        ts.resize(start + rows, 0);
        let mut r = Reader::new(rest);
        let read = r.bytes().and_then(|bytes| {
            self.int_decoder.decode(&mut Reader::new(bytes), &mut ts[start..])?;
            let rest = r.take(r.len())?;
            if meta.kind & HISTOGRAMS != 0 {
                return self.histograms.decode(rest, rows, histograms);
            }
            values.resize(values_before + rows, 0.0);
            self.decoder.decode(rest, &mut values[values_before..])
        });
        let times = &ts[start..];
        let sound = read.is_some()
            && times.windows(2).all(|w| w[0] < w[1])
            && times.first() == Some(&meta.mint)
            && times.last() == Some(&meta.maxt());
        if !sound {
            ts.truncate(start);
            values.truncate(values_before);
            histograms.truncate(histograms_before);
            return Err(Damaged("chunk does not decode"));
        }
        Ok(())
    }
}

fn finish(ts: &[i64], kind: u8, mut body: Vec<u8>) -> Piece {
    let crc = crc32c::crc32c(&body[4..]);
    body[..4].copy_from_slice(&crc.to_le_bytes());
    let (mint, maxt) = (ts[0], ts[ts.len() - 1]);
    let meta = ChunkMeta {
        mint,
        span: u32::try_from(maxt - mint).expect("chunks are cut at 2^32 ms"),
        rows: u16::try_from(ts.len()).expect("at most MAX_CHUNK_ROWS"),
        kind,
    };
    Piece { meta, body: body.into_boxed_slice() }
}

/// How many of the ascending times may be in one chunk: at most `most`, none beyond the next multiple of `block_span_ms`.
pub(crate) fn cut(ts: impl Iterator<Item = i64>, block_span_ms: i64, most: usize) -> usize {
    let span = block_span_ms.max(1);
    let mut first = None;
    ts.take(most.clamp(1, MAX_CHUNK_ROWS))
        .take_while(|&t| {
            let start = *first.get_or_insert(t);
            t.div_euclid(span) == start.div_euclid(span)
                && t.wrapping_sub(start) < i64::from(u32::MAX)
                && t >= start
        })
        .count()
        .max(1)
}
