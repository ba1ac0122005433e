//! What the process says of itself: metrics under the originals' names, `process_*`, and logs in their format.
//!
//! Metrics are plain atomics behind a [`Registry`]; a part that keeps its own counters registers a [`Collector`] that is asked at
//! each gathering. Encoding is not here: [`Registry::gather`] gives families that `exposition` writes.

mod instruments;
pub mod logging;
mod process;
mod registry;

pub use exposition::{Family, FamilySample};
pub use instruments::{Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramVec};
pub use process::register_process_metrics;
pub use registry::{Collector, Registry, labelled, single};
