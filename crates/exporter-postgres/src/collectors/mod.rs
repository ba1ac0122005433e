//! The collectors, and the table of them.
//!
//! Each makes one or two queries and writes families. [`TABLE`] says which run unless told otherwise, what 0.11 called them, and
//! which belong to its query maps.

mod activity;
mod background;
mod databases;
mod locks;
mod replication;
mod settings;
mod statements;
mod tables;

use crate::naming::Names;
use crate::scrape::{Fault, Scrape};

/// Which collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collector {
    BuffercacheSummary,
    Database,
    DatabaseWraparound,
    Locks,
    LongRunningTransactions,
    Postmaster,
    ProcessIdle,
    Replication,
    ReplicationSlots,
    Roles,
    Settings,
    StatActivity,
    StatActivityAutovacuum,
    StatArchiver,
    StatBgwriter,
    StatCheckpointer,
    StatDatabase,
    StatDatabaseConflicts,
    StatProgressVacuum,
    StatReplication,
    StatStatements,
    StatUserTables,
    StatWalReceiver,
    StatioUserIndexes,
    StatioUserTables,
    Wal,
    XlogLocation,
}

/// Which part of 0.11 has a collector's families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// None.
    Absent,
    /// A collector of this name.
    Collector(&'static str),
    /// The settings.
    Settings,
    /// The query map of this namespace.
    Map(&'static str),
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// As in `--collector.NAME`; empty for what has no flag.
    pub name: &'static str,
    /// Whether it runs unless told otherwise.
    pub on: bool,
    /// Another name of its flag, of older versions.
    pub alias: Option<&'static str>,
    pub(crate) collector: Collector,
    pub(crate) old: Old,
}

const fn on(name: &'static str, collector: Collector, old: Old) -> Entry {
    Entry { name, on: true, alias: None, collector, old }
}

const fn off(name: &'static str, collector: Collector) -> Entry {
    Entry { name, on: false, alias: None, collector, old: Old::Absent }
}

impl Entry {
    const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// Whether it runs by default where `names` are exposed.
    pub(crate) fn on_by_default(&self, names: Names) -> bool {
        self.on && (names.current() || self.old != Old::Absent)
    }

    /// The values of the label `collector` that tell how it went.
    pub(crate) fn shown_as(&self, names: Names) -> impl Iterator<Item = &'static str> {
        let old = match (names.old(), self.old) {
            (true, Old::Collector(name)) => Some(name),
            _ => None,
        };
        // 0.11 tells of its two collectors only; what was turned on besides tells too.
        let current = (!self.name.is_empty() && (names.current() || !self.on)).then_some(self.name);
        current.into_iter().chain(old.filter(|old| Some(*old) != current))
    }
}

/// All collectors, in the order they run: what is cheap and matters most comes first, so that it is there when time runs out.
pub const TABLE: &[Entry] = &[
    on("stat_database", Collector::StatDatabase, Old::Map("pg_stat_database")),
    on("", Collector::StatDatabaseConflicts, Old::Map("pg_stat_database_conflicts")),
    on("stat_activity", Collector::StatActivity, Old::Map("pg_stat_activity")),
    on("locks", Collector::Locks, Old::Map("pg_locks")),
    on("stat_bgwriter", Collector::StatBgwriter, Old::Collector("bgwriter")).alias("bgwriter"),
    off("stat_checkpointer", Collector::StatCheckpointer),
    on("stat_archiver", Collector::StatArchiver, Old::Map("pg_stat_archiver")),
    on("replication", Collector::Replication, Old::Absent),
    on("stat_replication", Collector::StatReplication, Old::Map("pg_stat_replication")),
    on("replication_slots", Collector::ReplicationSlots, Old::Map("pg_replication_slots"))
        .alias("replication_slot"),
    off("stat_wal_receiver", Collector::StatWalReceiver),
    on("wal", Collector::Wal, Old::Absent),
    on("roles", Collector::Roles, Old::Absent),
    off("postmaster", Collector::Postmaster),
    off("long_running_transactions", Collector::LongRunningTransactions),
    off("process_idle", Collector::ProcessIdle),
    off("stat_activity_autovacuum", Collector::StatActivityAutovacuum),
    off("database_wraparound", Collector::DatabaseWraparound),
    off("buffercache_summary", Collector::BuffercacheSummary),
    off("xlog_location", Collector::XlogLocation),
    on("settings", Collector::Settings, Old::Settings),
    on("stat_progress_vacuum", Collector::StatProgressVacuum, Old::Absent),
    off("stat_statements", Collector::StatStatements),
    on("statio_user_tables", Collector::StatioUserTables, Old::Absent),
    off("statio_user_indexes", Collector::StatioUserIndexes),
    on("stat_user_tables", Collector::StatUserTables, Old::Absent),
    on("database", Collector::Database, Old::Collector("database")),
];

