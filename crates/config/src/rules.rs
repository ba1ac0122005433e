//! Rule files: groups of recording and alerting rules.
//!
//! Keys, names and durations are checked here; expressions and templates by the `rules` crate, which knows their languages.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use model::LabelSet;

use crate::diagnostic::{Diagnostics, Loaded};
use crate::load::read_text;
use crate::yaml::{Context, Decode as _, Encode as _, Node, Out, Place, SectionMap, parse, section};

section! {
    /// A rule file.
    RuleFile as "rulefmt.RuleGroups" {
        /// Its groups.
        groups: Vec<RuleGroup> = Vec::new(), "groups" always;
    }
}

section! {
    /// Rules that are evaluated one after another, at the same time.
    RuleGroup as "rulefmt.RuleGroup" {
        /// The group's name; unique in its file.
        name: String = String::new(), "name" always;
        /// Time between evaluations; `None`: the global one.
        interval: Option<Duration> = None, "interval" omit;
        /// How far back rules look; `None`: the global one.
        query_offset: Option<Duration> = None, "query_offset" omit;
        /// Most series or alerts of one rule; 0: no limit.
        limit: u64 = 0, "limit" omit;
        /// Labels of all rules; a rule's own win.
        labels: BTreeMap<String, String> = BTreeMap::new(), "labels" omit;
        /// The rules.
        rules: Vec<Rule> = Vec::new(), "rules" always;
        /// Where the group stands.
        position: Position = Position::default(), "" inline;
    }
}

section! {
    /// A recording or an alerting rule.
    Rule as "rulefmt.Rule" {
        /// The series to write; empty for an alerting rule.
        record: String = String::new(), "record" omit;
        /// The alert's name; empty for a recording rule.
        alert: String = String::new(), "alert" omit;
        /// The expression.
        expr: String = String::new(), "expr" always;
        /// How long the expression must hold.
        for_duration: Duration = Duration::ZERO, "for" omit;
        /// How long an alert stays once the expression does not hold.
        keep_firing_for: Duration = Duration::ZERO, "keep_firing_for" omit;
        /// Labels to set; templates in alerting rules.
        labels: BTreeMap<String, String> = BTreeMap::new(), "labels" omit;
        /// Annotations of the alert; templates.
        annotations: BTreeMap<String, String> = BTreeMap::new(), "annotations" omit;
        /// Where the rule stands.
        position: Position = Position::default(), "" inline;
    }
}

/// Where a group or rule stands, and where its expression. Not part of equality or output.
#[derive(Debug, Clone, Copy, Default, Eq)]
pub struct Position {
    /// Line and column of the first key.
    pub start: Place,
    /// Line and column of the expression's text (the group's name for a group).
    pub text: Place,
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl crate::yaml::Section for Position {
    const NAME: &'static str = "";
    fn read(&mut self, map: &mut SectionMap<'_>, _: &mut Context<'_>) {
        self.start = map.place;
        self.text = ["expr", "name"].iter().find_map(|k| map.peek(k)).map_or(map.place, |n| n.place);
    }
    fn write(&self, _: &mut Vec<(String, Out)>) {}
    fn keys(_: &mut Vec<&'static str>) {}
}

impl crate::yaml::Encode for Position {
    fn encode(&self) -> Out {
        Out::Null
    }
    fn is_empty(&self) -> bool {
        true
    }
}

/// Reads a rule file.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load_file(path: &Path) -> Result<RuleFile, Diagnostics> {
    load_str(&read_text(path)?, path)
}

/// As [`load_file`], from a text; `origin` is the file it stands for.
///
/// # Errors
/// As [`load_file`].
pub fn load_str(text: &str, origin: &Path) -> Result<RuleFile, Diagnostics> {
    load_with_warnings(text, origin).map(|loaded| loaded.value)
}

/// As [`load_str`], with the text, which findings about expressions need.
///
/// # Errors
/// As [`load_file`].
pub fn load_with_warnings(text: &str, origin: &Path) -> Result<Loaded<RuleFile>, Diagnostics> {
    let root = parse(text, origin)?;
    let mut cx = Context::new(origin, text);
    let file = RuleFile::decode(&root, &mut cx);
    let (value, warnings) = cx.finish(file)?;
    Ok(Loaded { value, warnings, text: text.to_owned() })
}

impl RuleFile {
    /// The file as YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        self.encode().to_text()
    }

    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        map.no_nulls("groups", "empty or null rule group", cx);
        let mut seen: Vec<&str> = Vec::new();
        for group in &self.groups {
            let place = group.position.text;
            if group.name.is_empty() {
                cx.error(group.position.start, "Groupname must not be empty");
            } else if seen.contains(&group.name.as_str()) {
                cx.error(place, format!("groupname: {:?} is repeated in the same file", group.name));
            }
            seen.push(&group.name);
            for (i, rule) in group.rules.iter().enumerate() {
                for (place, problem) in rule.problems() {
                    let name = if rule.record.is_empty() { &rule.alert } else { &rule.record };
                    cx.error(place, format!("group {:?}, rule {}, {name:?}: {problem}", group.name, i + 1));
                }
            }
        }
    }
}

impl RuleGroup {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        map.no_nulls("rules", "empty or null rule", cx);
        for (name, _) in map.peek("labels").and_then(Node::as_map).unwrap_or(&[]) {
            let text = name.as_str().unwrap_or("");
            if !is_label_name(text) || text == model::METRIC_NAME {
                cx.error(name.place, format!("group {:?}: invalid label name: {text}", self.name));
            }
        }
    }

    /// The labels of a rule with the group's beneath.
    #[must_use]
    pub fn labels_of(&self, rule: &Rule) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.extend(rule.labels.clone());
        labels
    }
}

impl Rule {
    /// Whether this is an alerting rule.
    #[must_use]
    pub fn is_alert(&self) -> bool {
        !self.alert.is_empty()
    }

    /// The labels as a set.
    #[must_use]
    pub fn label_set(&self) -> LabelSet {
        self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect()
    }

    // Checked by the file, which knows group and number.
    fn check(&mut self, _: &SectionMap<'_>, _: &mut Context<'_>) {}

    /// What is wrong, in upstream's words.
    fn problems(&self) -> Vec<(Place, String)> {
        let start = self.position.start;
        let mut out = Vec::new();
        match (self.record.is_empty(), self.alert.is_empty()) {
            (false, false) => out.push((start, "only one of 'record' and 'alert' must be set".to_owned())),
            (true, true) => out.push((start, "one of 'record' or 'alert' must be set".to_owned())),
            _ => {}
        }
        if self.expr.is_empty() {
            out.push((start, "field 'expr' must be set in rule".to_owned()));
        }
        if !self.record.is_empty() {
            if !self.annotations.is_empty() {
                out.push((start, "invalid field 'annotations' in recording rule".to_owned()));
            }
            if !self.for_duration.is_zero() {
                out.push((start, "invalid field 'for' in recording rule".to_owned()));
            }
            if !self.keep_firing_for.is_zero() {
                out.push((start, "invalid field 'keep_firing_for' in recording rule".to_owned()));
            }
            if self.record.contains(['{', '}']) {
                out.push((
                    start,
                    format!(
                        "braces present in the recording rule name; should it be in expr?: {}",
                        self.record
                    ),
                ));
            }
        }
        for name in self.labels.keys() {
            if !is_label_name(name) || name == model::METRIC_NAME {
                out.push((start, format!("invalid label name: {name}")));
            }
        }
        for name in self.annotations.keys() {
            if !is_label_name(name) {
                out.push((start, format!("invalid annotation name: {name}")));
            }
        }
        out
    }
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty()
}
