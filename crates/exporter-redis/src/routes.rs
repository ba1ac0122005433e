//! The exporter's routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use exporters::http::{Landing, MetricsOptions, OwnMetrics};
use exporters::{Exporter, Gathering, Query};
use http::{HeaderMap, StatusCode, Uri, header};
use httpclient::Tls;
use parking_lot::{Mutex, RwLock};

use crate::Options;
use crate::address::{Address, Place};
use crate::cluster::{self, ByName};
use crate::connect::Credentials;
use crate::exporter::{Scrapes, Target};
use crate::scan::Scanner;
use crate::server::{Passwords, Server};

/// Targets of `/scrape` whose scans are remembered.
const MAX_SCANNERS: usize = 256;

/// The exporter.
pub struct RedisExporter {
    options: Arc<Options>,
    address: Option<Address>,
    tls: Arc<Tls>,
    passwords: RwLock<Passwords>,
    scrapes: Arc<Scrapes>,
    scanner: Option<Arc<Scanner>>,
    /// Scans of the targets of `/scrape`, by what is looked for where.
    scanners: Mutex<HashMap<String, Arc<Scanner>>>,
    request_errors: AtomicU64,
}

impl std::fmt::Debug for RedisExporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisExporter").field("address", &self.address).finish_non_exhaustive()
    }
}

impl RedisExporter {
    /// Made once; its scans begin with the first scrape.
    ///
    /// # Errors
    /// When the address, the password file or the TLS files make no sense; the text has no password.
    pub fn new(options: Options) -> Result<Arc<Self>, String> {
        let named = Some(options.address.as_str()).filter(|a| !a.is_empty());
        let address = named.map(Address::parse).transpose().map_err(|e| format!("-redis.addr: {e}"))?;
        let tls = Arc::new(Tls::new(&options.tls).map_err(|e| e.to_string())?);
        let passwords = match &options.password_file {
            Some(file) => {
                let passwords = Passwords::load(file).map_err(|e| format!("-redis.password-file: {e}"))?;
                tracing::info!(entries = passwords.len(), file = %file.display(), "Loaded passwords");
                passwords
            }
            None => Passwords::default(),
        };
        let scanner = scanner(&options);
        Ok(Arc::new(Self {
            options: Arc::new(options),
            address,
            tls,
            passwords: RwLock::new(passwords),
            scrapes: Arc::default(),
            scanner,
            scanners: Mutex::default(),
            request_errors: AtomicU64::new(0),
        }))
    }

    /// All routes.
    pub fn router(self: &Arc<Self>) -> Router {
        let own = if self.options.only_redis { OwnMetrics::None } else { OwnMetrics::ProcessAlone };
        let path = &self.options.metrics_path;
        let exporter: Arc<dyn Exporter> = Arc::new(Main(Arc::clone(self)));
        let metrics = exporters::http::metrics(path, exporter, MetricsOptions { own, max_requests: 0 });
        let mut router = metrics.route("/health", get(|| async { "ok" }));
        if path != "/" {
            let landing = Landing {
                name: "Redis Exporter",
                description: "Metrics of Redis and Valkey",
                version: env!("CARGO_PKG_VERSION"),
                links: &[(path, "Metrics")],
            };
            router = router.merge(landing.route());
        }
        let this = || Arc::clone(self);
        if self.options.scrape_endpoint {
            let exporter = this();
            let scrape = get(move |uri: Uri, headers: HeaderMap| {
                let exporter = Arc::clone(&exporter);
                async move { exporter.scrape(&exporters::http::query(&uri, &headers)).await }
            });
            router = router.route("/scrape", scrape);
        }
        let (reloading, discovering) = (this(), this());
        let reload = move || std::future::ready(reloading.reload());
        let discover = move || {
            let exporter = Arc::clone(&discovering);
            async move { exporter.discover().await }
        };
        // The original takes any method.
        router
            .route("/-/reload", get(reload.clone()).post(reload))
            .route("/discover-cluster-nodes", get(discover))
    }

    fn server(&self, address: &Address, user: Option<String>, tls: Arc<Tls>) -> Server {
        let flags = &self.options.credentials;
        let flags =
            Credentials { user: user.or_else(|| flags.user.clone()), password: flags.password.clone() };
        let credentials = self.passwords.read().credentials(address, &flags);
        Server { address: address.clone(), credentials, tls, timeout: self.options.timeout }
    }

    fn main_server(&self) -> Option<Server> {
        self.address.as_ref().map(|address| self.server(address, None, Arc::clone(&self.tls)))
    }

    async fn scrape(&self, query: &Query) -> Response {
        match self.target(query) {
            Ok(target) => {
                // Each scrape counts as the first, as with the original, which makes an exporter for each.
                exporters::http::page(&target.page(query.timeout, 0).await)
            }
            Err(text) => {
                self.request_errors.fetch_add(1, Ordering::Relaxed);
                (StatusCode::BAD_REQUEST, format!("{text}\n")).into_response()
            }
        }
    }

