//! Which loose samples in chunk files are in blocks already: a small file, replaced by each flush.
//!
//! ```text
//! DIR/flushed := one frame (see `record`) of type 40: number of a chunk file varint, time zigzag
//! ```
//! Loose chunks in files up to that number that end before that time were written to blocks (without what was deleted of them). Their
//! file may live on for other chunks, and a start must not bring them back. Rows need no such note: a block's own
//! `flushed_until` tells.

use std::path::Path;

use storage::Error;

use crate::bytes::{Reader, put_varint, put_zigzag};
use crate::disk::{DiskFile, Faults, sync_dir};
use crate::record;

const KIND: u8 = 40;
const NAME: &str = "flushed";
const TEMPORARY: &str = "flushed.tmp";

/// Where flushes have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flushed {
    pub(crate) file: u32,
    pub(crate) until: i64,
}

impl Flushed {
    /// Reads the note; `Err` when it is damaged: then nothing is taken as flushed, which only has it done again.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>, ()> {
        let Ok(bytes) = std::fs::read(root.join(NAME)) else { return Ok(None) };
        let read = record::frame_at(&bytes, 0).filter(|f| f.0 == KIND).and_then(|(_, payload, _)| {
            let mut r = Reader::new(payload);
            Some(Self { file: r.varint32()?, until: r.zigzag()? })
        });
        read.map(Some).ok_or(())
    }

    /// Puts the note in force.
    pub(crate) fn write(self, root: &Path, faults: &Faults) -> Result<(), Error> {
        let mut bytes = vec![];
        record::frame(&mut bytes, KIND, |out| {
            put_varint(out, u64::from(self.file));
            put_zigzag(out, self.until);
        });
        let failed = |e| Error::io("note of the flush", e);
        let partial = root.join(TEMPORARY);
        let file = DiskFile::new(std::fs::File::create(&partial).map_err(failed)?, faults);
        file.write_all_at(&bytes, 0).and_then(|()| file.sync()).map_err(failed)?;
        std::fs::rename(&partial, root.join(NAME)).and_then(|()| sync_dir(root)).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_comes_back_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Flushed::read(dir.path()), Ok(None));
        let note = Flushed { file: 300, until: -7_200_000 };
        note.write(dir.path(), &Faults::default()).unwrap();
        assert_eq!(Flushed::read(dir.path()), Ok(Some(note)));
        let path = dir.path().join(NAME);
        let bytes = std::fs::read(&path).unwrap();
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 4;
            std::fs::write(&path, &broken).unwrap();
            assert_eq!(Flushed::read(dir.path()), Err(()));
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert_eq!(Flushed::read(dir.path()), Err(()));
        }
    }
}
