//! The deterministic heart: alerts, groups, silences and the notification log, with the time given by the caller.
//!
//! [`Core::receive`] takes alerts in, [`Core::poll`] says what must be sent now, and the caller reports back with
//! [`Core::delivered`] and [`Core::flushed`]. Nothing here waits, sends or looks at a clock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::{LabelSet, TimestampMs};

use crate::alert::{Alert, Fingerprint};
use crate::config::{Config, Receiver};
use crate::error::Error;
use crate::inhibit::Inhibitor;
use crate::nflog::{self, Content, Entry, NotificationLog, Reason};
use crate::routing::{Route, RouteOptions};
use crate::silence::{Silence, SilenceLimits, Silences};
use crate::state::{Log, Record, Sync};

/// Which group: its route and its labels.
pub(crate) type GroupId = (String, LabelSet);

/// Alerts of one route with equal group labels.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) options: RouteOptions,
    /// `route key:{labels}`.
    pub(crate) key: String,
    pub(crate) alerts: BTreeMap<Fingerprint, Alert>,
    next_flush_ms: TimestampMs,
    flushed: bool,
    in_flight: bool,
    /// Names of intervals that muted the last flush.
    pub(crate) muted_by: Vec<String>,
}

/// One integration's part of a flush.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) integration: usize,
    pub(crate) reason: Reason,
    /// What to send, resolved ones left out where the receiver does not want them; empty: only the log changes.
    pub(crate) alerts: Vec<Alert>,
    pub(crate) entry: Entry,
}

/// What a group has to tell.
#[derive(Debug, Clone)]
pub(crate) struct Flush {
    pub(crate) id: GroupId,
    pub(crate) group_key: String,
    pub(crate) receiver: String,
    pub(crate) group_labels: LabelSet,
    pub(crate) route_labels: BTreeMap<String, String>,
    pub(crate) now_ms: TimestampMs,
    pub(crate) timeout_ms: i64,
    pub(crate) jobs: Vec<Job>,
    /// The resolved alerts as they were, to be forgotten once all went well.
    pub(crate) resolved: Vec<Alert>,
}

/// How integrations of a receiver are numbered: webhooks, e-mails, slacks, others.
pub(crate) fn integrations(receiver: &Receiver) -> Vec<(&'static str, usize, bool)> {
    let mut out = Vec::new();
    out.extend(receiver.webhooks.iter().enumerate().map(|(i, c)| ("webhook", i, c.send_resolved)));
    out.extend(receiver.emails.iter().enumerate().map(|(i, c)| ("email", i, c.send_resolved)));
    out.extend(receiver.slacks.iter().enumerate().map(|(i, c)| ("slack", i, c.send_resolved)));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for other in &receiver.others {
        let n = counts.entry(other.integration).or_default();
        out.push((other.integration, *n, other.send_resolved));
        *n += 1;
    }
    out
}

/// How alerts were taken in.
#[derive(Debug)]
pub(crate) struct Received {
    /// How many were refused because of the limit per alert name.
    pub(crate) limited: usize,
    /// Whether the others survive a restart.
    pub(crate) stored: Result<(), Error>,
}

/// Limits and retention.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoreOptions {
    pub(crate) retention_ms: i64,
    pub(crate) silence_limits: SilenceLimits,
    /// 0: none.
    pub(crate) per_alertname_limit: usize,
}

/// Everything the alert manager knows.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: Arc<Config>,
    route: Route,
    options: CoreOptions,
    pub(crate) alerts: BTreeMap<Fingerprint, Alert>,
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) silences: Silences,
    nflog: NotificationLog,
    pub(crate) log: Log,
}

impl Core {
    /// From what the log held.
    pub(crate) fn new(
        config: Arc<Config>,
        options: CoreOptions,
        log: Log,
        records: Vec<Record>,
        now_ms: TimestampMs,
    ) -> Self {
        let route = Route::new(&config.route);
        let mut core = Self {
            config,
            route,
            options,
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            silences: Silences::default(),
            nflog: NotificationLog::default(),
            log,
        };
        for record in records {
            match record {
                Record::Silence(s) => core.silences.restore(s),
                Record::SilenceGone(id) => core.silences.forget(&id),
                Record::Notified(entry) => core.nflog.put(entry),
                Record::Alert(a) => {
                    core.alerts.insert(a.fingerprint(), a);
                }
                Record::AlertGone(f) => {
                    core.alerts.remove(&f);
                }
            }
        }
        core.revive(now_ms);
        core.regroup(now_ms);
        core
    }

