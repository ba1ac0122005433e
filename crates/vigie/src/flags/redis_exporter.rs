//! The flags of `redis_exporter`, and our own, which begin with `vigie.`.

use super::{Command, Flag, Style, switch, value};

/// `vigie redis-exporter`
pub(crate) const COMMAND: Command = Command {
    name: "redis_exporter",
    about: "Prometheus exporter for Redis and Valkey metrics.",
    positional: None,
    flags: &[SERVER, KEYS, FAMILIES, WEB, LOG, OWN],
    also: None,
    style: Style::Go,
};

const SERVER: &[Flag] = &[
    value("redis.addr", "redis://localhost:6379", "Address of the Redis instance to scrape").env("REDIS_ADDR"),
    value(
        "redis.user",
        "",
        "User name to use for authentication (Redis ACL for Redis 6.0 and newer)",
    )
    .env("REDIS_USER"),
    value("redis.password", "", "Password of the Redis instance to scrape").env("REDIS_PASSWORD"),
    value("redis.password-file", "", "Password file of the Redis instance to scrape")
        .env("REDIS_PASSWORD_FILE"),
    value("connection-timeout", "15s", "Timeout for connection to Redis instance")
        .env("REDIS_EXPORTER_CONNECTION_TIMEOUT"),
    switch("set-client-name", "Whether to set client name to redis_exporter")
        .on()
        .env("REDIS_EXPORTER_SET_CLIENT_NAME"),
    switch("ping-on-connect", "Whether to ping the redis instance after connecting")
        .env("REDIS_EXPORTER_PING_ON_CONNECT"),
    switch("is-tile38", "Whether to scrape Tile38 specific metrics").env("REDIS_EXPORTER_IS_TILE38"),
    switch(
        "is-cluster",
        "Whether this is a redis cluster (Enable this if you need to fetch key level data on a Redis Cluster).",
    )
    .env("REDIS_EXPORTER_IS_CLUSTER"),
    switch(
        "cluster-discover-hostnames",
        "Whether to use hostname for cluster node discovery if available via `/discover-cluster-nodes` endpoint.",
    )
    .env("REDIS_EXPORTER_CLUSTER_DISCOVER_HOSTNAMES"),
    value(
        "tls-client-key-file",
        "",
        "Name of the client key file (including full path) if the server requires TLS client authentication",
    )
    .env("REDIS_EXPORTER_TLS_CLIENT_KEY_FILE"),
    value(
        "tls-client-cert-file",
        "",
        "Name of the client certificate file (including full path) if the server requires TLS client authentication",
    )
    .env("REDIS_EXPORTER_TLS_CLIENT_CERT_FILE"),
    value(
        "tls-ca-cert-file",
        "",
        "Name of the CA certificate file (including full path) if the server requires TLS client authentication",
    )
    .env("REDIS_EXPORTER_TLS_CA_CERT_FILE"),
    value(
        "tls-server-name",
        "",
        "Server name used to verify the Redis server certificate when connecting over TLS",
    )
    .env("REDIS_EXPORTER_TLS_SERVER_NAME"),
    switch("skip-tls-verification", "Whether to skip TLS verification")
        .env("REDIS_EXPORTER_SKIP_TLS_VERIFICATION"),
];

const KEYS: &[Flag] = &[
    value(
        "check-keys",
        "",
        "Comma separated list of key-patterns to export value and length/size, searched for with SCAN",
    )
    .env("REDIS_EXPORTER_CHECK_KEYS"),
    value(
        "check-single-keys",
        "",
        "Comma separated list of single keys to export value and length/size",
    )
    .env("REDIS_EXPORTER_CHECK_SINGLE_KEYS"),
    value("check-key-groups", "", "Comma separated list of lua regex for grouping keys")
        .env("REDIS_EXPORTER_CHECK_KEY_GROUPS"),
    value(
        "check-streams",
        "",
        "Comma separated list of stream-patterns to export info about streams, groups and consumers, searched for with SCAN",
    )
    .env("REDIS_EXPORTER_CHECK_STREAMS"),
    value(
        "check-single-streams",
        "",
        "Comma separated list of single streams to export info about streams, groups and consumers",
    )
    .env("REDIS_EXPORTER_CHECK_SINGLE_STREAMS"),
    switch(
        "streams-exclude-consumer-metrics",
        "Don't collect per consumer metrics for streams (decreases cardinality)",
    )
    .env("REDIS_EXPORTER_STREAMS_EXCLUDE_CONSUMER_METRICS"),
    value(
        "count-keys",
        "",
        "Comma separated list of patterns to count (eg: 'db0=production_*,db3=sessions:*'), searched for with SCAN",
    )
    .env("REDIS_EXPORTER_COUNT_KEYS"),
    value(
        "check-keys-batch-size",
        "1000",
        "Most keys to process in each step of a scan; steps become smaller where the server is slow.",
    )
    .env("REDIS_EXPORTER_CHECK_KEYS_BATCH_SIZE"),
    value(
        "max-distinct-key-groups",
        "100",
        "The maximum number of distinct key groups with the most memory utilization to present as distinct metrics per database, the leftover key groups will be aggregated in the 'overflow' bucket",
    )
    .env("REDIS_EXPORTER_MAX_DISTINCT_KEY_GROUPS"),
    switch(
        "disable-exporting-key-values",
        "Whether to disable values of keys stored in redis as labels or not when using check-keys/check-single-key",
    )
    .env("REDIS_EXPORTER_DISABLE_EXPORTING_KEY_VALUES"),
    switch(
        "skip-checkkeys-for-role-master",
        "Whether to skip gathering the check-keys metrics (size, val) when the instance is of type master (reduce load on master nodes)",
    )
    .env("REDIS_EXPORTER_SKIP_CHECKKEYS_FOR_ROLE_MASTER"),
];

