//! Targets: from what a discovery found to what is scraped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::{DiscoveryConfigs, ScrapeConfig, ValidationScheme};
use model::{LabelSet, LabelSetBuilder, TimestampMs};
use parking_lot::Mutex;

use crate::relabel::{self, Verdict};

/// Targets that come from one source, with labels that all of them have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// Names the group within its scrape config; a group with the same source replaces it.
    pub source: String,
    /// One label set per target, with at least `__address__`.
    pub targets: Vec<LabelSet>,
    /// Labels of all of them; a target's own win.
    pub labels: LabelSet,
}

impl TargetGroup {
    /// The groups of a scrape config's `static_configs`.
    #[must_use]
    pub fn from_static(discovery: &DiscoveryConfigs) -> Vec<Self> {
        let group = |(i, group): (usize, &config::StaticConfig)| Self {
            source: i.to_string(),
            targets: group.targets.iter().map(|t| LabelSet::from_pairs([("__address__", t)])).collect(),
            labels: group.labels.clone(),
        };
        discovery.static_configs.iter().enumerate().map(group).collect()
    }
}

/// Why a discovered target cannot be scraped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetError(pub String);

impl std::fmt::Display for TargetError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TargetError {}

/// Whether the last scrape went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// It did.
    Up,
    /// It did not.
    Down,
}

impl Health {
    /// As the API says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// What the API shows of an active target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStatus {
    /// The labels before relabelling.
    pub discovered_labels: LabelSet,
    /// The labels of its series.
    pub labels: LabelSet,
    /// The job whose pool it is in.
    pub scrape_pool: String,
    /// What is fetched.
    pub scrape_url: String,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
    /// When the last scrape began, in milliseconds since the epoch; 0: never.
    pub last_scrape_ms: TimestampMs,
    /// How long it took.
    pub last_scrape_duration: Duration,
    /// How it went.
    pub health: Health,
    /// Time between scrapes.
    pub scrape_interval: Duration,
    /// Time a scrape may take.
    pub scrape_timeout: Duration,
}

/// A target that relabelling dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedTarget {
    /// The labels before relabelling.
    pub discovered_labels: LabelSet,
    /// The job.
    pub scrape_pool: String,
}

/// A target as it is scraped.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) discovered: LabelSet,
    /// After relabelling, `__` labels included.
    pub(crate) all: LabelSet,
    /// Without them.
    pub(crate) labels: LabelSet,
    pub(crate) pool: String,
    pub(crate) url: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) last: Mutex<Last>,
}

/// The last scrape.
#[derive(Debug, Clone, Default)]
pub(crate) struct Last {
    pub(crate) error: String,
    pub(crate) at_ms: TimestampMs,
    pub(crate) duration: Duration,
    pub(crate) health: Health,
}

impl Target {
    /// Where its slots lie in the interval.
    pub(crate) fn hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let text = format!("{:016}{}", self.all.upstream_hash(), self.url);
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash
    }

    /// The key of its group in the store: what makes it this target, however often it is scraped.
    pub(crate) fn key(&self) -> LabelSet {
        let mut builder = self.all.to_builder();
        builder.remove("__scrape_interval__").remove("__scrape_timeout__").set("__scrape_pool__", &self.pool);
        builder.build()
    }

    pub(crate) fn status(&self) -> TargetStatus {
        let last = self.last.lock().clone();
        TargetStatus {
            discovered_labels: self.discovered.clone(),
            labels: self.labels.clone(),
            scrape_pool: self.pool.clone(),
            scrape_url: self.url.clone(),
            last_error: last.error,
            last_scrape_ms: last.at_ms,
            last_scrape_duration: last.duration,
            health: last.health,
            scrape_interval: self.interval,
            scrape_timeout: self.timeout,
        }
    }
}

/// What groups come down to.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// By final labels, so that equal ones are scraped once.
    pub(crate) targets: BTreeMap<LabelSet, Arc<Target>>,
    pub(crate) dropped: Vec<LabelSet>,
    pub(crate) dropped_count: usize,
    pub(crate) errors: Vec<TargetError>,
}

