//! A store in memory: each series by itself, its samples in order.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use kernels::{GridBlock, RangeFn, Windows, eval_column};
use model::{Histogram, LabelSet, METRIC_NAME, ResetHint};
use storage::{
    Error, LeafBatch, LeafCost, LeafData, LeafExecutor, LeafOp, LeafRequest, LeafSink, MetaRequest,
    QueryContext, RawBlock, TimeRange,
};

/// A series with its samples, ascending in time. No time is in both.
#[derive(Debug, Clone)]
pub struct StoredSeries {
    pub labels: LabelSet,
    pub ts: Vec<i64>,
    pub values: Vec<f64>,
    pub histograms: Vec<(i64, Arc<Histogram>)>,
    /// Start timestamps of those samples that have one, by the sample's time.
    pub starts: BTreeMap<i64, i64>,
}

impl StoredSeries {
    pub fn new(labels: LabelSet) -> Self {
        let (ts, values, histograms) = (Vec::new(), Vec::new(), Vec::new());
        Self { labels, ts, values, histograms, starts: BTreeMap::new() }
    }

    /// Hints as upstream's store gives them back: none for the first histogram of a chunk, "no reset" for the others. Chunks
    /// end at resets, at floats, and where the layout changes.
    fn hints_as_stored(&mut self) {
        let mut before: Option<(i64, Arc<Histogram>)> = None;
        for (t, h) in &mut self.histograms {
            let chunk = before.take().filter(|(before_t, before)| {
                let float_between = self.ts.iter().any(|f| *before_t < *f && *f < *t);
                !float_between && !before.is_stale() && continues_chunk(h, before)
            });
            let hint = match h.reset_hint {
                ResetHint::Gauge => ResetHint::Gauge,
                _ if chunk.is_some() => ResetHint::NoReset,
                _ => ResetHint::Unknown,
            };
            // Comparing needs the hint as it was written; a reset that was written once ends a chunk each time.
            before = Some((*t, Arc::clone(h)));
            Arc::make_mut(h).reset_hint = hint;
        }
    }

    /// Appends the samples within a range to a raw block, staleness markers only where asked for.
    fn select(&self, range: TimeRange, markers: bool, raw: &mut RawBlock) {
        let floats = self.ts.iter().zip(&self.values).map(|(t, v)| (*t, *v, None));
        let histograms = self.histograms.iter().map(|(t, h)| (*t, storage::ABSENT, Some(h)));
        let stale = |v: f64, h: Option<&Arc<Histogram>>| h.map_or(model::is_stale(v), |h| h.is_stale());
        let mut all: Vec<_> = floats
            .chain(histograms)
            .filter(|(t, v, h)| (range.mint..=range.maxt).contains(t) && (markers || !stale(*v, *h)))
            .collect();
        all.sort_by_key(|(t, ..)| *t);
        for (t, v, h) in all {
            raw.histograms.extend(h.map(|h| (raw.ts.len(), Arc::clone(h))));
            raw.starts.push(self.starts.get(&t).copied().unwrap_or_default());
            raw.ts.push(t);
            raw.values.push(v);
        }
    }
}

fn continues_chunk(h: &Histogram, before: &Histogram) -> bool {
    let gauge = |h: &Histogram| h.reset_hint == ResetHint::Gauge;
    let comparable = Histogram {
        reset_hint: if h.reset_hint == ResetHint::Reset { ResetHint::Reset } else { ResetHint::Unknown },
        ..h.clone()
    };
    let layout = h.schema == before.schema
        && h.zero_threshold == before.zero_threshold
        && h.custom_values == before.custom_values;
    h.is_stale()
        || (layout
            && gauge(h) == gauge(before)
            && (gauge(h) || !promql::histogram::detect_reset(&comparable, before)))
}

/// The store.
#[derive(Debug, Default)]
pub struct Memory {
    pub series: Vec<StoredSeries>,
    /// Series per batch; 0 for all in one.
    pub batch: usize,
}

impl Memory {
    fn series_mut(&mut self, labels: &LabelSet) -> &mut StoredSeries {
        let at = match self.series.binary_search_by(|s| s.labels.cmp(labels)) {
            Ok(at) => at,
            Err(at) => {
                self.series.insert(at, StoredSeries::new(labels.clone()));
                at
            }
        };
        &mut self.series[at]
    }

