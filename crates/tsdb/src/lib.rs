//! The time series store: group head, log, sealed chunks, index.

mod bytes;
mod checkpoint;
mod chunkfile;
mod codec;
mod dir;
mod disk;
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
mod segment;
mod status;
mod store;

pub use options::{Clock, StoreOptions};
pub use store::{Stats, Store};

/// The most samples of one series that a chunk holds.
pub const MAX_CHUNK_ROWS: usize = 4096;
