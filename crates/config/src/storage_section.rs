//! The `storage` block.

use std::time::Duration;

use crate::values::ByteSize;
use crate::yaml::{Context, SectionMap, section};

section! {
    /// The `storage` block.
    StorageConfig as "config.StorageConfig" unchecked {
        /// The time series store.
        tsdb: Option<TsdbConfig> = None, "tsdb" omit;
        /// Exemplars.
        exemplars: Option<ExemplarsConfig> = None, "exemplars" omit;
    }
}

section! {
    /// The time series store.
    TsdbConfig as "config.TSDBConfig" {
        /// How old a sample may be beside the newest of its series; the program's default where absent.
        out_of_order_time_window: Option<Duration> = None, "out_of_order_time_window" omit;
        /// Share of stale series, 0 to 1, at which they are compacted; 0: never.
        stale_series_compaction_threshold: f64 = 0.0, "stale_series_compaction_threshold" omit;
        /// Encodings of chunks.
        chunk_encoding: ChunkEncodingConfig = ChunkEncodingConfig::default(), "chunk_encoding" omit;
        /// What is kept.
        retention: Option<RetentionConfig> = None, "retention" omit;
    }
}

section! {
    /// Encodings of chunks.
    ChunkEncodingConfig as "config.ChunkEncodingConfig" unchecked {
        /// `xor` or `xor2`.
        floats: String = String::new(), "floats" omit;
    }
}

section! {
    /// What is kept; zero: no bound of that kind; absent: what the flags say.
    RetentionConfig as "config.TSDBRetentionConfig" {
        /// How long.
        time: Option<Duration> = None, "time" omit;
        /// How much.
        size: Option<ByteSize> = None, "size" omit;
        /// How much of the disk, 0 to 100; wins over the size.
        percentage: f64 = 0.0, "percentage" omit;
    }
}

section! {
    /// Exemplars.
    ExemplarsConfig as "config.ExemplarsConfig" unchecked {
        /// How many are kept.
        max_exemplars: i64 = 0, "max_exemplars" omit;
    }
}

impl TsdbConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        let floats = self.chunk_encoding.floats.as_str();
        if !matches!(floats, "" | "xor" | "xor2") {
            cx.error(map.place_of("chunk_encoding"), format!("'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got {floats:?}"));
        }
        self.retention.get_or_insert_default();
    }
}

impl RetentionConfig {
    fn check(&mut self, map: &SectionMap<'_>, cx: &mut Context<'_>) {
        if let Some(size) = map.peek("size").and_then(|n| n.as_str()).filter(|s| s.starts_with('-')) {
            cx.error(
                map.place_of("size"),
                format!("'storage.tsdb.retention.size' must be greater than or equal to 0, got {size}"),
            );
        }
        if !(0.0..=100.0).contains(&self.percentage) {
            cx.error(
                map.place_of("percentage"),
                format!(
                    "'storage.tsdb.retention.percentage' must be in the range [0, 100], got {}",
                    self.percentage
                ),
            );
        }
    }
}
