//! CONFIG GET: the number of databases, a few settings always, all of them if asked for; the size of the RDB file.

use std::path::Path;

use model::float::parse_go_float;

use crate::sheet::Sheet;

/// Settings whose values are secrets. The original's list, and what Valkey calls `masterauth`.
const SECRET: [&str; 5] =
    ["masterauth", "primaryauth", "requirepass", "tls-key-file-pass", "tls-client-key-file-pass"];

/// Settings that are families of their own.
const ALWAYS: [(&str, &str); 4] = [
    ("io-threads", "config_io_threads"),
    ("maxclients", "config_maxclients"),
    ("maxmemory", "config_maxmemory"),
    ("repl-backlog-size", "config_repl_backlog_size"),
];

/// Most databases a server may have: each is told of, with keys or without.
const MAX_DATABASES: u32 = 100_000;

/// A server's settings; none where it did not tell them.
#[derive(Debug, Default)]
pub(crate) struct ServerConfig(Vec<(String, String)>);

impl ServerConfig {
    /// Of names and values.
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// A setting.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The number of databases.
    ///
    /// # Errors
    /// Where it is no number, which ends a scrape.
    pub(crate) fn databases(&self) -> Result<Option<u32>, String> {
        let parse = |text: &str| {
            let number = text.parse::<u32>().ok().filter(|n| *n <= MAX_DATABASES);
            number.ok_or_else(|| format!("invalid config value for key databases: {text:?}"))
        };
        self.get("databases").map(parse).transpose()
    }

    /// Writes the settings; all of them with `all`, secrets among them unless `redact`.
    pub(crate) fn write(&self, sheet: &mut Sheet, all: Option<Redact>) {
        for (key, value) in &self.0 {
            let hidden = all == Some(Redact::Secrets) && SECRET.contains(&key.as_str());
            if all.is_some() && !hidden {
                let labels = [("key", key.as_str()), ("value", value.as_str())];
                sheet.gauge("config_key_value", "Config key and value", &labels, 1.0);
                if let Some(number) = parse_go_float(value) {
                    sheet.gauge("config_value", "Config key and value as metric", &labels[..1], number);
                }
            }
            if let Some((_, name)) = ALWAYS.iter().find(|(k, _)| k == key)
                && let Some(number) = parse_go_float(value)
            {
                sheet.plain(name, exporters::Kind::Gauge, number);
            }
            if key == "client-output-buffer-limit" {
                output_buffer_limits(sheet, value);
            }
        }
    }

    /// Writes the size of the file that the server says it saves to, if this process can see it.
    pub(crate) fn write_rdb_size(&self, sheet: &mut Sheet) {
        let (Some(directory), Some(name)) = (self.get("dir"), self.get("dbfilename")) else { return };
        // The names come from the server: only a file right in the directory is looked at.
        if directory.is_empty() || name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return;
        }
        let path = Path::new(directory).join(name);
        let size = match std::fs::metadata(&path) {
            Ok(meta) if meta.is_file() => meta.len(),
            Ok(_) => return,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(e) => {
                tracing::warn!(file = %path.display(), err = %e, "The size of the RDB file cannot be read");
                return;
            }
        };
        sheet.gauge("rdb_current_size_bytes", "Current RDB file size in bytes", &[], size as f64);
    }
}

/// What of the settings is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redact {
    /// Those that are secrets.
    Secrets,
    /// None.
    Nothing,
}

/// `normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60`
fn output_buffer_limits(sheet: &mut Sheet, value: &str) {
    let words: Vec<&str> = value.split(' ').collect();
    for limits in words.chunks_exact(4) {
        let mut write = |name: &str, help: &str, limit: &str, value: &str| {
            if let Some(number) = parse_go_float(value) {
                sheet.gauge(name, help, &[("class", limits[0]), ("limit", limit)], number);
            }
        };
        let name = "config_client_output_buffer_limit_bytes";
        write(name, "The configured buffer limits per class", "hard", limits[1]);
        write(name, "The configured buffer limits per class", "soft", limits[2]);
        let help = "How long for buffer limits per class to be exceeded before replicas are dropped";
        write("config_client_output_buffer_limit_overcome_seconds", help, "soft", limits[3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    fn config(pairs: &[(&str, &str)]) -> ServerConfig {
        ServerConfig::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn secrets_are_kept_back_unless_asked_for() {
        let config = config(&[("requirepass", "hidden"), ("primaryauth", "hidden"), ("maxmemory", "100mb")]);
        let text = |all| {
            let mut sheet = Sheet::new("redis");
            config.write(&mut sheet, all);
            lines(sheet)
        };
        assert_eq!(text(None), [""; 0]);
        let expect = ["redis_config_key_value{key=\"maxmemory\",value=\"100mb\"} 1"];
        assert_eq!(text(Some(Redact::Secrets)), expect);
        assert_eq!(text(Some(Redact::Nothing)).len(), 3);
    }

    #[test]
    fn limits_and_numbers() {
        let config = config(&[
            ("databases", "4"),
            ("maxclients", "10000"),
            ("client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub"),
        ]);
        assert_eq!(config.databases(), Ok(Some(4)));
        for wrong in ["x", "-1", "4000000000"] {
            assert!(ServerConfig::new(vec![("databases".to_owned(), wrong.to_owned())]).databases().is_err());
        }
        let mut sheet = Sheet::new("redis");
        config.write(&mut sheet, None);
        let found = lines(sheet);
        assert_eq!(found.len(), 7);
        let line =
            "redis_config_client_output_buffer_limit_bytes{class=\"slave\",limit=\"soft\"} 6.7108864e+07";
        assert!(found.contains(&line.to_owned()), "{found:?}");
    }

    #[test]
    fn the_rdb_file_is_looked_for_in_its_directory_only() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("dump.rdb"), "12345").unwrap();
        let dir = directory.path().to_str().unwrap();
        for (name, expect) in [("dump.rdb", Some(5)), ("none.rdb", Some(0)), ("../dump.rdb", None)] {
            let mut sheet = Sheet::new("redis");
            config(&[("dir", dir), ("dbfilename", name)]).write_rdb_size(&mut sheet);
            let expect: Vec<_> = expect.iter().map(|n| format!("redis_rdb_current_size_bytes {n}")).collect();
            assert_eq!(lines(sheet), expect, "{name}");
        }
    }
}
