//! Records: what the log and checkpoints are sequences of.
//!
//! ```text
//! frame   := length u32 (of type and payload), crc32c u32 (of type and payload), type u8, payload
//!  1 series := count, count * (ref varint, length varint, label set as packed by `model`)
//!  2 open   := group varint, key (length varint, label set)
//!  3 slots  := group varint, first slot varint, count varint, count * ref varint
//!  4 close  := group varint
//!  5 row    := group varint, ts zigzag, full u8 (1: against nothing; 0: against the group's row before), row
//!  8 points := see `loose::replay`
//!  9 histograms := see `loose::replay`
//! 10 exemplars := see `exemplars`
//! 12 delete := first ms zigzag, last ms zigzag, count varint, count * ref varint
//! 18 groups := count varint, count * (group varint, flags u8, [newest row i64], [sealed until i64])
//! 21 end    := next ref varint, next group varint
//! 22 state  := definitions file varint, its length varint, samples' segment varint, offset varint
//! 24 loose  := see `loose::checkpoint`
//! 25 exemplars := see `exemplars`
//! 32 names  := first number varint, count varint, count * (length varint, bytes)
//! 33 pairs  := first number varint, count varint, count * (name's number varint, value: length varint, bytes)
//! 34 sets   := first ref varint, count varint, pair numbers in all varint, count * (refs left out varint, set)
//!    set    := labels varint, changed (one bit a label, low bits first), per changed: zigzag, pair number less the one at
//!              the same place of the set before in this record (0 where there is none)
//! 35 keys   := count varint, count * (group varint, key)
//! 36 places := group varint, first slot varint, slots varint, runs of refs to make them up:
//!              zigzag of the first ref less the one after the run before, length varint; a length of 0: one slot lost
//! 37 gone   := runs varint, runs * (refs left out varint, length varint)                 series that are no more
//! 38 left   := count varint, count * group varint                                        groups that are no more
//! ```

use model::LabelSet;
use roaring::RoaringBitmap;
use storage::TimeRange;

use crate::bytes::{Reader, put_bytes, put_varint, put_zigzag};

pub(crate) const FRAME_HEADER: usize = 8;
/// Longer than any record that is written; a length beyond it is damage.
const MAX_RECORD: usize = 1 << 30;

/// Types of records.
pub(crate) mod kind {
    pub(crate) const SERIES: u8 = 1;
    pub(crate) const OPEN: u8 = 2;
    pub(crate) const SLOTS: u8 = 3;
    pub(crate) const CLOSE: u8 = 4;
    pub(crate) const ROW: u8 = 5;
    pub(crate) const POINTS: u8 = 8;
    pub(crate) const HISTOGRAMS: u8 = 9;
    pub(crate) const EXEMPLARS: u8 = 10;
    pub(crate) const DELETE: u8 = 12;
    pub(crate) const GROUPS: u8 = 18;
    pub(crate) const END: u8 = 21;
    pub(crate) const STATE: u8 = 22;
    pub(crate) const LOOSE: u8 = 24;
    pub(crate) const KEPT_EXEMPLARS: u8 = 25;
    pub(crate) const NAMES: u8 = 32;
    pub(crate) const PAIRS: u8 = 33;
    pub(crate) const SETS: u8 = 34;
    pub(crate) const KEYS: u8 = 35;
    pub(crate) const PLACES: u8 = 36;
    pub(crate) const GONE: u8 = 37;
    pub(crate) const LEFT: u8 = 38;
}

/// Appends a frame whose payload `fill` appends.
pub(crate) fn frame(out: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER]);
    out.push(kind);
    fill(out);
    let body = start + FRAME_HEADER;
    let len = u32::try_from(out.len() - body).expect("records are built in portions far below 4 GiB");
    let crc = crc32c::crc32c(&out[body..]);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    out[start + 4..body].copy_from_slice(&crc.to_le_bytes());
}

/// The frame at `offset`: its type, its payload and the offset after it. `None` when there is none whole and sound.
pub(crate) fn frame_at(bytes: &[u8], offset: usize) -> Option<(u8, &[u8], usize)> {
    let mut r = Reader::new(bytes.get(offset..)?);
    let len = usize::try_from(r.u32()?).ok().filter(|&n| (1..=MAX_RECORD).contains(&n))?;
    let crc = r.u32()?;
    let body = r.take(len)?;
    let (&kind, payload) = body.split_first()?;
    (crc32c::crc32c(body) == crc).then_some((kind, payload, offset + FRAME_HEADER + len))
}

/// All sound frames from `offset` on (type, payload's range), how many places were damaged, and where the last sound frame
/// ends. Damage is passed over where the damaged frame's own length leads to a sound one; `what` names the file.
pub(crate) fn frames(bytes: &[u8], mut offset: usize, what: &str) -> Frames {
    let mut all = Frames { frames: vec![], damaged: 0, end: offset };
    while offset < bytes.len() {
        if let Some((kind, payload, next)) = frame_at(bytes, offset) {
            all.frames.push((kind, next - payload.len()..next));
            offset = next;
            all.end = next;
            continue;
        }
        match hop(bytes, offset) {
            Some(next) => {
                tracing::error!(file = what, offset, "damaged record");
                all.damaged += 1;
                offset = next;
            }
            None => break,
        }
    }
    all
}

/// What [`frames`] found.
#[derive(Debug)]
pub(crate) struct Frames {
    pub(crate) frames: Vec<(u8, std::ops::Range<usize>)>,
    pub(crate) damaged: u64,
    /// Bytes from here on, if any, are no frame that could be found.
    pub(crate) end: usize,
}

