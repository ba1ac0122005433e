//! Histograms in the notation of test scripts, what is done with them, and what is expected.

mod properties;

use std::sync::Arc;

use kernels::RangeFn;
use model::{Histogram, ResetHint, Span};

use super::*;
use crate::parser::{SequenceValue, parse_series_desc};

/// The histograms of a series description.
fn series(text: &str) -> Vec<Histogram> {
    let desc = parse_series_desc(&format!("m {text}")).expect("a series description");
    let histogram = |v| match v {
        SequenceValue::Histogram { value, .. } => Histogram::clone(&value),
        other => panic!("no histogram: {other:?}"),
    };
    desc.values.into_iter().map(histogram).collect()
}

fn one(text: &str) -> Histogram {
    series(text).remove(0)
}

fn show(h: &Histogram) -> String {
    TestExpression(h).to_string()
}

/// Samples a minute apart from 0 on: numbers and histograms.
fn samples(text: &str) -> Vec<(i64, Sample)> {
    let desc = parse_series_desc(&format!("m {text}")).expect("a series description");
    let timed = desc.values.into_iter().zip(0..);
    timed
        .filter_map(|(v, i)| match v {
            SequenceValue::Omitted => None,
            SequenceValue::Float(v) => Some((i * 60_000, Sample::Float(v))),
            SequenceValue::Histogram { value, .. } => Some((i * 60_000, Sample::Histogram(value))),
        })
        .collect()
}

fn show_result(result: &WindowResult) -> String {
    let value = match &result.value {
        None => "-".to_owned(),
        Some(Sample::Float(v)) => model::float::format_g(*v),
        Some(Sample::Histogram(h)) => show(h),
    };
    let notes: Vec<_> = result.notes.iter().map(|n| format!(" {n:?}")).collect();
    value + &notes.concat()
}

#[test]
fn buckets_ascend_and_are_clipped_at_the_zero_bucket() {
    let h = one("{{schema:0 count:9 z_bucket:2 z_bucket_w:0.75 offset:0 buckets:[1 0 3] n_buckets:[1 2]}}");
    let shown: Vec<_> = all_buckets(&h).map(|b| b.to_string()).collect();
    assert_eq!(shown, ["[-2,-1):2", "[-1,-0.75):1", "[-0.75,0.75]:2", "(0.75,1]:1", "(1,2]:0", "(2,4]:3"]);
    let mut reverse: Vec<_> = all_buckets(&h).rev().map(|b| b.to_string()).collect();
    reverse.reverse();
    assert_eq!(reverse, shown);
    assert_eq!(
        Text(&h).to_string(),
        "{count:9, sum:0, [-2,-1):2, [-1,-0.5):1, [-0.75,0.75]:2, (0.5,1]:1, (2,4]:3}"
    );
    let custom = one("{{schema:-53 count:3 custom_values:[5 10] buckets:[1 0 2]}}");
    let shown: Vec<_> = all_buckets(&custom).map(|b| b.to_string()).collect();
    assert_eq!(shown, ["[-Inf,5]:1", "(5,10]:0", "(10,+Inf]:2"]);
}

