//! `promtool tsdb dump` and `dump-openmetrics`.

use std::io::{BufWriter, Write};
use std::path::Path;

use interchange::{Samples, TimeRange};
use model::float::{format_g, go_quote};
use model::{LabelSet, METRIC_NAME, Matcher};

use crate::args::{Args, Flag, Spec, optional, value, values};
use crate::source::Source;
use crate::{Failure, Outside, go_text, histogram_text};

/// Selects everything.
pub(crate) const ALL: &str = "{__name__=~'(?s:.*)'}";

const MIN_TIME: Flag = value(
    "min-time",
    "-9223372036854775808",
    "Minimum timestamp to dump, in milliseconds since the Unix epoch.",
);
const MAX_TIME: Flag = value(
    "max-time",
    "9223372036854775807",
    "Maximum timestamp to dump, in milliseconds since the Unix epoch.",
);
const MATCH: Flag = values("match", ALL, "Series selector. Can be specified multiple times.");
/// Upstream replays the log into files; this one does not and needs no place for them.
const SANDBOX: Flag = value("sandbox-dir-root", "", "Accepted for upstream's sake; nothing is written.");

pub(crate) const SPEC: Spec = Spec {
    about: "Dump data (series+samples or optionally just series) from a TSDB.",
    flags: &[
        SANDBOX,
        MIN_TIME,
        MAX_TIME,
        MATCH,
        value("format", "prom", "Output format of the dump (prom (default) or seriesjson)."),
    ],
    positional: &[optional("db path", "data/")],
};

pub(crate) const OPENMETRICS_SPEC: Spec = Spec {
    about: "[Experimental] Dump samples from a TSDB into OpenMetrics text format, excluding native histograms.",
    flags: &[SANDBOX, MIN_TIME, MAX_TIME, MATCH],
    positional: &[optional("db path", "data/")],
};

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let write = match args.get("format") {
        "prom" => prom,
        "seriesjson" => series_json,
        other => {
            return Err(Failure::usage(format!("enum value must be one of prom,seriesjson, got '{other}'")));
        }
    };
    dump(args, outside, write)
}

pub(crate) fn run_openmetrics(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    dump(args, outside, openmetrics)?;
    Ok(writeln!(outside.out, "# EOF")?)
}

type Format = fn(&LabelSet, &Samples, &mut dyn Write) -> std::io::Result<()>;

fn dump(args: &Args, outside: &mut Outside<'_>, format: Format) -> Result<(), Failure> {
    let range = TimeRange { mint: args.number("min-time")?, maxt: args.number("max-time")? };
    let source = Source::open(Path::new(args.positional(0)))?;
    let sets = matcher_sets(args.all("match"))?;
    let mut out = BufWriter::new(&mut *outside.out);
    source.for_each(&sets, range, &mut |labels, samples| Ok(format(labels, samples, &mut out)?))?;
    Ok(out.flush()?)
}

/// Selectors as sets of matchers.
pub(crate) fn matcher_sets(selectors: &[String]) -> Result<Vec<Vec<Matcher>>, Failure> {
    selectors
        .iter()
        .map(|s| promql::parser::parse_metric_selector(s).map_err(|e| Failure::new(e.to_string())))
        .collect()
}

fn prom(labels: &LabelSet, samples: &Samples, out: &mut dyn Write) -> std::io::Result<()> {
    let labels = labels.to_string();
    let mut histograms = samples.histograms.iter().peekable();
    for (ts, value) in &samples.floats {
        while let Some((ts, h)) = histograms.next_if(|(t, _)| t < ts) {
            writeln!(out, "{labels} {} {ts}", histogram_text::text(h))?;
        }
        writeln!(out, "{labels} {} {ts}", format_g(*value))?;
    }
    for (ts, h) in histograms {
        writeln!(out, "{labels} {} {ts}", histogram_text::text(h))?;
    }
    Ok(())
}

fn series_json(labels: &LabelSet, _: &Samples, out: &mut dyn Write) -> std::io::Result<()> {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(n, v)| format!("{}:{}", go_text::json_string(n), go_text::json_string(v)))
        .collect();
    writeln!(out, "{{{}}}", pairs.join(","))
}

/// Up to the series' first histogram, as upstream.
fn openmetrics(labels: &LabelSet, samples: &Samples, out: &mut dyn Write) -> std::io::Result<()> {
    let pairs: Vec<String> = labels
        .iter()
        .filter(|(n, _)| *n != METRIC_NAME)
        .map(|(n, v)| format!("{n}={}", go_quote(v)))
        .collect();
    let series = format!("{}{{{}}}", labels.metric_name(), pairs.join(","));
    let end = samples.histograms.first().map_or(i64::MAX, |(ts, _)| *ts);
    for (ts, value) in samples.floats.iter().take_while(|(ts, _)| *ts < end) {
        writeln!(out, "{series} {} {:.3}", format_g(*value), *ts as f64 / 1000.0)?;
    }
    Ok(())
}
