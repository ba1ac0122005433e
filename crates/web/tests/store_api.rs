//! What may be done to the store over HTTP: the admin API, its blocks, exemplars, remote write.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

mod support;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use http::{Method, Request, StatusCode};
use hyper::body::Frame;
use remote::write::Limits;
use serde_json::{Value, json};
use support::{NOW_MS, Options, Server, ready};
use tower::ServiceExt as _;

fn admin() -> Options {
    Options { admin: true, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_calls_are_off_unless_enabled() {
    let s = ready(Options::default());
    for path in ["delete_series?match[]=up", "clean_tombstones", "snapshot"] {
        let uri = format!("/api/v1/admin/tsdb/{path}");
        let (status, text) = s.call(Method::POST, &uri, None).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let body: Value = serde_json::from_str(&text).unwrap();
        let error = json!({"status": "error", "errorType": "unavailable", "error": "admin APIs disabled"});
        assert_eq!(body, error);
        assert_eq!(s.call(Method::GET, &uri, None).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }
    assert!(s.admin.done.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_cleans_and_takes_snapshots() {
    let s = ready(admin());
    let delete = "/api/v1/admin/tsdb/delete_series";
    let done = [
        (Method::POST, format!("{delete}?match[]=up&match[]={{job=\"a\"}}&start=1&end=2.5"), None),
        (Method::PUT, delete.to_owned(), Some("match[]=up&end=1")),
        (Method::PUT, "/api/v1/admin/tsdb/clean_tombstones".to_owned(), None),
    ];
    for (method, uri, form) in done {
        assert_eq!(s.call(method, &uri, form).await, (StatusCode::NO_CONTENT, String::new()), "{uri}");
    }
    let (status, text) = s.call(Method::POST, "/api/v1/admin/tsdb/snapshot?skip_head=true", None).await;
    let body: Value = serde_json::from_str(&text).unwrap();
    let name = body["data"]["name"].as_str().unwrap().to_owned();
    assert_eq!((status, name.len()), (StatusCode::OK, "20231114T221320Z-".len() + 16));
    assert!(name.starts_with("20231114T221320Z-"), "{name}");
    let min = i64::MIN / 2;
    assert_eq!(
        *s.admin.done.lock(),
        [
            "delete __name__~up or job~a 1000 2500".to_owned(),
            format!("delete __name__~up {min} 1000"),
            "clean".to_owned(),
            format!("snapshot {name} true")
        ]
    );
    for (path, error) in [
        ("delete_series", "no match[] parameter provided"),
        (
            "delete_series?match[]=up&start=x",
            "invalid parameter \"start\": invalid time value for 'start': cannot parse",
        ),
        ("delete_series?match[]=%7B", "invalid parameter \"match[]\": "),
        (
            "snapshot?skip_head=maybe",
            "invalid parameter \"skip_head\": unable to parse boolean: strconv.ParseBool",
        ),
    ] {
        let (status, text) = s.call(Method::POST, &format!("/api/v1/admin/tsdb/{path}"), None).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status.as_u16(), &body["errorType"]), (400, &json!("bad_data")), "{path}");
        assert!(body["error"].as_str().unwrap().starts_with(error), "{body}");
    }
    let broken = ready(Options { broken_store: true, ..admin() });
    let (status, text) = broken.call(Method::POST, "/api/v1/admin/tsdb/snapshot", None).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("create snapshot: the disk is full"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_have_the_shape_of_their_meta_json() {
    let (status, body) = ready(Options::default()).get("/api/v1/status/tsdb/blocks").await;
    assert_eq!(status, 200);
    let ulid = "01HF000000000000000000000A";
    let block = json!({
        "ulid": ulid, "minTime": 1, "maxTime": 7_200_000,
        "stats": {"numSamples": 10, "numFloatSamples": 7, "numHistogramSamples": 3, "numSeries": 2, "numChunks": 4},
        "compaction": {"level": 1, "sources": [ulid]}, "version": 1,
    });
    assert_eq!(body["data"], json!({"blocks": [block]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn exemplars_of_an_expressions_selectors() {
    let s = ready(Options::default());
    let (status, body) = s.get("/api/v1/query_exemplars?query=rate(a_total[5m])/b&start=1.5&end=2").await;
    assert_eq!(status, 200);
    let exemplar = json!({"labels": {"trace_id": "a<b"}, "value": "0.25", "timestamp": 1.5});
    let of = |name: &str| json!({"seriesLabels": {"__name__": name}, "exemplars": [exemplar]});
    assert_eq!(body["data"], json!([of("a_total"), of("b")]));
    assert_eq!(s.get("/api/v1/query_exemplars?query=1").await, (204, json!("")));
    let (status, body) = s.get("/api/v1/query_exemplars?query=up&start=2&end=1").await;
    assert_eq!((status, &body["error"]), (400, &json!("end timestamp must not be before start timestamp")));
    assert_eq!(s.get("/api/v1/query_exemplars?query=up(").await.0, 400);
}

fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// A request with one sample of `sent{job="c"}`.
fn request(value: f64) -> Vec<u8> {
    let label = |name: &str, value: &str| {
        field(0x0a, &[field(0x0a, name.as_bytes()), field(0x12, value.as_bytes())].concat())
    };
    let mut sample = [&[0x09][..], &value.to_le_bytes(), &[0x10]].concat();
    let mut ts = NOW_MS as u64;
    while ts >= 0x80 {
        sample.push(ts as u8 | 0x80);
        ts >>= 7;
    }
    sample.push(ts as u8);
    let series = [label("__name__", "sent"), label("job", "c"), field(0x12, &sample)].concat();
    snap::raw::Encoder::new().compress_vec(&field(0x0a, &series)).unwrap()
}

/// A body that does not come.
struct Never;

impl HttpBody for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

async fn write(s: &Server, headers: &[(&str, &str)], body: Body) -> (u16, String) {
    let mut request = Request::post("/api/v1/write");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = s.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let text = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_write_arrives_and_is_bounded() {
    let off = ready(Options::default());
    let disabled = "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n";
    assert_eq!(write(&off, &[], Body::from(request(1.0))).await, (404, disabled.to_owned()));

    let limits = Limits { body_bytes: 4096, body_timeout_ms: 50, concurrent_appends: 1, ..Limits::default() };
    let s = ready(Options { remote_write: Some(limits), ..Options::default() });
    let usual = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ];
    assert_eq!(write(&s, &usual, Body::from(request(1.5))).await, (204, String::new()));
    assert_eq!(write(&s, &[], Body::from(request(1.5))).await, (204, String::new()));
    let (_, body) = s.get("/api/v1/query?query=sent").await;
    assert_eq!(body["data"]["result"][0]["value"], json!([1_700_000_000, "1.5"]));

    let v2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let never = || Body::new(Never);
    for (headers, body, status, text) in [
        (
            vec![("Content-Type", v2)],
            Body::empty(),
            415,
            "io.prometheus.write.v2.Request protobuf message is not accepted",
        ),
        (
            vec![("Content-Type", "text/plain")],
            Body::empty(),
            415,
            "expected application/x-protobuf as the first",
        ),
        (
            vec![("Content-Encoding", "gzip")],
            Body::empty(),
            415,
            "gzip encoding (compression) is not accepted",
        ),
        (vec![], Body::from(vec![0; 5000]), 413, "the body is larger than 4096 bytes"),
        (vec![("Content-Length", "5000")], Body::empty(), 413, "the body is larger than 4096 bytes"),
        (vec![], Body::from("no snappy"), 400, "snappy: corrupt input"),
        (vec![], never(), 408, "the body took longer than 50 ms"),
    ] {
        let (got, message) = write(&s, &headers, body).await;
        assert!(got == status && message.starts_with(text), "{got} {message}");
        assert!(message.ends_with('\n'));
    }
    let families = s.registry.gather();
    let hits = families.iter().find(|f| f.name == "vigie_limit_hits").unwrap();
    assert_eq!(hits.samples.iter().map(|s| s.value).sum::<f64>(), 3.0);
    let (status, _) = s.call(Method::GET, "/api/v1/write", None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}
