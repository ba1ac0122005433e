//! `/api/v2`: errors are JSON strings, unless the request itself cannot be read.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::read;
use super::render::{self, AlertFilter};
use super::{App, flag, json as reply, query, values};
use crate::error::{Error, ErrorKind};
use crate::inhibit::Inhibitor;
use crate::silence::SilenceState;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/status", get(status))
        .route("/receivers", get(receivers))
        .route("/alerts", get(alerts).post(post_alerts))
        .route("/alerts/groups", get(groups))
        .route("/silences", get(silences).post(post_silence))
        .route("/silence/{id}", get(silence).delete(delete_silence))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
}

async fn not_found(uri: Uri) -> Response {
    malformed(StatusCode::NOT_FOUND, 404, &format!("path /api/v2{} was not found", uri.path()))
}

async fn not_allowed(method: Method) -> Response {
    malformed(StatusCode::METHOD_NOT_ALLOWED, 405, &format!("method {method} is not allowed"))
}

fn bad(text: String) -> Response {
    reply(StatusCode::BAD_REQUEST, &Value::String(text))
}

fn failed(e: &Error) -> Response {
    let status = match e.kind() {
        ErrorKind::Invalid | ErrorKind::Config => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Storage => StatusCode::INTERNAL_SERVER_ERROR,
    };
    reply(status, &Value::String(e.to_string()))
}

/// A request that the validator before the handlers refuses.
fn malformed(status: StatusCode, code: u16, message: &str) -> Response {
    reply(status, &json!({"code": code, "message": message}))
}

fn not_json(headers: &HeaderMap) -> Option<Response> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let media = kind.split(';').next().unwrap_or("").trim();
    if media.eq_ignore_ascii_case("application/json") {
        return None;
    }
    let text = format!("unsupported media type {kind:?}, only [application/json] are allowed");
    Some(malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, &text))
}

async fn status(State(app): State<App>) -> Response {
    let config = app.service.config();
    reply(
        StatusCode::OK,
        &json!({
            "cluster": {"peers": [], "status": "disabled"},
            "config": {"original": config.shown},
            "uptime": render::time_text(app.service.started_ms),
            "versionInfo": app.options.version,
        }),
    )
}

async fn receivers(State(app): State<App>, RawQuery(raw): RawQuery) -> Response {
    let matchers = match render::parse_matchers(&values(&query(raw.as_deref()), "receiver_matchers")) {
        Ok(m) => m,
        Err(e) => return bad(e),
    };
    let config = app.service.config();
    let list: Vec<_> = config
        .receivers
        .iter()
        .filter(|r| matchers.iter().all(|m| m.matches(r.labels.get(&m.name).map_or("", String::as_str))))
        .map(|r| json!({"name": r.name, "labels": r.labels}))
        .collect();
    reply(StatusCode::OK, &list.into())
}

async fn alerts(State(app): State<App>, RawQuery(raw): RawQuery) -> Response {
    let filter = match AlertFilter::parse(&query(raw.as_deref())) {
        Ok(f) => f,
        Err(e) => return bad(e),
    };
    let now_ms = app.service.now_ms();
    let core = app.service.core.lock();
    let mut list = render::shown_alerts(&core, now_ms);
    list.retain(|s| s.receivers.iter().any(|r| filter.takes_receiver(&core, r)) && filter.takes(s));
    drop(core);
    list.sort_by_key(|s| format!("{:016x}", s.alert.fingerprint()));
    reply(StatusCode::OK, &list.iter().map(render::Shown::to_v2).collect::<Vec<_>>().into())
}

async fn post_alerts(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = not_json(&headers) {
        return refusal;
    }
    let list = match read::read_alerts(&body) {
        Ok(list) => list,
        Err(e) => return malformed(e.status, e.code, &e.message),
    };
    match app.service.receive(&list) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(e) => failed(&e),
    }
}

