//! What sessions are doing: `pg_stat_activity`, read in different ways.

use std::borrow::Cow;

use exporters::Kind;

use crate::rows::{Cell, Rows};
use crate::scrape::{Database, Fault, Scrape};
use crate::table::{Null, Table, gauge};

const STATES: [&str; 6] = [
    "active",
    "disabled",
    "fastpath function call",
    "idle",
    "idle in transaction",
    "idle in transaction (aborted)",
];

const COUNT: (&str, &str) = ("pg_stat_activity_count", "number of connections in this state");
const LONGEST: (&str, &str) =
    ("pg_stat_activity_max_tx_duration", "max duration in seconds any active transaction has been running");

/// One row per database and state, this session among them, as 0.11 has it.
const BY_STATE: &str = "SELECT datname, state, count(*) AS count, \
    max(extract(epoch FROM now() - xact_start))::float8 AS longest FROM pg_stat_activity \
    WHERE datname IS NOT NULL AND state IS NOT NULL GROUP BY 1, 2";

/// As the current exporter has it: finer, without this session.
const IN_DETAIL: &str = "SELECT datname, state, usename, application_name, backend_type, wait_event_type, wait_event, \
    count(*) AS count, max(extract(epoch FROM now() - xact_start))::float8 AS longest FROM pg_stat_activity \
    WHERE pid <> pg_backend_pid() AND datname IS NOT NULL AND state IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7";

/// Labels of a group in detail, after database and state.
const DETAILS: [&str; 5] = ["usename", "application_name", "backend_type", "wait_event_type", "wait_event"];

/// Samples are of databases and states first: those without a session have one of 0.
pub(super) async fn stat_activity(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let databases = scrape.databases().await?;
    let details: &[&str] = if scrape.names().old() { &[] } else { &DETAILS };
    let rows = scrape.rows(if details.is_empty() { BY_STATE } else { IN_DETAIL }).await?;
    let groups = groups(&databases, &rows, details);
    let mut out = scrape.mapped_if_old();
    for (which, (name, help)) in [COUNT, LONGEST].into_iter().enumerate() {
        let mut family = out.family(name, help, Kind::Gauge);
        for group in &groups {
            let labels: Vec<(&str, &str)> = group.labels.iter().map(|(n, v)| (*n, v.as_ref())).collect();
            family.sample(&labels, group.values[which]);
        }
    }
    Ok(())
}

struct Group<'r> {
    labels: Vec<(&'static str, Cow<'r, str>)>,
    /// Count and longest transaction.
    values: [f64; 2],
}

fn groups<'r>(databases: &'r [Database], rows: &'r Rows, details: &[&'static str]) -> Vec<Group<'r>> {
    let number = |row: &[Cell], name: &str| rows.cell(row, name).number().ok().flatten().unwrap_or(0.0);
    let mut out = Vec::new();
    for database in databases {
        for state in STATES {
            let of_both = |row: &&Vec<Cell>| {
                row[0].as_text() == Some(database.name.as_str()) && row[1].as_text() == Some(state)
            };
            let begin = out.len();
            for row in rows.rows.iter().filter(of_both) {
                let mut labels =
                    vec![("datname", Cow::Borrowed(database.name.as_str())), ("state", state.into())];
                labels.extend(details.iter().map(|&n| (n, rows.cell(row, n).label().unwrap_or_default())));
                out.push(Group { labels, values: [number(row, "count"), number(row, "longest")] });
            }
            if out.len() == begin {
                let mut labels =
                    vec![("datname", Cow::Borrowed(database.name.as_str())), ("state", state.into())];
                labels.extend(details.iter().map(|&n| (n, Cow::Borrowed(""))));
                out.push(Group { labels, values: [0.0; 2] });
            }
            out[begin..].sort_by(|a, b| a.labels.cmp(&b.labels));
        }
    }
    out
}

const LONG_RUNNING: Table = Table {
    namespace: "pg_long_running_transactions",
    labels: &[],
    no_label: "",
    metrics: &[
        gauge("transactions", "Current number of long running transactions")
            .named("pg_long_running_transactions"),
        gauge("oldest_timestamp_seconds", "The current maximum transaction age in seconds"),
    ],
    null: Null::Zero,
};

pub(super) async fn long_running_transactions(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT count(*) AS transactions, \
        max(extract(epoch FROM clock_timestamp() - xact_start))::float8 AS oldest_timestamp_seconds \
        FROM pg_stat_activity WHERE state IS DISTINCT FROM 'idle' AND query NOT LIKE 'autovacuum:%' \
        AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";
    let rows = scrape.rows(sql).await?;
    LONG_RUNNING.write(&mut scrape.plain(), &rows);
    Ok(())
}

