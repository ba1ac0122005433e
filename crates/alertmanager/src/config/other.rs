//! Integrations that are read and checked as upstream does, and to which nothing is sent yet: a table of their keys.

use std::collections::BTreeSet;

use ::config::yaml::{Context, Node, SectionMap};

use super::global::GlobalConfig;
use super::read;

/// An integration that is configured and not acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherConfig {
    /// Upstream's name of the integration, `pagerduty`.
    pub integration: &'static str,
    /// Whether to tell of resolved alerts.
    pub send_resolved: bool,
}

struct Spec {
    key: &'static str,
    integration: &'static str,
    send_resolved: bool,
    /// Upstream's text for a null entry; empty where that is an entry with defaults.
    null: &'static str,
    keys: &'static [&'static str],
    /// Lists or mappings with known keys of their own.
    nested: &'static [(&'static str, &'static [&'static str])],
    check: fn(&Entry<'_>, &GlobalConfig) -> Vec<String>,
}

/// Which keys of an entry are set, and their texts.
struct Entry<'n> {
    node: &'n Node,
    has_authorization: bool,
}

impl Entry<'_> {
    fn text(&self, key: &str) -> &str {
        self.node.get(key).and_then(Node::as_str).unwrap_or("")
    }

    fn set(&self, key: &str) -> bool {
        self.node.get(key).is_some_and(|n| !n.is_null() && n.as_str() != Some(""))
    }

    fn at_most_one(&self, a: &str, b: &str, out: &mut Vec<String>) {
        if self.set(a) && self.set(b) {
            out.push(format!("at most one of {a} & {b} must be configured"));
        }
    }

    fn exactly_one(&self, a: &str, b: &str, out: &mut Vec<String>) {
        if !self.set(a) && !self.set(b) {
            out.push(format!("one of {a} or {b} must be configured"));
        }
        self.at_most_one(a, b, out);
    }

    fn needs(&self, ok: bool, text: &str, out: &mut Vec<String>) {
        if !ok {
            out.push(text.to_owned());
        }
    }
}

fn either(global: &GlobalConfig, a: &str, b: &str) -> bool {
    !global.service(a).is_empty() || !global.service(b).is_empty()
}

fn webhook_url(e: &Entry<'_>, _: &GlobalConfig) -> Vec<String> {
    let mut out = Vec::new();
    e.exactly_one("webhook_url", "webhook_url_file", &mut out);
    out
}

const SIGV4: &[&str] = &[
    "region",
    "access_key",
    "secret_key",
    "profile",
    "role_arn",
    "external_id",
    "use_fips_sts_endpoint",
    "service_name",
];
const MATTERMOST_FIELD: &[&str] = &["title", "value", "short"];

