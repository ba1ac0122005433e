//! `tombstones` of a block: what of its samples is deleted (`tsdb/docs/format/tombstones.md`).
//!
//! ```text
//! magic u32, version u8 = 1, per interval: series uvarint, mint varint, maxt varint; crc32c u32 of the intervals
//! ```

use std::collections::HashMap;
use std::path::Path;

use super::TimeRange;
use crate::bytes::Reader;
use crate::{Error, ErrorKind};

const MAGIC: u32 = 0x0130_ba30;

/// The file of a block without deletions.
pub(super) const EMPTY: [u8; 9] = [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0];

/// Deleted intervals by series.
#[derive(Debug, Default)]
pub(super) struct Tombstones(HashMap<u64, Vec<TimeRange>>);

impl Tombstones {
    /// Reads `dir/tombstones`; none when there is no such file. The second is the file's size.
    pub(super) fn open(dir: &Path) -> Result<(Self, u64), Error> {
        let path = dir.join("tombstones");
        match std::fs::read(&path) {
            Ok(bytes) => {
                let all = Self::parse(&bytes).map_err(|e| e.within(path.display()))?;
                Ok((all, bytes.len() as u64))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((Self::default(), 0)),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let short = || Error::corrupt("tombstones end early");
        let (body, crc) = bytes.split_last_chunk::<4>().ok_or_else(short)?;
        let mut r = Reader::new(body);
        let magic = r.u32().ok_or_else(short)?;
        if magic != MAGIC {
            return Err(Error::corrupt(format!("magic number {magic:08x} is not that of tombstones")));
        }
        let version = r.u8().ok_or_else(short)?;
        if version != 1 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("tombstones of version {version} are not read"),
            ));
        }
        super::check_crc(r.rest(), u32::from_be_bytes(*crc), "tombstones")?;
        let mut all: HashMap<u64, Vec<TimeRange>> = HashMap::new();
        while !r.is_empty() {
            let series = r.uvarint().ok_or_else(short)?;
            let mint = r.varint().ok_or_else(short)?;
            let maxt = r.varint().ok_or_else(short)?;
            all.entry(series).or_default().push(TimeRange { mint, maxt });
        }
        Ok(Self(all))
    }

    /// The intervals of a series, in no order.
    pub(super) fn of(&self, series: u64) -> &[TimeRange] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_deleted_is_what_upstream_writes() {
        assert!(Tombstones::parse(&EMPTY).unwrap().0.is_empty());
        assert!(Tombstones::parse(&EMPTY[..8]).is_err());
    }
}
