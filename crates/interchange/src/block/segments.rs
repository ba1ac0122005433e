//! `chunks/` of a block: files of chunks, referenced by file number and offset (`tsdb/docs/format/chunks.md`).
//!
//! ```text
//! file  := magic u32 = 0x85bd40dd, version u8 = 1, three zero bytes, chunks
//! chunk := length of the data uvarint, encoding u8, data, crc32c u32 of encoding and data
//! ```

use std::path::Path;

use super::check_crc;
use crate::bytes::Reader;
use crate::chunk::Encoding;
use crate::map::Mapped;
use crate::{Error, ErrorKind};

pub(super) const MAGIC: u32 = 0x85bd_40dd;
pub(super) const HEADER: [u8; 8] = [0x85, 0xbd, 0x40, 0xdd, 1, 0, 0, 0];

#[derive(Debug, Default)]
pub(super) struct Segments(Vec<Mapped>);

impl Segments {
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        let dir = dir.join("chunks");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(|e| Error::io("read", &dir, e))? {
            let path = entry.map_err(|e| Error::io("read", &dir, e))?.path();
            let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u64>().ok());
            names.extend(number.map(|n| (n, path)));
        }
        names.sort_unstable();
        names.iter().map(|(_, path)| one(path)).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.0.iter().map(|s| s.len() as u64).sum()
    }

    /// Encoding and data of a chunk, its checksum proven.
    pub(super) fn chunk(&self, reference: u64) -> Result<(Encoding, &[u8]), Error> {
        let (segment, offset) = ((reference >> 32) as usize, (reference & 0xffff_ffff) as usize);
        let place = || format!("chunk at {offset} of chunk file {}", segment + 1);
        let outside = || Error::corrupt(format!("{} lies outside", place()));
        let bytes = self.0.get(segment).and_then(|s| s.get(offset..)).ok_or_else(outside)?;
        let mut r = Reader::new(bytes);
        let len = r.uvarint().and_then(|n| usize::try_from(n).ok()).ok_or_else(outside)?;
        let body = len.checked_add(1).and_then(|n| r.take(n)).ok_or_else(outside)?;
        let crc = r.u32().ok_or_else(outside)?;
        check_crc(body, crc, place())?;
        let (&encoding, data) = body.split_first().ok_or_else(outside)?;
        Ok((Encoding::from_byte(encoding).map_err(|e| e.within(place()))?, data))
    }
}

fn one(path: &Path) -> Result<Mapped, Error> {
    let bytes = Mapped::open(path)?;
    let mut r = Reader::new(&bytes);
    let (magic, version) = (r.u32(), r.u8());
    if magic != Some(MAGIC) {
        return Err(Error::corrupt(format!("{}: not a file of chunks", path.display())));
    }
    if version != Some(1) {
        let message = format!("{}: only version 1 is read", path.display());
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(bytes)
}
