//! The store's own metrics, under upstream's names where it has the thing, else `vigie_tsdb_*`.

use std::sync::Arc;

use model::{LabelSet, MetricType};
use storage::{LeafExecutor as _, StoreStatus as _};
use telemetry::{Family, Registry, labelled, single};

use super::store::Retention;

/// Registers them, for each gathering.
pub(crate) fn register(registry: &Registry, store: &Arc<tsdb::Store>, retention: Retention) {
    let store = Arc::clone(store);
    registry.register(move || families(&store, &retention));
}

fn families(store: &tsdb::Store, retention: &Retention) -> Vec<Family> {
    let head = store.head_stats();
    let s = store.stats();
    let empty = head.num_series == 0 || head.min_time > head.max_time;
    // Upstream shows the extreme integers for an empty head; a zero is easier to alert on and to draw.
    let bound = |t: i64| if empty { 0.0 } else { t as f64 };
    let lowest = store.covers().map_or(0.0, |r| r.mint as f64);
    let retention_seconds = retention.time_ms.map_or(0.0, |ms| ms as f64 / 1000.0);

    let gauge = |name, help, value: f64| single(name, help, MetricType::Gauge, value);
    let counter = |name, help, value: u64| single(name, help, MetricType::Counter, value as f64);
    let of_head = vec![
        gauge(
            "prometheus_tsdb_head_series",
            "Total number of series in the head block.",
            head.num_series as f64,
        ),
        gauge(
            "prometheus_tsdb_head_chunks",
            "Total number of chunks in the head block.",
            head.chunk_count as f64,
        ),
        counter(
            "prometheus_tsdb_head_samples_appended_total",
            "Total number of appended samples.",
            head.samples_appended,
        ),
        counter(
            "prometheus_tsdb_head_series_created_total",
            "Total number of series created in the head",
            head.series_created,
        ),
        counter(
            "prometheus_tsdb_head_series_removed_total",
            "Total number of series removed in the head",
            s.series_removed,
        ),
        gauge(
            "prometheus_tsdb_head_min_time",
            "Minimum time bound of the head block in milliseconds.",
            bound(head.min_time),
        ),
        gauge(
            "prometheus_tsdb_head_min_time_seconds",
            "Minimum time bound of the head block in seconds.",
            bound(head.min_time) / 1000.0,
        ),
        gauge(
            "prometheus_tsdb_head_max_time",
            "Maximum timestamp of the head block in milliseconds.",
            bound(head.max_time),
        ),
        gauge(
            "prometheus_tsdb_head_max_time_seconds",
            "Maximum timestamp of the head block in seconds.",
            bound(head.max_time) / 1000.0,
        ),
        counter(
            "prometheus_tsdb_out_of_order_samples_total",
            "Total number of out of order samples ingestion failed attempts.",
            head.out_of_order,
        ),
        gauge(
            "prometheus_tsdb_head_chunks_storage_size_bytes",
            "Size of the sealed chunks' files.",
            head.chunk_bytes as f64,
        ),
        gauge("vigie_tsdb_open_groups", "Groups of series open for writing.", s.open_groups as f64),
        gauge("vigie_tsdb_chunk_files", "Files of sealed chunks.", s.chunk_files as f64),
        gauge("vigie_tsdb_index_bytes", "Memory the head's index takes, about.", s.index_bytes as f64),
    ];
    let of_log = vec![
        gauge(
            "prometheus_tsdb_wal_storage_size_bytes",
            "Size of the write log directory.",
            head.log_bytes as f64,
        ),
        counter(
            "prometheus_tsdb_wal_corruptions_total",
            "Total number of log corruptions.",
            head.corruptions,
        ),
        counter(
            "prometheus_tsdb_wal_writes_failed_total",
            "Total number of write log writes that failed.",
            s.log_write_failures,
        ),
        counter(
            "prometheus_tsdb_wal_truncations_total",
            "Total number of log truncations attempted; each follows a checkpoint.",
            s.checkpoints,
        ),
        counter(
            "prometheus_tsdb_checkpoint_creations_total",
            "Total number of checkpoint creations attempted.",
            s.checkpoints,
        ),
        gauge(
            "vigie_tsdb_checkpoint_bytes",
            "Size of the newest checkpoint written.",
            s.checkpoint_bytes as f64,
        ),
        gauge("vigie_tsdb_log_segments", "Segments of the log on disk.", s.log_segments as f64),
        counter(
            "vigie_tsdb_log_write_failures_total",
            "Writes to the log that failed.",
            s.log_write_failures,
        ),
        counter("vigie_tsdb_fsync_failures_total", "Calls of fsync that failed.", s.fsync_failures),
        counter("vigie_tsdb_log_torn_bytes_total", "Bytes cut from the log's end at start.", s.torn_bytes),
        counter(
            "vigie_tsdb_log_replayed_records_total",
            "Records of the log replayed at start.",
            s.replayed_records,
        ),
    ];
    let of_blocks = vec![
        gauge("prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks", s.blocks as f64),
        gauge(
            "prometheus_tsdb_storage_blocks_bytes",
            "The number of bytes that are currently used for local storage by all blocks.",
            s.block_bytes as f64,
        ),
        counter(
            "prometheus_tsdb_compactions_total",
            "Total number of compactions that were executed for the partition.",
            s.blocks_written + s.merges,
        ),
        counter("vigie_tsdb_merges_total", "Merges of blocks.", s.merges),
        counter("vigie_tsdb_head_blocks_written_total", "Blocks written from the head.", s.blocks_written),
        counter(
            "prometheus_tsdb_time_retentions_total",
            "The number of times that blocks were deleted because the maximum time limit was exceeded.",
            s.time_retentions,
        ),
        counter(
            "prometheus_tsdb_size_retentions_total",
            "The number of times that blocks were deleted because the maximum number of bytes was exceeded.",
            s.size_retentions,
        ),
        gauge(
            "prometheus_tsdb_retention_limit_seconds",
            "How long to retain samples in storage; 0 means without a bound.",
            retention_seconds,
        ),
        gauge(
            "prometheus_tsdb_retention_limit_bytes",
            "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
            retention.bytes.map_or(0.0, |b| b as f64),
        ),
        gauge("prometheus_tsdb_lowest_timestamp", "Lowest timestamp value stored in the database.", lowest),
        gauge(
            "prometheus_tsdb_lowest_timestamp_seconds",
            "Lowest timestamp value stored in the database.",
            lowest / 1000.0,
        ),
    ];
    [of_head, of_samples(&s), of_log, of_blocks].concat()
}

