//! Prints what a typical dashboard query costs per sample: `sum by (job) (rate(m[5m]))` over 2,000 series, 240 steps.

#![expect(clippy::print_stdout, reason = "the figure is the output")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use kernels::{Grid, GridBlock, Windows, eval_column};
use promql::{Engine, EngineOptions, QueryOptions};
use storage::{
    Error, LeafBatch, LeafCost, LeafData, LeafExecutor, LeafOp, LeafRequest, LeafSink, MetaRequest,
    QueryContext, TimeRange,
};

/// Groups of series that share their timestamps, as the store has them.
struct Grouped {
    series: Vec<support::StoredSeries>,
}

impl LeafExecutor for Grouped {
    fn covers(&self) -> Option<TimeRange> {
        None
    }
    fn estimate(&self, _: &LeafRequest) -> Result<LeafCost, Error> {
        Ok(LeafCost::default())
    }
    fn run(&self, request: &LeafRequest, ctx: &QueryContext, sink: &mut dyn LeafSink) -> Result<(), Error> {
        let LeafOp::Range(f) = request.op else {
            return Err(Error::new(storage::ErrorKind::Unsupported, "ranges only"));
        };
        for group in self.series.chunks(500) {
            let windows = Windows::new(&group[0].ts, &request.grid, request.range_ms);
            let mut cells = GridBlock::new(group.len(), request.grid.steps);
            for (row, s) in group.iter().enumerate() {
                ctx.count_read(s.ts.len());
                let (out, present) = cells.row_mut(row);
                eval_column(f, &s.ts, &s.values, &windows, &request.grid, request.range_ms, out, present);
            }
            let labels = group.iter().map(|s| s.labels.clone()).collect();
            sink.batch(LeafBatch { labels, data: LeafData::Grid(cells) })?;
        }
        Ok(())
    }
    fn series(&self, _: &MetaRequest, _: &QueryContext) -> Result<Vec<model::LabelSet>, Error> {
        Ok(Vec::new())
    }
    fn label_names(&self, _: &MetaRequest, _: &QueryContext) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
    fn label_values(&self, _: &str, _: &MetaRequest, _: &QueryContext) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}

fn main() {
    let grid = Grid::range(300_000, 300_000 + 239 * 15_000, 15_000);
    let ts: Vec<i64> = (0..260).map(|i| i * 15_000).collect();
    let series = (0..2_000)
        .map(|i| {
            let (job, instance) = (format!("job{}", i % 10), format!("host{i}:9100"));
            let labels = support::labels(
                "m",
                &[
                    ("job", job.as_str()),
                    ("instance", instance.as_str()),
                    ("zone", "eu-west-1a"),
                    ("path", "/api/v1/items"),
                ],
            );
            let values = (0..260).map(|t| f64::from(t * (i % 7 + 1))).collect();
            support::StoredSeries { ts: ts.clone(), values, ..support::StoredSeries::new(labels) }
        })
        .collect();
    let store = Grouped { series };
    let samples = store.series.len() * ts.len();
    let engine = Engine::new(EngineOptions::default());
    let opts = QueryOptions::default();
    for query in [
        "sum by (job) (rate(m[5m]))",
        "avg without (instance) (m)",
        "rate(m[5m])",
        "max by (job) (max_over_time(m[5m]))",
        "sum by (job) (sum_over_time(m[5m]))",
        "sum by (job) (rate(m[5m])) / on (job) sum by (job) (m) * 100",
    ] {
        let run =
            || engine.range_query(&store, query, grid.start, grid.end(), grid.step, &opts).expect("a result");
        run();
        let best = (0..20)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(run());
                start.elapsed()
            })
            .min()
            .unwrap_or_default();
        println!(
            "{query}: {:.2} ms, {:.2} ns/sample",
            best.as_secs_f64() * 1e3,
            best.as_nanos() as f64 / samples as f64
        );
    }
}
