//! Alerts as received, and the rule by which a newer report of one is merged into what is known.

use model::{LabelSet, TimestampMs};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The 64-bit hash of an alert's labels by which the API names it.
pub type Fingerprint = u64;

/// An alert as a sender reports it; absent times are filled in on receipt.
#[derive(Debug, Clone, Default)]
pub struct PostAlert {
    /// Labels; those with an empty value are dropped.
    pub labels: LabelSet,
    /// Annotations.
    pub annotations: LabelSet,
    /// When it began; now (or the end, where one is given) if `None`.
    pub starts_at_ms: Option<TimestampMs>,
    /// When it ended or will be taken as ended; now plus `resolve_timeout` if `None`.
    pub ends_at_ms: Option<TimestampMs>,
    /// Link to what raised it.
    pub generator_url: String,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its labels, which identify it.
    #[serde(with = "crate::state::label_set")]
    pub labels: LabelSet,
    /// Its annotations.
    #[serde(with = "crate::state::label_set")]
    pub annotations: LabelSet,
    /// When it began.
    pub starts_at_ms: TimestampMs,
    /// When it ended or will be taken as ended.
    pub ends_at_ms: TimestampMs,
    /// When it was last reported.
    pub updated_at_ms: TimestampMs,
    /// Link to what raised it; may be empty.
    pub generator_url: String,
    /// Whether `ends_at_ms` is only the time after which silence of the sender counts as the end.
    pub timeout: bool,
}

impl Alert {
    /// Makes an alert from a report.
    ///
    /// # Errors
    /// With upstream's text when labels are missing or the times contradict each other.
    pub fn from_post(post: &PostAlert, now_ms: TimestampMs, resolve_timeout_ms: i64) -> Result<Self, Error> {
        let (mut starts, mut ends, mut timeout) = (post.starts_at_ms, post.ends_at_ms, false);
        if starts.is_none() {
            starts = Some(ends.map_or(now_ms, |e| e));
        }
        if ends.is_none() {
            timeout = true;
            ends = Some(now_ms.saturating_add(resolve_timeout_ms));
        }
        let alert = Self {
            labels: post.labels.clone(),
            annotations: post.annotations.clone(),
            starts_at_ms: starts.unwrap_or(now_ms),
            ends_at_ms: ends.unwrap_or(now_ms),
            updated_at_ms: now_ms,
            generator_url: post.generator_url.clone(),
            timeout,
        };
        if alert.ends_at_ms < alert.starts_at_ms {
            return Err(Error::invalid("start time must be before end time"));
        }
        if alert.labels.is_empty() {
            return Err(Error::invalid("at least one label pair required"));
        }
        Ok(alert)
    }

    /// The hash of its labels.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.labels.fingerprint()
    }

    /// Whether it has ended at `now_ms`.
    #[must_use]
    pub fn resolved_at(&self, now_ms: TimestampMs) -> bool {
        self.ends_at_ms <= now_ms
    }

    /// What is known after both reports of the same alert: the newer one, with the earlier start; of two ends the
    /// later one, and a real end is not moved by a timeout.
    #[must_use]
    pub fn merge(self, other: Self, now_ms: TimestampMs) -> Self {
        let (old, mut new) =
            if other.updated_at_ms < self.updated_at_ms { (other, self) } else { (self, other) };
        new.starts_at_ms = new.starts_at_ms.min(old.starts_at_ms);
        if new.resolved_at(now_ms) {
            if old.resolved_at(now_ms) {
                new.ends_at_ms = new.ends_at_ms.max(old.ends_at_ms);
            }
        } else if old.ends_at_ms > new.ends_at_ms && !old.timeout {
            new.ends_at_ms = old.ends_at_ms;
        }
        new
    }

    /// Whether the two were active at the same time; only then are they one alert, else the later one starts anew.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        (other.ends_at_ms > self.starts_at_ms && other.ends_at_ms < self.ends_at_ms)
            || (other.starts_at_ms > self.starts_at_ms && other.starts_at_ms < self.ends_at_ms)
    }
}

/// `firing` or `resolved`.
#[must_use]
pub(crate) fn status_text(resolved: bool) -> &'static str {
    if resolved { "resolved" } else { "firing" }
}
