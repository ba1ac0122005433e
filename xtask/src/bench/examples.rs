//! Measures `decode` and `scale`: programs of the store's own, whose printed lines are taken over as they are.
//!
//! The figures are looked for in those lines; where they are not found, because a program has come to say it otherwise, the
//! lines still are.

use std::process::Stdio;

use anyhow::{Context as _, bail};

use super::peers::Kind;
use super::report::{Figure, Row, Section, Unit};
use super::scrape::column;
use super::{Bench, usage};
use crate::paths;
use crate::process::{cargo, shown};

/// Decoding of chunks: no process around it, no peer beside it.
pub(crate) fn decode(bench: &Bench) -> anyhow::Result<Option<Section>> {
    let capture = bench.options.capture.as_ref().filter(|_| !bench.options.quick);
    let mut arguments = vec![capture.map_or("-".to_owned(), |capture| capture.display().to_string())];
    if bench.options.quick {
        arguments.push("constants/120".to_owned());
    }
    let text = "Chunks in memory, one core, no server: what `cargo run --release -p vigie-tsdb --example codec` prints. The figure is of \
                fresh chunks of 120 samples: of captured scrapes of node_exporter, or made up in their proportions where there are none.";
    let Some(mut section) = example(bench, "codec", &arguments, "decode", "Decoding", text)? else {
        return Ok(None);
    };
    section.columns = vec![
        column("decode", "million samples decoded a second", Unit::Count),
        column("bytes", "bytes per sample", Unit::Number),
        column("decode_moving", "decoded, no constants, all families alike", Unit::Count),
        column("bytes_moving", "bytes per sample of these", Unit::Number),
    ];
    let of = |family| fresh_chunks(&section.printed, family);
    let node = of("real node").or_else(|| of("= node, 60 % constant"));
    if let (Some(node), Some(moving)) = (node, of("= no constants")) {
        section.rows.push(Row {
            kind: Kind::Vigie,
            label: "Vigie's codec".to_owned(),
            values: vec![
                ("decode", 1000.0 / node.1),
                ("bytes", node.0),
                ("decode_moving", 1000.0 / moving.1),
                ("bytes_moving", moving.0),
            ],
            note: String::new(),
        });
    }
    section.figures = vec![Figure {
        title: "decode of hot chunks: million samples a second and core",
        columns: &["decode"],
        goal: "≥ 600",
    }];
    Ok(Some(section))
}

/// Series, groups and rows of a store; the largest first, whose figures are the measure's.
const SCALES: [(u64, u64, u64); 3] = [(5_000_000, 2_000, 150), (500_000, 200, 150), (10_000, 4, 450)];
const QUICK_SCALES: [(u64, u64, u64); 2] = [(20_000, 8, 54), (2_500, 1, 54)];

/// Few and many series in one process, 2,500 a group.
pub(crate) fn scale(bench: &Bench) -> anyhow::Result<Option<Section>> {
    let scales = if bench.options.quick { &QUICK_SCALES[..] } else { &SCALES };
    let text = "One store without a server, 2500 series a group, a row every 5 s of a simulated clock: what `cargo run --release -p vigie-tsdb \
                --example head -- SERIES ROWS DIR GROUPS` prints. The process that filled it is killed with SIGKILL, another opens it and asks \
                for the rate of each series of one metric over half an hour. CPU per sample is of the store alone, log, sealing and \
                checkpoints included, after the first 24 rows; memory is of the process, as filled, at its highest.";
    let mut all: Option<Section> = None;
    for (series, groups, rows) in scales {
        let directory = bench.directory.join("scale");
        let arguments =
            [series.to_string(), rows.to_string(), directory.display().to_string(), groups.to_string()];
        let section = example(bench, "head", &arguments, "scale", "Scale", text);
        if directory.exists() {
            std::fs::remove_dir_all(directory)?;
        }
        let Some(mut section) = section? else { return Ok(None) };
        let printed = std::mem::take(&mut section.printed);
        let values = [
            ("start", start(&printed)),
            ("first", first_answer(&printed)),
            ("bytes_per_series", memory(&printed)),
            ("cpu", nanoseconds(&printed)),
        ];
        let values: Vec<_> = values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let all = all.get_or_insert(section);
        all.printed.push(format!("{series} series in {groups} groups, {rows} rows"));
        all.printed.extend(printed);
        if !values.is_empty() {
            let label = format!("Vigie's store, {series} series");
            all.rows.push(Row { kind: Kind::Vigie, label, values, note: String::new() });
        }
    }
    let Some(mut section) = all else { return Ok(None) };
    section.columns = vec![
        column("start", "start after a kill", Unit::Seconds),
        column("first", "first answer after that", Unit::Seconds),
        column("bytes_per_series", "bytes of memory per series", Unit::Count),
        column("cpu", "CPU ns per sample", Unit::Count),
    ];
    section.figures = vec![Figure {
        title: "5 M series in one process: start after a kill; bytes per series",
        columns: &["start", "bytes_per_series"],
        goal: "≤ 2 s; ≤ 600",
    }];
    Ok(Some(section))
}

