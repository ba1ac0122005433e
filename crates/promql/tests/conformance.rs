//! Upstream's PromQL test scripts against the engine, with a count for each file.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is test")]

mod script;
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use script::{Outcome, run_script};

/// Cases known to differ: file, line, why.
const KNOWN: &[(&str, usize, &str)] = &[];

#[test]
fn upstream_scripts() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|a| a.join("shared/conformance/promqltest"))
        .find(|p| p.exists());
    let Some(dir) = dir else {
        println!("SKIPPED: no shared/conformance/promqltest");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut total, mut reasons, mut bad) = ([0; 4], BTreeMap::<&str, usize>::new(), Vec::new());
    println!("{:<28} passed skipped  known failed", "file");
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let cases =
            run_script(&std::fs::read_to_string(&file).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut counts = [0; 4];
        for case in cases {
            let known = KNOWN.iter().any(|k| (k.0, k.1) == (name.as_str(), case.line));
            let slot = match case.outcome {
                Outcome::Passed => 0,
                Outcome::Skipped(reason) => {
                    *reasons.entry(reason).or_default() += 1;
                    1
                }
                Outcome::Failed(_) if known => 2,
                Outcome::Failed(e) => {
                    bad.push(format!("{name}:{}: {}\n    {e}", case.line, case.query));
                    3
                }
            };
            counts[slot] += 1;
            total[slot] += 1;
        }
        println!("{name:<28} {:>6} {:>7} {:>6} {:>6}", counts[0], counts[1], counts[2], counts[3]);
    }
    println!("{:<28} {:>6} {:>7} {:>6} {:>6}", "total", total[0], total[1], total[2], total[3]);
    println!("skipped: {reasons:#?}");
    for b in &bad {
        println!("FAILED {}", b.chars().take(700).collect::<String>());
    }
    assert!(bad.is_empty(), "{} cases fail", bad.len());
}
