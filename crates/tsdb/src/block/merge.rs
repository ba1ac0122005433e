//! One block from several, in one pass in label order, a series at a time.
//!
//! The chunks of a series come ordered by time. Where one stands alone and nothing of it is deleted, its bytes are copied (those from the head encoded once more); where
//! several overlap, or a part is deleted, they are decoded, merged and encoded again; and where a chunk is small and the next one
//! belongs to the same slot (see `cut`), they are joined.

use std::path::Path;
use std::sync::Arc;

use model::{Histogram, LabelSet};
use storage::{Error, ErrorKind, TimeRange};

use super::recent::Recent;
use super::timestamps::Span;
use super::{About, Block, BlockWriter, ChunkRef, LabelReader, cut};
use crate::codec::histogram::HistogramCodec;
use crate::codec::{Decoder, Effort, Encoder, IntDecoder};
use crate::disk::Faults;
use crate::segment::Damaged;

const ALL: TimeRange = TimeRange { mint: i64::MIN, maxt: i64::MAX };
/// Timestamp vectors whose place in the new block is remembered.
const REMEMBERED: usize = 1 << 16;

/// Writes one block from `inputs`, deleted samples left out; of samples of one series and time the one of the later input stays.
/// The inputs stay as they are: see [`super::Blocks::replace`]. `None` where no sample is left.
///
/// Deletions made while this runs are not seen: the caller keeps them waiting until the new block is in force.
///
/// # Errors
/// When an input is damaged, which is then marked so that [`super::plan`] leaves it alone, or a file cannot be written.
pub(crate) fn merge(
    blocks: &Path,
    inputs: &[Arc<Block>],
    now_ms: i64,
    entropy: u128,
    effort: Effort,
    faults: &Faults,
) -> Result<Option<Block>, Error> {
    let mut merger = Merger {
        inputs,
        writer: BlockWriter::create(blocks, now_ms, entropy, effort, faults)?,
        ints: IntDecoder::default(),
        decoder: Decoder::default(),
        codec: HistogramCodec::default(),
        vectors: Recent::new(REMEMBERED),
        encoder: (effort == Effort::Cold).then(|| Encoder::with_effort(effort)),
        values: vec![],
        bytes: vec![],
    };
    let mut cursors = vec![];
    for (i, block) in inputs.iter().enumerate() {
        let mut cursor = Cursor { labels: None, next: 0, reader: block.label_reader() };
        cursor.advance(block).map_err(|d| merger.damaged(i, d))?;
        cursors.push(cursor);
    }
    let mut pieces = vec![];
    while let Some(labels) = cursors.iter().filter_map(|c| c.labels.as_ref()).min().cloned() {
        pieces.clear();
        for (i, cursor) in cursors.iter_mut().enumerate() {
            if cursor.labels.as_ref() == Some(&labels) {
                let block = &inputs[i];
                take_pieces(block, i, cursor.next - 1, &mut pieces)
                    .and_then(|()| cursor.advance(block))
                    .map_err(|d| merger.damaged(i, d))?;
            }
        }
        merger.series(&labels, &mut pieces)?;
    }
    merger.writer.finish(about(inputs))
}

fn about(inputs: &[Arc<Block>]) -> About {
    let mut sources: Vec<String> = inputs.iter().flat_map(|b| b.meta().sources.iter().cloned()).collect();
    sources.sort_unstable();
    sources.dedup();
    let level = inputs.iter().map(|b| b.meta().level).max().unwrap_or(0);
    About {
        // A block that is rewritten for its deletions is as old as before.
        level: if inputs.len() > 1 { level.saturating_add(1) } else { level },
        sources,
        parents: inputs.iter().map(|b| b.meta().ulid.clone()).collect(),
        flushed_until: inputs.iter().filter_map(|b| b.meta().flushed_until).max(),
    }
}

/// Where one input is.
struct Cursor<'a> {
    /// The series at hand; `None` at the end.
    labels: Option<LabelSet>,
    /// The ordinal after it.
    next: u32,
    reader: LabelReader<'a>,
}

