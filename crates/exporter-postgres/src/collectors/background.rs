//! The server's own work: writing, archiving, its log, its cache.

use crate::scrape::{Fault, Scrape};
use crate::table::{Null, Table, counter, gauge};
use crate::version::Version;

const ARCHIVER: Table = Table {
    namespace: "pg_stat_archiver",
    labels: &[],
    no_label: "",
    metrics: &[
        counter("archived_count", "Number of WAL files that have been successfully archived"),
        counter("failed_count", "Number of failed attempts for archiving WAL files"),
        gauge("last_archive_age", "Time in seconds since last WAL segment was successfully archived"),
    ],
    null: Null::NaN,
};

pub(super) async fn archiver(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT archived_count, failed_count, \
        extract(epoch FROM now() - last_archived_time)::float8 AS last_archive_age FROM pg_stat_archiver";
    let rows = scrape.rows(sql).await?;
    let null = if scrape.names().old() { Null::NaN } else { Null::Skip };
    Table { null, ..ARCHIVER }.write(&mut scrape.mapped_if_old(), &rows);
    Ok(())
}

const BGWRITER: Table = Table {
    namespace: "pg_stat_bgwriter",
    labels: &[],
    no_label: "",
    metrics: &[
        counter("checkpoints_timed_total", "Number of scheduled checkpoints that have been performed"),
        counter("checkpoints_req_total", "Number of requested checkpoints that have been performed"),
        counter(
            "checkpoint_write_time_total",
            "Total amount of time that has been spent in the portion of checkpoint processing where files are written to disk, in milliseconds",
        ),
        counter(
            "checkpoint_sync_time_total",
            "Total amount of time that has been spent in the portion of checkpoint processing where files are synchronized to disk, in milliseconds",
        ),
        counter("buffers_checkpoint_total", "Number of buffers written during checkpoints"),
        counter("buffers_clean_total", "Number of buffers written by the background writer"),
        counter(
            "maxwritten_clean_total",
            "Number of times the background writer stopped a cleaning scan because it had written too many buffers",
        ),
        counter("buffers_backend_total", "Number of buffers written directly by a backend"),
        counter(
            "buffers_backend_fsync_total",
            "Number of times a backend had to execute its own fsync call (normally the background writer handles those even when the backend does its own write)",
        ),
        counter("buffers_alloc_total", "Number of buffers allocated"),
        counter("stats_reset_total", "Time at which these statistics were last reset"),
    ],
    null: Null::Zero,
};

/// The names from before they ended in `_total`, which dashboards and rules of that time ask for.
const BGWRITER_BEFORE_TOTAL: [&str; 11] = [
    "pg_stat_bgwriter_checkpoints_timed",
    "pg_stat_bgwriter_checkpoints_req",
    "pg_stat_bgwriter_checkpoint_write_time",
    "pg_stat_bgwriter_checkpoint_sync_time",
    "pg_stat_bgwriter_buffers_checkpoint",
    "pg_stat_bgwriter_buffers_clean",
    "pg_stat_bgwriter_maxwritten_clean",
    "pg_stat_bgwriter_buffers_backend",
    "pg_stat_bgwriter_buffers_backend_fsync",
    "pg_stat_bgwriter_buffers_alloc",
    "pg_stat_bgwriter_stats_reset",
];

/// Since 17 the view has a few columns left. What went to another view is taken from there under its old name as well.
fn bgwriter_query(version: Version, moved: bool) -> &'static str {
    if version < Version::major(17) {
        "SELECT checkpoints_timed AS checkpoints_timed_total, checkpoints_req AS checkpoints_req_total, \
         checkpoint_write_time AS checkpoint_write_time_total, checkpoint_sync_time AS checkpoint_sync_time_total, \
         buffers_checkpoint AS buffers_checkpoint_total, buffers_clean AS buffers_clean_total, \
         maxwritten_clean AS maxwritten_clean_total, buffers_backend AS buffers_backend_total, \
         buffers_backend_fsync AS buffers_backend_fsync_total, buffers_alloc AS buffers_alloc_total, \
         stats_reset AS stats_reset_total FROM pg_stat_bgwriter"
    } else if moved {
        "SELECT c.num_timed AS checkpoints_timed_total, c.num_requested AS checkpoints_req_total, \
         c.write_time AS checkpoint_write_time_total, c.sync_time AS checkpoint_sync_time_total, \
         c.buffers_written AS buffers_checkpoint_total, b.buffers_clean AS buffers_clean_total, \
         b.maxwritten_clean AS maxwritten_clean_total, b.buffers_alloc AS buffers_alloc_total, \
         b.stats_reset AS stats_reset_total FROM pg_stat_bgwriter b, pg_stat_checkpointer c"
    } else {
        "SELECT buffers_clean AS buffers_clean_total, maxwritten_clean AS maxwritten_clean_total, \
         buffers_alloc AS buffers_alloc_total, stats_reset AS stats_reset_total FROM pg_stat_bgwriter"
    }
}

pub(super) async fn bgwriter(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = bgwriter_query(scrape.version(), scrape.names().old());
    let rows = scrape.rows(sql).await?;
    BGWRITER.write(&mut scrape.plain(), &rows);
    if scrape.names() == crate::naming::Names::Both {
        for (metric, name) in BGWRITER.metrics.iter().zip(BGWRITER_BEFORE_TOTAL) {
            let renamed = [metric.named(name)];
            BGWRITER.write_as(&renamed, &mut scrape.plain(), &rows);
        }
    }
    Ok(())
}