#[test]
fn plus_and_minus() {
    for (a, operator, b, expect) in [
        // Buckets only one side has.
        (
            "{{count:2 buckets:[1 1]}}",
            '+',
            "{{count:3 offset:3 buckets:[3]}}",
            "{{count:5 buckets:[1 1 0 3]}}",
        ),
        // The coarser schema wins.
        (
            "{{schema:1 count:6 offset:1 buckets:[1 2 3]}}",
            '+',
            "{{schema:0 count:1 offset:1 buckets:[1]}}",
            "{{count:7 offset:1 buckets:[4 3]}}",
        ),
        // The wider zero bucket swallows what lies within.
        (
            "{{count:6 z_bucket:1 z_bucket_w:0.5 offset:-2 buckets:[0 0 5]}}",
            '+',
            "{{count:4 z_bucket:2 z_bucket_w:1 offset:1 buckets:[2]}}",
            "{{count:10 z_bucket:8 z_bucket_w:1 offset:1 buckets:[2]}}",
        ),
        // A threshold within a populated bucket moves to its end.
        (
            "{{count:6 z_bucket:1 z_bucket_w:0.5 offset:0 buckets:[3 2]}}",
            '+',
            "{{count:2 z_bucket:2 z_bucket_w:0.7}}",
            "{{count:8 z_bucket:6 z_bucket_w:1 offset:1 buckets:[2]}}",
        ),
        (
            "{{count:5 sum:9 buckets:[2 3]}}",
            '-',
            "{{count:4 sum:3 buckets:[3 1]}}",
            "{{count:1 sum:6 buckets:[-1 2]}}",
        ),
        // Custom bounds both have.
        (
            "{{schema:-53 count:6 custom_values:[1 2 5] buckets:[1 2 3]}}",
            '+',
            "{{schema:-53 count:7 custom_values:[2 3 5] buckets:[1 1 1 4]}}",
            "{{schema:-53 count:13 custom_values:[2 5] buckets:[4 5 4]}} bounds",
        ),
        ("{{schema:-53}}", '+', "{{}}", "error"),
        // Hints.
        ("{{counter_reset_hint:gauge}}", '+', "{{counter_reset_hint:reset}}", "{{counter_reset_hint:gauge}}"),
        ("{{}}", '+', "{{counter_reset_hint:reset}}", "{{}}"),
        ("{{counter_reset_hint:reset}}", '+', "{{counter_reset_hint:reset}}", "{{counter_reset_hint:reset}}"),
        ("{{counter_reset_hint:reset}}", '+', "{{counter_reset_hint:not_reset}}", "{{}} collision"),
    ] {
        let (mut h, b) = (one(a), one(b));
        let result = if operator == '+' { add(&mut h, &b) } else { sub(&mut h, &b) };
        let got = match result {
            Err(_) => {
                assert!(equals(&h, &one(a)), "untouched on error");
                "error".to_owned()
            }
            Ok(done) => {
                let words =
                    [(done.bounds_reconciled, " bounds"), (done.counter_reset_collision, " collision")];
                show(&h) + &words.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect::<String>()
            }
        };
        assert_eq!(got, expect, "{a} {operator} {}", show(&b));
    }
}

#[test]
fn times_over_and_trimmed() {
    let h = one("{{schema:0 count:10 sum:20 z_bucket:2 z_bucket_w:0.5 offset:1 buckets:[4 4]}}");
    let after = |change: fn(&mut Histogram, f64), by: f64| {
        let mut h = h.clone();
        change(&mut h, by);
        show(&h)
    };
    for (got, expect) in [
        (after(mul, 0.5), "{{count:5 sum:10 z_bucket:1 z_bucket_w:0.5 offset:1 buckets:[2 2]}}"),
        (
            after(mul, -1.0),
            "{{count:-10 sum:-20 z_bucket:-2 z_bucket_w:0.5 counter_reset_hint:gauge offset:1 buckets:[-4 -4]}}",
        ),
        (after(div, 0.0), "{{count:+Inf sum:+Inf z_bucket:+Inf z_bucket_w:0.5}}"),
        (after(trim_upper, 100.0), "{{count:10 sum:20 z_bucket:2 z_bucket_w:0.5 offset:1 buckets:[4 4]}}"),
        (
            after(trim_upper, 2.0),
            "{{count:6 sum:6.156854249492381 z_bucket:2 z_bucket_w:0.5 offset:1 buckets:[4]}}",
        ),
        (after(trim_lower, 4.0), "{{z_bucket_w:0.5}}"),
        (after(trim_upper, 0.25), "{{count:1 sum:0.125 z_bucket:1 z_bucket_w:0.5}}"),
    ] {
        assert_eq!(got, expect);
    }
}

