//! One connection to one database: dialled once, kept between scrapes, queried with a limit each.
//!
//! The exporter's own queries are prepared once per connection, so the server parses and plans them once. Behind a pooler that
//! does not keep prepared statements they run unnamed instead. Queries of users go by the simple protocol, which takes whatever
//! psql takes and gives every type as text.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode as Dial;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Connection, NoTls, SimpleQueryMessage, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::dial::{client_config, session_settings};
use crate::dsn::{Dsn, SslMode};
use crate::rows::{Cell, Rows};
use crate::tls;
use crate::version::Version;

/// Rows one answer may have.
const MAX_ROWS: usize = 100_000;
/// Bytes one answer may have, as sent.
const MAX_BYTES: usize = 64 << 20;
/// How long the server may take to notice that a query is cancelled.
const CANCEL_TIME: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The server said no, or is gone.
    #[error("{0}")]
    Server(String),
    /// It took too long and was cancelled.
    #[error("no answer within {:.1}s; the query was cancelled", .0.as_secs_f64())]
    Timeout(Duration),
    /// The answer has no end.
    #[error("the answer has more than {MAX_ROWS} rows or {MAX_BYTES} bytes")]
    TooMuch,
}

/// A connection that is up.
pub(crate) struct Session {
    asker: Asker,
    driver: Driver,
    tls: Option<MakeRustlsConnect>,
    /// The server's version.
    pub(crate) version: Version,
    /// What `version()` says.
    pub(crate) version_text: String,
    /// The database's name.
    pub(crate) database: String,
    /// Whether a query could not be cancelled.
    broken: bool,
}

/// The socket's side of a connection. It is polled by whoever waits for an answer, not by a task of its own: with one query after the
/// other, handing each message to another thread would cost more than the message.
struct Driver {
    /// None once it has ended: who waits for an answer learns of it when the connection is dropped.
    connection: Option<BoxFuture<'static, Result<(), tokio_postgres::Error>>>,
}

impl Driver {
    fn new<T>(connection: Connection<Socket, T>) -> Self
    where
        T: TlsStream + Unpin + Send + 'static,
    {
        Self { connection: Some(Box::pin(connection)) }
    }

