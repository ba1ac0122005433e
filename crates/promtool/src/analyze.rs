//! `promtool tsdb analyze`: what makes a block large. A Vigie store is analyzed as a whole, head included.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use interchange::{Block, Directory, TimeRange, chunk};
use model::{LabelSet, Matcher};
use storage::LeafExecutor as _;

use crate::args::{Args, Spec, optional, switch, value};
use crate::source::Source;
use crate::{Failure, Outside, go_text};

pub(crate) const SPEC: Spec = Spec {
    about: "Analyze churn, label pair cardinality and compaction efficiency.",
    flags: &[
        value("limit", "20", "How many items to show in each list."),
        switch("extended", None, "Run extended analysis."),
        value("match", "", "Series selector to analyze. Only 1 set of matchers is supported now."),
    ],
    positional: &[optional("db path", "data/"), optional("block id", "")],
};

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let selector = args.get("match");
    let matchers = if selector.is_empty() {
        None
    } else {
        Some(promql::parser::parse_metric_selector(selector).map_err(|e| Failure::new(e.to_string()))?)
    };
    let limit = usize::try_from(args.number("limit")?).unwrap_or(0);
    let report = Report { limit, selector, out: outside.out };
    match Source::open(Path::new(args.positional(0)))? {
        Source::Prometheus(directory) => block(&directory, args, matchers.as_deref(), report),
        Source::Vigie(store) => {
            if args.is_on("extended") || !args.positional(1).is_empty() {
                let text =
                    "a Vigie store is analyzed as a whole: neither a block nor --extended can be given";
                return Err(Failure::new(text));
            }
            stored(&store, matchers, report)
        }
    }
}

fn block(
    directory: &Directory,
    args: &Args,
    matchers: Option<&[Matcher]>,
    mut report: Report<'_>,
) -> Result<(), Failure> {
    let wanted = args.positional(1);
    let found = if wanted.is_empty() {
        // The one made last by its name, whose first ten letters are a time; of several made together the youngest.
        let made = |b: &&Block| (b.meta().ulid.get(..10).map(str::to_owned), b.meta().min_time);
        directory.blocks().iter().max_by_key(made).ok_or_else(|| Failure::new("no blocks found"))?
    } else {
        let of_name = directory.blocks().iter().find(|b| b.meta().ulid == wanted);
        of_name.ok_or_else(|| Failure::new(format!("invalid block ID {wanted}")))?
    };
    let meta = found.meta();
    let references = found.select(matchers.unwrap_or_default())?;
    let mut tally = Tally::new(meta.max_time - meta.min_time);
    let (mut extended, is_extended) = (Extended::default(), args.is_on("extended"));
    for reference in &references {
        let series = found.resolve(*reference)?;
        let span = series.chunks.first().zip(series.chunks.last()).map_or(0, |(a, b)| b.maxt - a.mint);
        tally.add(&series.labels, span);
        if is_extended {
            extended.add(found, &series)?;
        }
    }
    report.head(&meta.ulid, tally.duration_ms, meta.stats.num_series)?;
    report.lists(&tally, matchers.map(|_| references.len()))?;
    if is_extended { extended.print(report.out) } else { Ok(()) }
}

fn stored(
    store: &tsdb::Store,
    matchers: Option<Vec<Matcher>>,
    mut report: Report<'_>,
) -> Result<(), Failure> {
    let covered = store.covers().ok_or_else(|| Failure::new("the store has no samples"))?;
    let mut tally = Tally::new(covered.maxt - covered.mint + 1);
    let is_matched = matchers.is_some();
    let sets: Vec<Vec<Matcher>> = matchers.into_iter().collect();
    let mut series = 0_u64;
    crate::source::for_each_stored(store, &sets, TimeRange::ALL, &mut |labels, samples| {
        series += 1;
        let times =
            || samples.floats.iter().map(|(t, _)| *t).chain(samples.histograms.iter().map(|(t, _)| *t));
        tally.add(labels, times().max().unwrap_or(0) - times().min().unwrap_or(0));
        Ok(())
    })?;
    report.head("(all of the store)", tally.duration_ms, series)?;
    report.lists(&tally, is_matched.then_some(usize::try_from(series).unwrap_or(usize::MAX)))
}

