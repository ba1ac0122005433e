//! The traits between those who write samples, those who read them, and stores; nothing else.
//!
//! Writers: scrape loops append whole rows ([`RowAppender`]); rules, remote write and samples with explicit timestamps
//! append one by one ([`SampleAppender`]). Readers: the PromQL engine asks for whole leaves and metadata
//! ([`LeafExecutor`]) and touches storage in no other way. All calls block and are meant for a thread that may.

mod admin;
mod append;
mod context;
mod error;
mod leaf;
mod status;

pub use admin::{BlockInfo, ExemplarReader, StoreAdmin};
pub use append::{
    ABSENT, ABSENT_BITS, AppendReport, GroupId, LabelSource, PointAppender, PointsReport, Refusal,
    RefusalKind, Refusals, RowAppender, SampleAppender, SeriesPoints, SeriesSample, Slot, is_absent,
};
pub use context::{QueryContext, WindowCounts};
pub use error::{Error, ErrorKind};
pub use leaf::{
    LeafBatch, LeafCost, LeafData, LeafExecutor, LeafOp, LeafRequest, LeafSink, MetaRequest, RawBlock,
    TimeRange, histogram_cost,
};
pub use status::{Cardinality, HeadStats, NameCount, StoreStatus};
