//! Reading definitions files at start.
//!
//! Records say how much they hold, so that sets are decoded into place by two threads, straight into what becomes the index.
//! What is damaged is lost, counted and named, and the file is written anew by the next checkpoint.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use hashbrown::{HashMap, HashSet};
use model::LabelSet;
use storage::Error;

use super::{Current, Definitions, HEADER_LEN, Written, failed, header, list, path};
use crate::bytes::Reader;
use crate::disk::{DiskFile, Faults};
use crate::group::LOST;
use crate::index::{Index, MAX_GROUP, Sets};
use crate::mmap;
use crate::record::{self, kind};

/// What the files said.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) definitions: Definitions,
    pub(crate) index: Index,
    /// By id.
    pub(crate) groups: Vec<LoadedGroup>,
    /// Above all references ever given to what the files name.
    pub(crate) next_series: u32,
    pub(crate) damaged: u64,
}

#[derive(Debug)]
pub(crate) struct LoadedGroup {
    pub(crate) id: u32,
    pub(crate) key: LabelSet,
    /// Series by slot, known or not.
    pub(crate) slots: Vec<u32>,
}

/// Reads the file that a checkpoint names with its length then; without a name, all there are, one after the other.
pub(crate) fn load(dir: &Path, named: Option<(u32, u64)>, faults: &Faults) -> Result<Loaded, Error> {
    let there = list(dir)?;
    let next = there.last().map_or(1, |n| n + 1);
    let numbers = match named {
        Some((number, _)) => vec![number],
        None => there,
    };
    let mut loaded = Loaded {
        definitions: Definitions::none(dir, next.max(named.map_or(1, |(n, _)| n + 1)), faults),
        index: Index::default(),
        groups: vec![],
        next_series: 0,
        damaged: 0,
    };
    for number in numbers {
        if let Err(e) = load_file(&mut loaded, dir, number, named, faults) {
            tracing::error!(error = %e, "definitions cannot be read");
            loaded.damaged += 1;
        }
    }
    Ok(loaded)
}

fn load_file(
    loaded: &mut Loaded,
    dir: &Path,
    number: u32,
    named: Option<(u32, u64)>,
    faults: &Faults,
) -> Result<(), Error> {
    let opened = File::options().read(true).write(true).open(path(dir, number));
    let file = opened.map_err(|e| failed(number, "open", e))?;
    let len = file.metadata().map_err(|e| failed(number, "open", e))?.len();
    let size = usize::try_from(len).unwrap_or(0);
    if size < HEADER_LEN {
        return Err(failed(number, "open", std::io::Error::other("cut short")));
    }
    let map = mmap::map(&file, size).map_err(|e| failed(number, "open", e))?;
    let mut damaged = 0;
    if map[..HEADER_LEN] != header(number) {
        tracing::error!(definitions = number, "damaged header");
        damaged += 1;
    }
    let found = record::frames(&map, HEADER_LEN, &format!("definitions {number}"));
    damaged += found.damaged;
    let sound = found.end as u64;
    if named.is_some_and(|(_, len)| sound < len) || (named.is_none() && sound < len) {
        tracing::error!(definitions = number, offset = sound, "definitions are cut short");
        damaged += 1;
    }
    let mut part = Part { bytes: &map, budget: size.saturating_mul(64), ..Part::default() };
    // What pairs take at most, so that the index grows once.
    let (pairs, bytes) = found.frames.iter().filter(|f| f.0 == kind::PAIRS).fold((0, 0), |(n, bytes), f| {
        let mut r = Reader::new(&map[f.1.clone()]);
        (n + r.varint().and_then(|_| r.count()).unwrap_or(0), bytes + f.1.len())
    });
    loaded.index.reserve_pairs(pairs, bytes);
    for (kind, range) in &found.frames {
        if part.take(*kind, range.clone(), &mut loaded.index).is_none() {
            tracing::error!(definitions = number, kind, offset = range.start, "definitions: odd record");
            damaged += 1;
        }
    }
    damaged += part.load_sets(&mut loaded.index);
    part.groups.retain(|id, _| !part.left.contains(id));
    let written = Written {
        epoch: loaded.index.epoch(),
        names: u32::try_from(part.names.len()).unwrap_or(u32::MAX),
        pairs: u32::try_from(part.pairs.len()).unwrap_or(u32::MAX),
        series: part.end,
        groups: part
            .groups
            .iter()
            .map(|(id, g)| (*id, u32::try_from(g.slots.len()).unwrap_or(LOST)))
            .collect(),
        sets: part.count,
        garbage: part.garbage,
    };
    loaded.next_series = loaded.next_series.max(part.end);
    for (_, group) in part.groups {
        match loaded.groups.iter_mut().find(|g| g.id == group.id) {
            Some(known) if known.slots.len() >= group.slots.len() => {}
            Some(known) => *known = group,
            None => loaded.groups.push(group),
        }
    }
    loaded.groups.sort_unstable_by_key(|g| g.id);
    loaded.damaged += damaged;
    drop(map);
    // Only what is read as it was written can be written to further, with the numbers it has.
    if damaged == 0 && named.is_some() {
        if sound < len {
            file.set_len(sound).map_err(|e| failed(number, "cut", e))?;
        }
        let file = DiskFile::new(file, faults);
        loaded.definitions.current = Some(Current { number, file, len: sound, written });
    }
    Ok(())
}

