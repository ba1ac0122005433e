//! The routing tree with inherited settings, and which of its nodes an alert goes to.

use std::collections::{BTreeMap, BTreeSet};

use model::{LabelSet, Matcher};

use crate::config::RouteConfig;
use crate::matchers::{all_match, list_text};

/// Settings of a route after inheritance.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteOptions {
    /// Receiver's name.
    pub receiver: String,
    /// Labels to group by.
    pub group_by: BTreeSet<String>,
    /// Group by all labels.
    pub group_by_all: bool,
    /// In milliseconds.
    pub group_wait_ms: i64,
    /// In milliseconds.
    pub group_interval_ms: i64,
    /// In milliseconds.
    pub repeat_interval_ms: i64,
    /// Not inherited.
    pub mute_time_intervals: Vec<String>,
    /// Not inherited.
    pub active_time_intervals: Vec<String>,
    /// Labels for templates.
    pub labels: BTreeMap<String, String>,
}

impl Default for RouteOptions {
    fn default() -> Self {
        Self {
            receiver: String::new(),
            group_by: BTreeSet::new(),
            group_by_all: false,
            group_wait_ms: 30_000,
            group_interval_ms: 300_000,
            repeat_interval_ms: 4 * 3_600_000,
            mute_time_intervals: Vec::new(),
            active_time_intervals: Vec::new(),
            labels: BTreeMap::new(),
        }
    }
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its settings.
    pub options: RouteOptions,
    /// What an alert must match.
    pub matchers: Vec<Matcher>,
    /// Whether later siblings are tried too.
    pub continues: bool,
    /// Children.
    pub routes: Vec<Self>,
    /// Matchers along the path from the root: `{}/{a="b"}`.
    pub key: String,
    /// As the key, with the positions among siblings, so that it is unique.
    pub id: String,
}

impl Route {
    /// Builds the tree.
    #[must_use]
    pub fn new(config: &RouteConfig) -> Self {
        Self::build(config, &RouteOptions::default(), "", "")
    }

    fn build(config: &RouteConfig, parent: &RouteOptions, key: &str, id: &str) -> Self {
        let mut options = parent.clone();
        options.labels.extend(config.labels.clone());
        if !config.receiver.is_empty() {
            options.receiver.clone_from(&config.receiver);
        }
        if let Some(names) = &config.group_by {
            options.group_by = names.iter().cloned().collect();
            options.group_by_all = false;
        } else if config.group_by_all {
            options.group_by_all = true;
        }
        options.group_wait_ms = config.group_wait_ms.unwrap_or(options.group_wait_ms);
        options.group_interval_ms = config.group_interval_ms.unwrap_or(options.group_interval_ms);
        options.repeat_interval_ms = config.repeat_interval_ms.unwrap_or(options.repeat_interval_ms);
        options.mute_time_intervals.clone_from(&config.mute_time_intervals);
        options.active_time_intervals.clone_from(&config.active_time_intervals);
        let own = list_text(&config.matchers);
        let key = if key.is_empty() { own.clone() } else { format!("{key}/{own}") };
        let id = if id.is_empty() { own } else { format!("{id}/{own}") };
        let routes = config
            .routes
            .iter()
            .enumerate()
            .map(|(i, r)| Self::build(r, &options, &key, &format!("{id}/{i}")))
            .collect();
        Self { options, matchers: config.matchers.clone(), continues: config.continues, routes, key, id }
    }

    /// The nodes that take an alert: depth first, the first match among siblings unless it says `continue`; a node none
    /// of whose children match takes it itself.
    pub fn matching<'r>(&'r self, labels: &LabelSet, out: &mut Vec<&'r Self>) -> bool {
        if !all_match(&self.matchers, labels) {
            return false;
        }
        let before = out.len();
        for child in &self.routes {
            if child.matching(labels, out) && !child.continues {
                break;
            }
        }
        if out.len() == before {
            out.push(self);
        }
        true
    }

    /// The labels an alert is grouped by here.
    #[must_use]
    pub fn group_labels(&self, labels: &LabelSet) -> LabelSet {
        if self.options.group_by_all {
            return labels.clone();
        }
        LabelSet::from_pairs(labels.iter().filter(|(n, _)| self.options.group_by.contains(*n)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_str;

    #[test]
    fn follows_the_tree() {
        let text = r#"
route:
  receiver: root
  group_by: [a]
  routes:
  - matchers: ['t="1"']
    receiver: one
    continue: true
    group_by: ['...']
    routes:
    - matchers: [s=x]
      receiver: one-x
      group_wait: 1s
  - matchers: ['t=~"1|2"']
    receiver: two
receivers: [{name: root}, {name: one}, {name: one-x}, {name: two}]
"#;
        let config = load_str(text, std::path::Path::new("a.yml")).unwrap().value;
        let root = Route::new(&config.route);
        for (labels, expect) in [
            (vec![("t", "1")], vec!["one", "two"]),
            (vec![("t", "1"), ("s", "x")], vec!["one-x", "two"]),
            (vec![("t", "2")], vec!["two"]),
            (vec![("t", "3")], vec!["root"]),
        ] {
            let labels = LabelSet::from_pairs(labels);
            let mut found = Vec::new();
            root.matching(&labels, &mut found);
            assert_eq!(found.iter().map(|r| r.options.receiver.as_str()).collect::<Vec<_>>(), expect);
        }
        let child = &root.routes[0].routes[0];
        assert_eq!(child.key, r#"{}/{t="1"}/{s="x"}"#);
        assert!(child.options.group_by_all && child.options.group_wait_ms == 1000);
    }
}
