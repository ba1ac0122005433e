//! Unsigned integers as Huffman codes of their bit lengths, each followed by the bits below its highest.
//!
//! ```text
//! huffman := lowest class (0 to 48) | 0x40 when there is a code for 8 zeros | 0x80 for 64 zeros
//!            highest class - lowest class u8
//!            lengths: 4 bits each, low ones first: of the classes in between, of 8 zeros, of 64 zeros; 0 has no code
//!            bytes of the first stream varint, first stream, second stream
//! stream  := bits, high ones first: per symbol its code, and for class c > 1 the low c - 1 bits of the value
//! ```
//! Codes are canonical (by length, then symbol), at most 9 bits long and complete. The first stream has the first `n / 2`
//! values, the second the rest, so that two chains of dependent steps run side by side. The class of a value is its length in
//! bits; values of more than 48 are for [`super::bitpack`].

use super::bitpack::bit_len;
use crate::bytes::{Reader, low_byte, put_varint};

/// The longest values that have a code: with the longest code they fit what one refill provides.
pub(super) const MAX_CLASS: usize = 48;
const RUN8: usize = MAX_CLASS + 1;
const RUN64: usize = MAX_CLASS + 2;
const SYMBOLS: usize = MAX_CLASS + 3;
const MAX_LEN: usize = 9;
const HAS_RUN8: u8 = 0x40;
const HAS_RUN64: u8 = 0x80;

/// How many values there are of each length in bits.
pub(super) type Classes = [u32; 65];

/// Codes for a column.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    lengths: [u8; SYMBOLS],
    runs: bool,
    /// Bits of each stream.
    bits: [usize; 2],
}

impl Plan {
    /// The best codes for `values`, whose classes are `classes`; `None` when they need more than about `max_bytes`, when there are values too
    /// long, or fewer than two symbols.
    #[inline(always)]
    pub(super) fn new(values: &[u64], classes: &Classes, max_bytes: usize) -> Option<Self> {
        if classes[MAX_CLASS + 1..].iter().any(|&n| n > 0) {
            return None;
        }
        let mut counts = [0; SYMBOLS];
        counts[..=MAX_CLASS].copy_from_slice(&classes[..=MAX_CLASS]);
        let halves = values.split_at(values.len() / 2);
        // Runs are rare unless zeros are not.
        let runs = counts[0] as usize > values.len() / 4;
        if runs {
            counts[0] = 0;
            for half in [halves.0, halves.1] {
                zero_tokens(half, |symbol| counts[symbol] += 1);
            }
        }
        if entropy_bits(&counts) / 8 > max_bytes {
            return None;
        }
        let lengths = code_lengths(&counts)?;
        let mut plan = Self { lengths, runs, bits: [0; 2] };
        let mut bits = 0;
        for (symbol, &count) in counts.iter().enumerate() {
            bits += count as usize * (usize::from(lengths[symbol]) + low_bits(symbol) as usize);
        }
        if bits / 8 > max_bytes {
            return None;
        }
        tokens(halves.0, runs, |symbol, _| {
            plan.bits[0] += usize::from(lengths[symbol]) + low_bits(symbol) as usize;
        });
        plan.bits[1] = bits - plan.bits[0];
        Some(plan)
    }

    fn classes(&self) -> (usize, usize) {
        let used = |&s: &usize| self.lengths[s] > 0;
        let low = (0..=MAX_CLASS).find(used).unwrap_or(0);
        (low, (low..=MAX_CLASS).rev().find(used).unwrap_or(low))
    }

