//! Measures the chunk codec: `cargo run --profile quick -p vigie-tsdb --example codec -- [DIR|- [NAME]]`.
//!
//! Prints bytes and nanoseconds a sample for generated families of series and, when DIR is given, for the scrapes in it:
//! files `<unix milliseconds>.txt.gz`, each one gzipped text exposition of the same target. NAME (`fast counter/120`) picks lines.

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Histogram, Span};
use tsdb::bench::Codec;

/// As the store marks a cell without a sample.
const ABSENT: f64 = storage::ABSENT;

fn main() -> std::io::Result<()> {
    println!(
        "{:<22} {:>5} {:>5} | {:>7} {:>6} {:>6} | {:>7} {:>6} {:>6}   (bytes, ns to encode, ns to decode; a sample)",
        "family", "rows", "n", "fresh", "enc", "dec", "cold", "enc", "dec"
    );
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut mix = vec![];
    let mut noisy = vec![];
    for (name, share, make) in FAMILIES {
        let series: Vec<Vec<f64>> = (0..20).map(|_| make(&mut random, 2880)).collect();
        for rows in [120, 480, 960, 1440] {
            measure(name, rows, &series);
        }
        mix.extend(series.iter().take(*share).cloned());
        if !["constant", "full", "milliseconds"].iter().any(|odd| name.starts_with(odd)) {
            noisy.extend(series);
        }
    }
    let constants = mix.len() * 3 / 2;
    mix.extend((0..constants).map(|i| vec![(i * 131) as f64; 2880]));
    for rows in [120, 480, 960, 1440] {
        measure("= no constants", rows, &noisy);
    }
    for rows in [120, 480, 960, 1440] {
        measure("= node, 60 % constant", rows, &mix);
    }
    for rows in [120, 480] {
        measure_histograms(&mut random, rows);
    }
    if let Some(dir) = std::env::args().nth(1).filter(|dir| dir != "-") {
        let series = scrapes(Path::new(&dir))?;
        let moving: Vec<Vec<f64>> =
            series.iter().filter(|s| s.iter().any(|v| v.to_bits() != s[0].to_bits())).cloned().collect();
        // The last: all there is in one chunk.
        for rows in [24, 120, 480, 960, 1440, series[0].len().min(4096)] {
            measure("real node", rows, &series);
            measure("real, not constant", rows, &moving);
        }
    }
    Ok(())
}

/// Prints one line: all whole chunks of `rows` samples of `series`.
fn measure(name: &str, rows: usize, series: &[Vec<f64>]) {
    let asked = std::env::args().nth(2).is_none_or(|asked| format!("{name}/{rows}").contains(&asked));
    let columns: Vec<&[f64]> = series.iter().flat_map(|s| s.chunks_exact(rows)).collect();
    let samples = columns.len() * rows;
    if samples == 0 || !asked {
        return;
    }
    let mut line = format!("{name:<22} {rows:>5} {:>5}", columns.len());
    for mut codec in [Codec::fresh(), Codec::cold()] {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let encode = best(|| {
            bytes.clear();
            ends.clear();
            for column in &columns {
                codec.encode(column, &mut bytes);
                ends.push(bytes.len());
            }
        });
        let mut out = vec![0.0; rows];
        let decode = best(|| {
            let mut start = 0;
            for &end in &ends {
                codec.decode(&bytes[start..end], &mut out).expect("an encoded chunk decodes");
                std::hint::black_box(&out);
                start = end;
            }
        });
        let mut start = 0;
        for (column, &end) in columns.iter().zip(&ends) {
            codec.decode(&bytes[start..end], &mut out).expect("an encoded chunk decodes");
            assert!(
                column.iter().zip(&out).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{name}: values changed"
            );
            start = end;
        }
        let each = |d: Duration| d.as_secs_f64() * 1e9 / samples as f64;
        line += &format!(
            " | {:>7.3} {:>6.1} {:>6.2}",
            bytes.len() as f64 / samples as f64,
            each(encode),
            each(decode)
        );
    }
    println!("{line}");
}

