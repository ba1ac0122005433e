//! What the API tells of alerts and silences.

use std::collections::{BTreeMap, BTreeSet};

use model::{LabelSet, Matcher, TimestampMs};
use serde_json::{Value, json};

use super::{flag, values};
use crate::alert::Alert;
use crate::dispatch::Core;
use crate::inhibit::Inhibitor;
use crate::matchers;
use crate::silence::Silence;

/// RFC 3339 in milliseconds.
pub(super) fn time_text(ms: TimestampMs) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(t) => format!("{t:.3}"),
        Err(_) => "0001-01-01T00:00:00.000Z".to_owned(),
    }
}

/// Which alerts are asked for.
#[derive(Debug)]
pub(super) struct AlertFilter {
    active: bool,
    silenced: bool,
    inhibited: bool,
    unprocessed: bool,
    muted: bool,
    matchers: Vec<Matcher>,
    receiver: Option<regex::Regex>,
    receiver_matchers: Vec<Matcher>,
}

/// One alert as the API shows it.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) alert: Alert,
    pub(super) receivers: Vec<String>,
    state: &'static str,
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
}

impl AlertFilter {
    pub(super) fn parse(query: &[(String, String)]) -> Result<Self, String> {
        let receiver = match values(query, "receiver").last() {
            None | Some(&"") => None,
            Some(text) => {
                Some(model::anchored(text).map_err(|e| format!("failed to parse receiver param: {e}"))?)
            }
        };
        Ok(Self {
            active: flag(query, "active", true),
            silenced: flag(query, "silenced", true),
            inhibited: flag(query, "inhibited", true),
            unprocessed: flag(query, "unprocessed", true),
            muted: flag(query, "muted", true),
            matchers: parse_matchers(&values(query, "filter"))?,
            receiver,
            receiver_matchers: parse_matchers(&values(query, "receiver_matchers"))?,
        })
    }

    pub(super) fn takes_receiver(&self, core: &Core, name: &str) -> bool {
        if self.receiver.as_ref().is_some_and(|r| !r.is_match(name)) {
            return false;
        }
        self.receiver_matchers.is_empty()
            || core.receiver(name).is_some_and(|r| {
                self.receiver_matchers
                    .iter()
                    .all(|m| m.matches(r.labels.get(&m.name).map_or("", String::as_str)))
            })
    }

    pub(super) fn takes(&self, shown: &Shown) -> bool {
        matchers::all_match(&self.matchers, &shown.alert.labels)
            && (self.active || shown.state != "active")
            && (self.silenced || shown.silenced_by.is_empty())
            && (self.inhibited || shown.inhibited_by.is_empty())
            && (self.muted || shown.muted_by.is_empty())
            && (self.unprocessed || shown.state != "unprocessed")
    }
}

pub(super) fn parse_matchers(filters: &[&str]) -> Result<Vec<Matcher>, String> {
    filters.iter().map(|f| matchers::parse_one(f)).collect()
}

/// The alerts that have not ended, by fingerprint, with all that is known about them.
pub(super) fn shown_alerts(core: &Core, now_ms: TimestampMs) -> Vec<Shown> {
    let inhibitor = Inhibitor::new(&core.config.inhibit_rules, &core.alerts.values(), now_ms);
    let mut muted: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for group in core.groups.values().filter(|g| !g.muted_by.is_empty()) {
        for fingerprint in group.alerts.keys() {
            muted.entry(*fingerprint).or_default().extend(group.muted_by.iter().cloned());
        }
    }
    core.alerts
        .iter()
        .filter(|(_, a)| !a.resolved_at(now_ms))
        .map(|(f, alert)| {
            let muted_by: Vec<String> = muted.remove(f).into_iter().flatten().collect();
            shown(core, &inhibitor, alert, muted_by, now_ms)
        })
        .collect()
}

pub(super) fn shown(
    core: &Core,
    inhibitor: &Inhibitor<'_>,
    alert: &Alert,
    muted_by: Vec<String>,
    now_ms: TimestampMs,
) -> Shown {
    let (silenced_by, inhibited_by) = core.suppression(inhibitor, &alert.labels, now_ms);
    let quiet = !silenced_by.is_empty() || !inhibited_by.is_empty() || !muted_by.is_empty();
    Shown {
        alert: alert.clone(),
        receivers: core.receivers_of(&alert.labels),
        state: if quiet { "suppressed" } else { "active" },
        silenced_by,
        inhibited_by: inhibited_by.into_iter().map(|f| format!("{f:016x}")).collect(),
        muted_by,
    }
}

fn labels(set: &LabelSet) -> Value {
    set.iter().map(|(n, v)| (n.to_owned(), Value::from(v))).collect::<serde_json::Map<_, _>>().into()
}

impl Shown {
    pub(super) fn to_v2(&self) -> Value {
        let mut out = json!({
            "annotations": labels(&self.alert.annotations),
            "endsAt": time_text(self.alert.ends_at_ms),
            "fingerprint": format!("{:016x}", self.alert.fingerprint()),
            "receivers": self.receivers.iter().map(|r| json!({"name": r})).collect::<Vec<_>>(),
            "startsAt": time_text(self.alert.starts_at_ms),
            "status": {
                "inhibitedBy": self.inhibited_by,
                "mutedBy": self.muted_by,
                "silencedBy": self.silenced_by,
                "state": self.state,
            },
            "updatedAt": time_text(self.alert.updated_at_ms),
            "labels": labels(&self.alert.labels),
        });
        if !self.alert.generator_url.is_empty() {
            out["generatorURL"] = self.alert.generator_url.as_str().into();
        }
        out
    }

    pub(super) fn to_v1(&self) -> Value {
        json!({
            "labels": labels(&self.alert.labels),
            "annotations": labels(&self.alert.annotations),
            "startsAt": time_text(self.alert.starts_at_ms),
            "endsAt": time_text(self.alert.ends_at_ms),
            "generatorURL": self.alert.generator_url,
            "status": {"state": self.state, "silencedBy": self.silenced_by, "inhibitedBy": self.inhibited_by},
            "receivers": self.receivers,
            "fingerprint": format!("{:016x}", self.alert.fingerprint()),
        })
    }
}

pub(super) fn silence_json(silence: &Silence, now_ms: TimestampMs) -> Value {
    use model::MatchOp;
    let matcher = |m: &Matcher| {
        json!({
            "isEqual": matches!(m.op, MatchOp::Equal | MatchOp::Regex),
            "isRegex": matches!(m.op, MatchOp::Regex | MatchOp::NotRegex),
            "name": m.name,
            "value": m.value,
        })
    };
    let mut out = json!({
        "id": silence.id,
        "status": {"state": silence.state(now_ms).as_str()},
        "updatedAt": time_text(silence.updated_at_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": time_text(silence.ends_at_ms),
        "matchers": silence.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "startsAt": time_text(silence.starts_at_ms),
    });
    if !silence.annotations.is_empty() {
        out["annotations"] = json!(silence.annotations);
    }
    out
}

/// Whether a silence has every matcher of a filter.
pub(super) fn silence_matches(silence: &Silence, filter: &[Matcher]) -> bool {
    filter.iter().all(|f| silence.matchers.iter().any(|m| m.name == f.name && f.matches(&m.value)))
}
