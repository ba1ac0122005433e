//! The notification log: what each receiver was last told about each group, and whether it must be told again.

use std::collections::{BTreeSet, HashMap};

use model::TimestampMs;
use serde::{Deserialize, Serialize};

use crate::alert::Fingerprint;

/// What one integration of a receiver was last told about one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Group, receiver, integration and its index.
    pub(crate) key: String,
    pub(crate) at_ms: TimestampMs,
    pub(crate) expires_at_ms: TimestampMs,
    pub(crate) firing: BTreeSet<Fingerprint>,
    pub(crate) resolved: BTreeSet<Fingerprint>,
}

/// The key of an entry.
pub(crate) fn key(group_key: &str, receiver: &str, integration: &str, index: usize) -> String {
    format!("{group_key}|{receiver}|{integration}|{index}")
}

/// Why a notification is sent; templates and webhooks see the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The group was never notified, or all was resolved when it last was.
    First,
    /// Alerts fire that did not when last notified.
    NewAlerts,
    /// Some alerts are resolved since.
    SomeResolved,
    /// None fires any more.
    AllResolved,
    /// Nothing changed for `repeat_interval`.
    Repeat,
}

impl Reason {
    /// Upstream's words.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// What a group looks like now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) firing: BTreeSet<Fingerprint>,
    pub(crate) resolved: BTreeSet<Fingerprint>,
}

/// Whether, and why, to notify.
pub(crate) fn decide(
    entry: Option<&Entry>,
    now: &Content,
    send_resolved: bool,
    repeat_interval_ms: i64,
    now_ms: TimestampMs,
) -> Option<Reason> {
    let Some(entry) = entry else {
        return (!now.firing.is_empty()).then_some(Reason::First);
    };
    if !now.firing.is_subset(&entry.firing) {
        return Some(if entry.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
    }
    if now.firing.is_empty() {
        // Even to a receiver that is not told of resolved alerts: the log must forget the firing ones.
        return (!entry.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if send_resolved && !now.resolved.is_subset(&entry.resolved) {
        return Some(Reason::SomeResolved);
    }
    (entry.at_ms < now_ms.saturating_sub(repeat_interval_ms)).then_some(Reason::Repeat)
}

/// All entries.
#[derive(Debug, Default)]
pub(crate) struct NotificationLog {
    entries: HashMap<String, Entry>,
}

impl NotificationLog {
    pub(crate) fn get(&self, key: &str, now_ms: TimestampMs) -> Option<&Entry> {
        self.entries.get(key).filter(|e| e.expires_at_ms > now_ms)
    }

    pub(crate) fn put(&mut self, entry: Entry) {
        self.entries.insert(entry.key.clone(), entry);
    }

    pub(crate) fn collect_garbage(&mut self, now_ms: TimestampMs) {
        self.entries.retain(|_, e| e.expires_at_ms > now_ms);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides_as_upstream() {
        let set = |s: &[u64]| s.iter().copied().collect::<BTreeSet<_>>();
        let entry = |f: &[u64], r: &[u64], at| Entry {
            key: String::new(),
            at_ms: at,
            expires_at_ms: i64::MAX,
            firing: set(f),
            resolved: set(r),
        };
        for (entry, firing, resolved, send_resolved, expect) in [
            (None, &[][..], &[1][..], true, None),
            (None, &[1], &[], true, Some(Reason::First)),
            (Some(entry(&[1], &[], 50)), &[1, 2], &[], true, Some(Reason::NewAlerts)),
            (Some(entry(&[], &[1], 50)), &[1], &[], true, Some(Reason::First)),
            (Some(entry(&[1], &[], 50)), &[], &[1], false, Some(Reason::AllResolved)),
            (Some(entry(&[], &[], 50)), &[], &[1], true, None),
            (Some(entry(&[1, 2], &[], 50)), &[1], &[2], true, Some(Reason::SomeResolved)),
            (Some(entry(&[1, 2], &[], 50)), &[1], &[2], false, None),
            (Some(entry(&[1], &[], 50)), &[1], &[], true, None),
            (Some(entry(&[1], &[], -1)), &[1], &[], true, Some(Reason::Repeat)),
        ] {
            let content = Content { firing: set(firing), resolved: set(resolved) };
            assert_eq!(
                decide(entry.as_ref(), &content, send_resolved, 100, 100),
                expect,
                "{entry:?} {content:?}"
            );
        }
    }
}
