//! The per-series path: samples with their own timestamps, in batches.
//!
//! Where the batch's keys are all known and no series has rows in a group, a batch takes one lock, that of `loose`: it is judged,
//! encoded for the log, written, then appended in memory. Otherwise `definitions` is held from the first look-up to the end, so
//! that no series comes or goes meanwhile; that is the way of new series.

use std::cell::RefCell;

use hashbrown::HashMap;
use model::{Exemplar, Histogram, LabelSet, TimestampMs};
use parking_lot::RwLockWriteGuard;
use std::sync::atomic::Ordering;
use storage::{
    AppendReport, Error, LabelSource, PointAppender, PointsReport, Refusal, RefusalKind, Refusals,
    SampleAppender, SeriesPoints, SeriesSample, is_absent,
};

use crate::Store;
use crate::exemplars::{self, Verdict};
use crate::group::{Group, LOST};
use crate::loose::{
    Accepted, Bounds, HistogramsWriter, Judged, Loose, Newest, PointsWriter, is_plain_run, judge,
};
use crate::record::{self, kind};
use crate::store::{Definitions, NewSeries, count, put_series_records};

/// No slot yet.
const NEW: u32 = u32::MAX;

thread_local! {
    static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Frames longer than this are not kept for the next batch.
const KEEP_FRAMES: usize = 4 << 20;

/// A series of a batch, on its way.
struct Item<'a> {
    slot: u32,
    series: u32,
    points: SeriesPoints<'a>,
    /// The newest sample that a group has of the series.
    in_group: Option<Newest>,
    has_group: bool,
    plan: Plan,
}

/// What of an item is written.
enum Plan {
    /// All its plain samples, as they are.
    All,
    Some(Box<Accepted>),
}

impl Plan {
    fn is_empty(&self, points: &SeriesPoints<'_>) -> bool {
        match self {
            Self::All => points.floats.is_empty(),
            Self::Some(accepted) => accepted.is_empty(),
        }
    }
}

/// The points of a series that a batch has more than once.
#[derive(Default)]
struct Joined {
    floats: Vec<(TimestampMs, f64)>,
    histograms: Vec<(TimestampMs, Histogram)>,
    exemplars: Vec<Exemplar>,
}

/// A series of a group, whose label set only the index has; asked only for the report of a refusal.
struct Unnamed;

impl LabelSource for Unnamed {
    fn label_set(&self) -> Result<LabelSet, Error> {
        Ok(LabelSet::empty())
    }
}

impl PointAppender for Store {
    fn append_points(&self, batch: &[SeriesPoints<'_>], refusals: Refusals) -> Result<PointsReport, Error> {
        let bounds = self.sample_bounds();
        let report = match self.append_known(batch, &bounds, refusals) {
            Some(report) => report,
            None => self.append_any(batch, &bounds, refusals),
        }?;
        if report.floats + report.histograms > 0 {
            self.after_write()?;
            self.relieve();
        }
        Ok(report)
    }
}

impl SampleAppender for Store {
    fn append(&self, batch: &[SeriesSample]) -> Result<AppendReport, Error> {
        let floats: Vec<(TimestampMs, f64)> = batch.iter().map(|s| (s.ts, s.value)).collect();
        let points = batch.iter().zip(floats.chunks(1)).map(|(sample, floats)| SeriesPoints {
            key: None,
            labels: &sample.labels,
            floats,
            histograms: &[],
            exemplars: &[],
        });
        let report = self.append_points(&points.collect::<Vec<_>>(), Refusals::Skip)?;
        let refused = |kind: RefusalKind| report.refused[kind as usize];
        Ok(AppendReport {
            accepted: report.floats,
            out_of_order: refused(RefusalKind::OutOfOrder) + refused(RefusalKind::TooOld),
            duplicate: refused(RefusalKind::Duplicate),
            out_of_bounds: refused(RefusalKind::OutOfBounds),
        })
    }
}

impl Store {
    fn sample_bounds(&self) -> Bounds {
        let now = (self.options.clock)();
        let window = self.options.out_of_order_window_ms;
        Bounds {
            oldest: self.options.retention_ms.map_or(i64::MIN, |r| now.saturating_sub(r)),
            latest: now.saturating_add(self.options.max_future_ms),
            late_from: (window > 0).then(|| self.newest_ms.load(Ordering::Relaxed).saturating_sub(window)),
        }
    }

