//! The flags as values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use crate::config_values::Redact;
use crate::connect::Credentials;
use crate::groups::parse_patterns;
use crate::keys::KeySpec;
use crate::scan::{Budget, Plan};
use crate::streams::Consumers;

/// How the exporter works. Made from flags by [`Options::from_flags`].
#[derive(Clone)]
pub struct Options {
    /// The server that `/metrics` tells about; empty for none.
    pub(crate) address: String,
    pub(crate) credentials: Credentials,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) namespace: String,
    pub(crate) metrics_path: String,
    pub(crate) timeout: Duration,
    /// The name of CONFIG; `None`: not asked.
    pub(crate) config_command: Option<String>,
    pub(crate) all_config: bool,
    pub(crate) redact_config: bool,
    pub(crate) check_keys: Vec<KeySpec>,
    pub(crate) check_single_keys: Vec<KeySpec>,
    pub(crate) check_streams: Vec<KeySpec>,
    pub(crate) check_single_streams: Vec<KeySpec>,
    pub(crate) count_keys: Vec<KeySpec>,
    pub(crate) key_groups: Vec<String>,
    pub(crate) max_key_groups: usize,
    pub(crate) stream_consumers: bool,
    pub(crate) key_values: bool,
    pub(crate) not_keys_of_masters: bool,
    /// Lua scripts by file name.
    pub(crate) scripts: Vec<(String, Vec<u8>)>,
    pub(crate) scripts_read_only: bool,
    pub(crate) latency: bool,
    pub(crate) empty_databases: bool,
    pub(crate) system: bool,
    pub(crate) rdb_size: bool,
    pub(crate) modules: bool,
    pub(crate) indexes: Option<Regex>,
    pub(crate) sentinel_peers: bool,
    pub(crate) clients: bool,
    pub(crate) client_ports: bool,
    pub(crate) client_name: bool,
    pub(crate) ping: bool,
    pub(crate) tile38: bool,
    pub(crate) cluster: bool,
    pub(crate) cluster_names: bool,
    pub(crate) role_label: bool,
    pub(crate) scrape_endpoint: bool,
    pub(crate) only_redis: bool,
    /// Whether what only the original of Debian 12 (1.45) has is exposed too: the family `connected_clients_details`, and `key_size` 0 of a
    /// key that is not there. On by default, so that dashboards and rules of either age find their series; the cost is a series per client
    /// and scrape that lists clients, which is why it can be turned off.
    pub legacy_families: bool,
    pub(crate) tls: config::TlsConfig,
    pub(crate) budget: Budget,
}

