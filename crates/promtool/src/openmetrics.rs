//! `promtool tsdb create-blocks-from openmetrics`.

use std::collections::BTreeMap;
use std::path::Path;

use exposition::{Entry, Format, Parser};
use interchange::{Block, BlockWriter, Samples};
use model::LabelSet;

use crate::args::{Args, Flag, Spec, optional, required, switch, value, values};
use crate::export::new_ulid;
use crate::source::BlockLine;
use crate::{Failure, Outside, list};

pub(crate) const READABLE: Flag = switch("human-readable", Some('r'), "Print human readable values.");
pub(crate) const QUIET: Flag = switch("quiet", Some('q'), "Do not print created blocks.");
pub(crate) const MAX_BLOCK: Flag = value(
    "max-block-duration",
    "0s",
    "Maximum duration created blocks may span. Anything less than 2h is ignored.",
);

pub(crate) const SPEC: Spec = Spec {
    about: "Import samples from OpenMetrics input and produce TSDB blocks.",
    flags: &[
        READABLE,
        QUIET,
        MAX_BLOCK,
        values(
            "label",
            "",
            "Label to attach to metrics. Can be specified multiple times. Example --label=label_name=label_value",
        ),
    ],
    positional: &[required("input file"), optional("output directory", "data/")],
};

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let mut labels = Vec::new();
    for given in args.all("label") {
        let pair = given.split_once('=');
        labels.push(pair.ok_or_else(|| Failure::usage(format!("expected KEY=VALUE got '{given}'")))?);
    }
    let span_ms = block_span(args)?;
    let path = Path::new(args.positional(0));
    let input = std::fs::read(path)
        .map_err(|e| Failure::new(format!("open {}: {}", path.display(), go_error(&e))))?;
    let out = Path::new(args.positional(1));
    std::fs::create_dir_all(out).map_err(|e| Failure::new(format!("create output dir: {e}")))?;
    let span = span_of(&input).map_err(|e| e.within("getting min and max timestamp"))?;
    let Some((mint, maxt)) = span else { return Ok(()) };
    let printed = Printed { readable: args.is_on("human-readable"), quiet: args.is_on("quiet") };
    create(&input, (mint, maxt), span_ms, &labels, out, &printed, outside)
        .map_err(|e| e.within("block creation"))
}

/// Go's words where they are not the system's.
fn go_error(e: &std::io::Error) -> String {
    if e.kind() == std::io::ErrorKind::NotFound {
        "no such file or directory".to_owned()
    } else {
        e.to_string()
    }
}

pub(crate) struct Printed {
    pub(crate) readable: bool,
    pub(crate) quiet: bool,
}

/// The largest of upstream's block ranges (2 h, 6 h, 18 h, …) within `--max-block-duration`.
pub(crate) fn block_span(args: &Args) -> Result<i64, Failure> {
    let text = args.get("max-block-duration");
    let max = model::duration::parse(text)
        .map_err(|e| Failure::usage(e.to_string()))
        .map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))?;
    let smallest = 2 * 3_600_000_i64;
    let ranges = std::iter::successors(Some(smallest), |r| Some(r * 3)).take(10);
    Ok(ranges.take_while(|r| *r <= max).last().unwrap_or(smallest))
}

/// Times of the first and the last sample; `None` when there is none.
fn span_of(input: &[u8]) -> Result<Option<(i64, i64)>, Failure> {
    let mut parser = Parser::new(Format::OpenMetrics, input);
    let mut span: Option<(i64, i64)> = None;
    while let Some(entry) = parser.next().map_err(|e| Failure::new(format!("next: {e}")))? {
        let Entry::Series(series) = entry else { continue };
        let ts = series.ts.ok_or_else(|| Failure::new("expected timestamp for series got none"))?;
        let (low, high) = span.unwrap_or((ts, ts));
        span = Some((low.min(ts), high.max(ts)));
    }
    Ok(span)
}

fn create(
    input: &[u8],
    (mint, maxt): (i64, i64),
    span_ms: i64,
    labels: &[(&str, &str)],
    out: &Path,
    printed: &Printed,
    outside: &mut Outside<'_>,
) -> Result<(), Failure> {
    let mut begin = mint.div_euclid(span_ms).saturating_mul(span_ms);
    let mut header = true;
    loop {
        let end = begin.saturating_add(span_ms);
        let (series, next) =
            samples_between(input, begin, end, labels).map_err(|e| e.within("process blocks"))?;
        if !series.is_empty() {
            let block = write(&series, out, outside.now_ms).map_err(|e| e.within("process blocks: flush"))?;
            if !printed.quiet {
                list::print(&[BlockLine::of(&block)], header, printed.readable, outside.out)?;
                header = false;
            }
        }
        match next {
            // Straight to the window of the next sample: what lies between need not be parsed for.
            Some(next) if next <= maxt => begin = next.div_euclid(span_ms).saturating_mul(span_ms),
            _ => return Ok(()),
        }
    }
}

type SeriesMap = BTreeMap<LabelSet, Vec<(i64, f64)>>;

/// The series with their samples in `[begin, end)`, and the time of the first sample after.
fn samples_between(
    input: &[u8],
    begin: i64,
    end: i64,
    labels: &[(&str, &str)],
) -> Result<(SeriesMap, Option<i64>), Failure> {
    let mut parser = Parser::new(Format::OpenMetrics, input);
    let mut all = SeriesMap::new();
    let mut next: Option<i64> = None;
    while let Some(entry) = parser.next().map_err(|e| Failure::new(format!("parse: {e}")))? {
        let Entry::Series(series) = entry else { continue };
        let Some(ts) = series.ts.filter(|ts| *ts >= begin) else { continue };
        if ts >= end {
            next = Some(next.map_or(ts, |n| n.min(ts)));
            continue;
        }
        if let Some(name) = series.repeated_label() {
            return Err(Failure::new(format!(
                "add sample: label name {name:?} is not unique: invalid sample"
            )));
        }
        let mut set = series.label_set();
        if !labels.is_empty() {
            let mut builder = set.to_builder();
            for (name, value) in labels {
                builder.set(name, value);
            }
            set = builder.build();
        }
        let samples = all.entry(set).or_default();
        match samples.last() {
            Some((last, value)) if *last == ts => {
                if value.to_bits() != series.value.to_bits() {
                    return Err(Failure::new("add sample: duplicate sample for timestamp"));
                }
            }
            Some((last, _)) if *last > ts => return Err(Failure::new("add sample: out of order sample")),
            _ => samples.push((ts, series.value)),
        }
    }
    Ok((all, next))
}

/// A block of these series.
pub(crate) fn write(series: &SeriesMap, out: &Path, now_ms: i64) -> Result<Block, Failure> {
    let ulid = new_ulid(now_ms)?;
    let mut writer = BlockWriter::create(out, &ulid)?;
    for (labels, floats) in series {
        writer.series(labels, &Samples { floats: floats.clone(), histograms: Vec::new() })?;
    }
    writer.finish()?;
    Ok(Block::open(&out.join(ulid))?)
}
