//! Samples seen and read by step. The figures are those of upstream's `TestQueryStatistics` for the same series.

mod support;

use std::sync::Arc;
use std::time::Instant;

use model::{Histogram, LabelSet, Span};
use promql::{Engine, EngineOptions, QueryOptions, QueryResult, StatsLevel};
use support::Memory;

/// A sample each 10 s, 101 of them: one series, three series, and one of histograms that count for 13 samples each.
fn store() -> Memory {
    let mut store = Memory::default();
    let floats = || (0..=100).map(|i| (i * 10_000, (i + 1) as f64));
    store.add(&LabelSet::from_pairs([("__name__", "one")]), floats());
    for (a, b) in [("1", "1"), ("2", "2"), ("3", "2")] {
        store.add(&LabelSet::from_pairs([("__name__", "three"), ("a", a), ("b", b)]), floats());
    }
    let histogram = Histogram {
        schema: 1,
        count: 5.0,
        sum: 20.0,
        positive_spans: vec![Span { offset: 0, length: 4 }],
        positive_buckets: vec![1.0, 2.0, 1.0, 1.0],
        ..Histogram::default()
    };
    let histogram = Arc::new(histogram);
    let histograms = (0..=100).map(|i| (i * 10_000, Arc::clone(&histogram)));
    store.add_histograms(&LabelSet::from_pairs([("__name__", "hist")]), histograms);
    store
}

/// Times in seconds; a step of 0 is an instant query.
fn ask(store: &Memory, query: &str, (start, end, step): (i64, i64, i64), stats: StatsLevel) -> QueryResult {
    let engine = Engine::new(EngineOptions { per_step_stats: true, ..EngineOptions::default() });
    let context = Some(Arc::new(engine.context(Instant::now(), None, stats)));
    let opts = QueryOptions { stats, context, ..QueryOptions::default() };
    let result = match step {
        0 => engine.instant_query(store, query, start * 1000, &opts),
        _ => engine.range_query(store, query, start * 1000, end * 1000, step * 1000, &opts),
    };
    result.unwrap_or_else(|e| panic!("{query}: {e}"))
}

fn check(store: &Memory, query: &str, times: (i64, i64, i64), total: &[u64], read: &[u64]) {
    let stats = ask(store, query, times, StatsLevel::PerStep).stats;
    let steps = stats.per_step.expect("asked for");
    assert_eq!((steps.total_samples.as_slice(), steps.samples_read.as_slice()), (total, read), "{query}");
    assert_eq!((stats.total_samples, stats.samples_read), (total.iter().sum(), read.iter().sum()), "{query}");
    assert_eq!((steps.start_ms, steps.step_ms), (times.0 * 1000, (times.2 * 1000).max(1)));
}

#[test]
fn instant_queries() {
    let store = store();
    for (query, at, total, read) in [
        (r#""literal""#, 21, 0, 0),
        ("1", 21, 0, 0),
        ("one", 21, 1, 1),
        ("one offset 10s", 21, 1, 1),
        ("one @ 15", 21, 1, 1),
        ("hist", 21, 13, 13),
        ("timestamp(one)", 21, 1, 1),
        ("timestamp(hist)", 21, 1, 1),
        ("three", 21, 3, 3),
        (r#"three{a="1"}[20s] @ 19"#, 21, 2, 2),
        ("one[60s]", 201, 6, 6),
        ("hist[60s]", 201, 78, 78),
        ("one[60s] @ 30", 201, 4, 4),
        ("one[60s] offset 10s", 201, 6, 6),
        ("max_over_time(one[60s])[20s:5s]", 201, 24, 8),
        ("max_over_time(one[61s])[20s:5s]", 201, 26, 8),
        ("sum(max_over_time(three[60s] @ 30))", 201, 12, 12),
        ("absent_over_time(one[60s])", 201, 6, 6),
        ("one[60s:5s]", 201, 12, 12),
        ("one[60s:5s] offset 10s", 201, 12, 12),
        ("max_over_time(three[60s:5s])", 201, 36, 36),
        ("sum(max_over_time(three[60s:5s])) + sum(max_over_time(three[60s:5s]))", 201, 72, 72),
    ] {
        check(&store, query, (at, at, 0), &[total], &[read]);
    }
}

#[test]
fn range_queries() {
    let store = store();
    let sums = "sum(max_over_time(three[60s:5s])) + sum(max_over_time(one[60s:5s]))";
    type Case<'a> = (&'a str, (i64, i64, i64), &'a [u64], &'a [u64]);
    let cases: &[Case<'_>] = &[
        (r#"three{a="1"}"#, (204, 223, 5), &[1, 1, 1, 1], &[1, 1, 1, 1]),
        ("hist", (204, 223, 5), &[13, 13, 13, 13], &[13, 13, 13, 13]),
        ("timestamp(hist)", (201, 220, 5), &[1, 1, 1, 1], &[1, 1, 1, 1]),
        (r#"max_over_time(three{a="1"}[10s])"#, (991, 1021, 10), &[1, 1, 0, 0], &[1, 1, 0, 0]),
        ("max_over_time(three[60s] @ 30)", (201, 220, 5), &[12, 12, 12, 12], &[12, 0, 0, 0]),
        ("max_over_time(three[60s])", (201, 220, 5), &[18, 18, 18, 18], &[18, 0, 3, 0]),
        ("max_over_time(three[60s:5s])", (201, 220, 5), &[36, 36, 36, 36], &[36, 3, 3, 3]),
        ("sum by (b) (max_over_time(one[60s:5s]))", (201, 220, 5), &[12, 12, 12, 12], &[12, 1, 1, 1]),
        (sums, (201, 216, 5), &[48, 48, 48, 48], &[48, 4, 4, 4]),
        ("max_over_time(one[30s:10s])", (201, 231, 30), &[3, 3], &[3, 3]),
        ("max_over_time(one[20s:10s])", (201, 261, 10), &[2; 7], &[2, 1, 1, 1, 1, 1, 1]),
        ("max_over_time(three[60s:10s])", (200, 400, 30), &[18; 7], &[18, 9, 9, 9, 9, 9, 9]),
        ("predict_linear(one[60s] @ 100, 60)", (100, 300, 100), &[6, 6, 6], &[6, 0, 0]),
    ];
    for (query, times, total, read) in cases {
        check(&store, query, *times, total, read);
    }
}

#[test]
fn windows_of_histograms() {
    let store = store();
    check(&store, "max_over_time(hist[60s])[20s:5s]", (201, 201, 0), &[312], &[104]);
    check(&store, "avg_over_time(hist[2m:1m])", (120, 240, 60), &[26, 26, 26], &[26, 13, 13]);
}

#[test]
fn figures_cost_nothing_unless_asked_for() {
    let stats = ask(&store(), "max_over_time(one[60s])", (201, 220, 5), StatsLevel::Cheap).stats;
    assert_eq!((stats.per_step, stats.total_samples == stats.samples_read), (None, true));
    assert!(stats.peak_bytes > 0);
}
