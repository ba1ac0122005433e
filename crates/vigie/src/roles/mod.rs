//! The roles: each takes its flags, puts its parts together, serves until told to stop.

mod active_queries;
pub(crate) mod alertmanager;
mod built_in;
mod configuration;
pub(crate) mod dashboards;
mod exporter;
mod features;
mod metrics;
pub(crate) mod node_exporter;
pub(crate) mod postgres_exporter;
pub(crate) mod prometheus;
pub(crate) mod promtool;
mod query_log;
mod query_watch;
pub(crate) mod redis_exporter;
pub(crate) mod run;
mod store;
mod store_metrics;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use tokio::net::TcpListener;
use web::server::{ServerOptions, Shutdown};

use crate::Failure;

/// The process's clock: milliseconds since the Unix epoch.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The system's clock.
pub(crate) fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// The runtime all async parts share.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Both TLS libraries' users in the tree share one provider, installed once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("start the runtime: {e}")))
}

/// Serves `router` on all addresses until `shutdown`; tells the first failure.
pub(crate) async fn serve_all(
    addresses: &[String],
    router: Router,
    options: &ServerOptions,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = web::server::bind(address).await.map_err(|e| Failure::new(e.to_string()))?;
        tracing::info!(address = %address, "Listening on");
        listeners.push(listener);
    }
    serve_listeners(listeners, router, options, shutdown).await
}

/// Serves `router` on listeners until `shutdown`; tells the first failure.
pub(crate) async fn serve_listeners(
    listeners: Vec<TcpListener>,
    router: Router,
    options: &ServerOptions,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        let (router, options, shutdown) = (router.clone(), options.clone(), shutdown.clone());
        tasks.spawn(async move { web::server::serve(listener, router, &options, shutdown).await });
    }
    while let Some(ended) = tasks.join_next().await {
        let outcome = ended.unwrap_or_else(|e| Err(format!("a listener ended abnormally: {e}")));
        if let Err(e) = outcome {
            shutdown.signal();
            return Err(Failure::new(e));
        }
    }
    Ok(())
}

/// Puts all routes of `router` under `prefix` (`/` for none).
pub(crate) fn under_prefix(router: Router, prefix: &str) -> Router {
    let prefix = format!("/{}", prefix.trim_matches('/'));
    if prefix == "/" { router } else { Router::new().nest(&prefix, router) }
}

/// `--web.external-url`, by default this host and the first listener's port.
pub(crate) fn external_url(given: &str, listen: &str) -> Result<url::Url, Failure> {
    let text = if given.is_empty() {
        let port = listen.rsplit_once(':').map_or("", |(_, p)| p);
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
        format!("http://{host}:{port}/")
    } else if given.contains("://") {
        given.to_owned()
    } else {
        format!("http://{given}")
    };
    url::Url::parse(&text).map_err(|e| {
        Failure::new(format!("--web.external-url: {given:?}: {e}; write it as http://host:port/path"))
    })
}

/// Creates a directory that only its owner may enter, with its name in the error.
pub(crate) fn create_dir(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|e| Failure::new(format!("create {}: {e}", path.display())))
}
