//! Who is told of queries: for the log of active ones, the query log and metrics. The engine itself keeps no files.

use crate::error::QueryError;
use crate::value::QueryStats;

/// Where a query comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A request.
    Http {
        /// The peer's address without its port; empty where it is not known.
        client_ip: String,
        /// `GET`, `POST`
        method: String,
        /// The path of the handler.
        path: String,
    },
    /// A rule group.
    RuleGroup {
        /// The rule file.
        file: String,
        /// The group's name.
        name: String,
    },
}

/// A query that has ended, well or not. Queries that do not parse are not told of.
#[derive(Debug, Clone, Copy)]
pub struct QueryRecord<'a> {
    /// Its text.
    pub query: &'a str,
    /// The first evaluation time in milliseconds.
    pub start_ms: i64,
    /// The last evaluation time in milliseconds; the first one for an instant query.
    pub end_ms: i64,
    /// 0 for an instant query.
    pub step_ms: i64,
    /// Where it came from.
    pub origin: Option<&'a Origin>,
    /// Why it has no result.
    pub error: Option<&'a QueryError>,
    /// What it cost, up to where it failed.
    pub stats: &'a QueryStats,
}

/// The place of a running query with its watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub usize);

/// Is told of queries. Called on the threads that run them; must not block for long.
pub trait QueryWatch: Send + Sync {
    /// A query has its turn and begins. At most [`crate::Engine::turns`] have begun and not ended.
    fn began(&self, query: &str) -> Slot;

    /// The query of this slot has ended, or its thread panicked.
    fn ended(&self, slot: Slot);

    /// How a query went. Also called for those that never had their turn.
    fn finished(&self, record: &QueryRecord<'_>);

    /// Whether every query's samples are to be counted by upstream's definitions, which takes time.
    fn wants_stats(&self) -> bool;
}
