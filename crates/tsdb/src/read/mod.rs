//! The read side: leaves are answered group by group, spread over the cores, in an order that is always the same.
//!
//! Matchers give series; series are sorted by where their rows are, cut into units of one group, and the units are worked off in
//! waves by a few threads. The sink gets a wave's batches in the order of the units. What a group shares (timestamps,
//! windows) is read once a wave ([`view::GroupView`]).

mod column;
mod meta;
mod view;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use kernels::GridBlock;
use model::LabelSet;
use parking_lot::Mutex;
use storage::{
    Error, LeafBatch, LeafCost, LeafData, LeafExecutor, LeafOp, LeafRequest, LeafSink, MetaRequest,
    QueryContext, RawBlock, TimeRange,
};

use crate::Store;
use column::SeriesReader;
use view::{GroupView, LooseView};

/// Series in a unit of work.
const UNIT_SERIES: usize = 256;
/// Units in a wave, per thread: what is held before the sink gets it.
const WAVE_UNITS: usize = 8;
/// Fewer series than this are not worth a thread.
const SERIES_PER_THREAD: usize = 512;

/// A series that was selected.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) series: u32,
    pub(crate) labels: LabelSet,
    pub(crate) locations: Vec<(u32, u32)>,
}

/// What a unit or its neighbours need, made by whoever comes first.
#[derive(Debug, Default)]
struct Wave {
    groups: HashMap<u32, OnceLock<Option<GroupView>>>,
    /// The selected slots of each group in this wave.
    slots: HashMap<u32, Vec<u32>>,
}

impl Store {
    /// The series of a request with where they are, sorted by group and slot; loose ones last.
    fn selected(&self, request: &LeafRequest) -> Vec<(u32, u32, u32)> {
        let index = self.index.read();
        let mut all: Vec<(u32, u32, u32)> = index
            .select(&request.matchers)
            .iter()
            .map(|s| {
                let (group, slot) = index.locations(s).next().unwrap_or((u32::MAX, u32::MAX));
                (group, slot, s)
            })
            .collect();
        all.sort_unstable();
        all
    }

    fn units(selected: &[(u32, u32, u32)]) -> Vec<&[(u32, u32, u32)]> {
        selected.chunk_by(|a, b| a.0 == b.0).flat_map(|group| group.chunks(UNIT_SERIES)).collect()
    }

    fn threads(&self, series: usize) -> usize {
        let most = match self.options.read_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        series.div_ceil(SERIES_PER_THREAD).clamp(1, most)
    }

    fn describe(&self, units: &[&[(u32, u32, u32)]]) -> (Vec<Vec<Selected>>, Wave) {
        let index = self.index.read();
        let mut wave = Wave::default();
        let described = units
            .iter()
            .map(|unit| {
                unit.iter()
                    .filter(|(_, _, s)| index.contains(*s))
                    .map(|&(_, _, series)| {
                        let locations: Vec<_> = index.locations(series).collect();
                        for &(group, slot) in &locations {
                            wave.groups.entry(group).or_default();
                            wave.slots.entry(group).or_default().push(slot);
                        }
                        Selected { series, labels: index.labels(series), locations }
                    })
                    .collect()
            })
            .collect();
        (described, wave)
    }