    /// Alerts of which a receiver was last told that they fire, and whose end came while nobody could report them,
    /// fire for another `resolve_timeout`: their senders may have been waiting for this server to come back, and to
    /// tell of an end that was none would be a lie. Those reported as ended have ended.
    fn revive(&mut self, now_ms: TimestampMs) {
        let told: BTreeSet<Fingerprint> = self
            .nflog
            .iter()
            .filter(|e| e.expires_at_ms > now_ms)
            .flat_map(|e| e.firing.iter().copied())
            .collect();
        let ends_at_ms = now_ms.saturating_add(self.config.global.resolve_timeout_ms);
        for (fingerprint, alert) in &mut self.alerts {
            let fired = alert.ends_at_ms > alert.updated_at_ms;
            if fired && alert.resolved_at(now_ms) && told.contains(fingerprint) {
                alert.ends_at_ms = ends_at_ms;
                alert.timeout = true;
            }
        }
    }

    /// Takes a new configuration: groups are formed anew, what was sent is known from the log.
    pub(crate) fn reload(&mut self, config: Arc<Config>, now_ms: TimestampMs) {
        self.route = Route::new(&config.route);
        self.config = config;
        let old = std::mem::take(&mut self.groups);
        self.regroup(now_ms);
        for (id, group) in &mut self.groups {
            // What is being sent is not sent a second time beside it.
            group.in_flight = old.get(id).is_some_and(|g| g.in_flight);
        }
    }

    fn regroup(&mut self, now_ms: TimestampMs) {
        for alert in self.alerts.values().cloned().collect::<Vec<_>>() {
            self.dispatch(&alert, now_ms);
        }
    }

    /// Takes alerts in, stored before they count. A full disk keeps nobody from being paged: alerts that cannot be
    /// stored count all the same, and only a restart forgets them until they are reported again.
    pub(crate) fn receive(&mut self, alerts: Vec<Alert>, now_ms: TimestampMs) -> Received {
        let mut merged: BTreeMap<Fingerprint, Alert> = BTreeMap::new();
        let mut limited = 0;
        for alert in alerts {
            let fingerprint = alert.fingerprint();
            let known = merged.get(&fingerprint).or_else(|| self.alerts.get(&fingerprint)).cloned();
            if known.is_none() && self.over_limit(&alert, &merged) {
                limited += 1;
                continue;
            }
            let alert = match known {
                Some(old) if old.overlaps(&alert) => old.merge(alert, now_ms),
                _ => alert,
            };
            merged.insert(fingerprint, alert);
        }
        let records: Vec<_> = merged.values().cloned().map(Record::Alert).collect();
        let stored = self.log.append(&records, Sync::System);
        for (fingerprint, alert) in merged {
            self.dispatch(&alert, now_ms);
            self.alerts.insert(fingerprint, alert);
        }
        Received { limited, stored }
    }

    fn over_limit(&self, alert: &Alert, fresh: &BTreeMap<Fingerprint, Alert>) -> bool {
        let limit = self.options.per_alertname_limit;
        if limit == 0 {
            return false;
        }
        let name = alert.labels.value("alertname");
        self.alerts.values().chain(fresh.values()).filter(|a| a.labels.value("alertname") == name).count()
            >= limit
    }

    fn dispatch(&mut self, alert: &Alert, now_ms: TimestampMs) {
        let mut routes = Vec::new();
        self.route.matching(&alert.labels, &mut routes);
        for route in routes {
            let labels = route.group_labels(&alert.labels);
            let id = (route.id.clone(), labels.clone());
            let wait = route.options.group_wait_ms;
            if !self.groups.contains_key(&id)
                && alert.resolved_at(now_ms)
                && !self.ever_notified(route, &labels, now_ms)
            {
                // Fired and resolved while nobody looked: no receiver knows of it.
                continue;
            }
            let group = self.groups.entry(id).or_insert_with(|| Group {
                options: route.options.clone(),
                key: format!("{}:{labels}", route.key),
                alerts: BTreeMap::new(),
                next_flush_ms: now_ms + wait,
                flushed: false,
                in_flight: false,
                muted_by: Vec::new(),
            });
            if !group.flushed && alert.starts_at_ms.saturating_add(wait) < now_ms {
                group.next_flush_ms = now_ms;
            }
            group.alerts.insert(alert.fingerprint(), alert.clone());
        }
    }

    fn ever_notified(&self, route: &Route, labels: &LabelSet, now_ms: TimestampMs) -> bool {
        let group_key = format!("{}:{labels}", route.key);
        let Some(receiver) = self.receiver(&route.options.receiver) else { return false };
        integrations(receiver).into_iter().any(|(name, i, _)| {
            let key = nflog::key(&group_key, &receiver.name, name, i);
            self.nflog.get(&key, now_ms).is_some_and(|e| !e.firing.is_empty())
        })
    }

