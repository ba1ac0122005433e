//! One loose series: its stream of newest samples, what is sealed, and what is known of its newest sample.

use super::chunk::{self, Sealed};
use super::extra::Extra;
use super::judge::Newest;
use super::stream::{self, Room, State};

/// The series also has rows in a group, or had.
pub(super) const IN_GROUP: u8 = 1;
/// There is a newest plain sample, whether or not it is still here.
pub(super) const HAS_LAST: u8 = 2;
/// `last_bits` is not known.
pub(super) const BITS_UNKNOWN: u8 = 4;
/// `key` is one.
pub(super) const HAS_KEY: u8 = 8;
/// The slot is in use.
pub(super) const LIVE: u8 = 16;

/// One series' loose samples.
#[derive(Debug, Default)]
pub(crate) struct LooseSeries {
    pub(super) key: [u64; 2],
    pub(crate) series: u32,
    pub(super) flags: u8,
    pub(super) exponent: u8,
    pub(super) misses: u8,
    pub(super) hint: u8,
    /// Samples in `stream`.
    pub(crate) count: u32,
    /// The batch that had it last, by the number of [`Loose::next_batch`].
    pub(super) batch: u32,
    /// Timestamp and bits of the newest plain sample that came in order.
    pub(super) last_ts: i64,
    pub(super) last_bits: u64,
    pub(super) delta: i64,
    pub(super) stream: Vec<u8>,
    /// By `mint`; those that came in order follow each other.
    pub(crate) sealed: Vec<Sealed>,
    pub(crate) extra: Option<Box<Extra>>,
}

impl LooseSeries {
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn in_group(&self) -> bool {
        self.has(IN_GROUP)
    }

    /// What the stream's next sample is written against.
    pub(super) fn state(&self) -> State {
        if self.count == 0 {
            return State { hint: self.hint, ..State::default() };
        }
        State {
            ts: self.last_ts,
            delta: self.delta,
            bits: self.last_bits,
            exponent: self.exponent,
            misses: self.misses,
            hint: self.hint,
        }
    }

    /// What the log's next sample is written against, where only what spares a search is taken over.
    pub(crate) fn hints(&self) -> State {
        State { misses: self.misses, hint: self.exponent.max(self.hint), ..State::default() }
    }

    /// The newest sample: when, and which one, if it came in order and is known.
    pub(crate) fn newest(&self) -> Option<Newest> {
        let float = self.has(HAS_LAST).then(|| {
            let bits = (!self.has(BITS_UNKNOWN)).then_some(self.last_bits);
            Newest { ts: self.last_ts, bits, histogram: None }
        });
        let histogram = self.extra.as_ref().and_then(|e| e.newest_histogram.as_ref());
        let histogram = histogram.map(|(ts, h)| Newest { ts: *ts, bits: None, histogram: h.clone() });
        let late = self.extra.as_ref().and_then(|e| e.newest_late);
        let late = late.map(|ts| Newest { ts, bits: None, histogram: None });
        Newest::of(Newest::of(float, histogram), late)
    }

    /// Has the end of the stream brought near, for who appends to it soon: several such accesses run at once, where appending
    /// would wait for each.
    #[inline]
    pub(crate) fn touch(&self) {
        std::hint::black_box(self.stream.last().copied());
    }

    /// The newest sample's time where it is plain and came in order; else `None`, and [`LooseSeries::newest`] tells more.
    pub(crate) fn plain_last(&self) -> Option<i64> {
        let last = if self.has(HAS_LAST) { self.last_ts } else { i64::MIN };
        let other = |e: &Extra| e.newest_histogram.is_some() || e.newest_late.is_some_and(|ts| ts > last);
        (!self.extra.as_ref().is_some_and(|e| other(e))).then_some(last)
    }

    /// Appends plain samples, ascending and newer than the newest one. Returns by how many bytes memory grew.
    pub(super) fn push_run(&mut self, samples: &[(i64, f64)], room: &mut Room) -> usize {
        let Some(&(ts, value)) = samples.last() else { return 0 };
        let mut state = self.state();
        let before = self.stream.capacity();
        state.encode(samples, room, &mut self.stream);
        self.count += u32::try_from(samples.len()).expect("a batch is far below 2^32 samples");
        (self.last_ts, self.last_bits, self.delta) = (ts, value.to_bits(), state.delta);
        (self.exponent, self.misses, self.hint) = (state.exponent, state.misses, state.hint);
        self.flags = (self.flags | HAS_LAST) & !BITS_UNKNOWN;
        self.stream.capacity() - before
    }

    /// Raises the newest plain sample to what is known from elsewhere.
    pub(super) fn raise_last(&mut self, ts: i64, bits: Option<u64>) {
        if self.has(HAS_LAST) && (self.last_ts > ts || (self.last_ts == ts && bits.is_none())) {
            return;
        }
        if self.count > 0 && self.last_ts != ts {
            // The stream's state is its last sample.
            return;
        }
        self.last_ts = ts;
        self.last_bits = bits.unwrap_or(0);
        self.flags |= HAS_LAST;
        self.flags = if bits.is_some() { self.flags & !BITS_UNKNOWN } else { self.flags | BITS_UNKNOWN };
    }

    /// Empties the stream; the newest sample stays known. Returns the bytes that were freed.
    pub(super) fn clear_stream(&mut self) -> usize {
        (self.count, self.delta, self.misses) = (0, 0, 0);
        self.hint = self.exponent;
        self.exponent = 0;
        std::mem::take(&mut self.stream).capacity()
    }

    /// Keeps the samples of the stream that `keep` takes, by number and time.
    pub(super) fn retain_stream(&mut self, keep: impl Fn(usize, i64) -> bool, room: &mut Room) {
        let mut kept = vec![];
        let mut n = 0;
        let _ = State::default().decode(&self.stream, self.count as usize, |ts, v| {
            if keep(n, ts) {
                kept.push((ts, v));
            }
            n += 1;
        });
        let (last_ts, last_bits, flags) = (self.last_ts, self.last_bits, self.flags);
        self.clear_stream();
        self.push_run(&kept, room);
        if kept.is_empty() {
            (self.last_ts, self.last_bits, self.flags) = (last_ts, last_bits, flags);
        }
    }

    pub(crate) fn chunks(&self) -> u64 {
        let extra = self.extra.as_ref().map_or(0, |e| e.chunks());
        self.sealed.len() as u64 + u64::from(self.count > 0) + extra
    }

    /// Oldest and newest sample.
    pub(crate) fn bounds(&self) -> Option<(i64, i64)> {
        let sealed = self.sealed.iter().map(|s| (s.meta().mint, s.meta().maxt()));
        let stream = self.stream_bounds();
        let extra = self.extra.as_ref().and_then(|e| e.bounds());
        sealed.chain(stream).chain(extra).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    pub(super) fn stream_bounds(&self) -> Option<(i64, i64)> {
        (self.count > 0).then(|| stream::first_ts(&self.stream).map(|first| (first, self.last_ts)))?
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0 && self.sealed.is_empty() && self.extra.as_ref().is_none_or(|e| e.is_empty())
    }

    /// The newest time that a chunk file has of the samples of one kind that came in order.
    pub(super) fn sealed_maxt(&self, histograms: bool) -> Option<i64> {
        let kind = if histograms { chunk::HISTOGRAMS } else { 0 };
        self.sealed.iter().map(Sealed::meta).filter(|m| m.kind == kind).map(|m| m.maxt()).max()
    }

    pub(super) fn memory(&self) -> usize {
        self.stream.capacity() + self.extra.as_ref().map_or(0, |e| e.memory())
    }
}