    /// Does `work`, which waits for what the connection brings.
    async fn run<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|cx| {
            // First what is to be sent, then the socket, which wakes this task again with what came.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if let Some(connection) = &mut self.connection
                && let Poll::Ready(outcome) = connection.as_mut().poll(cx)
            {
                self.connection = None;
                if let Err(error) = outcome {
                    tracing::debug!(err = %error_text(error), "connection ended");
                }
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// The side that asks.
struct Asker {
    client: Client,
    statements: HashMap<String, Statement>,
    /// Whether prepared statements live as long as the connection.
    keeps_statements: bool,
    /// Types of the columns of users' queries.
    types: HashMap<String, Vec<Type>>,
}

impl Session {
    /// Dials, until `deadline` at most. `query_limit` is what the server itself enforces for each query.
    ///
    /// # Errors
    /// Why not, without the password.
    pub(crate) async fn connect(dsn: &Dsn, deadline: Instant, query_limit: Duration) -> Result<Self, String> {
        let limit = dsn.connect_timeout()?;
        let deadline = deadline.min(Instant::now() + limit);
        match timeout_at(deadline, Self::dial(dsn, limit, query_limit)).await {
            Ok(outcome) => outcome.map_err(|e| dsn.scrub(&e)),
            Err(_) => Err("connecting took too long".to_owned()),
        }
    }

    async fn dial(dsn: &Dsn, limit: Duration, query_limit: Duration) -> Result<Self, String> {
        let mut config = client_config(dsn)?;
        config.connect_timeout(limit);
        let mode = dsn.ssl_mode()?;
        let tls = match mode {
            SslMode::Disable => None,
            mode => Some(tls::connector(dsn, mode)?),
        };
        let Some(tls) = tls else {
            let (client, connection) =
                config.ssl_mode(Dial::Disable).connect(NoTls).await.map_err(error_text)?;
            return Self::open(client, connection, None, dsn, query_limit).await;
        };
        if mode == SslMode::Allow
            && let Ok((client, connection)) = config.ssl_mode(Dial::Disable).connect(NoTls).await
        {
            return Self::open(client, connection, None, dsn, query_limit).await;
        }
        config.ssl_mode(if mode == SslMode::Prefer { Dial::Prefer } else { Dial::Require });
        let (client, connection) = config.connect(tls.clone()).await.map_err(|e| {
            let text = error_text(e);
            match dsn.get("sslmode") {
                // The default is the original's; libpq's would have gone on without TLS.
                None if text.contains("TLS") => format!("{text} (sslmode is require unless the data source says otherwise; sslmode=disable does without TLS)"),
                _ => text,
            }
        })?;
        Self::open(client, connection, Some(tls), dsn, query_limit).await
    }

    async fn open<T>(
        client: Client,
        connection: Connection<Socket, T>,
        tls: Option<MakeRustlsConnect>,
        dsn: &Dsn,
        query_limit: Duration,
    ) -> Result<Self, String>
    where
        T: TlsStream + Unpin + Send + 'static,
    {
        let version = connection.parameter("server_version").and_then(Version::parse).unwrap_or_default();
        let mut driver = Driver::new(connection);
        let settings = session_settings(dsn, version, query_limit);
        let hello = format!("{settings}SELECT version(), current_database()");
        let messages = driver.run(client.simple_query(&hello)).await.map_err(error_text)?;
        let (version_text, database) = messages
            .iter()
            .find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some((
                    row.get(0).unwrap_or_default().to_owned(),
                    row.get(1).unwrap_or_default().to_owned(),
                )),
                _ => None,
            })
            .ok_or("the server does not tell its version")?;
        let (statements, types) = (HashMap::new(), HashMap::new());
        let asker = Asker { client, statements, keeps_statements: true, types };
        Ok(Self { asker, driver, tls, version, version_text, database, broken: false })
    }

    /// Whether the server answers on this connection.
    pub(crate) async fn is_alive(&mut self, deadline: Instant) -> bool {
        if self.broken || self.driver.connection.is_none() {
            return false;
        }
        let answer = self.driver.run(self.asker.client.check_connection());
        matches!(timeout_at(deadline, answer).await, Ok(Ok(())))
    }

    /// The rows of one of the exporter's own queries. What it may take is `limit`; then it is cancelled on the server too, and the
    /// connection serves on.
    pub(crate) async fn rows(&mut self, sql: &str, limit: Duration) -> Result<Rows, QueryError> {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.driver.run(self.asker.prepared_rows(sql))).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.cancel(limit).await),
        }
    }

    /// The rows of a user's query, in the same way.
    pub(crate) async fn text_rows(&mut self, sql: &str, limit: Duration) -> Result<Rows, QueryError> {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.driver.run(self.asker.simple_rows(sql))).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.cancel(limit).await),
        }
    }

    /// Forgets what is known of users' queries, whose columns may have changed.
    pub(crate) fn forget_types(&mut self) {
        self.asker.types.clear();
    }

    async fn cancel(&mut self, limit: Duration) -> QueryError {
        let token = self.asker.client.cancel_token();
        let cancel = async {
            match self.tls.clone() {
                Some(tls) => token.cancel_query(tls).await,
                None => token.cancel_query(NoTls).await,
            }
        };
        let _ = tokio::time::timeout(CANCEL_TIME, cancel).await;
        // The connection is good again once it answers; else a new one will serve the next scrape.
        let answer = self.driver.run(self.asker.client.check_connection());
        self.broken = tokio::time::timeout(CANCEL_TIME, answer).await.is_err();
        QueryError::Timeout(limit)
    }
}

impl Asker {
    async fn prepared_rows(&mut self, sql: &str) -> Result<Rows, QueryError> {
        if self.keeps_statements {
            match self.named_rows(sql).await {
                Err(NamedError::Stale { forgotten }) => {
                    self.statements.remove(sql);
                    self.keeps_statements = !forgotten;
                }
                Err(NamedError::Other(error)) => return Err(error),
                Ok(rows) => return Ok(rows),
            }
        }
        let none: [(&(dyn ToSql + Sync), Type); 0] = [];
        let stream = self.client.query_typed_raw(sql, none).await.map_err(server_error)?;
        collect(stream).await
    }