static SPECS: [Spec; 15] = [
    Spec {
        key: "pagerduty_configs",
        integration: "pagerduty",
        send_resolved: true,
        null: "missing pagerduty config",
        keys: &[
            "service_key",
            "service_key_file",
            "routing_key",
            "routing_key_file",
            "url",
            "client",
            "client_url",
            "description",
            "details",
            "source",
            "severity",
            "class",
            "component",
            "group",
            "timeout",
        ],
        nested: &[("images", &["src", "alt", "href"]), ("links", &["href", "text"])],
        check: |e, _| {
            let mut out = Vec::new();
            let any = ["service_key", "service_key_file", "routing_key", "routing_key_file"]
                .iter()
                .any(|k| e.set(k));
            e.needs(any, "missing service or routing key in PagerDuty config", &mut out);
            e.at_most_one("routing_key", "routing_key_file", &mut out);
            e.at_most_one("service_key", "service_key_file", &mut out);
            out
        },
    },
    Spec {
        key: "opsgenie_configs",
        integration: "opsgenie",
        send_resolved: true,
        null: "",
        keys: &[
            "api_key",
            "api_key_file",
            "api_url",
            "message",
            "description",
            "source",
            "details",
            "entity",
            "actions",
            "tags",
            "note",
            "priority",
            "update_alerts",
        ],
        nested: &[("responders", &["id", "name", "username", "type"])],
        check: |e, g| {
            let mut out = Vec::new();
            e.at_most_one("api_key", "api_key_file", &mut out);
            let key = e.set("api_key")
                || e.set("api_key_file")
                || either(g, "opsgenie_api_key", "opsgenie_api_key_file");
            e.needs(key, "no global OpsGenie API Key set either inline or in a file", &mut out);
            for r in e.node.get("responders").and_then(Node::as_seq).unwrap_or(&[]) {
                let text = |k: &str| r.get(k).and_then(Node::as_str).unwrap_or("").to_owned();
                let shown =
                    format!("{{{} {} {} {}}}", text("id"), text("name"), text("username"), text("type"));
                if [text("id"), text("name"), text("username")].iter().all(String::is_empty) {
                    out.push(format!("opsGenieConfig responder {shown} has to have at least one of id, username or name specified"));
                }
                let kind = text("type").to_lowercase();
                if !kind.contains("{{")
                    && !matches!(kind.as_str(), "team" | "teams" | "user" | "escalation" | "schedule")
                {
                    out.push(format!("opsGenieConfig responder {shown} type does not match valid options ^(team|teams|user|escalation|schedule)$"));
                }
            }
            out
        },
    },
    Spec {
        key: "victorops_configs",
        integration: "victorops",
        send_resolved: true,
        null: "missing victorops config",
        keys: &[
            "api_key",
            "api_key_file",
            "api_url",
            "routing_key",
            "message_type",
            "state_message",
            "entity_display_name",
            "monitoring_tool",
            "custom_fields",
        ],
        nested: &[],
        check: |e, g| {
            let mut out = Vec::new();
            e.needs(e.set("routing_key"), "missing Routing key in VictorOps config", &mut out);
            e.at_most_one("api_key", "api_key_file", &mut out);
            let key = e.set("api_key")
                || e.set("api_key_file")
                || either(g, "victorops_api_key", "victorops_api_key_file");
            e.needs(key, "no global VictorOps API Key set", &mut out);
            for (k, _) in e.node.get("custom_fields").and_then(Node::as_map).unwrap_or(&[]) {
                let name = k.as_str().unwrap_or("");
                if [
                    "routing_key",
                    "message_type",
                    "state_message",
                    "entity_display_name",
                    "monitoring_tool",
                    "entity_id",
                    "entity_state",
                ]
                .contains(&name)
                {
                    out.push(format!("victorOps config contains custom field {name} which cannot be used as it conflicts with the fixed/static fields"));
                }
            }
            out
        },
    },
    Spec {
        key: "pushover_configs",
        integration: "pushover",
        send_resolved: true,
        null: "missing pushover config",
        keys: &[
            "user_key",
            "user_key_file",
            "token",
            "token_file",
            "title",
            "message",
            "url",
            "url_title",
            "device",
            "sound",
            "priority",
            "retry",
            "expire",
            "ttl",
            "html",
            "monospace",
        ],
        nested: &[],
        check: |e, _| {
            let mut out = Vec::new();
            e.exactly_one("user_key", "user_key_file", &mut out);
            e.exactly_one("token", "token_file", &mut out);
            let both = e.text("html") == "true" && e.text("monospace") == "true";
            e.needs(!both, "at most one of monospace & html must be configured", &mut out);
            out
        },
    },
    Spec {
        key: "wechat_configs",
        integration: "wechat",
        send_resolved: false,
        null: "",
        keys: &[
            "api_secret",
            "api_secret_file",
            "corp_id",
            "message",
            "api_url",
            "to_user",
            "to_party",
            "to_tag",
            "agent_id",
            "message_type",
        ],
        nested: &[],
        check: |e, g| {
            let mut out = Vec::new();
            let kind = e.text("message_type");
            if !matches!(kind, "" | "text" | "markdown") {
                out.push(format!(
                    "weChat message type {kind:?} does not match valid options ^(text|markdown)$"
                ));
            }
            e.at_most_one("api_secret", "api_secret_file", &mut out);
            let secret = e.set("api_secret")
                || e.set("api_secret_file")
                || either(g, "wechat_api_secret", "wechat_api_secret_file");
            e.needs(secret, "no global Wechat Api Secret set either inline or in a file", &mut out);
            e.needs(
                e.set("corp_id") || !g.service("wechat_api_corp_id").is_empty(),
                "no global Wechat CorpID set",
                &mut out,
            );
            out
        },
    },
    Spec {
        key: "telegram_configs",
        integration: "telegram",
        send_resolved: true,
        null: "missing telegram config",
        keys: &[
            "api_url",
            "bot_token",
            "bot_token_file",
            "chat_id",
            "chat_id_file",
            "message_thread_id",
            "message",
            "disable_notifications",
            "parse_mode",
        ],
        nested: &[],
        check: |e, g| {
            let mut out = Vec::new();
            e.at_most_one("bot_token", "bot_token_file", &mut out);
            let chat = e.set("chat_id") && e.text("chat_id") != "0";
            e.needs(
                chat || e.set("chat_id_file"),
                "missing chat_id or chat_id_file on telegram_config",
                &mut out,
            );
            e.needs(
                !(chat && e.set("chat_id_file")),
                "at most one of chat_id & chat_id_file must be configured",
                &mut out,
            );
            let mode = matches!(e.text("parse_mode"), "" | "Markdown" | "MarkdownV2" | "HTML");
            e.needs(
                mode,
                "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string",
                &mut out,
            );
            let token = e.set("bot_token")
                || e.set("bot_token_file")
                || either(g, "telegram_bot_token", "telegram_bot_token_file");
            e.needs(token, "missing bot_token or bot_token_file on telegram_config", &mut out);
            out
        },
    },
    Spec {
        key: "discord_configs",
        integration: "discord",
        send_resolved: true,
        null: "missing discord config",
        keys: &["webhook_url", "webhook_url_file", "content", "title", "message", "username", "avatar_url"],
        nested: &[],
        check: webhook_url,
    },
    Spec {
        key: "msteams_configs",
        integration: "msteams",
        send_resolved: true,
        null: "missing msteams config",
        keys: &["webhook_url", "webhook_url_file", "title", "summary", "text"],
        nested: &[],
        check: webhook_url,
    },
    Spec {
        key: "msteamsv2_configs",
        integration: "msteamsv2",
        send_resolved: true,
        null: "missing msteamsv2 config",
        keys: &["webhook_url", "webhook_url_file", "title", "text"],
        nested: &[],
        check: webhook_url,
    },
    Spec {
        key: "sns_configs",
        integration: "sns",
        send_resolved: true,
        null: "missing sns config",
        keys: &[
            "api_url",
            "topic_arn",
            "phone_number",
            "target_arn",
            "subject",
            "message",
            "attributes",
            "use_aws_http_client",
        ],
        nested: &[("sigv4", SIGV4)],
        check: |e, _| {
            let mut out = Vec::new();
            let count = ["topic_arn", "phone_number", "target_arn"].iter().filter(|k| e.set(k)).count();
            e.needs(
                count == 1,
                "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config",
                &mut out,
            );
            out
        },
    },
    Spec {
        key: "webex_configs",
        integration: "webex",
        send_resolved: true,
        null: "missing webex config",
        keys: &["api_url", "message", "room_id"],
        nested: &[],
        check: |e, _| {
            let mut out = Vec::new();
            e.needs(e.set("room_id"), "missing room_id on webex_config", &mut out);
            e.needs(e.has_authorization, "missing webex_configs.http_config.authorization", &mut out);
            out
        },
    },
    Spec {
        key: "jira_configs",
        integration: "jira",
        send_resolved: true,
        null: "missing jira config",
        keys: &[
            "api_url",
            "api_type",
            "project",
            "summary",
            "description",
            "labels",
            "priority",
            "issue_type",
            "reopen_transition",
            "resolve_transition",
            "wont_fix_resolution",
            "reopen_duration",
            "fields",
        ],
        nested: &[],
        check: |e, g| {
            let mut out = Vec::new();
            e.needs(e.set("project"), "missing project in jira_config", &mut out);
            e.needs(e.set("issue_type"), "missing issue_type in jira_config", &mut out);
            let kind = matches!(e.text("api_type"), "" | "auto" | "cloud" | "datacenter");
            e.needs(kind, "unknown api_type on jira_config, must be auto, cloud or datacenter", &mut out);
            e.needs(
                e.set("api_url") || !g.service("jira_api_url").is_empty(),
                "no global Jira Cloud URL set",
                &mut out,
            );
            out
        },
    },
    Spec {
        key: "rocketchat_configs",
        integration: "rocketchat",
        send_resolved: false,
        null: "",
        keys: &[
            "api_url",
            "token_id",
            "token_id_file",
            "token",
            "token_file",
            "channel",
            "color",
            "title",
            "title_link",
            "text",
            "short_fields",
            "emoji",
            "icon_url",
            "image_url",
            "thumb_url",
            "link_names",
        ],
        nested: &[
            ("fields", &["short", "title", "value"]),
            (
                "actions",
                &[
                    "type",
                    "text",
                    "url",
                    "imageurl",
                    "iswebview",
                    "webviewheightratio",
                    "msg",
                    "msginchatwindow",
                    "msgprocessingtype",
                ],
            ),
        ],
        check: |e, g| {
            let mut out = Vec::new();
            e.at_most_one("token", "token_file", &mut out);
            e.at_most_one("token_id", "token_id_file", &mut out);
            let id = e.set("token_id")
                || e.set("token_id_file")
                || either(g, "rocketchat_token_id", "rocketchat_token_id_file");
            e.needs(id, "no global Rocketchat TokenID set either inline or in a file", &mut out);
            let token = e.set("token")
                || e.set("token_file")
                || either(g, "rocketchat_token", "rocketchat_token_file");
            e.needs(token, "no global Rocketchat Token set either inline or in a file", &mut out);
            out
        },
    },
    Spec {
        key: "mattermost_configs",
        integration: "mattermost",
        send_resolved: true,
        null: "",
        keys: &[
            "webhook_url",
            "webhook_url_file",
            "channel",
            "username",
            "text",
            "fallback",
            "color",
            "pretext",
            "author_name",
            "author_link",
            "author_icon",
            "title",
            "title_link",
            "thumb_url",
            "footer",
            "footer_icon",
            "image_url",
            "icon_url",
            "icon_emoji",
            "attachments",
            "type",
        ],
        nested: &[
            ("fields", MATTERMOST_FIELD),
            ("props", &["card"]),
            ("priority", &["priority", "requested_ack", "persistent_notifications"]),
        ],
        check: |e, g| {
            let mut out = Vec::new();
            e.at_most_one("webhook_url", "webhook_url_file", &mut out);
            let url = e.set("webhook_url")
                || e.set("webhook_url_file")
                || either(g, "mattermost_webhook_url", "mattermost_webhook_url_file");
            e.needs(url, "no global Mattermost Webhook URL set either inline or in a file", &mut out);
            out
        },
    },
    Spec {
        key: "incidentio_configs",
        integration: "incidentio",
        send_resolved: true,
        null: "missing incidentio config",
        keys: &["url", "url_file", "alert_source_token", "alert_source_token_file", "max_alerts", "timeout"],
        nested: &[],
        check: |e, _| {
            let mut out = Vec::new();
            e.exactly_one("url", "url_file", &mut out);
            e.at_most_one("alert_source_token", "alert_source_token_file", &mut out);
            let token = e.set("alert_source_token") || e.set("alert_source_token_file");
            e.needs(!(token && e.has_authorization), "cannot specify alert_source_token or alert_source_token_file when using http_config.authorization", &mut out);
            e.needs(token || e.has_authorization || !e.set("http_config"), "at least one of alert_source_token, alert_source_token_file or http_config.authorization must be configured", &mut out);
            out
        },
    },
];

