//! The exporters inside `vigie run`: the host watched without a file, without a socket, beside what is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::ensure;
use e2e::expositions::Exposition;
use e2e::program::{Program, test_directory};
use e2e::server::{Response, Server as Scripted};
use e2e::{http, prometheus, tools, wait_for};

use crate::support::{SOON, free_address};

/// `vigie run DIRECTORY` with its own ports.
struct Run {
    program: Program,
    prometheus: String,
    node: String,
}

impl Run {
    fn start(vigie: &Path, directory: &Path, node: &str) -> Self {
        let prometheus = free_address();
        let mut command = Command::new(vigie);
        command.arg("run").arg(directory);
        command.args(["--prometheus.listen-address", &prometheus]);
        command.args(["--alertmanager.listen-address", &free_address()]);
        command.args(["--dashboards.listen-address", &free_address()]);
        command.args(["--node-exporter.listen-address", node]);
        let mut program = Program::start("vigie", &mut command, directory);
        program.wait_until_listening(&prometheus);
        Self { program, prometheus, node: node.to_owned() }
    }

    fn number(&self, expression: &str) -> f64 {
        wait_for(&format!("{expression} in\n{}", self.program.log()), SOON, || {
            prometheus::number(&self.prometheus, expression)
        })
    }

    /// `job` and `instance` of the target that gives the series.
    fn targets(&self, metric: &str) -> BTreeSet<(String, String)> {
        let answer = prometheus::query(&self.prometheus, metric, None).unwrap();
        let vector = prometheus::vector(&answer).unwrap();
        vector.keys().map(|labels| (labels["job"].clone(), labels["instance"].clone())).collect()
    }
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').unwrap().1
}

#[test]
fn the_host_is_watched_without_a_file() {
    let Some(vigie) = tools::vigie() else { return };
    let directory = test_directory("built-in");
    let run = Run::start(&vigie, &directory, &free_address());
    run.number("node_load1");
    let instance = format!("localhost:{}", port(&run.node));
    assert_eq!(run.targets("node_load1"), BTreeSet::from([("node".to_owned(), instance.clone())]));
    assert_eq!(run.number(&format!("up{{job=\"node\", instance=\"{instance}\"}}")), 1.0);

    // The page on its port, as a scraper elsewhere would see it, is what was stored.
    let page = Exposition::parse(&http::get(&run.node, "/metrics").unwrap().text());
    let stored = run.number("scrape_samples_scraped{job=\"node\"}");
    let exposed = page.series.len() as f64;
    assert!((stored - exposed).abs() <= 0.02 * exposed, "{stored} stored, {exposed} exposed");
    for name in ["node_memory_MemTotal_bytes", "node_uname_info", "process_resident_memory_bytes"] {
        assert!(run.targets(name).contains(&("node".to_owned(), instance.clone())), "{name}");
    }
    // Its own pages need no socket either.
    assert_eq!(run.number("up{job=\"prometheus\"}"), 1.0);
}

#[test]
fn a_written_target_is_the_built_in_exporter_unless_another_program_listens_there() {
    let Some(vigie) = tools::vigie() else { return };
    let root = test_directory("built-in-written");
    let node = free_address();
    // A directory of its own each time: the series of an earlier run would still be there.
    let written = |name: &str, target: &str| {
        let directory = root.join(name);
        fs::create_dir(&directory).unwrap();
        let text = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: hosts\n  static_configs:\n  - targets: ['{target}']\n    labels: {{room: cellar}}\n"
        );
        fs::write(directory.join("prometheus.yml"), text).unwrap();
        directory
    };
    let directory = written("ours", &format!("localhost:{}", port(&node)));
    let run = Run::start(&vigie, &directory, &node);
    run.number("node_load1{job=\"hosts\", room=\"cellar\"}");
    assert_eq!(run.targets("node_load1").len(), 1, "not a second time as job node");
    run.program.terminate();

    let other = Scripted::start(|_| Response::ok("text/plain; version=0.0.4", "other 7\n"));
    let directory = written("other", other.address());
    let run = Run::start(&vigie, &directory, other.address());
    assert_eq!(run.number("other{job=\"hosts\"}"), 7.0);
    wait_for("only the other program's page", SOON, || {
        ensure!(run.targets("up").len() == 1, "{:?}", run.targets("up"));
        Ok(())
    });
    run.program.terminate();

    // Not written, and the port is taken: the host is watched all the same.
    let directory = written("taken", "localhost:1");
    let run = Run::start(&vigie, &directory, other.address());
    run.number("node_load1{job=\"node\"}");
}
