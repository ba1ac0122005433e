//! Prometheus HTTP API, query page, TLS and authentication, shared HTTP limits
