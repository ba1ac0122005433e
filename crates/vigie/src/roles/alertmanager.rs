//! The Alertmanager role.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alertmanager::api::ApiOptions;
use alertmanager::{PostAlert, Service, ServiceOptions, SilenceLimits};
use axum::Router;
use model::{LabelSet, MetricType};
use telemetry::{Family, Gauge, Registry, labelled, register_process_metrics, single};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use web::api::ReloadRequest;
use web::server::{ServerOptions, Shutdown};

use super::Clock;
use crate::Failure;
use crate::flags::Parsed;

/// How the role runs.
pub(crate) struct Options {
    /// `alertmanager.yml`
    pub(crate) config_file: PathBuf,
    /// Where silences, the notification log and alerts are kept.
    pub(crate) storage_path: PathBuf,
    /// Where others reach this role.
    pub(crate) external_url: url::Url,
    /// How long expired silences and notifications are kept.
    pub(crate) retention: Duration,
    /// How often state is compacted.
    pub(crate) maintenance_interval: Duration,
    /// Silences kept at most, 0 for any number.
    pub(crate) max_silences: usize,
    /// The clock.
    pub(crate) clock: Clock,
}

/// A role that runs.
pub(crate) struct Running {
    /// All its routes, without a prefix.
    pub(crate) router: Router,
    /// Wishes to reload.
    pub(crate) reloads: mpsc::Sender<ReloadRequest>,
    /// The service, for the notifier of the same process.
    pub(crate) service: Arc<Service>,
    loop_task: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

/// `vigie alertmanager`
pub(crate) fn main(flags: &Parsed) -> Result<(), Failure> {
    let listen = flags.all("web.listen-address").to_vec();
    let first = listen.first().map_or(":9093", String::as_str).to_owned();
    let external_url = super::external_url(flags.get("web.external-url"), &first)?;
    let prefix = match flags.get("web.route-prefix") {
        "" => external_url.path().to_owned(),
        given => given.to_owned(),
    };
    let web_config = flags.get("web.config.file");
    let server = ServerOptions {
        web_config: (!web_config.is_empty()).then(|| PathBuf::from(web_config)),
        ..ServerOptions::default()
    };
    if server.web_config.is_none() && listen.iter().any(|a| !super::dashboards::is_loopback(a)) {
        // The original's default address, kept so that a unit file needs no change.
        tracing::warn!(
            address = %first,
            "Whoever reaches this address can silence alerts: give passwords with --web.config.file, or listen on 127.0.0.1"
        );
    }
    let options = Options {
        config_file: PathBuf::from(flags.get("config.file")),
        storage_path: PathBuf::from(flags.get("storage.path")),
        external_url,
        retention: flags.duration("data.retention")?,
        maintenance_interval: flags.duration("data.maintenance-interval")?,
        max_silences: usize::try_from(flags.number::<i64>("silences.max-silences")?).unwrap_or(0),
        clock: super::system_clock(),
    };
    super::runtime()?.block_on(async move {
        let shutdown = Shutdown::default();
        let running = start(options)?;
        crate::signals::listen(shutdown.clone(), vec![running.reloads.clone()])
            .map_err(|e| Failure::new(format!("install signal handlers: {e}")))?;
        let router = super::under_prefix(running.router.clone(), &prefix);
        let served = super::serve_all(&listen, router, &server, &shutdown).await;
        running.stop().await;
        served
    })
}

/// How a reload went, for the metrics.
struct ReloadGauges {
    success: Gauge,
    time: Gauge,
}

impl ReloadGauges {
    fn note(&self, success: bool, now_ms: i64) {
        self.success.set(f64::from(u8::from(success)));
        if success {
            self.time.set(now_ms as f64 / 1000.0);
        }
    }
}

/// Starts the role. Must be called within the runtime.
pub(crate) fn start(options: Options) -> Result<Running, Failure> {
    let loaded =
        alertmanager::config::load_file(&options.config_file).map_err(|e| Failure::new(e.to_string()))?;
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "Configuration");
    }
    super::create_dir(&options.storage_path)?;
    let service = Service::new(
        loaded.value,
        ServiceOptions {
            storage_path: Some(options.storage_path),
            external_url: options.external_url.as_str().trim_end_matches('/').to_owned(),
            retention: options.retention,
            maintenance_interval: options.maintenance_interval,
            silence_limits: SilenceLimits { max_silences: options.max_silences, ..SilenceLimits::default() },
            clock: Arc::clone(&options.clock),
            ..ServiceOptions::default()
        },
    )
    .map_err(|e| Failure::new(e.to_string()))?;
    let registry = Registry::new();
    register_process_metrics(&registry);
    let build = super::prometheus::build_info();
    super::metrics::register_build_info(&registry, "alertmanager_build_info", &build);
    let observed = Arc::clone(&service);
    registry.register(move || families(&observed));
    let gauges = Arc::new(ReloadGauges {
        success: registry
            .gauge(
                "alertmanager_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
                &[],
            )
            .with(&[]),
        time: registry
            .gauge(
                "alertmanager_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
                &[],
            )
            .with(&[]),
    });
    gauges.note(true, (options.clock)());

    let reload = {
        let (service, file, clock) =
            (Arc::clone(&service), options.config_file.clone(), Arc::clone(&options.clock));
        Arc::new(move || {
            let outcome =
                alertmanager::config::load_file(&file).map_err(|e| e.to_string()).and_then(|loaded| {
                    for warning in &loaded.warnings {
                        tracing::warn!(%warning, "Configuration");
                    }
                    service.reload(loaded.value).map_err(|e| e.to_string())
                });
            gauges.note(outcome.is_ok(), clock());
            match &outcome {
                Ok(()) => tracing::info!(file = %file.display(), "Completed loading of configuration file"),
                Err(e) => {
                    tracing::error!(file = %file.display(), err = %e, "Loading configuration file failed; the former one stays in force");
                }
            }
            outcome
        })
    };
    let api = ApiOptions {
        reload: reload.clone(),
        metrics: Arc::new(move || {
            let text = exposition::encode(&registry.gather(), exposition::content::negotiate(""));
            String::from_utf8_lossy(&text).into_owned()
        }),
        version: [
            ("version", build.version),
            ("revision", build.revision),
            ("branch", build.branch),
            ("buildUser", build.build_user),
            ("buildDate", build.build_date),
            ("goVersion", build.go_version),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into(),
    };
    let router = alertmanager::api::router_with(Arc::clone(&service), api);
    let (reloads, mut wishes) = mpsc::channel::<ReloadRequest>(4);
    tokio::spawn(async move {
        while let Some(answer) = wishes.recv().await {
            let reload = Arc::clone(&reload);
            let outcome = tokio::task::spawn_blocking(move || reload()).await;
            // Whoever wished may have gone away.
            let _ = answer.send(outcome.unwrap_or_else(|e| Err(format!("reloading ended abnormally: {e}"))));
        }
    });
    let loop_task = tokio::spawn(Arc::clone(&service).run());
    Ok(Running { router, reloads, service, loop_task: parking_lot::Mutex::new(Some(loop_task)) })
}

