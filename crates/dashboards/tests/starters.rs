//! The starters as they are embedded: rules that the rule engine takes, dashboards whose expressions parse.
#![expect(clippy::unwrap_used, reason = "set-up that fails should fail the test")]

use std::path::Path;

use dashboards::starters;
use promql::parser::{ParserOptions, parse};
use serde_json::Value;

#[test]
fn every_rule_is_right_and_says_what_to_do() {
    let mut names = Vec::new();
    for starter in &starters::ALL {
        let path = starter.rule_file();
        let file = config::rules::load_str(starter.rules, Path::new(&path)).unwrap();
        let wrong = rules::check_file(Path::new(&path), starter.rules, &file, &ParserOptions::default());
        assert!(wrong.is_empty(), "{wrong:?}");
        assert_eq!(file.groups.len(), 1, "{path}");
        assert_eq!(file.groups[0].name, format!("starter-{}", starter.subject));
        for rule in &file.groups[0].rules {
            let text = |name: &str| rule.annotations.get(name).map_or("", String::as_str);
            for annotation in ["summary", "description", "action"] {
                assert!(text(annotation).len() > 10, "{path}: {} has no {annotation}", rule.alert);
            }
            let severity = rule.labels.get("severity").map_or("", String::as_str);
            assert!(
                matches!(severity, "critical" | "warning" | "info"),
                "{path}: {}: {severity:?}",
                rule.alert
            );
            names.push(rule.alert.clone());
        }
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "an alert's name is used twice");
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("starters/rules/tests");
    for starter in &starters::ALL {
        let tests = std::fs::read_to_string(tests.join(starter.rule_file())).unwrap();
        let file = config::rules::load_str(starter.rules, Path::new("rules.yml")).unwrap();
        for rule in &file.groups[0].rules {
            assert!(tests.contains(&format!("alertname=\"{}\"", rule.alert)), "{} is not tested", rule.alert);
        }
    }
}

#[test]
fn every_expression_of_a_dashboard_parses() {
    for starter in &starters::ALL {
        let dashboard: Value = serde_json::from_str(starter.dashboard).unwrap();
        let mut expressions = Vec::new();
        collect(&dashboard["panels"], &mut expressions);
        assert!(expressions.len() > 30, "{}: {}", starter.subject, expressions.len());
        for expression in expressions {
            let text = expression
                .replace("$__rate_interval", "1m")
                .replace("$job", "job")
                .replace("$instance", "instance")
                .replace("$datname", ".*");
            // `$1` is label_replace's own.
            assert!(
                !text.replace("\"$1\"", "").contains('$'),
                "{}: unknown variable in {expression}",
                starter.subject
            );
            if let Err(errors) = parse(&text, &ParserOptions::default()) {
                panic!("{}: {expression}: {errors}", starter.subject);
            }
        }
    }
}

fn collect(panels: &Value, out: &mut Vec<String>) {
    for panel in panels.as_array().into_iter().flatten() {
        let targets = panel["targets"].as_array().into_iter().flatten();
        out.extend(targets.map(|target| target["expr"].as_str().unwrap().to_owned()));
        collect(&panel["panels"], out);
    }
}
