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
    also: Some(("vigie node-exporter", super::node_exporter::HOST)),
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
    switch(
        "node-exporter",
        "Watch this host: the built-in node exporter as job node, target localhost:9100, asked without a socket.",
    )
    .on(),
    value(
        "postgres.url",
        "",
        "Watch PostgreSQL: postgresql://USER:PASSWORD@HOST:5432/DATABASE, several separated by commas; the built-in exporter as job postgres, target localhost:9187.",
    )
    .env("DATA_SOURCE_NAME"),
    value(
        "redis.url",
        "",
        "Watch Redis or Valkey: redis://USER:PASSWORD@HOST:6379; the built-in exporter as job redis, target localhost:9121.",
    )
    .env("REDIS_ADDR"),
    value(
        "node-exporter.listen-address",
        "",
        "HOST:PORT of the built-in node exporter's page; by default port 9100 of --listen. A port that is taken is left alone.",
    ),
    value(
        "postgres-exporter.listen-address",
        "",
        "HOST:PORT of the built-in PostgreSQL exporter's page; by default port 9187 of --listen.",
    ),
    value(
        "redis-exporter.listen-address",
        "",
        "HOST:PORT of the built-in Redis exporter's page; by default port 9121 of --listen.",
    ),
    switch("web.enable-lifecycle", "Enable shutdown and reload via HTTP request."),
    switch(
        "starter-rules",
        "Load the built-in alert rules beside those of prometheus.yml. Without a prometheus.yml they are loaded anyway, unless --no-starters is given.",
    ),
    switch("auth.anonymous", "Let everybody on this machine view dashboards without a password."),
];
