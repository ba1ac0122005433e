//! XOR chunks (`tsdb/chunkenc/xor.go`): timestamps as changes of their difference, values as XOR with the one before.

use super::{Encoded, Encoding, short};
use crate::Error;
use crate::bits::{BitReader, BitWriter, fits};
use crate::bytes::{put_uvarint, put_varint};

/// The window of significant bits in the XOR of two values.
#[derive(Debug, Clone, Copy)]
pub(super) struct XorState {
    pub(super) bits: u64,
    leading: u32,
    trailing: u32,
    /// Nothing was written with a window yet.
    fresh: bool,
}

impl XorState {
    pub(super) fn new(bits: u64) -> Self {
        Self { bits, leading: 0, trailing: 0, fresh: true }
    }

    pub(super) fn value(&self) -> f64 {
        f64::from_bits(self.bits)
    }

    #[inline]
    pub(super) fn read(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        if !r.bit()? {
            return Some(());
        }
        if r.bit()? {
            let leading = u32::try_from(r.bits(5)?).ok()?;
            // 64 does not fit six bits and is written as 0, which would be no change at all.
            let width = match u32::try_from(r.bits(6)?).ok()? {
                0 => 64,
                width => width,
            };
            self.leading = leading;
            self.trailing = 64_u32.checked_sub(leading + width)?;
        }
        let changed = r.bits(64 - self.leading - self.trailing)?;
        self.bits ^= changed << self.trailing;
        Some(())
    }

    pub(super) fn write(&mut self, w: &mut BitWriter, bits: u64) {
        let changed = self.bits ^ bits;
        self.bits = bits;
        if changed == 0 {
            w.bit(false);
            return;
        }
        w.bit(true);
        // Five bits hold up to 31.
        let (leading, trailing) = (changed.leading_zeros().min(31), changed.trailing_zeros());
        if !self.fresh && leading >= self.leading && trailing >= self.trailing {
            w.bit(false);
            w.bits(changed >> self.trailing, 64 - self.leading - self.trailing);
            return;
        }
        (self.leading, self.trailing, self.fresh) = (leading, trailing, false);
        let width = 64 - leading - trailing;
        w.bit(true);
        w.bits(u64::from(leading), 5);
        w.bits(u64::from(width), 6);
        w.bits(changed >> trailing, width);
    }
}

/// Bits of a change of difference by the ones in front.
const WIDTHS: [u32; 5] = [0, 14, 17, 20, 64];

pub(super) fn decode(data: &[u8], out: &mut Vec<(i64, f64)>) -> Result<(), Error> {
    let (count, stream) = data.split_first_chunk::<2>().ok_or_else(|| short("XOR"))?;
    let count = usize::from(u16::from_be_bytes(*count));
    // A sample takes at least two bits but for the first, so a false count cannot reserve much.
    out.reserve(count.min(stream.len() * 4 + 1));
    samples(stream, count, out).ok_or_else(|| short("XOR"))
}

fn samples(stream: &[u8], count: usize, out: &mut Vec<(i64, f64)>) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let mut r = BitReader::new(stream);
    let mut ts = r.varint()?;
    let mut value = XorState::new(r.bits(64)?);
    out.push((ts, value.value()));
    let mut delta = 0_i64;
    for i in 1..count {
        if i == 1 {
            delta = r.uvarint()?.cast_signed();
        } else {
            let width = WIDTHS[r.ones(4)? as usize];
            let change = if width == 0 { 0 } else { r.signed(width)? };
            delta = delta.wrapping_add(change);
        }
        ts = ts.wrapping_add(delta);
        value.read(&mut r)?;
        out.push((ts, value.value()));
    }
    Some(())
}

/// At most `u16::MAX` samples, ascending; at least one.
pub(super) fn encode(samples: &[(i64, f64)]) -> Encoded {
    let count = u16::try_from(samples.len()).expect("callers cut at 120");
    let (mint, first) = samples[0];
    let mut head = count.to_be_bytes().to_vec();
    put_varint(&mut head, mint);
    let mut w = BitWriter::after(head);
    w.bits(first.to_bits(), 64);
    let mut value = XorState::new(first.to_bits());
    let (mut ts, mut delta) = (mint, 0_i64);
    for (i, &(next, v)) in samples.iter().enumerate().skip(1) {
        let d = next.wrapping_sub(ts);
        if i == 1 {
            let mut varint = Vec::with_capacity(10);
            put_uvarint(&mut varint, d.cast_unsigned());
            w.whole_bytes(&varint);
        } else {
            put_change(&mut w, d.wrapping_sub(delta));
        }
        (ts, delta) = (next, d);
        value.write(&mut w, v.to_bits());
    }
    Encoded { encoding: Encoding::Xor, mint, maxt: ts, samples: count, data: w.into_bytes() }
}

fn put_change(w: &mut BitWriter, change: i64) {
    let bits = change.cast_unsigned();
    if change == 0 {
        w.bit(false);
    } else if fits(change, 14) {
        w.bits(0b10, 2);
        w.bits(bits, 14);
    } else if fits(change, 17) {
        w.bits(0b110, 3);
        w.bits(bits, 17);
    } else if fits(change, 20) {
        w.bits(0b1110, 4);
        w.bits(bits, 20);
    } else {
        w.bits(0b1111, 4);
        w.bits(bits, 64);
    }
}
