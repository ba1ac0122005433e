//! A series' newest plain samples as a stream of bytes that can be appended to: what the open end of a series is in memory, in
//! the checkpoint, and, run by run, in the log.
//!
//! ```text
//! sample := head u8, time, value
//! time   := low nibble of head: bytes of zigzag(delta - delta before), low ones first; 0 to 8
//! value  := high nibble of head:
//!           0        the value before, bit for bit
//!           1 to 6   so many bytes of zigzag(i - base), low ones first; the value is i / 10^exponent
//!           7        u8: high zero bytes | low zero bytes << 3; then the bytes between them of bits xor the bits before
//!           8 to 14  so many bytes less 7, the low ones, of bits xor the bits before
//!           15       u8: exponent | bytes << 4; then the exponent is this one, and the value as under 1 to 6
//! base   := the value before times 10^exponent where that is a whole number that gives it back, else 0
//! ```
//! Before the first sample, time, delta, bits and exponent are 0, or what the container says. Two or three bytes a sample are
//! usual, at about ten nanoseconds; the `codec` makes fewer of many, once they are sealed.

use crate::bytes::{low_byte, unzigzag, zigzag};

/// Whole numbers below this in magnitude are all doubles.
const WHOLE: i64 = 1 << 53;
/// The greatest exponent.
const MAX_EXPONENT: u8 = 9;
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// After this many values in a row that are no decimals, exponents are no longer looked for.
const MAX_MISSES: u8 = 3;
/// Samples encoded between two copies.
const RUN: usize = 16;
/// The longest sample: head, 8 of time, 2 and 8 of value.
const SAMPLE_MAX: usize = 19;
/// Zigzag differences of so many bytes at most are written as such.
const INT_BYTES: usize = 6;

/// What the next sample is written against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) ts: i64,
    pub(crate) delta: i64,
    pub(crate) bits: u64,
    pub(crate) exponent: u8,
    /// Values in a row that no exponent was found for. Only the writer's: it decides what is tried, not what is read.
    pub(crate) misses: u8,
    /// The exponent to try after the one in force. Only the writer's.
    pub(crate) hint: u8,
}

/// Room for a run of samples; kept, so that it is not cleared for each.
#[derive(Debug)]
pub(crate) struct Room([u8; RUN * SAMPLE_MAX + 8]);

impl Default for Room {
    fn default() -> Self {
        Self([0; RUN * SAMPLE_MAX + 8])
    }
}

/// `v` times a power of ten, where that is a whole number from which it comes back bit for bit.
#[inline]
fn scaled(v: f64, exponent: u8) -> Option<i64> {
    if exponent == 0 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not survive the cast is no whole number"
        )]
        let i = v as i64;
        return ((i as f64).to_bits() == v.to_bits() && i.abs() < WHOLE).then_some(i);
    }
    let power = POWERS[usize::from(exponent)];
    #[expect(clippy::cast_possible_truncation, reason = "likewise: verified by the way back")]
    let i = (v * power + 0.5_f64.copysign(v)) as i64;
    ((i as f64 / power).to_bits() == v.to_bits() && i.unsigned_abs() < WHOLE.unsigned_abs()).then_some(i)
}

#[inline]
fn unscaled(i: i64, exponent: u8) -> f64 {
    if exponent == 0 { i as f64 } else { i as f64 / POWERS[usize::from(exponent)] }
}

#[inline]
fn byte_len(v: u64) -> usize {
    (64 - v.leading_zeros() as usize).div_ceil(8)
}

#[inline]
fn small(n: usize) -> u8 {
    low_byte(n as u64)
}

impl State {
    /// Appends samples to `out`, in any order of time.
    pub(crate) fn encode(&mut self, samples: &[(i64, f64)], room: &mut Room, out: &mut Vec<u8>) {
        let mut base = scaled(f64::from_bits(self.bits), self.exponent).unwrap_or(0);
        for run in samples.chunks(RUN) {
            let mut at = 0;
            for &(ts, value) in run {
                at = self.put(ts, value, &mut base, &mut room.0, at);
            }
            if out.capacity() - out.len() < at {
                // A quarter more at a time: half a million of these are in memory at once.
                out.reserve_exact(at.max(out.len() / 4));
            }
            out.extend_from_slice(&room.0[..at]);
        }
    }

