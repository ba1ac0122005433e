//! Many scrape targets on one port, for the benchmarks.
//!
//! `GET /CLIENT/N` is target N's exposition: always the same series, most with constant values, the
//! others moving with time. `GET /stats` is a JSON object of the samples served to each client.
//!
//! usage: load-target ADDRESS TARGETS SERIES_PER_TARGET SECONDS_PER_TICK

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context as _, bail};

/// Of a hundred series, this many never change.
const CONSTANT_PER_CENT: u64 = 70;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, targets, series, tick] = &arguments[..] else {
        bail!("usage: load-target ADDRESS TARGETS SERIES_PER_TARGET SECONDS_PER_TICK");
    };
    let load = Arc::new(Load {
        targets: (0..targets.parse()?)
            .map(|target| Target::new(target, series.parse().unwrap_or(0)))
            .collect(),
        started: Instant::now(),
        seconds_per_tick: tick.parse::<u64>()?.max(1),
        served: Mutex::default(),
    });
    let listener = TcpListener::bind(address).with_context(|| address.clone())?;
    for stream in listener.incoming() {
        let (stream, load) = (stream?, Arc::clone(&load));
        // One thread per connection: a scraper keeps one per target.
        std::thread::Builder::new().stack_size(128 << 10).spawn(move || {
            // A scraper that hangs up ends its thread.
            drop(load.connection(stream));
        })?;
    }
    Ok(())
}

struct Load {
    targets: Vec<Target>,
    started: Instant,
    seconds_per_tick: u64,
    served: Mutex<BTreeMap<String, u64>>,
}

impl Load {
    fn connection(&self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let mut answer = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            while line.trim_end() != "" {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
            }
            answer.clear();
            self.answer(&path, &mut answer)?;
            reader.get_mut().write_all(&answer)?;
        }
    }

    fn answer(&self, path: &str, answer: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut body = Vec::new();
        let mut status = "200 OK";
        let mut words = path.trim_start_matches('/').split('/');
        match (words.next(), words.next().and_then(|number| self.targets.get(number.parse::<usize>().ok()?)))
        {
            (Some("stats"), _) => {
                let served = self.served.lock().expect("no holder panics");
                body = serde_json::to_vec(&*served)?;
            }
            (Some(client), Some(target)) => {
                target.render(self.started.elapsed().as_secs() / self.seconds_per_tick, &mut body);
                let mut served = self.served.lock().expect("no holder panics");
                *served.entry(client.to_owned()).or_default() += target.lines.len() as u64;
            }
            _ => status = "404 Not Found",
        }
        let length = body.len();
        write!(
            answer,
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
        )?;
        answer.extend_from_slice(&body);
        Ok(())
    }
}

struct Target {
    lines: Vec<Line>,
}

/// One sample: all that precedes its value, and how that moves.
struct Line {
    text: String,
    base: u64,
    /// Zero for a constant.
    step: u64,
    gauge: bool,
}

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
/// Series in one family of one target.
const FAMILY_SIZE: u64 = 25;

impl Target {
    fn new(number: u64, series: u64) -> Self {
        let lines = (0..series).map(|index| {
            let family = index / FAMILY_SIZE;
            let (name, kind, labels) = FAMILIES[(family % FAMILIES.len() as u64) as usize];
            let mut text = String::new();
            if index % FAMILY_SIZE == 0 {
                text = format!("# HELP app{family}_{name} What the program counts under this name.\n# TYPE app{family}_{name} {kind}\n");
            }
            let labels = labels.replace("{}", &(index % FAMILY_SIZE).to_string());
            text.push_str(&format!("app{family}_{name}{{{labels}}} "));
            let random = mix(number << 32 | index);
            let moves = random % 100 >= CONSTANT_PER_CENT;
            Line { text, base: random >> 40, step: if moves { 1 + (random >> 8) % 97 } else { 0 }, gauge: kind == "gauge" }
        });
        Self { lines: lines.collect() }
    }

    fn render(&self, tick: u64, body: &mut Vec<u8>) {
        for (index, line) in self.lines.iter().enumerate() {
            body.extend_from_slice(line.text.as_bytes());
            let value = match (line.step, line.gauge) {
                (0, _) => line.base,
                (step, false) => line.base + step * tick + mix(tick ^ index as u64) % step,
                (step, true) => line.base + mix(tick << 20 ^ index as u64) % (step * 1000),
            };
            let written = if line.gauge && line.step > 0 {
                writeln!(body, "{}.{:02}", value, value % 100)
            } else {
                writeln!(body, "{value}")
            };
            written.expect("a Vec takes all that is written to it");
        }
    }
}

/// SplitMix64's finisher: the same series have the same values in every run.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
