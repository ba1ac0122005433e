//! Integers to small residuals: plain, delta or delta², from the minimum or around about the median, divided by their
//! greatest common divisor. Timestamps and scaled values both come this way.
//!
//! ```text
//! ints := nothing                                     when n = 0
//!       | first zigzag                                when n = 1
//!       | flags [first zigzag] [step zigzag] base zigzag [gcd varint] blocks or huffman
//! flags:= order (0 plain, 1 delta, 2 delta²) | 4 residuals are zigzag around base | 8 gcd follows | 16 huffman
//! ```
//! All arithmetic wraps, so that any column of `i64` round-trips.

use super::Effort;
use super::bitpack::{self, BLOCK, bit_len, choose_width, lengths};
use super::huffman::{self, Plan, entropy_bits};
use super::isa::{self, Hot};
use crate::bytes::{Reader, put_varint, put_zigzag, unzigzag, zigzag};

const AROUND: u8 = 4;
const GCD: u8 = 8;
const HUFFMAN: u8 = 16;

/// Fewer integers are not worth the header of Huffman codes.
const MIN_HUFFMAN: usize = 32;

/// Encodes columns of integers; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct IntEncoder {
    effort: Effort,
    column: Vec<i64>,
    sorted: Vec<i64>,
    residuals: Vec<u64>,
}

/// What residuals are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Min(i64),
    Around(i64),
}

impl Base {
    /// The residual of `v`, not yet divided.
    #[inline(always)]
    fn residual(self, v: i64) -> u64 {
        match self {
            Self::Min(min) => v.wrapping_sub(min).cast_unsigned(),
            Self::Around(middle) => zigzag(v.wrapping_sub(middle)),
        }
    }
}

struct Encode<'a> {
    encoder: &'a mut IntEncoder,
    ints: &'a [i64],
    out: &'a mut Vec<u8>,
}

impl Hot for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.encoder.encode_here(self.ints, self.out);
    }
}

impl IntEncoder {
    /// An encoder that spends `effort`.
    pub(crate) fn with_effort(effort: Effort) -> Self {
        Self { effort, ..Self::default() }
    }

    /// Appends `ints` to `out`.
    pub(crate) fn encode(&mut self, ints: &[i64], out: &mut Vec<u8>) {
        match ints {
            [] => {}
            [only] => put_zigzag(out, *only),
            _ => isa::run(Encode { encoder: self, ints, out }),
        }
    }

    #[inline(always)]
    fn encode_here(&mut self, ints: &[i64], out: &mut Vec<u8>) {
        let (order, base) = match self.effort {
            Effort::Brief => self.sample::<8>(ints),
            Effort::Fresh => self.sample::<16>(ints),
            Effort::Cold => self.search(ints),
        };
        let flags_at = out.len();
        let mut flags = [0_u8, 1, 2][order];
        out.push(0);
        if order >= 1 {
            put_zigzag(out, ints[0]);
        }
        if order == 2 {
            put_zigzag(out, ints[1].wrapping_sub(ints[0]));
        }
        let gcd = match base {
            Base::Min(min) => {
                put_zigzag(out, min);
                self.fill_from(min)
            }
            Base::Around(middle) => {
                put_zigzag(out, middle);
                flags |= AROUND;
                self.fill_around(middle)
            }
        };
        if gcd != 1 {
            flags |= GCD;
            put_varint(out, gcd);
        }

        let start = out.len();
        if self.effort == Effort::Brief || self.residuals.len() < MIN_HUFFMAN {
            bitpack::pack(&self.residuals, None, out);
        } else {
            let mut classes = [0; 65];
            bitpack::pack(&self.residuals, Some(&mut classes), out);
            let packed = out.len() - start;
            let most = match self.effort {
                Effort::Brief | Effort::Fresh => packed - packed / 10,
                Effort::Cold => packed - packed / 32,
            };
            if let Some(plan) = Plan::new(&self.residuals, &classes, most)
                && plan.len() < most
            {
                out.truncate(start);
                plan.put(&self.residuals, out);
                flags |= HUFFMAN;
            }
        }
        out[flags_at] = flags;
    }

    #[inline(always)]
    fn fill_from(&mut self, min: i64) -> u64 {
        self.residuals.clear();
        self.residuals.extend(self.column.iter().map(|&v| Base::Min(min).residual(v)));
        let divisor = self.divisor();
        if divisor.gcd() != 1 {
            self.residuals.iter_mut().for_each(|d| *d = (*d >> divisor.twos).wrapping_mul(divisor.inverse));
        }
        divisor.gcd()
    }

    #[inline(always)]
    fn fill_around(&mut self, middle: i64) -> u64 {
        self.residuals.clear();
        self.residuals.extend(self.column.iter().map(|v| v.wrapping_sub(middle).unsigned_abs()));
        let divisor = self.divisor();
        self.residuals.clear();
        if divisor.gcd() == 1 {
            self.residuals.extend(self.column.iter().map(|&v| Base::Around(middle).residual(v)));
        } else {
            let inverse = divisor.inverse.cast_signed();
            let divide = |v: i64| (v >> divisor.twos).wrapping_mul(inverse);
            self.residuals.extend(self.column.iter().map(|&v| zigzag(divide(v.wrapping_sub(middle)))));
        }
        divisor.gcd()
    }

