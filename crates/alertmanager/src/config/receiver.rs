//! Receivers that are acted on: webhook, email, slack; the others are in `other`.

use std::collections::BTreeMap;
use std::time::Duration;

use ::config::yaml::{Context, Node, SectionMap};
use ::config::{Authorization, HttpClientConfig, Secret, TlsConfig};

use super::global::{GlobalConfig, host_port};
use super::other::OtherConfig;
use super::read;

/// A named receiver with its integrations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receiver {
    /// Unique name.
    pub name: String,
    /// Labels to find it by; `name` is always one.
    pub labels: BTreeMap<String, String>,
    /// `webhook_configs`.
    pub webhooks: Vec<WebhookConfig>,
    /// `email_configs`.
    pub emails: Vec<EmailConfig>,
    /// `slack_configs`.
    pub slacks: Vec<SlackConfig>,
    /// Integrations that are read and checked, and to which nothing is sent yet.
    pub others: Vec<OtherConfig>,
}

/// `webhook_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookConfig {
    /// Whether to tell of resolved alerts.
    pub send_resolved: bool,
    /// HTTP settings.
    pub http: HttpClientConfig,
    /// Where to post; may be a template.
    pub url: Secret,
    /// File with the URL.
    pub url_file: String,
    /// 0: all.
    pub max_alerts: u64,
    /// Zero: as long as the group's context lives.
    pub timeout: Duration,
    /// Own payload; strings in it are templates.
    pub payload: Option<serde_json::Value>,
}

/// `email_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailConfig {
    /// Whether to tell of resolved alerts.
    pub send_resolved: bool,
    /// Recipients; a template.
    pub to: String,
    /// Sender; a template.
    pub from: String,
    /// Greeting.
    pub hello: String,
    /// `host:port`.
    pub smarthost: String,
    /// User.
    pub auth_username: String,
    /// Password for PLAIN and LOGIN.
    pub auth_password: Secret,
    /// File with it.
    pub auth_password_file: String,
    /// Secret for CRAM-MD5.
    pub auth_secret: Secret,
    /// File with it.
    pub auth_secret_file: String,
    /// Identity for PLAIN.
    pub auth_identity: String,
    /// Headers by canonical name; values are templates.
    pub headers: BTreeMap<String, String>,
    /// HTML body; a template.
    pub html: String,
    /// Text body; a template.
    pub text: String,
    /// Whether STARTTLS is demanded.
    pub require_tls: bool,
    /// TLS to the server.
    pub tls: TlsConfig,
    /// TLS from the first byte: demanded, refused, or by the port (465).
    pub force_implicit_tls: Option<bool>,
    /// Whether mails of a group refer to one another.
    pub threading: bool,
    /// Whether each day starts a thread.
    pub thread_by_day: bool,
}

/// `slack_configs`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SlackConfig {
    /// Whether to tell of resolved alerts.
    pub send_resolved: bool,
    /// HTTP settings, the bot token included.
    pub http: HttpClientConfig,
    /// Where to post.
    pub api_url: Secret,
    /// File with the URL.
    pub api_url_file: String,
    /// Text fields by key, templates all; absent keys are empty.
    pub texts: BTreeMap<&'static str, String>,
    /// Whether fields are short unless they say otherwise.
    pub short_fields: bool,
    /// Whether names in the text become links.
    pub link_names: bool,
    /// Parts of the attachment with markup; defaults apply when empty.
    pub mrkdwn_in: Vec<String>,
    /// Title, value, short.
    pub fields: Vec<(String, String, Option<bool>)>,
    /// Buttons.
    pub actions: Vec<SlackAction>,
    /// Whether the first message is edited instead of new ones posted.
    pub update_message: bool,
    /// Zero: as long as the group's context lives.
    pub timeout: Duration,
}

/// A button under a Slack message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SlackAction {
    /// `type`, `text`, `url`, `style`, `name`, `value`: templates.
    pub texts: BTreeMap<&'static str, String>,
    /// `text`, `title`, `ok_text`, `dismiss_text`: templates.
    pub confirm: Option<BTreeMap<&'static str, String>>,
}

