//! One server: its connection, its collectors, its users' queries, and those on its other databases.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use exporters::{Kind, Page};
use tokio::time::Instant;

use crate::collectors::{self, Entry, Old};
use crate::custom::{self, Seen};
use crate::dsn::Dsn;
use crate::naming::{Labels, Sink};
use crate::options::Options;
use crate::queries_file::UserQuery;
use crate::rows::{Cell, Rows};
use crate::scrape::{Scrape, rest, share};
use crate::session::Session;

/// Databases that are discovered on one server.
const MAX_DATABASES: usize = 500;

/// What a scrape of one server came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Families of the exporter's own collectors.
    pub(crate) page: Page,
    /// Families of users' queries.
    pub(crate) custom: Page,
    /// Whether the server was there.
    pub(crate) up: bool,
    /// Whether `pg_exporter_last_scrape_error` has to tell of it.
    pub(crate) failed: bool,
}

/// A server, with what is kept between scrapes.
pub(crate) struct Server {
    dsn: Dsn,
    pub(crate) fingerprint: String,
    labels: Labels,
    /// Whether `collector` alone would tell two servers' collectors apart.
    is_only: bool,
    session: Option<Session>,
    /// Connections to discovered databases.
    others: BTreeMap<String, Option<Session>>,
    /// Answers of queries with `cache_seconds`, by database and namespace.
    cache: HashMap<(String, String), (Instant, Rows)>,
}

impl Server {
    /// One of `count` servers.
    pub(crate) fn new(dsn: Dsn, options: &Options, count: usize) -> Self {
        let fingerprint = dsn.fingerprint();
        let labels = Labels::new(options.names, &fingerprint, count, &options.constant_labels);
        let (others, cache) = (BTreeMap::new(), HashMap::new());
        Self { dsn, fingerprint, labels, is_only: count <= 1, session: None, others, cache }
    }

    /// Forgets what is known of users' queries, since there are others now.
    pub(crate) fn queries_changed(&mut self) {
        self.cache.clear();
        let sessions = self.session.iter_mut().chain(self.others.values_mut().flatten());
        sessions.for_each(Session::forget_types);
    }

    /// Gathers everything, until `deadline` at most.
    pub(crate) async fn scrape(
        &mut self,
        options: &Options,
        queries: &[UserQuery],
        deadline: Instant,
    ) -> Outcome {
        let mut out = Outcome::default();
        let entries: Vec<&Entry> =
            options.collectors.iter().filter(|entry| !is_overridden(entry, options, queries)).collect();
        let begin = Instant::now();
        if let Err(error) = ensure(&mut self.session, &self.dsn, options, deadline).await {
            tracing::error!(server = self.fingerprint, err = error, "Error opening connection to database");
            out.failed = true;
            for entry in entries {
                self.tell(entry, options, &mut out.page, begin.elapsed(), false);
            }
            return out;
        }
        out.up = true;
        for entry in entries {
            let begin = Instant::now();
            let Some(session) = self.session.as_mut() else { break };
            let mut scrape = Scrape::new(session, &mut out.page, options, &self.labels, deadline);
            let outcome = collectors::update(entry.collector, &mut scrape).await;
            let duration = begin.elapsed();
            if let Err(error) = &outcome {
                let name = if entry.name.is_empty() { "stat_database_conflicts" } else { entry.name };
                tracing::error!(
                    server = self.fingerprint,
                    name,
                    duration_seconds = duration.as_secs_f64(),
                    err = self.dsn.scrub(&error.to_string()),
                    "collector failed"
                );
                out.failed |= match entry.old {
                    Old::Map(_) | Old::Settings => options.names.old() || entry.name.is_empty(),
                    Old::Absent | Old::Collector(_) => false,
                };
            }
            self.tell(entry, options, &mut out.page, duration, outcome.is_ok());
        }
        if !queries.is_empty() {
            self.run_queries(options, queries, deadline, &mut out).await;
        }
        out
    }

    /// Writes how a collector went.
    fn tell(&self, entry: &Entry, options: &Options, page: &mut Page, took: Duration, is_ok: bool) {
        for name in entry.shown_as(options.names) {
            let mut labels = vec![("collector", name)];
            if !self.is_only {
                labels.push(("server", &self.fingerprint));
            }
            let mut sink = Sink::new(page, &[]);
            let help = "postgres_exporter: Duration of a collector scrape.";
            let seconds = took.as_secs_f64();
            sink.sample("pg_scrape_collector_duration_seconds", help, Kind::Gauge, &labels, seconds);
            let help = "postgres_exporter: Whether a collector succeeded.";
            let success = f64::from(u8::from(is_ok));
            sink.sample("pg_scrape_collector_success", help, Kind::Gauge, &labels, success);
        }
    }