#[test]
fn estimates() {
    let exponential = one("{{schema:0 count:12 sum:100 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]}}");
    let custom = one("{{schema:-53 count:8 sum:30 custom_values:[5 10] buckets:[2 4 2]}}");
    let nan = one("{{schema:0 count:4 sum:NaN buckets:[1 1]}}");
    let near = |got: f64, expect: f64, what: &str| {
        let equal = got == expect || (got.is_nan() && expect.is_nan()) || (got - expect).abs() < 1e-9;
        assert!(equal, "{what}: got {got}, expected {expect}");
    };
    for (q, h, expect) in [
        (-0.1, &exponential, f64::NEG_INFINITY),
        (1.1, &exponential, f64::INFINITY),
        (f64::NAN, &exponential, f64::NAN),
        (1.0, &exponential, 16.0),
        (0.0, &exponential, 0.0),
        (1.0 / 12.0, &exponential, 0.0005),
        (0.25, &exponential, 0.5f64.sqrt()),
        (0.25, &custom, 5.0),
        (0.5, &custom, 7.5),
        (0.1, &custom, 2.0),
        (1.0, &custom, 10.0),
        (0.5, &one("{{}}"), f64::NAN),
        (0.25, &nan, 1.0),
        (0.9, &nan, f64::NAN),
    ] {
        near(quantile(q, h).0, expect, &format!("quantile {q} of {}", show(h)));
    }
    assert_eq!(quantile(0.9, &nan).1, NanObservations::Result);
    assert_eq!(quantile(0.2, &nan).1, NanObservations::Skew);
    assert_eq!(fraction(0.0, 9.0, &nan).1, NanObservations::Skew);
    for (lower, upper, h, expect) in [
        (f64::NEG_INFINITY, f64::INFINITY, &exponential, 1.0),
        (2.0, 1.0, &exponential, 0.0),
        (f64::NAN, 1.0, &exponential, f64::NAN),
        (0.0, 0.5, &exponential, 2.0 / 12.0),
        (1.0, 2.0, &exponential, 3.0 / 12.0),
        (5.0, 7.5, &custom, 2.0 / 8.0),
        (f64::NEG_INFINITY, 20.0, &custom, 6.0 / 8.0),
        (0.0, 1.0, &one("{{}}"), f64::NAN),
    ] {
        near(fraction(lower, upper, h).0, expect, &format!("fraction {lower} to {upper} of {}", show(h)));
    }
    near(avg(&custom), 3.75, "average");
    let flat = one("{{schema:0 count:4 sum:5.656854249492381 offset:1 buckets:[4]}}");
    near(stddev(&flat), 0.0, "deviation of one bucket");
    near(stdvar(&one("{{schema:0 count:2 sum:0 z_bucket:2}}")), 0.0, "variance of the zero bucket");
}

#[test]
fn resets_are_detected() {
    for (before, now, expect) in [
        ("{{}}", "{{}}", false),
        ("{{count:1 buckets:[1]}}", "{{count:2 buckets:[1 1]}}", false),
        ("{{count:2 buckets:[1 1]}}", "{{count:2 buckets:[2]}}", true),
        ("{{count:2 buckets:[1 0]}}", "{{count:2 buckets:[2]}}", false),
        ("{{count:3 buckets:[1]}}", "{{count:2 buckets:[1]}}", true),
        ("{{count:1 buckets:[1] counter_reset_hint:reset}}", "{{count:2 buckets:[1]}}", false),
        ("{{count:1 buckets:[1]}}", "{{count:2 buckets:[1] counter_reset_hint:reset}}", true),
        ("{{count:5 buckets:[5]}}", "{{count:2 buckets:[1] counter_reset_hint:not_reset}}", false),
        // Coarser without a reset, finer only with one.
        ("{{schema:1 count:3 offset:1 buckets:[1 2]}}", "{{count:3 offset:1 buckets:[3]}}", false),
        ("{{count:3 offset:1 buckets:[3]}}", "{{schema:1 count:3 offset:1 buckets:[1 2]}}", true),
        // A wider zero bucket that holds, or cuts, populated buckets.
        ("{{count:3 z_bucket:1 z_bucket_w:0.1 buckets:[2]}}", "{{count:3 z_bucket:3 z_bucket_w:1}}", false),
        ("{{count:3 z_bucket:1 z_bucket_w:0.1 buckets:[2]}}", "{{count:3 z_bucket:3 z_bucket_w:0.7}}", true),
        ("{{z_bucket_w:1}}", "{{z_bucket_w:0.1}}", true),
        // Custom bounds that differ are compared between those both have.
        (
            "{{schema:-53 count:3 custom_values:[1 2] buckets:[1 2]}}",
            "{{schema:-53 count:3 custom_values:[2] buckets:[3]}}",
            false,
        ),
        (
            "{{schema:-53 count:3 custom_values:[1 2] buckets:[1 2]}}",
            "{{schema:-53 count:3 custom_values:[2] buckets:[2 1]}}",
            true,
        ),
        ("{{}}", "{{schema:-53}}", true),
    ] {
        assert_eq!(detect_reset(&one(now), &one(before)), expect, "{before} then {now}");
    }
}

