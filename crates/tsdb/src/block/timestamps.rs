//! The file of timestamp vectors and timelines, each distinct one stored once, so that series of one target share them.
//!
//! ```text
//! timestamps := "VIGIETIM" file of pages; records, each at a multiple of 4; its id is its offset / 4
//! vector     := length varint, ints of that length: the timestamps of a chunk
//! timeline   := count varint; of each of that many chunks: vector ids, oldest timestamps, spans to the newest one,
//!               rows << 1 | histograms; four columns of ints
//! ```
//! A vector's number of timestamps is told by the timelines that name it. The chunks of a timeline ascend by their oldest
//! timestamp. Vectors and timelines are found again by the 128-bit hash of their content among those met lately.

use std::path::Path;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::RwLock;
use storage::{Error, ErrorKind};

use super::pages::{PageWriter, Pages};
use super::recent::Recent;
use crate::MAX_CHUNK_ROWS;
use crate::bytes::{Reader, put_varint};
use crate::codec::{Effort, IntDecoder, IntEncoder};
use crate::disk::Faults;
use crate::segment::Damaged;

const MAGIC: &[u8; 8] = b"VIGIETIM";
const ALIGN: u64 = 4;
/// Hashes remembered, twice at most: about 40 bytes each.
const REMEMBERED: usize = 1 << 17;
/// The longest timeline: a chunk each second of a year would be longer.
const MAX_CHUNKS: usize = 1 << 24;
/// More than the head of a record, and all of a timeline of one chunk.
const PEEK: usize = 64;

/// One chunk as its timeline knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Id of its vector.
    pub(super) ts: u32,
    pub(super) mint: i64,
    pub(super) maxt: i64,
    pub(super) rows: u32,
    pub(super) histogram: bool,
}

/// Writes the file.
#[derive(Debug)]
pub(super) struct TimesWriter {
    pages: PageWriter,
    ints: IntEncoder,
    vectors: Recent,
    timelines: Recent,
    record: Vec<u8>,
    raw: Vec<u8>,
    column: Vec<i64>,
}

impl TimesWriter {
    pub(super) fn create(path: &Path, effort: Effort, faults: &Faults) -> Result<Self, Error> {
        Ok(Self {
            pages: PageWriter::create(path, MAGIC, faults)?,
            ints: IntEncoder::with_effort(effort),
            vectors: Recent::new(REMEMBERED),
            timelines: Recent::new(REMEMBERED),
            record: vec![],
            raw: vec![],
            column: vec![],
        })
    }

    /// The id of a vector of 1 to [`MAX_CHUNK_ROWS`] ascending timestamps.
    pub(super) fn vector(&mut self, ts: &[i64]) -> Result<u32, Error> {
        self.raw.clear();
        self.raw.resize(ts.len() * 8, 0);
        for (to, t) in self.raw.as_chunks_mut::<8>().0.iter_mut().zip(ts) {
            *to = t.to_le_bytes();
        }
        let hash = xxhash_rust::xxh3::xxh3_128(&self.raw);
        if let Some(id) = self.vectors.get(hash) {
            return Ok(id);
        }
        self.raw.clear();
        self.ints.encode(ts, &mut self.raw);
        self.record.clear();
        put_varint(&mut self.record, self.raw.len() as u64);
        self.record.extend_from_slice(&self.raw);
        let id = self.put()?;
        self.vectors.insert(hash, id);
        Ok(id)
    }