/// Builds the targets of a scrape config.
pub(crate) fn build<'g>(config: &ScrapeConfig, groups: impl Iterator<Item = &'g TargetGroup>) -> Built {
    let mut built = Built::default();
    for group in groups {
        for (i, own) in group.targets.iter().enumerate() {
            let discovered = discovered_labels(config, own, &group.labels);
            match target(config, &discovered) {
                Ok(Some(target)) => {
                    built.targets.entry(target.all.clone()).or_insert_with(|| Arc::new(target));
                }
                Ok(None) => {
                    built.dropped_count += 1;
                    let limit = config.keep_dropped_targets;
                    if limit == 0 || (built.dropped.len() as u64) < limit {
                        built.dropped.push(discovered);
                    }
                }
                Err(TargetError(e)) => {
                    built.errors.push(TargetError(format!("instance {i} in group {}: {e}", group.source)));
                }
            }
        }
    }
    built
}

fn discovered_labels(config: &ScrapeConfig, own: &LabelSet, group: &LabelSet) -> LabelSet {
    let mut builder = LabelSetBuilder::default();
    for (name, value) in group.iter().chain(own) {
        builder.set(name, value);
    }
    let interval = model::duration::format(config.scrape_interval);
    let timeout = model::duration::format(config.scrape_timeout);
    let defaults = [
        ("job", config.job_name.as_str()),
        ("__scrape_interval__", &interval),
        ("__scrape_timeout__", &timeout),
        ("__metrics_path__", &config.metrics_path),
        ("__scheme__", &config.scheme),
    ];
    for (name, value) in defaults {
        if builder.value(name).is_empty() {
            builder.set(name, value);
        }
    }
    for (name, values) in &config.params {
        let name = format!("__param_{name}");
        if let Some(value) = values.first()
            && builder.value(&name).is_empty()
        {
            builder.set(&name, value);
        }
    }
    builder.build()
}

/// The target; `None` where a rule drops it.
fn target(config: &ScrapeConfig, discovered: &LabelSet) -> Result<Option<Target>, TargetError> {
    let fail = |text: String| Err(TargetError(text));
    let scheme = config.metric_name_validation_scheme.unwrap_or(ValidationScheme::Utf8);
    let mut builder = discovered.to_builder();
    if relabel::apply(&mut builder, &config.relabel_configs, scheme) == Verdict::Drop {
        return Ok(None);
    }
    let address = builder.value("__address__").to_owned();
    if address.is_empty() {
        return fail("no address".to_owned());
    }
    if address.contains('/') {
        return fail(format!("{} is not a valid hostname", model::float::go_quote(&address)));
    }
    let duration = |name: &str, what: &str| {
        let parsed = model::duration::parse(builder.value(name))
            .map_err(|e| TargetError(format!("error parsing scrape {what}: {e}")))?;
        if parsed.is_zero() {
            return Err(TargetError(format!("scrape {what} cannot be 0")));
        }
        Ok(parsed)
    };
    let interval = duration("__scrape_interval__", "interval")?;
    let timeout = duration("__scrape_timeout__", "timeout")?;
    if timeout > interval {
        return fail(format!(
            "scrape timeout cannot be greater than scrape interval (\"{}\" > \"{}\")",
            builder.value("__scrape_timeout__"),
            builder.value("__scrape_interval__")
        ));
    }
    let meta: Vec<_> =
        builder.iter().map(|(n, _)| n.to_owned()).filter(|n| n.starts_with("__meta_")).collect();
    for name in meta {
        builder.remove(&name);
    }
    if builder.value("instance").is_empty() {
        builder.set("instance", &address);
    }
    let all = builder.build();
    let labels = LabelSet::from_pairs(all.iter().filter(|(n, _)| !n.starts_with("__")));
    let url = url(config, &all);
    Ok(Some(Target {
        discovered: discovered.clone(),
        labels,
        pool: config.job_name.clone(),
        url,
        interval,
        timeout,
        last: Mutex::default(),
        all,
    }))
}

