//! The flags of the Grafana role. Grafana takes its settings from a file and the environment; these are ours.

use super::{Command, Flag, switch, value};

/// `vigie dashboards`
pub(crate) const COMMAND: Command = Command {
    name: "dashboards",
    about: "Dashboards in Grafana's format, drawn from a Prometheus.",
    positional: None,
    flags: &[MAIN, STARTERS, super::prometheus::LOG],
    also: None,
    style: super::Style::Kingpin,
};

/// Also of `vigie run`.
pub(super) const STARTERS: &[Flag] = &[switch(
    "starters",
    "Offer the built-in dashboards and alert rules for hosts, PostgreSQL, Redis and Vigie itself.",
)
.on()];

const MAIN: &[Flag] = &[
    value("web.listen-address", "127.0.0.1:3000", "Address to listen on."),
    value("web.config.file", "", "Path to configuration file that can enable TLS."),
    value("storage.path", "data/", "Where users, sessions and dashboards are kept."),
    value("prometheus.url", "http://localhost:9090", "The Prometheus to draw from."),
    value(
        "provisioning.path",
        "provisioning",
        "Directory with datasources/ and dashboards/ as Grafana reads it.",
    ),
    switch("auth.anonymous", "Let everybody view without a password. Only on a loopback address."),
];
