//! Blocks of 64 unsigned integers at one bit width, outliers patched.
//!
//! ```text
//! block     := header [exceptions] packed
//! header    := width (0..=64) | 0x80 when there are exceptions
//! exceptions:= count u8, count * (index u8, high bits varint)
//! packed    := ceil(n * width / 8) bytes, low bits first; n is 64 but for the last block
//! ```

use crate::bytes::{Reader, low_byte, put_varint};

pub(super) const BLOCK: usize = 64;
const EXCEPTIONS: u8 = 0x80;

#[inline]
pub(super) fn bit_len(v: u64) -> u32 {
    64 - v.leading_zeros()
}

/// Appends the blocks of `values`.
pub(super) fn pack(values: &[u64], out: &mut Vec<u8>) {
    for block in values.chunks(BLOCK) {
        let (width, exceptions) = choose_width(block);
        let header = low_byte(u64::from(width));
        if exceptions == 0 {
            out.push(header);
        } else {
            out.push(header | EXCEPTIONS);
            out.push(low_byte(exceptions as u64));
            for (i, &v) in block.iter().enumerate().filter(|&(_, &v)| bit_len(v) > width) {
                out.push(low_byte(i as u64));
                put_varint(out, v >> width);
            }
        }
        pack_block(block, width, out);
    }
}

/// The width at which a block takes about the fewest bits, and how many values do not fit it.
fn choose_width(block: &[u64]) -> (u32, usize) {
    let mut count = [0_u8; 65];
    let mut all = 0;
    for &v in block {
        count[bit_len(v) as usize] += 1;
        all |= v;
    }
    let widest = bit_len(all);
    let (mut best, mut best_cost) = ((widest, 0), block.len() * widest as usize);
    let (mut exceptions, mut excess_bits) = (0, 0);
    for width in (0..widest).rev() {
        exceptions += usize::from(count[width as usize + 1]);
        if exceptions > block.len() / 4 {
            break;
        }
        excess_bits += exceptions;
        // A patch is its index and a varint, of which half of the last byte is empty on average.
        let cost = block.len() * width as usize + 8 + exceptions * 12 + excess_bits * 8 / 7;
        if cost < best_cost {
            (best, best_cost) = ((width, exceptions), cost);
        }
    }
    best
}

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

/// Reads `n` values into `out`, which is cleared. `None` when the bytes are no such blocks.
pub(super) fn unpack(r: &mut Reader<'_>, n: usize, out: &mut Vec<u64>) -> Option<()> {
    out.clear();
    out.resize(n.next_multiple_of(BLOCK), 0);
    for (i, block) in out.chunks_exact_mut(BLOCK).enumerate() {
        let block: &mut [u64; BLOCK] = block.try_into().expect("chunks_exact");
        unpack_block(r, (n - i * BLOCK).min(BLOCK), block)?;
    }
    out.truncate(n);
    Some(())
}

fn unpack_block(r: &mut Reader<'_>, n: usize, block: &mut [u64; BLOCK]) -> Option<()> {
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
    let packed = r.take((n * width as usize).div_ceil(8))?;
    let mut words = [0_u64; 64];
    let (whole, tail) = packed.as_chunks::<8>();
    for (word, bytes) in words.iter_mut().zip(whole) {
        *word = u64::from_le_bytes(*bytes);
    }
    if !tail.is_empty() {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        words[whole.len()] = u64::from_le_bytes(last);
    }
    spread(&words, width, block);
    for _ in 0..count {
        let i = usize::from(patches.u8()?);
        let high = patches.varint()?;
        // A width of 64 leaves nothing to patch.
        *block.get_mut(i)? |= high.checked_shl(width)?;
    }
    Some(())
}

/// One loop per width, so that shifts and masks are constants.
fn spread(words: &[u64; 64], width: u32, out: &mut [u64; BLOCK]) {
    macro_rules! widths {
        ($($w:literal)*) => {
            match width {
                $($w => spread_at::<$w>(words, out),)*
                _ => {}
            }
        };
    }
    widths!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40
        41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
}

#[inline]
fn spread_at<const W: usize>(words: &[u64; 64], out: &mut [u64; BLOCK]) {
    if W == 0 {
        *out = [0; BLOCK];
        return;
    }
    let mask = u64::MAX >> (64 - W);
    for (i, o) in out.iter_mut().enumerate() {
        let (word, shift) = (i * W / 64, i * W % 64);
        let mut v = words[word] >> shift;
        if shift + W > 64 {
            v |= words[(word + 1) % 64] << (64 - shift);
        }
        *o = v & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[u64]) {
        let mut out = Vec::new();
        pack(values, &mut out);
        let mut r = Reader::new(&out);
        let mut back = vec![7];
        unpack(&mut r, values.len(), &mut back).unwrap();
        assert_eq!(back, values);
        assert!(r.is_empty());
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
        pack(&values, &mut out);
        assert_eq!(out, [0]);
        values[9] = u64::MAX;
        out.clear();
        pack(&values, &mut out);
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
            let mut out = Vec::new();
            if unpack(&mut Reader::new(&bytes), n, &mut out).is_some() {
                prop_assert_eq!(out.len(), n);
            }
        }
    }
}
