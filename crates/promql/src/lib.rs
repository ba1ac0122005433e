//! PromQL: parser, planner, engine by column.
//!
//! A query is parsed to a syntax tree ([`parser`]), lowered to a small plan whose leaves (selector, range function, step grid) are
//! asked of [`storage::LeafExecutor`] as a whole, and evaluated by column: each node yields its values on all steps at
//! once, label sets are touched once per series. The engine sees no file, no thread pool and no network; its results
//! have the same bits whatever the store does in parallel, because batches come in a fixed order and sums are
//! compensated.

mod annotations;
mod dates;
mod engine;
mod error;
mod eval;
mod gate;
pub mod histogram;
mod numeric;
pub mod parser;
mod plan;
mod samples;
mod value;
mod watch;

pub use engine::{DEFAULT_MAX_BYTES, Engine, EngineOptions, Priority, QueryOptions, StatsLevel, Waiting};
pub use error::{QueryError, QueryErrorKind};
pub use samples::{Cursor, Samples};
pub use value::{Annotations, QueryResult, QueryStats, Series, StepStats, Value, VectorSample};
pub use watch::{Origin, QueryRecord, QueryWatch, Slot};
