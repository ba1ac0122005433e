//! The Prometheus role: store, engine, scraping, rules, notification, API.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use parking_lot::RwLock;
use remote::write::{Limits, Receiver};
use telemetry::{Gauge, Registry};
use tokio::sync::mpsc;
use web::api::{Api, BuildInfo, Lifecycle, ReloadRequest, RemoteWrite, RuntimeFacts, Turns};
use web::server::{ServerOptions, Shutdown};

use super::built_in::{self, BuiltIn};
use super::configuration::{Checked, Configuration};
use super::query_watch::Watch;
use super::store::{StoreConfig, StoreFlags};
use super::{Clock, features, metrics, store_metrics};
use crate::Failure;
use crate::flags::Parsed;

/// How the role runs.
pub(crate) struct Options {
    /// What is to be done, read again at each reload.
    pub(crate) configuration: Configuration,
    /// The store's directory.
    pub(crate) storage_path: PathBuf,
    /// The store's flags.
    pub(crate) store: StoreFlags,
    /// Where others reach this role.
    pub(crate) external_url: url::Url,
    /// The port it listens on.
    pub(crate) listen_port: u16,
    /// `--web.enable-lifecycle`
    pub(crate) enable_lifecycle: bool,
    /// What else may be done over HTTP.
    pub(crate) ways_in: WaysIn,
    /// `--web.cors.origin`
    pub(crate) cors_origin: String,
    /// Evaluation of queries.
    pub(crate) engine: promql::EngineOptions,
    /// Evaluation of rules.
    pub(crate) rules: rules::ManagerOptions,
    /// Sending of alerts.
    pub(crate) notifier: notifier::ManagerOptions,
    /// The Alertmanager of this process, if there is one, and the addresses that mean it.
    pub(crate) local_alertmanager: Option<(Arc<dyn notifier::LocalAlertmanager>, Vec<String>)>,
    /// Exporters of this process, to be scraped without being written in the configuration.
    pub(crate) built_in: Vec<Arc<BuiltIn>>,
    /// Addresses of this process's other servers, and their pages.
    pub(crate) own_pages: Vec<(Vec<String>, Arc<dyn scrape::LocalPages>)>,
    /// The addresses that mean this role, where its own target needs no socket.
    pub(crate) own_names: Vec<String>,
    /// What `/api/v1/status/flags` shows.
    pub(crate) flags: BTreeMap<String, String>,
    /// The clock.
    pub(crate) clock: Clock,
}

/// What may be done over HTTP beyond reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaysIn {
    /// `--web.enable-admin-api`
    admin: bool,
    /// `--web.enable-remote-write-receiver`
    remote_write: bool,
}

impl WaysIn {
    /// Reads the flags.
    pub(crate) fn read(flags: &Parsed) -> Result<Self, Failure> {
        let messages = flags.all("web.remote-write-receiver.accepted-protobuf-messages");
        for message in messages.iter().flat_map(|m| m.split(',')) {
            match message {
                "prometheus.WriteRequest" => {}
                "io.prometheus.write.v2.Request" => {
                    tracing::warn!(message, "Remote write 2.0 is not received yet; senders are answered 415");
                }
                _ => {
                    return Err(Failure::usage(format!(
                        "--web.remote-write-receiver.accepted-protobuf-messages: unknown type for remote write protobuf message {message}, supported: prometheus.WriteRequest"
                    )));
                }
            }
        }
        Ok(Self {
            admin: flags.is_on("web.enable-admin-api"),
            remote_write: flags.is_on("web.enable-remote-write-receiver"),
        })
    }
}

/// A role that runs.
pub(crate) struct Running {
    /// All its routes, without a prefix.
    pub(crate) router: Router,
    /// Wishes to reload.
    pub(crate) reloads: mpsc::Sender<ReloadRequest>,
    parts: Arc<Parts>,
}

struct Parts {
    configuration: Configuration,
    store: Arc<tsdb::Store>,
    store_path: PathBuf,
    store_flags: StoreFlags,
    /// In force since the store was opened.
    store_config: StoreConfig,
    scrape: Arc<scrape::Manager>,
    rules: Arc<rules::Manager>,
    notifier: Arc<notifier::Manager>,
    watch: Arc<Watch>,
    api: Arc<Api>,
    config_yaml: Arc<RwLock<String>>,
    reload_success: Gauge,
    reload_time: Gauge,
    clock: Clock,
}