    #[inline]
    fn put(&mut self, ts: i64, value: f64, base: &mut i64, out: &mut [u8], start: usize) -> usize {
        let delta = ts.wrapping_sub(self.ts);
        let change = zigzag(delta.wrapping_sub(self.delta));
        self.ts = ts;
        self.delta = delta;
        let mut at = start + 1;
        let mut head = 0;
        if change != 0 {
            let n = byte_len(change);
            head = small(n);
            out[at..at + 8].copy_from_slice(&change.to_le_bytes());
            at += n;
        }
        let bits = value.to_bits();
        if bits != self.bits {
            let (class, next) = self.put_value(value, base, out, at);
            head |= class << 4;
            at = next;
            self.bits = bits;
        }
        out[start] = head;
        at
    }

    fn put_value(&mut self, value: f64, base: &mut i64, out: &mut [u8], mut at: usize) -> (u8, usize) {
        let int = scaled(value, self.exponent);
        if let Some(i) = int {
            self.misses = 0;
            let change = zigzag(i.wrapping_sub(*base));
            *base = i;
            let n = byte_len(change).max(1);
            if n <= INT_BYTES {
                out[at..at + 8].copy_from_slice(&change.to_le_bytes());
                return (small(n), at + n);
            }
        } else {
            if self.misses < MAX_MISSES {
                if let Some((exponent, i)) = self.find_exponent(value) {
                    let before = scaled(f64::from_bits(self.bits), exponent).unwrap_or(0);
                    let change = zigzag(i.wrapping_sub(before));
                    let n = byte_len(change).max(1);
                    if n <= INT_BYTES {
                        self.exponent = exponent;
                        self.hint = exponent;
                        self.misses = 0;
                        *base = i;
                        out[at] = exponent | small(n) << 4;
                        out[at + 1..at + 9].copy_from_slice(&change.to_le_bytes());
                        return (15, at + 1 + n);
                    }
                }
                self.misses += 1;
            }
            *base = 0;
        }
        let change = value.to_bits() ^ self.bits;
        let (high, low) = (change.leading_zeros() / 8, change.trailing_zeros() / 8);
        let n = 8 - high as usize;
        if low < 2 && n < 8 {
            out[at..at + 8].copy_from_slice(&change.to_le_bytes());
            return (small(n + 7), at + n);
        }
        out[at] = low_byte(u64::from(high | low << 3));
        at += 1;
        out[at..at + 8].copy_from_slice(&(change >> (low * 8)).to_le_bytes());
        (7, at + n - low as usize)
    }

    fn find_exponent(&self, value: f64) -> Option<(u8, i64)> {
        if !value.is_finite() {
            return None;
        }
        let hinted = std::iter::once(self.hint).filter(|&e| e <= MAX_EXPONENT);
        hinted.chain(0..=MAX_EXPONENT).find_map(|e| scaled(value, e).map(|i| (e, i)))
    }

