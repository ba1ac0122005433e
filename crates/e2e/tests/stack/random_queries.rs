//! Random queries, asked of ours and of a real Prometheus that have the same samples.
//!
//! `VIGIE_RANDOM_QUERIES` says how many (5000), `VIGIE_RANDOM_SEED` repeats a run, `VIGIE_RANDOM_DEPTH` how deep they are;
//! `VIGIE_RANDOM_ONLY` is the numbers of the only queries to ask of them, with commas.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use e2e::program::test_directory;
use e2e::promql::explain::{Finding, Pair, Reason};
use e2e::promql::{Answer, Expr, Generator, Sameness, Times, compare};
use e2e::remote_write::{self, Series};
use e2e::{dataset, tools};

use crate::support::Server;

/// Receiver on, and a retention that keeps samples with old timestamps.
const FLAGS: &[&str] = &["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"];
/// Fewer non-empty results than this would prove little.
const MIN_SHARE_WITH_SAMPLES: f64 = 0.6;
/// More queries than this whose difference is only excused by rounding, or otherwise, would hide faults.
const MAX_SHARE_EXCUSED: f64 = 0.08;
/// Differing queries that a failure shows.
const SHOWN: usize = 15;
const THREADS: usize = 3;
/// One in so many queries of a new seed may differ without a known reason: it is shown to be looked into, and does not stop
/// whoever drew that seed. Of 430,000 one did, which is explained by now. A seed that is given allows none.
const ONE_UNEXPLAINED_IN: usize = 5000;

/// Ours and the original, both with these series.
pub(crate) fn servers(vigie: &Path, original: &Path, test: &str, series: &[Series]) -> (Server, Server) {
    let directory = test_directory(test);
    fs::write(directory.join("empty.yml"), "{}\n").unwrap();
    let ours = Server::ours_with(vigie, &directory, "empty.yml", FLAGS);
    let theirs = Server::original_with(original, &directory, "empty.yml", FLAGS);
    let bodies = remote_write::bodies(series, 300_000);
    for server in [&ours, &theirs] {
        if let Err(error) = remote_write::push(&server.address, &bodies) {
            panic!("{error:#}; log:\n{}", server.program.log());
        }
    }
    (ours, theirs)
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number")))
}

fn numbers(list: &str) -> Vec<usize> {
    list.split(',')
        .map(|text| text.parse().unwrap_or_else(|_| panic!("VIGIE_RANDOM_ONLY: {text:?} is no number")))
        .collect()
}

/// What came of all queries.
#[derive(Default)]
struct Tally {
    with_samples: usize,
    errors: usize,
    excused: BTreeMap<Reason, usize>,
    wrong: Vec<(usize, String)>,
}

#[test]
fn answers_equal_the_originals() {
    let (Some(vigie), Some(original)) = (tools::vigie(), tools::prometheus()) else { return };
    let (ours, theirs) = servers(&vigie, &original, "random-queries", &dataset::series());
    let pair = Pair { ours: &ours.address, theirs: &theirs.address };
    let count = number("VIGIE_RANDOM_QUERIES").unwrap_or(5000) as usize;
    let depth = number("VIGIE_RANDOM_DEPTH").unwrap_or(4) as usize;
    let seed = number("VIGIE_RANDOM_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        now.as_nanos() as u64 % 1_000_000_000
    });
    println!(
        "random queries: VIGIE_RANDOM_SEED={seed} VIGIE_RANDOM_QUERIES={count} VIGIE_RANDOM_DEPTH={depth}"
    );
    let mut generator = Generator::new(seed, depth);
    let only: Vec<usize> =
        std::env::var("VIGIE_RANDOM_ONLY").map_or_else(|_| Vec::new(), |list| numbers(&list));
    let queries = (0..count).map(|i| (i, generator.query()));
    let queries: Vec<(usize, (Expr, Times))> =
        queries.filter(|(i, _)| only.is_empty() || only.contains(i)).collect();
    let count = queries.len();
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (queries, tally) = (&queries, &tally);
            scope.spawn(move || {
                for (i, (expr, times)) in queries.iter().skip(thread).step_by(THREADS) {
                    one(pair, *i, expr, *times, tally);
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap();
    let share = tally.with_samples as f64 / count as f64;
    let excused: usize = tally.excused.values().sum();
    println!(
        "random queries: {count} asked, {:.1} % with samples, {} errors alike, {excused} excused {:?}, {} differ",
        share * 100.0,
        tally.errors,
        tally.excused,
        tally.wrong.len()
    );
    tally.wrong.sort();
    let shown: Vec<&str> = tally.wrong.iter().take(SHOWN).map(|(_, text)| text.as_str()).collect();
    let allowed = if number("VIGIE_RANDOM_SEED").is_some() { 0 } else { count / ONE_UNEXPLAINED_IN };
    let shown = format!("seed {seed}: {} differ, the first:\n{}", tally.wrong.len(), shown.join("\n"));
    assert!(tally.wrong.len() <= allowed, "{shown}");
    if !tally.wrong.is_empty() {
        println!("NOT EXPLAINED: {shown}");
    }
    if count >= 500 {
        assert!(share >= MIN_SHARE_WITH_SAMPLES, "seed {seed}: only {share} of the results have samples");
        assert!(excused as f64 <= MAX_SHARE_EXCUSED * count as f64, "seed {seed}: {excused} excused");
    }
}

fn one(pair: Pair<'_>, i: usize, expr: &Expr, times: Times, tally: &Mutex<Tally>) {
    let result = pair.compare(expr, times);
    let found = match &result {
        Ok((ours, Sameness::Different(difference))) => {
            // Alike when asked once more, in all parts; ours must be what it was.
            let repeated = matches!(pair.compare(expr, times), Ok((again, _)) if compare(&again, ours) == Sameness::Equal);
            let whole = || Finding {
                part: "(none by itself)".to_owned(),
                times,
                difference: difference.clone(),
                reason: repeated.then_some(Reason::Unrepeatable),
            };
            Some(pair.explain(expr, times).map(|found| found.unwrap_or_else(whole)))
        }
        _ => None,
    };
    let mut tally = tally.lock().unwrap();
    match (result, found) {
        (Err(error), _) | (_, Some(Err(error))) => {
            tally.wrong.push((i, format!("#{i} {expr}\n    {error:#}")));
        }
        (Ok((answer, _)), None) => {
            tally.with_samples += usize::from(answer.has_samples());
            tally.errors += usize::from(matches!(answer, Answer::Error(..)));
        }
        (Ok((answer, _)), Some(Ok(finding))) => {
            tally.with_samples += usize::from(answer.has_samples());
            match finding.reason {
                Some(reason) => *tally.excused.entry(reason).or_default() += 1,
                None => {
                    let Finding { part, times: at, difference, .. } = finding;
                    tally.wrong.push((
                        i,
                        format!(
                            "#{i} {expr}\n    in {times:?}\n    part {part}\n    in {at:?}\n    {difference}"
                        ),
                    ));
                }
            }
        }
    }
}
