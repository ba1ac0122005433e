//! `index` of a block, read (`tsdb/docs/format/index.md`), versions 1 and 2.
//!
//! Checked when opened: table of contents, symbols, table of postings. Checked when read: each series and each list of postings.
//! Version 1 names symbols and series by their offsets in the file; version 2 counts symbols and gives series their offset / 16.

use std::collections::BTreeMap;
use std::ops::Range;

use model::LabelSet;

use super::{ChunkMeta, check_crc};
use crate::bytes::Reader;
use crate::{Error, ErrorKind};

const MAGIC: u32 = 0xbaaa_d700;
/// Six offsets and the checksum.
const TOC_LEN: usize = 6 * 8 + 4;

/// What is kept in memory of an index; the bytes are passed to each call.
#[derive(Debug)]
pub(super) struct Index {
    version: u8,
    /// Where the text of each symbol begins, its length before it (version 2).
    symbols: Vec<u32>,
    /// Where the symbol table begins; `symbols` count from here.
    symbols_at: usize,
    /// Per label name its values in order.
    postings: BTreeMap<String, Vec<ValueEntry>>,
    /// The list of all series.
    all: Option<u64>,
}

/// Where a label value and its postings are.
#[derive(Debug, Clone)]
struct ValueEntry {
    value: Range<usize>,
    postings: u64,
}

/// A section: its length, its bytes, their checksum. The second is where the bytes begin.
fn section<'a>(bytes: &'a [u8], at: u64, what: &str) -> Result<(&'a [u8], usize), Error> {
    let outside = || Error::corrupt(format!("index: {what} at {at} lies outside"));
    let at = usize::try_from(at).map_err(|_| outside())?;
    let mut r = Reader::new(bytes.get(at..).ok_or_else(outside)?);
    let len = r.u32().ok_or_else(outside)? as usize;
    let body = r.take(len).ok_or_else(outside)?;
    check_crc(body, r.u32().ok_or_else(outside)?, format_args!("index: {what} at {at}"))?;
    Ok((body, at + 4))
}

fn short(what: &str) -> Error {
    Error::corrupt(format!("index: {what} ends early"))
}

impl Index {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        if r.u32() != Some(MAGIC) {
            return Err(Error::corrupt("not an index: its first four bytes are others"));
        }
        let version = r.u8().ok_or_else(|| short("header"))?;
        if !matches!(version, 1 | 2) {
            let message = format!("index of version {version} is not read, only 1 and 2");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let toc_at = bytes
            .len()
            .checked_sub(TOC_LEN)
            .filter(|at| *at >= 5)
            .ok_or_else(|| short("table of contents"))?;
        let (toc, crc) = bytes[toc_at..].split_last_chunk::<4>().ok_or_else(|| short("table of contents"))?;
        check_crc(toc, u32::from_be_bytes(*crc), "index: table of contents")?;
        let mut toc = Reader::new(toc);
        let mut entry = || toc.u64().ok_or_else(|| short("table of contents"));
        let [symbols, _series, _label_indices, _label_table, _postings, table] =
            [entry()?, entry()?, entry()?, entry()?, entry()?, entry()?];
        let mut index =
            Self { version, symbols: Vec::new(), symbols_at: 0, postings: BTreeMap::new(), all: None };
        if symbols > 0 {
            index.read_symbols(bytes, symbols)?;
        }
        if table > 0 {
            index.read_table(bytes, table)?;
        }
        Ok(index)
    }

    fn read_symbols(&mut self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let (body, start) = section(bytes, at, "symbols")?;
        self.symbols_at = start;
        if self.version == 1 {
            return Ok(());
        }
        let mut r = Reader::new(body);
        let count = r.u32().ok_or_else(|| short("symbols"))? as usize;
        if count > r.len() {
            return Err(short("symbols"));
        }
        self.symbols.reserve(count);
        for _ in 0..count {
            let offset = body.len() - r.len();
            r.str().ok_or_else(|| Error::corrupt("index: a symbol is cut off or not UTF-8"))?;
            self.symbols.push(u32::try_from(offset).map_err(|_| short("symbols"))?);
        }
        Ok(())
    }

    fn read_table(&mut self, bytes: &[u8], at: u64) -> Result<(), Error> {
        let (body, start) = section(bytes, at, "table of postings")?;
        let bad = || short("table of postings");
        let mut r = Reader::new(body);
        let count = r.u32().ok_or_else(bad)?;
        let mut last: Option<(String, Vec<ValueEntry>)> = None;
        for _ in 0..count {
            if r.uvarint().ok_or_else(bad)? != 2 {
                return Err(Error::corrupt("index: an entry of the table of postings is no pair"));
            }
            let name = r.str().ok_or_else(bad)?;
            let value = r.str().ok_or_else(bad)?;
            let end = start + body.len() - r.len();
            let postings = r.uvarint().ok_or_else(bad)?;
            if name.is_empty() {
                self.all = Some(postings);
                continue;
            }
            let entry = ValueEntry { value: end - value.len()..end, postings };
            match &mut last {
                Some((n, values)) if n == name => values.push(entry),
                _ => {
                    if let Some((n, values)) = last.replace((name.to_owned(), vec![entry])) {
                        self.postings.entry(n).or_default().extend(values);
                    }
                }
            }
        }
        if let Some((n, values)) = last {
            self.postings.entry(n).or_default().extend(values);
        }
        for values in self.postings.values_mut() {
            // Version 1 writes them in any order.
            values.sort_by(|a, b| bytes[a.value.clone()].cmp(&bytes[b.value.clone()]));
        }
        Ok(())
    }

