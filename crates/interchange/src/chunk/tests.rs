use super::*;
use model::{CUSTOM_BUCKETS_SCHEMA, ResetHint, STALE_NAN, Span};
use proptest::prelude::*;

/// All samples of chunks, hints of each chunk's first histogram as decoders give them.
fn decode_all(chunks: &[Encoded]) -> Samples {
    let mut out = Samples::default();
    for chunk in chunks {
        let before = out.len();
        decode(chunk.encoding, &chunk.data, &mut out).unwrap();
        assert_eq!(out.len() - before, usize::from(chunk.samples));
    }
    out
}

fn same_floats(a: &[(i64, f64)], b: &[(i64, f64)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.0 == y.0 && x.1.to_bits() == y.1.to_bits())
}

/// Equal but for the hint, bit for bit.
fn same_histogram(a: &Histogram, b: &Histogram) -> bool {
    let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    if a.is_stale() || b.is_stale() {
        return a.sum.to_bits() == b.sum.to_bits();
    }
    a.same_layout(b)
        && bits(&[a.count, a.zero_count, a.sum]) == bits(&[b.count, b.zero_count, b.sum])
        && bits(&a.positive_buckets) == bits(&b.positive_buckets)
        && bits(&a.negative_buckets) == bits(&b.negative_buckets)
        && (a.reset_hint == ResetHint::Gauge) == (b.reset_hint == ResetHint::Gauge)
}

fn times(n: usize) -> impl Strategy<Value = Vec<i64>> {
    let steps = prop_oneof![Just(15_000_i64), 1_i64..100_000, 1_i64..1 << 40];
    (any::<i32>(), proptest::collection::vec(steps, n)).prop_map(|(start, steps)| {
        steps
            .iter()
            .scan(i64::from(start) * 1000, |at, step| {
                *at += step;
                Some(*at)
            })
            .collect()
    })
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (0_i32..1000).prop_map(f64::from),
        Just(STALE_NAN),
        Just(-0.0)
    ]
}

proptest! {
    #[test]
    fn floats_round_trip(ts in times(300), values in proptest::collection::vec(value(), 300), n in 0_usize..300) {
        let floats: Vec<_> = ts.into_iter().zip(values).take(n).collect();
        let samples = Samples { floats, histograms: Vec::new() };
        let chunks = encode(&samples).unwrap();
        prop_assert_eq!(chunks.len(), n.div_ceil(SAMPLES_PER_CHUNK));
        prop_assert!(same_floats(&decode_all(&chunks).floats, &samples.floats));
    }

    #[test]
    fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzz::xor(&bytes);
        crate::fuzz::histogram(&bytes);
    }
}

fn spans() -> impl Strategy<Value = Vec<Span>> {
    proptest::collection::vec((0_i32..5, 0_u32..4), 0..3)
        .prop_map(|s| s.into_iter().map(|(offset, length)| Span { offset, length }).collect())
}

