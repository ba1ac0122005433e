//! The exporters inside `vigie run`: scraped by a call, and reachable on their usual ports where these are free.
//!
//! Each is a job of its own name with one target, `localhost:PORT`, so that its series have the labels they would have if the original were
//! scraped. A `prometheus.yml` that names such a target already, or has a job of that name, is left as it is: its own target is answered
//! by a call too, unless another program listens there.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use config::{Config, ScrapeConfig};
use scrape::{LocalPages, LocalReply, LocalReplyFuture};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::Failure;
use crate::flags::{self, Outcome, Parsed};

/// An exporter of this process.
pub(crate) struct BuiltIn {
    /// Where it is to be scraped.
    pub(crate) job: BuiltInJob,
    /// All its routes.
    pub(crate) router: Router,
    /// Whether it has its port; another program may have it.
    has_port: bool,
}

/// A job that is there without being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BuiltInJob {
    /// `job`
    pub(crate) name: &'static str,
    /// The target, and so `instance`.
    pub(crate) target: String,
    /// All forms in which a configuration may name the target.
    pub(crate) names: Vec<String>,
}

/// The exporters that are on: job, flag with the address, usual port.
pub(crate) fn on(flags: &Parsed) -> impl Iterator<Item = (&'static str, &'static str, u16)> {
    let database = ["DATA_SOURCE_URI", "DATA_SOURCE_URI_FILE"];
    let has_database = database.iter().any(|variable| std::env::var_os(variable).is_some());
    [
        (flags.is_on("node-exporter"), "node", "node-exporter.listen-address", 9100),
        (
            has_database || !flags.get("postgres.url").is_empty(),
            "postgres",
            "postgres-exporter.listen-address",
            9187,
        ),
        (!flags.get("redis.url").is_empty(), "redis", "redis-exporter.listen-address", 9121),
    ]
    .into_iter()
    .filter_map(|(on, job, flag, port)| on.then_some((job, flag, port)))
}

/// What a job watches, for a person.
pub(crate) fn subject(job: &str) -> &'static str {
    match job {
        "node" => "this host",
        "postgres" => "PostgreSQL",
        _ => "Redis",
    }
}

/// All routes of the exporter of a job, with the settings that its environment variables give.
pub(crate) fn router(job: &str, flags: &Parsed) -> Result<Router, Failure> {
    let alone = |command: &flags::Command, arguments: &[String]| match command.parse(arguments) {
        Ok(Outcome::Run(parsed)) => Ok(parsed),
        Ok(Outcome::Print(text)) => Err(Failure::usage(text)),
        Err(e) => Err(Failure::usage(format!("{}: {e}", command.name))),
    };
    match job {
        "node" => {
            let arguments = flags.arguments_of(flags::node_exporter::HOST);
            super::node_exporter::router(&alone(&flags::node_exporter::COMMAND, &arguments)?)
        }
        "postgres" => {
            let url = flags.get("postgres.url");
            // The flag is the variable's value where it was not given.
            let environment = |variable: &str| match variable {
                "DATA_SOURCE_NAME" => Some(url.to_owned()).filter(|url| !url.is_empty()),
                _ => std::env::var(variable).ok(),
            };
            super::postgres_exporter::router_in(
                &alone(&flags::postgres_exporter::COMMAND, &[])?,
                &environment,
            )
        }
        _ => {
            let arguments = [format!("--redis.addr={}", flags.get("redis.url"))];
            super::redis_exporter::router(&alone(&flags::redis_exporter::COMMAND, &arguments)?)
        }
    }
}

/// How a job came out beside what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// It was added.
    Added,
    /// A job scrapes this target already.
    Written,
    /// A job of this name scrapes other targets.
    NameTaken,
}

impl BuiltIn {
    /// An exporter that is to listen on `address`, with its listener. A port that is taken is left to whoever has it.
    pub(crate) async fn new(
        name: &'static str,
        address: &str,
        router: Router,
    ) -> Result<(Self, Option<TcpListener>), Failure> {
        let listener = match web::server::bind(address).await {
            Ok(listener) => Some(listener),
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
                tracing::info!(
                    job = name,
                    address,
                    "Another program listens here; the built-in exporter is asked without a socket"
                );
                None
            }
            Err(e) => return Err(Failure::new(e.to_string())),
        };
        let target = format!("localhost:{}", super::prometheus::port_of(address));
        let mut names = super::run::names_of(address);
        names.push(target.clone());
        let job = BuiltInJob { name, target, names };
        Ok((Self { job, router, has_port: listener.is_some() }, listener))
    }

    /// Whether a call answers for the target. Not where the configuration means another program that listens there.
    pub(crate) fn answers(&self, beside: Beside) -> bool {
        self.has_port || beside != Beside::Written
    }
}