    /// Reads `count` samples from the front of `bytes` and hands each to `take`. Returns how many bytes they were; `None` when
    /// the bytes are no such samples.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        count: usize,
        mut take: impl FnMut(i64, f64),
    ) -> Option<usize> {
        // Each sample is a byte at least.
        if count > bytes.len() {
            return None;
        }
        let mut base = scaled(f64::from_bits(self.bits), self.exponent.min(MAX_EXPONENT)).unwrap_or(0);
        let mut at = 0;
        for _ in 0..count {
            let head = *bytes.get(at)?;
            at += 1;
            let n = usize::from(head & 15);
            if n > 8 {
                return None;
            }
            if n > 0 {
                self.delta = self.delta.wrapping_add(unzigzag(load(bytes, at, n)?));
                at += n;
            }
            self.ts = self.ts.wrapping_add(self.delta);
            let class = head >> 4;
            match class {
                0 => {}
                1..=6 => {
                    let n = usize::from(class);
                    base = base.wrapping_add(unzigzag(load(bytes, at, n)?));
                    at += n;
                    self.bits = unscaled(base, self.exponent).to_bits();
                }
                15 => {
                    let spec = *bytes.get(at)?;
                    let (exponent, n) = (spec & 15, usize::from(spec >> 4));
                    if exponent > MAX_EXPONENT || !(1..=INT_BYTES).contains(&n) {
                        return None;
                    }
                    self.exponent = exponent;
                    self.hint = exponent;
                    let before = scaled(f64::from_bits(self.bits), exponent).unwrap_or(0);
                    base = before.wrapping_add(unzigzag(load(bytes, at + 1, n)?));
                    at += 1 + n;
                    self.bits = unscaled(base, exponent).to_bits();
                }
                _ => {
                    let (low, n) = if class == 7 {
                        let trim = *bytes.get(at)?;
                        at += 1;
                        let (high, low) = (usize::from(trim & 7), usize::from(trim >> 3));
                        (low, 8_usize.checked_sub(high + low).filter(|&n| n > 0)?)
                    } else {
                        (0, usize::from(class) - 7)
                    };
                    self.bits ^= load(bytes, at, n)? << (low * 8);
                    at += n;
                    base = scaled(f64::from_bits(self.bits), self.exponent).unwrap_or(0);
                }
            }
            take(self.ts, f64::from_bits(self.bits));
        }
        Some(at)
    }
}

/// `n` bytes, 1 to 8, low ones first.
#[inline]
fn load(bytes: &[u8], at: usize, n: usize) -> Option<u64> {
    if let Some(eight) = bytes.get(at..).and_then(|b| b.first_chunk::<8>()) {
        return Some(u64::from_le_bytes(*eight) & (u64::MAX >> (64 - 8 * n)));
    }
    let mut eight = [0; 8];
    eight[..n].copy_from_slice(bytes.get(at..at + n)?);
    Some(u64::from_le_bytes(eight))
}

/// The time of a stream's first sample.
pub(crate) fn first_ts(bytes: &[u8]) -> Option<i64> {
    let mut first = None;
    State::default().decode(bytes, 1, |ts, _| first = Some(ts))?;
    first
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
            Just(-0.0),
            Just(0.0),
            Just(f64::INFINITY),
            Just(model::STALE_NAN),
            (-1000_i64..1000).prop_map(|i| i as f64 / 100.0),
            (0_i64..1_000_000_000).prop_map(|i| i as f64 / 1e6),
        ]
    }

    fn encoded(samples: &[(i64, f64)]) -> Vec<u8> {
        let mut out = vec![];
        State::default().encode(samples, &mut Room::default(), &mut out);
        out
    }

    #[test]
    fn usual_series_are_two_or_three_bytes_a_sample() {
        for (step, limit) in [(1.0, 2.2), (0.0, 1.2), (0.25, 2.2), (1500.0, 3.2)] {
            let samples: Vec<(i64, f64)> =
                (0..100).map(|i| (1_700_000_000_000 + i * 15_000, i as f64 * step)).collect();
            let n = encoded(&samples).len() as f64 / 100.0;
            assert!(n < limit, "{n} bytes a sample at {step}");
        }
    }

    proptest! {
        #[test]
        fn samples_round_trip(runs in prop::collection::vec(prop::collection::vec((any::<i64>(), 0_u32..64, value()), 0..40), 1..4)) {
            let (mut out, mut state, mut all) = (vec![], State::default(), vec![]);
            for run in runs {
                let run: Vec<(i64, f64)> = run.into_iter().map(|(t, shift, v)| (t >> shift, v)).collect();
                state.encode(&run, &mut Room::default(), &mut out);
                all.extend(run);
            }
            let (mut back, mut end) = (vec![], State::default());
            prop_assert_eq!(end.decode(&out, all.len(), |t, v| back.push((t, v.to_bits()))), Some(out.len()));
            prop_assert_eq!(back, all.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>());
            prop_assert_eq!((end.ts, end.delta, end.bits, end.exponent), (state.ts, state.delta, state.bits, state.exponent));
            if let Some((t, _)) = all.first() {
                prop_assert_eq!(first_ts(&out), Some(*t));
            }
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..100), count in 0_usize..120) {
            let mut n = 0;
            let _ = State::default().decode(&bytes, count, |_, _| n += 1);
            prop_assert!(n <= count);
        }
    }
}
