//! Replication, seen from either side.

use exporters::Kind;

use crate::naming::{Names, Sink};
use crate::rows::{Cell, Rows};
use crate::scrape::{Fault, Scrape};
use crate::table::{Metric, Null, Table, counter, gauge};
use crate::version::Version;

const REPLICATION: Table = Table {
    namespace: "pg_replication",
    labels: &[],
    no_label: "",
    metrics: &[
        gauge("lag_seconds", "Replication lag behind master in seconds"),
        gauge("is_replica", "Indicates if the server is a replica"),
        gauge("last_replay_seconds", "Age of last replay in seconds"),
    ],
    null: Null::Skip,
};

pub(super) async fn replication(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT CASE WHEN NOT replica OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
        ELSE age END AS lag_seconds, replica AS is_replica, age AS last_replay_seconds FROM \
        (SELECT pg_is_in_recovery() AS replica, \
        greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp()))::float8 AS age) AS state";
    let rows = scrape.rows(sql).await?;
    REPLICATION.write(&mut scrape.plain(), &rows);
    Ok(())
}

/// Labels that 0.11's slots have.
const SLOTS: Table = Table {
    namespace: "pg_replication_slots",
    labels: &["database", "slot_name"],
    no_label: "",
    metrics: &[
        gauge("active", "Flag indicating if the slot is active"),
        gauge("pg_wal_lsn_diff", "Replication lag in bytes"),
    ],
    null: Null::NaN,
};

const SLOT_DETAILS: Table = Table {
    labels: &["slot_name", "slot_type"],
    no_label: "unknown",
    metrics: &[
        CURRENT_LSN.named("pg_replication_slots_slot_current_wal_lsn"),
        FLUSH_LSN.named("pg_replication_slots_slot_confirmed_flush_lsn"),
        IS_ACTIVE.named("pg_replication_slots_slot_is_active"),
        SAFE_SIZE.named("pg_replication_slots_safe_wal_size_bytes"),
    ],
    null: Null::Skip,
    ..SLOTS
};

const CURRENT_LSN: Metric = gauge("current_lsn", "current wal lsn value");
const FLUSH_LSN: Metric = gauge("flush_lsn", "last lsn confirmed flushed to the replication slot");
const IS_ACTIVE: Metric = gauge("active", "whether the replication slot is active or not");
const SAFE_SIZE: Metric = gauge(
    "safe_wal_size",
    "number of bytes that can be written to WAL such that this slot is not in danger of getting in state lost",
);

/// The same under the names of 0.12, and of 0.13 to 0.19.
const SLOT_FORMERLY: [Metric; 7] = [
    CURRENT_LSN.named("pg_replication_slot_slot_current_wal_lsn"),
    FLUSH_LSN.named("pg_replication_slot_slot_confirmed_flush_lsn"),
    IS_ACTIVE.named("pg_replication_slot_slot_is_active"),
    SAFE_SIZE.named("pg_replication_slot_safe_wal_size_bytes"),
    CURRENT_LSN.named("pg_replication_slot_current_wal_lsn"),
    FLUSH_LSN.named("pg_replication_slot_confirmed_flush_lsn"),
    IS_ACTIVE.named("pg_replication_slot_is_active"),
];

/// The position in the log that this server has: written or received.
const POSITION: &str =
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END";

pub(super) async fn slots(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let wal_status = if scrape.version() >= Version::major(13) { ", safe_wal_size, wal_status" } else { "" };
    // Where a slot is not in use, what it last confirmed is not exposed.
    let sql = format!(
        "SELECT slot_name, slot_type, database, active, pg_wal_lsn_diff(position, restart_lsn)::float8 AS pg_wal_lsn_diff, \
         (position - '0/0')::float8 AS current_lsn, CASE WHEN active THEN \
         (coalesce(confirmed_flush_lsn, '0/0') - '0/0')::float8 END AS flush_lsn{wal_status} \
         FROM pg_replication_slots, (SELECT {POSITION} AS position) AS server"
    );
    let rows = scrape.rows(&sql).await?;
    let names = scrape.names();
    let null = if names.old() { Null::NaN } else { Null::Skip };
    Table { null, ..SLOTS }.write(&mut scrape.mapped_if_old(), &rows);
    if names.current() {
        let mut out = scrape.plain();
        SLOT_DETAILS.write(&mut out, &rows);
        write_wal_status(&mut out, "pg_replication_slots_wal_status", &rows);
        if names == Names::Both {
            SLOT_DETAILS.write_as(&SLOT_FORMERLY, &mut out, &rows);
            write_wal_status(&mut out, "pg_replication_slot_wal_status", &rows);
        }
    }
    Ok(())
}

