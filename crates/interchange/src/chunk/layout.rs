//! What all histograms of a chunk share: schema, zero threshold, spans, custom bounds (`tsdb/chunkenc/histogram_meta.go`).

use model::{CUSTOM_BUCKETS_SCHEMA, Histogram, Span};

use crate::bits::{BitReader, BitWriter};

/// Schemas that are read; upstream reserves higher ones for resolutions it does not have yet.
const SCHEMAS: std::ops::RangeInclusive<i64> = -9..=8;

/// The buckets of a chunk's histograms.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive: Vec<Span>,
    pub(super) negative: Vec<Span>,
    pub(super) custom: Vec<f64>,
}

impl Layout {
    pub(super) fn of(h: &Histogram) -> Self {
        Self {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            positive: h.positive_spans.clone(),
            negative: h.negative_spans.clone(),
            custom: h.custom_values.clone(),
        }
    }

    pub(super) fn read(r: &mut BitReader<'_>) -> Option<Self> {
        let zero_threshold = read_threshold(r)?;
        let schema = r.varbit_int()?;
        if !SCHEMAS.contains(&schema) && schema != i64::from(CUSTOM_BUCKETS_SCHEMA) {
            return None;
        }
        let schema = i32::try_from(schema).ok()?;
        let positive = read_spans(r)?;
        let negative = read_spans(r)?;
        let custom = if schema == CUSTOM_BUCKETS_SCHEMA { read_bounds(r)? } else { Vec::new() };
        Some(Self { schema, zero_threshold, positive, negative, custom })
    }

    pub(super) fn write(&self, w: &mut BitWriter) {
        put_threshold(w, self.zero_threshold);
        w.varbit_int(i64::from(self.schema));
        put_spans(w, &self.positive);
        put_spans(w, &self.negative);
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            w.varbit_uint(self.custom.len() as u64);
            for &bound in &self.custom {
                put_bound(w, bound);
            }
        }
    }
}

/// The buckets that spans cover, when that is no more than `most`.
pub(super) fn buckets(spans: &[Span], most: usize) -> Option<usize> {
    let n = spans.iter().try_fold(0_usize, |n, s| n.checked_add(s.length as usize))?;
    (n <= most).then_some(n)
}

fn read_spans(r: &mut BitReader<'_>) -> Option<Vec<Span>> {
    let n = usize::try_from(r.varbit_uint()?).ok()?;
    // Two bits at least for each.
    if n > r.left() / 2 {
        return None;
    }
    (0..n)
        .map(|_| {
            let length = u32::try_from(r.varbit_uint()?).ok()?;
            let offset = i32::try_from(r.varbit_int()?).ok()?;
            Some(Span { offset, length })
        })
        .collect()
}

fn put_spans(w: &mut BitWriter, spans: &[Span]) {
    w.varbit_uint(spans.len() as u64);
    for span in spans {
        w.varbit_uint(u64::from(span.length));
        w.varbit_int(i64::from(span.offset));
    }
}

fn read_bounds(r: &mut BitReader<'_>) -> Option<Vec<f64>> {
    let n = usize::try_from(r.varbit_uint()?).ok()?;
    if n > r.left() {
        return None;
    }
    (0..n)
        .map(|_| match r.varbit_uint()? {
            0 => r.bits(64).map(f64::from_bits),
            thousandths => Some((thousandths - 1) as f64 / 1000.0),
        })
        .collect()
}

fn put_bound(w: &mut BitWriter, bound: f64) {
    let scaled = bound * 1000.0;
    let whole = scaled.round();
    // The most that four bytes of the code hold, less one for the mark of the other form. Minus zero has no place there.
    let short = (0.0..=33_554_430.0).contains(&scaled) && (whole / 1000.0).to_bits() == bound.to_bits();
    if short {
        w.varbit_uint(whole as u64 + 1);
    } else {
        w.bit(false);
        w.bits(bound.to_bits(), 64);
    }
}

/// One byte for zero and the powers of two from 2^-243 to 2^10, nine for all else.
fn put_threshold(w: &mut BitWriter, threshold: f64) {
    let bits = threshold.to_bits();
    let exponent = (bits >> 52).cast_signed() - 1023;
    if bits == 0 {
        w.bits(0, 8);
    } else if bits & ((1 << 52) - 1) == 0 && (-243..=10).contains(&exponent) {
        w.bits((exponent + 244).cast_unsigned(), 8);
    } else {
        w.bits(255, 8);
        w.bits(bits, 64);
    }
}

fn read_threshold(r: &mut BitReader<'_>) -> Option<f64> {
    Some(match r.bits(8)? {
        0 => 0.0,
        255 => f64::from_bits(r.bits(64)?),
        // 2^(byte - 244), a normal number: its exponent field is byte - 244 + 1023.
        byte => f64::from_bits((byte + 779) << 52),
    })
}
