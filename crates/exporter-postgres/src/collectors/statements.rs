//! Statements that took the most time, from the extension `pg_stat_statements`.
//!
//! Off by default: each statement is a handful of series. The number of statements is bounded where they are read, not after.

use exporters::Kind;

use crate::options::Statements;
use crate::rows::{Cell, Rows};
use crate::scrape::{Fault, Scrape};
use crate::table::{Null, Table, counter};
use crate::version::Version;

const STATEMENTS: Table = Table {
    namespace: "pg_stat_statements",
    labels: &["datname", "queryid", "user"],
    no_label: "unknown",
    metrics: &[
        counter("calls_total", "Number of times executed"),
        counter("seconds_total", "Total time spent in the statement, in seconds"),
        counter("rows_total", "Total number of rows retrieved or affected by the statement"),
        counter("block_read_seconds_total", "Total time the statement spent reading blocks, in seconds"),
        counter("block_write_seconds_total", "Total time the statement spent writing blocks, in seconds"),
    ],
    null: Null::Zero,
};

pub(super) async fn update(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let rows = scrape.rows(&query(scrape.version(), &scrape.options.statements)).await?;
    let mut out = scrape.plain();
    STATEMENTS.write(&mut out, &rows);
    if rows.column("query").is_some() {
        let mut family =
            out.family("pg_stat_statements_query_id", "SQL Query to queryid mapping", Kind::Counter);
        for (id, text) in texts(&rows) {
            family.sample(&[("query", &text), ("queryid", &id)], 1.0);
        }
    }
    Ok(())
}

/// Each statement's text once, by its id.
fn texts(rows: &Rows) -> Vec<(String, String)> {
    let label = |cell: &Cell| cell.label().map_or("unknown".to_owned(), Into::into);
    let mut texts: Vec<(String, String)> = rows
        .rows
        .iter()
        .map(|row| (label(rows.cell(row, "queryid")), label(rows.cell(row, "query"))))
        .collect();
    texts.sort();
    texts.dedup_by(|a, b| a.0 == b.0);
    texts
}

/// The view is read once, without the texts unless they are wanted, since it keeps those in a file. A statement that ran both on its
/// own and within a function is there twice, and its numbers are added up.
fn query(version: Version, options: &Statements) -> String {
    let time = if version >= Version::major(13) { "total_exec_time" } else { "total_time" };
    let blocks = if version >= Version::major(17) { "shared_blk" } else { "blk" };
    let (text, text_out) = if options.include_query {
        (format!(", left(s.query, {}) AS query", options.query_length), ", min(query) AS query")
    } else {
        (String::new(), "")
    };
    let mut filters = String::new();
    for (column, names) in
        [("d.datname", &options.exclude_databases), ("pg_get_userbyid(s.userid)", &options.exclude_users)]
    {
        if !names.is_empty() {
            let quoted: Vec<String> = names.iter().map(|n| format!("'{}'", n.replace('\'', "''"))).collect();
            filters.push_str(&format!(" AND {column} NOT IN ({})", quoted.join(", ")));
        }
    }
    format!(
        "WITH s AS MATERIALIZED (SELECT * FROM pg_stat_statements({})) \
         SELECT \"user\", datname, queryid{text_out}, sum(calls)::float8 AS calls_total, sum(ms) / 1000.0 AS seconds_total, \
         sum(\"rows\")::float8 AS rows_total, sum(read_ms) / 1000.0 AS block_read_seconds_total, \
         sum(write_ms) / 1000.0 AS block_write_seconds_total FROM \
         (SELECT pg_get_userbyid(s.userid) AS \"user\", d.datname, s.queryid{text}, s.calls, s.{time} AS ms, s.rows, \
         s.{blocks}_read_time AS read_ms, s.{blocks}_write_time AS write_ms \
         FROM s JOIN pg_database d ON d.oid = s.dbid \
         WHERE s.{time} > (SELECT percentile_cont(0.1) WITHIN GROUP (ORDER BY {time}) FROM s){filters}) AS t \
         GROUP BY 1, 2, 3 ORDER BY seconds_total DESC LIMIT {}",
        options.include_query, options.limit
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_follow_the_version() {
        let options = Statements {
            include_query: true,
            query_length: 40,
            limit: 7,
            exclude_databases: vec!["it's".to_owned(), "b".to_owned()],
            exclude_users: Vec::new(),
        };
        let of = |major| query(Version::major(major), &options);
        assert!(of(12).contains("s.total_time AS ms") && of(12).contains("s.blk_read_time"));
        assert!(of(13).contains("s.total_exec_time AS ms") && of(16).contains("s.blk_write_time"));
        assert!(of(17).contains("s.shared_blk_read_time"));
        let text = of(15);
        assert!(text.contains("left(s.query, 40)") && text.ends_with("LIMIT 7"), "{text}");
        assert!(text.contains("AND d.datname NOT IN ('it''s', 'b')) AS t"), "{text}");
        assert!(text.contains("pg_stat_statements(true)"), "{text}");
        let plain = query(Version::major(15), &Statements { include_query: false, ..options });
        assert!(plain.contains("pg_stat_statements(false)") && !plain.contains("query)"), "{plain}");
    }

    #[test]
    fn a_statement_of_two_users_has_one_text() {
        let row = |id, text: &str| vec![Cell::Int(id), Cell::Text(text.to_owned())];
        let rows = Rows {
            columns: ["queryid", "query"].map(str::to_owned).to_vec(),
            rows: vec![row(2, "b"), row(1, "a"), row(2, "b")],
        };
        assert_eq!(texts(&rows), [("1", "a"), ("2", "b")].map(|(i, t)| (i.to_owned(), t.to_owned())));
    }
}