    async fn named_rows(&mut self, sql: &str) -> Result<Rows, NamedError> {
        let statement = match self.statements.get(sql) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(sql).await?;
                self.statements.insert(sql.to_owned(), statement.clone());
                statement
            }
        };
        let none: [&(dyn ToSql + Sync); 0] = [];
        let stream = self.client.query_raw(&statement, none).await?;
        // A statement that is not there, or whose columns changed, is told before the first row.
        collect_named(stream).await
    }

    async fn simple_rows(&mut self, sql: &str) -> Result<Rows, QueryError> {
        if !self.types.contains_key(sql) {
            // Several statements in one text cannot be described: their columns stay text.
            let types = match self.client.prepare(sql).await {
                Ok(statement) => statement.columns().iter().map(|c| c.type_().clone()).collect(),
                Err(error) if error.code() == Some(&SqlState::SYNTAX_ERROR) => Vec::new(),
                Err(error) => return Err(server_error(error)),
            };
            self.types.insert(sql.to_owned(), types);
        }
        let mut stream = pin!(self.client.simple_query_raw(sql).await.map_err(server_error)?);
        let mut out = Rows::default();
        let (mut bytes, mut sets) = (0, 0);
        let mut types: &[Type] = self.types.get(sql).map_or(&[], Vec::as_slice);
        while let Some(message) = stream.try_next().await.map_err(server_error)? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    sets += 1;
                    if sets == 1 {
                        out.columns = columns.iter().map(|c| c.name().to_owned()).collect();
                        if types.len() != out.columns.len() {
                            types = &[];
                        }
                    }
                }
                // As in the original, the first answer with columns counts.
                SimpleQueryMessage::Row(row) if sets == 1 => {
                    let cells: Vec<Cell> = (0..row.len())
                        .map(|at| match row.try_get(at) {
                            Ok(text) => {
                                bytes += text.map_or(0, str::len);
                                Cell::from_text(text, types.get(at).unwrap_or(&Type::TEXT))
                            }
                            Err(_) => Cell::Other,
                        })
                        .collect();
                    out.rows.push(cells);
                    if out.rows.len() > MAX_ROWS || bytes > MAX_BYTES {
                        return Err(QueryError::TooMuch);
                    }
                }
                _ => {}
            }
        }
        Ok(out)
    }
}

enum NamedError {
    /// The statement has to be prepared again; `forgotten` where the server does not keep any.
    Stale {
        forgotten: bool,
    },
    Other(QueryError),
}

impl From<tokio_postgres::Error> for NamedError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(&SqlState::INVALID_SQL_STATEMENT_NAME | &SqlState::DUPLICATE_PSTATEMENT) => {
                Self::Stale { forgotten: true }
            }
            // "cached plan must not change result type"
            Some(&SqlState::FEATURE_NOT_SUPPORTED) => Self::Stale { forgotten: false },
            _ => Self::Other(server_error(error)),
        }
    }
}

async fn collect_named(stream: tokio_postgres::RowStream) -> Result<Rows, NamedError> {
    let mut stream = pin!(stream);
    let mut out = Rows::default();
    let mut bytes = 0;
    while let Some(row) = stream.try_next().await? {
        push(&mut out, &row, &mut bytes).map_err(NamedError::Other)?;
    }
    Ok(out)
}

async fn collect(stream: tokio_postgres::RowStream) -> Result<Rows, QueryError> {
    collect_named(stream).await.map_err(|e| match e {
        NamedError::Other(error) => error,
        NamedError::Stale { .. } => QueryError::Server("the statement is not prepared".to_owned()),
    })
}

fn push(out: &mut Rows, row: &tokio_postgres::Row, bytes: &mut usize) -> Result<(), QueryError> {
    if out.columns.is_empty() {
        out.columns = row.columns().iter().map(|c| c.name().to_owned()).collect();
    }
    *bytes += row.raw_size_bytes();
    if out.rows.len() >= MAX_ROWS || *bytes > MAX_BYTES {
        return Err(QueryError::TooMuch);
    }
    out.rows.push((0..row.len()).map(|at| row.try_get(at).unwrap_or(Cell::Other)).collect());
    Ok(())
}

fn server_error(error: tokio_postgres::Error) -> QueryError {
    QueryError::Server(error_text(error))
}

/// What the library's messages leave to their sources.
#[expect(clippy::needless_pass_by_value, reason = "it stands in for a closure in map_err")]
fn error_text(error: tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{}: {} (SQLSTATE {})", db.severity(), db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error_at_once() {
        let dsn = Dsn::parse("host=127.0.0.1 port=1 sslmode=disable password=hunter2").unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        let error = Session::connect(&dsn, deadline, Duration::from_secs(1)).await.map(|_| ()).unwrap_err();
        assert!(error.contains("Connection refused") && !error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dsn = Dsn::parse(&format!("host=127.0.0.1 port={port}")).unwrap();
        let deadline = Instant::now() + Duration::from_millis(100);
        let error = Session::connect(&dsn, deadline, Duration::from_secs(1)).await.map(|_| ()).unwrap_err();
        assert_eq!(error, "connecting took too long");
    }
}
