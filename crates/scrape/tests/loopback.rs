//! The manager against a scripted server on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by the one and says by the other what it skips"
)]

mod support;

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::{ByteSize, Config, ScrapeConfig, StaticConfig};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use scrape::{Health, Manager, ManagerOptions, TargetStatus};
use support::Memory;

type Script = Arc<Mutex<Box<dyn FnMut(&Request<Incoming>) -> Response<Full<Bytes>> + Send>>>;

/// A server that answers as scripted; its address.
async fn serve(script: impl FnMut(&Request<Incoming>) -> Response<Full<Bytes>> + Send + 'static) -> String {
    let script: Script = Arc::new(Mutex::new(Box::new(script)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let script = script.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| {
                    let reply = (script.lock())(&request);
                    async move { Ok::<_, Infallible>(reply) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

fn text(body: &str) -> Response<Full<Bytes>> {
    let reply = Response::builder().header("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    reply.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

fn job(name: &str, addresses: &[&str]) -> ScrapeConfig {
    let mut job = ScrapeConfig {
        job_name: name.to_owned(),
        scrape_interval: Duration::from_millis(50),
        scrape_timeout: Duration::from_millis(50),
        ..ScrapeConfig::default()
    };
    let targets = addresses.iter().map(|a| (*a).to_owned()).collect();
    job.discovery.static_configs = vec![StaticConfig { targets, ..StaticConfig::default() }];
    job
}

fn manager(memory: &Arc<Memory>) -> Manager {
    Manager::new(memory.clone(), memory.clone(), ManagerOptions::default())
}

fn config(jobs: Vec<ScrapeConfig>) -> Config {
    Config { scrape_configs: jobs, ..Config::default() }
}

/// Waits until the only target's last scrape is as wanted.
async fn until(manager: &Manager, hit: impl Fn(&TargetStatus) -> bool) -> TargetStatus {
    for _ in 0..400 {
        if let Some(status) = manager.active_targets().into_iter().find(&hit) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never so: {:?}", manager.active_targets());
}

#[tokio::test(flavor = "multi_thread")]
async fn scrapes_over_a_redirect_with_gzip_and_the_right_headers() {
    let seen = Arc::new(Mutex::new(String::new()));
    let note = seen.clone();
    let address = serve(move |request| {
        if request.uri().path() == "/metrics" {
            let to =
                Response::builder().status(StatusCode::TEMPORARY_REDIRECT).header("Location", "/metrics/");
            return to.body(Full::default()).unwrap();
        }
        *note.lock() = format!("{:?}", request.headers());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"# HELP a help me\n# TYPE a gauge\na 7\n").unwrap();
        let reply =
            Response::builder().header("content-type", "text/plain").header("Content-Encoding", "gzip");
        reply.body(Full::new(Bytes::from(gzip.finish().unwrap()))).unwrap()
    })
    .await;
    let memory = Arc::new(Memory::default());
    let manager = manager(&memory);
    manager.apply(&config(vec![job("j", &[&address])])).await.unwrap();
    let status = until(&manager, |s| s.health == Health::Up).await;
    assert_eq!(status.scrape_url, format!("http://{address}/metrics"));
    assert_eq!(status.labels.to_string(), format!("{{instance=\"{address}\", job=\"j\"}}"));
    assert_eq!(memory.last().into_values().collect::<Vec<_>>(), ["7"]);
    let headers = seen.lock().clone();
    for part in [
        "\"user-agent\": \"Prometheus/",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,",
        "\"accept-encoding\": \"gzip\"",
        "\"x-prometheus-scrape-timeout-seconds\": \"0.05\"",
    ] {
        assert!(headers.contains(part), "{part} in {headers}");
    }
    let metadata = manager.target_metadata();
    assert_eq!((metadata[0].metric.as_str(), metadata[0].metadata.help.as_str()), ("a", "help me"));
    manager.stop().await;
    assert_eq!(memory.open_groups(), 0);
    assert!(memory.rows().iter().all(|(_, row)| row.values().all(|v| v != "stale")), "none at shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_replies_fail_the_scrape_with_the_reason() {
    type Reply = fn() -> Response<Full<Bytes>>;
    let cases: [(&str, Reply); 5] = [
        ("server returned HTTP status 503 Service Unavailable", || {
            Response::builder().status(503).body(Full::default()).unwrap()
        }),
        (
            "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target",
            || Response::builder().header("Content-Type", "text/html").body(Full::from("<html>")).unwrap(),
        ),
        ("non-compliant scrape target sending blank Content-Type", || Response::new(Full::from("a 1\n"))),
        ("body size limit exceeded", || text(&"a 1\n".repeat(25))),
        ("data does not end with # EOF", || {
            let reply =
                Response::builder().header("Content-Type", "application/openmetrics-text; version=1.0.0");
            reply.body(Full::from("a 1\n")).unwrap()
        }),
    ];
    for (error, reply) in cases {
        let address = serve(move |_| reply()).await;
        let memory = Arc::new(Memory::default());
        let manager = manager(&memory);
        let job = ScrapeConfig { body_size_limit: ByteSize(100), ..job("j", &[&address]) };
        manager.apply(&config(vec![job])).await.unwrap();
        let status = until(&manager, |s| s.health == Health::Down).await;
        assert!(status.last_error.contains(error), "{}", status.last_error);
        assert_eq!(memory.report("up"), "0");
        manager.stop().await;
    }
    // Nobody listens; and a server that does not answer in time.
    let memory = Arc::new(Memory::default());
    let manager = manager(&memory);
    manager.apply(&config(vec![job("j", &["127.0.0.1:1"])])).await.unwrap();
    let status = until(&manager, |s| s.health == Health::Down).await;
    let expect = "Get \"http://127.0.0.1:1/metrics\": dial tcp 127.0.0.1:1: connect: connection refused";
    assert_eq!(status.last_error, expect);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    manager.apply(&config(vec![job("j", &[&address])])).await.unwrap();
    let status = until(&manager, |s| s.health == Health::Down).await;
    assert!(status.last_error.ends_with("/metrics\": context deadline exceeded"), "{}", status.last_error);
    manager.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_series_and_a_removed_target_goes_stale() {
    let address = serve(|_| text("a 1\nb 1\n")).await;
    let memory = Arc::new(Memory::default());
    let manager = manager(&memory);
    manager.apply(&config(vec![job("j", &[&address])])).await.unwrap();
    until(&manager, |s| s.health == Health::Up).await;
    let defined = memory.defined();
    manager.apply(&config(vec![job("j", &[&address])])).await.unwrap();
    assert_eq!(manager.active_targets()[0].health, Health::Up, "an unchanged pool goes on");
    // A changed scrape config drops b: its series ends, a goes on in the same group.
    let mut changed = job("j", &[&address]);
    changed.metric_relabel_configs = vec![config::RelabelConfig {
        action: config::RelabelAction::Drop,
        source_labels: vec!["__name__".to_owned()],
        regex: config::RelabelRegex::new("b").unwrap(),
        ..config::RelabelConfig::default()
    }];
    manager.apply(&config(vec![changed])).await.unwrap();
    until(&manager, |s| s.health == Health::Up).await;
    let stale: usize = memory.rows().iter().map(|(_, r)| r.values().filter(|v| *v == "stale").count()).sum();
    assert_eq!((stale, memory.open_groups()), (1, 1));
    assert!(memory.defined() > defined);
    manager.apply(&config(vec![])).await.unwrap();
    assert!(manager.active_targets().is_empty() && manager.scrape_pools().is_empty());
    for _ in 0..200 {
        if memory.open_groups() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let rows = memory.rows();
    let (ts, last) = rows.last().unwrap();
    assert_eq!(last.len(), 6, "a and the five report series: {last:?}");
    assert!(last.values().all(|v| v == "stale"));
    let before = rows[rows.len() - 2].0;
    assert!((1..=60).contains(&(ts - before)), "at the first slot missed: {}", ts - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_targets_fail_all() {
    let address = serve(|_| text("a 1\n")).await;
    let memory = Arc::new(Memory::default());
    let manager = manager(&memory);
    let mut limited = job("j", &[&address, "127.0.0.1:1"]);
    limited.target_limit = 1;
    manager.apply(&config(vec![limited])).await.unwrap();
    let status = until(&manager, |s| s.health == Health::Down && s.scrape_url.contains(&address)).await;
    assert_eq!(status.last_error, "target_limit exceeded (number of targets: 2, limit: 1)");
    manager.stop().await;
}
