//! Samples with their own timestamps: remote write, rules, late samples, lines that name their time.
//!
//! A series' newest plain samples are a [`stream`] of bytes, at two or three a sample; some hundred of them become a sealed
//! [`chunk`] in a chunk file ([`seal`]). What is rarer hangs off it in [`extra`]: histograms, and samples that came late, which
//! may overlap the rest. Readers take what they need under the lock and decode it after ([`view`]); the flush to blocks reads
//! and drops by time ([`flush`]). The log's and the checkpoint's part are in [`replay`] and [`checkpoint`].
//!
//! A series is found by its reference or by the key its writer has for its label set; both tables hold slots of a slab, so that
//! a known series costs two accesses to memory that is far away: the table and the series itself.

mod checkpoint;
mod chunk;
mod extra;
mod flush;
mod judge;
mod replay;
mod seal;
mod series;
mod stream;
mod view;

use std::sync::Arc;

use hashbrown::{HashMap, HashTable};
use memmap2::Mmap;
use roaring::RoaringBitmap;
use storage::is_absent;

use series::{BITS_UNKNOWN, HAS_KEY, HAS_LAST, IN_GROUP, LIVE};

pub(crate) use checkpoint::write as write_checkpoint;
pub(crate) use chunk::{ChunkCodec, ItemBuilder, LooseItem, Sealed};
pub(crate) use extra::Extra;
pub(crate) use judge::{Accepted, Bounds, Judged, Newest, is_plain_run, judge};
pub(crate) use replay::{HistogramsWriter, PointsWriter};
pub(crate) use series::LooseSeries;
pub(crate) use stream::Room;
pub(crate) use view::{LooseReader, LooseSamples, LooseTaken};

/// Series in a page of the slab.
const PAGE: usize = 1024;
/// A stream of so many bytes is sealed however few samples it has.
const STREAM_BYTES: usize = 512;
/// A stream of so many bytes is sealed at once.
const STREAM_URGENT: usize = 64 << 10;
/// Bytes of all streams and pieces from which on appending seals on its own, and how many more a series.
const BUDGET_BYTES: usize = 16 << 20;
const BUDGET_BYTES_SERIES: usize = 320;
/// So many bytes before its budget memory is near it: more than a few batches that are small enough not to wait for sealing.
const NEAR_BYTES: usize = 4 << 20;
/// Keys beside the first of a series are forgotten, all at once, when there are more than so many a series.
const ALIASES_PER_SERIES: usize = 4;

/// How much memory loose series take, against their budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Pressure {
    Low,
    /// One of the next batches will have to seal.
    Near,
    Over,
}

/// All loose series.
#[derive(Debug, Default)]
pub(crate) struct Loose {
    pages: Vec<Vec<LooseSeries>>,
    free: Vec<u32>,
    by_series: HashTable<u32>,
    by_key: HashTable<u32>,
    /// Other keys of series that have one.
    aliases: HashMap<u128, u32>,
    batch: u32,
    /// The maps of the chunk files that have sealed chunks, by the files' numbers.
    files: HashMap<u32, Arc<Mmap>>,
    /// Bytes of streams and pieces, about.
    bytes: usize,
    /// From so many bytes on appending seals; raised when sealing did not help.
    seal_at: usize,
    urgent: bool,
    /// A flush that is under way.
    flushing: Option<flush::Flushing>,
    pub(crate) block_span_ms: i64,
    pub(crate) codec: ChunkCodec,
    pub(crate) room: Room,
}

fn mix(v: u64) -> u64 {
    let v = v.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    v ^ v >> 29
}

fn hash_series(series: u32) -> u64 {
    mix(u64::from(series))
}

fn split(key: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = key.to_le_bytes();
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(rest)]
}

fn hash_key([low, high]: [u64; 2]) -> u64 {
    mix(low ^ high.rotate_left(32))
}

fn page_of(slot: u32) -> (usize, usize) {
    (slot as usize / PAGE, slot as usize % PAGE)
}

fn at(pages: &[Vec<LooseSeries>], slot: u32) -> &LooseSeries {
    let (page, i) = page_of(slot);
    &pages[page][i]
}