#[test]
fn sums_are_compensated_and_averages_do_not_overflow() {
    let list = ["{{count:1}}", "{{count:1e100}}", "{{count:1}}", "{{count:-1e100}}"].map(one);
    let mut sum = HistogramSum::new(&list[0]);
    list[1..].iter().for_each(|h| assert!(sum.add(h).is_ok()));
    assert_eq!(sum.value().count, 2.0);

    let huge = one("{{count:1e308 sum:1 buckets:[1e308]}}");
    let mut avg = HistogramAvg::new(&huge);
    for _ in 0..9 {
        avg.add(&huge).expect("the same layout");
    }
    let value = avg.value();
    assert!((value.count / 1e308 - 1.0).abs() < 1e-12 && (value.sum - 1.0).abs() < 1e-12, "{}", show(&value));

    let mut sum = HistogramSum::new(&one("{{counter_reset_hint:reset}}"));
    sum.add(&one("{{}}")).expect("compatible");
    assert!(!sum.counter_reset_collision());
    sum.add(&one("{{counter_reset_hint:not_reset}}")).expect("compatible");
    assert!(sum.counter_reset_collision());
    assert!(sum.add(&one("{{schema:-53}}")).is_err());
}

#[test]
fn windows() {
    use RangeFn::*;
    let growing = "{{count:0 sum:0}}+{{count:6 sum:12 buckets:[6]}}x4";
    let gauge =
        "{{count:1 buckets:[1] counter_reset_hint:gauge}}+{{count:1 buckets:[1] counter_reset_hint:gauge}}x4";
    let mixed = "1 2 {{count:1}}";
    for (f, text, expect) in [
        // Samples at 0 to 4 min, the window ends at 4 min and is 4 min long.
        (Increase, growing, "{{count:24 sum:48 counter_reset_hint:gauge buckets:[24]}}"),
        (Rate, growing, "{{count:0.1 sum:0.2 counter_reset_hint:gauge buckets:[0.1]}}"),
        (Delta, gauge, "{{count:4 counter_reset_hint:gauge buckets:[4]}}"),
        (
            Rate,
            gauge,
            "{{count:0.016666666666666666 counter_reset_hint:gauge buckets:[0.016666666666666666]}} NotCounter",
        ),
        (Delta, growing, "{{count:24 sum:48 counter_reset_hint:gauge buckets:[24]}} NotGauge"),
        (Rate, "_ _ _ _ {{count:1}}", "-"),
        (Rate, mixed, "- MixedFloatsHistograms"),
        (Rate, "{{count:1}} {{schema:-53 count:2}} {{count:3}}", "- MixedExponentialCustom"),
        (Irate, growing, "{{count:0.1 sum:0.2 counter_reset_hint:gauge buckets:[0.1]}}"),
        (Idelta, growing, "{{count:6 sum:12 counter_reset_hint:gauge buckets:[6]}} NotGauge"),
        (
            Irate,
            "{{count:5 buckets:[5]}} {{count:3 buckets:[3]}}",
            "{{count:0.05 counter_reset_hint:gauge buckets:[0.05]}}",
        ),
        (Irate, mixed, "- MixedFloatsHistograms"),
        (Irate, "{{count:1}} 3 5", "0.03333333333333333"),
        (SumOverTime, "{{count:1 sum:2}}x3", "{{count:4 sum:8}}"),
        (SumOverTime, mixed, "- MixedFloatsHistograms"),
        (SumOverTime, "{{count:1}} {{schema:-53}}", "- MixedExponentialCustom"),
        (
            SumOverTime,
            "{{counter_reset_hint:reset}} {{counter_reset_hint:not_reset}}",
            "{{}} CounterResetCollision(Agg)",
        ),
        (
            AvgOverTime,
            "{{schema:-53 count:2 custom_values:[1] buckets:[1 1]}} {{schema:-53 count:4 custom_values:[2] buckets:[4]}}",
            "{{schema:-53 count:3 custom_values:[] buckets:[3]}} MismatchedCustomBuckets(Agg)",
        ),
        (CountOverTime, mixed, "3"),
        (PresentOverTime, "{{}}", "1"),
        (LastOverTime, mixed, "{{count:1}}"),
        (FirstOverTime, mixed, "1"),
        (Last, mixed, "{{count:1}}"),
        (Last, "{{count:1}} stale", "-"),
        (Last, "{{count:1}} {{sum:1}}", "{{sum:1}}"),
        (TsOfLastOverTime, mixed, "120"),
        (TsOfFirstOverTime, mixed, "0"),
        (MaxOverTime, mixed, "2 HistogramIgnored"),
        (MaxOverTime, "{{count:1}}", "-"),
        (QuantileOverTime(0.5), mixed, "1.5 HistogramIgnored"),
        (Deriv, mixed, "0.016666666666666666 HistogramIgnored"),
        (Deriv, "1 {{count:1}}", "- HistogramIgnored"),
        (Deriv, "{{count:1}}x3", "-"),
        (Changes, "1 1 {{count:1}} {{count:1}} {{count:2}} 3", "3"),
        (Resets, "2 1 {{count:1}} {{count:2}} {{count:1}} 3", "4"),
        (SumOverTime, "1 2 3", "6"),
    ] {
        let result = window(f, &samples(text), 240_000, 240_000);
        assert_eq!(show_result(&result), expect, "{f:?} of {text}");
    }
}

