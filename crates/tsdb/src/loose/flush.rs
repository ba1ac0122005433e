//! The flush to blocks, as the loose series see it.
//!
//! [`Loose::mark`] draws a line through time; what is older can then be read ([`Loose::take`]) for as long as writing blocks
//! takes, while appending goes on; [`Loose::drop_before`] lets go of it. A sample
//! older than the line that arrives in between may or may not be in the block, so it must not go: what arrives is noted by
//! series, for the stream by its length before, for all else by the samples themselves, and stays (or comes back as late) when
//! the rest is dropped. If it was in the block too, both are the same and readers see one.
//!
//! From mark to drop the flush holds `maintenance`: sealing moves samples, and must not come in between.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use model::Histogram;
use roaring::RoaringBitmap;

use super::{Loose, LooseSeries, Sealed};

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

/// A line that was drawn, by [`Loose::mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(i64);

impl Loose {
    /// Begins a flush of what is older than `t`; one that was under way is forgotten. Taken before samples are read.
    pub(crate) fn mark(&mut self, t: i64) -> Mark {
        self.flushing = Some(Flushing { before: t, arrived: HashMap::new() });
        Mark(t)
    }

    /// Bounds of what lies before `t`, each cut there: of streams, chunks, late samples and histograms.
    pub(crate) fn bounds_before(&self, t: i64) -> Vec<(i64, i64)> {
        let mut bounds = vec![];
        for s in self.iter() {
            let sealed = s.sealed.iter().map(|c| (c.meta().mint, c.meta().maxt()));
            let stream = s.stream_bounds();
            let extra = s.extra.as_ref().and_then(|e| e.bounds());
            let all = sealed.chain(stream).chain(extra).filter(|b| b.0 < t);
            bounds.extend(all.map(|b| (b.0, b.1.min(t - 1))));
        }
        bounds.sort_unstable();
        bounds.dedup();
        bounds
    }

    /// Ends the flush: drops what was older than its line when it began. Chunks that straddle the line stay whole, and are read
    /// again by the next flush; with lines at multiples of the blocks' span there are none. A mark that is not the last one
    /// taken drops nothing.
    pub(crate) fn drop_before(&mut self, t: i64, mark: Mark) {
        let Some(mut flushing) = self.flushing.take_if(|f| f.before == mark.0) else { return };
        let t = t.min(mark.0);
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
        }
        self.files.retain(|file, _| files.contains(file));
    }

    /// Forgets series that have no sample, and their keys. The caller holds `definitions`.
    pub(crate) fn retain_nonempty(&mut self) {
        let empty: RoaringBitmap = self.iter().filter(|s| s.is_empty()).map(|s| s.series).collect();
        self.forget(&empty);
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
