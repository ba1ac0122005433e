//! The API on a real store: envelopes, error types, status codes, as upstream answers.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

mod support;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Options, ready, server};

#[tokio::test(flavor = "multi_thread")]
async fn answers_queries_in_upstreams_shapes() {
    let s = ready(Options::default());
    let (status, body) = s.get("/api/v1/query?query=sum(rate(hits_total[5m]))").await;
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1_700_000_000, "3"]}]}})
    );
    let (_, body) = s.get("/api/v1/query?query=hits_total{job=\"a\"}%5B2m%5D&time=1700000000.000").await;
    assert_eq!(body["data"]["resultType"], "matrix");
    assert_eq!(body["data"]["result"][0]["values"], json!([[1_699_999_940, "480"], [1_700_000_000, "540"]]));
    let (_, body) = s.get("/api/v1/query?query=1%2B1").await;
    assert_eq!(body["data"], json!({"resultType": "scalar", "result": [1_700_000_000, "2"]}));
    let form = "query=hits_total&start=1699999940&end=1700000000&step=30s";
    let (status, text) = s.call(Method::POST, "/api/v1/query_range", Some(form)).await;
    assert_eq!(status, StatusCode::OK);
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["data"]["result"][1]["values"].as_array().map(Vec::len), Some(3));
    let (_, body) = s.get("/api/v1/query?query=rate(hits[5m])&limit=0").await;
    assert_eq!(body["data"]["result"], json!([]));
    let (_, body) = s.get("/api/v1/query?query=hits_total&limit=1").await;
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_in_upstreams_words() {
    let s = ready(Options::default());
    let range = "/api/v1/query_range?query=up";
    let cases = [
        ("/api/v1/query?query=".to_owned(), 400, "bad_data", "invalid parameter \"query\": "),
        (
            "/api/v1/query?query=up&time=x".to_owned(),
            400,
            "bad_data",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
        ),
        (
            format!("{range}&start=2&end=1&step=1"),
            400,
            "bad_data",
            "invalid parameter \"end\": end timestamp must not be before start time",
        ),
        (
            format!("{range}&start=1&end=2&step=0"),
            400,
            "bad_data",
            "invalid parameter \"step\": zero or negative query resolution",
        ),
        (
            format!("{range}&start=0&end=11001&step=1"),
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points",
        ),
        (
            "/api/v1/query?query=hits_total%20%2B%20on()%20hits_total".to_owned(),
            422,
            "execution",
            "found duplicate series for the match group",
        ),
        ("/api/v1/series".to_owned(), 400, "bad_data", "no match[] parameter provided"),
        (
            "/api/v1/series?match[]={x=~%22.*%22}".to_owned(),
            400,
            "bad_data",
            "invalid parameter \"match[]\": match[] must contain",
        ),
        (
            "/api/v1/labels?match[]={x=~%22.*%22}".to_owned(),
            400,
            "bad_data",
            "match[] must contain at least one non-empty matcher",
        ),
        (
            "/api/v1/rules?type=x".to_owned(),
            400,
            "bad_data",
            "invalid parameter \"type\": not supported value \"x\"",
        ),
        ("/api/v1/status/tsdb?limit=0".to_owned(), 400, "bad_data", "limit must be a positive number"),
        ("/api/v1/metadata?limit=x".to_owned(), 400, "bad_data", "limit must be a number"),
    ];
    for (uri, status, kind, error) in cases {
        let (got, body) = s.get(&uri).await;
        assert_eq!(
            (got, &body["status"], &body["errorType"]),
            (status, &json!("error"), &json!(kind)),
            "{uri}: {body}"
        );
        assert!(body["error"].as_str().unwrap_or("").starts_with(error), "{uri}: {body}");
    }
    assert_eq!(s.get("/api/v1/nothing").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_of_series_and_itself() {
    let s = ready(Options::default());
    for (uri, data) in [
        (
            "/api/v1/series?match[]=hits_total",
            json!([{"__name__": "hits_total", "job": "a"}, {"__name__": "hits_total", "job": "b"}]),
        ),
        ("/api/v1/labels", json!(["__name__", "job"])),
        ("/api/v1/label/job/values", json!(["a", "b"])),
        ("/api/v1/label/U__job/values?match[]={job=\"b\"}", json!(["b"])),
        ("/api/v1/targets", json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}})),
        ("/api/v1/rules", json!({"groups": []})),
        ("/api/v1/alerts", json!({"alerts": []})),
        ("/api/v1/alertmanagers", json!({"activeAlertmanagers": [], "droppedAlertmanagers": []})),
        ("/api/v1/metadata", json!({})),
        ("/api/v1/status/config", json!({"yaml": "global: {}\n"})),
        ("/api/v1/status/flags", json!({"web.cors.origin": ".*"})),
        ("/api/v1/format_query?query=sum(hits_total)by(job)", json!("sum by (job) (hits_total)")),
    ] {
        let (status, body) = s.get(uri).await;
        assert_eq!((status, &body["data"]), (200, &data), "{uri}");
    }
    let (_, body) = s.get("/api/v1/status/tsdb").await;
    assert_eq!(body["data"]["headStats"]["numSeries"], 2);
    let (_, body) = s.get("/api/v1/status/runtimeinfo").await;
    assert_eq!(body["data"]["storageRetention"], "15d");
}

#[tokio::test(flavor = "multi_thread")]
async fn is_healthy_before_it_is_ready() {
    let s = server(Options::default());
    assert_eq!(s.get("/-/healthy").await, (200, json!("Prometheus Server is Healthy.\n")));
    assert_eq!(s.get("/-/ready").await.0, 503);
    assert_eq!(s.get("/api/v1/labels").await.0, 503);
    s.api.lifecycle.set_ready();
    assert_eq!(s.get("/-/ready").await, (200, json!("Prometheus Server is Ready.\n")));
    for (method, status) in
        [(Method::POST, StatusCode::FORBIDDEN), (Method::GET, StatusCode::METHOD_NOT_ALLOWED)]
    {
        assert_eq!(s.call(method, "/-/reload", None).await.0, status);
    }
    assert_eq!(s.call(Method::GET, "/", None).await.0, StatusCode::FOUND);
    assert_eq!(s.call(Method::GET, "/metrics", None).await.0, StatusCode::OK);
}
