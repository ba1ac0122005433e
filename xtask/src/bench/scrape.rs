//! Measures `scrape` and `start`: a steady load of scrapes; then `kill -9` and the way back.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::http::{self, Connection};
use super::load::{CONSTANT_PER_CENT, FIRST_METRIC, Target};
use super::peers::{Program, Server};
use super::report::{Column, Figure, Row, Section, Unit};
use super::targets::{Served, Targets, instance, now_ms};
use super::{Bench, usage};

/// A scrape's timestamp is before its target answers, by this much at most.
const SLACK_MS: i64 = 250;
/// Stores write what is in memory after some seconds; the answer that is checked is older than that.
const SETTLED_MS: i64 = 12_500;
/// After this a start has failed.
const GIVE_UP: Duration = Duration::from_secs(120);
/// How far back scrapes are counted.
const COUNTED_MS: i64 = 300_000;

/// Sizes of the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) series: u64,
    pub(crate) targets: u64,
    /// Seconds between scrapes of one target.
    pub(crate) interval: u64,
    /// Seconds before the measured window, and of it.
    pub(crate) warm_up: u64,
    pub(crate) duration: u64,
}

pub(crate) fn run(bench: &mut Bench, want_scrape: bool, want_start: bool) -> anyhow::Result<Vec<Section>> {
    let sizes = bench.sizes.scrape;
    ensure!(sizes.targets > 0 && sizes.series >= sizes.targets, "at least one series per target");
    ensure!(sizes.interval > 0 && sizes.duration > 0, "interval and duration are positive");
    let load_average = usage::load_average();
    let mut restarts = vec![];
    let rows = bench.each("scrape", |bench, program| {
        let (row, restart) = one(bench, program, &sizes, want_start)?;
        restarts.extend(restart);
        Ok(row)
    })?;
    let text = format!(
        "{} series in {} targets, each scraped every {} s over loopback, without compression; {CONSTANT_PER_CENT} % of the values \
         constant, the others counters and gauges with two decimals. {} s after a warm-up of {} s. {}",
        sizes.series / sizes.targets * sizes.targets,
        sizes.targets,
        sizes.interval,
        sizes.duration,
        sizes.warm_up,
        bench.built()
    );
    let mut sections = vec![];
    if want_scrape {
        sections.push(Section {
            name: "scrape",
            title: "Scraping",
            text: text.clone(),
            columns: vec![
                column("cpu_per_million", "CPU s per million samples", Unit::Number),
                column("resident", "resident memory", Unit::Mebibytes),
                column("anonymous", "of it anonymous", Unit::Mebibytes),
                column("peak", "peak", Unit::Mebibytes),
                column("disk", "on disk", Unit::Mebibytes),
                column("samples", "samples scraped", Unit::Millions),
                column("up", "targets up", Unit::Count),
            ],
            rows,
            figures: vec![
                Figure {
                    title: "500k series, 200 targets, 5 s: CPU s per million samples, steady",
                    columns: &["cpu_per_million"],
                    goal: "≤ 0.2",
                },
                Figure {
                    title: "resident memory at the end of it; peak",
                    columns: &["resident", "peak"],
                    goal: "≤ 250; ≤ 350 MiB",
                },
            ],
            printed: vec![],
            load_average,
        });
    }
    if want_start {
        sections.push(Section {
            name: "start",
            title: "Start after kill -9",
            text: format!(
                "{text} Then `kill -9` and a new start on the same directory: time from the start of the process to the first answer of \
                 `sum by (instance) ({FIRST_METRIC})` that is right for every target, at a time shortly before the kill. A scrape is \
                 lost when its target was answered in full {SLACK_MS} ms before the kill or earlier and `up` has no sample of it \
                 afterwards."
            ),
            columns: vec![
                column("start", "first right answer", Unit::Seconds),
                column("lost", "scrapes lost", Unit::Count),
                column("scrapes", "of scrapes looked for", Unit::Count),
                column("resident", "resident memory then", Unit::Mebibytes),
            ],
            rows: restarts,
            figures: vec![Figure {
                title: "`kill -9` there, start, first correct query; scrapes lost",
                columns: &["start", "lost"],
                goal: "≤ 0.5 s; 0",
            }],
            printed: vec![],
            load_average,
        });
    }
    Ok(sections)
}

