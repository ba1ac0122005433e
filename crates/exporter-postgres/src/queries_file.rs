//! The file of users' queries (`--extend.query-path`).
//!
//! ```yaml
//! app_orders:
//!   query: "SELECT status, count(*) AS count FROM orders GROUP BY status"
//!   master: true
//!   cache_seconds: 30
//!   runonserver: ">=12.0.0"
//!   metrics:
//!     - status: {usage: LABEL, description: "State of the order"}
//!     - count: {usage: GAUGE, description: "Number of orders"}
//! ```
//!
//! An entry that is wrong is left out and told, the others serve.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use config::yaml::{Node, from_node, parse};
use config::{Diagnostic, Diagnostics};
use serde::Deserialize;

use crate::options::is_name;
use crate::version::Range;

/// Bytes the file may have.
const MAX_BYTES: u64 = 4 << 20;

/// What a column is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Usage {
    Discard,
    Label,
    Counter,
    Gauge,
    /// With `_bucket`, `_sum` and `_count` in columns beside it.
    Histogram,
    /// A text that stands for a number.
    Mapped(BTreeMap<String, f64>),
    /// A text such as `1m2.5s`, to milliseconds.
    Duration,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) usage: Usage,
    pub(crate) description: String,
    /// Where it is in another version, it is discarded.
    pub(crate) versions: Option<Range>,
}

/// A user's query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UserQuery {
    /// What its families' names begin with.
    pub(crate) namespace: String,
    pub(crate) sql: String,
    /// Whether it runs on the data source's own database only.
    pub(crate) master: bool,
    /// How long an answer serves.
    pub(crate) cache: Duration,
    pub(crate) versions: Option<Range>,
    pub(crate) columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    query: String,
    #[serde(default)]
    metrics: Vec<BTreeMap<String, Mapping>>,
    #[serde(default)]
    master: bool,
    #[serde(default)]
    cache_seconds: u32,
    #[serde(default)]
    runonserver: String,
}

#[derive(Deserialize)]
struct Mapping {
    #[serde(default)]
    usage: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    metric_mapping: BTreeMap<String, f64>,
    #[serde(default)]
    pg_version: String,
}

/// What a file came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueriesFile {
    /// Queries that can be run, by namespace.
    pub(crate) queries: Vec<UserQuery>,
    /// What is wrong, with its place.
    pub(crate) errors: Vec<String>,
    /// The SHA-256 of its bytes as hexadecimal digits; empty where it cannot be read.
    pub(crate) hash: String,
}

/// Reads the file.
pub(crate) fn load(path: &Path) -> QueriesFile {
    let read = std::fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MAX_BYTES {
            return Err(std::io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
        }
        std::fs::read_to_string(path)
    });
    match read {
        Ok(text) => read_text(&text, path),
        Err(error) => QueriesFile {
            errors: vec![format!("read {}: {error}", path.display())],
            ..QueriesFile::default()
        },
    }
}

fn read_text(text: &str, path: &Path) -> QueriesFile {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = QueriesFile { hash, ..QueriesFile::default() };
    let tell = |diagnostics: Diagnostics| diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>();
    let root = match parse(text, path) {
        Ok(root) => root,
        Err(diagnostics) => {
            file.errors = tell(diagnostics);
            return file;
        }
    };
    if root.is_null() {
        return file;
    }
    let Some(entries) = root.as_map() else {
        file.errors = vec![wrong(path, text, &root, "expected a mapping of namespaces to queries")];
        return file;
    };
    for (key, node) in entries {
        match read_entry(key, node, path, text) {
            Ok(query) if file.queries.iter().any(|q| q.namespace == query.namespace) => {
                file.errors.push(wrong(path, text, key, format!("{} is there twice", query.namespace)));
            }
            Ok(query) => file.queries.push(query),
            Err(errors) => file.errors.extend(errors),
        }
    }
    file.queries.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    file
}

fn wrong(path: &Path, text: &str, node: &Node, message: impl Into<String>) -> String {
    Diagnostic::at(path, text, node.place.line, node.place.column, message).to_string()
}

