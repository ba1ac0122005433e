//! What the Prometheus role keeps of queries: the file of active ones, the query log, and the engine's metrics under upstream's names.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{LabelSet, MetricType};
use parking_lot::Mutex;
use promql::{EngineOptions, QueryErrorKind, QueryRecord, QueryWatch, Slot};
use telemetry::{Counter, CounterVec, Family, FamilySample, Gauge, Histogram, Registry};

use super::Clock;
use super::active_queries::ActiveQueries;
use super::query_log::QueryLog;

/// What quantiles of query times look back on, as upstream's summaries.
const SUMMARY_AGE: Duration = Duration::from_secs(600);

/// At most as many observations as quantiles are computed from; more leave out the older ones.
const SUMMARY_OBSERVATIONS: usize = 2048;

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// Told of queries by the engine.
pub(crate) struct Watch {
    active: Option<ActiveQueries>,
    log: QueryLog,
    slices: Arc<[Slice; 4]>,
    samples: Counter,
    samples_read: Counter,
    refused: CounterVec,
    log_enabled: Gauge,
    log_failures: Counter,
    clock: Clock,
}

/// The times of one part of queries.
struct Slice {
    name: &'static str,
    buckets: Histogram,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    observations: VecDeque<(Instant, f64)>,
    sum: f64,
    count: u64,
}

impl Slice {
    fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.buckets.observe(seconds);
        let mut recent = self.recent.lock();
        if recent.observations.len() == SUMMARY_OBSERVATIONS {
            recent.observations.pop_front();
        }
        recent.observations.push_back((Instant::now(), seconds));
        recent.sum += seconds;
        recent.count += 1;
    }

    /// Quantiles of the last [`SUMMARY_AGE`], NaN where there was nothing; sum and count of all time.
    fn points(&self, out: &mut Vec<FamilySample>) {
        let labels = LabelSet::from_pairs([("slice", self.name)]);
        let mut recent = self.recent.lock();
        while recent.observations.front().is_some_and(|(at, _)| at.elapsed() > SUMMARY_AGE) {
            recent.observations.pop_front();
        }
        let mut sorted: Vec<f64> = recent.observations.iter().map(|(_, v)| *v).collect();
        sorted.sort_by(f64::total_cmp);
        for q in QUANTILES {
            // The smallest observation that at least the share q is not above.
            let rank = ((sorted.len() as f64 * q).ceil() as usize).saturating_sub(1);
            let value = sorted.get(rank).copied().unwrap_or(f64::NAN);
            let sample = FamilySample::new("", labels.clone(), value);
            out.push(FamilySample { bound: Some(("quantile", q)), ..sample });
        }
        out.push(FamilySample::new("_sum", labels.clone(), recent.sum));
        out.push(FamilySample::new("_count", labels, recent.count as f64));
    }
}

impl Watch {
    /// A watch whose file of active queries is in `dir` and has a place for each of `turns`.
    pub(crate) fn new(
        dir: &Path,
        turns: usize,
        options: &EngineOptions,
        registry: &Registry,
        clock: Clock,
    ) -> Self {
        let active = ActiveQueries::open(dir, turns, Arc::clone(&clock))
            .map_err(
                |e| tracing::warn!(err = %e, "Failed to create the file of active queries; going on without"),
            )
            .ok();
        let counter = |name, help| registry.counter(name, help, &[]).with(&[]);
        let gauge = |name, help| registry.gauge(name, help, &[]).with(&[]);
        let buckets = registry.histogram(
            "prometheus_engine_query_duration_histogram_seconds",
            "The duration of various parts of PromQL query execution.",
            &["slice"],
            &[0.01, 0.1, 1.0, 10.0],
        );
        let slices = ["inner_eval", "prepare_time", "queue_time", "result_sort"].map(|name| Slice {
            name,
            buckets: buckets.with(&[name]),
            recent: Mutex::default(),
        });
        let slices = Arc::new(slices);
        let of_summary = Arc::clone(&slices);
        registry.register(move || {
            let mut samples = Vec::new();
            of_summary.iter().for_each(|slice| slice.points(&mut samples));
            vec![Family {
                name: "prometheus_engine_query_duration_seconds".to_owned(),
                help: "Query timings".to_owned(),
                kind: MetricType::Summary,
                samples,
                ..Family::default()
            }]
        });
        gauge(
            "vigie_engine_query_max_bytes",
            "The most bytes a query may hold at once (--query.vigie.max-memory).",
        )
        .set(options.max_bytes as f64);
        Self {
            active,
            log: QueryLog::default(),
            slices,
            samples: counter(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries (full window per step for range-vector).",
            ),
            samples_read: counter(
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read by all queries (only new points per step for range-vector).",
            ),
            refused: registry.counter(
                "vigie_engine_queries_ended_total",
                "Queries that were ended before they had a result, by what they had too much of, or because nobody waited any more.",
                &["reason"],
            ),
            log_enabled: gauge("prometheus_engine_query_log_enabled", "State of the query log."),
            log_failures: counter(
                "prometheus_engine_query_log_failures_total",
                "The number of query log failures.",
            ),
            clock,
        }
    }

