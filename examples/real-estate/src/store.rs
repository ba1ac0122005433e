//! Where listings are kept: SQLite by default, PostgreSQL with `DATABASE_URL=postgresql://…`.
//!
//! Both sit behind one small pool that opens connections on demand, keeps idle ones for a while, and
//! shows their number in `database_connections`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::listing::{Listing, Search};
use crate::metrics::{Held, Metrics};

mod postgres;
mod sqlite;

const MAX_CONNECTIONS: usize = 8;
const IDLE_AFTER: Duration = Duration::from_secs(30);

/// Which database, from `DATABASE_URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Location {
    /// Reads `sqlite:PATH`, `postgres://…` or `postgresql://…`.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return Ok(Self::Sqlite(path.into()));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.to_owned()));
        }
        Err(anyhow!("DATABASE_URL must begin with sqlite:, postgres:// or postgresql://"))
    }
}

enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
}

/// A connection and its place in the count of open ones.
struct Pooled {
    connection: Connection,
    idle_since: Instant,
    _open: Held,
}

/// The listings' database; create the tables with [`Store::prepare`] first.
pub(crate) struct Store {
    location: Location,
    metrics: Metrics,
    permits: Semaphore,
    idle: Mutex<Vec<Pooled>>,
}

impl Store {
    pub(crate) fn new(location: Location, metrics: Metrics) -> Self {
        Self { location, metrics, permits: Semaphore::new(MAX_CONNECTIONS), idle: Mutex::default() }
    }

    /// Creates what is missing of the schema.
    pub(crate) async fn prepare(&self) -> anyhow::Result<()> {
        self.run(Prepare).await
    }

    /// Inserts or replaces by id.
    pub(crate) async fn upsert(&self, listings: Vec<Listing>) -> anyhow::Result<()> {
        self.run(Upsert(listings)).await
    }

    /// Cheapest first, at most [`Search::rows`].
    pub(crate) async fn search(&self, search: Search) -> anyhow::Result<Vec<Listing>> {
        self.run(search).await
    }

    pub(crate) async fn get(&self, id: String) -> anyhow::Result<Option<Listing>> {
        self.run(ById(id)).await
    }

    /// Number of listings; also proves that the database answers.
    pub(crate) async fn count(&self) -> anyhow::Result<i64> {
        self.run(Count).await
    }

    /// A connection that failed is dropped, not returned.
    async fn run<O: Operation>(&self, operation: O) -> anyhow::Result<O::Output> {
        let _permit = self.permits.acquire().await.context("the pool is closed")?;
        let mut pooled = match self.take_idle() {
            Some(pooled) => pooled,
            None => self.open().await?,
        };
        let (connection, output) = match pooled.connection {
            Connection::Sqlite(mut connection) => {
                tokio::task::spawn_blocking(move || {
                    let output = operation.sqlite(&mut connection);
                    (Connection::Sqlite(connection), output.map_err(Into::into))
                })
                .await?
            }
            Connection::Postgres(mut client) => {
                let output = operation.postgres(&mut client).await;
                (Connection::Postgres(client), output.map_err(Into::into))
            }
        };
        pooled.connection = connection;
        pooled.idle_since = Instant::now();
        if output.is_ok() {
            self.idle.lock().push(pooled);
        }
        output
    }

    fn take_idle(&self) -> Option<Pooled> {
        let mut idle = self.idle.lock();
        let taken = idle.pop();
        // The most recently used is taken first, so that spare ones grow old and go.
        idle.retain(|pooled| pooled.idle_since.elapsed() < IDLE_AFTER);
        taken.filter(|pooled| match &pooled.connection {
            Connection::Sqlite(_) => true,
            Connection::Postgres(client) => !client.is_closed(),
        })
    }