    /// What all residuals are whole multiples of, and that is worth looking for.
    #[inline(always)]
    fn divisor(&self) -> Divisor {
        match self.effort {
            Effort::Brief => Divisor::twos(&self.residuals),
            Effort::Fresh | Effort::Cold => Divisor::common(&self.residuals),
        }
    }

    /// Picks the order by a few places of the column, and the base by a few of its values; leaves the column of that order.
    #[inline(always)]
    fn sample<const PLACES: usize>(&mut self, ints: &[i64]) -> (usize, Base) {
        let order = sample_order::<PLACES>(ints);
        fill_order(ints, order, &mut self.column);
        let column = &self.column[..];
        let median = about_median(column);
        let min = column.iter().copied().fold(i64::MAX, i64::min);
        let (mut cost_min, mut cost_around) = (0, 0);
        for &v in column.iter().step_by(column.len().div_ceil(PLACES)) {
            cost_min += bit_len(Base::Min(min).residual(v));
            cost_around += bit_len(Base::Around(median).residual(v));
        }
        (order, if cost_min <= cost_around { Base::Min(min) } else { Base::Around(median) })
    }

    /// Tries all orders and bases on the whole column; leaves the column of the order that seems smallest.
    #[inline(always)]
    fn search(&mut self, ints: &[i64]) -> (usize, Base) {
        let mut best = (usize::MAX, 0, Base::Min(0));
        let mut filled = 3;
        for order in 0..ints.len().min(3) {
            fill_order(ints, order, &mut self.column);
            filled = order;
            let column = &self.column[..];
            self.sorted.clear();
            self.sorted.extend_from_slice(column);
            let (below, median, _) = self.sorted.select_nth_unstable(column.len() / 2);
            let median = *median;
            let min = below.iter().copied().fold(median, i64::min);
            // A zigzag for each value that is taken off the front.
            let first = order * (bit_len(zigzag(ints[0])) as usize + 8);
            for base in [Base::Min(min), Base::Around(median)] {
                let cost = first + cost(column, base);
                if cost < best.0 {
                    best = (cost, order, base);
                }
            }
        }
        if filled != best.1 {
            fill_order(ints, best.1, &mut self.column);
        }
        (best.1, best.2)
    }
}

/// About how many bits a column takes in the better of both ways.
#[inline(always)]
fn cost(column: &[i64], base: Base) -> usize {
    // Lowest class, highest, some lengths, length of a stream.
    const HEADER: usize = 7 * 8;
    let mut packed = 0;
    let mut classes = [0_u32; 65];
    for block in column.chunks(BLOCK) {
        let (count, widest) = lengths(block.iter().map(|&v| base.residual(v)));
        packed += 8 + choose_width(&count, widest, block.len()).bits;
        classes.iter_mut().zip(&count).for_each(|(sum, &n)| *sum += u32::from(n));
    }
    if classes[huffman::MAX_CLASS + 1..].iter().any(|&n| n > 0) {
        return packed;
    }
    packed.min(HEADER + entropy_bits(&classes[..=huffman::MAX_CLASS]))
}

/// Fills `column` with the values, their differences or the differences of those.
#[inline(always)]
fn fill_order(ints: &[i64], order: usize, column: &mut Vec<i64>) {
    column.clear();
    match order {
        0 => column.extend_from_slice(ints),
        1 => column.extend(ints.windows(2).map(|w| w[1].wrapping_sub(w[0]))),
        _ => column.extend(ints.windows(3).map(|w| second_difference(w[0], w[1], w[2]))),
    }
}

#[inline(always)]
fn second_difference(a: i64, b: i64, c: i64) -> i64 {
    c.wrapping_sub(b).wrapping_sub(b.wrapping_sub(a))
}

/// The order whose values lie closest together at about so many places, the same for each order: that tells enough, and counting
/// the bits of all is most of the work of encoding.
#[inline(always)]
fn sample_order<const PLACES: usize>(ints: &[i64]) -> usize {
    let n = ints.len();
    if n < 3 {
        // Delta of two values is one value: its own base.
        return 1;
    }
    let step = n.div_ceil(PLACES);
    let at = |order: usize, i: usize| match order {
        0 => ints[i],
        1 => ints[i + 1].wrapping_sub(ints[i]),
        _ => second_difference(ints[i], ints[i + 1], ints[i + 2]),
    };
    let mut best = (u32::MAX, 0);
    for order in 0..3 {
        let pivot = middle_of_three(at(order, 0), at(order, (n - 2) / 2), at(order, n - 3));
        let mut cost = 0;
        let mut i = 0;
        while i < n - 2 {
            cost += bit_len(zigzag(at(order, i).wrapping_sub(pivot)));
            i += step;
        }
        if cost < best.0 {
            best = (cost, order);
        }
    }
    best.1
}

