//! `kill -9` under load, again and again on one directory: nothing acknowledged is missing afterwards, nothing is invented,
//! and no write is there by half.
//!
//! A child process writes from several threads while another one seals, flushes to blocks, writes checkpoints and merges, all as fast
//! as they can; each write is told to the parent once the store has acknowledged it. The parent kills the child at random
//! moments, also while it starts, opens the store and compares. What a write holds follows from writer and number
//! alone, so the parent knows it. `VIGIE_KILL_ROUNDS` sets the number of rounds, `VIGIE_KILL_SEED` the moments.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use model::{LabelSet, STALE_NAN, TimestampMs};
use storage::{
    ABSENT, PointAppender, Refusals, RowAppender, SampleAppender, SeriesPoints, SeriesSample, StoreStatus,
    is_absent,
};
use support::{NOW, open_with, options, samples, series};
use tsdb::{Store, StoreOptions};

const DIR: &str = "VIGIE_KILL_TEST_DIR";
const FIRST: &str = "VIGIE_KILL_TEST_FIRST";
/// Time between two writes of one writer.
const STEP_MS: i64 = 250;
/// How many writes one writer may be ahead of another: a flush shuts out rows that are half a span old.
const LEAD: i64 = 20;
/// Rounds on one directory; then the next one is begun, so that comparing does not take ever longer.
const ROUNDS_PER_DIRECTORY: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Writer {
    /// Rows of a group that gets new series now and then.
    Rows(usize),
    /// Batches of single samples.
    Loose(usize),
    /// Batches of several points a series, some of them late.
    Points(usize),
}

const WRITERS: [Writer; 5] =
    [Writer::Rows(0), Writer::Rows(1), Writer::Loose(2), Writer::Loose(3), Writer::Points(4)];

/// By series and time: bits.
type Samples = BTreeMap<(usize, TimestampMs), u64>;

/// SplitMix64's finisher.
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn value(random: u64, k: i64) -> f64 {
    match random % 16 {
        0 => STALE_NAN,
        1 => f64::from_bits(random),
        2..5 => (random % 10_000) as f64 / 100.0,
        5..8 => (random % 1_000_000) as f64 * 1e-7,
        _ => (k * 10 + (random % 7) as i64) as f64,
    }
}

impl Writer {
    fn number(self) -> usize {
        match self {
            Self::Rows(n) | Self::Loose(n) | Self::Points(n) => n,
        }
    }

    /// Series of a row, by slot.
    fn slots(self, k: i64) -> Vec<usize> {
        let width = 3 + usize::try_from(k / 50).unwrap().min(25);
        (0..width).map(|slot| self.number() * 1000 + slot).collect()
    }

    fn row(self, k: i64) -> Vec<f64> {
        let random = |slot: usize| mix((self.number() as u64) << 56 ^ (k as u64) << 16 ^ slot as u64);
        let cell = |slot| if random(slot) % 23 == 0 { ABSENT } else { value(random(slot) >> 5, k) };
        (0..self.slots(k).len()).map(cell).map(|v| if is_absent(v) { ABSENT } else { v }).collect()
    }

    fn time(k: i64) -> TimestampMs {
        NOW + k * STEP_MS
    }

    /// All samples of write `k`.
    fn samples(self, k: i64) -> Samples {
        match self {
            Self::Rows(_) => {
                let cells = self.slots(k).into_iter().zip(self.row(k));
                cells
                    .filter(|(_, v)| !is_absent(*v))
                    .map(|(s, v)| ((s, Self::time(k)), v.to_bits()))
                    .collect()
            }
            Self::Loose(n) => {
                let random = mix((n as u64) << 56 ^ k as u64);
                let count = 1 + random % 5;
                let sample = |i: u64| {
                    let series = n * 1000 + ((random >> 8) + i) as usize % 9;
                    let v = value(mix(random ^ i), k);
                    ((series, Self::time(k) + n as i64), if is_absent(v) { 0 } else { v.to_bits() })
                };
                (0..count).map(sample).collect()
            }
            Self::Points(n) => {
                let random = mix((n as u64) << 56 ^ k as u64);
                let mut samples = Samples::new();
                for i in 0..1 + random % 4 {
                    let series = n * 1000 + ((random >> 8) + i) as usize % 7;
                    let mut put = |ts, i: u64| {
                        let v = value(mix(random ^ i << 8), k);
                        samples.insert((series, ts), if is_absent(v) { 0 } else { v.to_bits() });
                    };
                    (0..1 + (random >> 16) % 5).for_each(|j| put(Self::time(k) + j as i64, i * 8 + j));
                    // Late by less than the window; no other write has this time.
                    let back = 1 + (random >> 24) as i64 % 100;
                    if random >> 40 & 1 == 0 && back <= k {
                        put(Self::time(k - back) + 100 + back, i * 8 + 7);
                    }
                }
                samples
            }
        }
    }

