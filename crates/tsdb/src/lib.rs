//! The time series store: group head, log, sealed chunks, index. Durable across `kill -9`.
//!
//! The way of a row: [`storage::RowAppender::append_row`] writes one record to the `log` (what changed since the row before),
//! then keeps the row as plain doubles in its `group`. A few such rows become a piece, a small `segment` in memory, by the
//! `codec`; about every half minute the owner calls [`Store::maintain`], which joins pieces into segments in mapped
//! `chunkfile`s and, once the log is long enough, writes a `checkpoint` of what no chunk file has and cuts the log.
//! Samples with their own timestamps go the same way by series (`loose`). `recover` puts it all together at start,
//! `read` answers leaves, `index` knows which series match.
//!
//! Byte layouts: `docs/format/store.md`. Lock order: the head of `store`. The clock comes in through [`StoreOptions::clock`].
//!
//! What is older is flushed to immutable `block`s, which `compact` merges and drops; `state` says what readers see of head and blocks.

mod admin;
#[doc(hidden)]
pub mod bench;
mod block;
mod bytes;
mod candidates;
mod checkpoint;
mod chunkfile;
mod codec;
mod compact;
mod cut;
mod definitions;
mod dir;
mod disk;
mod exemplars;
mod flush;
mod flushed;
mod foreign;
mod group;
mod index;
mod log;
mod loose;
mod maintain;
mod mmap;
mod options;
mod read;
mod record;
mod recover;
mod row;
mod rows;
mod samples;
mod segment;
mod state;
mod status;
mod store;

pub use exemplars::ExemplarStats;
pub use options::{Clock, StoreOptions};
pub use store::{Stats, Store};

/// The most samples of one series that a chunk holds.
pub const MAX_CHUNK_ROWS: usize = 4096;

#[cfg(test)]
mod faults_tests;