/// Counts over the series.
struct Tally {
    duration_ms: i64,
    /// Per label name: milliseconds not covered; per value: the same, and series.
    names: BTreeMap<String, Label>,
    entries: u64,
}

#[derive(Default)]
struct Label {
    uncovered_ms: u64,
    values: BTreeMap<String, (u64, u64)>,
}

impl Tally {
    fn new(duration_ms: i64) -> Self {
        Self { duration_ms, names: BTreeMap::new(), entries: 0 }
    }

    fn add(&mut self, labels: &LabelSet, covered_ms: i64) {
        let uncovered = self.duration_ms.wrapping_sub(covered_ms).cast_unsigned();
        for (name, value) in labels {
            if !self.names.contains_key(name) {
                self.names.insert(name.to_owned(), Label::default());
            }
            let label = self.names.get_mut(name).expect("inserted above");
            label.uncovered_ms = label.uncovered_ms.wrapping_add(uncovered);
            if !label.values.contains_key(value) {
                label.values.insert(value.to_owned(), (0, 0));
            }
            let pair = label.values.get_mut(value).expect("inserted above");
            pair.0 = pair.0.wrapping_add(uncovered);
            pair.1 += 1;
            self.entries += 1;
        }
    }

    /// How many series' whole duration is not covered.
    fn churn(&self, uncovered_ms: u64) -> u64 {
        (uncovered_ms as f64 / self.duration_ms as f64) as u64
    }
}

struct Report<'a> {
    limit: usize,
    selector: &'a str,
    out: &'a mut dyn Write,
}

impl Report<'_> {
    fn head(&mut self, id: &str, duration_ms: i64, series: u64) -> Result<(), Failure> {
        writeln!(
            self.out,
            "Block ID: {id}\nDuration: {}\nTotal Series: {series}",
            go_text::duration(duration_ms)
        )?;
        if !self.selector.is_empty() {
            writeln!(self.out, "Matcher: {}", self.selector)?;
        }
        Ok(())
    }

    fn lists(&mut self, tally: &Tally, matched: Option<usize>) -> Result<(), Failure> {
        writeln!(self.out, "Label names: {}", tally.names.len())?;
        if let Some(matched) = matched {
            writeln!(self.out, "Matched series: {matched}")?;
        }
        let pairs: BTreeSet<String> = tally.pairs().map(|(key, _)| key).collect();
        writeln!(self.out, "Postings (unique label pairs): {}", pairs.len())?;
        writeln!(self.out, "Postings entries (total label pairs): {}", tally.entries)?;
        let names = || tally.names.iter();
        let list = |title: &str, items: Vec<(u64, String)>, out: &mut dyn Write| {
            ranking(title, items, self.limit, out)
        };
        let churning = tally.pairs().map(|(key, (uncovered, _))| (tally.churn(uncovered), key)).collect();
        list("Label pairs most involved in churning", churning, self.out)?;
        let churning = names().map(|(n, l)| (tally.churn(l.uncovered_ms), n.clone())).collect();
        list("Label names most involved in churning", churning, self.out)?;
        let common = tally.pairs().map(|(key, (_, series))| (series, key)).collect();
        list("Most common label pairs", common, self.out)?;
        let lengths =
            names().map(|(n, l)| (l.values.keys().map(|v| v.len() as u64).sum(), n.clone())).collect();
        list("Label names with highest cumulative label value length", lengths, self.out)?;
        let cardinality = names().map(|(n, l)| (l.values.len() as u64, n.clone())).collect();
        list("Highest cardinality labels", cardinality, self.out)?;
        let metrics = tally.names.get(model::METRIC_NAME);
        let metrics = metrics
            .into_iter()
            .flat_map(|l| &l.values)
            .map(|(n, (_, series))| (*series, n.clone()))
            .collect();
        list("Highest cardinality metric names", metrics, self.out)
    }
}

