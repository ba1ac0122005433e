//! Blocks of 64 unsigned integers at one bit width, outliers patched.
//!
//! ```text
//! block     := header [exceptions] packed
//! header    := width (0..=64) | 0x80 when there are exceptions
//! exceptions:= count u8, count * (index u8, high bits varint)
//! packed    := ceil(n * width / 8) bytes, low bits first; n is 64 but for the last block
//! ```

use super::huffman::Classes;
use crate::bytes::{Reader, low_byte, put_varint};

pub(super) const BLOCK: usize = 64;
const EXCEPTIONS: u8 = 0x80;

#[inline(always)]
pub(super) fn bit_len(v: u64) -> u32 {
    64 - v.leading_zeros()
}

/// Appends the blocks of `values` and counts their lengths in bits into `classes`, where somebody asks.
#[inline(always)]
pub(super) fn pack(values: &[u64], mut classes: Option<&mut Classes>, out: &mut Vec<u8>) {
    for block in values.chunks(BLOCK) {
        let (count, widest) = lengths(block.iter().copied());
        let choice = choose_width(&count, widest, block.len());
        if let Some(classes) = &mut classes {
            classes.iter_mut().zip(&count).for_each(|(sum, &n)| *sum += u32::from(n));
        }
        let header = low_byte(u64::from(choice.width));
        if choice.exceptions == 0 {
            out.push(header);
        } else {
            out.push(header | EXCEPTIONS);
            out.push(low_byte(choice.exceptions as u64));
            for (i, &v) in block.iter().enumerate().filter(|&(_, &v)| bit_len(v) > choice.width) {
                out.push(low_byte(i as u64));
                put_varint(out, v >> choice.width);
            }
        }
        pack_block(block, choice.width, out);
    }
}

/// How many of at most 64 values there are of each length in bits, and the longest length.
#[inline(always)]
pub(super) fn lengths(block: impl Iterator<Item = u64>) -> ([u8; 65], u32) {
    let mut count = [0_u8; 65];
    let mut all = 0;
    for v in block {
        count[bit_len(v) as usize] += 1;
        all |= v;
    }
    (count, bit_len(all))
}

/// How a block is packed.
pub(super) struct Choice {
    width: u32,
    exceptions: usize,
    /// About how many bits that takes.
    pub(super) bits: usize,
}

/// The width at which a block of `n` values of such lengths takes about the fewest bits.
#[inline(always)]
pub(super) fn choose_width(count: &[u8; 65], widest: u32, n: usize) -> Choice {
    let mut best = Choice { width: widest, exceptions: 0, bits: n * widest as usize };
    let (mut exceptions, mut excess_bits) = (0, 0);
    for width in (0..widest).rev() {
        exceptions += usize::from(count[width as usize + 1]);
        if exceptions > n / 4 {
            break;
        }
        excess_bits += exceptions;
        // A patch is its index and a varint, of which half of the last byte is empty on average.
        let bits = n * width as usize + 8 + exceptions * 12 + excess_bits * 8 / 7;
        if bits < best.bits {
            best = Choice { width, exceptions, bits };
        }
    }
    best
}

