//! What flags and environment say.

use std::path::PathBuf;
use std::time::Duration;

use crate::collectors::{Entry, TABLE};
use crate::dsn::Dsn;
use crate::naming::Names;

/// Options of the collector `stat_statements`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statements {
    pub(crate) include_query: bool,
    pub(crate) query_length: u32,
    pub(crate) limit: u32,
    pub(crate) exclude_databases: Vec<String>,
    pub(crate) exclude_users: Vec<String>,
}

/// All of the exporter's options.
#[derive(Debug, Clone)]
pub struct Options {
    /// Path of the metrics page.
    pub telemetry_path: String,
    /// The file with `auth_modules`.
    pub config_file: PathBuf,
    pub(crate) sources: Vec<Dsn>,
    pub(crate) names: Names,
    pub(crate) collectors: Vec<Entry>,
    pub(crate) auto_discover: bool,
    pub(crate) include_databases: Vec<String>,
    pub(crate) exclude_databases: Vec<String>,
    pub(crate) queries_file: Option<PathBuf>,
    pub(crate) constant_labels: Vec<(String, String)>,
    pub(crate) prefix: String,
    pub(crate) collection_timeout: Duration,
    pub(crate) statements: Statements,
    /// Labels of `postgres_exporter_build_info`.
    pub(crate) build: Vec<(String, String)>,
}

impl Options {
    /// Reads them. `flag` gives a flag's value by its name without dashes, whether given or by default; of a switch, `true` or
    /// `false`.
    ///
    /// # Errors
    /// Which flag or variable makes no sense, and why.
    pub fn read(
        flag: &dyn Fn(&str) -> String,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let is_on = |name: &str| flag(name) == "true";
        let number = |name: &str| {
            let text = flag(name);
            text.parse::<u32>()
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| format!("--{name}: expected a number above 0, found {text:?}"))
        };
        let names = Names::parse(&flag("names")).map_err(|e| format!("--names: {e}"))?;
        let settings = !is_on("disable-settings-metrics");
        let default_metrics = !is_on("disable-default-metrics");
        let runs = |entry: &Entry| {
            if entry.name.is_empty() {
                return default_metrics;
            }
            let flags = [Some(entry.name), entry.alias];
            let on = flags.into_iter().flatten().all(|name| is_on(&format!("collector.{name}")));
            let mapped = matches!(entry.old, crate::collectors::Old::Map(_));
            // What is off by default was turned on by hand.
            on && (entry.on_by_default(names) || !entry.on)
                && (settings || entry.name != "settings")
                && (default_metrics || !mapped || !names.old())
        };
        let prefix = flag("metric-prefix");
        if !is_name(&prefix) {
            return Err(format!("--metric-prefix: {prefix:?} cannot begin a metric's name"));
        }
        let timeout = flag("collection-timeout");
        let collection_timeout =
            model::duration::parse(&timeout).ok().filter(|d| *d >= Duration::from_millis(1)).ok_or_else(
                || format!("--collection-timeout: {timeout:?} is no duration; write it as 30s or 1m"),
            )?;
        let queries_file = flag("extend.query-path");
        let telemetry_path = flag("web.telemetry-path");
        if !telemetry_path.starts_with('/') {
            return Err(format!("--web.telemetry-path: {telemetry_path:?} does not begin with /"));
        }
        Ok(Self {
            telemetry_path,
            config_file: flag("config.file").into(),
            sources: sources(environment)?,
            names,
            collectors: TABLE.iter().copied().filter(runs).collect(),
            auto_discover: is_on("auto-discover-databases"),
            include_databases: list(&flag("include-databases")),
            exclude_databases: list(&flag("exclude-databases")),
            queries_file: (!queries_file.is_empty()).then(|| queries_file.into()),
            constant_labels: constant_labels(&flag("constantLabels"))?,
            prefix,
            collection_timeout,
            statements: Statements {
                include_query: is_on("collector.stat_statements.include_query"),
                query_length: number("collector.stat_statements.query_length")?,
                limit: number("collector.stat_statements.limit")?,
                exclude_databases: list(&flag("collector.stat_statements.exclude_databases")),
                exclude_users: list(&flag("collector.stat_statements.exclude_users")),
            },
            build: Vec::new(),
        })
    }

    /// The same with the labels of `postgres_exporter_build_info`.
    #[must_use]
    pub fn with_build(self, build: Vec<(String, String)>) -> Self {
        Self { build, ..self }
    }
}