impl Cursor<'_> {
    fn advance(&mut self, block: &Block) -> Result<(), Damaged> {
        self.labels = None;
        if u64::from(self.next) < block.meta().series {
            self.labels = Some(self.reader.get(self.next)?);
            self.next += 1;
        }
        Ok(())
    }
}

/// A chunk of an input, and what was deleted of it.
struct Piece {
    input: usize,
    chunk: ChunkRef,
    deleted: Arc<[TimeRange]>,
}

impl Piece {
    fn is_deleted(&self, ts: i64) -> bool {
        self.deleted.iter().any(|r| r.mint <= ts && ts <= r.maxt)
    }
}

/// The chunks of a series of which something is left.
fn take_pieces(block: &Block, input: usize, ordinal: u32, pieces: &mut Vec<Piece>) -> Result<(), Damaged> {
    let deleted = block.deleted(ordinal);
    let none: Arc<[TimeRange]> = Arc::from([]);
    let mut chunks = vec![];
    block.chunks(ordinal, ALL, &mut chunks)?;
    for chunk in chunks {
        if deleted.iter().any(|r| r.mint <= chunk.mint && chunk.maxt <= r.maxt) {
            continue;
        }
        let touches: Vec<TimeRange> =
            deleted.iter().filter(|r| r.overlaps(&chunk.range())).copied().collect();
        let deleted = if touches.is_empty() { Arc::clone(&none) } else { touches.into() };
        pieces.push(Piece { input, chunk, deleted });
    }
    Ok(())
}

struct Merger<'a> {
    inputs: &'a [Arc<Block>],
    writer: BlockWriter,
    ints: IntDecoder,
    decoder: Decoder,
    codec: HistogramCodec,
    /// Ids in the new block of vectors by input and id.
    vectors: Recent,
    /// Encodes once more what comes from the head's blocks, where it is worth the effort.
    encoder: Option<Encoder>,
    values: Vec<f64>,
    bytes: Vec<u8>,
}

