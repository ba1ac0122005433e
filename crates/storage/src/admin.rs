//! What an operator does to a store: deletes, snapshots, a look at its blocks.

use model::{Exemplar, LabelSet, Matcher};

use crate::{Error, TimeRange};

/// A block, as its `meta.json` has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its name: a ULID in Crockford's base 32.
    pub ulid: String,
    /// First millisecond.
    pub min_time: i64,
    /// The millisecond after the last one, as upstream.
    pub max_time: i64,
    /// Samples of all kinds.
    pub samples: u64,
    /// Of them histograms.
    pub histogram_samples: u64,
    /// Series.
    pub series: u64,
    /// Chunks.
    pub chunks: u64,
    /// Series and intervals deleted but not yet rewritten.
    pub tombstones: u64,
    /// How often it was merged; 1 for a block from the head.
    pub level: u32,
    /// ULIDs of the level 1 blocks it was made from; its own when it is one.
    pub sources: Vec<String>,
    /// Bytes on disk.
    pub bytes: u64,
}

/// A store that can be administered.
pub trait StoreAdmin: Send + Sync {
    /// Deletes the samples in `range` of the series that any one of the matcher sets selects. What is deleted is no longer read
    /// when this returns, and stays so across `kill -9`; the space comes back with the next merge or
    /// [`StoreAdmin::clean_tombstones`].
    ///
    /// # Errors
    /// When the deletion cannot be made durable.
    fn delete(&self, matcher_sets: &[Vec<Matcher>], range: TimeRange) -> Result<(), Error>;

    /// Rewrites the blocks that have deleted samples, without them.
    ///
    /// # Errors
    /// When a block cannot be written; it then stays as it was.
    fn clean_tombstones(&self) -> Result<(), Error>;

    /// Makes `snapshots/<name>` in the store's directory, a store of its own: blocks hard-linked, and the head as a block unless
    /// `skip_head`.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it stays.
    fn snapshot(&self, name: &str, skip_head: bool) -> Result<(), Error>;

    /// The blocks by time.
    fn blocks(&self) -> Vec<BlockInfo>;
}

/// A store that keeps exemplars.
pub trait ExemplarReader: Send + Sync {
    /// Exemplars within `range` of the series that any one of the matcher sets selects, sorted by label set and time. Each has a
    /// timestamp.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn exemplars(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<(LabelSet, Vec<Exemplar>)>, Error>;
}
