//! Upstream's PromQL test scripts against the engine, with metric names removed late and at once, and exact counts for each file.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is test")]

mod script;
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use script::{NameRemoval, Outcome, run_script};

/// What became of a file's cases: passed, skipped for what is not there yet, failed.
type Counts = [usize; 3];

/// Files with their counts for delayed name removal, which they are written for, and for removal at once.
const FILES: &[(&str, Counts, Counts)] = &[
    ("aggregators.test", [125, 35, 0], [125, 35, 0]),
    ("at_modifier.test", [78, 0, 0], [78, 0, 0]),
    ("collision.test", [2, 0, 0], [2, 0, 0]),
    ("duration_expression.test", [59, 0, 0], [59, 0, 0]),
    ("extended_vectors.test", [120, 49, 0], [120, 49, 0]),
    ("fill-modifier.test", [46, 0, 0], [46, 0, 0]),
    ("functions.test", [373, 58, 0], [373, 58, 0]),
    // Warnings name the metric, which is gone by then where names are removed at once; so in native_histograms.test.
    ("histograms.test", [93, 92, 0], [87, 92, 6]),
    ("info.test", [1, 52, 0], [1, 52, 0]),
    ("limit.test", [15, 22, 0], [15, 22, 0]),
    ("literals.test", [25, 0, 0], [25, 0, 0]),
    // About delayed removal.
    ("name_label_dropping.test", [30, 0, 0], [22, 0, 8]),
    ("native_histograms.test", [3, 519, 0], [1, 519, 2]),
    ("operators.test", [145, 69, 0], [145, 69, 0]),
    ("range_queries.test", [17, 1, 0], [17, 1, 0]),
    ("selectors.test", [31, 0, 0], [31, 0, 0]),
    ("staleness.test", [17, 0, 0], [17, 0, 0]),
    ("start_timestamps.test", [3, 23, 0], [3, 23, 0]),
    ("subquery.test", [32, 2, 0], [32, 2, 0]),
    ("trig_functions.test", [19, 0, 0], [19, 0, 0]),
    // The type and unit that `+` removes at once are still on the other side of `and` and `or`.
    ("type_and_unit.test", [58, 0, 0], [54, 0, 4]),
];

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
    let mut names: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut wrong = Vec::new();
    let mut reasons = BTreeMap::<&str, usize>::new();
    println!("{:<28} passed, skipped, failed with names removed late, at once", "file");
    for name in names {
        let text = std::fs::read_to_string(dir.join(&name)).unwrap();
        let found = [NameRemoval::Delayed, NameRemoval::AtOnce].map(|removal| {
            let mut counts: Counts = [0; 3];
            for case in run_script(&text, removal).unwrap_or_else(|e| panic!("{name}: {e}")) {
                counts[match case.outcome {
                    Outcome::Passed => 0,
                    Outcome::Skipped(reason) => {
                        *reasons.entry(reason).or_default() += 1;
                        1
                    }
                    Outcome::Failed(e) => {
                        let e: String = e.chars().take(500).collect();
                        println!("  {name}:{} ({removal:?}): {}\n    {e}", case.line, case.query);
                        2
                    }
                }] += 1;
            }
            counts
        });
        println!("    ({name:?}, {:?}, {:?}),", found[0], found[1]);
        let expected = FILES.iter().find(|f| f.0 == name).map(|f| [f.1, f.2]);
        if expected != Some(found) {
            wrong.push((name, found, expected));
        }
    }
    println!("skipped: {reasons:#?}");
    assert!(wrong.is_empty(), "other counts than expected: {wrong:#?}");
}
