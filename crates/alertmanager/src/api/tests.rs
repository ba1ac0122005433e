//! The API's shapes and codes, against a service whose clock stands still.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{Service, ServiceOptions};

const CONFIG: &str = r#"
route: {receiver: web, group_by: [alertname], routes: [{receiver: ops, matchers: [team=ops]}]}
receivers: [{name: web}, {name: ops, webhook_configs: [{url: "http://127.0.0.1:1/secret"}]}]
inhibit_rules: [{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [alertname]}]
"#;
const NOW_MS: i64 = 1_700_000_000_000;

fn service() -> Arc<Service> {
    let config = crate::config::load_str(CONFIG, std::path::Path::new("am.yml")).unwrap().value;
    let options = ServiceOptions { clock: Arc::new(|| NOW_MS), ..ServiceOptions::default() };
    Service::new(config, options).unwrap()
}

async fn call(service: &Arc<Service>, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let body = body.map_or(Body::empty(), |b| Body::from(b.to_string()));
    let reply = super::router(Arc::clone(service)).oneshot(request.body(body).unwrap()).await.unwrap();
    let status = reply.status().as_u16();
    let bytes = reply.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn alerts_come_back_as_upstream_shows_them() {
    let s = service();
    let alerts = json!([
        {"labels": {"alertname": "A", "severity": "critical", "empty": ""}, "annotations": {"s": "t"}, "startsAt": "2023-11-14T22:00:00Z", "generatorURL": "http://g"},
        {"labels": {"alertname": "A", "severity": "warning"}, "startsAt": "2023-11-14T22:00:00.5Z"},
        {"labels": {}},
        {"labels": {"alertname": "B", "team": "ops"}, "startsAt": "2023-11-14T22:00:00Z", "endsAt": "2023-11-14T21:00:00Z"},
    ]);
    let (status, body) = call(&s, Method::POST, "/api/v2/alerts", Some(alerts)).await;
    assert_eq!(
        (status, body),
        (400, json!("at least one label pair required\nstart time must be before end time"))
    );
    let (status, body) = call(&s, Method::GET, "/api/v2/alerts?filter=severity%3Dcritical", None).await;
    assert_eq!(status, 200);
    let fingerprint = body[0]["fingerprint"].clone();
    assert_eq!(
        body,
        json!([{
            "annotations": {"s": "t"}, "endsAt": "2023-11-14T22:18:20.000Z", "fingerprint": fingerprint,
            "receivers": [{"name": "web"}], "startsAt": "2023-11-14T22:00:00.000Z",
            "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
            "updatedAt": "2023-11-14T22:13:20.000Z", "generatorURL": "http://g",
            "labels": {"alertname": "A", "severity": "critical"},
        }])
    );
    let (_, body) = call(&s, Method::GET, "/api/v2/alerts?filter=severity%3Dwarning", None).await;
    assert_eq!(body[0]["status"]["inhibitedBy"], json!([fingerprint]));
    assert_eq!(body[0]["status"]["state"], "suppressed");
    assert_eq!(
        call(&s, Method::GET, "/api/v2/alerts?inhibited=false", None).await.1.as_array().unwrap().len(),
        1
    );
    assert_eq!(call(&s, Method::GET, "/api/v2/alerts?receiver=we", None).await.1, json!([]));
    let (_, groups) = call(&s, Method::GET, "/api/v2/alerts/groups", None).await;
    assert_eq!(
        (groups[0]["labels"].clone(), groups[0]["receiver"].clone()),
        (json!({"alertname": "A"}), json!({"name": "web"}))
    );
    assert_eq!(groups[0]["alerts"].as_array().unwrap().len(), 2);
    assert_eq!(call(&s, Method::GET, "/api/v2/alerts?filter=x", None).await.0, 400);
    let (_, v1) = call(&s, Method::GET, "/api/v1/alerts?filter=severity=%22critical%22", None).await;
    assert_eq!(
        (v1["status"].clone(), v1["data"][0]["receivers"].clone()),
        (json!("success"), json!(["web"]))
    );
    let (status, v1) =
        call(&s, Method::POST, "/api/v1/alerts", Some(json!([{"labels": {"alertname": "C"}}]))).await;
    assert_eq!((status, v1), (200, json!({"status": "success"})));
    assert_eq!(s.stats().alerts_firing, 3);
}

#[tokio::test]
async fn silences_live_and_end() {
    let s = service();
    call(&s, Method::POST, "/api/v2/alerts", Some(json!([{"labels": {"alertname": "A"}}]))).await;
    let silence = |start: &str, end: &str| {
        json!({
            "matchers": [{"name": "alertname", "value": "A|B", "isRegex": true}],
            "startsAt": start, "endsAt": end, "createdBy": "me", "comment": "why",
        })
    };
    let (day, later) = ("2023-11-14T22:00:00Z", "2023-11-15T22:00:00Z");
    for (body, text) in [
        (silence(later, day), "Failed to create silence: start time must be before end time"),
        (
            silence("2022-01-01T00:00:00Z", "2022-01-02T00:00:00Z"),
            "Failed to create silence: end time can't be in the past",
        ),
    ] {
        assert_eq!(call(&s, Method::POST, "/api/v2/silences", Some(body)).await, (400, json!(text)));
    }
    let (status, body) = call(&s, Method::POST, "/api/v2/silences", Some(silence(day, later))).await;
    assert_eq!(status, 200);
    let id = body["silenceID"].as_str().unwrap().to_owned();
    let (_, got) = call(&s, Method::GET, &format!("/api/v2/silence/{id}"), None).await;
    assert_eq!(
        got,
        json!({
            "id": id, "status": {"state": "active"}, "updatedAt": "2023-11-14T22:13:20.000Z", "comment": "why", "createdBy": "me",
            "endsAt": "2023-11-15T22:00:00.000Z", "startsAt": "2023-11-14T22:13:20.000Z",
            "matchers": [{"isEqual": true, "isRegex": true, "name": "alertname", "value": "A|B"}],
        })
    );
    let (_, alerts) = call(&s, Method::GET, "/api/v2/alerts", None).await;
    assert_eq!(alerts[0]["status"]["silencedBy"], json!([id]));
    assert_eq!(call(&s, Method::DELETE, &format!("/api/v2/silence/{id}"), None).await.0, 200);
    assert_eq!(call(&s, Method::DELETE, &format!("/api/v2/silence/{id}"), None).await.0, 200);
    let (_, list) = call(&s, Method::GET, "/api/v2/silences?filter=alertname%3DA%7CB", None).await;
    assert_eq!(list[0]["status"]["state"], "expired");
    assert_eq!(call(&s, Method::GET, "/api/v2/silences?expired=false", None).await.1, json!([]));
    let unknown = uuid::Uuid::new_v4();
    assert_eq!(call(&s, Method::GET, &format!("/api/v2/silence/{unknown}"), None).await.0, 404);
    assert_eq!(call(&s, Method::GET, "/api/v2/silence/x", None).await.0, 422);
}

#[tokio::test]
async fn status_hides_secrets_and_the_rest_answers() {
    let s = service();
    let (_, status) = call(&s, Method::GET, "/api/v2/status", None).await;
    let shown = status["config"]["original"].as_str().unwrap();
    assert!(
        shown.contains("<secret>") && !shown.contains("127.0.0.1:1") && shown.contains("resolve_timeout: 5m"),
        "{shown}"
    );
    let (_, receivers) = call(&s, Method::GET, "/api/v2/receivers", None).await;
    assert_eq!(
        receivers,
        json!([{"name": "web", "labels": {"name": "web"}}, {"name": "ops", "labels": {"name": "ops"}}])
    );
    assert_eq!(call(&s, Method::GET, "/-/healthy", None).await, (200, json!("OK")));
    assert_eq!(call(&s, Method::POST, "/-/reload", None).await.0, 500);
    assert!(call(&s, Method::GET, "/", None).await.1.as_str().unwrap().contains("<!DOCTYPE html>"));
}

#[tokio::test]
async fn refuses_with_the_validators_codes() {
    let s = service();
    let whole = json!({"comment": "c", "createdBy": "me", "matchers": [{"name": "a", "value": "b", "isRegex": false}],
        "startsAt": "2023-11-14T22:00:00Z", "endsAt": "2023-11-15T22:00:00Z"});
    let without = |key: &str| {
        let mut body = whole.clone();
        body.as_object_mut().unwrap().remove(key);
        body
    };
    let with = |key: &str, value: Value| {
        let mut body = whole.clone();
        body[key] = value;
        body
    };
    for (path, body, status, code, text) in [
        ("alerts", json!([{"annotations": {}}]), 422, 602, "0.labels in body is required"),
        ("alerts", json!({}), 400, 400, "parsing alerts body from \"\" failed, because"),
        ("alerts", json!([{"labels": {}, "startsAt": "zzz"}]), 400, 400, "parsing time \"zzz\""),
        ("silences", without("comment"), 422, 602, "comment in body is required"),
        ("silences", without("endsAt"), 422, 602, "endsAt in body is required"),
        ("silences", with("matchers", json!([])), 422, 612, "matchers in body should have at least 1 items"),
        (
            "silences",
            with("matchers", json!([{"name": "a", "isRegex": true}])),
            422,
            602,
            "matchers.0.value in body is required",
        ),
        ("status", json!({}), 405, 405, "method POST is not allowed"),
        ("nope", json!({}), 404, 404, "path /api/v2/nope was not found"),
    ] {
        let (got, reply) = call(&s, Method::POST, &format!("/api/v2/{path}"), Some(body.clone())).await;
        assert_eq!((got, reply["code"].as_u64()), (status, Some(code)), "{path} {body}: {reply}");
        assert!(reply["message"].as_str().unwrap().contains(text), "{path} {body}: {reply}");
    }
    assert_eq!(call(&s, Method::POST, "/api/v2/silences", Some(whole)).await.0, 200);
}
