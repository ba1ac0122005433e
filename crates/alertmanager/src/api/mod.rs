//! The HTTP side: `/api/v2`, the old `/api/v1`, health, reload, metrics and a page.

mod page;
mod read;
mod render;
mod v1;
mod v2;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::service::Service;

/// The largest request body that is read.
const MAX_BODY_BYTES: usize = 64 << 20;

/// What the surrounding program does for the API.
#[derive(Clone)]
pub struct ApiOptions {
    /// Reads the configuration anew; the text of an error is shown to the caller.
    pub reload: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// `version`, `revision`, `branch`, `buildUser`, `buildDate`, `goVersion`.
    pub version: BTreeMap<String, String>,
}

impl std::fmt::Debug for ApiOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiOptions").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Default for ApiOptions {
    fn default() -> Self {
        let version = ["version", "revision", "branch", "buildUser", "buildDate", "goVersion"].map(|k| {
            (k.to_owned(), if k == "version" { env!("CARGO_PKG_VERSION").to_owned() } else { String::new() })
        });
        Self {
            reload: Arc::new(|| Err("reloading is not set up".to_owned())),
            metrics: Arc::new(String::new),
            version: version.into(),
        }
    }
}

#[derive(Clone, Debug)]
struct App {
    service: Arc<Service>,
    options: Arc<ApiOptions>,
}

/// The routes of a service with the default options.
pub fn router(service: Arc<Service>) -> Router {
    router_with(service, ApiOptions::default())
}

/// The routes of a service.
pub fn router_with(service: Arc<Service>, options: ApiOptions) -> Router {
    let app = App { service, options: Arc::new(options) };
    let ok = || async { "OK" };
    Router::new()
        .route("/", get(page::page))
        .route("/-/healthy", get(ok))
        .route("/-/ready", get(ok))
        .route("/-/reload", post(reload))
        .route("/metrics", get(metrics))
        .nest("/api/v2", v2::routes())
        .nest("/api/v1", v1::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(app)
}

async fn reload(State(app): State<App>) -> Response {
    // Reading files may take a while.
    let reload = Arc::clone(&app.options.reload);
    match tokio::task::spawn_blocking(move || reload()).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(e)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {e}\n")).into_response()
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed to reload config\n").into_response(),
    }
}

async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (app.options.metrics)())
        .into_response()
}

/// A JSON reply with the headers that every API reply has.
fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Body::from(body.to_string())).into_response()
}

/// The query's parameters in order; a name may come several times.
fn query(raw: Option<&str>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(raw.unwrap_or("").as_bytes())
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .collect()
}

fn values<'q>(query: &'q [(String, String)], name: &str) -> Vec<&'q str> {
    query.iter().filter(|(k, _)| k == name).map(|(_, v)| v.as_str()).collect()
}

/// A flag; as upstream's parser has it, what is not one of the words for true is false.
fn flag(query: &[(String, String)], name: &str, default: bool) -> bool {
    match values(query, name).last() {
        None | Some(&"") => default,
        Some(v) => matches!(
            v.to_ascii_lowercase().as_str(),
            "true" | "1" | "yes" | "ok" | "y" | "on" | "selected" | "checked" | "t" | "enabled"
        ),
    }
}

#[cfg(test)]
mod tests;
