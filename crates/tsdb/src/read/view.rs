//! What readers take out of groups and loose series before they let go of the locks.

use hashbrown::HashMap;
use storage::TimeRange;

use crate::Store;
use crate::group::Group;
use crate::loose::LooseTaken;
use crate::segment::{ColumnReader, Segment};

/// The rows of a group that a reader can see: timestamps for all its series, the raw cells of those selected.
#[derive(Debug)]
pub(super) struct GroupView {
    pub(super) ts: Vec<i64>,
    /// Sealed segments and pieces in time order, each with its first row that counts and how many do.
    pub(super) segments: Vec<(Segment, usize, usize)>,
    /// Selected slots, ascending, and for each its raw cells that count.
    slots: Vec<u32>,
    raw: Vec<f64>,
    pub(super) raw_rows: usize,
    /// Segments whose timestamps are damaged.
    pub(super) damaged: u64,
}

impl GroupView {
    /// `None` where the group has no row in the range.
    pub(super) fn new(store: &Store, group: u32, slots: &[u32], range: TimeRange) -> Option<Self> {
        let group = store.group(group)?;
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        slots.dedup();
        let mut raw = vec![];
        let mut raw_ts = vec![];
        let segments: Vec<Segment> = {
            let state = group.state.read();
            let rows = rows_of(&state.raw.ts, range);
            raw_ts.extend_from_slice(&state.raw.ts[rows.clone()]);
            raw.reserve_exact(rows.len() * slots.len());
            for &slot in &slots {
                raw.extend(rows.clone().map(|row| state.raw.cell(row, slot)));
            }
            let all = state.sealed.iter().map(|(_, s)| s).chain(&state.pieces);
            all.filter(|s| s.meta.mint <= range.maxt && s.meta.maxt >= range.mint).cloned().collect()
        };
        let mut view = Self { ts: vec![], segments: vec![], slots, raw, raw_rows: raw_ts.len(), damaged: 0 };
        let mut reader = ColumnReader::default();
        let mut ts = vec![];
        for segment in segments {
            ts.clear();
            if reader.timestamps(&segment, &mut ts).is_err() {
                tracing::error!(group = %group.key, "timestamps of a segment are damaged");
                store.note_damage(1);
                view.damaged += 1;
                continue;
            }
            let rows = rows_of(&ts, range);
            // Segments follow each other; one that does not would break what kernels rely on.
            if rows.is_empty() || view.ts.last().is_some_and(|&last| last >= ts[rows.start]) {
                continue;
            }
            view.ts.extend_from_slice(&ts[rows.clone()]);
            view.segments.push((segment, rows.start, rows.len()));
        }
        view.ts.extend_from_slice(&raw_ts);
        if view.ts.is_empty() {
            return None;
        }
        Some(view)
    }

    /// The raw cells of a selected slot.
    pub(super) fn raw(&self, slot: u32) -> &[f64] {
        match self.slots.binary_search(&slot) {
            Ok(i) => &self.raw[i * self.raw_rows..][..self.raw_rows],
            Err(_) => &[],
        }
    }
}

pub(super) fn rows_of(ts: &[i64], range: TimeRange) -> std::ops::Range<usize> {
    let start = ts.partition_point(|&t| t < range.mint);
    let end = ts.partition_point(|&t| t <= range.maxt);
    start..end.max(start)
}

/// Rows of a group in segments that overlap the range: what would be read at most.
pub(super) fn rows_in(group: &Group, range: TimeRange) -> u64 {
    let state = group.state.read();
    let segments = state.sealed.iter().map(|(_, s)| s).chain(&state.pieces);
    let overlapping = segments.filter(|s| s.meta.mint <= range.maxt && s.meta.maxt >= range.mint);
    overlapping.map(|s| u64::from(s.meta.rows)).sum::<u64>() + rows_of(&state.raw.ts, range).len() as u64
}

/// The loose samples of a wave's series, all taken under one lock: a batch is seen whole or not at all.
#[derive(Debug, Default)]
pub(super) struct LooseView {
    series: HashMap<u32, LooseTaken>,
}

impl LooseView {
    pub(super) fn new(store: &Store, selected: impl Iterator<Item = u32>, range: TimeRange) -> Self {
        let loose = store.loose.read();
        if loose.is_empty() {
            return Self::default();
        }
        let mut series = HashMap::with_capacity(selected.size_hint().1.unwrap_or(0));
        series.extend(selected.filter_map(|id| Some((id, loose.take(id, range.mint, range.maxt)?))));
        Self { series }
    }

    pub(super) fn get(&self, series: u32) -> Option<&LooseTaken> {
        self.series.get(&series)
    }
}
