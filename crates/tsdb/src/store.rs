//! The store itself: what it holds, its locks, and the write side.
//!
//! A lock is taken only while holding locks named before it here: `compaction`, `maintenance`, `definitions`, then one of `groups` (never
//! held while another lock is taken, but for `definitions`' holders), one group's `state` or `loose`, then one of `log`,
//! `exemplars`, `index`, `chunks`, `pieces`, `definitions_file`
//! (which takes `index` and groups' states while it is held: only maintenance takes it). Who defines series or opens and closes groups holds `definitions` from the log's write to the last
//! change in memory; who writes rows holds the group's state likewise, who writes samples holds `loose`. So a checkpoint that
//! has begun a new log segment under `definitions` and then visits each group finds all that the segments before it say.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

use hashbrown::HashMap;
use model::LabelSet;
use parking_lot::{Mutex, RwLock};
use storage::{Error, ErrorKind, GroupId};

use crate::StoreOptions;
use crate::block::Blocks;
use crate::chunkfile::ChunkFiles;
use crate::dir::Dir;
use crate::disk::Faults;
use crate::exemplars::Exemplars;
use crate::group::Group;
use crate::index::Index;
use crate::log::{Log, SyncHandle};
use crate::loose::Loose;
use crate::record;
use crate::state::Current;

/// Series per record of definitions.
const SERIES_PER_RECORD: usize = 4096;

/// A time series store in one directory, of one process.
#[derive(Debug)]
pub struct Store {
    pub(crate) options: StoreOptions,
    pub(crate) dir: Dir,
    pub(crate) faults: Faults,
    pub(crate) maintenance: Mutex<()>,
    pub(crate) compaction: Mutex<()>,
    pub(crate) definitions: Mutex<Definitions>,
    pub(crate) groups: RwLock<Groups>,
    pub(crate) loose: RwLock<Loose>,
    pub(crate) exemplars: Mutex<Exemplars>,
    /// The newest sample's time in the whole head; `i64::MIN` before the first.
    pub(crate) newest_ms: AtomicI64,
    /// A `Pressure`: that of `loose` when it was last written to.
    pub(crate) pressure: AtomicU8,
    /// How many hold `loose` for long now, or are about to.
    pub(crate) long_holds: AtomicU32,
    pub(crate) index: RwLock<Index>,
    pub(crate) log: Mutex<Log>,
    /// A segment of the log ended and is not synced ([`Log::has_ended`]).
    pub(crate) segment_ended: Arc<AtomicBool>,
    pub(crate) chunks: Mutex<ChunkFiles>,
    /// Files of pieces that are not sealed yet; as `chunks`.
    pub(crate) pieces: Mutex<ChunkFiles>,
    /// Written by who holds `maintenance`.
    pub(crate) definitions_file: Mutex<crate::definitions::Definitions>,
    pub(crate) counters: Counters,
    pub(crate) blocks: Blocks,
    pub(crate) state: Current,
    /// Rows before this are not taken as rows any more; never before the state's `rows_from`.
    pub(crate) rows_before: AtomicI64,
    pub(crate) last_sync_ms: AtomicI64,
    /// Samples appended when maintenance began last.
    pub(crate) maintained_at: AtomicU64,
    /// A checkpoint is due whatever the log's length: something was damaged, or an fsync failed.
    pub(crate) checkpoint_due: AtomicBool,
}

/// The next ids.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(crate) next_series: u32,
    pub(crate) next_group: u32,
}

/// All groups that have samples or are open.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub(crate) by_id: HashMap<u32, Arc<Group>>,
    /// The newest group of each key.
    pub(crate) by_key: HashMap<LabelSet, u32>,
}

impl Groups {
    /// Forgets a group; a newer one with its key stays.
    pub(crate) fn remove(&mut self, group: &Group) {
        self.by_id.remove(&group.id);
        if self.by_key.get(&group.key) == Some(&group.id) {
            self.by_key.remove(&group.key);
        }
    }
}

