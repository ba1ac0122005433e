//! Exemplars: the newest of all series in one ring of fixed length, the oldest giving way, as upstream's
//! `CircularExemplarStorage`.
//!
//! ```text
//! payload  := exemplar, to the end
//! exemplar := series reference varint, time i64, value bits u64, length varint, label set
//! ```
//! The log has each batch's, the checkpoint all, oldest first.

use hashbrown::HashMap;
use model::{Exemplar, LabelSet, Matcher};
use roaring::RoaringBitmap;
use storage::{Error, ExemplarReader, TimeRange};

use crate::Store;
use crate::bytes::{Reader, put_bytes, put_varint};
use crate::checkpoint::Writer;
use crate::record::kind;

/// UTF-8 characters of all label names and values of an exemplar.
const MAX_LABEL_CHARS: usize = 128;
/// No exemplar.
const NONE: u32 = u32::MAX;
/// Bytes of a checkpoint's record, about.
const RECORD: usize = 64 << 10;

/// What becomes of an exemplar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    /// The newest of its series again.
    Known,
    /// Labels too long, older than the newest of its series, or none are kept.
    Refused,
}

#[derive(Debug)]
struct Entry {
    series: u32,
    /// The one before of the series: its place and its number, by which one that was overwritten is told.
    before: (u32, u64),
    number: u64,
    exemplar: Exemplar,
}

/// What is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExemplarStats {
    /// Exemplars.
    pub kept: u64,
    /// Series that have some.
    pub series: u64,
    /// The most that are kept.
    pub max: u64,
    /// The oldest one's time in milliseconds.
    pub oldest_ms: Option<i64>,
}

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    max: usize,
    ring: Vec<Entry>,
    next: usize,
    number: u64,
    /// The place of the newest of each series.
    newest: HashMap<u32, u32>,
}

impl Exemplars {
    pub(crate) fn new(max: usize) -> Self {
        Self { max: max.min(NONE as usize), ..Self::default() }
    }

    pub(crate) fn newest(&self, series: u32) -> Option<&Exemplar> {
        self.newest.get(&series).map(|&at| &self.ring[at as usize].exemplar)
    }

    pub(crate) fn stats(&self) -> ExemplarStats {
        ExemplarStats {
            kept: self.ring.len() as u64,
            series: self.newest.len() as u64,
            max: self.max as u64,
            oldest_ms: self.iter().next().and_then(|e| e.exemplar.ts),
        }
    }

    /// Judges an exemplar of a series whose newest is `newest`.
    pub(crate) fn judge(&self, newest: Option<&Exemplar>, exemplar: &Exemplar) -> Verdict {
        let labels = exemplar.labels.iter();
        let chars: usize = labels.map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if self.max == 0 || chars > MAX_LABEL_CHARS {
            return Verdict::Refused;
        }
        let Some(newest) = newest else { return Verdict::New };
        if newest.ts == exemplar.ts && same(newest, exemplar) {
            return Verdict::Known;
        }
        // Of one time several may come, for the buckets of a histogram: by value, then by labels, so that a repeated batch is
        // told from a new one.
        let order = exemplar.ts.cmp(&newest.ts).then(exemplar.value.total_cmp(&newest.value));
        let order = order.then_with(|| exemplar.labels.upstream_hash().cmp(&newest.labels.upstream_hash()));
        if order.is_lt() { Verdict::Refused } else { Verdict::New }
    }

    /// Takes an exemplar that was judged new and has its time.
    pub(crate) fn push(&mut self, series: u32, exemplar: Exemplar) {
        if self.max == 0 {
            return;
        }
        let before = self.newest.get(&series).map_or((NONE, 0), |&at| (at, self.ring[at as usize].number));
        self.number += 1;
        let entry = Entry { series, before, number: self.number, exemplar };
        let at = u32::try_from(self.next).expect("max is below 2^32");
        if let Some(old) = self.ring.get_mut(self.next) {
            let old = std::mem::replace(old, entry);
            if self.newest.get(&old.series) == Some(&at) {
                self.newest.remove(&old.series);
            }
        } else {
            self.ring.push(entry);
        }
        self.newest.insert(series, at);
        self.next = (self.next + 1) % self.max;
    }

    /// The exemplars of a series within a range, by time.
    fn of(&self, series: u32, range: TimeRange) -> Vec<Exemplar> {
        let mut all = vec![];
        let mut at = self.newest.get(&series).map(|&at| (at, self.ring[at as usize].number));
        while let Some((place, number)) = at {
            let Some(entry) = self.ring.get(place as usize) else { break };
            if entry.number != number {
                break;
            }
            if entry.exemplar.ts.is_some_and(|ts| (range.mint..=range.maxt).contains(&ts)) {
                all.push(entry.exemplar.clone());
            }
            at = Some(entry.before).filter(|b| b.0 != NONE);
        }
        all.reverse();
        all
    }