    /// The bytes that [`Plan::put`] appends.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        let (low, high) = self.classes();
        let nibbles =
            high - low + 1 + usize::from(self.lengths[RUN8] > 0) + usize::from(self.lengths[RUN64] > 0);
        let first = self.bits[0].div_ceil(8);
        2 + nibbles.div_ceil(2) + if first < 0x80 { 1 } else { 2 } + first + self.bits[1].div_ceil(8)
    }

    /// Appends `values`.
    #[inline(always)]
    pub(super) fn put(&self, values: &[u64], out: &mut Vec<u8>) {
        let (low, high) = self.classes();
        let mut head = low_byte(low as u64);
        let mut lengths = [0; SYMBOLS + 1];
        let mut n = high - low + 1;
        lengths[..n].copy_from_slice(&self.lengths[low..=high]);
        for (symbol, flag) in [(RUN8, HAS_RUN8), (RUN64, HAS_RUN64)] {
            if self.lengths[symbol] > 0 {
                head |= flag;
                lengths[n] = self.lengths[symbol];
                n += 1;
            }
        }
        out.push(head);
        out.push(low_byte((high - low) as u64));
        out.extend(lengths[..n.next_multiple_of(2)].as_chunks::<2>().0.iter().map(|[a, b]| a | b << 4));
        put_varint(out, self.bits[0].div_ceil(8) as u64);
        let codes = self.codes();
        let halves = values.split_at(values.len() / 2);
        for (half, bits) in [(halves.0, self.bits[0]), (halves.1, self.bits[1])] {
            let start = out.len();
            // A word is written at a time, of which the last may reach past the end.
            out.resize(start + bits.div_ceil(8) + 8, 0);
            let mut stream = &mut out[start..];
            let (mut acc, mut held) = (0_u64, 0);
            tokens(half, self.runs, |symbol, value| {
                let low = low_bits(symbol);
                let length = u32::from(self.lengths[symbol]) + low;
                let code = u64::from(codes[symbol]) << low | value & !(u64::MAX << low);
                acc |= code << (64 - held - length);
                held += length;
                let rest = std::mem::take(&mut stream);
                rest[..8].copy_from_slice(&acc.to_be_bytes());
                let whole = held / 8;
                stream = &mut rest[whole as usize..];
                // At most 7 bits were held, and at most 56 came.
                acc <<= whole * 8;
                held %= 8;
            });
            out.truncate(start + bits.div_ceil(8));
        }
    }

    fn codes(&self) -> [u16; SYMBOLS] {
        let mut next = first_codes(&self.lengths);
        let mut codes = [0; SYMBOLS];
        for (code, &length) in codes.iter_mut().zip(&self.lengths) {
            if length > 0 {
                *code = next[usize::from(length)];
                next[usize::from(length)] += 1;
            }
        }
        codes
    }
}

/// The canonical code of the first symbol of each length.
fn first_codes(lengths: &[u8; SYMBOLS]) -> [u16; MAX_LEN + 1] {
    let mut of_length = [0; MAX_LEN + 1];
    for &length in lengths {
        of_length[usize::from(length)] += 1;
    }
    of_length[0] = 0;
    let mut next = [0; MAX_LEN + 1];
    for length in 1..=MAX_LEN {
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    }
    next
}

/// Bits that follow a symbol's code.
#[inline(always)]
fn low_bits(symbol: usize) -> u32 {
    if symbol <= MAX_CLASS { symbol.saturating_sub(1) as u32 } else { 0 }
}

/// The symbols of one stream, each with its value.
#[inline(always)]
fn tokens(values: &[u64], runs: bool, mut put: impl FnMut(usize, u64)) {
    let mut i = 0;
    while let Some(&v) = values.get(i) {
        if v == 0 && runs {
            let run = values[i..].iter().take(64).take_while(|&&v| v == 0).count();
            let (symbol, step) = match run {
                64 => (RUN64, 64),
                8.. => (RUN8, 8),
                _ => (0, 1),
            };
            // What is left of a run below eight needs no second look.
            for _ in 0..if step == 1 { run } else { 1 } {
                put(symbol, 0);
            }
            i += if step == 1 { run } else { step };
        } else {
            put(bit_len(v) as usize, v);
            i += 1;
        }
    }
}

/// The symbols of the zeros among `values`, as [`tokens`] with runs has them.
#[inline(always)]
fn zero_tokens(values: &[u64], mut put: impl FnMut(usize)) {
    let mut finish = |run: usize| {
        for _ in 0..run / 64 {
            put(RUN64);
        }
        for _ in 0..run % 64 / 8 {
            put(RUN8);
        }
        for _ in 0..run % 8 {
            put(0);
        }
    };
    let mut run = 0;
    for &v in values {
        if v == 0 {
            run += 1;
        } else if run > 0 {
            finish(run);
            run = 0;
        }
    }
    finish(run);
}

