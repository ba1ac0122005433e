//! The row path: from a body to one row.
//!
//! A body is walked line by line against the last one. Where the bytes of a line are those expected at its place, the sample
//! costs one hash and one float; no label set is built, nothing is looked up or locked. What differs goes through the parser and
//! a look-up by hash, so that new, missing and moved lines are cheap too; only series never seen before are relabelled and
//! defined. A body that fails leaves nothing behind but staleness markers.

mod reading;
mod report;
mod series;
mod staleness;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use exposition::Format;
use model::{LabelSet, STALE_NAN, TimestampMs};
use parking_lot::Mutex;
use storage::{ErrorKind, GroupId, RowAppender, SampleAppender, SeriesSample, Slot, is_absent};

use crate::lines::Lines;
use crate::metadata::{Families, MetadataStore};
pub use crate::sample::SampleSettings;
use crate::stats::{Stats, add};

/// A group with fewer dead slots than this is never reopened.
const MIN_DEAD_SLOTS: usize = 256;
/// Good scrapes between looks at the dead slots; a slot is dead that had no value since the look before.
const LOOK_EVERY: u32 = 4;

/// What all targets share.
#[derive(Clone)]
pub struct Sinks {
    /// Takes rows.
    pub rows: Arc<dyn RowAppender>,
    /// Takes samples with timestamps of their own.
    pub samples: Arc<dyn SampleAppender>,
    /// Counts.
    pub stats: Arc<Stats>,
    /// Keeps metadata texts.
    pub metadata: Arc<MetadataStore>,
}

/// What a scrape brought.
#[derive(Debug, Clone, Copy)]
pub enum Fetched<'a> {
    /// A body to parse.
    Body {
        /// In which syntax.
        format: Format,
        /// The bytes, decompressed.
        bytes: &'a [u8],
    },
    /// No body.
    Failed {
        /// Why.
        error: &'a str,
        /// For `scrape_body_size_bytes`: -1 when the body was too large, else 0.
        body_size: i64,
    },
}

/// What became of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// How long it took.
    pub duration: Duration,
    /// Samples in the body.
    pub scraped: u64,
    /// Samples left after relabelling.
    pub kept: u64,
    /// Series that the last good body did not have.
    pub added: u64,
}

/// Turns the bodies of one target into rows. Calls block on the store.
pub struct Ingest {
    sinks: Sinks,
    settings: Arc<SampleSettings>,
    key: LabelSet,
    target: LabelSet,
    families: Arc<Mutex<Families>>,
    timeout: Duration,
    group: Option<GroupId>,
    report: Vec<Slot>,
    lines: Lines,
    /// For each slot the number of the last good body that had it; 0: none.
    seen: Vec<u32>,
    /// The number of the last good body; bodies with the same series as the one before share its number.
    good: u32,
    /// `good` when dead slots were looked for, and how many good bodies came since.
    looked: (u32, u32),
    /// Whether the group is to be closed and opened again after the next good body.
    reopen_due: bool,
    /// Whether `lines` and `seen` disagree about what the last good body had: it could not be stored, or lines were forgotten.
    unsettled: bool,
    /// Whether its series have had no staleness marker since.
    live: bool,
    stamped: HashMap<u32, Stamped, foldhash::fast::FixedState>,
    /// Whether any row was written, so that the report series need markers at the end.
    reported: bool,
}

/// A series that came with timestamps of its own.
#[derive(Debug)]
struct Stamped {
    labels: LabelSet,
    seen: u32,
}

impl Ingest {
    /// For a target with these (public) labels; `key` names its group in the store.
    #[must_use]
    pub fn new(
        sinks: Sinks,
        settings: Arc<SampleSettings>,
        key: LabelSet,
        target: LabelSet,
        timeout: Duration,
    ) -> Self {
        // The seed only has to be unknown to targets; the address of a fresh allocation is random enough where ASLR is on.
        let families = Arc::new(Mutex::new(Families::default()));
        let seed = key.upstream_hash()
            ^ (Arc::as_ptr(&families) as usize as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            sinks,
            settings,
            key,
            target,
            families,
            timeout,
            group: None,
            report: Vec::new(),
            lines: Lines::new(seed),
            seen: Vec::new(),
            good: 0,
            looked: (0, 0),
            reopen_due: false,
            unsettled: false,
            live: false,
            stamped: HashMap::default(),
            reported: false,
        }
    }

