//! The per-series path: samples with their own timestamps, in batches.
//!
//! Where the batch's keys are all known and no series has rows in a group, a batch takes one lock, that of `loose`: it is judged,
//! encoded for the log, written, then appended in memory. Otherwise `definitions` is held from the first look-up to the end, so
//! that no series comes or goes meanwhile; that is the way of new series.

mod commit;
mod plain;

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashMap;
use model::{Exemplar, Histogram, LabelSet, TimestampMs};
use storage::{
    AppendReport, Error, LabelSource, PointAppender, PointsReport, RefusalKind, Refusals, SampleAppender,
    SeriesPoints, SeriesSample, is_absent,
};

use self::commit::{Item, NEW, Plan};
use crate::Store;
use crate::group::{Group, LOST};
use crate::loose::{Bounds, Loose, Newest, Pressure};

/// Tells [`PointAppender::may_wait`], as long as it lives, that `loose` is held for longer than a batch would like to wait.
#[derive(Debug)]
pub(crate) struct LongHold<'a>(&'a AtomicU32);

impl Drop for LongHold<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
    fn may_wait(&self) -> bool {
        self.options.sync_interval_ms == 0
            || self.long_holds.load(Ordering::Relaxed) > 0
            || self.pressure.load(Ordering::Relaxed) != Pressure::Low as u8
    }

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

    /// Notes how near to its budget the memory of loose series is, for who has no lock.
    pub(crate) fn note_pressure(&self, loose: &Loose) {
        // Relaxed: a hint, which the next batch renews.
        self.pressure.store(loose.pressure() as u8, Ordering::Relaxed);
    }

    /// To be taken before a lock of `loose` whose holder visits all series.
    pub(crate) fn hold_long(&self) -> LongHold<'_> {
        // Relaxed: a hint.
        self.long_holds.fetch_add(1, Ordering::Relaxed);
        LongHold(&self.long_holds)
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
    fn append_known<'a>(
        &self,
        batch: &[SeriesPoints<'a>],
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
        let mut loose = self.loose.write();
        let mut slots = plain::Slots::take();
        if !slots.find(&loose, batch, &refs) {
            return None;
        }
        if slots.all_plain(&mut loose, batch, bounds)? {
            return Some(self.commit_plain(loose, &slots, batch));
        }
        let item = |(&slot, &points): (&u32, &SeriesPoints<'a>)| {
            let series = loose.at(slot).series;
            Item { slot, series, points, in_group: None, has_group: false, plan: Plan::All }
        };
        let mut items: Vec<Item<'_>> = slots.iter().zip(batch).map(item).collect();
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