/// Keys of text fields with their defaults.
const SLACK_TEXTS: [(&str, &str); 16] = [
    ("channel", ""),
    ("username", r#"{{ template "slack.default.username" . }}"#),
    ("color", r#"{{ template "slack.default.color" . }}"#),
    ("title", r#"{{ template "slack.default.title" . }}"#),
    ("title_link", r#"{{ template "slack.default.titlelink" . }}"#),
    ("pretext", r#"{{ template "slack.default.pretext" . }}"#),
    ("text", r#"{{ template "slack.default.text" . }}"#),
    ("message_text", ""),
    ("footer", r#"{{ template "slack.default.footer" . }}"#),
    ("fallback", r#"{{ template "slack.default.fallback" . }}"#),
    ("callback_id", r#"{{ template "slack.default.callbackid" . }}"#),
    ("icon_emoji", r#"{{ template "slack.default.iconemoji" . }}"#),
    ("icon_url", r#"{{ template "slack.default.iconurl" . }}"#),
    ("image_url", ""),
    ("thumb_url", ""),
    ("app_url", ""),
];
const ACTION_TEXTS: [&str; 6] = ["type", "text", "url", "style", "name", "value"];
const CONFIRM_TEXTS: [&str; 4] = ["text", "title", "ok_text", "dismiss_text"];

impl Receiver {
    pub(super) fn decode(node: &Node, global: &GlobalConfig, cx: &mut Context<'_>) -> Option<Self> {
        let mut map = SectionMap::open(node, "config.plain", cx)?;
        let m = &mut map;
        let mut r = Self { name: read::text(m, "name", cx), ..Self::default() };
        if r.name.is_empty() {
            cx.error(node.place, "missing name in receiver");
        }
        r.labels = read::pairs(read::string_map(m, "labels", cx));
        if let Some(other) = r.labels.get("name").filter(|v| **v != r.name) {
            let (name, other) = (model::float::go_quote(&r.name), model::float::go_quote(other));
            cx.error(
                m.place_of("labels"),
                format!("receiver label \"name\" must match receiver name {name}, got {other}"),
            );
        }
        r.labels.insert("name".to_owned(), r.name.clone());
        m.no_nulls("webhook_configs", "missing webhook config", cx);
        m.no_nulls("email_configs", "missing email config", cx);
        r.webhooks = read::list(m, "webhook_configs", cx, |n, cx| webhook(n, global, cx));
        r.emails = read::list(m, "email_configs", cx, |n, cx| email(n, global, cx));
        r.slacks = read::list(m, "slack_configs", cx, |n, cx| slack(n, global, cx));
        r.others = super::other::decode_all(m, &r.name, global, cx);
        let known: Vec<_> = ["name", "labels", "webhook_configs", "email_configs", "slack_configs"]
            .into_iter()
            .chain(super::other::keys())
            .collect();
        map.finish(&known, cx);
        Some(r)
    }

    pub(super) fn set_directory(&mut self, dir: &std::path::Path) {
        self.webhooks.iter_mut().for_each(|w| w.http.set_directory(dir));
        self.slacks.iter_mut().for_each(|s| s.http.set_directory(dir));
        self.emails.iter_mut().for_each(|e| e.tls.set_directory(dir));
    }
}

fn webhook(node: &Node, global: &GlobalConfig, cx: &mut Context<'_>) -> Option<WebhookConfig> {
    if node.is_null() {
        return None;
    }
    let mut map = SectionMap::open(node, "webhook.plain", cx)?;
    let m = &mut map;
    let mut w = WebhookConfig {
        send_resolved: read::flag(m, "send_resolved", cx).unwrap_or(true),
        http: read::http_config(m, cx).unwrap_or_else(|| global.http.clone()),
        url: read::secret(m, "url", cx),
        url_file: read::text(m, "url_file", cx),
        max_alerts: 0,
        timeout: read::go_duration(m, "timeout", cx),
        payload: None,
    };
    m.read("max_alerts", &mut w.max_alerts, cx);
    w.payload = m.take("payload").map(|n| out_to_json(&::config::yaml::Out::from_node(n)));
    if w.url.is_empty() && w.url_file.is_empty() {
        cx.error(node.place, "one of url or url_file must be configured");
    }
    if !w.url.is_empty() && !w.url_file.is_empty() {
        cx.error(map.place_of("url_file"), "at most one of url & url_file must be configured");
    }
    if !w.url.is_empty()
        && !w.url.expose().contains("{{")
        && let Err(e) = read::check_url(w.url.expose())
    {
        cx.error(map.place_of("url"), e);
    }
    map.finish(&["send_resolved", "http_config", "url", "url_file", "max_alerts", "timeout", "payload"], cx);
    Some(w)
}

fn out_to_json(out: &::config::yaml::Out) -> serde_json::Value {
    use ::config::yaml::Out;
    match out {
        Out::Null => serde_json::Value::Null,
        Out::Bool(b) => (*b).into(),
        Out::Int(i) => i64::try_from(*i).map_or(serde_json::Value::Null, Into::into),
        Out::Float(f) => (*f).into(),
        Out::Str(s) => s.as_str().into(),
        Out::Seq(items) => items.iter().map(out_to_json).collect(),
        Out::Map(entries) => {
            serde_json::Value::Object(entries.iter().map(|(k, v)| (k.clone(), out_to_json(v))).collect())
        }
    }
}

/// `textproto.CanonicalMIMEHeaderKey`.
fn canonical_header(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let c = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            upper = c == '-';
            c
        })
        .collect()
}

fn email(node: &Node, global: &GlobalConfig, cx: &mut Context<'_>) -> Option<EmailConfig> {
    if node.is_null() {
        return None;
    }
    let mut map = SectionMap::open(node, "config.plain", cx)?;
    let m = &mut map;
    let smtp = &global.smtp;
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    let mut e = EmailConfig {
        send_resolved: read::flag(m, "send_resolved", cx).unwrap_or(false),
        to: read::text(m, "to", cx),
        from: or(read::text(m, "from", cx), &smtp.from),
        hello: or(read::text(m, "hello", cx), &smtp.hello),
        smarthost: or(host_port(m, "smarthost", cx), &smtp.smarthost),
        auth_username: or(read::text(m, "auth_username", cx), &smtp.auth_username),
        auth_password: read::secret(m, "auth_password", cx),
        auth_password_file: read::text(m, "auth_password_file", cx),
        auth_secret: read::secret(m, "auth_secret", cx),
        auth_secret_file: read::text(m, "auth_secret_file", cx),
        auth_identity: or(read::text(m, "auth_identity", cx), &smtp.auth_identity),
        headers: BTreeMap::new(),
        html: read::text_or(m, "html", r#"{{ template "email.default.html" . }}"#, cx),
        text: read::text(m, "text", cx),
        require_tls: read::flag(m, "require_tls", cx).unwrap_or(smtp.require_tls),
        tls: smtp.tls.clone(),
        force_implicit_tls: read::flag(m, "force_implicit_tls", cx).or(smtp.force_implicit_tls),
        threading: false,
        thread_by_day: false,
    };
    // A key that is written empty switches the part off; one that is not written has the default.
    if m.peek("html").and_then(Node::as_str) == Some("") {
        e.html.clear();
    }
    m.read("tls_config", &mut e.tls, cx);
    if e.auth_password.is_empty() && e.auth_password_file.is_empty() {
        e.auth_password = smtp.auth_password.clone();
        e.auth_password_file.clone_from(&smtp.auth_password_file);
    }
    if e.auth_secret.is_empty() && e.auth_secret_file.is_empty() {
        e.auth_secret = smtp.auth_secret.clone();
        e.auth_secret_file.clone_from(&smtp.auth_secret_file);
    }
    for (name, value, place) in read::string_map(m, "headers", cx) {
        let name = canonical_header(&name);
        if e.headers.contains_key(&name) {
            cx.error(place, format!("duplicate header {} in email config", model::float::go_quote(&name)));
        }
        e.headers.insert(name, value);
    }
    threading(&mut e, m, cx);
    let has_password = !e.auth_password.is_empty() || !e.auth_password_file.is_empty();
    let has_secret = !e.auth_secret.is_empty() || !e.auth_secret_file.is_empty();
    for (ignored, text) in [
        (
            has_secret && !has_password,
            "auth_secret (CRAM-MD5) is accepted but not supported yet: mails to this address will fail; set auth_password for PLAIN or LOGIN",
        ),
        (
            has_secret && has_password,
            "auth_secret (CRAM-MD5) is accepted but not supported yet; auth_password is used with PLAIN or LOGIN",
        ),
        (e.threading, "threading is accepted but not acted on yet: each mail stands alone"),
        (
            !e.tls.cert_file.is_empty() || !e.tls.cert.is_empty(),
            "client certificates in an email tls_config are not supported yet: mails to this address will fail",
        ),
    ] {
        if ignored {
            cx.warn(node.place, format!("email_configs: {text}"));
        }
    }
    for (bad, text) in [
        (e.to.is_empty(), "missing to address in email config"),
        (e.smarthost.is_empty(), "no global SMTP smarthost set"),
        (e.from.is_empty(), "no global SMTP from set"),
    ] {
        if bad {
            cx.error(node.place, text);
        }
    }
    let keys = [
        "send_resolved",
        "to",
        "from",
        "hello",
        "smarthost",
        "auth_username",
        "auth_password",
        "auth_password_file",
        "auth_secret",
        "auth_secret_file",
        "auth_identity",
        "headers",
        "html",
        "text",
        "require_tls",
        "tls_config",
        "force_implicit_tls",
        "threading",
    ];
    map.finish(&keys, cx);
    Some(e)
}

fn threading(e: &mut EmailConfig, m: &mut SectionMap<'_>, cx: &mut Context<'_>) {
    let Some(node) = m.take("threading") else { return };
    let Some(mut inner) = SectionMap::open(node, "config.ThreadingConfig", cx) else { return };
    e.threading = read::flag(&mut inner, "enabled", cx).unwrap_or(false);
    let by = read::text(&mut inner, "thread_by_date", cx);
    inner.finish(&["enabled", "thread_by_date"], cx);
    e.thread_by_day = by == "daily";
    if !e.threading {
        return;
    }
    if !matches!(by.as_str(), "none" | "daily") {
        cx.error(node.place, "threading.thread_by_date must be either 'none' or 'daily'");
    }
    for header in ["References", "In-Reply-To"] {
        if e.headers.contains_key(header) {
            let text =
                format!("conflicting configuration: threading.enabled conflicts with custom {header} header");
            cx.error(node.place, text);
        }
    }
}

fn slack(node: &Node, global: &GlobalConfig, cx: &mut Context<'_>) -> Option<SlackConfig> {
    let mut map = SectionMap::open(node, "config.plain", cx)?;
    let m = &mut map;
    let own_http = read::http_config(m, cx);
    let mut s = SlackConfig {
        send_resolved: read::flag(m, "send_resolved", cx).unwrap_or(false),
        api_url: Secret(read::url(m, "api_url", cx).unwrap_or_default()),
        api_url_file: read::text(m, "api_url_file", cx),
        short_fields: read::flag(m, "short_fields", cx).unwrap_or(false),
        link_names: read::flag(m, "link_names", cx).unwrap_or(false),
        mrkdwn_in: read::strings(m, "mrkdwn_in", cx),
        update_message: read::flag(m, "update_message", cx).unwrap_or(false),
        timeout: read::go_duration(m, "timeout", cx),
        ..SlackConfig::default()
    };
    for (key, default) in SLACK_TEXTS {
        s.texts.insert(key, read::text_or(m, key, default, cx));
    }
    s.fields = read::list(m, "fields", cx, slack_field);
    s.actions = read::list(m, "actions", cx, slack_action);
    let (mut token, mut token_file) = (read::secret(m, "app_token", cx), read::text(m, "app_token_file", cx));
    let has_url = !s.api_url.is_empty() || !s.api_url_file.is_empty();
    let mut fail = |key: &str, text: &str| cx.error(m.place_of(key), text);
    if !s.api_url.is_empty() && !s.api_url_file.is_empty() {
        fail("api_url_file", "at most one of api_url & api_url_file must be configured");
    }
    if !token.is_empty() && !token_file.is_empty() {
        fail("app_token_file", "at most one of app_token & app_token_file must be configured");
    }
    if has_url && (!token.is_empty() || !token_file.is_empty()) {
        fail(
            "app_token",
            "at most one of api_url/api_url_file & app_token/app_token_file must be configured",
        );
    }
    if s.update_message && s.api_url.expose() != "https://slack.com/api/chat.postMessage" {
        fail(
            "update_message",
            "update_message can only be used with bot tokens. api_url must be set to https://slack.com/api/chat.postMessage",
        );
    }
    let app_url =
        s.texts.remove("app_url").filter(|u| !u.is_empty()).unwrap_or_else(|| global.slack_app_url.clone());
    let own_auth = own_http.as_ref().is_some_and(|h| h.authorization.is_some());
    if token.is_empty() && token_file.is_empty() && !own_auth && s.api_url.is_empty() {
        token = global.slack_app_token.clone();
        token_file.clone_from(&global.slack_app_token_file);
    }
    if s.api_url.is_empty() && s.api_url_file.is_empty() {
        s.api_url = global.slack_api_url.clone();
        s.api_url_file.clone_from(&global.slack_api_url_file);
    }
    s.http = own_http.unwrap_or_else(|| global.http.clone());
    if !token.is_empty() || !token_file.is_empty() {
        if s.http.authorization.is_some() {
            fail("http_config", "http authorization can't be set when using Slack App tokens");
        }
        s.http.authorization = Some(Authorization {
            kind: "Bearer".to_owned(),
            credentials: token,
            credentials_file: token_file,
            ..Authorization::default()
        });
        s.api_url = Secret(app_url);
        s.api_url_file.clear();
    } else if s.api_url.is_empty() && s.api_url_file.is_empty() {
        cx.error(node.place, "no Slack API URL nor App token set either inline or in a file");
    }
    let known: Vec<_> = [
        "send_resolved",
        "http_config",
        "api_url",
        "api_url_file",
        "app_token",
        "app_token_file",
        "short_fields",
        "link_names",
        "mrkdwn_in",
        "update_message",
        "timeout",
        "fields",
        "actions",
    ]
    .into_iter()
    .chain(SLACK_TEXTS.iter().map(|(k, _)| *k))
    .collect();
    map.finish(&known, cx);
    Some(s)
}

fn slack_field(node: &Node, cx: &mut Context<'_>) -> Option<(String, String, Option<bool>)> {
    let mut map = SectionMap::open(node, "config.plain", cx)?;
    let (title, value) = (read::text(&mut map, "title", cx), read::text(&mut map, "value", cx));
    let short = read::flag(&mut map, "short", cx);
    for (text, name) in [(&title, "title"), (&value, "value")] {
        if text.is_empty() {
            cx.error(node.place, format!("missing {name} in Slack field configuration"));
        }
    }
    map.finish(&["title", "value", "short"], cx);
    Some((title, value, short))
}

fn slack_action(node: &Node, cx: &mut Context<'_>) -> Option<SlackAction> {
    let mut map = SectionMap::open(node, "config.plain", cx)?;
    let mut action = SlackAction::default();
    for key in ACTION_TEXTS {
        action.texts.insert(key, read::text(&mut map, key, cx));
    }
    if let Some(inner) = map.take("confirm") {
        let mut confirm = SectionMap::open(inner, "config.plain", cx)?;
        let mut texts = BTreeMap::new();
        for key in CONFIRM_TEXTS {
            texts.insert(key, read::text(&mut confirm, key, cx));
        }
        if texts["text"].is_empty() {
            cx.error(inner.place, "missing text in Slack confirmation configuration");
        }
        confirm.finish(&CONFIRM_TEXTS, cx);
        action.confirm = Some(texts);
    }
    for key in ["type", "text"] {
        if action.texts[key].is_empty() {
            cx.error(node.place, format!("missing {key} in Slack action configuration"));
        }
    }
    if !action.texts["url"].is_empty() {
        action.texts.insert("name", String::new());
        action.texts.insert("value", String::new());
        action.confirm = None;
    } else if action.texts["name"].is_empty() {
        cx.error(node.place, "missing name or url in Slack action configuration");
    }
    let known: Vec<_> = ACTION_TEXTS.into_iter().chain(["confirm"]).collect();
    map.finish(&known, cx);
    Some(action)
}
