//! `rules`, `alerts`, `alertmanagers`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use model::{LabelSet, TimestampMs, float};
use rules::{AlertState, AlertStatus, GroupStatus, RuleDetail, RuleStatus};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Api;
use super::envelope::{ApiError, ApiResult, Reply};
use super::params::{Params, bad_data};
use super::status::rfc3339;
use crate::json::Labels;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: Labels<'a>,
    annotations: Labels<'a>,
    state: &'a str,
    active_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    value: String,
}

fn alert(a: &AlertStatus) -> Alert<'_> {
    Alert {
        labels: Labels(&a.labels),
        annotations: Labels(&a.annotations),
        state: a.state.as_str(),
        active_at: rfc3339(a.active_at_ms),
        keep_firing_since: a.keep_firing_since_ms.map(rfc3339),
        value: float::format_e(a.value),
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Rule<'a> {
    #[serde(rename_all = "camelCase")]
    Alerting {
        state: &'a str,
        name: &'a str,
        query: &'a str,
        duration: f64,
        keep_firing_for: f64,
        labels: Labels<'a>,
        annotations: Labels<'a>,
        alerts: Vec<Alert<'a>>,
        health: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<&'a str>,
        evaluation_time: f64,
        last_evaluation: String,
        #[serde(rename = "type")]
        kind: &'static str,
    },
    #[serde(rename_all = "camelCase")]
    Recording {
        name: &'a str,
        query: &'a str,
        labels: Labels<'a>,
        health: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<&'a str>,
        evaluation_time: f64,
        last_evaluation: String,
        #[serde(rename = "type")]
        kind: &'static str,
    },
}

pub(super) fn time_or_zero(ms: Option<TimestampMs>) -> String {
    ms.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339)
}

fn rule<'a>(r: &'a RuleStatus, with_alerts: bool) -> Rule<'a> {
    let last_error = r.last_error.as_deref().filter(|e| !e.is_empty());
    let evaluation_time = r.evaluation_time.as_secs_f64();
    let last_evaluation = time_or_zero(r.last_evaluation_ms);
    match &r.detail {
        RuleDetail::Alerting { state, duration, keep_firing_for, annotations, alerts } => Rule::Alerting {
            state: state.as_str(),
            name: &r.name,
            query: &r.query,
            duration: duration.as_secs_f64(),
            keep_firing_for: keep_firing_for.as_secs_f64(),
            labels: Labels(&r.labels),
            annotations: Labels(annotations),
            alerts: if with_alerts { alerts.iter().map(alert).collect() } else { Vec::new() },
            health: r.health.as_str(),
            last_error,
            evaluation_time,
            last_evaluation,
            kind: "alerting",
        },
        RuleDetail::Recording => Rule::Recording {
            name: &r.name,
            query: &r.query,
            labels: Labels(&r.labels),
            health: r.health.as_str(),
            last_error,
            evaluation_time,
            last_evaluation,
            kind: "recording",
        },
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    name: &'a str,
    file: String,
    rules: Vec<Rule<'a>>,
    interval: f64,
    limit: u64,
    evaluation_time: f64,
    last_evaluation: String,
}

/// What a caller of `/rules` wants to see.
struct Filter {
    kind: String,
    names: BTreeSet<String>,
    groups: BTreeSet<String>,
    files: BTreeSet<String>,
    matcher_sets: Vec<Vec<model::Matcher>>,
    with_alerts: bool,
}