    /// Adds samples to a series, and the series where it is new. Series stay sorted by labels.
    pub fn add(&mut self, labels: &LabelSet, samples: impl IntoIterator<Item = (i64, f64)>) {
        let series = self.series_mut(labels);
        for (t, v) in samples {
            series.histograms.retain(|(at, _)| *at != t);
            match series.ts.binary_search(&t) {
                Ok(i) => series.values[i] = v,
                Err(i) => {
                    series.ts.insert(i, t);
                    series.values.insert(i, v);
                }
            }
        }
    }

    /// Adds histograms to a series, and the series where it is new.
    pub fn add_histograms(
        &mut self,
        labels: &LabelSet,
        samples: impl IntoIterator<Item = (i64, Arc<Histogram>)>,
    ) {
        let series = self.series_mut(labels);
        for (t, h) in samples {
            if let Ok(i) = series.ts.binary_search(&t) {
                series.ts.remove(i);
                series.values.remove(i);
            }
            match series.histograms.binary_search_by_key(&t, |(at, _)| *at) {
                Ok(i) => series.histograms[i].1 = h,
                Err(i) => series.histograms.insert(i, (t, h)),
            }
        }
        series.hints_as_stored();
    }

    /// Gives samples their start timestamps, by the sample's time.
    pub fn add_starts(&mut self, labels: &LabelSet, starts: impl IntoIterator<Item = (i64, i64)>) {
        self.series_mut(labels).starts.extend(starts);
    }

    fn selected(&self, matchers: &[model::Matcher]) -> Vec<&StoredSeries> {
        self.series.iter().filter(|s| matchers.iter().all(|m| m.matches_labels(&s.labels))).collect()
    }
}

impl LeafExecutor for Memory {
    fn covers(&self) -> Option<TimeRange> {
        let mint = self
            .series
            .iter()
            .flat_map(|s| s.ts.first().into_iter().chain(s.histograms.first().map(|h| &h.0)))
            .min()?;
        let maxt = self
            .series
            .iter()
            .flat_map(|s| s.ts.last().into_iter().chain(s.histograms.last().map(|h| &h.0)))
            .max()?;
        Some(TimeRange { mint: *mint, maxt: *maxt })
    }

    fn estimate(&self, request: &LeafRequest) -> Result<LeafCost, Error> {
        let series = self.selected(&request.matchers);
        let samples = series.iter().map(|s| (s.ts.len() + s.histograms.len()) as u64).sum();
        Ok(LeafCost { series: series.len() as u64, samples })
    }

    fn run(&self, request: &LeafRequest, ctx: &QueryContext, sink: &mut dyn LeafSink) -> Result<(), Error> {
        let LeafRequest { op, range_ms, grid, .. } = request;
        let series = self.selected(&request.matchers);
        let size = if self.batch == 0 { series.len().max(1) } else { self.batch };
        let range = request.time_range();
        let has_histograms =
            |s: &StoredSeries| s.histograms.iter().any(|(t, _)| (range.mint..=range.maxt).contains(t));
        // Like a store that batches by kind of series: neighbours of one kind stay together.
        let kinds = series.chunk_by(|a, b| has_histograms(a) == has_histograms(b));
        for part in kinds.flat_map(|part| part.chunks(size)) {
            ctx.check()?;
            let mut labels = Vec::new();
            let data = match op {
                LeafOp::Range(f) if !has_histograms(part[0]) => {
                    let mut cells = GridBlock::new(0, grid.steps);
                    for s in part {
                        let windows = Windows::new(&s.ts, grid, *range_ms);
                        ctx.count_read(s.ts.len());
                        if !matches!(f, RangeFn::Last | RangeFn::LastTimestamp) {
                            ctx.count_windows(&s.values, &windows);
                        }
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
                op => {
                    let markers = matches!(op, LeafOp::Range(RangeFn::Last | RangeFn::LastTimestamp));
                    let mut raw = RawBlock { offsets: vec![0], ..RawBlock::default() };
                    for s in part {
                        let before = raw.ts.len();
                        s.select(range, markers, &mut raw);
                        if raw.ts.len() > before {
                            raw.offsets.push(raw.ts.len());
                            labels.push(s.labels.clone());
                        }
                    }
                    if raw.starts.iter().all(|s| *s == 0) {
                        raw.starts.clear();
                    }
                    ctx.count_read(raw.ts.len());
                    LeafData::Raw(raw)
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