    fn write(self, store: &Store, open: Option<storage::GroupId>, k: i64) {
        match self {
            Self::Rows(_) => {
                let group = open.expect("rows have a group");
                let slots: Vec<LabelSet> = self.slots(k).into_iter().map(series).collect();
                store.define(group, &slots).unwrap();
                store.append_row(group, Self::time(k), &self.row(k)).unwrap();
            }
            Self::Loose(_) => {
                let samples = self.samples(k);
                let batch: Vec<SeriesSample> = samples
                    .iter()
                    .map(|(&(s, ts), &bits)| SeriesSample {
                        labels: series(s),
                        ts,
                        value: f64::from_bits(bits),
                    })
                    .collect();
                let report = store.append(&batch).unwrap();
                assert_eq!(report.accepted, batch.len(), "{self:?} {k}: {report:?}");
            }
            Self::Points(_) => {
                let mut by_series: BTreeMap<usize, Vec<(TimestampMs, f64)>> = BTreeMap::new();
                for ((s, ts), bits) in self.samples(k) {
                    by_series.entry(s).or_default().push((ts, f64::from_bits(bits)));
                }
                let labels: Vec<LabelSet> = by_series.keys().map(|&s| series(s)).collect();
                let batch: Vec<SeriesPoints<'_>> = by_series
                    .iter()
                    .zip(&labels)
                    .map(|((&s, floats), labels)| SeriesPoints {
                        key: (k % 3 > 0).then_some(s as u128),
                        labels,
                        floats,
                        histograms: &[],
                        exemplars: &[],
                    })
                    .collect();
                let report = store.append_points(&batch, Refusals::FailBatch).unwrap();
                let count: usize = by_series.values().map(Vec::len).sum();
                assert_eq!(report.floats, count, "{self:?} {k}: {report:?}");
            }
        }
    }
}

fn small() -> StoreOptions {
    StoreOptions { block_span_ms: 20_000, max_block_span_ms: Some(320_000), ..options() }
}

/// The child's part: writes until it is killed.
#[test]
fn child_writes_until_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let first: i64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = open_with(Path::new(&dir), small());
    let at: Arc<Vec<AtomicI64>> = Arc::new(WRITERS.iter().map(|_| AtomicI64::new(first)).collect());
    std::thread::scope(|scope| {
        for (place, writer) in WRITERS.into_iter().enumerate() {
            let (store, at) = (&store, Arc::clone(&at));
            scope.spawn(move || {
                let open = matches!(writer, Writer::Rows(_)).then(|| {
                    let key = LabelSet::from_pairs([("job", writer.number().to_string())]);
                    store.open_group(&key).unwrap()
                });
                for k in first.. {
                    at[place].store(k, Ordering::Relaxed);
                    while at.iter().any(|other| other.load(Ordering::Relaxed) + LEAD < k) {
                        std::thread::yield_now();
                    }
                    writer.write(store, open, k);
                    // One write, so that lines of different threads do not mix; the test harness has the other stream.
                    std::io::stderr().write_all(format!("ack {place} {k}\n").as_bytes()).unwrap();
                }
            });
        }
        scope.spawn(|| {
            loop {
                store.maintain(NOW).unwrap();
            }
        });
        scope.spawn(|| {
            loop {
                store.compact(NOW).unwrap();
            }
        });
    });
}