const CHECKPOINTER: Table = Table {
    namespace: "pg_stat_checkpointer",
    labels: &[],
    no_label: "",
    metrics: &[
        counter("num_timed_total", "Number of scheduled checkpoints due to timeout"),
        counter("num_requested_total", "Number of requested checkpoints that have been performed"),
        counter(
            "restartpoints_timed_total",
            "Number of scheduled restartpoints due to timeout or after a failed attempt to perform it",
        ),
        counter("restartpoints_req_total", "Number of requested restartpoints"),
        counter("restartpoints_done_total", "Number of restartpoints that have been performed"),
        counter(
            "write_time_total",
            "Total amount of time that has been spent in the portion of processing checkpoints and restartpoints where files are written to disk, in milliseconds",
        ),
        counter(
            "sync_time_total",
            "Total amount of time that has been spent in the portion of processing checkpoints and restartpoints where files are synchronized to disk, in milliseconds",
        ),
        counter("buffers_written_total", "Number of buffers written during checkpoints and restartpoints"),
        counter("stats_reset_total", "Time at which these statistics were last reset"),
    ],
    null: Null::Zero,
};

/// Nothing before version 17, which has the view first.
pub(super) async fn checkpointer(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    if scrape.version() < Version::major(17) {
        return Ok(());
    }
    let sql = "SELECT num_timed AS num_timed_total, num_requested AS num_requested_total, \
        restartpoints_timed AS restartpoints_timed_total, restartpoints_req AS restartpoints_req_total, \
        restartpoints_done AS restartpoints_done_total, write_time AS write_time_total, sync_time AS sync_time_total, \
        buffers_written AS buffers_written_total, stats_reset AS stats_reset_total FROM pg_stat_checkpointer";
    let rows = scrape.rows(sql).await?;
    CHECKPOINTER.write(&mut scrape.plain(), &rows);
    Ok(())
}

const WAL: Table = Table {
    namespace: "pg_wal",
    labels: &[],
    no_label: "",
    metrics: &[
        gauge("segments", "Number of WAL segments"),
        gauge("size_bytes", "Total size of WAL segments"),
    ],
    null: Null::Skip,
};

pub(super) async fn wal(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT count(*) AS segments, sum(size)::float8 AS size_bytes FROM pg_ls_waldir() \
        WHERE name ~ '^[0-9A-F]{24}$'";
    let rows = scrape.rows(sql).await?;
    WAL.write(&mut scrape.plain(), &rows);
    Ok(())
}

const POSTMASTER: Table = Table {
    namespace: "pg_postmaster",
    labels: &[],
    no_label: "",
    metrics: &[gauge("start_time_seconds", "Time at which postmaster started")],
    null: Null::Zero,
};

pub(super) async fn postmaster(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS start_time_seconds";
    let rows = scrape.rows(sql).await?;
    POSTMASTER.write(&mut scrape.plain(), &rows);
    Ok(())
}

const BUFFERCACHE: Table = Table {
    namespace: "pg_buffercache_summary",
    labels: &[],
    no_label: "",
    metrics: &[
        gauge("buffers_used", "Number of used shared buffers"),
        gauge("buffers_unused", "Number of unused shared buffers"),
        gauge("buffers_dirty", "Number of dirty shared buffers"),
        gauge("buffers_pinned", "Number of pinned shared buffers"),
        gauge("usagecount_avg", "Average usage count of used shared buffers"),
    ],
    null: Null::Zero,
};

/// Nothing before version 16, whose extension has the function first.
pub(super) async fn buffercache_summary(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    if scrape.version() < Version::major(16) {
        return Ok(());
    }
    let sql = "SELECT buffers_used, buffers_unused, buffers_dirty, buffers_pinned, usagecount_avg \
        FROM pg_buffercache_summary()";
    let rows = scrape.rows(sql).await?;
    BUFFERCACHE.write(&mut scrape.plain(), &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use exporters::Page;

    use super::*;
    use crate::naming::Sink;
    use crate::rows::{Cell, Rows};

    #[test]
    fn old_names_have_the_place_of_the_new_ones() {
        for (metric, old) in BGWRITER.metrics.iter().zip(BGWRITER_BEFORE_TOTAL) {
            assert_eq!(format!("pg_stat_bgwriter_{}", metric.column), format!("{old}_total"));
        }
    }

    #[test]
    fn columns_that_version_17_moved_are_absent_or_taken_from_where_they_are() {
        let v16 = bgwriter_query(Version::major(16), true);
        assert!(v16.contains("checkpoints_timed AS") && v16.contains("buffers_backend_fsync AS"));
        let current = bgwriter_query(Version::major(17), false);
        assert!(!current.contains("checkpoint"), "{current}");
        assert!(
            bgwriter_query(Version { minor: 2, ..Version::major(17) }, true).contains("pg_stat_checkpointer")
        );
        // A row of 17.
        let rows = Rows {
            columns: ["buffers_clean_total", "stats_reset_total"].map(str::to_owned).to_vec(),
            rows: vec![vec![Cell::Int(4), Cell::Null]],
        };
        let mut page = Page::new();
        BGWRITER.write(&mut Sink::new(&mut page, &[]), &rows);
        let text = page.render();
        let samples: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            ["pg_stat_bgwriter_buffers_clean_total 4", "pg_stat_bgwriter_stats_reset_total 0"]
        );
    }
}
