//! Replaying the log: definitions and samples in order by one thread, then rows, whose groups are shared out among two.
//!
//! Rows are most of the log, and those of one group say nothing of another's. They are kept as they come and made into
//! pieces later, by the next row: a piece takes ten times what a row does.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use memmap2::Mmap;
use storage::Error;

use super::Recovery;
use crate::bytes::Reader;
use crate::dir::Dir;
use crate::group::{Group, LOST};
use crate::index::MAX_GROUP;
use crate::record::{self, Record, kind};
use crate::{log, mmap};

/// More values in a row than this is damage that a checksum missed.
const MAX_WIDTH: usize = 1 << 26;
/// As many raw rows as this many pieces have are kept raw while replaying.
const RAW_PIECES: usize = 3;
const THREADS: usize = 2;

/// A row record: its segment among those replayed, its payload.
struct RowAt {
    segment: usize,
    ts: i64,
    payload: Range<usize>,
}

/// A thread's part: bytes of rows, and the groups with them.
type Share<'a> = (usize, Vec<(&'a mut Group, Vec<RowAt>)>);

struct Mapped {
    number: u32,
    /// `None` when the file is empty.
    map: Option<Arc<Mmap>>,
}

impl Mapped {
    fn open(dir: &Dir, number: u32) -> Result<Self, Error> {
        let failed = |e| Error::io(format!("log segment {number}: read"), e);
        let file = File::open(log::segment_path(&dir.log, number)).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let len = usize::try_from(len).map_err(|e| failed(std::io::Error::other(e)))?;
        let map = if len == 0 { None } else { Some(mmap::map(&file, len).map_err(failed)?) };
        Ok(Self { number, map })
    }

    fn bytes(&self) -> &[u8] {
        self.map.as_ref().map_or(&[], |m| &m[..])
    }
}

impl Recovery {
    /// Replays the segments from `first` on. Returns those that stay, with their lengths, and the number of the next one.
    pub(super) fn replay_log(
        &mut self,
        dir: &Dir,
        first: u32,
        raw_rows: usize,
    ) -> Result<(Vec<(u32, u64)>, u32), Error> {
        let numbers = log::list(&dir.log)?;
        let next = numbers.last().map_or(first, |n| n + 1).max(first).max(1);
        let mut segments = vec![];
        for &number in &numbers {
            if number < first {
                // A removal that did not come to pass.
                let _ = std::fs::remove_file(log::segment_path(&dir.log, number));
                continue;
            }
            segments.push(Mapped::open(dir, number)?);
        }
        let mut rows: HashMap<u32, Vec<RowAt>> = HashMap::new();
        let mut lengths = vec![];
        for i in 0..segments.len() {
            let newest = i + 1 == segments.len();
            let (end, torn) = self.scan(i, &segments[i], newest, &mut rows);
            lengths.push((
                segments[i].number,
                if torn || newest { end as u64 } else { segments[i].bytes().len() as u64 },
            ));
        }
        self.replay_rows(&segments, rows, raw_rows);
        // Nothing may read a map of what is cut off.
        drop(segments);
        if let Some(&(number, len)) = lengths.last() {
            let on_disk = std::fs::metadata(log::segment_path(&dir.log, number)).map_or(len, |m| m.len());
            if on_disk > len {
                log::cut(&dir.log, number, len)
                    .map_err(|e| Error::io(format!("log segment {number}: cut"), e))?;
            }
        }
        Ok((lengths, next))
    }

    /// Applies all but rows, which are listed by their group. Ends at the first record that is not sound: returns where, and
    /// whether that is the end that a crash tore.
    fn scan(
        &mut self,
        index: usize,
        segment: &Mapped,
        newest: bool,
        rows: &mut HashMap<u32, Vec<RowAt>>,
    ) -> (usize, bool) {
        let (bytes, number) = (segment.bytes(), segment.number);
        let mut offset = log::HEADER_LEN;
        if log::header_is_sound(bytes, number) {
            while let Some((kind, payload, next)) = record::frame_at(bytes, offset) {
                self.records += 1;
                let read = if kind == kind::ROW {
                    let mut r = Reader::new(payload);
                    r.varint32().zip(r.zigzag()).map(|(group, ts)| {
                        rows.entry(group).or_default().push(RowAt {
                            segment: index,
                            ts,
                            payload: next - payload.len()..next,
                        });
                    })
                } else if matches!(kind, kind::POINTS | kind::HISTOGRAMS | kind::EXEMPLARS)
                    && (number, offset as u64) < self.samples_from
                {
                    Some(())
                } else {
                    record::parse(kind, payload).and_then(|r| self.apply(r))
                };
                if read.is_none() {
                    tracing::error!(segment = number, offset, kind, "log: record cannot be applied");
                    self.damaged += 1;
                }
                offset = next;
            }
        } else if bytes.len() > log::HEADER_LEN {
            tracing::error!(segment = number, "log: damaged segment header");
            self.damaged += 1;
            offset = bytes.len();
        }
        let rest = bytes.len().saturating_sub(offset) as u64;
        if rest == 0 {
            return (bytes.len(), false);
        }
        // A write that a crash cut short can only be the last of the newest segment.
        let torn = newest && record::hop(bytes, offset).is_none();
        if torn {
            tracing::warn!(segment = number, offset, bytes = rest, "log: torn end cut off");
            self.torn_bytes += rest;
        } else {
            tracing::error!(
                segment = number,
                offset,
                bytes = rest,
                "log: damaged record, the segment's rest is lost"
            );
            self.damaged += 1;
        }
        (offset, torn)
    }

