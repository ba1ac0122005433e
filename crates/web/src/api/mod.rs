//! `/api/v1`, `/-/…` and `/metrics` of the Prometheus role.

mod admin;
mod alerts;
mod envelope;
mod exemplars;
mod features;
mod lifecycle;
mod params;
mod query;
mod result;
mod series;
mod status;
mod targets;
mod turns;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::routing::{get, post};
use parking_lot::RwLock;
use promql::StatsLevel;
use storage::{ExemplarReader, LeafExecutor, QueryContext, StoreAdmin, StoreStatus};
use telemetry::Registry;

use envelope::{ApiError, ErrorType};
pub use features::Features;
pub use lifecycle::{Lifecycle, ReloadRequest};
pub use result::stats_json;
pub use status::{BuildInfo, RuntimeFacts};
pub use turns::Turns;
pub use write::RemoteWrite;

/// What the handlers stand on.
pub struct Api {
    /// Evaluates queries.
    pub engine: Arc<promql::Engine>,
    /// How many requests are worked on at once.
    pub turns: Turns,
    /// What is on and what is off.
    pub features: Features,
    /// Where samples are read.
    pub store: Arc<dyn LeafExecutor>,
    /// What the store says of itself.
    pub store_status: Arc<dyn StoreStatus>,
    /// Deletes, snapshots, blocks.
    pub store_admin: Arc<dyn StoreAdmin>,
    /// `--web.enable-admin-api`
    pub enable_admin: bool,
    /// Where exemplars are read; `None` where none are kept.
    pub exemplars: Option<Arc<dyn ExemplarReader>>,
    /// The remote write receiver; `None` unless `--web.enable-remote-write-receiver`.
    pub remote_write: Option<RemoteWrite>,
    /// Targets.
    pub scrape: Arc<scrape::Manager>,
    /// Rule groups and alerts.
    pub rules: Arc<rules::Manager>,
    /// Alertmanagers.
    pub notifier: Arc<notifier::Manager>,
    /// The process's own metrics.
    pub registry: Registry,
    /// The configuration in force, as `/status/config` shows it.
    pub config_yaml: Arc<RwLock<String>>,
    /// Flags and their values in force.
    pub flags: BTreeMap<String, String>,
    /// Ready, reload, quit.
    pub lifecycle: Lifecycle,
    /// For `/status/runtimeinfo`.
    pub runtime: RuntimeFacts,
    /// For `/status/buildinfo`.
    pub build: BuildInfo,
    /// `--web.external-url`: scheme, host, path.
    pub external_url: url::Url,
    /// `--web.cors.origin`, anchored.
    pub cors_origin: regex::Regex,
    /// The port this process listens on, to tell which addresses mean this host.
    pub listen_port: u16,
    /// Milliseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// `prometheus_http_requests_total`, by handler and code.
    pub http_requests: telemetry::CounterVec,
    /// `prometheus_http_request_duration_seconds`, by handler.
    pub http_durations: telemetry::HistogramVec,
}

impl Api {
    fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// Runs `read`, which asks the store for names and the like, within the bounds of a query and only as long as the client waits.
    async fn metadata<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn LeafExecutor, &QueryContext) -> Result<T, storage::Error> + Send + 'static,
    ) -> Result<T, ApiError> {
        let context = Arc::new(self.engine.context(Instant::now(), None, StatsLevel::Cheap));
        let _guard = turns::CancelOnDrop(Arc::clone(&context));
        let turn = self.turns.metadata(&context).await?;
        let store = Arc::clone(&self.store);
        let work = move || {
            let _turn = turn;
            read(&*store, &context)
        };
        Ok(blocking(work).await??)
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

/// The whole router of the Prometheus role, without a route prefix.
pub fn router(api: Arc<Api>) -> Router {
    let v1 = Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(exemplars::query).post(exemplars::query))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(query::parse).post(query::parse))
        .route("/features", get(features::features))
        .route("/series", get(series::series).post(series::series))
        .route("/labels", get(series::labels).post(series::labels))
        .route("/label/{name}/values", get(series::label_values))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::target_metadata))
        .route("/scrape_pools", get(targets::scrape_pools))
        .route("/metadata", get(targets::metadata))
        .route("/rules", get(alerts::rules))
        .route("/alerts", get(alerts::alerts))
        .route("/alertmanagers", get(alerts::alertmanagers))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(admin::blocks))
        .route("/status/walreplay", get(status::walreplay))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .layer(tower_http::compression::CompressionLayer::new())
        .route("/write", post(write::write))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&api), lifecycle::require_ready))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&api), lifecycle::cors));
    Router::new()
        .nest("/api/v1", v1)
        .route("/-/healthy", get(lifecycle::healthy))
        .route("/-/ready", get(lifecycle::ready))
        .route("/-/reload", post(lifecycle::reload).put(lifecycle::reload).get(lifecycle::only_post_or_put))
        .route("/-/quit", post(lifecycle::quit).put(lifecycle::quit).get(lifecycle::only_post_or_put))
        .route("/metrics", get(lifecycle::metrics))
        .route("/version", get(status::version))
        .fallback(lifecycle::page)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&api), lifecycle::measure))
        .with_state(api)
}

/// Runs `f` on a thread that may block.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(f)
        .await
        .map_err(|e| ApiError::new(ErrorType::Internal, format!("the evaluation ended abnormally: {e}")))
}
