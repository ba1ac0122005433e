//! Opening a store: chunk files and checkpoint are mapped, the log after the checkpoint is replayed.
//!
//! Rows and samples that a chunk file or the checkpoint has already are told by their timestamps, which only go up within a
//! group or a loose series.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use hashbrown::HashMap;
use model::LabelSet;
use parking_lot::{Mutex, RwLock};
use storage::{Error, TimeRange};

use crate::block::Blocks;
use crate::bytes::Reader;
use crate::checkpoint::{self, Checkpoint};
use crate::chunkfile::{ChunkFiles, Item};
use crate::dir::Dir;
use crate::disk::Faults;
use crate::exemplars::Exemplars;
use crate::flushed::Flushed;
use crate::foreign;
use crate::group::{Group, LOST};
use crate::index::Index;
use crate::log::{self, Log};
use crate::loose::Loose;
use crate::mmap::Blob;
use crate::record::{self, Record, kind};
use crate::segment::{Meta, Segment};
use crate::state::{Current, ReadState};
use crate::store::{Counters, Definitions, Groups, count};
use crate::{Store, StoreOptions};

/// Opens the store in `path`.
pub(crate) fn open(path: &Path, mut options: StoreOptions, faults: Faults) -> Result<Store, Error> {
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
        raw_rows: options.raw_rows,
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
    let first = state.load_newest_checkpoint(&dir)?;
    let mut older = vec![];
    let numbers = log::list(&dir.log)?;
    for (i, &number) in numbers.iter().enumerate() {
        if number < first {
            // A removal that did not come to pass.
            let _ = std::fs::remove_file(log::segment_path(&dir.log, number));
            continue;
        }
        let len = state.replay(&dir.log, number, i + 1 == numbers.len())?;
        older.push((number, len));
    }
    state.settle();

    let next = numbers.last().map_or(first, |n| n + 1).max(first).max(1);
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
    for (id, group) in groups {
        all.by_key.insert(group.key.clone(), id);
        all.by_id.insert(id, Arc::new(group));
    }
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
        index: RwLock::new(index),
        log: Mutex::new(log),
        chunks: Mutex::new(chunks),
        counters,
        last_sync_ms: AtomicI64::new(now),
        maintained_at: AtomicU64::new(0),
        checkpoint_due: AtomicBool::new(damaged > 0),
    })
}