/// What no prefix code gets below: entropy of the symbols and the bits that follow them.
#[inline(always)]
pub(super) fn entropy_bits(counts: &[u32]) -> usize {
    let all: u32 = counts.iter().sum();
    let log_all = log2(all);
    let mut bits = 0;
    for (symbol, &n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        bits += n as usize * (log_all - log2(n) + (low_bits(symbol) << 5)) as usize;
    }
    bits >> 5
}

/// The binary logarithm in 32ths, rounded down; 0 for 0.
#[inline(always)]
fn log2(n: u32) -> u32 {
    const FRACTION: [u8; 32] = [
        0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 24, 25, 26, 27,
        28, 28, 29, 30, 31,
    ];
    let Some(whole) = n.checked_ilog2() else { return 0 };
    let mantissa = (u64::from(n) << 5 >> whole) as usize & 31;
    (whole << 5) + u32::from(FRACTION[mantissa])
}

/// Lengths of Huffman codes of at most [`MAX_LEN`] bits; `None` for fewer than two symbols.
fn code_lengths(counts: &[u32; SYMBOLS]) -> Option<[u8; SYMBOLS]> {
    let mut weighted = [(0_u32, 0_u8); SYMBOLS];
    let mut n = 0;
    for (symbol, &count) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        weighted[n] = (count, low_byte(symbol as u64));
        n += 1;
    }
    let weighted = &mut weighted[..n];
    if n < 2 {
        return None;
    }
    weighted.sort_unstable();
    loop {
        // Two queues, both ascending: the leaves and the nodes made so far.
        let mut parents = [0_u8; 2 * SYMBOLS];
        let mut nodes = [0_u32; SYMBOLS];
        let (mut leaf, mut node) = (0, 0);
        for made in 0..n - 1 {
            for _ in 0..2 {
                let take_leaf = leaf < n && (node == made || weighted[leaf].0 <= nodes[node]);
                let (weight, at) =
                    if take_leaf { (weighted[leaf].0, leaf) } else { (nodes[node], SYMBOLS + node) };
                if take_leaf {
                    leaf += 1
                } else {
                    node += 1
                }
                nodes[made] += weight;
                parents[at] = low_byte(made as u64);
            }
        }
        let mut depths = [0_u8; SYMBOLS];
        for made in (0..n - 2).rev() {
            depths[made] = depths[usize::from(parents[SYMBOLS + made])] + 1;
        }
        let mut lengths = [0; SYMBOLS];
        let mut longest = 0;
        for (i, &(_, symbol)) in weighted.iter().enumerate() {
            let length = depths[usize::from(parents[i])] + 1;
            lengths[usize::from(symbol)] = length;
            longest = longest.max(length);
        }
        if usize::from(longest) <= MAX_LEN {
            return Some(lengths);
        }
        // Flatter weights make a flatter tree; in the end all are alike and 6 bits do.
        weighted.iter_mut().for_each(|(count, _)| *count = *count / 2 + 1);
    }
}

/// One entry of the table: bits taken by code and low bits (0-7), low bits (8-15), values made (16-23), 1 unless zero (24).
type Table = [u32; 1 << MAX_LEN];

/// Reads `out.len()` values. `None` when the bytes are no such column; `out` is then unspecified.
#[inline(always)]
pub(super) fn decode(r: &mut Reader<'_>, out: &mut [i64]) -> Option<()> {
    let mut table = [0; 1 << MAX_LEN];
    let shift = 64 - read_table(r, &mut table)?;
    let first_len = r.count()?;
    let mut first = Stream::new(r.take(first_len)?);
    let rest = r.clone();
    let mut second = Stream::new(rest.rest());
    out.fill(0);
    let (a, b) = out.split_at_mut(out.len() / 2);
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        first.next(&table, shift, &mut a[i], &mut i);
        second.next(&table, shift, &mut b[j], &mut j);
    }
    while i < a.len() {
        first.next(&table, shift, &mut a[i], &mut i);
    }
    while j < b.len() {
        second.next(&table, shift, &mut b[j], &mut j);
    }
    if first.taken() != first_len {
        return None;
    }
    r.take(second.taken())?;
    Some(())
}

