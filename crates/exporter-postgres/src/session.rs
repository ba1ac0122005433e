//! One connection to one database: dialled once, kept between scrapes, queried with a limit each.
//!
//! The exporter's own queries are prepared once per connection, so the server parses and plans them once. Behind a pooler that
//! does not keep prepared statements they run unnamed instead. Queries of users go by the simple protocol, which takes whatever
//! psql takes and gives every type as text.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::SslMode as Dial;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Connection, NoTls, SimpleQueryMessage, Socket, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::dsn::{Dsn, SslMode};
use crate::rows::{Cell, Rows};
use crate::tls;
use crate::version::Version;

/// What this calls itself in `pg_stat_activity`, unless the data source says otherwise.
const APPLICATION_NAME: &str = "vigie-postgres-exporter";
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
    client: Client,
    tls: Option<MakeRustlsConnect>,
    /// The server's version.
    pub(crate) version: Version,
    /// What `version()` says.
    pub(crate) version_text: String,
    /// The database's name.
    pub(crate) database: String,
    statements: HashMap<String, Statement>,
    /// Whether prepared statements live as long as the connection.
    keeps_statements: bool,
    /// Types of the columns of users' queries.
    types: HashMap<String, Vec<Type>>,
    /// Whether a query could not be cancelled.
    broken: bool,
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
        // Ends when the client is dropped. What goes wrong shows in the query that waits for it.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(err = %error_text(error), "connection ended");
            }
        });
        let settings = session_settings(dsn, version, query_limit);
        let messages = client
            .simple_query(&format!("{settings}SELECT version(), current_database()"))
            .await
            .map_err(error_text)?;
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
        Ok(Self {
            client,
            tls,
            version,
            version_text,
            database,
            statements: HashMap::new(),
            keeps_statements: true,
            types: HashMap::new(),
            broken: false,
        })
    }

    /// Whether the connection is gone.
    fn is_closed(&self) -> bool {
        self.broken || self.client.is_closed()
    }

    /// Whether the server answers on this connection.
    pub(crate) async fn is_alive(&self, deadline: Instant) -> bool {
        !self.is_closed() && matches!(timeout_at(deadline, self.client.check_connection()).await, Ok(Ok(())))
    }

    /// The rows of one of the exporter's own queries. What it may take is `limit`; then it is cancelled on the server too, and the
    /// connection serves on.
    pub(crate) async fn rows(&mut self, sql: &str, limit: Duration) -> Result<Rows, QueryError> {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.prepared_rows(sql)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.cancel(limit).await),
        }
    }

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

    /// The rows of a user's query, in the same way.
    pub(crate) async fn text_rows(&mut self, sql: &str, limit: Duration) -> Result<Rows, QueryError> {
        let deadline = Instant::now() + limit;
        match timeout_at(deadline, self.simple_rows(sql)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.cancel(limit).await),
        }
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

    /// Forgets what is known of users' queries, whose columns may have changed.
    pub(crate) fn forget_types(&mut self) {
        self.types.clear();
    }

    async fn cancel(&mut self, limit: Duration) -> QueryError {
        let token = self.client.cancel_token();
        let cancel = async {
            match self.tls.clone() {
                Some(tls) => token.cancel_query(tls).await,
                None => token.cancel_query(NoTls).await,
            }
        };
        let _ = tokio::time::timeout(CANCEL_TIME, cancel).await;
        // The connection is good again once it answers; else a new one will serve the next scrape.
        if tokio::time::timeout(CANCEL_TIME, self.client.check_connection()).await.is_err() {
            self.broken = true;
        }
        QueryError::Timeout(limit)
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

/// Parameters of libpq and lib/pq that are dealt with elsewhere or mean nothing here.
const NOT_FOR_THE_SERVER: [&str; 14] = [
    "client_encoding",
    "datestyle",
    "extra_float_digits",
    "binary_parameters",
    "disable_prepared_binary_result",
    "passfile",
    "sslcompression",
    "sslsni",
    "sslinline",
    "sslpassword",
    "gssencmode",
    "krbsrvname",
    "service",
    "target_session_attrs",
];

fn client_config(dsn: &Dsn) -> Result<Config, String> {
    let mut config = Config::new();
    config.application_name(APPLICATION_NAME);
    let wrong = |name: &str, value: &str| format!("{name}: unexpected {value:?}");
    let mut options = String::new();
    for (name, value) in dsn.params() {
        match name {
            "host" => {
                for host in value.split(',') {
                    config.host(host);
                }
            }
            "hostaddr" => {
                for address in value.split(',') {
                    config.hostaddr(address.parse().map_err(|_| wrong(name, value))?);
                }
            }
            "port" => {
                for port in value.split(',') {
                    config.port(port.parse().map_err(|_| wrong(name, value))?);
                }
            }
            "user" => drop(config.user(value)),
            "dbname" => drop(config.dbname(value)),
            "application_name" | "fallback_application_name" => drop(config.application_name(value)),
            "keepalives" => drop(config.keepalives(value != "0")),
            "options" => {
                options.push(' ');
                options.push_str(value);
            }
            "sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "connect_timeout" => {}
            name if NOT_FOR_THE_SERVER.contains(&name) || name.starts_with("keepalives_") => {}
            // As lib/pq does, anything else is a setting of the session.
            name => {
                options.push_str(" -c ");
                options.push_str(name);
                options.push('=');
                for c in value.chars() {
                    if c == ' ' || c == '\\' {
                        options.push('\\');
                    }
                    options.push(c);
                }
            }
        }
    }
    if dsn.get("host").is_none() && dsn.get("hostaddr").is_none() {
        config.host("localhost");
    }
    if !dsn.password().is_empty() {
        config.password(dsn.password());
    }
    if !options.is_empty() {
        config.options(options.trim_start());
    }
    Ok(config)
}

/// Settings that make a session cheap and its texts predictable. Just-in-time compilation of these queries costs a server more than
/// running them, and its memory is not given back; workers are for those who have data to read.
fn session_settings(dsn: &Dsn, version: Version, query_limit: Duration) -> String {
    let mut out = String::from("SET datestyle='ISO, MDY';SET standard_conforming_strings=on;");
    let own = |name: &str| {
        dsn.get(name).is_some() || dsn.get("options").is_some_and(|options| options.contains(name))
    };
    if version >= Version::major(11) && !own("jit") {
        out.push_str("SET jit=off;");
    }
    if version >= (Version { major: 9, minor: 6, patch: 0 }) && !own("max_parallel_workers_per_gather") {
        out.push_str("SET max_parallel_workers_per_gather=0;");
    }
    if !own("statement_timeout") {
        out.push_str(&format!(
            "SET statement_timeout={};",
            query_limit.as_millis().clamp(1, i32::MAX as u128)
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_version_and_data_source() {
        let dsn = Dsn::parse("host=h options='-c jit=on' statement_timeout=5").unwrap();
        let text = session_settings(&dsn, Version::major(15), Duration::from_secs(60));
        assert!(
            !text.contains("jit") && !text.contains("statement_timeout") && text.contains("workers"),
            "{text}"
        );
        let plain = Dsn::parse("host=h").unwrap();
        let text = session_settings(&plain, Version::major(15), Duration::from_secs(60));
        assert!(text.contains("SET jit=off;") && text.contains("SET statement_timeout=60000;"), "{text}");
        assert!(!session_settings(&plain, Version::major(10), Duration::ZERO).contains("jit"));
    }

    #[test]
    fn unknown_parameters_go_to_the_server() {
        let dsn = Dsn::parse("host=a,b port=1,2 user=u search_path='a b' sslmode=disable options='-c x=1'")
            .unwrap();
        let config = client_config(&dsn).unwrap();
        assert_eq!(config.get_options(), Some("-c x=1 -c search_path=a\\ b"));
        assert_eq!(
            (config.get_hosts().len(), config.get_ports(), config.get_user()),
            (2, &[1, 2][..], Some("u"))
        );
        assert_eq!(config.get_application_name(), Some(APPLICATION_NAME));
    }

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
