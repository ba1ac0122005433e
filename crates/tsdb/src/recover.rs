//! Opening a store: chunk files, piece files, definitions and checkpoint are mapped, the log after the checkpoint is replayed.
//!
//! Rows that a chunk file or a piece file has already are told by their timestamps, which only go up within a group; samples
//! that the checkpoint has by their place in the log.

mod phases;
mod replay;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

use hashbrown::HashMap;
use model::LabelSet;
use parking_lot::{Mutex, RwLock};
use storage::{Error, TimeRange};

use crate::block::Blocks;
use crate::bytes::Reader;
use crate::checkpoint::{self, Checkpoint};
use crate::chunkfile::{ChunkFiles, Item};
use crate::definitions;
use crate::dir::Dir;
use crate::disk::Faults;
use crate::exemplars::Exemplars;
use crate::flushed::Flushed;
use crate::foreign;
use crate::group::{Group, LOST};
use crate::index::{Index, MAX_GROUP};
use crate::log::Log;
use crate::loose::{Loose, Pressure};
use crate::record::{self, kind};
use crate::segment::Segment;
use crate::state::{Current, ReadState};
use crate::store::{Counters, Definitions, Groups, count};
use crate::{Store, StoreOptions};
use phases::Phases;

/// Opens the store in `path`.
pub(crate) fn open(path: &Path, mut options: StoreOptions, faults: Faults) -> Result<Store, Error> {
    let mut phases = Phases::start();
    options.raw_rows = options.raw_rows.clamp(1, 1024);
    options.seal_samples = options.seal_samples.clamp(1, crate::MAX_CHUNK_ROWS);
    let dir = Dir::open(path)?;
    if let Err(e) = foreign::copy_log(&dir.root, &dir.blocks, &options, &faults) {
        // Its blocks can be read all the same.
        tracing::error!(error = %e, "log of Prometheus in this directory could not be copied");
    }
    let (blocks, damaged_blocks) = Blocks::open(&dir.blocks, &faults)?;
    // Rows before this are in blocks. (Loose samples that are, too, are told by their times when they are read.)
    let rows_from = blocks.all().iter().filter_map(|b| b.meta().flushed_until).max().unwrap_or(i64::MIN);
    let (foreign, damaged_foreign) = foreign::open(&dir.root)?;
    let damaged_blocks = damaged_blocks + damaged_foreign;
    options.chunk_file_bytes = options.chunk_file_bytes.min(u64::from(u32::MAX / 2));
    let mut state = Recovery {
        rows_from,
        damaged: damaged_blocks,
        loose: Loose::new(options.block_span_ms),
        exemplars: Exemplars::new(options.max_exemplars),
        ..Recovery::default()
    };
    let (chunks, opened) =
        ChunkFiles::open(&dir.chunks, options.chunk_file_bytes, options.chunk_file_span_ms, &faults)?;
    state.flushed = Flushed::read(&dir.root).unwrap_or_else(|()| {
        tracing::error!("note of the last flush is damaged");
        state.damaged += 1;
        None
    });
    for file in opened {
        state.damaged += file.damaged;
        for item in file.items {
            state.adopt(file.info.number, item);
        }
    }
    let (pieces, opened) = ChunkFiles::open(&dir.pieces, PIECE_FILE_BYTES, i64::MAX, &faults)?;
    for file in opened {
        state.damaged += file.damaged;
        state.pieces.extend(file.items.into_iter().filter_map(|item| match item {
            Item::Group(segment) => Some(segment),
            Item::Loose(_) => None,
        }));
    }
    phases.end("chunk files");
    let checkpoint = state.newest_checkpoint(&dir)?;
    let frames = checkpoint.as_ref().map_or_else(Vec::new, |c| state.frames_of(c));
    let definitions_file = state.load_definitions(&dir, &faults)?;
    phases.end("definitions");
    if let Some(checkpoint) = &checkpoint {
        state.load(checkpoint, &frames);
    }
    state.adopt_pieces();
    phases.end("checkpoint");
    let first = checkpoint.map_or(0, |c| c.log_number);
    let (older, next) = state.replay_log(&dir, first, options.raw_rows)?;
    phases.end("log");
    state.settle();
    phases.end("places");

    let log = Log::open(&dir.log, options.segment_bytes, older, next, &faults)?;
    let counters = Counters::default();
    count(&counters.corruptions, state.damaged);
    count(&counters.torn_bytes, state.torn_bytes);
    count(&counters.replayed_records, state.records);
    count(&counters.series_created, state.index.live().len());
    let now = (options.clock)();
    let Recovery { index, groups, loose, exemplars, definitions, damaged, deleted, .. } = state;
    let read_state = ReadState { blocks: blocks.all(), foreign, rows_from, deleted: Arc::new(deleted) };
    let of_groups = groups.values().filter_map(|g: &Group| g.state.read().last_ts);
    let newest = of_groups.chain(loose.newest_ms()).max().unwrap_or(i64::MIN);
    let mut all = Groups::default();
    let mut groups: Vec<(u32, Group)> = groups.into_iter().collect();
    // Of several groups with one key the newest is the one to open.
    groups.sort_unstable_by_key(|(id, _)| *id);
    for (id, group) in groups {
        all.by_key.insert(group.key.clone(), id);
        all.by_id.insert(id, Arc::new(group));
    }
    phases.end("rest");
    phases.log();
    Ok(Store {
        options,
        dir,
        faults,
        maintenance: Mutex::default(),
        compaction: Mutex::default(),
        blocks,
        state: Current::new(read_state),
        rows_before: AtomicI64::new(rows_from),
        definitions: Mutex::new(definitions),
        groups: RwLock::new(all),
        loose: RwLock::new(loose),
        exemplars: Mutex::new(exemplars),
        newest_ms: AtomicI64::new(newest),
        // Until the first batch tells.
        pressure: AtomicU8::new(Pressure::Near as u8),
        long_holds: AtomicU32::new(0),
        index: RwLock::new(index),
        segment_ended: log.has_ended(),
        log: Mutex::new(log),
        chunks: Mutex::new(chunks),
        pieces: Mutex::new(pieces),
        definitions_file: Mutex::new(definitions_file),
        counters,
        last_sync_ms: AtomicI64::new(now),
        maintained_at: AtomicU64::new(0),
        checkpoint_due: AtomicBool::new(damaged > 0),
    })
}

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// Rows before this are in blocks.
    rows_from: i64,
    flushed: Option<Flushed>,
    deleted: HashMap<u32, Vec<TimeRange>>,
    index: Index,
    groups: HashMap<u32, Group>,
    loose: Loose,
    exemplars: Exemplars,
    definitions: Definitions,
    /// Segments in chunk files of groups that are not known yet.
    sealed: HashMap<u32, Vec<(u32, Segment)>>,
    /// Segments in piece files, some of them sealed long since.
    pieces: Vec<Segment>,
    /// The definitions file that the checkpoint names, and its length then.
    definitions_file: Option<(u32, u64)>,
    /// Samples before this place of the log are in the checkpoint.
    samples_from: (u32, u64),
    /// The newest row of groups by the checkpoint, which may be in no file any more.
    newest: HashMap<u32, i64>,
    /// Series that were defined again, under a reference above, before any file knew of their removal.
    renamed: HashMap<u32, u32>,
    damaged: u64,
    torn_bytes: u64,
    records: u64,
}

