//! `cargo xtask bench`: Vigie beside Prometheus and VictoriaMetrics, same load, same machine, same run.
//!
//! Each measure is in a module of its own; [`peers`] knows the servers, [`load`], [`targets`], [`noise`] and [`requests`] make the
//! load, [`report`] writes what was found.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::json;

use self::peers::{Kind, Program};
use self::report::{Row, Section};
use crate::paths;
use crate::process::{self, cargo, existing, run as run_command};

mod churn;
mod examples;
mod exporters;
mod http;
mod load;
mod node;
mod noise;
mod peers;
mod proto;
mod queries;
mod query;
mod report;
mod requests;
mod scrape;
mod targets;
mod usage;
mod write;

/// What can be measured, in the order in which it is.
pub(crate) const MEASURES: [&str; 12] = [
    "scrape",
    "start",
    "write",
    "write-single",
    "disk",
    "query",
    "query-scale",
    "churn",
    "node",
    "decode",
    "scale",
    "exporters",
];

/// What is asked for on the command line.
#[derive(Debug)]
pub(crate) struct Options {
    /// Of [`MEASURES`]; none means all.
    pub(crate) measures: Vec<String>,
    /// All sizes small: whether it works, not how fast it is.
    pub(crate) quick: bool,
    /// `none`, or names with commas between; all known peers by default.
    pub(crate) peers: Option<String>,
    /// The program to measure instead of one built now; `none` measures the peers alone.
    pub(crate) vigie: Option<String>,
    /// Cargo's profile for what is built.
    pub(crate) profile: String,
    /// Captured scrapes for `node`, or minutes to collect some.
    pub(crate) capture: Option<PathBuf>,
    pub(crate) minutes: Option<u64>,
    /// Whether `docs/benchmarks.md` is written.
    pub(crate) write: bool,
    /// Other sizes for `scrape`, `start` and `churn`: series, targets, and seconds.
    pub(crate) series: Option<u64>,
    pub(crate) targets: Option<u64>,
    pub(crate) interval: Option<u64>,
    pub(crate) warm_up: Option<u64>,
    pub(crate) duration: Option<u64>,
    /// Another number of series for `write`, `write-single`, `disk` and `query`.
    pub(crate) write_series: Option<u64>,
}

/// Sizes of the loads.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    scrape: scrape::Sizes,
    churn: churn::Sizes,
    write: write::Sizes,
    write_single: write::Sizes,
    query: query::Sizes,
    exporters: exporters::Sizes,
}

/// One run of the benchmarks.
struct Bench {
    options: Options,
    sizes: Sizes,
    /// One after the other in this order.
    programs: Vec<Program>,
    directory: PathBuf,
    failures: Vec<String>,
}

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    if let Some(unknown) = options.measures.iter().find(|name| !MEASURES.contains(&name.as_str())) {
        bail!("no measure `{unknown}`; there are {}", MEASURES.join(", "));
    }
    let all = options.measures.is_empty();
    let wants = |name: &str| all || options.measures.iter().any(|measure| measure == name);
    let wanted: Vec<&str> = MEASURES.into_iter().filter(|name| wants(name)).collect();
    let programs = programs(&options, &wanted)?;
    let mut directory = paths::target().join("bench");
    if options.quick {
        directory.push("quick");
    }
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    process::catch_interrupts();
    let mut bench = Bench { sizes: sizes(&options), options, programs, directory, failures: vec![] };
    let machine = usage::machine();
    let wants = |name: &str| wanted.contains(&name);
    let mut sections = vec![];
    if wants("scrape") || wants("start") {
        let found = scrape::run(&mut bench, wants("scrape"), wants("start"))?;
        bench.take(found, &machine, &mut sections)?;
    }
    if wants("write") || wants("disk") {
        let found = write::run(&mut bench, wants("write"), wants("disk"))?;
        bench.take(found, &machine, &mut sections)?;
    }
    if wants("write-single") {
        let found = write::run_single(&mut bench)?;
        bench.take([found], &machine, &mut sections)?;
    }
    if wants("query") {
        let found = query::run(&mut bench)?;
        bench.take([found], &machine, &mut sections)?;
    }
    if wants("query-scale") {
        let found = query::run_scale(&mut bench)?;
        bench.take([found], &machine, &mut sections)?;
    }
    if wants("churn") {
        let found = churn::run(&mut bench)?;
        bench.take([found], &machine, &mut sections)?;
    }
    if wants("node") {
        let found = node::run(&mut bench)?;
        bench.take(found, &machine, &mut sections)?;
    }
    if wants("decode") {
        let found = examples::decode(&bench)?;
        bench.take(found, &machine, &mut sections)?;
    }
    if wants("scale") {
        let found = examples::scale(&bench)?;
        bench.take(found, &machine, &mut sections)?;
    }
    if wants("exporters") {
        let found = exporters::run(&mut bench)?;
        bench.take([found], &machine, &mut sections)?;
    }
    if !bench.failures.is_empty() {
        bail!("not measured:\n  {}", bench.failures.join("\n  "));
    }
    println!("bench: {} measured", wanted.join(", "));
    Ok(())
}

