//! Prometheus' TSDB files, read and written.
//!
//! [`Block`] reads a block in place, [`BlockWriter`] makes one that Prometheus opens; [`chunk`] holds the codecs; [`wal`] reads the log of
//! a head. [`Directory`] puts blocks and log of a whole data directory together. Nothing here changes a file it did not
//! create, and no byte of a file is trusted: lengths are checked against what is there, checksums against what was read.

mod bits;
mod block;
mod bytes;
pub mod chunk;
mod directory;
mod error;
pub mod fuzz;
mod map;
pub mod wal;

pub use block::{
    Block, BlockWriter, ChunkMeta, Compaction, Meta, Parent, SeriesRef, Stats, TimeRange, is_ulid, ulid,
};
pub use chunk::Samples;
pub use directory::{Directory, Head, SeriesSamples};
pub use error::{Error, ErrorKind};