/// Histograms whose layout changes seldom and whose counts mostly grow.
fn histograms() -> impl Strategy<Value = Vec<(i64, Histogram)>> {
    let layout = (
        spans(),
        spans(),
        -4_i32..9,
        any::<bool>(),
        prop_oneof![Just(0.0), Just(2.0_f64.powi(-128)), any::<f64>()],
    );
    let kind = (any::<bool>(), any::<bool>());
    let step = (proptest::collection::vec(0_u32..50, 20), 0_u32..40, any::<f64>());
    let run = (layout, kind, proptest::collection::vec(step, 1..150));
    proptest::collection::vec(run, 1..3).prop_map(|runs| {
        let mut out = Vec::new();
        let mut ts = 0;
        for ((positive, negative, schema, custom, zero), (integer, gauge), steps) in runs {
            let buckets = |s: &[Span]| s.iter().map(|s| s.length as usize).sum::<usize>();
            let (np, nn) = (buckets(&positive), buckets(&negative));
            let mut counts = vec![0.0; np + nn];
            for (adds, event, sum) in steps {
                ts += 15_000 + i64::from(event);
                for (count, add) in counts.iter_mut().zip(&adds) {
                    *count += f64::from(*add) * if integer { 1.0 } else { 0.25 };
                }
                if event == 0 {
                    counts.iter_mut().for_each(|c| *c = 0.0);
                }
                if event == 1 {
                    out.push((ts, Histogram { sum: STALE_NAN, integer, ..Histogram::default() }));
                    continue;
                }
                let hint = match event {
                    _ if gauge => ResetHint::Gauge,
                    2 => ResetHint::Reset,
                    _ => ResetHint::Unknown,
                };
                out.push((
                    ts,
                    Histogram {
                        schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { schema },
                        zero_threshold: zero,
                        zero_count: f64::from(event),
                        count: counts.iter().sum::<f64>() + f64::from(event),
                        sum,
                        positive_spans: positive.clone(),
                        negative_spans: negative.clone(),
                        positive_buckets: counts[..np].to_vec(),
                        negative_buckets: counts[np..].to_vec(),
                        custom_values: if custom {
                            vec![0.005, 1.0, -1.0, 1e9, 33_554.43, 0.1 + 0.2]
                        } else {
                            Vec::new()
                        },
                        reset_hint: hint,
                        integer,
                    },
                ));
            }
        }
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn histograms_round_trip(histograms in histograms()) {
        let samples = Samples { floats: Vec::new(), histograms };
        let chunks = encode(&samples).unwrap();
        let read = decode_all(&chunks).histograms;
        prop_assert_eq!(read.len(), samples.histograms.len());
        for (i, (a, b)) in samples.histograms.iter().zip(&read).enumerate() {
            prop_assert_eq!(a.0, b.0);
            let gauge = a.1.reset_hint == ResetHint::Gauge;
            prop_assert!(a.1.is_stale() || same_histogram(&a.1, &b.1), "{i}: {:?} {:?}", a.1, b.1);
            // What a reader is told never hides a reset.
            if b.1.reset_hint == ResetHint::NoReset && !gauge && !b.1.is_stale() {
                prop_assert!(b.1.count >= read[i - 1].1.count, "{i}");
            }
        }
    }

    #[test]
    fn flipped_bits_do_no_harm(histograms in histograms(), flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..20)) {
        let samples = Samples { floats: histograms.iter().map(|(ts, h)| (*ts, h.sum)).collect(), histograms };
        let floats = Samples { floats: samples.floats, histograms: Vec::new() };
        let histograms = Samples { floats: Vec::new(), histograms: samples.histograms };
        for chunk in encode(&floats).unwrap().into_iter().chain(encode(&histograms).unwrap()) {
            let mut data = chunk.data;
            for (at, bit) in &flips {
                let at = at.index(data.len());
                data[at] ^= 1 << bit;
            }
            crate::fuzz::xor(&data);
            crate::fuzz::histogram(&data);
        }
    }
}

#[test]
fn a_mixed_series_is_cut_where_its_kind_changes() {
    let histogram = Histogram { count: 1.0, sum: 2.0, integer: true, ..Histogram::default() };
    let samples = Samples {
        floats: vec![(1, 1.0), (2, 2.0), (5, 3.0)],
        histograms: vec![
            (3, histogram.clone()),
            (4, histogram.clone()),
            (6, Histogram { integer: false, ..histogram }),
        ],
    };
    let chunks = encode(&samples).unwrap();
    let shape: Vec<_> = chunks.iter().map(|c| (c.encoding as u8, c.mint, c.maxt)).collect();
    assert_eq!(shape, [(1, 1, 2), (2, 3, 4), (1, 5, 5), (3, 6, 6)]);
    let read = decode_all(&chunks);
    assert_eq!(read.floats, samples.floats);
    assert_eq!(read.histograms[1].1.reset_hint, ResetHint::NoReset);

    let twice = Samples { floats: vec![(3, 1.0)], ..samples };
    assert_eq!(encode(&twice).unwrap_err().kind(), ErrorKind::Misuse);
    assert_eq!(
        Encoding::from_byte(4).unwrap_err().to_string(),
        "chunk encoding 4 (XOR2) is not read by this version"
    );
}

#[test]
fn a_false_count_reserves_nothing_much() {
    let mut out = Samples::default();
    assert!(decode(Encoding::Xor, &[0xff, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0], &mut out).is_err());
    assert!(out.floats.capacity() < 100);
    assert!(decode(Encoding::Histogram, &[0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0xff], &mut out).is_err());
}
