//! Label sets as numbers: the shape (which names) and a number for each value, coded as changes to the series before.
//!
//! ```text
//! entry := mask varint
//!          0 or the first of a run: shape varint, number varint each
//!          else: bit i + 1 set where value i differs; zigzag of its change each; bit 0 set, so that it is not 0
//! ```
//! A shape of more than 62 names has no room in the mask and is always written whole.

use crate::bytes::{Reader, put_varint, put_zigzag};

const MASK_BITS: usize = 62;

/// One series' shape and numbers, and how they change from series to series.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) shape: u32,
    pub(super) numbers: Vec<u32>,
}

impl Entry {
    /// Appends `next` as a change to this, or whole, and becomes it.
    pub(super) fn put(&mut self, shape: u32, numbers: &[u32], whole: bool, out: &mut Vec<u8>) {
        let same_shape = !whole && shape == self.shape && numbers.len() == self.numbers.len();
        if same_shape && numbers.len() <= MASK_BITS {
            let mut mask = 1_u64;
            for (i, (a, b)) in numbers.iter().zip(&self.numbers).enumerate() {
                mask |= u64::from(a != b) << (i + 1);
            }
            put_varint(out, mask);
            for (a, b) in numbers.iter().zip(&self.numbers).filter(|(a, b)| a != b) {
                put_zigzag(out, i64::from(*a) - i64::from(*b));
            }
        } else {
            out.push(0);
            put_varint(out, u64::from(shape));
            numbers.iter().for_each(|&n| put_varint(out, u64::from(n)));
        }
        self.shape = shape;
        self.numbers.clear();
        self.numbers.extend_from_slice(numbers);
    }

    /// Reads the entry after this one and becomes it; `names` gives the number of names of a shape, at most 65,536.
    pub(super) fn next(
        &mut self,
        r: &mut Reader<'_>,
        names: impl FnOnce(u32) -> Option<usize>,
    ) -> Option<()> {
        let mask = r.varint()?;
        if mask == 0 {
            self.shape = r.varint32()?;
            let count = names(self.shape).filter(|&n| n <= r.len())?;
            self.numbers.clear();
            for _ in 0..count {
                self.numbers.push(r.varint32()?);
            }
            return Some(());
        }
        if mask & 1 == 0 || 64 - mask.leading_zeros() as usize > self.numbers.len() + 1 {
            return None;
        }
        let mut bits = mask >> 1;
        while bits != 0 {
            let i = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let change = r.zigzag()?;
            self.numbers[i] = u32::try_from(i64::from(self.numbers[i]).checked_add(change)?).ok()?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_round_trip(
            sets in proptest::collection::vec((0_usize..4, proptest::collection::vec(any::<u32>(), 70)), 1..20),
        ) {
            let names = [0, 3, 62, 70];
            let (mut entry, mut out) = (Entry::default(), vec![]);
            for (i, (shape, numbers)) in sets.iter().enumerate() {
                let shape32 = u32::try_from(*shape).unwrap();
                entry.put(shape32, &numbers[..names[*shape]], i % 5 == 0, &mut out);
            }
            let (mut entry, mut r) = (Entry::default(), Reader::new(&out));
            for (shape, numbers) in &sets {
                entry.next(&mut r, |s| names.get(s as usize).copied()).unwrap();
                prop_assert_eq!(entry.shape as usize, *shape);
                prop_assert_eq!(&entry.numbers[..], &numbers[..names[*shape]]);
            }
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let (mut entry, mut r) = (Entry::default(), Reader::new(&bytes));
            while entry.next(&mut r, |s| Some(s as usize)).is_some() {}
        }
    }
}
