//! The values of one label name, sorted and front-coded. A value's number is its place in the order.
//!
//! ```text
//! dictionary := groups of 16 values
//! group      := length varint, bytes; then per value: bytes shared with the one before varint, length of the rest varint, rest
//! table      := offset of each group from the dictionary's start u32
//! ```

use std::cmp::Ordering;
use std::ops::Range;

use storage::{Error, ErrorKind};

use super::pages::{PageWriter, Pages};
use crate::bytes::{Reader, put_bytes, put_varint};
use crate::segment::Damaged;

const GROUP: u32 = 16;
const BAD: Damaged = Damaged("dictionary does not decode");

/// Where a dictionary lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) count: u32,
    pub(super) at: u64,
    pub(super) table_at: u64,
}

/// Writes sorted values.
pub(super) fn write<'a>(
    pages: &mut PageWriter,
    values: impl Iterator<Item = &'a str>,
) -> Result<Place, Error> {
    let at = pages.at();
    let (mut table, mut bytes) = (vec![], vec![]);
    let (mut last, mut count) = ("", 0_u32);
    for value in values {
        bytes.clear();
        if count.is_multiple_of(GROUP) {
            let offset = u32::try_from(pages.at() - at).map_err(|_| {
                Error::new(ErrorKind::Unsupported, "block: more than 4 GiB of values of one label")
            })?;
            table.extend_from_slice(&offset.to_le_bytes());
            put_bytes(&mut bytes, value.as_bytes());
        } else {
            let shared = value.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
            put_varint(&mut bytes, shared as u64);
            put_bytes(&mut bytes, &value.as_bytes()[shared..]);
        }
        pages.append(&bytes)?;
        last = value;
        count += 1;
    }
    let table_at = pages.at();
    pages.append(&table)?;
    Ok(Place { count, at, table_at })
}

/// A dictionary to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dictionary<'a> {
    pages: &'a Pages,
    place: Place,
}

impl<'a> Dictionary<'a> {
    pub(super) fn new(pages: &'a Pages, place: Place) -> Self {
        Self { pages, place }
    }

    pub(super) fn len(&self) -> u32 {
        self.place.count
    }

    fn groups(&self) -> u32 {
        self.place.count.div_ceil(GROUP)
    }

    /// The bytes of a group.
    fn group(&self, group: u32) -> Result<&'a [u8], Damaged> {
        let offset = |g: u32| -> Result<u64, Damaged> {
            if g == self.groups() {
                return Ok(self.place.table_at);
            }
            let bytes = self.pages.get(self.place.table_at + u64::from(g) * 4, 4)?;
            Ok(self.place.at + u64::from(Reader::new(bytes).u32().ok_or(BAD)?))
        };
        let (start, end) = (offset(group)?, offset(group + 1)?);
        let len = end.checked_sub(start).and_then(|n| usize::try_from(n).ok()).ok_or(BAD)?;
        self.pages.get(start, len)
    }

    /// The first value of a group.
    fn head(&self, group: u32) -> Result<&'a [u8], Damaged> {
        Reader::new(self.group(group)?).bytes().ok_or(BAD)
    }

    /// Appends the bytes of value `number` to `out`; they are UTF-8.
    pub(super) fn get(&self, number: u32, out: &mut String) -> Result<(), Damaged> {
        if number >= self.place.count {
            return Err(Damaged("label value out of bounds"));
        }
        let mut value = vec![];
        let mut r = Reader::new(self.group(number / GROUP)?);
        for i in 0..=number % GROUP {
            step(&mut r, i == 0, &mut value)?;
        }
        out.push_str(std::str::from_utf8(&value).map_err(|_| BAD)?);
        Ok(())
    }

    /// Where `value` is or would be: the number of values less than it, and whether it is there.
    pub(super) fn find(&self, value: &[u8]) -> Result<(u32, bool), Damaged> {
        // The last group whose head is not greater.
        let (mut low, mut high) = (0, self.groups());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.head(middle)? <= value { low = middle + 1 } else { high = middle }
        }
        let Some(group) = low.checked_sub(1) else { return Ok((0, false)) };
        let first = group * GROUP;
        let mut at = first;
        let mut cursor = self.scan(first..first.saturating_add(GROUP).min(self.place.count));
        while let Some(found) = cursor.next_bytes()? {
            match found.cmp(value) {
                Ordering::Less => at += 1,
                Ordering::Equal => return Ok((at, true)),
                Ordering::Greater => break,
            }
        }
        Ok((at, false))
    }

    /// The numbers of the values that begin with `prefix`.
    pub(super) fn with_prefix(&self, prefix: &[u8]) -> Result<Range<u32>, Damaged> {
        let start = self.find(prefix)?.0;
        let mut after = prefix.to_vec();
        while let Some(last) = after.pop() {
            if last < u8::MAX {
                after.push(last + 1);
                return Ok(start..self.find(&after)?.0.max(start));
            }
        }
        Ok(start..self.place.count)
    }

    /// Values one after the other.
    pub(super) fn scan(&self, numbers: Range<u32>) -> Scan<'a> {
        let end = numbers.end.min(self.place.count);
        Scan {
            dictionary: *self,
            at: numbers.start,
            end,
            group: Reader::new(&[]),
            value: vec![],
            placed: false,
        }
    }
}