impl BuiltInJob {
    /// Adds the job, unless what is written stands against it.
    pub(crate) fn join(&self, config: &mut Config) -> Beside {
        if self.is_written(config) {
            return Beside::Written;
        }
        if config.scrape_configs.iter().any(|c| c.job_name == self.name) {
            return Beside::NameTaken;
        }
        config.scrape_configs.push(ScrapeConfig::built_in(self.name, &self.target, &config.global));
        Beside::Added
    }

    fn is_written(&self, config: &Config) -> bool {
        let names: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
        let jobs = config.scrape_configs.iter().chain(config.imported_scrape_configs.iter());
        jobs.flat_map(|c| &c.discovery.static_configs)
            .flat_map(|group| &group.targets)
            .any(|target| names.contains(target.as_str()))
    }
}

/// A router of this process as a target.
pub(crate) struct RouterPages(Router);

/// Makes targets of a router's pages.
pub(crate) fn pages(router: Router) -> Arc<dyn LocalPages> {
    Arc::new(RouterPages(router))
}

impl LocalPages for RouterPages {
    fn get<'a>(&'a self, uri: &'a Uri, headers: &'a HeaderMap) -> LocalReplyFuture<'a> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri.path_and_query().map_or_else(Uri::default, |p| Uri::from(p.clone()));
        *request.headers_mut() = headers.clone();
        // Nothing is gained by compressing for oneself.
        request.headers_mut().remove(header::ACCEPT_ENCODING);
        let router = self.0.clone();
        Box::pin(async move {
            let Ok(response) = router.oneshot(request).await;
            let (parts, body) = response.into_parts();
            // What this process writes is not measured here; the scrape's own limit is.
            match to_bytes(body, usize::MAX).await {
                Ok(body) => LocalReply {
                    status: parts.status,
                    content_type: parts.headers.get(header::CONTENT_TYPE).cloned(),
                    body: body.into(),
                },
                Err(e) => LocalReply {
                    status: StatusCode::INTERNAL_SERVER_ERROR,
                    content_type: None,
                    body: e.to_string().into_bytes(),
                },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn job() -> BuiltInJob {
        let names = ["127.0.0.1:9100", "localhost:9100"].map(str::to_owned).to_vec();
        BuiltInJob { name: "node", target: "localhost:9100".to_owned(), names }
    }

    #[test]
    fn what_is_written_stands() {
        for (jobs, expect, count) in [
            ("[]", Beside::Added, 1),
            ("[{job_name: app, static_configs: [{targets: ['localhost:8000']}]}]", Beside::Added, 2),
            (
                "[{job_name: hosts, static_configs: [{targets: ['a:9100', '127.0.0.1:9100']}]}]",
                Beside::Written,
                1,
            ),
            ("[{job_name: node, static_configs: [{targets: ['a:9100']}]}]", Beside::NameTaken, 1),
        ] {
            let mut config =
                config::load_str(&format!("scrape_configs: {jobs}"), Path::new("t")).unwrap().value;
            assert_eq!(job().join(&mut config), expect, "{jobs}");
            assert_eq!(config.scrape_configs.len(), count, "{jobs}");
        }
    }

    #[tokio::test]
    async fn a_router_answers_with_query_and_headers() {
        let route = axum::routing::get(|uri: Uri, headers: HeaderMap| async move {
            format!("{uri} {}", headers.contains_key(header::ACCEPT_ENCODING))
        });
        let pages = pages(Router::new().route("/probe", route));
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, "gzip".parse().unwrap())]);
        let uri: Uri = "http://localhost:9187/probe?target=a".parse().unwrap();
        let reply = pages.get(&uri, &headers).await;
        assert_eq!((reply.status, reply.body.as_slice()), (StatusCode::OK, &b"/probe?target=a false"[..]));
        let missing: Uri = "http://localhost:9187/none".parse().unwrap();
        assert_eq!(pages.get(&missing, &headers).await.status, StatusCode::NOT_FOUND);
    }
}
