//! The series that have a label pair, in the index.
//!
//! ```text
//! table    := per value u32: 0x80000000 | the only series, or the offset of its record from the start of the records
//! record   := n varint; n > 0: that many series, each as the difference to the one before varint
//!             0: length varint, a roaring bitmap in its portable form
//! ```

use roaring::RoaringBitmap;
use storage::{Error, ErrorKind};

use super::pages::{PageWriter, Pages};
use crate::bytes::{Reader, put_bytes, put_varint};
use crate::segment::Damaged;

/// Marks a series that is alone, in the table. So ordinals end below it.
pub(super) const ALONE: u32 = 1 << 31;
/// Lists up to this length are written one by one: a bitmap has 16 bytes before its first series.
const FEW: usize = 16;
const BAD: Damaged = Damaged("postings do not decode");
const PEEK: usize = 20;

/// Where the postings of one name lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: u64,
    pub(super) table_at: u64,
    /// Of the record of all series that have the name.
    pub(super) all_at: u64,
}

/// Writes the postings of one name.
#[derive(Debug, Default)]
pub(super) struct PostingsWriter {
    table: Vec<u8>,
    bytes: Vec<u8>,
    roaring: Vec<u8>,
}

impl PostingsWriter {
    /// `lists` are the series of each value in the order of values, ascending; none is empty.
    pub(super) fn write<'a>(
        &mut self,
        pages: &mut PageWriter,
        lists: impl Iterator<Item = &'a [u32]>,
        all: &RoaringBitmap,
    ) -> Result<Place, Error> {
        let at = pages.at();
        self.table.clear();
        for list in lists {
            let entry = if let [only] = list {
                ALONE | only
            } else {
                let offset = u32::try_from(pages.at() - at).ok().filter(|&o| o < ALONE).ok_or_else(|| {
                    Error::new(ErrorKind::Unsupported, "block: more than 2 GiB of postings of one label")
                })?;
                self.record(list);
                pages.append(&self.bytes)?;
                offset
            };
            self.table.extend_from_slice(&entry.to_le_bytes());
        }
        let all_at = pages.at();
        self.bitmap(all.clone());
        pages.append(&self.bytes)?;
        let table_at = pages.at();
        pages.append(&self.table)?;
        Ok(Place { at, table_at, all_at })
    }

    fn record(&mut self, list: &[u32]) {
        if list.len() > FEW {
            let bitmap = RoaringBitmap::from_sorted_iter(list.iter().copied());
            return self.bitmap(bitmap.expect("series come in ascending order"));
        }
        self.bytes.clear();
        put_varint(&mut self.bytes, list.len() as u64);
        let mut last = 0;
        for &series in list {
            put_varint(&mut self.bytes, u64::from(series - last));
            last = series;
        }
    }

    fn bitmap(&mut self, mut bitmap: RoaringBitmap) {
        bitmap.optimize();
        self.roaring.clear();
        bitmap.serialize_into(&mut self.roaring).expect("a vector takes all");
        self.bytes.clear();
        self.bytes.push(0);
        put_bytes(&mut self.bytes, &self.roaring);
    }
}

/// The postings of one value.
#[derive(Debug)]
pub(super) enum Postings {
    One(u32),
    Few(Vec<u32>),
    Many(RoaringBitmap),
}

impl Postings {
    /// Takes these series out of `selected`; whether there were any.
    pub(super) fn take_from(&self, selected: &mut RoaringBitmap) -> bool {
        let before = selected.len();
        match self {
            Self::One(one) => {
                selected.remove(*one);
            }
            Self::Few(few) => few.iter().for_each(|s| {
                selected.remove(*s);
            }),
            Self::Many(many) => *selected -= many,
        }
        selected.len() < before
    }
}

/// Collects a union.
#[derive(Debug, Default)]
pub(super) struct Union {
    some: Vec<u32>,
    many: RoaringBitmap,
}

impl Union {
    pub(super) fn add(&mut self, postings: Postings) {
        match postings {
            Postings::One(one) => self.some.push(one),
            Postings::Few(few) => self.some.extend(few),
            Postings::Many(many) => self.many |= many,
        }
    }

    pub(super) fn into_bitmap(mut self) -> RoaringBitmap {
        self.some.sort_unstable();
        self.some.dedup();
        self.many |= RoaringBitmap::from_sorted_iter(self.some).expect("sorted just now");
        self.many
    }
}

/// The postings of one name, to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostingsReader<'a> {
    pub(super) pages: &'a Pages,
    pub(super) place: Place,
    /// Series of the block.
    pub(super) series: u32,
}

impl PostingsReader<'_> {
    /// The series that have the value of that number.
    pub(super) fn get(&self, number: u32) -> Result<Postings, Damaged> {
        let bytes = self.pages.get(self.place.table_at + u64::from(number) * 4, 4)?;
        let entry = Reader::new(bytes).u32().ok_or(BAD)?;
        if entry & ALONE != 0 {
            let series = entry & !ALONE;
            return if series < self.series { Ok(Postings::One(series)) } else { Err(BAD) };
        }
        self.record(self.place.at + u64::from(entry))
    }

    /// The series that have the name.
    pub(super) fn all(&self) -> Result<RoaringBitmap, Damaged> {
        match self.record(self.place.all_at)? {
            Postings::Many(many) => Ok(many),
            _ => Err(BAD),
        }
    }

    fn record(&self, at: u64) -> Result<Postings, Damaged> {
        let head = self.pages.up_to(at, PEEK)?;
        let mut r = Reader::new(head);
        let n = r.varint().and_then(|n| usize::try_from(n).ok()).filter(|&n| n <= FEW).ok_or(BAD)?;
        if n > 0 {
            let mut r = Reader::new(self.pages.up_to(at, 1 + n * 5)?);
            r.varint().ok_or(BAD)?;
            let mut list = Vec::with_capacity(n);
            let mut last = 0_u32;
            for _ in 0..n {
                last =
                    r.varint32().and_then(|d| last.checked_add(d)).filter(|&s| s < self.series).ok_or(BAD)?;
                list.push(last);
            }
            return Ok(Postings::Few(list));
        }
        let len = r.varint().and_then(|n| usize::try_from(n).ok()).ok_or(BAD)?;
        let bytes = self.pages.get(at + (head.len() - r.len()) as u64, len)?;
        let bitmap = RoaringBitmap::deserialize_from(bytes).map_err(|_| BAD)?;
        if bitmap.max().is_some_and(|max| max >= self.series) {
            return Err(BAD);
        }
        Ok(Postings::Many(bitmap))
    }
}