    /// Raises the newest time of the head.
    pub(crate) fn note_newest(&self, ts: TimestampMs) {
        // Relaxed: it bounds what is late, and orders nothing.
        self.newest_ms.fetch_max(ts, Ordering::Relaxed);
    }

    /// Whether a sample that is older than its series' newest is taken.
    pub(crate) fn takes_late(&self, ts: TimestampMs) -> bool {
        self.sample_bounds().late_from.is_some_and(|from| ts >= from)
    }

    /// The quick way. `None` where it does not lead: a series that is not known, that has rows in a group, or that the batch
    /// has twice.
    fn append_known(
        &self,
        batch: &[SeriesPoints<'_>],
        bounds: &Bounds,
        refusals: Refusals,
    ) -> Option<Result<PointsReport, Error>> {
        let mut refs: Vec<Option<u32>> = vec![];
        if batch.iter().any(|p| p.key.is_none()) {
            let index = self.index.read();
            for points in batch {
                refs.push(match points.key {
                    Some(_) => None,
                    None => match points.labels.label_set() {
                        Ok(labels) => Some(index.find(&labels)?),
                        Err(e) => return Some(Err(e)),
                    },
                });
            }
        }
        let mut items = Vec::with_capacity(batch.len());
        let mut loose = self.loose.write();
        let number = loose.next_batch();
        for (i, points) in batch.iter().enumerate() {
            let slot = loose.find(points.key, refs.get(i).copied().flatten())?;
            let entry = loose.at(slot);
            if entry.in_group() {
                return None;
            }
            let series = entry.series;
            if !loose.first_of_batch(slot, number) {
                return None;
            }
            let points = *points;
            items.push(Item { slot, series, points, in_group: None, has_group: false, plan: Plan::All });
        }
        Some(self.commit(loose, &mut items, None, bounds, refusals))
    }

    /// The way of every batch.
    fn append_any(
        &self,
        batch: &[SeriesPoints<'_>],
        bounds: &Bounds,
        refusals: Refusals,
    ) -> Result<PointsReport, Error> {
        let mut definitions = self.definitions.lock();
        let mut refs: Vec<Option<u32>> = {
            let loose = self.loose.read();
            let known = |p: &SeriesPoints<'_>| p.key.and_then(|k| loose.find(Some(k), None));
            batch.iter().map(|p| known(p).map(|slot| loose.at(slot).series)).collect()
        };
        let unknown = batch.iter().zip(&refs).filter(|(_, r)| r.is_none());
        let sets: Vec<LabelSet> = unknown.map(|(p, _)| p.labels.label_set()).collect::<Result<_, _>>()?;
        let (resolved, new) = self.resolve(sets.iter(), definitions.next_series)?;
        for (r, series) in refs.iter_mut().filter(|r| r.is_none()).zip(resolved) {
            *r = Some(series);
        }
        let refs: Vec<u32> = refs.into_iter().flatten().collect();

        let joined = join(batch, &refs);
        let mut items: Vec<Item<'_>> = vec![];
        for (i, (points, &series)) in batch.iter().zip(&refs).enumerate() {
            let mut points = *points;
            match joined.get(&series) {
                Some((first, _)) if *first != i => continue,
                Some((_, all)) => {
                    (points.floats, points.histograms, points.exemplars) =
                        (&all.floats, &all.histograms, &all.exemplars);
                }
                None => {}
            }
            items.push(Item { slot: NEW, series, points, in_group: None, has_group: false, plan: Plan::All });
        }
        self.look_into_groups(&mut items);
        let mut loose = self.loose.write();
        for item in &mut items {
            if let Some(slot) = loose.find(None, Some(item.series)) {
                item.slot = slot;
                // Known by its label set, not yet by this key.
                loose.insert(item.series, item.points.key);
                if !item.has_group {
                    loose.note_no_group(slot);
                }
            }
        }
        self.commit(loose, &mut items, Some((&mut definitions, &new)), bounds, refusals)
    }

    /// Brings in the newest sample that groups have of each series.
    fn look_into_groups(&self, items: &mut [Item<'_>]) {
        let mut places: Vec<(u32, u32, usize)> = {
            let index = self.index.read();
            let of = |(i, item): (usize, &Item<'_>)| {
                index.locations(item.series).map(|(group, slot)| (group, slot, i)).collect::<Vec<_>>()
            };
            items.iter().enumerate().flat_map(of).collect()
        };
        places.sort_unstable();
        for of_group in places.chunk_by(|a, b| a.0 == b.0) {
            let group = self.group(of_group[0].0);
            let state = group.as_ref().map(|g| g.state.read());
            for &(_, slot, i) in of_group {
                items[i].has_group = true;
                let Some(state) = &state else { continue };
                let (Some(ts), Some(&cell)) = (state.last_ts, state.last_row().get(slot as usize)) else {
                    continue;
                };
                if !is_absent(cell) {
                    let newest = Newest { ts, bits: Some(cell.to_bits()), histogram: None };
                    items[i].in_group = Newest::of(items[i].in_group.take(), Some(newest));
                }
            }
        }
    }

    /// Takes the cells of a row that is older than its group's last one as late samples.
    pub(crate) fn append_late_row(&self, group: &Group, ts: TimestampMs, row: &[f64]) -> Result<(), Error> {
        let bounds = self.sample_bounds();
        {
            // No series comes or goes meanwhile.
            let _definitions = self.definitions.lock();
            let slots: Vec<u32> = group.state.read().slots.clone();
            if row.len() > slots.len() {
                let (n, slots) = (row.len(), slots.len());
                return Err(Error::new(
                    storage::ErrorKind::Unsupported,
                    format!("row of {n} values for group {} of {slots} slots", group.key),
                ));
            }
            let samples: Vec<(TimestampMs, f64)> = row.iter().map(|&v| (ts, v)).collect();
            let cells =
                slots.iter().zip(samples.chunks(1)).filter(|(s, v)| **s != LOST && !is_absent(v[0].1));
            let mut items: Vec<Item<'_>> = cells
                .map(|(&series, floats)| Item {
                    slot: NEW,
                    series,
                    points: SeriesPoints {
                        key: None,
                        labels: &Unnamed,
                        floats,
                        histograms: &[],
                        exemplars: &[],
                    },
                    in_group: None,
                    has_group: true,
                    plan: Plan::All,
                })
                .collect();
            self.look_into_groups(&mut items);
            let mut loose = self.loose.write();
            // A series may have two slots only through damage; one of them is enough.
            let number = loose.next_batch();
            items.retain_mut(|item| {
                item.slot = loose.find(None, Some(item.series)).unwrap_or(NEW);
                item.slot == NEW || loose.first_of_batch(item.slot, number)
            });
            self.commit(loose, &mut items, None, &bounds, Refusals::Skip)?;
        }
        self.after_write()?;
        self.relieve();
        Ok(())
    }

    /// Judges, logs and applies a batch; each series is in it once. `definitions` comes with the series to be defined.
    fn commit(
        &self,
        mut loose: RwLockWriteGuard<'_, Loose>,
        items: &mut [Item<'_>],
        definitions: Option<(&mut Definitions, &NewSeries<'_>)>,
        bounds: &Bounds,
        refusals: Refusals,
    ) -> Result<PointsReport, Error> {
        let mut report = PointsReport::default();
        for item in items.iter_mut() {
            judge_item(&loose, item, bounds, &mut report)?;
        }
        let exemplars = self.judge_exemplars(items, &mut report);
        let late =
            report.refused[RefusalKind::OutOfOrder as usize] + report.refused[RefusalKind::TooOld as usize];
        count(&self.counters.out_of_order, late as u64);
        if refusals == Refusals::FailBatch && report.first.is_some() {
            return Ok(report);
        }
        if items.iter().all(|i| i.plan.is_empty(&i.points)) && exemplars.is_empty() {
            return Ok(report);
        }
        // A series whose samples were all refused is not created.
        let mut new: NewSeries<'_> = vec![];
        if let Some((_, fresh)) = &definitions
            && !fresh.is_empty()
        {
            let wanted = items.iter().filter(|i| !i.plan.is_empty(&i.points)).map(|i| i.series);
            let wanted: hashbrown::HashSet<u32> = wanted.collect();
            new = fresh.iter().copied().filter(|(s, _)| wanted.contains(s)).collect();
        }
        FRAMES.with_borrow_mut(|frames| {
            frames.clear();
            put_series_records(frames, &new);
            put_records(frames, &mut loose, items, &exemplars);
            let written = self.write_log(frames);
            if frames.capacity() > KEEP_FRAMES {
                *frames = vec![];
            }
            written
        })?;
        if let Some((definitions, _)) = definitions {
            self.insert_series(definitions, &new)?;
        }
        let newest = apply(&mut loose, items);
        if let Some(newest) = newest {
            self.note_newest(newest);
        }
        if !exemplars.is_empty() {
            let mut kept = self.exemplars.lock();
            exemplars.into_iter().for_each(|(series, e)| kept.push(series, e));
        }
        count(&self.counters.samples, (report.floats + report.histograms) as u64);
        Ok(report)
    }

    /// The exemplars that are taken. Those of a series that has no sample, nor gets one, are not.
    fn judge_exemplars(&self, items: &[Item<'_>], report: &mut PointsReport) -> Vec<(u32, Exemplar)> {
        let mut taken: Vec<(u32, Exemplar)> = vec![];
        if items.iter().all(|i| i.points.exemplars.is_empty()) {
            return taken;
        }
        let kept = self.exemplars.lock();
        for item in items {
            let mut own: Vec<&Exemplar> = item.points.exemplars.iter().collect();
            own.sort_by_key(|e| e.ts);
            let known = item.slot != NEW || item.has_group || !item.plan.is_empty(&item.points);
            for exemplar in own {
                let before = taken.last().filter(|t| t.0 == item.series).map(|t| &t.1);
                let verdict = match exemplar.ts {
                    Some(_) if known => kept.judge(before.or_else(|| kept.newest(item.series)), exemplar),
                    _ => Verdict::Refused,
                };
                match verdict {
                    Verdict::New => {
                        report.exemplars += 1;
                        taken.push((item.series, exemplar.clone()));
                    }
                    Verdict::Known => report.exemplars += 1,
                    Verdict::Refused => report.refused_exemplars += 1,
                }
            }
        }
        taken
    }
}

/// The series that a batch has more than once: where first, and all their points.
fn join(batch: &[SeriesPoints<'_>], refs: &[u32]) -> HashMap<u32, (usize, Joined)> {
    let mut first: HashMap<u32, usize> = HashMap::with_capacity(refs.len());
    let mut joined: HashMap<u32, (usize, Joined)> = HashMap::new();
    for (i, &series) in refs.iter().enumerate() {
        let at = *first.entry(series).or_insert(i);
        if at != i {
            joined.entry(series).or_insert_with(|| (at, Joined::default()));
        }
    }
    if joined.is_empty() {
        return joined;
    }
    for (points, series) in batch.iter().zip(refs) {
        if let Some((_, all)) = joined.get_mut(series) {
            all.floats.extend_from_slice(points.floats);
            all.histograms.extend_from_slice(points.histograms);
            all.exemplars.extend_from_slice(points.exemplars);
        }
    }
    joined
}

#[inline]
fn judge_item(
    loose: &Loose,
    item: &mut Item<'_>,
    bounds: &Bounds,
    report: &mut PointsReport,
) -> Result<(), Error> {
    let entry = (item.slot != NEW).then(|| loose.at(item.slot));
    let points = &item.points;
    if points.histograms.is_empty() && item.in_group.is_none() {
        let last = entry.map_or(Some(i64::MIN), crate::loose::LooseSeries::plain_last);
        if last.is_some_and(|last| is_plain_run(points.floats, last, bounds)) {
            item.plan = Plan::All;
            report.floats += points.floats.len();
            return Ok(());
        }
    }
    let newest = Newest::of(entry.and_then(crate::loose::LooseSeries::newest), item.in_group.take());
    let judged = judge(newest, points.floats, points.histograms, bounds, |mint, maxt| {
        loose.stored(item.series, mint, maxt)
    });
    note(judged, item, report)
}

fn note(judged: Judged, item: &mut Item<'_>, report: &mut PointsReport) -> Result<(), Error> {
    let Judged { accepted, known, refused, first } = judged;
    report.floats += accepted.floats.len() + accepted.late.len() + known[0];
    report.histograms += accepted.histograms.len() + accepted.late_histograms.len() + known[1];
    report.refused.iter_mut().zip(refused).for_each(|(all, n)| *all += n);
    if let (None, Some((kind, ts))) = (&report.first, first) {
        report.first = Some(Refusal { kind, labels: item.points.labels.label_set()?, ts });
    }
    item.plan = Plan::Some(Box::new(accepted));
    Ok(())
}

fn put_records(frames: &mut Vec<u8>, loose: &mut Loose, items: &[Item<'_>], exemplars: &[(u32, Exemplar)]) {
    let mut histograms = false;
    let mut floats = false;
    for item in items {
        match &item.plan {
            Plan::All => floats |= !item.points.floats.is_empty(),
            Plan::Some(a) => {
                floats |= !a.floats.is_empty() || !a.late.is_empty();
                histograms |= !a.histograms.is_empty() || !a.late_histograms.is_empty();
            }
        }
    }
    if floats {
        record::frame(frames, kind::POINTS, |out| {
            let mut writer = PointsWriter::default();
            for item in items {
                let hints = if item.slot == NEW { Default::default() } else { loose.at(item.slot).hints() };
                let room = &mut loose.room;
                match &item.plan {
                    Plan::All => writer.put(item.series, false, item.points.floats, hints, room, out),
                    Plan::Some(a) => {
                        writer.put(item.series, false, &a.floats, hints, room, out);
                        writer.put(item.series, true, &a.late, hints, room, out);
                    }
                }
            }
        });
    }
    if histograms {
        record::frame(frames, kind::HISTOGRAMS, |out| {
            let mut writer = HistogramsWriter::default();
            for item in items {
                if let Plan::Some(a) = &item.plan {
                    let codec = &mut loose.codec.histograms;
                    writer.put(item.series, false, &a.histograms, codec, out);
                    writer.put(item.series, true, &a.late_histograms, codec, out);
                }
            }
        });
    }
    if !exemplars.is_empty() {
        record::frame(frames, kind::EXEMPLARS, |out| {
            exemplars.iter().for_each(|(series, e)| exemplars::put(*series, e, out));
        });
    }
}

/// Appends in memory what the log has. Returns the newest time.
fn apply(loose: &mut Loose, items: &mut [Item<'_>]) -> Option<TimestampMs> {
    let mut newest: Option<TimestampMs> = None;
    for item in items {
        if item.plan.is_empty(&item.points) {
            continue;
        }
        if item.slot == NEW {
            item.slot = loose.insert(item.series, item.points.key);
            if item.has_group {
                loose.note_group(item.series);
            }
        }
        match &mut item.plan {
            Plan::All => {
                loose.push_run(item.slot, item.points.floats);
                newest = newest.max(item.points.floats.last().map(|s| s.0));
            }
            Plan::Some(a) => {
                loose.push_run(item.slot, &a.floats);
                newest = newest.max(a.floats.last().map(|s| s.0)).max(a.histograms.last().map(|s| s.0));
                a.late.iter().for_each(|&(ts, v)| loose.push_late(item.slot, ts, v));
                a.histograms.drain(..).for_each(|(ts, h)| loose.push_histogram(item.slot, ts, h));
                a.late_histograms.drain(..).for_each(|(ts, h)| loose.push_late_histogram(item.slot, ts, h));
            }
        }
    }
    newest
}
