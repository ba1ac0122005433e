//! What only some series have: samples that came late, and histograms.
//!
//! Both are kept as they are while they are few, then as pieces: small chunks in memory. What came late may lie anywhere among
//! the rest; within one buffer or piece samples are ascending and of different times.

use std::sync::Arc;

use model::Histogram;

use super::chunk::{ChunkCodec, HISTOGRAMS, LATE, Piece, cut};
use crate::codec::histogram::can_share;

/// Late plain samples that stay as they are.
const RAW_LATE: usize = 32;
/// Histograms that stay as they are.
const RAW_HISTOGRAMS: usize = 8;

/// Histograms with their times, ascending.
pub(crate) type Histograms = Vec<(i64, Arc<Histogram>)>;

/// The rarer samples of a series.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) late: Vec<(i64, f64)>,
    pub(crate) histograms: Histograms,
    pub(crate) late_histograms: Histograms,
    pub(crate) pieces: Vec<Piece>,
    /// The newest histogram that came in order, whether or not it is still here; its time alone after a restart.
    pub(crate) newest_histogram: Option<(i64, Option<Arc<Histogram>>)>,
    bytes: usize,
}

/// Inserts by time; a sample that has the time already stays.
fn insert<T>(samples: &mut Vec<(i64, T)>, ts: i64, value: T) {
    match samples.last() {
        Some((last, _)) if *last >= ts => {
            if let Err(i) = samples.binary_search_by_key(&ts, |s| s.0) {
                samples.insert(i, (ts, value));
            }
        }
        _ => samples.push((ts, value)),
    }
}

/// Bytes of memory that a histogram takes, about.
fn size_of_histogram(h: &Histogram) -> usize {
    size_of::<Histogram>()
        + 8 * (h.positive_buckets.capacity() + h.negative_buckets.capacity() + h.custom_values.capacity())
        + 8 * (h.positive_spans.capacity() + h.negative_spans.capacity())
        + 16
}

/// Ascending plain samples as pieces.
pub(super) fn float_pieces(
    samples: &[(i64, f64)],
    most: usize,
    late: bool,
    span: i64,
    codec: &mut ChunkCodec,
    out: &mut Vec<Piece>,
) {
    let mut rest = samples;
    let (mut ts, mut values) = (vec![], vec![]);
    while !rest.is_empty() {
        let (these, others) = rest.split_at(cut(rest.iter().map(|s| s.0), span, most));
        ts.clear();
        ts.extend(these.iter().map(|s| s.0));
        values.clear();
        values.extend(these.iter().map(|s| s.1));
        out.push(codec.floats(&ts, &values, late));
        rest = others;
    }
}

/// Ascending histograms as pieces, cut where the layout changes.
pub(super) fn histogram_pieces(
    samples: &[(i64, Arc<Histogram>)],
    most: usize,
    late: bool,
    span: i64,
    codec: &mut ChunkCodec,
    out: &mut Vec<Piece>,
) {
    let mut rest = samples;
    while !rest.is_empty() {
        let alike = 1 + rest.windows(2).take_while(|w| can_share(&w[0].1, &w[1].1)).count();
        let (these, others) = rest.split_at(cut(rest[..alike].iter().map(|s| s.0), span, most));
        let ts: Vec<i64> = these.iter().map(|s| s.0).collect();
        let values: Vec<Arc<Histogram>> = these.iter().map(|s| Arc::clone(&s.1)).collect();
        out.push(codec.histograms(&ts, &values, late));
        rest = others;
    }
}

impl Extra {
    pub(crate) fn push_late(&mut self, ts: i64, value: f64, span: i64, codec: &mut ChunkCodec) {
        insert(&mut self.late, ts, value);
        if self.late.len() >= RAW_LATE {
            let late = std::mem::take(&mut self.late);
            float_pieces(&late, late.len(), true, span, codec, &mut self.pieces);
        }
        self.account();
    }

    /// Takes a histogram newer than the series' newest.
    pub(crate) fn push_histogram(&mut self, ts: i64, h: Arc<Histogram>, span: i64, codec: &mut ChunkCodec) {
        self.newest_histogram = Some((ts, Some(Arc::clone(&h))));
        self.histograms.push((ts, h));
        if self.histograms.len() >= RAW_HISTOGRAMS {
            let raw = std::mem::take(&mut self.histograms);
            histogram_pieces(&raw, raw.len(), false, span, codec, &mut self.pieces);
        }
        self.account();
    }

    pub(crate) fn push_late_histogram(
        &mut self,
        ts: i64,
        h: Arc<Histogram>,
        span: i64,
        codec: &mut ChunkCodec,
    ) {
        insert(&mut self.late_histograms, ts, h);
        if self.late_histograms.len() >= RAW_HISTOGRAMS {
            let raw = std::mem::take(&mut self.late_histograms);
            histogram_pieces(&raw, raw.len(), true, span, codec, &mut self.pieces);
        }
        self.account();
    }

    /// Counts anew what is held.
    pub(crate) fn account(&mut self) {
        let raw = self.histograms.iter().chain(&self.late_histograms);
        self.bytes = self.late.capacity() * 16
            + raw.map(|(_, h)| size_of_histogram(h)).sum::<usize>()
            + self.pieces.capacity() * size_of::<Piece>()
            + self.pieces.iter().map(|p| p.body.len()).sum::<usize>();
    }

    pub(crate) fn memory(&self) -> usize {
        self.bytes + size_of::<Self>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.late.is_empty()
            && self.histograms.is_empty()
            && self.late_histograms.is_empty()
            && self.pieces.is_empty()
    }

    pub(crate) fn chunks(&self) -> u64 {
        let raw = [self.late.is_empty(), self.histograms.is_empty(), self.late_histograms.is_empty()];
        self.pieces.len() as u64 + raw.iter().filter(|empty| !**empty).count() as u64
    }

    /// Oldest and newest sample.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let ends = |first: Option<i64>, last: Option<i64>| Some((first?, last?));
        let of = |raw: &Histograms| ends(raw.first().map(|s| s.0), raw.last().map(|s| s.0));
        let raw = [
            ends(self.late.first().map(|s| s.0), self.late.last().map(|s| s.0)),
            of(&self.histograms),
            of(&self.late_histograms),
        ];
        let pieces = self.pieces.iter().map(|p| (p.meta.mint, p.meta.maxt()));
        raw.into_iter().flatten().chain(pieces).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Samples of one kind ([`HISTOGRAMS`], [`LATE`]).
    pub(crate) fn rows(&self, kind: u8) -> usize {
        let raw = match kind {
            LATE => self.late.len(),
            HISTOGRAMS => self.histograms.len(),
            _ => self.late_histograms.len(),
        };
        raw + self
            .pieces
            .iter()
            .filter(|p| p.meta.kind == kind)
            .map(|p| usize::from(p.meta.rows))
            .sum::<usize>()
    }

    /// Drops what is older than `t`; a piece that straddles it stays whole.
    pub(crate) fn drop_before(&mut self, t: i64) {
        self.late.retain(|s| s.0 >= t);
        self.histograms.retain(|s| s.0 >= t);
        self.late_histograms.retain(|s| s.0 >= t);
        self.pieces.retain(|p| p.meta.maxt() >= t);
        self.pieces.shrink_to_fit();
        self.account();
    }
}
