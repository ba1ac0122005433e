//! Upstream's configuration test files, read in place: each good one loads, each bad one is refused with upstream's words.

#![allow(clippy::print_stdout, reason = "a test says what it skips")]

use std::path::{Path, PathBuf};

use config::{Diagnostics, Loaded};

/// Files that this crate judges differently, or words that differ, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("labelname.bad.yml", "the file is not UTF-8: refused as such, before its labels are looked at"),
    ("labelvalue.bad.yml", "as labelname.bad.yml"),
    (
        "config_with_deprecated_am_api_config.yml",
        "a bad file without the mark in its name; see the test below",
    ),
    (
        "scrape_config_files_scrape_protocols.bad.yml",
        "an unknown protocol is reported at its place, which says the job",
    ),
    ("scrape_config_files_fallback_scrape_protocol1.bad.yml", "as above"),
    ("scrape_config_files_fallback_scrape_protocol2.bad.yml", "as above; a list is no text"),
];

fn testdata() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|a| a.join("shared/conformance/prometheus-config-testdata"))
        .find(|p| p.is_dir());
    if found.is_none() {
        println!("SKIPPED: shared/conformance/prometheus-config-testdata is not beside the repository");
    }
    found
}

fn load(path: &Path) -> Result<Loaded<config::Config>, Diagnostics> {
    config::load_file(path)
}

fn excepted(name: &str) -> bool {
    EXCEPTIONS.iter().any(|(n, _)| *n == name)
}

#[test]
fn good_files_load_and_bad_ones_do_not() {
    let Some(dir) = testdata() else { return };
    let mut failures = Vec::new();
    let mut seen = 0;
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path()).collect();
    names.sort();
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if excepted(&name) {
            continue;
        }
        seen += 1;
        let outcome = load(&path);
        // Without `.bad`, upstream names files that load and are refused later, in agent mode or by another component.
        let expect_bad = name.contains(".bad.") || name.contains(".incompatible.");
        match outcome {
            Ok(_) if expect_bad && name != "scrape_config_files_global_duplicate.bad.yml" => {
                failures.push(format!("{name}: loads"));
            }
            Err(e) if !expect_bad => failures.push(format!("{name}: {e}")),
            Err(e) => {
                for d in e.iter() {
                    assert!(d.line > 0 || name.contains("label"), "{name}: no place: {d}");
                }
            }
            Ok(_) => {}
        }
    }
    assert!(failures.is_empty(), "{} of {seen}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn refusals_have_upstreams_words() {
    let Some(dir) = testdata() else { return };
    let mut failures = Vec::new();
    for line in include_str!("refusals.tsv").lines().filter(|l| !l.starts_with('#')) {
        let (name, text) = line.split_once('\t').unwrap();
        if excepted(name) {
            continue;
        }
        // Ours stand before the message as file, line and column; and types have their names instead of `plain`.
        let text = text.split_once(".yml: ").map_or(text, |(_, t)| t).replace(".plain", ".");
        let (text, tail) = text.split_once("in type ").unwrap_or((&text, ""));
        let package = tail.split_once('.').map_or("", |(p, _)| p);
        match load(&dir.join(name)) {
            Ok(_) => failures.push(format!("{name}: loads, expected {text}")),
            Err(e) if e.to_string().contains(text) && e.to_string().contains(package) => {}
            Err(e) => failures.push(format!("{name}: expected {text}, found {e}")),
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_old_alertmanager_api_is_refused() {
    let Some(dir) = testdata() else { return };
    let e = load(&dir.join("config_with_deprecated_am_api_config.yml")).unwrap_err().to_string();
    assert!(e.contains("expected Alertmanager api version to be one of [v2] but got v1"), "{e}");
}

#[test]
fn the_effective_configuration_reads_back_as_itself() {
    let Some(dir) = testdata() else { return };
    for name in ["conf.good.yml", "roundtrip.good.yml", "scrape_config_files.good.yml"] {
        let first = load(&dir.join(name)).unwrap().value;
        let text = first.to_yaml();
        let again =
            config::load_str(&text, &dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        let back = again.value.to_yaml();
        let differ = back.lines().zip(text.lines()).enumerate().find(|(_, (a, b))| a != b);
        assert_eq!(differ, None, "{name}");
        assert_eq!(back.len(), text.len(), "{name}");
        assert!(!text.contains("mysecret"), "{name}");
    }
}