#[test]
fn a_reset_within_a_window_is_added_back() {
    let window = |text: &str| show_result(&window(RangeFn::Increase, &samples(text), 240_000, 240_000));
    assert_eq!(
        window(
            "{{count:10 buckets:[10]}} {{count:20 buckets:[20]}} {{count:5 buckets:[5]}} {{count:15 buckets:[15]}} {{count:25 buckets:[25]}}"
        ),
        "{{count:35 counter_reset_hint:gauge buckets:[35]}}"
    );
    // The first sample has another layout and is right before a reset: it does not matter.
    assert_eq!(
        window(
            "{{schema:-53 count:9}} {{count:5 buckets:[5]}} {{count:9 buckets:[9]}} {{count:9 buckets:[9]}} {{count:9 buckets:[9]}}"
        ),
        "{{count:9 counter_reset_hint:gauge buckets:[9]}}"
    );
}

#[test]
fn extended_ranges() {
    let edges = |smoothed| Edges { start_ms: 30_000, end_ms: 150_000, smoothed };
    let growing = samples("{{count:0}}+{{count:6 buckets:[6]}}x3");
    for (f, smoothed, expect) in [
        (RangeFn::Increase, false, "{{count:18 counter_reset_hint:gauge buckets:[18]}}"),
        (RangeFn::Increase, true, "{{count:12 counter_reset_hint:gauge buckets:[12]}}"),
        (RangeFn::Rate, true, "{{count:0.1 counter_reset_hint:gauge buckets:[0.1]}}"),
        (RangeFn::Delta, true, "{{count:12 counter_reset_hint:gauge buckets:[12]}} NotGauge"),
        (RangeFn::Changes, false, "3"),
        (RangeFn::Resets, false, "0"),
    ] {
        assert_eq!(show_result(&extended_window(f, &growing, edges(smoothed))), expect, "{f:?} {smoothed}");
    }
    // A reset that the left edge is interpolated across counts from zero, once.
    let reset = samples(
        "{{count:10 buckets:[10]}} {{count:4 buckets:[4]}} {{count:6 buckets:[6]}} {{count:8 buckets:[8]}}",
    );
    let got = show_result(&extended_window(RangeFn::Increase, &reset, edges(true)));
    assert_eq!(got, "{{count:5 counter_reset_hint:gauge buckets:[5]}}");
    let mixed = samples("1 {{count:1}}");
    let got = show_result(&extended_window(RangeFn::Rate, &mixed, edges(true)));
    assert_eq!(got, "- MixedFloatsHistograms");
    assert_eq!(show_result(&smoothed_instant(&growing, 90_000)), "{{count:9 buckets:[9]}}");
    assert_eq!(show_result(&smoothed_instant(&growing, 600_000)), "{{count:18 buckets:[18]}}");
}

