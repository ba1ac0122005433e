//! Loose series in the log, and how they come back: chunk files first, then the checkpoint, then the log.
//!
//! ```text
//! points     := series, to the end
//! series     := reference zigzag varint (less the one before), samples varint << 1 | late, samples (see `stream`)
//! histograms := histogram, to the end
//! histogram  := reference varint, late u8, time zigzag (less the one before), length varint, histogram chunk of one
//! ```
//! The first sample of a series is expected at the time of the first of the series before, and each next one as much later as
//! the last two of that series were apart; the first ones of a record at 0.
//!
//! Samples that came in order are replayed where they are newer than what is known of their series. Late ones may be there
//! already; they are taken all the same, and readers see them once.

use std::sync::Arc;

use model::Histogram;

use super::checkpoint::EXTRA;
use super::chunk::{ChunkMeta, HISTOGRAMS, LooseItem, Piece, Sealed};
use super::stream::{Room, State};
use super::{BITS_UNKNOWN, HAS_LAST, Loose};
use crate::bytes::{Reader, put_bytes, put_varint, put_zigzag, unzigzag, zigzag};
use crate::codec::histogram::HistogramCodec;

/// More series than this is damage that a checksum missed.
const MAX_SERIES: u32 = 1 << 30;

/// Writes the payload of a record of points.
#[derive(Debug, Default)]
pub(crate) struct PointsWriter {
    series: u32,
    ts: i64,
    delta: i64,
}

impl PointsWriter {
    /// Adds samples of a series. `hints` spares searches; see [`super::LooseSeries::hints`].
    pub(crate) fn put(
        &mut self,
        series: u32,
        late: bool,
        samples: &[(i64, f64)],
        hints: State,
        room: &mut Room,
        out: &mut Vec<u8>,
    ) {
        let Some(&(first, _)) = samples.first() else { return };
        put_varint(out, zigzag(i64::from(series) - i64::from(self.series)));
        put_varint(out, (samples.len() as u64) << 1 | u64::from(late));
        let mut state = State { ts: self.ts.wrapping_sub(self.delta), delta: self.delta, ..hints };
        state.encode(samples, room, out);
        self.series = series;
        self.ts = first;
        if samples.len() > 1 {
            self.delta = state.delta;
        }
    }
}

/// Writes the payload of a record of histograms.
#[derive(Debug, Default)]
pub(crate) struct HistogramsWriter {
    ts: i64,
    chunk: Vec<u8>,
}

impl HistogramsWriter {
    pub(crate) fn put(
        &mut self,
        series: u32,
        late: bool,
        samples: &[(i64, Arc<Histogram>)],
        codec: &mut HistogramCodec,
        out: &mut Vec<u8>,
    ) {
        for (ts, h) in samples {
            put_varint(out, u64::from(series));
            out.push(u8::from(late));
            put_zigzag(out, ts.wrapping_sub(self.ts));
            self.ts = *ts;
            self.chunk.clear();
            codec.encode(std::slice::from_ref(h), &mut self.chunk);
            put_bytes(out, &self.chunk);
        }
    }
}

impl Loose {
    /// Chunks found in a file at start, before anything else is brought back; those that end before `flushed` are in blocks.
    pub(crate) fn adopt(&mut self, file: u32, item: &LooseItem, flushed: i64) {
        self.add_map(file, item);
        for chunk in item.chunks.iter().filter(|c| c.meta.maxt() >= flushed) {
            let slot = self.insert(chunk.series, None);
            let entry = self.at_mut(slot);
            entry.add_sealed(&[Sealed::new(file, chunk)]);
            // Values are learnt from the checkpoint or the log, which both outlive this chunk's first hours.
            match chunk.meta.kind {
                0 => entry.raise_last(chunk.meta.maxt(), None),
                HISTOGRAMS => {
                    let extra = entry.extra.get_or_insert_default();
                    if extra.newest_histogram.as_ref().is_none_or(|n| n.0 < chunk.meta.maxt()) {
                        extra.newest_histogram = Some((chunk.meta.maxt(), None));
                    }
                }
                _ => {}
            }
        }
    }

