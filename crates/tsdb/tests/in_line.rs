//! Leaves over series whose samples go on from blocks into the head, against the same samples in a vector: each series has gaps and
//! an end of its own, and what neighbours share must not be taken for what they do not.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(missing_docs, reason = "a test")]

mod support;

use kernels::{Grid, RangeFn, eval_window};
use model::Matcher;
use storage::{
    LeafBatch, LeafData, LeafExecutor, LeafOp, LeafRequest, PointAppender, QueryContext, Refusals,
    SeriesPoints,
};
use support::{options, series};
use tsdb::{Store, StoreOptions};

const HOUR: i64 = 3_600_000;
/// A multiple of the blocks' span.
const START: i64 = 1_699_999_200_000 / (2 * HOUR) * (2 * HOUR);
const STEP: i64 = 60_000;

/// The samples of series `i`, minute by minute: the first ends early, every third has a gap, every fourth begins late.
fn samples(i: usize) -> Vec<(i64, f64)> {
    let has = |minute: &i64| match i % 6 {
        0 => *minute < 100,
        3 => !(250..330).contains(minute),
        4 => *minute > 400,
        _ => true,
    };
    let value = |minute: i64| ((minute * 7 + i as i64 * 13) % 50) as f64 / 4.0;
    (0..480).filter(has).map(|minute| (START + minute * STEP, value(minute))).collect()
}

#[test]
fn from_blocks_into_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { seal_samples: 30, segment_bytes: 1 << 20, ..options() };
    let store = Store::open(dir.path(), options).unwrap();
    let all: Vec<(_, Vec<(i64, f64)>)> = (0..24).map(|i| (series(3 * i), samples(i))).collect();
    for from in (0..480).step_by(20) {
        let (after, to) = (START + from * STEP, START + (from + 20) * STEP);
        for (labels, samples) in &all {
            let floats: Vec<(i64, f64)> =
                samples.iter().filter(|s| (after..to).contains(&s.0)).copied().collect();
            let points = SeriesPoints { key: None, labels, floats: &floats, histograms: &[], exemplars: &[] };
            let report = store.append_points(&[points], Refusals::Skip).unwrap();
            assert_eq!(report.floats, floats.len());
        }
        store.maintain(to).unwrap();
    }
    let end = START + 479 * STEP;
    let grids = [
        Grid::instant(end),
        Grid::range(START, end, 7 * STEP),
        Grid::range(end - HOUR, end + HOUR, STEP),
        Grid::range(START + 2 * HOUR, START + 3 * HOUR, STEP / 2),
    ];
    let fns = [
        RangeFn::Last,
        RangeFn::Rate,
        RangeFn::MaxOverTime,
        RangeFn::AvgOverTime,
        RangeFn::QuantileOverTime(0.9),
        RangeFn::Deriv,
    ];
    for (grid, f) in grids.iter().flat_map(|g| fns.map(|f| (*g, f))) {
        for range_ms in [5 * STEP, HOUR, 10 * HOUR] {
            let matchers = vec![Matcher::equal("__name__", "m0")];
            let request = LeafRequest { matchers, op: LeafOp::Range(f), range_ms, grid };
            let mut rows = 0;
            let mut sink = |batch: LeafBatch| {
                let LeafData::Grid(block) = batch.data else { panic!("a grid") };
                for (row, labels) in batch.labels.iter().enumerate() {
                    let (_, samples) = all.iter().find(|(l, _)| l == labels).unwrap();
                    let got: Vec<_> = (0..grid.steps).map(|s| block.get(row, s).map(f64::to_bits)).collect();
                    assert_eq!(
                        got,
                        expected(f, samples, grid, range_ms),
                        "{f:?} {range_ms} {grid:?} {labels}"
                    );
                    rows += 1;
                }
                Ok(())
            };
            store.run(&request, &QueryContext::unbounded(), &mut sink).unwrap();
            let with_values = all
                .iter()
                .filter(|(_, samples)| expected(f, samples, grid, range_ms).iter().any(Option::is_some));
            assert_eq!(rows, with_values.count(), "{f:?} {range_ms} {grid:?}");
        }
    }
}

fn expected(f: RangeFn, samples: &[(i64, f64)], grid: Grid, range_ms: i64) -> Vec<Option<u64>> {
    let at = |t: i64| {
        let within = samples.iter().filter(|s| s.0 > t - range_ms && s.0 <= t);
        let (ts, values): (Vec<i64>, Vec<f64>) = within.copied().unzip();
        eval_window(f, &ts, &values, t, range_ms).map(f64::to_bits)
    };
    grid.times().map(at).collect()
}
