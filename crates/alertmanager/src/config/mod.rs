//! `alertmanager.yml`: types, defaults, checks with positions and upstream's texts.

mod global;
mod other;
mod read;
mod receiver;
mod route;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::config::yaml::{Context, Node, Out, SectionMap, parse};
use ::config::{Diagnostics, Loaded, directory_of, read_text};

use crate::intervals::TimeInterval;

pub use global::{GlobalConfig, SmtpDefaults};
pub use other::OtherConfig;
pub use receiver::{EmailConfig, Receiver, SlackAction, SlackConfig, WebhookConfig};
pub use route::{InhibitRule, RouteConfig};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// Defaults.
    pub global: GlobalConfig,
    /// The root of the routing tree.
    pub route: RouteConfig,
    /// Inhibition rules.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Receivers, names unique.
    pub receivers: Vec<Receiver>,
    /// Globs of template files, joined with the file's directory.
    pub templates: Vec<String>,
    /// `time_intervals` and `mute_time_intervals` by name.
    pub time_intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// The configuration as the API shows it: defaults of `global` filled in, secrets hidden.
    pub shown: String,
}

const KEYS: [&str; 9] = [
    "global",
    "route",
    "inhibit_rules",
    "receivers",
    "templates",
    "mute_time_intervals",
    "time_intervals",
    "tracing",
    "event_recorder",
];

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load_file(path: &Path) -> Result<Loaded<Config>, Diagnostics> {
    load_str(&read_text(path)?, path)
}

/// Reads a configuration from a text; `origin` is the file it stands for.
///
/// # Errors
/// As [`load_file`].
pub fn load_str(text: &str, origin: &Path) -> Result<Loaded<Config>, Diagnostics> {
    let root = parse(text, origin)?;
    let mut cx = Context::new(origin, text);
    let mut config = decode(&root, &mut cx);
    if let Some(config) = &mut config {
        let dir = directory_of(origin);
        config.global.set_directory(dir);
        config.receivers.iter_mut().for_each(|r| r.set_directory(dir));
        for glob in &mut config.templates {
            if Path::new(glob.as_str()).is_relative() && dir != Path::new(".") {
                *glob = dir.join(&*glob).to_string_lossy().into_owned();
            }
        }
        config.shown = shown(&root, &config.global);
    }
    let (value, warnings) = cx.finish(config)?;
    Ok(Loaded { value, warnings, text: text.to_owned() })
}

fn decode(root: &Node, cx: &mut Context<'_>) -> Option<Config> {
    let mut map = SectionMap::open(root, "config.plain", cx)?;
    let m = &mut map;
    let mut config = Config::default();
    if let Some(node) = m.take("global") {
        config.global = GlobalConfig::decode(node, cx)?;
    }
    config.templates = read::strings(m, "templates", cx);
    config.inhibit_rules = read::list(m, "inhibit_rules", cx, InhibitRule::decode);
    for (key, kind) in [("mute_time_intervals", "mute time"), ("time_intervals", "time")] {
        for (name, intervals, place) in read::list(m, key, cx, |n, cx| {
            route::decode_named_intervals(n, kind, cx).map(|(name, list)| (name, list, n.place))
        }) {
            if config.time_intervals.contains_key(&name) {
                let name = model::float::go_quote(&name);
                cx.error(place, format!("{kind} interval {name} is not unique"));
            }
            config.time_intervals.insert(name, intervals);
        }
    }
    let global = &config.global;
    let mut names: BTreeSet<String> = BTreeSet::new();
    config.receivers = read::list(m, "receivers", cx, |n, cx| {
        let receiver = Receiver::decode(n, global, cx)?;
        if !names.insert(receiver.name.clone()) {
            let name = model::float::go_quote(&receiver.name);
            cx.error(n.place, format!("notification config name {name} is not unique"));
        }
        Some(receiver)
    });
    match m.take("route") {
        None => cx.error(root.place, "no route provided in config"),
        Some(node) => {
            config.route = RouteConfig::decode(node, cx, 0)?;
            check_root(&config, node, cx);
        }
    }
    for key in ["tracing", "event_recorder"] {
        let place = m.place_of(key);
        if m.take(key).is_some() {
            cx.warn(place, format!("{key} is accepted but not acted on yet"));
        }
    }
    map.finish(&KEYS, cx);
    Some(config)
}