    /// Brings a checkpoint's record back. `None` when it is not of its shape; what was read before stays.
    pub(crate) fn load(&mut self, r: &mut Reader<'_>) -> Option<()> {
        while r.len() > 0 {
            let (series, flags) = (r.varint32().filter(|&s| s <= MAX_SERIES)?, r.u8()?);
            let last = if flags & HAS_LAST != 0 { Some((r.i64()?, r.u64()?)) } else { None };
            let count = r.varint32()?;
            let mut stream = &[][..];
            let (mut delta, mut exponent) = (0, 0);
            if count > 0 {
                (delta, exponent) = (r.zigzag()?, r.u8()?);
                stream = r.bytes()?;
                // A sample is a byte at least.
                if stream.len() < count as usize || exponent > 9 || last.is_none() {
                    return None;
                }
            }
            let slot = self.insert(series, None);
            let sealed = self.at(slot).sealed_maxt(false);
            if let Some((ts, bits)) = last {
                let entry = self.at_mut(slot);
                if count > 0 && sealed.is_none_or(|s| s < ts) {
                    let kept =
                        sealed.is_none_or(|s| super::stream::first_ts(stream).is_some_and(|first| s < first));
                    entry.raise_last(ts, Some(bits));
                    if entry.last_ts == ts {
                        entry.stream = stream.to_vec();
                        (entry.count, entry.delta, entry.exponent) = (count, delta, exponent);
                        (entry.hint, entry.misses) = (exponent, 0);
                    }
                    if let (false, Some(sealed)) = (kept, sealed) {
                        // Some of it was sealed after the checkpoint was written.
                        let (page, i) = super::page_of(slot);
                        let Self { pages, room, .. } = self;
                        pages[page][i].retain_stream(|_, ts| ts > sealed, room);
                    }
                    let grown = self.at(slot).stream.capacity();
                    self.bytes += grown;
                } else {
                    entry.raise_last(ts, (flags & BITS_UNKNOWN == 0).then_some(bits));
                }
            }
            if flags & EXTRA != 0 {
                self.load_extra(slot, r)?;
            }
        }
        Some(())
    }

    fn load_extra(&mut self, slot: u32, r: &mut Reader<'_>) -> Option<()> {
        let newest = if r.u8()? == 1 { Some(r.i64()?) } else { None };
        let sealed = self.at(slot).sealed_maxt(true);
        let mut pieces = vec![];
        for _ in 0..r.count()? {
            let kind = r.u8()?;
            let rows = u16::try_from(r.varint()?).ok()?;
            let meta = ChunkMeta { mint: r.i64()?, span: r.varint32()?, rows, kind }.sane()?;
            let body = r.bytes()?;
            // What was sealed since is in a chunk file. In order that is told by time; what came late may be there twice.
            if kind != HISTOGRAMS || sealed.is_none_or(|s| s < meta.mint) {
                pieces.push(Piece { meta, body: body.into() });
            }
        }
        let entry = self.at_mut(slot);
        let extra = entry.extra.get_or_insert_default();
        if let Some(ts) = newest
            && extra.newest_histogram.as_ref().is_none_or(|n| n.0 < ts)
        {
            extra.newest_histogram = Some((ts, None));
        }
        extra.pieces.append(&mut pieces);
        extra.account();
        self.bytes += self.at(slot).extra.as_ref().map_or(0, |e| e.memory());
        Some(())
    }

    /// Replays a record of points. `None` when it is not of its shape; what was read before stays.
    pub(crate) fn replay_points(&mut self, r: &mut Reader<'_>) -> Option<()> {
        let (mut series, mut base, mut delta) = (0_i64, 0_i64, 0_i64);
        let mut samples: Vec<(i64, f64)> = vec![];
        while r.len() > 0 {
            series = series.wrapping_add(unzigzag(r.varint()?));
            let reference = u32::try_from(series).ok().filter(|&s| s <= MAX_SERIES)?;
            let n = r.varint()?;
            let (n, late) = (usize::try_from(n >> 1).ok()?, n & 1 == 1);
            let mut state = State { ts: base.wrapping_sub(delta), delta, ..State::default() };
            samples.clear();
            let mut bytes = r.clone();
            let rest = bytes.take(r.len())?;
            let used = state.decode(rest, n, |ts, v| samples.push((ts, v)))?;
            r.take(used)?;
            base = samples.first()?.0;
            if n > 1 {
                delta = state.delta;
            }
            let slot = self.insert(reference, None);
            if late {
                samples.iter().for_each(|&(ts, v)| self.push_late(slot, ts, v));
                continue;
            }
            let entry = self.at_mut(slot);
            let last = if entry.has(HAS_LAST) { entry.last_ts } else { i64::MIN };
            if let Some(&(ts, v)) = samples.iter().find(|s| s.0 == last && entry.has(BITS_UNKNOWN)) {
                entry.raise_last(ts, Some(v.to_bits()));
            }
            let known = samples.partition_point(|s| s.0 <= last);
            if samples[known..].windows(2).any(|w| w[0].0 >= w[1].0) {
                return None;
            }
            self.push_run(slot, &samples[known..]);
        }
        Some(())
    }

