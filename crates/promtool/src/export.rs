//! `promtool tsdb export`: a Vigie store, or part of it, as blocks of two hours that Prometheus opens.

use std::collections::BTreeMap;
use std::path::Path;

use interchange::{Block, BlockWriter, TimeRange, chunk};
use model::LabelSet;

use crate::args::{Args, Spec, required, switch, value, values};
use crate::dump::{ALL, matcher_sets};
use crate::source::{BlockLine, Source};
use crate::{Failure, Outside, list};

pub(crate) const SPEC: Spec = Spec {
    about: "Write the samples of a Vigie store as Prometheus blocks of two hours.",
    flags: &[
        value(
            "min-time",
            "-9223372036854775808",
            "First timestamp to export, in milliseconds since the Unix epoch.",
        ),
        value(
            "max-time",
            "9223372036854775807",
            "Last timestamp to export, in milliseconds since the Unix epoch.",
        ),
        values("match", ALL, "Series selector. Can be specified multiple times."),
        switch("human-readable", Some('r'), "Print human readable values."),
        switch("quiet", Some('q'), "Do not print created blocks."),
    ],
    positional: &[required("store"), required("output directory")],
};

/// The span of a block, at multiples of itself.
const SPAN_MS: i64 = 2 * 3_600_000;

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let range = TimeRange { mint: args.number("min-time")?, maxt: args.number("max-time")? };
    let sets = matcher_sets(args.all("match"))?;
    let source = Source::open_vigie(Path::new(args.positional(0)))?;
    let Source::Vigie(store) = &source else { return Err(Failure::new("not a store of Vigie's")) };
    let Some(covered) = storage::LeafExecutor::covers(&**store) else {
        return Err(Failure::new(format!("{}: the store has no samples", args.positional(0))));
    };
    let out = Path::new(args.positional(1));
    std::fs::create_dir_all(out).map_err(|e| Failure::new(format!("create output dir: {e}")))?;
    let (first, last) = (range.mint.max(covered.mint), range.maxt.min(covered.maxt));
    let mut begin = first.div_euclid(SPAN_MS).saturating_mul(SPAN_MS);
    let mut header = true;
    while begin <= last {
        let end = begin.saturating_add(SPAN_MS - 1);
        let window = TimeRange { mint: begin.max(first), maxt: end.min(last) };
        if let Some(block) = one(&source, &sets, window, out, outside.now_ms)?
            && !args.is_on("quiet")
        {
            list::print(&[BlockLine::of(&block)], header, args.is_on("human-readable"), outside.out)?;
            header = false;
        }
        if end == i64::MAX {
            break;
        }
        begin = end + 1;
    }
    Ok(())
}

/// The block of one window; none when it has no samples. A window's series are held compressed until they can be sorted.
fn one(
    source: &Source,
    sets: &[Vec<model::Matcher>],
    window: TimeRange,
    out: &Path,
    now_ms: i64,
) -> Result<Option<Block>, Failure> {
    let mut series: BTreeMap<LabelSet, Vec<chunk::Encoded>> = BTreeMap::new();
    source.for_each(sets, window, &mut |labels, samples| {
        series.insert(labels.clone(), chunk::encode(samples)?);
        Ok(())
    })?;
    if series.values().all(Vec::is_empty) {
        return Ok(None);
    }
    let ulid = new_ulid(now_ms)?;
    let mut writer = BlockWriter::create(out, &ulid)?;
    for (labels, chunks) in &series {
        writer.series_of_chunks(labels, chunks)?;
    }
    writer.finish()?;
    Ok(Some(Block::open(&out.join(ulid))?))
}

/// A name for a block.
pub(crate) fn new_ulid(now_ms: i64) -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|e| Failure::new(format!("read random bytes: {e}")))?;
    Ok(interchange::ulid(now_ms, u128::from_le_bytes(random)))
}
