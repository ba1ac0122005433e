//! Databases and roles: `pg_database`, `pg_stat_database`, `pg_stat_database_conflicts`, `pg_roles`.

use exporters::Kind;

use crate::rows::{Cell, Rows};
use crate::scrape::{Fault, Scrape};
use crate::table::{Metric, Null, Table, counter, gauge};

/// Sizes of those this role may connect to: one that is forbidden would cost all the others.
const SIZES: &str = "SELECT datname, datconnlimit, \
    CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE') \
    THEN pg_database_size(oid) END AS size_bytes FROM pg_database";

const DATABASE: Table = Table {
    namespace: "pg_database",
    labels: &["datname"],
    no_label: "",
    metrics: &[gauge("size_bytes", "Disk space used by the database")],
    null: Null::Skip,
};

const CONNECTION_LIMIT: Table = Table {
    metrics: &[
        gauge("datconnlimit", "Connection limit set for the database").named("pg_database_connection_limit")
    ],
    ..DATABASE
};

pub(super) async fn database(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let mut rows = scrape.rows(SIZES).await?;
    if !scrape.names().old() {
        let excluded = &scrape.options.exclude_databases;
        rows.rows.retain(|row| !row[0].as_text().is_some_and(|name| excluded.iter().any(|e| e == name)));
    }
    DATABASE.write(&mut scrape.plain(), &rows);
    if scrape.names().current() {
        CONNECTION_LIMIT.write(&mut scrape.plain(), &rows);
    }
    Ok(())
}

const WRAPAROUND: Table = Table {
    namespace: "pg_database_wraparound",
    labels: &["datname"],
    no_label: "",
    metrics: &[
        gauge("age_datfrozenxid_seconds", "Age of the oldest transaction ID that has not been frozen."),
        gauge(
            "age_datminmxid_seconds",
            "Age of the oldest multi-transaction ID that has been replaced with a transaction ID.",
        ),
    ],
    null: Null::Skip,
};

pub(super) async fn wraparound(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT datname, age(datfrozenxid) AS age_datfrozenxid_seconds, \
        mxid_age(datminmxid) AS age_datminmxid_seconds FROM pg_database WHERE datallowconn";
    let rows = scrape.rows(sql).await?;
    WRAPAROUND.write(&mut scrape.plain(), &rows);
    Ok(())
}

const ROLES: Table = Table {
    namespace: "pg_roles",
    labels: &["rolname"],
    no_label: "",
    metrics: &[gauge("connection_limit", "Connection limit set for the role")],
    null: Null::Skip,
};

pub(super) async fn roles(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let rows = scrape.rows("SELECT rolname, rolconnlimit AS connection_limit FROM pg_roles").await?;
    ROLES.write(&mut scrape.plain(), &rows);
    Ok(())
}

const STAT_DATABASE: Table = Table {
    namespace: "pg_stat_database",
    labels: &["datid", "datname"],
    no_label: "",
    metrics: STAT_DATABASE_METRICS,
    null: Null::NaN,
};

const STAT_DATABASE_METRICS: &[Metric] = &[
    gauge(
        "numbackends",
        "Number of backends currently connected to this database. This is the only column in this view that returns a value reflecting current state; all other columns return the accumulated values since the last reset.",
    ),
    counter("xact_commit", "Number of transactions in this database that have been committed"),
    counter("xact_rollback", "Number of transactions in this database that have been rolled back"),
    counter("blks_read", "Number of disk blocks read in this database"),
    counter(
        "blks_hit",
        "Number of times disk blocks were found already in the buffer cache, so that a read was not necessary (this only includes hits in the PostgreSQL buffer cache, not the operating system's file system cache)",
    ),
    counter("tup_returned", "Number of rows returned by queries in this database"),
    counter("tup_fetched", "Number of rows fetched by queries in this database"),
    counter("tup_inserted", "Number of rows inserted by queries in this database"),
    counter("tup_updated", "Number of rows updated by queries in this database"),
    counter("tup_deleted", "Number of rows deleted by queries in this database"),
    counter(
        "conflicts",
        "Number of queries canceled due to conflicts with recovery in this database. (Conflicts occur only on standby servers; see pg_stat_database_conflicts for details.)",
    ),
    counter(
        "temp_files",
        "Number of temporary files created by queries in this database. All temporary files are counted, regardless of why the temporary file was created (e.g., sorting or hashing), and regardless of the log_temp_files setting.",
    ),
    counter(
        "temp_bytes",
        "Total amount of data written to temporary files by queries in this database. All temporary files are counted, regardless of why the temporary file was created, and regardless of the log_temp_files setting.",
    ),
    counter("deadlocks", "Number of deadlocks detected in this database"),
    counter(
        "blk_read_time",
        "Time spent reading data file blocks by backends in this database, in milliseconds",
    ),
    counter(
        "blk_write_time",
        "Time spent writing data file blocks by backends in this database, in milliseconds",
    ),
    counter("stats_reset", "Time at which these statistics were last reset"),
];

