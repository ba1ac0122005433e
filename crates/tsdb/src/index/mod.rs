//! The index of the head: label sets to series and back, and which series match.
//!
//! A pair of label name and value is interned once and has a number; a series is a slice of pair numbers, sorted by label
//! name, in one arena, the last of them marked. Sets are equal when their slices are. Postings are kept by pair. So a series
//! costs four bytes a label, its places in the postings (about two bytes each), a table entry and its place ([`places`]).
//!
//! What removed series leave behind is counted; once it is half of all, arena, pairs and table are made anew, with new pair
//! numbers, and [`Index::epoch`] goes up. References of series never change.

mod load;
mod pairs;
mod places;
mod postings;
mod select;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::LabelSet;
use roaring::RoaringBitmap;
use std::hash::BuildHasher;
use storage::{Error, ErrorKind};

pub(crate) use load::Sets;
pub(crate) use pairs::{Pairs, put_label};
use places::Places;
pub(crate) use places::{Location, MAX_GROUP};
pub(crate) use postings::Postings;

/// Marks the last pair number of a set.
const LAST: u32 = 1 << 31;
/// Where the labels of a series without labels start.
const EMPTY: u32 = u32::MAX - 1;
/// Less garbage than this, in pair numbers or pairs, is not worth making all anew.
const MIN_GARBAGE: usize = 4096;

/// The index. One writer, many readers, behind one lock.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) pairs: Pairs,
    /// Pair numbers of all series, one after the other, the last of each with [`LAST`].
    arena: Vec<u32>,
    places: Places,
    by_labels: HashTable<u32>,
    live: RoaringBitmap,
    /// Pair numbers in the arena that belong to no series any more.
    garbage: usize,
    epoch: u64,
    /// Series removed since [`Index::take_forgotten`].
    forgotten: RoaringBitmap,
}

impl Index {
    /// The reference of a label set, if it is known.
    pub(crate) fn find(&self, labels: &LabelSet) -> Option<u32> {
        // On the stack: this is asked for each label set that a scrape or a request brings anew.
        let mut ids = [0; 32];
        let mut n = 0;
        for (name, value) in labels {
            match ids.get_mut(n) {
                Some(id) => *id = self.pairs.find(name, value)?,
                None => return self.find_long(labels),
            }
            n += 1;
        }
        if let Some(last) = n.checked_sub(1) {
            ids[last] |= LAST;
        }
        self.find_marked(&ids[..n])
    }

    fn find_long(&self, labels: &LabelSet) -> Option<u32> {
        let ids = labels.iter().map(|(n, v)| self.pairs.find(n, v)).collect::<Option<Vec<u32>>>()?;
        self.find_marked(&marked(ids))
    }

    fn find_marked(&self, ids: &[u32]) -> Option<u32> {
        self.by_labels.find(hash(ids), |&s| self.marked_ids(s) == ids).copied()
    }

    /// Gives a label set the reference `series`, which is above all given before or was never used. A set or a reference
    /// that is known stays as it is.
    pub(crate) fn insert(&mut self, series: u32, labels: &LabelSet) -> Result<(), Error> {
        let ids: Vec<u32> = labels.iter().map(|(n, v)| self.pairs.intern(n, v)).collect::<Result<_, _>>()?;
        self.insert_marked(series, &marked(ids))
    }

    fn insert_marked(&mut self, series: u32, ids: &[u32]) -> Result<(), Error> {
        if self.live.contains(series) || self.find_marked(ids).is_some() {
            return Ok(());
        }
        let full = || Error::new(ErrorKind::Unsupported, "the index is full: more labels than 2^32");
        let start = u32::try_from(self.arena.len()).ok().filter(|&s| s < EMPTY).ok_or_else(full)?;
        self.arena.extend_from_slice(ids);
        self.places.set_start(series, if ids.is_empty() { EMPTY } else { start });
        for &id in ids {
            self.pairs.insert_posting(id & !LAST, series);
        }
        self.live.insert(series);
        let Self { by_labels, arena, places, .. } = self;
        by_labels.insert_unique(hash(ids), series, |&s| hash(slice(arena, places, s)));
        Ok(())
    }

