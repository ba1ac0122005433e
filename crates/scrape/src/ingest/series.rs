//! Series whose line is not at its place or not known: looked up by hash, else relabelled and given a slot.

use model::TimestampMs;
use storage::{ABSENT, is_absent};

use super::reading::{Failure, Pending, Reading};
use super::{Ingest, Stamped};
use crate::lines::Target;
use crate::sample::SampleError;
use crate::stats::add;

/// Samples further ahead of the scrape than this are out of bounds, as upstream.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;

impl Ingest {
    pub(super) fn slow_series(
        &mut self,
        series: &exposition::Series<'_>,
        ts: TimestampMs,
        read: &mut Reading,
    ) -> Result<u32, Failure> {
        read.scraped += 1;
        let text = series.text();
        let stamp = series.ts.filter(|_| self.settings.honor_timestamps);
        let known = self.lines.find(text);
        if let Some(id) = known {
            match (self.lines.line(id).target(), stamp) {
                (Target::Dropped, _) => return Ok(id),
                (Target::Slot(slot), None) => {
                    read.kept += 1;
                    if is_absent(read.row[slot as usize]) {
                        read.row[slot as usize] = series.value;
                    } else {
                        read.duplicates += 1;
                    }
                    return Ok(id);
                }
                (Target::Pending(_), None) => {
                    read.kept += 1;
                    read.duplicates += 1;
                    return Ok(id);
                }
                (_, Some(stamp)) if self.stamped.contains_key(&id) => {
                    read.kept += 1;
                    self.keep_stamped(id, series.value, stamp, ts, read);
                    return Ok(id);
                }
                _ => {}
            }
        }
        if self.settings.sample_limit > 0 && read.kept - read.duplicates > self.settings.sample_limit {
            // Failed already; only the count goes on, without building more label sets.
            read.kept += 1;
            return Ok(known.unwrap_or_else(|| self.lines.add(text, Target::Dropped)));
        }
        let labels = self.settings.labels(series, &self.target).map_err(|e| match e {
            SampleError::Invalid(text) => Failure::Other(text),
            SampleError::LabelLimit(text) => Failure::LabelLimit(text),
        })?;
        let Some(labels) = labels else {
            return Ok(known.unwrap_or_else(|| self.lines.add(text, Target::Dropped)));
        };
        read.kept += 1;
        if let Some(stamp) = stamp {
            let id = known.unwrap_or_else(|| self.lines.add(text, Target::Stamped));
            self.stamped.insert(id, Stamped { labels, seen: 0 });
            self.keep_stamped(id, series.value, stamp, ts, read);
            return Ok(id);
        }
        let target = Target::Pending(u32::try_from(read.pending.len()).unwrap_or(u32::MAX));
        let line = match known {
            Some(id) => {
                self.lines.set_target(id, target);
                id
            }
            None => self.lines.add(text, target),
        };
        read.pending.push(Pending { line, labels, value: series.value });
        Ok(line)
    }

    fn keep_stamped(&self, id: u32, value: f64, stamp: TimestampMs, ts: TimestampMs, read: &mut Reading) {
        if stamp > ts.saturating_add(MAX_AHEAD_MS) {
            read.out_of_bounds += 1;
        } else {
            read.stamped.push((id, value, stamp));
        }
    }

    /// Gives slots to the series this body names for the first time.
    pub(super) fn define(&mut self, read: &mut Reading) -> Result<(), Failure> {
        if read.pending.is_empty() {
            return Ok(());
        }
        let group = self.group.expect("ensure_group came before");
        let series: Vec<_> = read.pending.iter().map(|p| p.labels.clone()).collect();
        let slots = match self.sinks.rows.define(group, &series) {
            Ok(slots) if slots.len() == series.len() => slots,
            Ok(_) => return Err(Failure::Other("the store gave fewer slots than asked for".to_owned())),
            Err(e) => return Err(Failure::Other(e.to_string())),
        };
        let count = slots.iter().map(|s| s.0 as usize + 1).max().unwrap_or(0).max(self.seen.len());
        self.seen.resize(count, 0);
        read.row.resize(count, ABSENT);
        for (pending, slot) in read.pending.drain(..).zip(slots) {
            self.lines.set_target(pending.line, Target::Slot(slot.0));
            let cell = &mut read.row[slot.0 as usize];
            if is_absent(*cell) {
                *cell = pending.value;
            } else {
                read.duplicates += 1;
            }
        }
        Ok(())
    }

    /// Takes back what a failed body changed in lines that stay.
    pub(super) fn take_back(&mut self, read: &mut Reading) {
        for pending in read.pending.drain(..) {
            if (pending.line as usize) < read.known_before {
                self.lines.set_target(pending.line, Target::Stamped);
            }
        }
    }

    pub(super) fn describe(&mut self, failure: Failure) -> String {
        // Stamped series of lines that were just forgotten.
        let known = self.lines.len();
        self.stamped.retain(|id, _| (*id as usize) < known);
        match failure {
            Failure::SampleLimit => {
                add(&self.sinks.stats.exceeded_sample_limit, 1);
                "sample limit exceeded".to_owned()
            }
            Failure::LabelLimit(text) => {
                add(&self.sinks.stats.exceeded_label_limits, 1);
                text
            }
            Failure::Other(text) => text,
        }
    }
}
