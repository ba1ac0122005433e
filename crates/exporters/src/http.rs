//! The HTTP side of an exporter: the metrics page with the process's own metrics around it, and the landing page.
//!
//! An exporter's router serves a socket and the scraper of its own process alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, Uri, header};
use telemetry::{Counter, CounterVec, Registry};

use crate::{Exporter, Page, Query};

/// What is exposed besides the exporter's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnMetrics {
    /// Nothing.
    None,
    /// `process_*`.
    ProcessAlone,
    /// `process_*` and `promhttp_metric_handler_requests_*`.
    Process,
    /// These and `promhttp_metric_handler_errors_total`.
    ProcessAndErrors,
}

/// How the metrics page is served.
#[derive(Debug, Clone, Copy)]
pub struct MetricsOptions {
    /// What is exposed besides the exporter's page.
    pub own: OwnMetrics,
    /// Scrapes at once; more are answered with 503. 0: no limit.
    pub max_requests: usize,
}

/// Serves an exporter's page at `path`.
pub fn metrics(path: &str, exporter: Arc<dyn Exporter>, options: MetricsOptions) -> Router {
    let handler = Arc::new(Metrics::new(exporter, options));
    let route = get(move |uri: Uri, headers: HeaderMap| {
        let handler = Arc::clone(&handler);
        async move { handler.answer(&uri, &headers).await }
    });
    Router::new().route(path, route)
}

struct Metrics {
    exporter: Arc<dyn Exporter>,
    max_requests: usize,
    in_flight: Arc<AtomicUsize>,
    registry: Registry,
    requests: CounterVec,
    /// What pages could not hold.
    gathering_errors: Option<Counter>,
}

const CODES: [&str; 3] = ["200", "500", "503"];

impl Metrics {
    fn new(exporter: Arc<dyn Exporter>, options: MetricsOptions) -> Self {
        let registry = Registry::new();
        let in_flight = Arc::new(AtomicUsize::new(0));
        if options.own != OwnMetrics::None {
            telemetry::register_process_metrics(&registry);
        }
        let requests = if matches!(options.own, OwnMetrics::None | OwnMetrics::ProcessAlone) {
            // Counted, but not exposed.
            Registry::new().counter("promhttp_metric_handler_requests_total", "", &["code"])
        } else {
            let shown = Arc::clone(&in_flight);
            registry.register(move || {
                let help = "Current number of scrapes being served.";
                let value = shown.load(Ordering::Relaxed) as f64;
                let name = "promhttp_metric_handler_requests_in_flight";
                vec![telemetry::single(name, help, model::MetricType::Gauge, value)]
            });
            let help = "Total number of scrapes by HTTP status code.";
            registry.counter("promhttp_metric_handler_requests_total", help, &["code"])
        };
        for code in CODES {
            let _: Counter = requests.with(&[code]);
        }
        let mut gathering_errors = None;
        if options.own == OwnMetrics::ProcessAndErrors {
            let help = "Total number of internal errors encountered by the promhttp metric handler.";
            let errors = registry.counter("promhttp_metric_handler_errors_total", help, &["cause"]);
            let _: Counter = errors.with(&["encoding"]);
            gathering_errors = Some(errors.with(&["gathering"]));
        }
        Self { exporter, max_requests: options.max_requests, in_flight, registry, requests, gathering_errors }
    }

    async fn answer(&self, uri: &Uri, headers: &HeaderMap) -> Response {
        let turn = Turn::take(&self.in_flight);
        if self.max_requests > 0 && turn.taken > self.max_requests {
            self.requests.with(&["503"]).inc();
            let text =
                format!("Limit of concurrent requests reached ({}), try again later.\n", self.max_requests);
            return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        }
        match self.exporter.gather(&query(uri, headers)).await {
            Ok(page) => {
                if let Some(errors) = &self.gathering_errors {
                    errors.add(page.errors() as f64);
                }
                let response = text(page.render_with(&self.registry.gather()));
                self.requests.with(&["200"]).inc();
                response
            }
            Err(refusal) => {
                if refusal.status == 500 {
                    self.requests.with(&["500"]).inc();
                }
                refusal.into_response()
            }
        }
    }
}

/// A scrape under way.
struct Turn<'m> {
    in_flight: &'m AtomicUsize,
    /// How many there are with this one.
    taken: usize,
}

impl<'m> Turn<'m> {
    fn take(in_flight: &'m AtomicUsize) -> Self {
        Self { in_flight, taken: in_flight.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl IntoResponse for crate::Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, format!("{}\n", self.message.trim_end())).into_response()
    }
}

