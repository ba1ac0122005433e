//! Alerts against a loopback HTTP sink, and against an Alertmanager in this process.
#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use model::LabelSet;
use notifier::{LocalAlertmanager, Manager, ManagerOptions};
use rules::{Alert, AlertSink};

/// Answers each request with `status`; gives the head and body of each.
fn sink(status: &'static str) -> (u16, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tx, rx) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut got = Vec::new();
            let mut buf = [0; 65536];
            loop {
                let text = String::from_utf8_lossy(&got).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let len = head
                        .lines()
                        .find_map(|l| {
                            l.to_lowercase()
                                .strip_prefix("content-length:")
                                .map(|v| v.trim().parse::<usize>())
                        })
                        .unwrap_or(Ok(0))
                        .unwrap();
                    if body.len() >= len {
                        let _ = write!(
                            stream,
                            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        );
                        if tx.send((head.to_owned(), body.to_owned())).is_err() {
                            return;
                        }
                        break;
                    }
                }
                match stream.read(&mut buf) {
                    Ok(0) | Err(_) => break,
                    Ok(n) => got.extend_from_slice(&buf[..n]),
                }
            }
        }
    });
    (port, rx)
}

fn alert(i: usize) -> Alert {
    Alert {
        labels: LabelSet::from_pairs([("alertname", "A"), ("i", &i.to_string())]),
        annotations: LabelSet::empty(),
        starts_at: 1_000,
        ends_at: 2_000,
        generator_url: String::new(),
    }
}

fn config(text: &str) -> config::Config {
    config::load_str(text, Path::new("p.yml")).unwrap_or_else(|e| panic!("{e}")).value
}

const WAIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_batches_relabelled_and_drains() {
    let (port, requests) = sink("200 OK");
    let manager = Manager::new(ManagerOptions { max_batch: 2, ..ManagerOptions::default() });
    manager
        .apply(&config(&format!(
            "
global: {{external_labels: {{dc: par, i: never}}}}
alerting:
  alert_relabel_configs:
    - {{source_labels: [i], regex: '3', action: drop}}
  alertmanagers:
    - path_prefix: /am
      static_configs: [{{targets: ['127.0.0.1:{port}', '127.0.0.1:{port}']}}]
      alert_relabel_configs: [{{target_label: via, replacement: one}}]
"
        )))
        .unwrap();
    let url = format!("http://127.0.0.1:{port}/am/api/v2/alerts");
    assert_eq!(manager.alertmanagers(), (vec![url.clone()], Vec::new()), "the same URL is used once");
    manager.send(&(0..5).map(alert).collect::<Vec<_>>());
    manager.stop().await;
    let mut labels = Vec::new();
    for size in [2, 2] {
        let (head, body) = requests.recv_timeout(WAIT).unwrap();
        assert!(head.starts_with("POST /am/api/v2/alerts HTTP/1.1"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
        let list: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
        assert_eq!(list.len(), size);
        labels.extend(list.iter().map(|a| a["labels"].to_string()));
    }
    assert_eq!(labels[3], r#"{"alertname":"A","dc":"par","i":"4","via":"one"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_counted_and_not_repeated() {
    let (port, requests) = sink("500 Internal Server Error");
    let manager = Manager::new(ManagerOptions::default());
    let text =
        format!("alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]}}");
    manager.apply(&config(&text)).unwrap();
    manager.send(&[alert(1), alert(2)]);
    requests.recv_timeout(WAIT).unwrap();
    let deadline = std::time::Instant::now() + WAIT;
    while manager.stats().alertmanagers[0].errors == 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The same entry again: its numbers go on.
    manager.apply(&config(&text)).unwrap();
    let stats = &manager.stats().alertmanagers[0];
    assert_eq!((stats.sent, stats.errors, stats.dropped, stats.queue_length), (2, 2, 2, 0));
    assert!(requests.try_recv().is_err());
    manager.stop().await;
}

struct Local(std::sync::Mutex<Vec<Alert>>);

impl LocalAlertmanager for Local {
    fn receive(&self, alerts: &[Alert]) -> Result<(), String> {
        self.0.lock().unwrap().extend(alerts.iter().cloned());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alertmanager_in_this_process_is_called() {
    let local = Arc::new(Local(std::sync::Mutex::default()));
    let manager =
        Manager::new(ManagerOptions::default()).with_local(local.clone(), vec!["localhost:9093".to_owned()]);
    manager
        .apply(&config("alerting: {alertmanagers: [{static_configs: [{targets: ['localhost:9093']}]}]}"))
        .unwrap();
    manager.send(&(0..300).map(alert).collect::<Vec<_>>());
    manager.stop().await;
    assert_eq!(local.0.lock().unwrap().len(), 300);
}

#[tokio::test(flavor = "current_thread")]
async fn a_full_queue_loses_its_oldest() {
    let local = Arc::new(Local(std::sync::Mutex::default()));
    let options = ManagerOptions { queue_capacity: 3, ..ManagerOptions::default() };
    let manager = Manager::new(options).with_local(local.clone(), vec!["a:1".to_owned()]);
    manager.apply(&config("alerting: {alertmanagers: [{static_configs: [{targets: ['a:1']}]}]}")).unwrap();
    // One thread and no await in between: nothing is taken from the queue meanwhile.
    manager.send(&[alert(0), alert(1)]);
    manager.send(&[alert(2), alert(3)]);
    let stats = &manager.stats().alertmanagers[0];
    assert_eq!((stats.dropped, stats.queue_length), (1, 3));
    manager.stop().await;
    let got: Vec<_> = local.0.lock().unwrap().iter().map(|a| a.labels.value("i").to_owned()).collect();
    assert_eq!(got, ["1", "2", "3"]);
}
