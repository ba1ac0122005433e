//! How long the receiver takes per sample, the store left out: `cargo run --profile quick -p vigie-remote --example decode`.
//!
//! Two loads: 20 samples per series, and 1 sample per series, 300 series a request, eight labels each.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::expect_used, reason = "a measurement that cannot run should stop")]

use std::sync::Arc;
use std::time::Instant;

use remote::write::{Buffers, KeySecret, LabelCheck, Limits, Receiver, decode};
use storage::{Error, PointAppender, PointsReport, Refusals, SeriesPoints};

/// Counts and forgets.
struct Nowhere;

impl PointAppender for Nowhere {
    fn append_points(&self, batch: &[SeriesPoints<'_>], _: Refusals) -> Result<PointsReport, Error> {
        Ok(PointsReport { floats: batch.iter().map(|s| s.floats.len()).sum(), ..PointsReport::default() })
    }
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    put(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn request(series: usize, samples: usize) -> Vec<u8> {
    let mut out = vec![];
    for s in 0..series {
        let mut one = vec![];
        for (name, value) in [
            ("__name__", "http_request_duration_seconds_bucket".to_owned()),
            ("cluster", "eu-west-1a".to_owned()),
            ("handler", format!("/api/v1/thing/{}", s % 37)),
            ("instance", format!("10.0.{}.{}:8080", s % 7, s % 250)),
            ("job", "checkout".to_owned()),
            ("le", format!("{}", (s % 12) as f64 * 0.05)),
            ("method", "POST".to_owned()),
            ("status", "200".to_owned()),
        ] {
            let mut label = vec![];
            field(&mut label, 0x0a, name.as_bytes());
            field(&mut label, 0x12, value.as_bytes());
            field(&mut one, 0x0a, &label);
        }
        for t in 0..samples {
            let mut sample = vec![0x09];
            sample.extend_from_slice(&((s * 7 + t) as f64 * 1.25).to_le_bytes());
            sample.push(0x10);
            put(&mut sample, 1_700_000_000_000 + t as u64 * 15_000);
            field(&mut one, 0x12, &sample);
        }
        field(&mut out, 0x0a, &one);
    }
    out
}

/// Nanoseconds a sample in the best of several rounds: others use the machine too.
fn best(samples: f64, mut run: impl FnMut()) -> f64 {
    let times = (0..15).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as f64 / samples
    });
    times.fold(f64::INFINITY, f64::min)
}

fn main() {
    for (series, samples) in [(300, 20), (300, 1), (2_000, 1)] {
        let body = request(series, samples);
        let compressed = snap::raw::Encoder::new().compress_vec(&body).expect("fits");
        let rounds = 600_000 / (series * samples);
        let total = (rounds * series * samples) as f64;
        let registry = telemetry::Registry::new();
        let receiver = Receiver::new(Arc::new(Nowhere), [9; 192], Limits::default(), &registry);
        let whole = best(total, || {
            for _ in 0..rounds {
                receiver.receive(&compressed).expect("well-formed");
            }
        });
        let mut buffers = Buffers::default();
        let secret = KeySecret::new([9; 192]);
        let decoding = best(total, || {
            for _ in 0..rounds {
                let decoded = decode(&body, &mut buffers, &secret, &Limits::default(), LabelCheck::WhenAsked)
                    .expect("well-formed");
                assert_eq!(decoded.points().len(), series);
            }
        });
        println!(
            "{series} series, {samples} samples each, {} bytes ({} compressed): {whole:.1} ns/sample, decoding {decoding:.1} of it",
            body.len(),
            compressed.len()
        );
    }
}
