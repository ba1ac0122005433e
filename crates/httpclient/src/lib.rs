//! HTTP clients built from an HTTP client block: TLS, authorisation, proxies, redirects.
//!
//! [`Client`] is what scrapes, discoveries, Alertmanagers and receivers are spoken to with. It speaks HTTP/1.1 only
//! (`enable_http2` is accepted and has no effect), keeps connections, reads secrets and certificates from their files when they
//! are used, and bounds every reply in time and size. Secrets are never part of an error.

mod auth;
mod body;
mod chunked;
mod client;
mod connect;
mod error;
mod fetch;
mod proxy;
mod reply;
mod tls;

pub use client::{Client, ClientOptions, Limits};
pub use error::{Error, ErrorKind};
pub use fetch::{Fetched, Fetcher};
pub use reply::Buffer;
pub use tls::{AnyCertificate, Tls, default_roots};
