//! Tables and indexes of the database that is connected to, and vacuums under way.

use exporters::Kind;

use crate::naming::Names;
use crate::rows::Cell;
use crate::scrape::{Fault, Scrape};
use crate::table::{Null, Table, counter, gauge};

const STAT: Table = Table {
    namespace: "pg_stat_user_tables",
    labels: &["datname", "relname", "schemaname"],
    no_label: "unknown",
    metrics: &[
        counter("seq_scan", "Number of sequential scans initiated on this table"),
        counter("seq_tup_read", "Number of live rows fetched by sequential scans"),
        counter("idx_scan", "Number of index scans initiated on this table"),
        counter("idx_tup_fetch", "Number of live rows fetched by index scans"),
        counter("n_tup_ins", "Number of rows inserted"),
        counter("n_tup_upd", "Number of rows updated"),
        counter("n_tup_del", "Number of rows deleted"),
        counter("n_tup_hot_upd", "Number of rows HOT updated (i.e., with no separate index update required)"),
        gauge("n_live_tup", "Estimated number of live rows"),
        gauge("n_dead_tup", "Estimated number of dead rows"),
        gauge("n_mod_since_analyze", "Estimated number of rows changed since last analyze"),
        gauge(
            "last_vacuum",
            "Last time at which this table was manually vacuumed (not counting VACUUM FULL)",
        ),
        gauge("last_autovacuum", "Last time at which this table was vacuumed by the autovacuum daemon"),
        gauge("last_analyze", "Last time at which this table was manually analyzed"),
        gauge("last_autoanalyze", "Last time at which this table was analyzed by the autovacuum daemon"),
        counter(
            "vacuum_count",
            "Number of times this table has been manually vacuumed (not counting VACUUM FULL)",
        ),
        counter("autovacuum_count", "Number of times this table has been vacuumed by the autovacuum daemon"),
        counter("analyze_count", "Number of times this table has been manually analyzed"),
        counter("autoanalyze_count", "Number of times this table has been analyzed by the autovacuum daemon"),
    ],
    null: Null::Zero,
};

const SIZES: Table = Table {
    metrics: &[
        gauge("index_size_bytes", "Total disk space used by this index, in bytes"),
        gauge("table_size_bytes", "Total disk space used by this table, in bytes"),
    ],
    null: Null::Skip,
    ..STAT
};

/// What 0.14 to 0.17 had instead of the two.
const TOTAL_SIZE: Table = Table {
    metrics: &[gauge(
        "size_bytes",
        "Total disk space used by this table, in bytes, including all indexes and TOAST data",
    )],
    ..SIZES
};

/// To measure a table is to wait for who has it to himself, a migration for instance, which would cost the other tables' counters:
/// those that are locked go without a size.
const STAT_QUERY: &str = "SELECT current_database() AS datname, schemaname, relname, seq_scan, seq_tup_read, idx_scan, \
    idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze, \
    last_vacuum, last_autovacuum, last_analyze, last_autoanalyze, vacuum_count, autovacuum_count, analyze_count, \
    autoanalyze_count, index_size_bytes, table_size_bytes, index_size_bytes + table_size_bytes AS size_bytes FROM \
    (SELECT t.*, CASE WHEN l.relation IS NULL THEN pg_indexes_size(relid) END AS index_size_bytes, \
    CASE WHEN l.relation IS NULL THEN pg_table_size(relid) END AS table_size_bytes FROM pg_stat_user_tables t \
    LEFT JOIN (SELECT DISTINCT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND locktype = 'relation' \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS l ON l.relation = t.relid) AS t";

pub(super) async fn stat_user_tables(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let rows = scrape.rows(STAT_QUERY).await?;
    let names = scrape.names();
    let mut out = scrape.plain();
    STAT.write(&mut out, &rows);
    SIZES.write(&mut out, &rows);
    if names == Names::Both {
        TOTAL_SIZE.write(&mut out, &rows);
    }
    Ok(())
}