    async fn open(&self) -> anyhow::Result<Pooled> {
        let connection = match &self.location {
            Location::Sqlite(path) => {
                let path = path.clone();
                let shown = path.display().to_string();
                let opened = tokio::task::spawn_blocking(move || sqlite::open(&path)).await?;
                Connection::Sqlite(opened.with_context(|| format!("cannot open database {shown}"))?)
            }
            Location::Postgres(url) => {
                let (client, driver) = tokio_postgres::connect(url, tokio_postgres::NoTls)
                    .await
                    .context("cannot connect to PostgreSQL")?;
                tokio::spawn(async move {
                    if let Err(error) = driver.await {
                        warn!(%error, "connection to PostgreSQL lost");
                    }
                });
                Connection::Postgres(client)
            }
        };
        Ok(Pooled { connection, idle_since: Instant::now(), _open: self.metrics.connection_open() })
    }
}

/// One statement or transaction, in both dialects.
trait Operation: Send + 'static {
    type Output: Send + 'static;

    fn sqlite(self, connection: &mut rusqlite::Connection) -> rusqlite::Result<Self::Output>;

    fn postgres(
        self,
        client: &mut tokio_postgres::Client,
    ) -> impl Future<Output = Result<Self::Output, tokio_postgres::Error>> + Send;
}

struct Prepare;
struct Upsert(Vec<Listing>);
struct ById(String);
struct Count;

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(id: &str, city: &str, price: i64) -> Listing {
        Listing {
            id: id.to_owned(),
            source: "test".to_owned(),
            title: "T3".to_owned(),
            city: city.to_owned(),
            price,
            surface: 60,
            rooms: 3,
        }
    }

    #[test]
    fn locations() {
        assert_eq!(Location::parse("sqlite:a.db").unwrap(), Location::Sqlite("a.db".into()));
        assert_eq!(Location::parse("sqlite:///var/a.db").unwrap(), Location::Sqlite("/var/a.db".into()));
        assert!(matches!(Location::parse("postgresql://u@h/d").unwrap(), Location::Postgres(_)));
        assert!(Location::parse("mysql://h").is_err());
    }

    async fn exercise(location: Location) {
        let store = Store::new(location, Metrics::new(&[]));
        store.prepare().await.unwrap();
        store.prepare().await.unwrap();
        let paris = listing("test-1", "Paris", 500_000);
        let lyon = [listing("test-2", "Lyon", 300_000), listing("test-3", "Lyon", 200_000)];
        store.upsert(vec![paris.clone(), lyon[0].clone(), lyon[1].clone()]).await.unwrap();
        store.upsert(vec![listing("test-1", "Paris", 450_000)]).await.unwrap();
        assert_eq!(store.count().await.unwrap(), 3);
        assert_eq!(store.get("test-1".into()).await.unwrap().unwrap().price, 450_000);
        assert_eq!(store.get("none".into()).await.unwrap(), None);
        let search = |city: Option<&str>, max_price| {
            let search = Search { city: city.map(str::to_owned), max_price, ..Search::default() };
            store.search(search)
        };
        assert_eq!(search(Some("lyon"), None).await.unwrap(), [lyon[1].clone(), lyon[0].clone()]);
        assert_eq!(search(Some("Lyon"), Some(250_000)).await.unwrap(), [lyon[1].clone()]);
        assert_eq!(search(Some("Ly%"), None).await.unwrap(), []);
        let limited = Search { limit: Some(1), ..Search::default() };
        assert_eq!(store.search(limited).await.unwrap(), [lyon[1].clone()]);
    }

    #[tokio::test]
    async fn sqlite_keeps_and_finds() {
        let path = std::env::temp_dir().join(format!("real-estate-test-{}.db", std::process::id()));
        exercise(Location::Sqlite(path.clone())).await;
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            drop(std::fs::remove_file(name));
        }
    }

    #[tokio::test]
    async fn postgres_keeps_and_finds() {
        match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => exercise(Location::parse(&url).unwrap()).await,
            Err(_) => println!("SKIPPED: TEST_DATABASE_URL names no PostgreSQL database"),
        }
    }
}
