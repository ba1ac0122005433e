//! The expositions that the targets of the benchmarks serve.
//!
//! A target always has the same series in the same order; of a hundred, [`CONSTANT_PER_CENT`] never change and the others move
//! with time. Under churn some of them are replaced with time: a label of theirs gets its next value. All text that
//! does not move is laid out once, so that an exposition is little more than copying.

use std::io::Write as _;

/// Of a hundred series, this many never change.
pub(crate) const CONSTANT_PER_CENT: u64 = 70;
/// Series in one family of one target.
const FAMILY_SIZE: u64 = 25;
/// The metric of the first family, whose sums [`Target::sum`] knows.
pub(crate) const FIRST_METRIC: &str = "app0_http_server_requests_total";

/// Name, type, and the labels of its series, of which `{}` is the number within the family.
const FAMILIES: [(&str, &str, &str); 8] = [
    (
        "http_server_requests_total",
        "counter",
        "method=\"GET\",handler=\"/api/v1/accounts/{}/orders\",code=\"200\"",
    ),
    (
        "container_memory_working_set_bytes",
        "gauge",
        "namespace=\"payments\",pod=\"ledger-7d9f8b6c5-x{}k2\",container=\"app\",image=\"registry.internal/payments/ledger:1.42.7\"",
    ),
    ("node_cpu_seconds_total", "counter", "cpu=\"{}\",mode=\"idle\""),
    (
        "grpc_server_handled_total",
        "counter",
        "grpc_code=\"OK\",grpc_method=\"Method{}\",grpc_service=\"inventory.v2.Stock\",grpc_type=\"unary\"",
    ),
    (
        "node_filesystem_avail_bytes",
        "gauge",
        "device=\"/dev/mapper/vg0-lv{}\",fstype=\"ext4\",mountpoint=\"/srv/data/{}\"",
    ),
    (
        "kube_pod_status_phase",
        "gauge",
        "namespace=\"shop-{}\",pod=\"checkout-6f7c9d5b8-{}\",phase=\"Running\"",
    ),
    (
        "pg_stat_user_tables_n_tup_ins_total",
        "counter",
        "datname=\"orders\",schemaname=\"public\",relname=\"order_items_{}\"",
    ),
    ("rpc_duration_seconds_bucket", "counter", "service=\"search\",shard=\"{}\",le=\"0.25\""),
];

/// One target.
pub(crate) struct Target {
    /// All that never moves, in order.
    text: Vec<u8>,
    /// What goes in between, by its place in `text`.
    inserts: Vec<(usize, Insert)>,
    first_family: Vec<Value>,
    pub(crate) series: u64,
}

enum Insert {
    Value(Value),
    /// How often the series of this number was replaced.
    Generation(u64),
}

/// How a series moves.
#[derive(Clone, Copy)]
struct Value {
    index: u64,
    base: u64,
    /// Zero for a constant.
    step: u64,
    gauge: bool,
}

impl Target {
    /// Target number `number` with `series` series; with `churns` each has a label that tells its generation.
    pub(crate) fn new(number: u64, series: u64, churns: bool) -> Self {
        let mut target = Self { text: vec![], inserts: vec![], first_family: vec![], series };
        for index in 0..series {
            target.add(number, index, churns);
        }
        target
    }

    fn add(&mut self, number: u64, index: u64, churns: bool) {
        let family = index / FAMILY_SIZE;
        let (name, kind, labels) = FAMILIES[(family % FAMILIES.len() as u64) as usize];
        if index.is_multiple_of(FAMILY_SIZE) {
            let head = format!(
                "# HELP app{family}_{name} What the program counts under this name.\n# TYPE app{family}_{name} {kind}\n"
            );
            self.text.extend_from_slice(head.as_bytes());
        }
        let labels = labels.replace("{}", &(index % FAMILY_SIZE).to_string());
        self.text.extend_from_slice(format!("app{family}_{name}{{{labels}").as_bytes());
        if churns {
            self.text.extend_from_slice(b",replica=\"replica-");
            self.inserts.push((self.text.len(), Insert::Generation(index)));
            self.text.push(b'"');
        }
        self.text.extend_from_slice(b"} ");
        let random = mix(number << 32 | index);
        let moves = random % 100 >= CONSTANT_PER_CENT;
        let value = Value {
            index,
            base: random >> 40,
            step: if moves { 1 + (random >> 8) % 97 } else { 0 },
            gauge: kind == "gauge",
        };
        if family == 0 {
            self.first_family.push(value);
        }
        if moves {
            self.inserts.push((self.text.len(), Insert::Value(value)));
        } else {
            value.write(0, &mut self.text);
        }
        self.text.push(b'\n');
    }

