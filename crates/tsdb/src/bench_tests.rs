//! The fuzz entry points on some thousands of inputs, the same at every run: noise, and valid chunks with a few bytes changed.

use model::{STALE_NAN, Span};

use super::*;

/// Xorshift*.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.bits() % n as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.bits().to_le_bytes()[0]
    }
}

fn with_rows(rows: usize, bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(rows).unwrap().to_le_bytes()[..], bytes].concat()
}

/// A valid input of `make`, then the same with bytes changed, dropped and added.
fn mutated(seed: u64, rounds: usize, run: fn(&[u8]), make: fn(&mut Random) -> Vec<u8>) {
    let mut r = Random(seed);
    for _ in 0..rounds {
        let mut bytes = make(&mut r);
        run(&bytes);
        for _ in 0..8 {
            let at = r.below(bytes.len());
            match r.below(4) {
                0 => bytes[at] ^= 1 << r.below(8),
                1 => bytes[at] = r.byte(),
                2 => bytes.truncate(at.max(3)),
                _ => bytes.insert(at, r.byte()),
            }
            run(&bytes);
        }
    }
}

fn noise(seed: u64, run: fn(&[u8])) {
    let mut r = Random(seed);
    for _ in 0..1000 {
        let bytes: Vec<u8> = (0..r.below(200)).map(|_| r.byte()).collect();
        run(&bytes);
        // Few rows, so that what is there often suffices, and a head that names each kind of chunk.
        run(&with_rows(r.below(100), &bytes));
    }
}

/// A counter with bursts and pauses, in tenths for some.
fn ints(r: &mut Random) -> Vec<i64> {
    let (mut at, wide) = (0_i64, r.below(20));
    (0..r.below(600) + 1)
        .map(|_| {
            let bits = wide + r.below(6);
            at += if r.below(3) == 0 { i64::try_from(r.below(1 << bits)).unwrap() } else { 0 };
            at
        })
        .collect()
}

fn values(r: &mut Random) -> Vec<f64> {
    let divisor = [1.0, 10.0, 1e3, 3.0][r.below(4)];
    let odd = [STALE_NAN, storage::ABSENT, f64::INFINITY, -0.0][r.below(4)];
    let often = [0, 10, 100][r.below(3)];
    let ints = ints(r);
    ints.into_iter()
        .map(|i| if often > 0 && r.below(often) == 0 { odd } else { i as f64 / divisor })
        .collect()
}

#[test]
fn values_withstand_anything() {
    noise(1, fuzz_values);
    mutated(2, 300, fuzz_values, |r| {
        let values = values(r);
        let mut bytes = Vec::new();
        [Codec::fresh(), Codec::cold()][r.below(2)].encode(&values, &mut bytes);
        with_rows(values.len(), &bytes)
    });
}

#[test]
fn integers_withstand_anything() {
    noise(3, fuzz_ints);
    mutated(4, 300, fuzz_ints, |r| {
        let ints = ints(r);
        let mut bytes = Vec::new();
        [Codec::fresh(), Codec::cold()][r.below(2)].encode_ints(&ints, &mut bytes);
        with_rows(ints.len(), &bytes)
    });
}

#[test]
fn histograms_withstand_anything() {
    noise(5, fuzz_histograms);
    mutated(6, 200, fuzz_histograms, |r| {
        let mut h = Histogram {
            schema: 3,
            positive_spans: vec![Span { offset: -3, length: 2 }, Span { offset: 4, length: 3 }],
            positive_buckets: vec![0.0; 5],
            integer: true,
            ..Histogram::default()
        };
        let values: Vec<Arc<Histogram>> = (0..r.below(60) + 1)
            .map(|_| {
                let bucket = r.below(5);
                h.positive_buckets[bucket] += r.below(9) as f64;
                h.count = h.positive_buckets.iter().sum();
                h.sum += r.below(1000) as f64 / 7.0;
                Arc::new(h.clone())
            })
            .collect();
        let mut bytes = Vec::new();
        Codec::cold().encode_histograms(&values, &mut bytes);
        with_rows(values.len(), &bytes)
    });
}
