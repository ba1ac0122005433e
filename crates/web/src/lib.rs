//! The Prometheus role's HTTP side: API, query page, own metrics; and the server that all roles share.
//!
//! [`server`] listens, speaks TLS, checks passwords and bounds connections for any [`axum::Router`]. [`api`] is the router of
//! `/api/v1` on top of the engines. Nothing here computes: a handler reads parameters, calls an engine on a thread that may
//! block, and writes the answer in upstream's envelope.

pub mod api;
mod auth;
mod json;
mod metrics;
pub mod server;
mod stream;
mod tls;

pub use metrics::metrics_response;
