//! The flags of `redis_exporter`.

use super::{Command, Flag, Style, value};

/// `vigie redis-exporter`
pub(crate) const COMMAND: Command = Command {
    name: "redis_exporter",
    about: "To be written.",
    positional: None,
    flags: &[MAIN, super::exporter::COMMON],
    also: None,
    style: Style::Go,
};

const MAIN: &[Flag] = &[
    value("web.listen-address", ":9121", "Addresses on which to expose metrics and web interface.")
        .repeatable(),
    value("web.telemetry-path", "/metrics", "Path under which to expose metrics."),
];
