//! From the break switch to the mail and the Slack message, and back.

use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, ensure};
use e2e::program::{Program, test_directory};
use e2e::server::{Request, Response, Server};
use e2e::{free_port, http, prometheus, tools, wait_for};
use serde_json::Value;

use crate::support::{Quickened, SOON, Stack};

const PASSWORD: &str = "correct horse";

#[test]
fn errors_become_a_mail_and_a_slack_message_and_so_does_their_end() {
    let (Some(vigie), Some(real_estate), Some(python)) =
        (tools::vigie(), tools::real_estate(), tools::python())
    else {
        return;
    };
    let mailbox = test_directory("alerting-mailbox");
    let smtp_port = free_port();
    let mut sink = Command::new(python);
    sink.arg(tools::root().join("crates/e2e/python/smtp_sink.py")).arg(&mailbox);
    sink.args([&smtp_port.to_string(), "alerts@example.com", PASSWORD]);
    let mut sink = Program::start("smtp-sink", &mut sink, &mailbox);
    sink.wait_until_logged("ready");

    let messages = Arc::new(Mutex::new(Vec::<Request>::new()));
    let slack = Server::start({
        let messages = Arc::clone(&messages);
        move |request| {
            messages.lock().unwrap().push(request);
            Response::ok("text/plain", "ok")
        }
    });

    let quickened = Quickened::prepare(
        "alerting",
        &real_estate,
        &[
            ("smtp.example.com:587", &format!("localhost:{smtp_port}")),
            ("change-me", PASSWORD),
            (
                "- to: team@example.com\n",
                &format!(
                    "- to: team@example.com\n        tls_config:\n          ca_file: {}\n",
                    mailbox.join("ca.pem").display()
                ),
            ),
            (
                "https://hooks.slack.com/services/YOUR/WEBHOOK/URL",
                &format!("http://{}/T0/B0/key", slack.address()),
            ),
        ],
    );
    let stack = Stack::start(&vigie, &quickened.directory, &quickened.alertmanager);
    wait_for("the target to be up", SOON, || {
        ensure!(prometheus::number(&stack.prometheus, "up")? == 1.0);
        Ok(())
    });
    let alerts = prometheus::data(&stack.prometheus, "/api/v1/alerts").unwrap();
    assert_eq!(alerts["alerts"], Value::Array(Vec::new()), "no alert before the break");

    quickened.application.set_broken(true);
    wait_for_state(&stack, "pending");
    let firing = wait_for_state(&stack, "firing");
    assert_eq!(firing["labels"]["severity"], "critical");
    assert_eq!(firing["labels"]["instance"], quickened.application.address.as_str());
    let description = firing["annotations"]["description"].as_str().unwrap();
    assert!(description.contains('%'), "{description}");

    let received = wait_for("the alert at the Alertmanager", SOON, || {
        let alerts = http::get(&stack.alertmanager, "/api/v2/alerts")?.json()?;
        alerts.as_array().and_then(|alerts| alerts.first()).cloned().context("no alert")
    });
    assert_eq!(received["labels"]["alertname"], "HighErrorRate");
    assert_eq!(received["status"]["state"], "active");

    let mail = wait_for("the mail", SOON, || mail_with_subject(&mailbox, "[FIRING] HighErrorRate (1)"));
    assert_eq!(mail["tls"], true, "STARTTLS comes before the password");
    assert!(matches!(mail["mechanism"].as_str(), Some("PLAIN" | "LOGIN")), "{mail}");
    assert_eq!(mail["from"], "alerts@example.com");
    assert_eq!(mail["to"], serde_json::json!(["team@example.com"]));
    let html = mail["parts"]["text/html"].as_str().unwrap();
    assert!(html.contains("HighErrorRate") && html.contains("critical"), "{html}");

    let message = wait_for("the Slack message", SOON, || slack_titled(&messages, "FIRING: HighErrorRate"));
    assert_eq!(message["channel"], "#alerts");
    let text = message["attachments"][0]["text"].as_str().unwrap();
    assert!(text.contains("Error rate is ") && text.contains('%'), "{text}");

    quickened.application.set_broken(false);
    wait_for("the alert's end", SOON, || {
        let alerts = prometheus::data(&stack.prometheus, "/api/v1/alerts")?;
        ensure!(alerts["alerts"].as_array().is_some_and(Vec::is_empty), "{alerts}");
        Ok(())
    });
    wait_for("the second mail", SOON, || mail_with_subject(&mailbox, "[RESOLVED] HighErrorRate (1)"));
    wait_for("the second message", SOON, || slack_titled(&messages, "RESOLVED: HighErrorRate"));
    assert!(stack.program.terminate().success(), "SIGTERM is a clean end");
}

fn wait_for_state(stack: &Stack, state: &str) -> Value {
    wait_for(&format!("a {state} alert"), SOON, || {
        let data = prometheus::data(&stack.prometheus, "/api/v1/alerts")?;
        let alerts = data["alerts"].as_array().context("no alerts")?;
        let found = alerts.iter().find(|alert| alert["state"] == state);
        found.cloned().with_context(|| format!("{data}"))
    })
}

fn mail_with_subject(mailbox: &std::path::Path, subject: &str) -> anyhow::Result<Value> {
    let lines = fs::read_to_string(mailbox.join("mails.jsonl"))?;
    let mails: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let found = mails.iter().find(|mail| mail["headers"]["Subject"] == subject);
    found.cloned().with_context(|| format!("mails so far: {lines}"))
}

fn slack_titled(messages: &Mutex<Vec<Request>>, title: &str) -> anyhow::Result<Value> {
    let messages = messages.lock().unwrap();
    let bodies = messages.iter().map(|message| serde_json::from_slice(&message.body));
    let bodies: Vec<Value> = bodies.collect::<Result<_, _>>()?;
    let found = bodies.iter().find(|body| body["attachments"][0]["title"] == title);
    found.cloned().with_context(|| format!("messages so far: {bodies:?}"))
}
