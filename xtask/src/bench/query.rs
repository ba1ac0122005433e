//! Measures `query` and `query-scale`: what answers cost, over the noisy set by remote write.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::http::{self, Connection};
use super::peers::{Kind, Program, Server};
use super::queries::{QUERIES, Query, SCALE_QUERIES, Shape};
use super::report::{Column, Figure, Row, Section, Unit};
use super::scrape::column;
use super::write::{self, Sent};
use super::{Bench, usage};

/// A batch of one query takes this much CPU at least, since the kernel tells hundredths of a second.
const BATCH_SECONDS: f64 = 0.25;
/// However cheap it is.
const BATCH_MOST: usize = 400;

/// Sizes of the measures; what is loaded is that of `write`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Batches of each query, of which the median counts.
    pub(crate) batches: usize,
    /// Seconds after the load before a server may count as being at rest.
    pub(crate) rest: u64,
    /// Series stored, for `query-scale`.
    pub(crate) scale: [usize; 3],
}

/// What was answered, to be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Answer {
    series: usize,
    points: usize,
    /// Of all finite values.
    sum: f64,
}

/// What a query cost: seconds, medians.
#[derive(Debug, Clone, Copy)]
struct Cost {
    cpu: f64,
    wall: f64,
}

/// Measure `query`.
pub(crate) fn run(bench: &mut Bench) -> anyhow::Result<Section> {
    let (load, sizes) = (bench.sizes.write, bench.sizes.query);
    let load_average = usage::load_average();
    let requests = bench.directory.join("query.requests");
    let sent = write::make(&requests, &load)?;
    let mut all: Vec<(Kind, Vec<(Cost, Answer)>)> = vec![];
    let rows = bench.each("query", |bench, program| {
        let mut server = loaded(bench, program, &sent, &sizes)?;
        server.forget_peak()?;
        let measured = QUERIES
            .iter()
            .map(|query| measure(&mut server, query, sent.last_ms, sizes.batches))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let cpu: f64 = measured.iter().map(|(cost, _)| cost.cpu).sum();
        println!("{}: {cpu:.3} CPU s in all", server.label);
        let mut values = vec![
            ("cpu", cpu),
            ("wall", measured.iter().map(|(cost, _)| cost.wall).sum()),
            ("peak", server.memory()?.peak as f64),
        ];
        values.extend(QUERIES.iter().zip(&measured).map(|(query, (cost, _))| (query.name, cost.cpu)));
        all.push((server.kind, measured));
        Ok(Row { kind: server.kind, label: server.label.clone(), values, note: String::new() })
    })?;
    fs::remove_file(requests)?;
    let differences = differences(&all);
    for difference in &differences {
        println!("DIFFERS: {difference}");
    }
    let text = format!(
        "{} series, {:.1} M samples, one each {} s up to now, by remote write as in that measure. Once a server is at rest: {} queries, {} batches of \
         each, each batch of as many repetitions as take {BATCH_SECONDS} s of CPU; the median of the batches, by repetition. CPU is of the server's \
         process, answers included as JSON; peak memory is that of the queries alone. Series, points and sums of all answers are compared between \
         Vigie and Prometheus, and with VictoriaMetrics where it means the same: {}. {}",
        load.series,
        sent.requests.samples as f64 / 1e6,
        load.step_ms / 1000,
        QUERIES.len(),
        sizes.batches,
        if differences.is_empty() { "no difference".to_owned() } else { differences.join("; ") },
        bench.built()
    );
    let mut columns = vec![
        column("cpu", "CPU of all", Unit::Milliseconds),
        column("wall", "wall time of all", Unit::Milliseconds),
        column("peak", "peak memory", Unit::Mebibytes),
    ];
    columns.extend(FIGURES.map(|figure| column(figure.columns[0], figure.columns[0], Unit::Milliseconds)));
    let figures = [&FIGURES[..], &TOTALS].concat();
    let printed = vec![table(&all)];
    Ok(Section { name: "query", title: "Queries", text, columns, rows, figures, printed, load_average })
}

