//! The quickest way of a batch: all series known, each once, all samples plain and newer than what is there. That is nearly every
//! batch of a remote writer.
//!
//! What it costs is access to memory that is far away: a series' entry and the end of its stream. Each walk over the batch does
//! little, so that the processor has the accesses of several series under way at once.

use std::cell::Cell;

use parking_lot::RwLockWriteGuard;
use storage::{Error, PointsReport, SeriesPoints};

use crate::Store;
use crate::loose::{Bounds, Loose, PointsWriter, is_plain_run};
use crate::record::{self, kind};
use crate::store::count;

thread_local! {
    static SLOTS: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// Slots for more series than this are not kept for the next batch.
const KEEP_SLOTS: usize = 64 << 10;
/// After so many guesses that were wrong, none is made for the rest of a batch.
const MAX_WRONG_GUESSES: u32 = 16;

/// The slots of a batch's series, in its order, in memory that the thread's next batch uses again.
#[derive(Debug)]
pub(super) struct Slots(Vec<u32>);

impl std::ops::Deref for Slots {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if self.0.capacity() <= KEEP_SLOTS {
            SLOTS.set(std::mem::take(&mut self.0));
        }
    }
}

impl Slots {
    pub(super) fn take() -> Self {
        let mut slots = SLOTS.take();
        slots.clear();
        Self(slots)
    }

    /// Finds the slots by keys or, where a series has none, by its reference in `refs` (which is empty where all have keys).
    /// `false` where one is not known, or has rows in a group.
    pub(super) fn find(&mut self, loose: &Loose, batch: &[SeriesPoints<'_>], refs: &[Option<u32>]) -> bool {
        self.0.reserve(batch.len());
        let (mut guess, mut wrong) = (0, 0);
        for (i, points) in batch.iter().enumerate() {
            // Writers send series in the order in which they sent them first: the next one is mostly in the next slot, and the
            // table need not be asked.
            let guessed = match points.key {
                Some(key) if wrong < MAX_WRONG_GUESSES && loose.has_key(guess, key) => Some(guess),
                _ => None,
            };
            wrong += u32::from(guessed.is_none());
            let found = guessed.or_else(|| loose.find(points.key, refs.get(i).copied().flatten()));
            let Some(slot) = found.filter(|&slot| !loose.at(slot).in_group()) else { return false };
            self.0.push(slot);
            guess = slot + 1;
        }
        true
    }

    /// Whether all points can be taken as they are. `None` where a series is in the batch twice.
    pub(super) fn all_plain(
        &self,
        loose: &mut Loose,
        batch: &[SeriesPoints<'_>],
        bounds: &Bounds,
    ) -> Option<bool> {
        let number = loose.next_batch();
        let mut plain = true;
        for (&slot, points) in self.0.iter().zip(batch) {
            if !loose.first_of_batch(slot, number) {
                return None;
            }
            let entry = loose.at(slot);
            entry.touch();
            plain &= points.histograms.is_empty()
                && points.exemplars.is_empty()
                && entry.plain_last().is_some_and(|last| is_plain_run(points.floats, last, bounds));
        }
        Some(plain)
    }
}

impl Store {
    /// Logs and applies a batch that is [`Slots::all_plain`].
    pub(super) fn commit_plain(
        &self,
        mut loose: RwLockWriteGuard<'_, Loose>,
        slots: &Slots,
        batch: &[SeriesPoints<'_>],
    ) -> Result<PointsReport, Error> {
        let floats: usize = batch.iter().map(|p| p.floats.len()).sum();
        if floats == 0 {
            return Ok(PointsReport::default());
        }
        self.log_frames(|frames| {
            record::frame(frames, kind::POINTS, |out| {
                let mut writer = PointsWriter::default();
                for (&slot, points) in slots.iter().zip(batch) {
                    let entry = loose.at(slot);
                    let (series, hints) = (entry.series, entry.hints());
                    writer.put(series, false, points.floats, hints, &mut loose.room, out);
                }
            });
        })?;
        let mut newest = i64::MIN;
        for (&slot, points) in slots.iter().zip(batch) {
            loose.push_run(slot, points.floats);
            newest = newest.max(points.floats.last().map_or(i64::MIN, |s| s.0));
        }
        self.note_newest(newest);
        self.note_pressure(&loose);
        count(&self.counters.samples, floats as u64);
        Ok(PointsReport { floats, ..PointsReport::default() })
    }
}
