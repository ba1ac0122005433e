//! Grafana's dashboard model, provisioning, users and sessions, HTTP API