fn url(config: &ScrapeConfig, labels: &LabelSet) -> String {
    let mut params = config.params.clone();
    for (name, value) in labels {
        if let Some(name) = name.strip_prefix("__param_") {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, values) in &params {
        for value in values {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let path = labels.value("__metrics_path__");
    let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
    let mark = if query.is_empty() { "" } else { "?" };
    format!(
        "{}://{}{slash}{}{mark}{query}",
        labels.value("__scheme__"),
        labels.value("__address__"),
        escape_path(path)
    )
}

/// A path as it stands in a URL: what would end it, and what is no ASCII, becomes `%XX`.
fn escape_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && !b"?#%\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::{RelabelAction, RelabelConfig, RelabelRegex};

    fn config() -> ScrapeConfig {
        ScrapeConfig {
            job_name: "j".to_owned(),
            scrape_interval: Duration::from_secs(15),
            scrape_timeout: Duration::from_secs(10),
            ..ScrapeConfig::default()
        }
    }

    fn group(targets: &[&[(&str, &str)]], labels: &[(&str, &str)]) -> TargetGroup {
        TargetGroup {
            source: "s".to_owned(),
            targets: targets.iter().map(|t| LabelSet::from_pairs(t.to_vec())).collect(),
            labels: LabelSet::from_pairs(labels.to_vec()),
        }
    }

    #[test]
    fn labels_and_url_as_upstream() {
        let mut config = config();
        config.params.insert("module".to_owned(), vec!["http 2xx".to_owned(), "b".to_owned()]);
        let group = group(&[&[("__address__", "h:9100"), ("__meta_x", "1")]], &[("env", "prod")]);
        let built = build(&config, std::iter::once(&group));
        let target = built.targets.values().next().unwrap();
        assert_eq!(target.labels.to_string(), r#"{env="prod", instance="h:9100", job="j"}"#);
        assert_eq!(target.url, "http://h:9100/metrics?module=http+2xx&module=b");
        assert_eq!(target.all.get("__meta_x"), None);
        assert_eq!(target.discovered.get("__meta_x"), Some("1"));
        assert_eq!(target.discovered.get("__scrape_interval__"), Some("15s"));
        assert_eq!(target.key().get("__scrape_interval__"), None);
    }

    #[test]
    fn equal_targets_are_one_and_dropped_ones_are_kept() {
        let mut config = config();
        config.relabel_configs = vec![
            RelabelConfig {
                action: RelabelAction::Drop,
                source_labels: vec!["__address__".to_owned()],
                regex: RelabelRegex::new("no.*").unwrap(),
                ..RelabelConfig::default()
            },
            RelabelConfig {
                source_labels: vec!["__address__".to_owned()],
                regex: RelabelRegex::new("(same).*").unwrap(),
                target_label: "__address__".to_owned(),
                ..RelabelConfig::default()
            },
        ];
        let address = |a: &'static str| [("__address__", a)];
        let (a, b, c, d) = (address("same1"), address("same2"), address("no1"), address("no2"));
        let group = group(&[&a, &b, &c, &d, &[("x", "y")]], &[]);
        let built = build(&config, std::iter::once(&group));
        assert_eq!((built.targets.len(), built.dropped.len(), built.dropped_count), (1, 2, 2));
        assert_eq!(built.errors, [TargetError("instance 4 in group s: no address".to_owned())]);
        config.keep_dropped_targets = 1;
        let built = build(&config, std::iter::once(&group));
        assert_eq!((built.dropped.len(), built.dropped_count), (1, 2));
    }

    #[test]
    fn intervals_are_checked_after_relabelling() {
        for (interval, timeout, error) in [
            ("0s", "10s", "scrape interval cannot be 0"),
            ("15s", "20s", "scrape timeout cannot be greater than scrape interval (\"20s\" > \"15s\")"),
            ("15s", "x", "error parsing scrape timeout: not a valid duration string: \"x\""),
        ] {
            let own =
                [("__address__", "h"), ("__scrape_interval__", interval), ("__scrape_timeout__", timeout)];
            let group = group(&[&own], &[]);
            let built = build(&config(), std::iter::once(&group));
            assert_eq!(built.errors[0].0, format!("instance 0 in group s: {error}"));
        }
    }
}
