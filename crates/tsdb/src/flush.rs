//! From head to blocks: what is older than a time is written to blocks, then leaves memory, log and chunk files.
//!
//! The steps, each of which may be the last before a crash: (1) rows before the time are no longer taken as rows, and all that there are
//! lie in segments; (2) a block for each span is written and put in force by its rename, the last of them saying that
//! rows before the time are in blocks, and `flushed` which loose chunks are; (3) readers get the new state; (4) once nobody has an older one, the head lets go.
//! After a crash before (4) the samples are in both, and readers take equal times once.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;
use storage::{Error, TimeRange, is_absent};

use crate::Store;
use crate::block::{About, Block, BlockWriter};
use crate::codec::Effort;
use crate::flushed::Flushed;
use crate::group::{Group, LOST};
use crate::state::wait_for_readers;
use crate::store::count;

/// How long a row may be on its way before rows of its time are flushed early: a scrape's timestamp is its beginning.
const ON_ITS_WAY_MS: i64 = 120_000;
/// An early flush is not worth its block below this many series that are gone, nor below this share of those that are not.
const GONE_AT_LEAST: u64 = 10_000;

impl Store {
    /// Up to where the head should be flushed now.
    pub(crate) fn flush_due(&self) -> Option<i64> {
        let span = self.options.block_span_ms;
        let bounds = self.head_bounds()?;
        let from = self.state.get().rows_from.max(bounds.mint);
        // As upstream: a span is written once the head has half of the next one.
        let regular = bounds.maxt.saturating_sub(span / 2).div_euclid(span).saturating_mul(span);
        if regular > from {
            return Some(regular);
        }
        let early = bounds.maxt.saturating_sub(ON_ITS_WAY_MS);
        (early.saturating_sub(from) > ON_ITS_WAY_MS && self.many_are_gone()).then_some(early)
    }

    /// Whether much of the index is series that get no more samples.
    fn many_are_gone(&self) -> bool {
        let groups: Vec<Arc<Group>> = self.groups.read().by_id.values().cloned().collect();
        let in_rows: u64 = groups
            .iter()
            .map(|group| {
                let state = group.state.read();
                if state.open {
                    state.last_row().iter().filter(|v| !is_absent(**v)).count() as u64
                } else {
                    0
                }
            })
            .sum();
        let active = in_rows + self.loose.read().len() as u64;
        let gone = self.index.read().live().len().saturating_sub(active);
        gone >= GONE_AT_LEAST && gone > active / 3
    }

