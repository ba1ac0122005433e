//! Which series a request selects, each once, with all the places it has in head and blocks.
//!
//! Head and blocks number series each in their own way; they are joined by [`series_key`], a hash of 128 bits that is taken as the
//! label set's identity.

use std::sync::Arc;

use model::{LabelSet, Matcher};
use storage::{Error, LeafRequest};

use crate::Store;
use crate::block::{Block, series_key};
use crate::state::ReadState;

/// Not in the head.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A selected series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Its first group and slot in the head.
    pub(super) group: u32,
    pub(super) slot: u32,
    /// Its reference in the head, or [`NOWHERE`].
    pub(super) series: u32,
    /// Where its places in blocks begin and how many there are.
    first: u32,
    count: u32,
}

/// All series of a request, in the order they are read.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(super) state: Arc<ReadState>,
    /// The blocks that overlap the request's range, by time.
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) entries: Vec<Entry>,
    /// Number of the block, ordinal in it.
    places: Vec<(u32, u32)>,
}

impl Selection {
    /// Some series of the head alone, in the order given.
    pub(super) fn of_head(state: Arc<ReadState>, series: &[u32]) -> Self {
        let entry = |&series: &u32| Entry { group: NOWHERE, slot: NOWHERE, series, first: 0, count: 0 };
        Self { state, blocks: vec![], entries: series.iter().map(entry).collect(), places: vec![] }
    }

    /// The places of an entry in blocks, by time.
    pub(super) fn places(&self, entry: &Entry) -> &[(u32, u32)] {
        &self.places[entry.first as usize..][..entry.count as usize]
    }

    /// The label set of an entry that is not in the head.
    pub(super) fn labels_in_blocks(&self, entry: &Entry) -> Result<LabelSet, Error> {
        let mut result = Err(Error::new(storage::ErrorKind::Corrupt, "series without a place"));
        for &(number, ordinal) in self.places(entry) {
            result = self.blocks[number as usize].labels(ordinal);
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

impl Store {
    pub(super) fn selection(&self, request: &LeafRequest) -> Result<Selection, Error> {
        // First: what leaves the head after this is in no block that this state has, but stays until it is dropped.
        let state = self.state.get();
        let mut blocks: Vec<Arc<Block>> = vec![];
        let mut ordinals = vec![];
        for block in state.overlapping(request.time_range()) {
            match block.select(&request.matchers) {
                Ok(selected) if selected.is_empty() => {}
                Ok(selected) => {
                    blocks.push(Arc::clone(block));
                    ordinals.push(selected);
                }
                Err(e) => {
                    tracing::error!(block = block.meta().ulid, error = %e, "block left out of a query");
                    self.note_damage(1);
                }
            }
        }
        let head = self.selected_in_head(&request.matchers);
        let entry =
            |&(group, slot, series): &(u32, u32, u32)| Entry { group, slot, series, first: 0, count: 0 };
        let alone = |first: usize| Entry {
            group: NOWHERE,
            slot: NOWHERE,
            series: NOWHERE,
            first: u32::try_from(first).unwrap_or(u32::MAX),
            count: 1,
        };
        let mut places = vec![];
        let entries = match &ordinals[..] {
            [] => head.iter().map(entry).collect(),
            [only] if head.is_empty() => {
                places.extend(only.iter().map(|ordinal| (0, ordinal)));
                (0..places.len()).map(alone).collect()
            }
            _ => {
                let keys = {
                    let index = self.index.read();
                    // A series that is being removed has no sample that the state's blocks lack.
                    let labels = |s| index.contains(s).then(|| series_key(&index.labels(s)));
                    head.iter().map(|h| labels(h.2)).collect::<Vec<_>>()
                };
                let mut found: Vec<(u128, u32, u32)> = vec![];
                for (rank, key) in (0..).zip(keys) {
                    found.extend(key.map(|key| (key, 0, rank)));
                }
                for (number, (block, ordinals)) in (1..).zip(blocks.iter().zip(&ordinals)) {
                    found.extend(ordinals.iter().map(|ordinal| (block.key(ordinal), number, ordinal)));
                }
                joined(found, &head, &mut places)
            }
        };
        Ok(Selection { state, blocks, entries, places })
    }

    /// Group, slot and reference of the head's series, sorted by group and slot; loose ones last.
    pub(super) fn selected_in_head(&self, matchers: &[Matcher]) -> Vec<(u32, u32, u32)> {
        let index = self.index.read();
        let mut all: Vec<(u32, u32, u32)> = index
            .select(matchers)
            .iter()
            .map(|s| {
                let (group, slot) = index.locations(s).next().unwrap_or((NOWHERE, NOWHERE));
                (group, slot, s)
            })
            .collect();
        all.sort_unstable();
        all
    }
}

/// Entries from (key, source, rank in it), where source 0 is the head and source n block n - 1.
fn joined(
    mut found: Vec<(u128, u32, u32)>,
    head: &[(u32, u32, u32)],
    places: &mut Vec<(u32, u32)>,
) -> Vec<Entry> {
    found.sort_unstable();
    let mut entries: Vec<((u32, u32), Entry)> = vec![];
    for same in found.chunk_by(|a, b| a.0 == b.0) {
        let (_, source, rank) = same[0];
        let (group, slot, series) =
            if source == 0 { head[rank as usize] } else { (NOWHERE, NOWHERE, NOWHERE) };
        let first = u32::try_from(places.len()).unwrap_or(u32::MAX);
        places.extend(same.iter().filter(|f| f.1 > 0).map(|&(_, source, ordinal)| (source - 1, ordinal)));
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX) - first;
        entries.push(((source, rank), Entry { group, slot, series, first, count }));
    }
    // In the order of the first place: what lies together is read together, and always in the same order.
    entries.sort_unstable_by_key(|(order, _)| *order);
    entries.into_iter().map(|(_, entry)| entry).collect()
}
