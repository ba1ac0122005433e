//! The running alert manager: the deterministic core behind a lock, a clock, and tasks that send.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{LabelSet, TimestampMs};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::alert::{Alert, PostAlert};
use crate::config::Config;
use crate::dispatch::{Core, CoreOptions, Flush, Job, integrations};
use crate::error::Error;
use crate::notify::data::Data;
use crate::notify::templates::NotificationTemplates;
use crate::notify::{self, Failure, Notification};
use crate::silence::{Silence, SilenceLimits};
use crate::state::Log;

/// First and longest pause between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// How long a stop waits for notifications under way.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// What a service is told beside its configuration.
#[derive(Clone)]
pub struct ServiceOptions {
    /// Directory of the state file; `None` keeps nothing.
    pub storage_path: Option<PathBuf>,
    /// How receivers and templates are told to reach this server.
    pub external_url: String,
    /// How long expired silences and the notification log are kept.
    pub retention: Duration,
    /// How often what is outdated is removed.
    pub maintenance_interval: Duration,
    /// Bounds on silences.
    pub silence_limits: SilenceLimits,
    /// How many alerts of one name are taken; 0: any number.
    pub per_alertname_limit: usize,
    /// Milliseconds since the Unix epoch.
    pub clock: Arc<dyn Fn() -> TimestampMs + Send + Sync>,
}

impl std::fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceOptions").field("storage_path", &self.storage_path).finish_non_exhaustive()
    }
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            storage_path: None,
            external_url: "http://localhost:9093".to_owned(),
            retention: Duration::from_secs(120 * 3600),
            maintenance_interval: Duration::from_secs(30),
            silence_limits: SilenceLimits::default(),
            per_alertname_limit: 0,
            clock: Arc::new(|| jiff::Timestamp::now().as_millisecond()),
        }
    }
}

/// Counters and gauges, by upstream's meanings.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// `alertmanager_alerts_received_total{status="firing"}`.
    pub received_firing: u64,
    /// `alertmanager_alerts_received_total{status="resolved"}`.
    pub received_resolved: u64,
    /// `alertmanager_alerts_invalid_total`.
    pub invalid: u64,
    /// `alertmanager_alerts_limited_total`.
    pub limited: u64,
    /// `alertmanager_notifications_total` by integration.
    pub notifications: BTreeMap<&'static str, u64>,
    /// `alertmanager_notifications_failed_total` by integration and reason.
    pub notifications_failed: BTreeMap<(&'static str, &'static str), u64>,
    /// `alertmanager_notification_requests_total` by integration.
    pub requests: BTreeMap<&'static str, u64>,
    /// `alertmanager_notification_requests_failed_total` by integration.
    pub requests_failed: BTreeMap<&'static str, u64>,
    /// Alerts that fire now.
    pub alerts_firing: usize,
    /// Alerts that are known and resolved.
    pub alerts_resolved: usize,
    /// Silences by state: active, pending, expired.
    pub silences: BTreeMap<&'static str, usize>,
    /// `alertmanager_dispatcher_aggregation_groups`.
    pub groups: usize,
    /// Size of the state file.
    pub state_bytes: u64,
}

#[derive(Debug, Default)]
struct Counters {
    firing: AtomicU64,
    resolved: AtomicU64,
    invalid: AtomicU64,
    limited: AtomicU64,
    sends: Mutex<Stats>,
}

/// An alert manager. Shared by its API, its run loop and, in the same process, the notifier.
pub struct Service {
    pub(crate) core: Mutex<Core>,
    templates: Mutex<Arc<NotificationTemplates>>,
    pub(crate) options: ServiceOptions,
    pub(crate) started_ms: TimestampMs,
    counters: Counters,
    wake: Notify,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the state and loads the templates; nothing is sent before [`Service::run`].
    ///
    /// # Errors
    /// When the state cannot be read or a template cannot be parsed.
    pub fn new(config: Config, options: ServiceOptions) -> Result<Arc<Self>, Error> {
        let templates = NotificationTemplates::load(&config.templates)?;
        let (log, records) = match &options.storage_path {
            Some(dir) => Log::open(dir)?,
            None => (Log::in_memory(), Vec::new()),
        };
        let now_ms = (options.clock)();
        let core_options = CoreOptions {
            retention_ms: i64::try_from(options.retention.as_millis()).unwrap_or(i64::MAX),
            silence_limits: options.silence_limits,
            per_alertname_limit: options.per_alertname_limit,
        };
        let core = Core::new(Arc::new(config), core_options, log, records, now_ms);
        Ok(Arc::new(Self {
            core: Mutex::new(core),
            templates: Mutex::new(Arc::new(templates)),
            options,
            started_ms: now_ms,
            counters: Counters::default(),
            wake: Notify::new(),
            stop: watch::Sender::new(false),
        }))
    }

