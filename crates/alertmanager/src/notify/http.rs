//! Webhooks and Slack: JSON over HTTP.

use std::time::Duration;

use ::config::HttpClientConfig;
use bytes::Bytes;
use httpclient::{Client, ClientOptions, Limits};
use serde_json::{Value, json};

use super::templates::NotificationTemplates;
use super::{Failure, Notification, USER_AGENT, secret, truncate};
use crate::config::{SlackConfig, WebhookConfig};

/// How much of a reply is read.
const MAX_REPLY_BYTES: u64 = 1 << 20;
/// How much of a reply goes into an error.
const MAX_DETAIL: usize = 1024;

struct Reply {
    status: u16,
    body: Bytes,
}

async fn post(http: &HttpClientConfig, url: &str, body: &Value, timeout: Duration) -> Result<Reply, Failure> {
    let redact = |text: String| text.replace(url, "<redacted>");
    let client = Client::new(http, ClientOptions { user_agent: USER_AGENT.to_owned() })
        .map_err(|e| Failure::fatal(e.to_string()))?;
    let request = ::http::Request::post(url)
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .map_err(|e| Failure::fatal(redact(format!("invalid url: {e}"))))?;
    let limits = Limits { timeout, max_body_bytes: Some(MAX_REPLY_BYTES) };
    let reply = client.send(request, &limits).await.map_err(|e| {
        let timeout = e.kind() == httpclient::ErrorKind::Timeout;
        let reason = if timeout { "contextDeadlineExceeded" } else { "other" };
        Failure { retry: e.kind() != httpclient::ErrorKind::Config, reason, message: redact(e.to_string()) }
    })?;
    Ok(Reply { status: reply.status().as_u16(), body: reply.into_body() })
}

/// Whether a status is success, and if not, whether to try again: 5xx and what `retry` names.
fn check(reply: &Reply, retry: &[u16]) -> Result<(), Failure> {
    if (200..300).contains(&reply.status) {
        return Ok(());
    }
    let reason = match reply.status {
        401 | 403 => "authError",
        429 => "rateLimited",
        400..=499 => "clientError",
        500..=599 => "serverError",
        _ => "other",
    };
    let body = String::from_utf8_lossy(&reply.body);
    let detail = truncate(body.trim(), MAX_DETAIL);
    let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    let retry = reply.status / 100 == 5 || retry.contains(&reply.status);
    Err(Failure { retry, reason, message: format!("unexpected status code {}{detail}", reply.status) })
}

fn timeout(own: Duration, notification: &Notification) -> Duration {
    if own.is_zero() { notification.timeout } else { own.min(notification.timeout) }
}

/// Posts a webhook, version 4 or the user's own payload.
pub(super) async fn webhook(
    config: &WebhookConfig,
    n: &Notification,
    templates: &NotificationTemplates,
) -> Result<(), Failure> {
    let mut data = n.data.clone();
    let max = usize::try_from(config.max_alerts).unwrap_or(usize::MAX);
    let truncated = if max == 0 { 0 } else { data.alerts.len().saturating_sub(max) };
    data.alerts.truncate(data.alerts.len() - truncated);
    let body = match &config.payload {
        Some(payload) => expand(payload, &|text| Ok(templates.text(text, &data)?))?,
        None => {
            let mut body = data.to_json();
            body["version"] = "4".into();
            body["groupKey"] = n.group_key.as_str().into();
            body["truncatedAlerts"] = truncated.into();
            body
        }
    };
    let url = secret(&config.url, &config.url_file)?;
    let url = templates.text(&url, &data)?;
    if url.is_empty() {
        return Err(Failure::fatal("webhook URL is empty after templating"));
    }
    check(&post(&config.http, url.trim(), &body, timeout(config.timeout, n)).await?, &[])
}

/// A payload with its strings expanded; a string that comes out as a JSON or YAML structure becomes that structure.
fn expand(value: &Value, text: &dyn Fn(&str) -> Result<String, Failure>) -> Result<Value, Failure> {
    Ok(match value {
        Value::String(s) => {
            let out = text(s)?;
            match ::config::yaml::parse(&out, std::path::Path::new("payload")) {
                Ok(node) if !out.trim().is_empty() => structure(&node, out),
                _ => Value::String(out),
            }
        }
        Value::Array(items) => items.iter().map(|i| expand(i, text)).collect::<Result<_, _>>()?,
        Value::Object(map) => {
            let entries = map.iter().map(|(k, v)| Ok((text(k)?, expand(v, text)?)));
            Value::Object(entries.collect::<Result<_, Failure>>()?)
        }
        other => other.clone(),
    })
}