impl Merger<'_> {
    fn damaged(&self, input: usize, d: Damaged) -> Error {
        let block = &self.inputs[input];
        block.mark_failed();
        Error::new(ErrorKind::Corrupt, format!("block {}: cannot be merged: {}", block.meta().ulid, d.0))
    }

    fn series(&mut self, labels: &LabelSet, pieces: &mut [Piece]) -> Result<(), Error> {
        pieces.sort_by_key(|p| (p.chunk.mint, p.input));
        let (mut floats, mut histograms) = (Joiner::<f64>::default(), Joiner::<Arc<Histogram>>::default());
        let mut rest = &*pieces;
        while let Some(first) = rest.first() {
            // As many as overlap, directly or by way of others.
            let mut end = first.chunk.maxt;
            let n = 1 + rest[1..]
                .iter()
                .take_while(|p| {
                    let overlaps = p.chunk.mint <= end;
                    end = end.max(p.chunk.maxt);
                    overlaps
                })
                .count();
            let island = &rest[..n];
            rest = &rest[n..];
            match island {
                [only] if only.deleted.is_empty() && only.chunk.histogram => {
                    histograms.offer(self, only.input, only.chunk)?;
                }
                [only] if only.deleted.is_empty() => floats.offer(self, only.input, only.chunk)?,
                _ => {
                    let (mut plain, mut other) = (vec![], vec![]);
                    for piece in island {
                        if piece.chunk.histogram {
                            self.gather(piece, &mut other)?;
                        } else {
                            self.gather(piece, &mut plain)?;
                        }
                    }
                    resolve(&mut plain, &mut other);
                    floats.rows(self, plain)?;
                    histograms.rows(self, other)?;
                }
            }
        }
        floats.flush(self)?;
        histograms.flush(self)?;
        self.writer.end_series(labels)
    }

    /// Adds the samples of a chunk that are not deleted.
    fn gather<T: Kind>(&mut self, piece: &Piece, out: &mut Vec<Row<T>>) -> Result<(), Error> {
        let (mut ts, mut values) = (vec![], vec![]);
        self.decode(piece.input, &piece.chunk, &mut ts, &mut values)?;
        out.extend(
            ts.into_iter().zip(values).filter(|(ts, _)| !piece.is_deleted(*ts)).map(|(ts, value)| Row {
                ts,
                input: piece.input,
                value,
            }),
        );
        Ok(())
    }

    fn decode<T: Kind>(
        &mut self,
        input: usize,
        chunk: &ChunkRef,
        ts: &mut Vec<i64>,
        values: &mut Vec<T>,
    ) -> Result<(), Error> {
        let block = &self.inputs[input];
        block
            .timestamps(chunk, &mut self.ints, ts)
            .and_then(|()| T::decode(block, chunk, &mut self.decoder, &mut self.codec, values))
            .map_err(|d| self.damaged(input, d))
    }

    /// Copies a chunk as it is, or smaller: a chunk from the head was encoded in haste.
    fn copy(&mut self, input: usize, chunk: &ChunkRef) -> Result<(), Error> {
        let block = &self.inputs[input];
        let key = (input as u128) << 32 | u128::from(chunk.ts);
        let id = match self.vectors.get(key) {
            Some(id) => id,
            None => {
                let mut ts = vec![];
                block.timestamps(chunk, &mut self.ints, &mut ts).map_err(|d| self.damaged(input, d))?;
                let id = self.writer.vector(&ts)?;
                self.vectors.insert(key, id);
                id
            }
        };
        let mut bytes = block.chunk_bytes(chunk).map_err(|d| self.damaged(input, d))?;
        if let Some(encoder) = self.encoder.as_mut().filter(|_| block.meta().level <= 1 && !chunk.histogram) {
            self.values.clear();
            self.values.resize(chunk.rows as usize, 0.0);
            let read = block.values(chunk, &mut self.decoder, &mut self.values);
            self.bytes.clear();
            encoder.encode(&self.values, &mut self.bytes);
            read.map_err(|d| self.damaged(input, d))?;
            if self.bytes.len() < bytes.len() {
                bytes = &self.bytes;
            }
        }
        let ChunkRef { rows, mint, maxt, histogram, .. } = *chunk;
        self.writer.chunk(Span { ts: id, mint, maxt, rows, histogram }, bytes)
    }
}

/// A sample and the input it is from.
struct Row<T> {
    ts: i64,
    input: usize,
    value: T,
}

/// Sorts both by time and leaves one sample of each time and kind, that of the latest input; of both kinds only where one input
/// has both.
fn resolve(floats: &mut Vec<Row<f64>>, histograms: &mut Vec<Row<Arc<Histogram>>>) {
    fn latest<T>(rows: &mut Vec<Row<T>>) {
        rows.sort_by_key(|r| (r.ts, std::cmp::Reverse(r.input)));
        rows.dedup_by_key(|r| r.ts);
    }
    latest(floats);
    latest(histograms);
    if floats.is_empty() || histograms.is_empty() {
        return;
    }
    let input_at = |ts: i64, histograms: &[Row<Arc<Histogram>>]| {
        histograms.binary_search_by_key(&ts, |r| r.ts).ok().map(|i| histograms[i].input)
    };
    let losers: Vec<i64> = floats
        .iter()
        .filter(|f| input_at(f.ts, histograms).is_some_and(|h| h < f.input))
        .map(|f| f.ts)
        .collect();
    floats.retain(|f| input_at(f.ts, histograms).is_none_or(|h| h <= f.input));
    histograms.retain(|h| losers.binary_search(&h.ts).is_err());
}

/// What samples are.
trait Kind: Sized {
    /// Appends the samples of a chunk.
    fn decode(
        block: &Block,
        chunk: &ChunkRef,
        decoder: &mut Decoder,
        codec: &mut HistogramCodec,
        out: &mut Vec<Self>,
    ) -> Result<(), Damaged>;

    /// Writes samples as chunks.
    fn write(writer: &mut BlockWriter, ts: &[i64], values: Vec<Self>) -> Result<(), Error>;
}

