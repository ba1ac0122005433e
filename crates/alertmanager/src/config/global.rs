//! The `global` block: defaults for routes' and receivers' settings.

use std::collections::BTreeMap;

use ::config::yaml::{Context, Node, Out, SectionMap};
use ::config::{HttpClientConfig, Secret, TlsConfig};

use super::read;

/// Settings that receivers fall back on.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalConfig {
    /// After how many milliseconds without news an alert counts as resolved.
    pub resolve_timeout_ms: i64,
    /// How receivers speak HTTP, unless they say otherwise.
    pub http: HttpClientConfig,
    /// SMTP settings.
    pub smtp: SmtpDefaults,
    /// `slack_api_url`.
    pub slack_api_url: Secret,
    /// `slack_api_url_file`.
    pub slack_api_url_file: String,
    /// `slack_app_token`.
    pub slack_app_token: Secret,
    /// `slack_app_token_file`.
    pub slack_app_token_file: String,
    /// `slack_app_url`.
    pub slack_app_url: String,
    /// Settings of services that nothing notifies yet, by key; kept for the checks of their receivers.
    pub(super) services: BTreeMap<&'static str, String>,
}

/// The `smtp_*` keys.
#[derive(Debug, Clone, PartialEq)]
pub struct SmtpDefaults {
    /// Sender.
    pub from: String,
    /// Name in the greeting.
    pub hello: String,
    /// `host:port`.
    pub smarthost: String,
    /// User for PLAIN, LOGIN and CRAM-MD5.
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
    /// Whether STARTTLS is demanded.
    pub require_tls: bool,
    /// TLS to the server.
    pub tls: TlsConfig,
    /// TLS from the first byte: demanded, refused, or by the port (465).
    pub force_implicit_tls: Option<bool>,
}

impl Default for GlobalConfig {
    fn default() -> Self {
        Self {
            resolve_timeout_ms: 5 * 60_000,
            http: HttpClientConfig::default(),
            smtp: SmtpDefaults {
                from: String::new(),
                hello: "localhost".to_owned(),
                smarthost: String::new(),
                auth_username: String::new(),
                auth_password: Secret::default(),
                auth_password_file: String::new(),
                auth_secret: Secret::default(),
                auth_secret_file: String::new(),
                auth_identity: String::new(),
                require_tls: true,
                tls: TlsConfig::default(),
                force_implicit_tls: None,
            },
            slack_api_url: Secret::default(),
            slack_api_url_file: String::new(),
            slack_app_token: Secret::default(),
            slack_app_token_file: String::new(),
            slack_app_url: SLACK_APP_URL.to_owned(),
            services: SERVICE_URLS.iter().map(|(k, v)| (*k, (*v).to_owned())).collect(),
        }
    }
}

const SLACK_APP_URL: &str = "https://slack.com/api/chat.postMessage";

/// Public endpoints of services.
const SERVICE_URLS: [(&str, &str); 7] = [
    ("pagerduty_url", "https://events.pagerduty.com/v2/enqueue"),
    ("opsgenie_api_url", "https://api.opsgenie.com/"),
    ("wechat_api_url", "https://qyapi.weixin.qq.com/cgi-bin/"),
    ("victorops_api_url", "https://alert.victorops.com/integrations/generic/20131114/alert/"),
    ("telegram_api_url", "https://api.telegram.org"),
    ("webex_api_url", "https://webexapis.com/v1/messages"),
    ("rocketchat_api_url", "https://open.rocket.chat/"),
];

const SERVICE_KEYS: [&str; 15] = [
    "opsgenie_api_key",
    "opsgenie_api_key_file",
    "wechat_api_secret",
    "wechat_api_secret_file",
    "wechat_api_corp_id",
    "victorops_api_key",
    "victorops_api_key_file",
    "telegram_bot_token",
    "telegram_bot_token_file",
    "rocketchat_token",
    "rocketchat_token_file",
    "rocketchat_token_id",
    "rocketchat_token_id_file",
    "mattermost_webhook_url",
    "mattermost_webhook_url_file",
];

const OWN_KEYS: [&str; 20] = [
    "resolve_timeout",
    "http_config",
    "jira_api_url",
    "smtp_from",
    "smtp_hello",
    "smtp_smarthost",
    "smtp_auth_username",
    "smtp_auth_password",
    "smtp_auth_password_file",
    "smtp_auth_secret",
    "smtp_auth_secret_file",
    "smtp_auth_identity",
    "smtp_require_tls",
    "smtp_tls_config",
    "smtp_force_implicit_tls",
    "slack_api_url",
    "slack_api_url_file",
    "slack_app_token",
    "slack_app_token_file",
    "slack_app_url",
];

/// Keys of which at most one may be set.
const EXCLUSIVE: [(&str, &str); 10] = [
    ("slack_app_token", "slack_app_token_file"),
    ("slack_api_url", "slack_api_url_file"),
    ("opsgenie_api_key", "opsgenie_api_key_file"),
    ("victorops_api_key", "victorops_api_key_file"),
    ("telegram_bot_token", "telegram_bot_token_file"),
    ("smtp_auth_password", "smtp_auth_password_file"),
    ("rocketchat_token", "rocketchat_token_file"),
    ("rocketchat_token_id", "rocketchat_token_id_file"),
    ("smtp_auth_secret", "smtp_auth_secret_file"),
    ("wechat_api_secret", "wechat_api_secret_file"),
];

impl GlobalConfig {
    /// A service's setting; empty where there is none.
    pub(super) fn service(&self, key: &str) -> &str {
        self.services.get(key).map_or("", String::as_str)
    }

