//! `vigie promtool …`: the commands live in the `promtool` crate.

use crate::Failure;

/// Runs the command; failures exit with 1, as upstream's.
pub(crate) fn main(args: &[String]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let now_ms = super::system_clock()();
    promtool::main(args, &mut promtool::Outside { out: &mut out, now_ms }).map_err(|e| Failure::new(e.0))
}
