//! A wrong file is refused with its place; on reload what was in force stays in force.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::program::{Program, test_directory};
use e2e::server::{Response, Server as Target};
use e2e::{http, prometheus, tools};

use crate::support::{Quickened, Server, free_address, one_job};

/// Runs to the end and gives exit code and output.
fn run(vigie: &Path, directory: &Path, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(vigie);
    command.args(arguments).current_dir(directory);
    let mut program = Program::start(name, &mut command, directory);
    let status = program.wait(Duration::from_secs(15));
    (status.code(), program.log())
}

#[test]
fn a_wrong_file_ends_the_start_with_its_place() {
    let Some(vigie) = tools::vigie() else { return };
    let directory = test_directory("wrong-config");
    let cases = [
        ("unknown-field", "global:\n  scrape_interval: 15s\n  scrape_intervall: 15s\n", "3:3"),
        ("bad-duration", "global:\n  scrape_interval: quick\n", "2:20"),
        ("not-yaml", "global:\n  scrape_interval: 'open\n", ""),
        ("timeout-too-long", "global:\n  scrape_interval: 10s\n  scrape_timeout: 20s\n", ""),
        ("no-job-name", "scrape_configs:\n  - metrics_path: /x\n", ""),
    ];
    for (name, yaml, place) in cases {
        let file = format!("{name}.yml");
        fs::write(directory.join(&file), yaml).unwrap();
        let address = free_address();
        let arguments = [
            "prometheus",
            "--config.file",
            &file,
            "--storage.tsdb.path",
            "data",
            "--web.listen-address",
            &address,
        ];
        let (code, output) = run(&vigie, &directory, name, &arguments);
        assert_eq!(code, Some(1), "{name}: {output}");
        let expect = if place.is_empty() { file.clone() } else { format!("{file}:{place}") };
        assert!(output.contains(&expect), "{name}: no `{expect}` in: {output}");
    }

    let rules = "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: rate(x[5m]\n";
    fs::write(directory.join("rules.yml"), rules).unwrap();
    fs::write(directory.join("with-rules.yml"), "rule_files: [rules.yml]\n").unwrap();
    let address = free_address();
    let arguments = [
        "prometheus",
        "--config.file",
        "with-rules.yml",
        "--storage.tsdb.path",
        "data",
        "--web.listen-address",
        &address,
    ];
    let (code, output) = run(&vigie, &directory, "bad-rule", &arguments);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("rules.yml:5:"), "{output}");

    fs::write(directory.join("alertmanager.yml"), "route:\n  receiver: nobody\nreceivers:\n  - name: team\n")
        .unwrap();
    let address = free_address();
    let arguments = [
        "alertmanager",
        "--config.file",
        "alertmanager.yml",
        "--storage.path",
        "am",
        "--web.listen-address",
        &address,
        "--cluster.listen-address=",
    ];
    let (code, output) = run(&vigie, &directory, "bad-receiver", &arguments);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("alertmanager.yml") && output.contains("nobody"), "{output}");
}

#[test]
fn vigie_run_refuses_a_wrong_alertmanager_file() {
    let (Some(vigie), Some(real_estate)) = (tools::vigie(), tools::real_estate()) else { return };
    let edits = [("receiver: email-notifications\n  routes", "reciever: email-notifications\n  routes")];
    let quickened = Quickened::prepare("wrong-run", &real_estate, &edits);
    let (code, output) = run(&vigie, &quickened.directory, "run", &["run", "."]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("alertmanager.yml:13:3"), "{output}");
}

#[test]
fn a_failed_reload_keeps_the_old_configuration() {
    let Some(vigie) = tools::vigie() else { return };
    let directory = test_directory("reload");
    let target = Target::start(|_| Response::ok("text/plain; version=0.0.4", "x 1\n"));
    let file = directory.join("prometheus.yml");
    fs::write(&file, one_job("1s", "first", target.address(), "")).unwrap();
    let server = Server::ours(&vigie, &directory, "prometheus.yml");
    server.wait_for_series("up{job=\"first\"} == 1");
    let reload = || http::post(&server.address, "/-/reload", "text/plain", b"").unwrap();
    let in_force = || {
        let config = prometheus::data(&server.address, "/api/v1/status/config").unwrap();
        config["yaml"].as_str().unwrap().to_owned()
    };
    let reload_metric = || {
        let metrics = http::get(&server.address, "/metrics").unwrap().text();
        let line = metrics.lines().find(|line| line.starts_with("prometheus_config_last_reload_successful "));
        line.unwrap_or_else(|| panic!("no reload metric in {metrics}")).to_owned()
    };

    fs::write(&file, "global:\n  scrape_intervall: 1s\n").unwrap();
    let refused = reload();
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("prometheus.yml:2:3"), "{}", refused.text());
    assert!(in_force().contains("job_name: first"), "{}", in_force());
    assert_eq!(reload_metric(), "prometheus_config_last_reload_successful 0");
    server.wait_for_series("up{job=\"first\"} == 1");

    fs::write(&file, one_job("1s", "second", target.address(), "")).unwrap();
    let accepted = reload();
    assert_eq!(accepted.status, 200, "{}", accepted.text());
    assert!(in_force().contains("job_name: second"), "{}", in_force());
    assert_eq!(reload_metric(), "prometheus_config_last_reload_successful 1");
    server.wait_for_series("up{job=\"second\"} == 1");

    fs::write(&file, one_job("1s", "third", target.address(), "")).unwrap();
    server.program.signal("HUP");
    server.wait_for_series("up{job=\"third\"} == 1");
}