/// The next place at or after `offset` + 1 where a frame is sound, if the damaged frame's own length leads to one.
pub(crate) fn hop(bytes: &[u8], offset: usize) -> Option<usize> {
    let len = usize::try_from(Reader::new(bytes.get(offset..)?).u32()?).ok()?;
    let next = offset.checked_add(FRAME_HEADER)?.checked_add(len)?;
    frame_at(bytes, next).map(|_| next)
}

pub(crate) fn put_series<'a>(out: &mut Vec<u8>, series: impl ExactSizeIterator<Item = (u32, &'a LabelSet)>) {
    frame(out, kind::SERIES, |out| {
        put_varint(out, series.len() as u64);
        for (series, labels) in series {
            put_varint(out, u64::from(series));
            put_bytes(out, labels.as_bytes());
        }
    });
}

pub(crate) fn put_open(out: &mut Vec<u8>, group: u32, key: &LabelSet) {
    frame(out, kind::OPEN, |out| {
        put_varint(out, u64::from(group));
        put_bytes(out, key.as_bytes());
    });
}

pub(crate) fn put_close(out: &mut Vec<u8>, group: u32) {
    frame(out, kind::CLOSE, |out| put_varint(out, u64::from(group)));
}

pub(crate) fn put_slots(out: &mut Vec<u8>, group: u32, first: usize, series: &[u32]) {
    frame(out, kind::SLOTS, |out| {
        put_varint(out, u64::from(group));
        put_varint(out, first as u64);
        put_varint(out, series.len() as u64);
        series.iter().for_each(|&s| put_varint(out, u64::from(s)));
    });
}

/// `last` is the group's row before in the same log segment; `None` where there is none.
pub(crate) fn put_row(out: &mut Vec<u8>, group: u32, ts: i64, last: Option<&[f64]>, row: &[f64]) {
    frame(out, kind::ROW, |out| {
        put_varint(out, u64::from(group));
        put_zigzag(out, ts);
        out.push(u8::from(last.is_none()));
        crate::row::encode(last.unwrap_or(&[]), row, out);
    });
}

/// `range` of these series is deleted.
pub(crate) fn put_delete(out: &mut Vec<u8>, series: &RoaringBitmap, range: TimeRange) {
    let series: Vec<u32> = series.iter().collect();
    frame(out, kind::DELETE, |out| fill_delete(out, &series, range));
}

pub(crate) fn fill_delete(out: &mut Vec<u8>, series: &[u32], range: TimeRange) {
    put_zigzag(out, range.mint);
    put_zigzag(out, range.maxt);
    put_varint(out, series.len() as u64);
    series.iter().for_each(|&s| put_varint(out, u64::from(s)));
}

/// A record of the log, its lists still to be read.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    Series(Vec<(u32, LabelSet)>),
    Open(u32, LabelSet),
    Slots { group: u32, first: u32, series: Vec<u32> },
    Close(u32),
    Row { ts: i64, full: bool, row: Reader<'a> },
    Points(Reader<'a>),
    Histograms(Reader<'a>),
    Exemplars(Reader<'a>),
    Delete(TimeRange, Vec<u32>),
}

/// Reads a log record; `None` when the payload is not of its type's shape.
pub(crate) fn parse(kind: u8, payload: &[u8]) -> Option<Record<'_>> {
    let mut r = Reader::new(payload);
    Some(match kind {
        kind::SERIES => {
            let n = r.count()?;
            let series = (0..n).map(|_| Some((r.varint32()?, LabelSet::from_bytes(r.bytes()?)?)));
            Record::Series(series.collect::<Option<_>>()?)
        }
        kind::OPEN => Record::Open(r.varint32()?, LabelSet::from_bytes(r.bytes()?)?),
        kind::SLOTS => {
            let (group, first) = (r.varint32()?, r.varint32()?);
            let n = r.count()?;
            Record::Slots { group, first, series: (0..n).map(|_| r.varint32()).collect::<Option<_>>()? }
        }
        kind::CLOSE => Record::Close(r.varint32()?),
        kind::ROW => {
            // The group was looked at before.
            r.varint32()?;
            Record::Row { ts: r.zigzag()?, full: r.u8()? == 1, row: r }
        }
        kind::POINTS => Record::Points(r),
        kind::HISTOGRAMS => Record::Histograms(r),
        kind::EXEMPLARS => Record::Exemplars(r),
        kind::DELETE => {
            let range = TimeRange { mint: r.zigzag()?, maxt: r.zigzag()? };
            let n = r.count()?;
            Record::Delete(range, (0..n).map(|_| r.varint32()).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_are_found_and_damage_is_seen() {
        let mut out = vec![];
        put_close(&mut out, 7);
        let second = out.len();
        put_slots(&mut out, 7, 2, &[5, 3]);
        let (kind, payload, next) = frame_at(&out, 0).unwrap();
        assert!(matches!(parse(kind, payload), Some(Record::Close(7))));
        assert_eq!(next, second);
        let (kind, payload, end) = frame_at(&out, second).unwrap();
        let Some(Record::Slots { group: 7, first: 2, series }) = parse(kind, payload) else {
            panic!("slots")
        };
        assert_eq!(series, [5, 3]);
        assert_eq!(end, out.len());
        for at in 4..second {
            let mut broken = out.clone();
            broken[at] ^= 0x10;
            assert!(frame_at(&broken, 0).is_none(), "byte {at}");
            assert_eq!(hop(&broken, 0), Some(second));
        }
        for cut in 0..second {
            assert!(frame_at(&out[..cut], 0).is_none());
        }
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(kind in 0_u8..24, bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(kind, &bytes);
            let _ = frame_at(&bytes, 0);
            let _ = hop(&bytes, 0);
        }
    }
}