/// Counters; all relaxed, they order nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) samples: AtomicU64,
    pub(crate) series_created: AtomicU64,
    pub(crate) out_of_order: AtomicU64,
    /// Late samples taken: plain ones, histograms.
    pub(crate) late: [AtomicU64; 2],
    pub(crate) exemplars: AtomicU64,
    pub(crate) corruptions: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) checkpoint_bytes: AtomicU64,
    pub(crate) definitions_bytes: AtomicU64,
    pub(crate) write_failures: AtomicU64,
    pub(crate) fsync_failures: AtomicU64,
    pub(crate) torn_bytes: AtomicU64,
    pub(crate) replayed_records: AtomicU64,
    pub(crate) series_removed: AtomicU64,
    pub(crate) blocks_written: AtomicU64,
    pub(crate) merges: AtomicU64,
    pub(crate) time_retentions: AtomicU64,
    pub(crate) size_retentions: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Series that are to be defined.
pub(crate) type NewSeries<'a> = Vec<(u32, &'a LabelSet)>;

/// What the store counts, beyond [`storage::HeadStats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Groups that are open for rows.
    pub open_groups: u64,
    /// Chunk files.
    pub chunk_files: u64,
    /// Bytes of the newest checkpoint written since start.
    pub checkpoint_bytes: u64,
    /// Bytes of the definitions file as of that checkpoint.
    pub definitions_bytes: u64,
    /// Files of pieces that wait to be sealed, and their bytes.
    pub piece_files: u64,
    /// See there.
    pub piece_bytes: u64,
    /// Checkpoints written since start.
    pub checkpoints: u64,
    /// Log segments on disk.
    pub log_segments: u64,
    /// Writes of the log that failed.
    pub log_write_failures: u64,
    /// Fsyncs that failed.
    pub fsync_failures: u64,
    /// Bytes cut from the log's end at start.
    pub torn_bytes: u64,
    /// Log records replayed at start.
    pub replayed_records: u64,
    /// Bytes of memory the index takes, about.
    pub index_bytes: u64,
    /// Series that left the head since start.
    pub series_removed: u64,
    /// Blocks in force.
    pub blocks: u64,
    /// Their bytes on disk.
    pub block_bytes: u64,
    /// Blocks written from the head since start.
    pub blocks_written: u64,
    /// Merges of blocks since start.
    pub merges: u64,
    /// Blocks dropped by age since start.
    pub time_retentions: u64,
    /// Blocks dropped by size since start.
    pub size_retentions: u64,
    /// Samples older than their series' newest that were taken since start: plain ones, histograms.
    pub late_samples: [u64; 2],
    /// Exemplars taken since start.
    pub exemplars_appended: u64,
    /// Bytes of memory that samples outside of groups take, about.
    pub loose_bytes: u64,
    /// The exemplars kept.
    pub exemplars: crate::ExemplarStats,
}

