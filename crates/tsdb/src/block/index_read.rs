//! Reads the index of a block: keys, label sets, places of chunks. Which series match is for [`super::select`].

use std::path::Path;

use model::LabelSet;
use storage::{Error, ErrorKind};

use super::dictionary::{self, Dictionary};
use super::entries::Entry;
use super::index_write::{MAGIC, RUN};
use super::pages::Pages;
use super::postings::{self, ALONE, PostingsReader};
use crate::bytes::{Reader, unzigzag};
use crate::index::put_label;
use crate::segment::Damaged;

const BAD: Damaged = Damaged("index does not decode");

/// An open index.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) pages: Pages,
    pub(super) ulid: u128,
    pub(super) series: u32,
    entries_at: u64,
    entries_table_at: u64,
    places_table_at: u64,
    keys_at: u64,
    shapes_at: u64,
    shapes_table_at: u64,
    shapes: u32,
    /// By name.
    pub(super) names: Vec<Name>,
}

/// A label name, its values and who has them.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: String,
    dictionary: dictionary::Place,
    postings: postings::Place,
}

/// The chunks of a series.
#[derive(Debug, Clone)]
pub(super) struct ChunkPlaces<'a> {
    pub(super) timeline: u32,
    /// Where the first chunk is.
    pub(super) at: u64,
    lengths: Lengths<'a>,
}

#[derive(Debug, Clone)]
enum Lengths<'a> {
    One(u32),
    Many(Reader<'a>),
}

