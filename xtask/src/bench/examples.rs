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

/// Many series in one process.
pub(crate) fn scale(bench: &Bench) -> anyhow::Result<Option<Section>> {
    let series = if bench.options.quick { 20_000 } else { 5_000_000 };
    let directory = bench.directory.join("scale");
    let arguments = [series.to_string(), "24".to_owned(), directory.display().to_string()];
    let text = format!(
        "One store without a server, {series} series in 200 groups, 24 rows: what `cargo run --release -p vigie-tsdb --example head -- {series} \
         24` prints."
    );
    let section = example(bench, "head", &arguments, "scale", "Scale", &text);
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    let Some(mut section) = section? else { return Ok(None) };
    section.columns = vec![
        column("start", "start after a kill", Unit::Seconds),
        column("bytes_per_series", "bytes of memory per series", Unit::Count),
    ];
    let values = [("start", start(&section.printed)), ("bytes_per_series", memory(&section.printed))];
    let values: Vec<_> = values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    if !values.is_empty() {
        let label = "Vigie's store".to_owned();
        section.rows.push(Row { kind: Kind::Vigie, label, values, note: String::new() });
    }
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
    let line = printed.iter().find(|line| line.starts_with("start without a clean end"))?;
    let shown = line.split_once(": ")?.1.split([',', ' ']).next()?;
    let units = [("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9), ("s", 1.0)];
    let (number, unit) = units.iter().find_map(|(suffix, unit)| Some((shown.strip_suffix(suffix)?, unit)))?;
    Some(number.parse::<f64>().ok()? * unit)
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
        }
        assert_eq!((memory(&[]), start(&[])), (None, None));
    }
}
