//! The read side: leaves are answered unit by unit, spread over the cores, in an order that is always the same.
//!
//! Matchers give series in head and blocks, joined by label set ([`join`]), sorted by where they are, cut into units, and the units are
//! worked off in waves by a few threads. The sink gets a wave's batches in the order of the units. What a group shares
//! (timestamps) is read once a wave ([`view::GroupView`]); one series' samples come together in [`column::SeriesReader`].

mod column;
mod join;
mod meta;
mod source;
mod view;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, OnceLock};

use hashbrown::HashMap;
use kernels::{GridBlock, RangeFn};
use model::LabelSet;
use parking_lot::Mutex;
use storage::{
    Error, LeafBatch, LeafCost, LeafData, LeafExecutor, LeafOp, LeafRequest, LeafSink, MetaRequest,
    QueryContext, RawBlock, TimeRange,
};

use crate::Store;
use column::{Markers, Places, SeriesReader};
use join::{Entry, NOWHERE, Selection};
use view::{GroupView, LooseView};

/// Series in a unit of work, at most and at least.
const UNIT_SERIES: std::ops::RangeInclusive<usize> = 16..=256;
/// Cells of a unit's results: half a megabyte, so that they are folded while a cache has them.
const UNIT_CELLS: usize = 1 << 16;
/// Units in a wave, per thread, at most and at least: what is held before the sink gets it.
const WAVE_UNITS: std::ops::RangeInclusive<usize> = 2..=16;
/// Cells of a wave's results, per thread: two megabytes. Eight times as much took no less time.
const WAVE_CELLS: usize = 1 << 18;
/// Fewer series than this are not worth a thread.
const SERIES_PER_THREAD: usize = 512;

/// Asked once: the answer is read from several files of the kernel, which takes as long as a small query.
static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// A series that was selected.
#[derive(Debug)]
struct Selected<'a> {
    series: u32,
    labels: LabelSet,
    locations: Vec<(u32, u32)>,
    places: &'a [(u32, u32)],
}

/// What the units of a wave share, made by whoever comes first.
#[derive(Debug)]
struct Wave {
    groups: HashMap<u32, OnceLock<Option<GroupView>>>,
    /// The selected slots of each group in this wave.
    slots: HashMap<u32, Vec<u32>>,
    loose: LooseView,
    /// What of the rows is read: older ones are in blocks.
    rows: TimeRange,
}

impl Wave {
    fn group(&self, store: &Store, group: u32) -> Option<&GroupView> {
        let view = self.groups.get(&group)?.get_or_init(|| {
            let slots = self.slots.get(&group).map_or(&[][..], |s| s);
            GroupView::new(store, group, slots, self.rows)
        });
        view.as_ref()
    }
}

impl Store {
    fn threads(&self, series: usize) -> usize {
        let most = match self.options.read_threads {
            0 => *CORES,
            n => n,
        };
        series.div_ceil(SERIES_PER_THREAD).clamp(1, most)
    }