/// What is known so far.
#[derive(Debug, Default)]
struct Recovery {
    raw_rows: usize,
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
    damaged: u64,
    torn_bytes: u64,
    records: u64,
}

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

    /// Returns the log segment to replay from.
    fn load_newest_checkpoint(&mut self, dir: &Dir) -> Result<u32, Error> {
        checkpoint::discard(&dir.root);
        for number in checkpoint::list(&dir.root)?.into_iter().rev() {
            match Checkpoint::open(&dir.root, number) {
                Ok(checkpoint) => {
                    self.load(&checkpoint);
                    return Ok(checkpoint.log_number);
                }
                Err(e) => {
                    tracing::error!(error = %e, "checkpoint cannot be read");
                    self.damaged += 1;
                }
            }
        }
        Ok(0)
    }

    fn load(&mut self, checkpoint: &Checkpoint) {
        let (frames, damaged) = checkpoint.frames();
        self.damaged += damaged;
        // Pair numbers of the checkpoint to those of the index.
        let mut pairs: Vec<u32> = vec![];
        for (kind, range) in frames {
            let mut r = Reader::new(&checkpoint.map[range.clone()]);
            let read = match kind {
                kind::PAIRS => self.load_pairs(&mut r, &mut pairs),
                kind::SETS => self.load_sets(&mut r, &pairs),
                kind::GROUP => self.load_group(&mut r),
                kind::PIECE => Meta::get(&mut r).and_then(|meta| {
                    let body = Blob::mapped(&checkpoint.map, range.end - r.len()..range.end)?;
                    self.load_piece(Segment { meta, body });
                    Some(())
                }),
                kind::LOOSE => self.loose.load(&mut r),
                kind::KEPT_EXEMPLARS => self.exemplars.load(&mut r),
                kind::DELETE => record::parse(kind, &checkpoint.map[range.clone()])
                    .and_then(|r| self.apply(r, &mut HashMap::new())),
                kind::END => self.load_end(&mut r),
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

    fn load_pairs(&mut self, r: &mut Reader<'_>, pairs: &mut Vec<u32>) -> Option<()> {
        let first = r.varint32()? as usize;
        // Numbers that a damaged record would have given stay unknown.
        if first > pairs.len() + (1 << 24) {
            return None;
        }
        pairs.resize(first.max(pairs.len()), LOST);
        for _ in 0..r.count()? {
            let name = std::str::from_utf8(r.bytes()?).ok()?;
            let value = std::str::from_utf8(r.bytes()?).ok()?;
            pairs.push(self.index.pairs.intern(name, value).ok()?);
        }
        Some(())
    }

    fn load_sets(&mut self, r: &mut Reader<'_>, pairs: &[u32]) -> Option<()> {
        let mut ids = vec![];
        let mut lost = false;
        for _ in 0..r.count()? {
            let series = r.varint32()?;
            ids.clear();
            for _ in 0..r.count()? {
                ids.push(pairs.get(r.varint32()? as usize).copied().unwrap_or(LOST));
            }
            self.definitions.next_series = self.definitions.next_series.max(series.saturating_add(1));
            if ids.contains(&LOST) || series > MAX_SERIES {
                lost = true;
            } else {
                self.index.insert_ids(series, &ids).ok()?;
            }
        }
        (!lost).then_some(())
    }

    fn load_group(&mut self, r: &mut Reader<'_>) -> Option<()> {
        let (id, open) = (r.varint32()?, r.u8()? == 1);
        let last_ts = if r.u8()? == 1 { Some(r.i64()?) } else { None };
        let key = LabelSet::from_bytes(r.bytes()?)?;
        let n = r.count()?;
        let mut slots = Vec::with_capacity(n);
        for _ in 0..n {
            slots.push(r.varint32()?.checked_sub(1).unwrap_or(LOST));
        }
        for (slot, s) in slots.iter_mut().enumerate() {
            if *s != LOST && !self.index.contains(*s) {
                *s = LOST;
            }
            if *s != LOST {
                self.index.add_location(*s, (id, u32::try_from(slot).ok()?));
            }
        }
        let group = self.group(id, &key);
        let state = group.state.get_mut();
        state.open = open;
        state.slots = slots;
        state.last_ts = state.last_ts.max(last_ts);
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
            state.last_ts = state.sealed_maxt();
            group
        })
    }

    fn load_piece(&mut self, segment: Segment) {
        let Some(group) = self.groups.get_mut(&segment.meta.group) else {
            self.damaged += 1;
            return;
        };
        let state = group.state.get_mut();
        // `last_ts` is the checkpoint's own; what counts here is where the rows before end.
        let before = state.pieces.last().map(|p| p.meta.maxt).max(state.sealed_maxt());
        if segment.meta.maxt < self.rows_from {
            state.last_ts = state.last_ts.max(Some(segment.meta.maxt));
        } else if before.is_none_or(|b| b < segment.meta.mint) {
            state.last_ts = state.last_ts.max(Some(segment.meta.maxt));
            state.pieces.push(segment);
        } else if before.is_some_and(|b| b < segment.meta.maxt) {
            tracing::error!(group = group.id, "checkpoint: rows overlap those of a chunk file");
            self.damaged += 1;
        }
    }

    fn load_end(&mut self, r: &mut Reader<'_>) -> Option<()> {
        let (series, group) = (r.varint32()?, r.varint32()?);
        self.definitions.next_series = self.definitions.next_series.max(series);
        self.definitions.next_group = self.definitions.next_group.max(group);
        Some(())
    }

    /// Replays one log segment; returns its length. Ends at the first record that is not sound, and cuts the newest segment
    /// there.
    fn replay(&mut self, dir: &Path, number: u32, newest: bool) -> Result<u64, Error> {
        let bytes = std::fs::read(log::segment_path(dir, number))
            .map_err(|e| Error::io(format!("log segment {number}: read"), e))?;
        let mut offset = log::HEADER_LEN;
        // Each group's last row within this segment.
        let mut last: HashMap<u32, Vec<f64>> = HashMap::new();
        if log::header_is_sound(&bytes, number) {
            while let Some((kind, payload, next)) = record::frame_at(&bytes, offset) {
                self.records += 1;
                let read = record::parse(kind, payload).and_then(|r| self.apply(r, &mut last));
                if read.is_none() {
                    tracing::error!(segment = number, offset, kind, "log: record cannot be applied");
                    self.damaged += 1;
                }
                offset = next;
            }
        } else if bytes.len() > log::HEADER_LEN {
            tracing::error!(segment = number, "log: damaged segment header");
            self.damaged += 1;
            offset = bytes.len();
        }
        let rest = bytes.len().saturating_sub(offset) as u64;
        if rest == 0 {
            return Ok(bytes.len() as u64);
        }
        // A write that a crash cut short can only be the last of the newest segment.
        let torn = newest && record::hop(&bytes, offset).is_none();
        if torn {
            tracing::warn!(segment = number, offset, bytes = rest, "log: torn end cut off");
            self.torn_bytes += rest;
        } else {
            tracing::error!(
                segment = number,
                offset,
                bytes = rest,
                "log: damaged record, the segment's rest is lost"
            );
            self.damaged += 1;
        }
        if newest {
            log::cut(dir, number, offset as u64)
                .map_err(|e| Error::io(format!("log segment {number}: cut"), e))?;
            return Ok(offset as u64);
        }
        Ok(bytes.len() as u64)
    }

    fn apply(&mut self, record: Record<'_>, last: &mut HashMap<u32, Vec<f64>>) -> Option<()> {
        match record {
            Record::Series(series) => {
                for (id, labels) in series {
                    if id > MAX_SERIES {
                        return None;
                    }
                    self.index.insert(id, &labels).ok()?;
                    self.definitions.next_series = self.definitions.next_series.max(id + 1);
                }
            }
            Record::Open(id, key) => self.group(id, &key).state.get_mut().open = true,
            Record::Close(id) => self.groups.get_mut(&id)?.state.get_mut().open = false,
            Record::Slots { group: id, first, series } => {
                let group = self.groups.get_mut(&id)?;
                let slots = &mut group.state.get_mut().slots;
                let first = first as usize;
                if first > slots.len() + (1 << 24) {
                    return None;
                }
                // Slots that a damaged record would have given.
                if slots.len() < first + series.len() {
                    slots.resize(first + series.len(), LOST);
                }
                for (i, &s) in series.iter().enumerate() {
                    if self.index.contains(s) {
                        slots[first + i] = s;
                        self.index.add_location(s, (id, u32::try_from(first + i).ok()?));
                    }
                }
            }
            Record::Row { group: id, ts, full, mut row } => {
                let last = if full {
                    let last = last.entry(id).or_default();
                    last.clear();
                    last
                } else {
                    last.get_mut(&id)?
                };
                crate::row::decode(&mut row, last, MAX_WIDTH)?;
                let raw_rows = self.raw_rows;
                let state = self.groups.get_mut(&id)?.state.get_mut();
                if ts < self.rows_from {
                    state.last_ts = state.last_ts.max(Some(ts));
                } else if state.last_ts.is_none_or(|l| l < ts) {
                    let known = last.len().min(state.slots.len());
                    state.push(id, ts, &last[..known], raw_rows);
                }
            }
            Record::Delete(range, series) => {
                series.into_iter().for_each(|s| self.deleted.entry(s).or_default().push(range));
            }
            Record::Points(mut r) => self.loose.replay_points(&mut r)?,
            Record::Histograms(mut r) => self.loose.replay_histograms(&mut r)?,
            Record::Exemplars(mut r) => self.exemplars.load(&mut r)?,
        }
        Some(())
    }

    /// Drops what nothing names, and counts it.
    fn settle(&mut self) {
        if !self.sealed.is_empty() {
            tracing::error!(groups = self.sealed.len(), "chunk files hold groups that nothing defines");
            self.damaged += self.sealed.len() as u64;
        }
        let index = &self.index;
        self.deleted.retain(|&s, _| index.contains(s));
        let lost = self.loose.settle(|s| index.contains(s), |s| index.locations(s).next().is_some());
        self.exemplars.retain(|s| index.contains(s));
        if lost > 0 {
            tracing::error!(series = lost, "samples of series that nothing defines");
            self.damaged += lost;
        }
        // No process has a group open that was opened by the one before.
        for group in self.groups.values_mut() {
            let state = group.state.get_mut();
            state.open = false;
            state.last = vec![];
            state.log_segment = 0;
        }
        self.definitions.next_series = self.definitions.next_series.max(self.index.next_series());
    }
}

/// More series than this is damage that a checksum missed.
const MAX_SERIES: u32 = 1 << 30;
/// More values in a row than this likewise.
const MAX_WIDTH: usize = 1 << 26;

impl Store {
    /// Counts damage met while reading.
    pub(crate) fn note_damage(&self, n: u64) {
        self.counters.corruptions.fetch_add(n, Ordering::Relaxed);
    }
}
