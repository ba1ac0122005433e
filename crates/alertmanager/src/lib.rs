//! The alert manager: takes alerts in, groups and silences them, and tells receivers.
//!
//! [`config`] reads `alertmanager.yml`. The heart is `dispatch`: deterministic, with the time as a parameter, over the
//! routing tree ([`routing`]), inhibition, silences, time intervals and the notification log. `state` keeps alerts,
//! silences and that log in one crash-safe file (`docs/format/alertmanager.md`). [`Service`] adds the clock and the
//! sending (`notify`: webhook, e-mail, Slack); [`api::router`] is the HTTP side. There is no clustering here.

mod alert;
pub mod api;
pub mod config;
mod dispatch;
mod error;
mod inhibit;
mod intervals;
pub mod matchers;
mod nflog;
mod notify;
pub mod routing;
mod service;
mod silence;
mod state;

pub use alert::{Alert, Fingerprint, PostAlert};
pub use error::{Error, ErrorKind};
pub use intervals::TimeInterval;
pub use service::{Service, ServiceOptions, Stats};
pub use silence::{Silence, SilenceLimits, SilenceState};