/// Samples outside of groups, and exemplars.
fn of_samples(s: &tsdb::Stats) -> Vec<Family> {
    let gauge = |name, help, value: f64| single(name, help, MetricType::Gauge, value);
    let late = ["float", "histogram"].into_iter().zip(s.late_samples);
    let exemplars = &s.exemplars;
    vec![
        labelled(
            "prometheus_tsdb_head_out_of_order_samples_appended_total",
            "Total number of appended out of order samples.",
            MetricType::Counter,
            late.map(|(kind, n)| (LabelSet::from_pairs([("type", kind)]), n as f64)),
        ),
        gauge(
            "vigie_tsdb_loose_samples_bytes",
            "Memory that samples outside of groups take, those in chunk files aside, about.",
            s.loose_bytes as f64,
        ),
        single(
            "prometheus_tsdb_exemplar_exemplars_appended_total",
            "Total number of appended exemplars.",
            MetricType::Counter,
            s.exemplars_appended as f64,
        ),
        gauge(
            "prometheus_tsdb_exemplar_exemplars_in_storage",
            "Number of exemplars currently in circular storage.",
            exemplars.kept as f64,
        ),
        gauge(
            "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
            "Number of series with exemplars currently in circular storage.",
            exemplars.series as f64,
        ),
        gauge(
            "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
            "The timestamp of the oldest exemplar stored in circular storage.",
            exemplars.oldest_ms.map_or(0.0, |ms| ms as f64 / 1000.0),
        ),
        gauge(
            "prometheus_tsdb_exemplar_max_exemplars",
            "Total number of exemplars the exemplar storage can store, resizeable.",
            exemplars.max as f64,
        ),
    ]
}