    /// Users' queries, on the data source's database and on those that are discovered.
    async fn run_queries(
        &mut self,
        options: &Options,
        queries: &[UserQuery],
        deadline: Instant,
        out: &mut Outcome,
    ) {
        let mut seen = Seen::default();
        let Self { dsn, labels, session: Some(session), others, cache, fingerprint, .. } = self else {
            return;
        };
        let own = session.database.clone();
        let everywhere: Vec<&UserQuery> = queries.iter().filter(|query| !query.master).collect();
        let mut databases = Vec::new();
        if options.auto_discover && !everywhere.is_empty() {
            match discover(session, options, deadline).await {
                Ok(found) => databases = found,
                Err(error) => {
                    tracing::error!(
                        server = *fingerprint,
                        err = dsn.scrub(&error),
                        "Error querying databases"
                    );
                    out.failed = true;
                }
            }
        }
        let mut run = Run { options, labels, cache, deadline, out, seen: &mut seen, fingerprint };
        run.all(session, &own, &queries.iter().collect::<Vec<_>>()).await;
        others.retain(|name, _| databases.contains(name));
        for name in databases {
            let dsn = dsn.clone().with("dbname", &name);
            let slot = others.entry(name.clone()).or_default();
            match ensure(slot, &dsn, options, deadline).await {
                Ok(session) => run.all(session, &name, &everywhere).await,
                Err(error) => {
                    tracing::error!(
                        server = run.fingerprint,
                        database = name,
                        err = error,
                        "Error opening connection to database"
                    );
                    run.out.failed = true;
                }
            }
        }
        let known = |namespace: &String| queries.iter().any(|query| query.namespace == *namespace);
        cache.retain(|(database, namespace), _| {
            known(namespace) && (*database == own || others.contains_key(database))
        });
    }
}

/// Running users' queries.
struct Run<'r> {
    options: &'r Options,
    labels: &'r Labels,
    cache: &'r mut HashMap<(String, String), (Instant, Rows)>,
    deadline: Instant,
    out: &'r mut Outcome,
    seen: &'r mut Seen,
    fingerprint: &'r str,
}

impl Run<'_> {
    async fn all(&mut self, session: &mut Session, database: &str, queries: &[&UserQuery]) {
        let version = session.version;
        for (place, query) in queries.iter().enumerate() {
            if query.versions.as_ref().is_some_and(|range| !range.contains(version)) {
                continue;
            }
            let is_last = place + 1 == queries.len();
            let key = (database.to_owned(), query.namespace.clone());
            let now = Instant::now();
            let cached = self.cache.get(&key).filter(|(at, _)| now.duration_since(*at) <= query.cache);
            let fresh;
            let rows = match cached {
                Some((_, rows)) if !query.cache.is_zero() => rows,
                _ => {
                    // The last one need not leave anything for others.
                    let limit = if is_last { rest(self.deadline, now) } else { share(self.deadline, now) };
                    let answer = match limit {
                        Some(limit) => session.text_rows(&query.sql, limit).await.map_err(|e| e.to_string()),
                        None => Err("no time left in this scrape".to_owned()),
                    };
                    match answer {
                        Ok(rows) if query.cache.is_zero() => {
                            fresh = rows;
                            &fresh
                        }
                        Ok(rows) => &self.cache.entry(key).insert_entry((now, rows)).into_mut().1,
                        Err(error) => {
                            self.out.failed = true;
                            let namespace = &query.namespace;
                            tracing::error!(
                                server = self.fingerprint,
                                database,
                                namespace,
                                err = error,
                                "query failed"
                            );
                            continue;
                        }
                    }
                }
            };
            let (extra, prefix) = (self.labels.mapped.as_slice(), self.options.prefix.as_str());
            let problems =
                custom::write(query, rows, version, extra, prefix, &mut self.out.custom, self.seen);
            for problem in problems {
                tracing::warn!(
                    server = self.fingerprint,
                    database,
                    err = problem,
                    "not all of a query is exposed"
                );
            }
        }
    }
}

/// Whether a user's query replaces a collector, as one of the same namespace replaces 0.11's query map.
fn is_overridden(entry: &Entry, options: &Options, queries: &[UserQuery]) -> bool {
    match entry.old {
        Old::Map(namespace) if options.names.old() || entry.name.is_empty() => {
            queries.iter().any(|query| query.namespace == namespace)
        }
        _ => false,
    }
}

/// The connection of `slot`, dialled where there is none that answers.
async fn ensure<'s>(
    slot: &'s mut Option<Session>,
    dsn: &Dsn,
    options: &Options,
    deadline: Instant,
) -> Result<&'s mut Session, String> {
    if let Some(session) = slot.as_mut()
        && !session.is_alive(deadline).await
    {
        *slot = None;
    }
    match slot {
        Some(session) => Ok(session),
        None => {
            let session = Session::connect(dsn, deadline, options.collection_timeout).await?;
            tracing::info!(fingerprint = dsn.fingerprint(), database = session.database, version = %session.version, "Established new database connection");
            Ok(slot.insert(session))
        }
    }
}

/// The names of the other databases one can connect to.
async fn discover(
    session: &mut Session,
    options: &Options,
    deadline: Instant,
) -> Result<Vec<String>, String> {
    let sql = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database()";
    let limit = share(deadline, Instant::now()).ok_or("no time left in this scrape")?;
    let rows = session.rows(sql, limit).await.map_err(|e| e.to_string())?;
    let mut names: Vec<String> = rows
        .rows
        .iter()
        .filter_map(|row| row.first().and_then(Cell::as_text))
        .filter(|name| !options.exclude_databases.iter().any(|e| e == name))
        .filter(|name| {
            options.include_databases.is_empty() || options.include_databases.iter().any(|i| i == name)
        })
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    if names.len() > MAX_DATABASES {
        return Err(format!(
            "{} databases, more than {MAX_DATABASES}; name some with --include-databases",
            names.len()
        ));
    }
    Ok(names)
}
