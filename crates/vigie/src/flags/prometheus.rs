//! The flags of `prometheus` (upstream `cmd/prometheus/main.go`).

use super::{Command, Flag, switch, value};

/// `vigie prometheus`
pub(crate) const COMMAND: Command = Command {
    name: "prometheus",
    about: "The Prometheus monitoring server",
    positional: None,
    flags: &[CONFIG, WEB, RECEIVE, STORAGE, super::store::STORE, AGENT, RULES, QUERY, LOG, HIDDEN],
    also: None,
    style: super::Style::Kingpin,
};

const CONFIG: &[Flag] = &[
    value("config.file", "prometheus.yml", "Prometheus configuration file path."),
    switch("config.auto-reload", "Reload the configuration file when its content changes.").later(),
    value("config.auto-reload-interval", "30s", "How often to look for changes of the configuration.")
        .later(),
];

const WEB: &[Flag] = &[
    value(
        "web.listen-address",
        "0.0.0.0:9090",
        "Address to listen on for UI, API, and telemetry. Can be repeated.",
    )
    .repeatable(),
    value("web.config.file", "", "Path to configuration file that can enable TLS or authentication."),
    value(
        "web.read-timeout",
        "5m",
        "Maximum duration before timing out read of the request, and closing idle connections.",
    ),
    value("web.max-connections", "512", "Maximum number of simultaneous connections across all listeners."),
    value(
        "web.max-notifications-subscribers",
        "16",
        "Limits the maximum number of subscribers of the live notifications.",
    )
    .later(),
    value(
        "web.external-url",
        "",
        "The URL under which Prometheus is externally reachable. Used for links back to Prometheus itself; its path prefixes all HTTP endpoints.",
    ),
    value(
        "web.route-prefix",
        "",
        "Prefix for the internal routes of web endpoints. Defaults to path of --web.external-url.",
    ),
    value("web.user-assets", "", "Path to static asset directory, available at /user.").later(),
    switch("web.enable-lifecycle", "Enable shutdown and reload via HTTP request."),
    switch("web.enable-otlp-receiver", "Enable API endpoint accepting OTLP write requests.").later(),
    value(
        "web.console.templates",
        "consoles",
        "Path to the console template directory, available at /consoles.",
    )
    .later(),
    value("web.console.libraries", "console_libraries", "Path to the console library directory.").later(),
    value(
        "web.page-title",
        "Prometheus Time Series Collection and Processing Server",
        "Document title of the web pages.",
    )
    .later(),
    value("web.cors.origin", ".*", "Regex for CORS origin. It is fully anchored."),
    value("web.search.max-limit", "10000", "Maximum number of results of the search endpoints.").later(),
];

/// Shared with `vigie run`.
pub(crate) const RECEIVE: &[Flag] = &[
    switch("web.enable-admin-api", "Enable API endpoints for admin control actions."),
    switch("web.enable-remote-write-receiver", "Enable API endpoint accepting remote write requests."),
    value(
        "web.remote-write-receiver.accepted-protobuf-messages",
        "",
        "Remote write protobuf messages to accept; all that are known where none is given. Only prometheus.WriteRequest is received so far.",
    )
    .repeatable(),
];

const STORAGE: &[Flag] = &[
    value("storage.tsdb.path", "data/", "Base path for metrics storage."),
    value(
        "storage.remote.flush-deadline",
        "1m",
        "How long to wait flushing samples on shutdown or config reload.",
    )
    .later(),
    value(
        "storage.remote.read-sample-limit",
        "50000000",
        "Maximum overall number of samples to return via remote read.",
    )
    .later(),
    value("storage.remote.read-concurrent-limit", "10", "Maximum number of concurrent remote read calls.")
        .later(),
    value(
        "storage.remote.read-max-bytes-in-frame",
        "1048576",
        "Maximum bytes in a single frame of streamed remote read.",
    )
    .later(),
];

