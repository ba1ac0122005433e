//! Targets that others wrote, scraped as they are: a Python application and the node exporter.

use std::fs;
use std::process::Command;

use anyhow::ensure;
use e2e::program::{Program, test_directory};
use e2e::{http, prometheus, tools, wait_for};

use crate::support::{SOON, Server, free_address, one_job};

#[test]
fn a_fastapi_application_is_scraped_unmodified() {
    let (Some(vigie), Some(python)) = (tools::vigie(), tools::python()) else { return };
    let directory = test_directory("python-app");
    let address = free_address();
    let (host, port) = address.split_once(':').unwrap();
    let mut command = Command::new(python);
    command.current_dir(tools::root().join("examples/python-app")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.args(["-m", "uvicorn", "app:app", "--host", host, "--port", port]);
    let mut application = Program::start("python-app", &mut command, &directory);
    application.wait_until_listening(&address);

    let redirect = http::get(&address, "/metrics").unwrap();
    assert_eq!(redirect.status, 307, "the mounted application redirects; the scraper has to follow");

    fs::write(directory.join("prometheus.yml"), one_job("1s", "python", &address, "")).unwrap();
    let server = Server::ours(&vigie, &directory, "prometheus.yml");
    server.wait_for_series("up == 1");
    for (path, status) in [
        ("/api/listings?city=Lyon", 200),
        ("/api/listings/3", 200),
        ("/api/listings/99", 404),
        ("/fail", 500),
    ] {
        assert_eq!(http::get(&address, path).unwrap().status, status, "{path}");
    }
    assert_eq!(http::post(&address, "/scrape/immoclair", "text/plain", b"").unwrap().status, 200);

    for expression in [
        "requests_total{endpoint=\"/api/listings/{number}\", status=\"404\"} == 1",
        "requests_total{endpoint=\"/fail\", status=\"500\"} == 1",
        "errors_total == 1",
        "listings_scraped_total{source=\"immoclair\"} >= 10",
        "histogram_quantile(0.95, sum by (le) (request_duration_seconds_bucket)) > 0",
        "request_duration_seconds_bucket{le=\"1.0\"}",
        "python_info",
        "process_resident_memory_bytes > 1e6",
    ] {
        server.wait_for_series(expression);
    }
    let target = prometheus::target(&server.address, "python").unwrap();
    assert_eq!(target["scrapeUrl"], format!("http://{address}/metrics"));
    let metadata =
        prometheus::data(&server.address, "/api/v1/metadata?metric=request_duration_seconds").unwrap();
    assert_eq!(metadata["request_duration_seconds"][0]["type"], "histogram", "{metadata}");
}

#[test]
fn the_node_exporter_is_scraped_whole() {
    let (Some(vigie), Some(exporter)) = (tools::vigie(), tools::node_exporter()) else { return };
    let directory = test_directory("node-exporter");
    let address = free_address();
    let mut command = Command::new(exporter);
    command.arg(format!("--web.listen-address={address}"));
    // Collectors that look at the network or at hardware are of no use in a test.
    command.args(["--no-collector.arp", "--no-collector.hwmon"]);
    let mut exporter = Program::start("node-exporter", &mut command, &directory);
    exporter.wait_until_listening(&address);
    let exposed = http::get(&address, "/metrics").unwrap().text();
    let lines = exposed.lines().filter(|line| !line.starts_with('#')).count() as f64;

    fs::write(directory.join("prometheus.yml"), one_job("1s", "node", &address, "")).unwrap();
    let server = Server::ours(&vigie, &directory, "prometheus.yml");
    server.wait_for_series("up == 1");
    wait_for("all of the exposition", SOON, || {
        let scraped = prometheus::number(&server.address, "scrape_samples_scraped")?;
        // A few series come and go from scrape to scrape.
        ensure!((scraped - lines).abs() <= lines * 0.05, "{scraped} of {lines} samples");
        Ok(())
    });
    for expression in [
        "node_memory_MemTotal_bytes > 0",
        "sum by (mode) (rate(node_cpu_seconds_total[30s])) >= 0",
        "node_filesystem_avail_bytes",
        "node_uname_info",
    ] {
        server.wait_for_series(expression);
    }
}
