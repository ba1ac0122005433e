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
                count_zeros(half, &mut counts);
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
        out.extend(lengths[..n.next_multiple_of(2)].as_chunks::<2>().0.iter().map(|[a, b]| a | (b << 4)));
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
                let code = (u64::from(codes[symbol]) << low) | (value & !(u64::MAX << low));
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
    // Zeros up to here are known to be fewer than eight.
    let mut single = if runs { 0 } else { values.len() };
    while let Some(&v) = values.get(i) {
        let (mut symbol, mut step) = (bit_len(v) as usize, 1);
        if v == 0 && i >= single {
            let mut run = 1;
            while run < 64 && values.get(i + run) == Some(&0) {
                run += 1;
            }
            match run {
                64 => (symbol, step) = (RUN64, 64),
                8.. => (symbol, step) = (RUN8, 8),
                _ => single = i + run,
            }
        }
        // The only call, so that it is inlined.
        put(symbol, v);
        i += step;
    }
}

/// Counts the symbols of the zeros among `values`, as [`tokens`] with runs has them.
#[inline(always)]
fn count_zeros(values: &[u64], counts: &mut [u32; SYMBOLS]) {
    let mut run = 0;
    for (i, &v) in values.iter().enumerate() {
        run += u32::from(v == 0);
        if run > 0 && (v != 0 || i + 1 == values.len()) {
            counts[RUN64] += run / 64;
            counts[RUN8] += run % 64 / 8;
            counts[0] += run % 8;
            run = 0;
        }
    }
}

/// What no prefix code gets below: entropy of the symbols and the bits that follow them.
#[inline(always)]
pub(super) fn entropy_bits(counts: &[u32]) -> usize {
    let all: u32 = counts.iter().sum();
    let log_all = log2(all);
    let mut bits = 0;
    for (symbol, &n) in counts.iter().enumerate() {
        if n > 0 {
            bits += n as usize * (log_all - log2(n) + (low_bits(symbol) << 5)) as usize;
        }
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
    let mantissa = ((u64::from(n) << 5) >> whole) as usize & 31;
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
                    leaf += 1;
                } else {
                    node += 1;
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

/// What the first bits of a stream say: bits taken by code and low bits (0-7), low bits (8-15), values made (16-23), 1 unless
/// zero (24). Only as much of it is used as the longest code needs.
pub(super) type Table = [u32; 1 << MAX_LEN];

/// Reads `out.len()` values. `None` when the bytes are no such column; `out` and `table` are then unspecified.
#[inline(always)]
pub(super) fn decode(r: &mut Reader<'_>, table: &mut Table, out: &mut [i64]) -> Option<()> {
    let shift = 64 - read_table(r, table)?;
    let first_len = r.count()?;
    let bytes = r.rest();
    let mut first = Stream { bytes, at: 0, acc: 0, held: 0 };
    let mut second = Stream { bytes, at: first_len, acc: 0, held: 0 };
    out.fill(0);
    let (a, b) = out.split_at_mut(out.len() / 2);
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        first.next(table, shift, &mut a[i], &mut i);
        second.next(table, shift, &mut b[j], &mut j);
    }
    while i < a.len() {
        first.next(table, shift, &mut a[i], &mut i);
    }
    while j < b.len() {
        second.next(table, shift, &mut b[j], &mut j);
    }
    if first.end() != first_len {
        return None;
    }
    r.take(second.end())?;
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
    let classes = high - low + 1;
    let mut symbols = [0_u8; SYMBOLS + 1];
    for (i, symbol) in symbols[..classes].iter_mut().enumerate() {
        *symbol = low_byte((low + i) as u64);
    }
    let mut n = classes;
    for (flag, run) in [(HAS_RUN8, RUN8), (HAS_RUN64, RUN64)] {
        if head & flag != 0 {
            symbols[n] = low_byte(run as u64);
            n += 1;
        }
    }
    let nibbles = r.take(n.div_ceil(2))?;
    let length = |i: usize| usize::from((nibbles[i / 2] >> (i % 2 * 4)) & 15);
    if n % 2 == 1 && length(n) != 0 {
        return None;
    }
    let mut of_length = [0_usize; 16];
    for i in 0..n {
        of_length[length(i)] += 1;
    }
    let longest = of_length.iter().rposition(|&n| n > 0)?;
    if longest == 0 || longest > MAX_LEN {
        return None;
    }
    // Where the entries of each length start. Codes that overlap or leave gaps would not be what they seem.
    let mut starts = [0_usize; 16];
    let mut start = 0;
    for l in 1..=longest {
        starts[l] = start;
        start += of_length[l] << (longest - l);
    }
    if start != 1 << longest {
        return None;
    }
    for (i, &symbol) in symbols[..n].iter().enumerate() {
        let l = length(i);
        if l == 0 {
            continue;
        }
        let (low, made, one) = match usize::from(symbol) {
            RUN8 => (0, 8, 0),
            RUN64 => (0, 64, 0),
            0 => (0, 1, 0),
            class => (class as u32 - 1, 1, 1),
        };
        let entry = (l as u32 + low) | (low << 8) | (made << 16) | (one << 24);
        let span = 1 << (longest - l);
        table.get_mut(starts[l]..starts[l] + span)?.fill(entry);
        starts[l] += span;
    }
    Some(longest as u32)
}

/// Bits, high ones first; zeros after the end of the bytes, where the stream need not end.
struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
    acc: u64,
    held: u32,
}

impl Stream<'_> {
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
        let (taken, low) = (entry & 0xff, (entry >> 8) & 0xff);
        let value = (self.acc.rotate_left(taken) & !(u64::MAX << (low & 63)))
            | (u64::from(entry >> 24) << (low & 63));
        *out = value.cast_signed();
        // At most 56 of at least 56.
        self.acc <<= taken & 63;
        self.held -= taken;
        *i += ((entry >> 16) & 0xff) as usize;
    }

    /// Where the byte after the last bit taken is.
    #[inline(always)]
    fn end(&self) -> usize {
        (self.at * 8 - self.held as usize).div_ceil(8)
    }
}

/// Fewer than eight bytes, as if zeros followed.
#[inline(never)]
fn last_word(bytes: &[u8], at: usize) -> u64 {
    match bytes.last_chunk() {
        // Before `at` are `8 - (len - at)` bytes of these.
        Some(last) if at < bytes.len() => u64::from_be_bytes(*last) << ((8 - (bytes.len() - at)) * 8),
        Some(_) => 0,
        None => (0..8).fold(0, |word, i| (word << 8) | u64::from(bytes.get(at + i).copied().unwrap_or(0))),
    }
}

#[cfg(test)]
#[path = "huffman_tests.rs"]
mod tests;
