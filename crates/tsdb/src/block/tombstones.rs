//! What was deleted from a block and is still in its chunks.
//!
//! ```text
//! tombstones := "VIGIETMB", version u32 = 1, count u32; per deletion: mint i64, maxt i64, length u32, series as a roaring
//!               bitmap of that length; crc32c u32 of all before
//! ```
//! Written beside itself and renamed, whole each time. A damaged file makes the block unreadable: what was deleted must not come
//! back by itself. Who wants it back removes the file.

use std::fs::File;
use std::path::Path;

use roaring::RoaringBitmap;
use storage::{Error, ErrorKind, TimeRange};

use crate::bytes::Reader;
use crate::disk::{DiskFile, Faults, sync_dir};

const MAGIC: &[u8; 8] = b"VIGIETMB";
const VERSION: u32 = 1;
const FILE: &str = "tombstones";
const TEMPORARY: &str = "tombstones.tmp";

/// All deletions of a block.
#[derive(Debug, Clone, Default)]
pub(super) struct Tombstones {
    deletions: Vec<(TimeRange, RoaringBitmap)>,
}

impl Tombstones {
    pub(super) fn is_empty(&self) -> bool {
        self.deletions.is_empty()
    }

    /// Series and intervals.
    pub(super) fn count(&self) -> u64 {
        self.deletions.iter().map(|(_, series)| series.len()).sum()
    }

    /// Adds a deletion.
    pub(super) fn add(&mut self, series: &RoaringBitmap, range: TimeRange) {
        match self.deletions.iter_mut().find(|(r, _)| *r == range) {
            Some((_, known)) => *known |= series,
            None => self.deletions.push((range, series.clone())),
        }
    }

    /// The deleted intervals of a series: sorted, and joined where they touch.
    pub(super) fn of(&self, series: u32) -> Vec<TimeRange> {
        let mut ranges: Vec<TimeRange> =
            self.deletions.iter().filter(|(_, s)| s.contains(series)).map(|(r, _)| *r).collect();
        ranges.sort_unstable_by_key(|r| r.mint);
        ranges.dedup_by(|next, last| {
            let touches = next.mint <= last.maxt.saturating_add(1);
            if touches {
                last.maxt = last.maxt.max(next.maxt);
            }
            touches
        });
        ranges
    }

    /// Bytes of the file; none where there is no deletion.
    pub(super) fn file_len(&self) -> u64 {
        if self.is_empty() { 0 } else { self.encode().len() as u64 }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&VERSION.to_le_bytes());
        let count = u32::try_from(self.deletions.len()).expect("fewer than fit in memory");
        out.extend_from_slice(&count.to_le_bytes());
        for (range, series) in &self.deletions {
            out.extend_from_slice(&range.mint.to_le_bytes());
            out.extend_from_slice(&range.maxt.to_le_bytes());
            let len = u32::try_from(series.serialized_size()).expect("at most 2^31 series");
            out.extend_from_slice(&len.to_le_bytes());
            series.serialize_into(&mut out).expect("a vector takes all");
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], series_count: u32) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut r = Reader::new(body);
        if r.take(8)? != MAGIC || r.u32()? != VERSION {
            return None;
        }
        let mut deletions = vec![];
        for _ in 0..r.u32()? {
            let range = TimeRange { mint: r.i64()?, maxt: r.i64()? };
            let len = r.u32()?;
            let series = RoaringBitmap::deserialize_from(r.take(len as usize)?).ok()?;
            if range.mint > range.maxt || series.max().is_some_and(|max| max >= series_count) {
                return None;
            }
            deletions.push((range, series));
        }
        (r.len() == 0).then_some(Self { deletions })
    }

    /// The deletions of the block in `dir`.
    pub(super) fn read(dir: &Path, series_count: u32) -> Result<Self, Error> {
        // A write that did not come to its rename is none.
        let _ = std::fs::remove_file(dir.join(TEMPORARY));
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(|e| Error::io(format!("block: read {}", path.display()), e))?,
        };
        Self::decode(&bytes, series_count).ok_or_else(|| {
            let why = "damaged; remove it to read the block with what was deleted from it";
            Error::new(ErrorKind::Corrupt, format!("block: {}: {why}", path.display()))
        })
    }

    /// Puts these deletions in force, durably.
    pub(super) fn write(&self, dir: &Path, faults: &Faults) -> Result<(), Error> {
        let path = dir.join(FILE);
        let failed = |e| Error::io(format!("block: write {}", path.display()), e);
        let temporary = dir.join(TEMPORARY);
        let write = || {
            let file = DiskFile::new(File::create(&temporary)?, faults);
            file.write_all_at(&self.encode(), 0)?;
            file.sync()?;
            std::fs::rename(&temporary, &path)?;
            sync_dir(dir)
        };
        write().map_err(|e| {
            let _ = std::fs::remove_file(&temporary);
            failed(e)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_joined_and_survive() {
        let dir = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let mut tombstones = Tombstones::default();
        let range = |mint, maxt| TimeRange { mint, maxt };
        tombstones.add(&[1, 3].into_iter().collect(), range(5, 9));
        tombstones.add(&[1].into_iter().collect(), range(10, 12));
        tombstones.add(&[1].into_iter().collect(), range(-4, 2));
        tombstones.add(&[2, 3].into_iter().collect(), range(5, 9));
        tombstones.add(&[3].into_iter().collect(), range(i64::MIN, i64::MAX));
        tombstones.write(dir.path(), &faults).unwrap();
        let read = Tombstones::read(dir.path(), 4).unwrap();
        assert_eq!(read.of(1), [range(-4, 2), range(5, 12)]);
        assert_eq!(read.of(2), [range(5, 9)]);
        assert_eq!(read.of(3), [range(i64::MIN, i64::MAX)]);
        assert_eq!(read.of(0), []);
        assert_eq!(read.count(), 6);
        assert_eq!(std::fs::metadata(dir.path().join(FILE)).unwrap().len(), read.file_len());
        assert!(Tombstones::read(dir.path(), 3).is_err());

        // A disk that is full or does not sync leaves the old ones.
        let mut more = read.clone();
        more.add(&[0].into_iter().collect(), range(1, 1));
        faults.set_space(20);
        assert!(more.write(dir.path(), &faults).is_err());
        faults.set_space(i64::MAX);
        faults.set_fail_sync(true);
        assert!(more.write(dir.path(), &faults).is_err());
        assert_eq!(Tombstones::read(dir.path(), 4).unwrap().count(), 6);

        let sound = std::fs::read(dir.path().join(FILE)).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 4;
            assert!(Tombstones::decode(&bytes, 4).is_none());
            assert!(Tombstones::decode(&sound[..at], 4).is_none());
        }
    }
}
