//! A group: the series of one target, their rows by age.
//!
//! The newest rows are plain doubles, row after row (a row is one copy); `raw_rows` of them are turned into a piece, a small
//! segment in memory; pieces are joined into sealed segments in chunk files. At 24 raw rows and 120 sealed that is 8 * 24
//! bytes and about five small chunks per series at most.

use std::cell::RefCell;
use std::ops::Range;

use hashbrown::HashSet;
use model::LabelSet;
use parking_lot::RwLock;
use storage::{ABSENT, is_absent};

use crate::MAX_CHUNK_ROWS;
use crate::mmap::Blob;
use crate::segment::{ColumnReader, Damaged, Segment, SegmentBuilder, Verified};

/// A slot whose definition was lost with a damaged record.
pub(crate) const LOST: u32 = u32::MAX;

thread_local! {
    static BUILDER: RefCell<SegmentBuilder> = RefCell::default();
    /// Pieces are joined within minutes, and encoded again then.
    static PIECES: RefCell<SegmentBuilder> = RefCell::new(SegmentBuilder::brief());
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
    pub(crate) last: Box<[f64]>,
    /// The log segment that the last row is in, and the bytes its record took.
    pub(crate) log_segment: u32,
    pub(crate) row_bytes: u32,
    /// The log segment that the oldest raw row is in.
    pub(crate) raw_segment: u32,
    /// Rows up to here are in chunk files or in blocks, or past retention: what else has them is not to be read.
    pub(crate) sealed_until: Option<i64>,
    /// Slots without a sample in the last row, when the group was closed.
    pub(crate) dead_slots: usize,
    pub(crate) raw: RawRows,
    pub(crate) pieces: Vec<Segment>,
    /// Segments in chunk files, with the file's number.
    pub(crate) sealed: Vec<(u32, Segment)>,
}

/// Rows as they came: each as wide as it was, and in memory of its own. One vector for all would be twice as long as what it
/// holds after growing, which is most of the head's memory where labels churn and rows get wider.
#[derive(Debug, Default)]
pub(crate) struct RawRows {
    pub(crate) ts: Vec<i64>,
    rows: Vec<Box<[f64]>>,
}

impl RawRows {
    fn push(&mut self, ts: i64, row: &[f64]) {
        self.ts.push(ts);
        self.rows.push(row.into());
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.rows[i]
    }

    pub(crate) fn cell(&self, row: usize, slot: u32) -> f64 {
        self.row(row).get(slot as usize).copied().unwrap_or(ABSENT)
    }

