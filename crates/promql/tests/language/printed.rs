//! Printed and broken up expressions, as upstream prints them.

use promql::parser::{ParserOptions, parse, prettify, prettify_to};

use super::round_trips;

fn all() -> ParserOptions {
    ParserOptions::all()
}

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
    (r#"sum by() (task:errors:rate10s{job="s"})"#, r#"sum(task:errors:rate10s{job="s"})"#),
    (r#"sum by(code) (task:errors:rate10s{job="s"})"#, r#"sum by (code) (task:errors:rate10s{job="s"})"#),
    (r#"sum without() (task:errors:rate10s{job="s"})"#, r#"sum without () (task:errors:rate10s{job="s"})"#),
    (
        r#"sum without(instance) (task:errors:rate10s{job="s"})"#,
        r#"sum without (instance) (task:errors:rate10s{job="s"})"#,
    ),
    (
        r#"sum by("foo.bar") (task:errors:rate10s{job="s"})"#,
        r#"sum by ("foo.bar") (task:errors:rate10s{job="s"})"#,
    ),
    (
        r#"sum without("foo.bar") (task:errors:rate10s{job="s"})"#,
        r#"sum without ("foo.bar") (task:errors:rate10s{job="s"})"#,
    ),
    (r#"topk(5, task:errors:rate10s{job="s"})"#, r#"topk(5, task:errors:rate10s{job="s"})"#),
    (
        r#"count_values("value", task:errors:rate10s{job="s"})"#,
        r#"count_values("value", task:errors:rate10s{job="s"})"#,
    ),
    ("a - on() c", "a - on () c"),
    ("a - on(b) c", "a - on (b) c"),
    ("a - on(b) group_left(x) c", "a - on (b) group_left (x) c"),
    ("a - on(b) group_left(x, y) c", "a - on (b) group_left (x, y) c"),
    ("a - on(b) group_left c", "a - on (b) group_left () c"),
    ("a - on(b) group_left() (c)", "a - on (b) group_left () (c)"),
    ("a - ignoring(b) c", "a - ignoring (b) c"),
    ("a - ignoring() c", "a - c"),
    ("a - ignoring() group_left(__metric__) c", "a - ignoring () group_left (__metric__) c"),
    ("a - ignoring() group_left c", "a - ignoring () group_left () c"),
    ("a + fill(-23) b", "a + fill (-23) b"),
    ("a + fill_left(-23) b", "a + fill_left (-23) b"),
    ("a + fill_right(42) b", "a + fill_right (42) b"),
    ("a + fill_left(-23) fill_right(42) b", "a + fill_left (-23) fill_right (42) b"),
    ("a + fill_left(5) fill_right(5) b", "a + fill (5) b"),
    ("a + on(b) group_left fill(-23) c", "a + on (b) group_left () fill (-23) c"),
    ("up > bool 0", "up > bool 0"),
    ("a offset 1m", "a offset 1m"),
    ("a offset -7m", "a offset -7m"),
    (r#"a{c="d"}[5m] offset 1m"#, r#"a{c="d"}[5m] offset 1m"#),
    ("a[5m] offset 1m", "a[5m] offset 1m"),
    ("a[12m] offset -3m", "a[12m] offset -3m"),
    ("a[1h:5m] offset 1m", "a[1h:5m] offset 1m"),
    ("a anchored", "a anchored"),
    ("a[5m] anchored", "a[5m] anchored"),
    (r#"a{b="c"}[5m] anchored"#, r#"a{b="c"}[5m] anchored"#),
    (r#"a{b="c"}[5m] anchored offset 1m"#, r#"a{b="c"}[5m] anchored offset 1m"#),
    (r#"a{b="c"}[5m] anchored @ start() offset 1m"#, r#"a{b="c"}[5m] anchored @ start() offset 1m"#),
    ("a smoothed", "a smoothed"),
    ("a[5m] smoothed", "a[5m] smoothed"),
    (r#"a{b="c"}[5m] smoothed"#, r#"a{b="c"}[5m] smoothed"#),
    (r#"a{b="c"}[5m] smoothed offset 1m"#, r#"a{b="c"}[5m] smoothed offset 1m"#),
    (r#"a{b="c"}[5m] smoothed @ start() offset 1m"#, r#"a{b="c"}[5m] smoothed @ start() offset 1m"#),
    (r#"{__name__="a"}"#, r#"{__name__="a"}"#),
    (r#"a{b!="c"}[1m]"#, r#"a{b!="c"}[1m]"#),
    (r#"a{b=~"c"}[1m]"#, r#"a{b=~"c"}[1m]"#),
    (r#"a{b!~"c"}[1m]"#, r#"a{b!~"c"}[1m]"#),
    ("a @ 10", "a @ 10.000"),
    ("a[1m] @ 10", "a[1m] @ 10.000"),
    ("a @ start()", "a @ start()"),
    ("a @ end()", "a @ end()"),
    ("a[1m] @ start()", "a[1m] @ start()"),
    ("a[1m] @ end()", "a[1m] @ end()"),
    (r#"{__name__="",a="x"}"#, r#"{__name__="",a="x"}"#),
    (r#"{"a.b"="c"}"#, r#"{"a.b"="c"}"#),
    (r#"{"0"="1"}"#, r#"{"0"="1"}"#),
    (r#"{"_0"="1"}"#, r#"{_0="1"}"#),
    (r#"{""="0"}"#, r#"{""="0"}"#),
    (r#"{``="0"}"#, r#"{""="0"}"#),
    ("1048576", "1048576"),
    ("foo[step()]", "foo[step()]"),
    ("foo[-step()]", "foo[-step()]"),
    ("foo[(step())]", "foo[(step())]"),
    ("foo[-(step())]", "foo[-(step())]"),
    ("foo offset step()", "foo offset step()"),
    ("foo offset -step()", "foo offset -step()"),
    ("foo offset (step())", "foo offset (step())"),
    ("foo offset -(step())", "foo offset -(step())"),
    ("foo offset +(5)", "foo offset (5)"),
    ("foo offset -(5)", "foo offset -(5)"),
    ("foo offset (5)", "foo offset (5)"),
    ("foo offset (5m)", "foo offset (5m)"),
    ("foo[(5s)]", "foo[(5s)]"),
    ("foo[(5m):(1m)]", "foo[(5m):(1m)]"),
    ("foo offset +min_of(10s, 20s)", "foo offset min_of(10s, 20s)"),
    ("foo offset -min_of(10s, 20s)", "foo offset -min_of(10s, 20s)"),
    ("foo offset -min_of(10s, +max_of(step() ^ 2, 2))", "foo offset -min_of(10s, max_of(step() ^ 2, 2))"),
    ("foo[200-min_of(-step()^+step(),1)]", "foo[200 - min_of(-step() ^ step(), 1)]"),
    (
        "foo[200 - min_of(step() + 10s, -max_of(step() ^ 2, 3))]",
        "foo[200 - min_of(step() + 10s, -max_of(step() ^ 2, 3))]",
    ),
    ("foo[range()]", "foo[range()]"),
    ("foo[-range()]", "foo[-range()]"),
    ("foo offset range()", "foo offset range()"),
    ("foo offset -range()", "foo offset -range()"),
    ("foo[max_of(range(), 5s)]", "foo[max_of(range(), 5s)]"),
    ("predict_linear(foo[1h], 3000)", "predict_linear(foo[1h], 3000)"),
    (r#"sum by("üüü") (foo)"#, r#"sum by ("üüü") (foo)"#),
    (r#"sum without("äää") (foo)"#, r#"sum without ("äää") (foo)"#),
    (r#"count by("ööö", job) (foo)"#, r#"count by ("ööö", job) (foo)"#),
    (r"'a\xff\n'", r#""a\xff\n""#),
    (r#"foo / on("äää", b) group_left("ööö") bar"#, r#"foo / on ("äää", b) group_left ("ööö") bar"#),
];

/// Input and what `format_query` makes of it where a line holds ten characters.
const PRETTY: &[(&str, &str)] = &[
    ("sum(foo)", "sum(foo)"),
    (r#"sum by() (task:errors:rate10s{job="s"})"#, "sum(\n  task:errors:rate10s{job=\"s\"}\n)"),
    (
        r#"sum without(job,foo) (task:errors:rate10s{job="s"})"#,
        "sum without (job, foo) (\n  task:errors:rate10s{job=\"s\"}\n)",
    ),
    (
        r#"sum(task:errors:rate10s{job="s"}) without(job,foo)"#,
        "sum without (job, foo) (\n  task:errors:rate10s{job=\"s\"}\n)",
    ),
    (
        r#"sum by(job,foo) (task:errors:rate10s{job="s"})"#,
        "sum by (job, foo) (\n  task:errors:rate10s{job=\"s\"}\n)",
    ),
    (
        r#"sum (task:errors:rate10s{job="s"}) by(job,foo)"#,
        "sum by (job, foo) (\n  task:errors:rate10s{job=\"s\"}\n)",
    ),
    (r#"topk(10, ask:errors:rate10s{job="s"})"#, "topk(\n  10,\n  ask:errors:rate10s{job=\"s\"}\n)"),
    (
        r#"sum by(job,foo) (sum by(job,foo) (task:errors:rate10s{job="s"}))"#,
        "sum by (job, foo) (\n  sum by (job, foo) (\n    task:errors:rate10s{job=\"s\"}\n  )\n)",
    ),
    (
        r#"sum by(job,foo) (sum by(job,foo) (sum by(job,foo) (task:errors:rate10s{job="s"})))"#,
        "sum by (job, foo) (\n  sum by (job, foo) (\n    sum by (job, foo) (\n      task:errors:rate10s{job=\"s\"}\n    )\n  )\n)",
    ),
    (
        "sum by(job,foo)\n(sum by(job,foo) (task:errors:rate10s{job=\"s\"}))",
        "sum by (job, foo) (\n  sum by (job, foo) (\n    task:errors:rate10s{job=\"s\"}\n  )\n)",
    ),
    (
        "sum by(job,foo)\n(sum(task:errors:rate10s{job=\"s\"}) without(job,foo))",
        "sum by (job, foo) (\n  sum without (job, foo) (\n    task:errors:rate10s{job=\"s\"}\n  )\n)",
    ),
    (
        "sum by(job,foo) # Comment 1.\n(sum by(job,foo) ( # Comment 2.\ntask:errors:rate10s{job=\"s\"}))",
        "sum by (job, foo) (\n  sum by (job, foo) (\n    task:errors:rate10s{job=\"s\"}\n  )\n)",
    ),
    ("a+b", "a + b"),
    ("a == bool 1", "  a\n== bool\n  1"),
    ("a + ignoring(job) b", "  a\n+ ignoring (job)\n  b"),
    ("foo_1 + foo_2", "  foo_1\n+\n  foo_2"),
    ("foo_1 + foo_2 + foo_3", "    foo_1\n  +\n    foo_2\n+\n  foo_3"),
    ("foo + baar + foo_3", "  foo + baar\n+\n  foo_3"),
    ("foo_1 + foo_2 + foo_3 + foo_4", "      foo_1\n    +\n      foo_2\n  +\n    foo_3\n+\n  foo_4"),
    (
        "foo_1 + ignoring(foo) foo_2 + ignoring(job) group_left foo_3 + on(instance) group_right foo_4",
        "      foo_1\n    + ignoring (foo)\n      foo_2\n  + ignoring (job) group_left ()\n    foo_3\n+ on (instance) group_right ()\n  foo_4",
    ),
    ("rate(foo[1m])", "rate(\n  foo[1m]\n)"),
    ("sum_over_time(foo[1m])", "sum_over_time(\n  foo[1m]\n)"),
    (
        "rate(long_vector_selector[10m:1m] @ start() offset 1m)",
        "rate(\n  long_vector_selector[10m:1m] @ start() offset 1m\n)",
    ),
    ("histogram_quantile(0.9, rate(foo[1m]))", "histogram_quantile(\n  0.9,\n  rate(\n    foo[1m]\n  )\n)"),
    (
        "max_over_time(rate(demo_api_request_duration_seconds_count[1m])[1m:] @ start() offset 1m)",
        "max_over_time(\n  rate(\n    demo_api_request_duration_seconds_count[1m]\n  )[1m:] @ start() offset 1m\n)",
    ),
    (
        r#"label_replace(up{job="api-server",service="a:c"}, "foo", "$1", "service", "(.*):.*")"#,
        "label_replace(\n  up{job=\"api-server\",service=\"a:c\"},\n  \"foo\",\n  \"$1\",\n  \"service\",\n  \"(.*):.*\"\n)",
    ),
    ("(foo)", "(foo)"),
    ("(_foo_long_)", "(\n  _foo_long_\n)"),
    ("((foo_long))", "(\n  (foo_long)\n)"),
    ("((_foo_long_))", "(\n  (\n    _foo_long_\n  )\n)"),
    ("(((foo_long)))", "(\n  (\n    (foo_long)\n  )\n)"),
    ("a @ 1", "a @ 1.000"),
    ("a @ start()", "a @ start()"),
    ("vector_selector @ start()", "vector_selector @ start()"),
    ("(1 + 2)", "(1 + 2)"),
    ("(foo + bar)", "(\n  foo + bar\n)"),
    ("(foo_long + bar_long)", "(\n    foo_long\n  +\n    bar_long\n)"),
    (
        "(foo_long + bar_long + bar_2_long)",
        "(\n      foo_long\n    +\n      bar_long\n  +\n    bar_2_long\n)",
    ),
    (
        "((foo_long + bar_long) + bar_2_long)",
        "(\n    (\n        foo_long\n      +\n        bar_long\n    )\n  +\n    bar_2_long\n)",
    ),
    ("(1111 + 2222)", "(\n    1111\n  +\n    2222\n)"),
    ("(sum_over_time(foo[1m]))", "(\n  sum_over_time(\n    foo[1m]\n  )\n)"),
    (
        "histogram_quantile(0.9, rate(foo[1m] @ start()))",
        "histogram_quantile(\n  0.9,\n  rate(\n    foo[1m] @ start()\n  )\n)",
    ),
    (
        r#"(label_replace(up{job="api-server",service="a:c"}, "foo", "$1", "service", "(.*):.*"))"#,
        "(\n  label_replace(\n    up{job=\"api-server\",service=\"a:c\"},\n    \"foo\",\n    \"$1\",\n    \"service\",\n    \"(.*):.*\"\n  )\n)",
    ),
    ("-1", "-1"),
    ("-vector_selector", "-vector_selector"),
    ("(-vector_selector)", "(\n  -vector_selector\n)"),
    ("-histogram_quantile(0.9,rate(foo[1m]))", "-histogram_quantile(\n  0.9,\n  rate(\n    foo[1m]\n  )\n)"),
    (
        "-histogram_quantile(0.99, sum by (le) (rate(foo[1m])))",
        "-histogram_quantile(\n  0.99,\n  sum by (le) (\n    rate(\n      foo[1m]\n    )\n  )\n)",
    ),
    (
        "-histogram_quantile(0.9, -rate(foo[1m] @ start()))",
        "-histogram_quantile(\n  0.9,\n  -rate(\n    foo[1m] @ start()\n  )\n)",
    ),
    (
        "(-histogram_quantile(0.9, -rate(foo[1m] @ start())))",
        "(\n  -histogram_quantile(\n    0.9,\n    -rate(\n      foo[1m] @ start()\n    )\n  )\n)",
    ),
    ("rate(foo[2*1h])", "rate(\n  foo[2 * 1h]\n)"),
    ("rate(foo[-5m+35m])", "rate(\n  foo[-5m + 35m]\n)"),
];

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
    for (input, printed) in PRETTY {
        let expr = parse(input, &all()).unwrap_or_else(|e| panic!("{input}: {e}"));
        assert_eq!(prettify_to(&expr, 10), *printed, "{input}");
    }
}