/// `vigie prometheus`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    let listen = flags.all("web.listen-address").to_vec();
    let first = listen.first().map_or("0.0.0.0:9090", String::as_str).to_owned();
    let external_url = super::external_url(flags.get("web.external-url"), &first)?;
    let prefix = match flags.get("web.route-prefix") {
        "" => external_url.path().to_owned(),
        given => given.to_owned(),
    };
    let server = server_options(flags)?;
    let engine = engine_options(flags)?;
    let options = Options {
        configuration: Configuration::of_file(PathBuf::from(flags.get("config.file"))),
        storage_path: PathBuf::from(flags.get("storage.tsdb.path")),
        store: StoreFlags::read(flags)?,
        listen_port: port_of(&first),
        enable_lifecycle: flags.is_on("web.enable-lifecycle"),
        ways_in: WaysIn::read(flags)?,
        cors_origin: flags.get("web.cors.origin").to_owned(),
        rules: rules_options(flags, &external_url, &engine.parser)?,
        engine,
        notifier: notifier_options(flags)?,
        local_alertmanager: None,
        built_in: Vec::new(),
        own_pages: Vec::new(),
        own_names: Vec::new(),
        flags: flags.in_force(),
        clock: super::system_clock(),
        external_url,
    };
    super::runtime()?.block_on(async move {
        let shutdown = Shutdown::default();
        let running = start(options, &shutdown).await?;
        crate::signals::listen(shutdown.clone(), vec![running.reloads.clone()])
            .map_err(|e| Failure::new(format!("install signal handlers: {e}")))?;
        let router = super::under_prefix(running.router.clone(), &prefix);
        let served = super::serve_all(&listen, router, &server, &shutdown).await;
        running.stop().await;
        served
    })
}

fn server_options(flags: &Parsed) -> Result<ServerOptions, Failure> {
    let file = flags.get("web.config.file");
    Ok(ServerOptions {
        web_config: (!file.is_empty()).then(|| PathBuf::from(file)),
        max_connections: flags.number("web.max-connections")?,
        read_timeout: flags.duration("web.read-timeout")?,
        ..ServerOptions::default()
    })
}

pub(crate) fn engine_options(flags: &Parsed) -> Result<promql::EngineOptions, Failure> {
    let lookback = flags.duration("query.lookback-delta")?;
    let max_memory = flags.get("query.vigie.max-memory");
    let max_bytes = config::ByteSize::parse(max_memory)
        .map_err(|e| Failure::new(format!("--query.vigie.max-memory: {e}; write it as 512MB or 2GB")))?;
    let mut options = promql::EngineOptions {
        lookback_ms: i64::try_from(lookback.as_millis()).unwrap_or(i64::MAX),
        max_samples: flags.number("query.max-samples")?,
        max_bytes: max_bytes.0,
        timeout: flags.duration("query.timeout")?,
        max_concurrency: flags.number("query.max-concurrency")?,
        ..promql::EngineOptions::default()
    };
    let names = flags.all("enable-feature").iter().flat_map(|f| f.split(',')).filter(|f| !f.is_empty());
    features::enable(names, &mut options);
    Ok(options)
}

fn rules_options(
    flags: &Parsed,
    external_url: &url::Url,
    parser: &promql::parser::ParserOptions,
) -> Result<rules::ManagerOptions, Failure> {
    Ok(rules::ManagerOptions {
        external_url: external_url.to_string(),
        resend_delay: flags.duration("rules.alert.resend-delay")?,
        for_outage_tolerance: flags.duration("rules.alert.for-outage-tolerance")?,
        for_grace_period: flags.duration("rules.alert.for-grace-period")?,
        max_concurrent_evals: flags.number("rules.max-concurrent-evals")?,
        parser: *parser,
    })
}

fn notifier_options(flags: &Parsed) -> Result<notifier::ManagerOptions, Failure> {
    Ok(notifier::ManagerOptions {
        queue_capacity: flags.number("alertmanager.notification-queue-capacity")?,
        max_batch: flags.number("alertmanager.notification-batch-size")?,
        drain_on_shutdown: flags.is_on("alertmanager.drain-notification-queue-on-shutdown"),
        user_agent: scrape::ManagerOptions::default().user_agent,
        ..notifier::ManagerOptions::default()
    })
}

/// The port of an address, 0 where it has none.
pub(crate) fn port_of(address: &str) -> u16 {
    address.rsplit_once(':').and_then(|(_, p)| p.parse().ok()).unwrap_or(0)
}

