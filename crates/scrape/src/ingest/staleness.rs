//! Staleness: which series a body has no more, and what the next one is compared with.

use std::collections::HashSet;

use model::{STALE_NAN, TimestampMs, is_stale};
use storage::{ABSENT, SeriesSample, is_absent};

use super::Ingest;
use super::reading::Reading;
use crate::stats::add;

impl Ingest {
    /// Whether a body has the same series as the last good one, each at its place and with no timestamp of its own. Then there
    /// is nothing to mark, and nothing to remember.
    pub(super) fn is_as_before(&self, read: &Reading) -> bool {
        !read.diverged && read.slow == 0 && self.good > 0 && !self.unsettled
    }

    /// Marks slots that the last good body had and this one has not; counts those it had not.
    pub(super) fn mark_vanished(&self, read: &mut Reading) -> u64 {
        let mut added = 0;
        for (cell, seen) in read.row.iter_mut().zip(&self.seen) {
            let was = *seen == self.good && self.good > 0;
            if !is_absent(*cell) {
                added += u64::from(!was);
            } else if was && self.live {
                *cell = STALE_NAN;
            }
        }
        let new = |id: &u32| self.stamped.get(id).is_some_and(|s| s.seen != self.good || self.good == 0);
        added + read.stamped.iter().filter(|(id, ..)| new(id)).count() as u64
    }

    /// A row of markers for all that has none yet.
    pub(super) fn all_stale(&self) -> Vec<f64> {
        let had = |seen: &u32| *seen == self.good && self.good > 0 && self.live;
        self.seen.iter().map(|seen| if had(seen) { STALE_NAN } else { ABSENT }).collect()
    }

    /// Samples with their own timestamps, and markers for such series that vanished, where those are tracked.
    pub(super) fn stamped_batch(&self, ts: TimestampMs, read: &Reading) -> Vec<SeriesSample> {
        let mut batch: Vec<_> = read
            .stamped
            .iter()
            .filter_map(|(id, value, ts)| {
                let labels = self.stamped.get(id)?.labels.clone();
                Some(SeriesSample { labels, ts: *ts, value: *value })
            })
            .collect();
        if self.settings.track_timestamps_staleness && self.live {
            let now: HashSet<u32> = read.stamped.iter().map(|(id, ..)| *id).collect();
            let gone = self.stamped.iter().filter(|(id, s)| s.seen == self.good && !now.contains(id));
            batch.extend(gone.map(|(_, s)| SeriesSample { labels: s.labels.clone(), ts, value: STALE_NAN }));
        }
        batch
    }

    pub(super) fn stale_batch(&self, ts: TimestampMs) -> Vec<SeriesSample> {
        if !self.settings.track_timestamps_staleness || !self.live {
            return Vec::new();
        }
        let had = self.stamped.values().filter(|s| s.seen == self.good && self.good > 0);
        had.map(|s| SeriesSample { labels: s.labels.clone(), ts, value: STALE_NAN }).collect()
    }

    /// After a good body is stored: it is what the next one is compared with.
    pub(super) fn settle(&mut self, row: &[f64], mut read: Reading) {
        let stats = &self.sinks.stats;
        add(&stats.sample_duplicate_timestamp, read.duplicates);
        add(&stats.sample_out_of_bounds, read.out_of_bounds);
        self.good += 1;
        self.live = true;
        self.unsettled = false;
        for (seen, value) in self.seen.iter_mut().zip(row) {
            if !is_absent(*value) && !is_stale(*value) {
                *seen = self.good;
            }
        }
        for (id, ..) in &read.stamped {
            if let Some(stamped) = self.stamped.get_mut(id) {
                stamped.seen = self.good;
            }
        }
        if !read.diverged {
            return;
        }
        if let Some(moved) = self.lines.set_order(std::mem::take(&mut read.order)) {
            let old = std::mem::take(&mut self.stamped);
            self.stamped =
                old.into_iter().filter_map(|(id, s)| Some((moved.get(id as usize).copied()??, s))).collect();
        }
        let (all, forgotten) = self.families.lock().counts();
        if forgotten > all / 2 + 100 {
            // Rare: the indices change, so lines of metadata are met anew.
            self.families.lock().clear();
            self.lines.clear();
            self.unsettled = true;
            self.stamped.clear();
        }
    }
}