    /// Writes what is before `until` to blocks and drops it from the head; loose samples only in whole spans. The caller
    /// holds `maintenance`.
    pub(crate) fn flush(&self, until: i64) -> Result<(), Error> {
        let span = self.options.block_span_ms;
        let loose_until = until.div_euclid(span).saturating_mul(span);
        // Seen by whoever takes a group's lock after this.
        self.rows_before.fetch_max(until, Ordering::SeqCst);
        let groups: Vec<Arc<Group>> = self.groups.read().by_id.values().cloned().collect();
        for group in &groups {
            let mut state = group.state.write();
            if state.raw.ts.first().is_some_and(|&t| t < until) {
                state.compress(group.id);
            }
        }
        // What is sealed from now on is in later files.
        let file = self.chunks.lock().rotate();
        let mark = self.loose.write().mark(loose_until);
        let mut written = vec![];
        let spans = self.spans_before(&groups, until, loose_until);
        let last = spans.last().copied();
        for start in spans {
            let range = TimeRange { mint: start, maxt: (start + span).min(until) - 1 };
            let flushed_until = (Some(start) == last).then_some(until);
            written.extend(self.write_block(range, range.maxt < loose_until, flushed_until)?);
        }
        for block in written {
            let meta = block.meta();
            tracing::info!(
                ulid = meta.ulid,
                series = meta.series,
                samples = meta.samples,
                bytes = block.bytes(),
                "block written"
            );
            self.blocks.add(block);
            count(&self.counters.blocks_written, 1);
        }
        Flushed { file, until: loose_until }.write(&self.dir.root, &self.faults)?;
        let before = self.state.change(|state| {
            state.blocks = self.blocks.all();
            state.rows_from = state.rows_from.max(until);
            if state.deleted.values().flatten().any(|d| d.maxt < loose_until) {
                // Blocks were written without them.
                let deleted = Arc::make_mut(&mut state.deleted);
                deleted.values_mut().for_each(|d| d.retain(|d| d.maxt >= loose_until));
                deleted.retain(|_, d| !d.is_empty());
            }
        });
        wait_for_readers(before);
        for group in &groups {
            let mut state = group.state.write();
            state.pieces.retain(|p| p.meta.maxt >= until);
            state.sealed.retain(|(_, s)| s.meta.maxt >= until);
        }
        let _long = self.hold_long();
        self.loose.write().drop_before(loose_until, mark);
        self.chunks.lock().remove_before(loose_until);
        self.forget_empty();
        self.checkpoint_due.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The beginnings of the spans that have samples to flush.
    fn spans_before(&self, groups: &[Arc<Group>], until: i64, loose_until: i64) -> BTreeSet<i64> {
        let span = self.options.block_span_ms;
        let rows_from = self.state.get().rows_from;
        let mut spans = BTreeSet::new();
        let mut add = |mint: i64, maxt: i64| {
            let mut start = mint.div_euclid(span) * span;
            while start <= maxt {
                spans.insert(start);
                start += span;
            }
        };
        for group in groups {
            let state = group.state.read();
            for segment in state.sealed.iter().map(|(_, s)| s).chain(&state.pieces) {
                let (mint, maxt) = (segment.meta.mint.max(rows_from), segment.meta.maxt.min(until - 1));
                add(mint, maxt);
            }
        }
        for (mint, maxt) in self.loose.read().bounds_before(loose_until) {
            add(mint, maxt);
        }
        spans
    }

    /// One block of the head's samples in `range`, or none where there are none.
    fn write_block(
        &self,
        range: TimeRange,
        loose: bool,
        flushed_until: Option<i64>,
    ) -> Result<Option<Block>, Error> {
        let now = (self.options.clock)();
        let mut writer = BlockWriter::create(&self.dir.blocks, now, entropy(), Effort::Fresh, &self.faults)?;
        self.each_of_head(range, loose, &mut |labels, data| writer.series(labels, data))?;
        writer.finish(About { level: 1, flushed_until, ..About::default() })
    }

    /// Removes groups without samples that are not open, then series that nothing holds.
    pub(crate) fn forget_empty(&self) {
        let _definitions = self.definitions.lock();
        let groups: Vec<Arc<Group>> = self.groups.read().by_id.values().cloned().collect();
        let mut held = RoaringBitmap::new();
        for group in groups {
            let mut state = group.state.write();
            if state.open || !state.is_empty() {
                held.extend(state.slots.iter().copied().filter(|&s| s != LOST));
                continue;
            }
            let slots = std::mem::take(&mut state.slots);
            drop(state);
            self.groups.write().remove(&group);
            let mut index = self.index.write();
            slots.iter().filter(|&&s| s != LOST).for_each(|&s| index.remove_locations(s, group.id));
        }
        let mut loose = self.loose.write();
        loose.retain_nonempty();
        held.extend(loose.iter().map(|s| s.series));
        let gone = {
            let index = self.index.read();
            index.live() - &held
        };
        if gone.is_empty() {
            return;
        }
        loose.forget(&gone);
        drop(loose);
        let mut index = self.index.write();
        index.remove_many(&gone);
        drop(index);
        self.state.change(|state| {
            if state.deleted.keys().any(|s| gone.contains(*s)) {
                Arc::make_mut(&mut state.deleted).retain(|s, _| !gone.contains(*s));
            }
        });
        count(&self.counters.series_removed, gone.len());
    }
}

/// For names of blocks: not secret, only never twice the same.
pub(crate) fn entropy() -> u128 {
    let half = |n: u8| u128::from(RandomState::new().hash_one(n));
    half(0) << 64 | half(1)
}
