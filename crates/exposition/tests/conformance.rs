//! Upstream's and real exporters' bodies, read in place.

#![allow(clippy::print_stdout, reason = "a test says what it skips")]

use std::path::PathBuf;

use exposition::{Entry, Format, Parser};

/// The shared conformance folder, a sibling of an ancestor of this crate.
fn conformance(part: &str) -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|a| a.join("shared/conformance").join(part)).find(|p| p.is_dir());
    if found.is_none() {
        println!("SKIPPED: conformance data {part} is not there");
    }
    found
}

fn count(format: Format, body: &[u8]) -> Result<usize, exposition::Error> {
    let mut parser = Parser::new(format, body);
    let mut n = 0;
    while let Some(entry) = parser.next()? {
        if let Entry::Series(series) = entry {
            assert!(!series.label_set().is_empty());
            let _ = series.exemplar().map(|e| e.to_exemplar());
            n += 1;
        }
    }
    Ok(n)
}

#[test]
fn real_bodies_parse_whole() {
    for part in ["exporters", "exporters-upstream", "textparse"] {
        let Some(dir) = conformance(part) else { return };
        let mut files = 0;
        for file in std::fs::read_dir(dir).unwrap() {
            let path = file.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            let format = if name.ends_with(".om") || name.ends_with(".om.txt") {
                Format::OpenMetrics
            } else if name.ends_with(".prom") || name.ends_with(".prom.txt") {
                Format::Text
            } else {
                continue;
            };
            let body = std::fs::read(&path).unwrap();
            let n = count(format, &body).unwrap_or_else(|e| panic!("{name}: {e}"));
            // Every line that is neither comment nor blank is a sample.
            let lines = body.split(|b| *b == b'\n').filter(|l| !l.is_empty() && l[0] != b'#').count();
            assert_eq!(n, lines, "{name}");
            files += 1;
        }
        assert!(files > 0, "{part}");
    }
}

/// Bodies the OpenMetrics suite wants refused but Prometheus takes: it parses, it does not validate.
fn prometheus_is_no_validator(name: &str) -> bool {
    [
        "bad_clashing_names",
        "bad_counter_values",
        "bad_exemplars_on_unallowed",
        "bad_grouping_or_ordering",
        "bad_histograms",
        "bad_info_and_stateset_values",
        "bad_metadata_in_wrong_place",
        "bad_missing_or_invalid_labels_for_a_type",
        "bad_repeated_metadata",
        "bad_stateset_info_values",
        "bad_unit",
        "bad_timestamp",
        "bad_exemplar_timestamp",
        "bad_exemplars",
        "bad_exemplar_complex_chars",
        "bad_metadata",
        "bad_missing_or_extra_commas",
        "bad_invalid_labels",
        "bad_metric_names",
        "bad_help",
        "bad_value",
    ]
    .iter()
    .any(|group| name.starts_with(group))
}

#[test]
fn openmetrics_suite() {
    let Some(dir) = conformance("openmetrics-parsers") else { return };
    let (mut agreed, mut lenient, mut wrong) = (0, Vec::new(), Vec::new());
    for case in std::fs::read_dir(dir).unwrap() {
        let path = case.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let should_parse =
            std::fs::read_to_string(path.join("test.json")).unwrap().contains("\"shouldParse\": true");
        let parsed = count(Format::OpenMetrics, &std::fs::read(path.join("metrics")).unwrap());
        match (should_parse, parsed.is_ok()) {
            (a, b) if a == b => agreed += 1,
            (false, true) if prometheus_is_no_validator(&name) => lenient.push(name),
            _ => wrong.push((name, parsed)),
        }
    }
    lenient.sort();
    println!("agreed {agreed}, lenient {}: {lenient:?}", lenient.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(agreed >= 120, "{agreed}");
}
