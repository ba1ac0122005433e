//! A group: the series of one target, their rows by age.
//!
//! The newest rows are plain doubles, row after row (a row is one copy); `raw_rows` of them are turned into a piece, a small
//! segment in memory; pieces are joined into sealed segments in chunk files. At 24 raw rows and 120 sealed that is 8 * 24
//! bytes and about five small chunks per series at most.

use std::cell::RefCell;

use hashbrown::HashSet;
use model::LabelSet;
use parking_lot::RwLock;
use storage::ABSENT;

use crate::MAX_CHUNK_ROWS;
use crate::mmap::Blob;
use crate::segment::{ColumnReader, Damaged, Segment, SegmentBuilder, Verified};

/// A slot whose definition was lost with a damaged record.
pub(crate) const LOST: u32 = u32::MAX;

thread_local! {
    static BUILDER: RefCell<SegmentBuilder> = RefCell::default();
}

/// A group, by its id for as long as it has samples.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: u32,
    pub(crate) key: LabelSet,
    pub(crate) state: RwLock<State>,
}

/// What changes of a group.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) open: bool,
    /// The series of each slot.
    pub(crate) slots: Vec<u32>,
    pub(crate) last_ts: Option<i64>,
    /// The row of `last_ts` while there is no raw row.
    pub(crate) last: Vec<f64>,
    /// The log segment that the last row is in.
    pub(crate) log_segment: u32,
    pub(crate) raw: RawRows,
    pub(crate) pieces: Vec<Segment>,
    /// Segments in chunk files, with the file's number.
    pub(crate) sealed: Vec<(u32, Segment)>,
}

/// Rows as they came: each as wide as it was.
#[derive(Debug, Default)]
pub(crate) struct RawRows {
    pub(crate) ts: Vec<i64>,
    ends: Vec<usize>,
    values: Vec<f64>,
}

impl RawRows {
    fn push(&mut self, ts: i64, row: &[f64], expected_rows: usize) {
        if self.values.capacity() == 0 {
            self.values.reserve_exact(row.len() * expected_rows);
        }
        self.ts.push(ts);
        self.values.extend_from_slice(row);
        self.ends.push(self.values.len());
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.values[start..self.ends[i]]
    }

    pub(crate) fn cell(&self, row: usize, slot: u32) -> f64 {
        self.row(row).get(slot as usize).copied().unwrap_or(ABSENT)
    }

    /// Fills `out` with the cells of some slots, column after column.
    pub(crate) fn columns(&self, first: u32, count: u32, out: &mut [f64]) {
        let rows = self.ts.len();
        // Row by row: rows lie far apart, and their distance may be one at which caches collide.
        for i in 0..rows {
            let row = self.row(i).get(first as usize..).unwrap_or(&[]);
            let row = &row[..row.len().min(count as usize)];
            let (wide, missing) = out[..count as usize * rows].split_at_mut(row.len() * rows);
            wide.chunks_exact_mut(rows).zip(row).for_each(|(column, &v)| column[i] = v);
            missing.chunks_exact_mut(rows).for_each(|column| column[i] = ABSENT);
        }
    }

    fn width(&self) -> usize {
        (0..self.ts.len()).map(|i| self.row(i).len()).max().unwrap_or(0)
    }

    fn clear(&mut self) {
        self.ts.clear();
        self.ends.clear();
        self.values.clear();
    }
}

impl Group {
    pub(crate) fn new(id: u32, key: LabelSet) -> Self {
        Self { id, key, state: RwLock::default() }
    }
}

impl State {
    /// Takes a row that the log has.
    pub(crate) fn push(&mut self, id: u32, ts: i64, row: &[f64], raw_rows: usize) {
        self.last_ts = Some(ts);
        self.last = vec![];
        self.raw.push(ts, row, raw_rows);
        if self.raw.ts.len() >= raw_rows {
            self.compress(id);
        }
    }

    /// The row of `last_ts`, which the log's next is written against.
    pub(crate) fn last_row(&self) -> &[f64] {
        self.raw.ts.len().checked_sub(1).map_or(&self.last, |i| self.raw.row(i))
    }

