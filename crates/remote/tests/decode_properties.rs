//! Any request that is encoded comes back; any bytes at all do no harm.

mod encoder;

use encoder::{bytes, label, sample};
use model::LabelSet;
use proptest::prelude::*;
use remote::write::{Buffers, KeySecret, LabelCheck, Limits, decode, fuzz_decode};

type Series = (Vec<(String, String)>, Vec<(i64, f64)>);

fn requests() -> impl Strategy<Value = Vec<Series>> {
    let labels = prop::collection::btree_map("[a-zé]{1,6}", ".{0,140}", 0..5);
    let points = prop::collection::vec((any::<i64>(), prop::num::f64::ANY), 1..6);
    let one = (labels, points, any::<bool>()).prop_map(|(labels, points, reversed)| {
        let mut labels: Vec<_> = labels.into_iter().collect();
        labels.insert(0, ("__name__".to_owned(), "m".to_owned()));
        if reversed {
            labels.reverse();
        }
        (labels, points)
    });
    prop::collection::vec(one, 0..6)
}

fn encode(request: &[Series]) -> Vec<u8> {
    let mut out = Vec::new();
    for (labels, points) in request {
        let mut one = Vec::new();
        labels.iter().for_each(|(n, v)| one.extend(label(n, v)));
        points.iter().for_each(|(t, v)| one.extend(sample(*t, *v)));
        out.extend(bytes(1, &one));
    }
    out
}

proptest! {
    #[test]
    fn round_trip(request in requests()) {
        let body = encode(&request);
        let mut buffers = Buffers::default();
        let decoded = decode(&body, &mut buffers, &KeySecret::new([1; 192]), &Limits::default(), LabelCheck::Now).unwrap();
        let got = decoded.points();
        prop_assert_eq!(got.len(), request.len());
        for (points, (labels, samples)) in got.iter().zip(&request) {
            let set = LabelSet::from_pairs(labels.iter().map(|(n, v)| (n, v)));
            prop_assert_eq!(points.labels.label_set().unwrap(), set);
            let bits = |list: &[(i64, f64)]| list.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(points.floats), bits(samples));
        }
    }

    #[test]
    fn foreign_and_damaged_bytes(request in requests(), at in any::<prop::sample::Index>(), bit in 0..8_u8, foreign in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzz_decode(&foreign);
        let mut body = encode(&request);
        if !body.is_empty() {
            let at = at.index(body.len());
            fuzz_decode(&body[..at]);
            body[at] ^= 1 << bit;
            fuzz_decode(&body);
        }
    }
}

/// What a fuzzer would do in its first seconds, the same each time.
#[test]
fn deterministic_fuzzing() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let histogram = [
        encoder::varint(1, 3),
        encoder::varint(4, 18),
        bytes(11, &encoder::varint(2, 2)),
        encoder::packed_zigzag(12, &[1, 1]),
        encoder::packed_doubles(13, &[1.0]),
        encoder::varint(15, 5),
    ];
    let exemplar = [label("id", "x"), encoder::double(2, 1.0), encoder::varint(3, 9)];
    let series = [
        label("__name__", "x"),
        label("job", "y"),
        sample(1, 2.0),
        bytes(4, &histogram.concat()),
        bytes(3, &exemplar.concat()),
    ];
    let seed = [bytes(1, &series.concat()), bytes(3, b"\x08\x01"), bytes(1, &series.concat())].concat();
    for _ in 0..20_000 {
        let mut body = seed.clone();
        for _ in 0..next() % 6 {
            let at = next() as usize % body.len();
            match next() % 4 {
                0 => body[at] = next() as u8,
                1 => body[at] ^= 1 << (next() % 8),
                2 => body.truncate(at.max(1)),
                _ => body.insert(at, [0, 0x0a, 0x12, 0x22, 0x7f, 0x80, 0xff][next() as usize % 7]),
            }
        }
        fuzz_decode(&body);
    }
}
