//! Loose series in a checkpoint: what is in memory, as it is there.
//!
//! ```text
//! payload := series, to the end
//! series  := reference varint, flags u8 (2 newest plain sample follows | 4 its bits are not known | 32 extra follows),
//!            [newest time i64, its bits u64], samples varint,
//!            [delta zigzag, exponent u8, length varint, stream]   where there are samples
//!            [extra]
//! extra   := newest histogram u8 (0 none | 1 time follows), [time i64], pieces varint, piece each
//! piece   := kind u8, rows varint, mint i64, span varint, length varint, chunk
//! ```

use storage::Error;

use super::chunk::Piece;
use super::extra::{Extra, float_pieces, histogram_pieces};
use super::{BITS_UNKNOWN, ChunkCodec, HAS_LAST, Loose, LooseSeries};
use crate::bytes::{put_bytes, put_varint, put_zigzag};
use crate::checkpoint::Writer;
use crate::record::kind;

/// Extra follows.
pub(super) const EXTRA: u8 = 32;
/// Bytes of a record, about: what a damaged one costs.
const RECORD: usize = 16 << 10;

/// Writes all loose series that have samples in memory or a newest one that is known.
pub(crate) fn write(loose: &Loose, writer: &mut Writer) -> Result<(), Error> {
    let mut series: Vec<&LooseSeries> = loose.iter().collect();
    series.sort_unstable_by_key(|s| s.series);
    let mut codec = ChunkCodec::default();
    let mut record = vec![];
    for s in series {
        put(s, loose.block_span_ms, &mut codec, &mut record);
        if record.len() >= RECORD {
            writer.frame(kind::LOOSE, |out| out.extend_from_slice(&record))?;
            record.clear();
        }
    }
    if record.is_empty() { Ok(()) } else { writer.frame(kind::LOOSE, |out| out.extend_from_slice(&record)) }
}

fn put(s: &LooseSeries, span: i64, codec: &mut ChunkCodec, out: &mut Vec<u8>) {
    put_varint(out, u64::from(s.series));
    out.push(s.flags & (HAS_LAST | BITS_UNKNOWN) | if s.extra.is_some() { EXTRA } else { 0 });
    if s.has(HAS_LAST) {
        out.extend_from_slice(&s.last_ts.to_le_bytes());
        out.extend_from_slice(&s.last_bits.to_le_bytes());
    }
    put_varint(out, u64::from(s.count));
    if s.count > 0 {
        put_zigzag(out, s.delta);
        out.push(s.exponent);
        put_bytes(out, &s.stream);
    }
    if let Some(extra) = &s.extra {
        put_extra(extra, span, codec, out);
    }
}

fn put_extra(extra: &Extra, span: i64, codec: &mut ChunkCodec, out: &mut Vec<u8>) {
    match &extra.newest_histogram {
        Some((ts, _)) => {
            out.push(1);
            out.extend_from_slice(&ts.to_le_bytes());
        }
        None => out.push(0),
    }
    let mut raw = vec![];
    float_pieces(&extra.late, extra.late.len(), true, span, codec, &mut raw);
    histogram_pieces(&extra.histograms, extra.histograms.len(), false, span, codec, &mut raw);
    histogram_pieces(&extra.late_histograms, extra.late_histograms.len(), true, span, codec, &mut raw);
    put_varint(out, (extra.pieces.len() + raw.len()) as u64);
    for Piece { meta, body } in extra.pieces.iter().chain(&raw) {
        out.push(meta.kind);
        put_varint(out, u64::from(meta.rows));
        out.extend_from_slice(&meta.mint.to_le_bytes());
        put_varint(out, u64::from(meta.span));
        put_bytes(out, body);
    }
}