fn programs(options: &Options, wanted: &[&str]) -> anyhow::Result<Vec<Program>> {
    let mut kinds = match options.peers.as_deref() {
        None => vec![Kind::Prometheus, Kind::Victoria],
        Some("none" | "") => vec![],
        Some(names) => {
            let kind = |name: &str| match name {
                "prometheus" => Ok(Kind::Prometheus),
                "victoria" => Ok(Kind::Victoria),
                _ => bail!("no peer `{name}`; there are prometheus and victoria"),
            };
            names.split(',').map(kind).collect::<anyhow::Result<Vec<_>>>()?
        }
    };
    kinds.sort_unstable();
    // The other measures bring their own programs.
    let serves = |name: &&str| !matches!(*name, "decode" | "scale");
    if !wanted.iter().any(serves) {
        return Ok(vec![]);
    }
    let mut programs = kinds.into_iter().map(Program::installed).collect::<anyhow::Result<Vec<_>>>()?;
    match options.vigie.as_deref() {
        Some("none") => {}
        Some(path) => {
            let path = std::path::absolute(path)?;
            programs.push(Program::new(Kind::Vigie, existing(path)?));
        }
        None => {
            // The second package goes along, so that builds share their features and are not made twice.
            let profile = options.profile.as_str();
            run_command(cargo().args(["build", "--profile", profile, "-p", "vigie", "-p", "real-estate"]))?;
            let directory = if profile == "dev" { "debug" } else { profile };
            let path = paths::target().join(directory).join("vigie");
            programs.push(Program::new(Kind::Vigie, existing(path)?));
        }
    }
    if programs.is_empty() {
        bail!("nothing to measure: no peers, and no Vigie");
    }
    Ok(programs)
}

fn sizes(options: &Options) -> Sizes {
    let (scrape, churn, mut write, mut single, query) = if options.quick { small() } else { full() };
    let scrape = scrape::Sizes {
        series: options.series.unwrap_or(scrape.series),
        targets: options.targets.unwrap_or(scrape.targets),
        interval: options.interval.unwrap_or(scrape.interval),
        warm_up: options.warm_up.unwrap_or(scrape.warm_up),
        duration: options.duration.unwrap_or(scrape.duration),
    };
    let churn = churn::Sizes {
        series: options.series.unwrap_or(churn.series),
        targets: options.targets.unwrap_or(churn.targets),
        interval: options.interval.unwrap_or(churn.interval),
        warm_up: options.warm_up.unwrap_or(churn.warm_up),
        duration: options.duration.unwrap_or(churn.duration),
        ..churn
    };
    for sizes in [&mut write, &mut single] {
        let asked = options.write_series.and_then(|series| usize::try_from(series).ok());
        sizes.series = asked.unwrap_or(sizes.series);
    }
    let exporters = if options.quick {
        exporters::Sizes { warm_up: 3, scrapes: 10 }
    } else {
        exporters::Sizes { warm_up: 50, scrapes: 600 }
    };
    Sizes { scrape, churn, write, write_single: single, query, exporters }
}

