//! A row in the log: which values changed since the group's last logged row, and how.
//!
//! ```text
//! row    := width varint, changed (one bit a slot, low bits first, ceil(width / 8) bytes), one change per set bit
//! change := z varint, z even: the value is the last one (0 unless a whole number) plus unzigzag(z / 2)
//!         | z varint, z odd:  bits of the last value xor the bytes that follow, without z/2 % 8 high zero bytes and z/16
//!                             low ones
//! ```
//! The last row before the first is absent everywhere. A row of the log's segment that has none before it is written
//! against that, so that each segment can be read alone.

use storage::ABSENT;

use crate::bytes::{Reader, low_byte, put_varint, unzigzag, zigzag};

/// Whole numbers below this in magnitude are all doubles.
const WHOLE: i64 = 1 << 53;

/// Appends `row` as changes to `last`.
pub(crate) fn encode(last: &[f64], row: &[f64], out: &mut Vec<u8>) {
    put_varint(out, row.len() as u64);
    let bitmap = out.len();
    out.resize(bitmap + row.len().div_ceil(8), 0);
    let mut changes = Changes::default();
    let (whole, rest) = row.as_chunks::<8>();
    let (before, _) = last.as_chunks::<8>();
    for (i, cells) in whole.iter().enumerate() {
        let Some(old) = before.get(i) else {
            encode_slowly(last, row, i, &mut changes, bitmap, out);
            continue;
        };
        // Most cells do not change, and eight at a time are soon compared.
        let mut changed = 0;
        for bit in 0..8 {
            changed |= u8::from(old[bit].to_bits() != cells[bit].to_bits()) << bit;
        }
        if changed == 0 {
            continue;
        }
        out[bitmap + i] = changed;
        changes.len = 0;
        while changed != 0 {
            let bit = changed.trailing_zeros() as usize;
            changes.put(old[bit], cells[bit]);
            changed &= changed - 1;
        }
        out.extend_from_slice(&changes.bytes[..changes.len]);
    }
    if !rest.is_empty() {
        encode_slowly(last, row, whole.len(), &mut changes, bitmap, out);
    }
}

/// Eight cells, from `i` times eight on, or what there is of them, where the last row may have fewer.
fn encode_slowly(
    last: &[f64],
    row: &[f64],
    i: usize,
    changes: &mut Changes,
    bitmap: usize,
    out: &mut Vec<u8>,
) {
    let before = last.get(i * 8..).unwrap_or(&[]);
    let mut changed = 0;
    changes.len = 0;
    for (bit, &new) in row[i * 8..].iter().take(8).enumerate() {
        let old = before.get(bit).copied().unwrap_or(ABSENT);
        if old.to_bits() != new.to_bits() {
            changed |= 1 << bit;
            changes.put(old, new);
        }
    }
    out[bitmap + i] = changed;
    out.extend_from_slice(&changes.bytes[..changes.len]);
}

#[inline]
fn whole(v: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "what does not survive the cast is no whole number")]
    let i = v as i64;
    ((i as f64).to_bits() == v.to_bits() && i.abs() < WHOLE).then_some(i)
}

/// The changes of eight slots: on the stack, where a byte more costs no check for room on the heap.
struct Changes {
    bytes: [u8; Self::ROOM],
    len: usize,
}

impl Default for Changes {
    fn default() -> Self {
        Self { bytes: [0; Self::ROOM], len: 0 }
    }
}

impl Changes {
    /// A change takes ten bytes at most: as a varint, or a byte and eight. The last eight are written whole.
    const ROOM: usize = 8 * 10 + 8;

    #[inline]
    fn put(&mut self, old: f64, new: f64) {
        if let Some(new) = whole(new) {
            let base = whole(old).unwrap_or(0);
            let mut z = zigzag(new - base) << 1;
            while z >= 0x80 {
                self.byte(low_byte(z) | 0x80);
                z >>= 7;
            }
            self.byte(low_byte(z));
            return;
        }
        let diff = old.to_bits() ^ new.to_bits();
        // Never zero: only changed values come here. So one of them is below 8, and the varint is one byte.
        let (high, low) = (diff.leading_zeros() / 8, diff.trailing_zeros() / 8);
        self.byte(low_byte(u64::from(high | low << 3) << 1 | 1));
        self.bytes[self.len..self.len + 8].copy_from_slice(&(diff >> (low * 8)).to_le_bytes());
        self.len += (8 - high - low) as usize;
    }

    #[inline]
    fn byte(&mut self, b: u8) {
        self.bytes[self.len] = b;
        self.len += 1;
    }
}

#[inline]
fn take_change(old: f64, r: &mut Reader<'_>) -> Option<f64> {
    let z = r.varint()?;
    if z & 1 == 0 {
        let base = whole(old).unwrap_or(0);
        return Some(base.wrapping_add(unzigzag(z >> 1)) as f64);
    }
    let (high, low) = ((z >> 1 & 7) as usize, (z >> 4) as usize);
    let n = 8_usize.checked_sub(high.checked_add(low)?)?;
    let mut bytes = [0; 8];
    bytes[..n].copy_from_slice(r.take(n)?);
    // low <= 7, or n bytes could not be what was left of 8; a shift by 64 is excluded by n >= 1.
    let diff = u64::from_le_bytes(bytes).checked_shl(u32::try_from(low * 8).ok()?)?;
    Some(f64::from_bits(old.to_bits() ^ diff))
}

/// Turns `last` into the row that follows it. `None` when the bytes are no row, or one wider than `max_width`; `last` is
/// then unspecified.
pub(crate) fn decode(r: &mut Reader<'_>, last: &mut Vec<f64>, max_width: usize) -> Option<()> {
    let width = usize::try_from(r.varint()?).ok().filter(|&w| w <= max_width)?;
    let bitmap = r.take(width.div_ceil(8))?;
    last.resize(width, ABSENT);
    for (i, &byte) in bitmap.iter().enumerate() {
        let mut bits = byte;
        while bits != 0 {
            let slot = i * 8 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let value = last.get_mut(slot)?;
            *value = take_change(*value, r)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-1000_i64..1000).prop_map(|i| i as f64),
            any::<i64>().prop_map(|i| i as f64),
            any::<u64>().prop_map(f64::from_bits),
            Just(ABSENT),
            Just(-0.0),
            Just(model::STALE_NAN),
            (0_i64..1000).prop_map(|i| i as f64 / 100.0),
        ]
    }

    proptest! {
        #[test]
        fn rows_round_trip(rows in proptest::collection::vec(proptest::collection::vec(value(), 0..40), 1..8)) {
            let mut out = vec![];
            let mut last: &[f64] = &[];
            for row in &rows {
                encode(last, row, &mut out);
                last = row;
            }
            let mut r = Reader::new(&out);
            let mut back = vec![];
            for row in &rows {
                decode(&mut r, &mut back, 40).unwrap();
                prop_assert_eq!(back.len(), row.len());
                for (a, b) in back.iter().zip(row) {
                    prop_assert_eq!(a.to_bits(), b.to_bits());
                }
            }
            prop_assert!(r.is_empty());
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut r = Reader::new(&bytes);
            let mut last = vec![];
            while !r.is_empty() && decode(&mut r, &mut last, 1000).is_some() {}
        }
    }
}
