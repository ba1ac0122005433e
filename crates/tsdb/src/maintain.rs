//! What is done now and then, away from the write path: sealing, checkpoints, retention.
//!
//! Only this part takes pieces away from groups and series, one call at a time (`maintenance`), so what it copied under a read
//! lock is still the front of the list when it comes back with the write lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::TimestampMs;
use storage::{Error, ErrorKind};

use crate::bytes::{put_bytes, put_varint};
use crate::chunkfile::{Batch, Item};
use crate::group::{Group, LOST, State, join};
use crate::record::{self, kind};
use crate::segment::SegmentBuilder;
use crate::store::count;
use crate::{Store, checkpoint};

/// Pairs, or series, per record of a checkpoint.
const PER_RECORD: usize = 4096;
/// Samples after which maintenance is due.
const SAMPLES_PER_MAINTENANCE: u64 = 4_000_000;

/// A segment that waits for its place in a chunk file.
struct Joined {
    group: Arc<Group>,
    pieces: usize,
}

impl Store {
    /// To be called about each 30 seconds: seals what has enough samples into chunk files, cuts the log by a checkpoint once
    /// it is longer than a segment, drops chunk files whose newest sample is older than retention, and syncs.
    ///
    /// # Errors
    /// When files cannot be written: then what was to be sealed stays in memory, what was to be cut stays in the
    /// log, and reading and appending go on.
    pub fn maintain(&self, now_ms: TimestampMs) -> Result<(), Error> {
        let _one = self.maintenance.lock();
        self.maintained_at.store(self.counters.samples.load(Ordering::Relaxed), Ordering::Relaxed);
        // Retention first: it may make the space that the rest needs. Blocks are dropped by [`Store::compact`].
        if let Some(retention) = self.options.retention_ms {
            self.drop_before(now_ms.saturating_sub(retention));
        }
        let failed_syncs = self.log.lock().take_failed_syncs();
        if failed_syncs > 0 {
            count(&self.counters.fsync_failures, failed_syncs);
            self.checkpoint_due.store(true, Ordering::Relaxed);
        }
        self.seal()?;
        while let Some(until) = self.flush_due() {
            self.flush(until)?;
        }
        let long = self.log.lock().len_bytes() > self.options.segment_bytes;
        if long || self.checkpoint_due.load(Ordering::Relaxed) {
            self.checkpoint()?;
        }
        self.sync()
    }

    /// Whether so much came in since the last [`Store::maintain`] that the next one should not wait: what is not sealed yet
    /// takes memory.
    #[must_use]
    pub fn maintenance_due(&self) -> bool {
        let samples = self.counters.samples.load(Ordering::Relaxed);
        samples.saturating_sub(self.maintained_at.load(Ordering::Relaxed)) >= SAMPLES_PER_MAINTENANCE
    }

    /// A clean end: a checkpoint of all that is in memory, so that the next start has nothing to replay. The store can
    /// still be used after.
    ///
    /// # Errors
    /// When the checkpoint cannot be written; what was appended is in the log all the same.
    pub fn close(&self) -> Result<(), Error> {
        let _one = self.maintenance.lock();
        self.chunks.lock().finish();
        let written = self.checkpoint();
        self.sync()?;
        written
    }

    fn seal(&self) -> Result<(), Error> {
        let mut groups: Vec<Arc<Group>> = self.groups.read().by_id.values().cloned().collect();
        groups.sort_unstable_by_key(|g| g.id);
        for group in groups {
            // One group at a time bounds what is in memory twice.
            self.seal_group(&group)?;
        }
        self.seal_loose()
    }

    fn seal_group(&self, group: &Arc<Group>) -> Result<(), Error> {
        let seal_samples = self.options.seal_samples;
        let (pieces, open) = {
            let state = group.state.read();
            (state.pieces.clone(), state.open)
        };
        let mut batch = Batch::default();
        let mut joined = vec![];
        let mut rest = &pieces[..];
        let mut damaged = 0;
        while !rest.is_empty() {
            let rows: usize = rest.iter().map(|p| p.meta.rows as usize).sum();
            // A group that is closed gets no more rows to wait for.
            if rows < seal_samples && open {
                break;
            }
            let (body, meta, taken) = join(group.id, rest, seal_samples, &mut damaged);
            batch.group(&meta, &body);
            joined.push(Joined { group: Arc::clone(group), pieces: taken });
            rest = &rest[taken..];
        }
        self.note_damage(damaged);
        if batch.is_empty() {
            return Ok(());
        }
        let (file, items) = self.append_chunks(&batch, joined.len())?;
        for (joined, item) in joined.into_iter().zip(items) {
            let mut state = joined.group.state.write();
            state.pieces.drain(..joined.pieces);
            if let Item::Group(segment) = item {
                state.sealed.push((file, segment));
            }
        }
        Ok(())
    }

