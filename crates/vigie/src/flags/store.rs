//! The flags of the store, the same for every role that has one.

use super::{Flag, switch, value};

/// Upstream's `--storage.tsdb.*` but for the path, and our own.
pub(crate) const STORE: &[Flag] = &[
    value(
        "storage.tsdb.retention.time",
        "",
        "How long to retain samples in storage. 15d unless this or a size is set. storage.tsdb.retention.time in the configuration file wins.",
    ),
    value(
        "storage.tsdb.retention.size",
        "",
        "Maximum number of bytes that can be stored, all files counted; the oldest blocks go first. Units: B, KB, MB, GB, TB, PB, EB, powers of 1024. storage.tsdb.retention.size in the configuration file wins.",
    ),
    switch("storage.tsdb.no-lockfile", "Do not create lockfile in data directory.").without_effect(
        "the lock is the kernel's and ends with the process: no stale one can be left behind",
    ),
    value(
        "storage.tsdb.head-chunks-write-queue-size",
        "0",
        "Size of the queue through which head chunks are written.",
    )
    .without_effect("no scrape waits for chunks to be written: maintenance writes them"),
    value("storage.tsdb.delay-compact-file.path", "", "Path to a file whose presence delays compaction.")
        .without_effect("blocks are not in upstream's format, so no shipper uploads them"),
    value(
        "storage.vigie.sync-interval",
        "2s",
        "How long written samples may wait for an fsync of the log: what a power cut can take. 0s syncs with each write. Nothing that was written is lost when only the process dies, even by kill -9.",
    ),
    value("storage.tsdb.retention", "", "Deprecated form of --storage.tsdb.retention.time.").hidden(),
    value("storage.tsdb.min-block-duration", "2h", "Span of the blocks that the head is written to.")
        .hidden(),
    value(
        "storage.tsdb.max-block-duration",
        "",
        "Maximum span of merged blocks; by default a tenth of the retention time, 31d at most.",
    )
    .hidden(),
    value("storage.tsdb.max-block-chunk-segment-size", "", "Maximum size of a chunk segment.")
        .hidden()
        .without_effect("a block has one file of chunks"),
    value(
        "storage.tsdb.wal-segment-size",
        "",
        "Size at which to split the log, 10MB to 256MB; 32MB where it is not given.",
    )
    .hidden(),
    switch("storage.tsdb.wal-compression", "Compress the log.")
        .on()
        .hidden()
        .without_effect("the log holds only what changed from row to row; there is nothing left to compress"),
    value("storage.tsdb.wal-compression-type", "snappy", "How to compress the log.")
        .hidden()
        .without_effect("the log holds only what changed from row to row; there is nothing left to compress"),
    value("storage.tsdb.samples-per-chunk", "120", "Target number of samples per chunk in the head.")
        .hidden(),
    switch("storage.tsdb.allow-overlapping-compaction", "Merge overlapping blocks.")
        .on()
        .hidden()
        .without_effect("blocks that overlap are always read as one and merged in time"),
    value("storage.tsdb.block-reload-interval", "1m", "How often to look for new blocks.")
        .hidden()
        .without_effect("only this process writes blocks, so it knows them without looking"),
    value("storage.tsdb.delayed-compaction.max-percent", "10", "Bound of a compaction's random delay.")
        .hidden()
        .without_effect("merges run under a memory bound and are not delayed"),
];
