//! Checkpoints: what the log said before a segment and no other file holds, so that the log can be cut: which definitions
//! file is in force, how far each group's rows are known, and the loose samples that no chunk file has.
//!
//! ```text
//! checkpoint.00000007 := "VIGIECKP", version u32, first log segment to replay u32, crc32c u32 of the sixteen bytes before;
//!                        frames (see `record`), the last of them `end`
//! ```
//! Written beside the old one, synced, renamed over its name, then the old one and the log before it go. A damaged frame costs
//! what it holds.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use storage::{Error, ErrorKind};

use crate::disk::{DiskFile, Faults, sync_dir};
use crate::{mmap, record};

const MAGIC: &[u8; 8] = b"VIGIECKP";
const VERSION: u32 = 2;
const HEADER_LEN: usize = 20;
const PREFIX: &str = "checkpoint.";
const TEMPORARY: &str = "checkpoint.tmp";
/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

fn header(log_number: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&log_number.to_le_bytes());
    let crc = crc32c::crc32c(&header[..16]);
    header[16..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Writes one checkpoint.
#[derive(Debug)]
pub(crate) struct Writer {
    dir: PathBuf,
    log_number: u32,
    file: DiskFile,
    buffer: Vec<u8>,
    offset: u64,
}

impl Writer {
    /// Begins a checkpoint after which the log is replayed from segment `log_number`.
    pub(crate) fn create(dir: &Path, log_number: u32, faults: &Faults) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(dir.join(TEMPORARY))
            .map_err(|e| Error::io("checkpoint: create", e))?;
        let file = DiskFile::new(file, faults);
        Ok(Self { dir: dir.to_owned(), log_number, file, buffer: header(log_number).to_vec(), offset: 0 })
    }

    /// Adds a record.
    pub(crate) fn frame(&mut self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        record::frame(&mut self.buffer, kind, fill);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.file.write_all_at(&self.buffer, self.offset).map_err(|e| Error::io("checkpoint: write", e))?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Puts the checkpoint in force, removes those before it, and returns its length in bytes.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        self.flush()?;
        let failed = |e| Error::io("checkpoint: put in force", e);
        self.file.sync().map_err(failed)?;
        std::fs::rename(self.dir.join(TEMPORARY), path(&self.dir, self.log_number)).map_err(failed)?;
        sync_dir(&self.dir).map_err(failed)?;
        for number in list(&self.dir)? {
            if number < self.log_number {
                // What stays is ignored by the next start, and tried again then.
                let _ = std::fs::remove_file(path(&self.dir, number));
            }
        }
        Ok(self.offset)
    }
}

/// Removes what a failed write left, so that it does not take the space that is missing.
pub(crate) fn discard(dir: &Path) {
    let _ = std::fs::remove_file(dir.join(TEMPORARY));
}

fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08}"))
}

/// The checkpoints in `dir` by their log segment, ascending.
pub(crate) fn list(dir: &Path) -> Result<Vec<u32>, Error> {
    crate::dir::numbered_between(dir, PREFIX, "")
}

/// A checkpoint to be read.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) log_number: u32,
    pub(crate) map: Arc<Mmap>,
}

impl Checkpoint {
    pub(crate) fn open(dir: &Path, number: u32) -> Result<Self, Error> {
        let failed = |e| Error::io(format!("checkpoint {number}: open"), e);
        let file = File::open(path(dir, number)).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let len = usize::try_from(len).unwrap_or(0);
        if len < HEADER_LEN {
            return Err(Error::new(ErrorKind::Corrupt, format!("checkpoint {number}: cut short")));
        }
        let map = mmap::map(&file, len).map_err(failed)?;
        if map[..HEADER_LEN] != header(number) {
            // Its name says what its header does; its records have their own checksums.
            tracing::error!(checkpoint = number, "checkpoint: damaged header");
        }
        Ok(Self { log_number: number, map })
    }

    /// The sound frames: type and payload's range; and how many places were damaged.
    pub(crate) fn frames(&self) -> (Vec<(u8, std::ops::Range<usize>)>, u64) {
        let found = record::frames(&self.map, HEADER_LEN, &format!("checkpoint {}", self.log_number));
        let mut damaged = found.damaged;
        let whole =
            found.end == self.map.len() && found.frames.last().is_some_and(|f| f.0 == record::kind::END);
        if !whole {
            damaged += 1;
            tracing::error!(checkpoint = self.log_number, offset = found.end, "checkpoint: cut short");
        }
        (found.frames, damaged)
    }
}
