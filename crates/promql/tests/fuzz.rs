//! Damaged, spliced and hostile queries: parser and engine never panic, never hold more than their budget, and end.
//!
//! `VIGIE_FUZZ_CASES` says how many (10000), `VIGIE_FUZZ_SEED` repeats a run. What is bounded is work, not time: a query
//! reads each sample of the store at most once per place in its text, and holds at most its budget.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use promql::parser::{ParserOptions, parse, parse_metric_selector, parse_series_desc, prettify};
use promql::{Engine, EngineOptions, QueryError, QueryErrorKind, QueryOptions, QueryResult, Value};
use storage::QueryContext;
use support::{Memory, labels};

const MAX_SAMPLES: u64 = 20_000;
const MAX_TEXT_BYTES: usize = 4000;
const END_MS: i64 = 3_600_000;

/// What mutations start from, besides upstream's scripts.
const SEEDS: &[&str] = &[
    "sum by (job) (rate(requests_total{code=~\"5..\"}[5m] offset 1m)) / on (job) group_left (zone) cpus > bool 0.5",
    "max_over_time(sum without (instance) (cpus * 2)[30m:1m] @ end()) or vector(time()) unless cpus",
    "histogram_quantile(0.9, sum by (le) (increase(latency_bucket[5m])))",
    "topk(3, cpus) and ignoring (code) bottomk by (job) (scalar(sum(cpus)), requests_total)",
    "label_replace(label_join(cpus, \"a\", \"-\", \"job\", \"instance\"), \"b\", \"$1x\", \"a\", \"(.*)-.*\")",
    "count_values(\"v\", quantile_over_time(0.3, cpus[10m:])) ^ -2 atan2 0x1F % 1e-3",
    "{\"utf8 name\", \"label.x\"=\"é\"} @ 100.5 offset -5m + on () group_right () absent_over_time(nothing{a='b'}[1h])",
    "-clamp(round(cpus, 0.1), -Inf, NaN) != 1_000 and (start() + range() * step() < 5m)",
    "rate(requests_total[5m] smoothed) + increase(requests_total[5m + 2 * step()] anchored) fill_left (0) cpus",
    "limit_ratio(0.5, cpus) or limitk(2, cpus) or info(cpus, {zone=\"w\"}) or sort_by_label(cpus, \"job\")",
    "predict_linear(cpus[1h], 3600) - deriv(cpus[20m]) + double_exponential_smoothing(cpus[1h], 0.5, 0.5)",
    "histogram_fraction(0, 0.1, latency_bucket) + histogram_quantiles(latency_bucket, \"q\", 0.1, 0.9)",
    "day_of_week(cpus) + year() == hour(vector(1e300)) # comment\n",
];

/// What must be refused for its size, or end at once.
const HOSTILE: &[&str] = &[
    "vector(1)[100y:1ms]",
    "max_over_time(vector(time())[100y:1ms])",
    "sum_over_time(cpus[290y:1ms])",
    "max_over_time(max_over_time(max_over_time(cpus[50y:1s])[50y:1s])[50y:1s])",
    "absent_over_time(absent(nothing)[250y:1ms])",
    "max_over_time((vector(scalar(cpus) + time()))[200y:7ms] offset -100y)",
    "cpus @ 9223372036854775.807",
    "cpus @ -9223372036854775 offset 290y",
    "cpus offset -292y",
    "cpus[292y] offset 292y",
    "rate(cpus[106751d])",
    "max_over_time(cpus[5m:1ms] @ 9e15)",
    "cpus[1y ^ 99]",
    "cpus[9223372036854775807]",
    "vector(1) offset 5m",
    "topk(9e18, cpus) or topk(-9e18, cpus) or quantile(9e99, cpus)",
    "sum_over_time(vector(1)[5m:0s])",
    "count_values(\"\", cpus)",
    "label_replace(cpus, \"a\", \"$99999999999999999999\", \"job\", \"(((((((((.*)))))))))\")",
    "label_replace(cpus, \"a\", \"b\", \"job\", \"((a{1000}){1000}){1000}\")",
    "cpus{job=~\"((a{1000}){1000}){1000}\"}",
    "cpus{job=~\"(?i)(x+x+)+y|[\\\\p{L}]{500}\"}",
    "\u{0}\u{ffff}\u{202e}",
    "\"\\xff\\377\\ud800\"",
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

fn store() -> Memory {
    let mut store = Memory::default();
    let odd = [f64::NAN, f64::INFINITY, -0.0, 5e-324, 1e300, -3.5];
    for i in 0..4_i64 {
        let instance = format!("i{i}");
        let pairs = [("job", if i < 2 { "a" } else { "b" }), ("instance", &instance), ("zone", "w")];
        let times = (0..120).map(|n| n * 30_000 + i);
        store.add(&labels("requests_total", &pairs), times.clone().map(|t| (t, (t / 1000 % 1700) as f64)));
        store
            .add(&labels("cpus", &pairs), times.clone().map(|t| (t, odd[(t / 90_000) as usize % odd.len()])));
        for (bucket, le) in ["0.1", "1", "+Inf"].iter().enumerate() {
            let pairs = [("job", "a"), ("instance", &instance), ("le", le)];
            let name = labels("latency_bucket", &pairs);
            store.add(&name, times.clone().map(|t| (t, (t / 30_000 * bucket as i64) as f64)));
        }
    }
    store
}

/// The queries of upstream's scripts.
fn upstream() -> Vec<String> {
    let directory = "shared/conformance/promqltest";
    let found =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join(directory)).find(|d| d.is_dir());
    let files = found.into_iter().flat_map(|d| std::fs::read_dir(d).expect("it is a directory"));
    let mut queries = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file.expect("a readable entry").path()).unwrap_or_default();
        for line in text.lines().filter(|l| l.starts_with("eval ")) {
            // `eval instant at 5m QUERY`, `eval range from 0 to 5m step 1m QUERY`.
            let words = if line.contains(" range ") { 8 } else { 4 };
            queries.extend(line.splitn(words + 1, ' ').nth(words).map(str::to_owned));
        }
    }
    queries
}

