//! Inhibition: a firing alert that keeps others quiet.

use std::collections::HashMap;

use model::{LabelSet, TimestampMs};

use crate::alert::{Alert, Fingerprint};
use crate::config::InhibitRule;
use crate::matchers::all_match;

/// The firing sources of every rule at one moment, by the labels that must be equal.
#[derive(Debug)]
pub(crate) struct Inhibitor<'r> {
    rules: Vec<(&'r InhibitRule, Sources)>,
}

/// By the values of the labels that must be equal.
type Sources = HashMap<Vec<String>, Vec<Source>>;

#[derive(Debug)]
struct Source {
    fingerprint: Fingerprint,
    /// It matches the rule's target side too.
    two_sided: bool,
}

fn equal_values(rule: &InhibitRule, labels: &LabelSet) -> Vec<String> {
    rule.equal.iter().map(|name| labels.value(name).to_owned()).collect()
}

impl<'r> Inhibitor<'r> {
    pub(crate) fn new<'a>(
        rules: &'r [InhibitRule],
        alerts: &(impl Iterator<Item = &'a Alert> + Clone),
        now_ms: TimestampMs,
    ) -> Self {
        let index = |rule: &'r InhibitRule| {
            let mut sources: Sources = HashMap::new();
            for alert in
                alerts.clone().filter(|a| !a.resolved_at(now_ms) && all_match(&rule.source, &a.labels))
            {
                let two_sided = all_match(&rule.target, &alert.labels);
                let source = Source { fingerprint: alert.fingerprint(), two_sided };
                sources.entry(equal_values(rule, &alert.labels)).or_default().push(source);
            }
            (rule, sources)
        };
        Self { rules: rules.iter().map(index).collect() }
    }

    /// Who inhibits an alert; an alert that matches both sides of a rule is not inhibited by another such one.
    pub(crate) fn inhibited_by(&self, labels: &LabelSet) -> Vec<Fingerprint> {
        for (rule, sources) in &self.rules {
            if !all_match(&rule.target, labels) {
                continue;
            }
            let two_sided = all_match(&rule.source, labels);
            let found = sources.get(&equal_values(rule, labels)).into_iter().flatten();
            let mut by: Vec<_> =
                found.filter(|s| !(two_sided && s.two_sided)).map(|s| s.fingerprint).collect();
            if !by.is_empty() {
                by.sort_unstable();
                by.truncate(1);
                return by;
            }
        }
        Vec::new()
    }
}
