//! Label names and values while a block is written: each pair once, by a number in the order of first appearance.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use model::LabelSet;
use storage::{Error, ErrorKind};

/// Pairs, names and shapes met so far.
#[derive(Debug, Default)]
pub(super) struct Interner {
    text: String,
    names: Vec<Text>,
    pairs: Vec<Pair>,
    table: HashTable<u32>,
    name_table: HashTable<u32>,
    /// Names of each shape, one after the other, and where each ends.
    shape_names: Vec<u32>,
    shape_ends: Vec<u32>,
    shape_table: HashTable<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Text {
    start: u32,
    len: u32,
}

/// A name and a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) name: u32,
    value: Text,
    /// Series that have it.
    pub(super) count: u32,
}

impl Interner {
    /// Leaves the pairs of a label set in `pairs` and returns its shape.
    pub(super) fn intern(&mut self, labels: &LabelSet, pairs: &mut Vec<u32>) -> Result<u32, Error> {
        pairs.clear();
        let first = self.shape_names.len();
        for (name, value) in labels {
            let name = self.name(name)?;
            self.shape_names.push(name);
            let pair = self.pair(name, value)?;
            self.pairs[pair as usize].count += 1;
            pairs.push(pair);
        }
        let hash = FixedState::default().hash_one(&self.shape_names[first..]);
        let found = self.shape_table.find(hash, |&s| self.shape(s) == &self.shape_names[first..]).copied();
        if let Some(shape) = found {
            self.shape_names.truncate(first);
            return Ok(shape);
        }
        let shape = number(self.shape_ends.len())?;
        self.shape_ends.push(number(self.shape_names.len())?);
        let Self { shape_table, shape_names, shape_ends, .. } = self;
        shape_table.insert_unique(hash, shape, |&s| {
            FixedState::default().hash_one(slice(shape_names, shape_ends, s))
        });
        Ok(shape)
    }

    fn name(&mut self, name: &str) -> Result<u32, Error> {
        let hash = FixedState::default().hash_one(name);
        if let Some(&id) = self.name_table.find(hash, |&n| self.name_text(n) == name) {
            return Ok(id);
        }
        let id = number(self.names.len())?;
        let text = self.keep(name)?;
        self.names.push(text);
        let Self { name_table, names, text, .. } = self;
        name_table.insert_unique(hash, id, |&n| FixedState::default().hash_one(get(text, names[n as usize])));
        Ok(id)
    }

    fn pair(&mut self, name: u32, value: &str) -> Result<u32, Error> {
        let hash = FixedState::default().hash_one((name, value));
        let same = |&p: &u32| self.pairs[p as usize].name == name && self.value(p) == value;
        if let Some(&id) = self.table.find(hash, same) {
            return Ok(id);
        }
        let id = number(self.pairs.len())?;
        let value = self.keep(value)?;
        self.pairs.push(Pair { name, value, count: 0 });
        let Self { table, pairs, text, .. } = self;
        table.insert_unique(hash, id, |&p| {
            let pair = pairs[p as usize];
            FixedState::default().hash_one((pair.name, get(text, pair.value)))
        });
        Ok(id)
    }

    fn keep(&mut self, s: &str) -> Result<Text, Error> {
        let text = Text { start: number(self.text.len())?, len: number(s.len())? };
        number(self.text.len() + s.len())?;
        self.text.push_str(s);
        Ok(text)
    }

    pub(super) fn name_text(&self, name: u32) -> &str {
        get(&self.text, self.names[name as usize])
    }

    pub(super) fn value(&self, pair: u32) -> &str {
        get(&self.text, self.pairs[pair as usize].value)
    }

    pub(super) fn names(&self) -> &[impl Sized] {
        &self.names
    }

    pub(super) fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    pub(super) fn shapes(&self) -> usize {
        self.shape_ends.len()
    }

    /// The names of a shape.
    pub(super) fn shape(&self, shape: u32) -> &[u32] {
        slice(&self.shape_names, &self.shape_ends, shape)
    }
}

fn slice<'a>(names: &'a [u32], ends: &[u32], shape: u32) -> &'a [u32] {
    let i = shape as usize;
    let start = if i == 0 { 0 } else { ends[i - 1] as usize };
    &names[start..ends[i] as usize]
}

fn get(text: &str, t: Text) -> &str {
    &text[t.start as usize..][..t.len as usize]
}

fn number(n: usize) -> Result<u32, Error> {
    u32::try_from(n).map_err(|_| Error::new(ErrorKind::Unsupported, "block: more than 4 GiB of label values"))
}
