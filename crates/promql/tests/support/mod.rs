//! A store in memory: each series by itself, its samples in order.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use kernels::{GridBlock, Windows, eval_column};
use model::{LabelSet, METRIC_NAME};
use storage::{
    Error, LeafBatch, LeafCost, LeafData, LeafExecutor, LeafOp, LeafRequest, LeafSink, MetaRequest,
    QueryContext, RawBlock, TimeRange,
};

/// A series with its samples, ascending in time.
#[derive(Debug, Clone)]
pub struct StoredSeries {
    pub labels: LabelSet,
    pub ts: Vec<i64>,
    pub values: Vec<f64>,
}

/// The store.
#[derive(Debug, Default)]
pub struct Memory {
    pub series: Vec<StoredSeries>,
    /// Series per batch; 0 for all in one.
    pub batch: usize,
}

impl Memory {
    /// Adds samples to a series, and the series where it is new. Series stay sorted by labels.
    pub fn add(&mut self, labels: &LabelSet, samples: impl IntoIterator<Item = (i64, f64)>) {
        let at = match self.series.binary_search_by(|s| s.labels.cmp(labels)) {
            Ok(at) => at,
            Err(at) => {
                let new = StoredSeries { labels: labels.clone(), ts: Vec::new(), values: Vec::new() };
                self.series.insert(at, new);
                at
            }
        };
        let series = &mut self.series[at];
        for (t, v) in samples {
            match series.ts.binary_search(&t) {
                Ok(i) => series.values[i] = v,
                Err(i) => {
                    series.ts.insert(i, t);
                    series.values.insert(i, v);
                }
            }
        }
    }

    fn selected(&self, matchers: &[model::Matcher]) -> Vec<&StoredSeries> {
        self.series.iter().filter(|s| matchers.iter().all(|m| m.matches_labels(&s.labels))).collect()
    }
}

impl LeafExecutor for Memory {
    fn covers(&self) -> Option<TimeRange> {
        let mint = self.series.iter().filter_map(|s| s.ts.first()).min()?;
        let maxt = self.series.iter().filter_map(|s| s.ts.last()).max()?;
        Some(TimeRange { mint: *mint, maxt: *maxt })
    }

    fn estimate(&self, request: &LeafRequest) -> Result<LeafCost, Error> {
        let series = self.selected(&request.matchers);
        let samples = series.iter().map(|s| s.ts.len() as u64).sum();
        Ok(LeafCost { series: series.len() as u64, samples })
    }

    fn run(&self, request: &LeafRequest, ctx: &QueryContext, sink: &mut dyn LeafSink) -> Result<(), Error> {
        let LeafRequest { op, range_ms, grid, .. } = request;
        let series = self.selected(&request.matchers);
        let size = if self.batch == 0 { series.len().max(1) } else { self.batch };
        for part in series.chunks(size) {
            ctx.check()?;
            let mut labels = Vec::new();
            let data = match op {
                LeafOp::Select | LeafOp::Samples => {
                    let mut raw = RawBlock { offsets: vec![0], ..RawBlock::default() };
                    let TimeRange { mint, maxt } = request.time_range();
                    for s in part {
                        let live =
                            s.ts.iter()
                                .zip(&s.values)
                                .filter(|(t, v)| (mint..=maxt).contains(*t) && !model::is_stale(**v));
                        let before = raw.ts.len();
                        live.for_each(|(t, v)| {
                            raw.ts.push(*t);
                            raw.values.push(*v);
                        });
                        if raw.ts.len() > before {
                            raw.offsets.push(raw.ts.len());
                            labels.push(s.labels.clone());
                        }
                    }
                    ctx.count_read(raw.ts.len());
                    LeafData::Raw(raw)
                }
                LeafOp::Range(f) => {
                    let mut cells = GridBlock::new(0, grid.steps);
                    for s in part {
                        let windows = Windows::new(&s.ts, grid, *range_ms);
                        ctx.count_read(s.ts.len());
                        let row = cells.push_row();
                        let (out, present) = cells.row_mut(row);
                        eval_column(*f, &s.ts, &s.values, &windows, grid, *range_ms, out, present);
                        if cells.is_row_empty(row) {
                            cells.pop_row();
                        } else {
                            labels.push(s.labels.clone());
                        }
                    }
                    LeafData::Grid(cells)
                }
            };
            if !labels.is_empty() {
                sink.batch(LeafBatch { labels, data })?;
            }
        }
        Ok(())
    }

    fn series(&self, request: &MetaRequest, _: &QueryContext) -> Result<Vec<LabelSet>, Error> {
        let sets = &request.matcher_sets;
        let hit = |s: &&StoredSeries| {
            sets.is_empty() || sets.iter().any(|set| set.iter().all(|m| m.matches_labels(&s.labels)))
        };
        Ok(self.series.iter().filter(hit).map(|s| s.labels.clone()).collect())
    }

    fn label_names(&self, request: &MetaRequest, ctx: &QueryContext) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = Vec::new();
        for labels in self.series(request, ctx)? {
            names.extend(labels.iter().map(|(n, _)| n.to_owned()));
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn label_values(
        &self,
        name: &str,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error> {
        let mut values: Vec<String> = Vec::new();
        for labels in self.series(request, ctx)? {
            values.extend(labels.get(name).map(str::to_owned));
        }
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

/// A label set from `name{a="b"}`'s parts.
pub fn labels(name: &str, pairs: &[(&str, &str)]) -> LabelSet {
    LabelSet::from_pairs(pairs.iter().copied().chain([(METRIC_NAME, name)]))
}
