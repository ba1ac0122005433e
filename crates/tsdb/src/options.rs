//! What the owner of a store chooses.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::TimestampMs;

/// The clock a store reads: milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> TimestampMs + Send + Sync>;

/// Settings of a [`crate::Store`]. The defaults suit one process that scrapes.
#[derive(Clone)]
pub struct StoreOptions {
    /// How long written bytes may wait for an fsync, in milliseconds: what a power cut can take. 0 syncs with each
    /// write; negative leaves it to [`crate::Store::sync`], [`crate::Store::maintain`] and [`crate::Store::close`].
    pub sync_interval_ms: i64,
    /// Length of a log segment in bytes. The log is cut back, by a checkpoint, once it is longer than one segment.
    pub segment_bytes: u64,
    /// Rows a group keeps as plain doubles before they are compressed in memory. 1 to 1,024.
    pub raw_rows: usize,
    /// Samples of a series in one sealed chunk. 1 to [`crate::MAX_CHUNK_ROWS`].
    pub seal_samples: usize,
    /// Length of a chunk file in bytes after which the next one is begun.
    pub chunk_file_bytes: u64,
    /// Span of a chunk file in milliseconds after which the next one is begun; retention drops whole files.
    pub chunk_file_span_ms: i64,
    /// Span of the blocks that the head is written to, in milliseconds; blocks begin at multiples of it.
    pub block_span_ms: i64,
    /// The longest span blocks are merged to; `None` is a tenth of retention, 31 days at most.
    pub max_block_span_ms: Option<i64>,
    /// Age in milliseconds after which samples go; `None` keeps them.
    pub retention_ms: Option<i64>,
    /// Bytes on disk, of all kinds, beyond which the oldest blocks go; `None` keeps them.
    pub retention_bytes: Option<u64>,
    /// How much older than its series' newest a sample may be, in milliseconds; 0 takes no late samples.
    pub out_of_order_window_ms: i64,
    /// Exemplars kept, of all series; 0 keeps none.
    pub max_exemplars: usize,
    /// How far ahead of the clock a loose sample's timestamp may be, in milliseconds.
    pub max_future_ms: i64,
    /// Threads a large read is spread over; 0 takes as many as there are cores.
    pub read_threads: usize,
    /// The clock for bounds and the sync policy.
    pub clock: Clock,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            sync_interval_ms: 2_000,
            segment_bytes: 32 << 20,
            raw_rows: 24,
            seal_samples: 120,
            chunk_file_bytes: 128 << 20,
            chunk_file_span_ms: 2 * 3_600_000,
            block_span_ms: 2 * 3_600_000,
            max_block_span_ms: None,
            retention_ms: None,
            retention_bytes: None,
            out_of_order_window_ms: 30 * 60_000,
            max_exemplars: 100_000,
            max_future_ms: 10 * 60_000,
            read_threads: 0,
            clock: Arc::new(wall_clock),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("sync_interval_ms", &self.sync_interval_ms)
            .field("segment_bytes", &self.segment_bytes)
            .field("raw_rows", &self.raw_rows)
            .field("seal_samples", &self.seal_samples)
            .field("chunk_file_bytes", &self.chunk_file_bytes)
            .field("chunk_file_span_ms", &self.chunk_file_span_ms)
            .field("block_span_ms", &self.block_span_ms)
            .field("max_block_span_ms", &self.max_block_span_ms)
            .field("retention_ms", &self.retention_ms)
            .field("retention_bytes", &self.retention_bytes)
            .field("out_of_order_window_ms", &self.out_of_order_window_ms)
            .field("max_exemplars", &self.max_exemplars)
            .field("max_future_ms", &self.max_future_ms)
            .field("read_threads", &self.read_threads)
            .finish_non_exhaustive()
    }
}

fn wall_clock() -> TimestampMs {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
