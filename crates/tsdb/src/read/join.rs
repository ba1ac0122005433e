//! Which series a request selects, each once, with all the places it has in head and blocks.
//!
//! Head and blocks number series each in their own way; they are joined by [`series_key`], a hash of 128 bits that is taken as the
//! label set's identity.

use std::sync::Arc;

use model::{LabelSet, Matcher};
use roaring::RoaringBitmap;
use storage::{Error, LeafRequest};

use crate::Store;
use crate::block::{Block, series_key};
use crate::foreign;
use crate::state::ReadState;

/// Not in the head.
pub(super) const NOWHERE: u32 = u32::MAX;

/// A selected series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Its first group in the head.
    pub(super) group: u32,
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
    /// Those of Prometheus, numbered after ours.
    pub(super) foreign: Vec<Arc<interchange::Block>>,
    pub(super) entries: Vec<Entry>,
    /// Number of the block, ordinal in it.
    places: Vec<(u32, u32)>,
}

impl Selection {
    /// Some series of the head alone, in the order given.
    pub(super) fn of_head(state: Arc<ReadState>, series: &[u32]) -> Self {
        let entry = |&series: &u32| Entry { group: NOWHERE, series, first: 0, count: 0 };
        Self {
            state,
            blocks: vec![],
            foreign: vec![],
            entries: series.iter().map(entry).collect(),
            places: vec![],
        }
    }

    /// The places of an entry in blocks, by time.
    pub(super) fn places(&self, entry: &Entry) -> &[(u32, u32)] {
        &self.places[entry.first as usize..][..entry.count as usize]
    }

    /// The label set of an entry that is not in the head.
    pub(super) fn labels_in_blocks(&self, entry: &Entry) -> Result<LabelSet, Error> {
        let mut result = Err(Error::new(storage::ErrorKind::Corrupt, "series without a place"));
        for &(number, ordinal) in self.places(entry) {
            let number = number as usize;
            result = match self.blocks.get(number) {
                Some(block) => block.labels(ordinal),
                None => self.foreign[number - self.blocks.len()]
                    .resolve(u64::from(ordinal))
                    .map(|series| series.labels)
                    .map_err(foreign::error),
            };
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
        let mut ordinals = vec![];
        let mut take = |ulid: &str, selected: Result<RoaringBitmap, Error>| match selected {
            Ok(selected) => {
                let any = !selected.is_empty();
                ordinals.extend(any.then_some(selected));
                any
            }
            Err(e) => {
                tracing::error!(block = ulid, error = %e, "block left out of a query");
                self.note_damage(1);
                false
            }
        };
        let range = request.time_range();
        let ours = state.overlapping(range);
        let blocks: Vec<_> =
            ours.filter(|b| take(&b.meta().ulid, b.select(&request.matchers))).cloned().collect();
        let theirs = state.foreign(range);
        let foreign: Vec<_> =
            theirs.filter(|b| take(&b.meta().ulid, foreign::select(b, &request.matchers))).cloned().collect();
        let head = self.selected_in_head(&request.matchers);
        let entry = |&(group, _, series): &(u32, u32, u32)| Entry { group, series, first: 0, count: 0 };
        let alone = |first: usize| Entry {
            group: NOWHERE,
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
                    let key = |s| index.contains(s).then(|| index.key(s));
                    head.iter().map(|h| key(h.2)).collect::<Vec<_>>()
                };
                let mut found: Vec<(u128, u32, u32)> = vec![];
                for (rank, key) in (0..).zip(keys) {
                    found.extend(key.map(|key| (key, 0, rank)));
                }
                for (number, ordinals) in (0..).zip(&ordinals) {
                    let key = |ordinal| match blocks.get(number as usize) {
                        Some(block) => Some(block.key(ordinal)),
                        None => foreign[number as usize - blocks.len()]
                            .resolve(u64::from(ordinal))
                            .inspect_err(|e| {
                                tracing::error!(error = %e, "series left out of a query");
                                self.note_damage(1);
                            })
                            .ok()
                            .map(|series| series_key(&series.labels)),
                    };
                    found.extend(ordinals.iter().filter_map(|o| Some((key(o)?, number + 1, o))));
                }
                joined(found, &head, &mut places)
            }
        };
        Ok(Selection { state, blocks, foreign, entries, places })
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
        let (group, _, series) = if source == 0 { head[rank as usize] } else { (NOWHERE, NOWHERE, NOWHERE) };
        let first = u32::try_from(places.len()).unwrap_or(u32::MAX);
        places.extend(same.iter().filter(|f| f.1 > 0).map(|&(_, source, ordinal)| (source - 1, ordinal)));
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX) - first;
        entries.push(((source, rank), Entry { group, series, first, count }));
    }
    // In the order of the first place: what lies together is read together, and always in the same order.
    entries.sort_unstable_by_key(|(order, _)| *order);
    entries.into_iter().map(|(_, entry)| entry).collect()
}