    pub(super) fn apply(&mut self, record: Record<'_>) -> Option<()> {
        match record {
            Record::Series(series) => {
                for (id, labels) in series {
                    if id == LOST {
                        return None;
                    }
                    // The set may be known by a reference whose removal no file tells of; it had no samples then.
                    if let Some(known) = self.index.find(&labels) {
                        if known >= id {
                            continue;
                        }
                        self.index.remove_many(&[known].into_iter().collect());
                        self.renamed.insert(known, id);
                    }
                    self.index.insert(id, &labels).ok()?;
                    self.definitions.next_series = self.definitions.next_series.max(id + 1);
                }
            }
            Record::Open(id, key) => {
                if id >= MAX_GROUP {
                    return None;
                }
                self.group(id, &key);
            }
            // Groups are closed at start whatever the log says.
            Record::Close(id) => {
                self.groups.get(&id)?;
            }
            Record::Slots { group: id, first, series } => {
                // A reference is never given again, though what defined it may be lost.
                let end = series.iter().filter(|&&s| s < LOST).max().map_or(0, |s| s + 1);
                self.definitions.next_series = self.definitions.next_series.max(end);
                let slots = &mut self.groups.get_mut(&id)?.state.get_mut().slots;
                let first = first as usize;
                if first > slots.len() + (1 << 24) {
                    return None;
                }
                // Slots that a damaged record would have given.
                if slots.len() < first + series.len() {
                    slots.resize(first + series.len(), LOST);
                }
                slots[first..first + series.len()].copy_from_slice(&series);
            }
            Record::Row { .. } => {}
            Record::Delete(range, series) => {
                for s in series {
                    self.deleted.entry(s).or_default().push(range);
                }
            }
            Record::Points(mut r) => self.loose.replay_points(&mut r)?,
            Record::Histograms(mut r) => self.loose.replay_histograms(&mut r)?,
            Record::Exemplars(mut r) => self.exemplars.load(&mut r)?,
        }
        Some(())
    }

    fn replay_rows(&mut self, segments: &[Mapped], mut rows: HashMap<u32, Vec<RowAt>>, raw_rows: usize) {
        let rows_from = self.rows_from;
        let mut shares: Vec<Share<'_>> = (0..THREADS).map(|_| (0, vec![])).collect();
        for (id, group) in &mut self.groups {
            if let Some(rows) = rows.remove(id) {
                let bytes: usize = rows.iter().map(|r| r.payload.len()).sum();
                let share = shares.iter_mut().min_by_key(|s| s.0).expect("there are some");
                share.0 += bytes;
                share.1.push((group, rows));
            }
        }
        let lost: u64 = rows.values().map(|r| r.len() as u64).sum();
        if lost > 0 {
            tracing::error!(rows = lost, groups = rows.len(), "log: rows of groups that nothing defines");
            // Their numbers are not given again, or these rows would be taken for the new one's.
            for &id in rows.keys().filter(|id| **id < MAX_GROUP) {
                self.definitions.next_group = self.definitions.next_group.max(id + 1);
            }
            self.damaged += lost;
        }
        let work = |share: Vec<(&mut Group, Vec<RowAt>)>| -> u64 {
            share
                .into_iter()
                .map(|(group, rows)| replay_group(group, &rows, segments, raw_rows, rows_from))
                .sum()
        };
        let mut shares = shares.into_iter().map(|s| s.1);
        let own = shares.next().unwrap_or_default();
        self.damaged += std::thread::scope(|scope| {
            let others: Vec<_> =
                shares.filter(|s| !s.is_empty()).map(|share| scope.spawn(|| work(share))).collect();
            let others = others.into_iter();
            work(own)
                + others
                    .map(|o| o.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                    .sum::<u64>()
        });
    }
}

/// Replays the rows of one group; returns how many could not be.
fn replay_group(
    group: &mut Group,
    rows: &[RowAt],
    segments: &[Mapped],
    raw_rows: usize,
    rows_from: i64,
) -> u64 {
    let id = group.id;
    let state = group.state.get_mut();
    // The last row within the segment, which the next is written against.
    let mut last: Vec<f64> = vec![];
    let mut last_of = None;
    let mut damaged = 0;
    // What a segment has before its first row that is needed only serves to read that one; a segment without one, nothing.
    // Rows are in order of time, and one that is not is not needed, as below.
    let known = state.last_ts.max(rows_from.checked_sub(1)).unwrap_or(i64::MIN);
    let rows = rows.chunk_by(|a, b| a.segment == b.segment);
    let rows = rows.filter(|rows| {
        let needed = rows.iter().any(|row| row.ts > known);
        if !needed {
            state.last_ts = rows.iter().map(|row| row.ts).max().max(state.last_ts);
        }
        needed
    });
    let rows: Vec<&RowAt> = rows.flatten().collect();
    for row in rows {
        let segment = &segments[row.segment];
        let read = (|| {
            let payload = &segment.bytes()[row.payload.clone()];
            let Some(Record::Row { ts, full, row: mut r }) = record::parse(kind::ROW, payload) else {
                return None;
            };
            if full {
                last.clear();
                last_of = Some(row.segment);
            } else if last_of != Some(row.segment) {
                return None;
            }
            crate::row::decode(&mut r, &mut last, MAX_WIDTH)?;
            Some(ts)
        })();
        let Some(ts) = read else {
            tracing::error!(segment = segment.number, group = id, "log: row cannot be applied");
            damaged += 1;
            last_of = None;
            continue;
        };
        if ts < rows_from {
            state.last_ts = state.last_ts.max(Some(ts));
        } else if state.last_ts.is_none_or(|l| l < ts) {
            let known = last.len().min(state.slots.len());
            if state.raw.ts.len() >= raw_rows * RAW_PIECES {
                state.compress(id);
            }
            state.push_raw(ts, &last[..known], segment.number);
        }
    }
    damaged
}
