//! The time series store: group head, log, sealed chunks, index.

mod options;
mod store;

pub use options::{Clock, StoreOptions};
pub use store::{Stats, Store};

/// The most samples of one series that a chunk holds.
pub const MAX_CHUNK_ROWS: usize = 4096;
