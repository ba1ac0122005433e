//! Chunks of histograms: every number back to the bit, harmless where the bytes are foreign.

use model::STALE_NAN;
use proptest::prelude::*;

use super::*;

fn same(a: &Histogram, b: &Histogram) -> bool {
    let bits = |h: &Histogram| {
        [h.zero_threshold, h.zero_count, h.count, h.sum]
            .iter()
            .chain(&h.positive_buckets)
            .chain(&h.negative_buckets)
            .chain(&h.custom_values)
            .map(|v| v.to_bits())
            .collect::<Vec<_>>()
    };
    can_share(a, b) && bits(a) == bits(b) && a.reset_hint == b.reset_hint
}

fn chunk(values: &[Arc<Histogram>]) -> Vec<u8> {
    let mut out = Vec::new();
    HistogramCodec::default().encode(values, &mut out);
    let mut cold = Vec::new();
    HistogramCodec::with_effort(Effort::Cold).encode(values, &mut cold);
    for bytes in [&out, &cold] {
        let mut back = Vec::new();
        HistogramCodec::default().decode(bytes, values.len(), &mut back).unwrap();
        assert_eq!(back.len(), values.len());
        assert!(back.iter().zip(values).all(|(a, b)| same(a, b)));
    }
    out
}

/// A request latency histogram: `rows` scrapes, each adding a few observations.
fn latency(rows: u32) -> Vec<Arc<Histogram>> {
    let mut h = Histogram {
        schema: 3,
        zero_threshold: 2.938_735_877_055_719e-39,
        positive_spans: vec![Span { offset: -20, length: 5 }, Span { offset: 2, length: 15 }],
        positive_buckets: vec![0.0; 20],
        integer: true,
        ..Histogram::default()
    };
    (0..rows)
        .map(|i| {
            for (b, v) in h.positive_buckets.iter_mut().enumerate() {
                *v += f64::from((i * 7 + u32::try_from(b).unwrap() * 13) % 4);
            }
            h.count = h.positive_buckets.iter().sum();
            h.sum += 0.25;
            Arc::new(h.clone())
        })
        .collect()
}

#[test]
fn a_scraped_histogram_costs_little_more_than_its_buckets() {
    let values = latency(120);
    let len = chunk(&values).len();
    assert!(len < 120 * 20 / 2, "{len} bytes");
}

#[test]
fn stale_markers_round_trip() {
    let stale = Arc::new(Histogram { sum: STALE_NAN, ..Histogram::default() });
    assert!(chunk(&[Arc::clone(&stale)]).len() < 40);
    chunk(&[Arc::clone(&stale), Arc::clone(&stale)]);
    assert!(!can_share(&latency(1)[0], &stale));
}

#[test]
fn odd_histograms_round_trip() {
    // Buckets that do not match their spans, a NaN among custom values, a count that is no sum.
    let odd = Histogram {
        schema: model::CUSTOM_BUCKETS_SCHEMA,
        count: -0.0,
        sum: f64::NAN,
        positive_spans: vec![Span { offset: i32::MIN, length: u32::MAX }],
        positive_buckets: vec![1.5, f64::INFINITY],
        negative_buckets: vec![storage::ABSENT],
        custom_values: vec![f64::NAN, -0.0],
        reset_hint: ResetHint::Gauge,
        ..Histogram::default()
    };
    chunk(&[Arc::new(odd)]);
}

#[test]
#[should_panic(expected = "one layout")]
fn two_layouts_are_refused() {
    let mut other = (*latency(1)[0]).clone();
    other.schema = 2;
    HistogramCodec::default().encode(&[Arc::clone(&latency(1)[0]), Arc::new(other)], &mut Vec::new());
}

#[test]
fn a_lying_header_allocates_nothing_for_it() {
    let mut bytes = vec![INTEGER];
    put_zigzag(&mut bytes, 0);
    bytes.extend([0; 8]);
    put_varint(&mut bytes, u64::MAX);
    assert!(HistogramCodec::default().decode(&bytes, 1, &mut Vec::new()).is_none());
    assert!(HistogramCodec::default().decode(&chunk(&latency(2)), usize::MAX, &mut Vec::new()).is_none());
    assert!(HistogramCodec::default().decode(&chunk(&latency(2)), 0, &mut Vec::new()).is_none());
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0_u32..100_000).prop_map(f64::from),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(STALE_NAN),
    ]
}

prop_compose! {
    fn histograms()(rows in 1_usize..40, positive in 0_usize..6, negative in 0_usize..4)(
        numbers in proptest::collection::vec(number(), rows * (3 + positive + negative)),
        hints in proptest::collection::vec(0_u8..4, rows),
        derive in any::<bool>(), integer in any::<bool>(),
        schema in -4_i32..9, threshold in number(),
        spans in proptest::collection::vec((any::<i32>(), any::<u32>()), 0..4),
        custom_values in proptest::collection::vec(number(), 0..4),
        positive in Just(positive), negative in Just(negative),
    ) -> Vec<Arc<Histogram>> {
        let spans: Vec<Span> = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        numbers.chunks(3 + positive + negative).zip(hints).map(|(row, hint)| {
            let mut h = Histogram {
                schema,
                zero_threshold: threshold,
                zero_count: row[0],
                count: row[1],
                sum: row[2],
                positive_spans: spans.clone(),
                negative_spans: spans.clone(),
                positive_buckets: row[3..3 + positive].to_vec(),
                negative_buckets: row[3 + positive..].to_vec(),
                custom_values: custom_values.clone(),
                reset_hint: [ResetHint::Unknown, ResetHint::Reset, ResetHint::NoReset, ResetHint::Gauge][usize::from(hint)],
                integer,
            };
            if derive {
                h.count = total(&h);
            }
            Arc::new(h)
        }).collect()
    }
}

proptest! {
    #[test]
    fn any_histograms_round_trip(values in histograms()) {
        chunk(&values);
    }

    #[test]
    fn flipped_bits_do_no_harm(values in histograms(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = chunk(&values);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let _ = HistogramCodec::default().decode(&bytes, values.len(), &mut Vec::new());
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), n in 0_usize..5000) {
        let mut out = Vec::new();
        if HistogramCodec::default().decode(&bytes, n, &mut out).is_none() {
            prop_assert!(out.is_empty());
        }
    }
}
