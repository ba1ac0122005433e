//! Alerts: their states while a rule evaluates them, and what is sent of them.

use model::{LabelSet, TimestampMs};

/// How long a resolved alert is kept and sent again.
pub(crate) const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// The state of an alert, or the greatest state of a rule's alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// The rule was not evaluated yet.
    Unknown,
    /// The expression does not hold.
    Inactive,
    /// It holds, for less than `for`.
    Pending,
    /// It holds for long enough.
    Firing,
}

impl AlertState {
    /// The text in the API and in `alertstate`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// An alert as it is sent. Times in milliseconds since the epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its identity.
    pub labels: LabelSet,
    /// What is said about it.
    pub annotations: LabelSet,
    /// When it fired.
    pub starts_at: TimestampMs,
    /// When it was resolved, or until when it stands without being sent again.
    pub ends_at: TimestampMs,
    /// The expression in the query page.
    pub generator_url: String,
}

impl Alert {
    /// Whether the alert is over at `now`.
    #[must_use]
    pub fn is_resolved_at(&self, now: TimestampMs) -> bool {
        self.ends_at <= now
    }
}

/// Takes alerts that are due. Must not block for long: it is called while a group is evaluated.
pub trait AlertSink: Send + Sync {
    /// Takes them, in no order.
    fn send(&self, alerts: &[Alert]);
}

/// One instance of an alerting rule.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActiveAlert {
    pub(crate) state: AlertState,
    pub(crate) annotations: LabelSet,
    pub(crate) value: f64,
    pub(crate) active_at: TimestampMs,
    pub(crate) fired_at: Option<TimestampMs>,
    pub(crate) resolved_at: Option<TimestampMs>,
    pub(crate) last_sent_at: Option<TimestampMs>,
    pub(crate) valid_until: TimestampMs,
    pub(crate) keep_firing_since: Option<TimestampMs>,
}

impl ActiveAlert {
    pub(crate) fn pending(active_at: TimestampMs, value: f64, annotations: LabelSet) -> Self {
        Self {
            state: AlertState::Pending,
            annotations,
            value,
            active_at,
            fired_at: None,
            resolved_at: None,
            last_sent_at: None,
            valid_until: 0,
            keep_firing_since: None,
        }
    }

    /// Whether it is due: newly resolved, or last sent long enough ago. Pending ones never are.
    pub(crate) fn needs_sending(&self, ts: TimestampMs, resend_delay_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(sent) = self.last_sent_at else { return true };
        self.resolved_at.is_some_and(|r| r > sent) || sent + resend_delay_ms < ts
    }
}

/// Upstream's link to an expression in the query page, relative to the external URL.
#[must_use]
pub fn table_link(expr: &str) -> String {
    let mut out = String::from("/graph?g0.expr=");
    for b in expr.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out.push_str("&g0.tab=1");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_as_upstream() {
        assert_eq!(
            table_link(r#"up{a="b c"} == 0"#),
            "/graph?g0.expr=up%7Ba%3D%22b+c%22%7D+%3D%3D+0&g0.tab=1"
        );
    }

    #[test]
    fn sends_when_due() {
        let mut a = ActiveAlert::pending(0, 1.0, LabelSet::empty());
        assert!(!a.needs_sending(100, 60_000));
        a.state = AlertState::Firing;
        assert!(a.needs_sending(100, 60_000));
        a.last_sent_at = Some(100);
        assert!(!a.needs_sending(60_100, 60_000));
        assert!(a.needs_sending(60_101, 60_000));
        a.state = AlertState::Inactive;
        a.resolved_at = Some(200);
        assert!(a.needs_sending(200, 60_000));
    }
}
