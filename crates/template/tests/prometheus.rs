//! Rule templates: upstream's outputs for its functions.

use model::LabelSet;
use template::prometheus::{AlertData, QuerySample, check, expand};

fn data(value: f64) -> AlertData {
    AlertData {
        labels: LabelSet::from_pairs([("instance", "10.0.0.1:9100"), ("job", "node")]),
        external_labels: LabelSet::from_pairs([("region", "eu")]),
        external_url: "http://prom.example:9090/p".to_owned(),
        value: value.into(),
        name: "__alert_X".to_owned(),
        now_ms: 1_435_065_584_128,
    }
}

fn run(text: &str, value: f64) -> Result<String, String> {
    let query = |q: &str| match q {
        "up" => Ok([("b", 11.0), ("a", 21.0)]
            .map(|(i, v)| QuerySample {
                labels: LabelSet::from_pairs([("instance", i)]),
                value: v.into(),
            })
            .to_vec()),
        "none" => Ok(vec![]),
        q => Err(format!("bad query {q}")),
    };
    expand(text, &data(value), &query).map_err(|e| e.to_string())
}

#[test]
fn gives_upstreams_texts() {
    for (text, value, expect) in [
        ("plain", 0.0, "plain"),
        (
            "{{ $labels.instance }} {{ $labels.none }}|{{ $value }}|{{ .Value }}",
            1_234_567.0,
            "10.0.0.1:9100 |1.234567e+06|1.234567e+06",
        ),
        (
            "{{ $externalLabels.region }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
            0.0,
            "eu http://prom.example:9090/p http://prom.example:9090/p /p",
        ),
        ("{{ $labels }}", 0.0, "map[instance:10.0.0.1:9100 job:node]"),
        ("{{ humanize $value }}", 1_234_567.0, "1.235M"),
        ("{{ humanize 0.1 }} {{ humanize 0 }} {{ humanize \"1e21\" }}", 0.0, "100m 0 1Z"),
        ("{{ humanize1024 1048576.0 }} {{ humanize1024 0.5 }}", 0.0, "1Mi 0.5"),
        (
            "{{ humanizeDuration 0 }} {{ humanizeDuration 59.9 }} {{ humanizeDuration 3661 }} {{ humanizeDuration 90061 }} {{ humanizeDuration 0.001 }} {{ humanizeDuration -90.5 }}",
            0.0,
            "0s 59.9s 1h 1m 1s 1d 1h 1m 1s 1ms -1m 30s",
        ),
        ("{{ $value | humanizePercentage }}", 0.123456, "12.35%"),
        ("{{ humanizeTimestamp 1435065584.128 }}", 0.0, "2015-06-23 13:19:44.128 +0000 UTC"),
        ("{{ (toTime 1435065584.128).Format \"15:04\" }} {{ now }}", 0.0, "13:19 1.435065584128e+09"),
        (
            "{{ (toDuration 90).Minutes }} {{ parseDuration \"1h2m10ms\" }} {{ parseDuration \"-1m\" }}",
            0.0,
            "1.5 3720.01 -60",
        ),
        (
            "{{ title \"foo barBAZ don't\" }} {{ toUpper \"a\" }} {{ \"B\" | toLower }}",
            0.0,
            "Foo BarBAZ Don't A b",
        ),
        ("{{ match \"a+\" \"aa\" }} {{ reReplaceAll \"(b+)\" \"<$1>\" \"abb\" }}", 0.0, "true a<bb>"),
        (
            "{{ stripPort \"a:80\" }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"a\" }} {{ stripDomain \"h.x.y:80\" }} {{ stripDomain \"10.0.0.1:80\" }}",
            0.0,
            "a ::1 a h:80 10.0.0.1:80",
        ),
        (
            "{{ graphLink \"up{a=\\\"b\\\"}\" }} {{ tableLink \"up\" }}",
            0.0,
            "/graph?g0.expr=up%7Ba%3D%22b%22%7D&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
        ),
        (
            "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}",
            0.0,
            "a=21 b=11 ",
        ),
        (
            "{{ query \"up\" | first | value }} {{ query \"up\" | first | label \"instance\" }} {{ with query \"none\" }}x{{ else }}empty{{ end }}",
            0.0,
            "11 b empty",
        ),
        (
            "{{ with args 1 \"a\" }}{{ .arg0 }}{{ .arg1 }}{{ end }} {{ strvalue (query \"up\" | first) }}|",
            0.0,
            "1a |",
        ),
        ("{{ if gt $value 80.0 }}high{{ else }}low{{ end }}", 85.5, "high"),
        ("{{ printf \"%.2f\" $value }}{{ $value | printf \"%.0f\" }}", 85.555, "85.5686"),
        ("{{ urlQueryEscape \"a b\" }}", 0.0, "a+b"),
    ] {
        assert_eq!(run(text, value).as_deref(), Ok(expect), "{text}");
    }
}

#[test]
fn fails_with_upstreams_texts() {
    for (text, expect) in [
        (
            "{{ nope }}",
            "error parsing template __alert_X: template: __alert_X:1: function \"nope\" not defined",
        ),
        (
            "{{ query \"none\" | first }}",
            "error executing template __alert_X: template: __alert_X:1:129: executing \"__alert_X\" at <first>: error calling first: first() called on vector with no elements",
        ),
        (
            "{{ humanize \"x\" }}",
            "error executing template __alert_X: template: __alert_X:1:114: executing \"__alert_X\" at <humanize \"x\">: error calling humanize: strconv.ParseFloat: parsing \"x\": invalid syntax",
        ),
    ] {
        let got = run(text, 0.0).unwrap_err();
        assert_eq!(strip_position(&got), strip_position(expect), "{text}");
    }
    assert!(check("{{ $labels.x }} {{ query \"up\" }}").is_ok());
    assert!(check("{{ $nope }}").is_err());
}

/// The column depends on the definitions before the text, which are checked by their length alone.
fn strip_position(text: &str) -> String {
    regex::Regex::new(r":1:\d+:").expect("a valid pattern").replace(text, ":1:N:").into_owned()
}
