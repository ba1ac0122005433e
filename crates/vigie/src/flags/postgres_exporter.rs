//! The flags of `postgres_exporter`, of 0.11 and of today.

use super::{Command, Flag, Style, switch, value};

/// `vigie postgres-exporter`
pub(crate) const COMMAND: Command = Command {
    name: "postgres_exporter",
    about: "Metrics of PostgreSQL servers. DATA_SOURCE_NAME names them (postgresql://user:password@host:port/database, several by \
        comma), or DATA_SOURCE_URI, DATA_SOURCE_USER and DATA_SOURCE_PASS do, each of which may stand in the file that \
        DATA_SOURCE_..._FILE names.",
    positional: None,
    flags: &[MAIN, COLLECTORS, super::exporter::COMMON],
    also: None,
    style: Style::Kingpin,
};

const MAIN: &[Flag] = &[
    value("config.file", "postgres_exporter.yml", "Postgres exporter configuration file."),
    value("web.listen-address", ":9187", "Addresses on which to expose metrics and web interface.")
        .repeatable()
        .env("PG_EXPORTER_WEB_LISTEN_ADDRESS"),
    value("web.telemetry-path", "/metrics", "Path under which to expose metrics.")
        .env("PG_EXPORTER_WEB_TELEMETRY_PATH"),
    value(
        "names",
        "both",
        "Whose names and labels to expose: 0.11, current, or both: then a family that was renamed has both names, and one that is \
         in both has the labels of 0.11, so that no series is there twice.",
    )
    .env("PG_EXPORTER_NAMES"),
    switch("disable-default-metrics", "Do not include default metrics: those that 0.11 makes from its query maps.")
        .env("PG_EXPORTER_DISABLE_DEFAULT_METRICS"),
    switch("disable-settings-metrics", "Do not include pg_settings metrics.")
        .env("PG_EXPORTER_DISABLE_SETTINGS_METRICS"),
    switch(
        "auto-discover-databases",
        "Whether to run the custom queries on all databases of a server, which are discovered.",
    )
    .env("PG_EXPORTER_AUTO_DISCOVER_DATABASES"),
    value("extend.query-path", "", "Path to custom queries to run.").env("PG_EXPORTER_EXTEND_QUERY_PATH"),
    switch("dumpmaps", "Do not run, simply dump the maps.").hidden(),
    value("constantLabels", "", "A list of label=value separated by comma(,).").env("PG_EXPORTER_CONSTANT_LABELS"),
    value("exclude-databases", "", "A list of databases to remove when autoDiscoverDatabases is enabled")
        .env("PG_EXPORTER_EXCLUDE_DATABASES"),
    value("include-databases", "", "A list of databases to include when autoDiscoverDatabases is enabled")
        .env("PG_EXPORTER_INCLUDE_DATABASES"),
    value(
        "metric-prefix",
        "pg",
        "A metric prefix can be used to have non-default (not \"pg\") prefixes for each of the metrics",
    )
    .env("PG_EXPORTER_METRIC_PREFIX"),
    value(
        "collection-timeout",
        "1m",
        "Timeout for collecting the statistics when the database is slow. What the scraper waits counts where it is less; one query \
         gets half of what is left.",
    )
    .env("PG_EXPORTER_COLLECTION_TIMEOUT"),
];

