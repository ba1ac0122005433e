//! Upstream's PromQL test scripts against the engine, with metric names removed late and at once: all pass but for one list.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is test")]

mod script;
mod support;

use std::path::PathBuf;

use script::{NameRemoval, run_script};

/// Cases that do not come out as upstream's, each with its reason: file, lines, when names are removed (`None`: either way), why.
const EXCEPTIONS: &[(&str, &[usize], Option<NameRemoval>, &str)] = &[
    (
        "histograms.test",
        &[1158, 1163, 1168, 1179, 1184, 1189, 1200, 1205, 1210, 1223, 1228, 1233],
        Some(NameRemoval::AtOnce),
        "remarks name the metric, and the name is gone by then",
    ),
    (
        "native_histograms.test",
        &[1616, 1621, 1626, 1631, 1635, 1639, 1644, 1648, 1653, 1908, 1911, 1914, 1917],
        Some(NameRemoval::AtOnce),
        "remarks name the metric, and the name is gone by then",
    ),
    (
        "name_label_dropping.test",
        &[59, 64, 69, 74, 89, 115, 119, 123],
        Some(NameRemoval::AtOnce),
        "about removal at the end",
    ),
    (
        "type_and_unit.test",
        &[77, 92, 222, 237],
        Some(NameRemoval::AtOnce),
        "the type and unit that `+` removes at once are still on the other side of `and` and `or`",
    ),
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
    let (mut wrong, mut total) = (Vec::new(), [[0; 3]; 2]);
    println!("{:<28} passed, excepted and queries asked, with names removed late; at once", "file");
    for name in names {
        let text = std::fs::read_to_string(dir.join(&name)).unwrap();
        let found = [NameRemoval::Delayed, NameRemoval::AtOnce].map(|removal| {
            let mut counts = [0; 3];
            for case in run_script(&text, removal).unwrap_or_else(|e| panic!("{name}: {e}")) {
                let excepted = EXCEPTIONS.iter().find(|(file, lines, when, _)| {
                    *file == name && lines.contains(&case.line) && when.is_none_or(|w| w == removal)
                });
                counts[2] += case.queries;
                match (case.failure, excepted) {
                    (None, None) => counts[0] += 1,
                    (Some(_), Some(_)) => counts[1] += 1,
                    (None, Some((.., why))) => {
                        wrong.push(format!(
                            "{name}:{} ({removal:?}): passes, but is excepted: {why}",
                            case.line
                        ));
                    }
                    (Some(e), None) => {
                        let e: String = e.chars().take(700).collect();
                        wrong.push(format!("{name}:{} ({removal:?}): {}\n    {e}", case.line, case.query));
                    }
                }
            }
            counts
        });
        println!("{name:<28} {:?} {:?}", found[0], found[1]);
        for (total, found) in total.iter_mut().zip(found) {
            total.iter_mut().zip(found).for_each(|(t, f)| *t += f);
        }
    }
    println!("{:<28} {:?} {:?}", "all", total[0], total[1]);
    for text in &wrong {
        println!("{text}");
    }
    assert!(wrong.is_empty(), "{} cases come out otherwise", wrong.len());
}
