//! The row path: from a body to one row.
//!
//! A body is walked line by line against the last one. Where the bytes of a line are those expected at its place, the sample
//! costs one hash and one float; no label set is built, nothing is looked up or locked. What differs goes through the parser and
//! a look-up by hash, so that new, missing and moved lines are cheap too; only series never seen before are relabelled and
//! defined. A body that fails leaves nothing behind but staleness markers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use exposition::{Entry, Format, Parser, scan_float};
use model::{LabelSet, METRIC_NAME, MetricType, NORMAL_NAN, STALE_NAN, TimestampMs, is_stale};
use parking_lot::Mutex;
use storage::{ABSENT, ErrorKind, GroupId, RowAppender, SampleAppender, SeriesSample, Slot, is_absent};

use crate::lines::{Lines, Target};
use crate::metadata::{Families, MetadataStore, Piece};
use crate::sample::SampleError;
pub use crate::sample::SampleSettings;
use crate::stats::{Stats, add};

/// Samples further ahead of the scrape than this are out of bounds, as upstream.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;
/// A group with fewer dead slots than this is never reopened.
const MIN_DEAD_SLOTS: usize = 1000;

const REPORT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];
const EXTRA_REPORT: [&str; 3] = ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

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
    /// The number of the last good body.
    good: u32,
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

/// One body being read.
struct Reading {
    row: Vec<f64>,
    order: Vec<u32>,
    /// Whether `order` is filled: it is the old order up to here otherwise.
    diverged: bool,
    pending: Vec<Pending>,
    stamped: Vec<(u32, f64, TimestampMs)>,
    known_before: usize,
    scraped: u64,
    kept: u64,
    duplicates: u64,
    out_of_bounds: u64,
    slow: u64,
}

struct Pending {
    line: u32,
    labels: LabelSet,
    value: f64,
}