impl Tally {
    fn pairs(&self) -> impl Iterator<Item = (String, (u64, u64))> + '_ {
        self.names
            .iter()
            .flat_map(|(n, l)| l.values.iter().map(move |(v, counts)| (format!("{n}={v}"), *counts)))
    }
}

/// Largest first; upstream leaves the order of equals to chance, here they are sorted by name.
fn ranking(
    title: &str,
    mut items: Vec<(u64, String)>,
    limit: usize,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    writeln!(out, "\n{title}:")?;
    items.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    for (n, key) in items.iter().take(limit) {
        writeln!(out, "{n} {key}")?;
    }
    Ok(())
}

/// How full chunks are.
#[derive(Default)]
struct Extended {
    chunks: usize,
    float_samples: Vec<usize>,
    float_bytes: Vec<usize>,
    histogram_samples: Vec<usize>,
    histogram_bytes: Vec<usize>,
    histogram_buckets: Vec<usize>,
}

impl Extended {
    fn add(&mut self, block: &Block, series: &interchange::SeriesRef) -> Result<(), Failure> {
        for chunk in &series.chunks {
            let (encoding, data) = block.chunk(chunk)?;
            let samples = usize::from(chunk::num_samples(data));
            self.chunks += 1;
            if encoding == chunk::Encoding::Xor {
                self.float_samples.push(samples);
                self.float_bytes.push(data.len());
                continue;
            }
            let mut decoded = interchange::Samples::default();
            chunk::decode(encoding, data, &mut decoded)?;
            let buckets = |h: &model::Histogram| h.positive_buckets.len() + h.negative_buckets.len();
            self.histogram_samples.push(samples);
            self.histogram_bytes.push(data.len());
            self.histogram_buckets.push(decoded.histograms.iter().map(|(_, h)| buckets(h)).sum());
        }
        Ok(())
    }

    fn print(self, out: &mut dyn Write) -> Result<(), Failure> {
        write!(out, "\nCompaction analysis:\n\n")?;
        let total = self.chunks;
        for (title, values) in [
            ("samples per float chunk", self.float_samples),
            ("bytes per float chunk", self.float_bytes),
            ("samples per histogram chunk", self.histogram_samples),
            ("bytes per histogram chunk", self.histogram_bytes),
            ("buckets per histogram chunk", self.histogram_buckets),
        ] {
            distribution(title, values, total, out)?;
        }
        Ok(())
    }
}

fn distribution(
    title: &str,
    mut values: Vec<usize>,
    total: usize,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    values.sort_unstable();
    let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
        return Ok(write!(out, "{title}: N/A\n\n")?);
    };
    let wanted = (max - min) / 10;
    let mut step = 10;
    while step < wanted && step <= 10_000 {
        step *= 10;
    }
    let (start, end) = (min - min % step, max - max % step + step);
    let mut buckets = vec![0_usize; (end - start) / step + 1];
    values.iter().for_each(|v| buckets[(v - start) / step] += 1);
    let average = values.iter().sum::<usize>() / values.len();
    writeln!(out, "{title} (min/avg/max): {min}/{average}/{max}")?;
    let digits = |n: usize| n.to_string().len();
    let (left, right) = (digits(end), digits(end + step));
    let count = digits(buckets.iter().copied().max().unwrap_or(0));
    for (i, n) in buckets.into_iter().enumerate() {
        let bar = "#".repeat(100 * n / total);
        let (low, high) = (i * step + start + 1, (i + 1) * step + start);
        writeln!(out, "[{low:left$}, {high:right$}]: {n:count$} {bar}")?;
    }
    Ok(writeln!(out)?)
}