fn structure(node: &::config::yaml::Node, text: String) -> Value {
    fn convert(node: &::config::yaml::Node) -> Value {
        if let Some(items) = node.as_seq() {
            items.iter().map(convert).collect()
        } else if let Some(entries) = node.as_map() {
            let entries = entries.iter().filter_map(|(k, v)| Some((k.as_str()?.to_owned(), convert(v))));
            Value::Object(entries.collect())
        } else if node.is_null() {
            Value::Null
        } else if matches!(&node.value, ::config::yaml::Value::Scalar(s) if !s.plain) {
            node.as_str().unwrap_or("").into()
        } else if let Some(b) = node.as_bool() {
            b.into()
        } else if let Some(i) = node.as_int().and_then(|i| i64::try_from(i).ok()) {
            i.into()
        } else if let Some(f) = node.as_float() {
            f.into()
        } else {
            node.as_str().unwrap_or("").into()
        }
    }
    match convert(node) {
        Value::String(_) => Value::String(text),
        other => other,
    }
}

const MAX_SLACK_TITLE: usize = 1024;

/// Posts to Slack: an attachment, or a plain text where `message_text` is set.
pub(super) async fn slack(
    config: &SlackConfig,
    n: &Notification,
    templates: &NotificationTemplates,
) -> Result<(), Failure> {
    let body = slack_body(config, n, templates)?;
    let url = secret(&config.api_url, &config.api_url_file)?;
    let reply = post(&config.http, &url, &body, timeout(config.timeout, n)).await?;
    check(&reply, &[429])?;
    slack_reply(&reply.body)
}

/// Slack says no with status 200: any text but `ok`, or JSON that is not `ok`.
fn slack_reply(body: &[u8]) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(body);
    if let Ok(json) = serde_json::from_slice::<Value>(body)
        && json.is_object()
    {
        if json["ok"].as_bool() == Some(true) {
            return Ok(());
        }
        let error = json["error"].as_str().unwrap_or("unknown error");
        return Err(Failure {
            retry: false,
            reason: "clientError",
            message: format!("error response from Slack: {error}"),
        });
    }
    if matches!(text.trim(), "ok" | "") {
        return Ok(());
    }
    let detail = truncate(text.trim(), MAX_DETAIL);
    Err(Failure {
        retry: false,
        reason: "clientError",
        message: format!("received an error response from Slack: {detail}"),
    })
}

fn slack_body(
    config: &SlackConfig,
    n: &Notification,
    templates: &NotificationTemplates,
) -> Result<Value, Failure> {
    if config.update_message {
        return Err(Failure::fatal("update_message of slack_configs is not supported yet"));
    }
    let expand = |text: &str| templates.text(text, &n.data).map_err(Failure::from);
    let get = |key: &str| expand(config.texts.get(key).map_or("", String::as_str));
    let mut fields = Vec::new();
    for (title, value, short) in &config.fields {
        fields.push(json!({
            "title": expand(title)?, "value": expand(value)?, "short": short.unwrap_or(config.short_fields),
        }));
    }
    let mut actions = Vec::new();
    for action in &config.actions {
        let mut out = serde_json::Map::new();
        for (key, text) in &action.texts {
            put(&mut out, key, expand(text)?);
        }
        if let Some(confirm) = &action.confirm {
            let mut inner = serde_json::Map::new();
            for (key, text) in confirm {
                put(&mut inner, key, expand(text)?);
            }
            out.insert("confirm".to_owned(), Value::Object(inner));
        }
        actions.push(Value::Object(out));
    }
    let mut request = serde_json::Map::new();
    for key in ["channel", "username", "icon_emoji", "icon_url"] {
        put(&mut request, key, get(key)?);
    }
    if config.link_names {
        request.insert("link_names".to_owned(), true.into());
    }
    let message = get("message_text")?;
    if !message.is_empty() {
        request.insert("text".to_owned(), message.into());
        return Ok(Value::Object(request));
    }
    let mut attachment = serde_json::Map::new();
    put(&mut attachment, "title", truncate(&get("title")?, MAX_SLACK_TITLE));
    for key in [
        "title_link",
        "pretext",
        "text",
        "fallback",
        "callback_id",
        "image_url",
        "thumb_url",
        "footer",
        "color",
    ] {
        put(&mut attachment, key, get(key)?);
    }
    // Upstream always names the fallback, even when it is empty.
    attachment.entry("fallback").or_insert_with(|| "".into());
    attachment.insert("text".to_owned(), get("text")?.into());
    let markup = if config.mrkdwn_in.is_empty() {
        json!(["fallback", "pretext", "text"])
    } else {
        json!(config.mrkdwn_in)
    };
    attachment.insert("mrkdwn_in".to_owned(), markup);
    if !fields.is_empty() {
        attachment.insert("fields".to_owned(), fields.into());
    }
    if !actions.is_empty() {
        attachment.insert("actions".to_owned(), actions.into());
    }
    request.insert("attachments".to_owned(), json!([attachment]));
    Ok(Value::Object(request))
}

fn put(map: &mut serde_json::Map<String, Value>, key: &str, text: String) {
    if !text.is_empty() {
        map.insert(key.to_owned(), text.into());
    }
}