/// Bytes a sample and nanoseconds to decode one, of the line `FAMILY 120 … | bytes encode decode | …`.
fn fresh_chunks(printed: &[String], family: &str) -> Option<(f64, f64)> {
    let line = printed.iter().find(|line| {
        line.strip_prefix(family).is_some_and(|rest| rest.split_whitespace().next() == Some("120"))
    })?;
    let mut words = line.split('|').nth(1)?.split_whitespace();
    let (bytes, decode) = (words.next()?.parse().ok()?, words.nth(1)?.parse().ok()?);
    (decode > 0.0).then_some((bytes, decode))
}

/// The number before `B/series` of the line `memory: …`.
fn memory(printed: &[String]) -> Option<f64> {
    let line = printed.iter().find(|line| line.starts_with("memory:"))?;
    line.split(" B/series").next()?.rsplit(' ').next()?.parse().ok()
}

/// Seconds, of the line `start without a clean end: 683.1ms, …`.
fn start(printed: &[String]) -> Option<f64> {
    duration(start_line(printed)?.split_once(": ")?.1.split([',', ' ']).next()?)
}

/// Seconds, of the same line: `…, first answer 12.3ms later, …`.
fn first_answer(printed: &[String]) -> Option<f64> {
    duration(start_line(printed)?.split_once("first answer ")?.1.split(' ').next()?)
}

fn start_line(printed: &[String]) -> Option<&String> {
    printed.iter().find(|line| line.starts_with("start without a clean end"))
}

fn duration(shown: &str) -> Option<f64> {
    let units = [("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9), ("s", 1.0)];
    let (number, unit) = units.iter().find_map(|(suffix, unit)| Some((shown.strip_suffix(suffix)?, unit)))?;
    Some(number.parse::<f64>().ok()? * unit)
}

/// Nanoseconds of CPU, of the line `append: …: 41.3 ns/sample cpu`.
fn nanoseconds(printed: &[String]) -> Option<f64> {
    let line = printed.iter().find(|line| line.starts_with("append:"))?;
    line.strip_suffix(" ns/sample cpu")?.rsplit(' ').next()?.parse().ok()
}

fn example(
    bench: &Bench,
    name: &str,
    arguments: &[String],
    measure: &'static str,
    title: &'static str,
    text: &str,
) -> anyhow::Result<Option<Section>> {
    if !paths::root().join(format!("crates/tsdb/examples/{name}.rs")).is_file() {
        println!("SKIPPED: {measure}: the store has no example {name}");
        return Ok(None);
    }
    let load_average = usage::load_average();
    let mut command = cargo();
    command.args(["run", "--quiet", "--profile", &bench.options.profile, "-p", "vigie-tsdb"]);
    command.args(["--example", name, "--"]).args(arguments);
    println!("$ {}", shown(&command));
    let output = command.stderr(Stdio::inherit()).output().context("cannot run the example")?;
    if !output.status.success() {
        bail!("the example {name} ended with {}", output.status);
    }
    let printed: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end().to_owned()).collect();
    Ok(Some(Section {
        name: measure,
        title,
        text: format!("{text} {}", bench.built()),
        columns: vec![],
        rows: vec![],
        figures: vec![],
        printed,
        load_average,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_in_printed_lines() {
        let printed = |line: &str| vec!["something else".to_owned(), line.to_owned()];
        let line = "= no constants           120   400 |   1.234   10.5   1.25 |   0.900   50.0   2.00";
        assert_eq!(fresh_chunks(&printed(line), "= no constants"), Some((1.234, 1.25)));
        assert_eq!(fresh_chunks(&printed("= no constants 1120 4 | 1 2 3"), "= no constants"), None);
        let line = "memory: peak 900 MiB resident, 800 MiB anonymous: 412 B/series";
        assert_eq!(memory(&printed(line)), Some(412.0));
        for (shown, seconds) in [("683.5ms", 0.6835), ("1.5s", 1.5), ("250.0µs", 0.00025)] {
            let line = format!("start without a clean end: {shown}, 12 records replayed, 5 series");
            assert!((start(&printed(&line)).unwrap() - seconds).abs() < 1e-9, "{shown}");
            assert_eq!(first_answer(&printed(&line)), None);
        }
        let line = "start without a clean end: 1.2s, first answer 25.0ms later, 1.6s cpu, 8 records replayed, 5 series";
        assert_eq!(first_answer(&printed(line)), Some(0.025));
        let line = "append: 9.1 ns/sample wall; cpu per sample, 20.0 ns in appends, 7.5 ns in maintenance: 27.5 ns/sample cpu";
        assert_eq!(nanoseconds(&printed(line)), Some(27.5));
        assert_eq!((memory(&[]), start(&[]), nanoseconds(&[])), (None, None, None));
    }
}
