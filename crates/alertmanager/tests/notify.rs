//! Whole notifications over loopback: webhook, Slack and e-mail, with the state surviving a restart.

#![allow(clippy::unwrap_used, reason = "all of this file is test")]

use std::sync::Arc;
use std::time::Duration;

use alertmanager::{PostAlert, Service, ServiceOptions};
use model::LabelSet;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;

fn alert(name: &str, firing: bool) -> PostAlert {
    PostAlert {
        labels: LabelSet::from_pairs([("alertname", name), ("severity", "critical")]),
        annotations: LabelSet::from_pairs([("summary", "CPU <b>high</b>")]),
        starts_at_ms: Some(1_700_000_000_000),
        ends_at_ms: (!firing).then(|| jiff::Timestamp::now().as_millisecond()),
        generator_url: "http://prom/graph".to_owned(),
    }
}

fn service(config: &str, dir: Option<&std::path::Path>) -> Arc<Service> {
    let config = alertmanager::config::load_str(config, std::path::Path::new("am.yml")).unwrap().value;
    let options = ServiceOptions {
        storage_path: dir.map(std::path::Path::to_owned),
        external_url: "http://am:9093".to_owned(),
        ..ServiceOptions::default()
    };
    Service::new(config, options).unwrap()
}

/// A web server that hands over the bodies posted to it.
async fn sink() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (tx, rx) = mpsc::unbounded_channel();
    let app = axum::Router::new().fallback(move |body: axum::body::Bytes| {
        let tx = tx.clone();
        async move {
            let _ = tx.send(serde_json::from_slice(&body).unwrap());
            "ok"
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, rx)
}

async fn next<T>(rx: &mut mpsc::UnboundedReceiver<T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), rx.recv()).await.expect("a notification in time").unwrap()
}

#[tokio::test]
async fn webhook_gets_version_4_and_a_restart_does_not_repeat_it() {
    let (url, mut rx) = sink().await;
    let dir = tempfile::tempdir().unwrap();
    let config = format!(
        "route: {{receiver: w, group_by: [alertname], group_wait: 0s, group_interval: 1s, labels: {{team: '{{{{ .GroupLabels.alertname }}}}'}}}}\nreceivers: [{{name: w, webhook_configs: [{{url: '{url}/hook', max_alerts: 1}}]}}]\n"
    );
    let s = service(&config, Some(dir.path()));
    let run = tokio::spawn(Arc::clone(&s).run());
    s.receive(&[alert("A", true)]).unwrap();
    let got = next(&mut rx).await;
    let fingerprint = got["alerts"][0]["fingerprint"].clone();
    assert_eq!(
        got,
        json!({
            "receiver": "w", "status": "firing", "notification_reason": "first notification",
            "alerts": [{
                "status": "firing", "labels": {"alertname": "A", "severity": "critical"},
                "annotations": {"summary": "CPU <b>high</b>"}, "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prom/graph", "fingerprint": fingerprint,
            }],
            "groupLabels": {"alertname": "A"}, "commonLabels": {"alertname": "A", "severity": "critical"},
            "commonAnnotations": {"summary": "CPU <b>high</b>"}, "routeLabels": {"team": "{{ .GroupLabels.alertname }}"},
            "externalURL": "http://am:9093", "version": "4", "groupKey": "{}:{alertname=\"A\"}", "truncatedAlerts": 0,
        })
    );
    // The entry is on the disk once the provider has accepted: give the reply the time to arrive, then die.
    while s.stats().notifications.is_empty() || s.stats().state_bytes < 300 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    run.abort();
    drop(s);
    // A torn record at the end, as a crash leaves it.
    let path = dir.path().join("state.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3]);
    std::fs::write(&path, bytes).unwrap();
    let s = service(&config, Some(dir.path()));
    let run = tokio::spawn(Arc::clone(&s).run());
    assert_eq!(s.stats().alerts_firing, 1, "the alert is remembered");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(rx.try_recv().is_err(), "and not sent again");
    s.receive(&[alert("A", false)]).unwrap();
    let got = next(&mut rx).await;
    assert_eq!(
        (&got["status"], &got["notification_reason"]),
        (&json!("resolved"), &json!("all alerts resolved"))
    );
    s.stop();
    run.await.unwrap();
}

#[tokio::test]
async fn slack_gets_an_attachment() {
    let (url, mut rx) = sink().await;
    let config = format!(
        "global: {{slack_api_url: '{url}/x'}}\nroute: {{receiver: s, group_by: [alertname], group_wait: 0s, labels: {{team: 'x{{{{ .GroupLabels.alertname }}}}'}}}}\nreceivers: [{{name: s, slack_configs: [{{channel: '#a', text: 'n={{{{ len .Alerts }}}} {{{{ routeLabels `team` }}}}', fields: [{{title: T, value: '{{{{ .Status }}}}'}}]}}]}}]\n"
    );
    let s = service(&config, None);
    let run = tokio::spawn(Arc::clone(&s).run());
    s.receive(&[alert("A", true)]).unwrap();
    let link = "http://am:9093/#/alerts?receiver=s";
    assert_eq!(
        next(&mut rx).await,
        json!({
            "channel": "#a", "username": "Alertmanager",
            "attachments": [{
                "title": "[FIRING:1] A (critical)", "title_link": link, "text": "n=1 xA",
                "fallback": format!("[FIRING:1] A (critical) | {link}"), "color": "danger",
                "mrkdwn_in": ["fallback", "pretext", "text"], "fields": [{"title": "T", "value": "firing", "short": false}],
            }],
        })
    );
    s.stop();
    run.await.unwrap();
}

/// A small SMTP server with AUTH PLAIN and without TLS; hands over the credentials and the message.
async fn smtp() -> (u16, mpsc::UnboundedReceiver<(String, String)>) {
    let (tx, rx) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let (mut auth, mut message, mut in_data) = (String::new(), String::new(), false);
            let _ = write.write_all(b"220 test ESMTP\r\n").await;
            while let Ok(Some(line)) = lines.next_line().await {
                let reply: &[u8] = if in_data {
                    if line != "." {
                        message.push_str(&line);
                        message.push('\n');
                        continue;
                    }
                    in_data = false;
                    let _ = tx.send((auth.clone(), std::mem::take(&mut message)));
                    b"250 ok\r\n"
                } else if line.starts_with("EHLO") {
                    b"250-test\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n"
                } else if let Some(credentials) = line.strip_prefix("AUTH PLAIN ") {
                    credentials.clone_into(&mut auth);
                    b"235 ok\r\n"
                } else if line == "DATA" {
                    in_data = true;
                    b"354 go\r\n"
                } else if line == "QUIT" {
                    b"221 bye\r\n"
                } else {
                    b"250 ok\r\n"
                };
                let _ = write.write_all(reply).await;
            }
        }
    });
    (port, rx)
}

