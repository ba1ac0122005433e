//! Damaged queries: whatever is cut, doubled, swapped or put in, the parser answers, and soon.

use std::time::{Duration, Instant};

use promql::parser::{MAX_ERRORS, ParserOptions, parse, parse_metric_selector, parse_series_desc, prettify};
use proptest::prelude::*;

/// Queries with a bit of everything.
const SEEDS: &[&str] = &[
    "sum by (job, \"a.b\") (rate(http_requests_total{code=~\"5..\", job!='x'}[5m] offset -1m)) / ignoring(code) group_left(x) b",
    "histogram_quantile(0.9, sum without (instance) (rate(h_bucket[5m:1m] @ 1.5))) > bool 0x1F",
    "max_over_time((a - on(x) fill_left(1) fill_right(-2) b)[(5m + step()):max_of(1m, range() / 2)] @ end())",
    "topk(3, {\"foo.bar\", a=`x`, b!~\"é\\n\\xff\"} smoothed) or -rate(x[1h30m] anchored) ^ 2 atan2 time() # end",
    "count_values(\"v\", info(up, {__name__=~\".+_info\"})) unless label_replace(x, 'a', '$1', 'b', '(.*)') </ 5",
    "limit_ratio(-0.5, x) + 1_000e3 % Inf == NaN and sum(x) by (a,) >/ 1",
];

/// Pieces that are put in.
const PIECES: &[&str] = &[
    "(", ")", "[", "]", "{", "}", ",", ":", "@", "offset", "-", "^", "\"", "'", "`", "\\", "\\x", "#", "\n",
    "by", "5m", "0x", "1e", "_", "é", "\u{fffd}", "\0", "bool", "fill(", "step()", "}}", "{{", "sum",
    "rate(", "=~", "</",
];

/// A place in thousandths of the text, and what happens there.
#[derive(Debug, Clone)]
enum Damage {
    Cut(usize, usize),
    Double(usize, usize),
    Put(usize, &'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..1000_usize;
    prop_oneof![
        (at.clone(), 0..12_usize).prop_map(|(at, n)| Damage::Cut(at, n)),
        (at.clone(), 0..12_usize).prop_map(|(at, n)| Damage::Double(at, n)),
        (at, proptest::sample::select(PIECES)).prop_map(|(at, piece)| Damage::Put(at, piece)),
    ]
}

fn apply(text: &mut Vec<char>, damage: &Damage) {
    let place = |at: usize| at * text.len() / 1000;
    match damage {
        Damage::Cut(at, n) => {
            let from = place(*at);
            text.drain(from..(from + n).min(text.len()));
        }
        Damage::Double(at, n) => {
            let from = place(*at);
            let piece = text[from..(from + n).min(text.len())].to_vec();
            text.splice(from..from, piece);
        }
        Damage::Put(at, piece) => {
            let from = place(*at);
            text.splice(from..from, piece.chars());
        }
    }
}

fn feed(text: &str) {
    for options in [ParserOptions::all(), ParserOptions::default()] {
        match parse(text, &options) {
            Ok(expr) => assert!(!prettify(&expr).is_empty()),
            Err(e) => {
                assert!(!e.errors.is_empty() && e.errors.len() <= MAX_ERRORS);
                for error in &e.errors {
                    assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{error:?}");
                    assert!(text.get(error.span.start..error.span.end).is_some(), "{error:?}");
                }
            }
        }
    }
    let _ = parse_metric_selector(text);
    let _ = parse_series_desc(text);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_queries_are_answered(
        seed in proptest::sample::select(SEEDS),
        damages in proptest::collection::vec(damage(), 1..6),
    ) {
        let mut text: Vec<char> = seed.chars().collect();
        damages.iter().for_each(|d| apply(&mut text, d));
        feed(&text.iter().collect::<String>());
    }

    #[test]
    fn random_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        feed(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn long_texts_take_time_by_their_length() {
    let started = Instant::now();
    for piece in [
        "(", "-", "[", "{", "{}-", "a,", ",", "1+", "a[1m:]", "-{}-1", "sum(", "x or ", "'", "\\", "#\n",
        "5m", "é", "\n",
    ] {
        for (before, after) in
            [("", ""), ("abs(", ")"), ("x[", "]"), ("x{", "}"), ("sum by (", ") (x)"), ("label_join(", ")")]
        {
            let text = format!("{before}{}{after}", piece.repeat(50_000 / piece.len()));
            let _ = parse(&text, &ParserOptions::all());
        }
    }
    // Over a hundred texts of 50 kB: a quadratic step would take minutes.
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}
