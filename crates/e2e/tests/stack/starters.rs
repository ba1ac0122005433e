//! The starters as a new user meets them: `vigie run` in an empty directory, and their alert rules in the original's hands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use e2e::program::{Program, test_directory};
use e2e::{http, prometheus, tools, wait_for};
use serde_json::Value;

use crate::dashboard_queries::{one, panel_queries, substitute};
use crate::support::{SOON, free_address};

fn rules_directory() -> PathBuf {
    tools::root().join("crates/dashboards/starters/rules")
}

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "yml")).collect();
    files.sort();
    files
}

#[test]
fn the_rules_pass_the_originals_checks_and_their_unit_tests() {
    let Some(promtool) = tools::promtool() else { return };
    for (command, directory) in [("check", rules_directory()), ("test", rules_directory().join("tests"))] {
        let files = yaml_files(&directory);
        assert_eq!(files.len(), 4, "{}", directory.display());
        let output = Command::new(&promtool).args([command, "rules"]).args(&files).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "promtool {command} rules:\n{}", String::from_utf8_lossy(&text));
    }
}

/// `vigie run DIRECTORY FLAGS` on free ports.
struct Run {
    _program: Program,
    prometheus: String,
    dashboards: String,
}

impl Run {
    fn start(vigie: &Path, directory: &Path, flags: &[&str]) -> Self {
        let (prometheus, dashboards) = (free_address(), free_address());
        let mut command = Command::new(vigie);
        command.arg("run").arg(directory).arg("--auth.anonymous").args(flags);
        command.args(["--prometheus.listen-address", &prometheus]);
        command.args(["--alertmanager.listen-address", &free_address()]);
        command.args(["--dashboards.listen-address", &dashboards]);
        let mut program = Program::start("vigie", &mut command, directory);
        program.wait_until_listening(&prometheus);
        program.wait_until_listening(&dashboards);
        Self { _program: program, prometheus, dashboards }
    }

    /// The names of the loaded groups.
    fn groups(&self) -> Vec<String> {
        let rules = prometheus::data(&self.prometheus, "/api/v1/rules").unwrap();
        let groups = rules["groups"].as_array().unwrap();
        groups.iter().map(|g| g["name"].as_str().unwrap().to_owned()).collect()
    }

    fn uids(&self) -> Vec<String> {
        let found = http::get(&self.dashboards, "/api/search?type=dash-db").unwrap().json().unwrap();
        found.as_array().unwrap().iter().map(|d| d["uid"].as_str().unwrap().to_owned()).collect()
    }
}

const GROUPS: [&str; 4] = ["starter-host", "starter-postgresql", "starter-redis", "starter-vigie"];
const UIDS: [&str; 4] = ["vigie-host", "vigie-postgresql", "vigie-redis", "vigie-self"];

#[test]
fn an_empty_directory_has_dashboards_and_rules_and_a_healthy_stack_is_quiet() {
    let Some(vigie) = tools::vigie() else { return };
    let directory = test_directory("starters-empty");
    let run = Run::start(&vigie, &directory, &[]);
    assert_eq!(run.uids(), UIDS);
    assert_eq!(run.groups(), GROUPS);
    wait_for(
        "the rules to be evaluated, without an error and without an alert of Vigie itself",
        SOON,
        || {
            let rules = prometheus::data(&run.prometheus, "/api/v1/rules")?;
            for group in rules["groups"].as_array().unwrap() {
                for rule in group["rules"].as_array().unwrap() {
                    ensure!(rule["health"] == "ok", "{rule}");
                    // Others load this machine: its own alerts may be about to fire.
                    ensure!(group["name"] != "starter-vigie" || rule["state"] == "inactive", "{rule}");
                }
            }
            Ok(())
        },
    );
    // Its own dashboard has data in each panel, but what needs an Alertmanager.
    let text = fs::read_to_string(tools::root().join("crates/dashboards/starters/vigie.json")).unwrap();
    let (_, queries) = panel_queries(&serde_json::from_str::<Value>(&text).unwrap());
    let target = prometheus::target(&run.prometheus, "prometheus").unwrap();
    let instance = target["labels"]["instance"].as_str().unwrap().to_owned();
    let variables = [one("job", "prometheus"), one("instance", &instance), one("__rate_interval", "1m")];
    wait_for("data in the dashboard of Vigie itself", 2 * SOON, || {
        for query in queries.iter().filter(|q| !q.panel.ends_with("Alerts on their way")) {
            // Nobody asks over HTTP here until we do.
            let expression = substitute(&query.expression, &variables).unwrap();
            let vector = prometheus::vector(&prometheus::query(&run.prometheus, &expression, None)?)?;
            ensure!(!vector.is_empty(), "{}: {expression}", query.panel);
        }
        Ok(())
    });
}

#[test]
fn starters_can_be_switched_off_and_rules_asked_for() {
    let Some(vigie) = tools::vigie() else { return };
    let directory = test_directory("starters-switches");
    let off = Run::start(&vigie, &directory, &["--no-starters"]);
    assert_eq!((off.uids(), off.groups()), (Vec::new(), Vec::new()));
    assert!(!directory.join("data/starters").exists());
    drop(off);

    fs::create_dir_all(directory.join("dashboards")).unwrap();
    fs::write(directory.join("dashboards/mine.json"), r#"{"title":"Mine","uid":"vigie-host"}"#).unwrap();
    fs::write(directory.join("mine.yml"), "groups: [{name: mine, rules: [{record: a, expr: '1'}]}]").unwrap();
    fs::write(directory.join("prometheus.yml"), "rule_files: [mine.yml]").unwrap();
    let mine = Run::start(&vigie, &directory, &[]);
    assert_eq!(mine.groups(), ["mine"], "with a prometheus.yml only what it names");
    let own = http::get(&mine.dashboards, "/api/dashboards/uid/vigie-host").unwrap().json().unwrap();
    assert_eq!((&own["dashboard"]["title"], mine.uids().len()), (&Value::from("Mine"), 4));
    drop(mine);

    let both = Run::start(&vigie, &directory, &["--starter-rules"]);
    let mut groups = both.groups();
    groups.sort();
    assert_eq!(groups, [&["mine"], GROUPS.as_slice()].concat());
    drop(both);

    // Named by another way to the same files, they are loaded once.
    let named = "rule_files: [mine.yml, data/../data/starters/rules/*.yml]";
    fs::write(directory.join("prometheus.yml"), named).unwrap();
    let once = Run::start(&vigie, &directory, &["--starter-rules"]);
    assert_eq!(once.groups().len(), 5, "{:?}", once.groups());
    for file in yaml_files(&rules_directory()) {
        let written = directory.join("data/starters/rules").join(file.file_name().unwrap());
        assert_eq!(fs::read(&written).unwrap(), fs::read(&file).unwrap(), "{}", written.display());
    }
}
