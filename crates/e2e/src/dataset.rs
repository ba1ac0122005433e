//! Data for comparing queries: families of series with everything that makes PromQL hard, the same on every machine.
//!
//! Samples are never on whole or half seconds, nor 137 ms past them, and queries are asked at exactly such times: whether
//! a window includes its start is what releases differ on. Values are mostly whole or quarters, so that sums are exact in
//! any order.

use std::collections::BTreeMap;

use crate::random::Random;
use crate::remote_write::Series;

/// Where the data begins, in milliseconds; a whole hour.
pub const START_MS: i64 = 1_699_999_200_000;
/// How much there is.
pub const LENGTH_MS: i64 = 7_200_000;
/// A sample of this value ends a series for now.
pub const STALE_MARKER: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// What a family's values are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Grows by up to so much a sample, with resets.
    Counter(u64),
    /// Walks in quarters within plus and minus this.
    Gauge(i64),
    /// NaN, infinities, negative zero, the tiny and the huge.
    Odd,
    /// 0 or 1.
    Flag,
    /// One small number per series.
    Constant,
    /// Seconds since 1970.
    Clock,
    /// Cumulative counts by the label `le`.
    Bucket,
    /// The same, not monotonic, some without `+Inf`.
    BrokenBucket,
}

/// Series with one name and the same labels.
#[derive(Debug)]
pub struct Family {
    /// The metric's name.
    pub name: &'static str,
    /// Labels with their values; each combination is a series unless it is left out.
    pub labels: &'static [(&'static str, &'static [&'static str])],
    /// What the values are like.
    pub kind: Kind,
    /// Between two samples.
    pub interval_ms: i64,
    /// Whether series come and go, have gaps, or are missing.
    pub churn: bool,
}

impl Family {
    /// The names of the labels, sorted.
    #[must_use]
    pub fn label_names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.labels.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    }
}

const JOB: (&str, &[&str]) = ("job", &["api"]);
const INSTANCE: (&str, &[&str]) = ("instance", &["a:1", "b:1", "c:1"]);
const METHOD: (&str, &[&str]) = ("method", &["get", "post"]);
const LE: (&str, &[&str]) = ("le", &["0.1", "0.25", "1", "2.5", "10", "+Inf"]);
const ODD_LABELS: &[&str] = &["/", "with \"quotes\"", "back\\slash", "é→😀", "a b\tc", "'", "{x=\"y\"}"];

/// All families.
pub const FAMILIES: &[Family] = &[
    family(
        "requests_total",
        &[JOB, INSTANCE, METHOD, ("code", &["200", "404", "500"])],
        Kind::Counter(40),
        15,
        true,
    ),
    family("errors_total", &[JOB, INSTANCE, METHOD], Kind::Counter(6), 30, true),
    family("bytes_total", &[JOB, INSTANCE], Kind::Counter(1 << 20), 15, false),
    family(
        "temperature",
        &[JOB, INSTANCE, ("room", &["attic", "cellar", "hall"])],
        Kind::Gauge(30),
        15,
        false,
    ),
    family("queue_length", &[JOB, INSTANCE], Kind::Gauge(1000), 60, true),
    family(
        "balance",
        &[("account", &["1", "2", "3", "10"]), ("job", &["bank", "api"])],
        Kind::Gauge(100_000),
        20,
        true,
    ),
    family("odd_values", &[JOB, INSTANCE, ("kind", &["x", "y", "z"])], Kind::Odd, 15, true),
    family("enabled", &[JOB, INSTANCE, ("flag", &["f", "g"])], Kind::Flag, 30, false),
    family("cpus", &[JOB, INSTANCE], Kind::Constant, 15, false),
    family(
        "build_info",
        &[JOB, INSTANCE, ("version", &["1.2.3"]), ("zone", &["west"])],
        Kind::Constant,
        60,
        false,
    ),
    family("boot_time_seconds", &[JOB, INSTANCE], Kind::Clock, 60, false),
    family("latency_seconds_bucket", &[JOB, INSTANCE, LE], Kind::Bucket, 15, false),
    family("wait_seconds_bucket", &[JOB, METHOD, LE], Kind::Bucket, 30, true),
    family("broken_seconds_bucket", &[JOB, INSTANCE, LE], Kind::BrokenBucket, 15, false),
    family("paths", &[JOB, ("path", ODD_LABELS)], Kind::Gauge(50), 30, true),
    family("sparse", &[JOB, INSTANCE], Kind::Gauge(8), 240, true),
    family(
        "grid",
        &[("x", &["1", "2", "3", "4"]), ("y", &["1", "2", "3"]), ("z", &["u", "v"])],
        Kind::Gauge(9),
        60,
        true,
    ),
    family("lines", &[("x", &["1", "2", "3", "4", "5"])], Kind::Constant, 60, false),
];

const fn family(
    name: &'static str,
    labels: &'static [(&'static str, &'static [&'static str])],
    kind: Kind,
    interval_seconds: i64,
    churn: bool,
) -> Family {
    Family { name, labels, kind, interval_ms: interval_seconds * 1000, churn }
}

const ODD: &[f64] = &[
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -0.0,
    0.0,
    5e-324,
    -1e-300,
    1e300,
    -1e300,
    f64::MAX,
    1.5,
    -2.25,
    0.1,
    9_007_199_254_740_993.0,
    7.0,
];

