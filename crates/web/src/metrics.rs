//! `/metrics`: the registry's families in the format the client asked for.

use axum::response::{IntoResponse, Response};
use exposition::content::negotiate;
use http::{HeaderMap, header};
use telemetry::Registry;

/// The answer to `GET /metrics`.
#[must_use]
pub fn metrics_response(registry: &Registry, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let encoding = negotiate(accept);
    let body = exposition::encode(&registry.gather(), encoding);
    ([(header::CONTENT_TYPE, encoding.content_type())], body).into_response()
}