impl Options {
    /// Reads the values of all flags; `get` gives a flag's, `true` or `false` for a switch.
    ///
    /// # Errors
    /// When a value makes no sense, or a file that one names cannot be read; the text names the flag.
    pub fn from_flags(get: &dyn Fn(&str) -> String) -> Result<Self, String> {
        let on = |name: &str| get(name) == "true";
        let some = |name: &str| Some(get(name)).filter(|v| !v.is_empty());
        let keys =
            |name: &str| KeySpec::parse_list(&get(name)).map_err(|e| format!("couldn't parse {name}: {e}"));
        let duration = |name: &str| {
            model::duration::parse(&get(name)).map_err(|e| format!("-{name}: {e}; write it as 15s or 500ms"))
        };
        let tls = config::TlsConfig {
            ca_file: get("tls-ca-cert-file"),
            cert_file: get("tls-client-cert-file"),
            key_file: get("tls-client-key-file"),
            server_name: get("tls-server-name"),
            insecure_skip_verify: on("skip-tls-verification"),
            ..config::TlsConfig::default()
        };
        if tls.cert_file.is_empty() != tls.key_file.is_empty() {
            return Err("TLS client key file and cert file should both be present".to_owned());
        }
        let namespace = get("namespace");
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        if !namespace.chars().all(valid) || namespace.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("-namespace: {namespace:?} cannot begin the name of a metric"));
        }
        let indexes = if on("include-search-indexes-metrics") {
            let pattern = get("check-search-indexes");
            let error = |e| format!("invalid check-search-indexes regex {pattern:?}: {e}");
            Some(Regex::new(&pattern).map_err(error)?)
        } else {
            None
        };
        let max_key_groups: i64 = number(get, "max-distinct-key-groups", 0..=i64::MAX)?;
        Ok(Self {
            address: get("redis.addr"),
            credentials: Credentials { user: some("redis.user"), password: some("redis.password") },
            // As the original: with a password given, the file is not read.
            password_file: some("redis.password-file")
                .filter(|_| get("redis.password").is_empty())
                .map(PathBuf::from),
            namespace,
            metrics_path: metrics_path(&get("web.telemetry-path"))?,
            timeout: duration("connection-timeout")?,
            config_command: some("config-command").or(Some("CONFIG".to_owned())).filter(|c| c != "-"),
            all_config: on("include-config-metrics"),
            redact_config: on("redact-config-metrics"),
            check_keys: keys("check-keys")?,
            check_single_keys: keys("check-single-keys")?,
            check_streams: keys("check-streams")?,
            check_single_streams: keys("check-single-streams")?,
            count_keys: keys("count-keys")?,
            key_groups: parse_patterns(&get("check-key-groups"))
                .map_err(|e| format!("-check-key-groups: {e}"))?,
            max_key_groups: usize::try_from(max_key_groups).unwrap_or(usize::MAX),
            stream_consumers: !on("streams-exclude-consumer-metrics"),
            key_values: !on("disable-exporting-key-values"),
            not_keys_of_masters: on("skip-checkkeys-for-role-master"),
            scripts: scripts(&get("script"))?,
            scripts_read_only: on("script-read-only"),
            latency: !on("exclude-latency-histogram-metrics"),
            empty_databases: on("include-metrics-for-empty-databases"),
            system: on("include-system-metrics"),
            rdb_size: on("include-rdb-file-size-metric"),
            modules: on("include-modules-metrics"),
            indexes,
            sentinel_peers: on("include-sentinel-peer-info"),
            clients: on("export-client-list"),
            client_ports: on("export-client-port"),
            client_name: on("set-client-name"),
            ping: on("ping-on-connect"),
            tile38: on("is-tile38"),
            cluster: on("is-cluster"),
            cluster_names: on("cluster-discover-hostnames"),
            role_label: on("append-instance-role-label"),
            scrape_endpoint: !on("disable-scrape-endpoint"),
            only_redis: on("redis-only-metrics"),
            legacy_families: on("vigie.legacy-families"),
            tls,
            budget: Budget {
                batch: number(get, "check-keys-batch-size", 1..=1_000_000)? as u64,
                step: duration("vigie.key-scan-step")?,
                load: load(&get("vigie.key-scan-load"))?,
                total: duration("vigie.key-scan-timeout")?,
                keys: usize::try_from(number(get, "vigie.key-scan-max-keys", 0..=i64::MAX)?)
                    .unwrap_or(usize::MAX),
                wait: duration("vigie.key-scan-wait")?,
            },
        })
    }

    /// The same with what a request to `/scrape` asks for.
    ///
    /// # Errors
    /// When a list of keys is none.
    pub(crate) fn with_query(&self, query: &exporters::Query) -> Result<Self, String> {
        let mut options = self.clone();
        for (name, keys) in [
            ("check-keys", &mut options.check_keys),
            ("check-single-keys", &mut options.check_single_keys),
            ("check-streams", &mut options.check_streams),
            ("check-single-streams", &mut options.check_single_streams),
            ("count-keys", &mut options.count_keys),
        ] {
            if let Some(text) = query.get(name).filter(|t| !t.is_empty()) {
                *keys = KeySpec::parse_list(text).map_err(|e| format!("couldn't parse {name}: {e}"))?;
            }
        }
        let given = |name| query.get(name).filter(|t| !t.is_empty());
        if let Some(name) = given("tls_server_name").or_else(|| given("tls-server-name")) {
            options.tls.server_name = name.to_owned();
        }
        Ok(options)
    }

    /// How all settings are exposed, if they are.
    pub(crate) fn config(&self) -> Option<Redact> {
        self.all_config.then_some(if self.redact_config { Redact::Secrets } else { Redact::Nothing })
    }

    /// Whether consumers of streams are told.
    pub(crate) fn consumers(&self) -> Consumers {
        if self.stream_consumers { Consumers::Told } else { Consumers::LeftOut }
    }

    /// Keys that are asked about at each scrape: those named, not those to be looked for.
    pub(crate) fn single_keys(&self) -> Vec<KeySpec> {
        named(&self.check_single_keys, &self.check_keys)
    }

    /// The same of streams.
    pub(crate) fn single_streams(&self) -> Vec<KeySpec> {
        named(&self.check_single_streams, &self.check_streams)
    }

    /// What has to be looked for.
    pub(crate) fn plan(&self) -> Plan {
        let patterns = |specs: &[KeySpec]| specs.iter().filter(|s| s.is_pattern()).cloned().collect();
        Plan {
            keys: patterns(&self.check_keys),
            counts: self.count_keys.clone(),
            streams: patterns(&self.check_streams),
            groups: self.key_groups.clone(),
            consumers: self.consumers(),
            cluster: self.cluster,
            budget: self.budget,
        }
    }
}

/// Paths of other routes.
const OTHER_PATHS: [&str; 4] = ["/scrape", "/health", "/-/reload", "/discover-cluster-nodes"];

fn metrics_path(path: &str) -> Result<String, String> {
    let path = if path.is_empty() { "/metrics" } else { path };
    if !path.starts_with('/') || path.contains(['{', '}', '*', '?', '#']) {
        return Err(format!("-web.telemetry-path: {path:?} is no path that begins with a slash"));
    }
    if OTHER_PATHS.contains(&path) {
        return Err(format!("-web.telemetry-path: {path} is taken by another page"));
    }
    Ok(path.to_owned())
}

fn named(single: &[KeySpec], checked: &[KeySpec]) -> Vec<KeySpec> {
    let plain = checked.iter().filter(|s| !s.is_pattern());
    let mut all: Vec<KeySpec> = single.iter().chain(plain).cloned().collect();
    all.sort();
    all.dedup();
    all
}

fn number(
    get: &dyn Fn(&str) -> String,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, String> {
    let text = get(name);
    text.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
        format!("-{name}: expected a number from {} to {}, found {text:?}", range.start(), range.end())
    })
}

fn load(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.001..=1.0).contains(share))
        .ok_or_else(|| format!("-vigie.key-scan-load: expected a share from 0.001 to 1, found {text:?}"))
}

/// Largest script.
const MAX_SCRIPT_BYTES: usize = 1 << 20;

fn scripts(paths: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut scripts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for path in paths.split(',').filter(|p| !p.is_empty()) {
        let bytes = std::fs::read(path).map_err(|e| format!("-script: {path}: {e}"))?;
        if bytes.len() > MAX_SCRIPT_BYTES {
            return Err(format!("-script: {path}: {} bytes are more than {MAX_SCRIPT_BYTES}", bytes.len()));
        }
        scripts.insert(path.to_owned(), bytes);
    }
    Ok(scripts.into_iter().collect())
}
