//! The `global` and `runtime` blocks.

use std::time::Duration;

use model::LabelSet;

use crate::values::{ByteSize, text_enum};
use crate::yaml::{Context, Place, SectionMap, section};

section! {
    /// The `global` block; what scrape configs and rule groups take where they say nothing.
    GlobalConfig as "config.GlobalConfig" {
        /// Time between scrapes.
        scrape_interval: Duration = Duration::from_secs(60), "scrape_interval" omit;
        /// Time a scrape may take; at most the interval.
        scrape_timeout: Duration = Duration::from_secs(10), "scrape_timeout" omit;
        /// Formats to ask for, the most wanted first; empty: [`ScrapeProtocol::DEFAULT`].
        scrape_protocols: Vec<ScrapeProtocol> = Vec::new(), "scrape_protocols" omit;
        /// Time between rule evaluations.
        evaluation_interval: Duration = Duration::from_secs(60), "evaluation_interval" omit;
        /// How far back rules look, so that late samples are there.
        rule_query_offset: Duration = Duration::ZERO, "rule_query_offset" omit;
        /// File for queries.
        query_log_file: String = String::new(), "query_log_file" omit;
        /// File for failed scrapes.
        scrape_failure_log_file: String = String::new(), "scrape_failure_log_file" omit;
        /// Labels for alerts and everything that leaves; environment variables are expanded.
        external_labels: LabelSet = LabelSet::empty(), "external_labels" omit;
        /// Largest body of a scrape, uncompressed; 0: no limit.
        body_size_limit: ByteSize = ByteSize(0), "body_size_limit" omit;
        /// Most samples of a scrape after relabelling; 0: no limit.
        sample_limit: u64 = 0, "sample_limit" omit;
        /// Most targets of a scrape config; 0: no limit.
        target_limit: u64 = 0, "target_limit" omit;
        /// Most labels of a sample; 0: no limit.
        label_limit: u64 = 0, "label_limit" omit;
        /// Longest label name in bytes; 0: no limit.
        label_name_length_limit: u64 = 0, "label_name_length_limit" omit;
        /// Longest label value in bytes; 0: no limit.
        label_value_length_limit: u64 = 0, "label_value_length_limit" omit;
        /// Most dropped targets kept for the API; 0: all.
        keep_dropped_targets: u64 = 0, "keep_dropped_targets" omit;
        /// Which names are allowed.
        metric_name_validation_scheme: ValidationScheme = ValidationScheme::Utf8, "metric_name_validation_scheme" omit;
        /// How names beyond the legacy set are asked for; `None`: from the validation scheme.
        metric_name_escaping_scheme: Option<EscapingScheme> = Some(EscapingScheme::AllowUtf8), "metric_name_escaping_scheme" omit;
        /// Whether native histograms are scraped.
        scrape_native_histograms: Option<bool> = Some(false), "scrape_native_histograms" omit;
        /// Whether classic histograms become native ones.
        convert_classic_histograms_to_nhcb: bool = false, "convert_classic_histograms_to_nhcb" omit;
        /// Whether classic histograms are kept beside native ones.
        always_scrape_classic_histograms: bool = false, "always_scrape_classic_histograms" omit;
        /// Whether `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes` are stored.
        extra_scrape_metrics: Option<bool> = Some(false), "extra_scrape_metrics" omit;
    }
}

section! {
    /// The `runtime` block.
    RuntimeConfig as "config.RuntimeConfig" unchecked {
        /// Go's garbage collection target; read for compatibility.
        gogc: i64 = 75, "gogc" omit;
    }
}

text_enum! {
    /// An exposition format, by the name configuration files give it.
    ScrapeProtocol {
        /// Delimited protobuf.
        PrometheusProto = "PrometheusProto",
        /// The classic text format.
        PrometheusText004 = "PrometheusText0.0.4",
        /// The text format with UTF-8 names.
        PrometheusText100 = "PrometheusText1.0.0",
        /// OpenMetrics 0.0.1.
        OpenMetricsText001 = "OpenMetricsText0.0.1",
        /// OpenMetrics 1.0.0.
        OpenMetricsText100 = "OpenMetricsText1.0.0",
    } error |text| format!(
        "unknown scrape protocol {text}, supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]"
    )
}

impl ScrapeProtocol {
    /// What is asked for where nothing is configured.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText100,
        Self::OpenMetricsText001,
        Self::PrometheusText100,
        Self::PrometheusText004,
    ];

    /// The same with protobuf first, for native histograms.
    pub const PROTO_FIRST: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetricsText100,
        Self::OpenMetricsText001,
        Self::PrometheusText100,
        Self::PrometheusText004,
    ];

    /// The media type in an `Accept` header.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::PrometheusText004 => "text/plain;version=0.0.4",
            Self::PrometheusText100 => "text/plain;version=1.0.0",
            Self::OpenMetricsText001 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetricsText100 => "application/openmetrics-text;version=1.0.0",
        }
    }
}

