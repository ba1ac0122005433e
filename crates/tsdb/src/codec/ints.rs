//! Integers to small residuals: plain, delta or delta², from the minimum or around about the median, divided by their
//! greatest common divisor. Timestamps and scaled values both come this way.
//!
//! ```text
//! ints := nothing                                     when n = 0
//!       | first zigzag                                when n = 1
//!       | flags [first zigzag] [step zigzag] base zigzag [gcd varint] blocks
//! flags:= order (0 plain, 1 delta, 2 delta²) | 4 residuals are zigzag around base | 8 gcd follows
//! ```
//! All arithmetic wraps, so that any column of `i64` round-trips.

use super::Effort;
use super::bitpack::{bit_len, pack, unpack};
use crate::bytes::{Reader, put_varint, put_zigzag, unzigzag, zigzag};

const AROUND: u8 = 4;
const GCD: u8 = 8;

/// Encodes columns of integers; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct IntEncoder {
    effort: Effort,
    orders: [Vec<i64>; 3],
    residuals: Vec<u64>,
}

impl IntEncoder {
    /// An encoder that spends `effort`.
    pub(crate) fn with_effort(effort: Effort) -> Self {
        Self { effort, ..Self::default() }
    }

    /// Appends `ints` to `out`.
    pub(crate) fn encode(&mut self, ints: &[i64], out: &mut Vec<u8>) {
        match ints {
            [] => return,
            [only] => return put_zigzag(out, *only),
            _ => {}
        }
        let order = self.choose_order(ints);
        let column = &self.orders[order];
        let flags_at = out.len();
        let mut flags = [0_u8, 1, 2][order];
        out.push(0);
        if order >= 1 {
            put_zigzag(out, ints[0]);
        }
        if order == 2 {
            put_zigzag(out, ints[1].wrapping_sub(ints[0]));
        }

        let median = about_median(column);
        let min = column.iter().copied().min().unwrap_or(0);
        let (mut cost_min, mut cost_around) = (0, 0);
        for v in column.iter().step_by(stride(column.len())) {
            cost_min += bit_len(v.wrapping_sub(min).cast_unsigned());
            cost_around += bit_len(zigzag(v.wrapping_sub(median)));
        }

        self.residuals.clear();
        let (base, gcd) = if cost_min <= cost_around {
            self.residuals.extend(column.iter().map(|v| v.wrapping_sub(min).cast_unsigned()));
            let gcd = common_divisor(self.residuals.iter().copied());
            if gcd != 1 {
                self.residuals.iter_mut().for_each(|d| *d /= gcd);
            }
            (min, gcd)
        } else {
            flags |= AROUND;
            let gcd = common_divisor(column.iter().map(|v| v.wrapping_sub(median).unsigned_abs()));
            // 2^63 as a divisor has no signed form.
            let gcd = if gcd > i64::MAX.cast_unsigned() { 1 } else { gcd };
            let signed = gcd.cast_signed();
            if signed == 1 {
                self.residuals.extend(column.iter().map(|v| zigzag(v.wrapping_sub(median))));
            } else {
                self.residuals.extend(column.iter().map(|v| zigzag(v.wrapping_sub(median) / signed)));
            }
            (median, gcd)
        };
        put_zigzag(out, base);
        if gcd != 1 {
            flags |= GCD;
            put_varint(out, gcd);
        }
        out[flags_at] = flags;
        pack(&self.residuals, out);
    }

    /// Fills the columns of the three orders and picks the one whose values lie closest together.
    fn choose_order(&mut self, ints: &[i64]) -> usize {
        let [plain, delta, delta2] = &mut self.orders;
        plain.clear();
        plain.extend_from_slice(ints);
        delta.clear();
        delta.extend(ints.windows(2).map(|w| w[1].wrapping_sub(w[0])));
        delta2.clear();
        delta2.extend(delta.windows(2).map(|w| w[1].wrapping_sub(w[0])));
        let mut best = (u32::MAX, 0);
        for (order, column) in self.orders.iter().enumerate() {
            if column.is_empty() {
                continue;
            }
            let pivot = middle_of_three(column[0], column[column.len() / 2], column[column.len() - 1]);
            // The same places for each order.
            let step = stride(ints.len());
            let mut cost = 0;
            let mut at = 0;
            while let Some(v) = column.get(at) {
                cost += bit_len(zigzag(v.wrapping_sub(pivot)));
                at += step;
            }
            if cost < best.0 {
                best = (cost, order);
            }
        }
        best.1
    }
}

