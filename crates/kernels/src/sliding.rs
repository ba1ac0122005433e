//! Windows that overlap: what a window shares with the one before it is not looked at again.
//!
//! Extremes keep what the older part of a window comes to from each of its samples on, and one value for the newer part; quantiles
//! keep a set of ranks with a finger near the wanted one. Both give the bits of the window taken by itself.

use crate::eval::fill;
use crate::kahan::NAN;
use crate::quantile::{NearRank, near_rank};
use crate::{Grid, Windows};

/// Whether the windows hold samples so often that sliding pays for what it sets up.
pub(crate) fn pays(windows: &Windows, times: usize) -> bool {
    let held: usize = windows.iter().map(|w| w.len()).sum();
    held > times * windows.extent().len()
}

/// Whether the order in which extremes are taken shows in their bits: NaN gives way, and of the two zeros the first one stays.
pub(crate) fn order_shows(values: &[f64]) -> bool {
    const NEGATIVE_ZERO: u64 = 1 << 63;
    let shows = |v: f64| v.is_nan() | (v.to_bits() == NEGATIVE_ZERO);
    values.chunks(256).any(|c| c.iter().fold(false, |any, &v| any | shows(v)))
}

/// `min_over_time` or `max_over_time` where [`order_shows`] is false: `worse(a, b)` says that `a` gives way to `b`.
pub(crate) fn extremes(
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    (out, present): (&mut [f64], &mut [u64]),
    worse: impl Fn(f64, f64) -> bool,
) {
    let better = |a: f64, b: f64| if worse(a, b) { b } else { a };
    // The extreme of each sample up to `middle` and those between, and of those from there to `next`.
    let mut older: Vec<f64> = vec![0.0; values.len()];
    let (mut middle, mut next) = (0, 0);
    let mut newer = None;
    fill(windows, grid, out, present, |_, w| {
        if w.is_empty() {
            return None;
        }
        if w.start >= middle {
            let mut best = values[w.end - 1];
            for (o, &v) in older[w.clone()].iter_mut().zip(&values[w.clone()]).rev() {
                best = better(best, v);
                *o = best;
            }
            (middle, next) = (w.end, w.end);
            newer = None;
            return Some(best);
        }
        for &v in &values[next..w.end] {
            newer = Some(newer.map_or(v, |n| better(n, v)));
        }
        next = w.end;
        let old = older[w.start];
        Some(newer.map_or(old, |n| better(old, n)))
    });
}

/// `quantile_over_time` for a `q` of 0 to 1: the samples of the window as a set of ranks within the column.
pub(crate) fn quantiles(
    q: f64,
    values: &[f64],
    windows: &Windows,
    grid: &Grid,
    (out, present): (&mut [f64], &mut [u64]),
) {
    let extent = windows.extent();
    let base = extent.start;
    let (sorted, ranks) = ranked(&values[extent]);
    let mut set = RankSet::new(sorted.len());
    let (mut lo, mut hi) = (base, base);
    // Most windows are equally long.
    let (mut len, mut near) = (0, near_rank(q, 1));
    fill(windows, grid, out, present, |_, w| {
        if w.is_empty() {
            return None;
        }
        for &rank in &ranks[hi.max(w.start) - base..w.end.max(hi) - base] {
            set.insert(rank);
        }
        for &rank in &ranks[lo - base..w.start.min(hi) - base] {
            set.remove(rank);
        }
        (lo, hi) = (w.start, w.end);
        if w.len() != len {
            (len, near) = (w.len(), near_rank(q, w.len()));
        }
        let NearRank { lower, upper, weight } = near;
        let (low, next) = set.at(lower);
        let low = sorted[low];
        let high = if upper == lower { low } else { next.map_or(NAN, |next| sorted[next]) };
        Some(low * (1.0 - weight) + high * weight)
    });
}

/// A double's place among all doubles, NaN first, as the quantile of a plain slice has it.
fn order(v: f64) -> u64 {
    let bits = v.to_bits();
    match () {
        () if v.is_nan() => 0,
        () if bits >> 63 == 1 => !bits,
        () => bits | 1 << 63,
    }
}

/// The values in order, and each value's place in it.
fn ranked(values: &[f64]) -> (Vec<f64>, Vec<u32>) {
    const INDEX_BITS: u32 = 16;
    let keys = || values.iter().map(|v| order(*v));
    let first = keys().next().unwrap_or(0);
    let differ = keys().fold(0, |all, key| all | (key ^ first));
    let shift = if differ == 0 { 0 } else { differ.trailing_zeros() };
    let mut sorted = Vec::with_capacity(values.len());
    let mut ranks = vec![0_u32; values.len()];
    let mut put = |rank: usize, i: usize| {
        sorted.push(values[i]);
        // A column is shorter than 2^32.
        ranks[i] = rank as u32;
    };
    if values.len() <= 1 << INDEX_BITS && differ >> shift < 1 << (u64::BITS - INDEX_BITS) {
        // What tells the values apart, and the index, in one word: sorting those is fastest.
        let low = (1_u64 << INDEX_BITS) - 1;
        let word = |(i, key): (usize, u64)| ((key & differ) >> shift) << INDEX_BITS | i as u64;
        let mut words: Vec<u64> = keys().enumerate().map(word).collect();
        sort_words(&mut words, INDEX_BITS, differ >> shift);
        words.iter().enumerate().for_each(|(rank, word)| put(rank, (word & low) as usize));
    } else {
        let mut pairs: Vec<(u64, usize)> = keys().enumerate().map(|(i, key)| (key, i)).collect();
        pairs.sort_unstable();
        pairs.iter().enumerate().for_each(|(rank, &(_, i))| put(rank, i));
    }
    (sorted, ranks)
}