fn child(dir: &Path, first: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_killed", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the store must have.
#[derive(Default)]
struct Known {
    samples: Samples,
    acknowledged: usize,
}

impl Known {
    /// Takes over what the child acknowledged, by writer the number of its last write, if any, and compares.
    fn check(&mut self, store: &Store, first: i64, last: &[Option<i64>], what: &str) {
        for (writer, last) in WRITERS.into_iter().zip(last) {
            for k in first..=last.unwrap_or(first - 1) {
                self.samples.extend(writer.samples(k));
                self.acknowledged += 1;
            }
        }
        let found = samples(store);
        for (place, bits) in &self.samples {
            assert_eq!(
                found.get(place),
                Some(bits),
                "{what}: acknowledged sample {place:?} is missing or differs"
            );
        }
        // What was being written when the kill came is there wholly or not at all.
        let mut allowed = Samples::new();
        for (writer, last) in WRITERS.into_iter().zip(last) {
            let under_way = writer.samples(last.map_or(first, |k| k + 1));
            let there = under_way.keys().filter(|place| found.contains_key(place)).count();
            assert!(
                there == 0 || there == under_way.len(),
                "{what}: {writer:?}: {there} of {}",
                under_way.len()
            );
            allowed.extend(under_way);
        }
        for (place, bits) in &found {
            if !self.samples.contains_key(place) {
                assert_eq!(allowed.get(place), Some(bits), "{what}: sample {place:?} was never written");
            }
        }
        // What was seen stays.
        self.samples = found;
    }
}

#[test]
fn kills_lose_nothing_and_invent_nothing() {
    if std::env::var_os(DIR).is_some() {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("VIGIE_KILL_ROUNDS").map_or(20, |n| usize::try_from(n).unwrap());
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut seed = number("VIGIE_KILL_SEED").unwrap_or(clock.as_nanos() as u64);
    println!("VIGIE_KILL_SEED={seed} VIGIE_KILL_ROUNDS={rounds}");
    // What the store says when it is opened after a kill: shown where the test fails.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer().init();
    let mut dir = tempfile::tempdir().unwrap();
    let (mut known, mut first) = (Known::default(), 0);
    let (mut acknowledged, mut blocks) = (0, 0);
    for round in 0..rounds {
        if round > 0 && round % ROUNDS_PER_DIRECTORY == 0 {
            dir = tempfile::tempdir().unwrap();
            acknowledged += known.acknowledged;
            (known, first) = (Known::default(), 0);
        }
        seed = mix(seed);
        let what = format!("round {round}");
        let last = run_and_kill(dir.path(), first, seed);
        let store = open_with(dir.path(), small());
        if store.head_stats().corruptions > 0 {
            let kept = dir.keep();
            panic!(
                "{what}: damage found after a kill; the store's messages are above, its files in {}",
                kept.display()
            );
        }
        known.check(&store, first, &last, &what);
        blocks = blocks.max(storage::StoreAdmin::blocks(&*store).len());
        // Each writer goes on after all that may have been written.
        first = last.iter().flatten().max().map_or(first, |k| k + 1) + 1;
        match seed >> 60 {
            0..4 => store.close().unwrap(),
            4..8 => store.maintain(NOW).unwrap(),
            // As the kill left it, but for what opening did.
            _ => {}
        }
    }
    acknowledged += known.acknowledged;
    println!("{acknowledged} writes acknowledged, {blocks} blocks at most");
    assert!(acknowledged > rounds, "the children have written");
}

/// By writer the last acknowledged write.
fn run_and_kill(dir: &Path, first: i64, seed: u64) -> Vec<Option<i64>> {
    let mut child = child(dir, first);
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    // One in five dies while it starts, the others after a random time of writing.
    let early = seed.is_multiple_of(5);
    if !early {
        while !said.contains("ack ") {
            let read = lines.read_line(&mut said).unwrap();
            assert!(read > 0, "the child ended: {said}");
        }
    }
    let delay = Duration::from_micros(seed >> 8 & 0x1_ffff);
    let until = Instant::now() + delay;
    let reader = std::thread::spawn(move || {
        // To its end: what was acknowledged up to the kill.
        lines.read_to_string(&mut said).unwrap();
        said
    });
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    let ended = child.try_wait().unwrap();
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    let said = reader.join().unwrap();
    assert!(ended.is_none(), "the child ended by itself: {said}");
    let mut last = vec![None; WRITERS.len()];
    for line in said.lines() {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("ack"), Some(place), Some(k)) => {
                let (place, k): (usize, i64) = (place.parse().unwrap(), k.parse().unwrap());
                assert!(last[place].is_none_or(|before| before + 1 == k), "in order");
                last[place] = Some(k);
            }
            _ => panic!("the child says: {said}"),
        }
    }
    last
}