    /// The id of a timeline: at least one chunk, ascending by `mint`.
    pub(super) fn timeline(&mut self, spans: &[Span]) -> Result<u32, Error> {
        if spans.len() > MAX_CHUNKS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("block: a series of {} chunks", spans.len()),
            ));
        }
        self.record.clear();
        put_varint(&mut self.record, spans.len() as u64);
        let columns: [fn(&Span) -> i64; 4] = [
            |s| i64::from(s.ts),
            |s| s.mint,
            |s| s.maxt.wrapping_sub(s.mint),
            |s| i64::from(s.rows) << 1 | i64::from(s.histogram),
        ];
        for column in columns {
            self.column.clear();
            self.column.extend(spans.iter().map(column));
            self.ints.encode(&self.column, &mut self.record);
        }
        let hash = xxhash_rust::xxh3::xxh3_128(&self.record);
        if let Some(id) = self.timelines.get(hash) {
            return Ok(id);
        }
        let id = self.put()?;
        self.timelines.insert(hash, id);
        Ok(id)
    }

    /// Appends `record` at the next multiple of [`ALIGN`].
    fn put(&mut self) -> Result<u32, Error> {
        let at = self.pages.at();
        let padding = usize::try_from(at.next_multiple_of(ALIGN) - at).expect("less than ALIGN");
        let id = u32::try_from(at.div_ceil(ALIGN)).map_err(|_| {
            Error::new(ErrorKind::Unsupported, "block: more than 16 GiB of timestamps; write shorter blocks")
        })?;
        self.pages.append(&[0; 4][..padding])?;
        self.pages.append(&self.record)?;
        Ok(id)
    }

    pub(super) fn finish(self) -> Result<(), Error> {
        self.pages.finish()
    }
}

/// Spans of the timelines kept decoded.
const KEPT: usize = 1 << 16;

/// Reads the file.
#[derive(Debug)]
pub(super) struct Times {
    pages: Pages,
    /// Timelines of several chunks that were read lately: many series share one.
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    timelines: HashMap<u32, Arc<[Span]>, FixedState>,
    spans: usize,
}

/// The chunks of a series.
#[derive(Debug, Clone)]
pub(super) enum Timeline {
    One(Span),
    Many(Arc<[Span]>),
}

impl Timeline {
    pub(super) fn spans(&self) -> &[Span] {
        match self {
            Self::One(span) => std::slice::from_ref(span),
            Self::Many(spans) => spans,
        }
    }
}

impl Times {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { pages: Pages::open(path, MAGIC)?, kept: RwLock::default() })
    }

    pub(super) fn file_len(&self) -> u64 {
        self.pages.file_len()
    }

    /// Appends the vector of a chunk, whose rows and bounds must be those the span says.
    pub(super) fn vector(
        &self,
        span: &Span,
        ints: &mut IntDecoder,
        out: &mut Vec<i64>,
    ) -> Result<(), Damaged> {
        const BAD: Damaged = Damaged("timestamps do not decode");
        let at = u64::from(span.ts) * ALIGN;
        let head = self.pages.up_to(at, 10)?;
        let mut r = Reader::new(head);
        let len = r.varint().and_then(|n| usize::try_from(n).ok()).ok_or(BAD)?;
        let bytes = self.pages.get(at + (head.len() - r.len()) as u64, len)?;
        let rows = span.rows as usize;
        if rows == 0 || rows > MAX_CHUNK_ROWS {
            return Err(BAD);
        }
        let start = out.len();
        out.resize(start + rows, 0);
        let ts = &mut out[start..];
        let read = ints.decode(&mut Reader::new(bytes), ts);
        let sound = read.is_some()
            && ts[0] == span.mint
            && ts[rows - 1] == span.maxt
            && ts.windows(2).all(|w| w[0] < w[1]);
        if !sound {
            out.truncate(start);
            return Err(BAD);
        }
        Ok(())
    }

    /// The chunks of a timeline.
    pub(super) fn timeline(&self, id: u32) -> Result<Timeline, Damaged> {
        const BAD: Damaged = Damaged("timeline does not decode");
        let at = u64::from(id) * ALIGN;
        let mut r = Reader::new(self.pages.up_to(at, PEEK)?);
        let count = r.varint().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=MAX_CHUNKS).contains(n));
        let count = count.ok_or(BAD)?;
        if count == 1 {
            let mut next = || r.zigzag().ok_or(BAD);
            return span([next()?, next()?, next()?, next()?]).map(Timeline::One).ok_or(BAD);
        }
        if let Some(spans) = self.kept.read().timelines.get(&id) {
            return Ok(Timeline::Many(Arc::clone(spans)));
        }
        // Its length is not told: a column is at most 12 bytes a value and 32 more.
        let mut r = Reader::new(self.pages.up_to(at, count * 48 + 256)?);
        r.varint().ok_or(BAD)?;
        // Equal steps take next to nothing, but not nothing.
        if count / 1024 > r.len() {
            return Err(BAD);
        }
        let mut ints = IntDecoder::default();
        let mut columns: [Vec<i64>; 4] = Default::default();
        for column in &mut columns {
            column.resize(count, 0);
            ints.decode(&mut r, column).ok_or(BAD)?;
        }
        let [ids, mints, spans, rows] = &columns;
        let all = (0..count).map(|i| span([ids[i], mints[i], spans[i], rows[i]]));
        let all: Arc<[Span]> = all.collect::<Option<_>>().ok_or(BAD)?;
        if !all.windows(2).all(|w| w[0].mint <= w[1].mint) {
            return Err(BAD);
        }
        if count <= KEPT {
            let mut kept = self.kept.write();
            if kept.spans + count > KEPT {
                *kept = Kept::default();
            }
            if kept.timelines.insert(id, Arc::clone(&all)).is_none() {
                kept.spans += count;
            }
        }
        Ok(Timeline::Many(all))
    }
}

