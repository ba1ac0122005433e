//! What a target's bodies consist of: for each line that was seen, a hash of its text and where its value goes.
//!
//! Texts are not kept, only 61-bit hashes under a random seed: 25 bytes a line instead of a hundred. A line is taken for a known
//! one when length and hash agree. Two different series of one target then get mixed up with a probability of n²/2⁶², 10⁻¹²
//! for 2,500 series; and since lines are only ever compared with lines of the same target, a target that forged a collision
//! could only mislabel values of its own, which it may report as it likes anyway.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where a line's value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Into this slot of the row.
    Slot(u32),
    /// Nowhere: a rule dropped the series.
    Dropped,
    /// To a series that so far only had samples with timestamps of their own, and therefore has no slot.
    Stamped,
    /// To the n-th series that this body names for the first time.
    Pending(u32),
    /// It is metadata of this family.
    Meta(u32),
    /// It is the type of this family, which decides how `le` and `quantile` are read.
    Type(u32),
    /// It is a comment.
    Comment,
}

/// A line that was seen, in 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    /// The hash, with the kind of the target in the bits of `KIND`.
    hash: u64,
    len: u32,
    /// The target's number, where its kind has one.
    index: u32,
}

/// In the middle: the table of hashes uses the lowest bits and the highest.
const KIND_SHIFT: u32 = 40;
const KIND: u64 = 7 << KIND_SHIFT;

impl Line {
    fn new(hash: u64, len: u32, target: Target) -> Self {
        let (kind, index) = match target {
            Target::Slot(index) => (0, index),
            Target::Dropped => (1, 0),
            Target::Stamped => (2, 0),
            Target::Pending(index) => (3, index),
            Target::Meta(index) => (4, index),
            Target::Type(index) => (5, index),
            Target::Comment => (6, 0),
        };
        Self { hash: hash & !KIND | kind << KIND_SHIFT, len, index }
    }

    #[inline]
    pub(crate) fn target(&self) -> Target {
        match (self.hash & KIND) >> KIND_SHIFT {
            0 => Target::Slot(self.index),
            1 => Target::Dropped,
            2 => Target::Stamped,
            3 => Target::Pending(self.index),
            4 => Target::Meta(self.index),
            5 => Target::Type(self.index),
            _ => Target::Comment,
        }
    }

    #[inline]
    fn hash(&self) -> u64 {
        self.hash & !KIND
    }
}

/// Lines by place in the last body, and by hash.
#[derive(Debug)]
pub(crate) struct Lines {
    known: Vec<Line>,
    order: Vec<u32>,
    by_hash: HashTable<u32>,
    seed: u64,
}

impl Lines {
    pub(crate) fn new(seed: u64) -> Self {
        Self { known: Vec::new(), order: Vec::new(), by_hash: HashTable::new(), seed }
    }

    /// The id of the `n`-th line of the last body.
    #[inline]
    pub(crate) fn at(&self, n: usize) -> Option<u32> {
        self.order.get(n).copied()
    }

    #[inline]
    pub(crate) fn line(&self, id: u32) -> &Line {
        &self.known[id as usize]
    }

    pub(crate) fn set_target(&mut self, id: u32, target: Target) {
        let line = &mut self.known[id as usize];
        *line = Line::new(line.hash, line.len, target);
    }

    /// Where in `body` the text of line `id` ends if it starts at `pos`; `None` when other bytes stand there.
    #[inline]
    pub(crate) fn end_of(&self, line: &Line, body: &[u8], pos: usize) -> Option<usize> {
        let end = pos + line.len as usize;
        let text = body.get(pos..end)?;
        (self.hash(text) == line.hash()).then_some(end)
    }

    #[inline]
    fn hash(&self, text: &[u8]) -> u64 {
        xxh3_64_with_seed(text, self.seed) & !KIND
    }

    /// The line with this text.
    pub(crate) fn find(&self, text: &[u8]) -> Option<u32> {
        let hash = self.hash(text);
        let same = |id: &u32| {
            let line = self.line(*id);
            line.hash() == hash && line.len as usize == text.len()
        };
        self.by_hash.find(hash, same).copied()
    }