/// Reads the next value of a group; returns how much it shares with the one before.
fn step(r: &mut Reader<'_>, first: bool, value: &mut Vec<u8>) -> Result<usize, Damaged> {
    let shared = if first {
        0
    } else {
        r.varint().and_then(|n| usize::try_from(n).ok()).filter(|&n| n <= value.len()).ok_or(BAD)?
    };
    let rest = r.bytes().ok_or(BAD)?;
    value.truncate(shared);
    value.extend_from_slice(rest);
    Ok(shared)
}

/// Goes through values in order.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    dictionary: Dictionary<'a>,
    /// The number of the value to come.
    at: u32,
    end: u32,
    group: Reader<'a>,
    value: Vec<u8>,
    placed: bool,
}

impl Scan<'_> {
    /// The next value's bytes; `None` at the end.
    pub(super) fn next_bytes(&mut self) -> Result<Option<&[u8]>, Damaged> {
        if self.at >= self.end {
            return Ok(None);
        }
        if !self.placed {
            self.placed = true;
            self.group = Reader::new(self.dictionary.group(self.at / GROUP)?);
            for i in 0..self.at % GROUP {
                step(&mut self.group, i == 0, &mut self.value)?;
            }
        } else if self.at.is_multiple_of(GROUP) {
            self.group = Reader::new(self.dictionary.group(self.at / GROUP)?);
        }
        step(&mut self.group, self.at.is_multiple_of(GROUP), &mut self.value)?;
        self.at += 1;
        Ok(Some(&self.value))
    }

    /// The next value and its number; `None` at the end.
    pub(super) fn next_value(&mut self) -> Result<Option<(u32, &str)>, Damaged> {
        let number = self.at;
        match self.next_bytes()? {
            Some(bytes) => Ok(Some((number, std::str::from_utf8(bytes).map_err(|_| BAD)?))),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Faults;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn values_are_found_by_number_name_and_prefix(
            values in proptest::collection::btree_set("[aéb\u{10ffff}]{1,5}|.{1,3}", 0..80),
            probes in proptest::collection::vec("[aéb\u{10ffff}]{0,3}|.{0,2}", 0..20),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("d");
            let mut writer = PageWriter::create(&path, b"VIGIETST", &Faults::default()).unwrap();
            writer.append(b"before").unwrap();
            let place = write(&mut writer, values.iter().map(String::as_str)).unwrap();
            writer.append(b"after").unwrap();
            writer.finish().unwrap();
            let pages = Pages::open(&path, b"VIGIETST").unwrap();
            let dictionary = Dictionary::new(&pages, place);
            let sorted: Vec<&String> = values.iter().collect();
            for (i, value) in sorted.iter().enumerate() {
                let mut out = String::new();
                dictionary.get(u32::try_from(i).unwrap(), &mut out).unwrap();
                prop_assert_eq!(&out, *value);
                prop_assert_eq!(dictionary.find(value.as_bytes()).unwrap(), (u32::try_from(i).unwrap(), true));
            }
            for probe in probes.iter().chain(values.iter()) {
                let (at, there) = dictionary.find(probe.as_bytes()).unwrap();
                prop_assert_eq!(at as usize, sorted.partition_point(|v| *v < probe));
                prop_assert_eq!(there, values.contains(probe));
                let range = dictionary.with_prefix(probe.as_bytes()).unwrap();
                let mut found = BTreeSet::new();
                let mut scan = dictionary.scan(range.clone());
                let mut number = range.start;
                while let Some((n, value)) = scan.next_value().unwrap() {
                    prop_assert_eq!(n, number);
                    number += 1;
                    found.insert(value.to_owned());
                }
                let expect: BTreeSet<String> = values.iter().filter(|v| v.starts_with(probe)).cloned().collect();
                prop_assert_eq!(found, expect);
            }
            prop_assert!(dictionary.get(place.count, &mut String::new()).is_err());
        }
    }
}
