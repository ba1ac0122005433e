//! `chunks_head/`: chunks of the head, mapped (`tsdb/docs/format/head_chunks.md`).
//!
//! ```text
//! file  := magic u32 = 0x0130bc91, version u8 = 1, three zero bytes, chunks, zeros
//! chunk := series u64, mint i64, maxt i64, encoding u8 (high bit: came late), length uvarint, data, crc32c u32 of all before
//! ```

use std::path::Path;

use super::Report;
use crate::Error;
use crate::bytes::Reader;
use crate::chunk::{self, Encoding, Samples};
use crate::map::Mapped;

const MAGIC: u32 = 0x0130_bc91;
const LATE: u8 = 0x80;

/// Samples of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadChunk {
    /// The log's reference of the series.
    pub reference: u64,
    /// Whether they came late.
    pub is_late: bool,
    /// The samples.
    pub samples: Samples,
}

/// Hands all sound chunks of `dir/chunks_head` to `sink`, file by file. A file ends where it is damaged.
///
/// # Errors
/// When files cannot be opened. Never for what is in them.
pub fn read(dir: &Path, sink: &mut dyn FnMut(HeadChunk)) -> Result<Report, Error> {
    let dir = dir.join("chunks_head");
    let mut report = Report::default();
    if !dir.is_dir() {
        return Ok(report);
    }
    for (_, path) in super::segments(&dir)? {
        let bytes = Mapped::open(&path)?;
        report.segments += 1;
        let mut chunks = 0;
        let end = read_bytes(&bytes, &mut |chunk| {
            chunks += 1;
            sink(chunk);
        });
        report.records += chunks;
        if let Err((offset, why)) = end {
            report.bytes_left_out += (bytes.len() - offset) as u64;
            report.damage.push(format!("{} at {offset}: {why}", path.display()));
        }
    }
    Ok(report)
}

pub(crate) fn read_bytes(bytes: &[u8], sink: &mut dyn FnMut(HeadChunk)) -> Result<(), (usize, String)> {
    let mut r = Reader::new(bytes);
    if bytes.is_empty() {
        return Ok(());
    }
    if (r.u32(), r.u8()) != (Some(MAGIC), Some(1)) {
        return Err((0, "not a file of head chunks of version 1".to_owned()));
    }
    r.take(3).ok_or_else(|| (0, "header is cut off".to_owned()))?;
    while !r.is_empty() {
        let at = bytes.len() - r.len();
        // Files are made larger than what is in them.
        if r.rest()[..r.len().min(24)].iter().all(|b| *b == 0) {
            break;
        }
        let chunk = one(&bytes[at..], &mut r).map_err(|why| (at, why))?;
        sink(chunk);
    }
    Ok(())
}

fn one(from: &[u8], r: &mut Reader<'_>) -> Result<HeadChunk, String> {
    let short = || "chunk is cut off".to_owned();
    let reference = r.u64().ok_or_else(short)?;
    let _span = (r.i64().ok_or_else(short)?, r.i64().ok_or_else(short)?);
    let encoding = r.u8().ok_or_else(short)?;
    let len = r.count(1).ok_or_else(short)?;
    let data = r.take(len).ok_or_else(short)?;
    let covered = from.len() - r.len();
    let crc = r.u32().ok_or_else(short)?;
    let found = crc32c::crc32c(&from[..covered]);
    if found != crc {
        return Err(format!("crc mismatch (found {found:08x}, expected {crc:08x})"));
    }
    let mut samples = Samples::default();
    Encoding::from_byte(encoding & !LATE)
        .and_then(|e| chunk::decode(e, data, &mut samples))
        .map_err(|e| e.to_string())?;
    Ok(HeadChunk { reference, is_late: encoding & LATE != 0, samples })
}