    /// All, oldest first.
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let start = if self.ring.len() < self.max { 0 } else { self.next };
        let (newer, older) = self.ring.split_at(start.min(self.ring.len()));
        older.iter().chain(newer)
    }

    /// Drops those of series that are gone.
    pub(crate) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        if self.newest.keys().all(|&s| keep(s)) {
            return;
        }
        let mut old = std::mem::replace(self, Self::new(self.max));
        let start = if old.ring.len() < old.max { 0 } else { old.next };
        old.ring.rotate_left(start);
        for entry in old.ring {
            if keep(entry.series) {
                self.push(entry.series, entry.exemplar);
            }
        }
    }

    /// Writes all to a checkpoint.
    pub(crate) fn write(&self, writer: &mut Writer) -> Result<(), Error> {
        let mut record = vec![];
        for entry in self.iter() {
            put(entry.series, &entry.exemplar, &mut record);
            if record.len() >= RECORD {
                writer.frame(kind::KEPT_EXEMPLARS, |out| out.extend_from_slice(&record))?;
                record.clear();
            }
        }
        if record.is_empty() {
            return Ok(());
        }
        writer.frame(kind::KEPT_EXEMPLARS, |out| out.extend_from_slice(&record))
    }

    /// Brings a record back, of the checkpoint or of the log; what is known already is left out. `None` when it is not of its
    /// shape; what was read before stays.
    pub(crate) fn load(&mut self, r: &mut Reader<'_>) -> Option<()> {
        while !r.is_empty() {
            let (series, ts, value) = (r.varint32()?, r.i64()?, f64::from_bits(r.u64()?));
            let exemplar = Exemplar { labels: LabelSet::from_bytes(r.bytes()?)?, value, ts: Some(ts) };
            if self.judge(self.newest(series), &exemplar) == Verdict::New {
                self.push(series, exemplar);
            }
        }
        Some(())
    }
}

fn same(a: &Exemplar, b: &Exemplar) -> bool {
    a.value.to_bits() == b.value.to_bits() && a.labels == b.labels
}

/// Appends an exemplar that has its time.
pub(crate) fn put(series: u32, exemplar: &Exemplar, out: &mut Vec<u8>) {
    put_varint(out, u64::from(series));
    out.extend_from_slice(&exemplar.ts.unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
    put_bytes(out, exemplar.labels.as_bytes());
}

impl ExemplarReader for Store {
    fn exemplars(
        &self,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<(LabelSet, Vec<Exemplar>)>, Error> {
        let selected = {
            let index = self.index.read();
            matcher_sets.iter().fold(RoaringBitmap::new(), |all, set| all | index.select(set))
        };
        let found: Vec<(u32, Vec<Exemplar>)> = {
            let exemplars = self.exemplars.lock();
            let series = exemplars.newest.keys().copied().filter(|&s| selected.contains(s));
            series.map(|s| (s, exemplars.of(s, range))).filter(|(_, e)| !e.is_empty()).collect()
        };
        let index = self.index.read();
        let live = found.into_iter().filter(|(s, _)| index.contains(*s));
        let mut all: Vec<(LabelSet, Vec<Exemplar>)> = live.map(|(s, e)| (index.labels(s), e)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(ts: i64, value: f64) -> Exemplar {
        Exemplar { labels: LabelSet::from_pairs([("trace", "a")]), value, ts: Some(ts) }
    }

    fn times(e: &Exemplars, series: u32) -> Vec<i64> {
        e.of(series, TimeRange { mint: i64::MIN, maxt: i64::MAX }).iter().filter_map(|e| e.ts).collect()
    }

    #[test]
    fn the_oldest_give_way_whatever_their_series() {
        let mut ring = Exemplars::new(4);
        for (series, ts) in [(1, 1), (2, 2), (1, 3), (1, 4), (3, 5), (1, 6)] {
            assert_eq!(ring.judge(ring.newest(series), &exemplar(ts, 0.0)), Verdict::New);
            ring.push(series, exemplar(ts, 0.0));
        }
        assert_eq!((times(&ring, 1), times(&ring, 2), times(&ring, 3)), (vec![3, 4, 6], vec![], vec![5]));
        let order: Vec<u32> = ring.iter().map(|e| e.series).collect();
        assert_eq!(order, [1, 1, 3, 1]);
        ring.retain(|s| s != 3);
        assert_eq!((times(&ring, 1), times(&ring, 3)), (vec![3, 4, 6], vec![]));
        let mut bytes = vec![];
        ring.iter().for_each(|e| put(e.series, &e.exemplar, &mut bytes));
        let mut back = Exemplars::new(4);
        back.load(&mut Reader::new(&bytes)).unwrap();
        back.load(&mut Reader::new(&bytes[bytes.len() - 5..])).ok_or(()).unwrap_err();
        assert_eq!(times(&back, 1), [3, 4, 6]);
    }

    #[test]
    fn verdicts() {
        let long = |n: usize| Exemplar {
            labels: LabelSet::from_pairs([("é", "ü".repeat(n))]),
            value: 1.0,
            ts: Some(20),
        };
        let mut ring = Exemplars::new(3);
        ring.push(1, exemplar(10, 5.0));
        for (case, expect) in [
            (exemplar(10, 5.0), Verdict::Known),
            (exemplar(10, 6.0), Verdict::New),
            (exemplar(10, 4.0), Verdict::Refused),
            (exemplar(9, 9.0), Verdict::Refused),
            (exemplar(11, 5.0), Verdict::New),
            (long(127), Verdict::New),
            (long(128), Verdict::Refused),
        ] {
            assert_eq!(ring.judge(ring.newest(1), &case), expect, "{case:?}");
        }
        assert_eq!(Exemplars::new(0).judge(None, &exemplar(1, 1.0)), Verdict::Refused);
    }
}