/// A set record: its payload, and how many sets and pair numbers it says it has.
#[derive(Debug)]
struct SetsRecord {
    payload: Range<usize>,
    sets: usize,
    ids: usize,
}

/// What has been read of one file.
#[derive(Default)]
struct Part<'a> {
    bytes: &'a [u8],
    /// Slots that may still be allocated for: far more than a true file has, far less than would hurt.
    budget: usize,
    /// Numbers in the index by number in the file.
    names: Vec<u32>,
    pairs: Vec<u32>,
    sets: Vec<SetsRecord>,
    groups: HashMap<u32, LoadedGroup>,
    left: HashSet<u32>,
    /// First and end of runs of references that are no more.
    gone: Vec<(u32, u32)>,
    end: u32,
    count: u64,
    garbage: u64,
}

impl Part<'_> {
    fn take(&mut self, kind: u8, range: Range<usize>, index: &mut Index) -> Option<()> {
        let mut r = Reader::new(&self.bytes[range.clone()]);
        match kind {
            kind::NAMES => self.take_names(&mut r, index),
            kind::PAIRS => self.take_pairs(&mut r, index),
            kind::SETS => {
                let (_, sets) = (r.varint32()?, r.count()?);
                let ids = usize::try_from(r.varint()?).ok().filter(|&n| n <= r.len().saturating_mul(8))?;
                self.count += sets as u64;
                self.sets.push(SetsRecord { payload: range, sets, ids });
                Some(())
            }
            kind::KEYS => {
                for _ in 0..r.count()? {
                    let id = r.varint32().filter(|&id| id < MAX_GROUP)?;
                    let key = LabelSet::from_bytes(r.bytes()?)?;
                    self.groups.entry(id).or_insert(LoadedGroup { id, key, slots: vec![] });
                }
                Some(())
            }
            kind::PLACES => self.take_places(&mut r),
            kind::GONE => {
                let mut next = 0_u32;
                for _ in 0..r.count()? {
                    let first = next.checked_add(r.varint32()?)?;
                    next = first.checked_add(r.varint32()?)?;
                    self.gone.push((first, next));
                    self.garbage += u64::from(next - first);
                }
                Some(())
            }
            kind::LEFT => {
                for _ in 0..r.count()? {
                    let id = r.varint32()?;
                    self.garbage += self.groups.get(&id).map_or(0, |g| g.slots.len() as u64 / 4);
                    self.left.insert(id);
                }
                Some(())
            }
            _ => None,
        }
    }

    /// Makes room for numbers that a damaged record would have given.
    fn fill(numbers: &mut Vec<u32>, first: u32, bytes: usize) -> Option<()> {
        // Each takes a byte of the file at least.
        let first = usize::try_from(first).ok().filter(|&n| n <= bytes)?;
        if numbers.len() < first {
            numbers.resize(first, LOST);
        }
        (numbers.len() == first).then_some(())
    }

    fn take_names(&mut self, r: &mut Reader<'_>, index: &mut Index) -> Option<()> {
        Self::fill(&mut self.names, r.varint32()?, self.bytes.len())?;
        for _ in 0..r.count()? {
            let name = std::str::from_utf8(r.bytes()?).ok()?;
            self.names.push(index.intern_name(name)?);
        }
        Some(())
    }

    fn take_pairs(&mut self, r: &mut Reader<'_>, index: &mut Index) -> Option<()> {
        Self::fill(&mut self.pairs, r.varint32()?, self.bytes.len())?;
        for _ in 0..r.count()? {
            let name = self.names.get(r.varint32()? as usize).copied().unwrap_or(LOST);
            let value = std::str::from_utf8(r.bytes()?).ok().filter(|v| !v.is_empty())?;
            self.pairs.push(if name == LOST { LOST } else { index.intern_pair(name, value)? });
        }
        Some(())
    }

    fn take_places(&mut self, r: &mut Reader<'_>) -> Option<()> {
        let id = r.varint32()?;
        let (first, count) = (r.varint32()? as usize, usize::try_from(r.varint()?).ok()?);
        let slots = &mut self.groups.get_mut(&id)?.slots;
        let end = first.checked_add(count)?;
        self.budget = self.budget.checked_sub(end.saturating_sub(slots.len()))?;
        if slots.len() > first {
            return None;
        }
        slots.reserve_exact(end - slots.len());
        slots.resize(first, LOST);
        let mut next = 0_i64;
        while slots.len() < end {
            let start = next.checked_add(r.zigzag()?)?;
            let len = i64::try_from(r.varint()?).ok()?;
            next = start.checked_add(len)?;
            if len == 0 {
                slots.push(LOST);
                continue;
            }
            let (from, to) = (u32::try_from(start).ok()?, u32::try_from(next).ok()?);
            if (to - from) as usize > end - slots.len() {
                return None;
            }
            slots.extend(from..to);
        }
        Some(())
    }

    fn is_gone(&self, series: u32) -> bool {
        let at = self.gone.partition_point(|(first, _)| *first <= series);
        at > 0 && series < self.gone[at - 1].1
    }

    /// Decodes all sets and gives them to the index; returns how many records were odd.
    fn load_sets(&mut self, index: &mut Index) -> u64 {
        self.gone.sort_unstable();
        let (sets, ids) = self.sets.iter().fold((0, 0), |(s, i), r| (s + r.sets, i + r.ids));
        let mut all = Sets { series: vec![LOST; sets], starts: vec![0; sets], ids: vec![0; ids] };
        let ranks = index.name_ranks();
        let damaged = {
            let shared: &Index = index;
            let (pairs, bytes, ranks) = (&self.pairs[..], self.bytes, &ranks[..]);
            let work = |mut jobs: Vec<Job<'_>>| {
                jobs.iter_mut()
                    .filter_map(|job| job.decode(bytes, pairs, shared, ranks).is_none().then_some(()))
                    .count()
            };
            let mut jobs = jobs(&self.sets, &mut all);
            let other = jobs.split_off(jobs.len() / 2);
            std::thread::scope(|scope| {
                let other = (!other.is_empty()).then(|| scope.spawn(|| work(other)));
                work(jobs)
                    + other.map_or(0, |o| o.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        };
        self.end = all.series.iter().filter(|&&s| s != LOST).max().map_or(0, |s| s + 1);
        let out = |s: u32| s == LOST || self.is_gone(s);
        if all.series.iter().any(|&s| out(s)) {
            let kept: Vec<usize> = (0..all.series.len()).filter(|&i| !out(all.series[i])).collect();
            all.series = kept.iter().map(|&i| all.series[i]).collect();
            all.starts = kept.iter().map(|&i| all.starts[i]).collect();
        }
        index.take_sets(all);
        damaged as u64
    }
}

/// One record and the places its sets go to.
struct Job<'a> {
    record: &'a SetsRecord,
    series: &'a mut [u32],
    starts: &'a mut [u32],
    ids: &'a mut [u32],
    /// Where `ids` starts among all.
    at: usize,
}

