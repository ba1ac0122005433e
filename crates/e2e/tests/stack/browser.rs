//! The user's dashboards and the starters in a headless browser: what only a browser can show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use e2e::program::{Program, test_directory};
use e2e::{prometheus, tools, wait_for};

use crate::databases;
use crate::support::{Quickened, SOON, Stack, free_address};

#[test]
fn the_dashboards_draw_their_series() {
    let (Some(vigie), Some(real_estate), Some(browser)) =
        (tools::vigie(), tools::real_estate(), Browser::find())
    else {
        return;
    };
    let quickened = Quickened::prepare("browser", &real_estate, &[]);
    // The starters have a test of their own.
    let flags = ["--no-starters"];
    let stack = Stack::start_with(&vigie, &quickened.directory, &quickened.alertmanager, &flags);
    // Without errors there is no error share to draw.
    quickened.application.set_broken(true);
    wait_for("samples to draw, errors among them", SOON, || {
        let address = &stack.prometheus;
        ensure!(prometheus::number(address, "count_over_time(up{job=\"real-estate-api\"}[1m])")? >= 10.0);
        ensure!(prometheus::number(address, "sum(rate(requests_total{status=~\"5..\"}[1m]))")? > 0.0);
        Ok(())
    });
    // As the user wrote it, its two sides have no labels in common.
    let allowed = "Success share by source";
    browser.open_everything(&quickened.directory, &stack.prometheus, &stack.dashboards, allowed);
}

#[test]
fn the_starters_are_drawn() {
    let (Some(vigie), Some(browser)) = (tools::vigie(), Browser::find()) else { return };
    let (Some(node), Some(postgres), Some(redis)) =
        (tools::node_exporter(), tools::postgres_exporter(), tools::redis_exporter())
    else {
        return;
    };
    let directory = test_directory("browser-starters");
    let (Some(database), Some(cache)) = (databases::postgresql(&directory), databases::redis(&directory))
    else {
        return;
    };
    let (node_at, postgres_at, redis_at) = (free_address(), free_address(), free_address());
    let mut command = Command::new(node);
    let mut programs =
        vec![Program::start("node", command.arg(format!("--web.listen-address={node_at}")), &directory)];
    let mut command = Command::new(postgres);
    let source = database.dsn("postgres");
    command.arg(format!("--web.listen-address={postgres_at}")).env("DATA_SOURCE_NAME", source);
    programs.push(Program::start("postgres-exporter", &mut command, &directory));
    let mut command = Command::new(redis);
    command
        .args(["--web.listen-address", &redis_at, "--redis.addr"])
        .arg(format!("redis://{}", cache.address));
    programs.push(Program::start("redis-exporter", &mut command, &directory));
    for (program, address) in programs.iter_mut().zip([&node_at, &postgres_at, &redis_at]) {
        program.wait_until_listening(address);
    }
    let alertmanager = free_address();
    let jobs = [("node", &node_at), ("postgres", &postgres_at), ("redis", &redis_at)];
    let jobs =
        jobs.map(|(job, at)| format!("- job_name: {job}\n  static_configs: [{{targets: ['{at}']}}]\n"));
    let config = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{}", jobs.concat());
    fs::write(directory.join("prometheus.yml"), config).unwrap();
    fs::write(directory.join("alertmanager.yml"), "route: {receiver: none}\nreceivers: [{name: none}]\n")
        .unwrap();
    let stack = Stack::start_with(&vigie, &directory, &alertmanager, &["--starter-rules"]);
    // Longer than a step of the widest range, so that a graph has a point.
    wait_for("samples to draw", 2 * SOON, || {
        let up = prometheus::number(&stack.prometheus, "sum_over_time(up{job=\"redis\"}[2m])")?;
        ensure!(up >= 45.0, "{up}");
        Ok(())
    });
    // Nothing scrapes Vigie here, and what has no data says so, which counts as drawn.
    browser.open_everything(&directory, &stack.prometheus, &stack.dashboards, "");
}

/// What opens pages.
struct Browser {
    node: PathBuf,
    chromium: PathBuf,
    script: PathBuf,
}

impl Browser {
    /// `None` after saying what is missing.
    fn find() -> Option<Self> {
        let script = tools::root().join("ui/e2e/dashboards.mjs");
        if !script.is_file() || !tools::root().join("ui/node_modules").is_dir() {
            tools::skipped("no ui/e2e/dashboards.mjs, or ui/node_modules not installed");
            return None;
        }
        Some(Self { node: tools::node()?, chromium: tools::chromium()?, script })
    }

    /// All pages and dashboards in both themes, pictures in `DIRECTORY/screenshots`; panels titled `allowed` may be empty.
    fn open_everything(&self, directory: &Path, prometheus: &str, dashboards: &str, allowed: &str) {
        let mut command = Command::new(&self.node);
        command.arg(&self.script).current_dir(tools::root().join("ui"));
        command.env("VIGIE_PROMETHEUS_URL", format!("http://{prometheus}"));
        command.env("VIGIE_DASHBOARDS_URL", format!("http://{dashboards}"));
        command.env("VIGIE_USER", "admin").env("VIGIE_PASSWORD", "admin");
        command.env("VIGIE_CHROMIUM", &self.chromium);
        command.env("VIGIE_SCREENSHOTS", directory.join("screenshots")).env("VIGIE_ALLOW_EMPTY", allowed);
        let mut browser = Program::start("browser", &mut command, directory);
        let status = browser.wait(Duration::from_secs(180));
        assert!(status.success(), "{status}:\n{}", browser.log());
    }
}
