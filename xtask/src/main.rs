//! `cargo xtask TASK`: what the project does to itself.

#![expect(clippy::print_stdout, reason = "a task talks to whoever started it")]

use std::process::ExitCode;

use anyhow::{Context as _, bail};

mod bench;
mod build;
mod demo;
mod install;
mod paths;
mod process;
mod steps;
mod tidy;

const USAGE: &str = "\
cargo xtask TASK

  demo [--for SECONDS] [--ports PROMETHEUS,ALERTMANAGER,DASHBOARDS,APPLICATION]
          the whole stack on the reference application, with a sink for its mails and Slack messages
  build [--quick]
          the UI, then target/release/vigie (with --quick: target/quick/vigie and real-estate)
  test [--no-install]
          everything that is checked: formatting, lints, tidy, tests, UI, end-to-end tests
  ci      the same, with the time of each step
  bench [scrape|start|write|write-single|disk|query|query-scale|churn|node|decode|scale|exporters]...
        [--quick]
        [--peers none|prometheus,victoria] [--vigie PATH|none] [--profile NAME] [--no-write]
        [--capture DIR] [--minutes N]
        [--series N] [--targets N] [--interval SECONDS] [--warm-up SECONDS] [--duration SECONDS]
        [--write-series N]
          beside Prometheus and VictoriaMetrics, all measures or those named; writes their parts of
          docs/benchmarks.md, and target/bench/MEASURE.json. --quick only tries whether all works.
          --capture has <unix ms>.txt.gz for `node`, --minutes collects them; --series to --duration
          are for `scrape`, `start` and `churn`, --write-series is for `write`, `write-single`,
          `disk` and `query`
  tidy    layering, file sizes, forbidden text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Some((task, rest)) = arguments.split_first() else {
        println!("{USAGE}");
        return Ok(ExitCode::FAILURE);
    };
    let mut flags = Flags { rest: rest.to_vec() };
    match task.as_str() {
        "demo" => {
            let options = demo::Options { seconds: flags.number("--for")?, ports: flags.value("--ports")? };
            flags.end()?;
            demo::run(&options)?;
        }
        "build" => {
            let quick = flags.switch("--quick");
            flags.end()?;
            build::ui()?;
            if quick { build::quick()? } else { build::release()? }
        }
        "test" | "ci" => {
            let install = !flags.switch("--no-install");
            flags.end()?;
            return steps::all(install);
        }
        "bench" => {
            let quick = flags.switch("--quick");
            let options = bench::Options {
                quick,
                peers: flags.value("--peers")?,
                vigie: flags.value("--vigie")?,
                profile: flags.value("--profile")?.unwrap_or(if quick { "quick" } else { "release" }.into()),
                capture: flags.value("--capture")?.map(std::path::PathBuf::from),
                minutes: flags.number("--minutes")?,
                write: !flags.switch("--no-write"),
                series: flags.number("--series")?,
                targets: flags.number("--targets")?,
                interval: flags.number("--interval")?,
                warm_up: flags.number("--warm-up")?,
                duration: flags.number("--duration")?,
                write_series: flags.number("--write-series")?,
                measures: flags.words(),
            };
            flags.end()?;
            bench::run(options)?;
        }
        "tidy" => {
            flags.end()?;
            return Ok(if tidy::run()? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        "help" | "--help" | "-h" => println!("{USAGE}"),
        other => bail!("unknown task `{other}`\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Flags not yet taken.
struct Flags {
    rest: Vec<String>,
}

impl Flags {
    fn switch(&mut self, name: &str) -> bool {
        let found = self.rest.iter().position(|flag| flag == name);
        found.map(|index| self.rest.remove(index)).is_some()
    }

    fn value(&mut self, name: &str) -> anyhow::Result<Option<String>> {
        let Some(index) = self.rest.iter().position(|flag| flag == name) else { return Ok(None) };
        if index + 1 == self.rest.len() {
            bail!("{name} wants a value");
        }
        self.rest.remove(index);
        Ok(Some(self.rest.remove(index)))
    }

    fn number(&mut self, name: &str) -> anyhow::Result<Option<u64>> {
        let value = self.value(name)?;
        value.map(|value| value.parse().with_context(|| format!("{name} {value}"))).transpose()
    }

    /// What is left and no flag.
    fn words(&mut self) -> Vec<String> {
        let (flags, words) =
            std::mem::take(&mut self.rest).into_iter().partition(|flag| flag.starts_with('-'));
        self.rest = flags;
        words
    }

    fn end(&self) -> anyhow::Result<()> {
        match self.rest.first() {
            Some(unknown) => bail!("unknown flag `{unknown}`\n\n{USAGE}"),
            None => Ok(()),
        }
    }
}