const IO: Table = Table {
    namespace: "pg_statio_user_tables",
    labels: &["datname", "relname", "schemaname"],
    no_label: "unknown",
    metrics: &[
        counter("heap_blocks_read", "Number of disk blocks read from this table"),
        counter("heap_blocks_hit", "Number of buffer hits in this table"),
        counter("idx_blocks_read", "Number of disk blocks read from all indexes on this table"),
        counter("idx_blocks_hit", "Number of buffer hits in all indexes on this table"),
        counter("toast_blocks_read", "Number of disk blocks read from this table's TOAST table (if any)"),
        counter("toast_blocks_hit", "Number of buffer hits in this table's TOAST table (if any)"),
        counter(
            "tidx_blocks_read",
            "Number of disk blocks read from this table's TOAST table indexes (if any)",
        ),
        counter("tidx_blocks_hit", "Number of buffer hits in this table's TOAST table indexes (if any)"),
    ],
    null: Null::Zero,
};

pub(super) async fn statio_user_tables(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT current_database() AS datname, schemaname, relname, heap_blks_read AS heap_blocks_read, \
        heap_blks_hit AS heap_blocks_hit, idx_blks_read::int8 AS idx_blocks_read, idx_blks_hit::int8 AS idx_blocks_hit, \
        toast_blks_read AS toast_blocks_read, toast_blks_hit AS toast_blocks_hit, \
        tidx_blks_read::int8 AS tidx_blocks_read, tidx_blks_hit::int8 AS tidx_blocks_hit FROM pg_statio_user_tables";
    let rows = scrape.rows(sql).await?;
    IO.write(&mut scrape.plain(), &rows);
    Ok(())
}

const INDEXES: Table = Table {
    namespace: "pg_statio_user_indexes",
    labels: &["indexrelname", "relname", "schemaname"],
    no_label: "unknown",
    metrics: &[
        counter("idx_blks_read_total", "Number of disk blocks read from this index"),
        counter("idx_blks_hit_total", "Number of buffer hits in this index"),
    ],
    null: Null::Zero,
};

pub(super) async fn statio_user_indexes(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT schemaname, relname, indexrelname, idx_blks_read AS idx_blks_read_total, \
        idx_blks_hit AS idx_blks_hit_total FROM pg_statio_user_indexes";
    let rows = scrape.rows(sql).await?;
    INDEXES.write(&mut scrape.plain(), &rows);
    Ok(())
}

const VACUUM: Table = Table {
    namespace: "pg_stat_progress_vacuum",
    labels: &["datname", "relname"],
    no_label: "unknown",
    metrics: &[
        gauge("heap_blks", "Total number of heap blocks in the table being vacuumed."),
        gauge("heap_blks_scanned", "Number of heap blocks scanned so far."),
        gauge("heap_blks_vacuumed", "Number of heap blocks vacuumed so far."),
        gauge("index_vacuums", "Number of completed index vacuum cycles."),
        gauge(
            "max_dead_tuples",
            "Maximum number of dead tuples that can be stored before cleanup is performed.",
        ),
        gauge("num_dead_tuples", "Current number of dead tuples found so far."),
    ],
    null: Null::Zero,
};

/// By their numbers.
const PHASES: [&str; 7] = [
    "initializing",
    "scanning heap",
    "vacuuming indexes",
    "vacuuming heap",
    "cleaning up indexes",
    "truncating heap",
    "performing final cleanup",
];

/// Names of tables are known for the connected database only; elsewhere the object's number stands for one.
pub(super) async fn progress_vacuum(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT d.datname, coalesce(CASE WHEN d.datname = current_database() THEN s.relid::regclass::text END, \
        s.relid::text) AS relname, s.param1 AS phase, s.param2 AS heap_blks, s.param3 AS heap_blks_scanned, \
        s.param4 AS heap_blks_vacuumed, s.param5 AS index_vacuums, s.param6 AS max_dead_tuples, \
        s.param7 AS num_dead_tuples FROM pg_stat_get_progress_info('VACUUM') s \
        LEFT JOIN pg_database d ON s.datid = d.oid ORDER BY 1, 2";
    let rows = scrape.rows(sql).await?;
    let mut out = scrape.plain();
    let help = "Current vacuum phase (1 = active, 0 = inactive). Label 'phase' is human-readable.";
    let mut family = out.family("pg_stat_progress_vacuum_phase", help, Kind::Gauge);
    for row in &rows.rows {
        let [database, table] = [0, 1].map(|at: usize| row[at].label().unwrap_or("unknown".into()));
        for (number, phase) in PHASES.iter().enumerate() {
            let active = row[2] == Cell::Int(number as i64);
            let labels = [("datname", database.as_ref()), ("phase", *phase), ("relname", table.as_ref())];
            family.sample(&labels, f64::from(u8::from(active)));
        }
    }
    VACUUM.write(&mut out, &rows);
    Ok(())
}
