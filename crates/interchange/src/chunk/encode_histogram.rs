//! Histogram chunks, written. Where upstream would widen a chunk to new buckets, a new chunk begins.

use model::{Histogram, ResetHint, Span};

use super::decode_histogram::{GAUGE, NO_RESET, RESET};
use super::layout::Layout;
use super::xor::XorState;
use super::{Encoded, Encoding, SAMPLES_PER_CHUNK};
use crate::bits::BitWriter;

/// Ascending by time, at least one; appends chunks to `out`.
pub(super) fn encode(samples: &[(i64, Histogram)], out: &mut Vec<Encoded>) {
    let mut start = 0;
    let mut header = header_of_first(&samples[0].1);
    for i in 1..=samples.len() {
        let cut = match samples.get(i) {
            None => Some(0),
            Some((_, next)) => cut(&samples[i - 1].1, next, i - start),
        };
        if let Some(next_header) = cut {
            out.push(one(&samples[start..i], header));
            (start, header) = (i, next_header);
        }
    }
}

fn header_of_first(h: &Histogram) -> u8 {
    match h.reset_hint {
        ResetHint::Gauge => GAUGE,
        ResetHint::Reset => RESET,
        ResetHint::Unknown | ResetHint::NoReset => 0,
    }
}

/// Whether `next` begins a chunk after one of `samples` samples that ends with `last`, and what that chunk says of resets.
fn cut(last: &Histogram, next: &Histogram, samples: usize) -> Option<u8> {
    let (was_gauge, is_gauge) = (last.reset_hint == ResetHint::Gauge, next.reset_hint == ResetHint::Gauge);
    let full = samples >= SAMPLES_PER_CHUNK;
    let kinds_differ = is_integer(last) != is_integer(next);
    if next.is_stale() {
        // The marker fits behind any histogram; it has no hint of its own.
        let end = full || kinds_differ;
        return end.then_some(if was_gauge && is_gauge { GAUGE } else { 0 });
    }
    if is_gauge {
        return (full || kinds_differ || !was_gauge || last.is_stale() || !last.same_layout(next))
            .then_some(GAUGE);
    }
    if next.reset_hint == ResetHint::Reset {
        return Some(RESET);
    }
    if was_gauge || last.is_stale() || kinds_differ {
        return Some(0);
    }
    let comparable = last.schema == next.schema
        && last.zero_threshold.to_bits() == next.zero_threshold.to_bits()
        && last.custom_values == next.custom_values;
    if !comparable {
        return Some(0);
    }
    if was_reset(last, next) {
        return Some(RESET);
    }
    (full || !last.same_layout(next)).then_some(NO_RESET)
}

/// Whether any count of `next` is below that of `last`; both have the same schema.
fn was_reset(last: &Histogram, next: &Histogram) -> bool {
    next.count < last.count
        || next.zero_count < last.zero_count
        || fell(&last.positive_spans, &last.positive_buckets, &next.positive_spans, &next.positive_buckets)
        || fell(&last.negative_spans, &last.negative_buckets, &next.negative_spans, &next.negative_buckets)
}

fn fell(spans: &[Span], counts: &[f64], next_spans: &[Span], next_counts: &[f64]) -> bool {
    let mut next = indexed(next_spans, next_counts).peekable();
    for (index, count) in indexed(spans, counts) {
        while next.peek().is_some_and(|(i, _)| *i < index) {
            next.next();
        }
        let now = next.peek().filter(|(i, _)| *i == index).map_or(0.0, |(_, c)| *c);
        if now < count {
            return true;
        }
    }
    false
}

/// Buckets with their index.
fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut at = 0_i64;
    let indices = spans.iter().flat_map(move |span| {
        let first = at + i64::from(span.offset);
        at = first + i64::from(span.length);
        first..at
    });
    indices.zip(counts.iter().copied())
}

/// Whether all counts are whole numbers that doubles hold exactly, and are meant so.
fn is_integer(h: &Histogram) -> bool {
    let whole = |v: f64| {
        v.trunc() == v && (0.0..=9_007_199_254_740_992.0).contains(&v) && !(v == 0.0 && v.is_sign_negative())
    };
    h.integer
        && (h.is_stale()
            || (whole(h.count)
                && whole(h.zero_count)
                && h.positive_buckets.iter().chain(&h.negative_buckets).all(|v| whole(*v))))
}

