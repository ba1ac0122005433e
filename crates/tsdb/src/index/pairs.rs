//! Label pairs, each interned once: names in a short list, values in one string arena.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
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

impl Pairs {
    pub(crate) fn find(&self, name: &str, value: &str) -> Option<u32> {
        let name = *self.by_name.get(name)?;
        self.find_in(name, value)
    }

    fn find_in(&self, name: u32, value: &str) -> Option<u32> {
        let same = |&id: &u32| self.pairs[id as usize].name == name && self.value(id) == value;
        self.table.find(hash(name, value), same).copied()
    }

    /// The number of a pair, new or known.
    pub(crate) fn intern(&mut self, name: &str, value: &str) -> Result<u32, Error> {
        let full = || Error::new(ErrorKind::Unsupported, "the index is full: 4 GiB of label values");
        let name_id = match self.by_name.get(name) {
            Some(&id) => id,
            None => {
                let id = u32::try_from(self.names.len()).map_err(|_| full())?;
                self.names.push(Name { text: name.into(), pairs: vec![] });
                self.by_name.insert(name.into(), id);
                id
            }
        };
        if let Some(id) = self.find_in(name_id, value) {
            return Ok(id);
        }
        let id = u32::try_from(self.pairs.len()).map_err(|_| full())?;
        let start = u32::try_from(self.values.len()).map_err(|_| full())?;
        let len = u32::try_from(value.len()).map_err(|_| full())?;
        start.checked_add(len).ok_or_else(full)?;
        self.values.push_str(value);
        self.pairs.push(Pair { name: name_id, start, len, postings: Postings::None });
        self.names[name_id as usize].pairs.push(id);
        let Self { table, pairs, values, .. } = self;
        table.insert_unique(hash(name_id, value), id, |&id| {
            let pair = &pairs[id as usize];
            hash(pair.name, text(values, pair))
        });
        Ok(id)
    }

    fn value(&self, id: u32) -> &str {
        text(&self.values, &self.pairs[id as usize])
    }

    /// Name and value.
    pub(crate) fn get(&self, id: u32) -> (&str, &str) {
        let pair = &self.pairs[id as usize];
        (&self.names[pair.name as usize].text, text(&self.values, pair))
    }

    pub(crate) fn postings(&self, id: u32) -> &Postings {
        &self.pairs[id as usize].postings
    }

    pub(crate) fn postings_mut(&mut self, id: u32) -> &mut Postings {
        &mut self.pairs[id as usize].postings
    }

    /// Value and postings of each pair of a name that some series has.
    pub(crate) fn of_name(&self, name: &str) -> impl Iterator<Item = (&str, &Postings)> {
        let ids = self.by_name.get(name).map_or(&[][..], |&n| &self.names[n as usize].pairs);
        ids.iter()
            .map(|&id| (self.value(id), &self.pairs[id as usize].postings))
            .filter(|(_, postings)| !postings.is_empty())
    }

    /// The names that some series has.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|n| &*n.text).filter(|n| self.of_name(n).next().is_some())
    }

    /// Numbers of all pairs ever interned: 0 up to this.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.pairs.len()).expect("checked by intern")
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.values.capacity()
            + self.pairs.capacity() * size_of::<Pair>()
            + self.table.capacity() * 5
            + self.names.iter().map(|n| n.text.len() * 2 + n.pairs.capacity() * 4 + 96).sum::<usize>()
            + self.pairs.iter().map(|p| p.postings.resident_bytes()).sum::<usize>()
    }
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