const fn figure(title: &'static str, columns: &'static [&'static str], goal: &'static str) -> Figure {
    Figure { title, columns, goal }
}

/// Those whose goals are named one by one.
const FIGURES: [Figure; 8] = [
    figure("query: sum by (rate), 24 h, 60 s step: CPU", &["sum by rate, 24 h"], "≤ 150 ms"),
    figure("query: histogram_quantile, 24 h: CPU", &["histogram_quantile, 24 h"], "≤ 120 ms"),
    figure("query: topk, 24 h: CPU", &["topk, 24 h"], "≤ 150 ms"),
    figure("query: error ratio, 24 h: CPU", &["error ratio, 24 h"], "≤ 170 ms"),
    figure("query: quantile_over_time, 24 h: CPU", &["quantile_over_time, 24 h"], "≤ 600 ms"),
    figure("query: dashboard, 1 h, 15 s step: CPU", &["dashboard, 1 h"], "≤ 20 ms"),
    figure("query: instant, 60 series: CPU", &["instant, 60 series"], "≤ 1 ms"),
    figure("query: count of all series: CPU", &["count of all"], "≤ 30 ms"),
];

const TOTALS: [Figure; 1] =
    [figure("24 queries: CPU; peak memory", &["cpu", "peak"], "≤ 1500 ms; ≤ 150 MiB")];

/// A server that has all that was sent and is at rest.
fn loaded(bench: &Bench, program: &Program, sent: &Sent, sizes: &Sizes) -> anyhow::Result<Server> {
    let mut server = Server::start(program, bench.home("query", program), None)?;
    println!("{}: sending {:.1} M samples", server.label, sent.requests.samples as f64 / 1e6);
    sent.requests.send(&server.address)?;
    server.until_quiet(Duration::from_secs(sizes.rest), Duration::from_secs(600))?;
    write::check(&server, sent)?;
    Ok(server)
}

fn measure(
    server: &mut Server,
    query: &Query,
    last_ms: i64,
    batches: usize,
) -> anyhow::Result<(Cost, Answer)> {
    let path = path(query, last_ms);
    let address = server.address.clone();
    let mut connection = Connection::open(&address, Duration::from_secs(120))?;
    let mut once = || connection.get(&path)?.success().with_context(|| query.expression.to_owned());
    let first = (server.cpu_seconds()?, Instant::now());
    let answer = answer(&once()?)?;
    // CPU is too coarse for the cheap ones.
    let estimate = (server.cpu_seconds()? - first.0).max(first.1.elapsed().as_secs_f64() / 2.0).max(1e-5);
    let repetitions = ((BATCH_SECONDS / estimate).ceil() as usize).clamp(1, BATCH_MOST);
    let mut costs = vec![];
    for _ in 0..batches {
        let (cpu, started) = (server.cpu_seconds()?, Instant::now());
        for _ in 0..repetitions {
            once()?;
        }
        let wall = started.elapsed().as_secs_f64() / repetitions as f64;
        costs.push(Cost { cpu: (server.cpu_seconds()? - cpu) / repetitions as f64, wall });
    }
    let cost = Cost { cpu: median(costs.iter().map(|c| c.cpu)), wall: median(costs.iter().map(|c| c.wall)) };
    println!(
        "{}: {}: {:.2} ms CPU, {:.2} ms, {} series",
        server.label,
        query.name,
        cost.cpu * 1e3,
        cost.wall * 1e3,
        answer.series
    );
    Ok((cost, answer))
}

fn path(query: &Query, last_ms: i64) -> String {
    // A multiple of all steps, at which every series has its newest sample at most a step ago.
    let end = last_ms.div_euclid(60_000) * 60;
    let expression = http::escape(query.expression);
    match query.shape {
        Shape::Instant => format!("/api/v1/query?query={expression}&time={end}"),
        Shape::Range(hours, step) => {
            let start = end - hours * 3600;
            format!("/api/v1/query_range?query={expression}&start={start}&end={end}&step={step}")
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn answer(body: &[u8]) -> anyhow::Result<Answer> {
    let reply: Value = serde_json::from_slice(body).context("the answer of a query")?;
    let result = reply["data"]["result"].as_array().context("no result in the answer of a query")?;
    let mut answer = Answer { series: result.len(), points: 0, sum: 0.0 };
    for series in result {
        let points =
            series["values"].as_array().map_or(std::slice::from_ref(&series["value"]), Vec::as_slice);
        for point in points {
            let value = point[1].as_str().context("a value")?;
            let value: f64 = value.replace("Inf", "inf").parse().context("a value")?;
            answer.points += 1;
            answer.sum += if value.is_finite() { value } else { 0.0 };
        }
    }
    Ok(answer)
}

/// Where servers do not answer alike, in words.
fn differences(all: &[(Kind, Vec<(Cost, Answer)>)]) -> Vec<String> {
    let mut found = vec![];
    for (n, (kind, answers)) in all.iter().enumerate() {
        for (other, theirs) in &all[..n] {
            for (query, ((_, a), (_, b))) in QUERIES.iter().zip(answers.iter().zip(theirs)) {
                let victoria = *kind == Kind::Victoria || *other == Kind::Victoria;
                let near = (a.sum - b.sum).abs() <= a.sum.abs().max(b.sum.abs()) * 1e-6;
                let alike = a.series == b.series && a.points == b.points && near;
                if !alike && (!victoria || query.same_in_victoria) {
                    let (kind, other) = (kind.title(), other.title());
                    found.push(format!("{}: {kind} {a:?}, {other} {b:?}", query.name));
                }
            }
        }
    }
    found
}

/// All queries and servers, milliseconds of CPU and of time.
fn table(all: &[(Kind, Vec<(Cost, Answer)>)]) -> String {
    const WRITE: &str = "a String takes all that is written to it";
    let mut text = format!("{:26}", "ms of CPU / of time");
    for (kind, _) in all {
        write!(text, "{:>22}", kind.title()).expect(WRITE);
    }
    for (n, query) in QUERIES.iter().enumerate() {
        write!(text, "\n{:26}", query.name).expect(WRITE);
        for (_, measured) in all {
            let Cost { cpu, wall } = measured[n].0;
            let cell = format!("{:.2} / {:.2}", cpu * 1e3, wall * 1e3);
            write!(text, "{cell:>22}").expect(WRITE);
        }
    }
    for query in &QUERIES {
        write!(text, "\n{}: {}", query.name, query.expression).expect(WRITE);
    }
    text
}

/// Measure `query-scale`: the same queries with more and more stored beside what they read. Vigie alone.
pub(crate) fn run_scale(bench: &mut Bench) -> anyhow::Result<Section> {
    let sizes = bench.sizes.query;
    let load_average = usage::load_average();
    let Some(program) = bench.programs.iter().find(|program| program.kind == Kind::Vigie).cloned() else {
        bail!("query-scale measures Vigie, which is left out");
    };
    let mut rows = vec![];
    for series in sizes.scale {
        let load = write::Sizes { series, samples: 40, ..bench.sizes.write };
        let requests = bench.directory.join("query-scale.requests");
        let sent = write::make(&requests, &load)?;
        let mut server = loaded(bench, &program, &sent, &sizes)?;
        let mut values = vec![];
        for query in &SCALE_QUERIES {
            let (cost, answer) = measure(&mut server, query, sent.last_ms, sizes.batches)?;
            ensure!(answer.points > 0, "no answer to {}", query.expression);
            values.push((query.name, cost.cpu));
        }
        values.push(("resident", server.memory()?.resident as f64));
        let label = format!("{series} series stored");
        rows.push(Row { kind: server.kind, label, values, note: String::new() });
        drop(server);
        fs::remove_file(&requests)?;
        fs::remove_dir_all(bench.home("query", &program))?;
    }
    let mut columns: Vec<Column> =
        SCALE_QUERIES.iter().map(|query| column(query.name, query.name, Unit::Milliseconds)).collect();
    columns.push(column("resident", "resident memory", Unit::Mebibytes));
    let expressions: Vec<String> =
        SCALE_QUERIES.iter().map(|query| format!("{}: {}", query.name, query.expression)).collect();
    Ok(Section {
        name: "query-scale",
        title: "Queries and the number of series",
        text: format!(
            "The same queries, which read the same samples, with more and more series stored (40 samples each, by remote write). CPU by \
             repetition, as for the queries above. {}",
            bench.built()
        ),
        columns,
        rows,
        figures: vec![],
        printed: vec![expressions.join("\n")],
        load_average,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_summed_and_compared() {
        let vector =
            br#"{"data":{"result":[{"metric":{},"value":[1,"2.5"]},{"metric":{},"value":[1,"+Inf"]}]}}"#;
        let matrix = br#"{"data":{"result":[{"metric":{},"values":[[1,"1"],[2,"NaN"],[3,"4"]]}]}}"#;
        let a = answer(vector).unwrap();
        let b = answer(matrix).unwrap();
        assert_eq!(a, Answer { series: 2, points: 2, sum: 2.5 });
        assert_eq!(b, Answer { series: 1, points: 3, sum: 5.0 });
        let cost = Cost { cpu: 0.0, wall: 0.0 };
        let of = |kind, answer| (kind, vec![(cost, answer); QUERIES.len()]);
        let alike = [of(Kind::Prometheus, a), of(Kind::Vigie, a)];
        assert_eq!(differences(&alike), [""; 0]);
        assert_eq!(differences(&[of(Kind::Prometheus, a), of(Kind::Vigie, b)]).len(), QUERIES.len());
        let same = QUERIES.iter().filter(|query| query.same_in_victoria).count();
        assert_eq!(differences(&[of(Kind::Victoria, a), of(Kind::Vigie, b)]).len(), same);
    }

    #[test]
    fn names_are_unique() {
        for (n, query) in QUERIES.iter().enumerate() {
            assert!(QUERIES[..n].iter().all(|other| other.name != query.name), "{}", query.name);
        }
        for figure in &FIGURES {
            assert!(QUERIES.iter().any(|query| query.name == figure.columns[0]), "{}", figure.columns[0]);
        }
    }
}