impl Filter {
    fn new(params: &Params) -> Result<Self, ApiError> {
        let set = |name: &str| params.all(name).map(str::to_owned).collect::<BTreeSet<_>>();
        let kind = params.get("type").to_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return Err(ApiError::parameter("type", format!("not supported value {kind:?}")));
        }
        let with_alerts = match params.get("exclude_alerts").to_lowercase().as_str() {
            "" | "false" | "0" | "f" => true,
            "true" | "1" | "t" => false,
            other => {
                return Err(ApiError::parameter(
                    "exclude_alerts",
                    format!("error converting exclude_alerts: {other:?}"),
                ));
            }
        };
        Ok(Self {
            kind,
            names: set("rule_name[]"),
            groups: set("rule_group[]"),
            files: set("file[]"),
            matcher_sets: params.matcher_sets().map_err(bad_data)?,
            with_alerts,
        })
    }

    fn wants_group(&self, group: &GroupStatus) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name))
            && (self.files.is_empty() || self.files.contains(&group.file.display().to_string()))
    }

    fn wants_rule(&self, rule: &RuleStatus) -> bool {
        let kind = match rule.detail {
            RuleDetail::Alerting { .. } => "alert",
            RuleDetail::Recording => "record",
        };
        let matches = |labels: &LabelSet| {
            self.matcher_sets.is_empty()
                || self.matcher_sets.iter().any(|set| set.iter().all(|m| m.matches_labels(labels)))
        };
        (self.kind.is_empty() || self.kind == kind)
            && (self.names.is_empty() || self.names.contains(&rule.name))
            && matches(&rule.labels)
    }
}

/// A group's place in a paged listing: upstream's SHA-256 of `file;group`.
fn page_token(group: &GroupStatus) -> String {
    let digest = Sha256::digest(format!("{};{}", group.file.display(), group.name).as_bytes());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

pub(super) async fn rules(State(api): State<Arc<Api>>, params: Params) -> ApiResult {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data<'a> {
        groups: Vec<Group<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        group_next_token: Option<String>,
    }
    let filter = Filter::new(&params)?;
    let limit = match params.get("group_limit") {
        "" => None,
        text => Some(text.parse::<usize>().ok().filter(|&n| n > 0).ok_or_else(|| {
            ApiError::parameter("group_limit", "group_limit needs to be a valid number and larger than zero")
        })?),
    };
    let token = params.get("group_next_token");
    if !token.is_empty() && limit.is_none() {
        return Err(bad_data("group_limit needs to be present in order to paginate over the groups"));
    }
    let all = api.rules.groups();
    let start = if token.is_empty() {
        0
    } else {
        all.iter().position(|g| page_token(g) == token).ok_or_else(|| {
            bad_data(format!("invalid group_next_token {token:?}. were rule groups changed?"))
        })?
    };
    let mut groups = Vec::new();
    let mut next = None;
    for status in all[start..].iter().filter(|g| filter.wants_group(g)) {
        let rules: Vec<Rule<'_>> = status
            .rules
            .iter()
            .filter(|r| filter.wants_rule(r))
            .map(|r| rule(r, filter.with_alerts))
            .collect();
        if rules.is_empty() {
            continue;
        }
        if limit.is_some_and(|n| groups.len() == n) {
            next = Some(page_token(status));
            break;
        }
        groups.push(Group {
            name: &status.name,
            file: status.file.display().to_string(),
            rules,
            interval: status.interval.as_secs_f64(),
            limit: status.limit,
            evaluation_time: status.evaluation_time.as_secs_f64(),
            last_evaluation: time_or_zero(status.last_evaluation_ms),
        });
    }
    Ok(Reply::data(&Data { groups, group_next_token: next }))
}

pub(super) async fn alerts(State(api): State<Arc<Api>>) -> ApiResult {
    #[derive(Serialize)]
    struct Data<'a> {
        alerts: Vec<Alert<'a>>,
    }
    let all = api.rules.alerts();
    let live = all.iter().filter(|a| a.state >= AlertState::Pending);
    Ok(Reply::data(&Data { alerts: live.map(alert).collect() }))
}

pub(super) async fn alertmanagers(State(api): State<Arc<Api>>) -> ApiResult {
    #[derive(Serialize)]
    struct Entry {
        url: String,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        active_alertmanagers: Vec<Entry>,
        dropped_alertmanagers: Vec<Entry>,
    }
    let (active, dropped) = api.notifier.alertmanagers();
    let entries = |list: Vec<String>| list.into_iter().map(|url| Entry { url }).collect();
    Ok(Reply::data(&Data { active_alertmanagers: entries(active), dropped_alertmanagers: entries(dropped) }))
}
