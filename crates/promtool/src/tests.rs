use super::*;

const NOW: i64 = 1_700_000_000_000;

fn run(args: &[&str]) -> Result<String, String> {
    let args: Vec<String> = args.iter().map(|s| (*s).to_owned()).collect();
    let mut out = Vec::new();
    main(&args, &mut Outside { out: &mut out, now_ms: NOW }).map_err(|e| e.0)?;
    Ok(String::from_utf8(out).unwrap())
}

const INPUT: &str = "\
# TYPE http_requests counter
http_requests_total{code=\"200\"} 1021 1565133713.989
http_requests_total{code=\"400\"} 1 1565133713.990
http_requests_total{code=\"200\"} 1022 1565140913.989
# EOF
";

#[test]
fn blocks_are_made_listed_dumped_and_analyzed() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("in.om"), dir.path().join("out"));
    std::fs::write(&input, INPUT).unwrap();
    let (input, out) = (input.to_str().unwrap(), out.to_str().unwrap());
    let made = run(&["tsdb", "create-blocks-from", "openmetrics", "--label=dc=é", input, out]).unwrap();
    let lines: Vec<&str> = made.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines[0].starts_with(
            "BLOCK ULID                  MIN TIME       MAX TIME       DURATION     NUM SAMPLES"
        )
    );
    let cells: Vec<&str> = lines[1].split_whitespace().skip(1).take(6).collect();
    assert_eq!(cells, ["1565133713989", "1565133713991", "2ms", "2", "2", "2"]);
    assert_eq!(run(&["tsdb", "list", out]).unwrap().lines().count(), 3);
    assert!(run(&["tsdb", "list", "-r", out]).unwrap().contains("2019-08-06 23:21:53 +0000 UTC"));
    let dump = run(&["tsdb", "dump", out]).unwrap();
    assert_eq!(
        dump,
        "{__name__=\"http_requests_total\", code=\"200\", dc=\"é\"} 1021 1565133713989\n\
         {__name__=\"http_requests_total\", code=\"200\", dc=\"é\"} 1022 1565140913989\n\
         {__name__=\"http_requests_total\", code=\"400\", dc=\"é\"} 1 1565133713990\n"
    );
    let some = run(&["tsdb", "dump", "--match={code='400'}", "--match={dc=~'.+',code!='200'}", out]).unwrap();
    assert_eq!(some.lines().count(), 1);
    let json = run(&["tsdb", "dump", "--format=seriesjson", "--max-time=1565133713989", out]).unwrap();
    assert_eq!(json, "{\"__name__\":\"http_requests_total\",\"code\":\"200\",\"dc\":\"é\"}\n");
    let metrics = run(&["tsdb", "dump-openmetrics", out]).unwrap();
    assert!(metrics.starts_with("http_requests_total{code=\"200\",dc=\"é\"} 1021 1565133713.989\n"));
    assert!(metrics.ends_with("# EOF\n"));
    let analysis = run(&["tsdb", "analyze", "--extended", out]).unwrap();
    assert!(analysis.contains("Total Series: "), "{analysis}");
    assert!(analysis.contains("samples per histogram chunk: N/A"));

    // There and back: into a store of ours, and out again.
    let (store, back) = (dir.path().join("store"), dir.path().join("back"));
    let (store, back) = (store.to_str().unwrap(), back.to_str().unwrap());
    assert!(
        run(&["tsdb", "import", out, store])
            .unwrap()
            .ends_with("imported 3 samples of 3 series, refused 0\n")
    );
    assert!(run(&["tsdb", "import", out, store]).unwrap().contains("imported before"));
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(sorted(&run(&["tsdb", "dump", store]).unwrap()), sorted(&dump));
    assert!(run(&["tsdb", "analyze", store]).unwrap().contains("Total Series: 2"));
    assert_eq!(run(&["tsdb", "export", store, back]).unwrap().lines().count(), 3);
    assert_eq!(run(&["tsdb", "dump", back]).unwrap(), dump);
}

#[test]
fn errors_are_upstreams() {
    let cases: [(&[&str], &str); 9] = [
        (&["tsdb", "bogus"], "promtool: error: expected command but got \"bogus\", try --help"),
        (&["tsdb", "list", "--bogus"], "promtool: error: unknown long flag '--bogus', try --help"),
        (&["tsdb", "list", "-x"], "promtool: error: unknown short flag '-x', try --help"),
        (&["tsdb", "list", "/nonexist"], "opening the db dir: stat /nonexist: no such file or directory"),
        (
            &["tsdb", "dump", "--min-time"],
            "promtool: error: expected argument for flag '--min-time', try --help",
        ),
        (
            &["tsdb", "create-blocks-from", "openmetrics"],
            "promtool: error: required argument 'input file' not provided, try --help",
        ),
        (
            &["tsdb", "create-blocks-from", "rules", "x"],
            "promtool: error: required flag --start not provided, try --help",
        ),
        (&["check", "config"], "promtool check: this group of commands is not part of this version"),
        (&["tsdb", "list", "a", "b"], "promtool: error: unexpected b, try --help"),
    ];
    for (args, text) in cases {
        assert_eq!(run(args).unwrap_err(), text);
    }
    assert!(run(&["tsdb", "--help"]).unwrap().contains("promtool tsdb dump-openmetrics"));
}

#[test]
fn input_that_cannot_be_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.om");
    let out = dir.path().join("out");
    let cases = [
        ("a 1\n# EOF\n", "getting min and max timestamp: expected timestamp for series got none"),
        ("a 1 2\na 2 1\n# EOF\n", "block creation: process blocks: add sample: out of order sample"),
        (
            "a 1 2\na 2 2\n# EOF\n",
            "block creation: process blocks: add sample: duplicate sample for timestamp",
        ),
    ];
    for (text, expected) in cases {
        std::fs::write(&path, text).unwrap();
        let args =
            ["tsdb", "create-blocks-from", "openmetrics", path.to_str().unwrap(), out.to_str().unwrap()];
        assert_eq!(run(&args).unwrap_err(), expected);
    }
    std::fs::write(&path, "a 1 2\na 1 2\n# EOF\n").unwrap();
    let args =
        ["tsdb", "create-blocks-from", "openmetrics", "-q", path.to_str().unwrap(), out.to_str().unwrap()];
    assert_eq!(run(&args).unwrap(), "");
}

/// Upstream's data, where it is.
fn conformance(name: &str) -> Option<std::path::PathBuf> {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = here.ancestors().flat_map(|a| [a.join("shared"), a.join("../shared")]);
    places.map(|p| p.join("conformance/promtool-testdata").join(name)).find(|p| p.is_file())
}

#[test]
fn upstreams_dump_goes_round() {
    let Some(file) = conformance("dump-openmetrics-roundtrip-test.prom") else {
        println!("SKIPPED: upstream's test data is not on this machine");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    run(&["tsdb", "create-blocks-from", "openmetrics", "-q", file.to_str().unwrap(), out]).unwrap();
    assert_eq!(run(&["tsdb", "dump-openmetrics", out]).unwrap(), std::fs::read_to_string(file).unwrap());
}