const AGENT: &[Flag] = &[
    switch("agent", "Run Prometheus in 'Agent mode'.").later(),
    value("storage.agent.path", "data-agent/", "Base path for metrics storage in agent mode.").later(),
    switch("storage.agent.wal-compression", "Compress the agent WAL.").on().later(),
    value(
        "storage.agent.retention.min-time",
        "5m",
        "Minimum age samples may be before being considered for deletion.",
    )
    .later(),
    value(
        "storage.agent.retention.max-time",
        "4h",
        "Maximum age samples may be before being forcibly deleted.",
    )
    .later(),
    switch("storage.agent.checkpoint-from-in-memory-series", "Write agent checkpoints from memory.").later(),
    value("storage.agent.checkpoint-batch-size", "1000", "Series per batch of an agent checkpoint.").later(),
    switch("storage.agent.no-lockfile", "Do not create lockfile in data directory.").later(),
];

const RULES: &[Flag] = &[
    value(
        "rules.alert.for-outage-tolerance",
        "1h",
        "Max time to tolerate prometheus outage for restoring \"for\" state of alert.",
    ),
    value(
        "rules.alert.for-grace-period",
        "10m",
        "Minimum duration between alert and restored \"for\" state. Maintained only for alerts with configured \"for\" time greater than grace period.",
    ),
    value(
        "rules.alert.resend-delay",
        "1m",
        "Minimum amount of time to wait before resending an alert to Alertmanager.",
    ),
    value(
        "rules.max-concurrent-evals",
        "4",
        "Global concurrency limit for independent rules that can run concurrently.",
    ),
    value(
        "alertmanager.notification-queue-capacity",
        "10000",
        "The capacity of the queue for pending Alertmanager notifications.",
    ),
    value(
        "alertmanager.notification-batch-size",
        "256",
        "The maximum number of notifications per batch to send to the Alertmanager.",
    ),
    switch(
        "alertmanager.drain-notification-queue-on-shutdown",
        "Send any outstanding Alertmanager notifications when shutting down.",
    )
    .on(),
];

/// Shared with `vigie run`.
pub(crate) const QUERY: &[Flag] = &[
    value(
        "query.lookback-delta",
        "5m",
        "The maximum lookback duration for retrieving metrics during expression evaluations and federation.",
    ),
    value("query.timeout", "2m", "Maximum time a query may take before being aborted."),
    value("query.max-concurrency", "20", "Maximum number of queries executed concurrently."),
    value("query.max-samples", "50000000", "Maximum number of samples a single query can load into memory."),
    value(
        "query.vigie.max-memory",
        "2GB",
        "Maximum number of bytes a single query can hold at once: columns, label sets, its result.",
    ),
    value("enable-feature", "", "Comma separated feature names to enable.").repeatable(),
    switch("auto-gomaxprocs", "Accepted for drop-in use: there is no Go runtime to tune.").on().later(),
    switch("auto-gomemlimit", "Accepted for drop-in use: there is no Go runtime to tune.").on().later(),
    value("auto-gomemlimit.ratio", "0.9", "Accepted for drop-in use: there is no Go runtime to tune.")
        .later(),
    value(
        "auto-gomemlimit.refresh-interval",
        "0s",
        "Accepted for drop-in use: there is no Go runtime to tune.",
    )
    .later(),
];

/// Shared by all roles.
pub(crate) const LOG: &[Flag] = &[
    value(
        "log.level",
        "info",
        "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
    ),
    value("log.format", "logfmt", "Output format of log messages. One of: [logfmt, json]"),
];

const HIDDEN: &[Flag] = &[
    value("storage.agent.wal-segment-size", "", "Size at which to split the agent log.").hidden().later(),
    value("storage.agent.wal-compression-type", "snappy", "How to compress the agent log.").hidden().later(),
    value("storage.agent.wal-truncate-frequency", "2h", "How often to truncate the agent log.")
        .hidden()
        .later(),
    switch("scrape.adjust-timestamps", "Adjust scrape timestamps by up to the tolerance.")
        .on()
        .hidden()
        .later(),
    value("scrape.timestamp-tolerance", "2ms", "Timestamp tolerance.").hidden().later(),
    value(
        "scrape.discovery-reload-interval",
        "5s",
        "Interval used by the scrape manager to throttle target updates.",
    )
    .hidden()
    .later(),
];
