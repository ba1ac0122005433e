//! Label pairs, each interned once: names in a short list, values in one string arena.
//!
//! A pair that no series has any more keeps its number until [`Pairs::compact`] gives all of them anew.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;
use storage::{Error, ErrorKind};

use super::Postings;

/// All pairs and their postings.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    names: Vec<Name>,
    by_name: HashMap<Box<str>, u32>,
    values: String,
    pairs: Vec<Pair>,
    table: HashTable<u32>,
    /// Pairs that some series has.
    used: usize,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    pairs: Vec<u32>,
}

#[derive(Debug)]
struct Pair {
    name: u32,
    start: u32,
    len: u32,
    postings: Postings,
}

/// Numbers of pairs are below this: sets mark their last one with the bit above.
const MAX_PAIRS: usize = 1 << 31;

impl Pairs {
    pub(crate) fn find(&self, name: &str, value: &str) -> Option<u32> {
        let name = *self.by_name.get(name)?;
        self.find_in(name, value)
    }

    fn find_in(&self, name: u32, value: &str) -> Option<u32> {
        let same = |&id: &u32| self.pairs[id as usize].name == name && self.value(id) == value;
        self.table.find(hash(name, value), same).copied()
    }

    /// The number of a name, new or known.
    pub(super) fn intern_name(&mut self, name: &str) -> Result<u32, Error> {
        if let Some(&id) = self.by_name.get(name) {
            return Ok(id);
        }
        let id = u32::try_from(self.names.len()).map_err(|_| full())?;
        self.names.push(Name { text: name.into(), pairs: vec![] });
        self.by_name.insert(name.into(), id);
        Ok(id)
    }

    /// The number of a pair, new or known.
    pub(crate) fn intern(&mut self, name: &str, value: &str) -> Result<u32, Error> {
        let name = self.intern_name(name)?;
        self.intern_in(name, value)
    }

    pub(super) fn intern_in(&mut self, name: u32, value: &str) -> Result<u32, Error> {
        match self.find_in(name, value) {
            Some(id) => Ok(id),
            None => self.push(name, value),
        }
    }

    /// Gives a pair that is not known the next number.
    fn push(&mut self, name: u32, value: &str) -> Result<u32, Error> {
        if self.pairs.len() >= MAX_PAIRS {
            return Err(full());
        }
        let id = u32::try_from(self.pairs.len()).map_err(|_| full())?;
        let start = u32::try_from(self.values.len()).map_err(|_| full())?;
        let len = u32::try_from(value.len()).map_err(|_| full())?;
        start.checked_add(len).ok_or_else(full)?;
        self.values.push_str(value);
        self.pairs.push(Pair { name, start, len, postings: Postings::None });
        self.names[name as usize].pairs.push(id);
        let Self { table, pairs, values, .. } = self;
        table.insert_unique(hash(name, value), id, |&id| {
            let pair = &pairs[id as usize];
            hash(pair.name, text(values, pair))
        });
        Ok(id)
    }

    /// Makes room for pairs that are about to be interned.
    pub(super) fn reserve(&mut self, pairs: usize, bytes: usize) {
        self.pairs.reserve_exact(pairs);
        self.values.reserve_exact(bytes);
        let Self { table, pairs: all, values, .. } = self;
        table.reserve(pairs, |&id| {
            let pair = &all[id as usize];
            hash(pair.name, text(values, pair))
        });
    }

    fn value(&self, id: u32) -> &str {
        text(&self.values, &self.pairs[id as usize])
    }

    /// Name and value.
    pub(crate) fn get(&self, id: u32) -> (&str, &str) {
        let pair = &self.pairs[id as usize];
        (&self.names[pair.name as usize].text, text(&self.values, pair))
    }

    /// The number of a pair's name.
    #[inline]
    pub(crate) fn name_of(&self, id: u32) -> u32 {
        self.pairs[id as usize].name
    }

