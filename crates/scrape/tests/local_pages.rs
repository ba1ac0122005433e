//! Targets that are pages of this process.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use config::{Config, ScrapeConfig};
use http::StatusCode;
use scrape::{Health, LocalPages, LocalReply, LocalReplyFuture, Manager, ManagerOptions};
use support::Memory;

/// A page of this process that counts how often it is asked.
struct OwnPage {
    status: StatusCode,
    asked: AtomicUsize,
}

impl LocalPages for OwnPage {
    fn get<'a>(&'a self, uri: &'a http::Uri, headers: &'a http::HeaderMap) -> LocalReplyFuture<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if uri.path() == "/slow" {
                std::future::pending::<()>().await;
            }
            let timeout = headers["x-prometheus-scrape-timeout-seconds"].to_str().unwrap();
            let body = format!("asked{{path=\"{}\"}} {timeout}\n", uri.path());
            let content_type = Some(http::HeaderValue::from_static("text/plain"));
            LocalReply { status: self.status, content_type, body: body.into_bytes() }
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_this_process_needs_no_socket() {
    for (path, status, limit, expect) in [
        ("/metrics", StatusCode::OK, 0, ""),
        (
            "/metrics",
            StatusCode::INTERNAL_SERVER_ERROR,
            0,
            "server returned HTTP status 500 Internal Server Error",
        ),
        ("/slow", StatusCode::OK, 0, "Get \"http://own.example:9100/slow\": context deadline exceeded"),
        ("/metrics", StatusCode::OK, 10, "body size limit exceeded"),
    ] {
        let memory = Arc::new(Memory::default());
        let manager = Manager::new(memory.clone(), memory.clone(), ManagerOptions::default());
        let page = Arc::new(OwnPage { status, asked: AtomicUsize::new(0) });
        let pages: Arc<dyn LocalPages> = page.clone();
        manager.add_local(["own.example:9100".to_owned()], &pages);
        let job = ScrapeConfig {
            scrape_interval: Duration::from_millis(50),
            scrape_timeout: Duration::from_millis(50),
            metrics_path: path.to_owned(),
            body_size_limit: config::ByteSize(limit),
            ..ScrapeConfig::built_in("node", "own.example:9100", &config::GlobalConfig::default())
        };
        manager.apply(&Config { scrape_configs: vec![job], ..Config::default() }).await.unwrap();
        let status = scraped(&manager).await;
        assert_eq!(status.last_error, expect, "{path}");
        assert_eq!(status.labels.to_string(), r#"{instance="own.example:9100", job="node"}"#);
        assert!(page.asked.load(Ordering::Relaxed) > 0);
        if expect.is_empty() {
            assert_eq!(memory.last().into_values().collect::<Vec<_>>(), ["0.05"]);
        }
        manager.stop().await;
    }
}

/// The only target, once it was scraped.
async fn scraped(manager: &Manager) -> scrape::TargetStatus {
    for _ in 0..400 {
        if let Some(status) = manager.active_targets().into_iter().find(|s| s.health != Health::Unknown) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never scraped: {:?}", manager.active_targets());
}
