//! Histogram chunks, read (`tsdb/chunkenc/histogram.go`, `float_histogram.go`).
//!
//! Integer histograms: each number as the change of its difference to the sample before, bucket counts as differences to the bucket
//! before. Float histograms: each number by XOR. A stale sample has no bucket counts.

use model::{Histogram, ResetHint};

use super::layout::{self, Layout};
use super::short;
use super::xor::XorState;
use crate::Error;
use crate::bits::BitReader;

/// Of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
}

/// The two bits that tell of counter resets.
pub(super) const RESET: u8 = 0b1000_0000;
pub(super) const NO_RESET: u8 = 0b0100_0000;
pub(super) const GAUGE: u8 = 0b1100_0000;
const RESET_MASK: u8 = 0b1100_0000;

pub(super) fn decode(data: &[u8], kind: Kind, out: &mut Vec<(i64, Histogram)>) -> Result<(), Error> {
    let (head, stream) = data.split_first_chunk::<3>().ok_or_else(|| short("histogram"))?;
    let count = usize::from(u16::from_be_bytes([head[0], head[1]]));
    if count == 0 {
        return Ok(());
    }
    let mut r = BitReader::new(stream);
    let layout = Layout::read(&mut r)
        .ok_or_else(|| Error::corrupt("histogram chunk: schema, spans or bounds cannot be read"))?;
    let chunk = Chunk { layout, is_gauge: head[2] & RESET_MASK == GAUGE, count };
    match kind {
        Kind::Integer => chunk.integers(&mut r, out),
        Kind::Float => chunk.floats(&mut r, out),
    }
    .ok_or_else(|| short("histogram"))
}

struct Chunk {
    layout: Layout,
    is_gauge: bool,
    count: usize,
}

/// A number that changes by differences.
#[derive(Clone, Copy, Default)]
struct Delta {
    value: i64,
    delta: i64,
}

impl Delta {
    #[inline]
    fn read(&mut self, r: &mut BitReader<'_>) -> Option<()> {
        self.delta = self.delta.wrapping_add(r.varbit_int()?);
        self.value = self.value.wrapping_add(self.delta);
        Some(())
    }
}

impl Chunk {
    /// The sample at `index`, without counts; a stale one has nothing but its sum.
    fn frame(&self, index: usize, sum: f64, integer: bool) -> Histogram {
        if model::is_stale(sum) {
            return Histogram { sum, integer, ..Histogram::default() };
        }
        let reset_hint = match index {
            _ if self.is_gauge => ResetHint::Gauge,
            // What the chunk says of its first sample concerns a chunk that may be gone or replaced, so it is not trusted.
            0 => ResetHint::Unknown,
            _ => ResetHint::NoReset,
        };
        Histogram {
            schema: self.layout.schema,
            zero_threshold: self.layout.zero_threshold,
            sum,
            positive_spans: self.layout.positive.clone(),
            negative_spans: self.layout.negative.clone(),
            custom_values: self.layout.custom.clone(),
            reset_hint,
            integer,
            ..Histogram::default()
        }
    }

    fn integers(&self, r: &mut BitReader<'_>, out: &mut Vec<(i64, Histogram)>) -> Option<()> {
        let positive = layout::buckets(&self.layout.positive, r.left())?;
        let negative = layout::buckets(&self.layout.negative, r.left())?;
        let mut ts = Delta { value: r.varbit_int()?, delta: 0 };
        let mut count = Delta { value: r.varbit_uint()?.cast_signed(), delta: 0 };
        let mut zero = Delta { value: r.varbit_uint()?.cast_signed(), delta: 0 };
        let mut sum = XorState::new(r.bits(64)?);
        let read_all = |r: &mut BitReader<'_>, n: usize| -> Option<Vec<Delta>> {
            (0..n).map(|_| Some(Delta { value: r.varbit_int()?, delta: 0 })).collect()
        };
        let mut positive = read_all(r, positive)?;
        let mut negative = read_all(r, negative)?;
        for index in 0..self.count {
            if index > 0 {
                ts.read(r)?;
                count.read(r)?;
                zero.read(r)?;
                sum.read(r)?;
            }
            let mut h = self.frame(index, sum.value(), true);
            if !h.is_stale() {
                if index > 0 {
                    positive.iter_mut().chain(&mut negative).try_for_each(|b| b.read(r))?;
                }
                h.count = count.value.cast_unsigned() as f64;
                h.zero_count = zero.value.cast_unsigned() as f64;
                h.positive_buckets = absolute(&positive);
                h.negative_buckets = absolute(&negative);
            }
            out.push((ts.value, h));
        }
        Some(())
    }

    fn floats(&self, r: &mut BitReader<'_>, out: &mut Vec<(i64, Histogram)>) -> Option<()> {
        let positive = layout::buckets(&self.layout.positive, r.left() / 64)?;
        let negative = layout::buckets(&self.layout.negative, r.left() / 64)?;
        let mut ts = Delta { value: r.varbit_int()?, delta: 0 };
        let mut count = XorState::new(r.bits(64)?);
        let mut zero = XorState::new(r.bits(64)?);
        let mut sum = XorState::new(r.bits(64)?);
        let read_all = |r: &mut BitReader<'_>, n: usize| -> Option<Vec<XorState>> {
            (0..n).map(|_| r.bits(64).map(XorState::new)).collect()
        };
        let mut positive = read_all(r, positive)?;
        let mut negative = read_all(r, negative)?;
        for index in 0..self.count {
            if index > 0 {
                ts.read(r)?;
                count.read(r)?;
                zero.read(r)?;
                sum.read(r)?;
            }
            let mut h = self.frame(index, sum.value(), false);
            if !h.is_stale() {
                if index > 0 {
                    positive.iter_mut().chain(&mut negative).try_for_each(|b| b.read(r))?;
                }
                h.count = count.value();
                h.zero_count = zero.value();
                h.positive_buckets = positive.iter().map(XorState::value).collect();
                h.negative_buckets = negative.iter().map(XorState::value).collect();
            }
            out.push((ts.value, h));
        }
        Some(())
    }
}

/// Counts from the differences between neighbouring buckets.
fn absolute(differences: &[Delta]) -> Vec<f64> {
    let mut count = 0_i64;
    differences
        .iter()
        .map(|d| {
            count = count.wrapping_add(d.value);
            count as f64
        })
        .collect()
}