/// One chunk; all samples have one kind and, but for stale ones, one layout.
fn one(samples: &[(i64, Histogram)], header: u8) -> Encoded {
    let count = u16::try_from(samples.len()).expect("callers cut at 120");
    let mut head = count.to_be_bytes().to_vec();
    head.push(header);
    let mut w = BitWriter::after(head);
    let (mint, first) = &samples[0];
    let empty = Histogram { sum: first.sum, ..Histogram::default() };
    Layout::of(if first.is_stale() { &empty } else { first }).write(&mut w);
    let encoding = if is_integer(first) {
        integers(&mut w, samples);
        Encoding::Histogram
    } else {
        floats(&mut w, samples);
        Encoding::FloatHistogram
    };
    let maxt = samples.last().map_or(*mint, |(ts, _)| *ts);
    Encoded { encoding, mint: *mint, maxt, samples: count, data: w.into_bytes() }
}

/// Counts and buckets of an integer histogram as it travels: count, zero count, differences between buckets.
fn numbers(h: &Histogram) -> Vec<i64> {
    let mut all = vec![h.count as i64, h.zero_count as i64];
    for buckets in [&h.positive_buckets, &h.negative_buckets] {
        let mut last = 0;
        all.extend(buckets.iter().map(|&c| {
            let difference = c as i64 - last;
            last = c as i64;
            difference
        }));
    }
    all
}

fn integers(w: &mut BitWriter, samples: &[(i64, Histogram)]) {
    let (mut ts, first) = (samples[0].0, &samples[0].1);
    let mut last = if first.is_stale() { vec![0, 0] } else { numbers(first) };
    let mut deltas = vec![0_i64; last.len()];
    let mut ts_delta = 0_i64;
    let mut sum = XorState::new(first.sum.to_bits());
    w.varbit_int(ts);
    w.varbit_uint(last[0].cast_unsigned());
    w.varbit_uint(last[1].cast_unsigned());
    w.bits(first.sum.to_bits(), 64);
    for &bucket in &last[2..] {
        w.varbit_int(bucket);
    }
    for (next, h) in &samples[1..] {
        let delta = next.wrapping_sub(ts);
        w.varbit_int(delta.wrapping_sub(ts_delta));
        (ts, ts_delta) = (*next, delta);
        if h.is_stale() {
            w.varbit_int(0);
            w.varbit_int(0);
            sum.write(w, h.sum.to_bits());
            continue;
        }
        for (i, now) in numbers(h).into_iter().enumerate() {
            if i == 2 {
                sum.write(w, h.sum.to_bits());
            }
            let delta = now - last[i];
            w.varbit_int(delta - deltas[i]);
            (last[i], deltas[i]) = (now, delta);
        }
        if last.len() == 2 {
            sum.write(w, h.sum.to_bits());
        }
    }
}

fn floats(w: &mut BitWriter, samples: &[(i64, Histogram)]) {
    let (mut ts, first) = (samples[0].0, &samples[0].1);
    let mut ts_delta = 0_i64;
    let counts = |h: &Histogram| -> Vec<u64> {
        if h.is_stale() {
            return vec![0, 0, h.sum.to_bits()];
        }
        let buckets = h.positive_buckets.iter().chain(&h.negative_buckets);
        [h.count, h.zero_count, h.sum].iter().chain(buckets).map(|v| v.to_bits()).collect()
    };
    let mut last: Vec<XorState> = counts(first).into_iter().map(XorState::new).collect();
    w.varbit_int(ts);
    for state in &last {
        w.bits(state.bits, 64);
    }
    for (next, h) in &samples[1..] {
        let delta = next.wrapping_sub(ts);
        w.varbit_int(delta.wrapping_sub(ts_delta));
        (ts, ts_delta) = (*next, delta);
        for (state, bits) in last.iter_mut().zip(counts(h)) {
            state.write(w, bits);
        }
    }
}
