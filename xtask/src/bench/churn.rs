//! Measure `churn`: series that go while others come.

use std::time::Duration;

use anyhow::ensure;

use super::load::Target;
use super::peers::{Program, Server};
use super::report::{Figure, Row, Section, Unit};
use super::scrape::column;
use super::targets::Targets;
use super::{Bench, usage};

/// Sizes of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) series: u64,
    pub(crate) targets: u64,
    pub(crate) interval: u64,
    /// Seconds without churn, before; then seconds with it.
    pub(crate) warm_up: u64,
    pub(crate) duration: u64,
    /// The share of all series that is replaced in a minute.
    pub(crate) per_minute: f64,
}

pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Section> {
    let sizes = bench.sizes.churn;
    let load_average = usage::load_average();
    let rows = bench.each("churn", |bench, program| one(bench, program, &sizes))?;
    Ok(Section {
        name: "churn",
        title: "Label churn",
        text: format!(
            "{} series in {} targets, scraped every {} s; {} s as they are, then {} s in which {:.0} % of them are replaced a minute, \
             evenly, by series that differ in one label. CPU is of the time with churn; growth is of memory from its begin to \
             its end, by series that came. {}",
            sizes.series,
            sizes.targets,
            sizes.interval,
            sizes.warm_up,
            sizes.duration,
            sizes.per_minute * 100.0,
            bench.built()
        ),
        columns: vec![
            column("cpu", "CPU", Unit::Seconds),
            column("cpu_per_million", "CPU s per million samples", Unit::Number),
            column("new_series", "new series", Unit::Count),
            column("growth", "growth per new series", Unit::Kibibytes),
            column("growth_anonymous", "of anonymous memory", Unit::Kibibytes),
            column("resident", "resident memory", Unit::Mebibytes),
            column("peak", "peak", Unit::Mebibytes),
            column("disk", "on disk", Unit::Mebibytes),
        ],
        rows,
        figures: vec![Figure {
            title: "label churn, 100k series, 10 % a minute, 5 min: CPU; growth per new series",
            columns: &["cpu", "growth"],
            goal: "≤ 3 s; ≤ 0.6 KiB",
        }],
        printed: vec![],
        load_average,
    })
}

fn one(bench: &Bench, program: &Program, sizes: &Sizes) -> anyhow::Result<Row> {
    let per_target = sizes.series / sizes.targets;
    let all = (0..sizes.targets).map(|number| Target::new(number, per_target, true)).collect();
    let targets = Targets::serve(all, Duration::from_secs(sizes.interval), sizes.per_minute)?;
    let mut server = Server::start(program, bench.home("churn", program), Some(&targets.configuration()))?;
    println!("{}: {} s without churn, {} s with it", server.label, sizes.warm_up, sizes.duration);
    server.wait(Duration::from_secs(sizes.warm_up))?;
    let memory_before = server.memory()?;
    let before = (server.cpu_seconds()?, targets.samples());
    targets.start_churn();
    server.wait(Duration::from_secs(sizes.duration))?;
    let (cpu, samples) = (server.cpu_seconds()? - before.0, targets.samples() - before.1);
    let (memory, new) = (server.memory()?, targets.replaced());
    ensure!(samples > 0 && new > 0, "nothing was scraped");
    let growth = |after: u64, before: u64| (after as f64 - before as f64) / new as f64;
    Ok(Row {
        kind: server.kind,
        label: server.label.clone(),
        values: vec![
            ("cpu", cpu),
            ("cpu_per_million", cpu / samples as f64 * 1e6),
            ("samples", samples as f64),
            ("new_series", new as f64),
            ("growth", growth(memory.resident, memory_before.resident)),
            ("growth_anonymous", growth(memory.anonymous, memory_before.anonymous)),
            ("resident", memory.resident as f64),
            ("peak", memory.peak as f64),
            ("disk", server.disk_bytes()? as f64),
        ],
        note: String::new(),
    })
}
