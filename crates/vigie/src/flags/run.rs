//! The flags of `vigie run`: the whole stack from one directory.

use super::{Command, Flag, switch, value};

/// `vigie run [DIR]`
pub(crate) const COMMAND: Command = Command {
    name: "vigie run",
    about: "The whole stack from the files found in DIR (default: .): prometheus.yml, alertmanager.yml, provisioning/, dashboards/, web.yml.",
    positional: Some("[<DIR>]"),
    flags: &[
        MAIN,
        super::dashboards::STARTERS,
        super::prometheus::RECEIVE,
        super::store::STORE,
        super::prometheus::QUERY,
        super::prometheus::LOG,
    ],
    style: super::Style::Kingpin,
};

const MAIN: &[Flag] = &[
    value(
        "listen",
        "127.0.0.1",
        "The address all roles listen on, each on its own port. Beyond loopback a web.yml with passwords is wanted.",
    ),
    value(
        "prometheus.listen-address",
        "",
        "HOST:PORT of the Prometheus role; by default port 9090 of --listen.",
    ),
    value(
        "alertmanager.listen-address",
        "",
        "HOST:PORT of the Alertmanager role; by default port 9093 of --listen.",
    ),
    value("dashboards.listen-address", "", "HOST:PORT of the dashboards; by default port 3000 of --listen."),
    value("storage.path", "", "Where everything is kept; by default data/ in DIR."),
    switch("web.enable-lifecycle", "Enable shutdown and reload via HTTP request."),
    switch(
        "starter-rules",
        "Load the built-in alert rules beside those of prometheus.yml. Without a prometheus.yml they are loaded anyway, unless --no-starters is given.",
    ),
    switch("auth.anonymous", "Let everybody on this machine view dashboards without a password."),
];