    pub(super) fn name_id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Names by number, those that no series has any more too.
    pub(crate) fn all_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|n| &*n.text)
    }

    pub(crate) fn postings(&self, id: u32) -> &Postings {
        &self.pairs[id as usize].postings
    }

    pub(super) fn insert_posting(&mut self, id: u32, series: u32) {
        let postings = &mut self.pairs[id as usize].postings;
        self.used += usize::from(postings.is_empty());
        postings.insert(series);
    }

    /// Adds series, ascending and all above those the pair has.
    pub(super) fn extend_postings(&mut self, id: u32, series: &[u32]) {
        let postings = &mut self.pairs[id as usize].postings;
        self.used += usize::from(postings.is_empty() && !series.is_empty());
        postings.extend(series);
    }

    /// Takes many series out of many pairs.
    pub(super) fn remove_postings(&mut self, ids: &RoaringBitmap, gone: &RoaringBitmap) {
        for id in ids {
            let postings = &mut self.pairs[id as usize].postings;
            let had = !postings.is_empty();
            postings.remove_all(gone);
            self.used -= usize::from(had && postings.is_empty());
        }
    }

    /// Postings packed as small as they go.
    pub(super) fn shrink_postings(&mut self) {
        self.pairs.iter_mut().for_each(|p| p.postings.shrink());
    }

    /// Value and postings of each pair of a name that some series has.
    pub(crate) fn of_name(&self, name: &str) -> impl Iterator<Item = (&str, &Postings)> {
        let ids = self.by_name.get(name).map_or(&[][..], |&n| &self.names[n as usize].pairs);
        ids.iter()
            .map(|&id| (self.value(id), &self.pairs[id as usize].postings))
            .filter(|(_, postings)| !postings.is_empty())
    }

    /// How many pairs a name has, at most.
    pub(super) fn count_of_name(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, |&n| self.names[n as usize].pairs.len())
    }

    /// The names that some series has.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|n| &*n.text).filter(|n| self.of_name(n).next().is_some())
    }

    /// Numbers of all pairs: 0 up to this.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.pairs.len()).expect("checked when they were interned")
    }

    /// Pairs that some series has.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Forgets the pairs that no series has. Returns the new number of each old one; what was forgotten has none.
    pub(super) fn compact(&mut self) -> Vec<u32> {
        let old = std::mem::take(self);
        let mut numbers = vec![u32::MAX; old.pairs.len()];
        let live = old.pairs.iter().filter(|p| !p.postings.is_empty());
        let (count, bytes) = live.fold((0, 0), |(n, bytes), p| (n + 1, bytes + p.len as usize));
        self.reserve(count, bytes);
        let mut names = vec![u32::MAX; old.names.len()];
        for (pair, number) in old.pairs.into_iter().zip(&mut numbers) {
            if pair.postings.is_empty() {
                continue;
            }
            let name = &mut names[pair.name as usize];
            if *name == u32::MAX {
                *name = self
                    .intern_name(&old.names[pair.name as usize].text)
                    .expect("fewer names than there were");
            }
            let value = text(&old.values, &pair);
            let id = self.push(*name, value).expect("fewer pairs than there were");
            self.pairs[id as usize].postings = pair.postings;
            *number = id;
        }
        self.used = count;
        numbers
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.values.capacity()
            + self.pairs.capacity() * size_of::<Pair>()
            + self.table.capacity() * 5
            + self.names.iter().map(|n| n.text.len() * 2 + n.pairs.capacity() * 4 + 96).sum::<usize>()
            + self.pairs.iter().map(|p| p.postings.resident_bytes()).sum::<usize>()
    }
}

fn full() -> Error {
    Error::new(ErrorKind::Unsupported, "the index is full: 4 GiB of label values or 2^31 label pairs")
}

fn text<'a>(values: &'a str, pair: &Pair) -> &'a str {
    &values[pair.start as usize..][..pair.len as usize]
}

fn hash(name: u32, value: &str) -> u64 {
    FixedState::default().hash_one((name, value))
}

/// Appends a label's name or value in the packed form of [`model::LabelSet`].
pub(crate) fn put_label(out: &mut Vec<u8>, s: &str) {
    match u8::try_from(s.len()) {
        Ok(len) if len < 255 => out.push(len),
        _ => {
            out.push(255);
            // Values come from an arena of 2^32 bytes, names from label sets of the same bound.
            out.extend_from_slice(&u32::try_from(s.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
    }
    out.extend_from_slice(s.as_bytes());
}