    /// Replays a record of histograms likewise.
    pub(crate) fn replay_histograms(&mut self, r: &mut Reader<'_>) -> Option<()> {
        let (mut time, mut decoded) = (0_i64, vec![]);
        while r.len() > 0 {
            let (series, late) = (r.varint32().filter(|&s| s <= MAX_SERIES)?, r.u8()? == 1);
            time = time.wrapping_add(r.zigzag()?);
            decoded.clear();
            self.codec.histograms.decode(r.bytes()?, 1, &mut decoded)?;
            let h = decoded.pop()?;
            let slot = self.insert(series, None);
            if late {
                self.push_late_histogram(slot, time, h);
                continue;
            }
            let newest = self.at(slot).extra.as_ref().and_then(|e| e.newest_histogram.as_ref()).map(|n| n.0);
            if newest.is_none_or(|n| n < time) {
                self.push_histogram(slot, time, h);
            } else if newest == Some(time)
                && let Some(extra) = &mut self.at_mut(slot).extra
            {
                extra.newest_histogram = Some((time, Some(h)));
            }
        }
        Some(())
    }

    /// The end of the start: forgets series that nothing defines, and returns how many; notes which ones have rows in groups.
    pub(crate) fn settle(&mut self, defined: impl Fn(u32) -> bool, in_group: impl Fn(u32) -> bool) -> u64 {
        let lost: roaring::RoaringBitmap = self.iter().map(|s| s.series).filter(|&s| !defined(s)).collect();
        self.forget(&lost);
        let grouped: Vec<u32> = self.iter().map(|s| s.series).filter(|&s| in_group(s)).collect();
        grouped.into_iter().for_each(|s| self.note_group(s));
        self.urgent = false;
        lost.len()
    }

    pub(crate) fn push_late(&mut self, slot: u32, ts: i64, value: f64) {
        self.with_extra(slot, |extra, span, codec| extra.push_late(ts, value, span, codec));
        if let Some(arrived) = self.arrived(slot, ts) {
            arrived.late.push((ts, value));
        }
    }

    pub(crate) fn push_histogram(&mut self, slot: u32, ts: i64, h: Arc<Histogram>) {
        if let Some(arrived) = self.arrived(slot, ts) {
            arrived.histograms.push((ts, Arc::clone(&h)));
        }
        self.with_extra(slot, |extra, span, codec| extra.push_histogram(ts, h, span, codec));
    }

    pub(crate) fn push_late_histogram(&mut self, slot: u32, ts: i64, h: Arc<Histogram>) {
        if let Some(arrived) = self.arrived(slot, ts) {
            arrived.histograms.push((ts, Arc::clone(&h)));
        }
        self.with_extra(slot, |extra, span, codec| extra.push_late_histogram(ts, h, span, codec));
    }

    fn with_extra(&mut self, slot: u32, f: impl FnOnce(&mut super::Extra, i64, &mut super::ChunkCodec)) {
        let (page, i) = super::page_of(slot);
        let Self { pages, codec, bytes, block_span_ms, .. } = self;
        let entry = &mut pages[page][i];
        let before = entry.memory();
        f(entry.extra.get_or_insert_default(), *block_span_ms, codec);
        *bytes = (*bytes + entry.memory()).saturating_sub(before);
    }

    /// Where a sample is noted that arrives below the line of a flush that is under way.
    fn arrived(&mut self, slot: u32, ts: i64) -> Option<&mut super::flush::Arrived> {
        let series = self.at(slot).series;
        let flushing = self.flushing.as_mut().filter(|f| ts < f.before)?;
        Some(flushing.arrived.entry(series).or_default())
    }
}
