//! One entry of `scrape_configs`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::discovery::{DiscoveryConfigs, StaticConfig};
use crate::global::{EscapingScheme, GlobalConfig, ScrapeProtocol, ValidationScheme, protocols_problem};
use crate::http_client::HttpClientConfig;
use crate::relabel::RelabelConfig;
use crate::values::ByteSize;
use crate::yaml::{Context, Place, SectionMap, section};

section! {
    /// One entry of `scrape_configs`. Once a file is loaded, everything taken from `global` is filled in.
    ScrapeConfig as "config.ScrapeConfig" {
        /// The job's name; unique.
        job_name: String = String::new(), "job_name" always;
        /// Whether labels of the exposition win over the target's.
        honor_labels: bool = false, "honor_labels" omit;
        /// Whether timestamps of the exposition are taken.
        honor_timestamps: bool = true, "honor_timestamps" always;
        /// Whether series with their own timestamps get staleness markers.
        track_timestamps_staleness: bool = false, "track_timestamps_staleness" always;
        /// Query parameters of the scrape.
        params: BTreeMap<String, Vec<String>> = BTreeMap::new(), "params" omit;
        /// Time between scrapes.
        scrape_interval: Duration = Duration::ZERO, "scrape_interval" omit;
        /// Time a scrape may take.
        scrape_timeout: Duration = Duration::ZERO, "scrape_timeout" omit;
        /// Formats to ask for, the most wanted first.
        scrape_protocols: Vec<ScrapeProtocol> = Vec::new(), "scrape_protocols" omit;
        /// The format to assume when the target does not say.
        fallback_scrape_protocol: Option<ScrapeProtocol> = None, "fallback_scrape_protocol" omit;
        /// Whether native histograms are scraped.
        scrape_native_histograms: Option<bool> = None, "scrape_native_histograms" omit;
        /// Whether classic histograms are kept beside native ones.
        always_scrape_classic_histograms: Option<bool> = None, "always_scrape_classic_histograms" omit;
        /// Whether classic histograms become native ones.
        convert_classic_histograms_to_nhcb: Option<bool> = None, "convert_classic_histograms_to_nhcb" omit;
        /// File for failed scrapes.
        scrape_failure_log_file: String = String::new(), "scrape_failure_log_file" omit;
        /// Path of the exposition.
        metrics_path: String = "/metrics".to_owned(), "metrics_path" omit;
        /// `http` or `https`.
        scheme: String = "http".to_owned(), "scheme" omit;
        /// Whether to ask for a compressed body.
        enable_compression: bool = true, "enable_compression" always;
        /// Largest body, uncompressed; 0: no limit.
        body_size_limit: ByteSize = ByteSize(0), "body_size_limit" omit;
        /// Most samples after relabelling; 0: no limit.
        sample_limit: u64 = 0, "sample_limit" omit;
        /// Most targets; 0: no limit.
        target_limit: u64 = 0, "target_limit" omit;
        /// Most labels of a sample; 0: no limit.
        label_limit: u64 = 0, "label_limit" omit;
        /// Longest label name in bytes; 0: no limit.
        label_name_length_limit: u64 = 0, "label_name_length_limit" omit;
        /// Longest label value in bytes; 0: no limit.
        label_value_length_limit: u64 = 0, "label_value_length_limit" omit;
        /// Most buckets of a native histogram; 0: no limit.
        native_histogram_bucket_limit: u64 = 0, "native_histogram_bucket_limit" omit;
        /// Least growth from bucket to bucket of a native histogram.
        native_histogram_min_bucket_factor: f64 = 0.0, "native_histogram_min_bucket_factor" omit;
        /// Most dropped targets kept for the API; 0: all.
        keep_dropped_targets: u64 = 0, "keep_dropped_targets" omit;
        /// Which names are allowed; `None` only before loading is complete.
        metric_name_validation_scheme: Option<ValidationScheme> = None, "metric_name_validation_scheme" omit;
        /// How names beyond the legacy set are asked for; `None` only before loading is complete.
        metric_name_escaping_scheme: Option<EscapingScheme> = None, "metric_name_escaping_scheme" omit;
        /// Whether `scrape_timeout_seconds` and its kin are stored.
        extra_scrape_metrics: Option<bool> = None, "extra_scrape_metrics" omit;
        /// How to speak HTTP to the targets.
        http: HttpClientConfig = HttpClientConfig::default(), "" inline;
        /// Rules for targets.
        relabel_configs: Vec<RelabelConfig> = Vec::new(), "relabel_configs" omit;
        /// Rules for samples.
        metric_relabel_configs: Vec<RelabelConfig> = Vec::new(), "metric_relabel_configs" omit;
        /// Where the targets come from.
        discovery: DiscoveryConfigs = DiscoveryConfigs::default(), "" inline;
    }
}

