//! Sends alerts to Alertmanagers, in this process or over HTTP.
//!
//! [`Manager`] is the [`rules::AlertSink`] of the rules: it adds external labels, relabels, and puts each alert in the queue of each
//! Alertmanager. A task per Alertmanager sends batches; what fails is not sent again, because rules send their alerts again
//! themselves. Taking alerts never waits. Queues are bounded and lose their oldest alerts first.

mod json;
mod manager;
mod queue;
mod target;

pub use json::encode_alerts;
pub use manager::{LocalAlertmanager, Manager, ManagerOptions};
pub use queue::{AlertmanagerStats, Stats};

/// Why a configuration is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An HTTP client cannot be made from an entry of `alerting.alertmanagers`.
    #[error("alertmanager config {index}: {source}")]
    Client {
        /// Which entry, from 0.
        index: usize,
        /// Why.
        source: httpclient::Error,
    },
}