/// Runs one.
pub(crate) async fn update(collector: Collector, scrape: &mut Scrape<'_>) -> Result<(), Fault> {
    match collector {
        Collector::BuffercacheSummary => background::buffercache_summary(scrape).await,
        Collector::Database => databases::database(scrape).await,
        Collector::DatabaseWraparound => databases::wraparound(scrape).await,
        Collector::Locks => locks::update(scrape).await,
        Collector::LongRunningTransactions => activity::long_running_transactions(scrape).await,
        Collector::Postmaster => background::postmaster(scrape).await,
        Collector::ProcessIdle => activity::process_idle(scrape).await,
        Collector::Replication => replication::replication(scrape).await,
        Collector::ReplicationSlots => replication::slots(scrape).await,
        Collector::Roles => databases::roles(scrape).await,
        Collector::Settings => settings::update(scrape).await,
        Collector::StatActivity => activity::stat_activity(scrape).await,
        Collector::StatActivityAutovacuum => activity::autovacuum(scrape).await,
        Collector::StatArchiver => background::archiver(scrape).await,
        Collector::StatBgwriter => background::bgwriter(scrape).await,
        Collector::StatCheckpointer => background::checkpointer(scrape).await,
        Collector::StatDatabase => databases::stat_database(scrape).await,
        Collector::StatDatabaseConflicts => databases::conflicts(scrape).await,
        Collector::StatProgressVacuum => tables::progress_vacuum(scrape).await,
        Collector::StatReplication => replication::stat_replication(scrape).await,
        Collector::StatStatements => statements::update(scrape).await,
        Collector::StatUserTables => tables::stat_user_tables(scrape).await,
        Collector::StatWalReceiver => replication::wal_receiver(scrape).await,
        Collector::StatioUserIndexes => tables::statio_user_indexes(scrape).await,
        Collector::StatioUserTables => tables::statio_user_tables(scrape).await,
        Collector::Wal => background::wal(scrape).await,
        // The server calls it WAL since version 10, the oldest that is supported, and the original has nothing to say there.
        Collector::XlogLocation => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_everything_once() {
        let mut names: Vec<&str> =
            TABLE.iter().flat_map(|e| [Some(e.name), e.alias]).flatten().filter(|n| !n.is_empty()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!((names.len(), count), (28, 28));
    }

    #[test]
    fn collectors_are_told_of_under_the_names_of_each_age() {
        let shown = |name: &str, names: Names| -> Vec<&str> {
            TABLE.iter().find(|e| e.name == name).unwrap().shown_as(names).collect()
        };
        assert_eq!(shown("stat_bgwriter", Names::Both), ["stat_bgwriter", "bgwriter"]);
        assert_eq!(shown("stat_bgwriter", Names::Old), ["bgwriter"]);
        assert_eq!(shown("database", Names::Both), ["database"]);
        assert_eq!(shown("locks", Names::Old), [""; 0]);
        assert_eq!(shown("locks", Names::Current), ["locks"]);
        assert_eq!(shown("stat_statements", Names::Old), ["stat_statements"]);
    }
}
