//! Cutting the log: what its oldest segments say is made sure to be elsewhere, then they go.
//!
//! - Rows: each piece is appended once to a piece file (`pieces/`, laid out as chunk files are) and is mapped from then on. Raw
//!   rows stay in the log; a cut keeps as much of it as the raw rows of most groups need, and makes pieces of those of the
//!   others. A piece file goes when all its pieces are sealed.
//! - Definitions are appended to the definitions file (`definitions`).
//! - Loose samples that no chunk file has, and how far each group's rows are known, are written to the checkpoint.
//!
//! So the work of a cut follows what came since the last one, not all there is, and so does that of a start.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::Error;

use crate::bytes::put_varint;
use crate::chunkfile::{Batch, Item};
use crate::definitions::GroupDefinition;
use crate::group::Group;
use crate::record::{self, kind};
use crate::segment::Segment;
use crate::store::count;
use crate::{Store, checkpoint};

/// Groups per record of a checkpoint.
const PER_RECORD: usize = 4096;
/// Bytes of pieces that may wait in memory: what a start makes anew in a few hundredths of a second.
const PIECES_IN_MEMORY: usize = 1 << 20;
/// Bytes of pieces per write.
const BATCH_BYTES: usize = 16 << 20;
/// Piece files after which the pieces of the oldest are written anew: they are of groups with few rows.
const MAX_PIECE_FILES: usize = 128;
/// A segment of the log holds at least this many rows of each group: the first of each is written in full.
const ROWS_PER_SEGMENT: u64 = 12;

/// How much of the log a cut leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// What raw rows need, and nothing is done before a whole segment can go.
    Spare,
    /// Nothing: all is written from memory.
    All,
}

impl Store {
    pub(crate) fn groups_by_id(&self) -> Vec<Arc<Group>> {
        let mut groups: Vec<Arc<Group>> = self.groups.read().by_id.values().cloned().collect();
        groups.sort_unstable_by_key(|g| g.id);
        groups
    }

    /// Writes pieces to piece files, cuts the log if it is long or `cut` says so, and removes piece files that are not needed
    /// any more. The caller holds `maintenance`.
    pub(crate) fn cut_log(&self, cut: Cut) -> Result<(), Error> {
        let groups = self.groups_by_id();
        self.keep_pieces(&groups, PIECES_IN_MEMORY)?;
        let number = match cut {
            Cut::All => {
                // No definition is between log and memory now; rows that are wait for their group's lock below.
                let _definitions = self.definitions.lock();
                Some(self.log.lock().rotate()?)
            }
            Cut::Spare => {
                let round: u64 = groups
                    .iter()
                    .map(|g| {
                        let state = g.state.read();
                        if state.open { u64::from(state.row_bytes) } else { 0 }
                    })
                    .sum();
                let segment = self.options.segment_bytes.max(ROWS_PER_SEGMENT * round);
                let raw = (self.options.raw_rows as u64 + 1) * round;
                let mut log = self.log.lock();
                log.set_segment_bytes(segment);
                log.cut_target(raw.max(self.options.segment_bytes / 2))
            }
        };
        if let Some(number) = number {
            self.checkpoint(number)?;
        }
        self.move_old_pieces(&groups)?;
        self.pieces.lock().remove_unused();
        Ok(())
    }

    /// Makes the log before segment `number` unnecessary and removes it.
    fn checkpoint(&self, number: u32) -> Result<(), Error> {
        let (position, next_series, next_group) = {
            // All definitions and samples before this place are in memory: who writes them holds these locks meanwhile.
            let definitions = self.definitions.lock();
            let _loose = self.loose.read();
            (self.log.lock().position(), definitions.next_series, definitions.next_group)
        };
        let groups = self.groups_by_id();
        for group in &groups {
            let mut state = group.state.write();
            if !state.raw.is_empty() && state.raw_segment < number {
                state.compress(group.id);
            }
        }
        self.keep_pieces(&groups, 0)?;
        let (file, len) = self.write_definitions(&groups)?;
        let write = || {
            let mut writer = checkpoint::Writer::create(&self.dir.root, number, &self.faults)?;
            writer.frame(kind::STATE, |out| {
                put_varint(out, u64::from(file));
                put_varint(out, len);
                put_varint(out, u64::from(position.0));
                put_varint(out, position.1);
            })?;
            write_groups(&mut writer, &groups)?;
            {
                let _long = self.hold_long();
                let loose = self.loose.read();
                crate::loose::write_checkpoint(&loose, &mut writer)?;
                // Under the same lock: who appends exemplars holds it.
                self.exemplars.lock().write(&mut writer)?;
            }
            for (&series, ranges) in &*self.state.get().deleted {
                for &range in ranges {
                    writer.frame(kind::DELETE, |out| record::fill_delete(out, &[series], range))?;
                }
            }
            writer.frame(kind::END, |out| {
                put_varint(out, u64::from(next_series));
                put_varint(out, u64::from(next_group));
            })?;
            writer.finish()
        };
        let bytes = write().inspect_err(|_| checkpoint::discard(&self.dir.root))?;
        self.definitions_file.lock().remove_others(file);
        self.checkpoint_due.store(false, Ordering::Relaxed);
        self.counters.checkpoint_bytes.store(bytes, Ordering::Relaxed);
        self.counters.definitions_bytes.store(len, Ordering::Relaxed);
        count(&self.counters.checkpoints, 1);
        self.log.lock().truncate_before(number)
    }