#[tokio::test]
async fn email_goes_through_smtp_with_auth() {
    let (port, mut rx) = smtp().await;
    let config = format!(
        "global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: 'am@example.org', smtp_auth_username: u, smtp_auth_password: p, smtp_require_tls: false}}\nroute: {{receiver: m, group_by: [alertname], group_wait: 0s}}\nreceivers: [{{name: m, email_configs: [{{to: 'a@example.org, b@example.org', text: 'plain {{{{ .Status }}}}', headers: {{x-team: 'ops {{{{ .Status }}}}'}}}}]}}]\n"
    );
    let s = service(&config, None);
    let run = tokio::spawn(Arc::clone(&s).run());
    s.receive(&[alert("A", true)]).unwrap();
    let (auth, message) = next(&mut rx).await;
    assert_eq!(auth, "AHUAcA==");
    for part in [
        "Subject: [FIRING:1] A (critical)",
        "To: a@example.org, b@example.org",
        "From: am@example.org",
        "X-Team: ops firing",
        "Date: ",
        "Message-ID: <",
        "multipart/alternative",
        "plain firing",
        "CPU &lt;b&gt;high&lt;/b&gt;",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    s.stop();
    run.await.unwrap();
}

#[tokio::test]
async fn require_tls_refuses_a_plain_server_and_other_integrations_say_so() {
    let (port, _rx) = smtp().await;
    let config = format!(
        "global: {{smtp_smarthost: '127.0.0.1:{port}', smtp_from: 'am@example.org', pagerduty_url: 'http://127.0.0.1:1'}}\nroute: {{receiver: m, group_wait: 0s}}\nreceivers: [{{name: m, email_configs: [{{to: 'a@example.org'}}], pagerduty_configs: [{{routing_key: k}}]}}]\n"
    );
    let s = service(&config, None);
    let run = tokio::spawn(Arc::clone(&s).run());
    s.receive(&[alert("A", true)]).unwrap();
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let stats = s.stats();
            if stats.requests_failed.contains_key("email")
                && stats.notifications_failed.contains_key(&("pagerduty", "other"))
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap();
    run.abort();
}