/// Fills as much of `table` as the longest code needs, whose length is returned.
#[inline(always)]
fn read_table(r: &mut Reader<'_>, table: &mut Table) -> Option<u32> {
    let head = r.u8()?;
    let low = usize::from(head & 0x3f);
    let high = low + usize::from(r.u8()?);
    if high > MAX_CLASS {
        return None;
    }
    // Symbols by length, in their order.
    let mut sorted = [[0_u8; SYMBOLS]; MAX_LEN + 1];
    let mut of_length = [0_usize; MAX_LEN + 1];
    let mut symbols = (low..=high)
        .chain((head & HAS_RUN8 != 0).then_some(RUN8))
        .chain((head & HAS_RUN64 != 0).then_some(RUN64));
    let mut add = |symbol: usize, length: u8| {
        let length = usize::from(length);
        let n = of_length.get_mut(length)?;
        sorted[length][*n] = low_byte(symbol as u64);
        *n += 1;
        Some(())
    };
    while let Some(symbol) = symbols.next() {
        let pair = r.u8()?;
        add(symbol, pair & 15)?;
        match symbols.next() {
            Some(symbol) => add(symbol, pair >> 4)?,
            None if pair >> 4 == 0 => {}
            None => return None,
        }
    }
    let longest = (1..=MAX_LEN).rev().find(|&l| of_length[l] > 0)?;
    let mut rest = &mut table[..1 << longest];
    for length in 1..=longest {
        for &symbol in &sorted[length][..of_length[length]] {
            let symbol = usize::from(symbol);
            let (low, made, one) = match symbol {
                RUN8 => (0, 8, 0),
                RUN64 => (0, 64, 0),
                0 => (0, 1, 0),
                class => (class as u32 - 1, 1, 1),
            };
            let entry = length as u32 + low | low << 8 | made << 16 | one << 24;
            let (these, others) = rest.split_at_mut_checked(1 << (longest - length))?;
            these.fill(entry);
            rest = others;
        }
    }
    // Codes that leave gaps would not be what they seem.
    rest.is_empty().then_some(longest as u32)
}

/// Bits, high ones first; zeros after the end.
struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
    acc: u64,
    held: u32,
}

impl<'a> Stream<'a> {
    #[inline(always)]
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, acc: 0, held: 0 }
    }

    /// Decodes one symbol to `out`, which is zero, and moves `i` past the values it stands for.
    #[inline(always)]
    fn next(&mut self, table: &Table, shift: u32, out: &mut i64, i: &mut usize) {
        let word = match self.bytes.get(self.at..).and_then(|b| b.first_chunk()) {
            Some(word) => u64::from_be_bytes(*word),
            None => last_word(self.bytes, self.at),
        };
        self.acc |= word >> self.held;
        self.at += (63 - self.held) as usize / 8;
        self.held |= 56;
        let entry = table[(self.acc >> shift) as usize & (table.len() - 1)];
        let (taken, low) = (entry & 0xff, entry >> 8 & 0xff);
        let value =
            self.acc.rotate_left(taken) & !(u64::MAX << (low & 63)) | u64::from(entry >> 24) << (low & 63);
        *out = value.cast_signed();
        // At most 56 of at least 56.
        self.acc <<= taken & 63;
        self.held -= taken;
        *i += (entry >> 16 & 0xff) as usize;
    }

    /// Bytes of which bits were taken.
    #[inline(always)]
    fn taken(&self) -> usize {
        (self.at * 8 - self.held as usize).div_ceil(8)
    }
}

#[cold]
fn last_word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    let rest = bytes.get(at..).unwrap_or(&[]);
    word[..rest.len().min(8)].copy_from_slice(&rest[..rest.len().min(8)]);
    u64::from_be_bytes(word)
}

#[cfg(test)]
#[path = "huffman_tests.rs"]
mod tests;
