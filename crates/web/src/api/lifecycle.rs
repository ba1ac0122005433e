//! Health, readiness, reload, quit, own metrics; CORS; the pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::Api;
use crate::metrics::metrics_response;
use crate::server::Shutdown;

/// A wish to reload; the wiring answers with the outcome.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// How the last reload went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReloadState {
    /// Whether the last attempt succeeded.
    pub success: bool,
    /// When one last did, in milliseconds since the Unix epoch.
    pub last_success_ms: i64,
}

/// Ready, reload, quit.
pub struct Lifecycle {
    ready: AtomicBool,
    enabled: bool,
    reloads: mpsc::Sender<ReloadRequest>,
    last_reload: Mutex<ReloadState>,
    shutdown: Shutdown,
}

impl Lifecycle {
    /// Not ready yet. `enabled` is `--web.enable-lifecycle`; wishes to reload go to `reloads`.
    #[must_use]
    pub fn new(enabled: bool, reloads: mpsc::Sender<ReloadRequest>, shutdown: Shutdown) -> Self {
        let last = ReloadState { success: false, last_success_ms: 0 };
        Self { ready: AtomicBool::new(false), enabled, reloads, last_reload: Mutex::new(last), shutdown }
    }

    /// From now on requests are answered.
    pub fn set_ready(&self) {
        // Release: what was set up before is seen by whoever sees the flag.
        self.ready.store(true, Ordering::Release);
    }

    /// Notes the outcome of a reload (or of the first load).
    pub fn note_reload(&self, success: bool, now_ms: i64) {
        let mut last = self.last_reload.lock();
        last.success = success;
        if success {
            last.last_success_ms = now_ms;
        }
    }

    /// How the last reload went.
    #[must_use]
    pub fn last_reload(&self) -> ReloadState {
        *self.last_reload.lock()
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycle").finish_non_exhaustive()
    }
}

pub(super) async fn healthy() -> &'static str {
    "Prometheus Server is Healthy.\n"
}

pub(super) async fn ready(State(api): State<Arc<Api>>) -> Response {
    if api.lifecycle.is_ready() { "Prometheus Server is Ready.\n".into_response() } else { unavailable(&api) }
}

fn unavailable(api: &Api) -> Response {
    let stopping = if api.lifecycle.shutdown.is_signalled() { "true" } else { "false" };
    (StatusCode::SERVICE_UNAVAILABLE, [("X-Prometheus-Stopping", stopping)], "Service Unavailable")
        .into_response()
}

pub(super) async fn require_ready(State(api): State<Arc<Api>>, req: Request, next: Next) -> Response {
    if api.lifecycle.is_ready() { next.run(req).await } else { unavailable(&api) }
}

fn lifecycle_off() -> Response {
    (StatusCode::FORBIDDEN, "Lifecycle API is not enabled.").into_response()
}

pub(super) async fn only_post_or_put() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed").into_response()
}

pub(super) async fn reload(State(api): State<Arc<Api>>) -> Response {
    if !api.lifecycle.enabled {
        return lifecycle_off();
    }
    let (answer, outcome) = oneshot::channel();
    let sent = api.lifecycle.reloads.send(answer).await;
    match (sent, outcome.await) {
        (Ok(()), Ok(Ok(()))) => StatusCode::OK.into_response(),
        (Ok(()), Ok(Err(e))) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {e}\n")).into_response()
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "failed to reload config: the server is stopping\n")
            .into_response(),
    }
}

pub(super) async fn quit(State(api): State<Arc<Api>>) -> Response {
    if !api.lifecycle.enabled {
        return lifecycle_off();
    }
    if api.lifecycle.shutdown.is_signalled() {
        return "Termination already in progress.".into_response();
    }
    api.lifecycle.shutdown.signal();
    "Requesting termination... Goodbye!".into_response()
}

pub(super) async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    metrics_response(&api.registry, &headers)
}

/// The query page and the others of the single-page application.
pub(super) async fn page(State(api): State<Arc<Api>>, req: Request) -> Response {
    let path = req.uri().path();
    if path.starts_with("/api/") {
        return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    }
    if !matches!(*req.method(), Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let prefix = api.external_url.path().trim_end_matches('/');
    if path == "/" {
        return found(&format!("{prefix}/query"));
    }
    if path == "/graph" {
        let query = req.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
        return found(&format!("{prefix}/query{query}"));
    }
    let header = |name| req.headers().get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let response = assets::respond(
        assets::App::Prometheus,
        path,
        header(header::ACCEPT_ENCODING),
        header(header::IF_NONE_MATCH),
    );
    response.map(axum::body::Body::from)
}

fn found(location: &str) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// Upstream's CORS headers: the origin is echoed if it matches `--web.cors.origin`.
pub(super) async fn cors(State(api): State<Arc<Api>>, req: Request, next: Next) -> Response {
    let origin = req.headers().get(header::ORIGIN).cloned();
    let preflight = req.method() == Method::OPTIONS;
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(req).await };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return response };
    let allowed = if api.cors_origin.as_str() == "^(?s:.*)$" {
        Some(HeaderValue::from_static("*"))
    } else {
        origin.to_str().ok().filter(|o| api.cors_origin.is_match(o)).map(|_| origin.clone())
    };
    if let Some(allowed) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
        );
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Date"));
    }
    response
}

/// `prometheus_http_requests_total{handler,code}` and `prometheus_http_request_duration_seconds{handler}`.
pub(super) async fn measure(State(api): State<Arc<Api>>, req: Request, next: Next) -> Response {
    let handler =
        req.extensions().get::<MatchedPath>().map_or("/", MatchedPath::as_str).replace("{name}", ":name");
    let start = Instant::now();
    let response = next.run(req).await;
    api.http_requests.with(&[&handler, response.status().as_str()]).inc();
    api.http_durations.with(&[&handler]).observe(start.elapsed().as_secs_f64());
    response
}
