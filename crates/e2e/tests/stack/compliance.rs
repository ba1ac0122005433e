//! The compliance queries of PromQL, as range queries, asked of ours and of a real Prometheus over equal samples.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::dataset::{LENGTH_MS, START_MS};
use e2e::promql::explain::Pair;
use e2e::promql::{Answer, Expr, Sameness, Times};
use e2e::{demo, tools};

use crate::random_queries::servers;

const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^"];
const COMPARISON: &[&str] = &["==", "!=", "<", ">", "<=", ">="];

/// What stands for a placeholder.
fn variants(name: &str) -> Vec<&'static str> {
    match name {
        "range" => vec!["1s", "15s", "1m", "5m", "15m", "1h"],
        "offset" => vec!["1m", "5m", "10m"],
        "simpleAggrOp" => vec!["sum", "avg", "max", "min", "count", "stddev", "stdvar"],
        "simpleTimeAggrOp" => vec!["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last"],
        "topBottomOp" => vec!["topk", "bottomk"],
        "quantile" => vec!["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"],
        "arithBinOp" => ARITHMETIC.to_vec(),
        "compBinOp" => COMPARISON.to_vec(),
        "binOp" => [ARITHMETIC, COMPARISON].concat(),
        "simpleMathFunc" => vec!["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"],
        "extrapolatedRateFunc" => vec!["delta", "rate", "increase"],
        "clampFunc" => vec!["clamp_min", "clamp_max"],
        "instantRateFunc" => vec!["idelta", "irate"],
        "dateFunc" => {
            vec!["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"]
        }
        _ => panic!("no variants of {name} are known"),
    }
}

/// Queries that fail in 2.42 and, on purpose, not in later releases: any UTF-8 is a label name since 3.0.
const ALLOWED_BY_NOW: &[&str] = &[
    "label_replace(demo_num_cpus, \"~invalid\", \"\", \"src\", \"(.*)\")",
    "label_join(demo_num_cpus, \"~invalid\", \"-\", \"instance\")",
];

/// A query and whether it must fail.
type Case = (String, bool);

fn queries() -> Option<PathBuf> {
    let file = "shared/conformance/promql-compliance/promql-test-queries.yml";
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join(file)).find(|p| p.is_file());
    if found.is_none() {
        tools::skipped(&format!("no {file} above the repository"));
    }
    found
}

/// The file's test cases with all variants. Of YAML it understands what the file uses: one key a line.
fn cases(text: &str) -> Vec<Case> {
    let mut all: Vec<(String, Vec<String>, bool)> = Vec::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("- ");
        let Some((key, value)) = line.split_once(": ") else { continue };
        match key {
            "query" => all.push((unquote(value), Vec::new(), false)),
            "variant_args" => {
                let names = value.trim_matches(['[', ']']).split(", ").map(unquote).collect();
                all.last_mut().expect("a query comes first").1 = names;
            }
            "should_fail" => all.last_mut().expect("a query comes first").2 = value == "true",
            _ => {}
        }
    }
    let mut cases = Vec::new();
    for (query, names, fails) in all {
        let mut expanded = vec![query];
        for name in names {
            let place = format!("{{{{.{name}}}}}");
            expanded = expanded
                .iter()
                .flat_map(|query| {
                    variants(&name).into_iter().map(|v| query.replace(&place, v)).collect::<Vec<_>>()
                })
                .collect();
        }
        cases.extend(expanded.into_iter().map(|query| (query, fails)));
    }
    cases
}

fn unquote(text: &str) -> String {
    let text = text.trim();
    let inner = ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
    inner.unwrap_or(text).to_owned()
}

#[test]
fn compliance_queries_have_equal_answers() {
    let (Some(vigie), Some(original), Some(file)) = (tools::vigie(), tools::prometheus(), queries()) else {
        return;
    };
    let cases = cases(&fs::read_to_string(file).unwrap());
    let (ours, theirs) = servers(&vigie, &original, "compliance", &demo::series());
    let pair = Pair { ours: &ours.address, theirs: &theirs.address };
    // Ten minutes at ten seconds, as upstream's tester asks.
    let end_ms = START_MS + LENGTH_MS - 700_000 + 137;
    let times = Times { start_ms: end_ms - 600_000, end_ms, step_ms: 10_000 };
    let (mut with_samples, mut wrong) = (0, Vec::new());
    for (query, fails) in &cases {
        match pair.compare(&Expr::Wrong(query.clone()), times) {
            Ok((answer, Sameness::Equal | Sameness::Near)) => {
                with_samples += usize::from(answer.has_samples());
                if matches!(answer, Answer::Error(..)) != *fails {
                    wrong.push(format!("{query}: {}", if *fails { "must fail" } else { "must not fail" }));
                }
            }
            Ok((answer, _)) if *fails && ALLOWED_BY_NOW.contains(&query.as_str()) => {
                with_samples += usize::from(answer.has_samples());
            }
            Ok((_, Sameness::Different(difference))) => wrong.push(format!("{query}: {difference}")),
            Err(error) => wrong.push(format!("{query}: {error:#}")),
        }
    }
    println!(
        "compliance queries: {} asked, {with_samples} with samples, {} differ",
        cases.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cases.len(), 539);
    assert!(with_samples * 10 > cases.len() * 8, "only {with_samples} have samples");
}
