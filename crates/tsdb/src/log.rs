//! The log: segments of records, each named by its number.
//!
//! ```text
//! log/00000001.log := "VIGIELOG", version u32, number u32, crc32c u32 of the sixteen bytes before; then frames
//! ```
//! A record is one `write`: what [`Log::write`] returned `Ok` for is in the page cache and survives the end of the process. A
//! write that fails is cut off again; where even that fails, the segment is left and a new one begun. After a failed fsync
//! the kernel may have dropped what was dirty, so the segment is never synced again: the owner is told, starts a new segment
//! and writes a checkpoint from memory.
//!
//! No fsync runs under the log's lock. A segment that ended is synced by who ended it, after it let go of the lock, before
//! the next one is; should a second one end meanwhile, that waits. So a power cut may take the end of the segment before the
//! newest, never what a sync that returned has seen.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use storage::Error;

use crate::disk::{DiskFile, Faults, sync_dir};

pub(crate) const HEADER_LEN: usize = 20;
const MAGIC: &[u8; 8] = b"VIGIELOG";
const VERSION: u32 = 1;

/// The segment that is written to.
#[derive(Debug)]
struct Current {
    file: DiskFile,
    number: u32,
    len: u64,
    /// Written to since the last fsync began.
    dirty: Arc<AtomicBool>,
    turn: Arc<Mutex<Turn>>,
    /// No longer to be written to: a partial record could not be cut off, or an fsync failed.
    poisoned: bool,
}

/// The log's writing end.
#[derive(Debug)]
pub(crate) struct Log {
    dir: PathBuf,
    segment_bytes: u64,
    faults: Faults,
    current: Current,
    /// Numbers and lengths of the segments before.
    older: Vec<(u32, u64)>,
    /// The segment before, until it is synced.
    ended: Option<SyncHandle>,
    /// Whether there is one, to be asked without the lock.
    has_ended: Arc<AtomicBool>,
    /// Fsyncs at a segment's end that failed.
    failed_syncs: u64,
}

/// One fsync at a time; and what is known of those before.
#[derive(Debug, Default)]
struct Turn {
    /// The directory's entry survives a power cut.
    named: bool,
    failed: bool,
}

/// What an fsync needs, so that it can run without the log's lock.
#[derive(Debug, Clone)]
pub(crate) struct SyncHandle {
    dir: PathBuf,
    file: DiskFile,
    dirty: Arc<AtomicBool>,
    turn: Arc<Mutex<Turn>>,
    number: u32,
}

impl SyncHandle {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Syncs what was written to the segment before the call. Waits for an fsync that runs: it may be the one that has it.
    ///
    /// # Errors
    /// That the fsync failed, this one or one before; for [`Log::poison`].
    pub(crate) fn sync(&self) -> Result<(), std::io::Error> {
        let mut turn = self.turn.lock();
        if turn.failed {
            return Err(std::io::Error::other("an fsync of it failed before"));
        }
        // Cleared first: a write that comes in between is synced now or sets it again. Relaxed suffices, the flag orders
        // nothing: the write call itself is what fsync sees.
        if !self.dirty.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let named = if turn.named { Ok(()) } else { sync_dir(&self.dir) };
        let result = named.and_then(|()| self.file.sync());
        (turn.named, turn.failed) = (result.is_ok(), result.is_err());
        result
    }
}

impl Log {
    /// Opens a new segment after the ones given (number, length), which stay as they are.
    pub(crate) fn open(
        dir: &Path,
        segment_bytes: u64,
        older: Vec<(u32, u64)>,
        next: u32,
        faults: &Faults,
    ) -> Result<Self, Error> {
        let current = create(dir, next, faults)?;
        Ok(Self {
            dir: dir.to_owned(),
            segment_bytes,
            faults: faults.clone(),
            current,
            older,
            ended: None,
            has_ended: Arc::default(),
            failed_syncs: 0,
        })
    }

    /// Makes room for a record of `len` bytes, in a new segment if need be, and returns the number of the segment that
    /// [`Log::write`] will write to.
    pub(crate) fn prepare(&mut self, len: usize) -> Result<u32, Error> {
        let full = self.current.len > HEADER_LEN as u64 && self.current.len + len as u64 > self.segment_bytes;
        if full || self.current.poisoned {
            self.rotate()?;
        }
        Ok(self.current.number)
    }

    /// Appends whole frames by one write.
    pub(crate) fn write(&mut self, frames: &[u8]) -> Result<(), Error> {
        self.prepare(0)?;
        let current = &mut self.current;
        current.dirty.store(true, Ordering::Relaxed);
        if let Err(e) = current.file.write_all_at(frames, current.len) {
            // What was written of it would read as a torn record, and cut off all that follows.
            current.poisoned = current.file.set_len(current.len).is_err();
            return Err(Error::io(format!("log segment {}: write", current.number), e));
        }
        current.len += frames.len() as u64;
        Ok(())
    }

