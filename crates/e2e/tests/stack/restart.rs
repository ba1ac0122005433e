//! A crash costs the scrapes that it missed, nothing else.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use e2e::program::test_directory;
use e2e::server::{Response, Server as Target};
use e2e::{prometheus, tools, wait_for};

use crate::support::{SOON, Server, one_job};

#[test]
fn kill_minus_nine_leaves_no_gap_but_the_scrapes_missed() {
    let Some(vigie) = tools::vigie() else { return };
    let directory = test_directory("restart");
    let served = Arc::new(AtomicU64::new(0));
    let target = Target::start({
        let served = Arc::clone(&served);
        move |_| {
            let count = served.fetch_add(1, Ordering::SeqCst) + 1;
            Response::ok(
                "text/plain; version=0.0.4",
                format!("# TYPE served_total counter\nserved_total {count}\n"),
            )
        }
    });
    fs::write(directory.join("prometheus.yml"), one_job("500ms", "counted", target.address(), "")).unwrap();

    let server = Server::ours(&vigie, &directory, "prometheus.yml");
    wait_for("a dozen scrapes", SOON, || {
        ensure!(served.load(Ordering::SeqCst) >= 12);
        Ok(())
    });
    let before = served.load(Ordering::SeqCst);
    server.program.kill();
    let down = Instant::now();

    let server = Server::ours(&vigie, &directory, "prometheus.yml");
    let ready = down.elapsed();
    wait_for("a dozen more scrapes", SOON, || {
        ensure!(served.load(Ordering::SeqCst) >= before + 12);
        Ok(())
    });
    let data = prometheus::query(&server.address, "served_total[5m]", None).unwrap();
    let points = data["result"][0]["values"].as_array().unwrap();
    let points: Vec<(f64, u64)> = points
        .iter()
        .map(|point| (point[0].as_f64().unwrap(), point[1].as_str().unwrap().parse().unwrap()))
        .collect();

    // Each value served is there once. The one in flight at the kill may be lost, as may the newest.
    let mut missing: Vec<u64> =
        (1..=before + 11).filter(|n| !points.iter().any(|(_, value)| value == n)).collect();
    missing.retain(|n| *n != before && *n != before + 1);
    assert!(missing.is_empty(), "lost {missing:?} of {points:?}");
    assert!(points.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1), "in order: {points:?}");
    let gaps: Vec<f64> = points.windows(2).map(|w| w[1].0 - w[0].0).filter(|gap| *gap > 1.2).collect();
    assert!(gaps.len() <= 1, "one gap at most: {gaps:?}");
    // The original itself waits five seconds for its target discovery.
    let bound = (ready + Duration::from_secs(6)).as_secs_f64();
    assert!(gaps.iter().all(|gap| *gap < bound), "{gaps:?} within {bound} s");
}