    /// Puts `global.query_log_file` in force; the file is opened again each time, so that it can be rotated.
    pub(crate) fn open_log(&self, path: &str) -> Result<(), String> {
        self.log.open(path)?;
        self.log_enabled.set(f64::from(u8::from(self.log.is_open())));
        Ok(())
    }
}

/// The slot of a query that found no place in the file.
const NOWHERE: Slot = Slot(usize::MAX);

impl QueryWatch for Watch {
    fn began(&self, query: &str) -> Slot {
        self.active.as_ref().and_then(|active| active.insert(query)).map_or(NOWHERE, Slot)
    }

    fn ended(&self, slot: Slot) {
        if let (Some(active), true) = (&self.active, slot != NOWHERE) {
            active.delete(slot.0);
        }
    }

    fn finished(&self, record: &QueryRecord<'_>) {
        let stats = record.stats;
        for (slice, took) in self.slices.iter().zip([stats.eval, stats.prepare, stats.queue, stats.sort]) {
            slice.observe(took);
        }
        self.samples.add(stats.total_samples as f64);
        self.samples_read.add(stats.samples_read as f64);
        let reason = record.error.and_then(|e| match e.kind {
            QueryErrorKind::TooManySamples => Some("samples"),
            QueryErrorKind::TooManyBytes => Some("bytes"),
            QueryErrorKind::Timeout => Some("time"),
            QueryErrorKind::Canceled => Some("canceled"),
            QueryErrorKind::BadData | QueryErrorKind::Execution | QueryErrorKind::Internal => None,
        });
        if let Some(reason) = reason {
            self.refused.with(&[reason]).inc();
        }
        if let Err(e) = self.log.write(record, (self.clock)()) {
            self.log_failures.inc();
            tracing::error!(err = %e, "can't log query");
        }
    }

    fn wants_stats(&self) -> bool {
        self.log.is_open()
    }
}

#[cfg(test)]
mod tests {
    use promql::{QueryError, QueryStats};

    use super::*;

    #[test]
    fn queries_become_metrics() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let watch = Watch::new(dir.path(), 2, &EngineOptions::default(), &registry, Arc::new(|| 0));
        let error = QueryError::new(QueryErrorKind::TooManyBytes, "too much");
        for i in 1..=10 {
            let slot = watch.began("up");
            let stats =
                QueryStats { eval: Duration::from_millis(i), total_samples: 2, ..QueryStats::default() };
            watch.ended(slot);
            watch.finished(&QueryRecord {
                query: "up",
                start_ms: 0,
                end_ms: 0,
                step_ms: 0,
                origin: None,
                error: (i == 1).then_some(&error),
                stats: &stats,
            });
        }
        let text = String::from_utf8(exposition::encode(
            &registry.gather(),
            exposition::content::negotiate("text/plain"),
        ))
        .unwrap();
        for line in [
            "prometheus_engine_query_duration_seconds{slice=\"inner_eval\",quantile=\"0.5\"} 0.005",
            "prometheus_engine_query_duration_seconds{slice=\"inner_eval\",quantile=\"0.99\"} 0.01",
            "prometheus_engine_query_duration_seconds_count{slice=\"queue_time\"} 10",
            "prometheus_engine_query_duration_histogram_seconds_bucket{slice=\"inner_eval\",le=\"0.01\"} 10",
            "prometheus_engine_query_samples_total 20",
            "prometheus_engine_query_log_enabled 0",
            "vigie_engine_queries_ended_total{reason=\"bytes\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
