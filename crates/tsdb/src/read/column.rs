//! One series' samples for a request, and what is computed from them.

use std::sync::Arc;

use kernels::{RangeFn, Windows, eval_column};
use model::{Histogram, is_stale};
use storage::{LeafOp, LeafRequest, QueryContext, RawBlock, is_absent};

use super::view::GroupView;
use crate::loose::{LooseReader, LooseSamples, LooseTaken};
use crate::segment::{ColumnReader, Verified};

/// Reads series one after the other; keeps its buffers, and what neighbours of one group share.
#[derive(Debug, Default)]
pub(super) struct SeriesReader {
    columns: ColumnReader,
    loose: LooseReader,
    samples: LooseSamples,
    /// The histograms of the series read last, by time.
    histograms: Vec<(i64, Arc<Histogram>)>,
    ts: Vec<i64>,
    values: Vec<f64>,
    windows: Windows,
    scratch: Vec<f64>,
    /// By segment of the group read last (by its view's address, which lives as long as this reader).
    verified: Vec<Verified>,
    verified_of: usize,
    /// The rows that the series before had in its group: the next one often has the same.
    present: Vec<bool>,
    present_of: usize,
}

impl SeriesReader {
    /// Brings in the samples of one series from all places it has, merged by time; the first place wins where two have the
    /// same time. Returns how many chunks were damaged and left out.
    pub(super) fn read(
        &mut self,
        groups: &[(&GroupView, u32)],
        loose: Option<&LooseTaken>,
        request: &LeafRequest,
    ) -> u64 {
        self.histograms.clear();
        if let ([(view, slot)], None) = (groups, loose) {
            let damaged = self.read_column(view, *slot);
            self.strip(view, request);
            return damaged;
        }
        self.present_of = 0;
        let mut damaged = 0;
        let mut merged: Vec<(i64, f64)> = vec![];
        for &(view, slot) in groups {
            damaged += self.read_column(view, slot);
            let samples = view.ts.iter().copied().zip(self.values.iter().copied());
            merged.extend(samples.filter(|(_, v)| !is_absent(*v)));
        }
        if let Some(loose) = loose {
            damaged += self.read_loose(loose, request.op == LeafOp::Samples, &mut merged);
        }
        // Stable: of equal times the first place's stays first.
        merged.sort_by_key(|(ts, _)| *ts);
        merged.dedup_by_key(|(ts, _)| *ts);
        self.ts.clear();
        self.ts.extend(merged.iter().map(|(ts, _)| *ts));
        self.values.clear();
        self.values.extend(merged.iter().map(|(_, v)| *v));
        self.windows = Windows::new(&self.ts, &request.grid, request.range_ms);
        damaged
    }

    /// One slot's cells, as many as the view has timestamps; damaged ones absent.
    fn read_column(&mut self, view: &GroupView, slot: u32) -> u64 {
        let address = std::ptr::from_ref(view).addr();
        if self.verified_of != address {
            self.verified_of = address;
            self.verified.clear();
            self.verified.resize(view.segments.len(), Verified::default());
        }
        let mut damaged = 0;
        self.values.clear();
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
                self.values[at..].fill(storage::ABSENT);
                damaged += 1;
            }
        }
        self.values.extend_from_slice(view.raw(slot));
        damaged
    }

    /// Takes absent cells out, and brings timestamps and windows in.
    fn strip(&mut self, view: &GroupView, request: &LeafRequest) {
        let address = std::ptr::from_ref(view).addr();
        let same = self.present_of == address
            && self.present.iter().zip(&self.values).all(|(p, v)| *p != is_absent(*v));
        if !same {
            self.present_of = address;
            self.present.clear();
            self.present.extend(self.values.iter().map(|v| !is_absent(*v)));
            self.ts.clear();
            let present = self.present.iter();
            self.ts.extend(view.ts.iter().zip(present).filter(|(_, p)| **p).map(|(t, _)| *t));
            self.windows = if self.ts.len() == view.ts.len() {
                view.windows.clone()
            } else {
                Windows::new(&self.ts, &request.grid, request.range_ms)
            };
        }
        if self.ts.len() != self.values.len() {
            self.values.retain(|v| !is_absent(*v));
        }
    }

    /// Histograms are left out unless they are asked for; their cells are then absent, which no other loose sample is.
    fn read_loose(&mut self, loose: &LooseTaken, histograms: bool, merged: &mut Vec<(i64, f64)>) -> u64 {
        let damaged = self.loose.read(loose, &mut self.samples);
        let samples = self.samples.ts.iter().copied().zip(self.samples.values.iter().copied());
        if histograms {
            merged.extend(samples);
            let ts = &self.samples.ts;
            self.histograms.extend(self.samples.histograms.iter().map(|(i, h)| (ts[*i], Arc::clone(h))));
        } else {
            merged.extend(samples.filter(|(_, v)| !is_absent(*v)));
        }
        damaged
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
        ctx.count_read(self.ts.len());
        eval_column(f, &self.ts, &self.values, &self.windows, &request.grid, request.range_ms, out, present);
    }

    /// Appends the samples, staleness markers only where they are asked for.
    pub(super) fn select(&self, ctx: &QueryContext, stale: bool, raw: &mut RawBlock) {
        ctx.count_read(self.ts.len());
        for (&ts, &value) in self.ts.iter().zip(&self.values) {
            if stale || !is_stale(value) {
                if is_absent(value)
                    && let Ok(i) = self.histograms.binary_search_by_key(&ts, |h| h.0)
                {
                    raw.histograms.push((raw.ts.len(), Arc::clone(&self.histograms[i].1)));
                }
                raw.ts.push(ts);
                raw.values.push(value);
            }
        }
    }
}
