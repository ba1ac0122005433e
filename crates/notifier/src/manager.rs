//! Whom to send to, kept through reloads.

use std::sync::Arc;
use std::time::Duration;

use config::{AlertmanagerConfig, Config, RelabelConfig, ValidationScheme};
use httpclient::{Client, ClientOptions};
use model::LabelSet;
use parking_lot::{Mutex, RwLock};
use rules::{Alert, AlertSink};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Error;
use crate::queue::{Queue, Stats, Stop, Way};
use crate::target::targets;

/// An Alertmanager in this process.
pub trait LocalAlertmanager: Send + Sync {
    /// Takes alerts. May block.
    ///
    /// # Errors
    /// Why it does not.
    fn receive(&self, alerts: &[Alert]) -> Result<(), String>;
}

/// How a manager behaves; the defaults are those of upstream's flags.
#[derive(Debug, Clone)]
pub struct ManagerOptions {
    /// Alerts a queue holds.
    pub queue_capacity: usize,
    /// Alerts of one request.
    pub max_batch: usize,
    /// Whether what waits at shutdown is still sent.
    pub drain_on_shutdown: bool,
    /// The longest that draining takes.
    pub drain_timeout: Duration,
    /// The `User-Agent` of requests.
    pub user_agent: String,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            queue_capacity: 10_000,
            max_batch: 256,
            drain_on_shutdown: true,
            drain_timeout: Duration::from_secs(30),
            user_agent: "Vigie".to_owned(),
        }
    }
}

/// One entry of `alerting.alertmanagers` in force.
struct Set {
    config: AlertmanagerConfig,
    queues: Vec<Running>,
    dropped: Vec<String>,
}

struct Running {
    queue: Arc<Queue>,
    stop: watch::Sender<Stop>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    external_labels: LabelSet,
    relabel: Vec<RelabelConfig>,
    scheme: Option<ValidationScheme>,
    sets: Vec<Set>,
}

/// Sends alerts to all Alertmanagers in force.
pub struct Manager {
    options: ManagerOptions,
    local: Option<(Arc<dyn LocalAlertmanager>, Vec<String>)>,
    state: RwLock<State>,
    /// Held while a configuration is put in force.
    applying: Mutex<()>,
}

impl Manager {
    /// A manager without Alertmanagers; [`Manager::apply`] gives it some.
    #[must_use]
    pub fn new(options: ManagerOptions) -> Self {
        Self { options, local: None, state: RwLock::default(), applying: Mutex::default() }
    }

    /// The same, with an Alertmanager in this process that takes the place of a configured one at any of these addresses (`host:port`).
    #[must_use]
    pub fn with_local(mut self, local: Arc<dyn LocalAlertmanager>, addresses: Vec<String>) -> Self {
        self.local = Some((local, addresses));
        self
    }

    /// Puts a configuration in force. Queues of entries that did not change go on with what they hold; others end without sending it.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When an HTTP client cannot be made; then the configuration before stays in force.
    pub fn apply(&self, config: &Config) -> Result<(), Error> {
        let _one = self.applying.lock();
        let scheme = config.global.metric_name_validation_scheme;
        let mut clients = Vec::new();
        for (index, entry) in config.alerting.alertmanagers.iter().enumerate() {
            let options = ClientOptions { user_agent: self.options.user_agent.clone() };
            let client =
                Client::new(&entry.http, options).map_err(|source| Error::Client { index, source })?;
            clients.push(Arc::new(client));
        }
        let mut state = self.state.write();
        let mut old = std::mem::take(&mut state.sets);
        let mut seen: Vec<String> = Vec::new();
        for (entry, client) in config.alerting.alertmanagers.iter().zip(clients) {
            let (found, dropped) = targets(entry, scheme);
            let same = old.iter().position(|s| s.config == *entry).map(|i| old.swap_remove(i));
            let mut kept = same.map(|s| s.queues).unwrap_or_default();
            let mut queues = Vec::new();
            for target in found {
                if seen.contains(&target.url) {
                    continue;
                }
                seen.push(target.url.clone());
                match kept.iter().position(|r| r.queue.url == target.url) {
                    Some(i) => queues.push(kept.swap_remove(i)),
                    None => {
                        let way = match &self.local {
                            Some((local, addresses)) if addresses.contains(&target.address) => {
                                Way::Local(local.clone())
                            }
                            _ => Way::Remote { client: client.clone(), timeout: entry.timeout },
                        };
                        queues.push(self.start(&target.url, way));
                    }
                }
            }
            kept.into_iter().for_each(|r| discard(&r));
            state.sets.push(Set { config: entry.clone(), queues, dropped });
        }
        old.into_iter().flat_map(|s| s.queues).for_each(|r| discard(&r));
        state.external_labels = config.global.external_labels.clone();
        state.relabel.clone_from(&config.alerting.alert_relabel_configs);
        state.scheme = Some(scheme);
        Ok(())
    }

