//! Sending: one notification through one integration, and what its failure means.

pub(crate) mod data;
mod email;
mod http;
pub(crate) mod templates;

use std::fmt;
use std::path::Path;

use crate::config::Receiver;
use data::Data;
use templates::NotificationTemplates;

/// The program's name and version as receivers see it.
pub(crate) const USER_AGENT: &str = concat!("Alertmanager/", env!("CARGO_PKG_VERSION"));

/// Why a notification failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Whether another attempt may succeed.
    pub(crate) retry: bool,
    /// Upstream's word for the metric.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn fatal(message: impl Into<String>) -> Self {
        Self { retry: false, reason: "other", message: message.into() }
    }

    pub(crate) fn passing(message: impl Into<String>) -> Self {
        Self { retry: true, reason: "other", message: message.into() }
    }
}

impl From<template::Error> for Failure {
    fn from(e: template::Error) -> Self {
        Self::fatal(e.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// One notification.
#[derive(Debug, Clone)]
pub(crate) struct Notification {
    pub(crate) data: Data,
    pub(crate) group_key: String,
    pub(crate) timeout: std::time::Duration,
}

/// Sends a notification through integration `index` of the receiver (the order of `dispatch::integrations`).
pub(crate) async fn send(
    receiver: &Receiver,
    index: usize,
    notification: &Notification,
    templates: &NotificationTemplates,
) -> Result<(), Failure> {
    let mut at = index;
    if let Some(c) = receiver.webhooks.get(at) {
        return http::webhook(c, notification, templates).await;
    }
    at -= receiver.webhooks.len();
    if let Some(c) = receiver.emails.get(at) {
        return email::send(c, notification, templates).await;
    }
    at -= receiver.emails.len();
    if let Some(c) = receiver.slacks.get(at) {
        return http::slack(c, notification, templates).await;
    }
    at -= receiver.slacks.len();
    let name = receiver.others.get(at).map_or("unknown", |o| o.integration);
    Err(Failure::fatal(format!("{name} notifications are not supported yet")))
}

/// A secret given in the file or in a file of its own, which is read when it is used.
pub(crate) fn secret(inline: &::config::Secret, file: &str) -> Result<String, Failure> {
    if file.is_empty() {
        return Ok(inline.expose().to_owned());
    }
    std::fs::read_to_string(Path::new(file))
        .map(|s| s.trim().to_owned())
        .map_err(|e| Failure::fatal(format!("read {file}: {e}")))
}

/// At most `max` characters; what is cut ends in `…`.
pub(crate) fn truncate(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
