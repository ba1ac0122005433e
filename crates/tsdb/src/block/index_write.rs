//! Writes the index of a block.
//!
//! What the series' chunks need is written as they come; of their labels only numbers are kept in memory, and the dictionaries,
//! label sets by final numbers, and postings are written at the end. Layout: `docs/format/block.md`.

use std::path::Path;

use model::LabelSet;
use roaring::RoaringBitmap;
use storage::{Error, ErrorKind};

use super::entries::Entry;
use super::interner::Interner;
use super::pages::PageWriter;
use super::postings::{ALONE, PostingsWriter};
use super::{dictionary, postings, series_key};
use crate::bytes::{Reader, put_bytes, put_varint, zigzag};
use crate::disk::Faults;

pub(super) const MAGIC: &[u8; 8] = b"VIGIEIDX";
/// Series between two that can be found without those before.
pub(super) const RUN: u32 = 16;
/// Postings gathered at a time, at least: four bytes each.
const BATCH: usize = 1 << 20;

/// Gathers series and writes the file.
#[derive(Debug)]
pub(super) struct IndexWriter {
    pages: PageWriter,
    interner: Interner,
    series: u32,
    /// Shape and pairs of each series.
    entries: Vec<u8>,
    entry: Entry,
    keys: Vec<u128>,
    places: Vec<u64>,
    timeline: u32,
    pair_buffer: Vec<u32>,
    bytes: Vec<u8>,
    lengths: Vec<u8>,
}

impl IndexWriter {
    pub(super) fn create(path: &Path, faults: &Faults) -> Result<Self, Error> {
        Ok(Self {
            pages: PageWriter::create(path, MAGIC, faults)?,
            interner: Interner::default(),
            series: 0,
            entries: vec![],
            entry: Entry::default(),
            keys: vec![],
            places: vec![],
            timeline: 0,
            pair_buffer: vec![],
            bytes: vec![],
            lengths: vec![],
        })
    }

    /// Series so far.
    pub(super) fn series_count(&self) -> u32 {
        self.series
    }

    /// Adds a series, greater than those before: its timeline, where its first chunk is, and the lengths of its chunks.
    pub(super) fn series(
        &mut self,
        labels: &LabelSet,
        timeline: u32,
        at: u64,
        lengths: &[u32],
    ) -> Result<(), Error> {
        if self.series == ALONE - 1 {
            return Err(Error::new(ErrorKind::Unsupported, "block: more than 2^31 series"));
        }
        let shape = self.interner.intern(labels, &mut self.pair_buffer)?;
        self.entry.put(shape, &self.pair_buffer, false, &mut self.entries);
        self.keys.push(series_key(labels));

        self.bytes.clear();
        if self.series.is_multiple_of(RUN) {
            self.places.push(self.pages.at());
            put_varint(&mut self.bytes, at);
            self.timeline = 0;
        }
        let change = zigzag(i64::from(timeline) - i64::from(self.timeline)) << 1;
        self.timeline = timeline;
        if let [only] = lengths {
            put_varint(&mut self.bytes, change);
            put_varint(&mut self.bytes, u64::from(*only));
        } else {
            put_varint(&mut self.bytes, change | 1);
            self.lengths.clear();
            lengths.iter().for_each(|&l| put_varint(&mut self.lengths, u64::from(l)));
            put_varint(&mut self.bytes, lengths.iter().map(|&l| u64::from(l)).sum());
            put_bytes(&mut self.bytes, &self.lengths);
        }
        self.pages.append(&self.bytes)?;
        self.series += 1;
        Ok(())
    }

