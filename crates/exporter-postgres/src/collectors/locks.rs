//! Locks by database and mode.

use exporters::Kind;

use crate::rows::{Cell, Rows};
use crate::scrape::{Database, Fault, Scrape};

/// All there are; each has a sample for each database.
const MODES: [&str; 9] = [
    "accessexclusivelock",
    "accesssharelock",
    "exclusivelock",
    "rowexclusivelock",
    "rowsharelock",
    "shareupdateexclusivelock",
    "sharelock",
    "sharerowexclusivelock",
    "sireadlock",
];

pub(super) async fn update(scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    let sql = "SELECT database, lower(mode) AS mode, count(*) AS count FROM pg_locks \
        WHERE database IS NOT NULL GROUP BY 1, 2";
    let databases = scrape.databases().await?;
    let rows = scrape.rows(sql).await?;
    let mut out = scrape.mapped_if_old();
    let mut family = out.family("pg_locks_count", "Number of locks", Kind::Gauge);
    for (database, mode, count) in counts(&databases, &rows) {
        family.sample(&[("datname", database), ("mode", mode)], count);
    }
    Ok(())
}

fn counts<'d>(databases: &'d [Database], rows: &Rows) -> Vec<(&'d str, &'static str, f64)> {
    let mut out = Vec::with_capacity(databases.len() * MODES.len());
    for database in databases {
        for mode in MODES {
            let held = rows
                .rows
                .iter()
                .find(|row| row[0] == Cell::Int(database.oid) && row[1].as_text() == Some(mode));
            let count = held.and_then(|row| row[2].number().ok().flatten()).unwrap_or(0.0);
            out.push((database.name.as_str(), mode, count));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_a_count_in_every_database() {
        let databases = [("app", 7), ("postgres", 5)].map(|(n, oid)| Database { oid, name: n.to_owned() });
        let row = |oid, mode: &str, n| vec![Cell::Int(oid), Cell::Text(mode.to_owned()), Cell::Int(n)];
        // The second database is gone since, the third row is of shared objects.
        let rows = vec![row(5, "accesssharelock", 3), row(9, "sharelock", 4), row(0, "sharelock", 1)];
        let rows = Rows { columns: Vec::new(), rows };
        let found = counts(&databases, &rows);
        assert_eq!(found.len(), 18);
        assert_eq!(found.iter().map(|(_, _, n)| n).sum::<f64>(), 3.0);
        assert!(found.contains(&("postgres", "accesssharelock", 3.0)));
    }
}
