//! The noisy set: series that are hard to compress because they move, as servers' series do.
//!
//! Per instance and hundred series: CPU seconds by mode (9; counters with two decimals), requests by handler and code (37; whole
//! counters from a few to some thousands a step), a latency histogram (12 buckets, sum with three decimals, count: they move
//! together), memory of containers (14; walks in steps of 4 KiB), free space of file systems (4; likewise, slower), loads and
//! temperatures (4; noise around a walk, two or three decimals), connections and queues (6; small whole numbers), limits and
//! information (12; constant). Values are whole numbers of some decimal unit, divided: what a program prints, read back.

use super::load::mix;

/// Series of one instance.
const PER_INSTANCE: usize = 100;
const BUCKETS: [(&str, f64); 12] = [
    ("0.005", 0.11),
    ("0.01", 0.23),
    ("0.025", 0.42),
    ("0.05", 0.61),
    ("0.1", 0.77),
    ("0.25", 0.89),
    ("0.5", 0.948),
    ("1", 0.976),
    ("2.5", 0.992),
    ("5", 0.9971),
    ("10", 0.9995),
    ("+Inf", 1.0),
];

/// One series and where it is.
pub(crate) struct Series {
    /// Sorted by name, with the metric name.
    pub(crate) labels: Vec<(&'static str, String)>,
    movement: Movement,
    seed: u64,
    tick: u64,
    /// In units of `1 / scale`.
    state: i64,
    scale: f64,
}

#[derive(Debug, Clone, Copy)]
enum Movement {
    Constant,
    /// Grows by `mean` a step, a fifth more or less.
    Grows {
        mean: u64,
    },
    /// Grows by a share of what its histogram counts in a step.
    Share {
        mean: u64,
        share: f64,
    },
    /// Grows by a histogram's observations times their mean.
    Sum {
        mean: u64,
    },
    /// Walks by up to `step` units of `unit`, but only in one of `rests` steps.
    Walks {
        unit: i64,
        step: u64,
        rests: u64,
    },
    /// Noise of `width` units around a walk.
    Noise {
        width: u64,
    },
    /// Whole numbers below `below`, more often small.
    Small {
        below: u64,
    },
}

/// `count` series.
pub(crate) fn series(count: usize) -> Vec<Series> {
    (0..count).map(|number| one(number / PER_INSTANCE, number % PER_INSTANCE)).collect()
}

fn one(instance: usize, index: usize) -> Series {
    let seed = mix((instance as u64) << 32 | index as u64);
    // All series of one histogram have this one.
    let shared = mix((instance as u64) << 32 | 0xffff);
    let mean = 1 + shared % 400;
    let pick = |names: &[&str], at: usize| names[at % names.len()].to_owned();
    let (name, own, movement, scale): (&str, Vec<(&'static str, String)>, Movement, f64) = match index {
        0..9 => {
            let modes = ["idle", "user", "system"];
            let mode = index % 3;
            // A step is 15 s, so 1,500 hundredths; an idle mode has most of it.
            let mean = [1200, 190, 60][mode];
            let labels = vec![("cpu", (index / 3).to_string()), ("mode", pick(&modes, mode))];
            ("node_cpu_seconds_total", labels, Movement::Grows { mean }, 100.0)
        }
        9..46 => {
            let at = index - 9;
            let handlers = ["/api/v1/orders", "/api/v1/accounts/{id}", "/login", "/search", "/static/*"];
            let labels = vec![
                ("code", pick(&["200", "404", "500", "302"], at / 5)),
                ("handler", pick(&handlers, at)),
                ("method", pick(&["GET", "POST"], at / 20)),
            ];
            (
                "http_requests_total",
                labels,
                Movement::Grows { mean: 1 + (seed % 5000) / (1 + at as u64 / 2) },
                1.0,
            )
        }
        46..58 => {
            let (le, share) = BUCKETS[index - 46];
            let labels = vec![("handler", "/api/v1/orders".to_owned()), ("le", le.to_owned())];
            ("http_request_duration_seconds_bucket", labels, Movement::Share { mean, share }, 1.0)
        }
        58 => {
            let labels = vec![("handler", "/api/v1/orders".to_owned())];
            ("http_request_duration_seconds_sum", labels, Movement::Sum { mean }, 1000.0)
        }
        59 => {
            let labels = vec![("handler", "/api/v1/orders".to_owned())];
            ("http_request_duration_seconds_count", labels, Movement::Share { mean, share: 1.0 }, 1.0)
        }
        60..74 => {
            // The last digit tells an instance's pods apart, however many instances there are.
            let pod = format!("ledger-7d9f8b6c5-{:05x}", seed & 0xf_fff0 | (index as u64 - 60));
            let labels =
                vec![("container", "app".to_owned()), ("namespace", "payments".to_owned()), ("pod", pod)];
            let movement = Movement::Walks { unit: 4096, step: 64, rests: 1 };
            ("container_memory_working_set_bytes", labels, movement, 1.0)
        }
        74..78 => {
            let device = format!("/dev/mapper/vg0-lv{}", index - 74);
            let labels = vec![("device", device), ("mountpoint", format!("/srv/data/{}", index - 74))];
            ("node_filesystem_avail_bytes", labels, Movement::Walks { unit: 4096, step: 900, rests: 3 }, 1.0)
        }
        78..80 => {
            let labels = vec![("period", pick(&["1m", "15m"], index))];
            ("node_load_average", labels, Movement::Noise { width: 30 }, 100.0)
        }
        80..82 => {
            let labels = vec![("chip", "coretemp".to_owned()), ("sensor", format!("temp{}", index - 79))];
            ("node_hwmon_temp_celsius", labels, Movement::Noise { width: 700 }, 1000.0)
        }
        82..88 => {
            let labels = vec![
                ("pool", pick(&["web", "jobs", "replica"], index)),
                ("state", pick(&["busy", "idle"], index / 3)),
            ];
            ("db_pool_connections", labels, Movement::Small { below: 3 + seed % 37 }, 1.0)
        }
        _ => {
            let labels = vec![("resource", format!("limit-{}", index - 88))];
            ("kube_resource_limit", labels, Movement::Constant, 1.0)
        }
    };
    let mut labels = vec![
        ("__name__", name.to_owned()),
        ("cluster", pick(&["eu-west-1", "eu-west-2", "us-east-1", "ap-south-1"], instance / 50)),
        ("instance", format!("10.{}.{}.{}:9100", instance / 65536, instance / 256 % 256, instance % 256)),
        ("job", pick(&["node", "shop", "billing", "search", "mail"], instance)),
    ];
    labels.extend(own);
    labels.sort_unstable();
    let seed = if matches!(movement, Movement::Share { .. } | Movement::Sum { .. }) { shared } else { seed };
    let state = match movement {
        Movement::Walks { unit, .. } => unit * (100_000 + (seed % 900_000) as i64),
        Movement::Noise { width } => width as i64 * 20 + (seed % (width * 40)) as i64,
        Movement::Constant => (seed % 64) as i64 * 100,
        // Counters have counted for a while.
        _ => (seed % 3_000_000) as i64,
    };
    // Buckets are not beyond each other from the start.
    let state = if matches!(movement, Movement::Share { .. } | Movement::Sum { .. }) { 0 } else { state };
    Series { labels, movement, seed, tick: 0, state, scale }
}

impl Series {
    /// The value of the next step.
    pub(crate) fn next(&mut self) -> f64 {
        self.tick += 1;
        let random = mix(self.seed ^ self.tick.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Two more draws that are as good as independent of it.
        let (low, high) = (random & 0xffff_ffff, random >> 32);
        let around = |mean: u64| (mean + low % (mean * 2 / 5 + 2)).saturating_sub(mean / 5);
        let shown = match self.movement {
            Movement::Constant => self.state,
            Movement::Grows { mean } => {
                self.state += around(mean) as i64;
                self.state
            }
            Movement::Share { mean, share } => {
                // The same fraction for all buckets keeps them in order.
                let fraction = high as f64 / f64::from(u32::MAX) * 0.999;
                self.state += (around(mean) as f64 * share + fraction) as i64;
                self.state
            }
            Movement::Sum { mean } => {
                self.state += around(mean) as i64 * 160 + (high % 97) as i64;
                self.state
            }
            Movement::Walks { unit, step, rests } => {
                if high.is_multiple_of(rests) {
                    self.state += unit * ((low % (2 * step + 1)) as i64 - step as i64);
                }
                self.state = self.state.max(0);
                self.state
            }
            Movement::Noise { width } => {
                if high.is_multiple_of(16) {
                    self.state += (low % (width / 2 + 1)) as i64 - (width / 4) as i64;
                    self.state = self.state.max(0);
                }
                self.state + (low % width) as i64
            }
            Movement::Small { below } => (low % below).min(high % below) as i64,
        };
        shown as f64 / self.scale
    }

    /// A selector of exactly this series.
    pub(crate) fn selector(&self) -> String {
        let labels: Vec<String> =
            self.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("{{{}}}", labels.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_series_is_its_own_and_buckets_stay_in_order() {
        let mut all = series(400);
        let names: BTreeSet<String> = all.iter().map(Series::selector).collect();
        assert_eq!(names.len(), all.len());
        for _ in 0..500 {
            let values: Vec<f64> = all.iter_mut().map(Series::next).collect();
            for instance in values.chunks(PER_INSTANCE) {
                assert!(
                    instance[46..58].windows(2).all(|pair| pair[0] <= pair[1]),
                    "{:?}",
                    &instance[46..58]
                );
                assert_eq!(instance[57], instance[59], "+Inf is the count");
                assert!(instance.iter().all(|value| *value >= 0.0));
            }
        }
        let again: Vec<f64> = series(400).iter_mut().map(Series::next).collect();
        assert_eq!(again, series(400).iter_mut().map(Series::next).collect::<Vec<_>>());
    }
}
