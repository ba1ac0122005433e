//! `promtool tsdb list`.

use std::io::Write;
use std::path::Path;

use crate::args::{Args, Spec, optional, switch};
use crate::source::{BlockLine, Source};
use crate::{Failure, Outside, go_text};

pub(crate) const SPEC: Spec = Spec {
    about: "List tsdb blocks.",
    flags: &[switch("human-readable", Some('r'), "Print human readable values.")],
    positional: &[optional("db path", "data/")],
};

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let blocks = Source::list(Path::new(args.positional(0)))?;
    print(&blocks, true, args.is_on("human-readable"), outside.out)
}

/// One table; each call aligns on its own, as upstream's.
pub(crate) fn print(
    blocks: &[BlockLine],
    header: bool,
    readable: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    if header {
        let names = [
            "BLOCK ULID",
            "MIN TIME",
            "MAX TIME",
            "DURATION",
            "NUM SAMPLES",
            "NUM CHUNKS",
            "NUM SERIES",
            "SIZE",
        ];
        rows.push(names.map(str::to_owned).to_vec());
    }
    let time = |ms: i64| if readable { go_text::time(ms) } else { ms.to_string() };
    for b in blocks {
        rows.push(vec![
            b.ulid.clone(),
            time(b.min_time),
            time(b.max_time),
            go_text::duration(b.max_time.saturating_sub(b.min_time)),
            b.samples.to_string(),
            b.chunks.to_string(),
            b.series.to_string(),
            if readable { go_text::base2_bytes(b.bytes) } else { b.bytes.to_string() },
        ]);
    }
    Ok(go_text::table(&rows, out)?)
}