fn middle_of_three(a: i64, b: i64, c: i64) -> i64 {
    a.min(b).max(a.max(b).min(c))
}

/// The median of nine values spread over the column.
#[inline(always)]
fn about_median(column: &[i64]) -> i64 {
    let at = |i: usize| column[i * (column.len() - 1) / 8];
    // By insertion: a call of the library's sort costs more than nine values are worth.
    let mut some = [0; 9];
    for i in 0..some.len() {
        let v = at(i);
        let mut to = i;
        while to > 0 && some[to - 1] > v {
            some[to] = some[to - 1];
            to -= 1;
        }
        some[to] = v;
    }
    some[4]
}

/// A divisor of whole multiples of it, which need no division: a shift and the inverse of what is odd, modulo 2^64.
struct Divisor {
    twos: u32,
    odd: u64,
    inverse: u64,
}

impl Divisor {
    /// The greatest power of two among the divisors; 1 for nothing but zeros.
    #[inline(always)]
    fn twos(values: &[u64]) -> Self {
        let all = values.iter().fold(0, |all, v| all | v);
        Self { twos: if all == 0 { 0 } else { all.trailing_zeros() }, odd: 1, inverse: 1 }
    }

    /// The greatest common divisor; 1 for nothing but zeros. Ends at the first proof that what is odd of it is 1.
    #[inline(always)]
    fn common(values: &[u64]) -> Self {
        let all = values.iter().fold(0, |all, v| all | v);
        if all == 0 {
            return Self { twos: 0, odd: 1, inverse: 1 };
        }
        let twos = all.trailing_zeros();
        let mut odd = 0_u64;
        for v in values {
            let (mut a, mut b) = (odd, v >> twos);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            odd = a;
            if odd == 1 {
                return Self { twos, odd, inverse: 1 };
            }
        }
        // Newton: each step doubles the three bits that an odd number inverts by itself.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        Self { twos, odd, inverse }
    }

    fn gcd(&self) -> u64 {
        self.odd << self.twos
    }
}

/// Decodes columns of integers; keeps its buffer.
#[derive(Debug)]
pub(crate) struct IntDecoder {
    table: Box<huffman::Table>,
}

impl Default for IntDecoder {
    fn default() -> Self {
        Self { table: Box::new([0; size_of::<huffman::Table>() / size_of::<u32>()]) }
    }
}

struct Decode<'a, 'b> {
    table: &'a mut huffman::Table,
    r: &'a mut Reader<'b>,
    out: &'a mut [i64],
}

impl Hot for Decode<'_, '_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run(self) -> Option<()> {
        decode_here(self.table, self.r, self.out)
    }
}

impl IntDecoder {
    /// Reads `out.len()` integers. `None` when the bytes are no such column; `out` is then unspecified.
    pub(crate) fn decode(&mut self, r: &mut Reader<'_>, out: &mut [i64]) -> Option<()> {
        match out {
            [] => Some(()),
            [only] => {
                *only = r.zigzag()?;
                Some(())
            }
            _ => isa::run(Decode { table: &mut self.table, r, out }),
        }
    }
}

#[inline(always)]
fn decode_here(table: &mut huffman::Table, r: &mut Reader<'_>, out: &mut [i64]) -> Option<()> {
    let flags = r.u8()?;
    let order = usize::from(flags & 3);
    if order == 3 || flags & !(3 | AROUND | GCD | HUFFMAN) != 0 || out.len() < order {
        return None;
    }
    let first = if order >= 1 { r.zigzag()? } else { 0 };
    let step = if order == 2 { r.zigzag()? } else { 0 };
    let base = r.zigzag()?;
    let gcd = if flags & GCD != 0 { r.varint()? } else { 1 }.cast_signed();
    let (head, tail) = out.split_at_mut(order);
    if flags & HUFFMAN != 0 {
        huffman::decode(r, table, tail)?;
    } else {
        bitpack::unpack(r, tail)?;
    }
    match (flags & AROUND != 0, gcd) {
        (false, 1) => tail.iter_mut().for_each(|o| *o = base.wrapping_add(*o)),
        (false, _) => tail.iter_mut().for_each(|o| *o = base.wrapping_add(o.wrapping_mul(gcd))),
        (true, 1) => tail.iter_mut().for_each(|o| *o = base.wrapping_add(unzigzag(o.cast_unsigned()))),
        (true, _) => {
            tail.iter_mut()
                .for_each(|o| *o = base.wrapping_add(unzigzag(o.cast_unsigned()).wrapping_mul(gcd)));
        }
    }
    let (mut value, mut delta) = (first, step);
    match order {
        1 => {
            head[0] = value;
            for o in tail {
                value = value.wrapping_add(*o);
                *o = value;
            }
        }
        2 => {
            head[0] = value;
            value = value.wrapping_add(delta);
            head[1] = value;
            for o in tail {
                delta = delta.wrapping_add(*o);
                value = value.wrapping_add(delta);
                *o = value;
            }
        }
        _ => {}
    }
    Some(())
}

#[cfg(test)]
#[path = "ints_tests.rs"]
mod tests;