fn span([ts, mint, length, rows]: [i64; 4]) -> Option<Span> {
    let maxt = mint.wrapping_add(length);
    let span = Span {
        ts: u32::try_from(ts).ok()?,
        mint,
        maxt,
        rows: u32::try_from(rows >> 1).ok()?,
        histogram: rows & 1 == 1,
    };
    (maxt >= mint && (1..=MAX_CHUNK_ROWS).contains(&(span.rows as usize))).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_vectors_are_stored_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let mut writer = TimesWriter::create(&path, Effort::Fresh, &Faults::default()).unwrap();
        let even: Vec<i64> = (0..480).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        let a = writer.vector(&even).unwrap();
        let b = writer.vector(&even[1..]).unwrap();
        assert_ne!(a, b);
        assert_eq!(writer.vector(&even.clone()).unwrap(), a);
        let spans = [a, b].map(|ts| Span { ts, mint: 5, maxt: 7, rows: 2, histogram: ts == b });
        let line = writer.timeline(&spans).unwrap();
        assert_eq!(writer.timeline(&spans).unwrap(), line);
        let one = writer.timeline(&spans[..1]).unwrap();
        writer.finish().unwrap();
        let times = Times::open(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(times.timeline(line).unwrap().spans(), spans);
            assert_eq!(times.timeline(one).unwrap().spans(), &spans[..1]);
        }
        let span = Span { ts: a, mint: even[0], maxt: even[479], rows: 480, histogram: false };
        let mut ts = vec![9];
        times.vector(&span, &mut IntDecoder::default(), &mut ts).unwrap();
        assert_eq!(ts[1..], even);
        for wrong in [Span { rows: 479, ..span }, Span { mint: 0, ..span }, Span { ts: u32::MAX, ..span }] {
            assert!(times.vector(&wrong, &mut IntDecoder::default(), &mut ts).is_err());
            assert_eq!(ts.len(), 481);
        }
    }

    proptest! {
        #[test]
        fn timelines_round_trip(
            raw in proptest::collection::vec((any::<u32>(), any::<i64>(), any::<u32>(), 1_u32..4096, any::<bool>()), 1..50),
        ) {
            let mut spans: Vec<Span> = raw
                .into_iter()
                .map(|(ts, mint, len, rows, histogram)| {
                    Span { ts, mint, maxt: mint.saturating_add(i64::from(len)), rows, histogram }
                })
                .collect();
            spans.sort_by_key(|s| s.mint);
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("t");
            let mut writer = TimesWriter::create(&path, Effort::Cold, &Faults::default()).unwrap();
            let id = writer.timeline(&spans).unwrap();
            writer.finish().unwrap();
            let read = Times::open(&path).unwrap().timeline(id).unwrap();
            prop_assert_eq!(read.spans(), spans);
        }
    }
}
