//! Writing a batch whose series are found: what is taken of it, its log record, then memory.

use std::cell::RefCell;

use model::{Exemplar, TimestampMs};
use parking_lot::RwLockWriteGuard;
use storage::{Error, PointsReport, Refusal, RefusalKind, Refusals, SeriesPoints};

use crate::Store;
use crate::exemplars::{self, Verdict};
use crate::loose::{
    Accepted, Bounds, HistogramsWriter, Judged, Loose, LooseSeries, Newest, PointsWriter, is_plain_run, judge,
};
use crate::record::{self, kind};
use crate::store::{Definitions, NewSeries, count, put_series_records};

/// No slot yet.
pub(super) const NEW: u32 = u32::MAX;

thread_local! {
    static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Frames longer than this are not kept for the next batch.
const KEEP_FRAMES: usize = 4 << 20;

/// A series of a batch, on its way.
pub(super) struct Item<'a> {
    pub(super) slot: u32,
    pub(super) series: u32,
    pub(super) points: SeriesPoints<'a>,
    /// The newest sample that a group has of the series.
    pub(super) in_group: Option<Newest>,
    pub(super) has_group: bool,
    pub(super) plan: Plan,
}

/// What of an item is written.
pub(super) enum Plan {
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

    /// How many late samples are written: plain ones, histograms.
    fn late(&self) -> [usize; 2] {
        match self {
            Self::All => [0, 0],
            Self::Some(accepted) => [accepted.late.len(), accepted.late_histograms.len()],
        }
    }
}

impl Store {
    /// Judges, logs and applies a batch; each series is in it once. `definitions` comes with the series to be defined.
    pub(super) fn commit(
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
        self.log_frames(|frames| {
            put_series_records(frames, &new);
            put_records(frames, &mut loose, items, &exemplars);
        })?;
        if let Some((definitions, _)) = definitions {
            self.insert_series(definitions, &new)?;
        }
        for [floats, histograms] in items.iter().map(|i| i.plan.late()).filter(|n| *n != [0, 0]) {
            count(&self.counters.late[0], floats as u64);
            count(&self.counters.late[1], histograms as u64);
        }
        let newest = apply(&mut loose, items);
        if let Some(newest) = newest {
            self.note_newest(newest);
        }
        self.note_pressure(&loose);
        if !exemplars.is_empty() {
            count(&self.counters.exemplars, exemplars.len() as u64);
            let mut kept = self.exemplars.lock();
            exemplars.into_iter().for_each(|(series, e)| kept.push(series, e));
        }
        count(&self.counters.samples, (report.floats + report.histograms) as u64);
        Ok(report)
    }

    /// Writes the frames that `fill` appends to the log, from memory that the next batch of this thread uses again.
    pub(super) fn log_frames(&self, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        FRAMES.with_borrow_mut(|frames| {
            frames.clear();
            fill(frames);
            let written = self.write_log(frames);
            if frames.capacity() > KEEP_FRAMES {
                *frames = vec![];
            }
            written
        })
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
        let last = entry.map_or(Some(i64::MIN), LooseSeries::plain_last);
        if last.is_some_and(|last| is_plain_run(points.floats, last, bounds)) {
            item.plan = Plan::All;
            report.floats += points.floats.len();
            return Ok(());
        }
    }
    let newest = Newest::of(entry.and_then(LooseSeries::newest), item.in_group.take());
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