    pub(super) fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let mut map = SectionMap::open(node, "config.plain", cx)?;
        let m = &mut map;
        let mut g = Self::default();
        if let Some(ms) = read::duration_ms(m, "resolve_timeout", cx) {
            g.resolve_timeout_ms = ms;
        }
        if let Some(http) = read::http_config(m, cx) {
            g.http = http;
        }
        g.smtp.from = read::text(m, "smtp_from", cx);
        g.smtp.hello = read::text_or(m, "smtp_hello", "localhost", cx);
        g.smtp.smarthost = host_port(m, "smtp_smarthost", cx);
        g.smtp.auth_username = read::text(m, "smtp_auth_username", cx);
        g.smtp.auth_password = read::secret(m, "smtp_auth_password", cx);
        g.smtp.auth_password_file = read::text(m, "smtp_auth_password_file", cx);
        g.smtp.auth_secret = read::secret(m, "smtp_auth_secret", cx);
        g.smtp.auth_secret_file = read::text(m, "smtp_auth_secret_file", cx);
        g.smtp.auth_identity = read::text(m, "smtp_auth_identity", cx);
        g.smtp.require_tls = read::flag(m, "smtp_require_tls", cx).unwrap_or(true);
        g.smtp.force_implicit_tls = read::flag(m, "smtp_force_implicit_tls", cx);
        m.read("smtp_tls_config", &mut g.smtp.tls, cx);
        g.slack_api_url = Secret(read::url(m, "slack_api_url", cx).unwrap_or_default());
        g.slack_api_url_file = read::text(m, "slack_api_url_file", cx);
        g.slack_app_token = read::secret(m, "slack_app_token", cx);
        g.slack_app_token_file = read::text(m, "slack_app_token_file", cx);
        if let Some(url) = read::url(m, "slack_app_url", cx) {
            g.slack_app_url = url;
        }
        for key in SERVICE_URLS.iter().map(|(k, _)| *k).chain(["jira_api_url", "mattermost_webhook_url"]) {
            if let Some(url) = read::url(m, key, cx) {
                g.services.insert(key, url);
            }
        }
        for key in SERVICE_KEYS.into_iter().filter(|k| *k != "mattermost_webhook_url") {
            let text = read::text(m, key, cx);
            if !text.is_empty() {
                g.services.insert(key, text);
            }
        }
        let known: Vec<_> =
            OWN_KEYS.into_iter().chain(SERVICE_URLS.iter().map(|(k, _)| *k)).chain(SERVICE_KEYS).collect();
        map.finish(&known, cx);
        g.check(&map, cx);
        Some(g)
    }

    fn check(&self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let set = |key: &str| map.peek(key).and_then(Node::as_str).is_some_and(|t| !t.is_empty());
        let pairs = EXCLUSIVE.into_iter().chain([("mattermost_webhook_url", "mattermost_webhook_url_file")]);
        for (a, b) in pairs {
            if set(a) && set(b) {
                cx.error(map.place_of(b), format!("at most one of {a} & {b} must be configured"));
            }
        }
        let token = set("slack_app_token") || set("slack_app_token_file");
        let url = set("slack_api_url") || set("slack_api_url_file");
        // Bot tokens were given by an `http_config` beside this URL before there was a key for them.
        if token && url && self.slack_api_url.0 != self.slack_app_url {
            let text = "at most one of slack_app_token/slack_app_token_file & slack_api_url/slack_api_url_file must be configured";
            cx.error(map.place_of("slack_app_token"), text);
        }
    }

    pub(super) fn set_directory(&mut self, dir: &std::path::Path) {
        self.http.set_directory(dir);
        self.smtp.tls.set_directory(dir);
    }

    /// Defaults that the shown configuration adds to what the file says.
    pub(super) fn shown_defaults(&self) -> Vec<(String, Out)> {
        let mut out = vec![
            ("resolve_timeout".to_owned(), Out::Str(duration_text(self.resolve_timeout_ms))),
            (
                "http_config".to_owned(),
                Out::Map(
                    ["follow_redirects", "enable_http2"]
                        .map(|key| (key.to_owned(), Out::Bool(true)))
                        .to_vec(),
                ),
            ),
            ("smtp_hello".to_owned(), Out::Str(self.smtp.hello.clone())),
            ("smtp_require_tls".to_owned(), Out::Bool(self.smtp.require_tls)),
            ("slack_app_url".to_owned(), Out::Str(self.slack_app_url.clone())),
        ];
        out.extend(SERVICE_URLS.iter().map(|(k, _)| ((*k).to_owned(), Out::Str(self.service(k).to_owned()))));
        out
    }
}

/// Milliseconds as a Prometheus duration.
pub(super) fn duration_text(ms: i64) -> String {
    model::duration::format(std::time::Duration::from_millis(ms.unsigned_abs()))
}

/// `host:port`, with Go's complaints.
pub(super) fn host_port(map: &mut SectionMap<'_>, key: &str, cx: &mut Context<'_>) -> String {
    let place = map.place_of(key);
    let text = read::text(map, key, cx);
    if text.is_empty() {
        return text;
    }
    match text.rsplit_once(':') {
        None => cx.error(place, format!("address {text}: missing port in address")),
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
            cx.error(place, format!("address {text}: too many colons in address"));
        }
        Some((_, "")) => {
            cx.error(place, format!("address {}: port cannot be empty", model::float::go_quote(&text)));
        }
        Some(_) => {}
    }
    text
}
