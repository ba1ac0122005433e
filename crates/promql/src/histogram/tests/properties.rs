//! Properties of histogram arithmetic, over generated histograms.

use proptest::prelude::*;

use super::*;

prop_compose! {
    /// Whole counts in few spans, so that sums are exact.
    fn side()(start in -20i32..20, runs in prop::collection::vec((0u8..4, 1u8..4), 0..4), seed in any::<u64>())
        -> (Vec<Span>, Vec<f64>) {
        let mut spans = Vec::new();
        let mut counts = Vec::new();
        let mut state = seed;
        for (i, (gap, length)) in runs.into_iter().enumerate() {
            let offset = if i == 0 { start } else { i32::from(gap) };
            spans.push(Span { offset, length: u32::from(length) });
            for _ in 0..length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                counts.push((state >> 60) as f64);
            }
        }
        (spans, counts)
    }
}

prop_compose! {
    fn histogram()(
        schema in -4i32..=8,
        positive in side(),
        negative in side(),
        zero_count in 0u8..5,
        threshold in prop::sample::select(vec![0.0, 1e-3, 0.25, 0.7, 2.0]),
        sum in -100i32..100,
    ) -> Histogram {
        let mut h = Histogram {
            schema,
            zero_threshold: threshold,
            zero_count: f64::from(zero_count),
            sum: f64::from(sum),
            positive_spans: positive.0,
            positive_buckets: positive.1,
            negative_spans: negative.0,
            negative_buckets: negative.1,
            ..Histogram::default()
        };
        h.count = total(&h);
        h
    }
}

/// All observations of the buckets.
fn total(h: &Histogram) -> f64 {
    h.zero_count + h.positive_buckets.iter().chain(&h.negative_buckets).sum::<f64>()
}

fn compacted(h: &Histogram) -> Histogram {
    let mut h = h.clone();
    compact(&mut h, 0);
    h
}

/// Without buckets below its zero threshold.
fn widened(h: &Histogram) -> Histogram {
    let mut wide = Histogram { schema: h.schema, zero_threshold: h.zero_threshold, ..Histogram::default() };
    add(&mut wide, h).expect("both are exponential");
    wide
}

