//! One series' samples for a request, and what is computed from them.
//!
//! A series' samples lie in chunks of blocks, in the rows of a group, among the loose samples, or several of these. Mostly they
//! follow each other in time; then columns are put end to end, and what neighbours have in common (timestamps,
//! windows) is made once. Else all samples are merged by time.

use std::sync::Arc;

use kernels::{RangeFn, Windows, eval_column};
use model::{Histogram, is_stale};
use storage::{ABSENT, LeafOp, LeafRequest, QueryContext, RawBlock, TimeRange, is_absent};

use super::view::{GroupView, rows_of};
use crate::block::{Block, ChunkRef};
use crate::codec::{Decoder, IntDecoder, histogram::HistogramCodec};
use crate::foreign;
use crate::loose::{LooseReader, LooseSamples, LooseTaken};
use crate::segment::{ColumnReader, Damaged, Verified};

/// What is done with staleness markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markers {
    Kept,
    LeftOut,
}

/// Where a series has samples.
#[derive(Debug, Default)]
pub(super) struct Places<'a> {
    /// Blocks by time, each with its number among the request's blocks, and the series' ordinal in it.
    pub(super) blocks: Vec<(u32, &'a Block, u32)>,
    /// Prometheus' blocks by time, and the series' reference in each.
    pub(super) foreign: Vec<(&'a interchange::Block, u64)>,
    pub(super) groups: Vec<(&'a GroupView, u32)>,
    pub(super) loose: Option<&'a LooseTaken>,
    /// Deleted intervals of what is in the head.
    pub(super) deleted: &'a [TimeRange],
}

/// Reads series one after the other; keeps its buffers, and what neighbours share.
#[derive(Debug, Default)]
pub(super) struct SeriesReader {
    columns: ColumnReader,
    ints: IntDecoder,
    decoder: Decoder,
    histogram_codec: HistogramCodec,
    loose: LooseReader,
    loose_samples: LooseSamples,
    found: Vec<ChunkRef>,
    chunks: Vec<(u32, ChunkRef)>,
    ts: Vec<i64>,
    values: Vec<f64>,
    /// The samples within the request's range.
    within: std::ops::Range<usize>,
    windows: Windows,
    histograms: Vec<(i64, Arc<Histogram>)>,
    scratch: Vec<f64>,
    /// By segment of the group read last (by its view's address, which lives as long as this reader).
    verified: Vec<Verified>,
    verified_of: usize,
    /// What `ts` was made of: number of the block and of its timestamps, then the group's view and which rows were present.
    ts_of: Vec<(u32, u32)>,
    ts_of_blocks: usize,
    view_of: usize,
    present: Vec<bool>,
}

impl SeriesReader {
    /// Brings in the samples of one series, ascending; of equal times the last written stays. Returns how many chunks were
    /// damaged and left out.
    pub(super) fn read(&mut self, places: &Places<'_>, request: &LeafRequest) -> u64 {
        let range = request.time_range();
        let mut damaged = 0;
        self.chunks.clear();
        self.histograms.clear();
        let mut histograms = false;
        let mut deleted = !places.deleted.is_empty();
        for &(number, block, ordinal) in &places.blocks {
            self.found.clear();
            damaged += u64::from(block.chunks(ordinal, range, &mut self.found).is_err());
            deleted |= block.has_tombstones() && !block.deleted(ordinal).is_empty();
            histograms |= self.found.iter().any(|c| c.histogram);
            self.chunks.extend(self.found.iter().filter(|c| !c.histogram).map(|c| (number, *c)));
        }
        if histograms || places.loose.is_some_and(LooseTaken::has_histograms) {
            damaged += self.read_histograms(places, range);
        }
        if !deleted && places.foreign.is_empty() {
            let lost = self.read_loose(places);
            if self.follow_each_other(places) && self.read_in_line(places, request).is_ok() {
                return damaged + lost + self.lost_cells();
            }
        }
        damaged + self.read_merged(places, request)
    }

    /// Decodes the loose samples where nothing but blocks may come before them.
    fn read_loose(&mut self, places: &Places<'_>) -> u64 {
        self.loose_samples.clear();
        match places.loose {
            Some(loose) if places.groups.is_empty() => self.loose.read(loose, &mut self.loose_samples),
            _ => 0,
        }
    }

    /// Whether chunks, rows and loose samples come one after the other.
    fn follow_each_other(&self, places: &Places<'_>) -> bool {
        let in_line = self.chunks.windows(2).all(|w| w[0].1.maxt < w[1].1.mint);
        let after = |t: &i64| self.chunks.last().is_none_or(|c| c.1.maxt < *t);
        in_line
            && match (&places.groups[..], places.loose) {
                ([], None) => true,
                ([], Some(_)) => {
                    self.loose_samples.histograms.is_empty()
                        && self.loose_samples.ts.first().is_none_or(after)
                }
                ([(view, _)], None) => view.ts.first().is_none_or(after),
                _ => false,
            }
    }

    fn read_in_line(&mut self, places: &Places<'_>, request: &LeafRequest) -> Result<(), Damaged> {
        let block =
            |number: u32| places.blocks.iter().find(|b| b.0 == number).expect("its chunks came from it").1;
        let mut changed = self.ts_of.len() != self.chunks.len()
            || self.ts_of.iter().zip(&self.chunks).any(|(of, c)| *of != (c.0, c.1.ts));
        if changed {
            self.forget();
            for &(number, chunk) in &self.chunks {
                block(number).timestamps(&chunk, &mut self.ints, &mut self.ts)?;
                self.ts_of.push((number, chunk.ts));
            }
            self.ts_of_blocks = self.ts.len();
        }
        // What the last series left is overwritten, not cleared first.
        let mut at = 0;
        for &(number, chunk) in &self.chunks {
            let end = at + chunk.rows as usize;
            if self.values.len() < end {
                self.values.resize(end, 0.0);
            }
            block(number).values(&chunk, &mut self.decoder, &mut self.values[at..end])?;
            at = end;
        }
        self.values.truncate(at);
        let base = self.ts_of_blocks;
        match places.groups.first() {
            Some((view, slot)) => {
                self.read_column(view, *slot);
                changed |= self.take_present(view, base);
            }
            None => {
                // Empty where there are none.
                let LooseSamples { ts, values, .. } = &self.loose_samples;
                if self.ts[base..] != ts[..] {
                    changed = true;
                    self.ts.truncate(base);
                    self.ts.extend_from_slice(ts);
                }
                self.values.extend_from_slice(values);
                self.view_of = 0;
            }
        }
        // A reader that has read nothing yet has no windows, and a series may have no samples at all in the range.
        if changed || self.windows.is_empty() {
            self.within = rows_of(&self.ts, request.time_range());
            self.windows = self.windows_of(request);
        }
        Ok(())
    }

    fn windows_of(&self, request: &LeafRequest) -> Windows {
        match request.op {
            LeafOp::Range(_) => Windows::new(&self.ts[self.within.clone()], &request.grid, request.range_ms),
            LeafOp::Select | LeafOp::Samples => Windows::default(),
        }
    }

    /// Takes absent cells out of the group's part of the values; true when the timestamps are other ones than before.
    fn take_present(&mut self, view: &GroupView, base: usize) -> bool {
        let address = std::ptr::from_ref(view).addr();
        let cells = &self.values[base..];
        let same =
            self.view_of == address && self.present.iter().zip(cells).all(|(p, v)| *p != is_absent(*v));
        if !same {
            self.view_of = address;
            self.present.clear();
            self.present.extend(cells.iter().map(|v| !is_absent(*v)));
            self.ts.truncate(base);
            let present = self.present.iter();
            self.ts.extend(view.ts.iter().zip(present).filter(|(_, p)| **p).map(|(t, _)| *t));
        }
        if self.ts.len() != self.values.len() {
            let mut at = 0;
            self.values.retain(|v| {
                at += 1;
                at <= base || !is_absent(*v)
            });
        }
        !same
    }

    fn forget(&mut self) {
        self.ts.clear();
        self.ts_of.clear();
        self.ts_of_blocks = 0;
        self.view_of = 0;
    }

    fn lost_cells(&mut self) -> u64 {
        self.verified.iter_mut().map(|v| u64::from(v.take_damage())).sum()
    }

    fn read_merged(&mut self, places: &Places<'_>, request: &LeafRequest) -> u64 {
        self.forget();
        // No chunk is named by this: the next series starts afresh.
        self.ts_of.push((u32::MAX, u32::MAX));
        let range = request.time_range();
        if let Some(damaged) = self.read_loose_alone(places, request) {
            return damaged;
        }
        let mut damaged = 0;
        let mut merged: Vec<(i64, f64)> = vec![];
        for &(view, slot) in &places.groups {
            self.values.clear();
            self.read_column(view, slot);
            damaged += self.lost_cells();
            let samples = view.ts.iter().copied().zip(self.values.iter().copied());
            merged.extend(samples.filter(|(_, v)| !is_absent(*v)));
        }
        if let Some(loose) = places.loose {
            damaged += self.loose.read(loose, &mut self.loose_samples);
            merged.extend(self.loose_samples.floats());
        }
        merged.retain(|(t, _)| !covers(places.deleted, *t));
        for &(number, block, ordinal) in &last_written_first(&places.blocks) {
            let deleted = block.deleted(ordinal);
            for (_, chunk) in self.chunks.iter().filter(|c| c.0 == number) {
                self.ts.clear();
                self.values.clear();
                self.values.resize(chunk.rows as usize, 0.0);
                let read = block
                    .timestamps(chunk, &mut self.ints, &mut self.ts)
                    .and_then(|()| block.values(chunk, &mut self.decoder, &mut self.values));
                damaged += u64::from(read.is_err());
                if read.is_ok() {
                    let samples = self.ts.iter().copied().zip(self.values.iter().copied());
                    merged.extend(samples.filter(|(t, _)| !covers(&deleted, *t)));
                }
            }
        }
        for &(block, reference) in &places.foreign {
            let samples =
                block.resolve(reference).and_then(|series| block.samples(&series, foreign::range(range)));
            match samples {
                Ok(samples) => {
                    merged.extend(samples.floats);
                    if !samples.histograms.is_empty() {
                        let histograms = samples.histograms.into_iter().map(|(t, h)| (t, Arc::new(h)));
                        self.histograms.extend(histograms);
                        self.histograms.sort_by_key(|(t, _)| *t);
                        self.histograms.dedup_by_key(|(t, _)| *t);
                    }
                }
                Err(e) => {
                    tracing::error!(error = %e, "samples of a block of Prometheus cannot be read");
                    damaged += 1;
                }
            }
        }
        // Stable: of equal times the last written stays first.
        merged.sort_by_key(|(ts, _)| *ts);
        merged.dedup_by_key(|(ts, _)| *ts);
        self.ts.clear();
        self.ts.extend(merged.iter().map(|(ts, _)| *ts));
        self.values.clear();
        self.values.extend(merged.iter().map(|(_, v)| *v));
        self.within = rows_of(&self.ts, range);
        self.windows = self.windows_of(request);
        damaged
    }

    /// Reads a series that has plain loose samples only, which are in order already: there is nothing to merge. `None` where it
    /// has more.
    fn read_loose_alone(&mut self, places: &Places<'_>, request: &LeafRequest) -> Option<u64> {
        let alone = places.groups.is_empty()
            && self.chunks.is_empty()
            && places.foreign.is_empty()
            && places.deleted.is_empty();
        let loose = places.loose.filter(|loose| alone && !loose.has_histograms())?;
        let damaged = self.loose.read(loose, &mut self.loose_samples);
        std::mem::swap(&mut self.ts, &mut self.loose_samples.ts);
        std::mem::swap(&mut self.values, &mut self.loose_samples.values);
        self.within = rows_of(&self.ts, request.time_range());
        self.windows = self.windows_of(request);
        Some(damaged)
    }

    fn read_histograms(&mut self, places: &Places<'_>, range: TimeRange) -> u64 {
        let mut damaged = 0;
        if let Some(loose) = places.loose {
            // Damage is counted with the plain samples.
            let _ = self.loose.read(loose, &mut self.loose_samples);
            let samples = self.loose_samples.histograms();
            self.histograms.extend(samples.filter(|(t, _)| !covers(places.deleted, *t)));
        }
        for &(_, block, ordinal) in &last_written_first(&places.blocks) {
            let deleted = block.deleted(ordinal);
            self.found.clear();
            // Damage was counted when the chunks were listed first.
            let _ = block.chunks(ordinal, range, &mut self.found);
            for chunk in self.found.iter().filter(|c| c.histogram) {
                let (mut ts, mut histograms) = (vec![], vec![]);
                let read = block
                    .timestamps(chunk, &mut self.ints, &mut ts)
                    .and_then(|()| block.histograms(chunk, &mut self.histogram_codec, &mut histograms));
                damaged += u64::from(read.is_err());
                if read.is_ok() {
                    let samples = ts.into_iter().zip(histograms);
                    self.histograms.extend(samples.filter(|(t, _)| !covers(&deleted, *t)));
                }
            }
        }
        self.histograms.retain(|(t, _)| (range.mint..=range.maxt).contains(t));
        self.histograms.sort_by_key(|(t, _)| *t);
        self.histograms.dedup_by_key(|(t, _)| *t);
        damaged
    }

    /// Appends one slot's cells to the values, as many as the view has timestamps; damaged ones absent, and marked so.
    fn read_column(&mut self, view: &GroupView, slot: u32) {
        let address = std::ptr::from_ref(view).addr();
        if self.verified_of != address {
            self.verified_of = address;
            self.verified.clear();
            self.verified.resize(view.segments.len(), Verified::default());
        }
        for ((segment, start, len), verified) in view.segments.iter().zip(&mut self.verified) {
            let at = self.values.len();
            let rows = segment.meta.rows as usize;
            let read = if *len == rows {
                self.values.resize(at + rows, 0.0);
                self.columns.column(segment, slot, verified, &mut self.values[at..])
            } else {
                self.scratch.resize(rows, 0.0);
                let read = self.columns.column(segment, slot, verified, &mut self.scratch);
                self.values.extend_from_slice(&self.scratch[*start..start + len]);
                read
            };
            if read.is_err() {
                self.values[at..].fill(ABSENT);
                verified.mark_damage();
            }
        }
        self.values.extend_from_slice(view.raw(slot));
    }

    /// Computes one row of the grid.
    pub(super) fn eval(
        &self,
        f: RangeFn,
        request: &LeafRequest,
        ctx: &QueryContext,
        out: &mut [f64],
        present: &mut [u64],
    ) {
        ctx.count_read(self.within.len());
        let (ts, values) = self.samples();
        if !matches!(f, RangeFn::Last | RangeFn::LastTimestamp) {
            ctx.count_windows(values, &self.windows);
        }
        eval_column(f, ts, values, &self.windows, &request.grid, request.range_ms, out, present);
    }

    /// Timestamps and values within the request's range.
    pub(crate) fn samples(&self) -> (&[i64], &[f64]) {
        (&self.ts[self.within.clone()], &self.values[self.within.clone()])
    }

    /// Histograms within the request's range.
    pub(crate) fn histograms(&self) -> &[(i64, Arc<Histogram>)] {
        &self.histograms
    }

    /// Appends the samples.
    pub(super) fn select(&self, markers: Markers, ctx: &QueryContext, raw: &mut RawBlock) {
        let (ts, values) = self.samples();
        ctx.count_read(ts.len() + self.histograms.len());
        let keep = markers == Markers::Kept;
        let mut histograms = self.histograms.iter().filter(|(_, h)| keep || !h.is_stale()).peekable();
        let put = |t: i64, h: &Arc<Histogram>, raw: &mut RawBlock| {
            raw.histograms.push((raw.ts.len(), Arc::clone(h)));
            raw.ts.push(t);
            raw.values.push(ABSENT);
        };
        for (&t, &value) in ts.iter().zip(values) {
            while let Some((at, h)) = histograms.next_if(|(at, _)| *at < t) {
                put(*at, h, raw);
            }
            // A time has one sample; which came first is not known any more.
            let _ = histograms.next_if(|(at, _)| *at == t);
            if keep || !is_stale(value) {
                raw.ts.push(t);
                raw.values.push(value);
            }
        }
        histograms.for_each(|(t, h)| put(*t, h, raw));
    }
}

/// Where two blocks have a sample of one time the later written wins, as it does when they are merged; so a merge changes no
/// answer. What is in the head is written to a block last of all.
fn last_written_first<'a>(blocks: &[(u32, &'a Block, u32)]) -> Vec<(u32, &'a Block, u32)> {
    let mut blocks = blocks.to_vec();
    blocks.sort_by(|a, b| b.1.meta().ulid.cmp(&a.1.meta().ulid));
    blocks
}

fn covers(intervals: &[TimeRange], t: i64) -> bool {
    intervals.iter().any(|i| (i.mint..=i.maxt).contains(&t))
}