    /// Forgets a series that has no samples left, and where its rows were.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, series: u32) {
        self.remove_many(&[series].into_iter().collect());
    }

    /// Forgets series that have no samples left, and where their rows were. Once half of what is held is garbage, all is made
    /// anew: that takes time in proportion to what stays.
    pub(crate) fn remove_many(&mut self, gone: &RoaringBitmap) {
        let gone = gone & &self.live;
        if gone.is_empty() {
            return;
        }
        let mut touched = RoaringBitmap::new();
        for series in &gone {
            let Self { by_labels, arena, places, .. } = self;
            let ids = slice(arena, places, series);
            if let Ok(entry) = by_labels.find_entry(hash(ids), |&s| s == series) {
                entry.remove();
            }
            self.garbage += ids.len();
            // The same few pairs come again and again.
            ids.iter().for_each(|id| {
                touched.insert(id & !LAST);
            });
            self.places.remove(series);
        }
        self.pairs.remove_postings(&touched, &gone);
        self.live -= &gone;
        self.forgotten |= gone;
        let stale_pairs = self.pairs.count() as usize - self.pairs.used();
        let arena = self.garbage > MIN_GARBAGE && self.garbage * 2 > self.arena.len();
        let pairs = stale_pairs > MIN_GARBAGE && stale_pairs * 2 > self.pairs.count() as usize;
        if arena || pairs {
            self.compact();
        }
    }

    /// Makes arena, pairs and table anew, without what no series has.
    fn compact(&mut self) {
        let numbers = self.pairs.compact();
        self.pairs.shrink_postings();
        let old = std::mem::take(&mut self.arena);
        self.arena.reserve_exact(old.len() - self.garbage);
        self.by_labels = HashTable::new();
        let live = std::mem::take(&mut self.live);
        let Self { arena, places, by_labels, .. } = self;
        by_labels.reserve(usize::try_from(live.len()).unwrap_or(0), |_| 0);
        for series in &live {
            let start = arena.len();
            let ids = slice(&old, places, series);
            arena.extend(ids.iter().map(|id| numbers[(id & !LAST) as usize] | (id & LAST)));
            let ids = &arena[start..];
            if !ids.is_empty() {
                places.set_start(series, u32::try_from(start).expect("shorter than it was"));
            }
            let hash_of = |&s: &u32| hash(slice(arena, places, s));
            by_labels.insert_unique(hash(ids), series, hash_of);
        }
        self.live = live;
        self.live.optimize();
        self.garbage = 0;
        self.epoch += 1;
    }

    /// Goes up when pairs get new numbers.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The series removed since the last call.
    pub(crate) fn take_forgotten(&mut self) -> RoaringBitmap {
        std::mem::take(&mut self.forgotten)
    }

    /// Gives back what [`Index::take_forgotten`] took, where it could not be written.
    pub(crate) fn put_back_forgotten(&mut self, forgotten: &RoaringBitmap) {
        self.forgotten |= forgotten;
    }

    fn marked_ids(&self, series: u32) -> &[u32] {
        slice(&self.arena, &self.places, series)
    }

    /// The pair numbers of a series, by label name; none where it is not known.
    pub(crate) fn pair_ids(&self, series: u32) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
        self.marked_ids(series).iter().map(|id| id & !LAST)
    }

    pub(crate) fn contains(&self, series: u32) -> bool {
        self.places.start(series).is_some()
    }

    pub(crate) fn live(&self) -> &RoaringBitmap {
        &self.live
    }

    fn label_pairs(&self, series: u32) -> impl Iterator<Item = (&str, &str)> {
        self.pair_ids(series).map(|id| self.pairs.get(id))
    }

    /// The label set of a series: one allocation.
    pub(crate) fn labels(&self, series: u32) -> LabelSet {
        LabelSet::from_sorted_pairs(self.label_pairs(series))
    }

    /// The 128-bit xxh3 of the packed label set, by which head and blocks know a series.
    pub(crate) fn key(&self, series: u32) -> u128 {
        model::with_packed(self.label_pairs(series), xxhash_rust::xxh3::xxh3_128)
    }

    /// Notes that a group's slot holds the series.
    pub(crate) fn add_location(&mut self, series: u32, location: Location) {
        self.places.add_location(series, location);
    }

    /// Drops the locations in a group that is gone.
    pub(crate) fn remove_locations(&mut self, series: u32, group: u32) {
        self.places.remove_location(series, group);
    }

    /// The places of a series' rows, in the order they were made.
    pub(crate) fn locations(&self, series: u32) -> impl Iterator<Item = Location> + '_ {
        self.places.locations(series)
    }

    /// The reference after the greatest one that is live.
    pub(crate) fn next_series(&self) -> u32 {
        self.places.end()
    }

    /// Bytes held, about: what capacity the parts have.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.arena.capacity() * 4
            + self.places.resident_bytes()
            + self.by_labels.allocation_size()
            + self.live.serialized_size()
            + self.pairs.resident_bytes()
    }
}

fn marked(mut ids: Vec<u32>) -> Vec<u32> {
    if let Some(last) = ids.last_mut() {
        *last |= LAST;
    }
    ids
}

fn slice<'a>(arena: &'a [u32], places: &Places, series: u32) -> &'a [u32] {
    match places.start(series) {
        None | Some(EMPTY) => &[],
        Some(start) => {
            let rest = &arena[start as usize..];
            let len = rest.iter().position(|id| id & LAST != 0).map_or(rest.len(), |i| i + 1);
            &rest[..len]
        }
    }
}

fn hash(ids: &[u32]) -> u64 {
    FixedState::default().hash_one(ids)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