impl Store {
    /// Opens or creates the store in the directory `path`, takes its lock, and brings back all that was written: the
    /// checkpoint and the chunk files are mapped, the log after them is replayed.
    ///
    /// What is damaged is named in the log, counted in [`storage::HeadStats::corruptions`], and costs only itself.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyOpen`] when another process has the store; [`ErrorKind::Io`] or [`ErrorKind::NoSpace`]
    /// when its files cannot be used.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Arc<Self>, Error> {
        crate::recover::open(path, options, Faults::default()).map(Arc::new)
    }

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// When the fsync fails. The log goes on in a new segment, and the next [`Store::maintain`] writes from memory, by a
    /// checkpoint, what the failed segment may have lost.
    pub fn sync(&self) -> Result<(), Error> {
        self.last_sync_ms.store((self.options.clock)(), Ordering::Relaxed);
        // Without the log's lock: appends go on meanwhile.
        let (ended, current) = self.log.lock().sync_handles();
        let ended = ended.map_or(Ok(()), |handle| self.sync_ended(&handle));
        current.sync().map_err(|e| {
            self.log.lock().poison(current.number());
            self.failed_sync(current.number(), e)
        })?;
        ended
    }

    /// Syncs a segment that ended.
    fn sync_ended(&self, handle: &SyncHandle) -> Result<(), Error> {
        let result = handle.sync();
        self.log.lock().settle(handle.number());
        result.map_err(|e| self.failed_sync(handle.number(), e))
    }

    fn failed_sync(&self, number: u32, e: std::io::Error) -> Error {
        self.checkpoint_due.store(true, Ordering::Relaxed);
        count(&self.counters.fsync_failures, 1);
        Error::io(format!("log segment {number}: fsync"), e)
    }

    /// Counters and sizes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let c = &self.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let groups: Vec<_> = self.groups.read().by_id.values().cloned().collect();
        let (piece_files, piece_bytes) = self.pieces.lock().totals();
        let piece_files = piece_files as u64;
        Stats {
            open_groups: groups.iter().filter(|g| g.state.read().open).count() as u64,
            chunk_files: self.chunks.lock().totals().0 as u64,
            checkpoint_bytes: get(&c.checkpoint_bytes),
            definitions_bytes: get(&c.definitions_bytes),
            piece_files,
            piece_bytes,
            checkpoints: get(&c.checkpoints),
            log_segments: self.log.lock().segments() as u64,
            log_write_failures: get(&c.write_failures),
            fsync_failures: get(&c.fsync_failures),
            torn_bytes: get(&c.torn_bytes),
            replayed_records: get(&c.replayed_records),
            index_bytes: self.index.read().resident_bytes() as u64,
            series_removed: get(&c.series_removed),
            blocks: self.blocks.all().len() as u64,
            block_bytes: self.blocks.bytes(),
            blocks_written: get(&c.blocks_written),
            merges: get(&c.merges),
            time_retentions: get(&c.time_retentions),
            size_retentions: get(&c.size_retentions),
            late_samples: [get(&c.late[0]), get(&c.late[1])],
            exemplars_appended: get(&c.exemplars),
            loose_bytes: self.loose.read().memory() as u64,
            exemplars: self.exemplars.lock().stats(),
        }
    }

    pub(crate) fn group(&self, id: u32) -> Option<Arc<Group>> {
        self.groups.read().by_id.get(&id).cloned()
    }

    pub(crate) fn open_group_of(&self, group: GroupId) -> Result<Arc<Group>, Error> {
        self.group(group.0)
            .ok_or_else(|| Error::new(ErrorKind::NotOpen, format!("group {} is not open", group.0)))
    }

    pub(crate) fn write_log(&self, frames: &[u8]) -> Result<(), Error> {
        self.log.lock().write(frames).inspect_err(|_| count(&self.counters.write_failures, 1))
    }

    /// Syncs when the policy says so.
    pub(crate) fn after_write(&self) -> Result<(), Error> {
        let interval = self.options.sync_interval_ms;
        if interval == 0 {
            return self.sync();
        }
        if self.segment_ended.load(Ordering::Relaxed) {
            let ended = self.log.lock().sync_handles().0;
            if let Some(Err(e)) = ended.map(|handle| self.sync_ended(&handle)) {
                tracing::error!(error = %e, "fsync of a log segment failed");
            }
        }
        if interval < 0 {
            return Ok(());
        }
        let (now, last) = ((self.options.clock)(), self.last_sync_ms.load(Ordering::Relaxed));
        let due = now.saturating_sub(last) >= interval
            && self.last_sync_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if due && let Err(e) = self.sync() {
            // The write itself stands; what the power could take is made good by the checkpoint that is due.
            tracing::error!(error = %e, "fsync of the log failed");
        }
        Ok(())
    }

    /// References of label sets: known ones, then new ones from `next` on, each once.
    pub(crate) fn resolve<'a>(
        &self,
        sets: impl Iterator<Item = &'a LabelSet>,
        mut next: u32,
    ) -> Result<(Vec<u32>, NewSeries<'a>), Error> {
        let index = self.index.read();
        let mut fresh: HashMap<&LabelSet, u32> = HashMap::new();
        let mut new = vec![];
        let mut refs = vec![];
        for labels in sets {
            let known = index.find(labels).or_else(|| fresh.get(labels).copied());
            refs.push(match known {
                Some(series) => series,
                None => {
                    let series = next;
                    next = next.checked_add(1).filter(|&n| n < u32::MAX).ok_or_else(|| {
                        Error::new(ErrorKind::Unsupported, "the index is full: 2^32 series")
                    })?;
                    fresh.insert(labels, series);
                    new.push((series, labels));
                    series
                }
            });
        }
        Ok((refs, new))
    }

    pub(crate) fn insert_series(
        &self,
        definitions: &mut Definitions,
        new: &[(u32, &LabelSet)],
    ) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        let mut index = self.index.write();
        for &(series, labels) in new {
            index.insert(series, labels)?;
            definitions.next_series = definitions.next_series.max(series + 1);
        }
        count(&self.counters.series_created, new.len() as u64);
        Ok(())
    }
}

pub(crate) fn put_series_records(frames: &mut Vec<u8>, new: &[(u32, &LabelSet)]) {
    for portion in new.chunks(SERIES_PER_RECORD) {
        record::put_series(frames, portion.iter().copied());
    }
}
