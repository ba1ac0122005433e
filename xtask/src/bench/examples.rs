//! Measures `decode` and `scale`: programs of the store's own, whose printed figures are taken over as they are.

use std::process::Stdio;

use anyhow::{Context as _, bail};

use super::report::Section;
use super::{Bench, usage};
use crate::paths;
use crate::process::{cargo, shown};

/// Decoding of chunks: no process around it, no peer beside it.
pub(crate) fn decode(bench: &Bench) -> anyhow::Result<Option<Section>> {
    let arguments = if bench.options.quick { vec!["--quick".to_owned()] } else { vec![] };
    let text = "Chunks in memory, one core, no server: what `cargo run --release -p vigie-tsdb --example codec` prints.";
    example(bench, "codec", &arguments, "decode", "Decoding", text)
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
    section
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
