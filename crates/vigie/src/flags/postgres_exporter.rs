//! The flags of `postgres_exporter`.

use super::{Command, Flag, Style, value};

/// `vigie postgres-exporter`
pub(crate) const COMMAND: Command = Command {
    name: "postgres_exporter",
    about: "To be written.",
    positional: None,
    flags: &[MAIN, super::exporter::COMMON],
    also: None,
    style: Style::Kingpin,
};

const MAIN: &[Flag] = &[
    value("web.listen-address", ":9187", "Addresses on which to expose metrics and web interface.")
        .repeatable(),
    value("web.telemetry-path", "/metrics", "Path under which to expose metrics."),
];
