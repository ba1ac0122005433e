//! Snippets with the output Go gives for them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use template::{Funcs, Mode, Templates, Value};

fn data() -> Value {
    let mut root = BTreeMap::new();
    root.insert("name".to_owned(), Value::str("web"));
    root.insert("n".to_owned(), Value::Int(3));
    root.insert("f".to_owned(), Value::Float(1_234_567.0));
    root.insert("list".to_owned(), Value::strings(["a", "b", "c"]));
    root.insert("wide".to_owned(), Value::list(vec![Value::Int(1); 100]));
    root.insert("wide_map".to_owned(), Value::string_map((0..100).map(|i| (i.to_string(), ""))));
    root.insert("empty".to_owned(), Value::list(vec![]));
    root.insert("labels".to_owned(), Value::string_map([("job", "api"), ("x", "1")]));
    root.insert("html".to_owned(), Value::str("<b>\"A\" & 'B'</b>"));
    root.insert("evil".to_owned(), Value::str("javascript:alert(1)"));
    root.insert("t".to_owned(), template::time::from_ms(1_700_000_000_123));
    root.insert("d".to_owned(), Value::Duration(5_400_000_000_000));
    Value::any_map(root)
}

fn run(text: &str, mode: Mode) -> Result<String, String> {
    Templates::default().render("t", text, &data(), &Funcs::default(), mode).map_err(|e| e.to_string())
}

