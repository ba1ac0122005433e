//! Chunks: every bit pattern back, small where it should be, harmless where the bytes are foreign.

use model::STALE_NAN;
use proptest::prelude::*;

use super::*;

fn chunk(values: &[f64]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::default().encode(values, &mut out);
    assert!(out.len() <= bound(values.len()));
    let mut back = vec![1.5; values.len()];
    Decoder::default().decode(&out, &mut back).unwrap();
    let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back), bits(values));
    out
}

#[test]
fn sizes() {
    let n = 120;
    let column = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<_>>();
    let cases: [(&str, Vec<f64>, usize); 14] = [
        ("absent", column(&|_| ABSENT), 0),
        ("zero", column(&|_| 0.0), 2),
        ("constant", column(&|_| 1_234_567.0), 5),
        ("constant decimal", column(&|_| 0.25), 2),
        ("constant odd", column(&|_| std::f64::consts::PI), 9),
        ("stale", column(&|_| STALE_NAN), 9),
        ("even counter", column(&|i| i as f64 * 15.0), 10),
        ("counter", column(&|i| (i * 10 + i * i % 7) as f64), 80),
        ("decimals", column(&|i| (i * 37 % 100) as f64 / 100.0), 120),
        ("milliseconds times 0.001", column(&|i| (i * 37 % 100) as f64 * 0.001), 120),
        ("microseconds / 1e3 / 1e3", column(&|i| (i * 37 % 100) as f64 / 1e3 / 1e3), 120),
        ("one stale", column(&|i| if i == 119 { STALE_NAN } else { 7.0 }), 25),
        ("late start", column(&|i| if i < 50 { ABSENT } else { 3.0 }), 6),
        ("full mantissas", column(&|i| (i as f64 + 1.0).sqrt().sin()), 1 + 8 * n),
    ];
    for (name, values, at_most) in cases {
        let len = chunk(&values).len();
        assert!(len <= at_most, "{name}: {len} > {at_most}");
    }
}

#[test]
fn every_odd_value_round_trips() {
    let odd = [
        0.0,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::MAX,
        f64::MIN,
        STALE_NAN,
        ABSENT,
        model::NORMAL_NAN,
        1e15,
        1e16,
        2_251_799_813_685_247.0,
        2_251_799_813_685_248.0,
        9_007_199_254_740_993.0,
        0.1,
        1e-15,
        1e-16,
        1e300,
    ];
    for &a in &odd {
        chunk(&[a]);
        for &b in &odd {
            chunk(&[a, b]);
            chunk(&[1.0, 2.0, a, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, b, 16.0]);
            let mut long = vec![a; 40];
            long.extend([b; 40]);
            chunk(&long);
        }
    }
    chunk(&odd);
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-100_000_i64..100_000).prop_map(|i| i as f64),
        2 => (-100_000_i64..100_000, 0_i32..6).prop_map(|(i, e)| i as f64 / 10_f64.powi(e)),
        1 => (-100_000_i64..100_000).prop_map(|i| i as f64 * 0.001),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(STALE_NAN),
        2 => Just(ABSENT),
    ]
}

proptest! {
    #[test]
    fn mixed_columns_round_trip(values in proptest::collection::vec(value(), 1..260)) {
        chunk(&values);
    }

    #[test]
    fn counters_round_trip(start in 0_u32..u32::MAX, steps in proptest::collection::vec(0_u32..5000, 1..200),
                           div in prop_oneof![Just(1.0), Just(1e3), Just(1e6), Just(3.0)]) {
        let mut at = f64::from(start);
        let values: Vec<f64> = steps.iter().map(|&s| { at += f64::from(s); at / div }).collect();
        chunk(&values);
    }

    #[test]
    fn raw_bits_round_trip(values in proptest::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..100)) {
        chunk(&values);
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), n in 0_usize..300) {
        let _ = Decoder::default().decode(&bytes, &mut vec![0.0; n]);
    }

    #[test]
    fn flipped_bits_do_no_harm(values in proptest::collection::vec(value(), 1..150), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = chunk(&values);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            let _ = Decoder::default().decode(&bytes, &mut vec![0.0; values.len()]);
        }
    }
}