impl ScrapeConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if self.job_name.is_empty() {
            cx.error_hint(map.place, "job_name is empty", "give each scrape config a job_name of its own");
        }
        self.http.check(map, cx);
        if self.relabel_configs.is_empty() {
            self.discovery.check_static_targets(map, cx);
        }
        map.no_nulls("relabel_configs", "empty or null target relabeling rule in scrape config", cx);
        map.no_nulls("metric_relabel_configs", "empty or null metric relabeling rule in scrape config", cx);
        let list = map.peek("scrape_protocols").and_then(|n| n.as_seq());
        let all_read = list.is_some_and(|s| s.len() == self.scrape_protocols.len());
        if let Some(text) = protocols_problem(&self.scrape_protocols, all_read) {
            let text = format!("{text} for scrape config with job name {:?}", self.job_name);
            cx.error(map.place_of("scrape_protocols"), text);
        }
        // Reported here, where the key's place is known; the interval may still come from `global`.
        if !self.scrape_interval.is_zero() && self.scrape_timeout > self.scrape_interval {
            cx.error(map.place_of("scrape_timeout"), self.timeout_problem());
        }
    }

    fn timeout_problem(&self) -> String {
        format!(
            "scrape timeout greater than scrape interval for scrape config with job name {:?}",
            self.job_name
        )
    }

    /// A job that stands in no file: one target, everything else from `global`.
    #[must_use]
    pub fn built_in(job_name: &str, target: &str, global: &GlobalConfig) -> Self {
        let group = StaticConfig { targets: vec![target.to_owned()], ..StaticConfig::default() };
        let discovery = DiscoveryConfigs { static_configs: vec![group], ..DiscoveryConfigs::default() };
        let mut job = Self { job_name: job_name.to_owned(), discovery, ..Self::default() };
        // Without settings of its own there is nothing that could contradict `global`.
        job.complete(global, Place::default(), &mut Context::new(Path::new("(built in)"), ""));
        job
    }

    /// Fills in what comes from `global` and checks what depends on it. `place` is where the entry stands.
    pub(crate) fn complete(&mut self, global: &GlobalConfig, place: Place, cx: &mut Context<'_>) {
        fn or<T: PartialEq + Default + Copy>(slot: &mut T, global: T) {
            if *slot == T::default() {
                *slot = global;
            }
        }
        let had_interval = !self.scrape_interval.is_zero();
        or(&mut self.scrape_interval, global.scrape_interval);
        if self.scrape_timeout > self.scrape_interval && !had_interval {
            cx.error(place, self.timeout_problem());
        }
        or(&mut self.scrape_timeout, global.scrape_timeout.min(self.scrape_interval));
        or(&mut self.body_size_limit, global.body_size_limit);
        or(&mut self.sample_limit, global.sample_limit);
        or(&mut self.target_limit, global.target_limit);
        or(&mut self.label_limit, global.label_limit);
        or(&mut self.label_name_length_limit, global.label_name_length_limit);
        or(&mut self.label_value_length_limit, global.label_value_length_limit);
        or(&mut self.keep_dropped_targets, global.keep_dropped_targets);
        if self.scrape_failure_log_file.is_empty() {
            self.scrape_failure_log_file.clone_from(&global.scrape_failure_log_file);
        }
        or(&mut self.scrape_native_histograms, global.scrape_native_histograms);
        or(&mut self.extra_scrape_metrics, global.extra_scrape_metrics);
        self.convert_classic_histograms_to_nhcb.get_or_insert(global.convert_classic_histograms_to_nhcb);
        self.always_scrape_classic_histograms.get_or_insert(global.always_scrape_classic_histograms);
        if self.scrape_protocols.is_empty() {
            self.scrape_protocols = if !global.scrape_protocols.is_empty() {
                global.scrape_protocols.clone()
            } else if self.scrape_native_histograms == Some(true) {
                ScrapeProtocol::PROTO_FIRST.to_vec()
            } else {
                ScrapeProtocol::DEFAULT.to_vec()
            };
        }
        let local = self.metric_name_validation_scheme;
        let scheme = *self.metric_name_validation_scheme.get_or_insert(global.metric_name_validation_scheme);
        let escaping = *self.metric_name_escaping_scheme.get_or_insert(match (local, scheme) {
            (None, _) => global.metric_name_escaping_scheme.unwrap_or(EscapingScheme::AllowUtf8),
            (_, ValidationScheme::Legacy) => EscapingScheme::Underscores,
            (_, ValidationScheme::Utf8) => EscapingScheme::AllowUtf8,
        });
        if escaping == EscapingScheme::AllowUtf8 && scheme == ValidationScheme::Legacy {
            cx.error(place, "utf8 metric names requested but validation scheme is not set to UTF8");
        }
        check_relabel(&self.relabel_configs, scheme, cx);
        check_relabel(&self.metric_relabel_configs, scheme, cx);
    }

    /// Joins relative file names with `dir`.
    pub fn set_directory(&mut self, dir: &Path) {
        self.discovery.set_directory(dir);
        self.http.set_directory(dir);
        crate::load::join_dir(dir, &mut self.scrape_failure_log_file);
    }
}

/// Reports wrong combinations of keys.
pub(crate) fn check_relabel(rules: &[RelabelConfig], scheme: ValidationScheme, cx: &mut Context<'_>) {
    for rule in rules {
        if let Some(text) = rule.problem(scheme) {
            cx.error(rule.place.0, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_job_is_as_one_that_was_written() {
        let text = "global: {scrape_interval: 5s, sample_limit: 7}\nscrape_configs:\n- job_name: node\n  static_configs:\n  - targets: ['localhost:9100']\n";
        let loaded = crate::load_str(text, Path::new("test")).unwrap().value;
        assert_eq!(
            ScrapeConfig::built_in("node", "localhost:9100", &loaded.global),
            loaded.scrape_configs[0]
        );
    }
}