#[test]
fn prints_what_go_prints() {
    for (text, expect) in [
        ("a{{ 1 }}b", "a1b"),
        ("a {{- 1 -}} b", "a1b"),
        ("{{/* c */}}x{{- /* c */ -}} y", "xy"),
        ("{{.name}} {{.n}} {{.f}}", "web 3 1.234567e+06"),
        ("{{.list}} {{.labels}}", "[a b c] map[job:api x:1]"),
        ("{{.labels.job}}|{{.labels.none}}|{{.none}}", "api||<no value>"),
        ("{{if .none}}a{{else if .n}}b{{else}}c{{end}}", "b"),
        ("{{with .none}}a{{else with .name}}{{.}}{{else}}c{{end}}", "web"),
        ("{{range .list}}{{.}},{{end}}", "a,b,c,"),
        ("{{range $i, $e := .list}}{{$i}}={{$e}} {{end}}", "0=a 1=b 2=c "),
        ("{{range $k, $v := .labels}}{{$k}}={{$v}} {{end}}", "job=api x=1 "),
        ("{{range .empty}}a{{else}}none{{end}}", "none"),
        ("{{range .list}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ("{{range .list}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("{{define \"a\"}}[{{.}}]{{end}}{{template \"a\" .name}}", "[web]"),
        ("{{block \"a\" .n}}<{{.}}>{{end}}", "<3>"),
        (
            "{{printf \"%5.2f|%-5s|%05d|%x|%q|%t|%v|%T|%%\" 3.14159 \"ab\" 42 255 \"q\" true .list .n}}",
            " 3.14|ab   |00042|ff|\"q\"|true|[a b c]|int|%",
        ),
        ("{{printf \"%d %s\" \"x\" 3}}", "%!d(string=x) %!s(int=3)"),
        ("{{printf \"%d\"}} {{printf \"a\" 1}}", "%!d(MISSING) a%!(EXTRA int=1)"),
        (
            "{{printf \"%e %g %.3g %+d % d\" 123456.789 0.00001 1234.5 5 5}}",
            "1.234568e+05 1e-05 1.23e+03 +5  5",
        ),
        ("{{printf \"%[2]d %[1]d %*d\" 1 2 5 7}}", "2 1  5"),
        ("{{printf \"%6v|%-6v|%06.1f\" 1.5 true -2.25}}", "   1.5|true  |-002.2"),
        ("{{print 1 2 \"a\" \"b\" 3}}|{{println 1 \"a\"}}", "1 2ab3|1 a\n"),
        ("{{len .list}} {{len \"héé\"}} {{index .list 1}} {{index .labels \"job\"}}", "3 5 b api"),
        ("{{slice \"abcdef\" 1 3}} {{slice .list 1}}", "bc [b c]"),
        ("{{and 1 0 (index .list 9)}} {{or 0 2 (index .list 9)}} {{not 0}}", "0 2 true"),
        (
            "{{eq 1 2 1}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1.5 1.0}} {{ge \"b\" \"a\"}}",
            "true true true true true true",
        ),
        ("{{html .html}}", "&lt;b&gt;&#34;A&#34; &amp; &#39;B&#39;&lt;/b&gt;"),
        ("{{js \"a'<b>\"}} {{urlquery \"a b&c/d\"}}", "a\\'\\u003Cb\\u003E a+b%26c%2Fd"),
        (
            "{{\"a\\tb\\u00e9\\x41\"}}{{`r\\w`}}{{'a'}}{{0x1F}}{{1e3}}{{-5}}{{1_000}}",
            "a\tbéAr\\w97311000-51000",
        ),
        ("{{(index .list 0) | printf \"%s-%s\" \"x\"}}", "x-a"),
        (
            "{{.t.Format \"2006-01-02T15:04:05.000Z07:00 Mon Jan _2 3PM\"}}",
            "2023-11-14T22:13:20.123Z Tue Nov 14 10PM",
        ),
        (
            "{{.t}} {{.t.Unix}} {{.d}} {{.d.Hours}}",
            "2023-11-14 22:13:20.123 +0000 UTC 1700000000 1h30m0s 1.5",
        ),
        ("{{ $.name }}{{ with .labels }}{{ $.name }}{{ .job }}{{ end }}", "webwebapi"),
    ] {
        assert_eq!(run(text, Mode::Text).as_deref(), Ok(expect), "{text}");
    }
}

#[test]
fn fails_as_go_fails() {
    for (text, expect) in [
        ("{{", "template: t:1: unclosed action"),
        ("a\n{{ foo }}", "template: t:2: function \"foo\" not defined"),
        ("{{ $x }}", "template: t:1: undefined variable \"$x\""),
        ("{{ if }}x{{ end }}", "template: t:1: missing value for if"),
        ("{{ if 1 }}x", "template: t:1: unexpected EOF"),
        ("{{ end }}", "template: t:1: unexpected {{end}}"),
        ("{{ break }}", "template: t:1: {{break}} outside {{range}}"),
        ("{{ \"a }}", "template: t:1: unterminated quoted string"),
        ("{{ (1 }}", "template: t:1: unclosed left paren"),
        ("{{ 1) }}", "template: t:1: unexpected right paren"),
        ("{{ .name | 3 }}", "template: t:1: non executable command in pipeline stage 2"),
        ("{{ /* x }}", "template: t:1: unexpected \"/\" in command"),
        (
            "ab {{ .name.foo }}",
            "template: t:1:6: executing \"t\" at <.name.foo>: can't evaluate field foo in type string",
        ),
        (
            "\n {{ index .list 5 }}",
            "template: t:2:4: executing \"t\" at <index .list 5>: error calling index: index out of range: 5",
        ),
        (
            "{{ gt .f 80 }}",
            "template: t:1:3: executing \"t\" at <gt .f 80>: error calling gt: incompatible types for comparison",
        ),
        (
            "{{ template \"no\" }}",
            "template: t:1:12: executing \"t\" at <{{template \"no\"}}>: template \"no\" not defined",
        ),
        ("{{ .name / 2 }}", "template: t:1: unexpected \"/\" in operand"),
        ("{{ 1 2 }}", "template: t:1:3: executing \"t\" at <1>: can't give argument to non-function 1"),
        ("{{ len 3 }}", "template: t:1:3: executing \"t\" at <len 3>: error calling len: len of type int"),
    ] {
        assert_eq!(run(text, Mode::Text), Err(expect.to_owned()), "{text}");
    }
}

#[test]
fn stops_at_its_limits() {
    let deep = format!("{}{}", "{{if 1}}".repeat(500), "{{end}}".repeat(500));
    assert!(run(&deep, Mode::Text).unwrap_err().contains("nested deeper"));
    let parens = format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(run(&parens, Mode::Text).unwrap_err().contains("nested deeper"));
    let err = run("{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}", Mode::Text).unwrap_err();
    assert!(err.contains("exceeded maximum template depth"), "{err}");
    let nested = "{{range $.wide}}".repeat(4) + &"{{end}}".repeat(4);
    for text in [
        "{{range 9000000000}}{{end}}",
        "{{range $i, $e := 9000000000}}{{end}}",
        &nested,
        &nested.replace("wide", "wide_map"),
    ] {
        let err = run(text, Mode::Text).unwrap_err();
        assert!(err.contains("steps"), "{text}: {err}");
    }
    let err = run("{{range 1000000}}{{printf \"%100000d\" 1}}{{end}}", Mode::Text).unwrap_err();
    assert!(err.contains("bytes of output"), "{err}");
}

#[test]
fn escapes_by_context() {
    for (text, expect) in [
        ("<p>{{.html}}</p>", "<p>&lt;b&gt;&#34;A&#34; &amp; &#39;B&#39;&lt;/b&gt;</p>"),
        ("<a title=\"{{.html}}\">", "<a title=\"&lt;b&gt;&#34;A&#34; &amp; &#39;B&#39;&lt;/b&gt;\">"),
        ("<a href=\"{{.evil}}\">", "<a href=\"#ZgotmplZ\">"),
        ("<a href=\"{{\"http://x/a b?c=d&e\"}}\">", "<a href=\"http://x/a%20b?c=d&amp;e\">"),
        ("<a href=\"/x?q={{\"a b&c\"}}\">", "<a href=\"/x?q=a%20b%26c\">"),
        ("<a href=\"/x?q={{\"a b&c\" | urlquery}}\">", "<a href=\"/x?q=a&#43;b%26c\">"),
        ("<a href={{.name}} x={{\"a b\"}}>", "<a href=web x=a&#32;b>"),
        (
            "<p style=\"color: {{\"red\"}}; width: {{\"expression(1)\"}}\">",
            "<p style=\"color: red; width: ZgotmplZ\">",
        ),
        (
            "<script>var a = {{.list}}, s = \"{{.html}}\";</script>{{.n}}",
            "<script>var a = [\"a\",\"b\",\"c\"], s = \"\\u003Cb\\u003E\\\"A\\\" \\u0026 \\'B\\'\\u003C/b\\u003E\";</script>3",
        ),
        ("<!-- {{.name}} -->x<!DOCTYPE html>a < b", "x<!DOCTYPE html>a &lt; b"),
        ("<title>{{.html}}</title>", "<title>&lt;b&gt;&#34;A&#34; &amp; &#39;B&#39;&lt;/b&gt;</title>"),
        ("{{.none}}|{{1}}", "|1"),
    ] {
        assert_eq!(run(text, Mode::Html).as_deref(), Ok(expect), "{text}");
    }
}

proptest! {
    #[test]
    fn never_panics(text in "(\\{\\{-? ?|-?\\}\\}|[$.|()\"`'%a-z0-9 =:,\\\\<>/é\n-]|range |if |with |else |end|define \"a\"|template \"a\"|printf \"%v\"|\\.list|\\$x := ){0,40}") {
        let _ = run(&text, Mode::Text);
        let _ = run(&text, Mode::Html);
    }

    #[test]
    fn formats_without_panic(format in "\\PC{0,20}", layout in "\\PC{0,20}") {
        let quoted = model::float::go_quote(&format);
        let _ = run(&format!("{{{{printf {quoted} 1 \"a\" 2.5 true .list nil}}}}"), Mode::Text);
        let _ = template::time::parse(&layout, &format);
        let _ = template::time::parse("2006-01-02 15:04:05.000 Z07:00 Jan 002 3PM", &format);
        if let Value::Time(t) = template::time::from_ms(5) {
            let _ = template::time::format(&t, &layout);
        }
    }
}