const FAMILIES: &[Flag] = &[
    value("namespace", "redis", "Namespace for metrics").env("REDIS_EXPORTER_NAMESPACE"),
    value(
        "config-command",
        "CONFIG",
        "What to use for the CONFIG command, set to \"-\" to skip config metrics extraction",
    )
    .env("REDIS_EXPORTER_CONFIG_COMMAND"),
    value("script", "", "Comma separated list of path(s) to Redis Lua script(s) for gathering extra metrics")
        .env("REDIS_EXPORTER_SCRIPT"),
    switch("script-read-only", "Use EVAL_RO command for gathering extra metrics with Lua script")
        .env("REDIS_EXPORTER_SCRIPT_READ_ONLY"),
    switch("export-client-list", "Whether to scrape Client List specific metrics")
        .env("REDIS_EXPORTER_EXPORT_CLIENT_LIST"),
    switch(
        "export-client-port",
        "Whether to include the client's port when exporting the client list. Warning: including the port increases the number of metrics generated and will make your Prometheus server take up more memory",
    )
    .env("REDIS_EXPORTER_EXPORT_CLIENT_PORT"),
    switch("include-config-metrics", "Whether to include all config settings as metrics")
        .env("REDIS_EXPORTER_INCL_CONFIG_METRICS"),
    switch(
        "redact-config-metrics",
        "Whether to redact config settings that include potentially sensitive information like passwords",
    )
    .on()
    .env("REDIS_EXPORTER_REDACT_CONFIG_METRICS"),
    switch("include-modules-metrics", "Whether to collect Redis Modules metrics")
        .env("REDIS_EXPORTER_INCL_MODULES_METRICS"),
    switch("include-search-indexes-metrics", "Whether to collect Redis Search indexes metrics")
        .env("REDIS_EXPORTER_INCL_SEARCH_INDEXES_METRICS"),
    value(
        "check-search-indexes",
        ".*",
        "Regex pattern for Redis Search indexes to export metrics from FT.INFO command",
    )
    .env("REDIS_EXPORTER_CHECK_SEARCH_INDEXES"),
    switch(
        "include-sentinel-peer-info",
        "Whether to export sentinel_peer_info metrics (high cardinality)",
    )
    .env("REDIS_EXPORTER_INCL_SENTINEL_PEER_INFO"),
    switch(
        "include-system-metrics",
        "Whether to include system metrics like e.g. redis_total_system_memory_bytes",
    )
    .env("REDIS_EXPORTER_INCL_SYSTEM_METRICS"),
    switch(
        "include-rdb-file-size-metric",
        "Whether to include RDB file size metric. Note: Requires the exporter to run on the same host as Redis with read access to the RDB directory.",
    )
    .env("REDIS_EXPORTER_INCL_RDB_FILE_SIZE_METRIC"),
    switch(
        "include-metrics-for-empty-databases",
        "Whether to emit db metrics (like db_keys) for empty databases",
    )
    .on()
    .env("REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES"),
    switch("exclude-latency-histogram-metrics", "Do not try to collect latency histogram metrics")
        .env("REDIS_EXPORTER_EXCLUDE_LATENCY_HISTOGRAM_METRICS"),
    switch("append-instance-role-label", "Whether to append 'instance_role' label to redis metrics")
        .env("REDIS_EXPORTER_APPEND_INSTANCE_ROLE_LABEL"),
    switch("redis-only-metrics", "Whether to export only Redis metrics (omit Go process+runtime metrics)")
        .env("REDIS_EXPORTER_REDIS_ONLY_METRICS"),
    switch("include-go-runtime-metrics", "Whether to include Go runtime metrics")
        .env("REDIS_EXPORTER_INCLUDE_GO_RUNTIME_METRICS")
        .without_effect("there is no Go runtime"),
];