pub(crate) fn column(key: &'static str, title: &'static str, unit: Unit) -> Column {
    Column { key, title, unit }
}

fn one(
    bench: &Bench,
    program: &Program,
    sizes: &Sizes,
    want_start: bool,
) -> anyhow::Result<(Row, Option<Row>)> {
    let per_target = sizes.series / sizes.targets;
    let all = (0..sizes.targets).map(|number| Target::new(number, per_target, false)).collect();
    let targets = Targets::serve(all, Duration::from_secs(sizes.interval), 0.0)?;
    let mut server = Server::start(program, bench.home("scrape", program), Some(&targets.configuration()))?;
    println!("{}: warming up for {} s, measuring for {} s", server.label, sizes.warm_up, sizes.duration);
    server.wait(Duration::from_secs(sizes.warm_up))?;
    let before = (server.cpu_seconds()?, targets.samples());
    server.wait(Duration::from_secs(sizes.duration))?;
    let (cpu, samples) = (server.cpu_seconds()? - before.0, targets.samples() - before.1);
    ensure!(samples > 0, "nothing was scraped");
    let memory = server.memory()?;
    let row = Row {
        kind: server.kind,
        label: server.label.clone(),
        values: vec![
            ("cpu_per_million", cpu / samples as f64 * 1e6),
            ("cpu", cpu),
            ("resident", memory.resident as f64),
            ("anonymous", memory.anonymous as f64),
            ("peak", memory.peak as f64),
            ("disk", server.disk_bytes()? as f64),
            ("samples", samples as f64),
            ("up", targets_up(&server.address)?),
        ],
        note: String::new(),
    };
    let restart = want_start.then(|| restart(&mut server, &targets, sizes)).transpose()?;
    Ok((row, restart))
}

fn targets_up(address: &str) -> anyhow::Result<f64> {
    let mut connection = Connection::open(address, Duration::from_secs(60))?;
    let result = http::query(&mut connection, "sum(up)", now_ms())?;
    let value =
        result.first().and_then(|series| series["value"][1].as_str()).context("no value of sum(up)")?;
    value.parse().context("sum(up)")
}

fn restart(server: &mut Server, targets: &Targets, sizes: &Sizes) -> anyhow::Result<Row> {
    let run_ms = i64::try_from((sizes.warm_up + sizes.duration) * 1000)?;
    let checked_at = now_ms() - SETTLED_MS.min(run_ms / 2);
    let served = targets.served();
    let expected: Vec<Vec<u64>> = served
        .iter()
        .enumerate()
        .map(|(number, one)| ticks_at(one, checked_at).map(|tick| targets.get(number).sum(tick)).collect())
        .collect();
    ensure!(
        expected.iter().all(|one| !one.is_empty()),
        "a target was not scraped before the time to be checked"
    );
    let mut connection = Connection::open(&server.address, Duration::from_secs(60))?;
    answer(&mut connection, checked_at, &expected).context("before the kill")?;
    drop(connection);

    server.kill()?;
    let killed_at = now_ms();
    let served = targets.served();
    let started = Instant::now();
    server.spawn()?;
    let took = loop {
        let asked = Connection::open(&server.address, Duration::from_secs(60))
            .and_then(|mut connection| answer(&mut connection, checked_at, &expected));
        let took = started.elapsed();
        match asked {
            Ok(()) => break took,
            Err(error) if took > GIVE_UP => return Err(error.context("no right answer after the start")),
            Err(_) => server.wait(Duration::from_millis(2))?,
        }
    };
    server.wait(Duration::from_secs(1))?;
    let resident = server.memory()?.resident;
    let (lost, scrapes) = lost(server, &served, killed_at, sizes)?;
    println!(
        "{}: {:.3} s to the first right answer, {lost} of {scrapes} scrapes lost",
        server.label,
        took.as_secs_f64()
    );
    Ok(Row {
        kind: server.kind,
        label: server.label.clone(),
        values: vec![
            ("start", took.as_secs_f64()),
            ("lost", lost as f64),
            ("scrapes", scrapes as f64),
            ("resident", resident as f64),
        ],
        note: String::new(),
    })
}

