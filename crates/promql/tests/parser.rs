//! The parser against upstream's texts: error messages with their columns, printed forms, and every expression of the
//! conformance data.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is test")]

use std::path::PathBuf;

use promql::parser::{
    Expr, MAX_HEIGHT, MAX_NESTING, ParserOptions, SequenceValue, ast_json, parse, parse_metric_selector,
    parse_series_desc, prettify, prettify_to,
};
use proptest::prelude::*;

/// Input, column, message: what upstream says of it (all options on).
const ERRORS: &[(&str, usize, &str)] = &[
    ("# just a comment\n\n", 1, "no expression found in input"),
    ("1+", 3, "unexpected end of input"),
    (".", 1, "unexpected character: '.'"),
    ("2.5.", 1, r#"bad number or duration syntax: "2.5.""#),
    ("100..4", 1, r#"bad number or duration syntax: "100..""#),
    ("0deadbeef", 1, r#"bad number or duration syntax: "0de""#),
    ("1 /", 4, "unexpected end of input"),
    ("*1", 1, "unexpected <op:*>"),
    ("(1))", 5, "unexpected right parenthesis ')'"),
    ("((1)", 5, "unclosed left parenthesis"),
    ("(", 2, "unclosed left parenthesis"),
    ("1 and 1", 1, r#"set operator "and" not allowed in binary scalar expression"#),
    ("1 == 1", 3, "comparisons between scalars must use BOOL modifier"),
    ("1 or 1", 1, r#"set operator "or" not allowed in binary scalar expression"#),
    ("1 unless 1", 1, r#"set operator "unless" not allowed in binary scalar expression"#),
    ("1 !~ 1", 3, "unexpected character after '!': '~'"),
    ("1 =~ 1", 3, "unexpected character after '=': '~'"),
    (
        r#"-"string""#,
        1,
        r#"unary expression only allowed on expressions of type scalar or instant vector, got "string""#,
    ),
    (
        "-test[5m]",
        1,
        r#"unary expression only allowed on expressions of type scalar or instant vector, got "range vector""#,
    ),
    ("*test", 1, "unexpected <op:*>"),
    ("@@", 1, "unexpected <op:@>"),
    (
        "1 offset 1d",
        1,
        "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    ),
    ("foo offset 1s offset 2s", 1, "offset may not be set multiple times"),
    ("1 or on(bar) foo", 1, "vector matching only allowed between instant vectors"),
    ("foo == on(bar) 10", 1, "vector matching only allowed between instant vectors"),
    ("foo and on(bar) group_left(baz) bar", 1, r#"no grouping allowed for "and" operation"#),
    ("foo and on(bar) group_right(baz) bar", 1, r#"no grouping allowed for "and" operation"#),
    ("foo or on(bar) group_left(baz) bar", 1, r#"no grouping allowed for "or" operation"#),
    ("foo + bool bar", 5, "bool modifier can only be used on comparison operators"),
    ("foo + bool 10", 5, "bool modifier can only be used on comparison operators"),
    ("foo and bool 10", 5, "bool modifier can only be used on comparison operators"),
    ("foo @ +Inf", 1, "timestamp out of bounds for @ modifier: +Inf"),
    ("foo @ -Inf", 1, "timestamp out of bounds for @ modifier: -Inf"),
    ("foo @ NaN", 1, "timestamp out of bounds for @ modifier: NaN"),
    ("{", 2, "unexpected end of input inside braces"),
    ("}", 1, "unexpected character: '}'"),
    ("some{", 6, "unexpected end of input inside braces"),
    ("some}", 5, "unexpected character: '}'"),
    ("some_metric{a=b}", 15, r#"unexpected identifier "b" in label matching, expected string"#),
    (r#"some_metric{a:b="b"}"#, 14, "unexpected character inside braces: ':'"),
    (r#"foo{a*"b"}"#, 6, "unexpected character inside braces: '*'"),
    (r#"foo{a>="b"}"#, 6, "unexpected character inside braces: '>'"),
    ("foo{gibberish}", 14, r#"unexpected "}" in label matching, expected label matching operator"#),
    ("foo{1}", 5, "unexpected character inside braces: '1'"),
    ("{}", 1, "vector selector must contain at least one non-empty matcher"),
    (r#"{x=""}"#, 1, "vector selector must contain at least one non-empty matcher"),
    (r#"{x=~".*"}"#, 1, "vector selector must contain at least one non-empty matcher"),
    (r#"foo{__name__="bar"}"#, 1, r#"metric name must not be set twice: "foo" or "bar""#),
    ("foo{__name__= =}", 15, r#"unexpected "=" in label matching, expected string"#),
    ("foo{,}", 5, r#"unexpected "," in label matching, expected identifier or "}""#),
    (r#"foo{__name__ == "bar"}"#, 15, r#"unexpected "=" in label matching, expected string"#),
    (
        r#"foo{__name__="bar" lol}"#,
        20,
        r#"unexpected identifier "lol" in label matching, expected "," or "}""#,
    ),
    (r#"foo{"a"=}"#, 9, r#"unexpected "}" in label matching, expected string"#),
    ("foo[5y1hs]", 5, r#"unknown unit "hs" in duration "5y1hs""#),
    ("foo[5m1h]", 5, r#"not a valid duration string: "5m1h""#),
    ("foo[5m1m]", 5, r#"not a valid duration string: "5m1m""#),
    ("foo[0m]", 5, "duration must be greater than 0"),
    (r#"foo["5m"]"#, 5, r#"unexpected character in duration expression: '"'"#),
    (
        "foo[]",
        5,
        r#"unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#,
    ),
    ("foo[-1]", 5, "duration must be greater than 0"),
    (
        "some_metric[5m] OFFSET",
        23,
        "unexpected end of input in offset, expected number, duration, step(), or range()",
    ),
    ("some_metric OFFSET 1m[5m]", 22, "no offset modifiers allowed before range"),
    ("some_metric[5m] @", 18, "unexpected end of input in @, expected timestamp"),
    ("some_metric @ 1234 [5m]", 20, "no @ modifiers allowed before range"),
    ("some_metric @ start() [5m]", 23, "no @ modifiers allowed before range"),
    ("some_metric @ end()[5m]", 20, "no @ modifiers allowed before range"),
    ("some_metric offset step()[5m]", 26, "no offset modifiers allowed before range"),
    ("(foo + bar)[5m]", 12, "ranges only allowed for vector selectors"),
    (r#"sum by ("foo)(some_metric{})"#, 9, "unterminated quoted string"),
    ("sum without(==)(some_metric)", 13, "unexpected <op:==> in grouping opts, expected label"),
    ("sum without(,)(some_metric)", 13, r#"unexpected "," in grouping opts, expected label"#),
    ("sum without(foo,,)(some_metric)", 17, r#"unexpected "," in grouping opts, expected label"#),
    ("sum some_metric by (test)", 5, r#"unexpected identifier "some_metric""#),
    ("sum (some_metric) by test", 22, r#"unexpected identifier "test" in grouping opts, expected "(""#),
    ("sum () by (test)", 1, "no arguments for aggregate expression provided"),
    ("MIN keep_common (some_metric)", 5, r#"unexpected identifier "keep_common""#),
    ("MIN (some_metric) keep_common", 19, r#"unexpected identifier "keep_common""#),
    (
        "topk(some_metric)",
        1,
        "wrong number of arguments for aggregate expression provided, expected 2, got 1",
    ),
    ("topk(some_metric,)", 17, "trailing commas not allowed in function call args"),
    (
        "topk(some_metric, other_metric)",
        6,
        "expected type scalar in aggregation parameter, got instant vector",
    ),
    ("count_values(5, other_metric)", 14, "expected type string in aggregation parameter, got scalar"),
    (
        "rate(some_metric[5m]) @ 1234",
        1,
        "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
    ),
    ("floor()", 1, r#"expected 1 argument(s) in call to "floor", got 0"#),
    ("floor(some_metric, other_metric)", 1, r#"expected 1 argument(s) in call to "floor", got 2"#),
    ("floor(some_metric, 1)", 1, r#"expected 1 argument(s) in call to "floor", got 2"#),
    ("floor(1)", 7, r#"expected type instant vector in call to function "floor", got scalar"#),
    (
        "hour(some_metric, some_metric, some_metric)",
        1,
        r#"expected at most 1 argument(s) in call to "hour", got 3"#,
    ),
    ("non_existent_function_far_bar()", 1, r#"unknown function with name "non_existent_function_far_bar""#),
    ("rate(some_metric)", 6, r#"expected type range vector in call to function "rate", got instant vector"#),
    ("a>b()", 3, r#"unknown function with name "b""#),
    ("rate(avg)", 6, r#"expected type range vector in call to function "rate", got instant vector"#),
    (r#"`\``"#, 4, "unterminated raw string"),
    (r#""\"#, 1, "escape sequence not terminated"),
    (r#""\c""#, 1, "unknown escape sequence U+0063 'c'"),
    (r#""\x.""#, 1, "illegal character U+002E '.' in escape sequence"),
    (r#"foo{bar="baz"}["#, 16, "unexpected end of input in duration expression"),
    ("test[5d] OFFSET 10s [10m:5s]", 1, "subquery is only allowed on instant vector, got matrix instead"),
    (
        r#"(foo + bar{nm="val"})[5m:][10m:5s]"#,
        1,
        "subquery is only allowed on instant vector, got matrix instead",
    ),
    ("rate(food[1m])[1h] offset 1h", 15, "ranges only allowed for vector selectors"),
    ("rate(food[1m])[1h] @ 100", 15, "ranges only allowed for vector selectors"),
    (
        r#"info(rate(http_request_counter_total{}[5m]), target_info{foo="bar"})"#,
        46,
        "expected label selectors only, got vector selector instead",
    ),
    (
        r#"info(http_request_counter_total{namespace="zzz"}, {foo="bar"} == 1)"#,
        51,
        "expected label selectors only",
    ),
    (
        "foo[step]",
        9,
        r#"unexpected "]" in subquery or range selector, expected number, duration, step(), or range()"#,
    ),
    ("foo[step()/0d]", 11, "division by zero"),
    ("foo[5s/0d]", 7, "division by zero"),
    ("foo offset (4d/0)", 15, "division by zero"),
    ("foo[5s%0d]", 7, "modulo by zero"),
    ("foo offset 9.5e10", 12, "duration out of range"),
    ("foo[9.5e10]", 5, "duration out of range"),
    ("sum(", 5, "unclosed left parenthesis"),
    ("foo[5s x 5s]", 8, "unexpected character: 'x', expected ':'"),
    ("foo[5s s 5s]", 8, "unexpected character: 's', expected ':'"),
    // The innermost open construct gives the context.
    ("sum(foo bar)", 9, r#"unexpected identifier "bar" in aggregation"#),
    ("sum(rate(foo bar))", 14, r#"unexpected identifier "bar" in aggregation"#),
    ("rate(foo bar)", 10, r#"unexpected identifier "bar""#),
    ("sum by (a) b", 12, r#"unexpected identifier "b" in aggregation"#),
    ("foo[5m 5m]", 8, r#"unexpected duration "5m" in subquery or range, expected ":" or "]""#),
    ("foo[5m:1m 2m]", 11, r#"unexpected duration "2m" in subquery selector, expected "]""#),
    ("foo @ start", 12, "unexpected end of input in @, expected timestamp"),
    (
        "foo offset 'a very long text'",
        12,
        r#"unexpected string "'a very lo"... in offset, expected number, duration, step(), or range()"#,
    ),
    (r#"foo{a=~"("}"#, 5, "error parsing regexp: missing closing ): `(`"),
    ("foo{a='b' 'c'}", 11, r#"unexpected string "'c'" in label matching, expected "," or "}""#),
    (r#"sum by ("") (x)"#, 9, r#"invalid label name for grouping: """#),
];

/// Input and printed form.
const PRINTED: &[(&str, &str)] = &[
    ("1_000 # comment", "1000"),
    ("0x1F + 017 - .5", "31 + 15 - 0.5"),
    ("1h30m", "1h30m"),
    ("-5m", "-5m"),
    ("4d1h", "4d1h"),
    ("-1^2", "-1 ^ 2"),
    ("SUM(foo) BY (job, by, \"a.b\")", "sum by (job, by, \"a.b\") (foo)"),
    ("sum without() (x)", "sum without () (x)"),
    ("{'foo.bar', b!~'c', a='d'}", r#"{__name__="foo.bar",a="d",b!~"c"}"#),
    ("a * on(x) group_left y", "a * on (x) group_left () y"),
    ("a == bool ignoring() b", "a == bool b"),
    ("a + fill_right(-2) fill_left(1e9) b", "a + fill_left (1e+09) fill_right (-2) b"),
    ("foo[5m] offset -1w @ 1.5", "foo[5m] @ 1.500 offset -1w"),
    ("foo[5m] anchored", "foo[5m] anchored"),
    ("foo[step()*(2m+1)] offset (step()/2)", "foo[step() * (2m + 1)] offset (step() / 2)"),
    ("rate(foo[1m])[1h:] @ end()", "rate(foo[1m])[1h:] @ end()"),
    ("offset offset 5m + by * fill", "offset offset 5m + by * fill"),
    ("foo offset -2^2", "foo offset -2s ^ 2"),
    ("h </ 5 >/ 1", "h </ 5 >/ 1"),
    ("info(x, {a='b'})", r#"info(x, {a="b"})"#),
    ("'a\\'b'", r#""a'b""#),
];

fn all() -> ParserOptions {
    ParserOptions::all()
}

#[test]
fn errors_are_upstream_s() {
    for (input, column, message) in ERRORS {
        let errors = parse(input, &all()).expect_err(input);
        let first = &errors.errors[0];
        assert_eq!((first.column, first.message.as_str()), (*column, *message), "{input}");
    }
    let text = |q| parse(q, &all()).unwrap_err().to_string();
    assert_eq!(text("sum(\n  foo bar\n)"), "2:7: parse error: unexpected identifier \"bar\" in aggregation");
    assert_eq!(text(""), "unknown position: parse error: no expression found in input");
    // Type errors are all found, in order.
    let errors = parse("rate(x) + floor(1)", &all()).unwrap_err().errors;
    assert_eq!(errors.iter().map(|e| e.column).collect::<Vec<_>>(), [6, 17]);
}

#[test]
fn options_switch_parts_off() {
    let off = ParserOptions { duration_expr: false, ..ParserOptions::default() };
    for (input, column, message) in [
        ("info(x)", 1, r#"function "info" is not enabled"#),
        ("step()", 1, r#"function "step" is not enabled"#),
        (
            "limitk(1, x)",
            1,
            "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
        ),
        ("x[5m] anchored", 1, "anchored modifier is experimental and not enabled"),
        ("x smoothed", 1, "smoothed modifier is experimental and not enabled"),
        ("a + fill(1) b", 1, "binop fill modifiers are experimental and not enabled"),
        ("x[1m*2]", 3, "experimental duration expression is not enabled"),
    ] {
        let errors = parse(input, &off).expect_err(input).errors;
        assert_eq!((errors[0].column, errors[0].message.as_str()), (column, message), "{input}");
        assert!(parse(input, &all()).is_ok(), "{input}");
    }
}

#[test]
fn prints_as_upstream() {
    for (input, printed) in PRINTED {
        let expr = parse(input, &all()).unwrap_or_else(|e| panic!("{input}: {e}"));
        assert_eq!(expr.to_string(), *printed, "{input}");
        round_trips(&expr);
    }
    let long = parse("sum by (job) (rate(a[1m])) / on(job) group_left() topk(3, -b)", &all()).unwrap();
    insta::assert_snapshot!(prettify_to(&long, 10), @r"
      sum by (job) (
        rate(
          a[1m]
        )
      )
    / on (job) group_left ()
      topk(
        3,
        -b
      )
    ");
    assert_eq!(prettify(&long), long.to_string());
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
    assert_eq!(text("up[5m]").unwrap_err().to_string(), r#"1:3: parse error: unexpected "[""#);

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

fn round_trips(expr: &Expr) {
    let printed = expr.to_string();
    let again = parse(&printed, &all()).unwrap_or_else(|e| panic!("{printed}: {e}"));
    assert_eq!(again.to_string(), printed);
    assert_eq!(ast_json(&sorted(expr.clone())), ast_json(&sorted(again)), "{printed}");
    let pretty = prettify_to(expr, 20);
    assert_eq!(parse(&pretty, &all()).map(|e| e.to_string()).as_deref(), Ok(printed.as_str()), "{pretty}");
}

/// The tree with the matchers of each selector in the printer's order; spans do not appear in its JSON.
fn sorted(mut expr: Expr) -> Expr {
    fn visit(expr: &mut Expr) {
        match expr {
            Expr::Vector(v) => v.matchers.sort_by_key(ToString::to_string),
            Expr::Matrix(m) => m.selector.matchers.sort_by_key(ToString::to_string),
            Expr::Subquery(s) => visit(&mut s.expr),
            Expr::Call { args, .. } => args.iter_mut().for_each(visit),
            Expr::Aggregate { expr, param, .. } => {
                visit(expr);
                param.iter_mut().for_each(|p| visit(p));
            }
            Expr::Binary { lhs, rhs, .. } => {
                visit(lhs);
                visit(rhs);
            }
            Expr::Unary { expr, .. } | Expr::Paren { expr, .. } => visit(expr),
            Expr::Number { .. } | Expr::String { .. } => {}
        }
    }
    visit(&mut expr);
    expr
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
                // A string that is no UTF-8 is cut short to one that is, which is refused when printed.
                if !expr.to_string().contains(char::REPLACEMENT_CHARACTER) {
                    round_trips(&expr);
                }
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