fn read_entry(key: &Node, node: &Node, path: &Path, text: &str) -> Result<UserQuery, Vec<String>> {
    let here = |message: String| vec![wrong(path, text, key, message)];
    let namespace = key.as_str().unwrap_or_default().to_owned();
    if !is_name(&namespace) {
        return Err(here(format!("{namespace:?} cannot begin a metric's name")));
    }
    let entry: Entry =
        from_node(node, path, text).map_err(|d| d.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let range = |what: &str, text: &str| -> Result<Option<Range>, Vec<String>> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        Range::parse(text).map(Some).map_err(|e| here(format!("{namespace}: {what}: {e}")))
    };
    let mut columns: Vec<Column> = Vec::new();
    for (name, mapping) in entry.metrics.into_iter().flatten() {
        let usage = match mapping.usage.as_str() {
            "DISCARD" => Usage::Discard,
            "LABEL" => Usage::Label,
            "COUNTER" => Usage::Counter,
            "GAUGE" => Usage::Gauge,
            "HISTOGRAM" => Usage::Histogram,
            "MAPPEDMETRIC" => Usage::Mapped(mapping.metric_mapping),
            "DURATION" => Usage::Duration,
            other => {
                return Err(here(format!(
                    "{namespace}: column {name}: usage {other:?}; expected LABEL, COUNTER, GAUGE, HISTOGRAM, MAPPEDMETRIC, DURATION or DISCARD"
                )));
            }
        };
        let is_valid = match usage {
            Usage::Discard => true,
            Usage::Label => crate::options::is_label(&name),
            _ => is_name(&format!("{namespace}_{name}")),
        };
        if !is_valid {
            return Err(here(format!("{namespace}: column {name:?} cannot be part of a name")));
        }
        let versions = range(&format!("column {name}: pg_version"), &mapping.pg_version)?;
        columns.retain(|known| known.name != name);
        columns.push(Column { name, usage, description: mapping.description, versions });
    }
    let versions = range("runonserver", &entry.runonserver)?;
    let sql = match entry.query.trim() {
        // What has columns but no query is read whole, as the original does.
        "" if columns.is_empty() => return Err(here(format!("{namespace}: no query"))),
        "" => format!("SELECT * FROM {namespace}"),
        sql => sql.to_owned(),
    };
    Ok(UserQuery {
        namespace,
        sql,
        master: entry.master,
        cache: Duration::from_secs(entry.cache_seconds.into()),
        versions,
        columns,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> QueriesFile {
        read_text(text, Path::new("queries.yaml"))
    }

    #[test]
    fn reads_every_usage() {
        let file = read(
            "b:\n  query: |\n    SELECT 1\n  master: true\n  cache_seconds: 30\n  runonserver: \">=9.6.0\"\n  metrics:\n\
             \x20   - l: {usage: LABEL, description: L}\n    - c: {usage: COUNTER, description: C}\n\
             \x20   - g:\n        usage: \"GAUGE\"\n        description: \"G\"\n    - h: {usage: HISTOGRAM}\n\
             \x20   - m: {usage: MAPPEDMETRIC, metric_mapping: {up: 1, down: 0}}\n    - d: {usage: DURATION}\n\
             \x20   - x: {usage: DISCARD, pg_version: \"<12.0.0\"}\na:\n  query: SELECT 2\n  metrics: []\n",
        );
        assert_eq!(file.errors, [""; 0]);
        assert_eq!(file.hash.len(), 64);
        let names: Vec<&str> = file.queries.iter().map(|q| q.namespace.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let b = &file.queries[1];
        assert!(
            b.master && b.cache == Duration::from_secs(30) && b.versions.is_some() && b.sql == "SELECT 1"
        );
        let usages: Vec<&Usage> = b.columns.iter().map(|c| &c.usage).collect();
        let mapped = Usage::Mapped([("down".to_owned(), 0.0), ("up".to_owned(), 1.0)].into());
        assert_eq!(
            usages,
            [
                &Usage::Label,
                &Usage::Counter,
                &Usage::Gauge,
                &Usage::Histogram,
                &mapped,
                &Usage::Duration,
                &Usage::Discard
            ]
        );
        assert!(b.columns[6].versions.is_some());
    }

    #[test]
    fn what_is_wrong_has_a_place_and_costs_its_entry_only() {
        let good = "good:\n  query: SELECT 1\n  metrics:\n    - a: {usage: GAUGE}\n";
        let check = |bad: &str, line: usize, error: &str| {
            let file = read(&format!("{good}{bad}"));
            assert_eq!(file.queries.len(), 1, "{bad}");
            let found = file.errors.join("\n");
            assert!(found.contains(error) && found.contains(&format!("queries.yaml:{line}")), "{found}");
        };
        check(
            "bad:\n  query: SELECT 1\n  metrics:\n    - a: {usage: GUAGE}\n",
            5,
            "usage \"GUAGE\"; expected LABEL",
        );
        check("bad:\n  query: SELECT 1\n  cache_seconds: soon\n", 7, "soon");
        check("9bad:\n  query: SELECT 1\n", 5, "\"9bad\" cannot begin a metric's name");
        check("bad: {}\n", 5, "bad: no query");
        check("bad:\n  query: SELECT 1\n  runonserver: new\n", 5, "runonserver: version range \"new\"");
        check(
            "bad:\n  query: SELECT 1\n  metrics:\n    - a-b: {usage: LABEL}\n",
            5,
            "\"a-b\" cannot be part of a name",
        );
        check("good:\n  query: SELECT 2\n", 5, "good is there twice");
    }

    #[test]
    fn a_file_that_is_none_is_an_error() {
        assert!(read("- a\n").errors[0].contains("expected a mapping of namespaces"));
        assert!(!read("a: [\n").errors.is_empty());
        let missing = load(Path::new("/nowhere/queries.yaml"));
        assert!(
            missing.errors[0].contains("read /nowhere/queries.yaml: No such file") && missing.hash.is_empty()
        );
        assert!(read("").errors.is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in "([a-z]{1,4}|: |\n|  |- |\\{|\\}|\"|usage|query|metrics|[0-9]){0,40}") {
            read(&text);
        }
    }
}