/// Since version 14.
const ACTIVE_TIME: Table = Table {
    metrics: &[counter("active_time", "Time spent executing SQL statements in this database, in seconds")
        .named("pg_stat_database_active_time_seconds_total")
        .per(1000.0)],
    null: Null::Skip,
    ..STAT_DATABASE
};

pub(super) async fn stat_database(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let mut rows = scrape.rows("SELECT * FROM pg_stat_database").await?;
    if scrape.names().old() {
        let mut out = scrape.mapped();
        STAT_DATABASE.write(&mut out, &rows);
        STAT_DATABASE.write_unknown(&mut out, &rows, &[]);
        if scrape.names().current() {
            complete(&mut rows);
            ACTIVE_TIME.write(&mut scrape.mapped(), &rows);
        }
    } else {
        complete(&mut rows);
        let mut out = scrape.plain();
        Table { null: Null::Zero, ..STAT_DATABASE }.write(&mut out, &rows);
        ACTIVE_TIME.write(&mut out, &rows);
    }
    Ok(())
}

/// Leaves the rows that tell everything but when they were reset; that of the shared objects has no name.
fn complete(rows: &mut Rows) {
    let needed: Vec<usize> = ["datid", "datname"]
        .into_iter()
        .chain(STAT_DATABASE_METRICS.iter().map(|m| m.column).filter(|c| *c != "stats_reset"))
        .filter_map(|column| rows.column(column))
        .collect();
    rows.rows.retain(|row| needed.iter().all(|at| row[*at] != Cell::Null));
}

const CONFLICTS: Table = Table {
    namespace: "pg_stat_database_conflicts",
    labels: &["datid", "datname"],
    no_label: "",
    metrics: &[
        counter(
            "confl_tablespace",
            "Number of queries in this database that have been canceled due to dropped tablespaces",
        ),
        counter(
            "confl_lock",
            "Number of queries in this database that have been canceled due to lock timeouts",
        ),
        counter(
            "confl_snapshot",
            "Number of queries in this database that have been canceled due to old snapshots",
        ),
        counter(
            "confl_bufferpin",
            "Number of queries in this database that have been canceled due to pinned buffers",
        ),
        counter(
            "confl_deadlock",
            "Number of queries in this database that have been canceled due to deadlocks",
        ),
    ],
    null: Null::NaN,
};

/// Still a query map in the current exporter, with the server's label and the server's version beside it.
pub(super) async fn conflicts(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let version = scrape.session.version_text.clone();
    let short = scrape.version().to_string();
    let help = "Version string as reported by postgres";
    let labels = [("short_version", short.as_str()), ("version", &version)];
    // Its name does not take the prefix, in the original neither.
    crate::naming::Sink::new(scrape.page, &scrape.labels.mapped).sample(
        "pg_static",
        help,
        Kind::Untyped,
        &labels,
        1.0,
    );
    let rows = scrape.rows("SELECT * FROM pg_stat_database_conflicts").await?;
    let mut out = scrape.mapped();
    CONFLICTS.write(&mut out, &rows);
    CONFLICTS.write_unknown(&mut out, &rows, &[]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use exporters::Page;

    use super::*;
    use crate::naming::Sink;

    /// A row of version 15, and that of the shared objects.
    fn rows() -> Rows {
        let columns = ["datid", "datname", "numbackends"]
            .into_iter()
            .chain(STAT_DATABASE_METRICS[1..].iter().map(|m| m.column))
            .chain(["active_time"])
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let row = |id: i64, name: Cell, reset: Cell| {
            let mut row = vec![Cell::Int(id), name];
            row.extend((2..columns.len()).map(|at| Cell::Int(at as i64)));
            let last = row.len() - 1;
            row[last] = Cell::Float(1500.0);
            row[last - 1] = reset;
            row
        };
        let rows =
            vec![row(0, Cell::Null, Cell::Time(5.5)), row(5, Cell::Text("app".to_owned()), Cell::Null)];
        Rows { columns, rows }
    }

    #[test]
    fn the_shared_objects_are_a_row_of_0_11_only() {
        let mut page = Page::new();
        STAT_DATABASE.write(&mut Sink::new(&mut page, &[]), &rows());
        let text = page.render();
        assert!(text.contains("pg_stat_database_stats_reset{datid=\"0\",datname=\"\"} 5\n"), "{text}");
        assert!(text.contains("pg_stat_database_stats_reset{datid=\"5\",datname=\"app\"} NaN\n"), "{text}");
        let mut complete_rows = rows();
        complete(&mut complete_rows);
        let mut page = Page::new();
        Table { null: Null::Zero, ..STAT_DATABASE }.write(&mut Sink::new(&mut page, &[]), &complete_rows);
        ACTIVE_TIME.write(&mut Sink::new(&mut page, &[]), &complete_rows);
        let text = page.render();
        assert!(!text.contains("datid=\"0\""), "{text}");
        assert!(text.contains("pg_stat_database_stats_reset{datid=\"5\",datname=\"app\"} 0\n"), "{text}");
        assert!(text.contains("_active_time_seconds_total{datid=\"5\",datname=\"app\"} 1.5\n"), "{text}");
    }
}
