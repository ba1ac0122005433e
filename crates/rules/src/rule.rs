//! One rule: what it is, how it is evaluated at a time, what it reports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use model::{Histogram, LabelSet, LabelSetBuilder, METRIC_NAME, TimestampMs};
use parking_lot::Mutex;
use storage::SeriesSample;
use template::prometheus::{AlertData, QuerySample};

use crate::alert::{ActiveAlert, Alert, AlertState, RESOLVED_RETENTION_MS, table_link};
use crate::query::{Asker, Querier, QueryFailure, Sample};
use crate::status::{AlertStatus, Health, RuleDetail, RuleStatus};

const ALERTS: &str = "ALERTS";
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
const ALERT_NAME: &str = "alertname";
const ALERT_STATE: &str = "alertstate";

/// What a rule says; two rules with equal specs are the same rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RuleSpec {
    pub(crate) name: String,
    pub(crate) alerting: bool,
    /// The expression as the printer writes it.
    pub(crate) expr: String,
    /// Labels, those of the group beneath.
    pub(crate) labels: LabelSet,
    /// As `labels`, with empty values kept: they remove a label.
    pub(crate) label_pairs: Vec<(String, String)>,
    pub(crate) annotations: Vec<(String, String)>,
    pub(crate) hold_ms: i64,
    pub(crate) keep_firing_ms: i64,
    pub(crate) external_labels: LabelSet,
    pub(crate) external_url: String,
}

/// What the last evaluation was like.
#[derive(Debug, Clone)]
struct Report {
    health: Health,
    last_error: Option<String>,
    duration: Duration,
    evaluated_at: Option<TimestampMs>,
}

/// A rule and its state.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) spec: RuleSpec,
    report: Mutex<Report>,
    active: Mutex<HashMap<LabelSet, ActiveAlert>>,
    /// Whether old state was looked for; only then is state written.
    restored: Mutex<bool>,
}

/// What an evaluation gives to be written.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) floats: Vec<SeriesSample>,
    pub(crate) histograms: Vec<(LabelSet, TimestampMs, Arc<Histogram>)>,
}

impl Recorded {
    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }
}

/// Why an evaluation gave nothing.
#[derive(Debug)]
pub(crate) struct EvalFailure {
    pub(crate) message: String,
    pub(crate) cancelled: bool,
}

impl From<QueryFailure> for EvalFailure {
    fn from(f: QueryFailure) -> Self {
        Self { message: f.message, cancelled: f.cancelled }
    }
}

impl From<String> for EvalFailure {
    fn from(message: String) -> Self {
        Self { message, cancelled: false }
    }
}

impl Rule {
    pub(crate) fn new(spec: RuleSpec, restored: bool) -> Self {
        Self {
            spec,
            report: Mutex::new(Report {
                health: Health::Unknown,
                last_error: None,
                duration: Duration::ZERO,
                evaluated_at: None,
            }),
            active: Mutex::default(),
            restored: Mutex::new(restored),
        }
    }

    /// Name and labels: what finds a rule again after a reload.
    pub(crate) fn identity(&self) -> (String, LabelSet) {
        (self.spec.name.clone(), self.spec.labels.clone())
    }

    pub(crate) fn set_report(&self, error: Option<String>, duration: Duration, evaluated_at: TimestampMs) {
        let health = if error.is_some() { Health::Err } else { Health::Ok };
        *self.report.lock() =
            Report { health, last_error: error, duration, evaluated_at: Some(evaluated_at) };
    }

    /// Takes over the alerts of an older version of this rule.
    pub(crate) fn copy_alerts(&self, from: &Self) {
        self.active.lock().extend(from.active.lock().iter().map(|(k, v)| (k.clone(), v.clone())));
    }