/// The expositions that may be the newest at `at_ms`: one, or two where one was asked for about then.
fn ticks_at(served: &[Served], at_ms: i64) -> impl Iterator<Item = u64> {
    let sure = served.iter().rposition(|one| one.at_ms <= at_ms - 10);
    let from = sure.unwrap_or(served.len());
    let near = served[from..].iter().take_while(move |one| one.at_ms <= at_ms + SLACK_MS);
    near.map(|one| one.tick)
}

/// Asks, and fails unless each target's sum is one of those expected of it.
fn answer(connection: &mut Connection, at_ms: i64, expected: &[Vec<u64>]) -> anyhow::Result<()> {
    let result = http::query(connection, &format!("sum by (instance) ({FIRST_METRIC})"), at_ms)?;
    ensure!(result.len() == expected.len(), "{} of {} targets in the answer", result.len(), expected.len());
    for (number, expected) in expected.iter().enumerate() {
        let name = instance(number);
        let found = result.iter().find(|series| series["metric"]["instance"] == name.as_str());
        let found = found.with_context(|| format!("{name} is not in the answer"))?;
        let value = found["value"][1].as_str().and_then(|value| value.parse::<f64>().ok());
        ensure!(
            value.is_some_and(|value| expected.iter().any(|one| *one as f64 == value)),
            "{name}: {value:?} is none of {expected:?}"
        );
    }
    Ok(())
}

/// Scrapes that the targets answered in the last minutes before the kill and `up` does not have; and how many there were.
fn lost(
    server: &Server,
    served: &[Vec<Served>],
    killed_at: i64,
    sizes: &Sizes,
) -> anyhow::Result<(u64, u64)> {
    let mut connection = Connection::open(&server.address, Duration::from_secs(120))?;
    let result = http::query(&mut connection, &format!("up[{}s]", COUNTED_MS / 1000), killed_at)?;
    let half = i64::try_from(sizes.interval * 1000)? / 2;
    let (mut lost, mut scrapes) = (0, 0);
    for (number, served) in served.iter().enumerate() {
        let name = instance(number);
        let found = result.iter().find(|series| series["metric"]["instance"] == name.as_str());
        let found = found.and_then(|series| series["values"].as_array());
        let times = found.into_iter().flatten().filter_map(|sample| sample[0].as_f64());
        let times: Vec<i64> = times.map(|seconds| (seconds * 1000.0).round() as i64).collect();
        for one in served {
            if one.at_ms <= killed_at - COUNTED_MS + half || one.at_ms > killed_at - SLACK_MS {
                continue;
            }
            scrapes += 1;
            let next = times.partition_point(|ts| *ts < one.at_ms - half);
            if times.get(next).is_none_or(|ts| *ts > one.at_ms + half) {
                lost += 1;
            }
        }
    }
    Ok((lost, scrapes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_exposition_may_be_the_newest() {
        let served: Vec<Served> = [1000, 6000, 11_000]
            .iter()
            .enumerate()
            .map(|(n, &at_ms)| Served { at_ms, tick: n as u64 })
            .collect();
        let ticks = |at_ms| ticks_at(&served, at_ms).collect::<Vec<_>>();
        assert_eq!(ticks(900), [] as [u64; 0]);
        assert_eq!(ticks(3000), [0]);
        assert_eq!(ticks(5900), [0, 1]);
        assert_eq!(ticks(6005), [0, 1]);
        assert_eq!(ticks(6010), [1]);
        assert_eq!(ticks(90_000), [2]);
    }
}
