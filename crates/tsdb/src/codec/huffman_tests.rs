//! Huffman-coded residuals: round trips, limits of the codes, headers that lie.

use proptest::prelude::*;

use super::*;

fn classes(values: &[u64]) -> Classes {
    let mut classes = [0; 65];
    values.iter().for_each(|&v| classes[bit_len(v) as usize] += 1);
    classes
}

/// Encodes with no bound on size; `None` when there are no codes for such values.
fn encoded(values: &[u64]) -> Option<Vec<u8>> {
    let plan = Plan::new(values, &classes(values), usize::MAX)?;
    let mut out = Vec::new();
    plan.put(values, &mut out);
    assert_eq!(out.len(), plan.len());
    Some(out)
}

fn round_trip(values: &[u64]) {
    let Some(out) = encoded(values) else { return };
    for slack in [0, 1, 9, 100] {
        let bytes = [&out[..], &vec![0xff; slack]].concat();
        let mut r = Reader::new(&bytes);
        let mut back = vec![7; values.len()];
        decode(&mut r, &mut [0; 512], &mut back).unwrap();
        assert!(back.iter().zip(values).all(|(a, b)| a.cast_unsigned() == *b));
        assert_eq!(r.len(), slack);
    }
}

#[test]
fn each_class_round_trips() {
    for class in 1..=MAX_CLASS {
        let top = 1_u64 << (class - 1);
        let values: Vec<u64> =
            (0..100).map(|i| if i % 3 == 0 { 0 } else { top + (i * 7919) % top }).collect();
        assert!(encoded(&values).is_some());
        round_trip(&values);
    }
    assert!(encoded(&[1, 2, 1 << MAX_CLASS]).is_none());
}

#[test]
fn zeros_come_in_runs() {
    for (zeros, at_most) in [(7, 20), (8, 20), (63, 20), (64, 20), (65, 20), (200, 20), (4000, 40)] {
        for gap in [0, 1, 3, 100] {
            let mut values = vec![0; zeros];
            values.extend((0..gap).map(|i| i % 2 + 1));
            values.extend(vec![0; zeros]);
            values.push(9);
            round_trip(&values);
            if gap == 1 {
                assert!(encoded(&values).unwrap().len() <= at_most);
            }
        }
    }
}

#[test]
fn codes_stay_within_nine_bits() {
    // Fibonacci weights make the deepest trees.
    let mut values = Vec::new();
    let (mut a, mut b) = (1, 1);
    for class in 1..16 {
        values.extend(vec![1_u64 << (class - 1); a]);
        (a, b) = (b, a + b);
    }
    let plan = Plan::new(&values, &classes(&values), usize::MAX).unwrap();
    assert!(plan.lengths.iter().all(|&l| usize::from(l) <= MAX_LEN));
    assert_eq!(plan.lengths.iter().filter(|&&l| l > 0).map(|&l| 512 >> l).sum::<u32>(), 512);
    round_trip(&values);
}

#[test]
fn one_symbol_has_no_code() {
    assert!(encoded(&[5; 100]).is_none());
    assert!(encoded(&[]).is_none());
}

#[test]
fn lying_headers_are_refused() {
    let cases: [(&str, &[u8]); 9] = [
        ("nothing", &[]),
        ("no lengths", &[0, 0, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("one code only", &[0, 0, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a gap", &[0, 1, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("too many short codes", &[0, 2, 0x11, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a code of ten bits", &[0, 1, 0xa1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("classes past the last", &[0x30, 1, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("padding that is not zero", &[0, 2, 0x21, 0x12, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a first stream past the end", &[0, 1, 0x11, 200, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (name, bytes) in cases {
        assert!(decode(&mut Reader::new(bytes), &mut [0; 512], &mut [0; 64]).is_none(), "{name}");
    }
    // The same with a sound header: 64 values of class 0 or 1, one bit each.
    let sound = [0, 1, 0x11, 4, 1, 2, 3, 4, 5, 6, 7, 8];
    assert!(decode(&mut Reader::new(&sound), &mut [0; 512], &mut [0; 64]).is_some());
}

#[test]
fn logarithms_are_close() {
    for n in 1..5000_u32 {
        let exact = f64::from(n).log2() * 32.0;
        assert!((f64::from(log2(n)) - exact).abs() < 2.6, "{n}");
    }
}

fn residual() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        4 => 0_u64..20,
        1 => (any::<u64>(), 16_u32..64).prop_map(|(v, shift)| v >> shift),
    ]
}

proptest! {
    #[test]
    fn any_values_round_trip(values in proptest::collection::vec(residual(), 0..400)) {
        round_trip(&values);
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), n in 0_usize..600) {
        let _ = decode(&mut Reader::new(&bytes), &mut [0; 512], &mut vec![0; n]);
    }

    #[test]
    fn sound_headers_before_foreign_bytes_do_no_harm(
        values in proptest::collection::vec(residual(), 2..200),
        bytes in proptest::collection::vec(any::<u8>(), 0..100), n in 0_usize..600, cut in any::<prop::sample::Index>(),
    ) {
        if let Some(out) = encoded(&values) {
            let bytes = [&out[..cut.index(out.len())], &bytes].concat();
            let _ = decode(&mut Reader::new(&bytes), &mut [0; 512], &mut vec![0; n]);
        }
    }
}