    fn target(&self, query: &Query) -> Result<Target, String> {
        let Some(text) = query.get("target").filter(|t| !t.is_empty()) else {
            return Err("'target' parameter must be specified".to_owned());
        };
        let address =
            Address::parse(text).map_err(|e| format!("Invalid 'target' parameter, parse err: {e}"))?;
        let options = self.options.with_query(query).map_err(|e| format!("NewRedisExporter() error: {e}"))?;
        // Passwords do not belong in a URL that everybody logs: only the user's name counts, and it may stand alone.
        let user = address.user.clone().or_else(|| address.password.clone());
        let address = address.without_credentials();
        let tls = if options.tls == self.options.tls {
            Arc::clone(&self.tls)
        } else {
            Arc::new(Tls::new(&options.tls).map_err(|e| format!("NewRedisExporter() error: {e}"))?)
        };
        let server = self.server(&address, user.clone(), tls);
        let scanner = self.scanner_of(&format!("{address:?} {user:?}"), &options);
        Ok(Target { options: Arc::new(options), server: Some(server), scanner, scrapes: Arc::default() })
    }

    /// The scanner of a target; a new one takes the place of any other when there are too many.
    fn scanner_of(&self, whose: &str, options: &Options) -> Option<Arc<Scanner>> {
        let new = scanner(options)?;
        let key = format!("{whose} {:?}", options.plan());
        let mut scanners = self.scanners.lock();
        if scanners.len() >= MAX_SCANNERS && !scanners.contains_key(&key) {
            // Those that no scan holds can go; if all are at work, any.
            scanners.retain(|_, scanner| Arc::strong_count(scanner) > 1);
            if scanners.len() >= MAX_SCANNERS {
                scanners.clear();
            }
        }
        Some(Arc::clone(scanners.entry(key).or_insert(new)))
    }

    fn reload(&self) -> Response {
        let Some(file) = &self.options.password_file else {
            return (StatusCode::BAD_REQUEST, "There is no pwd file specified\n").into_response();
        };
        match Passwords::load(file) {
            Ok(passwords) => {
                tracing::info!(entries = passwords.len(), file = %file.display(), "Loaded passwords");
                *self.passwords.write() = passwords;
                "ok".into_response()
            }
            Err(e) => {
                tracing::error!(err = %e, "Error reloading redis passwords");
                let text = format!("failed to reload passwords file: {e}\n");
                (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
            }
        }
    }

    async fn discover(&self) -> Response {
        let (Some(server), true) = (self.main_server(), self.options.cluster) else {
            let text = "The discovery endpoint is only available on a redis cluster\n";
            return (StatusCode::BAD_REQUEST, text).into_response();
        };
        let failed = |text: String| (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
        let mut connection = match server.connect(None).await {
            Ok(connection) => connection,
            Err(e) => return failed(format!("Couldn't connect to redis cluster: {e}\n")),
        };
        let reply = connection.ask(&["CLUSTER", "NODES"]).await.map_err(|e| e.to_string());
        let text = reply.and_then(|reply| match reply.error() {
            Some(text) => Err(text.to_owned()),
            None => reply.into_text().ok_or_else(|| "the server's reply is no text".to_owned()),
        });
        let text = match text {
            Ok(text) => text,
            Err(e) => return failed(format!("Failed to fetch cluster nodes: {e}\n")),
        };
        let by_name = if self.options.cluster_names { ByName::Yes } else { ByName::No };
        let scheme =
            if matches!(server.address.place, Place::Tcp { tls: true, .. }) { "rediss" } else { "redis" };
        let nodes = cluster::parse(&text);
        let targets: Vec<String> =
            nodes.iter().map(|n| format!("{scheme}://{}", n.endpoint(by_name))).collect();
        let body = serde_json::json!([{ "targets": targets, "labels": {} }]);
        ([(header::CONTENT_TYPE, "application/json")], format!("{body:#}")).into_response()
    }
}

fn scanner(options: &Options) -> Option<Arc<Scanner>> {
    let plan = options.plan();
    (!plan.is_empty()).then(|| Scanner::new(plan))
}

/// The page of the server that the flags name.
struct Main(Arc<RedisExporter>);

impl Exporter for Main {
    fn gather<'a>(&'a self, query: &'a Query) -> Gathering<'a> {
        Box::pin(async move {
            let exporter = &self.0;
            let target = Target {
                options: Arc::clone(&exporter.options),
                server: exporter.main_server(),
                scanner: exporter.scanner.clone(),
                scrapes: Arc::clone(&exporter.scrapes),
            };
            let errors = exporter.request_errors.load(Ordering::Relaxed);
            Ok(target.page(query.timeout, errors).await)
        })
    }
}
