//! What a collector works with: the session, the page, the time left, and what several of them need.

use std::time::Duration;

use exporters::Page;
use tokio::time::Instant;

use crate::naming::{Labels, Names, Sink};
use crate::options::Options;
use crate::rows::Rows;
use crate::session::{QueryError, Session};
use crate::version::Version;

/// The least a query is given while there is time at all.
const LEAST: Duration = Duration::from_millis(250);
/// What is kept for putting the page together.
const RESERVE: Duration = Duration::from_millis(50);

/// Why a collector gave nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// A query failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// There is no time left for it.
    #[error("no time left in this scrape")]
    NoTime,
}

/// A database of the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Database {
    pub(crate) oid: i64,
    pub(crate) name: String,
}

/// One server's scrape under way.
pub(crate) struct Scrape<'s> {
    pub(crate) session: &'s mut Session,
    pub(crate) page: &'s mut Page,
    pub(crate) options: &'s Options,
    pub(crate) labels: &'s Labels,
    pub(crate) deadline: Instant,
    databases: Option<Vec<Database>>,
}

impl<'s> Scrape<'s> {
    /// With nothing known yet.
    pub(crate) fn new(
        session: &'s mut Session,
        page: &'s mut Page,
        options: &'s Options,
        labels: &'s Labels,
        deadline: Instant,
    ) -> Self {
        Self { session, page, options, labels, deadline, databases: None }
    }

    /// Whose names are exposed.
    pub(crate) fn names(&self) -> Names {
        self.options.names
    }

    /// The server's version.
    pub(crate) fn version(&self) -> Version {
        self.session.version
    }

    /// The rows of a query. It may take half of the time that is left, so that one that is stuck leaves time for the others.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Rows, Fault> {
        let limit = share(self.deadline, Instant::now()).ok_or(Fault::NoTime)?;
        Ok(self.session.rows(sql, limit).await?)
    }

    /// The server's databases in the order of their names, read once per scrape.
    pub(crate) async fn databases(&mut self) -> Result<Vec<Database>, Fault> {
        if let Some(known) = &self.databases {
            return Ok(known.clone());
        }
        let rows = self.rows("SELECT oid, datname FROM pg_database").await?;
        let mut databases: Vec<Database> = rows
            .rows
            .iter()
            .filter_map(|row| match row.as_slice() {
                [crate::rows::Cell::Int(oid), name] => {
                    Some(Database { oid: *oid, name: name.as_text()?.to_owned() })
                }
                _ => None,
            })
            .collect();
        databases.sort_by(|a, b| a.name.cmp(&b.name));
        self.databases = Some(databases.clone());
        Ok(databases)
    }

    /// Where families of 0.11's query maps go.
    pub(crate) fn mapped(&mut self) -> Sink<'_> {
        Sink::new(self.page, &self.labels.mapped).prefixed(&self.options.prefix)
    }

    /// Where all others go.
    pub(crate) fn plain(&mut self) -> Sink<'_> {
        Sink::new(self.page, &self.labels.plain)
    }

    /// Where families go that 0.11's query maps have as well: under its labels, unless only current names are exposed.
    pub(crate) fn mapped_if_old(&mut self) -> Sink<'_> {
        if self.names().old() { self.mapped() } else { self.plain() }
    }
}

/// What one of several queries may take.
pub(crate) fn share(deadline: Instant, now: Instant) -> Option<Duration> {
    let left = rest(deadline, now)?;
    Some((left / 2).max(LEAST).min(left))
}

/// What the last one may take.
pub(crate) fn rest(deadline: Instant, now: Instant) -> Option<Duration> {
    deadline.checked_duration_since(now)?.checked_sub(RESERVE).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_gets_half_of_what_is_left() {
        let now = Instant::now();
        let after = |ms| now + Duration::from_millis(ms);
        let check = |ms, expect: Option<u64>| {
            assert_eq!(share(after(ms), now), expect.map(Duration::from_millis), "{ms}");
        };
        check(10_050, Some(5000));
        check(350, Some(250));
        check(150, Some(100));
        check(50, None);
        assert_eq!(share(now, after(10)), None);
        assert_eq!(rest(after(1050), now), Some(Duration::from_secs(1)));
    }
}
