//! From a series of an exposition to the series that is stored: label clashes, metric relabelling, validation, limits.

use config::{RelabelConfig, ScrapeConfig, ValidationScheme};
use exposition::Series;
use model::{LabelSet, METRIC_NAME};

use crate::relabel::{self, Verdict};

/// What a scrape config says about samples.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSettings {
    /// Whether labels of the exposition win over the target's.
    pub honor_labels: bool,
    /// Whether timestamps of the exposition are taken.
    pub honor_timestamps: bool,
    /// Whether series with their own timestamps get staleness markers.
    pub track_timestamps_staleness: bool,
    /// Most samples after relabelling; 0: no limit.
    pub sample_limit: u64,
    /// Most labels of a sample; 0: no limit.
    pub label_limit: u64,
    /// Longest label name in bytes; 0: no limit.
    pub label_name_length_limit: u64,
    /// Longest label value in bytes; 0: no limit.
    pub label_value_length_limit: u64,
    /// Rules for samples.
    pub metric_relabel_configs: Vec<RelabelConfig>,
    /// Which names are allowed.
    pub scheme: ValidationScheme,
    /// Whether `scrape_timeout_seconds` and its kin are stored.
    pub extra_metrics: bool,
}

impl SampleSettings {
    /// The settings of a scrape config.
    #[must_use]
    pub fn new(config: &ScrapeConfig) -> Self {
        Self {
            honor_labels: config.honor_labels,
            honor_timestamps: config.honor_timestamps,
            track_timestamps_staleness: config.track_timestamps_staleness,
            sample_limit: config.sample_limit,
            label_limit: config.label_limit,
            label_name_length_limit: config.label_name_length_limit,
            label_value_length_limit: config.label_value_length_limit,
            metric_relabel_configs: config.metric_relabel_configs.clone(),
            scheme: config.metric_name_validation_scheme.unwrap_or(ValidationScheme::Utf8),
            extra_metrics: config.extra_scrape_metrics.unwrap_or(false),
        }
    }

    /// The series to store; `None` where a rule drops it.
    ///
    /// # Errors
    /// When the series makes the whole scrape fail.
    pub(crate) fn labels(
        &self,
        series: &Series<'_>,
        target: &LabelSet,
    ) -> Result<Option<LabelSet>, SampleError> {
        if let Some(labels) = self.plain_labels(series, target) {
            return Ok(Some(labels));
        }
        if let Some(name) = series.repeated_label() {
            return Err(SampleError::Invalid(format!(
                "label name {} is not unique: invalid sample",
                model::float::go_quote(&name)
            )));
        }
        let exposed = series.label_set();
        let mut builder = exposed.to_builder();
        if self.honor_labels {
            // An exposed label without a value keeps the target's label out.
            for (name, value) in target {
                if !series.labels().any(|(n, _)| n == name) {
                    builder.set(name, value);
                }
            }
        } else {
            let mut clashes = Vec::new();
            for (name, value) in target {
                if let Some(exposed) = exposed.get(name) {
                    clashes.push((name, exposed));
                }
                builder.set(name, value);
            }
            clashes.sort_by_key(|(name, _)| name.len());
            for (name, value) in clashes {
                let mut renamed = format!("exported_{name}");
                while !builder.value(&renamed).is_empty() {
                    renamed.insert_str(0, "exported_");
                }
                builder.set(&renamed, value);
            }
        }
        if relabel::apply(&mut builder, &self.metric_relabel_configs, self.scheme) == Verdict::Drop {
            return Ok(None);
        }
        let labels = builder.build();
        if labels.is_empty() {
            return Ok(None);
        }
        self.check(&labels)?;
        Ok(Some(labels))
    }

    /// The series to store where nothing has to be decided: no rule, no limit, no clash, no label twice. Most new series are so.
    fn plain_labels(&self, series: &Series<'_>, target: &LabelSet) -> Option<LabelSet> {
        let limits = self.label_limit | self.label_name_length_limit | self.label_value_length_limit;
        if !self.metric_relabel_configs.is_empty() || limits > 0 || self.scheme != ValidationScheme::Utf8 {
            return None;
        }
        let metric = series.name();
        let exposed: Vec<_> = series.labels().collect();
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(1 + exposed.len() + target.len());
        pairs.push((METRIC_NAME, &metric));
        pairs.extend(exposed.iter().map(|(n, v)| (&**n, &**v)));
        pairs.extend(target);
        if metric.is_empty() || pairs.iter().any(|(n, _)| n.is_empty()) {
            return None;
        }
        LabelSet::from_unique(&mut pairs)
    }

    fn check(&self, labels: &LabelSet) -> Result<(), SampleError> {
        let Some(metric) = labels.get(METRIC_NAME) else {
            return Err(SampleError::Invalid("missing metric name (__name__ label)".to_owned()));
        };
        let names_valid = labels.iter().all(|(n, _)| n == METRIC_NAME || self.scheme.is_valid_label_name(n));
        if !self.scheme.is_valid_metric_name(metric) || !names_valid {
            return Err(SampleError::Invalid(format!("invalid metric name or label names: {labels}")));
        }
        let over = |n: usize, limit: u64| limit > 0 && n as u64 > limit;
        let count = labels.len();
        if over(count, self.label_limit) {
            return Err(SampleError::LabelLimit(format!(
                "label_limit exceeded (metric: {}, number of labels: {count}, limit: {})",
                head(metric),
                self.label_limit
            )));
        }
        for (name, value) in labels {
            if over(name.len(), self.label_name_length_limit) {
                return Err(SampleError::LabelLimit(format!(
                    "label_name_length_limit exceeded (metric: {}, label name: {}, length: {}, limit: {})",
                    head(metric),
                    head(name),
                    name.len(),
                    self.label_name_length_limit
                )));
            }
            if over(value.len(), self.label_value_length_limit) {
                return Err(SampleError::LabelLimit(format!(
                    "label_value_length_limit exceeded (metric: {}, label name: {}, value: {}, length: {}, limit: {})",
                    head(metric),
                    head(name),
                    model::float::go_quote(&head(value)),
                    value.len(),
                    self.label_value_length_limit
                )));
            }
        }
        Ok(())
    }
}

/// Why a series makes its scrape fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SampleError {
    /// The series itself is wrong.
    Invalid(String),
    /// A limit on labels is exceeded.
    LabelLimit(String),
}

/// The first 50 characters, as upstream shows names in errors.
fn head(text: &str) -> String {
    text.chars().take(50).collect()
}
