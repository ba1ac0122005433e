//! Bits, most significant first: the stream inside Prometheus' chunks (`tsdb/chunkenc/bstream.go`), and its two variable-length
//! codes (`varbit.go`).

/// A cursor over the bits of a chunk. Every method returns `None` instead of reading past the end.
#[derive(Debug, Clone)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bits not yet read.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.at
    }

    #[inline]
    pub(crate) fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// The next `n` bits, at most 64.
    #[inline]
    pub(crate) fn bits(&mut self, n: u32) -> Option<u64> {
        debug_assert!(n <= 64);
        if n == 0 {
            return Some(0);
        }
        if n as usize > self.left() {
            return None;
        }
        let (byte, skip) = (self.at / 8, (self.at % 8) as u32);
        let window = match self.bytes[byte..].first_chunk::<8>() {
            Some(eight) => u64::from_be_bytes(*eight),
            None => {
                let mut eight = [0; 8];
                let rest = &self.bytes[byte..];
                eight[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(eight)
            }
        };
        let mut value = (window << skip) >> (64 - n);
        // Up to 7 bits may lie in a ninth byte.
        let over = (skip + n).saturating_sub(64);
        if over > 0 {
            value |= u64::from(*self.bytes.get(byte + 8)?) >> (8 - over);
        }
        self.at += n as usize;
        Some(value)
    }

    /// The next `n` bits as a number in `-(2^(n-1) - 1) ..= 2^(n-1)`.
    #[inline]
    pub(crate) fn signed(&mut self, n: u32) -> Option<i64> {
        let v = self.bits(n)?;
        let wide = n < 64 && v > 1 << (n - 1);
        Some(if wide { v.wrapping_sub(1 << n) } else { v }.cast_signed())
    }

    /// Go's `binary.ReadUvarint` over the stream.
    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let b = self.bits(8)?;
            if shift == 63 && b > 1 {
                return None;
            }
            value |= (b & 0x7f) << shift;
            if b < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// Go's `binary.ReadVarint`.
    pub(crate) fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(crate::bytes::unzigzag)
    }

    /// Leading ones, at most `most`; the zero that ends them is read too.
    #[inline]
    pub(crate) fn ones(&mut self, most: u32) -> Option<u32> {
        for n in 0..most {
            if !self.bit()? {
                return Some(n);
            }
        }
        Some(most)
    }

    #[inline]
    pub(crate) fn varbit_int(&mut self) -> Option<i64> {
        match VARBIT_WIDTHS[self.ones(8)? as usize] {
            0 => Some(0),
            width => self.signed(width),
        }
    }

    #[inline]
    pub(crate) fn varbit_uint(&mut self) -> Option<u64> {
        let width = VARBIT_WIDTHS[self.ones(8)? as usize];
        self.bits(width)
    }
}

/// Bits of a varbit code's payload by the ones in front.
const VARBIT_WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Whether `v` fits [`BitReader::signed`] with `n` bits.
pub(crate) fn fits(v: i64, n: u32) -> bool {
    n >= 64 || (-((1 << (n - 1)) - 1)..=1 << (n - 1)).contains(&v)
}

/// Bits as they are written.
#[derive(Debug, Clone, Default)]
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits free in the last byte.
    free: u32,
}

impl BitWriter {
    /// Continues after whole bytes.
    pub(crate) fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bit(&mut self, one: bool) {
        self.bits(u64::from(one), 1);
    }

    /// The low `n` bits of `v`.
    pub(crate) fn bits(&mut self, v: u64, mut n: u32) {
        while n > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = n.min(self.free);
            let part = (v >> (n - now)) & ((1 << now) - 1);
            let last = self.bytes.last_mut().expect("a byte was pushed");
            *last |= (part << (self.free - now)).to_le_bytes()[0];
            self.free -= now;
            n -= now;
        }
    }

    pub(crate) fn whole_bytes(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.bits(u64::from(b), 8);
        }
    }

    /// `ones` ones and, below `most`, a zero.
    fn prefix(&mut self, ones: usize, most: usize) {
        for _ in 0..ones {
            self.bit(true);
        }
        if ones < most {
            self.bit(false);
        }
    }

    pub(crate) fn varbit_int(&mut self, v: i64) {
        let class = if v == 0 { 0 } else { class_of(|width| fits(v, width)) };
        self.prefix(class, 8);
        self.bits(v.cast_unsigned(), VARBIT_WIDTHS[class]);
    }

    pub(crate) fn varbit_uint(&mut self, v: u64) {
        let class = if v == 0 { 0 } else { class_of(|width| 64 - v.leading_zeros() <= width) };
        self.prefix(class, 8);
        self.bits(v, VARBIT_WIDTHS[class]);
    }
}

fn class_of(fits: impl Fn(u32) -> bool) -> usize {
    (1..VARBIT_WIDTHS.len()).find(|&c| fits(VARBIT_WIDTHS[c])).expect("64 bits hold everything")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_round_trip(items in proptest::collection::vec((any::<i64>(), 0_u32..64, any::<bool>()), 0..50)) {
            let mut w = BitWriter::default();
            for &(v, shift, lead) in &items {
                w.bit(lead);
                w.varbit_int(v >> shift);
                w.varbit_uint(v.cast_unsigned() >> shift);
                w.bits(v.cast_unsigned(), 64 - shift);
            }
            let bytes = w.into_bytes();
            let mut r = BitReader::new(&bytes);
            for &(v, shift, lead) in &items {
                prop_assert_eq!(r.bit(), Some(lead));
                prop_assert_eq!(r.varbit_int(), Some(v >> shift));
                prop_assert_eq!(r.varbit_uint(), Some(v.cast_unsigned() >> shift));
                let mask = if shift == 0 { u64::MAX } else { (1 << (64 - shift)) - 1 };
                prop_assert_eq!(r.bits(64 - shift), Some(v.cast_unsigned() & mask));
            }
            prop_assert!(r.left() < 8);
        }
    }
}
