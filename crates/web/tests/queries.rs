//! Queries as a service: turns, budgets, clients that leave, large answers, statistics.

#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

mod support;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt as _;
use model::LabelSet;
use promql::{EngineOptions, Priority, QueryOptions};
use serde_json::{Value, json};
use storage::{Error, LeafCost, LeafExecutor, LeafRequest, LeafSink, MetaRequest, QueryContext, TimeRange};
use support::{Options, Server, ready};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tower::ServiceExt as _;
use web::server::{ServerOptions, Shutdown};

/// A store that answers no leaf before the query is cancelled or late, and says when it begins and ends.
struct Stuck(mpsc::UnboundedSender<&'static str>);

impl LeafExecutor for Stuck {
    fn covers(&self) -> Option<TimeRange> {
        None
    }

    fn estimate(&self, _: &LeafRequest) -> Result<LeafCost, Error> {
        Ok(LeafCost::default())
    }

    fn run(&self, _: &LeafRequest, ctx: &QueryContext, _: &mut dyn LeafSink) -> Result<(), Error> {
        self.0.send("begins").unwrap();
        loop {
            if let Err(e) = ctx.check() {
                let why = if ctx.is_cancelled() { "cancelled" } else { "late" };
                self.0.send(why).unwrap();
                return Err(e);
            }
            std::thread::yield_now();
        }
    }

    fn series(&self, _: &MetaRequest, _: &QueryContext) -> Result<Vec<LabelSet>, Error> {
        Ok(vec![])
    }

    fn label_names(&self, _: &MetaRequest, _: &QueryContext) -> Result<Vec<String>, Error> {
        Ok(vec![])
    }

    fn label_values(&self, _: &str, _: &MetaRequest, _: &QueryContext) -> Result<Vec<String>, Error> {
        Ok(vec![])
    }
}

fn stuck(engine: EngineOptions) -> (Server, mpsc::UnboundedReceiver<&'static str>) {
    let (tell, told) = mpsc::unbounded_channel();
    let s = ready(Options { engine: Some(engine), store: Some(Arc::new(Stuck(tell))), ..Options::default() });
    (s, told)
}

async fn next(told: &mut mpsc::UnboundedReceiver<&'static str>) -> &'static str {
    tokio::time::timeout(Duration::from_secs(20), told.recv()).await.expect("in time").unwrap()
}

fn error(body: &Value) -> (&str, &str) {
    (body["errorType"].as_str().unwrap(), body["error"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_its_query() {
    let (s, mut told) = stuck(EngineOptions::default());
    let listener = web::server::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let served = tokio::spawn({
        let (router, shutdown) = (s.router.clone(), shutdown.clone());
        async move { web::server::serve(listener, router, &ServerOptions::default(), shutdown).await }
    });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(next(&mut told).await, "begins");
    drop(client);
    assert_eq!(next(&mut told).await, "cancelled");
    shutdown.signal();
    served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_ends_when_its_time_is_up() {
    let (s, _told) = stuck(EngineOptions { timeout: Duration::from_secs(20), ..EngineOptions::default() });
    let (status, body) = s.get("/api/v1/query?query=up&timeout=0.02").await;
    assert_eq!((status, error(&body)), (503, ("timeout", "query timed out in expression evaluation")));
    let (s, _told) = stuck(EngineOptions { timeout: Duration::from_millis(20), ..EngineOptions::default() });
    let (status, body) = s.get("/api/v1/query_range?query=up&start=0&end=60&step=15&timeout=1h").await;
    assert_eq!((status, error(&body)), (503, ("timeout", "query timed out in expression evaluation")));
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_wait_for_their_turn_and_rules_have_a_reserve() {
    let (s, mut told) = stuck(EngineOptions { max_concurrency: 1, ..EngineOptions::default() });
    let first = tokio::spawn({
        let router = s.router.clone();
        let request = Request::get("/api/v1/query?query=up").body(Body::empty()).unwrap();
        async move { router.oneshot(request).await }
    });
    assert_eq!(next(&mut told).await, "begins");
    assert_eq!(s.api.engine.queries(), 1);
    let (status, body) = s.get("/api/v1/query?query=1&timeout=0.02").await;
    assert_eq!((status, error(&body)), (503, ("timeout", "query timed out in query queue")));
    // Neither metadata nor rules wait for it.
    assert_eq!(s.get("/api/v1/labels").await.0, 200);
    let (engine, store) = (Arc::clone(&s.api.engine), Arc::clone(&s.api.store));
    let options = QueryOptions { priority: Priority::Rule, ..QueryOptions::default() };
    let rule = tokio::task::spawn_blocking(move || engine.instant_query(&*store, "1", 0, &options));
    assert!(rule.await.unwrap().is_ok());
    first.abort();
    assert_eq!(next(&mut told).await, "cancelled");
    assert_eq!(s.get("/api/v1/query?query=1").await.0, 200);
    assert_eq!(s.api.engine.queries(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_end_queries_in_upstreams_words() {
    let samples = EngineOptions { max_samples: 3, ..EngineOptions::default() };
    let bytes = EngineOptions { max_bytes: 100, ..EngineOptions::default() };
    for (engine, text) in [
        (samples, "query processing would load too many samples into memory in query execution"),
        (
            bytes,
            "query processing would take more than 100 bytes of memory in query execution; select less, or raise --query.vigie.max-memory",
        ),
    ] {
        let s = ready(Options { engine: Some(engine), ..Options::default() });
        for uri in [
            "/api/v1/query?query=hits_total[10m]",
            "/api/v1/query_range?query=hits_total&start=1699999400&end=1700000000&step=15",
        ] {
            let uri = uri.replace('[', "%5B").replace(']', "%5D");
            let (status, body) = s.get(&uri).await;
            assert_eq!((status, error(&body)), (422, ("execution", text)), "{uri}");
        }
        assert_eq!(s.get("/api/v1/query?query=1").await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_is_sent_in_pieces() {
    let s = ready(Options::default());
    let uri = "/api/v1/query_range?query=hits_total&start=1699998900&end=1700000000&step=0.1";
    let call = |encoding: &'static str| {
        let request =
            Request::get(uri).header(header::ACCEPT_ENCODING, encoding).body(Body::empty()).unwrap();
        s.router.clone().oneshot(request)
    };
    let mut plain = call("identity").await.unwrap();
    assert_eq!(plain.headers().get(header::CONTENT_LENGTH), None);
    let (mut text, mut largest) = (Vec::new(), 0);
    while let Some(frame) = plain.body_mut().frame().await {
        let data = frame.unwrap().into_data().unwrap();
        largest = largest.max(data.len());
        text.extend_from_slice(&data);
    }
    assert!(largest < 100_000 && largest < text.len(), "{largest} of {}", text.len());
    let body: Value = serde_json::from_slice(&text).unwrap();
    let counts: Vec<usize> = body["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["values"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [5401, 5401]);
    let packed = call("gzip").await.unwrap();
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
    let packed = axum::body::to_bytes(packed.into_body(), 1 << 24).await.unwrap();
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_given_as_asked() {
    let s = ready(Options {
        engine: Some(EngineOptions { per_step_stats: true, ..EngineOptions::default() }),
        ..Options::default()
    });
    let uri = "/api/v1/query_range?query=rate(hits_total%5B2m%5D)&start=1699999880&end=1700000000&step=60";
    let (_, body) = s.get(uri).await;
    assert_eq!(body["data"].get("stats"), None);
    for (asked, warning) in [
        ("true", None),
        (
            "yes",
            Some(
                "value \"yes\" for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\"",
            ),
        ),
    ] {
        let (_, body) = s.get(&format!("{uri}&stats={asked}")).await;
        let samples = &body["data"]["stats"]["samples"];
        assert_eq!((&samples["totalQueryableSamples"], &samples["samplesRead"]), (&json!(12), &json!(8)));
        assert_eq!(samples.get("totalQueryableSamplesPerStep"), None);
        assert_eq!(body["warnings"][0].as_str(), warning);
        let timings = body["data"]["stats"]["timings"].as_object().unwrap();
        for name in [
            "evalTotalTime",
            "resultSortTime",
            "queryPreparationTime",
            "innerEvalTime",
            "execQueueTime",
            "execTotalTime",
        ] {
            assert!(timings[name].as_f64().unwrap() >= 0.0, "{name}");
        }
    }
    let (_, body) = s.get(&format!("{uri}&stats=all")).await;
    let samples = &body["data"]["stats"]["samples"];
    let per_step = |n: [u64; 3]| json!([[1_699_999_880, n[0]], [1_699_999_940, n[1]], [1_700_000_000, n[2]]]);
    assert_eq!(samples["totalQueryableSamplesPerStep"], per_step([4, 4, 4]));
    assert_eq!(samples["samplesReadPerStep"], per_step([4, 2, 2]));
    assert!(samples["peakSamples"].as_u64().unwrap() >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_a_query() {
    let s = ready(Options::default());
    // The newest sample is 30 s old then.
    let late = "/api/v1/query?query=hits_total&time=1700000030";
    let count = |body: &Value| body["data"]["result"].as_array().map(Vec::len);
    assert_eq!(count(&s.get(late).await.1), Some(2));
    assert_eq!(count(&s.get(&format!("{late}&lookback_delta=29s")).await.1), Some(0));
    assert_eq!(count(&s.get(&format!("{late}&lookback_delta=31")).await.1), Some(2));
    let (status, body) = s.get(&format!("{late}&lookback_delta=x")).await;
    let text = "error parsing lookback delta duration: cannot parse \"x\" to a valid duration";
    assert_eq!((status, error(&body)), (400, ("bad_data", text)));
    let (status, body) = s.get(&format!("{late}&limit=-1")).await;
    let text = "invalid parameter \"limit\": limit must be non-negative";
    assert_eq!((status, error(&body)), (400, ("bad_data", text)));
    let (_, body) = s.get("/api/v1/series?match[]=hits_total&limit=1").await;
    assert_eq!(body["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_and_features() {
    let s = ready(Options::default());
    let (status, body) = s.get("/api/v1/parse_query?query=foo%3C1").await;
    assert_eq!(status, 200);
    let data = &body["data"];
    assert_eq!(
        (&data["type"], &data["op"], &data["rhs"]["val"]),
        (&json!("binaryExpr"), &json!("<"), &json!("1"))
    );
    assert_eq!(data["lhs"]["name"], "foo");
    let (_, text) = s.call(http::Method::GET, "/api/v1/parse_query?query=foo%3C1", None).await;
    assert!(text.contains("\\u003c") && !text.contains('<'));
    let (status, body) = s.get("/api/v1/parse_query?query=foo(").await;
    assert_eq!(status, 400);
    assert!(error(&body).1.starts_with("invalid parameter \"query\": "));
    let (_, text) = s.call(http::Method::GET, "/api/v1/features", None).await;
    assert!(text.contains("\"</\":true"), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["data"]["promql_functions"]["info"], false);
    assert_eq!(body["data"]["promql"]["at_modifier"], true);
}
