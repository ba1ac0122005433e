//! From rule files to groups: checks of expressions and templates, with their places.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::rules::{RuleFile, RuleGroup};
use config::{Config, Diagnostic, Diagnostics};
use promql::parser::{ParserOptions, parse};

use crate::group::{Group, GroupSpec};
use crate::rule::{Rule, RuleSpec};

/// Checks expressions and templates of a rule file, in upstream's words. `text` is the file's text, for snippets; may be empty.
#[must_use]
pub fn check_file(path: &Path, text: &str, file: &RuleFile, options: &ParserOptions) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    for group in &file.groups {
        for (i, rule) in group.rules.iter().enumerate() {
            let name = if rule.is_alert() { &rule.alert } else { &rule.record };
            let start = rule.position.start;
            let mut note = |line: usize, column: usize, problem: String| {
                let message = format!("group {:?}, rule {}, {name:?}: {problem}", group.name, i + 1);
                out.push(Diagnostic::at(path, text, line, column, message));
            };
            if let Err(errors) = parse(&rule.expr, options) {
                let at = rule.position.text;
                let (mut line, mut column) = (at.line, at.column);
                // In a block scalar the expression starts on the next line; its own lines follow one by one.
                if let Some(first) = errors.errors.first() {
                    let block = text.lines().nth(at.line.saturating_sub(1)).is_some_and(|l| {
                        l.chars().nth(at.column.saturating_sub(1)).is_some_and(|c| c == '|' || c == '>')
                    });
                    if block {
                        line += first.line;
                    } else if first.line == 1 {
                        column += first.column.saturating_sub(1);
                    }
                }
                note(line, column, format!("could not parse expression: {errors}"));
            }
            if rule.is_alert() {
                for (kind, map) in [("label", &rule.labels), ("annotation", &rule.annotations)] {
                    for (key, value) in map {
                        if let Err(err) = template::prometheus::check(value) {
                            note(start.line, start.column, format!("{kind} {key:?}: template: {err}"));
                        }
                    }
                }
            }
        }
    }
    out
}

/// What groups are made with.
pub(crate) struct Making<'a> {
    pub(crate) config: &'a Config,
    pub(crate) external_url: &'a str,
    pub(crate) parser: &'a ParserOptions,
    /// Whether alerting rules wait for old state to be looked for.
    pub(crate) restore: bool,
}

/// Makes the groups of all files.
pub(crate) fn make_groups(
    files: &[(PathBuf, RuleFile)],
    making: &Making<'_>,
) -> Result<Vec<Group>, Diagnostics> {
    let mut problems = Vec::new();
    let mut groups = Vec::new();
    for (path, file) in files {
        let found = check_file(path, "", file, making.parser);
        if found.is_empty() {
            groups.extend(file.groups.iter().map(|g| make_group(path, g, making)));
        }
        problems.extend(found);
    }
    if problems.is_empty() { Ok(groups) } else { Err(Diagnostics(problems)) }
}

fn make_group(path: &Path, group: &RuleGroup, making: &Making<'_>) -> Group {
    let global = &making.config.global;
    let interval = group.interval.filter(|i| !i.is_zero()).unwrap_or(global.evaluation_interval);
    let spec = GroupSpec {
        name: group.name.clone(),
        file: path.to_owned(),
        interval_ms: ms(interval).max(1),
        offset_ms: ms(group.query_offset.unwrap_or(global.rule_query_offset)),
        limit: group.limit,
    };
    let rules = group.rules.iter().map(|rule| {
        let labels = group.labels_of(rule);
        let spec = RuleSpec {
            name: if rule.is_alert() { rule.alert.clone() } else { rule.record.clone() },
            alerting: rule.is_alert(),
            // Parsed above; as written where the printer has nothing to say.
            expr: parse(&rule.expr, making.parser).map_or_else(|_| rule.expr.clone(), |e| e.to_string()),
            labels: labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(),
            label_pairs: labels.into_iter().collect(),
            annotations: rule.annotations.iter().map(|(n, v)| (n.clone(), v.clone())).collect(),
            hold_ms: ms(rule.for_duration),
            keep_firing_ms: ms(rule.keep_firing_for),
            external_labels: global.external_labels.clone(),
            external_url: making.external_url.to_owned(),
        };
        Rule::new(spec, !making.restore)
    });
    Group::new(spec, rules.collect())
}

fn ms(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
