//! The store: signatures first, bodies follow.

use std::path::Path;
use std::sync::Arc;

use model::{LabelSet, TimestampMs};
use storage::{
    AppendReport, Cardinality, Error, ErrorKind, GroupId, HeadStats, LeafCost, LeafExecutor, LeafRequest, LeafSink,
    MetaRequest, QueryContext, RowAppender, SampleAppender, SeriesSample, Slot, StoreStatus, TimeRange,
};

use crate::StoreOptions;

/// A time series store in one directory.
#[derive(Debug)]
pub struct Store {
    _options: StoreOptions,
}

/// What the store counts, beyond [`storage::HeadStats`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Groups that are open for rows.
    pub open_groups: u64,
    /// Chunk files.
    pub chunk_files: u64,
    /// Bytes of the newest checkpoint.
    pub checkpoint_bytes: u64,
    /// Checkpoints written since start.
    pub checkpoints: u64,
    /// Log segments on disk.
    pub log_segments: u64,
    /// Writes of the log that failed.
    pub log_write_failures: u64,
    /// Fsyncs that failed.
    pub fsync_failures: u64,
    /// Bytes cut from the log's end at start.
    pub torn_bytes: u64,
    /// Log records replayed at start.
    pub replayed_records: u64,
}

fn pending<T>() -> Result<T, Error> {
    Err(Error::new(ErrorKind::Unsupported, "the store is not written yet"))
}

impl Store {
    /// Opens or creates the store in `path`.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(_path: &Path, _options: StoreOptions) -> Result<Arc<Self>, Error> {
        pending()
    }
    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// When an fsync fails.
    pub fn sync(&self) -> Result<(), Error> {
        pending()
    }
    /// A clean end.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    pub fn close(&self) -> Result<(), Error> {
        pending()
    }
    /// Seals, cuts the log, drops what is past retention. Call about each 30 s.
    ///
    /// # Errors
    /// When files cannot be written; reading and appending go on.
    pub fn maintain(&self, _now_ms: TimestampMs) -> Result<(), Error> {
        pending()
    }
    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}

impl RowAppender for Store {
    fn open_group(&self, _key: &LabelSet) -> Result<GroupId, Error> {
        pending()
    }
    fn define(&self, _group: GroupId, _series: &[LabelSet]) -> Result<Vec<Slot>, Error> {
        pending()
    }
    fn append_row(&self, _group: GroupId, _ts: TimestampMs, _row: &[f64]) -> Result<(), Error> {
        pending()
    }
    fn close_group(&self, _group: GroupId) {}
}

impl SampleAppender for Store {
    fn append(&self, _batch: &[SeriesSample]) -> Result<AppendReport, Error> {
        pending()
    }
}

impl LeafExecutor for Store {
    fn covers(&self) -> Option<TimeRange> {
        None
    }
    fn estimate(&self, _request: &LeafRequest) -> Result<LeafCost, Error> {
        pending()
    }
    fn run(&self, _request: &LeafRequest, _ctx: &QueryContext, _sink: &mut dyn LeafSink) -> Result<(), Error> {
        pending()
    }
    fn series(&self, _request: &MetaRequest, _ctx: &QueryContext) -> Result<Vec<LabelSet>, Error> {
        pending()
    }
    fn label_names(&self, _request: &MetaRequest, _ctx: &QueryContext) -> Result<Vec<String>, Error> {
        pending()
    }
    fn label_values(&self, _name: &str, _request: &MetaRequest, _ctx: &QueryContext) -> Result<Vec<String>, Error> {
        pending()
    }
}

impl StoreStatus for Store {
    fn head_stats(&self) -> HeadStats {
        HeadStats::default()
    }
    fn cardinality(&self, _limit: usize) -> Cardinality {
        Cardinality::default()
    }
}
