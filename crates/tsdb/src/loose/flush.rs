//! The flush to blocks, as the loose series see it.
//!
//! [`Loose::begin_flush`] draws a line through time; what is older can then be read ([`Loose::series_before`],
//! [`Loose::take`]) for as long as writing blocks takes, while appending goes on; [`Loose::drop_before`] lets go of it. A sample
//! older than the line that arrives in between may or may not be in the block, so it must not go: what arrives is noted by
//! series, for the stream by its length before, for all else by the samples themselves, and stays (or comes back as late) when
//! the rest is dropped. If it was in the block too, both are the same and readers see one.
//!
//! From begin to drop or abort the flush holds `maintenance`: sealing moves samples, and must not come in between.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use model::Histogram;
use roaring::RoaringBitmap;

use super::{Loose, LooseReader, LooseSamples, LooseSeries, Sealed};

/// A flush that is under way.
#[derive(Debug)]
pub(super) struct Flushing {
    pub(super) before: i64,
    pub(super) arrived: HashMap<u32, Arrived>,
}

/// What came to a series below the line since it was drawn.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// Samples of the stream from this one on.
    pub(super) stream_from: Option<u32>,
    pub(super) late: Vec<(i64, f64)>,
    pub(super) histograms: Vec<(i64, Arc<Histogram>)>,
}

impl Loose {
    /// Begins a flush of what is older than `t`; one that was under way is forgotten.
    pub(crate) fn begin_flush(&mut self, t: i64) {
        self.flushing = Some(Flushing { before: t, arrived: HashMap::new() });
    }

    /// Gives the flush up: nothing is dropped.
    pub(crate) fn abort_flush(&mut self) {
        self.flushing = None;
    }

    /// The series that have a sample older than `t`.
    pub(crate) fn series_before(&self, t: i64) -> RoaringBitmap {
        self.iter().filter(|s| s.bounds().is_some_and(|b| b.0 < t)).map(|s| s.series).collect()
    }

    /// Hands each series that has samples older than `t` to `f` with those samples, in the order of references. Returns how
    /// many chunks were damaged.
    pub(crate) fn read_before(
        &self,
        t: i64,
        reader: &mut LooseReader,
        mut f: impl FnMut(u32, &LooseSamples),
    ) -> u64 {
        let (mut samples, mut damaged) = (LooseSamples::default(), 0);
        for series in self.series_before(t) {
            let Some(taken) = self.take(series, i64::MIN, t.saturating_sub(1)) else { continue };
            damaged += reader.read(&taken, &mut samples);
            if !samples.ts.is_empty() {
                f(series, &samples);
            }
        }
        damaged
    }

    /// Ends the flush: drops what was older than its line when it began. Chunks that straddle the line stay whole, and are read
    /// again by the next flush; with lines at multiples of the blocks' span there are none. Returns the series that have
    /// nothing left; they are still known, with their newest sample, until [`Loose::forget`].
    pub(crate) fn drop_before(&mut self, t: i64) -> RoaringBitmap {
        let mut flushing = self.flushing.take().unwrap_or(Flushing { before: t, arrived: HashMap::new() });
        let t = t.min(flushing.before);
        let mut empty = RoaringBitmap::new();
        let mut files: HashSet<u32> = HashSet::new();
        let Self { pages, room, codec, bytes, block_span_ms, .. } = self;
        for entry in pages.iter_mut().flatten().filter(|s| s.has(super::LIVE)) {
            let before = entry.memory();
            let arrived = flushing.arrived.remove(&entry.series);
            entry.sealed.retain(|s| s.meta().maxt() >= t);
            entry.sealed.shrink_to_fit();
            drop_stream(entry, t, arrived.as_ref().and_then(|a| a.stream_from), room);
            if let Some(extra) = &mut entry.extra {
                extra.drop_before(t);
                for (ts, v) in arrived.iter().flat_map(|a| &a.late) {
                    extra.push_late(*ts, *v, *block_span_ms, codec);
                }
                for (ts, h) in arrived.iter().flat_map(|a| &a.histograms) {
                    extra.push_late_histogram(*ts, Arc::clone(h), *block_span_ms, codec);
                }
            }
            *bytes = (*bytes + entry.memory()).saturating_sub(before);
            files.extend(entry.sealed.iter().map(|s: &Sealed| s.file));
            if entry.is_empty() {
                empty.insert(entry.series);
            }
        }
        self.files.retain(|file, _| files.contains(file));
        empty
    }
}

fn drop_stream(entry: &mut LooseSeries, t: i64, from: Option<u32>, room: &mut super::Room) {
    if entry.count == 0 {
        return;
    }
    if entry.last_ts < t && from.is_none() {
        entry.clear_stream();
    } else if super::stream::first_ts(&entry.stream).is_none_or(|first| first < t) {
        let from = from.map_or(usize::MAX, |f| f as usize);
        entry.retain_stream(|n, ts| ts >= t || n >= from, room);
    }
}