/// Starts all parts with the configuration and returns once they run. Must be called within the runtime.
pub(crate) async fn start(options: Options, shutdown: &Shutdown) -> Result<Running, Failure> {
    let checked = options.configuration.read(&options.engine.parser)?;
    let registry = Registry::new();
    let clock = Arc::clone(&options.clock);
    super::create_dir(&options.storage_path)?;
    let opening = Instant::now();
    let store_config = StoreConfig::resolve(&checked.config.value, &options.store, &options.storage_path)?;
    let store_options = options.store.options(&store_config, Arc::clone(&clock));
    let path = options.storage_path.clone();
    let store = tokio::task::spawn_blocking(move || tsdb::Store::open(&path, store_options))
        .await
        .map_err(|e| Failure::new(format!("open the store: {e}")))?
        .map_err(|e| Failure::new(format!("open the store in {}: {e}", options.storage_path.display())))?;
    tracing::info!(duration = ?opening.elapsed(), "TSDB started");

    let engine = promql::Engine::new(options.engine);
    let watch =
        Watch::new(&options.storage_path, engine.turns(), engine.options(), &registry, Arc::clone(&clock));
    let watch = Arc::new(watch);
    let engine = Arc::new(engine.with_watch(watch.clone()));
    let mut notifier = notifier::Manager::new(options.notifier);
    if let Some((local, addresses)) = options.local_alertmanager {
        notifier = notifier.with_local(local, addresses);
    }
    let notifier = Arc::new(notifier);
    let scrape =
        Arc::new(scrape::Manager::new(store.clone(), store.clone(), scrape::ManagerOptions::default()));
    let exporters = options.built_in.iter().zip(&checked.beside);
    for (exporter, _) in exporters.filter(|(exporter, beside)| exporter.answers(**beside)) {
        scrape.add_local(exporter.job.names.clone(), &built_in::pages(exporter.router.clone()));
    }
    for (names, pages) in options.own_pages {
        scrape.add_local(names, &pages);
    }
    let rules = Arc::new(rules::Manager::new(
        Arc::clone(&engine),
        store.clone(),
        (store.clone(), store.clone()),
        notifier.clone(),
        options.rules,
    ));

    let (reloads, wishes) = mpsc::channel(4);
    let lifecycle = Lifecycle::new(options.enable_lifecycle, reloads.clone(), shutdown.clone());
    let config_yaml = Arc::new(RwLock::new(String::new()));
    let build = build_info();
    metrics::register(&registry, &build, &engine, &scrape, &rules, &notifier);
    store_metrics::register(&registry, &store, store_config.retention);
    let cors_origin = model::anchored(&options.cors_origin)
        .map_err(|e| Failure::new(format!("--web.cors.origin: {:?}: {e}", options.cors_origin)))?;
    let ways = features::Ways {
        admin: options.ways_in.admin,
        lifecycle: options.enable_lifecycle,
        remote_write: options.ways_in.remote_write,
    };
    let api = Arc::new(Api {
        turns: Turns::new(engine.options().max_concurrency),
        features: features::of(engine.options(), ways),
        engine,
        store: store.clone(),
        store_status: store.clone(),
        store_admin: store.clone(),
        enable_admin: options.ways_in.admin,
        exemplars: Some(store.clone()),
        remote_write: remote_write(options.ways_in, &store, &registry)?,
        scrape: Arc::clone(&scrape),
        rules: Arc::clone(&rules),
        notifier: Arc::clone(&notifier),
        http_requests: registry.counter(
            "prometheus_http_requests_total",
            "Counter of HTTP requests.",
            &["handler", "code"],
        ),
        http_durations: registry.histogram(
            "prometheus_http_request_duration_seconds",
            "Histogram of latencies for HTTP requests.",
            &["handler"],
            &[0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0],
        ),
        registry: registry.clone(),
        config_yaml: Arc::clone(&config_yaml),
        flags: options.flags,
        lifecycle,
        runtime: RuntimeFacts { start_ms: clock(), storage_retention: store_config.retention.text() },
        build,
        external_url: options.external_url,
        cors_origin,
        listen_port: options.listen_port,
        clock: Arc::clone(&clock),
    });
    let parts = Arc::new(Parts {
        configuration: options.configuration,
        store,
        store_path: options.storage_path,
        store_flags: options.store,
        store_config,
        scrape,
        rules,
        notifier,
        watch,
        api: Arc::clone(&api),
        config_yaml,
        reload_success: registry
            .gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
                &[],
            )
            .with(&[]),
        reload_time: registry
            .gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
                &[],
            )
            .with(&[]),
        clock,
    });
    let router = web::api::router(Arc::clone(&api));
    parts.scrape.add_local(options.own_names, &built_in::pages(router.clone()));
    parts.apply(checked).await.map_err(Failure::new)?;
    api.lifecycle.set_ready();
    tracing::info!("Server is ready to receive web requests.");
    tokio::spawn(Arc::clone(&parts).reload_on(wishes));
    super::upkeep::spawn(
        Arc::clone(&parts.store),
        parts.store_flags.sync_interval_ms(),
        Arc::clone(&parts.clock),
        shutdown,
    );
    Ok(Running { router, reloads, parts })
}