/// A text made of others, as bytes of valid UTF-8.
fn mutate(random: &mut Random, corpus: &[&str]) -> String {
    let mut text = random.pick(corpus).to_owned();
    for _ in 0..random.below(5) {
        let at = boundary(&text, random.below(text.len() + 1));
        let end = boundary(&text, (at + random.below(12)).min(text.len()));
        match random.below(10) {
            0 => text.replace_range(at..end, ""),
            1 => {
                let part = text[at..end].to_owned();
                text.insert_str(at, &part);
            }
            2 => {
                let other = random.pick(corpus);
                let from = boundary(other, random.below(other.len() + 1));
                let to = boundary(other, (from + random.below(40)).min(other.len()));
                text.replace_range(at..end, &other[from..to]);
            }
            3 => {
                let part = random.pick(&[
                    "(",
                    ")",
                    "[",
                    "]",
                    "{",
                    "}",
                    ":",
                    ",",
                    "-",
                    "@",
                    "\"",
                    "'",
                    "`",
                    "\\",
                    "e",
                    "0x",
                    "1e308",
                    "NaN",
                    "292y",
                    "1ms",
                    "9999999999",
                    "offset ",
                    " bool ",
                    " on ",
                    " group_left ",
                    "\u{1F600}",
                    "\0",
                    "\n#",
                ]);
                text.insert_str(at, part);
            }
            4 => text = format!("({text})"),
            5 => {
                text = format!(
                    "max_over_time(({text})[{}])",
                    random.pick(&["5m:1m", "1h:", "9y:1s", "50y:1ms", "7m:13s"])
                );
            }
            6 => {
                text = format!(
                    "({text}) {} ({})",
                    random.pick(&["+", "and", "or", "/ on ()", "=="]),
                    random.pick(corpus)
                );
            }
            7 => text = format!("sum by (job, le) ({text})"),
            8 => {
                text = text.replacen(
                    random.pick(&["1", "5", "m", "0."]),
                    random.pick(&["99999999999", "0", "", "y"]),
                    2,
                );
            }
            _ => {
                let byte = char::from(random.below(128) as u8);
                text.replace_range(at..end, &byte.to_string());
            }
        }
    }
    let end = boundary(&text, MAX_TEXT_BYTES.min(text.len()));
    text.truncate(end);
    text
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Parses, prints and evaluates; panics where a bound does not hold. True where it is a query with a result.
fn check(engine: &Engine, store: &Memory, text: &str) -> bool {
    // Bounds of other parsers of outside text.
    let _ = parse_metric_selector(text);
    let _ = parse_series_desc(text);
    let Ok(expr) = parse(text, &ParserOptions::all()) else { return false };
    let printed = expr.to_string();
    let again = parse(&printed, &ParserOptions::all());
    assert!(again.is_ok(), "printed as {printed:.250}: {:?}", again.err());
    assert!(parse(&prettify(&expr), &ParserOptions::all()).is_ok(), "prettified as {:.250}", prettify(&expr));
    let instant = |options: &QueryOptions| engine.instant_query(store, text, END_MS / 2 + 1, options);
    let range = |options: &QueryOptions| engine.range_query(store, text, 7, END_MS, 47_000, options);
    let results = [bounded(store, text, &instant), bounded(store, text, &range)];
    results.iter().any(Result::is_ok)
}

fn bounded(
    store: &Memory,
    text: &str,
    query: &dyn Fn(&QueryOptions) -> Result<QueryResult, QueryError>,
) -> Result<QueryResult, QueryError> {
    // A net, not the bound: no query of this size comes near it.
    let deadline = Instant::now() + Duration::from_secs(60);
    let context = Arc::new(QueryContext::new(Some(deadline), MAX_SAMPLES));
    let options = QueryOptions { context: Some(Arc::clone(&context)), ..QueryOptions::default() };
    let result = query(&options);
    let stored: usize = store.series.iter().map(|s| s.ts.len()).sum();
    let most_read = (stored * text.len()) as u64;
    assert!(context.samples_read() <= most_read, "{} samples read", context.samples_read());
    match &result {
        Ok(result) => {
            assert!(context.peak_samples() <= MAX_SAMPLES, "{} samples held", context.peak_samples());
            let samples = match &result.value {
                Value::Vector(samples) => samples.len(),
                Value::Matrix(series) => series.iter().map(|s| s.samples.len()).sum(),
                Value::Scalar { .. } | Value::String { .. } => 1,
            };
            assert!(samples as u64 <= MAX_SAMPLES, "{samples} samples in the result");
        }
        Err(error) => {
            assert!(!matches!(error.kind, QueryErrorKind::Timeout | QueryErrorKind::Internal), "{error}");
        }
    }
    result
}

fn engine() -> Engine {
    Engine::new(EngineOptions {
        parser: ParserOptions::all(),
        max_samples: MAX_SAMPLES,
        ..EngineOptions::default()
    })
}

/// `text`, naming it where it breaks something.
fn checked(engine: &Engine, store: &Memory, text: &str) -> bool {
    catch_unwind(AssertUnwindSafe(|| check(engine, store, text)))
        .unwrap_or_else(|_| panic!("the query was {:.250}", format!("{text:?}")))
}

/// Runs on a stack as large as the server's threads have; unoptimised frames are several times as large.
fn on_a_thread(run: fn()) {
    let stack = if cfg!(debug_assertions) { 16 << 20 } else { 2 << 20 };
    let thread = std::thread::Builder::new().stack_size(stack).spawn(run).expect("a thread can be started");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn mutated_queries_stay_within_bounds() {
    on_a_thread(mutated_queries);
}

#[expect(clippy::print_stdout, reason = "test runners show what tests print")]
fn mutated_queries() {
    let seed = number("VIGIE_FUZZ_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        now.as_nanos() as u64 % 1_000_000_000
    });
    let cases = number("VIGIE_FUZZ_CASES").unwrap_or(10_000);
    println!("fuzz: VIGIE_FUZZ_SEED={seed} VIGIE_FUZZ_CASES={cases}");
    let upstream = upstream();
    let corpus: Vec<&str> = SEEDS.iter().copied().chain(upstream.iter().map(String::as_str)).collect();
    let (engine, store) = (engine(), store());
    let mut random = Random(seed);
    let mut results = 0;
    for _ in 0..cases {
        results += u64::from(checked(&engine, &store, &mutate(&mut random, &corpus)));
    }
    println!("fuzz: {cases} texts, {results} with a result");
    assert!(results * 5 > cases, "only {results} of {cases} had a result");
}

#[test]
fn hostile_queries_end() {
    on_a_thread(hostile_queries);
}

fn hostile_queries() {
    let (engine, store) = (engine(), store());
    for text in HOSTILE {
        checked(&engine, &store, text);
    }
    for (head, tail) in
        [("(", ")"), ("-", ""), ("1+", ""), ("2^", ""), ("abs(", ")"), ("sum(", ")"), ("a[1m:", "")]
    {
        checked(&engine, &store, &format!("{}cpus{}", head.repeat(100_000), tail.repeat(100_000)));
        checked(&engine, &store, &format!("{}cpus{}", head.repeat(100), tail.repeat(100)));
    }
    checked(&engine, &store, &format!("cpus{}", " or cpus".repeat(500)));
    checked(&engine, &store, &format!("cpus{{{}}}", "job=\"a\",".repeat(50_000)));
    checked(&engine, &store, &format!("sum by ({}) (cpus)", "job,".repeat(50_000)));
}

#[test]
fn bytes_never_break_the_parser() {
    let mut random = Random(1);
    for _ in 0..5000 {
        let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.next() as u8).collect();
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse(&text, &ParserOptions::all());
        let _ = parse_series_desc(&text);
    }
}
