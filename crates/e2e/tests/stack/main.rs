//! The stack as its users run it: real programs, real ports, real peers.

#![expect(clippy::unwrap_used, reason = "all of this binary is tests")]

mod alerting;
mod bad_bodies;
mod browser;
mod compliance;
mod configuration;
mod exporters;
mod guide;
mod original;
mod postgres_exporter;
mod random_queries;
mod remote_write;
mod restart;
mod support;
mod takes_over;
