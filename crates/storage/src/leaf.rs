//! The read side: leaves of a query plan and metadata.

use std::sync::Arc;

use kernels::{Grid, GridBlock, RangeFn};
use model::{Histogram, LabelSet, Matcher, TimestampMs};

use crate::{Error, QueryContext};

/// What is computed per series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LeafOp {
    /// The raw samples in `(grid.start - range_ms, grid.end()]`, histograms too, staleness markers left out.
    Select,
    /// The same range, everything as it is stored: staleness markers too. For tools and exports.
    Samples,
    /// One value per step. Functions of floats are the executor's business; a series that has a histogram in the request's range
    /// comes as [`LeafData::Raw`], histograms and all, for the evaluator to compute.
    Range(RangeFn),
}

/// One leaf: matchers, function, window and grid, with `offset` and `@` folded into the grid.
#[derive(Debug, Clone)]
pub struct LeafRequest {
    /// All must match. At least one does not match the empty string.
    pub matchers: Vec<Matcher>,
    /// What to compute.
    pub op: LeafOp,
    /// The window's length in milliseconds; the lookback for [`RangeFn::Last`].
    pub range_ms: i64,
    /// When to compute it.
    pub grid: Grid,
}

impl LeafRequest {
    /// The samples the request can see: `(grid.start - range_ms, grid.end()]` as inclusive bounds.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        TimeRange {
            mint: self.grid.start.saturating_sub(self.range_ms).saturating_add(1),
            maxt: self.grid.end(),
        }
    }
}

/// Inclusive bounds in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// First millisecond.
    pub mint: TimestampMs,
    /// Last millisecond.
    pub maxt: TimestampMs,
}

impl TimeRange {
    /// Whether both ranges share a millisecond.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.mint <= other.maxt && other.mint <= self.maxt
    }
}

/// Raw samples of several series: series `i` has `ts[offsets[i]..offsets[i + 1]]`, ascending, and the same of `values`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RawBlock {
    /// One more than there are series.
    pub offsets: Vec<usize>,
    /// Timestamps.
    pub ts: Vec<TimestampMs>,
    /// Values; where the sample is a histogram, [`crate::ABSENT`].
    pub values: Vec<f64>,
    /// The histograms by their index in `ts`, ascending.
    pub histograms: Vec<(usize, Arc<Histogram>)>,
    /// When what each sample counts began, 0 where that is not known; empty where it is known of none.
    pub starts: Vec<TimestampMs>,
}

impl RawBlock {
    /// What the block costs of a query's budget, in samples.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.ts.len() + self.histograms.iter().map(|(_, h)| histogram_cost(h)).sum::<usize>()
    }
}

/// The size of upstream's structure, without what it points to.
const HISTOGRAM_BYTES: usize = 168;

/// What a histogram costs of a query's budget: its size in memory by that of a plain sample, as upstream counts.
#[must_use]
pub fn histogram_cost(h: &Histogram) -> usize {
    let spans = h.positive_spans.len() + h.negative_spans.len();
    let numbers = h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len();
    (HISTOGRAM_BYTES + 8 * (spans + numbers) + 8) / 16
}

/// What a batch carries.
#[derive(Debug, Clone, PartialEq)]
pub enum LeafData {
    /// For [`LeafOp::Range`]: row `i` belongs to `labels[i]`.
    Grid(GridBlock),
    /// For [`LeafOp::Select`] and [`LeafOp::Samples`]; and for [`LeafOp::Range`] the series that have histograms, each with all its
    /// samples in the request's range, staleness markers included for [`RangeFn::Last`] and [`RangeFn::LastTimestamp`] and left
    /// out for others.
    Raw(RawBlock),
}

/// Some of a leaf's series. A series is in one batch only, and has at least one value.
#[derive(Debug, Clone)]
pub struct LeafBatch {
    /// Label sets with the metric name.
    pub labels: Vec<LabelSet>,
    /// Their data.
    pub data: LeafData,
}

/// Takes batches as they come. Batches of one request always come in the same order, so that sums over them have the same
/// bits each time.
pub trait LeafSink {
    /// Takes a batch.
    ///
    /// # Errors
    /// To end the run; the executor returns the error as its own.
    fn batch(&mut self, batch: LeafBatch) -> Result<(), Error>;
}

impl<F: FnMut(LeafBatch) -> Result<(), Error>> LeafSink for F {
    fn batch(&mut self, batch: LeafBatch) -> Result<(), Error> {
        self(batch)
    }
}

/// What a leaf would cost; an upper bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeafCost {
    /// Series selected.
    pub series: u64,
    /// Samples to read.
    pub samples: u64,
}

/// A selection of series for metadata. No matchers select all series.
#[derive(Debug, Clone)]
pub struct MetaRequest {
    /// Alternative sets of matchers: a series is selected when all of any one set match. Empty: all series.
    pub matcher_sets: Vec<Vec<Matcher>>,
    /// Series with a sample in here (a store may answer by the granularity of its partitions).
    pub range: TimeRange,
}

/// A store, or what stands for several.
pub trait LeafExecutor: Send + Sync {
    /// The times for which it has samples; `None` when it is empty.
    fn covers(&self) -> Option<TimeRange>;

    /// What a request would cost.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn estimate(&self, request: &LeafRequest) -> Result<LeafCost, Error>;

    /// Runs a leaf and hands its batches to `sink`.
    ///
    /// # Errors
    /// Cancellation, deadline and budget of `ctx`; the sink's own error; data that cannot be read.
    fn run(&self, request: &LeafRequest, ctx: &QueryContext, sink: &mut dyn LeafSink) -> Result<(), Error>;

    /// The label sets selected, sorted, each once.
    ///
    /// # Errors
    /// As [`LeafExecutor::run`].
    fn series(&self, request: &MetaRequest, ctx: &QueryContext) -> Result<Vec<LabelSet>, Error>;

    /// The label names of the series selected, sorted, each once.
    ///
    /// # Errors
    /// As [`LeafExecutor::run`].
    fn label_names(&self, request: &MetaRequest, ctx: &QueryContext) -> Result<Vec<String>, Error>;

    /// The values of one label over the series selected, sorted, each once.
    ///
    /// # Errors
    /// As [`LeafExecutor::run`].
    fn label_values(
        &self,
        name: &str,
        request: &MetaRequest,
        ctx: &QueryContext,
    ) -> Result<Vec<String>, Error>;
}