enum Failure {
    SampleLimit,
    LabelLimit(String),
    Other(String),
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
            Some(read) => {
                summary.added = self.mark_vanished(read);
                let batch = self.stamped_batch(ts, read);
                (std::mem::take(&mut read.row), batch)
            }
            None => (self.all_stale(), self.stale_batch(ts)),
        };
        summary.duration = elapsed();
        self.fill_report(&mut row, &summary, body_size);
        if let Err(e) = self.store(ts, &row, &batch) {
            summary.error = Some(e);
            return self.count(summary);
        }
        self.reported = true;
        match reading {
            Some(read) => {
                self.settle(&row, read);
                self.reopen_if_mostly_dead(&row, fetched, ts);
            }
            None => self.live = false,
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
            put(&mut row, *slot, STALE_NAN);
        }
        let batch = self.stale_batch(ts);
        self.live = false;
        self.store(ts, &row, &batch)
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
            let extra: &[&str] = if self.settings.extra_metrics { &EXTRA_REPORT } else { &[] };
            let series: Vec<_> = REPORT
                .iter()
                .chain(extra)
                .map(|name| {
                    let mut builder = self.target.to_builder();
                    builder.set(METRIC_NAME, name);
                    builder.build()
                })
                .collect();
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

    fn begin(&self) -> Reading {
        Reading {
            row: vec![ABSENT; self.seen.len()],
            order: Vec::new(),
            diverged: false,
            pending: Vec::new(),
            stamped: Vec::new(),
            known_before: self.lines.len(),
            scraped: 0,
            kept: 0,
            duplicates: 0,
            out_of_bounds: 0,
            slow: 0,
        }
    }

    fn walk(
        &mut self,
        format: Format,
        body: &[u8],
        ts: TimestampMs,
        read: &mut Reading,
    ) -> Result<(), Failure> {
        let mut parser = Parser::new(format, body);
        let families = Arc::clone(&self.families);
        let mut families = families.lock();
        families.next_body();
        let mut kind = MetricType::Unknown;
        let (mut pos, mut place) = (0, 0);
        loop {
            if let Some(id) = self.lines.at(place) {
                let line = self.lines.line(id);
                if let Some(end) = self.lines.end_of(line, body, pos)
                    && let Some(next) = self.quick(line.target, body, end, &mut kind, &mut families, read)
                {
                    if read.diverged {
                        read.order.push(id);
                    }
                    (pos, place) = (next, place + 1);
                    continue;
                }
            }
            parser.seek(pos, kind);
            let Some(id) = self.slow(&mut parser, body, pos, ts, &mut families, read)? else { break };
            kind = parser.kind();
            pos = parser.position();
            if let Some(id) = id {
                if self.lines.at(place) == Some(id) {
                    place += 1;
                } else {
                    if !read.diverged {
                        read.diverged = true;
                        read.order = (0..place).filter_map(|n| self.lines.at(n)).collect();
                    }
                    // A line that moved or follows missing ones: go on after where it stood.
                    place = self.lines.place_of(id).map_or(place, |at| at + 1);
                }
                if read.diverged {
                    read.order.push(id);
                }
            }
        }
        if !read.diverged && self.lines.at(place).is_some() {
            // The end is missing.
            read.diverged = true;
            read.order = (0..place).filter_map(|n| self.lines.at(n)).collect();
        }
        let appended = read.kept - read.duplicates;
        if self.settings.sample_limit > 0 && appended > self.settings.sample_limit {
            return Err(Failure::SampleLimit);
        }
        Ok(())
    }

    /// Handles a line whose text, known to end at `end`, is as expected. Returns where the next one starts, or `None` where the
    /// rest of the line is not plain enough.
    #[inline]
    fn quick(
        &self,
        target: Target,
        body: &[u8],
        end: usize,
        kind: &mut MetricType,
        families: &mut Families,
        read: &mut Reading,
    ) -> Option<usize> {
        match target {
            Target::Slot(slot) => {
                let (value, next) = plain_value(body, end)?;
                read.scraped += 1;
                read.kept += 1;
                let cell = &mut read.row[slot as usize];
                if is_absent(*cell) {
                    *cell = value;
                } else {
                    read.duplicates += 1;
                }
                return Some(next);
            }
            Target::Dropped => {
                let (_, next) = plain_value(body, end)?;
                read.scraped += 1;
                return Some(next);
            }
            Target::Stamped | Target::Pending(_) => return None,
            Target::Meta(_) | Target::Type(_) | Target::Comment => {}
        }
        if body.get(end) != Some(&b'\n') {
            return None;
        }
        if let Target::Meta(family) | Target::Type(family) = target {
            families.touch(family);
        }
        if let Target::Type(family) = target {
            *kind = families.kind(family);
        }
        Some(end + 1)
    }

    /// Parses the entry at the parser's position. `None` at the end of the body, `Some(None)` for what cannot be recognised by
    /// its text.
    fn slow(
        &mut self,
        parser: &mut Parser<'_>,
        body: &[u8],
        pos: usize,
        ts: TimestampMs,
        families: &mut Families,
        read: &mut Reading,
    ) -> Result<Option<Option<u32>>, Failure> {
        let entry = parser.next().map_err(|e| Failure::Other(e.to_string()))?;
        let store = &self.sinks.metadata;
        let target = match entry {
            None => return Ok(None),
            Some(Entry::Series(series)) => {
                read.slow += 1;
                return self.slow_series(&series, ts, read).map(|id| Some(Some(id)));
            }
            Some(Entry::Comment(_)) => Some(Target::Comment),
            Some(Entry::Help { family, text }) => {
                families.set(store, &family, &Piece::Help(&text)).map(Target::Meta)
            }
            Some(Entry::Unit { family, unit }) => {
                families.set(store, &family, &Piece::Unit(&unit)).map(Target::Meta)
            }
            Some(Entry::Type { family, kind }) => {
                families.set(store, &family, &Piece::Kind(kind)).map(Target::Type)
            }
        };
        // Only a line that is the entry and nothing but the entry can be known again by its bytes.
        let line = body.get(pos..parser.position().saturating_sub(1)).unwrap_or_default();
        let whole = body.get(pos + line.len()) == Some(&b'\n')
            && line.first() == Some(&b'#')
            && !line.contains(&b'\n');
        let Some(target) = target.filter(|_| whole) else { return Ok(Some(None)) };
        let id = match self.lines.find(line) {
            Some(id) => {
                self.lines.set_target(id, target);
                id
            }
            None => self.lines.add(line, target),
        };
        Ok(Some(Some(id)))
    }

    fn slow_series(
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
            match (self.lines.line(id).target, stamp) {
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
    fn define(&mut self, read: &mut Reading) -> Result<(), Failure> {
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
    fn take_back(&mut self, read: &mut Reading) {
        for pending in read.pending.drain(..) {
            if (pending.line as usize) < read.known_before {
                self.lines.set_target(pending.line, Target::Stamped);
            }
        }
    }

    fn describe(&mut self, failure: Failure) -> String {
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

    /// Marks slots that the last good body had and this one has not; counts those it had not.
    fn mark_vanished(&self, read: &mut Reading) -> u64 {
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
    fn all_stale(&self) -> Vec<f64> {
        let had = |seen: &u32| *seen == self.good && self.good > 0 && self.live;
        self.seen.iter().map(|seen| if had(seen) { STALE_NAN } else { ABSENT }).collect()
    }

    /// Samples with their own timestamps, and markers for such series that vanished, where those are tracked.
    fn stamped_batch(&self, ts: TimestampMs, read: &Reading) -> Vec<SeriesSample> {
        let mut batch: Vec<_> = read
            .stamped
            .iter()
            .filter_map(|(id, value, ts)| {
                let labels = self.stamped.get(id)?.labels.clone();
                Some(SeriesSample { labels, ts: *ts, value: *value })
            })
            .collect();
        if self.settings.track_timestamps_staleness && self.live {
            let now: std::collections::HashSet<u32> = read.stamped.iter().map(|(id, ..)| *id).collect();
            let gone = self.stamped.iter().filter(|(id, s)| s.seen == self.good && !now.contains(id));
            batch.extend(gone.map(|(_, s)| SeriesSample { labels: s.labels.clone(), ts, value: STALE_NAN }));
        }
        batch
    }

    fn stale_batch(&self, ts: TimestampMs) -> Vec<SeriesSample> {
        if !self.settings.track_timestamps_staleness || !self.live {
            return Vec::new();
        }
        let had = self.stamped.values().filter(|s| s.seen == self.good && self.good > 0);
        had.map(|s| SeriesSample { labels: s.labels.clone(), ts, value: STALE_NAN }).collect()
    }

    fn fill_report(&self, row: &mut Vec<f64>, summary: &Summary, body_size: i64) {
        let values = [
            f64::from(u8::from(summary.error.is_none())),
            summary.duration.as_secs_f64(),
            summary.scraped as f64,
            summary.kept as f64,
            summary.added as f64,
            self.timeout.as_secs_f64(),
            self.settings.sample_limit as f64,
            body_size as f64,
        ];
        for (slot, value) in self.report.iter().zip(values) {
            put(row, *slot, value);
        }
    }

    fn store(&mut self, ts: TimestampMs, row: &[f64], batch: &[SeriesSample]) -> Result<(), String> {
        let stats = &self.sinks.stats;
        if !batch.is_empty() {
            let report = self.sinks.samples.append(batch).map_err(|e| e.to_string())?;
            add(&stats.samples_appended, report.accepted as u64);
            add(&stats.sample_out_of_order, report.out_of_order as u64);
            add(&stats.sample_duplicate_timestamp, report.duplicate as u64);
            add(&stats.sample_out_of_bounds, report.out_of_bounds as u64);
        }
        let Some(group) = self.group else { return Err("the target's group is not open".to_owned()) };
        let count = || row.iter().filter(|v| !is_absent(**v)).count() as u64;
        match self.sinks.rows.append_row(group, ts, row) {
            Ok(()) => {
                add(&stats.samples_appended, count());
                Ok(())
            }
            // The clock stepped back, or two scrapes fell on one millisecond: dropped and counted, as upstream.
            Err(e) if e.kind() == ErrorKind::OutOfOrder => {
                add(&stats.sample_out_of_order, count());
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::Duplicate => {
                add(&stats.sample_duplicate_timestamp, count());
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

    /// After a good body is stored: it is what the next one is compared with.
    fn settle(&mut self, row: &[f64], mut read: Reading) {
        let stats = &self.sinks.stats;
        add(&stats.sample_duplicate_timestamp, read.duplicates);
        add(&stats.sample_out_of_bounds, read.out_of_bounds);
        self.good += 1;
        self.live = true;
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
            self.stamped.clear();
        }
    }

    /// Slots live as long as their group. Where most are dead, a new group gets the live series, in the order of the body.
    fn reopen_if_mostly_dead(&mut self, row: &[f64], fetched: Fetched<'_>, ts: TimestampMs) {
        let live = row.iter().filter(|v| !is_absent(**v) && !is_stale(**v)).count();
        let dead = self.seen.len() - live.min(self.seen.len());
        let Fetched::Body { format, bytes } = fetched else { return };
        if dead <= MIN_DEAD_SLOTS || dead <= live {
            return;
        }
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
        }
    }

    fn forget_group(&mut self) {
        self.group = None;
        self.report.clear();
        self.seen.clear();
        self.lines.clear();
        self.stamped.clear();
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.close();
    }
}

fn put(row: &mut Vec<f64>, slot: Slot, value: f64) {
    let i = slot.0 as usize;
    if row.len() <= i {
        row.resize(i + 1, ABSENT);
    }
    row[i] = value;
}

/// ` value\n` at `at`: the value and where the next line starts.
#[inline]
fn plain_value(body: &[u8], at: usize) -> Option<(f64, usize)> {
    let (&b' ', rest) = body.get(at..)?.split_first()? else { return None };
    let (value, len) = match scan_float(rest) {
        Some(found) => found,
        None if rest.starts_with(b"NaN\n") => (NORMAL_NAN, 3),
        None if rest.starts_with(b"+Inf\n") => (f64::INFINITY, 4),
        None => return None,
    };
    (rest.get(len) == Some(&b'\n')).then_some((value, at + 2 + len))
}