impl Kind for f64 {
    fn decode(
        block: &Block,
        chunk: &ChunkRef,
        decoder: &mut Decoder,
        _codec: &mut HistogramCodec,
        out: &mut Vec<Self>,
    ) -> Result<(), Damaged> {
        let start = out.len();
        out.resize(start + chunk.rows as usize, 0.0);
        block.values(chunk, decoder, &mut out[start..])
    }

    fn write(writer: &mut BlockWriter, ts: &[i64], values: Vec<Self>) -> Result<(), Error> {
        writer.floats(ts, &values)
    }
}

impl Kind for Arc<Histogram> {
    fn decode(
        block: &Block,
        chunk: &ChunkRef,
        _decoder: &mut Decoder,
        codec: &mut HistogramCodec,
        out: &mut Vec<Self>,
    ) -> Result<(), Damaged> {
        block.histograms(chunk, codec, out)
    }

    fn write(writer: &mut BlockWriter, ts: &[i64], values: Vec<Self>) -> Result<(), Error> {
        let rows: Vec<_> = ts.iter().copied().zip(values).collect();
        writer.histograms(&rows)
    }
}

/// Holds back what may be joined with what comes next: a chunk that need not be decoded yet, or rows.
struct Joiner<T> {
    chunk: Option<(usize, ChunkRef)>,
    ts: Vec<i64>,
    values: Vec<T>,
}

impl<T> Default for Joiner<T> {
    fn default() -> Self {
        Self { chunk: None, ts: vec![], values: vec![] }
    }
}

impl<T: Kind> Joiner<T> {
    /// Takes a chunk that comes after all before.
    fn offer(&mut self, merger: &mut Merger<'_>, input: usize, chunk: ChunkRef) -> Result<(), Error> {
        if self.joins(chunk.range(), chunk.rows as usize) {
            self.unpack(merger)?;
            return merger.decode(input, &chunk, &mut self.ts, &mut self.values);
        }
        self.flush(merger)?;
        self.chunk = Some((input, chunk));
        Ok(())
    }

    /// Takes rows that come after all before.
    fn rows(&mut self, merger: &mut Merger<'_>, rows: Vec<Row<T>>) -> Result<(), Error> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
        if self.joins(TimeRange { mint: first.ts, maxt: last.ts }, rows.len()) {
            self.unpack(merger)?;
        } else {
            self.flush(merger)?;
        }
        for row in rows {
            self.ts.push(row.ts);
            self.values.push(row.value);
        }
        Ok(())
    }

    /// Whether what is held back and `next` would be in one chunk if they were written together.
    fn joins(&self, next: TimeRange, rows: usize) -> bool {
        let held = match (&self.chunk, self.ts.last()) {
            (Some((_, c)), _) => (c.range(), c.rows as usize),
            (None, Some(&last)) => (TimeRange { mint: self.ts[0], maxt: last }, self.ts.len()),
            (None, None) => return false,
        };
        let (range, more) = if held.1 >= rows { held } else { (next, rows) };
        let steps = i64::try_from(more).unwrap_or(i64::MAX).saturating_sub(1).max(1);
        let slot = cut::slot_ms(range.maxt.saturating_sub(range.mint) / steps);
        if !cut::same_slot(held.0.maxt, next.mint, slot) {
            return false;
        }
        let in_slot = match &self.chunk {
            Some(_) => held.1,
            None => held.1 - self.ts.partition_point(|&t| !cut::same_slot(t, next.mint, slot)),
        };
        in_slot + rows <= cut::MAX_ROWS
    }

    /// Decodes the chunk held back.
    fn unpack(&mut self, merger: &mut Merger<'_>) -> Result<(), Error> {
        match self.chunk.take() {
            Some((input, chunk)) => merger.decode(input, &chunk, &mut self.ts, &mut self.values),
            None => Ok(()),
        }
    }

    /// Writes what is held back.
    fn flush(&mut self, merger: &mut Merger<'_>) -> Result<(), Error> {
        if let Some((input, chunk)) = self.chunk.take() {
            return merger.copy(input, &chunk);
        }
        T::write(&mut merger.writer, &self.ts, std::mem::take(&mut self.values))?;
        self.ts.clear();
        Ok(())
    }
}
