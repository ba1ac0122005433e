//! Every metric the application exposes, under the names its dashboards and alerts use.
//!
//! Encoded as OpenMetrics 1.0. Counters end in `_total`, but for `cache_hits` and `cache_misses`: the
//! dashboards name these bare, which a counter cannot be in OpenMetrics, so they are of unknown type.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::process::ProcessCollector;

/// What `/metrics` answers with.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds, those of the Python client.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    endpoint: String,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    method: String,
    endpoint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

/// A count exposed under its bare name.
#[derive(Clone, Debug, Default)]
struct BareCount(Arc<AtomicU64>);

impl BareCount {
    fn inc(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl EncodeMetric for BareCount {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        ConstGauge::new(self.0.load(Ordering::Relaxed)).encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Unknown
    }
}

/// Exposed by hand, so that its type line says `unknown`.
#[derive(Debug)]
struct CacheCounts {
    hits: BareCount,
    misses: BareCount,
}

impl Collector for CacheCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, help, count) in [
            ("cache_hits", "Searches answered from the cache", &self.hits),
            ("cache_misses", "Searches that had to ask the database", &self.misses),
        ] {
            count.encode(encoder.encode_descriptor(name, help, None, count.metric_type())?)?;
        }
        Ok(())
    }
}

/// Handles on all metrics; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_duration: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    listings_scraped: Family<SourceLabels, Counter>,
    errors: Counter,
    scraping_duration: Histogram,
    active_requests: Gauge,
    database_connections: Gauge,
    cache_hits: BareCount,
    cache_misses: BareCount,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    pub(crate) fn new(sources: &[&str]) -> Self {
        let mut registry = Registry::default();
        fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
            registry.register(name, help, metric.clone());
            metric
        }
        let r = &mut registry;
        let requests = register(r, "requests", "HTTP requests answered", Family::default());
        let request_duration = register(
            r,
            "request_duration_seconds",
            "Time to answer a request",
            Family::new_with_constructor(histogram as fn() -> Histogram),
        );
        let listings_scraped =
            register(r, "listings_scraped", "Listings read from the sites", Family::default());
        let errors = register(r, "errors", "Failed requests and failed page fetches", Counter::default());
        let scraping_duration =
            register(r, "scraping_duration_seconds", "Time to read one whole site", histogram());
        let active_requests = register(r, "active_requests", "Requests being answered now", Gauge::default());
        let database_connections =
            register(r, "database_connections", "Open connections to the database", Gauge::default());
        let (cache_hits, cache_misses) = (BareCount::default(), BareCount::default());
        let counts = CacheCounts { hits: cache_hits.clone(), misses: cache_misses.clone() };
        r.register_collector(Box::new(counts));
        r.register_collector(Box::new(ProcessCollector));
        // A labelled counter that starts with its first event hides that event from rate().
        for source in sources {
            drop(listings_scraped.get_or_create(&SourceLabels { source: (*source).to_owned() }));
        }
        Self {
            registry: Arc::new(registry),
            requests,
            request_duration,
            listings_scraped,
            errors,
            scraping_duration,
            active_requests,
            database_connections,
            cache_hits,
            cache_misses,
        }
    }

    /// The whole exposition, ending in `# EOF`.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Counts one answered request; a server error also counts as an error.
    pub(crate) fn request(&self, method: &str, endpoint: &str, status: u16, took: Duration) {
        let labels = RequestLabels {
            method: method.to_owned(),
            endpoint: endpoint.to_owned(),
            status: status.to_string(),
        };
        self.requests.get_or_create(&labels).inc();
        let labels = EndpointLabels { method: labels.method, endpoint: labels.endpoint };
        self.request_duration.get_or_create(&labels).observe(took.as_secs_f64());
        if status >= 500 {
            self.errors.inc();
        }
    }

    pub(crate) fn scraped(&self, source: &str, listings: u64) {
        self.listings_scraped.get_or_create(&SourceLabels { source: source.to_owned() }).inc_by(listings);
    }

    pub(crate) fn site_done(&self, took: Duration) {
        self.scraping_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn error(&self) {
        self.errors.inc();
    }

    pub(crate) fn cache_hit(&self) {
        self.cache_hits.inc();
    }

    pub(crate) fn cache_miss(&self) {
        self.cache_misses.inc();
    }

    /// One more request in work until the guard is dropped.
    pub(crate) fn request_in_work(&self) -> Held {
        Held::new(&self.active_requests)
    }

    /// One more open database connection until the guard is dropped.
    pub(crate) fn connection_open(&self) -> Held {
        Held::new(&self.database_connections)
    }
}

/// Keeps a gauge one higher for as long as it lives.
#[derive(Debug)]
pub(crate) struct Held(Gauge<i64, AtomicI64>);

impl Held {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_names_are_those_of_the_dashboards() {
        let metrics = Metrics::new(&["centrale"]);
        metrics.request("GET", "/api/listings", 200, Duration::from_millis(3));
        metrics.request("GET", "/api/listings", 500, Duration::from_millis(3));
        metrics.scraped("centrale", 12);
        metrics.cache_hit();
        metrics.site_done(Duration::from_secs(1));
        let guard = metrics.request_in_work();
        let text = metrics.encode().unwrap();
        for line in [
            r#"requests_total{method="GET",endpoint="/api/listings",status="500"} 1"#,
            r#"request_duration_seconds_bucket{le="0.005",method="GET",endpoint="/api/listings"} 2"#,
            r#"request_duration_seconds_count{method="GET",endpoint="/api/listings"} 2"#,
            r#"listings_scraped_total{source="centrale"} 12"#,
            "errors_total 1",
            "# TYPE cache_hits unknown",
            "cache_hits 1",
            "cache_misses 0",
            "scraping_duration_seconds_sum 1.0",
            "active_requests 1",
            "database_connections 0",
            "# TYPE process_cpu_seconds counter",
        ] {
            assert!(text.lines().any(|l| l == line), "no line `{line}` in:\n{text}");
        }
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_virtual_memory_bytes ",
            "process_start_time_seconds ",
            "process_open_fds ",
            "process_max_fds ",
        ] {
            assert!(text.lines().any(|l| l.starts_with(name)), "no sample `{name}` in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
        drop(guard);
        assert!(metrics.encode().unwrap().contains("\nactive_requests 0\n"));
    }
}
