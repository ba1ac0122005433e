//! What groups and rules tell about themselves: all that `/api/v1/rules`, `/api/v1/alerts` and the metrics need.

use std::path::PathBuf;
use std::time::Duration;

use model::{LabelSet, TimestampMs};

use crate::alert::AlertState;

/// How the last evaluation of a rule went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// There was none.
    Unknown,
    /// Well.
    Ok,
    /// Not well.
    Err,
}

impl Health {
    /// The text in the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

/// A group.
#[derive(Debug, Clone)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Time between evaluations.
    pub interval: Duration,
    /// Most series or alerts of a rule; 0: no limit.
    pub limit: u64,
    /// How long the last evaluation took.
    pub evaluation_time: Duration,
    /// When it began; `None` before the first.
    pub last_evaluation_ms: Option<TimestampMs>,
    /// Its rules, in their order.
    pub rules: Vec<RuleStatus>,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct RuleStatus {
    /// Name of the alert or of the series.
    pub name: String,
    /// The expression.
    pub query: String,
    /// Labels, those of the group beneath.
    pub labels: LabelSet,
    /// How the last evaluation went.
    pub health: Health,
    /// Why it did not go well.
    pub last_error: Option<String>,
    /// How long it took.
    pub evaluation_time: Duration,
    /// When it began; `None` before the first.
    pub last_evaluation_ms: Option<TimestampMs>,
    /// What depends on the kind of rule.
    pub detail: RuleDetail,
}

/// What depends on the kind of rule.
#[derive(Debug, Clone)]
pub enum RuleDetail {
    /// A recording rule.
    Recording,
    /// An alerting rule.
    Alerting {
        /// The greatest state of its alerts.
        state: AlertState,
        /// `for`.
        duration: Duration,
        /// `keep_firing_for`.
        keep_firing_for: Duration,
        /// Templates of the annotations.
        annotations: LabelSet,
        /// Pending and firing alerts, sorted by labels.
        alerts: Vec<AlertStatus>,
    },
}

/// An alert that is pending or firing.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertStatus {
    /// Its identity.
    pub labels: LabelSet,
    /// What is said about it.
    pub annotations: LabelSet,
    /// Pending or firing.
    pub state: AlertState,
    /// Since when the expression holds.
    pub active_at_ms: TimestampMs,
    /// Since when it does not and the alert is kept firing.
    pub keep_firing_since_ms: Option<TimestampMs>,
    /// The expression's value.
    pub value: f64,
}

/// Counters and gauges of one group, for `prometheus_rule_group_*`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupStats {
    /// `file;name`.
    pub key: String,
    /// Evaluations that were due.
    pub iterations: u64,
    /// Of these, those left out because the one before took too long.
    pub iterations_missed: u64,
    /// Evaluations of rules.
    pub evaluations: u64,
    /// Of these, those that failed.
    pub failures: u64,
    /// Samples of the last evaluation.
    pub samples: u64,
    /// Rules.
    pub rules: u64,
    /// Time between evaluations.
    pub interval: Duration,
    /// How long the last evaluation took.
    pub last_duration: Duration,
    /// The sum over its rules.
    pub last_rule_duration_sum: Duration,
    /// When it began.
    pub last_evaluation_ms: Option<TimestampMs>,
    /// How long restoring took.
    pub last_restore: Duration,
}

/// All groups, sorted by file and name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// One entry per group.
    pub groups: Vec<GroupStats>,
}