fn write_wal_status(out: &mut Sink<'_>, name: &str, rows: &Rows) {
    let mut family = out.family(name, "availability of WAL files claimed by this slot", Kind::Gauge);
    let mut shown: Vec<[&str; 3]> = rows
        .rows
        .iter()
        .filter_map(|row| {
            let text = |column| rows.cell(row, column).as_text();
            Some([text("slot_name")?, text("slot_type")?, text("wal_status")?])
        })
        .collect();
    shown.sort_unstable();
    for [slot, kind, status] in shown {
        family.sample(&[("slot_name", slot), ("slot_type", kind), ("wal_status", status)], 1.0);
    }
}

const SENDERS: &[Metric] = &[
    gauge("pg_current_wal_lsn_bytes", "WAL position in bytes"),
    gauge("pg_wal_lsn_diff", "Lag in bytes between master and slave"),
];

/// As 0.11 has it, whose `slot_name` is the sender's process.
const SENDERS_OLD: Table = Table {
    namespace: "pg_stat_replication",
    labels: &["application_name", "client_addr", "slot_name", "state"],
    no_label: "",
    metrics: SENDERS,
    null: Null::NaN,
};

const SENDERS_NOW: Table = Table {
    labels: &["application_name", "client_addr", "pid", "slot_name", "state"],
    null: Null::Skip,
    ..SENDERS_OLD
};

pub(super) async fn stat_replication(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let names = scrape.names();
    let slot = if names == Names::Old { "r.pid::text" } else { "s.slot_name" };
    // As text an address has its mask, as a column it has not: so do the two ages of the exporter.
    let address = if names.old() { "host(r.client_addr)" } else { "r.client_addr::text" };
    let reply = if scrape.version() >= Version::major(12) { ", r.reply_time" } else { "" };
    let sql = format!(
        "SELECT r.application_name, {address} AS client_addr, r.state, {slot} AS slot_name, r.pid, \
         pg_wal_lsn_diff(position, '0/0')::float8 AS pg_current_wal_lsn_bytes, \
         pg_wal_lsn_diff(position, r.replay_lsn)::float8 AS pg_wal_lsn_diff{reply} FROM pg_stat_replication r \
         LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid, (SELECT {POSITION} AS position) AS server"
    );
    let rows = scrape.rows(&sql).await?;
    match names {
        Names::Old => {
            SENDERS_OLD.write(&mut scrape.mapped(), &rows);
            SENDERS_OLD.write_unknown(&mut scrape.mapped(), &rows, &["pid"]);
        }
        // One series per sender either way: the slot's true name and the process each have their label.
        Names::Both => {
            Table { null: Null::NaN, ..SENDERS_NOW }.write(&mut scrape.mapped(), &rows);
            SENDERS_NOW.write_unknown(&mut scrape.mapped(), &rows, &[]);
        }
        Names::Current => SENDERS_NOW.write(&mut scrape.plain(), &rows),
    }
    Ok(())
}

const RECEIVER: Table = Table {
    namespace: "pg_stat_wal_receiver",
    labels: &["slot_name", "status", "upstream_host"],
    no_label: "",
    metrics: &[
        counter(
            "receive_start_lsn",
            "First write-ahead log location used when WAL receiver is started represented as a decimal",
        ),
        counter(
            "flushed_lsn",
            "Last write-ahead log location already received and flushed to disk, the initial value of this field being the first log location used when WAL receiver is started represented as a decimal",
        ),
        gauge("receive_start_tli", "First timeline number used when WAL receiver is started"),
        gauge(
            "received_tli",
            "Timeline number of last write-ahead log location received and flushed to disk",
        ),
        counter("last_msg_send_time", "Send time of last message received from origin WAL sender"),
        counter("last_msg_receipt_time", "Send time of last message received from origin WAL sender"),
        counter("latest_end_lsn", "Last write-ahead log location reported to origin WAL sender as integer"),
        counter("latest_end_time", "Time of last write-ahead log location reported to origin WAL sender"),
        gauge("upstream_node", "Node ID of the upstream node"),
    ],
    null: Null::Skip,
};