/// Sorts words whose bits below `from` ascend already; `differ` has a bit for each above that is not the same in all.
fn sort_words(words: &mut Vec<u64>, from: u32, differ: u64) {
    const DIGIT: u32 = 11;
    let passes = (u64::BITS - differ.leading_zeros()).div_ceil(DIGIT);
    if passes > 3 || words.len() < 256 {
        words.sort_unstable();
        return;
    }
    // Stable, digit by digit from the lowest.
    let mut spare = vec![0; words.len()];
    for pass in 0..passes {
        let digit = |word: u64| (word >> (from + pass * DIGIT)) as usize & ((1 << DIGIT) - 1);
        let mut places = [0_u32; 1 << DIGIT];
        words.iter().for_each(|word| places[digit(*word)] += 1);
        let mut before = 0;
        for place in &mut places {
            before += std::mem::replace(place, before);
        }
        for &word in &*words {
            let place = &mut places[digit(word)];
            spare[*place as usize] = word;
            *place += 1;
        }
        std::mem::swap(words, &mut spare);
    }
}

/// A set of small numbers with a finger that remembers how many are before it.
struct RankSet {
    words: Vec<u64>,
    finger: usize,
    /// Members in the words before the finger's.
    before: usize,
}

impl RankSet {
    fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64).max(1)], finger: 0, before: 0 }
    }

    #[inline(always)]
    fn insert(&mut self, rank: u32) {
        let word = rank as usize / 64;
        self.words[word] |= 1 << (rank % 64);
        self.before += usize::from(word < self.finger);
    }

    #[inline(always)]
    fn remove(&mut self, rank: u32) {
        let word = rank as usize / 64;
        self.words[word] &= !(1 << (rank % 64));
        self.before -= usize::from(word < self.finger);
    }

    /// The `k`-th member (from 0), of which there is one, and the one after it.
    #[inline(always)]
    fn at(&mut self, k: usize) -> (usize, Option<usize>) {
        while self.before > k {
            self.finger -= 1;
            self.before -= self.words[self.finger].count_ones() as usize;
        }
        loop {
            let here = self.words[self.finger].count_ones() as usize;
            if self.before + here > k || self.finger + 1 == self.words.len() {
                break;
            }
            self.before += here;
            self.finger += 1;
        }
        let mut left = self.words[self.finger];
        for _ in self.before..k {
            left &= left.wrapping_sub(1);
        }
        let found = self.finger * 64 + left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        let mut word = self.finger;
        while left == 0 {
            word += 1;
            match self.words.get(word) {
                Some(next) => left = *next,
                None => return (found, None),
            }
        }
        (found, Some(word * 64 + left.trailing_zeros() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_order_of_quantiles() {
        for values in [
            vec![3.0, -0.0, f64::NAN, 0.0, f64::NEG_INFINITY, -5.5, 3.0],
            vec![4096.0, 8192.0, 4096.0],
            vec![1.0; 70],
            vec![],
        ] {
            let (sorted, ranks) = ranked(&values);
            let mut expect = values.clone();
            expect.sort_by_key(|v| order(*v));
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&sorted), bits(&expect));
            for (v, rank) in values.iter().zip(ranks) {
                assert_eq!(sorted[rank as usize].to_bits(), v.to_bits());
            }
        }
    }

    #[test]
    fn words_are_sorted_by_digits_and_otherwise() {
        for (count, bits) in [(1000_u64, 33), (1000, 11), (1000, 40), (100, 20), (3000, 1)] {
            let mut state = 7_u64;
            let mut words: Vec<u64> = (0..count)
                .map(|i| {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> (64 - bits)) << 16 | i
                })
                .collect();
            let mut expect = words.clone();
            expect.sort_unstable();
            sort_words(&mut words, 16, (1 << bits) - 1);
            assert_eq!(words, expect, "{count} {bits}");
        }
    }

    #[test]
    fn the_finger_finds_members_wherever_it_was() {
        let mut set = RankSet::new(300);
        let members = [3_u32, 64, 65, 200, 299];
        members.iter().for_each(|m| set.insert(*m));
        for k in [4, 0, 2, 3, 1, 4] {
            let next = members.get(k + 1).map(|m| *m as usize);
            assert_eq!(set.at(k), (members[k] as usize, next), "{k}");
        }
        set.remove(64);
        assert_eq!(set.at(1), (65, Some(200)));
    }
}
