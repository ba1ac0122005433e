//! Redis' and Valkey's metrics, under the names and types of redis_exporter.
//!
//! [`Options::from_flags`] reads the flags, [`RedisExporter`] answers scrapes, [`RedisExporter::router`] has all its routes.
//!
//! - **Two round trips.** A scrape opens a connection, as the original does, so that it tells what a new client meets. It then asks for INFO
//!   and the settings at once, and in a second batch for all that INFO said the server knows; what a server lacks is not asked for, since each
//!   refusal counts as an error in the server's own statistics.
//! - **Walks over all keys never make a scrape late.** They are done beside it, within a budget; see [`scan`].
//! - **Families of two ages.** Names and types are those of the current original. What only that of Debian 12 (1.45) has is exposed too; see
//!   [`Options::legacy_families`].
//! - **The client is our own** ([`resp`], [`connect`]): a few hundred lines against a library that has neither bounds on replies nor plain
//!   INFO, and whose TLS would be a second set-up beside `httpclient`'s.
//! - **Passwords** are neither logged nor exposed: addresses print without them, and an error of a server that repeats one is changed.

mod address;
mod clients;
mod cluster;
mod config_values;
mod connect;
mod exporter;
mod groups;
mod info;
mod keys;
mod latency;
mod modules;
mod options;
mod resp;
mod routes;
mod scan;
mod sentinel;
mod server;
mod sheet;
mod streams;

pub use options::Options;
pub use routes::RedisExporter;
