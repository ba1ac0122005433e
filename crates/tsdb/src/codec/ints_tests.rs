//! Columns of integers: every pattern back, by both copies of the loops, harmless where the bytes are foreign.

use proptest::prelude::*;

use super::*;

/// The bytes of an effort, which hold the column and no more, whichever copy of the loops reads and writes them.
fn encoded_with(effort: Effort, ints: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    IntEncoder::with_effort(effort).encode(ints, &mut out);
    let mut back = vec![3; ints.len()];
    let mut r = Reader::new(&out);
    IntDecoder::default().decode(&mut r, &mut back).unwrap();
    assert_eq!(back, ints);
    assert!(r.is_empty());
    if ints.len() > 1 {
        let mut portable = Vec::new();
        IntEncoder::with_effort(effort).encode_here(ints, &mut portable);
        assert_eq!(portable, out);
        back.fill(4);
        decode_here(&mut [0; 512], &mut Reader::new(&out), &mut back).unwrap();
        assert_eq!(back, ints);
    }
    out
}

fn encoded(ints: &[i64]) -> Vec<u8> {
    encoded_with(Effort::Brief, ints);
    encoded_with(Effort::Cold, ints);
    encoded_with(Effort::Fresh, ints)
}

/// Differences whose lengths vary, as of a counter under changing load.
fn bursts(n: i64) -> Vec<i64> {
    let mut at = 0;
    (0..n)
        .map(|i| {
            at += if i % 11 == 0 { 5000 + i * 7919 % 3000 } else { i * 31 % 5 };
            at
        })
        .collect()
}

#[test]
fn varied_lengths_are_huffman_coded() {
    let ints = bursts(480);
    for effort in [Effort::Fresh, Effort::Cold] {
        let out = encoded_with(effort, &ints);
        assert!(out[0] & HUFFMAN != 0 && out.len() <= 320, "{effort:?}: {}", out.len());
    }
    // What is regular, and what is as often long as its range has it, does not gain.
    for ints in [(0..480).map(|i| i * 15_000).collect::<Vec<_>>(), (0..480).map(|i| i * 7919 % 61).collect()]
    {
        assert!(encoded_with(Effort::Fresh, &ints)[0] & HUFFMAN == 0);
    }
}

#[test]
fn regular_columns_are_nearly_free() {
    let even: Vec<i64> = (0..120).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    assert!(encoded(&even).len() <= 14);
    let pages: Vec<i64> = (0..64).map(|i| (i * 7 % 13) * 4096).collect();
    assert!(encoded(&pages).len() <= 6 + 64 / 2);
}

#[test]
fn extremes_round_trip() {
    let (a, z) = (i64::MIN, i64::MAX);
    for ints in [
        &[a, z, a, z, 0][..],
        &[a, 0, a, 0],
        &[z],
        &[],
        &[a, a],
        &[0, a],
        &[z, a, z],
        &[a, 0, 0, 0, a, 0, 0, 0, a],
    ] {
        encoded(ints);
    }
}

proptest! {
    #[test]
    fn any_column_round_trips(
        ints in proptest::collection::vec((any::<i64>(), 0_u32..64), 0..200),
        scale in prop_oneof![Just(1_i64), Just(4096), any::<i64>()],
    ) {
        encoded(&ints.iter().map(|(v, s)| (v >> s).wrapping_mul(scale)).collect::<Vec<_>>());
    }

    #[test]
    fn mostly_zeros_round_trip(steps in proptest::collection::vec(prop_oneof![20 => Just(0_i64), 1 => 0_i64..100_000], 2..600)) {
        let mut at = 0;
        encoded(&steps.iter().map(|s| { at += s; at }).collect::<Vec<_>>());
    }

    #[test]
    fn flipped_bits_do_no_harm(n in 2_i64..500, at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut out = encoded_with(Effort::Fresh, &bursts(n));
        let at = at.index(out.len());
        out[at] ^= 1_u8 << bit;
        let mut back = vec![0; bursts(n).len()];
        let _ = IntDecoder::default().decode(&mut Reader::new(&out), &mut back);
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), n in 0_usize..200) {
        let _ = IntDecoder::default().decode(&mut Reader::new(&bytes), &mut vec![0; n]);
    }
}