#[inline(always)]
fn pack_block(block: &[u64], width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let mask = mask(width);
    let (mut acc, mut bits) = (0_u64, 0);
    for &v in block {
        let v = v & mask;
        acc |= v << bits;
        if bits + width >= 64 {
            out.extend_from_slice(&acc.to_le_bytes());
            acc = if bits == 0 { 0 } else { v >> (64 - bits) };
            bits = bits + width - 64;
        } else {
            bits += width;
        }
    }
    out.extend_from_slice(&acc.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

#[inline]
fn mask(width: u32) -> u64 {
    if width == 0 { 0 } else { u64::MAX >> (64 - width) }
}

/// What is read at once may reach so many bytes past the end of a block.
const SLACK: usize = 16;

/// Reads `out.len()` values. `None` when the bytes are no such blocks; `out` is then unspecified.
#[inline(always)]
pub(super) fn unpack(r: &mut Reader<'_>, out: &mut [i64]) -> Option<()> {
    let mut last = [0; BLOCK];
    for chunk in out.chunks_mut(BLOCK) {
        match <&mut [i64; BLOCK]>::try_from(&mut *chunk) {
            Ok(block) => unpack_block(r, BLOCK, block)?,
            Err(_) => {
                unpack_block(r, chunk.len(), &mut last)?;
                chunk.copy_from_slice(&last[..chunk.len()]);
            }
        }
    }
    Some(())
}

#[inline(always)]
fn unpack_block(r: &mut Reader<'_>, n: usize, block: &mut [i64; BLOCK]) -> Option<()> {
    let header = r.u8()?;
    let width = u32::from(header & !EXCEPTIONS);
    if width > 64 {
        return None;
    }
    let mut patches = r.clone();
    let mut count = 0;
    if header & EXCEPTIONS != 0 {
        count = r.u8()?;
        patches = r.clone();
        for _ in 0..count {
            r.u8()?;
            r.varint()?;
        }
    }
    let rest = r.rest();
    let packed = r.take((n * width as usize).div_ceil(8))?;
    if rest.len() >= BLOCK * width as usize / 8 + SLACK {
        spread(rest, width, block);
    } else {
        let mut padded = [0; BLOCK * 8 + SLACK];
        padded[..packed.len()].copy_from_slice(packed);
        spread(&padded, width, block);
    }
    for _ in 0..count {
        let i = usize::from(patches.u8()?);
        let high = patches.varint()?;
        // A width of 64 leaves nothing to patch.
        *block.get_mut(i)? |= high.checked_shl(width)?.cast_signed();
    }
    Some(())
}

/// One loop per width, so that shifts and masks are constants.
#[inline(always)]
fn spread(bytes: &[u8], width: u32, out: &mut [i64; BLOCK]) {
    macro_rules! widths {
        ($($w:literal)*) => {
            match width {
                $($w => spread_at::<$w>(bytes, out),)*
                _ => {}
            }
        };
    }
    widths!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40
        41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
}

/// `bytes` are at least [`SLACK`] more than the values take.
#[inline(always)]
fn spread_at<const W: usize>(bytes: &[u8], out: &mut [i64; BLOCK]) {
    if W == 0 {
        *out = [0; BLOCK];
        return;
    }
    let mask = u64::MAX >> (64 - W);
    // Eight values take `W` whole bytes.
    for (group, eight) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let bytes = &bytes[group * W..][..W + SLACK];
        if W > 57 {
            for (i, o) in eight.iter_mut().enumerate() {
                *o = ((wide_word(bytes, i * W / 8) >> (i * W % 8)) as u64 & mask).cast_signed();
            }
        } else if W <= 15 {
            // Four values lie in one word: one load and four shifts side by side.
            for (i, four) in eight.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let word = word(bytes, i * 4 * W / 8) >> (i * 4 * W % 8);
                for (k, o) in four.iter_mut().enumerate() {
                    *o = ((word >> (k * W)) & mask).cast_signed();
                }
            }
        } else {
            for (i, o) in eight.iter_mut().enumerate() {
                *o = ((word(bytes, i * W / 8) >> (i * W % 8)) & mask).cast_signed();
            }
        }
    }
}

#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the slack"))
}

#[inline(always)]
fn wide_word(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(*bytes[at..].first_chunk().expect("the slack"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[u64]) {
        let mut out = Vec::new();
        pack(values, None, &mut out);
        // At the end of the bytes and in their midst.
        for slack in [0, 1, 8, 16, 600] {
            let bytes = [&out[..], &vec![0xa5; slack]].concat();
            let mut r = Reader::new(&bytes);
            let mut back = vec![7; values.len()];
            unpack(&mut r, &mut back).unwrap();
            assert!(back.iter().zip(values).all(|(a, b)| a.cast_unsigned() == *b));
            assert_eq!(r.len(), slack);
        }
    }

    #[test]
    fn each_width_and_length_round_trips() {
        for width in 0..=64 {
            for n in [0, 1, 2, 63, 64, 65, 128, 130] {
                let values: Vec<u64> =
                    (0..n).map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask(width)).collect();
                round_trip(&values);
            }
        }
    }

    #[test]
    fn a_zero_block_is_one_byte_and_an_outlier_is_patched() {
        let mut values = [0; 64];
        let mut out = Vec::new();
        pack(&values, None, &mut out);
        assert_eq!(out, [0]);
        values[9] = u64::MAX;
        out.clear();
        pack(&values, None, &mut out);
        assert_eq!(out.len(), 1 + 1 + 1 + 10);
        round_trip(&values);
    }

    proptest! {
        #[test]
        fn any_values_round_trip(values in proptest::collection::vec((any::<u64>(), 0_u32..64), 0..200)) {
            round_trip(&values.iter().map(|(v, shift)| v >> shift).collect::<Vec<_>>());
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300), n in 0_usize..300) {
            let _ = unpack(&mut Reader::new(&bytes), &mut vec![0; n]);
        }
    }
}