/// Prints one line: native histograms of a latency, 30 buckets about a normal peak; bytes and nanoseconds a histogram.
fn measure_histograms(random: &mut Random, rows: usize) {
    if std::env::args().nth(2).is_some_and(|asked| !format!("a native histogram/{rows}").contains(&asked)) {
        return;
    }
    let chunks: Vec<Vec<Arc<Histogram>>> = (0..40).map(|_| latency(random, rows)).collect();
    let samples = (chunks.len() * rows) as f64;
    let mut line = format!("{:<22} {rows:>5} {:>5}", "a native histogram", chunks.len());
    for mut codec in [Codec::fresh(), Codec::cold()] {
        let mut encoded: Vec<Vec<u8>> = vec![];
        let encode = best(|| {
            encoded.clear();
            for chunk in &chunks {
                let mut bytes = vec![];
                codec.encode_histograms(chunk, &mut bytes);
                encoded.push(bytes);
            }
        });
        let mut out = vec![];
        let decode = best(|| {
            for bytes in &encoded {
                out.clear();
                codec.decode_histograms(bytes, rows, &mut out).expect("an encoded chunk decodes");
            }
        });
        let bytes: usize = encoded.iter().map(Vec::len).sum();
        let each = |d: Duration| d.as_secs_f64() * 1e9 / samples;
        line += &format!(" | {:>7.2} {:>6.0} {:>6.0}", bytes as f64 / samples, each(encode), each(decode));
    }
    println!("{line}");
}

fn latency(random: &mut Random, rows: usize) -> Vec<Arc<Histogram>> {
    let mean = 10.0 + random.unit() * 500.0;
    let mut h = Histogram {
        schema: 3,
        zero_threshold: 2.938_735_877_055_719e-39,
        positive_spans: vec![Span { offset: -40, length: 30 }],
        positive_buckets: vec![0.0; 30],
        integer: true,
        ..Histogram::default()
    };
    (0..rows)
        .map(|_| {
            for (i, bucket) in h.positive_buckets.iter_mut().enumerate() {
                let n = random.poisson(mean * (-((i as f64 - 15.0) / 5.0).powi(2) / 2.0).exp() / 12.5);
                *bucket += n;
                h.sum += n * 0.03 * 1.09_f64.powi(i as i32) * (1.0 + 0.02 * random.normal());
            }
            h.count = h.positive_buckets.iter().sum();
            Arc::new(h.clone())
        })
        .collect()
}

/// The best of several runs, which take 60 ms in all or more.
fn best(mut run: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    let start = Instant::now();
    let mut runs = 0;
    while runs < 5 || start.elapsed() < Duration::from_millis(60) {
        let at = Instant::now();
        run();
        best = best.min(at.elapsed());
        runs += 1;
    }
    best
}

/// The values of each series of the scrapes in `dir`, absent where a scrape lacks it, in the order of series.
fn scrapes(dir: &Path) -> std::io::Result<Vec<Vec<f64>>> {
    let mut files = vec![];
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(time) = name.strip_suffix(".txt.gz").and_then(|t| t.parse::<i64>().ok()) {
            files.push((time, path));
        }
    }
    files.sort();
    let mut series: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut text = String::new();
    for (row, (_, path)) in files.iter().enumerate() {
        text.clear();
        flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let Some((key, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let column = series.entry(key.to_owned()).or_default();
            column.resize(row, ABSENT);
            column.push(value);
        }
    }
    series.values_mut().for_each(|column| column.resize(files.len(), ABSENT));
    println!("{} scrapes of {} series", files.len(), series.len());
    Ok(series.into_values().collect())
}

/// Xorshift*: the same series at every run.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below 1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: u64) -> f64 {
        (self.bits() % n) as f64
    }

    fn normal(&mut self) -> f64 {
        let (a, b) = (self.unit().max(1e-300), self.unit());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 30.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let limit = (-mean).exp();
        let (mut k, mut p) = (0.0, self.unit());
        while p > limit {
            k += 1.0;
            p *= self.unit();
        }
        k
    }
}

fn decimals(x: f64, digits: i32) -> f64 {
    let p = 10_f64.powi(digits);
    (x * p).round() / p
}