impl ChunkPlaces<'_> {
    /// Offset and length of the next chunk.
    pub(super) fn next(&mut self) -> Option<(u64, u32)> {
        let len = match &mut self.lengths {
            Lengths::One(len) => std::mem::take(len),
            Lengths::Many(r) => r.varint32()?,
        };
        let at = self.at;
        self.at = at.checked_add(u64::from(len))?;
        Some((at, len))
    }
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let pages = Pages::open(path, MAGIC)?;
        Self::read(pages)
            .map_err(|d| Error::new(ErrorKind::Corrupt, format!("block: {}: {}", path.display(), d.0)))
    }

    fn read(pages: Pages) -> Result<Self, Damaged> {
        let tail_at = pages.len().checked_sub(8).ok_or(BAD)?;
        let directory_at = Reader::new(pages.get(tail_at, 8)?).u64().ok_or(BAD)?;
        let len = tail_at.checked_sub(directory_at).and_then(|n| usize::try_from(n).ok()).ok_or(BAD)?;
        let bytes = pages.get(directory_at, len)?;
        let mut r = Reader::new(bytes);
        // Whatever lies before the directory can be added to without overflow.
        let at = |r: &mut Reader<'_>| r.u64().filter(|&at| at <= directory_at).ok_or(BAD);
        let ulid = r.array().map(u128::from_le_bytes).ok_or(BAD)?;
        let series = r.u32().filter(|&n| n < ALONE).ok_or(BAD)?;
        let (entries_at, entries_table_at, places_table_at) = (at(&mut r)?, at(&mut r)?, at(&mut r)?);
        let (keys_at, shapes_at, shapes_table_at) = (at(&mut r)?, at(&mut r)?, at(&mut r)?);
        let shapes = r.varint32().ok_or(BAD)?;
        let count = r.count().ok_or(BAD)?;
        let mut names: Vec<Name> = vec![];
        for _ in 0..count {
            let text = r.bytes().and_then(|b| std::str::from_utf8(b).ok()).ok_or(BAD)?.to_owned();
            if names.last().is_some_and(|last| last.text >= text) {
                return Err(BAD);
            }
            let dictionary =
                dictionary::Place { count: r.u32().ok_or(BAD)?, at: at(&mut r)?, table_at: at(&mut r)? };
            let postings = postings::Place { at: at(&mut r)?, table_at: at(&mut r)?, all_at: at(&mut r)? };
            names.push(Name { text, dictionary, postings });
        }
        Ok(Self {
            ulid,
            series,
            entries_at,
            entries_table_at,
            places_table_at,
            keys_at,
            shapes_at,
            shapes_table_at,
            shapes,
            names,
            pages,
        })
    }

    /// The number of a label name.
    pub(super) fn find_name(&self, name: &str) -> Option<usize> {
        self.names.binary_search_by(|n| n.text.as_str().cmp(name)).ok()
    }

    pub(super) fn dictionary(&self, name: usize) -> Dictionary<'_> {
        Dictionary::new(&self.pages, self.names[name].dictionary)
    }

    pub(super) fn postings(&self, name: usize) -> PostingsReader<'_> {
        PostingsReader { pages: &self.pages, place: self.names[name].postings, series: self.series }
    }

    /// The key of a series.
    pub(super) fn key(&self, ordinal: u32) -> Result<u128, Damaged> {
        self.check(ordinal)?;
        let bytes = self.pages.get(self.keys_at + u64::from(ordinal) * 16, 16)?;
        Reader::new(bytes).array().map(u128::from_le_bytes).ok_or(BAD)
    }

    fn check(&self, ordinal: u32) -> Result<(), Damaged> {
        if ordinal < self.series { Ok(()) } else { Err(Damaged("series out of bounds")) }
    }

    /// Where the chunks of a series are.
    pub(super) fn places(&self, ordinal: u32) -> Result<ChunkPlaces<'_>, Damaged> {
        self.check(ordinal)?;
        let run = u64::from(ordinal / RUN);
        let runs = u64::from(self.series.div_ceil(RUN));
        let bounds = self.pages.up_to(self.places_table_at + run * 8, 16)?;
        let mut r = Reader::new(bounds);
        let start = r.u64().ok_or(BAD)?;
        let end = if run + 1 < runs { r.u64().ok_or(BAD)? } else { self.entries_at };
        let len = end.checked_sub(start).and_then(|n| usize::try_from(n).ok()).ok_or(BAD)?;
        let mut r = Reader::new(self.pages.get(start, len)?);
        let mut at = r.varint().ok_or(BAD)?;
        let mut timeline = 0_i64;
        for i in 0..=ordinal % RUN {
            let head = r.varint().ok_or(BAD)?;
            timeline = timeline.checked_add(unzigzag(head >> 1)).ok_or(BAD)?;
            let (len, lengths) = if head & 1 == 0 {
                let len = r.varint32().ok_or(BAD)?;
                (u64::from(len), Lengths::One(len))
            } else {
                let len = r.varint().ok_or(BAD)?;
                (len, Lengths::Many(Reader::new(r.bytes().ok_or(BAD)?)))
            };
            if i == ordinal % RUN {
                return Ok(ChunkPlaces { timeline: u32::try_from(timeline).map_err(|_| BAD)?, at, lengths });
            }
            at = at.checked_add(len).ok_or(BAD)?;
        }
        Err(BAD)
    }

    /// The names of a shape.
    fn shape(&self, shape: u32, names: &mut Vec<u32>) -> Option<()> {
        if shape >= self.shapes {
            return None;
        }
        let offset = self.pages.get(self.shapes_table_at + u64::from(shape) * 4, 4).ok()?;
        let at = self.shapes_at + u64::from(Reader::new(offset).u32()?);
        let count = usize::try_from(Reader::new(self.pages.up_to(at, 10).ok()?).varint()?).ok()?;
        let mut r = Reader::new(self.pages.up_to(at, count.checked_mul(5)?.checked_add(10)?).ok()?);
        r.varint()?;
        if count > r.len() {
            return None;
        }
        names.clear();
        for _ in 0..count {
            let name = r.varint32()?;
            if name as usize >= self.names.len() {
                return None;
            }
            names.push(name);
        }
        Some(())
    }
}

/// Reads label sets; cheapest in ascending order.
#[derive(Debug)]
pub(crate) struct LabelReader<'a> {
    index: &'a Index,
    /// The ordinal to come.
    at: u32,
    run: Reader<'a>,
    entry: Entry,
    shape: Option<u32>,
    names: Vec<u32>,
    /// What is known of each name's values.
    values: Vec<Values>,
    packed: Vec<u8>,
}

