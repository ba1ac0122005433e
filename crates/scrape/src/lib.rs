//! Scraping: relabelling, target pools, scrape loops and the row path.
//!
//! [`Manager`] keeps one pool per scrape config and one loop per target. A loop fetches a body, and the row path
//! (`ingest`) turns it into one dense row of values by walking it against what the last body looked like; [`storage::RowAppender`]
//! takes the row. Relabelling, target building, schedule and ingestion are synchronous and deterministic; only `task`, `shards`
//! and `manager` know sockets and clocks.

pub mod ingest;
mod lines;
mod local;
mod manager;
mod metadata;
mod pool;
pub mod relabel;
mod sample;
mod schedule;
mod shards;
mod stats;
mod target;
mod task;

pub use local::{LocalPages, LocalReply, LocalReplyFuture};
pub use manager::{Manager, ManagerOptions};
pub use metadata::{MetadataStore, MetricMetadata};
pub use stats::{Stats, StatsSnapshot};
pub use target::{DroppedTarget, Health, TargetError, TargetGroup, TargetStatus};
