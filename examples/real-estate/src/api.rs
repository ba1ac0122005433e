//! The HTTP API: searches through the cache, one listing, health, metrics and the break switch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tracing::error;

use crate::cache::Cache;
use crate::faults::{SEARCH_FAILURES, Switch};
use crate::listing::{Listing, Search};
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::rng::Rng;
use crate::store::Store;

/// What the handlers share.
pub(crate) struct Api {
    pub store: Arc<Store>,
    pub cache: Cache,
    pub metrics: Metrics,
    pub switch: Switch,
    /// Mean of the time that a cache miss spends at a geocoding service (simulated); zero for none.
    pub lookup: Duration,
    pub rng: Mutex<Rng>,
}

pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/api/listings", get(search))
        .route("/api/listings/{id}", get(listing))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/admin/break", post(set_break))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), count))
        .with_state(api)
}

/// Errors that reach the client; details stay in the log.
enum Failure {
    NotFound,
    Internal(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "no such listing"),
            Self::Internal(error) => {
                error!(error = %format!("{error:#}"), "request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            }
        };
        (status, Json(json!({ "detail": detail }))).into_response()
    }
}

/// Counts and times each request under its route's template, so that ids make no series.
async fn count(
    State(api): State<Arc<Api>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let guard = api.metrics.request_in_work();
    let started = Instant::now();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let endpoint = path.as_ref().map_or("unmatched", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    api.metrics.request(&method, &endpoint, response.status().as_u16(), started.elapsed());
    drop(guard);
    response
}

async fn index() -> &'static str {
    "Real Estate Scraper\n\nGET /api/listings?city=Lyon&max_price=300000&min_rooms=2&limit=20\nGET /api/listings/{id}\nGET /health\nGET /metrics\nPOST /admin/break?on=true|false\n"
}

async fn search(State(api): State<Arc<Api>>, Query(search): Query<Search>) -> Result<Response, Failure> {
    let (pause, fails) = {
        let mut rng = api.rng.lock();
        let pause = api.lookup.mul_f64(rng.exponential(1.0).min(20.0));
        (pause, rng.chance(SEARCH_FAILURES))
    };
    if api.switch.is_on() && fails {
        return Err(anyhow::anyhow!("the search failed because the break switch is on").into());
    }
    let key = search.cache_key();
    let body = match api.cache.get(&key, Instant::now()).await {
        Some(body) => {
            api.metrics.cache_hit();
            body
        }
        None => {
            api.metrics.cache_miss();
            tokio::time::sleep(pause).await;
            let listings = api.store.search(search).await?;
            let body = json!({ "count": listings.len(), "listings": listings }).to_string();
            api.cache.put(&key, &body, Instant::now()).await;
            body
        }
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn listing(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Listing>, Failure> {
    api.store.get(id).await?.map(Json).ok_or(Failure::NotFound)
}

async fn health(State(api): State<Arc<Api>>) -> Response {
    match api.store.count().await {
        Ok(listings) => Json(json!({ "status": "ok", "listings": listings })).into_response(),
        Err(error) => {
            error!(error = %format!("{error:#}"), "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "no database" }))).into_response()
        }
    }
}

async fn metrics(State(api): State<Arc<Api>>) -> Result<Response, Failure> {
    let text = api.metrics.encode().map_err(anyhow::Error::from)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

#[derive(Deserialize)]
struct Break {
    on: bool,
}

async fn set_break(State(api): State<Arc<Api>>, Query(Break { on }): Query<Break>) -> Response {
    api.switch.set(on);
    tracing::warn!(on, "break switch set");
    Json(json!({ "broken": on })).into_response()
}
