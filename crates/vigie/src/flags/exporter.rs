//! What the exporters' command lines share (upstream's exporter-toolkit).

use super::{Flag, switch, value};

/// `--web.config.file` and logging, in kingpin's exporters.
pub(crate) const COMMON: &[Flag] = &[
    switch("web.systemd-socket", "Use systemd socket activation listeners instead of port listeners.")
        .later(),
    value("web.config.file", "", "Path to configuration file that can enable TLS or authentication."),
    value(
        "log.level",
        "info",
        "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
    ),
    value("log.format", "logfmt", "Output format of log messages. One of: [logfmt, json]"),
];
