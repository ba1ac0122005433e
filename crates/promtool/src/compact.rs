//! `promtool tsdb compact`: not upstream's. All of a Vigie store at rest goes to blocks, merged as far as they ever are.

use std::path::Path;

use crate::args::{Args, Spec, optional};
use crate::source::Source;
use crate::{Failure, Outside};

pub(crate) const SPEC: Spec = Spec {
    about: "Write the head of a stopped Vigie store to blocks, and merge its blocks.",
    flags: &[],
    positional: &[optional("db path", "data/")],
};

pub(crate) fn run(args: &Args, outside: &mut Outside<'_>) -> Result<(), Failure> {
    let path = Path::new(args.positional(0));
    let Source::Vigie(store) = Source::open_vigie(path)? else {
        return Err(Failure(format!("{}: no store of Vigie's", path.display())));
    };
    store.compact_all()?;
    store.close()?;
    let stats = store.stats();
    writeln!(outside.out, "{} blocks, {} bytes", stats.blocks, stats.block_bytes)?;
    Ok(())
}
