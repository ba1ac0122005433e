//! The Prometheus role's own metrics, under upstream's names.

use std::sync::Arc;

use model::{LabelSet, MetricType};
use telemetry::{Family, Registry, labelled, register_process_metrics, single};
use web::api::BuildInfo;

use MetricType::{Counter, Gauge};

/// Registers everything but the store's metrics that is asked for at each gathering.
pub(crate) fn register(
    registry: &Registry,
    build: &BuildInfo,
    engine: &Arc<promql::Engine>,
    scrape: &Arc<scrape::Manager>,
    rules: &Arc<rules::Manager>,
    notifier: &Arc<notifier::Manager>,
) {
    register_process_metrics(registry);
    register_build_info(registry, "prometheus_build_info", build);
    registry.register(|| {
        vec![single("prometheus_ready", "Whether Prometheus startup was fully completed.", Gauge, 1.0)]
    });
    let engine = Arc::clone(engine);
    registry.register(move || engine_families(&engine));
    let scrape = Arc::clone(scrape);
    registry.register(move || scrape_families(&scrape));
    let rules = Arc::clone(rules);
    registry.register(move || rule_families(&rules));
    let notifier = Arc::clone(notifier);
    registry.register(move || notifier_families(&notifier));
}

/// `NAME{version,revision,branch,goversion,…} 1`
pub(crate) fn register_build_info(registry: &Registry, name: &'static str, build: &BuildInfo) {
    let labels = LabelSet::from_pairs([
        ("version", build.version.as_str()),
        ("revision", build.revision.as_str()),
        ("branch", build.branch.as_str()),
        ("goversion", build.go_version.as_str()),
        ("goos", std::env::consts::OS),
        ("goarch", std::env::consts::ARCH),
    ]);
    registry.register(move || {
        let help = "A metric with a constant '1' value labeled by version, revision, branch and the compiler it was built with.";
        vec![labelled(name, help, Gauge, [(labels.clone(), 1.0)])]
    });
}

fn engine_families(engine: &promql::Engine) -> Vec<Family> {
    vec![
        single(
            "prometheus_engine_queries",
            "The current number of queries being executed or waiting.",
            Gauge,
            engine.queries() as f64,
        ),
        single(
            "prometheus_engine_queries_concurrent_max",
            "The max number of concurrent queries.",
            Gauge,
            engine.options().max_concurrency as f64,
        ),
    ]
}

fn scrape_families(scrape: &scrape::Manager) -> Vec<Family> {
    let s = scrape.stats();
    let counter = |name, help, v: u64| single(name, help, Counter, v as f64);
    let mut per_pool = std::collections::BTreeMap::<String, usize>::new();
    for target in scrape.active_targets() {
        *per_pool.entry(target.scrape_pool).or_default() += 1;
    }
    vec![
        labelled(
            "prometheus_target_scrape_pool_targets",
            "Current number of targets in this scrape pool.",
            Gauge,
            per_pool.into_iter().map(|(pool, n)| (LabelSet::from_pairs([("scrape_job", pool)]), n as f64)),
        ),
        counter(
            "prometheus_target_scrapes_sample_out_of_order_total",
            "Total number of samples rejected due to not being out of the expected order.",
            s.sample_out_of_order,
        ),
        counter(
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "Total number of samples rejected due to duplicate timestamps but different values.",
            s.sample_duplicate_timestamp,
        ),
        counter(
            "prometheus_target_scrapes_sample_out_of_bounds_total",
            "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            s.sample_out_of_bounds,
        ),
        counter(
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "Total number of scrapes that hit the sample limit and were rejected.",
            s.exceeded_sample_limit,
        ),
        counter(
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "Total number of scrapes that hit the body size limit",
            s.exceeded_body_size_limit,
        ),
    ]
}

fn rule_families(rules: &rules::Manager) -> Vec<Family> {
    let groups = rules.stats().groups;
    let key = |g: &rules::GroupStats| LabelSet::from_pairs([("rule_group", g.key.as_str())]);
    let each = |name, help, kind, value: fn(&rules::GroupStats) -> f64| {
        labelled(name, help, kind, groups.iter().map(|g| (key(g), value(g))))
    };
    vec![
        each("prometheus_rule_group_interval_seconds", "The interval of a rule group.", Gauge, |g| {
            g.interval.as_secs_f64()
        }),
        each("prometheus_rule_group_rules", "The number of rules.", Gauge, |g| g.rules as f64),
        each(
            "prometheus_rule_group_last_duration_seconds",
            "The duration of the last rule group evaluation.",
            Gauge,
            |g| g.last_duration.as_secs_f64(),
        ),
        each(
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            "The timestamp of the last rule group evaluation in seconds.",
            Gauge,
            |g| g.last_evaluation_ms.map_or(0.0, |t| t as f64 / 1000.0),
        ),
        each(
            "prometheus_rule_group_last_evaluation_samples",
            "The number of samples returned during the last rule group evaluation.",
            Gauge,
            |g| g.samples as f64,
        ),
        each(
            "prometheus_rule_group_iterations_total",
            "The total number of scheduled rule group evaluations, whether executed or missed.",
            Counter,
            |g| g.iterations as f64,
        ),
        each(
            "prometheus_rule_group_iterations_missed_total",
            "The total number of rule group evaluations missed due to slow rule group evaluation.",
            Counter,
            |g| g.iterations_missed as f64,
        ),
        each("prometheus_rule_evaluations_total", "The total number of rule evaluations.", Counter, |g| {
            g.evaluations as f64
        }),
        each(
            "prometheus_rule_evaluation_failures_total",
            "The total number of rule evaluation failures.",
            Counter,
            |g| g.failures as f64,
        ),
    ]
}

fn notifier_families(notifier: &notifier::Manager) -> Vec<Family> {
    let stats = notifier.stats();
    let by = |value: fn(&notifier::AlertmanagerStats) -> f64| {
        stats
            .alertmanagers
            .iter()
            .map(|s| (LabelSet::from_pairs([("alertmanager", s.url.as_str())]), value(s)))
            .collect::<Vec<_>>()
    };
    vec![
        labelled(
            "prometheus_notifications_sent_total",
            "Total number of alerts sent.",
            Counter,
            by(|s| s.sent as f64),
        ),
        labelled(
            "prometheus_notifications_errors_total",
            "Total number of sent alerts affected by errors.",
            Counter,
            by(|s| s.errors as f64),
        ),
        labelled(
            "prometheus_notifications_dropped_total",
            "Total number of alerts dropped due to errors when sending to Alertmanager.",
            Counter,
            by(|s| s.dropped as f64),
        ),
        labelled(
            "prometheus_notifications_queue_length",
            "The number of alert notifications in the queue.",
            Gauge,
            by(|s| s.queue_length as f64),
        ),
        single(
            "prometheus_notifications_queue_capacity",
            "The capacity of the alert notifications queue.",
            Gauge,
            stats.queue_capacity as f64,
        ),
        single(
            "prometheus_notifications_alertmanagers_discovered",
            "The number of alertmanagers discovered and active.",
            Gauge,
            stats.alertmanagers.len() as f64,
        ),
    ]
}
