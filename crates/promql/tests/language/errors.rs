//! Error texts with their columns, as upstream gives them, and what is added where upstream does not say what it expects.

use promql::parser::{ParserOptions, parse};

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
    ("a - on(b) ignoring(c) d", 11, "unexpected <ignoring>"),
    ("foo and 1", 1, r#"set operator "and" not allowed in binary scalar expression"#),
    ("1 or foo", 1, r#"set operator "or" not allowed in binary scalar expression"#),
    ("foo unless 1", 1, r#"set operator "unless" not allowed in binary scalar expression"#),
    ("foo + group_left(baz) bar", 7, "unexpected <group_left>"),
    ("foo or on(bar) group_right(baz) bar", 1, r#"no grouping allowed for "or" operation"#),
    ("foo unless on(bar) group_left(baz) bar", 1, r#"no grouping allowed for "unless" operation"#),
    (
        r#"a{g="p"} + on(instance) group_left(job,instance) c{t="s"}"#,
        10,
        r#"label "instance" must not occur in ON and GROUP clause at once"#,
    ),
    (r#"{x!~".+"}"#, 1, "vector selector must contain at least one non-empty matcher"),
    (r#"{x!="a"}"#, 1, "vector selector must contain at least one non-empty matcher"),
    ("foo[5mm]", 5, r#"bad number or duration syntax: "5mm""#),
    ("foo[5m1]", 5, r#"bad number or duration syntax: "5m1""#),
    ("foo[5m:1m1]", 8, r#"bad number or duration syntax: "1m1""#),
    ("some_metric[5m] OFFSET 1mm", 24, r#"bad number or duration syntax: "1mm""#),
    ("sum (some_metric) without (test) by (test)", 34, "unexpected <by>"),
    ("sum without (test) (some_metric) by (test)", 34, "unexpected <by>"),
    ("time(some_metric)", 1, r#"expected 0 argument(s) in call to "time", got 1"#),
    ("-=", 2, r#"unexpected "=""#),
    ("++-++-+-+-<", 11, "unexpected <op:<>"),
    ("e-+=/(0)", 4, r#"unexpected "=""#),
    ("sum(rate(", 10, "unclosed left parenthesis"),
    ("1[5m] smoothed", 2, "ranges only allowed for vector selectors"),
    ("some_metric{a=\"\u{fffd}\"}", 15, "invalid UTF-8 rune"),
    (r#"sum by ("a\xff") (x)"#, 9, r#"invalid label name for grouping: "a\xff""#),
    (r#"foo{a=~"\xff"}"#, 5, "error parsing regexp: invalid UTF-8: `\u{fffd}`"),
];

/// Input and what is valid where upstream only says "unexpected": the end of the message.
const VALID: &[(&str, &str)] = &[
    ("foo bar", r#", expected "{", "[", "offset", "@", an operator or the end of the query"#),
    ("foo{a='b'} bar", r#", expected "[", "offset", "@", an operator or the end of the query"#),
    ("foo[5m] bar", r#", expected "offset", "@", an operator or the end of the query"#),
    ("rate(foo[5m]) 1", r#", expected "[", an operator or the end of the query"#),
    ("(1 2)", r#", expected an operator or ")""#),
    ("abs(a b)", r#", expected "{", "[", "offset", "@", an operator, "," or ")""#),
    (
        "1 +",
        r#", expected a metric name, a number, a duration, a string, a function, an aggregation, a sign, "(" or "{""#,
    ),
    ("a + fill(x) b", ", expected a number or a duration"),
    ("sum by (a) b", r#", expected "(""#),
    // Upstream's own expectation is left as it is.
    ("foo @ x", "unexpected identifier \"x\" in @, expected timestamp"),
];

#[test]
fn errors_are_upstream_s() {
    for (input, column, message) in ERRORS {
        let errors = parse(input, &ParserOptions::all()).expect_err(input);
        let first = &errors.errors[0];
        assert_eq!(first.column, *column, "{input}");
        let added = first.message.strip_prefix(message);
        assert!(
            added.is_some_and(|a| a.is_empty() || a.starts_with(", expected ")),
            "{input}: {:?}",
            first.message
        );
    }
    let text = |q| parse(q, &ParserOptions::all()).unwrap_err().to_string();
    assert_eq!(
        text("sum(\n  foo bar\n)"),
        "2:7: parse error: unexpected identifier \"bar\" in aggregation, \
         expected \"{\", \"[\", \"offset\", \"@\", an operator, \",\" or \")\""
    );
    assert_eq!(text(""), "unknown position: parse error: no expression found in input");
    for (input, valid) in VALID {
        assert!(text(input).ends_with(valid), "{input}: {}", text(input));
    }
    // What has a range without being a selector counts as a range from there on.
    let errors = parse("rate(food[1m])[1h] offset 1h", &ParserOptions::all()).unwrap_err().errors;
    let found: Vec<_> = errors.iter().map(|e| (e.span.start, e.span.end, e.message.as_str())).collect();
    let message = "ranges only allowed for vector selectors";
    assert_eq!(found, [(14, 18, message), (0, 18, message)]);
    // Type errors are all found, in order.
    let errors = parse("rate(x) + floor(1)", &ParserOptions::all()).unwrap_err().errors;
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
        assert!(parse(input, &ParserOptions::all()).is_ok(), "{input}");
    }
}
