//! The parser against upstream: trees, positions, bounds, and every expression of the conformance data.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is test")]

mod language;

use std::path::PathBuf;

use language::round_trips;
use promql::parser::{
    Expr, MAX_HEIGHT, MAX_NESTING, ParserOptions, SequenceValue, ast_json, parse, parse_metric_selector,
    parse_series_desc,
};
use proptest::prelude::*;

fn all() -> ParserOptions {
    ParserOptions::all()
}

#[test]
fn the_tree_as_json() {
    let expr = parse("sum by (a) (x{b='\"'} offset 5m) > bool 1", &all()).unwrap();
    insta::assert_snapshot!(ast_json(&expr), @r#"{"bool":true,"lhs":{"expr":{"anchored":false,"matchers":[{"name":"b","type":"=","value":"\""},{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":300000,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"grouping":["a"],"op":"sum","param":null,"type":"aggregation","without":false},"matching":null,"op":">","rhs":{"type":"numberLiteral","val":"1"},"type":"binaryExpr"}"#);
    let expr = parse("max_over_time(x[(5m):step()*2] @ start())", &all()).unwrap();
    insta::assert_snapshot!(ast_json(&expr), @r#"{"args":[{"expr":{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"},"offset":0,"offsetExpr":null,"range":0,"rangeExpr":{"lhs":null,"op":"+","rhs":{"duration":true,"type":"numberLiteral","val":"300"},"type":"durationExpr","wrapped":true},"startOrEnd":"start","step":0,"stepExpr":{"lhs":{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false},"op":"*","rhs":{"duration":false,"type":"numberLiteral","val":"2"},"type":"durationExpr","wrapped":false},"timestamp":null,"type":"subquery"}],"func":{"argTypes":["matrix"],"name":"max_over_time","returnType":"vector","variadic":0},"type":"call"}"#);
}

#[test]
fn spans_cover_the_text() {
    let query = "sum by (a) (rate(foo{b='c'}[5m] offset 1m)) + -bar";
    let expr = parse(query, &all()).unwrap();
    let at = |e: &Expr| &query[e.span().start..e.span().end];
    let Expr::Binary { lhs, rhs, .. } = &expr else { panic!() };
    assert_eq!((at(&expr), at(lhs), at(rhs)), (query, &query[..43], "-bar"));
    let Expr::Aggregate { expr, .. } = &**lhs else { panic!() };
    let Expr::Call { args, .. } = &**expr else { panic!() };
    assert_eq!((at(expr), at(&args[0])), ("rate(foo{b='c'}[5m] offset 1m)", "foo{b='c'}[5m] offset 1m"));
}

#[test]
fn selectors_and_series() {
    let text = |s| parse_metric_selector(s).map(|m| m.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(text("up{job='x'}").unwrap(), [r#"job="x""#, r#"__name__="up""#]);
    assert_eq!(text("{}").unwrap(), Vec::<String>::new());
    assert_eq!(
        text("up[5m]").unwrap_err().to_string(),
        r#"1:3: parse error: unexpected "[", expected "{" or the end of the selector"#
    );

    let values = |line: &str| -> Result<String, String> {
        let desc = parse_series_desc(line).map_err(|e| e.to_string())?;
        let values = desc.values.iter().map(|v| match v {
            SequenceValue::Omitted => "_".to_owned(),
            SequenceValue::Float(v) if model::is_stale(*v) => "stale".to_owned(),
            SequenceValue::Float(v) => v.to_string(),
            SequenceValue::Histogram { value, .. } => promql::histogram::TestExpression(value).to_string(),
        });
        Ok(format!("{} {}", desc.labels, values.collect::<Vec<_>>().join(" ")))
    };
    for (line, want) in [
        ("m 1 -2 +3 1e3 NaN Inf stale", r#"{__name__="m"} 1 -2 3 1000 NaN inf stale"#),
        ("m{a='b',} 1+2x3 _ _x2", r#"{__name__="m", a="b"} 1 3 5 7 _ _ _"#),
        ("{'x.y', a=\"b\"}\t3x2 5-1x2", r#"{__name__="x.y", a="b"} 3 3 3 5 4 3"#),
        ("{} 1 stalex1", "{} 1 stale stale"),
        ("sum{} 1", r#"{__name__="sum"} 1"#),
    ] {
        assert_eq!(values(line).as_deref(), Ok(want), "{line}");
    }
    for line in [
        "m 1 _a4",
        "m -3-3 -3",
        "m -3 _-2",
        "m 3+3x4-4",
        "m 0a1",
        "m 1x",
        "m 1x99999999999",
        "m{a=} 1",
        "m{a='b'}1",
        "m {{schema:0",
    ] {
        assert!(values(line).is_err(), "{line}");
    }
}

#[test]
fn depth_is_bounded() {
    for (deep, ok) in [(MAX_NESTING - 1, true), (MAX_NESTING, false), (100_000, false)] {
        for (open, close) in [("(", ")"), ("-", ""), ("abs(", ")"), ("1 ^ ", "")] {
            let query = format!("{}x{}", open.repeat(deep), close.repeat(deep));
            assert_eq!(parse(&query, &all()).is_ok(), ok, "{deep} times {open}");
        }
        assert_eq!(
            parse(&format!("x[{}1m{}]", "(".repeat(deep), ")".repeat(deep)), &all()).is_ok(),
            deep < MAX_NESTING - 1
        );
    }
    let chain = |n| vec!["x"; n].join(" or ");
    assert!(parse(&chain(MAX_HEIGHT), &all()).is_ok());
    assert!(parse(&chain(MAX_HEIGHT + 1), &all()).is_err());
    assert!(parse(&chain(100_000), &all()).is_err());
}

/// The directory of the conformance data, beside any ancestor of the crate.
fn conformance(part: &str) -> Option<PathBuf> {
    let found = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|a| a.join("shared/conformance").join(part))
        .find(|p| p.exists());
    if found.is_none() {
        println!("SKIPPED: no shared/conformance/{part}");
    }
    found
}

/// Every query of the test scripts, and whether its script says that it must fail.
fn script_queries() -> Vec<(String, bool)> {
    let Some(dir) = conformance("promqltest") else { return Vec::new() };
    let mut out: Vec<(String, bool)> = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines().map(str::trim) {
            let words: Vec<_> = line.split_whitespace().take(9).collect();
            let skip = match words.as_slice() {
                [eval, "instant", "at", ..] if eval.starts_with("eval") => 4,
                [eval, "range", "from", ..] if eval.starts_with("eval") => 8,
                _ => {
                    if line.starts_with("expect fail") {
                        out.last_mut().unwrap().1 = true;
                    }
                    continue;
                }
            };
            let mut rest = line;
            for _ in 0..skip {
                rest = rest.trim_start();
                rest = &rest[rest.find(char::is_whitespace).unwrap_or(rest.len())..];
            }
            out.push((rest.trim().to_owned(), words[0] == "eval_fail"));
        }
    }
    out
}

#[test]
fn accepts_all_test_scripts() {
    let queries = script_queries();
    let (mut accepted, mut refused) = (0, 0);
    for (query, must_fail) in &queries {
        match parse(query, &all()) {
            Ok(expr) => {
                accepted += 1;
                round_trips(&expr);
            }
            // Some scripts expect a parse error.
            Err(_) if *must_fail => refused += 1,
            Err(e) => panic!("{query}: {e}"),
        }
    }
    println!("test scripts: {accepted} accepted, {refused} refused as they should");
    assert!(queries.is_empty() || accepted > 2100);
}

#[test]
fn accepts_the_compliance_queries() {
    let Some(file) = conformance("promql-compliance/promql-test-queries.yml") else { return };
    let text = std::fs::read_to_string(file).unwrap();
    let mut accepted = 0;
    for line in text.lines() {
        let Some(query) = line.trim().strip_prefix("- query:") else { continue };
        let query = query.trim();
        let query = match query.as_bytes()[0] {
            b'\'' => query[1..query.len() - 1].replace("''", "'"),
            b'"' => query[1..query.len() - 1].replace("\\\"", "\"").replace("\\\\", "\\"),
            _ => query.to_owned(),
        };
        let query = fill_template(&query);
        match parse(&query, &all()) {
            Ok(expr) => {
                accepted += 1;
                round_trips(&expr);
            }
            Err(e) => assert!(
                ["non-empty matcher", "expected type", "unknown function"]
                    .iter()
                    .any(|t| e.to_string().contains(t)),
                "{query}: {e}"
            ),
        }
    }
    println!("compliance templates: {accepted} accepted");
    assert!(accepted > 100, "{accepted}");
}

/// One variant of a templated query.
fn fill_template(query: &str) -> String {
    let mut out = query.to_owned();
    while let Some(start) = out.find("{{") {
        let end = start + out[start..].find("}}").unwrap() + 2;
        let value = match out[start + 2..end - 2].trim().trim_start_matches('.') {
            "range" | "offset" => "5m",
            "simpleAggrOp" => "stddev",
            "simpleTimeAggrOp" => "avg",
            "topBottomOp" => "topk",
            "quantile" => "-0.5",
            "arithBinOp" | "binOp" => "%",
            "compBinOp" => "<=",
            "simpleMathFunc" => "log10",
            "extrapolatedRateFunc" => "increase",
            "clampFunc" => "clamp_min",
            "instantRateFunc" => "irate",
            "dateFunc" => "day_of_week",
            "smoothingFactor" | "trendFactor" => "0.5",
            other => panic!("{other}"),
        };
        out.replace_range(start..end, value);
    }
    out
}

/// The `expr` of every target in a dashboard, of Prometheus or of an unnamed datasource.
fn target_exprs(json: &serde_json::Value, out: &mut Vec<String>) {
    match json {
        serde_json::Value::Array(items) => items.iter().for_each(|v| target_exprs(v, out)),
        serde_json::Value::Object(map) => {
            let foreign =
                map.get("datasource").and_then(|d| d.get("type")).is_some_and(|t| t != "prometheus");
            if let Some(serde_json::Value::String(expr)) = map.get("expr")
                && !foreign
                && !expr.trim().is_empty()
            {
                out.push(expr.clone());
            }
            map.values().for_each(|v| target_exprs(v, out));
        }
        _ => {}
    }
}

/// Variables replaced by what they might hold: a duration behind `[`, `:` or `offset`, else a name.
fn fill_variables(expr: &str) -> String {
    let var = regex::Regex::new(r"\$\{[^}]+\}|\[\[\w+\]\]|\$\w+").unwrap();
    var.replace_all(expr, |c: &regex::Captures<'_>| {
        let before = expr[..c.get(0).unwrap().start()].trim_end();
        let behind = expr[c.get(0).unwrap().end()..].trim_start();
        let in_bracket = before.rfind('[').is_some_and(|i| !before[i..].contains(']'));
        let duration = in_bracket || before.trim_end_matches(['-', ' ']).ends_with("offset");
        match () {
            () if duration && behind.starts_with(['s', 'm', 'h', 'd']) => "5",
            () if duration => "5m",
            () if before.ends_with("topk(") => "5",
            () => "v",
        }
    })
    .into_owned()
}

#[test]
fn accepts_dashboards() {
    let Some(dir) = conformance("dashboards") else { return };
    let mut exprs = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            // Loki's own dashboards hold LogQL.
            if !path.to_string_lossy().contains("logs") {
                target_exprs(&json, &mut exprs);
            }
        }
    }
    let refused: Vec<_> = exprs
        .iter()
        .filter_map(|e| match parse(&fill_variables(e), &ParserOptions::default()) {
            Ok(expr) => {
                round_trips(&expr);
                None
            }
            Err(error) => Some(format!("{e}\n    {error}")),
        })
        .collect();
    println!("dashboards: {} of {} accepted", exprs.len() - refused.len(), exprs.len());
    for r in &refused {
        println!("refused: {r}");
    }
    // What is left are queries of other languages and variables that stand for operators.
    assert!(refused.len() * 100 <= exprs.len(), "{} of {} refused", refused.len(), exprs.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics(text in "[a-z0-9 \\[\\](){},:=~!<>+*/^%@\"'`#$.\\\\\n-]{0,60}|.{0,40}") {
        if let Ok(expr) = parse(&text, &all()) {
            // Printing must give a text that parses; durations below a millisecond print as 0s.
            let printed = expr.to_string();
            if !printed.contains("0s") {
                prop_assert_eq!(parse(&printed, &all()).map(|e| e.to_string()), Ok(printed));
            }
        }
        let _ = parse_series_desc(&text);
        let _ = parse_metric_selector(&text);
    }

    #[test]
    fn tokens_in_any_order(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..24)) {
        let text = words.join(" ");
        if let Ok(expr) = parse(&text, &all()) {
            round_trips(&expr);
        }
    }
}

const WORDS: &[&str] = &[
    "a",
    "b",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "5m",
    "1",
    "-",
    "+",
    "*",
    "^",
    "==",
    "bool",
    "and",
    "on",
    "(a)",
    "group_left",
    "offset",
    "@",
    "start",
    "()",
    "sum",
    "by",
    "rate",
    "x='y'",
    ",",
    "step()",
    "anchored",
    "fill(1)",
    ":",
    "</",
    "'s'",
    "max_of",
    "min_of(1m,2m)",
    "topk(1,",
    "foo[5m]",
    "foo[5m:]",
];
