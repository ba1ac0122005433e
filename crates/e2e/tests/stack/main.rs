//! The stack as its users run it: real programs, real ports, real peers.

#![expect(clippy::unwrap_used, reason = "all of this binary is tests")]

mod alerting;
mod bad_bodies;
mod browser;
mod built_in;
mod compliance;
mod configuration;
mod dashboard_queries;
mod databases;
mod exporters;
mod guide;
mod node_exporter;
mod original;
mod postgres_exporter;
mod random_queries;
mod real_dashboards;
mod redis_exporter;
mod redis_servers;
mod remote_write;
mod restart;
mod starters;
mod support;
mod takes_over;
