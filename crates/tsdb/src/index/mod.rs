//! The index of the head: label sets to series and back, and which series match.
//!
//! A pair of label name and value is interned once and has a number; a series is a slice of pair numbers, sorted by label
//! name, in one arena. Sets are equal when their slices are. Postings are kept by pair. So a series costs four bytes a
//! label, its places in the postings (about two bytes each), a table entry and its location.

mod pairs;
mod postings;
mod select;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use model::LabelSet;
use roaring::RoaringBitmap;
use std::hash::BuildHasher;
use storage::{Error, ErrorKind};

pub(crate) use pairs::{Pairs, put_label};
pub(crate) use postings::Postings;

/// Where rows hold a series: group and slot.
pub(crate) type Location = (u32, u32);

const NOWHERE: Location = (u32::MAX, u32::MAX);

/// The index. One writer, many readers, behind one lock.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) pairs: Pairs,
    /// Pair numbers of all series, one after the other.
    arena: Vec<u32>,
    /// Start in the arena and number of labels, by series reference.
    spans: Vec<(u32, u32)>,
    by_labels: HashTable<u32>,
    live: RoaringBitmap,
    /// The first location of each series; most have one only.
    first: Vec<Location>,
    more: HashMap<u32, Vec<Location>>,
}

impl Index {
    /// The reference of a label set, if it is known.
    pub(crate) fn find(&self, labels: &LabelSet) -> Option<u32> {
        let ids: Vec<u32> = labels.iter().map(|(n, v)| self.pairs.find(n, v)).collect::<Option<_>>()?;
        self.find_ids(&ids)
    }

    fn find_ids(&self, ids: &[u32]) -> Option<u32> {
        self.by_labels.find(hash(ids), |&s| self.ids(s) == ids).copied()
    }

    /// Gives a label set the reference `series`, which is above all given before or was never used.
    pub(crate) fn insert(&mut self, series: u32, labels: &LabelSet) -> Result<(), Error> {
        let ids: Vec<u32> = labels.iter().map(|(n, v)| self.pairs.intern(n, v)).collect::<Result<_, _>>()?;
        self.insert_ids(series, &ids)
    }

    /// As [`Index::insert`], from pair numbers sorted by label name. A set or a reference that is known stays as it is.
    pub(crate) fn insert_ids(&mut self, series: u32, ids: &[u32]) -> Result<(), Error> {
        if self.live.contains(series) || self.find_ids(ids).is_some() {
            return Ok(());
        }
        let full = || Error::new(ErrorKind::Unsupported, "the index is full: more labels than 2^32");
        let start = u32::try_from(self.arena.len()).map_err(|_| full())?;
        let count = u32::try_from(ids.len()).map_err(|_| full())?;
        let i = series as usize;
        if self.spans.len() <= i {
            self.spans.resize(i + 1, (0, 0));
            self.first.resize(i + 1, NOWHERE);
        }
        self.arena.extend_from_slice(ids);
        self.spans[i] = (start, count);
        for &id in ids {
            self.pairs.postings_mut(id).insert(series);
        }
        self.live.insert(series);
        let Self { by_labels, arena, spans, .. } = self;
        by_labels.insert_unique(hash(ids), series, |&s| hash(slice(arena, spans, s)));
        Ok(())
    }

    /// Forgets series that have no samples left.
    pub(crate) fn remove(&mut self, series: u32) {
        if !self.live.remove(series) {
            return;
        }
        let ids = self.ids(series).to_vec();
        if let Ok(entry) = self.by_labels.find_entry(hash(&ids), |&s| s == series) {
            entry.remove();
        }
        for &id in &ids {
            self.pairs.postings_mut(id).remove(series);
        }
        self.spans[series as usize] = (0, 0);
        self.first[series as usize] = NOWHERE;
        self.more.remove(&series);
    }

    fn ids(&self, series: u32) -> &[u32] {
        slice(&self.arena, &self.spans, series)
    }

    /// The pair numbers of a live series.
    pub(crate) fn pair_ids(&self, series: u32) -> &[u32] {
        self.ids(series)
    }

    pub(crate) fn contains(&self, series: u32) -> bool {
        self.live.contains(series)
    }

    pub(crate) fn live(&self) -> &RoaringBitmap {
        &self.live
    }

    /// The label set of a series.
    pub(crate) fn labels(&self, series: u32) -> LabelSet {
        let mut bytes = Vec::with_capacity(256);
        for &id in self.ids(series) {
            let (name, value) = self.pairs.get(id);
            put_label(&mut bytes, name);
            put_label(&mut bytes, value);
        }
        LabelSet::from_bytes(&bytes).expect("packed as model does, sorted at insertion")
    }

    /// Notes that a group's slot holds the series.
    pub(crate) fn add_location(&mut self, series: u32, location: Location) {
        let Some(first) = self.first.get_mut(series as usize) else { return };
        if *first == NOWHERE {
            *first = location;
        } else if *first != location {
            let more = self.more.entry(series).or_default();
            if !more.contains(&location) {
                more.push(location);
            }
        }
    }

    /// Drops the locations in groups that are gone.
    pub(crate) fn remove_locations(&mut self, series: u32, group: u32) {
        let Some(first) = self.first.get_mut(series as usize) else { return };
        let more = self.more.get_mut(&series);
        match more {
            None => {
                if first.0 == group {
                    *first = NOWHERE;
                }
            }
            Some(more) => {
                more.retain(|l| l.0 != group);
                if first.0 == group {
                    *first = if more.is_empty() { NOWHERE } else { more.remove(0) };
                }
                if more.is_empty() {
                    self.more.remove(&series);
                }
            }
        }
    }

    /// The places of a series' rows, in the order they were made.
    pub(crate) fn locations(&self, series: u32) -> impl Iterator<Item = Location> + '_ {
        let first = self.first.get(series as usize).copied().filter(|l| *l != NOWHERE);
        first.into_iter().chain(self.more.get(&series).into_iter().flatten().copied())
    }

    /// The reference after the greatest one seen.
    pub(crate) fn next_series(&self) -> u32 {
        u32::try_from(self.spans.len()).expect("references are u32")
    }

    /// Bytes held, about: what capacity the parts have.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.arena.capacity() * 4
            + self.spans.capacity() * 8
            + self.first.capacity() * 8
            + self.by_labels.capacity() * 5
            + self.live.serialized_size()
            + self.pairs.resident_bytes()
    }
}

fn slice<'a>(arena: &'a [u32], spans: &[(u32, u32)], series: u32) -> &'a [u32] {
    let (start, count) = spans.get(series as usize).copied().unwrap_or_default();
    &arena[start as usize..][..count as usize]
}

fn hash(ids: &[u32]) -> u64 {
    FixedState::default().hash_one(ids)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
