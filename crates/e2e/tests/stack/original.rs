//! The same target read by a real Prometheus: the same answers.
//!
//! Two servers never scrape at the same instant, so the exact comparison uses a target that gives its
//! samples timestamps; the reference application is compared by labels and, loosely, by value.

use std::fmt::Write as _;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use e2e::program::test_directory;
use e2e::server::{Response, Server as Target};
use e2e::{prometheus, tools, wait_for};

use crate::support::{Application, SOON, Server, one_job};

pub(crate) fn now_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Seconds between two values of the target; each is scraped several times, so that none is missed.
pub(crate) const TICK: u64 = 2;

/// Everything is a function of the tick, and carries its time.
pub(crate) fn exposition() -> String {
    let tick = now_seconds() as u64 / TICK;
    let (ms, n) = (tick * TICK * 1000, tick % 1_000_000);
    let mut text = String::from("# TYPE jobs_total counter\n");
    for (worker, queue) in [("a", "fast"), ("b", "fast"), ("c", "slow")] {
        let speed = worker.as_bytes()[0] as u64 - 90;
        // Worker c starts again every seven ticks.
        let value = if worker == "c" { n % 7 * speed } else { n * speed };
        writeln!(text, "jobs_total{{worker=\"{worker}\",queue=\"{queue}\"}} {value} {ms}").unwrap();
    }
    text.push_str("# TYPE temperature gauge\n");
    for room in ["attic", "cellar"] {
        let value = (n as f64 * 0.7 + room.len() as f64).sin() * 20.0;
        writeln!(text, "temperature{{room=\"{room}\"}} {value} {ms}").unwrap();
    }
    text.push_str("# TYPE wait_seconds histogram\n");
    let mut count = 0;
    for (le, step) in [("0.1", 3), ("0.5", 5), ("1", 1), ("+Inf", 1)] {
        count += n * step;
        writeln!(text, "wait_seconds_bucket{{le=\"{le}\"}} {count} {ms}").unwrap();
    }
    writeln!(text, "wait_seconds_sum {} {ms}\nwait_seconds_count {count} {ms}", n as f64 * 2.3).unwrap();
    text
}

pub(crate) const EXACT: [&str; 37] = [
    "temperature",
    "jobs_total",
    "jobs_total{queue=~\"f.*\", worker!=\"a\"}",
    "rate(jobs_total[10s])",
    "increase(jobs_total[11s])",
    "irate(jobs_total[10s])",
    "delta(temperature[9s])",
    "deriv(temperature[12s])",
    "resets(jobs_total[20s])",
    "changes(jobs_total[20s])",
    "sum(rate(jobs_total[10s]))",
    "sum by (queue) (rate(jobs_total[10s]))",
    "avg without (worker) (jobs_total)",
    "topk(1, jobs_total)",
    "quantile(0.3, jobs_total)",
    "stddev(jobs_total)",
    "count_values(\"value\", temperature > bool 0)",
    "avg_over_time(temperature[10s])",
    "max_over_time(temperature[10s]) - min_over_time(temperature[10s])",
    "quantile_over_time(0.9, temperature[14s])",
    "stddev_over_time(temperature[14s])",
    "last_over_time(temperature[10s])",
    "histogram_quantile(0.9, rate(wait_seconds_bucket[10s]))",
    "histogram_quantile(0.5, sum by (le) (wait_seconds_bucket))",
    "rate(wait_seconds_sum[10s]) / rate(wait_seconds_count[10s])",
    "predict_linear(temperature[12s], 60)",
    "jobs_total offset 4s",
    // Half a second off the samples: releases differ on whether a window includes its start.
    "max_over_time(rate(jobs_total[6500ms])[12s:3s])",
    "temperature > 0 or jobs_total",
    "temperature{room=\"attic\"} - on () temperature{room=\"cellar\"}",
    "jobs_total * on (queue) group_left sum by (queue) (jobs_total)",
    "jobs_total unless jobs_total{queue=\"slow\"}",
    "label_replace(temperature, \"floor\", \"$1-x\", \"room\", \"(.).*\")",
    "absent(no_such_metric{a=\"b\"})",
    "clamp(temperature, -5, 5)",
    "scalar(sum(jobs_total)) % 7",
    "round(temperature, 0.25)",
];