/// Which values of a column of `n` are looked at to choose how it is coded: a dozen tell enough, and counting the bits of each
/// is most of the work of encoding.
fn stride(n: usize) -> usize {
    n.div_ceil(16)
}

fn middle_of_three(a: i64, b: i64, c: i64) -> i64 {
    a.min(b).max(a.max(b).min(c))
}

/// The median of nine values spread over the column.
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

/// The greatest common divisor; 1 for nothing but zeros. Ends at the first proof that it is 1.
fn common_divisor(values: impl Iterator<Item = u64>) -> u64 {
    let mut gcd = 0_u64;
    for v in values {
        let (mut a, mut b) = (gcd, v);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        gcd = a;
        if gcd == 1 {
            return 1;
        }
    }
    gcd.max(1)
}

/// Decodes columns of integers; keeps its buffer.
#[derive(Debug, Default)]
pub(crate) struct IntDecoder {
    residuals: Vec<u64>,
}

impl IntDecoder {
    /// Reads `out.len()` integers. `None` when the bytes are no such column; `out` is then unspecified.
    pub(crate) fn decode(&mut self, r: &mut Reader<'_>, out: &mut [i64]) -> Option<()> {
        match out {
            [] => return Some(()),
            [only] => {
                *only = r.zigzag()?;
                return Some(());
            }
            _ => {}
        }
        let flags = r.u8()?;
        let order = usize::from(flags & 3);
        if order == 3 || flags & !(3 | AROUND | GCD) != 0 || out.len() < order {
            return None;
        }
        let first = if order >= 1 { r.zigzag()? } else { 0 };
        let step = if order == 2 { r.zigzag()? } else { 0 };
        let base = r.zigzag()?;
        let gcd = if flags & GCD != 0 { r.varint()? } else { 1 };
        let (head, tail) = out.split_at_mut(order);
        unpack(r, tail.len(), &mut self.residuals)?;
        let residuals = self.residuals.iter();
        match (flags & AROUND != 0, gcd) {
            (false, 1) => {
                tail.iter_mut().zip(residuals).for_each(|(o, &u)| *o = base.wrapping_add(u.cast_signed()));
            }
            (false, _) => {
                tail.iter_mut()
                    .zip(residuals)
                    .for_each(|(o, &u)| *o = base.wrapping_add(u.wrapping_mul(gcd).cast_signed()));
            }
            (true, 1) => {
                tail.iter_mut().zip(residuals).for_each(|(o, &u)| *o = base.wrapping_add(unzigzag(u)));
            }
            (true, _) => {
                let gcd = gcd.cast_signed();
                tail.iter_mut()
                    .zip(residuals)
                    .for_each(|(o, &u)| *o = base.wrapping_add(unzigzag(u).wrapping_mul(gcd)));
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(ints: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        IntEncoder::default().encode(ints, &mut out);
        let mut back = vec![0; ints.len()];
        let mut r = Reader::new(&out);
        IntDecoder::default().decode(&mut r, &mut back).unwrap();
        assert_eq!(back, ints);
        assert!(r.is_empty());
        out
    }

    #[test]
    fn regular_columns_are_nearly_free() {
        let even: Vec<i64> = (0..120).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        assert!(encoded(&even).len() <= 14);
        let pages: Vec<i64> = (0..64).map(|i| (i * 7 % 13) * 4096).collect();
        assert!(encoded(&pages).len() <= 6 + 64 / 2);
    }

    #[test]
    fn extremes_round_trip() {
        let (a, z) = (i64::MIN, i64::MAX);
        for ints in [
            &[a, z, a, z, 0][..],
            &[a, 0, a, 0],
            &[z],
            &[],
            &[a, a],
            &[0, a],
            &[z, a, z],
            &[a, 0, 0, 0, a, 0, 0, 0, a],
        ] {
            encoded(ints);
        }
    }

    proptest! {
        #[test]
        fn any_column_round_trips(
            ints in proptest::collection::vec((any::<i64>(), 0_u32..64), 0..200),
            scale in prop_oneof![Just(1_i64), Just(4096), any::<i64>()],
        ) {
            encoded(&ints.iter().map(|(v, s)| (v >> s).wrapping_mul(scale)).collect::<Vec<_>>());
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), n in 0_usize..200) {
            let _ = IntDecoder::default().decode(&mut Reader::new(&bytes), &mut vec![0; n]);
        }
    }
}
