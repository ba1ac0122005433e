//! What a store says of itself, for `/api/v1/status/tsdb` and the process's own metrics.

/// The head in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series in memory.
    pub num_series: u64,
    /// Distinct name and value pairs.
    pub num_label_pairs: u64,
    /// Chunks, open ones included.
    pub chunk_count: u64,
    /// Oldest sample in milliseconds; `i64::MAX` when empty, as upstream.
    pub min_time: i64,
    /// Newest sample in milliseconds; `i64::MIN` when empty, as upstream.
    pub max_time: i64,
    /// Samples appended since start.
    pub samples_appended: u64,
    /// Series created since start, replayed ones included.
    pub series_created: u64,
    /// Samples refused as out of order.
    pub out_of_order: u64,
    /// Bytes of the log on disk.
    pub log_bytes: u64,
    /// Bytes of sealed chunks on disk.
    pub chunk_bytes: u64,
    /// Damaged records or chunks met at start or while reading.
    pub corruptions: u64,
}

/// A name and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCount {
    /// What is counted.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// The top of four rankings, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series by metric name.
    pub series_count_by_metric_name: Vec<NameCount>,
    /// Distinct values by label name.
    pub label_value_count_by_label_name: Vec<NameCount>,
    /// Bytes of values by label name.
    pub memory_in_bytes_by_label_name: Vec<NameCount>,
    /// Series by `name=value`.
    pub series_count_by_label_value_pair: Vec<NameCount>,
}

/// A store that can describe itself.
pub trait StoreStatus: Send + Sync {
    /// The head's numbers.
    fn head_stats(&self) -> HeadStats;

    /// The `limit` largest of each ranking.
    fn cardinality(&self, limit: usize) -> Cardinality;
}