const AUTOVACUUM: Table = Table {
    namespace: "pg_stat_activity_autovacuum",
    labels: &["relname"],
    no_label: "",
    metrics: &[gauge("timestamp_seconds", "Start timestamp of the vacuum process in seconds")],
    null: Null::Skip,
};

/// Tables of one name in two schemas are one sample: that of the one begun first.
pub(super) async fn autovacuum(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT split_part(query, '.', 2) AS relname, \
        min(extract(epoch FROM xact_start))::float8 AS timestamp_seconds \
        FROM pg_stat_activity WHERE query LIKE 'autovacuum:%' GROUP BY 1";
    let rows = scrape.rows(sql).await?;
    AUTOVACUUM.write(&mut scrape.plain(), &rows);
    Ok(())
}

/// Upper bounds in seconds.
const IDLE_BUCKETS: [f64; 9] = [1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 90.0, 120.0, 300.0];

/// One histogram for each state and application; the original gives the first it finds only.
pub(super) async fn process_idle(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let counts: String =
        IDLE_BUCKETS.iter().map(|le| format!(", count(*) FILTER (WHERE idle <= {le}) AS le_{le}")).collect();
    let sql = format!(
        "SELECT state, application_name, sum(idle::bigint)::float8 AS sum, count(*) AS count{counts} FROM \
         (SELECT state, application_name, extract(epoch FROM now() - state_change)::float8 AS idle \
         FROM pg_stat_activity WHERE state ~ '^idle' AND pid <> pg_backend_pid()) AS sessions GROUP BY 1, 2 ORDER BY 1, 2"
    );
    let rows = scrape.rows(&sql).await?;
    let mut out = scrape.plain();
    let mut family = out.family("pg_process_idle_seconds", "Idle time of server processes", Kind::Histogram);
    let number = |cell: &Cell| cell.number().ok().flatten().unwrap_or(0.0);
    for row in &rows.rows {
        let [state, application] = [0, 1].map(|at: usize| row[at].label().unwrap_or("unknown".into()));
        let buckets: Vec<(f64, f64)> = IDLE_BUCKETS.into_iter().zip(row[4..].iter().map(number)).collect();
        let labels = [("application_name", application.as_ref()), ("state", state.as_ref())];
        family.histogram(&labels, &buckets, number(&row[2]), number(&row[3]));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Cell {
        Cell::Text(t.to_owned())
    }

    #[test]
    fn states_without_sessions_are_zero() {
        let databases = [Database { oid: 5, name: "app".to_owned() }];
        let columns = ["datname", "state", "count", "longest"].map(str::to_owned).to_vec();
        let rows = vec![
            vec![text("app"), text("idle"), Cell::Int(3), Cell::Null],
            vec![text("gone"), text("idle"), Cell::Int(9), Cell::Null],
            vec![text("app"), text("active"), Cell::Int(1), Cell::Float(0.5)],
        ];
        let rows = Rows { columns, rows };
        let found: Vec<_> =
            groups(&databases, &rows, &[]).iter().map(|g| (g.labels[1].1.to_string(), g.values)).collect();
        assert_eq!(found.len(), 6);
        assert_eq!(found[0], ("active".to_owned(), [1.0, 0.5]));
        assert_eq!(found[3], ("idle".to_owned(), [3.0, 0.0]));
        assert_eq!(found.iter().map(|(_, v)| v[0]).sum::<f64>(), 4.0);
    }

    #[test]
    fn details_split_a_state() {
        let databases = [Database { oid: 5, name: "app".to_owned() }];
        let mut columns = vec!["datname", "state"];
        columns.extend(DETAILS);
        columns.extend(["count", "longest"]);
        let row = |user: &str, wait: Cell| {
            vec![
                text("app"),
                text("idle"),
                text(user),
                text("psql"),
                text("client backend"),
                text("Client"),
                wait,
                Cell::Int(2),
                Cell::Null,
            ]
        };
        let rows = vec![row("b", text("ClientRead")), row("a", Cell::Null)];
        let rows = Rows { columns: columns.into_iter().map(str::to_owned).collect(), rows };
        let groups = groups(&databases, &rows, &DETAILS);
        assert_eq!(groups.len(), 7);
        let shown = |at: usize| {
            groups[at].labels.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            shown(0),
            "datname=app state=active usename= application_name= backend_type= wait_event_type= wait_event="
        );
        assert!(shown(3).contains("usename=a") && shown(3).ends_with("wait_event="), "{}", shown(3));
        assert!(shown(4).ends_with("wait_event=ClientRead"), "{}", shown(4));
    }
}