impl Loose {
    pub(crate) fn new(block_span_ms: i64) -> Self {
        Self { block_span_ms: block_span_ms.max(1), ..Self::default() }
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.by_series.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_series.is_empty()
    }

    fn slot_of(&self, series: u32) -> Option<u32> {
        self.by_series.find(hash_series(series), |&slot| self.at(slot).series == series).copied()
    }

    pub(crate) fn get(&self, series: u32) -> Option<&LooseSeries> {
        self.slot_of(series).map(|slot| self.at(slot))
    }

    fn get_mut(&mut self, series: u32) -> Option<&mut LooseSeries> {
        let slot = self.slot_of(series)?;
        Some(self.at_mut(slot))
    }

    /// The series of a slot that [`Loose::find`] returned under the same lock.
    pub(crate) fn at(&self, slot: u32) -> &LooseSeries {
        at(&self.pages, slot)
    }

    fn at_mut(&mut self, slot: u32) -> &mut LooseSeries {
        let (page, i) = page_of(slot);
        &mut self.pages[page][i]
    }

    /// All series, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &LooseSeries> {
        self.pages.iter().flatten().filter(|s| s.has(LIVE))
    }

    /// The slot of a key or, without one, of a reference.
    pub(crate) fn find(&self, key: Option<u128>, series: Option<u32>) -> Option<u32> {
        if let Some(key) = key {
            let halves = split(key);
            let known = self.by_key.find(hash_key(halves), |&slot| self.at(slot).key == halves).copied();
            return known.or_else(|| self.aliases.get(&key).and_then(|&s| self.slot_of(s)));
        }
        self.slot_of(series?)
    }

    /// Whether `slot`, of which nothing need be known, is that of `key`. The table is not asked.
    #[inline]
    pub(crate) fn has_key(&self, slot: u32, key: u128) -> bool {
        let (page, i) = page_of(slot);
        let entry = self.pages.get(page).and_then(|page| page.get(i));
        entry.is_some_and(|s| s.has(HAS_KEY) && s.key == split(key))
    }

    /// A series' slot, new or known.
    pub(crate) fn insert(&mut self, series: u32, key: Option<u128>) -> u32 {
        let slot = match self.slot_of(series) {
            Some(slot) => slot,
            None => self.insert_new(series),
        };
        if let Some(key) = key {
            self.add_key(slot, key);
        }
        slot
    }

    fn insert_new(&mut self, series: u32) -> u32 {
        let new = LooseSeries { series, flags: LIVE, ..LooseSeries::default() };
        let slot = match self.free.pop() {
            Some(slot) => {
                *self.at_mut(slot) = new;
                slot
            }
            None => {
                if self.pages.last().is_none_or(|p| p.len() == PAGE) {
                    self.pages.push(Vec::with_capacity(PAGE));
                }
                let (pages, page) = (self.pages.len() - 1, self.pages.last_mut().expect("pushed above"));
                page.push(new);
                u32::try_from(pages * PAGE + page.len() - 1).expect("fewer series than 2^32")
            }
        };
        let Self { by_series, pages, .. } = self;
        by_series.insert_unique(hash_series(series), slot, |&s| hash_series(at(pages, s).series));
        slot
    }

    fn add_key(&mut self, slot: u32, key: u128) {
        if self.find(Some(key), None).is_some() {
            return;
        }
        let halves = split(key);
        let entry = self.at_mut(slot);
        if entry.has(HAS_KEY) {
            let series = entry.series;
            // Writers that order labels differently; none has many orders unless it means harm.
            if self.aliases.len() >= ALIASES_PER_SERIES * self.len().max(PAGE) {
                self.aliases = HashMap::new();
            }
            self.aliases.insert(key, series);
            return;
        }
        entry.key = halves;
        entry.flags |= HAS_KEY;
        let Self { by_key, pages, .. } = self;
        by_key.insert_unique(hash_key(halves), slot, |&s| hash_key(at(pages, s).key));
    }

    /// Forgets series and their keys, with all they hold. The caller holds `definitions`, or a writer may be about to use
    /// what it knows of them.
    pub(crate) fn forget(&mut self, series: &RoaringBitmap) {
        for series in series {
            let Some(slot) = self.slot_of(series) else { continue };
            if let Ok(entry) = self.by_series.find_entry(hash_series(series), |&s| s == slot) {
                entry.remove();
            }
            let old = std::mem::take(self.at_mut(slot));
            if old.has(HAS_KEY)
                && let Ok(entry) = self.by_key.find_entry(hash_key(old.key), |&s| s == slot)
            {
                entry.remove();
            }
            self.bytes = self.bytes.saturating_sub(old.memory());
            self.free.push(slot);
        }
        if !self.aliases.is_empty() {
            self.aliases.retain(|_, s| !series.contains(*s));
        }
    }

    /// Notes that a series has rows in a group.
    pub(crate) fn note_group(&mut self, series: u32) {
        if let Some(s) = self.get_mut(series) {
            s.flags |= IN_GROUP;
        }
    }

    /// Notes that a series has no rows in groups any more.
    pub(crate) fn note_no_group(&mut self, slot: u32) {
        self.at_mut(slot).flags &= !IN_GROUP;
    }

    /// A number for a batch, by which [`Loose::first_of_batch`] tells a series that the batch has twice.
    pub(crate) fn next_batch(&mut self) -> u32 {
        self.batch = self.batch.wrapping_add(1).max(1);
        self.batch
    }

    pub(crate) fn first_of_batch(&mut self, slot: u32, batch: u32) -> bool {
        let entry = self.at_mut(slot);
        std::mem::replace(&mut entry.batch, batch) != batch
    }

    /// Appends plain samples, ascending and newer than the series' newest.
    pub(crate) fn push_run(&mut self, slot: u32, samples: &[(i64, f64)]) {
        if let (Some(flushing), Some((first, _))) = (&mut self.flushing, samples.first())
            && *first < flushing.before
        {
            let (page, i) = page_of(slot);
            let entry = &self.pages[page][i];
            flushing.arrived.entry(entry.series).or_default().stream_from.get_or_insert(entry.count);
        }
        let (page, i) = page_of(slot);
        let entry = &mut self.pages[page][i];
        self.bytes += entry.push_run(samples, &mut self.room);
        self.urgent |= entry.stream.len() > STREAM_URGENT;
    }

    /// Whether memory is to be freed by sealing.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.urgent || self.bytes > self.seal_at.max(self.budget())
    }

    /// Memory against its budget.
    pub(crate) fn pressure(&self) -> Pressure {
        if self.is_over_budget() {
            Pressure::Over
        } else if self.bytes + NEAR_BYTES > self.seal_at.max(self.budget()) {
            Pressure::Near
        } else {
            Pressure::Low
        }
    }

    /// Bytes of samples in memory.
    pub(crate) fn memory(&self) -> usize {
        self.bytes
    }

    fn budget(&self) -> usize {
        BUDGET_BYTES + self.len() * BUDGET_BYTES_SERIES
    }

    /// After sealing: sets when it is due again.
    fn note_sealed(&mut self) {
        self.urgent = false;
        // Where little could be sealed, the next try waits for more to come.
        self.seal_at = self.budget().max(self.bytes + BUDGET_BYTES / 2);
    }

    /// Removes what was in chunk files that are gone. Series that have nothing left are still known.
    pub(crate) fn drop_files(&mut self, removed: &[u32]) {
        for entry in self.pages.iter_mut().flatten().filter(|s| s.has(LIVE)) {
            entry.sealed.retain(|s| !removed.contains(&s.file));
        }
        removed.iter().for_each(|file| {
            self.files.remove(file);
        });
    }

    /// The time of a series' newest sample.
    pub(crate) fn newest(&self, series: u32) -> Option<i64> {
        self.get(series)?.newest().map(|n| n.ts)
    }

    /// Oldest and newest sample of all series.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        self.iter().filter_map(LooseSeries::bounds).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The newest sample's time, whether or not it is still here.
    pub(crate) fn newest_ms(&self) -> Option<i64> {
        self.iter().filter_map(LooseSeries::newest).map(|n| n.ts).max()
    }
}

/// A value as loose series keep it: the mark of an absent cell is no sample; a writer cannot mean it.
pub(crate) fn as_sample(value: f64) -> f64 {
    if is_absent(value) { model::NORMAL_NAN } else { value }
}