fn check_root(config: &Config, node: &Node, cx: &mut Context<'_>) {
    let root = &config.route;
    for (bad, text) in [
        (root.receiver.is_empty(), "root route must specify a default receiver"),
        (!root.matchers.is_empty(), "root route must not have any matchers"),
        (!root.mute_time_intervals.is_empty(), "root route must not have any mute time intervals"),
        (!root.active_time_intervals.is_empty(), "root route must not have any active time intervals"),
        (root.continues, "cannot have continue in root route"),
    ] {
        if bad {
            cx.error(node.place, text);
        }
    }
    let receivers = config.receivers.iter().map(|r| r.name.as_str()).collect();
    root.check(node, &receivers, &config.time_intervals, cx);
}

/// Keys whose text is a secret, wherever they stand.
const SECRET_KEYS: [&str; 31] = [
    "smtp_auth_password",
    "smtp_auth_secret",
    "slack_api_url",
    "slack_app_token",
    "opsgenie_api_key",
    "wechat_api_secret",
    "victorops_api_key",
    "telegram_bot_token",
    "rocketchat_token",
    "rocketchat_token_id",
    "mattermost_webhook_url",
    "auth_password",
    "auth_secret",
    "app_token",
    "service_key",
    "routing_key",
    "api_key",
    "api_secret",
    "user_key",
    "token",
    "token_id",
    "bot_token",
    "webhook_url",
    "secret_key",
    "alert_source_token",
    "password",
    "credentials",
    "bearer_token",
    "client_secret",
    "client_certificate_key",
    "key",
];

/// What the file says with secrets hidden, and with the defaults of `global`.
fn shown(root: &Node, global: &GlobalConfig) -> String {
    let mut out = Out::from_node(root);
    hide(&mut out, "");
    if let Out::Map(entries) = &mut out {
        let at = entries.iter().position(|(k, _)| k == "global").unwrap_or_else(|| {
            entries.insert(0, ("global".to_owned(), Out::Map(Vec::new())));
            0
        });
        if matches!(entries[at].1, Out::Null) {
            entries[at].1 = Out::Map(Vec::new());
        }
        if let Out::Map(own) = &mut entries[at].1 {
            for (key, value) in global.shown_defaults() {
                if !own.iter().any(|(k, _)| *k == key) {
                    own.push((key, value));
                }
            }
        }
    }
    out.to_text()
}

fn hide(out: &mut Out, section: &str) {
    match out {
        Out::Map(entries) => {
            for (key, value) in entries {
                // What is a secret in one section is a plain setting in another.
                let secret = match (section, key.as_str()) {
                    ("webhook_configs", "url") | ("slack_configs", "api_url") => true,
                    ("victorops_configs", "routing_key") => false,
                    (_, key) => SECRET_KEYS.contains(&key),
                };
                match value {
                    Out::Null | Out::Map(_) | Out::Seq(_) => {
                        let inner =
                            if matches!(value, Out::Seq(_)) { key.clone() } else { section.to_owned() };
                        if key == "secrets" {
                            *value = Out::Str("<secret>".to_owned());
                        } else {
                            hide(value, &inner);
                        }
                    }
                    Out::Str(text) if text.is_empty() => {}
                    value if secret => *value = Out::Str("<secret>".to_owned()),
                    Out::Str(text) if text.contains("://") => {
                        *text = ::config::ConfigUrl(std::mem::take(text)).redacted();
                    }
                    _ => {}
                }
            }
        }
        Out::Seq(items) => items.iter_mut().for_each(|i| hide(i, section)),
        _ => {}
    }
}