/// The answer with a page alone, for `/probe` and `/scrape`.
#[must_use]
pub fn page(page: &Page) -> Response {
    text(page.render())
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, exposition::content::Encoding::TEXT.content_type())], body).into_response()
}

/// What a request asks for.
#[must_use]
pub fn query(uri: &Uri, headers: &HeaderMap) -> Query {
    let timeout = headers
        .get("X-Prometheus-Scrape-Timeout-Seconds")
        .and_then(|v| v.to_str().ok()?.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|timeout| !timeout.is_zero());
    Query::parse(uri.query().unwrap_or("")).with_timeout(timeout)
}

/// The page on `/`.
#[derive(Debug, Clone, Copy)]
pub struct Landing<'a> {
    /// Such as `Node Exporter`.
    pub name: &'a str,
    /// One sentence.
    pub description: &'a str,
    /// The program's version.
    pub version: &'a str,
    /// Address and text of each link.
    pub links: &'a [(&'a str, &'a str)],
}

impl Landing<'_> {
    /// The page as HTML.
    #[must_use]
    pub fn html(&self) -> String {
        let (name, description, version) =
            (escape(self.name), escape(self.description), escape(self.version));
        let links: String = self
            .links
            .iter()
            .map(|(address, text)| format!("<li><a href=\"{}\">{}</a></li>\n", escape(address), escape(text)))
            .collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"UTF-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1.0\">\n<title>{name}</title>\n\
             <style>body{{font-family:sans-serif;margin:0}}header{{background:#24506b;color:#fff;padding:1rem 1.5rem}}\
             main{{padding:1rem 1.5rem}}h1{{margin:0;font-size:1.6rem}}</style>\n</head>\n<body>\n\
             <header><h1>{name}</h1></header>\n<main>\n<h2>{description}</h2>\n<div>Version: {version}</div>\n\
             <ul>\n{links}</ul>\n</main>\n</body>\n</html>\n"
        )
    }

    /// The page as a route on `/`.
    pub fn route(&self) -> Router {
        let html = self.html();
        Router::new().route("/", get(move || std::future::ready(Html(html.clone()))))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;
    use crate::{Gathering, Kind, Refusal};

    struct Echo;

    impl Exporter for Echo {
        fn gather<'a>(&'a self, query: &'a Query) -> Gathering<'a> {
            Box::pin(async move {
                if let Some(wrong) = query.get("wrong") {
                    return Err(Refusal::bad_request(wrong));
                }
                let mut page = Page::new();
                let timeout = query.timeout.map_or(0.0, |t| t.as_secs_f64());
                page.single("echo_timeout_seconds", "T.", Kind::Gauge, timeout);
                Ok(page)
            })
        }
    }

    async fn ask(router: &Router, uri: &str) -> (u16, String) {
        let request = Request::get(uri)
            .header("X-Prometheus-Scrape-Timeout-Seconds", "2.5")
            .body(Body::empty())
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn answers_with_the_page_and_counts_itself() {
        let options = MetricsOptions { own: OwnMetrics::ProcessAndErrors, max_requests: 40 };
        let router = metrics("/metrics", Arc::new(Echo), options);
        assert_eq!(ask(&router, "/metrics?wrong=so").await, (400, "so\n".to_owned()));
        ask(&router, "/metrics").await;
        let (status, text) = ask(&router, "/metrics").await;
        assert_eq!(status, 200);
        for line in [
            "echo_timeout_seconds 2.5",
            "promhttp_metric_handler_requests_total{code=\"200\"} 1",
            "promhttp_metric_handler_requests_in_flight 1",
            "promhttp_metric_handler_errors_total{cause=\"gathering\"} 0",
            "# TYPE process_open_fds gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }

    struct Slow;

    impl Exporter for Slow {
        fn gather<'a>(&'a self, _: &'a Query) -> Gathering<'a> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn more_than_the_permitted_scrapes_are_turned_away() {
        let options = MetricsOptions { own: OwnMetrics::None, max_requests: 1 };
        let router = metrics("/metrics", Arc::new(Slow), options);
        let mut first = Box::pin(ask(&router, "/metrics"));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut first).await.is_err());
        let (status, text) = ask(&router, "/metrics").await;
        assert_eq!(
            (status, text.as_str()),
            (503, "Limit of concurrent requests reached (1), try again later.\n")
        );
    }

    #[tokio::test]
    async fn the_landing_page_links_and_escapes() {
        let landing =
            Landing { name: "A <b>", description: "D", version: "1", links: &[("/metrics", "Metrics")] };
        let (status, html) = ask(&landing.route(), "/").await;
        assert_eq!(status, 200);
        assert!(html.contains("<a href=\"/metrics\">Metrics</a>") && html.contains("A &lt;b&gt;"), "{html}");
    }
}
