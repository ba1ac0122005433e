//! The flags of `alertmanager` (upstream `cmd/alertmanager/main.go`).

use super::{Command, Flag, switch, value};

/// `vigie alertmanager`
pub(crate) const COMMAND: Command = Command {
    name: "alertmanager",
    about: "The Alertmanager handles alerts sent by client applications such as the Prometheus server.",
    positional: None,
    flags: &[MAIN, WEB, CLUSTER, super::prometheus::LOG],
    also: None,
    style: super::Style::Kingpin,
};

const MAIN: &[Flag] = &[
    value("config.file", "alertmanager.yml", "Alertmanager configuration file name."),
    value("storage.path", "data/", "Base path for data storage."),
    value("data.retention", "120h", "How long to keep data for."),
    value(
        "data.maintenance-interval",
        "15m",
        "Interval between garbage collection and snapshotting to disk of the silences and the notification logs.",
    ),
    value(
        "silences.max-silences",
        "0",
        "Maximum number of silences, including expired silences. If negative or zero, no limit is set.",
    ),
    value(
        "silences.max-silence-size-bytes",
        "0",
        "Maximum silence size in bytes. If negative or zero, no limit is set.",
    )
    .later(),
    switch("log.silences", "Log silence changes.").later(),
    value("alerts.gc-interval", "30m", "Interval between alert GC."),
    value(
        "alerts.per-alertname-limit",
        "0",
        "Maximum number of alerts per alertname. If negative or zero, no limit is set.",
    )
    .later(),
    value(
        "dispatch.maintenance-interval",
        "30s",
        "Interval between maintenance of aggregation groups in the dispatcher.",
    )
    .later(),
    value("dispatch.start-delay", "0s", "Minimum amount of time to wait before dispatching alerts.").later(),
    value("enable-feature", "", "Comma-separated experimental features to enable.").repeatable().later(),
    value("auto-gomemlimit.ratio", "0.9", "Accepted for drop-in use: there is no Go runtime to tune.")
        .later(),
];

const WEB: &[Flag] = &[
    value(
        "web.listen-address",
        ":9093",
        "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses.",
    )
    .repeatable(),
    value(
        "web.external-url",
        "",
        "The URL under which Alertmanager is externally reachable. Used for generating relative and absolute links back to Alertmanager itself.",
    ),
    value(
        "web.route-prefix",
        "",
        "Prefix for the internal routes of web endpoints. Defaults to path of --web.external-url.",
    ),
    value("web.config.file", "", "Path to configuration file that can enable TLS or authentication."),
    value("web.get-concurrency", "0", "Maximum number of GET requests processed concurrently.").later(),
    value("web.timeout", "0", "Timeout for HTTP requests. If negative or zero, no timeout is set.").later(),
    switch("web.systemd-socket", "Use systemd socket activation listeners instead of port listeners.")
        .later(),
];

const CLUSTER: &[Flag] = &[
    value(
        "cluster.listen-address",
        "0.0.0.0:9094",
        "Listen address for cluster. Set to empty string to disable HA mode.",
    )
    .later(),
    value("cluster.advertise-address", "", "Explicit address to advertise in cluster.").later(),
    value("cluster.peer", "", "Initial peers (may be repeated).").repeatable().later(),
    value("cluster.peer-timeout", "15s", "Time to wait between peers to send notifications.").later(),
    value("cluster.peers-resolve-timeout", "15s", "Time to resolve peers.").later(),
    value("cluster.gossip-interval", "200ms", "Interval between sending gossip messages.").later(),
    value("cluster.pushpull-interval", "1m", "Interval for gossip state syncs.").later(),
    value("cluster.tcp-timeout", "10s", "Timeout for establishing a stream connection with a remote node.")
        .later(),
    value("cluster.probe-timeout", "500ms", "Timeout to wait for an ack from a probed node.").later(),
    value("cluster.probe-interval", "1s", "Interval between random node probes.").later(),
    value(
        "cluster.settle-timeout",
        "1m",
        "Maximum time to wait for cluster connections to settle before evaluating notifications.",
    )
    .later(),
    value("cluster.reconnect-interval", "10s", "Interval between attempting to reconnect to lost peers.")
        .later(),
    value("cluster.reconnect-timeout", "6h", "Length of time to attempt to reconnect to a lost peer.")
        .later(),
    value("cluster.peer-name", "", "Explicit name of the peer, rather than generating a random one.").later(),
    value(
        "cluster.label",
        "",
        "The cluster label is an optional string to include on each packet and stream.",
    )
    .later(),
    value(
        "cluster.tls-config",
        "",
        "Cluster config yaml file that can enable mutual TLS within the gossip protocol.",
    )
    .later(),
    switch(
        "cluster.allow-insecure-public-advertise-address-discovery",
        "Allow alertmanager to discover and listen on a public IP address.",
    )
    .later(),
];
