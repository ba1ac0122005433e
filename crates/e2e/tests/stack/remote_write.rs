//! A real Prometheus sends what it scrapes to ours: it all arrives, and queries answer alike.

use std::fs;

use anyhow::ensure;
use e2e::program::test_directory;
use e2e::server::{Response, Server as Target};
use e2e::{http, prometheus, tools, wait_for};

use crate::original::{EXACT, TICK, difference, exposition, now_seconds, range_difference};
use crate::support::{SOON, Server, one_job};

const RECEIVER: &str = "--web.enable-remote-write-receiver";

#[test]
fn a_real_sender_and_equal_answers() {
    let (Some(vigie), Some(original)) = (tools::vigie(), tools::prometheus()) else { return };
    let directory = test_directory("remote-write");
    let target = Target::start(|_| Response::ok("text/plain; version=0.0.4", exposition()));
    fs::write(directory.join("receiver.yml"), "{}\n").unwrap();
    let ours = Server::ours_with(&vigie, &directory, "receiver.yml", &[RECEIVER, "--web.enable-admin-api"]);
    let queue = "queue_config: {batch_send_deadline: 200ms}, metadata_config: {send_interval: 1s}";
    let config = format!(
        "{}remote_write:\n- {{url: 'http://{}/api/v1/write', {queue}}}\n",
        one_job("400ms", "timed", target.address(), ""),
        ours.address
    );
    fs::write(directory.join("sender.yml"), config).unwrap();
    let sender = Server::original(&original, &directory, "sender.yml");
    wait_for("thirty seconds of samples", SOON + SOON, || {
        let count = prometheus::number(&ours.address, "count_over_time(temperature{room=\"attic\"}[1m])")?;
        ensure!(count >= 15.0, "{count} samples; the sender says:\n{}", sender.program.log());
        Ok(())
    });
    // What was scraped two ticks ago has been sent.
    let end = ((now_seconds() as u64 / TICK - 2) * TICK) as f64 + 0.5;
    let mut wrong = Vec::new();
    for expression in EXACT.into_iter().chain(["up", "scrape_samples_scraped"]) {
        let ask = |address: &str| {
            let instant = prometheus::query(address, expression, Some(end))?;
            let range = prometheus::query_range(address, expression, end - 12.0, end, 1.0)?;
            anyhow::Ok((prometheus::vector(&instant)?, range))
        };
        match (ask(&ours.address), ask(&sender.address)) {
            (Ok((our, our_range)), Ok((their, their_range))) => {
                wrong.extend(difference(&our, &their, 1e-9).map(|d| format!("{expression}: {d}")));
                let over_range = range_difference(&our_range, &their_range);
                wrong.extend(over_range.map(|d| format!("{expression} over a range: {d}")));
            }
            (our, their) => wrong.push(format!("{expression}: {:?}, there {:?}", our.err(), their.err())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let failed = "prometheus_remote_storage_samples_failed_total";
    let metrics = http::get(&sender.address, "/metrics").unwrap().text();
    let line = metrics.lines().find(|l| l.starts_with(failed)).unwrap();
    assert!(line.ends_with(" 0"), "{line}");
    // Deleting what was received.
    let delete = "/api/v1/admin/tsdb/delete_series?match[]=temperature";
    assert_eq!(http::post(&ours.address, delete, "text/plain", b"").unwrap().status, 204);
    let left = prometheus::query(&ours.address, "count_over_time(temperature[1h])", Some(end)).unwrap();
    assert!(prometheus::vector(&left).unwrap().is_empty());
}

#[test]
fn a_receiver_must_be_switched_on() {
    let Some(vigie) = tools::vigie() else { return };
    let directory = test_directory("remote-write-off");
    fs::write(directory.join("receiver.yml"), "{}\n").unwrap();
    let ours = Server::ours(&vigie, &directory, "receiver.yml");
    let answer = http::post(&ours.address, "/api/v1/write", "application/x-protobuf", b"").unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("--web.enable-remote-write-receiver"));
    let answer = http::post(&ours.address, "/api/v1/admin/tsdb/clean_tombstones", "text/plain", b"").unwrap();
    assert_eq!((answer.status, answer.json().unwrap()["error"].as_str()), (500, Some("admin APIs disabled")));
}