    /// Begins a new segment and returns its number. The one before is to be synced by [`Log::sync_handles`], soon.
    pub(crate) fn rotate(&mut self) -> Result<u32, Error> {
        let next = create(&self.dir, self.current.number + 1, &self.faults)?;
        // Nobody came to sync the one before in all the time it took to fill this one: more must not wait.
        if let Some(before) = self.ended.take()
            && let Err(e) = before.sync()
        {
            // No failure of the record that comes next.
            tracing::error!(segment = before.number, error = %e, "fsync of a log segment failed");
            self.failed_syncs += 1;
        }
        if !self.current.poisoned {
            self.ended = Some(self.handle());
        }
        self.has_ended.store(self.ended.is_some(), Ordering::Relaxed);
        let old = std::mem::replace(&mut self.current, next);
        self.older.push((old.number, old.len));
        Ok(self.current.number)
    }

    fn handle(&self) -> SyncHandle {
        let c = &self.current;
        SyncHandle {
            dir: self.dir.clone(),
            file: c.file.clone(),
            dirty: Arc::clone(&c.dirty),
            turn: Arc::clone(&c.turn),
            number: c.number,
        }
    }

    /// The segment that ended, if it is not synced yet, then the current one: to be synced in this order.
    pub(crate) fn sync_handles(&self) -> (Option<SyncHandle>, SyncHandle) {
        (self.ended.clone(), self.handle())
    }

    /// Set while a segment that ended is not synced. Orders nothing: who reads it late, comes late.
    pub(crate) fn has_ended(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.has_ended)
    }

    /// Notes that the fsync of a segment that ended is over, well or not.
    pub(crate) fn settle(&mut self, number: u32) {
        if self.ended.as_ref().is_some_and(|e| e.number <= number) {
            self.ended = None;
            self.has_ended.store(false, Ordering::Relaxed);
        }
    }

    /// Ends a segment whose fsync failed.
    pub(crate) fn poison(&mut self, number: u32) {
        if self.current.number == number {
            self.current.poisoned = true;
        }
    }

    /// Removes the segments before `number`.
    pub(crate) fn truncate_before(&mut self, number: u32) -> Result<(), Error> {
        let dir = self.dir.clone();
        let mut result = Ok(());
        // What it said is elsewhere, and synced.
        self.settle(number.saturating_sub(1));
        self.older.retain(|&(n, _)| {
            if n >= number {
                return true;
            }
            match std::fs::remove_file(segment_path(&dir, n)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    result = Err(Error::io(format!("log segment {n}: remove"), e));
                    true
                }
                _ => false,
            }
        });
        result
    }

    /// Where the next record goes, if it fits: segment and offset.
    pub(crate) fn position(&self) -> (u32, u64) {
        (self.current.number, self.current.len)
    }

    /// Sets the length of segments from now on.
    pub(crate) fn set_segment_bytes(&mut self, bytes: u64) {
        self.segment_bytes = bytes;
    }

    /// The newest segment from which on the log is at least `need` bytes long, if there is a segment before it.
    pub(crate) fn cut_target(&self, need: u64) -> Option<u32> {
        let (mut number, mut len) = (self.current.number, self.current.len);
        let mut older = self.older.iter().rev();
        while len < need {
            let (n, bytes) = older.next()?;
            (number, len) = (*n, len + bytes);
        }
        older.next().map(|_| number)
    }

    /// Fsyncs at a segment's end that failed since the last call.
    pub(crate) fn take_failed_syncs(&mut self) -> u64 {
        std::mem::take(&mut self.failed_syncs)
    }

    /// Bytes on disk.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.current.len + self.older.iter().map(|(_, len)| len).sum::<u64>()
    }

    pub(crate) fn segments(&self) -> usize {
        self.older.len() + 1
    }
}

fn create(dir: &Path, number: u32, faults: &Faults) -> Result<Current, Error> {
    let path = segment_path(dir, number);
    let what = || format!("log segment {number}: create");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .map_err(|e| Error::io(what(), e))?;
    let file = DiskFile::new(file, faults);
    if let Err(e) = file.write_all_at(&header(number), 0) {
        // An empty segment in the way of the next try.
        let _ = std::fs::remove_file(&path);
        return Err(Error::io(what(), e));
    }
    let dirty = Arc::new(AtomicBool::new(true));
    Ok(Current { file, number, len: HEADER_LEN as u64, dirty, turn: Arc::default(), poisoned: false })
}

fn header(number: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&header[..16]);
    header[16..].copy_from_slice(&crc.to_le_bytes());
    header
}

/// Whether `bytes` begin as segment `number` does.
pub(crate) fn header_is_sound(bytes: &[u8], number: u32) -> bool {
    bytes.starts_with(&header(number))
}

pub(crate) fn segment_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.log"))
}

/// The numbers of the segments in `dir`, ascending.
pub(crate) fn list(dir: &Path) -> Result<Vec<u32>, Error> {
    crate::dir::numbered(dir, ".log")
}

/// Cuts a segment to its sound part.
pub(crate) fn cut(dir: &Path, number: u32, len: u64) -> std::io::Result<()> {
    let file = File::options().write(true).open(segment_path(dir, number))?;
    file.set_len(len)?;
    file.sync_all()
}