/// The receiver's keys that belong to these integrations.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    SPECS.iter().map(|s| s.key)
}

/// Reads and checks every integration of this kind; each gives a warning that names it.
pub(super) fn decode_all(
    map: &mut SectionMap<'_>,
    receiver: &str,
    global: &GlobalConfig,
    cx: &mut Context<'_>,
) -> Vec<OtherConfig> {
    let mut out = Vec::new();
    for spec in &SPECS {
        let place = map.place_of(spec.key);
        let found = read::list(map, spec.key, cx, |n, cx| decode(n, spec, global, cx));
        if !found.is_empty() {
            let receiver = model::float::go_quote(receiver);
            cx.warn(
                place,
                format!(
                    "receiver {receiver}: {} is accepted but not acted on yet: notifications to it fail",
                    spec.key
                ),
            );
        }
        out.extend(found);
    }
    out
}

fn decode(
    node: &Node,
    spec: &'static Spec,
    global: &GlobalConfig,
    cx: &mut Context<'_>,
) -> Option<OtherConfig> {
    if node.is_null() && !spec.null.is_empty() {
        cx.error(node.place, spec.null);
        return None;
    }
    let mut map = SectionMap::open(node, "config.plain", cx)?;
    let send_resolved = read::flag(&mut map, "send_resolved", cx).unwrap_or(spec.send_resolved);
    let http = read::http_config(&mut map, cx);
    for key in spec.keys {
        map.take(key);
    }
    for (key, names) in spec.nested {
        let Some(inner) = map.take(key) else { continue };
        let one = std::slice::from_ref(inner);
        for item in inner.as_seq().unwrap_or(one) {
            let allowed: BTreeSet<&str> = names.iter().copied().collect();
            for (name, _) in item.as_map().unwrap_or(&[]) {
                let name_text = name.as_str().unwrap_or("");
                if !allowed.contains(name_text) {
                    cx.error(name.place, format!("field {name_text} not found in type {key}"));
                }
            }
        }
    }
    for (key, value) in node.as_map().unwrap_or(&[]) {
        let key = key.as_str().unwrap_or("");
        let url = key == "url"
            || key.ends_with("_url")
                && !["image_url", "thumb_url", "icon_url", "avatar_url", "client_url"].contains(&key);
        let plain = !matches!(spec.integration, "pushover" | "sns");
        if let Some(text) = value.as_str().filter(|t| url && plain && !t.is_empty() && !t.contains("{{"))
            && let Err(e) = read::check_url(text)
        {
            cx.error(value.place, e);
        }
    }
    let known: Vec<_> = ["send_resolved", "http_config"]
        .into_iter()
        .chain(spec.keys.iter().copied())
        .chain(spec.nested.iter().map(|(k, _)| *k))
        .collect();
    map.finish(&known, cx);
    let authorization = |h: &::config::HttpClientConfig| h.authorization.is_some();
    let entry = Entry { node, has_authorization: http.as_ref().is_some_and(authorization) };
    for text in (spec.check)(&entry, global) {
        cx.error(node.place, text);
    }
    Some(OtherConfig { integration: spec.integration, send_resolved })
}