    /// Writes what is left, and syncs. `ulid` ties the file to its block.
    pub(super) fn finish(mut self, ulid: u128) -> Result<(), Error> {
        let mut directory = vec![];
        directory.extend_from_slice(&ulid.to_le_bytes());
        directory.extend_from_slice(&self.series.to_le_bytes());
        let order = Order::of(&self.interner);

        let entries_at = self.pages.at();
        let table = self.write_entries(&order, entries_at)?;
        let entries_table_at = self.pages.at();
        self.pages.append(&table)?;
        let places_table_at = self.pages.at();
        for place in std::mem::take(&mut self.places) {
            self.pages.append(&place.to_le_bytes())?;
        }
        let keys_at = self.pages.at();
        for key in std::mem::take(&mut self.keys) {
            self.pages.append(&key.to_le_bytes())?;
        }
        let shapes_at = self.pages.at();
        let table = self.write_shapes(&order, shapes_at)?;
        let shapes_table_at = self.pages.at();
        self.pages.append(&table)?;
        for at in [entries_at, entries_table_at, places_table_at, keys_at, shapes_at, shapes_table_at] {
            directory.extend_from_slice(&at.to_le_bytes());
        }
        put_varint(&mut directory, self.interner.shapes() as u64);
        self.write_names(&order, &mut directory)?;

        let directory_at = self.pages.at();
        self.pages.append(&directory)?;
        self.pages.append(&directory_at.to_le_bytes())?;
        self.pages.finish()
    }

    fn write_entries(&mut self, order: &Order, entries_at: u64) -> Result<Vec<u8>, Error> {
        let (mut table, mut bytes, mut numbers) = (vec![], vec![], vec![]);
        let (mut read, mut written) = (Entry::default(), Entry::default());
        let Self { entries, interner, pages, .. } = self;
        let mut r = Reader::new(entries);
        for ordinal in 0..self.series {
            next(&mut read, &mut r, interner);
            numbers.clear();
            numbers.extend(read.numbers.iter().map(|&pair| order.number[pair as usize]));
            bytes.clear();
            if ordinal.is_multiple_of(RUN) {
                let offset = u32::try_from(pages.at() - entries_at).map_err(|_| {
                    Error::new(ErrorKind::Unsupported, "block: more than 4 GiB of label sets")
                })?;
                table.extend_from_slice(&offset.to_le_bytes());
            }
            written.put(read.shape, &numbers, ordinal.is_multiple_of(RUN), &mut bytes);
            pages.append(&bytes)?;
        }
        Ok(table)
    }

    fn write_shapes(&mut self, order: &Order, shapes_at: u64) -> Result<Vec<u8>, Error> {
        let (mut table, mut bytes) = (vec![], vec![]);
        for shape in 0..self.interner.shapes() {
            let offset = u32::try_from(self.pages.at() - shapes_at)
                .map_err(|_| Error::new(ErrorKind::Unsupported, "block: more than 4 GiB of label names"))?;
            table.extend_from_slice(&offset.to_le_bytes());
            let names = self.interner.shape(u32::try_from(shape).expect("counted in u32"));
            bytes.clear();
            put_varint(&mut bytes, names.len() as u64);
            names.iter().for_each(|&n| put_varint(&mut bytes, u64::from(order.name_number[n as usize])));
            self.pages.append(&bytes)?;
        }
        Ok(table)
    }

    /// Dictionaries and postings, names in order, some at a time.
    fn write_names(&mut self, order: &Order, directory: &mut Vec<u8>) -> Result<(), Error> {
        put_varint(directory, order.names.len() as u64);
        let limit = BATCH.max(self.series as usize);
        let mut writer = PostingsWriter::default();
        let mut first = 0;
        while first < order.names.len() {
            let (mut last, mut total) = (first, 0);
            while last < order.names.len() && (last == first || total + order.total(last) <= limit) {
                total += order.total(last);
                last += 1;
            }
            let lists = Lists::gather(self, order, first..last, total);
            for i in first..last {
                let pairs = order.pairs(i);
                let values = pairs.iter().map(|&p| self.interner.value(p));
                let dictionary = dictionary::write(&mut self.pages, values)?;
                let all = lists.all(order, i);
                let place = writer.write(&mut self.pages, pairs.iter().map(|&p| lists.of(p)), &all)?;
                put_bytes(directory, self.interner.name_text(order.names[i]).as_bytes());
                put_place(directory, dictionary, place);
            }
            first = last;
        }
        Ok(())
    }
}

