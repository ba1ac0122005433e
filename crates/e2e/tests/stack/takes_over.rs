//! The directory of a Prometheus that is gone becomes ours, and its own again.

use std::fs;

use anyhow::ensure;
use e2e::program::test_directory;
use e2e::server::{Response, Server as Target};
use e2e::{prometheus, tools, wait_for};

use crate::original::{EXACT, difference, exposition, now_seconds, range_difference};
use crate::support::{SOON, Server, one_job};

#[test]
fn a_directory_changes_hands_and_back() {
    let (Some(vigie), Some(original)) = (tools::vigie(), tools::prometheus()) else { return };
    let directory = test_directory("takes-over");
    let target = Target::start(|_| Response::ok("text/plain; version=0.0.4", exposition()));
    fs::write(directory.join("scrapes.yml"), one_job("400ms", "timed", target.address(), "")).unwrap();
    fs::write(directory.join("idle.yml"), "{}\n").unwrap();
    let (theirs, ours) = (directory.join("prometheus-data"), directory.join("vigie-data"));

    let server = Server::original(&original, &directory, "scrapes.yml");
    wait_for("some samples", SOON + SOON, || {
        let count = prometheus::number(&server.address, "count_over_time(temperature{room=\"attic\"}[1m])")?;
        ensure!(count >= 20.0, "{count} samples");
        Ok(())
    });
    let end = now_seconds();
    let ask = |address: &str| -> Vec<_> {
        EXACT
            .iter()
            .map(|expression| {
                let instant = prometheus::query(address, expression, Some(end)).unwrap();
                let range = prometheus::query_range(address, expression, end - 10.0, end, 1.0).unwrap();
                (prometheus::vector(&instant).unwrap(), range)
            })
            .collect()
    };
    let expected = ask(&server.address);
    assert!(server.program.terminate().success());

    let compare = |who: &str, found: &[(prometheus::Vector, serde_json::Value)]| {
        let mut wrong = Vec::new();
        for ((expression, (instant, range)), (their_instant, their_range)) in
            EXACT.iter().zip(found).zip(&expected)
        {
            wrong.extend(difference(instant, their_instant, 1e-9).map(|d| format!("{expression}: {d}")));
            let range = range_difference(range, their_range);
            wrong.extend(range.map(|d| format!("{expression} over a range: {d}")));
        }
        assert!(wrong.is_empty(), "{who}:\n{}", wrong.join("\n"));
    };
    fs::rename(&theirs, &ours).unwrap();
    for round in ["ours", "ours, once more"] {
        let server = Server::ours(&vigie, &directory, "idle.yml");
        compare(round, &ask(&server.address));
        assert!(server.program.terminate().success());
    }
    fs::rename(&ours, &theirs).unwrap();
    let server = Server::original(&original, &directory, "idle.yml");
    compare("theirs again", &ask(&server.address));
}