    fn write_definitions(&self, groups: &[Arc<Group>]) -> Result<(u32, u64), Error> {
        self.definitions_file.lock().append(&self.index, groups.iter().map(|g| g.id), |i, put| {
            let group = &groups[i];
            let state = group.state.read();
            put(&GroupDefinition { id: group.id, key: &group.key, slots: &state.slots })
        })
    }

    /// Writes the pieces that are in memory to piece files once they are longer than `spare` bytes. On failure those not yet
    /// written stay in memory.
    fn keep_pieces(&self, groups: &[Arc<Group>], spare: usize) -> Result<(), Error> {
        self.write_pieces(groups, spare, |p| p.body.in_memory())
    }

    /// Writes the pieces of the oldest piece file anew where there are too many files.
    fn move_old_pieces(&self, groups: &[Arc<Group>]) -> Result<(), Error> {
        loop {
            let oldest = self.pieces.lock().oldest_of_more_than(MAX_PIECE_FILES);
            let Some(map) = oldest else { return Ok(()) };
            self.write_pieces(groups, 0, |p| p.body.is_of(&map))?;
            drop(map);
            if self.pieces.lock().remove_unused() == 0 {
                // A query reads in it still; the next call tries again.
                return Ok(());
            }
        }
    }

    fn write_pieces(
        &self,
        groups: &[Arc<Group>],
        spare: usize,
        which: impl Fn(&Segment) -> bool,
    ) -> Result<(), Error> {
        let mut found: Vec<(&Arc<Group>, Segment)> = vec![];
        let mut bytes = 0;
        for group in groups {
            let state = group.state.read();
            for piece in state.pieces.iter().filter(|p| which(p)) {
                bytes += piece.body.len();
                found.push((group, piece.clone()));
            }
        }
        if bytes <= spare {
            return Ok(());
        }
        let mut rest = &found[..];
        while !rest.is_empty() {
            let mut batch = Batch::default();
            let mut taken = 0;
            for (_, piece) in rest {
                if taken > 0 && batch.len_bytes() + piece.body.len() > BATCH_BYTES {
                    break;
                }
                batch.group(&piece.meta, &piece.body);
                taken += 1;
            }
            let (_, items) = self.pieces.lock().append(&batch)?;
            for ((group, piece), item) in rest.iter().zip(items) {
                let Item::Group(mapped) = item else { continue };
                let mut state = group.state.write();
                // Only maintenance takes pieces away; who does finds it gone, and this copy is dropped.
                if let Some(at) =
                    state.pieces.iter_mut().find(|p| p.meta == piece.meta && mapped.meta == p.meta)
                {
                    *at = mapped;
                }
            }
            rest = &rest[taken..];
        }
        Ok(())
    }
}

fn write_groups(writer: &mut checkpoint::Writer, groups: &[Arc<Group>]) -> Result<(), Error> {
    for groups in groups.chunks(PER_RECORD) {
        writer.frame(kind::GROUPS, |out| {
            put_varint(out, groups.len() as u64);
            for group in groups {
                let state = group.state.read();
                let times = [state.last_ts, state.sealed_maxt()];
                put_varint(out, u64::from(group.id));
                out.push(u8::from(times[0].is_some()) | u8::from(times[1].is_some()) << 1);
                times.into_iter().flatten().for_each(|t| out.extend_from_slice(&t.to_le_bytes()));
            }
        })?;
    }
    Ok(())
}