/// The values of one name, as far as they were read.
#[derive(Debug, Default)]
struct Values {
    last: Option<u32>,
    text: String,
    misses: u32,
    /// All of them, once a few dozen were asked for.
    all: Vec<String>,
}

/// Dictionaries up to this are read whole when much of them is wanted.
const SMALL: u32 = 2_048;
/// So many look-ups cost as much as a small dictionary.
const MISSES: u32 = 64;

impl Values {
    fn get(&mut self, dictionary: Dictionary<'_>, number: u32) -> Result<&str, Damaged> {
        if self.last == Some(number) {
            return Ok(&self.text);
        }
        if self.misses == MISSES && self.all.is_empty() && dictionary.len() <= SMALL {
            let mut all = vec![];
            let mut scan = dictionary.scan(0..dictionary.len());
            while let Some((_, value)) = scan.next_value()? {
                all.push(value.to_owned());
            }
            self.all = all;
        }
        if !self.all.is_empty() {
            return self.all.get(number as usize).map(String::as_str).ok_or(BAD);
        }
        self.misses = (self.misses + 1).min(MISSES);
        self.last = None;
        self.text.clear();
        dictionary.get(number, &mut self.text)?;
        self.last = Some(number);
        Ok(&self.text)
    }
}

impl<'a> LabelReader<'a> {
    pub(super) fn new(index: &'a Index) -> Self {
        Self {
            index,
            at: 0,
            run: Reader::new(&[]),
            entry: Entry::default(),
            shape: None,
            names: vec![],
            values: vec![],
            packed: vec![],
        }
    }

    /// The label set of a series.
    pub(crate) fn get(&mut self, ordinal: u32) -> Result<LabelSet, Damaged> {
        let read = self.read(ordinal);
        if read.is_err() {
            // What comes next begins at its own run.
            self.run = Reader::new(&[]);
            self.at = u32::MAX;
        }
        read
    }

    fn read(&mut self, ordinal: u32) -> Result<LabelSet, Damaged> {
        self.index.check(ordinal)?;
        let start = ordinal - ordinal % RUN;
        if self.at > ordinal || self.at <= start {
            self.run = Reader::new(self.run_bytes(ordinal / RUN)?);
            self.at = start;
        }
        while self.at <= ordinal {
            let Self { entry, run, shape, names, index, .. } = self;
            let next = entry.next(run, |s| {
                if *shape != Some(s) {
                    *shape = None;
                    index.shape(s, names)?;
                    *shape = Some(s);
                }
                Some(names.len())
            });
            next.ok_or(BAD)?;
            self.at += 1;
        }
        self.pack()
    }

    fn run_bytes(&self, run: u32) -> Result<&'a [u8], Damaged> {
        let index = self.index;
        let runs = index.series.div_ceil(RUN);
        let mut r = Reader::new(index.pages.up_to(index.entries_table_at + u64::from(run) * 4, 8)?);
        let start = index.entries_at + u64::from(r.u32().ok_or(BAD)?);
        let end = if run + 1 < runs {
            index.entries_at + u64::from(r.u32().ok_or(BAD)?)
        } else {
            index.entries_table_at
        };
        let len = end.checked_sub(start).and_then(|n| usize::try_from(n).ok()).ok_or(BAD)?;
        index.pages.get(start, len)
    }

    fn pack(&mut self) -> Result<LabelSet, Damaged> {
        self.packed.clear();
        if self.names.len() != self.entry.numbers.len() {
            return Err(BAD);
        }
        for (&name, &number) in self.names.iter().zip(&self.entry.numbers) {
            let name = name as usize;
            if self.values.len() <= name {
                self.values.resize_with(name + 1, Values::default);
            }
            let value = self.values[name].get(self.index.dictionary(name), number)?;
            put_label(&mut self.packed, &self.index.names[name].text);
            put_label(&mut self.packed, value);
        }
        LabelSet::from_bytes(&self.packed).ok_or(BAD)
    }
}
