//! The series of the demo service that the compliance queries of PromQL ask for, scraped every five seconds.

use std::collections::BTreeMap;

use crate::dataset::{LENGTH_MS, STALE_MARKER, START_MS};
use crate::random::Random;
use crate::remote_write::Series;

const INTERVAL_MS: i64 = 5000;

/// Two hours of three instances.
#[must_use]
pub fn series() -> Vec<Series> {
    let mut all = Vec::new();
    for (i, instance) in ["10000", "10001", "10002"].iter().enumerate() {
        let instance = format!("demo.promlabs.com:{instance}");
        let mut add =
            |name: &str, labels: &[(&str, &str)], value: &mut dyn FnMut(i64, &mut Random) -> Option<f64>| {
                let mut all_labels: BTreeMap<String, String> =
                    labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                for (name, value) in [("__name__", name), ("instance", &instance), ("job", "demo")] {
                    all_labels.insert(name.to_owned(), value.to_owned());
                }
                let mut random = Random::named(3, &format!("{all_labels:?}"));
                let times =
                    (0..LENGTH_MS / INTERVAL_MS).map(|n| START_MS + 217 + 1000 * i as i64 + n * INTERVAL_MS);
                let samples = times.filter_map(|ts| value(ts, &mut random).map(|v| (ts, v))).collect();
                all.push(Series { labels: all_labels, samples });
            };
        for kind in ["used", "free", "buffers", "cached"] {
            add("demo_memory_usage_bytes", &[("type", kind)], &mut |_, r| {
                Some((r.below(1 << 30) + (1 << 28)) as f64)
            });
        }
        for mode in ["idle", "user", "system"] {
            let mut total = 0.0;
            add("demo_cpu_usage_seconds_total", &[("mode", mode)], &mut |_, r| {
                total = if r.below(500) == 0 { 0.0 } else { total + r.below(640) as f64 / 128.0 };
                Some(total)
            });
        }
        add("demo_num_cpus", &[], &mut |_, _| Some(4.0));
        let mut disk = 1e10;
        add("demo_disk_usage_bytes", &[], &mut |_, r| {
            disk += r.below(4096) as f64;
            Some(disk)
        });
        add("demo_batch_last_success_timestamp_seconds", &[], &mut |ts, _| Some((ts / 600_000 * 600) as f64));
        let mut minute = 0;
        add("demo_intermittent_metric", &[], &mut |ts, _| {
            let was = std::mem::replace(&mut minute, ts / 60_000 % 2);
            match (was, minute) {
                (_, 1) => Some(1.0),
                (1, 0) => Some(STALE_MARKER),
                _ => None,
            }
        });
        for (path, status) in [("/api/foo", "200"), ("/api/foo", "500"), ("/api/bar", "200")] {
            histogram(&mut add, path, status);
        }
    }
    all
}

/// Adds one series: name, labels, value at a time.
type Add<'a> = dyn FnMut(&str, &[(&str, &str)], &mut dyn FnMut(i64, &mut Random) -> Option<f64>) + 'a;

fn histogram(add: &mut Add<'_>, path: &str, status: &str) {
    let bounds = ["0.0001", "0.001", "0.01", "0.1", "0.5", "1", "+Inf"];
    let labels = [("method", "GET"), ("path", path), ("status", status)];
    // Each series counts the same observations, those up to its bound.
    let counted = |up_to: usize| {
        let mut random = Random::named(4, &format!("{path}{status}"));
        let mut count = 0_usize;
        move |_: i64, _: &mut Random| {
            let grown: Vec<usize> = (0..bounds.len()).map(|_| random.below(5)).collect();
            count += grown[..=up_to].iter().sum::<usize>();
            Some(count as f64)
        }
    };
    for (i, le) in bounds.iter().enumerate() {
        let labels: Vec<_> = labels.iter().copied().chain([("le", *le)]).collect();
        add("demo_api_request_duration_seconds_bucket", &labels, &mut counted(i));
    }
    let (mut count, mut sum) = (counted(bounds.len() - 1), 0.0);
    add("demo_api_request_duration_seconds_count", &labels, &mut count);
    add("demo_api_request_duration_seconds_sum", &labels, &mut |_, r| {
        sum += r.below(64) as f64 / 64.0;
        Some(sum)
    });
}
