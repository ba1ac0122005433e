//! When a target is scraped and which timestamp its samples get.

use std::time::Duration;

/// How far a scrape may be late and still get the timestamp of its slot.
const TOLERANCE_NS: u64 = 2_000_000;

/// Time until the target's next slot. Slots lie at the same distance from the interval's multiples whenever the process starts;
/// `hash` (of the target) and `seed` (of the server) spread them over the interval.
pub(crate) fn offset(now_ns: u64, interval: Duration, hash: u64, seed: u64) -> Duration {
    let interval = nanos(interval).max(1);
    let to_multiple = interval - now_ns % interval;
    let next = to_multiple + (hash ^ seed) % interval;
    Duration::from_nanos(if next > interval { next - interval } else { next })
}

/// The slots of one target.
#[derive(Debug)]
pub(crate) struct Slots {
    interval_ns: u64,
    aligned_ns: u64,
}

impl Slots {
    pub(crate) fn new(first_ns: u64, interval: Duration) -> Self {
        Self { interval_ns: nanos(interval).max(1), aligned_ns: first_ns }
    }

    /// The timestamp in milliseconds of a scrape that starts at `now_ns`: its slot's time if it is near, else its own.
    pub(crate) fn timestamp_ms(&mut self, now_ns: u64) -> i64 {
        let late = now_ns.saturating_sub(self.aligned_ns);
        self.aligned_ns += late / self.interval_ns * self.interval_ns;
        let tolerance = TOLERANCE_NS.min(self.interval_ns / 100);
        let near = now_ns >= self.aligned_ns && now_ns - self.aligned_ns <= tolerance;
        millis(if near { self.aligned_ns } else { now_ns })
    }

    /// Time from `now_ns` to the slot after the current one.
    pub(crate) fn until_next(&self, now_ns: u64) -> Duration {
        let late = now_ns.saturating_sub(self.aligned_ns) % self.interval_ns;
        let ahead = self.aligned_ns.saturating_sub(now_ns);
        Duration::from_nanos(ahead + self.interval_ns - late)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn offsets_are_fixed_to_the_clock() {
        let interval = Duration::from_secs(10);
        for now in [0, 3 * S, 1_234_567_890_123_456_789] {
            for hash in [0, 1, 7 * S + 5, u64::MAX] {
                let at = now + nanos(offset(now, interval, hash, 42));
                assert_eq!(at % (10 * S), (hash ^ 42) % (10 * S), "{now} {hash}");
                assert!(at > now && at <= now + 10 * S);
            }
        }
    }

    #[test]
    fn timestamps_snap_to_near_slots_only() {
        let mut slots = Slots::new(1000 * S, Duration::from_secs(10));
        for (now, ts) in [
            (1000 * S, 1_000_000),
            (1010 * S + 2_000_000, 1_010_000),
            (1020 * S + 3_000_000, 1_020_003),
            (1030 * S + 1_000_000, 1_030_000),
            (1065 * S, 1_065_000),
            (1070 * S + 1, 1_070_000),
        ] {
            assert_eq!(slots.timestamp_ms(now), ts);
        }
        assert_eq!(slots.until_next(1070 * S + 1), Duration::from_nanos(10 * S - 1));
        let mut short = Slots::new(0, Duration::from_millis(50));
        assert_eq!(short.timestamp_ms(51_000_000), 51, "one percent of the interval is less than 2 ms");
    }
}