    pub(crate) fn now_ms(&self) -> TimestampMs {
        (self.options.clock)()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.core.lock().config)
    }

    /// Takes alerts in. Valid ones are taken even when others are not.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] naming each invalid alert's fault, a line each.
    pub fn receive(&self, alerts: &[PostAlert]) -> Result<(), Error> {
        let now_ms = self.now_ms();
        let resolve_timeout = self.core.lock().config.global.resolve_timeout_ms;
        let (mut valid, mut faults) = (Vec::with_capacity(alerts.len()), Vec::new());
        for post in alerts {
            let resolved = post.ends_at_ms.is_some_and(|e| e <= now_ms);
            let counter = if resolved { &self.counters.resolved } else { &self.counters.firing };
            counter.fetch_add(1, Ordering::Relaxed);
            match Alert::from_post(post, now_ms, resolve_timeout) {
                Ok(alert) => valid.push(alert),
                Err(e) => {
                    self.counters.invalid.fetch_add(1, Ordering::Relaxed);
                    faults.push(e.to_string());
                }
            }
        }
        let received = self.core.lock().receive(valid, now_ms);
        if let Err(e) = received.stored {
            tracing::error!(error = %e, "alerts could not be stored; they count until a restart");
        }
        self.counters.limited.fetch_add(received.limited as u64, Ordering::Relaxed);
        self.wake.notify_one();
        if faults.is_empty() { Ok(()) } else { Err(Error::invalid(faults.join("\n"))) }
    }

    /// As [`Service::receive`], for callers in the same process.
    ///
    /// # Errors
    /// As [`Service::receive`].
    pub fn receive_alerts(&self, alerts: &[PostAlert]) -> Result<(), Error> {
        self.receive(alerts)
    }

    /// Puts another configuration in force. What was sent is remembered.
    ///
    /// # Errors
    /// When a template cannot be parsed; the old configuration then stays.
    pub fn reload(&self, config: Config) -> Result<(), Error> {
        let templates = NotificationTemplates::load(&config.templates)?;
        *self.templates.lock() = Arc::new(templates);
        self.core.lock().reload(Arc::new(config), self.now_ms());
        self.wake.notify_one();
        Ok(())
    }

    /// Creates a silence, or changes the one whose id it has; gives the id it is known by now.
    ///
    /// # Errors
    /// When it is not valid, not known or cannot be stored.
    pub fn set_silence(&self, silence: Silence) -> Result<String, Error> {
        let new_id = || uuid::Uuid::new_v4().to_string();
        self.core.lock().set_silence(silence, self.now_ms(), &new_id)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// When it is not known or cannot be stored.
    pub fn expire_silence(&self, id: &str) -> Result<(), Error> {
        self.core.lock().expire_silence(id, self.now_ms())
    }

    /// Figures for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.counters.sends.lock().clone();
        stats.received_firing = self.counters.firing.load(Ordering::Relaxed);
        stats.received_resolved = self.counters.resolved.load(Ordering::Relaxed);
        stats.invalid = self.counters.invalid.load(Ordering::Relaxed);
        stats.limited = self.counters.limited.load(Ordering::Relaxed);
        let now_ms = self.now_ms();
        let core = self.core.lock();
        stats.alerts_resolved = core.alerts.values().filter(|a| a.resolved_at(now_ms)).count();
        stats.alerts_firing = core.alerts.len() - stats.alerts_resolved;
        for silence in core.silences.iter() {
            *stats.silences.entry(silence.state(now_ms).as_str()).or_default() += 1;
        }
        stats.groups = core.groups.len();
        stats.state_bytes = core.log.len_bytes();
        stats
    }

    /// Asks [`Service::run`] to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Sends what is due until [`Service::stop`], then waits a little for what is under way and flushes the state.
    ///
    /// Dropping the future abandons notifications under way; they are sent again after a restart.
    pub async fn run(self: Arc<Self>) {
        let mut stop = self.stop.subscribe();
        let mut tasks = JoinSet::new();
        let mut maintenance =
            tokio::time::interval(self.options.maintenance_interval.max(Duration::from_millis(10)));
        loop {
            let flushes = self.core.lock().poll(self.now_ms());
            for flush in flushes {
                let service = Arc::clone(&self);
                tasks.spawn(async move { service.notify(flush).await });
            }
            let pause = self.core.lock().next_due_ms().map_or(Duration::from_secs(3600), |due| {
                Duration::from_millis(u64::try_from((due - self.now_ms()).clamp(0, 60_000)).unwrap_or(0))
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
                _ = maintenance.tick() => {
                    if let Err(e) = self.core.lock().maintain(self.now_ms()) {
                        tracing::error!(error = %e, "the alert manager's state could not be maintained");
                    }
                }
                _ = stop.wait_for(|s| *s) => break,
            }
        }
        let drained =
            tokio::time::timeout(STOP_PATIENCE, async { while tasks.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!("notifications under way were abandoned; they are sent again after the start");
        }
        if let Err(e) = self.core.lock().log.flush() {
            tracing::error!(error = %e, "the alert manager's state could not be flushed");
        }
    }

    /// Sends one flush through all its integrations at once, and tells the core how it went.
    async fn notify(self: Arc<Self>, flush: Flush) {
        let templates = Arc::clone(&self.templates.lock());
        let config = self.config();
        let Some(receiver) = config.receivers.iter().find(|r| r.name == flush.receiver).cloned() else {
            self.core.lock().flushed(&flush, false);
            return;
        };
        let receiver = Arc::new(receiver);
        let flush = Arc::new(flush);
        let mut jobs = JoinSet::new();
        for job in flush.jobs.clone() {
            let (service, receiver, templates) =
                (Arc::clone(&self), Arc::clone(&receiver), Arc::clone(&templates));
            let flush = Arc::clone(&flush);
            jobs.spawn(async move { service.job(&flush, job, &receiver, &templates).await });
        }
        let mut success = true;
        while let Some(result) = jobs.join_next().await {
            success &= result.unwrap_or(false);
        }
        self.core.lock().flushed(&flush, success);
    }

    async fn job(
        &self,
        flush: &Flush,
        job: Job,
        receiver: &crate::config::Receiver,
        templates: &NotificationTemplates,
    ) -> bool {
        let name = integrations(receiver).get(job.integration).map_or("unknown", |(n, _, _)| *n);
        // Nothing fires any more and the receiver is not told of that: only the log changes.
        if !job.alerts.is_empty() {
            let group_labels: &LabelSet = &flush.group_labels;
            let data = Data::new(
                &flush.receiver,
                group_labels,
                &flush.route_labels,
                job.reason.as_str(),
                &job.alerts,
                &self.options.external_url,
                flush.now_ms,
            );
            let timeout = Duration::from_millis(u64::try_from(flush.timeout_ms).unwrap_or(10_000));
            let notification = Notification { data, group_key: flush.group_key.clone(), timeout };
            *self.counters.sends.lock().notifications.entry(name).or_default() += 1;
            if let Err(failure) =
                self.attempts(name, receiver, job.integration, &notification, templates).await
            {
                let mut stats = self.counters.sends.lock();
                *stats.notifications_failed.entry((name, failure.reason)).or_default() += 1;
                drop(stats);
                tracing::error!(
                    receiver = flush.receiver, integration = name, group = flush.group_key, error = %failure,
                    "notify for alerts failed"
                );
                return false;
            }
        }
        if let Err(e) = self.core.lock().delivered(job.entry) {
            tracing::error!(error = %e, "a sent notification could not be stored and may be sent again after a restart");
        }
        true
    }

    /// Tries until it works, the failure is final, or the group's time is over.
    async fn attempts(
        &self,
        name: &'static str,
        receiver: &crate::config::Receiver,
        index: usize,
        notification: &Notification,
        templates: &NotificationTemplates,
    ) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + notification.timeout;
        let mut pause = BACKOFF.0;
        loop {
            *self.counters.sends.lock().requests.entry(name).or_default() += 1;
            let Err(failure) = notify::send(receiver, index, notification, templates).await else {
                return Ok(());
            };
            *self.counters.sends.lock().requests_failed.entry(name).or_default() += 1;
            if !failure.retry || tokio::time::Instant::now() + pause >= deadline {
                return Err(failure);
            }
            tracing::warn!(receiver = receiver.name, integration = name, error = %failure, "notify attempt failed, will retry later");
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(BACKOFF.1);
        }
    }
}