fn put_place(directory: &mut Vec<u8>, dictionary: dictionary::Place, place: postings::Place) {
    directory.extend_from_slice(&dictionary.count.to_le_bytes());
    for at in [dictionary.at, dictionary.table_at, place.at, place.table_at, place.all_at] {
        directory.extend_from_slice(&at.to_le_bytes());
    }
}

fn next(entry: &mut Entry, r: &mut Reader<'_>, interner: &Interner) {
    entry.next(r, |shape| Some(interner.shape(shape).len())).expect("written by this writer");
}

/// The order of names and values, known once all are.
struct Order {
    /// Names in order.
    names: Vec<u32>,
    name_number: Vec<u32>,
    /// Pairs by name and value.
    pairs: Vec<u32>,
    /// Where the pairs of the i-th name end, and how many series have them.
    ends: Vec<(usize, usize)>,
    /// The place of each pair among those of its name.
    number: Vec<u32>,
}

impl Order {
    fn of(interner: &Interner) -> Self {
        let count = |n: usize| u32::try_from(n).expect("counted in u32");
        let mut names: Vec<u32> = (0..count(interner.names().len())).collect();
        names.sort_unstable_by_key(|&n| interner.name_text(n));
        let mut name_number = vec![0; names.len()];
        names.iter().enumerate().for_each(|(i, &n)| name_number[n as usize] = count(i));
        let mut pairs: Vec<u32> = (0..count(interner.pairs().len())).collect();
        let name_of = |p: u32| name_number[interner.pairs()[p as usize].name as usize];
        pairs
            .sort_unstable_by(|&a, &b| (name_of(a), interner.value(a)).cmp(&(name_of(b), interner.value(b))));
        let mut number = vec![0; pairs.len()];
        let mut ends = vec![(0, 0); names.len()];
        let mut first = 0;
        for (i, &pair) in pairs.iter().enumerate() {
            let name = name_of(pair) as usize;
            if ends[name].0 == 0 {
                first = i;
            }
            ends[name].0 = i + 1;
            ends[name].1 += interner.pairs()[pair as usize].count as usize;
            number[pair as usize] = count(i - first);
        }
        Self { names, name_number, pairs, ends, number }
    }

    /// Series that have the i-th name.
    fn total(&self, i: usize) -> usize {
        self.ends[i].1
    }

    fn pairs(&self, i: usize) -> &[u32] {
        let start = if i == 0 { 0 } else { self.ends[i - 1].0 };
        &self.pairs[start..self.ends[i].0]
    }
}

/// The series of each pair of some names.
struct Lists {
    series: Vec<u32>,
    /// Where the series of a pair end; those of a pair that is not among them are none.
    ends: Vec<u32>,
    counts: Vec<u32>,
}

impl Lists {
    fn gather(writer: &IndexWriter, order: &Order, names: std::ops::Range<usize>, total: usize) -> Self {
        let pairs = writer.interner.pairs();
        let (mut ends, mut counts) = (vec![u32::MAX; pairs.len()], vec![0; pairs.len()]);
        let mut at = 0;
        for name in names {
            for &pair in order.pairs(name) {
                ends[pair as usize] = at;
                counts[pair as usize] = pairs[pair as usize].count;
                at += pairs[pair as usize].count;
            }
        }
        let mut series = vec![0; total];
        let (mut entry, mut r) = (Entry::default(), Reader::new(&writer.entries));
        for ordinal in 0..writer.series {
            next(&mut entry, &mut r, &writer.interner);
            for &pair in &entry.numbers {
                let end = &mut ends[pair as usize];
                if *end != u32::MAX {
                    series[*end as usize] = ordinal;
                    *end += 1;
                }
            }
        }
        Self { series, ends, counts }
    }

    fn of(&self, pair: u32) -> &[u32] {
        let (end, count) = (self.ends[pair as usize] as usize, self.counts[pair as usize] as usize);
        &self.series[end - count..end]
    }

    /// All series that have the i-th name.
    fn all(&self, order: &Order, i: usize) -> RoaringBitmap {
        let mut all: Vec<u32> = order.pairs(i).iter().flat_map(|&p| self.of(p)).copied().collect();
        all.sort_unstable();
        RoaringBitmap::from_sorted_iter(all).expect("a series has a name once")
    }
}