fn counter(start: f64, n: usize, mut step: impl FnMut(usize) -> f64) -> Vec<f64> {
    let mut x = start;
    (0..n)
        .map(|i| {
            x += step(i);
            x
        })
        .collect()
}

type Make = fn(&mut Random, usize) -> Vec<f64>;

/// Name, how many of 20 series are in the node-like mix, and how a series of `n` samples 15 s apart is made.
const FAMILIES: &[(&str, usize, Make)] = &[
    ("constant", 0, |r, n| vec![r.below(1_000_000); n]),
    ("constant decimal", 0, |r, n| vec![decimals(r.unit() * 1e9, 3); n]),
    ("sparse counter", 20, |r, n| {
        let mean = 0.002 + r.unit() * 0.05;
        counter(r.below(10_000), n, |_| r.poisson(mean))
    }),
    ("slow counter", 16, |r, n| {
        let mean = 0.3 + r.unit() * 5.0;
        counter(r.below(1_000_000), n, |_| r.poisson(mean))
    }),
    ("fast counter", 12, |r, n| {
        let mean = 50.0 + r.unit() * 5000.0;
        counter(r.below(1_000_000_000), n, |i| {
            r.poisson(mean * (1.0 + 0.5 * (i as f64 / 5760.0 * std::f64::consts::TAU).sin()))
        })
    }),
    ("cpu centiseconds", 12, |r, n| {
        let mean = r.unit() * 1400.0 + 2.0;
        let ticks = counter(r.below(100_000_000), n, |_| (mean * (1.0 + 0.15 * r.normal())).max(0.0).floor());
        ticks.into_iter().map(|t| t / 100.0).collect()
    }),
    ("network bytes", 8, |r, n| {
        let mean = 1e3 * 10_f64.powf(r.unit() * 3.0);
        counter(r.below(1_000_000_000_000), n, |_| (mean * (1.0 + 0.4 * r.normal())).max(0.0).round())
    }),
    ("histogram bucket", 16, |r, n| {
        let mean = r.unit() * 80.0;
        counter(r.below(1_000_000), n, |_| r.poisson(mean))
    }),
    ("2-decimal walk", 4, |r, n| {
        let mut x = 1.0 + r.unit() * 5.0;
        (0..n)
            .map(|_| {
                x = (x + 0.05 * r.normal()).max(0.0);
                decimals(x, 2)
            })
            .collect()
    }),
    ("3-decimal noise", 4, |r, n| {
        let mean = 10.0 + r.unit() * 90.0;
        (0..n).map(|_| decimals(mean + r.normal() * mean * 0.02, 3)).collect()
    }),
    ("memory, 4 KiB steps", 12, |r, n| {
        counter((r.unit() * 4e6).round(), n, |_| (r.normal() * 60.0).round())
            .into_iter()
            .map(|pages| pages.max(0.0) * 4096.0)
            .collect()
    }),
    ("small integer gauge", 8, |r, n| {
        let mean = 5.0 + r.unit() * 200.0;
        (0..n).map(|_| (mean + r.normal() * 3.0).round().max(0.0)).collect()
    }),
    ("temperature", 4, |r, n| {
        counter(45.0, n, |_| (r.normal() * 0.4).round() * 0.5).into_iter().map(|x| decimals(x, 1)).collect()
    }),
    ("milliseconds * 0.001", 4, |r, n| {
        let mean = r.unit() * 5000.0;
        counter(r.below(10_000_000), n, |_| (mean * (1.0 + 0.3 * r.normal())).max(0.0).round())
            .into_iter()
            .map(|ms| ms * 0.001)
            .collect()
    }),
    ("full mantissa ratio", 0, |r, n| {
        (0..n).map(|_| (500.0 + r.normal() * 30.0).round() / (1000.0 + r.normal() * 50.0).round()).collect()
    }),
    ("full mantissa sum", 0, |r, n| {
        counter(r.unit() * 1e4, n, |_| (0..3).map(|_| (r.unit() * 1e9).round() * 1e-9 * 0.05).sum())
    }),
];
