//! The query log (`global.query_log_file`): a JSON object per query and line, with upstream's fields.

use std::fs::File;
use std::io::Write as _;

use parking_lot::RwLock;
use promql::{Origin, QueryRecord};
use serde_json::{Value, json, value::RawValue};

/// The file, if there is one.
#[derive(Default)]
pub(crate) struct QueryLog {
    file: RwLock<Option<File>>,
}

impl QueryLog {
    /// Writes to `path` from now on, opened again even where it was open; empty: nowhere.
    pub(crate) fn open(&self, path: &str) -> Result<(), String> {
        let file = match path {
            "" => None,
            path => {
                let opened = File::options().append(true).create(true).open(path);
                Some(opened.map_err(|e| format!("can't create json log file: open {path}: {e}"))?)
            }
        };
        *self.file.write() = file;
        Ok(())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.file.read().is_some()
    }

    /// Writes a line, whole: lines of queries that end together do not mix.
    pub(crate) fn write(&self, record: &QueryRecord<'_>, now_ms: i64) -> std::io::Result<()> {
        match &*self.file.read() {
            None => Ok(()),
            Some(file) => (&mut &*file).write_all(&line(record, now_ms)),
        }
    }
}

fn line(record: &QueryRecord<'_>, now_ms: i64) -> Vec<u8> {
    let text = |v: &Value| v.to_string();
    let time = text(&json!(date(now_ms)));
    let params = text(&json!({
        "end": date(record.end_ms),
        "query": record.query,
        "start": date(record.start_ms),
        "step": record.step_ms / 1000,
    }));
    let mut line =
        format!("{{\"time\":{time},\"level\":\"INFO\",\"msg\":\"promql query logged\",\"params\":{params}");
    if let Some(error) = record.error {
        line += &format!(",\"error\":{}", text(&json!(error.message)));
    }
    let stats = web::api::stats_json(record.stats);
    let stats: &RawValue = serde_json::from_slice(&stats).expect("written as JSON");
    line += &format!(",\"stats\":{stats}");
    line += &match record.origin {
        None => String::new(),
        Some(Origin::Http { client_ip, method, path }) => {
            let request = json!({"clientIP": client_ip, "method": method, "path": path});
            format!(",\"httpRequest\":{}", text(&request))
        }
        Some(Origin::RuleGroup { file, name }) => {
            format!(",\"ruleGroup\":{}", text(&json!({"file": file, "name": name})))
        }
    };
    line.push_str("}\n");
    line.into_bytes()
}

/// `2006-01-02T15:04:05.000Z`
fn date(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| format!("{t:.3}"))
}

#[cfg(test)]
mod tests {
    use promql::{QueryError, QueryErrorKind, QueryStats};

    use super::*;

    #[test]
    fn a_line_has_upstreams_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("query.log");
        let log = QueryLog::default();
        let stats = QueryStats { total_samples: 3, ..QueryStats::default() };
        let error = QueryError::new(QueryErrorKind::Timeout, "query timed out in query queue");
        let origin =
            Origin::Http { client_ip: "::1".into(), method: "GET".into(), path: "/api/v1/query".into() };
        let rule = Origin::RuleGroup { file: "r.yml".into(), name: "g".into() };
        let record = QueryRecord {
            query: "up{a=\"b\"}",
            start_ms: 0,
            end_ms: 61_500,
            step_ms: 15_000,
            origin: Some(&origin),
            error: None,
            stats: &stats,
        };
        log.write(&record, 0).unwrap();
        assert!(!path.exists() && !log.is_open());
        log.open(path.to_str().unwrap()).unwrap();
        log.write(&record, 1_500).unwrap();
        // Rotated away: the next line goes to the old file until it is opened again.
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        log.open(path.to_str().unwrap()).unwrap();
        log.write(&QueryRecord { error: Some(&error), origin: Some(&rule), ..record }, 1_500).unwrap();
        log.open("").unwrap();
        log.write(&record, 0).unwrap();
        let read = |name: &str| -> Vec<Value> {
            let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
            text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
        };
        let (old, new) = (read("old"), read("query.log"));
        assert_eq!((old.len(), new.len()), (1, 1));
        let params = json!({
            "query": "up{a=\"b\"}", "start": "1970-01-01T00:00:00.000Z", "end": "1970-01-01T00:01:01.500Z", "step": 15
        });
        assert_eq!(old[0]["params"], params);
        assert_eq!(old[0]["time"], "1970-01-01T00:00:01.500Z");
        assert_eq!(
            old[0]["httpRequest"],
            json!({"clientIP": "::1", "method": "GET", "path": "/api/v1/query"})
        );
        assert_eq!(old[0]["stats"]["samples"]["totalQueryableSamples"], 3);
        assert_eq!(old[0].get("error"), None);
        assert_eq!(new[0]["error"], "query timed out in query queue");
        assert_eq!(new[0]["ruleGroup"], json!({"file": "r.yml", "name": "g"}));
        assert!(
            log.open("/nowhere/at/all").unwrap_err().starts_with("can't create json log file: open /nowhere")
        );
    }
}