/// The remote write receiver, if there is to be one.
fn remote_write(
    ways_in: WaysIn,
    store: &Arc<tsdb::Store>,
    registry: &Registry,
) -> Result<Option<RemoteWrite>, Failure> {
    if !ways_in.remote_write {
        return Ok(None);
    }
    let mut random = [0; 192];
    getrandom::fill(&mut random).map_err(|e| Failure::new(format!("no randomness from the system: {e}")))?;
    let receiver = Receiver::new(store.clone(), random, Limits::default(), registry);
    Ok(Some(RemoteWrite::new(Arc::new(receiver))))
}

impl Running {
    /// Stops what writes, then what sends, then the store.
    pub(crate) async fn stop(&self) {
        tracing::info!("Stopping scrape manager...");
        self.parts.scrape.stop().await;
        tracing::info!("Stopping rule manager...");
        self.parts.rules.stop().await;
        tracing::info!("Stopping notifier manager...");
        self.parts.notifier.stop().await;
        let store = Arc::clone(&self.parts.store);
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        match closed {
            Ok(Ok(())) => tracing::info!("See you next time!"),
            Ok(Err(e)) => tracing::error!(err = %e, "Closing the store failed"),
            Err(e) => tracing::error!(err = %e, "Closing the store ended abnormally"),
        }
    }
}

impl Parts {
    /// Answers wishes to reload, one after the other.
    async fn reload_on(self: Arc<Self>, mut wishes: mpsc::Receiver<ReloadRequest>) {
        while let Some(answer) = wishes.recv().await {
            let parts = Arc::clone(&self);
            let checked = tokio::task::spawn_blocking(move || {
                parts.configuration.read(&parts.api.engine.options().parser)
            })
            .await;
            let outcome = match checked {
                Ok(Ok(checked)) => self.apply(checked).await,
                Ok(Err(failure)) => {
                    Err(format!("{}\nthe former configuration stays in force", failure.message))
                }
                Err(e) => Err(format!("reading the configuration ended abnormally: {e}")),
            };
            if let Err(e) = &outcome {
                tracing::error!(err = %e, "Error reloading config");
                self.note(false);
            }
            // Whoever wished may have gone away.
            let _ = answer.send(outcome);
        }
    }

    async fn apply(&self, checked: Checked) -> Result<(), String> {
        let Checked { config, rule_files, .. } = checked;
        for warning in &config.warnings {
            tracing::warn!(warning = %warning, "Configuration");
        }
        let store = StoreConfig::resolve(&config.value, &self.store_flags, &self.store_path)
            .map_err(|failure| failure.message)?;
        for setting in self.store_config.changed_in(&store) {
            tracing::warn!(setting, "This setting has changed; it is in force from the next start on");
        }
        self.watch
            .open_log(&config.value.global.query_log_file)
            .map_err(|e| format!("query_log_file: {e}"))?;
        let interval = config.value.global.evaluation_interval;
        self.api.engine.set_default_subquery_step(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX));
        self.notifier.apply(&config.value).map_err(|e| e.to_string())?;
        self.rules.apply(&config.value, rule_files).await.map_err(|e| e.to_string())?;
        // Last, because it is the one that can succeed in part: what it could not take goes on as before.
        let refused = self.scrape.apply(&config.value).await.err();
        *self.config_yaml.write() = config.value.to_yaml();
        if let Some(refused) = refused {
            return Err(format!("{}\nall else of the new configuration is in force", refused.join("; ")));
        }
        self.note(true);
        tracing::info!(filename = %self.configuration.origin().display(), "Completed loading of configuration file");
        Ok(())
    }

    fn note(&self, success: bool) {
        let now_ms = (self.clock)();
        self.api.lifecycle.note_reload(success, now_ms);
        self.reload_success.set(f64::from(u8::from(success)));
        if success {
            self.reload_time.set(now_ms as f64 / 1000.0);
        }
    }
}

/// What this program was built from.
pub(crate) fn build_info() -> BuildInfo {
    BuildInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: option_env!("VIGIE_REVISION").unwrap_or("").to_owned(),
        branch: option_env!("VIGIE_BRANCH").unwrap_or("").to_owned(),
        build_user: String::new(),
        build_date: String::new(),
        go_version: format!("rustc {}", env!("CARGO_PKG_RUST_VERSION")),
    }
}