#[test]
fn timed_samples_give_equal_answers() {
    let (Some(vigie), Some(original)) = (tools::vigie(), tools::prometheus()) else { return };
    let directory = test_directory("original-exact");
    let target = Target::start(|_| Response::ok("text/plain; version=0.0.4", exposition()));
    let config = one_job("400ms", "timed", target.address(), "");
    fs::write(directory.join("prometheus.yml"), config).unwrap();
    let ours = Server::ours(&vigie, &directory, "prometheus.yml");
    let theirs = Server::original(&original, &directory, "prometheus.yml");
    for server in [&ours, &theirs] {
        wait_for("thirty seconds of samples", SOON + SOON, || {
            let count =
                prometheus::number(&server.address, "count_over_time(temperature{room=\"attic\"}[1m])")?;
            ensure!(count >= 15.0, "{count} samples");
            Ok(())
        });
    }
    // Both have every tick but perhaps the newest.
    let end = ((now_seconds() as u64 / TICK - 1) * TICK) as f64 + 0.5;
    let mut wrong = Vec::new();
    for expression in EXACT {
        let ask = |server: &Server| {
            let instant = prometheus::query(&server.address, expression, Some(end))?;
            // A range that never reaches back to before the first sample of either server.
            let range = prometheus::query_range(&server.address, expression, end - 4.0, end, 1.0)?;
            anyhow::Ok((prometheus::vector(&instant)?, range))
        };
        match (ask(&ours), ask(&theirs)) {
            (Ok((our, our_range)), Ok((their, their_range))) => {
                if let Some(difference) = difference(&our, &their, 1e-6) {
                    wrong.push(format!("{expression}: {difference}"));
                }
                if let Some(difference) = range_difference(&our_range, &their_range) {
                    wrong.push(format!("{expression} over a range: {difference}"));
                }
            }
            (our, their) => wrong.push(format!("{expression}: {:?}, there {:?}", our.err(), their.err())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What differs, if anything: the labels, or a value by more than the tolerance (relative).
pub(crate) fn difference(
    our: &prometheus::Vector,
    their: &prometheus::Vector,
    tolerance: f64,
) -> Option<String> {
    if !our.keys().eq(their.keys()) {
        return Some(format!("series {:?}, there {:?}", our.keys(), their.keys()));
    }
    our.iter()
        .zip(their.values())
        .find(|((_, our), their)| !near(**our, **their, tolerance))
        .map(|((labels, our), their)| format!("{labels:?} is {our}, there {their}"))
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1e-9)
}

pub(crate) fn range_difference(our: &serde_json::Value, their: &serde_json::Value) -> Option<String> {
    let matrix = |data: &serde_json::Value| -> prometheus::Vector {
        let mut points = prometheus::Vector::new();
        for series in data["result"].as_array().unwrap() {
            for point in series["values"].as_array().unwrap() {
                let mut labels = prometheus::labels(&series["metric"]).unwrap();
                labels.insert("(time)".to_owned(), point[0].to_string());
                points.insert(labels, point[1].as_str().unwrap().parse().unwrap());
            }
        }
        points
    };
    difference(&matrix(our), &matrix(their), 1e-6)
}

#[test]
fn the_reference_application_reads_alike() {
    let (Some(vigie), Some(original), Some(real_estate)) =
        (tools::vigie(), tools::prometheus(), tools::real_estate())
    else {
        return;
    };
    let directory = test_directory("original-application");
    let application = Application::start(&real_estate, &directory);
    fs::write(
        directory.join("prometheus.yml"),
        one_job("500ms", "real-estate-api", &application.address, ""),
    )
    .unwrap();
    let ours = Server::ours(&vigie, &directory, "prometheus.yml");
    let theirs = Server::original(&original, &directory, "prometheus.yml");
    for server in [&ours, &theirs] {
        wait_for("twenty seconds of samples", SOON, || {
            ensure!(prometheus::number(&server.address, "count_over_time(up[1m])")? >= 40.0);
            Ok(())
        });
    }
    // Tolerances cover half a second between the scrapes of the two.
    for (expression, tolerance) in [
        ("up", 0.0),
        ("process_start_time_seconds", 0.0),
        ("process_max_fds", 0.0),
        ("scrape_samples_post_metric_relabeling - scrape_samples_scraped", 0.0),
        ("sum(rate(requests_total[15s]))", 0.3),
        (
            "sum by (endpoint) (increase(requests_total{status=\"200\", endpoint=\"/api/listings\"}[15s]))",
            0.4,
        ),
        ("sum(rate(request_duration_seconds_count[15s]))", 0.3),
        ("cache_hits / (cache_hits + cache_misses)", 0.2),
        ("process_resident_memory_bytes / 1024^3", 0.5),
        ("(time() - process_start_time_seconds) / 86400", 0.05),
        ("count by (__name__) ({job=\"real-estate-api\"}) > 1", 0.0),
        ("request_duration_seconds_bucket{endpoint=\"/metrics\", le=\"+Inf\"}", 0.1),
    ] {
        wait_for(expression, SOON, || {
            let at = Some(now_seconds() - 0.6);
            let our = prometheus::vector(&prometheus::query(&ours.address, expression, at)?)?;
            let their = prometheus::vector(&prometheus::query(&theirs.address, expression, at)?)?;
            ensure!(!our.is_empty(), "no series");
            let difference = difference(&our, &their, tolerance);
            ensure!(difference.is_none(), "{}", difference.unwrap_or_default());
            Ok(())
        });
    }
}