    /// Turns the raw rows into a piece.
    pub(crate) fn compress(&mut self, id: u32) {
        let raw = &self.raw;
        if raw.ts.is_empty() {
            return;
        }
        let width = u32::try_from(raw.width()).expect("slots are u32");
        let (meta, body) = BUILDER.with_borrow_mut(|b| {
            b.build(id, &raw.ts, width, |first, count, out, _| raw.columns(first, count, out))
        });
        self.last = self.last_row().to_vec();
        self.pieces.push(Segment { meta, body: Blob::Memory(body.into()) });
        self.raw.clear();
    }

    /// Oldest and newest row.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let segments = || self.sealed.iter().map(|(_, s)| s).chain(&self.pieces);
        let mint = segments().map(|s| s.meta.mint).chain(self.raw.ts.first().copied()).min()?;
        let maxt = segments().map(|s| s.meta.maxt).chain(self.raw.ts.last().copied()).max()?;
        Some((mint, maxt))
    }

    /// The newest row that a chunk file has.
    pub(crate) fn sealed_maxt(&self) -> Option<i64> {
        self.sealed.iter().map(|(_, s)| s.meta.maxt).max()
    }

    /// Samples that are not in chunk files, and chunks in all.
    pub(crate) fn chunks(&self) -> u64 {
        let of = |s: &Segment| u64::from(s.meta.slots);
        let raw = if self.raw.ts.is_empty() { 0 } else { self.slots.len() as u64 };
        raw + self.pieces.iter().map(of).sum::<u64>() + self.sealed.iter().map(|(_, s)| of(s)).sum::<u64>()
    }

    /// Whether the group holds no sample.
    pub(crate) fn is_empty(&self) -> bool {
        self.raw.ts.is_empty() && self.pieces.is_empty() && self.sealed.is_empty()
    }
}

/// Joins the first pieces of a group into one segment, as many as make up `seal_samples` rows. Returns the segment and how
/// many pieces it took. Cells of damaged pieces (memory gone bad) stay absent and are counted in `damaged`.
pub(crate) fn join(
    id: u32,
    pieces: &[Segment],
    seal_samples: usize,
    damaged: &mut u64,
) -> (Vec<u8>, crate::segment::Meta, usize) {
    let mut take = 0;
    let mut rows = 0;
    for piece in pieces {
        let n = piece.meta.rows as usize;
        if take > 0 && (rows >= seal_samples || rows + n > MAX_CHUNK_ROWS) {
            break;
        }
        rows += n;
        take += 1;
    }
    let pieces = &pieces[..take];
    let mut reader = ColumnReader::default();
    let mut ts = Vec::with_capacity(rows);
    // A piece whose timestamps are damaged is left out.
    let mut sound = Vec::with_capacity(take);
    for piece in pieces {
        match reader.timestamps(piece, &mut ts) {
            Ok(()) => sound.push(piece),
            Err(Damaged(what)) => {
                tracing::error!(group = id, what, "piece of a group is damaged");
                *damaged += 1;
            }
        }
    }
    if sound.is_empty() {
        let (meta, body) =
            BUILDER.with_borrow_mut(|b| b.build(id, &[pieces[0].meta.mint], 0, |_, _, _, _| {}));
        return (body, meta, take);
    }
    let mut verified = vec![Verified::default(); sound.len()];
    let slots = sound.iter().map(|p| p.meta.slots).max().unwrap_or(0);
    let mut lost: HashSet<usize> = HashSet::new();
    let (meta, body) = BUILDER.with_borrow_mut(|b| {
        b.build(id, &ts, slots, |first, _, out, constants| {
            for ((slot, mut rest), constant) in (first..).zip(out.chunks_exact_mut(ts.len())).zip(constants) {
                *constant = reader.constant(&sound, slot, &mut verified);
                if constant.is_some() {
                    continue;
                }
                for (i, piece) in sound.iter().copied().enumerate() {
                    let (cells, tail) = rest.split_at_mut(piece.meta.rows as usize);
                    if reader.column(piece, slot, &mut verified[i], cells).is_err() {
                        cells.fill(ABSENT);
                        lost.insert(i);
                    }
                    rest = tail;
                }
            }
        })
    });
    *damaged += lost.len() as u64;
    (body, meta, take)
}