/// Whether a text is a metric's name or can begin one.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// Whether a text is a label's name that a user may give.
pub(crate) fn is_label(text: &str) -> bool {
    is_name(text) && !text.contains(':') && !text.starts_with("__")
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// `name=value,name=value`; a pair with an empty side is passed over, as in the original.
fn constant_labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .filter(|(_, value)| !value.contains('='))
            .ok_or_else(|| format!("--constantLabels: expected name=value, found {pair:?}"))?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || value.is_empty() {
            continue;
        }
        if !is_label(name) {
            return Err(format!("--constantLabels: {name:?} is no name of a label"));
        }
        labels.retain(|(known, _)| known != name);
        labels.push((name.to_owned(), value.to_owned()));
    }
    Ok(labels)
}

/// The data sources: `DATA_SOURCE_NAME`, or one made of `DATA_SOURCE_URI`, `_USER` and `_PASS`, each of which may stand in the file
/// that `…_FILE` names. None of them is no error: `/probe` needs none.
fn sources(environment: &dyn Fn(&str) -> Option<String>) -> Result<Vec<Dsn>, String> {
    let given = |variable: &str| environment(variable).filter(|value| !value.is_empty());
    let sources = if let Some(names) = given("DATA_SOURCE_NAME") {
        Dsn::parse_list(&names).map_err(|e| format!("DATA_SOURCE_NAME: {e}"))?
    } else {
        let part = |variable: &str| -> Result<String, String> {
            let file_variable = format!("{variable}_FILE");
            match given(&file_variable) {
                Some(file) => std::fs::read_to_string(&file)
                    .map(|text| text.trim().to_owned())
                    .map_err(|e| format!("{file_variable}: read {file}: {e}")),
                None => Ok(given(variable).unwrap_or_default()),
            }
        };
        let uri = part("DATA_SOURCE_URI")?;
        if uri.is_empty() {
            return Ok(Vec::new());
        }
        let (user, password) = (part("DATA_SOURCE_USER")?, part("DATA_SOURCE_PASS")?);
        let dsn = Dsn::parse(&format!("postgresql://{uri}")).map_err(|e| format!("DATA_SOURCE_URI: {e}"))?;
        vec![dsn.with_credentials(&user, &password)]
    };
    let mut seen: Vec<Dsn> = Vec::new();
    for source in sources.into_iter().map(|source| source.with_environment(environment)) {
        if let Some(first) = seen.iter().find(|known| known.fingerprint() == source.fingerprint()) {
            return Err(format!(
                "two data sources lead to {}: their series would be the same; --auto-discover-databases reads all databases of a server",
                first.fingerprint()
            ));
        }
        source.ssl_mode()?;
        source.connect_timeout()?;
        seen.push(source);
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags' defaults, then what a test gives.
    pub(crate) fn read(given: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Options, String> {
        let flag = |name: &str| -> String {
            let given = given.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
            let collector = name.strip_prefix("collector.").and_then(|collector| {
                let of = |e: &&Entry| e.name == collector || e.alias == Some(collector);
                TABLE.iter().find(of).map(|e| if e.on { "true" } else { "false" })
            });
            given
                .or(collector)
                .unwrap_or(match name {
                    "names" => "both",
                    "metric-prefix" => "pg",
                    "collection-timeout" => "1m",
                    "web.telemetry-path" => "/metrics",
                    "collector.stat_statements.query_length" => "120",
                    "collector.stat_statements.limit" => "100",
                    _ => "",
                })
                .to_owned()
        };
        let environment =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Options::read(&flag, &environment)
    }

    fn running(given: &[(&str, &str)]) -> Vec<&'static str> {
        read(given, &[]).unwrap().collectors.iter().map(|e| e.name).collect()
    }

    #[test]
    fn names_and_flags_choose_collectors() {
        let old = running(&[("names", "0.11")]);
        assert_eq!(
            old,
            [
                "stat_database",
                "",
                "stat_activity",
                "locks",
                "stat_bgwriter",
                "stat_archiver",
                "stat_replication",
                "replication_slots",
                "settings",
                "database"
            ]
        );
        let both = running(&[]);
        assert!(both.len() == 16 && both.contains(&"wal") && !both.contains(&"stat_statements"), "{both:?}");
        assert_eq!(running(&[("names", "current")]), both);
        let chosen = running(&[
            ("collector.bgwriter", "false"),
            ("collector.replication_slots", "false"),
            ("collector.stat_statements", "true"),
            ("disable-settings-metrics", "true"),
        ]);
        assert!(
            ["stat_bgwriter", "replication_slots", "settings"].iter().all(|n| !chosen.contains(n)),
            "{chosen:?}"
        );
        assert!(chosen.contains(&"stat_statements"));
        let bare = running(&[("names", "0.11"), ("disable-default-metrics", "true")]);
        assert_eq!(bare, ["stat_bgwriter", "settings", "database"]);
        // The current exporter's collectors are no longer under that flag.
        let bare = running(&[("names", "current"), ("disable-default-metrics", "true")]);
        assert!(bare.contains(&"locks") && !bare.contains(&""), "{bare:?}");
    }

    #[test]
    fn sources_come_from_any_of_the_variables() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pass");
        std::fs::write(&file, "p@ss:word/\n").unwrap();
        let options = read(
            &[],
            &[
                ("DATA_SOURCE_URI", "db:1/app?sslmode=disable"),
                ("DATA_SOURCE_USER", "me"),
                ("DATA_SOURCE_PASS_FILE", file.to_str().unwrap()),
            ],
        )
        .unwrap();
        let source = &options.sources[0];
        assert_eq!(
            (source.to_string().as_str(), source.get("user"), source.password()),
            ("db:1/app", Some("me"), "p@ss:word/")
        );
        let two =
            read(&[], &[("DATA_SOURCE_NAME", "host=a,host=b"), ("DATA_SOURCE_URI", "c"), ("PGUSER", "u")])
                .unwrap();
        assert_eq!(two.sources.iter().map(Dsn::fingerprint).collect::<Vec<_>>(), ["a:5432", "b:5432"]);
        assert_eq!(two.sources[1].get("user"), Some("u"));
        assert!(read(&[], &[]).unwrap().sources.is_empty());
        assert!(!format!("{options:?}").contains("p@ss"));
    }

    #[test]
    fn says_what_is_wrong() {
        let check = |given: &[(&str, &str)], variables: &[(&str, &str)], error: &str| {
            let found = read(given, variables).map(|_| ()).unwrap_err();
            assert!(found.contains(error), "{found}");
        };
        check(&[("names", "0.12")], &[], "--names: expected 0.11, current or both, found \"0.12\"");
        check(&[("metric-prefix", "9")], &[], "--metric-prefix: \"9\" cannot begin");
        check(&[("collection-timeout", "never")], &[], "--collection-timeout: \"never\" is no duration");
        check(&[("constantLabels", "a=b=c")], &[], "expected name=value, found \"a=b=c\"");
        check(&[("constantLabels", "a-b=c")], &[], "\"a-b\" is no name of a label");
        check(&[("collector.stat_statements.limit", "0")], &[], "expected a number above 0");
        check(&[], &[("DATA_SOURCE_NAME", "host=a,host=a dbname=x")], "two data sources lead to a:5432");
        check(&[], &[("DATA_SOURCE_NAME", "nonsense")], "DATA_SOURCE_NAME: expected postgresql://");
        check(
            &[],
            &[("DATA_SOURCE_URI", "h"), ("DATA_SOURCE_USER_FILE", "/nowhere")],
            "DATA_SOURCE_USER_FILE: read /nowhere",
        );
        assert_eq!(constant_labels(" a = b ,c=").unwrap(), [("a".to_owned(), "b".to_owned())]);
    }
}
