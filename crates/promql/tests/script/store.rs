//! A store in memory for test scripts: sorted series, every leaf computed by the kernels.

use std::collections::BTreeMap;

use kernels::{GridBlock, Windows, eval_column};
use model::{LabelSet, Matcher, is_stale};
use storage::{
    Error, LeafBatch, LeafCost, LeafData, LeafExecutor, LeafOp, LeafRequest, LeafSink, MetaRequest,
    QueryContext, RawBlock, TimeRange,
};

/// Timestamps and values of a series, by time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Column {
    ts: Vec<i64>,
    values: Vec<f64>,
}

/// All series.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    series: BTreeMap<LabelSet, Column>,
}

impl MemoryStore {
    /// Adds a sample; a later one at the same time is ignored.
    pub(crate) fn add(&mut self, labels: &LabelSet, ts: i64, value: f64) {
        let column = self.series.entry(labels.clone()).or_default();
        if let Err(i) = column.ts.binary_search(&ts) {
            column.ts.insert(i, ts);
            column.values.insert(i, value);
        }
    }

    fn select<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = (&'a LabelSet, &'a Column)> {
        self.series.iter().filter(|(labels, _)| matchers.iter().all(|m| m.matches_labels(labels)))
    }
}

impl LeafExecutor for MemoryStore {
    fn covers(&self) -> Option<TimeRange> {
        let mint = self.series.values().filter_map(|c| c.ts.first()).min()?;
        let maxt = self.series.values().filter_map(|c| c.ts.last()).max()?;
        Some(TimeRange { mint: *mint, maxt: *maxt })
    }

    fn estimate(&self, request: &LeafRequest) -> Result<LeafCost, Error> {
        let (mut series, mut samples) = (0, 0);
        for (_, column) in self.select(&request.matchers) {
            series += 1;
            samples += column.ts.len() as u64;
        }
        Ok(LeafCost { series, samples })
    }

    fn run(&self, request: &LeafRequest, ctx: &QueryContext, sink: &mut dyn LeafSink) -> Result<(), Error> {
        for (labels, column) in self.select(&request.matchers) {
            ctx.check()?;
            ctx.count_read(column.ts.len());
            let data = match request.op {
                LeafOp::Select => {
                    let range = request.time_range();
                    let mut raw = RawBlock { offsets: vec![0], ..RawBlock::default() };
                    for (&ts, &value) in column.ts.iter().zip(&column.values) {
                        if (range.mint..=range.maxt).contains(&ts) && !is_stale(value) {
                            raw.ts.push(ts);
                            raw.values.push(value);
                        }
                    }
                    raw.offsets.push(raw.ts.len());
                    if raw.ts.is_empty() {
                        continue;
                    }
                    LeafData::Raw(raw)
                }
                LeafOp::Range(f) => {
                    let windows = Windows::new(&column.ts, &request.grid, request.range_ms);
                    let mut block = GridBlock::new(1, request.grid.steps);
                    let (out, present) = block.row_mut(0);
                    eval_column(
                        f,
                        &column.ts,
                        &column.values,
                        &windows,
                        &request.grid,
                        request.range_ms,
                        out,
                        present,
                    );
                    if block.is_row_empty(0) {
                        continue;
                    }
                    LeafData::Grid(block)
                }
            };
            sink.batch(LeafBatch { labels: vec![labels.clone()], data })?;
        }
        Ok(())
    }

    fn series(&self, request: &MetaRequest, _: &QueryContext) -> Result<Vec<LabelSet>, Error> {
        let selected = |l: &&LabelSet| {
            request.matcher_sets.is_empty()
                || request.matcher_sets.iter().any(|set| set.iter().all(|m| m.matches_labels(l)))
        };
        Ok(self.series.keys().filter(selected).cloned().collect())
    }

    fn label_names(&self, request: &MetaRequest, ctx: &QueryContext) -> Result<Vec<String>, Error> {
        let mut names: Vec<_> = self
            .series(request, ctx)?
            .iter()
            .flat_map(|l| l.iter().map(|(n, _)| n.to_owned()).collect::<Vec<_>>())
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn label_values(
        &self,
        name: &str,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error> {
        let mut values: Vec<_> =
            self.series(request, ctx)?.iter().filter_map(|l| l.get(name).map(str::to_owned)).collect();
        values.sort();
        values.dedup();
        Ok(values)
    }
}