type AllSizes = (scrape::Sizes, churn::Sizes, write::Sizes, write::Sizes, query::Sizes);

fn full() -> AllSizes {
    let write = write::Sizes {
        series: 20_000,
        samples: 5_760,
        step_ms: 15_000,
        series_per_request: 100,
        samples_per_series: 20,
        connections: 4,
        afterwards: 75,
        merging: 600,
    };
    (
        scrape::Sizes { series: 500_000, targets: 200, interval: 5, warm_up: 120, duration: 180 },
        churn::Sizes {
            series: 100_000,
            targets: 20,
            interval: 15,
            warm_up: 90,
            duration: 300,
            per_minute: 0.1,
        },
        write,
        write::Sizes { samples: 400, series_per_request: 500, samples_per_series: 1, ..write },
        query::Sizes { batches: 3, rest: 75, scale: [10_000, 100_000, 1_000_000] },
    )
}

fn small() -> AllSizes {
    let write = write::Sizes {
        series: 200,
        samples: 240,
        step_ms: 15_000,
        series_per_request: 20,
        samples_per_series: 20,
        connections: 2,
        afterwards: 1,
        merging: 5,
    };
    (
        scrape::Sizes { series: 2_000, targets: 10, interval: 1, warm_up: 8, duration: 10 },
        churn::Sizes { series: 1_000, targets: 4, interval: 1, warm_up: 7, duration: 4, per_minute: 5.0 },
        write,
        write::Sizes { samples: 60, series_per_request: 50, samples_per_series: 1, ..write },
        query::Sizes { batches: 1, rest: 1, scale: [1_000, 2_000, 4_000] },
    )
}

impl Bench {
    /// Runs `one` for each server in turn. What fails for one of them is told at the end and does not keep the others from
    /// being measured.
    fn each(
        &mut self,
        measure: &str,
        mut one: impl FnMut(&Self, &Program) -> anyhow::Result<Row>,
    ) -> anyhow::Result<Vec<Row>> {
        let mut rows = vec![];
        for program in self.programs.clone() {
            match one(self, &program) {
                Ok(row) => {
                    rows.push(row);
                    // What it wrote has been measured; what failed is kept to be looked at.
                    fs::remove_dir_all(self.home(measure, &program)).or_else(|error| {
                        if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
                    })?;
                }
                Err(error) => {
                    if process::interrupted() {
                        bail!("interrupted");
                    }
                    println!("FAILED: {measure}: {}: {error:#}", program.label);
                    self.failures.push(format!("{measure}: {}: {error:#}", program.label));
                }
            }
        }
        Ok(rows)
    }

    /// The directory of a server during a measure.
    fn home(&self, measure: &str, program: &Program) -> PathBuf {
        self.directory.join(measure).join(program.kind.name())
    }

    /// How the programs were built, as a sentence.
    fn built(&self) -> String {
        match self.options.vigie {
            Some(_) => String::new(),
            None => format!("Vigie built in profile `{}`.", self.options.profile),
        }
    }

    /// Prints sections, keeps them as JSON, and puts them on the page.
    fn take(
        &self,
        found: impl IntoIterator<Item = Section>,
        machine: &str,
        sections: &mut Vec<Section>,
    ) -> anyhow::Result<()> {
        for section in found {
            println!("\n{}", section.page(machine));
            let sizes = json!({"quick": self.options.quick, "scrape": format!("{:?}", self.sizes)});
            let lines = section.json(machine, targets::now_ms(), &sizes);
            fs::write(self.directory.join(format!("{}.json", section.name)), lines)?;
            sections.push(section);
        }
        // Small sizes tell nothing about speed.
        if self.options.write && !self.options.quick {
            report::write(&paths::root().join("docs/benchmarks.md"), sections, machine)?;
        }
        Ok(())
    }
}