    fn symbol<'a>(&self, bytes: &'a [u8], number: u64) -> Option<&'a str> {
        let number = usize::try_from(number).ok()?;
        let at = match self.version {
            1 => number,
            _ => self.symbols_at.checked_add(*self.symbols.get(number)? as usize)?,
        };
        Reader::new(bytes.get(at..)?).str()
    }

    /// Labels and chunks of the series at `reference`.
    pub(super) fn series(&self, bytes: &[u8], reference: u64) -> Result<(LabelSet, Vec<ChunkMeta>), Error> {
        let place = || format!("index: series {reference}");
        let bad = || Error::corrupt(format!("{} cannot be read", place()));
        let at = if self.version == 1 { Some(reference) } else { reference.checked_mul(16) };
        let at = at.and_then(|at| usize::try_from(at).ok()).ok_or_else(bad)?;
        let mut r = Reader::new(bytes.get(at..).ok_or_else(bad)?);
        let len = r.uvarint().and_then(|n| usize::try_from(n).ok()).ok_or_else(bad)?;
        let body = r.take(len).ok_or_else(bad)?;
        check_crc(body, r.u32().ok_or_else(bad)?, place())?;
        let mut r = Reader::new(body);
        let labels = self.labels(bytes, &mut r).ok_or_else(bad)?;
        let chunks = chunks(&mut r).ok_or_else(bad)?;
        Ok((labels, chunks))
    }

    fn labels(&self, bytes: &[u8], r: &mut Reader<'_>) -> Option<LabelSet> {
        let count = r.count(2)?;
        let mut pairs = Vec::with_capacity(count);
        for _ in 0..count {
            let name = self.symbol(bytes, r.uvarint()?)?;
            let value = self.symbol(bytes, r.uvarint()?)?;
            pairs.push((name, value));
        }
        Some(LabelSet::from_pairs(pairs))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(String::as_str)
    }

    /// The values of a label in order, each with the place of its postings.
    pub(super) fn values<'a>(&'a self, bytes: &'a [u8], name: &str) -> impl Iterator<Item = (&'a str, u64)> {
        let entries = self.postings.get(name).map_or(&[][..], Vec::as_slice);
        entries
            .iter()
            .filter_map(|e| Some((std::str::from_utf8(bytes.get(e.value.clone())?).ok()?, e.postings)))
    }

    /// The place of the postings of one pair.
    pub(super) fn find(&self, bytes: &[u8], name: &str, value: &str) -> Option<u64> {
        let entries = self.postings.get(name)?;
        let found = entries.binary_search_by(|e| bytes[e.value.clone()].cmp(value.as_bytes())).ok()?;
        Some(entries[found].postings)
    }

    /// All series, ascending.
    pub(super) fn all(&self, bytes: &[u8]) -> Result<Vec<u64>, Error> {
        self.all.map_or(Ok(Vec::new()), |at| postings(bytes, at))
    }
}

/// A list of series, ascending.
pub(super) fn postings(bytes: &[u8], at: u64) -> Result<Vec<u64>, Error> {
    let (body, _) = section(bytes, at, "postings")?;
    let mut r = Reader::new(body);
    let count = r.u32().ok_or_else(|| short("postings"))? as usize;
    if count.checked_mul(4) != Some(r.len()) {
        return Err(Error::corrupt(format!("index: postings at {at} have another length than they say")));
    }
    let list: Vec<u64> =
        r.rest().as_chunks::<4>().0.iter().map(|four| u64::from(u32::from_be_bytes(*four))).collect();
    if !list.is_sorted_by(|a, b| a < b) {
        return Err(Error::corrupt(format!("index: postings at {at} do not ascend")));
    }
    Ok(list)
}

fn chunks(r: &mut Reader<'_>) -> Option<Vec<ChunkMeta>> {
    let count = r.count(3)?;
    let mut out: Vec<ChunkMeta> = Vec::with_capacity(count);
    for i in 0..count {
        let meta = match out.last().copied() {
            None => {
                let mint = r.varint()?;
                let maxt = mint.checked_add_unsigned(r.uvarint()?)?;
                ChunkMeta { mint, maxt, reference: r.uvarint()? }
            }
            Some(last) => {
                debug_assert!(i > 0);
                let mint = last.maxt.checked_add_unsigned(r.uvarint()?)?;
                let maxt = mint.checked_add_unsigned(r.uvarint()?)?;
                ChunkMeta { mint, maxt, reference: last.reference.checked_add_signed(r.varint()?)? }
            }
        };
        out.push(meta);
    }
    Some(out)
}