    /// Evaluates the rule; the samples are to be written at `ts - offset`.
    pub(crate) fn eval(
        &self,
        (querier, asker): (&dyn Querier, Asker<'_>),
        ts: TimestampMs,
        offset_ms: i64,
        limit: u64,
    ) -> Result<Recorded, EvalFailure> {
        if self.spec.alerting {
            let floats = self.eval_alerting((querier, asker), ts, offset_ms, limit)?;
            Ok(Recorded { floats, histograms: Vec::new() })
        } else {
            self.eval_recording((querier, asker), ts - offset_ms, limit)
        }
    }

    fn eval_recording(
        &self,
        (querier, asker): (&dyn Querier, Asker<'_>),
        at: TimestampMs,
        limit: u64,
    ) -> Result<Recorded, EvalFailure> {
        let result = querier.instant(asker, &self.spec.expr, at)?;
        let mut seen = HashSet::with_capacity(result.len());
        let mut out = Recorded::default();
        for sample in result {
            let mut labels = sample.labels.to_builder();
            labels.set(METRIC_NAME, &self.spec.name);
            for (name, value) in &self.spec.label_pairs {
                labels.set(name, value);
            }
            let labels = labels.build();
            if !seen.insert(labels.clone()) {
                return Err("vector contains metrics with the same labelset after applying rule labels"
                    .to_owned()
                    .into());
            }
            match sample.histogram {
                None => out.floats.push(SeriesSample { labels, ts: at, value: sample.value }),
                Some(histogram) => out.histograms.push((labels, at, histogram)),
            }
        }
        if limit > 0 && out.len() as u64 > limit {
            return Err(format!("exceeded limit of {limit} with {} series", out.len()).into());
        }
        Ok(out)
    }

    fn eval_alerting(
        &self,
        (querier, asker): (&dyn Querier, Asker<'_>),
        ts: TimestampMs,
        offset_ms: i64,
        limit: u64,
    ) -> Result<Vec<SeriesSample>, EvalFailure> {
        let result = querier.instant(asker, &self.spec.expr, ts - offset_ms)?;
        let mut found: HashMap<LabelSet, ActiveAlert> = HashMap::with_capacity(result.len());
        for sample in result {
            let expand = self.expander((querier, asker), &sample, ts);
            let mut labels = sample.labels.to_builder();
            labels.remove(METRIC_NAME);
            for (name, text) in &self.spec.label_pairs {
                labels.set(name, &expand(text));
            }
            labels.set(ALERT_NAME, &self.spec.name);
            let annotations =
                self.spec.annotations.iter().map(|(name, text)| (name.as_str(), expand(text))).collect();
            let alert = ActiveAlert::pending(ts, sample.value, annotations);
            if found.insert(labels.build(), alert).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels"
                    .to_owned()
                    .into());
            }
        }
        let restored = *self.restored.lock();
        let mut active = self.active.lock();
        let present: HashSet<LabelSet> = found.keys().cloned().collect();
        for (labels, new) in found {
            match active.get_mut(&labels) {
                Some(old) if old.state != AlertState::Inactive => {
                    old.value = new.value;
                    old.annotations = new.annotations;
                }
                _ => {
                    active.insert(labels, new);
                }
            }
        }
        active.retain(|labels, alert| present.contains(labels) || self.absent(alert, ts));
        let mut out = Vec::new();
        let mut count = 0_u64;
        for (labels, alert) in active.iter_mut() {
            if present.contains(labels) {
                alert.keep_firing_since = None;
            } else if alert.state == AlertState::Inactive {
                continue;
            }
            count += 1;
            self.advance(alert, ts);
            if restored {
                out.push(self.alerts_sample(labels, alert.state, ts - offset_ms));
                out.push(self.state_sample(labels, alert.active_at, ts - offset_ms));
            }
        }
        if limit > 0 && count > limit {
            active.clear();
            return Err(format!("exceeded limit of {limit} with {count} alerts").into());
        }
        out.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(out)
    }

    /// What becomes of an alert whose expression gives nothing any more; false when it is forgotten.
    fn absent(&self, alert: &mut ActiveAlert, ts: TimestampMs) -> bool {
        let mut keep_firing = false;
        if alert.state == AlertState::Firing && self.spec.keep_firing_ms > 0 {
            let since = *alert.keep_firing_since.get_or_insert(ts);
            keep_firing = ts - since < self.spec.keep_firing_ms;
        }
        if alert.state == AlertState::Pending
            || alert.resolved_at.is_some_and(|r| ts - r > RESOLVED_RETENTION_MS)
        {
            return false;
        }
        if alert.state != AlertState::Inactive && !keep_firing {
            alert.state = AlertState::Inactive;
            alert.resolved_at = Some(ts);
        }
        true
    }

    /// Pending to firing when it is time, and back when a reload made `for` longer.
    fn advance(&self, alert: &mut ActiveAlert, ts: TimestampMs) {
        let age = ts - alert.active_at;
        if alert.state == AlertState::Pending && age >= self.spec.hold_ms {
            alert.state = AlertState::Firing;
            alert.fired_at = Some(ts);
        }
        if alert.state == AlertState::Firing && age < self.spec.hold_ms {
            alert.state = AlertState::Pending;
            alert.fired_at = None;
            alert.last_sent_at = None;
            alert.keep_firing_since = None;
        }
    }

    fn expander<'a>(
        &'a self,
        (querier, asker): (&'a dyn Querier, Asker<'a>),
        sample: &Sample,
        ts: TimestampMs,
    ) -> impl Fn(&str) -> String + 'a {
        let data = AlertData {
            labels: sample.labels.clone(),
            external_labels: self.spec.external_labels.clone(),
            external_url: self.spec.external_url.clone(),
            value: sample.template_value(),
            name: format!("__alert_{}", self.spec.name),
            now_ms: ts,
        };
        move |text| {
            let query = |expr: &str| {
                let samples = querier.instant(asker, expr, ts).map_err(|f| f.message)?;
                let sample = |s: Sample| QuerySample { value: s.template_value(), labels: s.labels };
                Ok(samples.into_iter().map(sample).collect())
            };
            template::prometheus::expand(text, &data, &query).unwrap_or_else(|err| {
                tracing::warn!(alert = self.spec.name, %err, "Expanding alert template failed");
                format!("<error expanding template: {err}>")
            })
        }
    }

    /// The labels of a series about an alert, without metric name.
    fn series_labels(&self, alert: Option<&LabelSet>) -> LabelSetBuilder {
        let mut labels = self.spec.labels.to_builder();
        for (name, value) in alert.into_iter().flatten() {
            labels.set(name, value);
        }
        labels.set(ALERT_NAME, &self.spec.name);
        labels
    }

    fn alerts_sample(&self, alert: &LabelSet, state: AlertState, ts: TimestampMs) -> SeriesSample {
        let mut labels = self.series_labels(Some(alert));
        labels.set(METRIC_NAME, ALERTS).set(ALERT_STATE, state.as_str());
        SeriesSample { labels: labels.build(), ts, value: 1.0 }
    }

    fn state_sample(&self, alert: &LabelSet, active_at: TimestampMs, ts: TimestampMs) -> SeriesSample {
        let mut labels = self.series_labels(Some(alert));
        labels.set(METRIC_NAME, ALERTS_FOR_STATE);
        SeriesSample { labels: labels.build(), ts, value: active_at.div_euclid(1000) as f64 }
    }

    /// The alerts that are due, marked as sent.
    pub(crate) fn due(&self, ts: TimestampMs, resend_delay_ms: i64, interval_ms: i64) -> Vec<Alert> {
        let mut out = Vec::new();
        if !self.spec.alerting {
            return out;
        }
        let url = format!("{}{}", self.spec.external_url, table_link(&self.spec.expr));
        for (labels, alert) in self.active.lock().iter_mut() {
            if !alert.needs_sending(ts, resend_delay_ms) {
                continue;
            }
            alert.last_sent_at = Some(ts);
            // Two failed evaluations or deliveries may pass before the alert is taken for resolved.
            alert.valid_until = ts + 4 * resend_delay_ms.max(interval_ms);
            out.push(Alert {
                labels: labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.fired_at.unwrap_or(alert.active_at),
                ends_at: alert.resolved_at.unwrap_or(alert.valid_until),
                generator_url: url.clone(),
            });
        }
        out
    }

    /// Gives alerts that were pending before a restart their time back. `ts` is now.
    pub(crate) fn restore(&self, querier: &dyn Querier, ts: TimestampMs, tolerance_ms: i64, grace_ms: i64) {
        if !self.spec.alerting {
            return;
        }
        if self.spec.hold_ms >= grace_ms {
            match querier.newest(&self.state_matchers(), ts - tolerance_ms, ts) {
                Ok(series) => self.restore_from(&series, ts, grace_ms),
                Err(err) => {
                    tracing::error!(
                        alertname = self.spec.name,
                        stage = "Select",
                        err = err.message,
                        "Failed to restore 'for' state"
                    );
                }
            }
        }
        *self.restored.lock() = true;
    }

    /// Matchers for the state series of all alerts of this rule; labels made by templates differ per alert.
    fn state_matchers(&self) -> Vec<model::Matcher> {
        let mut labels = self.series_labels(None);
        labels.set(METRIC_NAME, ALERTS_FOR_STATE);
        let labels = labels.build();
        labels
            .iter()
            .filter(|(_, value)| !value.contains("{{"))
            .filter_map(|(name, value)| model::Matcher::new(name, model::MatchOp::Equal, value).ok())
            .collect()
    }

    fn restore_from(&self, series: &[(LabelSet, TimestampMs, f64)], ts: TimestampMs, grace_ms: i64) {
        let by_labels: BTreeMap<LabelSet, (TimestampMs, f64)> =
            series.iter().map(|(labels, t, v)| (labels.without_name(), (*t, *v))).collect();
        for (labels, alert) in self.active.lock().iter_mut() {
            let Some((t, v)) = by_labels.get(labels) else { continue };
            if model::is_stale(*v) {
                continue;
            }
            let down_at = t.div_euclid(1000) * 1000;
            let was_active_at = (*v as i64).saturating_mul(1000);
            let remaining = self.spec.hold_ms - (down_at - was_active_at);
            alert.active_at = if remaining <= 0 {
                // It was firing: the next evaluation finds it old enough.
                was_active_at
            } else if remaining < grace_ms {
                ts + grace_ms - self.spec.hold_ms
            } else {
                was_active_at + (ts - down_at)
            };
        }
    }

    /// The greatest state of the rule's alerts.
    pub(crate) fn state(&self) -> AlertState {
        if self.report.lock().evaluated_at.is_none() {
            return AlertState::Unknown;
        }
        self.active.lock().values().map(|a| a.state).max().unwrap_or(AlertState::Inactive)
    }

    pub(crate) fn status(&self) -> RuleStatus {
        let state = self.state();
        let report = self.report.lock().clone();
        let detail = if self.spec.alerting {
            let mut alerts: Vec<AlertStatus> = self
                .active
                .lock()
                .iter()
                .filter(|(_, a)| a.resolved_at.is_none())
                .map(|(labels, a)| AlertStatus {
                    labels: labels.clone(),
                    annotations: a.annotations.clone(),
                    state: a.state,
                    active_at_ms: a.active_at,
                    keep_firing_since_ms: a.keep_firing_since,
                    value: a.value,
                })
                .collect();
            alerts.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
            RuleDetail::Alerting {
                state,
                duration: Duration::from_millis(u64::try_from(self.spec.hold_ms).unwrap_or(0)),
                keep_firing_for: Duration::from_millis(u64::try_from(self.spec.keep_firing_ms).unwrap_or(0)),
                annotations: self.spec.annotations.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
                alerts,
            }
        } else {
            RuleDetail::Recording
        };
        RuleStatus {
            name: self.spec.name.clone(),
            query: self.spec.expr.clone(),
            labels: self.spec.labels.clone(),
            health: report.health,
            last_error: report.last_error,
            evaluation_time: report.duration,
            last_evaluation_ms: report.evaluated_at,
            detail,
        }
    }
}
