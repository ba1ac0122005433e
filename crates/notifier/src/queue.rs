//! The queue of one Alertmanager and the task that empties it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use httpclient::{Client, Limits};
use parking_lot::Mutex;
use rules::Alert;
use tokio::sync::{Notify, watch};

use crate::json::encode_alerts;
use crate::manager::LocalAlertmanager;

/// The largest reply that is read; nothing of it is used.
const MAX_REPLY_BYTES: u64 = 64 << 10;

/// One Alertmanager in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertmanagerStats {
    /// Its URL.
    pub url: String,
    /// Alerts sent, failed ones included, as upstream counts them.
    pub sent: u64,
    /// Alerts whose sending failed.
    pub errors: u64,
    /// Alerts lost: pushed out of a full queue, or their sending failed.
    pub dropped: u64,
    /// Alerts waiting.
    pub queue_length: usize,
    /// Requests.
    pub requests: u64,
    /// Time all requests took.
    pub latency: Duration,
}

/// All Alertmanagers in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// The bound of each queue.
    pub queue_capacity: usize,
    /// One entry per Alertmanager in force.
    pub alertmanagers: Vec<AlertmanagerStats>,
}

/// How alerts get there.
#[derive(Clone)]
pub(crate) enum Way {
    /// By HTTP.
    Remote { client: Arc<Client>, timeout: Duration },
    /// By a call.
    Local(Arc<dyn LocalAlertmanager>),
}

/// A bounded queue; full, it loses its oldest alerts.
pub(crate) struct Queue {
    pub(crate) url: String,
    way: Way,
    capacity: usize,
    max_batch: usize,
    waiting: Mutex<VecDeque<Alert>>,
    more: Notify,
    numbers: Mutex<AlertmanagerStats>,
}

impl Queue {
    pub(crate) fn new(url: &str, way: Way, capacity: usize, max_batch: usize) -> Self {
        Self {
            url: url.to_owned(),
            way,
            capacity: capacity.max(1),
            max_batch: max_batch.max(1),
            waiting: Mutex::default(),
            more: Notify::new(),
            numbers: Mutex::new(AlertmanagerStats { url: url.to_owned(), ..AlertmanagerStats::default() }),
        }
    }

    /// Adds alerts at the end.
    pub(crate) fn push(&self, alerts: &[Alert]) {
        let mut lost = alerts.len().saturating_sub(self.capacity);
        {
            let mut waiting = self.waiting.lock();
            for alert in &alerts[lost..] {
                if waiting.len() >= self.capacity {
                    waiting.pop_front();
                    lost += 1;
                }
                waiting.push_back(alert.clone());
            }
        }
        if lost > 0 {
            self.numbers.lock().dropped += lost as u64;
            tracing::warn!(
                alertmanager = self.url,
                count = lost,
                "Alert notification queue full, dropping alerts"
            );
        }
        self.more.notify_one();
    }

    pub(crate) fn stats(&self) -> AlertmanagerStats {
        let mut stats = self.numbers.lock().clone();
        stats.queue_length = self.waiting.lock().len();
        stats
    }

    fn take(&self) -> Vec<Alert> {
        let mut waiting = self.waiting.lock();
        let n = waiting.len().min(self.max_batch);
        waiting.drain(..n).collect()
    }

    /// Sends batches until stopped; then, when asked to drain, what is left.
    pub(crate) async fn run(self: Arc<Self>, mut stopped: watch::Receiver<Stop>) {
        loop {
            let batch = self.take();
            let stop = *stopped.borrow_and_update();
            match stop {
                Stop::Now => {
                    let left = batch.len() + self.waiting.lock().len();
                    if left > 0 {
                        self.numbers.lock().dropped += left as u64;
                        tracing::warn!(
                            alertmanager = self.url,
                            count = left,
                            "Alert notifications left in queue have been discarded"
                        );
                    }
                    return;
                }
                Stop::Drain if batch.is_empty() => return,
                Stop::Go if batch.is_empty() => {
                    tokio::select! {
                        () = self.more.notified() => {}
                        changed = stopped.changed() => if changed.is_err() { return },
                    }
                }
                Stop::Go | Stop::Drain => {
                    if stop == Stop::Go {
                        tokio::select! {
                            () = self.deliver(batch) => {}
                            // A stop that does not drain ends a request that hangs.
                            () = async { drop(stopped.wait_for(|s| *s == Stop::Now).await) } => {}
                        }
                    } else {
                        self.deliver(batch).await;
                    }
                }
            }
        }
    }

    async fn deliver(&self, batch: Vec<Alert>) {
        let count = batch.len() as u64;
        let started = Instant::now();
        let outcome = match &self.way {
            Way::Local(local) => {
                let local = local.clone();
                match tokio::task::spawn_blocking(move || local.receive(&batch)).await {
                    Ok(outcome) => outcome,
                    Err(err) => Err(err.to_string()),
                }
            }
            Way::Remote { client, timeout } => self.post(client, *timeout, &batch).await,
        };
        let mut numbers = self.numbers.lock();
        numbers.sent += count;
        numbers.requests += 1;
        numbers.latency += started.elapsed();
        if let Err(err) = outcome {
            numbers.errors += count;
            numbers.dropped += count;
            drop(numbers);
            tracing::error!(alertmanager = self.url, count, err, "Error sending alerts");
        }
    }

    async fn post(&self, client: &Client, timeout: Duration, batch: &[Alert]) -> Result<(), String> {
        let request = Request::post(&self.url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Bytes::from(encode_alerts(batch)))
            .map_err(|e| e.to_string())?;
        let limits = Limits { timeout, max_body_bytes: Some(MAX_REPLY_BYTES) };
        let response = client.send(request, &limits).await.map_err(|e| e.to_string())?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("bad response status {status}")) }
    }
}

/// What a queue's task is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Go on.
    Go,
    /// Send what is left, then end.
    Drain,
    /// End.
    Now,
}