#[test]
fn inconsistent_histograms_are_told_and_do_not_panic() {
    let spans = |list: &[(i32, u32)]| list.iter().map(|&(offset, length)| Span { offset, length }).collect();
    let with = |list: &[(i32, u32)], counts: &[f64], schema: i32| Histogram {
        schema,
        positive_spans: spans(list),
        positive_buckets: counts.to_vec(),
        ..Histogram::default()
    };
    for (h, expect) in [
        (with(&[(0, 2)], &[1.0], 0), "spans need 2 buckets, have 1 buckets"),
        (with(&[(0, 1), (-2, 1)], &[1.0, 1.0], 0), "span number 2 with offset -2"),
        (with(&[(0, 1)], &[-1.0], 0), "bucket number 1 has observation count of -1"),
        (with(&[], &[], 9), "invalid schema"),
        (with(&[(0, 2)], &[1.0, 1.0], -53), "only 0 custom bounds"),
        (Histogram { custom_values: vec![1.0, 1.0], ..with(&[], &[], -53) }, "strictly increasing"),
        (Histogram { custom_values: vec![f64::INFINITY], ..with(&[], &[], -53) }, "+Inf"),
        (Histogram { zero_count: 1.0, ..with(&[], &[], -53) }, "zero count of 0"),
        (Histogram { count: -1.0, ..with(&[], &[], 0) }, "observation count is  -1"),
    ] {
        let error = validate(&h).expect_err(expect).to_string();
        assert!(error.contains(expect), "{error}");
    }
    for list in [
        [(0, u32::MAX), (5, 1)],
        [(i32::MAX, 3), (i32::MAX, 3)],
        [(0, 0), (-7, 2)],
        [(i32::MIN, 1), (i32::MIN, 9)],
    ] {
        for (schema, threshold) in [(0, 0.0), (-4, f64::NAN), (8, f64::INFINITY), (-53, 1.0), (77, 1e-300)] {
            let h = Histogram { zero_threshold: threshold, ..with(&list, &[1.0, 0.0, 2.0], schema) };
            exercise(&h, &one("{{schema:1 z_bucket_w:0.5 z_bucket:1 buckets:[1 2] n_buckets:[3]}}"));
        }
    }
}

/// Every operation, for its lack of panics.
fn exercise(a: &Histogram, b: &Histogram) {
    let mut h = to_float(a.clone());
    let _ = (validate(&h), all_buckets(&h).rev().count(), Text(&h).to_string(), show(&h));
    let _ = (detect_reset(&h, b), detect_reset(b, &h), quantile(0.3, &h), fraction(0.0, 1.0, &h), stdvar(&h));
    let _ = (add(&mut h, b), sub(&mut h, a), equals(&h, b));
    let mut sum = HistogramSum::new(b);
    let _ = sum.add(a);
    let mut avg = HistogramAvg::new(a);
    let _ = avg.add(b);
    let _ = (sum.value(), avg.value(), copy_to_schema(a, -2));
    trim_lower(&mut h, 0.5);
    trim_upper(&mut h, 7.0);
    compact(&mut h, 3);
    let points = [a, b, a].map(|h| Sample::Histogram(Arc::new(h.clone())));
    let points: Vec<_> = points.into_iter().zip(1..).map(|(h, i)| (i * 1000, h)).collect();
    for f in [RangeFn::Rate, RangeFn::Irate, RangeFn::Delta, RangeFn::Changes, RangeFn::Resets] {
        window(f, &points, 4000, 4000);
        for smoothed in [false, true] {
            extended_window(f, &points, Edges { start_ms: 1500, end_ms: 2500, smoothed });
        }
    }
    smoothed_instant(&points, 1500);
}

#[test]
fn hints_and_integers_do_not_matter_to_equality() {
    let h = one("{{count:2 sum:NaN buckets:[1 1]}}");
    let mut other = Histogram { reset_hint: ResetHint::Gauge, integer: true, ..h.clone() };
    assert!(equals(&h, &other));
    other.positive_spans = vec![Span { offset: 0, length: 2 }, Span { offset: 4, length: 0 }];
    assert!(equals(&h, &other));
    other.positive_buckets[1] = 2.0;
    assert!(!equals(&h, &other));
    let fine = to_float(Histogram { schema: 10, ..one("{{offset:1 buckets:[1 2 3 4 5]}}") });
    assert_eq!(show(&fine), "{{schema:8 offset:1 buckets:[10 5]}}");
}