    /// Adds a line that is not known yet.
    pub(crate) fn add(&mut self, text: &[u8], target: Target) -> u32 {
        let hash = self.hash(text);
        let narrow = |n| u32::try_from(n).expect("a body is below 4 GiB, so are its lines");
        let id = narrow(self.known.len());
        self.known.push(Line::new(hash, narrow(text.len()), target));
        let known = &self.known;
        self.by_hash.insert_unique(hash, id, |i| known[*i as usize].hash());
        id
    }

    /// How many lines are known; to be given to [`Lines::truncate`].
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets the lines added last.
    pub(crate) fn truncate(&mut self, len: usize) {
        while self.known.len() > len
            && let Some(line) = self.known.pop()
        {
            let id = u32::try_from(self.known.len()).expect("was an id");
            if let Ok(entry) = self.by_hash.find_entry(line.hash(), |i| *i == id) {
                entry.remove();
            }
        }
    }

    /// For each line where it stood in the last body; `u32::MAX` for those that did not.
    pub(crate) fn places(&self) -> Vec<u32> {
        let mut places = vec![u32::MAX; self.known.len()];
        for (place, id) in (0..).zip(&self.order) {
            places[*id as usize] = place;
        }
        places
    }

    /// Takes a new order, and forgets lines that are in it no more once they are too many. Returns the new id of each old one
    /// if ids changed.
    pub(crate) fn set_order(&mut self, order: Vec<u32>) -> Option<Vec<Option<u32>>> {
        self.order = order;
        self.order.shrink_to_fit();
        let narrow = |n| u32::try_from(n).expect("fewer lines than bytes in a body");
        if self.known.len() <= self.order.len() + self.order.len() / 2 + 1000 {
            // The first body made it grow by doubling.
            self.known.shrink_to(self.known.len() + self.known.len() / 8);
            return None;
        }
        let mut moved = vec![None; self.known.len()];
        let mut known: Vec<Line> = Vec::with_capacity(self.order.len());
        for id in &mut self.order {
            let new = moved[*id as usize].get_or_insert_with(|| {
                known.push(self.known[*id as usize]);
                narrow(known.len() - 1)
            });
            *id = *new;
        }
        self.by_hash = HashTable::with_capacity(known.len());
        for (id, line) in known.iter().enumerate() {
            self.by_hash.insert_unique(line.hash(), narrow(id), |i| known[*i as usize].hash());
        }
        self.known = known;
        Some(moved)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.seed);
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.known.capacity() * size_of::<Line>() + self.order.capacity() * 4 + self.by_hash.allocation_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_place_and_by_hash_and_forgotten() {
        let mut lines = Lines::new(7);
        let ids: Vec<_> =
            (0..3000_u32).map(|i| lines.add(format!("l{i}").as_bytes(), Target::Slot(i))).collect();
        assert!(lines.set_order(ids.clone()).is_none());
        assert_eq!(lines.find(b"l77"), Some(ids[77]));
        assert_eq!(lines.places()[77], 77);
        assert_eq!(lines.end_of(lines.line(ids[5]), b"xxl5 1", 2), Some(4));
        assert_eq!(lines.end_of(lines.line(ids[5]), b"xxl6 1", 2), None);
        let moved = lines.set_order(vec![ids[2999], ids[5]]).expect("most are gone");
        assert_eq!(moved[2999], Some(0));
        assert_eq!(lines.find(b"l77"), None);
        assert_eq!(lines.find(b"l5"), Some(1));
        assert_eq!(lines.line(1).target(), Target::Slot(5));
        assert_eq!(lines.places(), [0, 1]);
        for target in [
            Target::Dropped,
            Target::Stamped,
            Target::Pending(9),
            Target::Meta(8),
            Target::Type(7),
            Target::Comment,
        ] {
            lines.set_target(1, target);
            assert_eq!((lines.line(1).target(), lines.find(b"l5")), (target, Some(1)));
        }
        lines.add(b"new", Target::Dropped);
        lines.truncate(2);
        assert_eq!((lines.find(b"new"), lines.len()), (None, 2));
    }
}