fn jobs<'a>(records: &'a [SetsRecord], all: &'a mut Sets) -> Vec<Job<'a>> {
    let (mut series, mut starts, mut ids) = (&mut all.series[..], &mut all.starts[..], &mut all.ids[..]);
    let mut at = 0;
    let mut jobs = vec![];
    for record in records {
        let (s, t, i);
        (s, series) = series.split_at_mut(record.sets);
        (t, starts) = starts.split_at_mut(record.sets);
        (i, ids) = ids.split_at_mut(record.ids);
        jobs.push(Job { record, series: s, starts: t, ids: i, at });
        at += record.ids;
    }
    jobs
}

impl Job<'_> {
    /// Sets that are lost keep the reference [`LOST`].
    fn decode(&mut self, bytes: &[u8], pairs: &[u32], index: &Index, ranks: &[u32]) -> Option<()> {
        let mut r = Reader::new(&bytes[self.record.payload.clone()]);
        let (mut next, _, _) = (r.varint32()?, r.varint()?, r.varint()?);
        let mut last: Vec<u32> = vec![];
        let mut used = 0;
        let mut lost = false;
        for (series, start) in self.series.iter_mut().zip(&mut *self.starts) {
            let s = next.checked_add(r.varint32()?).filter(|&s| s < LOST)?;
            next = s.checked_add(1)?;
            let n = usize::try_from(r.varint()?).ok().filter(|&n| n <= r.len().saturating_mul(8))?;
            let changed = r.take(n.div_ceil(8))?;
            last.resize(n, 0);
            for (i, &byte) in changed.iter().enumerate() {
                let mut bits = byte;
                while bits != 0 {
                    let id = last.get_mut(i * 8 + bits.trailing_zeros() as usize)?;
                    *id = u32::try_from(i64::from(*id).checked_add(r.zigzag()?)?).ok()?;
                    bits &= bits - 1;
                }
            }
            let ids = self.ids.get_mut(used..used + n)?;
            *start = u32::try_from(self.at + used).ok().filter(|&s| s < Sets::NO_LABELS)?;
            used += n;
            for (id, &number) in ids.iter_mut().zip(&last) {
                *id = pairs.get(number as usize).copied().unwrap_or(LOST);
            }
            if !index.is_set(ids, ranks) {
                lost = true;
                continue;
            }
            match ids.last_mut() {
                Some(last) => *last = Sets::mark(*last),
                None => *start = Sets::NO_LABELS,
            }
            *series = s;
        }
        (!lost).then_some(())
    }
}