text_enum! {
    /// Which metric and label names are allowed.
    ValidationScheme {
        /// Any UTF-8.
        Utf8 = "utf8",
        /// `[a-zA-Z_][a-zA-Z0-9_]*`, metric names also `:`.
        Legacy = "legacy",
    } error |text| format!("unrecognized ValidationScheme: {text:?}")
}

impl ValidationScheme {
    /// Whether a label may have this name.
    #[must_use]
    pub fn is_valid_label_name(&self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => model::is_valid_label_name(name),
        }
    }

    /// Whether a metric may have this name.
    #[must_use]
    pub fn is_valid_metric_name(&self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => model::is_valid_metric_name(name),
        }
    }
}

text_enum! {
    /// How names beyond the legacy set are asked for.
    EscapingScheme {
        /// As they are.
        AllowUtf8 = "allow-utf-8",
        /// Other characters become `_`.
        Underscores = "underscores",
        /// Dots become `_dot_`.
        Dots = "dots",
        /// Reversible: `U__` and code points.
        Values = "values",
    } error |text| format!(
        "unknown global name escaping method specified, must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got {text:?}"
    )
}

/// Upstream's message about a list of protocols, if it is not usable.
pub(crate) fn protocols_problem(protocols: &[ScrapeProtocol], written: bool) -> Option<String> {
    if protocols.is_empty() && written {
        return Some("scrape_protocols cannot be empty".to_owned());
    }
    let repeats = protocols.iter().enumerate().any(|(i, p)| protocols[..i].contains(p));
    repeats.then(|| {
        let names: Vec<_> = protocols.iter().map(ScrapeProtocol::as_str).collect();
        format!("duplicated protocol in scrape_protocols, got [{}]", names.join(" "))
    })
}

impl GlobalConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let labels = map.peek("external_labels").and_then(|n| n.as_map()).unwrap_or(&[]);
        for (name, _) in labels {
            let text = name.as_str().unwrap_or("");
            if !self.metric_name_validation_scheme.is_valid_label_name(text) {
                cx.error(name.place, format!("{text:?} is not a valid label name"));
            }
        }
        let defaults = Self::default();
        if self.scrape_interval.is_zero() {
            self.scrape_interval = defaults.scrape_interval;
        }
        if !map.has("scrape_timeout") || self.scrape_timeout.is_zero() {
            self.scrape_timeout = defaults.scrape_timeout.min(self.scrape_interval);
        }
        if self.scrape_timeout > self.scrape_interval {
            cx.error(map.place_of("scrape_timeout"), "global scrape timeout greater than scrape interval");
        }
        if self.evaluation_interval.is_zero() {
            self.evaluation_interval = defaults.evaluation_interval;
        }
        let written = map.peek("scrape_protocols").is_some_and(|n| !n.is_null());
        // An unknown name is reported where it stands; the empty list left by it is no second error.
        let unread = map
            .peek("scrape_protocols")
            .and_then(|n| n.as_seq())
            .is_some_and(|s| s.len() != self.scrape_protocols.len());
        if let Some(text) = protocols_problem(&self.scrape_protocols, written && !unread) {
            cx.error(map.place_of("scrape_protocols"), format!("{text} for global config"));
        }
        if !map.has("metric_name_escaping_scheme") {
            self.metric_name_escaping_scheme = Some(match self.metric_name_validation_scheme {
                ValidationScheme::Utf8 => EscapingScheme::AllowUtf8,
                ValidationScheme::Legacy => EscapingScheme::Underscores,
            });
        }
    }

    /// Replaces `$VAR` and `${VAR}` in external labels by what `env` gives; `$$` is a dollar sign.
    pub(crate) fn expand_external_labels(
        &mut self,
        place: Place,
        cx: &mut Context<'_>,
        env: &dyn Fn(&str) -> Option<String>,
    ) {
        if !self.external_labels.iter().any(|(_, v)| v.contains('$')) {
            return;
        }
        let mut missing = Vec::new();
        let pairs: Vec<(String, String)> = self
            .external_labels
            .iter()
            .map(|(n, v)| {
                (
                    n.to_owned(),
                    expand(v, &mut |name| {
                        let value = env(name);
                        if value.is_none() {
                            missing.push(name.to_owned());
                        }
                        value.unwrap_or_default()
                    }),
                )
            })
            .collect();
        self.external_labels = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        for name in missing {
            cx.warn(
                place,
                format!("external_labels: environment variable {name} is not set, it stands for nothing"),
            );
        }
    }
}

/// Go's `os.Expand`, with `$$` for a dollar sign.
fn expand(text: &str, get: &mut dyn FnMut(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            out.push_str(&get(name));
            rest = tail;
        } else {
            let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            if len == 0 {
                out.push('$');
            } else {
                out.push_str(&get(&rest[..len]));
                rest = &rest[len..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn expands_variables() {
        let mut get = |n: &str| format!("<{n}>");
        for (text, want) in
            [("a$B-c", "a<B>-c"), ("${X}y", "<X>y"), ("$$x", "$x"), ("50$", "50$"), ("$", "$")]
        {
            assert_eq!(super::expand(text, &mut get), want);
        }
    }
}