/// The series of all families.
#[must_use]
pub fn series() -> Vec<Series> {
    let mut all = Vec::new();
    for family in FAMILIES {
        for (i, labels) in combinations(family).into_iter().enumerate() {
            let text = format!("{labels:?}");
            let mut random = Random::named(1, &text);
            if family.churn && random.percent(12) {
                continue;
            }
            let no_end = labels.get("le").is_some_and(|le| le == "+Inf");
            if family.kind == Kind::BrokenBucket && no_end && labels["instance"] == "c:1" {
                continue;
            }
            let life = if family.churn { random.below(6) } else { 0 };
            // Buckets of one histogram draw the same numbers.
            let mut group = labels.clone();
            group.remove("le");
            let numbers = Random::named(2, &format!("{group:?}"));
            let values = Values {
                kind: family.kind,
                random: numbers,
                le: le_index(&labels),
                held: Vec::new(),
                constant: i % 8 + 1,
            };
            all.push(Series { samples: samples(family, life, &mut random, values), labels });
        }
    }
    all
}

fn combinations(family: &Family) -> Vec<BTreeMap<String, String>> {
    let mut all = vec![BTreeMap::from([("__name__".to_owned(), family.name.to_owned())])];
    for (name, values) in family.labels {
        all = all
            .iter()
            .flat_map(|labels| {
                values.iter().map(|value| {
                    let mut labels = labels.clone();
                    labels.insert((*name).to_owned(), (*value).to_owned());
                    labels
                })
            })
            .collect();
    }
    all
}

fn le_index(labels: &BTreeMap<String, String>) -> usize {
    labels.get("le").and_then(|le| LE.1.iter().position(|l| l == le)).unwrap_or(0)
}

fn samples(family: &Family, life: usize, random: &mut Random, mut values: Values) -> Vec<(i64, f64)> {
    let phase = random.pick(&[217, 1341, 3773, 2217, 4902]);
    let count = LENGTH_MS / family.interval_ms;
    let mut samples = Vec::new();
    let mut away = 0_i64;
    for i in 0..count {
        let ts = START_MS + phase + i * family.interval_ms + random.pick(&[0, 0, 0, 1, 3, -2, 11]);
        let value = values.next(ts);
        match life {
            // Starts late.
            1 if i < count / 3 => continue,
            // Ends early.
            2 if i == count * 2 / 3 => samples.push((ts, STALE_MARKER)),
            2 if i > count * 2 / 3 => break,
            // Comes and goes, with markers or without.
            3 | 4 if away > 0 => away -= 1,
            3 | 4 if random.percent(4) => {
                away = 4 + random.below(40) as i64;
                if life == 3 {
                    samples.push((ts, STALE_MARKER));
                }
            }
            // Single samples are missing.
            5 if random.percent(20) => {}
            _ => samples.push((ts, value)),
        }
    }
    samples
}

struct Values {
    kind: Kind,
    random: Random,
    le: usize,
    held: Vec<f64>,
    constant: usize,
}

impl Values {
    fn next(&mut self, ts: i64) -> f64 {
        let random = &mut self.random;
        match self.kind {
            Kind::Counter(step) => {
                let value = self.held.first().copied().unwrap_or_else(|| (random.below(9000) + 1000) as f64);
                let value = match random.below(150) {
                    0 => 0.0,
                    1 => (value / 2.0).floor(),
                    2..30 => value,
                    _ => value + random.below(step as usize) as f64,
                };
                self.held = vec![value];
                value
            }
            Kind::Gauge(bound) => {
                let bound = bound as f64;
                let value = self.held.first().copied().unwrap_or(0.0);
                let step = (random.below(9) as f64 - 4.0) * (bound / 16.0).max(0.25);
                let value = ((value + step).clamp(-bound, bound) * 4.0).round() / 4.0;
                self.held = vec![value];
                value
            }
            // Stays a while at each, so that windows differ.
            Kind::Odd => {
                if self.held.is_empty() || random.percent(40) {
                    self.held = vec![random.pick(ODD)];
                }
                self.held[0]
            }
            Kind::Flag => f64::from(u8::from(random.percent(70))),
            Kind::Constant => self.constant as f64,
            Kind::Clock => (ts / 1000 - self.constant as i64 * 86_400 * 37) as f64,
            Kind::Bucket | Kind::BrokenBucket => {
                self.held.resize(LE.1.len(), 0.0);
                let reset = random.percent(1);
                for count in &mut self.held {
                    *count = if reset { 0.0 } else { *count } + random.below(7) as f64;
                }
                let total: f64 = self.held[..=self.le].iter().sum();
                let dent = if random.percent(30) { random.below(LE.1.len()) } else { LE.1.len() };
                if self.kind == Kind::BrokenBucket && dent == self.le {
                    (total - 60.0).max(0.0)
                } else {
                    total
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_what_it_says() {
        let all = series();
        assert!(all.len() > 120, "{}", all.len());
        for one in &all {
            assert!(one.samples.windows(2).all(|w| w[0].0 < w[1].0));
            assert!(one.samples.iter().all(|(ts, _)| ![0, 137].contains(&(ts % 500))));
        }
        let bits: Vec<u64> = all.iter().flat_map(|s| &s.samples).map(|(_, v)| v.to_bits()).collect();
        for value in [f64::NAN, f64::INFINITY, -0.0, 5e-324, STALE_MARKER] {
            assert!(bits.contains(&value.to_bits()), "{value}");
        }
    }
}
