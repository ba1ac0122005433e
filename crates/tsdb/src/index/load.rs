//! Filling an index at start: all sets at once, in the order of their references.
//!
//! Inserted one by one, each series would look for its equal, grow the table and find its bitmaps' ends. In bulk the table has
//! its size from the start and is filled part by part, so that its lines stay in the cache; the postings are built at the same
//! time by another thread, each by appending.

use hashbrown::HashTable;
use roaring::RoaringBitmap;

use super::places::Places;
use super::{EMPTY, Index, LAST, Pairs, hash};

/// Label sets as the definitions file has them: references, ascending, and how many labels each has.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    pub(crate) series: Vec<u32>,
    /// Where each set starts in `ids`; as long as `series`.
    pub(crate) starts: Vec<u32>,
    /// Pair numbers by label name, the last of each set marked by [`Sets::mark`].
    pub(crate) ids: Vec<u32>,
}

impl Sets {
    /// Marks the last pair number of a set.
    pub(crate) fn mark(id: u32) -> u32 {
        id | LAST
    }

    /// The start of a set without labels.
    pub(crate) const NO_LABELS: u32 = EMPTY;
}

/// Parts the table is filled in; at five million series one is 80 KiB.
const PARTS: usize = 512;

impl Index {
    /// For each name by number, its rank among them: sets are sorted by it.
    pub(crate) fn name_ranks(&self) -> Vec<u32> {
        let names: Vec<&str> = self.pairs.all_names().collect();
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_unstable_by_key(|&i| names[i]);
        let mut ranks = vec![0; names.len()];
        for (rank, name) in (0..).zip(order) {
            ranks[name] = rank;
        }
        ranks
    }

    /// Whether pair numbers make a set: known, sorted by name, each name once.
    pub(crate) fn is_set(&self, ids: &[u32], ranks: &[u32]) -> bool {
        let count = self.pairs.count();
        let mut last = None;
        ids.iter().all(|&id| {
            if id >= count {
                return false;
            }
            let rank = ranks[self.pairs.name_of(id) as usize];
            let ascends = last.is_none_or(|l| l < rank);
            last = Some(rank);
            ascends
        })
    }

    pub(crate) fn intern_name(&mut self, name: &str) -> Option<u32> {
        self.pairs.intern_name(name).ok()
    }

    pub(crate) fn intern_pair(&mut self, name: u32, value: &str) -> Option<u32> {
        self.pairs.intern_in(name, value).ok()
    }

    /// Makes room for pairs that are about to be interned.
    pub(crate) fn reserve_pairs(&mut self, pairs: usize, bytes: usize) {
        self.pairs.reserve(pairs, bytes);
    }

    /// Takes sets that [`Index::is_set`] found sound. A series or a set that is known stays as it is.
    pub(crate) fn take_sets(&mut self, sets: Sets) {
        if self.live.is_empty() && sets.series.is_sorted_by(|a, b| a < b) {
            return self.load(sets);
        }
        for (&series, &start) in sets.series.iter().zip(&sets.starts) {
            // An index that is full takes no more; the log says as much when it comes to that.
            if self.insert_marked(series, set_at(&sets.ids, start)).is_err() {
                return;
            }
        }
    }

    /// Takes sets that [`Index::is_set`] found sound, into an index without series.
    fn load(&mut self, sets: Sets) {
        debug_assert!(self.live.is_empty() && self.arena.is_empty());
        let Sets { series, starts, ids } = sets;
        self.arena = ids;
        let arena = &self.arena;
        let pairs = &mut self.pairs;
        let (table, live) = std::thread::scope(|scope| {
            let table = scope.spawn(|| (fill_places(&series, &starts), fill_table(arena, &series, &starts)));
            fill_postings(pairs, arena, &series, &starts);
            pairs.shrink_postings();
            let live = RoaringBitmap::from_sorted_iter(series.iter().copied());
            (table.join(), live)
        });
        let (places, table) = table.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.places = places;
        self.by_labels = table;
        self.live = live.expect("references ascend");
        self.live.optimize();
    }
}

fn set_at(arena: &[u32], start: u32) -> &[u32] {
    if start == EMPTY {
        return &[];
    }
    let rest = &arena[start as usize..];
    let len = rest.iter().position(|id| id & LAST != 0).map_or(rest.len(), |i| i + 1);
    &rest[..len]
}

/// A bitmap's containers hold the references of a window of 2^16. So the postings are sorted by pair window by window, in
/// buffers that stay in the cache, and each pair gets its container at once.
fn fill_postings(pairs: &mut Pairs, arena: &[u32], series: &[u32], starts: &[u32]) {
    // Per pair: how many of the window have it, then where its next one goes.
    let mut ends = vec![0_u32; pairs.count() as usize];
    let mut touched: Vec<u32> = vec![];
    let mut sorted: Vec<u32> = vec![];
    let mut at = 0;
    for window in series.chunk_by(|a, b| a >> 16 == b >> 16) {
        let starts = &starts[at..at + window.len()];
        at += window.len();
        let mut total = 0;
        for &start in starts {
            for &id in set_at(arena, start) {
                let n = &mut ends[(id & !LAST) as usize];
                if *n == 0 {
                    touched.push(id & !LAST);
                }
                *n += 1;
                total += 1;
            }
        }
        sorted.clear();
        sorted.resize(total, 0);
        let mut end = 0;
        for &id in &touched {
            let n = &mut ends[id as usize];
            (*n, end) = (end, end + *n);
        }
        for (&s, &start) in window.iter().zip(starts) {
            for &id in set_at(arena, start) {
                let place = &mut ends[(id & !LAST) as usize];
                sorted[*place as usize] = s;
                *place += 1;
            }
        }
        let mut from = 0;
        for id in touched.drain(..) {
            let end = std::mem::take(&mut ends[id as usize]) as usize;
            pairs.extend_postings(id, &sorted[from..end]);
            from = end;
        }
    }
}

fn fill_places(series: &[u32], starts: &[u32]) -> Places {
    let mut places = Places::default();
    series.iter().zip(starts).for_each(|(&s, &start)| places.set_start(s, start));
    places
}

fn fill_table(arena: &[u32], series: &[u32], starts: &[u32]) -> HashTable<u32> {
    let mut table = HashTable::with_capacity(series.len());
    // The table places an entry by its hash's low bits, of which it uses as many as it has buckets for.
    let buckets = (series.len() * 8 / 7 + 1).next_power_of_two().max(PARTS);
    let shift = (buckets / PARTS).trailing_zeros();
    let part = |hash: u64| (hash as usize & (buckets - 1)) >> shift;
    let hashes: Vec<u64> = starts.iter().map(|&start| hash(set_at(arena, start))).collect();
    let mut ends = vec![0; PARTS + 1];
    hashes.iter().for_each(|&h| ends[part(h) + 1] += 1);
    for i in 0..PARTS {
        ends[i + 1] += ends[i];
    }
    let mut order = vec![(0, 0); series.len()];
    for (&h, &s) in hashes.iter().zip(series) {
        let at = &mut ends[part(h)];
        order[*at] = (h, s);
        *at += 1;
    }
    drop(hashes);
    for (h, s) in order {
        // There is room for all, so nothing is ever hashed again.
        table.insert_unique(h, s, |_| h);
    }
    table
}