/// Bytes of a piece file after which the next one is begun: what has to be sealed before its space comes back.
const PIECE_FILE_BYTES: u64 = 4 << 20;

impl Recovery {
    fn adopt(&mut self, file: u32, item: Item) {
        match item {
            Item::Group(segment) if segment.meta.maxt < self.rows_from => {}
            Item::Group(segment) => self.sealed.entry(segment.meta.group).or_default().push((file, segment)),
            Item::Loose(item) => {
                let flushed = self.flushed.filter(|f| file <= f.file).map_or(i64::MIN, |f| f.until);
                self.loose.adopt(file, &item, flushed);
            }
        }
    }

    fn newest_checkpoint(&mut self, dir: &Dir) -> Result<Option<Checkpoint>, Error> {
        checkpoint::discard(&dir.root);
        for number in checkpoint::list(&dir.root)?.into_iter().rev() {
            match Checkpoint::open(&dir.root, number) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(e) => {
                    tracing::error!(error = %e, "checkpoint cannot be read");
                    self.damaged += 1;
                }
            }
        }
        Ok(None)
    }

    /// The checkpoint's frames; what says where the rest is is read at once.
    fn frames_of(&mut self, checkpoint: &Checkpoint) -> Vec<(u8, Range<usize>)> {
        let (frames, damaged) = checkpoint.frames();
        self.damaged += damaged;
        for (kind, range) in &frames {
            if *kind == kind::STATE {
                let mut r = Reader::new(&checkpoint.map[range.clone()]);
                let state = (|| Some((r.varint32()?, r.varint()?, r.varint32()?, r.varint()?)))();
                match state {
                    Some((number, len, segment, offset)) => {
                        self.definitions_file = Some((number, len));
                        self.samples_from = (segment, offset);
                    }
                    None => self.damaged += 1,
                }
            }
        }
        frames
    }

    fn load_definitions(&mut self, dir: &Dir, faults: &Faults) -> Result<definitions::Definitions, Error> {
        let loaded = definitions::load::load(&dir.root, self.definitions_file, faults)?;
        self.index = loaded.index;
        self.damaged += loaded.damaged;
        self.definitions.next_series = self.definitions.next_series.max(loaded.next_series);
        for group in loaded.groups {
            self.group(group.id, &group.key).state.get_mut().slots = group.slots;
        }
        Ok(loaded.definitions)
    }

    fn load(&mut self, checkpoint: &Checkpoint, frames: &[(u8, Range<usize>)]) {
        for (kind, range) in frames {
            let mut r = Reader::new(&checkpoint.map[range.clone()]);
            let read = match *kind {
                kind::GROUPS => self.load_groups(&mut r),
                kind::LOOSE => self.loose.load(&mut r),
                kind::KEPT_EXEMPLARS => self.exemplars.load(&mut r),
                kind::DELETE => {
                    record::parse(*kind, &checkpoint.map[range.clone()]).and_then(|r| self.apply(r))
                }
                kind::END => self.load_end(&mut r),
                kind::STATE => Some(()),
                _ => None,
            };
            if read.is_none() {
                tracing::error!(
                    checkpoint = checkpoint.log_number,
                    kind,
                    offset = range.start,
                    "checkpoint: odd record"
                );
                self.damaged += 1;
            }
        }
    }

    fn load_groups(&mut self, r: &mut Reader<'_>) -> Option<()> {
        for _ in 0..r.count()? {
            let (id, flags) = (r.varint32()?, r.u8()?);
            let newest = if flags & 1 == 0 { None } else { Some(r.i64()?) };
            let sealed = if flags & 2 == 0 { None } else { Some(r.i64()?) };
            if let Some(newest) = newest {
                self.newest.insert(id, newest);
            }
            if id < MAX_GROUP {
                self.definitions.next_group = self.definitions.next_group.max(id + 1);
            }
            // A group that is not known here was lost with its definition, which is counted there.
            if let Some(group) = self.groups.get_mut(&id) {
                let state = group.state.get_mut();
                state.sealed_until = state.sealed_until.max(sealed);
                state.last_ts = state.last_ts.max(sealed);
            }
        }
        Some(())
    }

    /// The group of an id, created with its sealed segments where it is new.
    fn group(&mut self, id: u32, key: &LabelSet) -> &mut Group {
        self.definitions.next_group = self.definitions.next_group.max(id.saturating_add(1));
        let sealed = &mut self.sealed;
        self.groups.entry(id).or_insert_with(|| {
            let mut group = Group::new(id, key.clone());
            let state = group.state.get_mut();
            state.sealed = sealed.remove(&id).unwrap_or_default();
            state.sealed.sort_by_key(|(_, s)| s.meta.mint);
            state.sealed_until = state.sealed_maxt();
            state.last_ts = state.sealed_until;
            group
        })
    }

    /// Gives groups the pieces that no chunk file has.
    fn adopt_pieces(&mut self) {
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.sort_by_key(|p| (p.meta.group, p.meta.mint));
        for segment in pieces {
            let Some(group) = self.groups.get_mut(&segment.meta.group) else {
                // Either its definition is lost, and chunk files or the log count that too, or the group is long gone.
                continue;
            };
            let state = group.state.get_mut();
            let before = state.pieces.last().map(|p| p.meta.maxt).max(state.sealed_maxt());
            if segment.meta.maxt < self.rows_from {
                state.last_ts = state.last_ts.max(Some(segment.meta.maxt));
            } else if before.is_none_or(|b| b < segment.meta.mint) {
                state.last_ts = state.last_ts.max(Some(segment.meta.maxt));
                state.pieces.push(segment);
            } else if before.is_some_and(|b| b < segment.meta.maxt) {
                tracing::error!(group = group.id, "rows of a piece overlap others");
                self.damaged += 1;
            }
        }
    }

    fn load_end(&mut self, r: &mut Reader<'_>) -> Option<()> {
        let (series, group) = (r.varint32()?, r.varint32()?);
        self.definitions.next_series = self.definitions.next_series.max(series);
        self.definitions.next_group = self.definitions.next_group.max(group);
        Some(())
    }

    /// Drops what nothing names, and counts it; says where each series is.
    fn settle(&mut self) {
        if !self.sealed.is_empty() {
            tracing::error!(groups = self.sealed.len(), "chunk files hold groups that nothing defines");
            self.damaged += self.sealed.len() as u64;
            // Their numbers are not given again.
            for &id in self.sealed.keys().filter(|id| **id < MAX_GROUP) {
                self.definitions.next_group = self.definitions.next_group.max(id + 1);
            }
        }
        let mut groups: Vec<&mut Group> = self.groups.values_mut().collect();
        groups.sort_unstable_by_key(|g| g.id);
        for group in groups {
            let id = group.id;
            let state = group.state.get_mut();
            // No process has a group open that was opened by the one before.
            state.open = false;
            state.dead_slots = if state.raw.is_empty() { 0 } else { state.count_dead() };
            state.last = Box::default();
            state.log_segment = 0;
            state.last_ts = state.last_ts.max(self.newest.get(&id).copied());
            for (slot, s) in (0..).zip(&mut state.slots) {
                while let Some(&newer) = self.renamed.get(s) {
                    *s = newer;
                }
                if !self.index.contains(*s) {
                    *s = LOST;
                    continue;
                }
                self.index.add_location(*s, (id, slot));
            }
        }
        let index = &self.index;
        self.deleted.retain(|&s, _| index.contains(s));
        for ranges in self.deleted.values_mut() {
            // The checkpoint and the log after it may both tell of one.
            ranges.sort_unstable_by_key(|r| (r.mint, r.maxt));
            ranges.dedup();
        }
        let lost = self.loose.settle(|s| index.contains(s), |s| index.locations(s).next().is_some());
        self.exemplars.retain(|s| index.contains(s));
        if lost > 0 {
            tracing::error!(series = lost, "samples of series that nothing defines");
            self.damaged += lost;
        }
        self.definitions.next_series = self.definitions.next_series.max(self.index.next_series());
    }
}

impl Store {
    /// Counts damage met while reading.
    pub(crate) fn note_damage(&self, n: u64) {
        self.counters.corruptions.fetch_add(n, Ordering::Relaxed);
    }
}