    fn start(&self, url: &str, way: Way) -> Running {
        let queue = Arc::new(Queue::new(url, way, self.options.queue_capacity, self.options.max_batch));
        let (stop, stopped) = watch::channel(Stop::Go);
        let task = Handle::current().spawn(queue.clone().run(stopped));
        Running { queue, stop, task }
    }

    /// URLs of the Alertmanagers in force, and of those that relabelling dropped.
    #[must_use]
    pub fn alertmanagers(&self) -> (Vec<String>, Vec<String>) {
        let state = self.state.read();
        let active = state.sets.iter().flat_map(|s| &s.queues).map(|r| r.queue.url.clone()).collect();
        let dropped = state.sets.iter().flat_map(|s| s.dropped.iter().cloned()).collect();
        (active, dropped)
    }

    /// All Alertmanagers in numbers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.state.read();
        Stats {
            queue_capacity: self.options.queue_capacity,
            alertmanagers: state.sets.iter().flat_map(|s| &s.queues).map(|r| r.queue.stats()).collect(),
        }
    }

    /// Ends all queues; what waits is sent first if the options say so, for as long as they say.
    pub async fn stop(&self) {
        let sets = std::mem::take(&mut self.state.write().sets);
        let running: Vec<Running> = sets.into_iter().flat_map(|s| s.queues).collect();
        let how = if self.options.drain_on_shutdown { Stop::Drain } else { Stop::Now };
        for r in &running {
            r.stop.send_replace(how);
        }
        let deadline = tokio::time::Instant::now() + self.options.drain_timeout;
        for r in running {
            let abort = r.task.abort_handle();
            if tokio::time::timeout_at(deadline, r.task).await.is_err() {
                abort.abort();
                let left = r.queue.stats().queue_length;
                tracing::warn!(
                    alertmanager = r.queue.url,
                    count = left,
                    "Draining the alert notification queue took too long"
                );
            }
        }
    }
}

fn discard(running: &Running) {
    // The task ends by itself; it holds nothing that others wait for.
    running.stop.send_replace(Stop::Now);
}

impl AlertSink for Manager {
    fn send(&self, alerts: &[Alert]) {
        let state = self.state.read();
        let scheme = state.scheme.unwrap_or(ValidationScheme::Utf8);
        let mut ready = Vec::with_capacity(alerts.len());
        for alert in alerts {
            let mut labels = alert.labels.to_builder();
            for (name, value) in &state.external_labels {
                if alert.labels.get(name).is_none() {
                    labels.set(name, value);
                }
            }
            if let Some(labels) = scrape::relabel::process(&labels.build(), &state.relabel, scheme) {
                ready.push(Alert { labels, ..alert.clone() });
            }
        }
        for set in &state.sets {
            let rules = &set.config.alert_relabel_configs;
            let own: Vec<Alert>;
            let batch = if rules.is_empty() {
                &ready
            } else {
                own = ready
                    .iter()
                    .filter_map(|a| {
                        let labels = scrape::relabel::process(&a.labels, rules, scheme)?;
                        Some(Alert { labels, ..a.clone() })
                    })
                    .collect();
                &own
            };
            if !batch.is_empty() {
                set.queues.iter().for_each(|r| r.queue.push(batch));
            }
        }
    }
}
