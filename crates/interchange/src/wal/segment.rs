//! Segments of the log: files of 32 KiB pages that hold records in one or more pieces (`tsdb/docs/format/wal.md`).
//!
//! ```text
//! piece := type u8 (low 3 bits: 0 rest of the page is empty, 1 whole, 2 first, 3 middle, 4 last; bit 3: snappy; bit 4: zstd),
//!          length u16, crc32c u32 of the data, data
//! ```

use std::io::Read as _;

use crate::bytes::Reader;

const PAGE: usize = 32 << 10;
const SNAPPY: u8 = 1 << 3;
const ZSTD: u8 = 1 << 4;
/// The most a record may unpack to: a segment's size, which upstream never exceeds.
const MAX_RECORD: usize = 128 << 20;

/// Where and why reading a segment ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Torn {
    pub(super) offset: usize,
    pub(super) why: String,
}

/// Hands each record of a segment's bytes to `sink`, unpacked. What `sink` refuses ends the segment like any damage.
pub(super) fn records(bytes: &[u8], sink: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), Torn> {
    let mut at = 0;
    let (mut record, mut record_at, mut pieces) = (Vec::new(), 0, 0_u32);
    let mut unpacked = Vec::new();
    while at < bytes.len() {
        let torn = |why: &str| Torn { offset: at, why: why.to_owned() };
        let header = bytes[at];
        let kind = header & 7;
        if kind == 0 {
            let end = (at / PAGE + 1) * PAGE;
            let rest = &bytes[at..end.min(bytes.len())];
            if rest.iter().any(|b| *b != 0) {
                return Err(torn("unexpected non-zero byte in padded page"));
            }
            at = end;
            continue;
        }
        let mut r = Reader::new(&bytes[at + 1..]);
        let (Some(len), Some(crc)) = (r.u16(), r.u32()) else { return Err(torn("record header is cut off")) };
        let data = r.take(usize::from(len)).ok_or_else(|| torn("record is cut off"))?;
        if at % PAGE + 7 + data.len() > PAGE {
            return Err(torn("record reaches beyond its page"));
        }
        let found = crc32c::crc32c(data);
        if found != crc {
            return Err(torn(&format!("unexpected checksum {found:x}, expected {crc:x}")));
        }
        let fits = match kind {
            1 | 2 => pieces == 0,
            3 | 4 => pieces > 0,
            _ => false,
        };
        if !fits {
            return Err(torn(&format!("unexpected record of type {kind} after {pieces} pieces")));
        }
        if pieces == 0 {
            record.clear();
            record_at = at;
        }
        record.extend_from_slice(data);
        pieces += 1;
        at += 7 + data.len();
        if matches!(kind, 1 | 4) {
            pieces = 0;
            let torn = |why: String| Torn { offset: record_at, why };
            let plain = unpack(header, &record, &mut unpacked).map_err(torn)?;
            sink(plain).map_err(torn)?;
        }
    }
    if pieces > 0 {
        return Err(Torn { offset: record_at, why: "last record is torn".to_owned() });
    }
    Ok(())
}

fn unpack<'a>(header: u8, record: &'a [u8], out: &'a mut Vec<u8>) -> Result<&'a [u8], String> {
    if header & SNAPPY != 0 {
        let len = snap::raw::decompress_len(record).map_err(|e| e.to_string())?;
        // Snappy cannot pack better than about 1 to 21; a false length is not believed.
        if len > MAX_RECORD || len > record.len().saturating_mul(64) {
            return Err(format!("snappy: a record of {} bytes claims to hold {len}", record.len()));
        }
        out.resize(len, 0);
        let n = snap::raw::Decoder::new().decompress(record, out).map_err(|e| e.to_string())?;
        return Ok(&out[..n]);
    }
    if header & ZSTD != 0 {
        out.clear();
        let decoder = ruzstd::decoding::StreamingDecoder::new(record).map_err(|e| format!("zstd: {e}"))?;
        decoder.take(MAX_RECORD as u64 + 1).read_to_end(out).map_err(|e| format!("zstd: {e}"))?;
        if out.len() > MAX_RECORD {
            return Err("zstd: a record is larger than a segment".to_owned());
        }
        return Ok(out);
    }
    Ok(record)
}
