//! The way to the Prometheus the panels are drawn from.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;

/// Where queries go.
#[derive(Clone)]
pub enum Upstream {
    /// The Prometheus role of this process: no network in between.
    Local(Router),
    /// Another Prometheus, by its URL without a trailing slash.
    Remote {
        /// The client to reach it with.
        client: Arc<httpclient::Client>,
        /// `http://host:9090`, with its prefix if it has one.
        url: String,
    },
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Local(_) => f.write_str("Local"),
            Self::Remote { url, .. } => f.debug_struct("Remote").field("url", url).finish_non_exhaustive(),
        }
    }
}

/// The largest answer passed on.
const MAX_ANSWER_BYTES: u64 = 512 << 20;

/// The largest request passed on.
const MAX_REQUEST_BYTES: usize = 10 << 20;

/// As long as Grafana's data source waits.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a viewer may ask: the endpoints that read. Everything else of the other side stays out of reach.
const READABLE: [&str; 16] = [
    "api/v1/query",
    "api/v1/query_range",
    "api/v1/query_exemplars",
    "api/v1/format_query",
    "api/v1/parse_query",
    "api/v1/labels",
    "api/v1/label/",
    "api/v1/series",
    "api/v1/metadata",
    "api/v1/rules",
    "api/v1/alerts",
    "api/v1/targets",
    "api/v1/targets/metadata",
    "api/v1/status/buildinfo",
    "api/v1/status/tsdb",
    "api/v1/alertmanagers",
];

fn is_readable(path: &str) -> bool {
    READABLE.iter().any(|&p| if p.ends_with('/') { path.starts_with(p) } else { path == p })
        && !path.contains("..")
}

impl Upstream {
    /// Passes a request on as `path` (no leading slash) with its query string and body.
    pub(crate) async fn forward(&self, path: &str, req: Request) -> Response {
        if !matches!(*req.method(), Method::GET | Method::POST) {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        if !is_readable(path) {
            let message = format!("{path:?} is not passed on to the data source: only reading calls are");
            return (StatusCode::FORBIDDEN, message).into_response();
        }
        let (parts, body) = req.into_parts();
        let body = match axum::body::to_bytes(body, MAX_REQUEST_BYTES).await {
            Ok(body) => body,
            Err(e) => return (StatusCode::PAYLOAD_TOO_LARGE, e.to_string()).into_response(),
        };
        let query = parts.uri.query().map(|q| format!("?{q}")).unwrap_or_default();
        let target = match self {
            Self::Local(_) => format!("/{path}{query}"),
            Self::Remote { url, .. } => format!("{url}/{path}{query}"),
        };
        let mut builder = http::Request::builder().method(parts.method).uri(&target);
        // Only what the call needs: cookies and authorization are this server's business.
        for name in [header::CONTENT_TYPE, header::ACCEPT] {
            if let Some(value) = parts.headers.get(&name) {
                builder = builder.header(name, value);
            }
        }
        let encoding = parts.headers.get(header::ACCEPT_ENCODING).cloned();
        match self {
            Self::Local(router) => {
                if let Some(value) = encoding {
                    builder = builder.header(header::ACCEPT_ENCODING, value);
                }
                match builder.body(Body::from(body)) {
                    Ok(req) => match router.clone().oneshot(req).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    },
                    Err(e) => (StatusCode::BAD_REQUEST, e.to_string()).into_response(),
                }
            }
            Self::Remote { client, url } => match builder.body(body) {
                Ok(req) => remote(client, url, req).await,
                Err(e) => (StatusCode::BAD_REQUEST, e.to_string()).into_response(),
            },
        }
    }
}

async fn remote(client: &httpclient::Client, url: &str, req: http::Request<Bytes>) -> Response {
    let limits = httpclient::Limits { timeout: TIMEOUT, max_body_bytes: Some(MAX_ANSWER_BYTES) };
    match client.send(req, &limits).await {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = parts.status;
            if let Some(value) = parts.headers.get(header::CONTENT_TYPE) {
                response.headers_mut().insert(header::CONTENT_TYPE, value.clone());
            }
            response
        }
        Err(e) => {
            tracing::warn!(%url, err = %e, "the data source did not answer");
            let message = format!(
                "the Prometheus at {url} did not answer: {e}; is it running, is --prometheus.url right?"
            );
            (StatusCode::BAD_GATEWAY, message).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_calls_pass() {
        for (path, passes) in [
            ("api/v1/query", true),
            ("api/v1/label/job/values", true),
            ("api/v1/label/../admin/tsdb/snapshot", false),
            ("api/v1/admin/tsdb/delete_series", false),
            ("api/v1/write", false),
            ("-/quit", false),
            ("api/v1/query/x", false),
        ] {
            assert_eq!(is_readable(path), passes, "{path}");
        }
    }
}