    /// Appends the exposition at `tick`, `replaced` of all series having been replaced until then.
    pub(crate) fn render(&self, tick: u64, replaced: f64, body: &mut Vec<u8>) {
        let mut done = 0;
        for (at, insert) in &self.inserts {
            body.extend_from_slice(&self.text[done..*at]);
            done = *at;
            match insert {
                Insert::Value(value) => value.write(tick, body),
                Insert::Generation(index) => {
                    write!(body, "{}", self.generation(*index, replaced))
                        .expect("a Vec takes all that is written to it");
                }
            }
        }
        body.extend_from_slice(&self.text[done..]);
    }

    /// Series are replaced one after the other, evenly over time.
    fn generation(&self, index: u64, replaced: f64) -> u64 {
        (replaced + index as f64 / self.series as f64) as u64
    }

    /// How many series have appeared and gone until `replaced` of all were replaced.
    pub(crate) fn replaced(&self, replaced: f64) -> u64 {
        (0..self.series).map(|index| self.generation(index, replaced)).sum()
    }

    /// The sum of all series of [`FIRST_METRIC`] at `tick`: whole numbers, so the order of adding does not matter.
    pub(crate) fn sum(&self, tick: u64) -> u64 {
        self.first_family.iter().map(|value| value.at(tick)).sum()
    }
}

impl Value {
    fn at(self, tick: u64) -> u64 {
        match (self.step, self.gauge) {
            (0, _) => self.base,
            (step, false) => self.base + step * tick + mix(tick ^ self.index) % step,
            (step, true) => self.base + mix(tick << 20 ^ self.index) % (step * 1000),
        }
    }

    fn write(self, tick: u64, body: &mut Vec<u8>) {
        let value = self.at(tick);
        let written = if self.gauge && self.step > 0 {
            write!(body, "{}.{:02}", value, value % 100)
        } else {
            write!(body, "{value}")
        };
        written.expect("a Vec takes all that is written to it");
    }
}

/// SplitMix64's finisher: the same series have the same values in every run.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Series to value, as a scraper reads it.
    fn parsed(target: &Target, tick: u64, replaced: f64) -> BTreeMap<String, f64> {
        let mut body = vec![];
        target.render(tick, replaced, &mut body);
        let mut parser = exposition::Parser::new(exposition::Format::Text, &body);
        let mut all = BTreeMap::new();
        while let Some(entry) = parser.next().unwrap() {
            if let exposition::Entry::Series(series) = entry {
                let text = String::from_utf8(series.text().to_vec()).unwrap();
                assert!(all.insert(text, series.value).is_none(), "each series once");
            }
        }
        all
    }

    #[test]
    fn expositions_parse_and_add_up() {
        let target = Target::new(3, 90, false);
        for tick in [0, 1, 77] {
            let all = parsed(&target, tick, 0.0);
            assert_eq!(all.len(), 90);
            let first = all.iter().filter(|(series, _)| series.starts_with(FIRST_METRIC));
            assert_eq!(first.map(|(_, value)| value).sum::<f64>(), target.sum(tick) as f64);
        }
    }

    #[test]
    fn churn_replaces_the_share_asked_for() {
        let target = Target::new(0, 200, true);
        let (before, after) = (parsed(&target, 0, 0.0), parsed(&target, 1, 0.25));
        let gone = before.keys().filter(|series| !after.contains_key(*series)).count();
        assert_eq!((before.len(), after.len(), gone), (200, 200, 50));
        assert_eq!(target.replaced(0.25), 50);
        assert_eq!(target.replaced(0.0), 0);
        assert_eq!(target.replaced(2.0), 400);
    }
}
