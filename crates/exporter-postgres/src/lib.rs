//! PostgreSQL's metrics under postgres_exporter's names, of 0.11 and of today ([`Names`]).
//!
//! A data source (`dsn`) is dialled once and kept (`session`); each scrape runs the collectors of [`TABLE`](collectors::TABLE) one after
//! the other (`server`), each with part of the time there is (`scrape`), so that what is slow or locked costs itself only. Most
//! collectors are a query and a [`table`] of its columns. Users' queries (`queries_file`, `custom`) come last.
//!
//! Values are the server's: nothing is kept between scrapes but connections, prepared statements and what users asked to cache.

mod auth;
mod collectors;
mod custom;
mod dial;
mod dsn;
mod exporter;
mod naming;
mod options;
mod probe;
mod queries_file;
mod rows;
mod scrape;
mod server;
mod session;
mod table;
mod tls;
mod version;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use exporters::http::{self, Landing, MetricsOptions, OwnMetrics};

pub use collectors::{Entry, TABLE};
pub use exporter::PostgresExporter;
pub use naming::Names;
pub use options::Options;

/// Scrapes under way or waiting at once; more are turned away.
const MAX_REQUESTS: usize = 40;

/// All routes: metrics, `/probe` and the landing page. Connects at the first scrape only.
pub fn router(options: Options, version: &str) -> Router {
    if options.sources.is_empty() {
        tracing::warn!(
            "no data source: neither DATA_SOURCE_NAME nor DATA_SOURCE_URI is set; only /probe has something to read"
        );
    }
    let options = Arc::new(options);
    let auth = Arc::new(auth::AuthFile::new(options.config_file.clone()));
    let exporter = Arc::new(PostgresExporter::new(Arc::clone(&options), Arc::clone(&auth)));
    let path = options.telemetry_path.clone();
    let metrics = MetricsOptions { own: OwnMetrics::Process, max_requests: MAX_REQUESTS };
    let prober = Arc::new(probe::Prober::new(Arc::clone(&options), auth));
    let probe = get(move |uri: ::http::Uri, headers: ::http::HeaderMap| {
        let prober = Arc::clone(&prober);
        async move { prober.answer(&http::query(&uri, &headers)).await }
    });
    let mut router = http::metrics(&path, exporter, metrics);
    if path != "/probe" {
        router = router.route("/probe", probe);
    }
    if path == "/" {
        return router;
    }
    let landing = Landing {
        name: "Postgres Exporter",
        description: "Prometheus PostgreSQL server Exporter",
        version,
        links: &[(&path, "Metrics")],
    };
    router.merge(landing.route())
}