const COLLECTORS: &[Flag] = &[
    switch("collector.buffercache_summary", "Enable the buffercache_summary collector (default: disabled)."),
    switch("collector.database", "Enable the database collector (default: enabled).").on(),
    switch("collector.database_wraparound", "Enable the database_wraparound collector (default: disabled)."),
    switch("collector.locks", "Enable the locks collector (default: enabled).").on(),
    switch(
        "collector.long_running_transactions",
        "Enable the long_running_transactions collector (default: disabled).",
    ),
    switch("collector.postmaster", "Enable the postmaster collector (default: disabled)."),
    switch("collector.process_idle", "Enable the process_idle collector (default: disabled)."),
    switch("collector.replication", "Enable the replication collector (default: enabled).").on(),
    switch("collector.replication_slots", "Enable the replication_slots collector (default: enabled).").on(),
    switch("collector.roles", "Enable the roles collector (default: enabled).").on(),
    switch("collector.settings", "Enable the settings collector (default: enabled).").on(),
    switch("collector.stat_activity", "Enable the stat_activity collector (default: enabled).").on(),
    switch(
        "collector.stat_activity_autovacuum",
        "Enable the stat_activity_autovacuum collector (default: disabled).",
    ),
    switch("collector.stat_archiver", "Enable the stat_archiver collector (default: enabled).").on(),
    switch("collector.stat_bgwriter", "Enable the stat_bgwriter collector (default: enabled).").on(),
    switch("collector.stat_checkpointer", "Enable the stat_checkpointer collector (default: disabled)."),
    switch("collector.stat_database", "Enable the stat_database collector (default: enabled).").on(),
    switch("collector.stat_progress_vacuum", "Enable the stat_progress_vacuum collector (default: enabled).")
        .on(),
    switch("collector.stat_replication", "Enable the stat_replication collector (default: enabled).").on(),
    switch("collector.stat_statements", "Enable the stat_statements collector (default: disabled)."),
    switch("collector.stat_user_tables", "Enable the stat_user_tables collector (default: enabled).").on(),
    switch("collector.stat_wal_receiver", "Enable the stat_wal_receiver collector (default: disabled)."),
    switch("collector.statio_user_indexes", "Enable the statio_user_indexes collector (default: disabled)."),
    switch("collector.statio_user_tables", "Enable the statio_user_tables collector (default: enabled).")
        .on(),
    switch("collector.wal", "Enable the wal collector (default: enabled).").on(),
    switch("collector.xlog_location", "Enable the xlog_location collector (default: disabled)."),
    switch(
        "collector.stat_statements.include_query",
        "Enable selecting statement query together with queryId. (default: disabled)",
    ),
    value("collector.stat_statements.query_length", "120", "Maximum length of the statement text."),
    value("collector.stat_statements.limit", "100", "Maximum number of statements to return."),
    value(
        "collector.stat_statements.exclude_databases",
        "",
        "Comma-separated list of database names to exclude. (default: none)",
    ),
    value(
        "collector.stat_statements.exclude_users",
        "",
        "Comma-separated list of user names to exclude. (default: none)",
    ),
    // What 0.11, and 0.13 to 0.19, called two of them.
    switch("collector.bgwriter", "Enable the stat_bgwriter collector.").on().hidden(),
    switch("collector.replication_slot", "Enable the replication_slots collector.").on().hidden(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Outcome;

    fn read(line: &str) -> Result<exporter_postgres::Options, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match COMMAND.parse(&args)? {
            Outcome::Run(parsed) => {
                crate::roles::postgres_exporter::options(&parsed, &|_| None).map_err(|e| format!("{e:?}"))
            }
            Outcome::Print(text) => Err(text),
        }
    }

    #[test]
    fn every_collector_has_its_flag() {
        for entry in exporter_postgres::TABLE.iter().filter(|e| !e.name.is_empty()) {
            for name in [Some(entry.name), entry.alias].into_iter().flatten() {
                let name = format!("collector.{name}");
                let flag = COLLECTORS.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{name}"));
                assert_eq!(flag.default, if entry.on { "true" } else { "false" }, "{name}");
                assert!(read(&format!("--no-{name}")).is_ok());
            }
        }
        assert!(COMMAND.help().contains("DATA_SOURCE_NAME"));
    }

    #[test]
    fn flags_become_options() {
        assert!(read("--names=0.11 --constantLabels=a=b --collection-timeout=5s --no-collector.wal").is_ok());
        assert!(read("--names=old").unwrap_err().contains("expected 0.11, current or both"));
    }
}
