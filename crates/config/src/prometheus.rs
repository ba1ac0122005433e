//! `prometheus.yml` as a whole.

use std::path::{Path, PathBuf};

use crate::alerting::AlertingConfig;
use crate::global::{GlobalConfig, RuntimeConfig};
use crate::load::{expand_glob, join_dir};
use crate::remote::{RemoteReadConfig, RemoteWriteConfig};
use crate::scrape::ScrapeConfig;
use crate::storage_section::{RetentionConfig, StorageConfig, TsdbConfig};
use crate::tracing_section::{OtlpConfig, TracingConfig};
use crate::yaml::{Context, Encode as _, SectionMap, section};

section! {
    /// `prometheus.yml`.
    Config as "config.Config" {
        /// Defaults for all that follows.
        global: GlobalConfig = GlobalConfig::default(), "global" always;
        /// The process.
        runtime: RuntimeConfig = RuntimeConfig::default(), "runtime" omit;
        /// Whom to alert.
        alerting: AlertingConfig = AlertingConfig::default(), "alerting" omit;
        /// Patterns of rule files, joined with the file's directory.
        rule_files: Vec<String> = Vec::new(), "rule_files" omit;
        /// Patterns of files with more scrape configs, joined with the file's directory.
        scrape_config_files: Vec<String> = Vec::new(), "scrape_config_files" omit;
        /// What to scrape, as far as it stands in the main file.
        scrape_configs: Vec<ScrapeConfig> = Vec::new(), "scrape_configs" omit;
        /// The store.
        storage: StorageConfig = StorageConfig::default(), "storage" omit;
        /// Traces of the program itself.
        tracing: Option<TracingConfig> = None, "tracing" omit;
        /// Where samples are sent.
        remote_write: Vec<RemoteWriteConfig> = Vec::new(), "remote_write" omit;
        /// Where samples are read from besides the store.
        remote_read: Vec<RemoteReadConfig> = Vec::new(), "remote_read" omit;
        /// Metrics received over OTLP.
        otlp: OtlpConfig = OtlpConfig::default(), "otlp" omit;
        /// What to scrape, as far as it stands in `scrape_config_files`. Not part of [`Config::to_yaml`], as upstream.
        imported_scrape_configs: Imported = Imported::default(), "" inline;
    }
}

/// Scrape configs from other files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Imported(Vec<ScrapeConfig>);

impl std::ops::Deref for Imported {
    type Target = Vec<ScrapeConfig>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::ops::DerefMut for Imported {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl crate::yaml::Section for Imported {
    const NAME: &'static str = "";
    fn read(&mut self, _: &mut SectionMap<'_>, _: &mut Context<'_>) {}
    fn write(&self, _: &mut Vec<(String, crate::yaml::Out)>) {}
    fn keys(_: &mut Vec<&'static str>) {}
}

impl crate::yaml::Encode for Imported {
    fn encode(&self) -> crate::yaml::Out {
        crate::yaml::Out::Null
    }
    fn is_empty(&self) -> bool {
        true
    }
}

impl Config {
    /// The configuration of an empty file.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            storage: StorageConfig {
                tsdb: Some(TsdbConfig {
                    retention: Some(RetentionConfig::default()),
                    ..TsdbConfig::default()
                }),
                ..StorageConfig::default()
            },
            ..Self::default()
        }
    }

    /// All scrape configs: of the main file, then of `scrape_config_files`.
    pub fn all_scrape_configs(&self) -> impl Iterator<Item = &ScrapeConfig> {
        self.scrape_configs.iter().chain(self.imported_scrape_configs.iter())
    }

    /// The rule files there are now, sorted within each pattern, each once.
    #[must_use]
    pub fn rule_file_paths(&self) -> Vec<PathBuf> {
        let mut out: Vec<PathBuf> = Vec::new();
        for file in self.rule_files.iter().flat_map(|pattern| expand_glob(pattern)) {
            if !out.contains(&file) {
                out.push(file);
            }
        }
        out
    }

    /// The configuration in force, with defaults filled in and secrets hidden, as `/api/v1/status/config` gives it.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        self.encode().to_text()
    }

    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        map.no_nulls("scrape_configs", "empty or null scrape config section", cx);
        map.no_nulls("remote_write", "empty or null remote write config section", cx);
        map.no_nulls("remote_read", "empty or null remote read config section", cx);
        for (key, what, patterns) in [
            ("rule_files", "rule", &self.rule_files),
            ("scrape_config_files", "scrape config", &self.scrape_config_files),
        ] {
            let items = map.peek(key).and_then(|n| n.as_seq()).unwrap_or(&[]);
            for (i, pattern) in patterns.iter().enumerate() {
                if !is_rule_path(pattern) {
                    let place = items.get(i).map_or(map.place, |n| n.place);
                    cx.error_hint(
                        place,
                        format!("invalid {what} file path {pattern:?}"),
                        "a `*` may stand in the last part of the path only",
                    );
                }
            }
        }
        let tsdb = self.storage.tsdb.get_or_insert_default();
        tsdb.retention.get_or_insert_default();
    }

    /// Joins relative file names with `dir`.
    pub(crate) fn set_directory(&mut self, dir: &Path) {
        join_dir(dir, &mut self.global.query_log_file);
        join_dir(dir, &mut self.global.scrape_failure_log_file);
        self.alerting.alertmanagers.iter_mut().for_each(|a| a.set_directory(dir));
        if let Some(tracing) = &mut self.tracing {
            tracing.tls_config.set_directory(dir);
        }
        for file in self.rule_files.iter_mut().chain(&mut self.scrape_config_files) {
            join_dir(dir, file);
        }
        self.scrape_configs.iter_mut().for_each(|c| c.set_directory(dir));
        self.remote_write.iter_mut().for_each(|c| c.http.set_directory(dir));
        self.remote_read.iter_mut().for_each(|c| c.http.set_directory(dir));
    }
}

/// No `*`, or only behind the last `/`.
fn is_rule_path(pattern: &str) -> bool {
    pattern.find('*').is_none_or(|at| !pattern[at..].contains('/'))
}