impl Running {
    /// Lets notifications under way finish and flushes the state.
    pub(crate) async fn stop(&self) {
        self.service.stop();
        let task = self.loop_task.lock().take();
        if let Some(task) = task
            && let Err(e) = task.await
        {
            tracing::error!(err = %e, "The Alertmanager ended abnormally");
        }
    }
}

/// The service as the notifier of this process sees it.
struct InProcess(Arc<Service>);

/// Lets the notifier of this process hand alerts over without HTTP.
pub(crate) fn local(service: Arc<Service>) -> Arc<dyn notifier::LocalAlertmanager> {
    Arc::new(InProcess(service))
}

impl notifier::LocalAlertmanager for InProcess {
    fn receive(&self, alerts: &[rules::Alert]) -> Result<(), String> {
        let posted: Vec<PostAlert> = alerts
            .iter()
            .map(|a| PostAlert {
                labels: a.labels.clone(),
                annotations: a.annotations.clone(),
                starts_at_ms: Some(a.starts_at),
                ends_at_ms: Some(a.ends_at),
                generator_url: a.generator_url.clone(),
            })
            .collect();
        self.0.receive_alerts(&posted).map_err(|e| e.to_string())
    }
}

fn families(service: &Service) -> Vec<Family> {
    use MetricType::{Counter, Gauge};
    let s = service.stats();
    let one = |key: &str, value: &str| LabelSet::from_pairs([(key, value)]);
    let by_integration = |name, help, map: &std::collections::BTreeMap<&'static str, u64>| {
        labelled(name, help, Counter, map.iter().map(|(k, v)| (one("integration", k), *v as f64)))
    };
    vec![
        labelled(
            "alertmanager_alerts",
            "How many alerts by state.",
            Gauge,
            [
                (one("state", "active"), s.alerts_firing as f64),
                (one("state", "resolved"), s.alerts_resolved as f64),
            ],
        ),
        labelled(
            "alertmanager_alerts_received_total",
            "The total number of received alerts.",
            Counter,
            [
                (LabelSet::from_pairs([("status", "firing"), ("version", "v2")]), s.received_firing as f64),
                (
                    LabelSet::from_pairs([("status", "resolved"), ("version", "v2")]),
                    s.received_resolved as f64,
                ),
            ],
        ),
        single(
            "alertmanager_alerts_invalid_total",
            "The total number of received alerts that were invalid.",
            Counter,
            s.invalid as f64,
        ),
        single(
            "alertmanager_alerts_limited_total",
            "The total number of alerts that were dropped due to a limit.",
            Counter,
            s.limited as f64,
        ),
        labelled(
            "alertmanager_silences",
            "How many silences by state.",
            Gauge,
            s.silences.iter().map(|(k, v)| (one("state", k), *v as f64)),
        ),
        by_integration(
            "alertmanager_notifications_total",
            "The total number of attempted notifications.",
            &s.notifications,
        ),
        labelled(
            "alertmanager_notifications_failed_total",
            "The total number of failed notifications.",
            Counter,
            s.notifications_failed.iter().map(|((k, reason), v)| {
                (LabelSet::from_pairs([("integration", *k), ("reason", *reason)]), *v as f64)
            }),
        ),
        by_integration(
            "alertmanager_notification_requests_total",
            "The total number of attempted notification requests.",
            &s.requests,
        ),
        by_integration(
            "alertmanager_notification_requests_failed_total",
            "The total number of failed notification requests.",
            &s.requests_failed,
        ),
        single(
            "alertmanager_dispatcher_aggregation_groups",
            "Number of active aggregation groups",
            Gauge,
            s.groups as f64,
        ),
        single(
            "vigie_alertmanager_state_bytes",
            "Size of the file of silences, notifications and alerts.",
            Gauge,
            s.state_bytes as f64,
        ),
    ]
}