    pub(crate) fn append_chunks(&self, batch: &Batch, expected: usize) -> Result<(u32, Vec<Item>), Error> {
        let (file, items) = self.chunks.lock().append(batch)?;
        if items.len() != expected {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("chunk file {file}: what was written reads differently"),
            ));
        }
        Ok((file, items))
    }

    /// Writes a checkpoint and cuts the log before it. The caller holds `maintenance`.
    fn checkpoint(&self) -> Result<(), Error> {
        let (number, next_series, next_group) = {
            // No definition is between log and memory now; rows that are wait for their group's lock below.
            let definitions = self.definitions.lock();
            let number = self.log.lock().rotate()?;
            (number, definitions.next_series, definitions.next_group)
        };
        let written = self.write_checkpoint(number, next_series, next_group);
        let bytes = written.inspect_err(|_| checkpoint::discard(&self.dir.root))?;
        self.checkpoint_due.store(false, Ordering::Relaxed);
        self.counters.checkpoint_bytes.store(bytes, Ordering::Relaxed);
        count(&self.counters.checkpoints, 1);
        self.log.lock().truncate_before(number)
    }

    fn write_checkpoint(&self, number: u32, next_series: u32, next_group: u32) -> Result<u64, Error> {
        let mut writer = checkpoint::Writer::create(&self.dir.root, number, &self.faults)?;
        self.write_index(&mut writer)?;
        let mut groups: Vec<Arc<Group>> = self.groups.read().by_id.values().cloned().collect();
        groups.sort_unstable_by_key(|g| g.id);
        let mut builder = SegmentBuilder::default();
        for group in groups {
            write_group(&mut writer, &group, &group.state.read(), &mut builder)?;
        }
        {
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
    }

    fn write_index(&self, writer: &mut checkpoint::Writer) -> Result<(), Error> {
        let index = self.index.read();
        // Pairs that no series has any more are left out, so numbers are given anew.
        let mut numbers = vec![LOST; index.pairs.count() as usize];
        let used: Vec<u32> =
            (0..index.pairs.count()).filter(|&id| !index.pairs.postings(id).is_empty()).collect();
        for (portion, ids) in used.chunks(PER_RECORD).enumerate() {
            let first = portion * PER_RECORD;
            writer.frame(kind::PAIRS, |out| {
                put_varint(out, first as u64);
                put_varint(out, ids.len() as u64);
                for (number, &id) in (first..).zip(ids) {
                    let (name, value) = index.pairs.get(id);
                    put_bytes(out, name.as_bytes());
                    put_bytes(out, value.as_bytes());
                    numbers[id as usize] = u32::try_from(number).unwrap_or(LOST);
                }
            })?;
        }
        let live: Vec<u32> = index.live().iter().collect();
        for series in live.chunks(PER_RECORD) {
            writer.frame(kind::SETS, |out| {
                put_varint(out, series.len() as u64);
                for &s in series {
                    let ids = index.pair_ids(s);
                    put_varint(out, u64::from(s));
                    put_varint(out, ids.len() as u64);
                    ids.iter().for_each(|&id| put_varint(out, u64::from(numbers[id as usize])));
                }
            })?;
        }
        Ok(())
    }

    /// Drops chunk files that end before `mint`, then groups and series that have nothing left.
    fn drop_before(&self, mint: TimestampMs) {
        let removed = self.chunks.lock().remove_before(mint);
        if removed.is_empty() {
            return;
        }
        tracing::info!(files = removed.len(), "chunk files past retention removed");
        for group in self.groups.read().by_id.values() {
            group.state.write().sealed.retain(|(file, _)| !removed.contains(file));
        }
        self.loose.write().drop_files(&removed);
        self.forget_empty();
    }
}

fn write_group(
    writer: &mut checkpoint::Writer,
    group: &Group,
    state: &State,
    builder: &mut SegmentBuilder,
) -> Result<(), Error> {
    writer.frame(kind::GROUP, |out| {
        put_varint(out, u64::from(group.id));
        out.push(u8::from(state.open));
        match state.last_ts {
            Some(ts) => {
                out.push(1);
                out.extend_from_slice(&ts.to_le_bytes());
            }
            None => out.push(0),
        }
        put_bytes(out, group.key.as_bytes());
        put_varint(out, state.slots.len() as u64);
        state.slots.iter().for_each(|&s| put_varint(out, if s == LOST { 0 } else { u64::from(s) + 1 }));
    })?;
    for piece in &state.pieces {
        writer.frame(kind::PIECE, |out| {
            piece.meta.put(out);
            out.extend_from_slice(&piece.body);
        })?;
    }
    if state.raw.ts.is_empty() {
        return Ok(());
    }
    let slots = u32::try_from(state.slots.len()).expect("slots are u32");
    let (meta, body) = builder
        .build(group.id, &state.raw.ts, slots, |first, count, out, _| state.raw.columns(first, count, out));
    writer.frame(kind::PIECE, |out| {
        meta.put(out);
        out.extend_from_slice(&body);
    })
}