const WEB: &[Flag] = &[
    value("web.listen-address", ":9121", "Address to listen on for web interface and telemetry.")
        .env("REDIS_EXPORTER_WEB_LISTEN_ADDRESS"),
    value("web.telemetry-path", "/metrics", "Path under which to expose metrics.")
        .env("REDIS_EXPORTER_WEB_TELEMETRY_PATH"),
    switch("disable-scrape-endpoint", "Whether to disable the /scrape endpoint")
        .env("REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT"),
    value(
        "tls-server-key-file",
        "",
        "Name of the server key file (including full path) if the web interface and telemetry should use TLS",
    )
    .env("REDIS_EXPORTER_TLS_SERVER_KEY_FILE"),
    value(
        "tls-server-cert-file",
        "",
        "Name of the server certificate file (including full path) if the web interface and telemetry should use TLS",
    )
    .env("REDIS_EXPORTER_TLS_SERVER_CERT_FILE"),
    value(
        "tls-server-ca-cert-file",
        "",
        "Name of the CA certificate file (including full path) if the web interface and telemetry should require TLS client authentication",
    )
    .env("REDIS_EXPORTER_TLS_SERVER_CA_CERT_FILE"),
    value(
        "tls-server-min-version",
        "TLS1.2",
        "Minimum TLS version that is acceptable by the web interface and telemetry when using TLS",
    )
    .env("REDIS_EXPORTER_TLS_SERVER_MIN_VERSION"),
    value("basic-auth-username", "", "Username for basic authentication")
        .env("REDIS_EXPORTER_BASIC_AUTH_USERNAME"),
    value(
        "basic-auth-password",
        "",
        "Password for basic authentication, conflicts with --basic-auth-hash-password",
    )
    .env("REDIS_EXPORTER_BASIC_AUTH_PASSWORD"),
    value(
        "basic-auth-hash-password",
        "",
        "Hashed password for basic authentication, bcrypt format, conflicts with --basic-auth-password",
    )
    .env("REDIS_EXPORTER_BASIC_AUTH_HASH_PASSWORD"),
];

const LOG: &[Flag] = &[
    switch(
        "debug",
        "Output verbose debug information (sets log level to DEBUG, takes precedence over \"--log-level\")",
    )
    .env("REDIS_EXPORTER_DEBUG"),
    value("log-level", "INFO", "Set log level").env("REDIS_EXPORTER_LOG_LEVEL"),
    value("log-format", "txt", "Log format, valid options are txt and json").env("REDIS_EXPORTER_LOG_FORMAT"),
];

const OWN: &[Flag] = &[
    switch(
        "vigie.legacy-families",
        "Expose what only version 1.45 has too: connected_clients_details with -export-client-list, and key_size 0 for a key that is not there.",
    )
    .on()
    .env("REDIS_EXPORTER_VIGIE_LEGACY_FAMILIES"),
    value(
        "vigie.key-scan-wait",
        "1s",
        "How long a scrape waits for a scan of keys to end. After one that took longer none waits: the last complete scan is shown.",
    )
    .env("REDIS_EXPORTER_VIGIE_KEY_SCAN_WAIT"),
    value(
        "vigie.key-scan-step",
        "25ms",
        "How long a step of a scan should keep the server busy; -check-keys-batch-size is the upper bound of its keys.",
    )
    .env("REDIS_EXPORTER_VIGIE_KEY_SCAN_STEP"),
    value(
        "vigie.key-scan-load",
        "0.25",
        "Share of the time in which a scan that no scrape waits for may keep the server busy.",
    )
    .env("REDIS_EXPORTER_VIGIE_KEY_SCAN_LOAD"),
    value("vigie.key-scan-timeout", "15m", "How long a scan may take before it is given up.")
        .env("REDIS_EXPORTER_VIGIE_KEY_SCAN_TIMEOUT"),
    value(
        "vigie.key-scan-max-keys",
        "100000",
        "Matching keys and streams that are kept and exposed at most; counts are not bounded.",
    )
    .env("REDIS_EXPORTER_VIGIE_KEY_SCAN_MAX_KEYS"),
];
