//! `/api/v1` as it was up to release 0.26, for old scripts.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::read;
use super::render::{self, AlertFilter};
use super::{App, json as reply, query, values};
use crate::error::{Error, ErrorKind};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/status", get(status))
        .route("/receivers", get(receivers))
        .route("/alerts", get(alerts).post(post_alerts))
        .route("/silences", get(silences).post(post_silence))
        .route("/silence/{id}", get(silence).delete(delete_silence))
}

fn success(data: Value) -> Response {
    let mut body = json!({"status": "success"});
    if !data.is_null() {
        body["data"] = data;
    }
    reply(StatusCode::OK, &body)
}

fn bad(text: &str) -> Response {
    reply(StatusCode::BAD_REQUEST, &json!({"status": "error", "errorType": "bad_data", "error": text}))
}

fn failed(e: &Error) -> Response {
    match e.kind() {
        ErrorKind::Storage => {
            let body = json!({"status": "error", "errorType": "server_error", "error": e.to_string()});
            reply(StatusCode::INTERNAL_SERVER_ERROR, &body)
        }
        _ => bad(&e.to_string()),
    }
}

async fn status(State(app): State<App>) -> Response {
    let config = app.service.config();
    success(json!({
        "configYAML": config.shown,
        "configJSON": {},
        "versionInfo": app.options.version,
        "uptime": render::time_text(app.service.started_ms),
        "clusterStatus": Value::Null,
    }))
}

async fn receivers(State(app): State<App>) -> Response {
    let config = app.service.config();
    success(config.receivers.iter().map(|r| Value::from(r.name.as_str())).collect())
}

async fn alerts(State(app): State<App>, RawQuery(raw): RawQuery) -> Response {
    let mut query = query(raw.as_deref());
    // Then one parameter held all matchers; the list is taken apart for the parser of today.
    let filters = values(&query, "filter").join(",");
    query.retain(|(k, _)| k != "filter");
    let filter = AlertFilter::parse(&query).and_then(|f| Ok((f, crate::matchers::parse_list(&filters)?)));
    let (filter, matchers) = match filter {
        Ok(f) => f,
        Err(e) => return bad(&e),
    };
    let now_ms = app.service.now_ms();
    let core = app.service.core.lock();
    let mut list = render::shown_alerts(&core, now_ms);
    list.retain(|s| {
        s.receivers.iter().any(|r| filter.takes_receiver(&core, r))
            && filter.takes(s)
            && crate::matchers::all_match(&matchers, &s.alert.labels)
    });
    drop(core);
    success(list.iter().map(render::Shown::to_v1).collect())
}

async fn post_alerts(State(app): State<App>, body: Bytes) -> Response {
    match read::read_alerts(&body) {
        Ok(list) => match app.service.receive(&list) {
            Ok(()) => success(Value::Null),
            Err(e) => failed(&e),
        },
        Err(e) => bad(&e.message),
    }
}

async fn silences(State(app): State<App>, RawQuery(raw): RawQuery) -> Response {
    let query = query(raw.as_deref());
    let matchers = match crate::matchers::parse_list(&values(&query, "filter").join(",")) {
        Ok(m) => m,
        Err(e) => return bad(&e),
    };
    let now_ms = app.service.now_ms();
    let mut list: Vec<_> = app
        .service
        .core
        .lock()
        .silences
        .iter()
        .filter(|s| render::silence_matches(s, &matchers))
        .cloned()
        .collect();
    crate::silence::sort_for_api(&mut list, now_ms);
    success(list.iter().map(|s| render::silence_json(s, now_ms)).collect())
}

async fn post_silence(State(app): State<App>, body: Bytes) -> Response {
    match read::read_silence(&body, app.service.now_ms()) {
        Ok(Ok(silence)) => match app.service.set_silence(silence) {
            Ok(id) => success(json!({"silenceId": id})),
            Err(e) => failed(&e),
        },
        Ok(Err(e)) => failed(&e),
        Err(e) => bad(&e.message),
    }
}

async fn silence(State(app): State<App>, Path(id): Path<String>) -> Response {
    let now_ms = app.service.now_ms();
    match app.service.core.lock().silences.get(&id) {
        Some(silence) => success(render::silence_json(silence, now_ms)),
        None => reply(
            StatusCode::NOT_FOUND,
            &json!({"status": "error", "errorType": "bad_data", "error": "silence not found"}),
        ),
    }
}

async fn delete_silence(State(app): State<App>, Path(id): Path<String>) -> Response {
    match app.service.expire_silence(&id) {
        Ok(()) => success(Value::Null),
        Err(e) => failed(&e),
    }
}