    fn describe<'a>(
        &self,
        selection: &'a Selection,
        units: &[&[Entry]],
        request: &LeafRequest,
    ) -> (Vec<Vec<Selected<'a>>>, Wave) {
        let range = request.time_range();
        let rows = TimeRange { mint: range.mint.max(selection.state.rows_from), maxt: range.maxt };
        let index = self.index.read();
        let mut groups: HashMap<u32, OnceLock<Option<GroupView>>> = HashMap::new();
        let mut slots: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut describe = |entry: &Entry| {
            let places = selection.places(entry);
            if entry.series == NOWHERE || !index.contains(entry.series) {
                let labels = selection.labels_in_blocks(entry);
                let labels = labels
                    .inspect_err(|e| {
                        tracing::error!(error = %e, "series left out of a query");
                        self.note_damage(1);
                    })
                    .ok()?;
                return Some(Selected { series: NOWHERE, labels, locations: vec![], places });
            }
            let locations: Vec<_> = index.locations(entry.series).collect();
            for &(group, slot) in &locations {
                groups.entry(group).or_default();
                slots.entry(group).or_default().push(slot);
            }
            Some(Selected { series: entry.series, labels: index.labels(entry.series), locations, places })
        };
        let described: Vec<Vec<Selected<'a>>> =
            units.iter().map(|unit| unit.iter().filter_map(&mut describe).collect()).collect();
        drop(index);
        let series = described.iter().flatten().map(|s| s.series).filter(|s| *s != NOWHERE);
        let loose = LooseView::new(self, series.collect::<Vec<_>>().into_iter(), range);
        (described, Wave { groups, slots, loose, rows })
    }

    /// Brings one series' samples into the reader.
    fn read_series(
        &self,
        selected: &Selected<'_>,
        selection: &Selection,
        wave: &Wave,
        request: &LeafRequest,
        reader: &mut SeriesReader,
    ) {
        let blocks = &selection.blocks;
        let ours = |&(n, ordinal): &(u32, u32)| Some((n, &**blocks.get(n as usize)?, ordinal));
        let theirs = |&(n, reference): &(u32, u32)| {
            let block = &**selection.foreign.get((n as usize).checked_sub(blocks.len())?)?;
            Some((block, u64::from(reference)))
        };
        let places = Places {
            blocks: selected.places.iter().filter_map(ours).collect(),
            foreign: selected.places.iter().filter_map(theirs).collect(),
            groups: selected
                .locations
                .iter()
                .filter_map(|&(group, slot)| Some((wave.group(self, group)?, slot)))
                .collect(),
            loose: wave.loose.get(selected.series),
            deleted: selection.state.deleted(selected.series),
        };
        let damaged = reader.read(&places, request);
        if damaged > 0 {
            tracing::error!(series = %selected.labels, chunks = damaged, "damaged chunks left out of a query");
            self.note_damage(damaged);
        }
    }

    fn run_unit(
        &self,
        unit: &[Selected<'_>],
        selection: &Selection,
        wave: &Wave,
        request: &LeafRequest,
        ctx: &QueryContext,
        reader: &mut SeriesReader,
    ) -> Result<Vec<LeafBatch>, Error> {
        let (steps, series) = (request.grid.steps, unit.len());
        let mut out = UnitBatches { ctx, steps, series, current: None, done: vec![] };
        for selected in unit {
            ctx.check()?;
            self.read_series(selected, selection, wave, request, reader);
            match request.op {
                LeafOp::Range(f) if reader.histograms().is_empty() => {
                    let LeafBatch { labels, data: LeafData::Grid(grid) } = out.of_kind(Kind::Grid)? else {
                        unreachable!("asked for a grid")
                    };
                    let row = grid.push_row();
                    let (values, present) = grid.row_mut(row);
                    reader.eval(f, request, ctx, values, present);
                    if grid.is_row_empty(row) {
                        grid.pop_row();
                    } else {
                        labels.push(selected.labels.clone());
                    }
                }
                op => {
                    let markers = match op {
                        LeafOp::Samples | LeafOp::Range(RangeFn::Last | RangeFn::LastTimestamp) => {
                            Markers::Kept
                        }
                        LeafOp::Select | LeafOp::Range(_) => Markers::LeftOut,
                    };
                    let LeafBatch { labels, data: LeafData::Raw(raw) } = out.of_kind(Kind::Raw)? else {
                        unreachable!("asked for raw samples")
                    };
                    let before = raw.ts.len();
                    reader.select(markers, ctx, raw);
                    if raw.ts.len() > before {
                        labels.push(selected.labels.clone());
                        raw.offsets.push(raw.ts.len());
                    }
                }
            }
        }
        out.finish()
    }

    /// Works off one wave; the results are in the order of its units.
    fn run_wave(
        &self,
        selection: &Selection,
        units: &[&[Entry]],
        threads: usize,
        request: &LeafRequest,
        ctx: &QueryContext,
    ) -> Vec<Result<Vec<LeafBatch>, Error>> {
        let (units, wave) = self.describe(selection, units, request);
        let results: Vec<Mutex<Option<_>>> = units.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut reader = SeriesReader::default();
            loop {
                // Relaxed: the counter hands out indices and nothing else.
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(unit) = units.get(i) else { break };
                *results[i].lock() = Some(self.run_unit(unit, selection, &wave, request, ctx, &mut reader));
            }
        };
        let threads = threads.min(units.len());
        if threads <= 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    scope.spawn(work);
                }
                work();
            });
        }
        results.into_iter().map(|r| r.into_inner().expect("each unit was worked off")).collect()
    }
}

/// Series in a unit of so many steps.
fn series_in_unit(steps: usize) -> usize {
    (UNIT_CELLS / steps).clamp(*UNIT_SERIES.start(), *UNIT_SERIES.end())
}

/// Units in a wave, per thread.
fn units_in_wave(steps: usize) -> usize {
    (WAVE_CELLS / (series_in_unit(steps) * steps)).clamp(*WAVE_UNITS.start(), *WAVE_UNITS.end())
}

/// Entries of one group, or of none, a unit of work each.
fn units(entries: &[Entry], steps: usize) -> Vec<&[Entry]> {
    let series = series_in_unit(steps);
    entries.chunk_by(|a, b| a.group == b.group).flat_map(|group| group.chunks(series)).collect()
}

/// What a batch carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grid,
    Raw,
}

