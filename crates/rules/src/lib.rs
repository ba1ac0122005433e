//! Rule groups: recording and alerting rules, alert states and their restoration.
//!
//! A [`Group`] is evaluated at a time given from outside: it asks a [`Querier`], writes samples and staleness markers to a
//! [`storage::SampleAppender`], and hands alerts that are due to an [`AlertSink`]. [`Manager`] keeps groups through reloads and
//! evaluates each at its slots. The state of alerts (`ALERTS`, `ALERTS_FOR_STATE`) is written before alerts are sent. This crate
//! speaks to no Alertmanager and reads no files.

mod alert;
mod check;
mod group;
mod manager;
mod query;
mod rule;
mod status;
#[cfg(test)]
mod tests;

pub use alert::{Alert, AlertSink, AlertState, table_link};
pub use check::check_file;
pub use group::{Group, Surroundings};
pub use manager::{Manager, ManagerOptions};
pub use query::{Asker, EngineQuerier, Querier, QueryFailure, Sample};
pub use status::{AlertStatus, GroupStats, GroupStatus, Health, RuleDetail, RuleStatus, Stats};