    pub(crate) fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.config.receivers.iter().find(|r| r.name == name)
    }

    /// When [`Core::poll`] has something to do next; `None`: not before new alerts come.
    pub(crate) fn next_due_ms(&self) -> Option<TimestampMs> {
        self.groups.values().filter(|g| !g.in_flight).map(|g| g.next_flush_ms).min()
    }

    /// What must be sent now. Each flush that is given must be answered with [`Core::flushed`].
    pub(crate) fn poll(&mut self, now_ms: TimestampMs) -> Vec<Flush> {
        let due: Vec<GroupId> = self
            .groups
            .iter()
            .filter(|(_, g)| !g.in_flight && g.next_flush_ms <= now_ms)
            .map(|(id, _)| id.clone())
            .collect();
        if due.is_empty() {
            return Vec::new();
        }
        let config = Arc::clone(&self.config);
        let inhibitor = Inhibitor::new(&config.inhibit_rules, &self.alerts.values(), now_ms);
        let mut out = Vec::new();
        for id in due {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            group.flushed = true;
            // The next flush counts from when this one was due, so that a late poll does not shift the rhythm.
            let interval = group.options.group_interval_ms.max(1);
            let missed = now_ms.saturating_sub(group.next_flush_ms) / interval;
            group.next_flush_ms = group.next_flush_ms.saturating_add((missed + 1).saturating_mul(interval));
            group.muted_by = muted_by(&config, &group.options, now_ms);
            if group.alerts.is_empty() {
                self.groups.remove(&id);
                continue;
            }
            if let Some(flush) = self.flush(&id, &inhibitor, now_ms) {
                if let Some(group) = self.groups.get_mut(&id) {
                    group.in_flight = true;
                }
                out.push(flush);
            }
        }
        out
    }

    fn flush(&self, id: &GroupId, inhibitor: &Inhibitor<'_>, now_ms: TimestampMs) -> Option<Flush> {
        let group = self.groups.get(id)?;
        let resolved = group.alerts.values().filter(|a| a.resolved_at(now_ms)).cloned().collect();
        let mut flush = Flush {
            id: id.clone(),
            group_key: group.key.clone(),
            receiver: group.options.receiver.clone(),
            group_labels: id.1.clone(),
            route_labels: group.options.labels.clone(),
            now_ms,
            timeout_ms: group.options.group_interval_ms.max(10_000),
            jobs: Vec::new(),
            resolved,
        };
        if !group.muted_by.is_empty() {
            return Some(flush);
        }
        let loud = |a: &&Alert| {
            inhibitor.inhibited_by(&a.labels).is_empty() && self.silences.muting(&a.labels, now_ms).is_empty()
        };
        let mut alerts: Vec<Alert> = group.alerts.values().filter(loud).cloned().collect();
        alerts
            .sort_by(|a, b| instance_order(a).cmp(&instance_order(b)).then_with(|| a.labels.cmp(&b.labels)));
        if alerts.is_empty() {
            return Some(flush);
        }
        let receiver = self.receiver(&group.options.receiver)?;
        let mut content = Content::default();
        for alert in &alerts {
            let side = if alert.resolved_at(now_ms) { &mut content.resolved } else { &mut content.firing };
            side.insert(alert.fingerprint());
        }
        let repeat = group.options.repeat_interval_ms;
        for (index, (name, i, send_resolved)) in integrations(receiver).into_iter().enumerate() {
            let key = nflog::key(&group.key, &receiver.name, name, i);
            let last = self.nflog.get(&key, now_ms);
            let Some(reason) = nflog::decide(last, &content, send_resolved, repeat, now_ms) else { continue };
            let told = |a: &&Alert| send_resolved || !a.resolved_at(now_ms);
            let expiry = self.options.retention_ms.min(repeat.saturating_mul(2));
            flush.jobs.push(Job {
                integration: index,
                reason,
                alerts: alerts.iter().filter(told).cloned().collect(),
                entry: Entry {
                    key,
                    at_ms: now_ms,
                    expires_at_ms: now_ms.saturating_add(expiry),
                    firing: content.firing.clone(),
                    resolved: content.resolved.clone(),
                },
            });
        }
        Some(flush)
    }

    /// The provider has accepted; on the disk before this returns.
    ///
    /// # Errors
    /// When it cannot be stored; it counts for this process all the same.
    pub(crate) fn delivered(&mut self, entry: Entry) -> Result<(), Error> {
        let stored = self.log.append(&[Record::Notified(entry.clone())], Sync::Disk);
        self.nflog.put(entry);
        stored
    }

    /// A flush is over. After success the alerts it told as resolved leave the group, unless they changed meanwhile.
    pub(crate) fn flushed(&mut self, flush: &Flush, success: bool) {
        let Some(group) = self.groups.get_mut(&flush.id) else { return };
        group.in_flight = false;
        if !success {
            return;
        }
        for alert in &flush.resolved {
            let fingerprint = alert.fingerprint();
            if group.alerts.get(&fingerprint).is_some_and(|a| a.updated_at_ms == alert.updated_at_ms) {
                group.alerts.remove(&fingerprint);
            }
        }
        if group.alerts.is_empty() {
            self.groups.remove(&flush.id);
        }
    }

    /// Creates or changes a silence; on the disk before this returns.
    pub(crate) fn set_silence(
        &mut self,
        silence: Silence,
        now_ms: TimestampMs,
        new_id: &dyn Fn() -> String,
    ) -> Result<String, Error> {
        let change = self.silences.set(silence, now_ms, self.options.silence_limits, new_id)?;
        let records: Vec<_> = change.changed.iter().cloned().map(Record::Silence).collect();
        self.log.append(&records, Sync::Disk)?;
        change.changed.into_iter().for_each(|s| self.silences.restore(s));
        Ok(change.id)
    }

    /// Ends a silence; on the disk before this returns.
    pub(crate) fn expire_silence(&mut self, id: &str, now_ms: TimestampMs) -> Result<(), Error> {
        if let Some(silence) = self.silences.expire(id, now_ms)? {
            self.log.append(&[Record::Silence(silence.clone())], Sync::Disk)?;
            self.silences.restore(silence);
        }
        Ok(())
    }

    /// Forgets resolved alerts, outdated silences and log entries, and writes the log anew when that is worth it.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub(crate) fn maintain(&mut self, now_ms: TimestampMs) -> Result<(), Error> {
        self.nflog.collect_garbage(now_ms);
        let in_groups: BTreeSet<Fingerprint> =
            self.groups.values().flat_map(|g| g.alerts.keys().copied()).collect();
        let gone: Vec<Fingerprint> = self
            .alerts
            .iter()
            .filter(|(f, a)| a.resolved_at(now_ms) && !in_groups.contains(*f))
            .map(|(f, _)| *f)
            .collect();
        let mut records: Vec<_> = gone.iter().copied().map(Record::AlertGone).collect();
        let outdated = self.silences.outdated(now_ms, self.options.retention_ms);
        records.extend(outdated.iter().cloned().map(Record::SilenceGone));
        self.log.append(&records, Sync::System)?;
        gone.iter().for_each(|f| drop(self.alerts.remove(f)));
        outdated.iter().for_each(|id| self.silences.forget(id));
        // What is alive is estimated: a record is some hundreds of bytes.
        let live = self.alerts.len() + self.silences.iter().count() + self.nflog.iter().count();
        if self.log.wants_compaction(live as u64 * 512) {
            let records = self
                .silences
                .iter()
                .cloned()
                .map(Record::Silence)
                .chain(self.nflog.iter().cloned().map(Record::Notified))
                .chain(self.alerts.values().cloned().map(Record::Alert))
                .collect::<Vec<_>>();
            self.log.compact(records.into_iter())?;
        }
        Ok(())
    }

    /// An alert's silences and inhibitors, for the API.
    pub(crate) fn suppression(
        &self,
        inhibitor: &Inhibitor<'_>,
        labels: &LabelSet,
        now_ms: TimestampMs,
    ) -> (Vec<String>, Vec<Fingerprint>) {
        (self.silences.muting(labels, now_ms), inhibitor.inhibited_by(labels))
    }

    /// The receivers an alert goes to.
    pub(crate) fn receivers_of(&self, labels: &LabelSet) -> Vec<String> {
        let mut routes = Vec::new();
        self.route.matching(labels, &mut routes);
        routes.into_iter().map(|r| r.options.receiver.clone()).collect()
    }
}

/// Alerts are told in the order of their `job` and `instance`, then of their labels.
fn instance_order(alert: &Alert) -> (String, String) {
    (alert.labels.value("job").to_owned(), alert.labels.value("instance").to_owned())
}

/// The intervals that mute a route now: those of `mute_time_intervals` that hold, or all of `active_time_intervals`
/// when none of them holds.
fn muted_by(config: &Config, options: &RouteOptions, now_ms: TimestampMs) -> Vec<String> {
    let holds = |name: &String| {
        config.time_intervals.get(name).is_some_and(|list| list.iter().any(|i| i.contains(now_ms)))
    };
    let active = &options.active_time_intervals;
    if !active.is_empty() && !active.iter().any(holds) {
        return active.clone();
    }
    options.mute_time_intervals.iter().filter(|n| holds(n)).cloned().collect()
}

#[cfg(test)]
mod tests;
