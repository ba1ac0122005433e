//! `cargo xtask test` and `ci`: every check in turn, then one line that counts them.
//!
//! A step that fails does not keep the next from running, so that one run tells all. Tests print
//! `SKIPPED: …` where something they need is missing; these lines are gathered and counted.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::process::{cargo, command, run, shown};
use crate::{build, install, paths, tidy};

#[derive(Default)]
struct Report {
    /// Name, time, outcome.
    steps: Vec<(String, Duration, Outcome)>,
    passed: u64,
    failed: u64,
    /// What was not tested, and why.
    skipped: Vec<String>,
}

enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Report {
    fn step(&mut self, name: &str, work: impl FnOnce(&mut Self) -> anyhow::Result<Outcome>) {
        println!("\n=== {name}");
        let started = Instant::now();
        let outcome = work(self).unwrap_or_else(|error| {
            println!("FAILED: {name}: {error:#}");
            Outcome::Failed
        });
        self.steps.push((name.to_owned(), started.elapsed(), outcome));
    }

    fn skip(&mut self, name: &str, why: &str) -> Outcome {
        println!("SKIPPED: {name}: {why}");
        self.skipped.push(format!("{name}: {why}"));
        Outcome::Skipped
    }
}

/// Runs all; `install` allows apt, npm and pip to bring what is missing.
pub(crate) fn all(install: bool) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    if install {
        report.step("install", |_| {
            install::all();
            Ok(Outcome::Passed)
        });
    }
    let has_npm = paths::installed(&["npm"]).is_some() && build::has_ui();
    for (name, script) in [("ui types", "typecheck"), ("ui tests", "test"), ("ui build", "build")] {
        report.step(name, |report| {
            if !has_npm {
                return Ok(report.skip(name, "no ui/package.json, or npm is not installed"));
            }
            build::ui_packages()?;
            let mut npm = command("npm");
            npm.args(["run", "--silent", script]).current_dir(paths::root().join("ui"));
            report.tests(name, &mut npm)
        });
    }
    report.step("format", |_| passed(run(cargo().args(["fmt", "--all", "--check"]))));
    report.step("tidy", |_| Ok(if tidy::run()? { Outcome::Passed } else { Outcome::Failed }));
    report.step("clippy", |_| {
        passed(run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])))
    });
    report
        .step("tests", |report| report.tests("tests", &mut rust_tests(&["--workspace", "--exclude", "e2e"])));
    report.step("doc tests", |report| {
        report.tests("doc tests", cargo().args(["test", "--workspace", "--doc", "--quiet"]))
    });
    report.step("programs", |_| passed(build::quick()));
    report.step("end-to-end tests", |report| {
        let mut tests = rust_tests(&["-p", "e2e"]);
        tests.env("E2E_PYTHON", install::python()).env("CARGO_TARGET_DIR", paths::target());
        report.tests("end-to-end tests", &mut tests)
    });
    Ok(report.close())
}

fn passed(done: anyhow::Result<()>) -> anyhow::Result<Outcome> {
    done.map(|()| Outcome::Passed)
}

/// With nextest where it is installed. The end-to-end tests run two at a time: they measure time.
fn rust_tests(packages: &[&str]) -> Command {
    let threads = if packages.contains(&"--workspace") { "4" } else { "2" };
    let mut command = cargo();
    if paths::installed(&["cargo-nextest"]).is_some() {
        command.args(["nextest", "run", "--no-fail-fast", "--success-output", "final", "--color", "never"]);
        command.args(["--status-level", "fail", "--final-status-level", "slow", "--test-threads", threads]);
        command.args(packages);
    } else {
        command.args(["test", "--no-fail-fast"]).args(packages).args(["--lib", "--bins", "--tests", "--"]);
        command.args(["--nocapture", "--test-threads", threads]);
    }
    command
}

impl Report {
    /// Runs a test command, its output to a log; shows what failed, counts what passed.
    fn tests(&mut self, name: &str, command: &mut Command) -> anyhow::Result<Outcome> {
        println!("$ {}", shown(command));
        let log = paths::target().join("xtask").join(format!("{}.log", name.replace(' ', "-")));
        fs::create_dir_all(log.parent().context("the log has a directory")?)?;
        let success = run_to_log(command, &log)?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let (passed, failed) = counts(&text);
        self.passed += passed;
        self.failed += failed;
        for line in text.lines().filter_map(|line| line.split_once("SKIPPED: ")) {
            let what = format!("{name}: {}", line.1.trim());
            if !self.skipped.contains(&what) {
                println!("SKIPPED: {what}");
                self.skipped.push(what);
            }
        }
        if passed + failed > 0 {
            println!("{passed} passed, {failed} failed (log: {})", log.display());
        }
        if !success {
            let lines: Vec<&str> = text.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(400)..].join("\n"));
            return Ok(Outcome::Failed);
        }
        Ok(Outcome::Passed)
    }

    /// The table of steps, the skipped, and the line that counts all.
    fn close(&self) -> ExitCode {
        println!("\n=== summary");
        let mut failed_steps = 0;
        for (name, took, outcome) in &self.steps {
            let shown = match outcome {
                Outcome::Passed => "ok",
                Outcome::Skipped => "SKIPPED",
                Outcome::Failed => {
                    failed_steps += 1;
                    "FAILED"
                }
            };
            println!("{shown:8} {:7.1} s  {name}", took.as_secs_f64());
        }
        for what in &self.skipped {
            println!("SKIPPED: {what}");
        }
        // A step that failed without a failing test counts as one.
        let failed = self.failed.max(failed_steps);
        println!("{} passed, {failed} failed, {} skipped", self.passed, self.skipped.len());
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn run_to_log(command: &mut Command, log: &Path) -> anyhow::Result<bool> {
    let mut file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", shown(command)))?;
    // Both streams into one file; compilers and nextest speak on this one.
    for line in BufReader::new(child.stderr.take().context("stderr is piped")?).split(b'\n') {
        let mut line = line?;
        line.push(b'\n');
        file.write_all(&line)?;
    }
    Ok(child.wait()?.success())
}

/// Passed and failed tests in the closing lines of nextest, cargo test and vitest.
fn counts(log: &str) -> (u64, u64) {
    let (mut passed, mut failed) = (0, 0);
    // nextest shows each test's own closing line too; its summary alone counts each test once.
    let has_summary = log.lines().any(|line| line.trim().starts_with("Summary ["));
    for line in log.lines() {
        let line = line.trim();
        let counted = line.starts_with("Summary [")
            || (line.starts_with("test result:") && !has_summary)
            || (line.starts_with("Tests ") && line.ends_with(')'));
        if !counted {
            continue;
        }
        let words: Vec<&str> = line.split([' ', ',', ';']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let count = pair[0].trim_start_matches('(').parse::<u64>().unwrap_or(0);
            match pair[1] {
                "passed" => passed += count,
                "failed" | "timed" => failed += count,
                _ => {}
            }
        }
    }
    (passed, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines() {
        for (line, expect) in [
            ("     Summary [   1.234s] 34 tests run: 33 passed (2 slow), 1 failed, 0 skipped", (33, 1)),
            ("test result: ok. 25 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", (25, 0)),
            ("      Tests  2 failed | 40 passed (42)", (40, 2)),
            ("   running 3 tests, 3 passed", (0, 0)),
            ("test result: ok. 1 passed; 0 failed\nSummary [ 1.2s] 1 test run: 1 passed, 0 skipped", (1, 0)),
        ] {
            assert_eq!(counts(line), expect, "{line}");
        }
    }
}
