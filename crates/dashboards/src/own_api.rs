//! Calls of our own beside Grafana's: the starter alert rules, and any dashboard as a file to keep.

use std::path::Path as FilePath;
use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use config::rules::{Rule, RuleGroup};
use http::{StatusCode, header};
use serde_json::{Value, json};

use crate::api::{Service, message};
use crate::starters::{self, Starter};

/// `GET /api/vigie/starter-rules`: for each subject its file's text and its rules one by one.
pub(crate) async fn starter_rules(State(service): State<Arc<Service>>) -> Json<Value> {
    static SUBJECTS: LazyLock<Value> = LazyLock::new(|| starters::ALL.iter().map(subject).collect());
    if service.offers_starters() {
        Json(json!({"enabled": true, "subjects": *SUBJECTS}))
    } else {
        Json(json!({"enabled": false, "subjects": []}))
    }
}

fn subject(starter: &Starter) -> Value {
    let file = config::rules::load_str(starter.rules, FilePath::new(&starter.rule_file()))
        .expect("a test reads each starter");
    json!({
        "subject": starter.subject,
        "file": starter.rule_file(),
        "text": starter.rules,
        "groups": file.groups.iter().map(group).collect::<Value>(),
    })
}

fn group(group: &RuleGroup) -> Value {
    json!({"name": group.name, "rules": group.rules.iter().map(rule).collect::<Value>()})
}

fn rule(rule: &Rule) -> Value {
    json!({
        "name": rule.alert, "query": rule.expr.trim(), "duration": rule.for_duration.as_secs_f64(),
        "labels": rule.labels, "annotations": rule.annotations,
    })
}

/// `GET /api/vigie/starter-rules/host.yml`: the rule file, to keep.
pub(crate) async fn starter_rule_file(
    State(service): State<Arc<Service>>,
    Path(file): Path<String>,
) -> Response {
    match starters::ALL.iter().find(|s| s.rule_file() == file) {
        Some(starter) if service.offers_starters() => {
            attachment(&file, "application/yaml; charset=utf-8", starter.rules.to_owned())
        }
        _ => message(StatusCode::NOT_FOUND, "no such starter rule file"),
    }
}

/// `GET /api/vigie/dashboards/{uid}/file`: a dashboard's JSON, indented, to keep and change.
pub(crate) async fn dashboard_file(State(service): State<Arc<Service>>, Path(uid): Path<String>) -> Response {
    let Some(dashboard) = service.library().get(&uid).cloned() else {
        return message(StatusCode::NOT_FOUND, "Dashboard not found");
    };
    let value: Value = serde_json::from_str(dashboard.json.get()).expect("it was written from a value");
    let mut text = format!("{value:#}");
    text.push('\n');
    attachment(&format!("{}.json", dashboard.uid), "application/json", text)
}

/// `name` is a uid or one of ours, so it needs no quoting.
fn attachment(name: &str, content_type: &'static str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_DISPOSITION, disposition)], text)
        .into_response()
}
