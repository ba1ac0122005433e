//! The exporter: all servers' pages in one, and its own families around them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use exporters::{Exporter, Gathering, Kind, Page, Query, Refusal};
use futures_util::future::join_all;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::auth::AuthFile;
use crate::naming::Sink;
use crate::options::Options;
use crate::queries_file::{self, QueriesFile};
use crate::server::Server;

/// What is kept of the time a scraper waits, for the answer's way back.
const MARGIN: Duration = Duration::from_millis(500);

/// The exporter.
pub struct PostgresExporter {
    options: Arc<Options>,
    auth: Arc<AuthFile>,
    state: Mutex<State>,
    scrapes: AtomicU64,
}

struct State {
    servers: Vec<Server>,
    queries: Queries,
}

impl std::fmt::Debug for PostgresExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresExporter").field("sources", &self.options.sources).finish_non_exhaustive()
    }
}

impl PostgresExporter {
    /// Of the servers that `options` name. Connects at the first scrape.
    #[must_use]
    pub(crate) fn new(options: Arc<Options>, auth: Arc<AuthFile>) -> Self {
        let count = options.sources.len();
        let servers = options.sources.iter().map(|dsn| Server::new(dsn.clone(), &options, count)).collect();
        let state = Mutex::new(State { servers, queries: Queries::default() });
        Self { options, auth, state, scrapes: AtomicU64::new(0) }
    }

    async fn page(&self, query: &Query) -> Result<Page, Refusal> {
        let begin = Instant::now();
        let deadline = deadline(begin, self.options.collection_timeout, query.timeout);
        // One scrape at a time: a second one would need connections of its own.
        let mut state = timeout_at(deadline, self.state.lock())
            .await
            .map_err(|_| Refusal { status: 503, message: "another scrape is still under way".to_owned() })?;
        let scrapes = self.scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        let State { servers, queries } = &mut *state;
        if queries.refresh(self.options.queries_file.as_deref()) {
            servers.iter_mut().for_each(Server::queries_changed);
        }
        let mut page = gather(&self.options, servers, queries, deadline, begin, scrapes).await;
        build_info(&self.options, &mut page);
        if self.options.names.current() {
            self.auth.write(&mut page);
        }
        Ok(page)
    }
}

impl Exporter for PostgresExporter {
    fn gather<'a>(&'a self, query: &'a Query) -> Gathering<'a> {
        Box::pin(self.page(query))
    }
}

/// When a page has to be there.
pub(crate) fn deadline(now: Instant, limit: Duration, scraper_waits: Option<Duration>) -> Instant {
    // Of a short wait a tenth.
    let waits = scraper_waits.map(|waits| waits.saturating_sub(MARGIN.min(waits / 10)));
    now + waits.map_or(limit, |waits| waits.min(limit))
}

/// One page of all servers, which are read at the same time: who is down costs the others nothing.
pub(crate) async fn gather(
    options: &Options,
    servers: &mut [Server],
    queries: &Queries,
    deadline: Instant,
    begin: Instant,
    scrapes: u64,
) -> Page {
    let several = servers.len() > 1;
    let scraped = join_all(servers.iter_mut().map(|server| async move {
        let outcome = server.scrape(options, &queries.file.queries, deadline).await;
        (server.fingerprint.clone(), outcome)
    }))
    .await;
    let (mut page, mut custom) = (Page::new(), Page::new());
    let (mut up, mut failed) = (false, false);
    let mut each = Vec::new();
    for (name, outcome) in scraped {
        page.append(outcome.page);
        custom.append(outcome.custom);
        up |= outcome.up;
        failed |= outcome.failed;
        each.push((name, outcome.up));
    }
    // What a user asks for under a name counts, whatever is built in.
    page.supersede(custom);
    let flag = |is: bool| f64::from(u8::from(is));
    if several {
        let help = "Whether the last scrape of metrics from PostgreSQL was able to connect to this server.";
        let mut family = page.family("pg_exporter_server_up", help, Kind::Gauge);
        for (name, up) in &each {
            family.sample(&[("server", name)], flag(*up));
        }
    }
    let mut own = Sink::new(&mut page, &options.constant_labels);
    let help = "Whether the last scrape of metrics from PostgreSQL was able to connect to the server (1 for yes, 0 for no).";
    own.sample("pg_up", help, Kind::Gauge, &[], flag(up));
    let help = "Total number of times PostgreSQL was scraped for metrics.";
    own.sample("pg_exporter_scrapes_total", help, Kind::Counter, &[], scrapes as f64);
    let help = "Whether the last scrape of metrics from PostgreSQL resulted in an error (1 for error, 0 for success).";
    own.sample("pg_exporter_last_scrape_error", help, Kind::Gauge, &[], flag(failed));
    if let Some(path) = &options.queries_file {
        let help =
            "Whether the user queries file was loaded and parsed successfully (1 for error, 0 for success).";
        let path = path.to_string_lossy();
        let labels = [("filename", path.as_ref()), ("hashsum", &queries.file.hash)];
        let wrong = flag(!queries.file.errors.is_empty());
        own.sample("pg_exporter_user_queries_load_error", help, Kind::Gauge, &labels, wrong);
    }
    let help = "Duration of the last scrape of metrics from PostgreSQL.";
    let seconds = begin.elapsed().as_secs_f64();
    own.sample("pg_exporter_last_scrape_duration_seconds", help, Kind::Gauge, &[], seconds);
    page
}

fn build_info(options: &Options, page: &mut Page) {
    let mut labels: Vec<(&str, &str)> = options.build.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    labels.sort_unstable();
    let help = "A metric with a constant '1' value labeled by version, revision, branch, goversion from which postgres_exporter was built, and the goos and goarch for the build.";
    page.family("postgres_exporter_build_info", help, Kind::Gauge).sample(&labels, 1.0);
}

/// Users' queries, read again when their file changes.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    file: QueriesFile,
    /// Size and time of the file when it was read.
    seen: Option<Option<(u64, SystemTime)>>,
}

impl Queries {
    /// Reads the file if it is another than it was; true where it was read.
    pub(crate) fn refresh(&mut self, path: Option<&Path>) -> bool {
        let Some(path) = path else { return false };
        let now = std::fs::metadata(path).ok().and_then(|m| Some((m.len(), m.modified().ok()?)));
        if self.seen == Some(now) {
            return false;
        }
        self.seen = Some(now);
        self.file = queries_file::load(path);
        for error in &self.file.errors {
            tracing::error!(path = %path.display(), err = error, "Failed to reload user queries");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_ends_before_the_scraper_gives_up() {
        let now = Instant::now();
        let check = |limit: u64, waits: Option<u64>, expect: u64| {
            let waits = waits.map(Duration::from_millis);
            assert_eq!(
                deadline(now, Duration::from_millis(limit), waits) - now,
                Duration::from_millis(expect)
            );
        };
        check(60_000, None, 60_000);
        check(60_000, Some(10_000), 9500);
        check(60_000, Some(1000), 900);
        check(5000, Some(10_000), 5000);
    }

    #[test]
    fn queries_are_read_when_their_file_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("q.yaml");
        let mut queries = Queries::default();
        assert!(!queries.refresh(None));
        assert!(queries.refresh(Some(&path)) && !queries.file.errors.is_empty());
        assert!(!queries.refresh(Some(&path)));
        std::fs::write(&path, "a:\n  query: SELECT 1\n").unwrap();
        assert!(
            queries.refresh(Some(&path)) && queries.file.errors.is_empty() && queries.file.queries.len() == 1
        );
        assert!(!queries.refresh(Some(&path)));
    }
}