/// The batches of a unit in the order of its series: another one begins wherever series with histograms and series without meet.
struct UnitBatches<'a> {
    ctx: &'a QueryContext,
    steps: usize,
    /// At most as many in all, for which there is room in a batch from the start.
    series: usize,
    current: Option<(Kind, LeafBatch)>,
    done: Vec<LeafBatch>,
}

impl UnitBatches<'_> {
    /// The batch that the next series goes to.
    fn of_kind(&mut self, kind: Kind) -> Result<&mut LeafBatch, Error> {
        if self.current.as_ref().is_some_and(|(k, _)| *k != kind) {
            self.close()?;
        }
        let (_, batch) = self.current.get_or_insert_with(|| {
            let data = match kind {
                Kind::Grid => LeafData::Grid(GridBlock::with_capacity(self.series, self.steps)),
                Kind::Raw => LeafData::Raw(RawBlock { offsets: vec![0], ..RawBlock::default() }),
            };
            (kind, LeafBatch { labels: Vec::with_capacity(self.series), data })
        });
        Ok(batch)
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some((_, batch)) = self.current.take()
            && !batch.labels.is_empty()
        {
            self.ctx.hold(held(&batch))?;
            self.done.push(batch);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<LeafBatch>, Error> {
        self.close()?;
        Ok(self.done)
    }
}

fn held(batch: &LeafBatch) -> usize {
    match &batch.data {
        LeafData::Grid(grid) => (0..grid.rows())
            .map(|r| grid.row(r).1.iter().map(|w| w.count_ones() as usize).sum::<usize>())
            .sum(),
        LeafData::Raw(raw) => raw.cost(),
    }
}

impl LeafExecutor for Store {
    fn covers(&self) -> Option<TimeRange> {
        self.bounds()
    }

    fn estimate(&self, request: &LeafRequest) -> Result<LeafCost, Error> {
        let selection = self.selection(request)?;
        let range = request.time_range();
        let mut rows: HashMap<u32, u64> = HashMap::new();
        let mut cost = LeafCost { series: selection.entries.len() as u64, samples: 0 };
        for group in selection.entries.chunk_by(|a, b| a.group == b.group) {
            let id = group[0].group;
            let rows =
                *rows.entry(id).or_insert_with(|| self.group(id).map_or(0, |g| view::rows_in(&g, range)));
            cost.samples += rows * group.len() as u64;
        }
        // Series of a block are about equally long.
        let mut in_block = vec![0_u64; selection.blocks.len() + selection.foreign.len()];
        for entry in &selection.entries {
            selection.places(entry).iter().for_each(|&(number, _)| in_block[number as usize] += 1);
        }
        let ours = selection.blocks.iter().map(|b| (b.meta().samples, b.meta().series));
        let stats = selection.foreign.iter().map(|b| &b.meta().stats);
        let theirs = stats.map(|s| (s.num_samples, s.num_series));
        for ((samples, series), n) in ours.chain(theirs).zip(in_block) {
            cost.samples += samples.saturating_mul(n).checked_div(series).unwrap_or(0);
        }
        let loose = self.loose.read();
        for entry in &selection.entries {
            cost.samples += loose.get(entry.series).map_or(0, |s| s.rows_in(range.mint, range.maxt));
        }
        Ok(cost)
    }

    fn run(&self, request: &LeafRequest, ctx: &QueryContext, sink: &mut dyn LeafSink) -> Result<(), Error> {
        ctx.check()?;
        let selection = self.selection(request)?;
        let steps = request.grid.steps.max(1);
        let units = units(&selection.entries, steps);
        let threads = self.threads(selection.entries.len());
        for wave in units.chunks(threads * units_in_wave(steps)) {
            let results = self.run_wave(&selection, wave, threads, request, ctx);
            let mut failed = None;
            for result in results {
                match result {
                    Ok(batches) => {
                        for batch in batches {
                            // From here on the batch is the sink's to count.
                            ctx.release(held(&batch));
                            if failed.is_none() {
                                failed = sink.batch(batch).err();
                            }
                        }
                    }
                    Err(e) => failed = failed.or(Some(e)),
                }
            }
            if let Some(e) = failed {
                return Err(e);
            }
        }
        Ok(())
    }

    fn series(&self, request: &MetaRequest, ctx: &QueryContext) -> Result<Vec<LabelSet>, Error> {
        self.meta_series(request, ctx)
    }

    fn label_names(&self, request: &MetaRequest, ctx: &QueryContext) -> Result<Vec<String>, Error> {
        self.meta_label_names(request, ctx)
    }

    fn label_values(
        &self,
        name: &str,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error> {
        self.meta_label_values(name, request, ctx)
    }
}