pub(super) async fn wal_receiver(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    // Since 13 what is written and what is flushed are told apart.
    let flushed = if scrape.version() >= Version::major(13) {
        "((flushed_lsn - '0/0') % (2^52)::bigint)::float8 AS flushed_lsn, "
    } else {
        ""
    };
    let sql = format!(
        "SELECT trim(both '''' FROM substring(conninfo FROM 'host=([^ ]*)')) AS upstream_host, slot_name, status, \
         ((receive_start_lsn - '0/0') % (2^52)::bigint)::float8 AS receive_start_lsn, {flushed}receive_start_tli, received_tli, \
         extract(epoch FROM last_msg_send_time)::float8 AS last_msg_send_time, \
         extract(epoch FROM last_msg_receipt_time)::float8 AS last_msg_receipt_time, \
         ((latest_end_lsn - '0/0') % (2^52)::bigint)::float8 AS latest_end_lsn, \
         extract(epoch FROM latest_end_time)::float8 AS latest_end_time, \
         substring(slot_name FROM 'repmgr_slot_([0-9]*)') AS upstream_node FROM pg_stat_wal_receiver"
    );
    let mut rows = scrape.rows(&sql).await?;
    let node = rows.column("upstream_node");
    // As in the original: everything, or nothing of a receiver that is not yet under way.
    rows.rows.retain(|row| row.iter().enumerate().all(|(at, cell)| Some(at) == node || *cell != Cell::Null));
    RECEIVER.write(&mut scrape.plain(), &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use exporters::Page;

    use super::*;

    #[test]
    fn slots_of_a_real_answer() {
        let text = |t: &str| Cell::Text(t.to_owned());
        let columns = [
            "slot_name",
            "slot_type",
            "database",
            "active",
            "pg_wal_lsn_diff",
            "current_lsn",
            "flush_lsn",
            "safe_wal_size",
            "wal_status",
        ];
        let rows = Rows {
            columns: columns.map(str::to_owned).to_vec(),
            rows: vec![
                vec![
                    text("s"),
                    text("physical"),
                    Cell::Null,
                    Cell::Bool(true),
                    Cell::Float(8.0),
                    Cell::Float(9.0),
                    Cell::Float(0.0),
                    Cell::Null,
                    text("reserved"),
                ],
                vec![
                    text("l"),
                    text("logical"),
                    text("app"),
                    Cell::Bool(false),
                    Cell::Null,
                    Cell::Float(9.0),
                    Cell::Null,
                    Cell::Int(5),
                    Cell::Null,
                ],
            ],
        };
        let mut page = Page::new();
        let mut out = Sink::new(&mut page, &[]);
        SLOTS.write(&mut out, &rows);
        SLOT_DETAILS.write(&mut out, &rows);
        write_wal_status(&mut out, "pg_replication_slots_wal_status", &rows);
        let text = page.render();
        let samples: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "pg_replication_slots_active{database=\"\",slot_name=\"s\"} 1",
                "pg_replication_slots_active{database=\"app\",slot_name=\"l\"} 0",
                "pg_replication_slots_pg_wal_lsn_diff{database=\"\",slot_name=\"s\"} 8",
                "pg_replication_slots_pg_wal_lsn_diff{database=\"app\",slot_name=\"l\"} NaN",
                "pg_replication_slots_safe_wal_size_bytes{slot_name=\"l\",slot_type=\"logical\"} 5",
                "pg_replication_slots_slot_confirmed_flush_lsn{slot_name=\"s\",slot_type=\"physical\"} 0",
                "pg_replication_slots_slot_current_wal_lsn{slot_name=\"l\",slot_type=\"logical\"} 9",
                "pg_replication_slots_slot_current_wal_lsn{slot_name=\"s\",slot_type=\"physical\"} 9",
                "pg_replication_slots_slot_is_active{slot_name=\"l\",slot_type=\"logical\"} 0",
                "pg_replication_slots_slot_is_active{slot_name=\"s\",slot_type=\"physical\"} 1",
                "pg_replication_slots_wal_status{slot_name=\"s\",slot_type=\"physical\",wal_status=\"reserved\"} 1",
            ]
        );
    }
}