async fn groups(State(app): State<App>, RawQuery(raw): RawQuery) -> Response {
    let filter = match AlertFilter::parse(&query(raw.as_deref())) {
        Ok(f) => f,
        Err(e) => return bad(e),
    };
    let now_ms = app.service.now_ms();
    let core = app.service.core.lock();
    let inhibitor = Inhibitor::new(&core.config.inhibit_rules, &core.alerts.values(), now_ms);
    let mut out = Vec::new();
    for ((_, labels), group) in &core.groups {
        if !filter.takes_receiver(&core, &group.options.receiver) {
            continue;
        }
        let mut list: Vec<_> = group
            .alerts
            .values()
            .filter(|a| !a.resolved_at(now_ms))
            .map(|a| render::shown(&core, &inhibitor, a, group.muted_by.clone(), now_ms))
            .filter(|s| filter.takes(s))
            .collect();
        if list.is_empty() {
            continue;
        }
        list.sort_by_key(|s| format!("{:016x}", s.alert.fingerprint()));
        out.push((labels.clone(), group.options.receiver.clone(), list));
    }
    drop(core);
    out.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let list: Vec<_> = out
        .iter()
        .map(|(labels, receiver, alerts)| {
            let labels: serde_json::Map<_, _> =
                labels.iter().map(|(n, v)| (n.to_owned(), v.into())).collect();
            json!({
                "alerts": alerts.iter().map(render::Shown::to_v2).collect::<Vec<_>>(),
                "labels": labels,
                "receiver": {"name": receiver},
            })
        })
        .collect();
    reply(StatusCode::OK, &list.into())
}

async fn silences(State(app): State<App>, RawQuery(raw): RawQuery) -> Response {
    let query = query(raw.as_deref());
    let parse = || {
        let states = [
            (SilenceState::Active, flag(&query, "active", true)),
            (SilenceState::Pending, flag(&query, "pending", true)),
            (SilenceState::Expired, flag(&query, "expired", true)),
        ];
        Ok::<_, String>((render::parse_matchers(&values(&query, "filter"))?, states))
    };
    let (matchers, states) = match parse() {
        Ok(parsed) => parsed,
        Err(e) => return bad(e),
    };
    let now_ms = app.service.now_ms();
    let mut list: Vec<_> = app
        .service
        .core
        .lock()
        .silences
        .iter()
        .filter(|s| states.contains(&(s.state(now_ms), true)) && render::silence_matches(s, &matchers))
        .cloned()
        .collect();
    crate::silence::sort_for_api(&mut list, now_ms);
    reply(StatusCode::OK, &list.iter().map(|s| render::silence_json(s, now_ms)).collect::<Vec<_>>().into())
}

async fn post_silence(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = not_json(&headers) {
        return refusal;
    }
    let silence = match read::read_silence(&body, app.service.now_ms()) {
        Ok(Ok(silence)) => silence,
        Ok(Err(e)) => return failed(&e),
        Err(e) => return malformed(e.status, e.code, &e.message),
    };
    match app.service.set_silence(silence) {
        Ok(id) => reply(StatusCode::OK, &json!({"silenceID": id})),
        Err(e) => failed(&e),
    }
}

fn not_uuid(id: &str) -> Option<Response> {
    if uuid::Uuid::parse_str(id).is_ok() {
        return None;
    }
    let text = format!("silenceID in path must be of type uuid: {id:?}");
    Some(malformed(StatusCode::UNPROCESSABLE_ENTITY, 601, &text))
}

async fn silence(State(app): State<App>, Path(id): Path<String>) -> Response {
    if let Some(refusal) = not_uuid(&id) {
        return refusal;
    }
    let now_ms = app.service.now_ms();
    match app.service.core.lock().silences.get(&id) {
        Some(silence) => reply(StatusCode::OK, &render::silence_json(silence, now_ms)),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn delete_silence(State(app): State<App>, Path(id): Path<String>) -> Response {
    if let Some(refusal) = not_uuid(&id) {
        return refusal;
    }
    match app.service.expire_silence(&id) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(e) if e.kind() == ErrorKind::NotFound => StatusCode::NOT_FOUND.into_response(),
        Err(e) => failed(&e),
    }
}