    fn run_unit(
        &self,
        unit: &[Selected],
        wave: &Wave,
        loose: &LooseView,
        request: &LeafRequest,
        ctx: &QueryContext,
        reader: &mut SeriesReader,
    ) -> Result<Option<LeafBatch>, Error> {
        let mut labels = Vec::with_capacity(unit.len());
        let mut grid = GridBlock::new(0, request.grid.steps);
        let mut raw = RawBlock { offsets: vec![0], ..RawBlock::default() };
        for selected in unit {
            ctx.check()?;
            let groups = selected.locations.iter().filter_map(|&(group, slot)| {
                let view = wave.groups.get(&group)?.get_or_init(|| {
                    let slots = wave.slots.get(&group).map_or(&[][..], |s| s);
                    GroupView::new(self, group, slots, request)
                });
                Some((view.as_ref()?, slot))
            });
            let groups: Vec<_> = groups.collect();
            let damaged = reader.read(&groups, loose.get(selected.series), request);
            if damaged > 0 {
                tracing::error!(series = %selected.labels, chunks = damaged, "damaged chunks left out of a query");
                self.note_damage(damaged);
            }
            let before = raw.ts.len();
            let any = match request.op {
                LeafOp::Range(f) => {
                    let row = grid.push_row();
                    let (out, present) = grid.row_mut(row);
                    reader.eval(f, request, ctx, out, present);
                    let any = !grid.is_row_empty(row);
                    if !any {
                        grid.pop_row();
                    }
                    any
                }
                LeafOp::Select | LeafOp::Samples => {
                    reader.select(ctx, request.op == LeafOp::Samples, &mut raw);
                    raw.ts.len() > before
                }
            };
            if any {
                labels.push(selected.labels.clone());
                raw.offsets.push(raw.ts.len());
            }
        }
        if labels.is_empty() {
            return Ok(None);
        }
        let data = match request.op {
            LeafOp::Range(_) => LeafData::Grid(grid),
            LeafOp::Select | LeafOp::Samples => LeafData::Raw(raw),
        };
        let batch = LeafBatch { labels, data };
        ctx.hold(held(&batch))?;
        Ok(Some(batch))
    }

    /// Works off one wave; the results are in the order of its units.
    fn run_wave(
        &self,
        units: &[&[(u32, u32, u32)]],
        threads: usize,
        request: &LeafRequest,
        ctx: &QueryContext,
    ) -> Vec<Result<Option<LeafBatch>, Error>> {
        let (units, wave) = self.describe(units);
        let loose = LooseView::new(self, units.iter().flatten().map(|s| s.series), request);
        let results: Vec<Mutex<Option<_>>> = units.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut reader = SeriesReader::default();
            loop {
                // Relaxed: the counter hands out indices and nothing else.
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(unit) = units.get(i) else { break };
                *results[i].lock() = Some(self.run_unit(unit, &wave, &loose, request, ctx, &mut reader));
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

fn held(batch: &LeafBatch) -> usize {
    match &batch.data {
        LeafData::Grid(grid) => (0..grid.rows())
            .map(|r| grid.row(r).1.iter().map(|w| w.count_ones() as usize).sum::<usize>())
            .sum(),
        LeafData::Raw(raw) => raw.ts.len(),
    }
}

impl LeafExecutor for Store {
    fn covers(&self) -> Option<TimeRange> {
        self.bounds()
    }

    fn estimate(&self, request: &LeafRequest) -> Result<LeafCost, Error> {
        let selected = self.selected(request);
        let range = request.time_range();
        let mut rows: HashMap<u32, u64> = HashMap::new();
        let mut cost = LeafCost { series: selected.len() as u64, samples: 0 };
        for group in selected.chunk_by(|a, b| a.0 == b.0) {
            let id = group[0].0;
            let rows =
                *rows.entry(id).or_insert_with(|| self.group(id).map_or(0, |g| view::rows_in(&g, range)));
            cost.samples += rows * group.len() as u64;
        }
        let loose = self.loose.read();
        for (_, _, series) in selected {
            cost.samples += loose.get(series).map_or(0, |s| s.rows_in(range.mint, range.maxt));
        }
        Ok(cost)
    }

    fn run(&self, request: &LeafRequest, ctx: &QueryContext, sink: &mut dyn LeafSink) -> Result<(), Error> {
        ctx.check()?;
        let selected = self.selected(request);
        let units = Self::units(&selected);
        let threads = self.threads(selected.len());
        for wave in units.chunks(threads * WAVE_UNITS) {
            let results = self.run_wave(wave, threads, request, ctx);
            let mut failed = None;
            for result in results {
                match result {
                    Ok(None) => {}
                    Ok(Some(batch)) => {
                        // From here on the batch is the sink's to count.
                        ctx.release(held(&batch));
                        if failed.is_none() {
                            failed = sink.batch(batch).err();
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
