//! Where a series is cut into chunks.
//!
//! Chunks share timestamp vectors, so series of one target have to be cut at the same times even where one of them began later or
//! missed a scrape. Cuts are therefore made at multiples of a length of time, which depends on the usual distance of two samples
//! only, and by number of rows only where that distance shrinks.

/// Rows a chunk has at most: 480 (two hours at 15 s) with room for jitter. Twice as many save 2 % and make a narrow read twice as
/// dear.
pub(super) const MAX_ROWS: usize = 512;
/// Slots are this long, or twice, four times, half, a quarter … as long.
const BASE_SLOT_MS: i64 = 7_200_000;
/// `BASE_SLOT_MS` can be halved this often.
const HALVINGS: u32 = 8;

/// The length of a slot for samples about `interval_ms` apart: the longest with no more than about 480.
pub(super) fn slot_ms(interval_ms: i64) -> i64 {
    // A little more than the target, lest jitter about it halves the slots of some series and not of others.
    let longest = interval_ms.saturating_mul(496);
    let mut slot = BASE_SLOT_MS >> HALVINGS;
    while slot <= longest / 2 {
        slot *= 2;
    }
    slot
}

/// The usual distance of two samples: the median of nine.
pub(super) fn interval_ms(ts: &[i64]) -> i64 {
    let Some(last) = ts.len().checked_sub(2) else { return 0 };
    let mut some: [i64; 9] = std::array::from_fn(|i| {
        let at = i * last / 8;
        ts[at + 1].saturating_sub(ts[at])
    });
    some.sort_unstable();
    some[4]
}

/// Whether two times lie in one slot.
pub(super) fn same_slot(a: i64, b: i64, slot_ms: i64) -> bool {
    a.div_euclid(slot_ms) == b.div_euclid(slot_ms)
}

/// The length of the first chunk of some ascending timestamps, at least 1 unless there are none.
pub(super) fn first(ts: &[i64], slot_ms: i64) -> usize {
    let Some(&start) = ts.first() else { return 0 };
    let most = &ts[..ts.len().min(MAX_ROWS)];
    if same_slot(start, most[most.len() - 1], slot_ms) {
        return most.len();
    }
    most.partition_point(|&t| same_slot(start, t, slot_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(ts: &[i64]) -> Vec<usize> {
        let slot = slot_ms(interval_ms(ts));
        let mut rest = ts;
        let mut lengths = vec![];
        while !rest.is_empty() {
            let n = first(rest, slot);
            lengths.push(n);
            rest = &rest[n..];
        }
        lengths
    }

    #[test]
    fn cuts_by_slots() {
        for (interval, from, rows, expect) in [
            (15_000, 7_200_000, 960, &[480, 480][..]),
            // One that began late falls into step.
            (15_000, 7_200_000 + 15_000 * 100, 860, &[380, 480]),
            (30_000, 0, 500, &[480, 20]),
            (5_000, 0, 800, &[360, 360, 80]),
            (1_000, 0, 1_000, &[450, 450, 100]),
            (1, 0, 1_100, &[512, 512, 76]),
            (3_600_000, 0, 500, &[256, 244]),
            (i64::MAX / 4, 0, 4, &[4]),
        ] {
            let ts: Vec<i64> = (0..rows).map(|i| from + i * interval).collect();
            assert_eq!(lengths(&ts), expect, "{interval} ms");
        }
        assert_eq!(lengths(&[i64::MIN, 0, i64::MAX]).iter().sum::<usize>(), 3);
        assert_eq!(lengths(&[3]), [1]);
    }
}