    /// Fills `out` with the cells of some slots in some rows, column after column.
    pub(crate) fn columns(&self, of: Range<usize>, first: u32, count: u32, out: &mut [f64]) {
        let rows = of.len();
        // Row by row: rows lie far apart, and their distance may be one at which caches collide.
        for (i, row) in of.enumerate() {
            let row = self.row(row).get(first as usize..).unwrap_or(&[]);
            let row = &row[..row.len().min(count as usize)];
            let (wide, missing) = out[..count as usize * rows].split_at_mut(row.len() * rows);
            wide.chunks_exact_mut(rows).zip(row).for_each(|(column, &v)| column[i] = v);
            missing.chunks_exact_mut(rows).for_each(|column| column[i] = ABSENT);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    fn width(&self, of: Range<usize>) -> usize {
        of.map(|i| self.row(i).len()).max().unwrap_or(0)
    }

    /// Forgets all rows but the last, which is returned.
    fn take(&mut self) -> Box<[f64]> {
        self.ts = vec![];
        std::mem::take(&mut self.rows).pop().unwrap_or_default()
    }
}

impl Group {
    pub(crate) fn new(id: u32, key: LabelSet) -> Self {
        Self { id, key, state: RwLock::default() }
    }
}

impl State {
    /// Takes a row that the log has in its segment `segment`.
    pub(crate) fn push(&mut self, id: u32, ts: i64, row: &[f64], segment: u32, raw_rows: usize) {
        self.push_raw(ts, row, segment);
        if self.raw.ts.len() >= self.due(id, raw_rows) {
            self.compress(id);
        }
    }

    /// How many raw rows make a piece: fewer the first time, by the group's number, so that groups which began together do not
    /// all hold the most at the same time.
    fn due(&self, id: u32, raw_rows: usize) -> usize {
        if self.pieces.is_empty() && self.sealed.is_empty() {
            raw_rows.div_ceil(2) + id as usize % (raw_rows / 2 + 1)
        } else {
            raw_rows
        }
    }

    /// As [`State::push`], but leaves it to the next one to make pieces of many rows: a start that is short of time
    /// comes here.
    pub(crate) fn push_raw(&mut self, ts: i64, row: &[f64], segment: u32) {
        if self.raw.is_empty() {
            self.raw_segment = segment;
        }
        self.last_ts = Some(ts);
        self.last = Box::default();
        self.raw.push(ts, row);
    }

    /// The row of `last_ts`, which the log's next is written against.
    pub(crate) fn last_row(&self) -> &[f64] {
        self.raw.ts.len().checked_sub(1).map_or(&self.last, |i| self.raw.row(i))
    }

    /// Turns the raw rows into a piece; into more where they are many.
    pub(crate) fn compress(&mut self, id: u32) {
        let raw = &self.raw;
        if raw.is_empty() {
            return;
        }
        let mut start = 0;
        for ts in raw.ts.chunks(MAX_CHUNK_ROWS) {
            let of = start..start + ts.len();
            start = of.end;
            let width = u32::try_from(raw.width(of.clone())).expect("slots are u32");
            let (meta, body) = PIECES.with_borrow_mut(|b| {
                b.build(id, ts, width, |first, count, out, _| raw.columns(of.clone(), first, count, out))
            });
            self.pieces.push(Segment { meta, body: Blob::Memory(body.into()) });
        }
        self.last = self.raw.take();
    }

    /// Slots that the last row has no sample for.
    pub(crate) fn count_dead(&self) -> usize {
        let row = self.last_row();
        self.slots.len() - row.iter().take(self.slots.len()).filter(|v| !is_absent(**v)).count()
    }

    /// Oldest and newest row.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let segments = || self.sealed.iter().map(|(_, s)| s).chain(&self.pieces);
        let mint = segments().map(|s| s.meta.mint).chain(self.raw.ts.first().copied()).min()?;
        let maxt = segments().map(|s| s.meta.maxt).chain(self.raw.ts.last().copied()).max()?;
        Some((mint, maxt))
    }

    /// The newest row that a chunk file has or had.
    pub(crate) fn sealed_maxt(&self) -> Option<i64> {
        self.sealed.iter().map(|(_, s)| s.meta.maxt).max().max(self.sealed_until)
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

/// How many of the first pieces make up a segment of `seal_samples` rows; `None` while `more` may come to fill it.
pub(crate) fn joinable(pieces: &[Segment], seal_samples: usize, more: bool) -> Option<usize> {
    let (mut take, mut rows) = (0, 0);
    for piece in pieces {
        let n = piece.meta.rows as usize;
        if take > 0 && (rows >= seal_samples || rows + n > MAX_CHUNK_ROWS) {
            return Some(take);
        }
        rows += n;
        take += 1;
    }
    (take > 0 && (!more || rows >= seal_samples)).then_some(take)
}

/// Joins pieces of a group ([`joinable`] says which) into one segment. Cells of damaged pieces (memory gone bad) stay absent and are counted in `damaged`.
pub(crate) fn join(id: u32, pieces: &[Segment], damaged: &mut u64) -> (Vec<u8>, crate::segment::Meta) {
    let (take, rows) = (pieces.len(), pieces.iter().map(|p| p.meta.rows as usize).sum());
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
        return (body, meta);
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
    (body, meta)
}
