//! The four dashboards in a headless browser: what only a browser can show.

use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use e2e::program::Program;
use e2e::{prometheus, tools, wait_for};

use crate::support::{Quickened, SOON, Stack};

#[test]
fn the_dashboards_draw_their_series() {
    let (Some(vigie), Some(real_estate), Some(node), Some(chromium)) =
        (tools::vigie(), tools::real_estate(), tools::node(), tools::chromium())
    else {
        return;
    };
    let script = tools::root().join("ui/e2e/dashboards.mjs");
    if !script.is_file() || !tools::root().join("ui/node_modules").is_dir() {
        tools::skipped("no ui/e2e/dashboards.mjs, or ui/node_modules not installed");
        return;
    }
    let quickened = Quickened::prepare("browser", &real_estate, &[]);
    let stack = Stack::start(&vigie, &quickened.directory, &quickened.alertmanager);
    // Without errors there is no error share to draw.
    quickened.application.set_broken(true);
    wait_for("samples to draw, errors among them", SOON, || {
        let address = &stack.prometheus;
        ensure!(prometheus::number(address, "count_over_time(up{job=\"real-estate-api\"}[1m])")? >= 10.0);
        ensure!(prometheus::number(address, "sum(rate(requests_total{status=~\"5..\"}[1m]))")? > 0.0);
        Ok(())
    });
    let screenshots = quickened.directory.join("screenshots");
    let mut command = Command::new(node);
    command.arg(script).current_dir(tools::root().join("ui"));
    command.env("VIGIE_PROMETHEUS_URL", format!("http://{}", stack.prometheus));
    command.env("VIGIE_DASHBOARDS_URL", format!("http://{}", stack.dashboards));
    command.env("VIGIE_USER", "admin").env("VIGIE_PASSWORD", "admin");
    command.env("VIGIE_CHROMIUM", chromium).env("VIGIE_SCREENSHOTS", &screenshots);
    // As the user wrote it, its two sides have no labels in common.
    command.env("VIGIE_ALLOW_EMPTY", "Success share by source");
    let mut browser = Program::start("browser", &mut command, &quickened.directory);
    let status = browser.wait(Duration::from_secs(180));
    assert!(status.success(), "{status}:\n{}", browser.log());
}