    /// Takes over the series of a target that comes back with other settings; series that these no longer yield become stale.
    pub fn reconfigure(&mut self, settings: Arc<SampleSettings>, target: LabelSet, timeout: Duration) {
        self.timeout = timeout;
        if *self.settings == *settings && self.target == target {
            return;
        }
        self.settings = settings;
        self.target = target;
        self.lines.clear();
        self.unsettled = true;
        self.stamped.clear();
        self.families.lock().clear();
        self.report.clear();
    }

    /// The families the target described.
    pub(crate) fn families(&self) -> Arc<Mutex<Families>> {
        Arc::clone(&self.families)
    }

    /// The counters.
    pub(crate) fn stats(&self) -> &Stats {
        &self.sinks.stats
    }

    /// Whether the next body will most likely be quick: its lines are known, and nothing else is due.
    pub(crate) fn is_quick(&self) -> bool {
        self.lines.len() > 0 && !self.reopen_due
    }

    /// Whether any row was written.
    pub(crate) fn has_samples(&self) -> bool {
        self.reported
    }

    /// Bytes on the heap that stay between scrapes.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.lines.heap_bytes()
            + self.seen.capacity() * 4
            + self.stamped.capacity() * size_of::<(u32, Stamped)>()
    }

    /// Handles one scrape: everything the store gets of it is at `ts`, in one row. `elapsed` is asked once, when the body is
    /// read.
    pub fn scrape(
        &mut self,
        ts: TimestampMs,
        fetched: Fetched<'_>,
        elapsed: impl FnOnce() -> Duration,
    ) -> Summary {
        let mut summary = Summary { error: None, duration: Duration::ZERO, scraped: 0, kept: 0, added: 0 };
        let body_size = match fetched {
            Fetched::Body { bytes, .. } => i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            Fetched::Failed { body_size, .. } => body_size,
        };
        if let Err(e) = self.ensure_group() {
            summary.duration = elapsed();
            summary.error = Some(e.to_string());
            return self.count(summary);
        }
        let mut reading = None;
        match fetched {
            Fetched::Failed { error, .. } => summary.error = Some(error.to_owned()),
            Fetched::Body { format, bytes } => {
                let mut read = self.begin();
                let mut result = self.walk(format, bytes, ts, &mut read);
                if result.is_ok() {
                    result = self.define(&mut read);
                }
                (summary.scraped, summary.kept) = (read.scraped, read.kept);
                add(&self.sinks.stats.samples_slow, read.slow);
                add(&self.sinks.stats.samples_fast, read.scraped - read.slow.min(read.scraped));
                match result {
                    Ok(()) => reading = Some(read),
                    Err(failure) => {
                        self.take_back(&mut read);
                        self.lines.truncate(read.known_before);
                        summary.error = Some(self.describe(failure));
                    }
                }
            }
        }
        let (mut row, batch) = match &mut reading {
            Some(read) if self.is_as_before(read) => (std::mem::take(&mut read.row), Vec::new()),
            Some(read) => {
                summary.added = self.mark_vanished(read);
                let batch = self.stamped_batch(ts, read);
                (std::mem::take(&mut read.row), batch)
            }
            None => (self.all_stale(), self.stale_batch(ts)),
        };
        summary.duration = elapsed();
        self.fill_report(&mut row, &summary, body_size);
        let same = reading.as_ref().filter(|read| self.is_as_before(read));
        let samples = match same {
            Some(read) => read.kept - read.duplicates + self.report.len() as u64,
            None => row.iter().filter(|v| !is_absent(**v)).count() as u64,
        };
        let same = same.is_some();
        if let Err(e) = self.store(ts, &row, samples, &batch) {
            self.unsettled |= reading.is_some();
            summary.error = Some(e);
            return self.count(summary);
        }
        self.reported = true;
        match (reading, fetched) {
            (Some(read), Fetched::Body { format, bytes }) => {
                if same {
                    add(&self.sinks.stats.sample_duplicate_timestamp, read.duplicates);
                    self.live = true;
                } else {
                    self.settle(&row, read);
                }
                if self.reopen_due {
                    self.reopen(format, bytes, ts);
                } else {
                    self.look_for_dead_slots();
                }
            }
            _ => self.live = false,
        }
        self.count(summary)
    }

    /// Writes staleness markers for everything the target had, when it is gone for good.
    ///
    /// # Errors
    /// The store's, as text.
    pub fn end(&mut self, ts: TimestampMs) -> Result<(), String> {
        if !self.reported || self.group.is_none() {
            return Ok(());
        }
        let mut row = self.all_stale();
        for slot in &self.report {
            report::put(&mut row, *slot, STALE_NAN);
        }
        let batch = self.stale_batch(ts);
        self.live = false;
        let samples = row.iter().filter(|v| !is_absent(**v)).count() as u64;
        self.store(ts, &row, samples, &batch)
    }

    /// Closes the group; the target's samples stay.
    pub fn close(&mut self) {
        if let Some(group) = self.group.take() {
            self.sinks.rows.close_group(group);
        }
    }

    fn count(&self, summary: Summary) -> Summary {
        add(&self.sinks.stats.scrapes, 1);
        add(&self.sinks.stats.failed_scrapes, u64::from(summary.error.is_some()));
        summary
    }

    fn ensure_group(&mut self) -> Result<(), storage::Error> {
        let group = match self.group {
            Some(group) => group,
            None => *self.group.insert(self.sinks.rows.open_group(&self.key)?),
        };
        if self.report.is_empty() {
            let series = self.report_series();
            self.report = self.sinks.rows.define(group, &series)?;
            self.grow_seen();
        }
        Ok(())
    }

    /// Slots count up without gaps, so the highest ones known say how many there are.
    fn grow_seen(&mut self) {
        let slots = self.report.iter().map(|s| s.0 as usize + 1).max().unwrap_or(0);
        if self.seen.len() < slots {
            self.seen.resize(slots, 0);
        }
    }

    /// Gives a row with so many samples, and samples with timestamps of their own, to the store.
    fn store(
        &mut self,
        ts: TimestampMs,
        row: &[f64],
        samples: u64,
        batch: &[SeriesSample],
    ) -> Result<(), String> {
        let stats = &self.sinks.stats;
        if !batch.is_empty() {
            let report = self.sinks.samples.append(batch).map_err(|e| e.to_string())?;
            add(&stats.samples_appended, report.accepted as u64);
            add(&stats.sample_out_of_order, report.out_of_order as u64);
            add(&stats.sample_duplicate_timestamp, report.duplicate as u64);
            add(&stats.sample_out_of_bounds, report.out_of_bounds as u64);
        }
        let Some(group) = self.group else { return Err("the target's group is not open".to_owned()) };
        match self.sinks.rows.append_row(group, ts, row) {
            Ok(()) => {
                add(&stats.samples_appended, samples);
                Ok(())
            }
            // The clock stepped back, or two scrapes fell on one millisecond: dropped and counted, as upstream.
            Err(e) if e.kind() == ErrorKind::OutOfOrder => {
                add(&stats.sample_out_of_order, samples);
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::Duplicate => {
                add(&stats.sample_duplicate_timestamp, samples);
                Ok(())
            }
            Err(e) => {
                if e.kind() == ErrorKind::NotOpen {
                    self.forget_group();
                }
                Err(e.to_string())
            }
        }
    }

    /// Slots live as long as their group: from time to time those are counted that have no series any more.
    fn look_for_dead_slots(&mut self) {
        let (mark, bodies) = self.looked;
        if bodies + 1 < LOOK_EVERY {
            self.looked.1 += 1;
            return;
        }
        self.looked = (self.good, 0);
        // The store may have given a group its old slots again: those that this opening never used are not ours to count.
        let used = self.seen.iter().filter(|seen| **seen > 0).count();
        let dead = self.seen.iter().filter(|seen| **seen > 0 && **seen < mark).count();
        // Not at once: it takes longer than a scrape, and the loop has to know that before.
        self.reopen_due = dead >= MIN_DEAD_SLOTS && dead * 4 > used;
    }

    /// Closes the group and opens it again with the live series only, in the order of the body that was just stored.
    fn reopen(&mut self, format: Format, bytes: &[u8], ts: TimestampMs) {
        add(&self.sinks.stats.groups_reopened, 1);
        let good = self.good;
        self.close();
        self.forget_group();
        if self.ensure_group().is_err() {
            // Said when the next scrape opens the group.
            return;
        }
        let mut read = self.begin();
        let readable = self.walk(format, bytes, ts, &mut read).is_ok() && self.define(&mut read).is_ok();
        if readable {
            // Its samples are in the old group already; here they only say which series are live.
            let row = std::mem::take(&mut read.row);
            self.good = good - 1;
            (read.duplicates, read.out_of_bounds) = (0, 0);
            self.settle(&row, read);
        } else {
            // The store refuses: all lines are met anew by the next body.
            self.lines.clear();
            self.stamped.clear();
            self.unsettled = true;
        }
    }

    fn forget_group(&mut self) {
        self.group = None;
        self.report.clear();
        self.seen.clear();
        self.lines.clear();
        self.stamped.clear();
        self.looked = (self.good, 0);
        self.reopen_due = false;
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.close();
    }
}