proptest! {
    #[test]
    fn minus_undoes_plus(a in histogram(), b in histogram()) {
        let mut sum = widened(&a);
        let start = total(&sum);
        add(&mut sum, &widened(&b)).unwrap();
        sub(&mut sum, &widened(&b)).unwrap();
        prop_assert_eq!(total(&sum), start);
        prop_assert_eq!(sum.count, a.count);
        prop_assert_eq!(sum.sum, a.sum);
    }

    #[test]
    fn plus_commutes(a in histogram(), b in histogram()) {
        let (mut ab, mut ba) = (a.clone(), b.clone());
        add(&mut ab, &b).unwrap();
        add(&mut ba, &a).unwrap();
        prop_assert_eq!(ab.count, a.count + b.count);
        prop_assert_eq!(ab.zero_threshold, ba.zero_threshold);
        prop_assert_eq!(ab.schema, a.schema.min(b.schema));
    }

    #[test]
    fn compensated_sums_of_whole_counts_are_sums(list in prop::collection::vec(histogram(), 1..6)) {
        let mut plain = list[0].clone();
        let mut sum = HistogramSum::new(&list[0]);
        let mut avg = HistogramAvg::new(&list[0]);
        for h in &list[1..] {
            add(&mut plain, h).unwrap();
            sum.add(h).unwrap();
            avg.add(h).unwrap();
        }
        let sum = sum.value();
        prop_assert!(equals(&compacted(&sum), &compacted(&plain)), "{} {}", show(&sum), show(&plain));
        let mut avg = avg.value();
        let n = list.len() as f64;
        prop_assert!((avg.count - plain.count / n).abs() < 1e-9);
        mul(&mut avg, n);
        prop_assert!((total(&avg) - total(&plain)).abs() < 1e-6);
    }

    #[test]
    fn reducing_keeps_observations_and_goes_with_adding(a in histogram(), b in histogram(), schema in -4i32..=8) {
        let reduced = copy_to_schema(&a, schema);
        prop_assert_eq!(reduced.schema, schema.min(a.schema));
        prop_assert_eq!(total(&reduced), total(&a));
        // The buckets of the reduced one hold those of the finer one.
        for b in all_buckets(&a).filter(|b| b.count > 0.0 && b.lower > 0.0 && b.lower >= a.zero_threshold) {
            let holds = |r: &Bucket| r.lower <= b.lower && r.upper >= b.upper && r.count >= b.count;
            prop_assert!(a.zero_threshold > 0.0 || all_buckets(&reduced).any(|r| holds(&r)));
        }
        let plain = |h: &Histogram| Histogram { zero_threshold: 0.0, ..h.clone() };
        let (a, b) = (plain(&a), Histogram { schema: a.schema, ..plain(&b) });
        let mut first = a.clone();
        add(&mut first, &b).unwrap();
        let first = copy_to_schema(&first, schema);
        let mut then = copy_to_schema(&a, schema);
        add(&mut then, &copy_to_schema(&b, schema)).unwrap();
        prop_assert!(equals(&compacted(&first), &compacted(&then)));
    }

    #[test]
    fn growth_is_no_reset_and_loss_is(a in histogram(), b in histogram(), which in any::<prop::sample::Index>()) {
        // As upstream, a bucket that a coarser schema stretches across the new zero threshold is missed.
        let (a, b) = (widened(&a), Histogram { schema: a.schema, ..b });
        let mut grown = a.clone();
        add(&mut grown, &b).unwrap();
        prop_assert!(!detect_reset(&grown, &a), "{} {}", show(&a), show(&grown));
        prop_assert!(!detect_reset(&a, &a));
        let mut less = a.clone();
        if !less.positive_buckets.is_empty() {
            let i = which.index(less.positive_buckets.len());
            if less.positive_buckets[i] > 0.0 {
                less.positive_buckets[i] -= 1.0;
                prop_assert!(detect_reset(&less, &a));
            }
        }
    }

    #[test]
    fn compaction_keeps_what_is_there(h in histogram(), max_empty in 0usize..5) {
        let mut compact_one = h.clone();
        compact(&mut compact_one, max_empty);
        let populated = |h: &Histogram| all_buckets(h).filter(|b| b.count != 0.0).map(|b| b.to_string()).collect::<Vec<_>>();
        prop_assert_eq!(populated(&compact_one), populated(&h));
        prop_assert!(validate(&compact_one).is_ok());
        for (spans, counts) in [(&compact_one.positive_spans, &compact_one.positive_buckets), (&compact_one.negative_spans, &compact_one.negative_buckets)] {
            prop_assert!(spans.iter().skip(1).all(|s| s.offset > max_empty as i32));
            prop_assert!(counts.first() != Some(&0.0) && counts.last() != Some(&0.0));
        }
    }

    #[test]
    fn notation_goes_round(h in histogram()) {
        let mut dense = h.clone();
        compact(&mut dense, 1000);
        let read = one(&show(&h));
        prop_assert!(equals(&read, &dense), "{} {}", show(&h), show(&read));
    }

    #[test]
    fn quantiles_ascend_and_fractions_are_their_inverse(h in histogram(), p in 0.0f64..1.0, q in 0.0f64..1.0) {
        let h = Histogram { zero_threshold: 0.0, count: h.count + 1.0, zero_count: h.zero_count + 1.0, ..h };
        let (p, q) = (p.min(q), p.max(q));
        let (low, high) = (quantile(p, &h).0, quantile(q, &h).0);
        prop_assert!(low <= high * (1.0 + 1e-9 * high.signum()) + 1e-300, "{low} {high}");
        let below = fraction(f64::NEG_INFINITY, high, &h).0;
        prop_assert!((0.0..=1.0 + 1e-9).contains(&below));
        let inside = all_buckets(&h).any(|b| b.count > 0.0 && b.lower < high && high < b.upper);
        prop_assert!(!inside || high == 0.0 || (below - q).abs() < 1e-6, "{below} {q}");
    }

    #[test]
    fn both_trims_make_up_the_whole(h in histogram(), limit in -300.0f64..300.0) {
        let (mut low, mut high) = (h.clone(), h.clone());
        trim_upper(&mut low, limit);
        trim_lower(&mut high, limit);
        let whole = total(&h);
        prop_assert!((total(&low) + total(&high) - whole).abs() < 1e-6 * whole.max(1.0));
    }

    #[test]
    fn any_layout_is_survived(
        spans in prop::collection::vec((any::<i32>(), any::<u32>()), 0..4),
        counts in prop::collection::vec(any::<f64>(), 0..6),
        schema in prop::sample::select(vec![-53, -9, -4, 0, 3, 8, 40, i32::MIN, i32::MAX]),
        threshold in any::<f64>(),
        bounds in prop::collection::vec(any::<f64>(), 0..4),
        b in histogram(),
    ) {
        let spans: Vec<_> = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        let h = Histogram {
            schema,
            zero_threshold: threshold,
            zero_count: counts.first().copied().unwrap_or(1.0),
            positive_spans: spans.clone(),
            positive_buckets: counts.clone(),
            negative_spans: spans,
            negative_buckets: counts,
            custom_values: bounds,
            ..Histogram::default()
        };
        exercise(&h, &b);
    }
}
