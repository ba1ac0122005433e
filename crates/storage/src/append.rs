//! The write side: rows and single samples.

use model::{Exemplar, Histogram, LabelSet, TimestampMs};

use crate::Error;

/// Bits that mark a slot of a row as having no sample. No text format yields this NaN; a writer that meets it in
/// binary input appends that sample through [`SampleAppender`] instead.
pub const ABSENT_BITS: u64 = 0x7ff0_0000_0000_ab5e;

/// [`ABSENT_BITS`] as a value. Compare with [`is_absent`].
pub const ABSENT: f64 = f64::from_bits(ABSENT_BITS);

/// Whether a slot of a row has no sample.
#[inline]
#[must_use]
pub fn is_absent(v: f64) -> bool {
    v.to_bits() == ABSENT_BITS
}

/// A group of series that are written together: the series of one scrape target. Valid until closed, and only in the
/// process that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupId(pub u32);

/// A series' place in the rows of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// The path of a scrape: all series of a group share one timestamp per row.
///
/// What a call that returned `Ok` wrote survives `kill -9`. Calls for one group must not overlap; different groups may be
/// written from different threads at once.
pub trait RowAppender: Send + Sync {
    /// Opens the group of a target, whose label set is its key. Two open groups never share a key.
    ///
    /// # Errors
    /// When the group is open already, or the store cannot keep what is written.
    fn open_group(&self, key: &LabelSet) -> Result<GroupId, Error>;

    /// Gives series their slots, in the order asked; slots count up from 0 without gaps. A series that has a slot in this
    /// group keeps it.
    ///
    /// # Errors
    /// When the definitions cannot be made durable; then none is in force.
    fn define(&self, group: GroupId, series: &[LabelSet]) -> Result<Vec<Slot>, Error>;

    /// Appends one sample to each slot, the slots of `row` in order. [`ABSENT`] leaves a slot without a sample; the staleness
    /// marker is a sample like any other. A row shorter than the group leaves the remaining slots absent.
    ///
    /// # Errors
    /// [`crate::ErrorKind::OutOfOrder`] or [`crate::ErrorKind::Duplicate`] unless `ts` is after the group's last row
    /// (nothing is written); [`crate::ErrorKind::NoSpace`] or [`crate::ErrorKind::Io`] when the log cannot take it.
    fn append_row(&self, group: GroupId, ts: TimestampMs, row: &[f64]) -> Result<(), Error>;

    /// Closes the group: its target is gone. Its samples stay.
    fn close_group(&self, group: GroupId);
}

/// A sample of a series that is named by its labels.
#[derive(Debug, Clone)]
pub struct SeriesSample {
    /// The series.
    pub labels: LabelSet,
    /// When.
    pub ts: TimestampMs,
    /// The value; may be the staleness marker.
    pub value: f64,
}

/// What became of a batch of single samples. Refused samples are no error of the batch, as upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppendReport {
    /// Samples written, or already present with the same value.
    pub accepted: usize,
    /// Refused because an older timestamp than the series' newest is out of the out-of-order window.
    pub out_of_order: usize,
    /// Refused because the timestamp is present with another value.
    pub duplicate: usize,
    /// Refused because the timestamp is too old or too far in the future.
    pub out_of_bounds: usize,
}

/// The path of rules, remote write and samples with explicit timestamps.
pub trait SampleAppender: Send + Sync {
    /// Appends a batch. What was accepted survives `kill -9`; all of the batch becomes visible to readers at once.
    ///
    /// # Errors
    /// When the log cannot take the batch; then nothing of it is written.
    fn append(&self, batch: &[SeriesSample]) -> Result<AppendReport, Error>;
}

/// What makes a label set, when it is asked for.
pub trait LabelSource {
    /// The label set.
    ///
    /// # Errors
    /// When what it is made from is no label set; the batch fails with it.
    fn label_set(&self) -> Result<LabelSet, Error>;
}

impl LabelSource for LabelSet {
    fn label_set(&self) -> Result<LabelSet, Error> {
        Ok(self.clone())
    }
}

/// One series of a batch, with its points in any order.
#[derive(Clone, Copy)]
pub struct SeriesPoints<'a> {
    /// Stands for the label set across batches, so that it need not be made again: within one process equal keys always
    /// mean equal label sets. `None` when the writer has no such key.
    pub key: Option<u128>,
    /// The label set. Asked only where the key is not known.
    pub labels: &'a dyn LabelSource,
    /// Plain samples; a value may be the staleness marker.
    pub floats: &'a [(TimestampMs, f64)],
    /// Native histograms.
    pub histograms: &'a [(TimestampMs, Histogram)],
    /// Exemplars. Those that are refused are counted, and fail nothing.
    pub exemplars: &'a [Exemplar],
}

/// What becomes of the good samples of a batch that has bad ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// They are written (remote write 2.0, scrapes, rules).
    Skip,
    /// They are not (remote write 1.0).
    FailBatch,
}

/// Why a sample was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// Older than the series' newest, and late samples are not taken.
    OutOfOrder,
    /// Older than the out-of-order window.
    TooOld,
    /// The timestamp is present with another value.
    Duplicate,
    /// Too far in the future, or older than retention.
    OutOfBounds,
    /// A histogram that contradicts itself.
    InvalidHistogram,
}

/// The first sample of a batch that was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Why.
    pub kind: RefusalKind,
    /// Its series.
    pub labels: LabelSet,
    /// Its timestamp.
    pub ts: TimestampMs,
}

/// What became of a batch of points.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PointsReport {
    /// Plain samples written, or already present with the same value.
    pub floats: usize,
    /// Histograms likewise.
    pub histograms: usize,
    /// Exemplars likewise.
    pub exemplars: usize,
    /// Samples refused, by [`RefusalKind`] in the order of its variants.
    pub refused: [usize; 5],
    /// Exemplars refused.
    pub refused_exemplars: usize,
    /// The first sample refused.
    pub first: Option<Refusal>,
}

/// The path of writers with many points a series: remote write, backfill, import.
pub trait PointAppender: Send + Sync {
    /// A hint whether an append now would wait for more than the log's write, or do much beside: sync a disk, seal chunks. Where
    /// `false`, a batch of some thousand plain points of known series takes about a millisecond, and a thread that serves others
    /// may do it.
    fn may_wait(&self) -> bool {
        true
    }

    /// Appends a batch. What was accepted survives `kill -9`; all of the batch becomes visible to readers at once. With
    /// [`Refusals::FailBatch`] and any sample refused nothing is written, and the report says what would have been.
    ///
    /// # Errors
    /// When a label set cannot be made or the log cannot take the batch; then nothing of it is written.
    fn append_points(&self, batch: &[SeriesPoints<'_>], refusals: Refusals) -> Result<PointsReport, Error>;
}
