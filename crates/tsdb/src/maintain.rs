//! What is done now and then, away from the write path: sealing, checkpoints, retention.
//!
//! Only this part takes pieces away from groups and series, one call at a time (`maintenance`), so what it copied under a read
//! lock is still the front of the list when it comes back with the write lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::TimestampMs;
use storage::{Error, ErrorKind};

use crate::Store;
use crate::chunkfile::{Batch, Item};
use crate::cut::Cut;
use crate::group::{Group, join, joinable};
use crate::store::count;

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
        let due = self.checkpoint_due.load(Ordering::Relaxed);
        self.cut_log(if due { Cut::All } else { Cut::Spare })?;
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
        let written = self.cut_log(Cut::All);
        self.pieces.lock().finish();
        self.sync()?;
        written
    }

    fn seal(&self) -> Result<(), Error> {
        for group in self.groups_by_id() {
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
        // A group that is closed gets no more rows to wait for.
        while let Some(taken) = joinable(rest, seal_samples, open) {
            let (body, meta) = join(group.id, &rest[..taken], &mut damaged);
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
                state.sealed_until = state.sealed_until.max(Some(segment.meta.maxt));
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
        let _long = self.hold_long();
        self.loose.write().drop_files(&removed);
        self.forget_empty();
    }
}
