//! A column of doubles as a chunk.
//!
//! ```text
//! chunk      := nothing                       all cells absent
//!             | head [absent] body
//! head       := mode (bits 0-2) | variant (bits 3-6) | 0x80 when absent runs follow
//! absent     := count varint, then run lengths: present, absent, present, ... in turn; what is left is present
//! body       := mode 0  bits u64                           every value is this one
//!             | mode 1  zigzag                             the same, as a decimal; variant = exponent
//!             | mode 2  exponent u8, ints                  variant = form
//!             | mode 3  exponent u8, exceptions, ints      the same with patches
//!             | mode 4  exponent u8, ulps ints, ints       form Multiply, corrected in the last place
//!             | mode 5  ints                               the doubles' bits in their numeric order
//!             | mode 6  u64 each                           the doubles' bits
//! exceptions := count varint, count * (distance to the last index varint, bits u64)
//! ```

use storage::{ABSENT, is_absent};

use super::decimal::{Form, MAX_EXPONENT, Scaled, of_one, scaled, unscale};
use super::isa::{self, Hot};
use super::{Effort, IntDecoder, IntEncoder};
use crate::bytes::{Reader, put_varint, put_zigzag};

const MODE: u8 = 7;
const CONSTANT_BITS: u8 = 0;
const CONSTANT: u8 = 1;
const DECIMAL: u8 = 2;
const PATCHED: u8 = 3;
const ULPS: u8 = 4;
const ORDERED: u8 = 5;
const PLAIN: u8 = 6;
const ABSENT_RUNS: u8 = 0x80;

/// A decimal of more digits than this is no shorter than its bits.
const MAX_CONSTANT: u64 = 1 << 48;

/// The longest chunk of a constant column: head and ten bytes of zigzag.
const CONSTANT_LEN: usize = 11;

/// The chunk of a constant column. It does not depend on how many cells there are, so it can be copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Constant {
    len: usize,
    bytes: [u8; CONSTANT_LEN],
}

impl Constant {
    /// `None` when the chunk is of another kind.
    pub(crate) fn of(chunk: &[u8]) -> Option<Self> {
        if chunk.first().is_some_and(|head| head & ABSENT_RUNS != 0 || head & MODE > CONSTANT) {
            return None;
        }
        let mut bytes = [0; CONSTANT_LEN];
        bytes.get_mut(..chunk.len())?.copy_from_slice(chunk);
        Some(Self { len: chunk.len(), bytes })
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Encodes columns; keeps its buffers, so one per thread or batch.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    ints: IntEncoder,
    dense: Vec<f64>,
    best: Scaled,
    trial: Scaled,
    ulps: Vec<i64>,
    ordered: Vec<i64>,
}

impl Encoder {
    /// An encoder that spends `effort`.
    pub(crate) fn with_effort(effort: Effort) -> Self {
        Self { ints: IntEncoder::with_effort(effort), ..Self::default() }
    }

    /// Appends the chunk of `values` to `out`; at most 8 bytes a value and a few more.
    pub(crate) fn encode(&mut self, values: &[f64], out: &mut Vec<u8>) {
        isa::run(Encode { encoder: self, values, out });
    }

    #[inline(always)]
    fn encode_here(&mut self, values: &[f64], out: &mut Vec<u8>) {
        let Some(&first) = values.first() else { return };
        if all_equal(values, first) {
            if !is_absent(first) {
                put_constant(first, 0, &[], out);
            }
            return;
        }
        if !values.iter().fold(false, |any, &v| any | is_absent(v)) {
            return self.encode_dense(values, out, &[]);
        }
        let mut dense = std::mem::take(&mut self.dense);
        dense.clear();
        dense.extend(values.iter().filter(|v| !is_absent(**v)));
        let mut runs = Vec::new();
        put_absent_runs(values, &mut runs);
        if all_equal(&dense, dense[0]) {
            put_constant(dense[0], ABSENT_RUNS, &runs, out);
        } else {
            self.encode_dense(&dense, out, &runs);
        }
        self.dense = dense;
    }

    /// Appends the chunk of values that are neither absent nor all alike.
    fn encode_dense(&mut self, values: &[f64], out: &mut Vec<u8>, runs: &[u8]) {
        let flag = if runs.is_empty() { 0 } else { ABSENT_RUNS };
        let start = out.len();
        let head = |mode: u8, variant: u8, out: &mut Vec<u8>| {
            out.push(mode | variant << 3 | flag);
            out.extend_from_slice(runs);
        };
        let form = isa::run(ChooseForm { encoder: self, values });
        // Patches dearer than a byte a value: perhaps it is a decimal that was rounded on the way.
        if form.is_none_or(|_| self.best.exceptions.len() * 64 > values.len())
            && self.trial.fill_with_ulps(values, &mut self.ulps)
        {
            head(ULPS, 0, out);
            out.push(self.trial.exponent);
            self.ints.encode(&self.ulps, out);
            self.ints.encode(&self.trial.ints, out);
        } else if let Some(form) = form {
            let Scaled { exponent, ints, exceptions } = &self.best;
            let variant = match form {
                Form::Divide => 0,
                Form::Multiply => 1,
                Form::Thousandths => 2,
            };
            head(if exceptions.is_empty() { DECIMAL } else { PATCHED }, variant, out);
            out.push(*exponent);
            if !exceptions.is_empty() {
                put_varint(out, exceptions.len() as u64);
                let mut last = 0;
                for &(i, bits) in exceptions {
                    put_varint(out, (i - last) as u64);
                    out.extend_from_slice(&bits.to_le_bytes());
                    last = i;
                }
            }
            self.ints.encode(ints, out);
        } else {
            self.ordered.clear();
            self.ordered.extend(values.iter().map(|v| order(v.to_bits().cast_signed())));
            head(ORDERED, 0, out);
            self.ints.encode(&self.ordered, out);
        }
        if out.len() - start > 1 + runs.len() + 8 * values.len() {
            out.truncate(start);
            head(PLAIN, 0, out);
            values.iter().for_each(|v| out.extend_from_slice(&v.to_bits().to_le_bytes()));
        }
    }

    /// Leaves the form with the fewest exceptions in `best`.
    #[inline(always)]
    fn choose_form(&mut self, values: &[f64]) -> Option<Form> {
        let mut chosen = None;
        let mut allowed = values.len() / 16;
        for form in Form::ALL {
            if !self.trial.fill(values, form, allowed) {
                continue;
            }
            std::mem::swap(&mut self.best, &mut self.trial);
            chosen = Some(form);
            match self.best.exceptions.len() {
                0 => break,
                n => allowed = n - 1,
            }
        }
        chosen
    }
}

struct Encode<'a> {
    encoder: &'a mut Encoder,
    values: &'a [f64],
    out: &'a mut Vec<u8>,
}

impl Hot for Encode<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.encoder.encode_here(self.values, self.out);
    }
}

struct ChooseForm<'a> {
    encoder: &'a mut Encoder,
    values: &'a [f64],
}

impl Hot for ChooseForm<'_> {
    type Output = Option<Form>;

    #[inline(always)]
    fn run(self) -> Option<Form> {
        self.encoder.choose_form(self.values)
    }
}

/// Whether all values have the bits of `first`.
#[inline(always)]
fn all_equal(values: &[f64], first: f64) -> bool {
    let bits = first.to_bits();
    // Most columns that move are seen to in their first values, and those that do not go quicker several at a time.
    values.chunks(16).all(|some| some.iter().fold(0, |differ, v| differ | (v.to_bits() ^ bits)) == 0)
}

fn put_constant(value: f64, flag: u8, runs: &[u8], out: &mut Vec<u8>) {
    let decimal = of_one(value).filter(|(_, i)| i.unsigned_abs() < MAX_CONSTANT);
    out.push(flag | decimal.map_or(CONSTANT_BITS, |(e, _)| CONSTANT | e << 3));
    out.extend_from_slice(runs);
    match decimal {
        Some((_, i)) => put_zigzag(out, i),
        None => out.extend_from_slice(&value.to_bits().to_le_bytes()),
    }
}

/// Doubles' bits as integers in the same order as the doubles; its own inverse.
#[inline]
fn order(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

fn put_absent_runs(values: &[f64], out: &mut Vec<u8>) {
    let mut lengths = Vec::new();
    let mut rest = values;
    let mut absent = false;
    while !rest.is_empty() {
        let n = rest.iter().take_while(|v| is_absent(**v) == absent).count();
        lengths.push(n);
        rest = &rest[n..];
        absent = !absent;
    }
    // The last run of present cells is what is left.
    if lengths.len() % 2 == 1 {
        lengths.pop();
    }
    put_varint(out, lengths.len() as u64);
    lengths.iter().for_each(|&n| put_varint(out, n as u64));
}

/// Decodes chunks; keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    ints: IntDecoder,
    column: Vec<i64>,
    ulps: Vec<i64>,
    runs: Vec<usize>,
}

impl Decoder {
    /// Fills `out` with the chunk's values. `None` when the bytes are no chunk of that many; `out` is then unspecified.
    pub(crate) fn decode(&mut self, chunk: &[u8], out: &mut [f64]) -> Option<()> {
        if chunk.is_empty() {
            out.fill(ABSENT);
            return Some(());
        }
        let mut r = Reader::new(chunk);
        let head = r.u8()?;
        if head & ABSENT_RUNS == 0 {
            return self.decode_dense(head, &mut r, out);
        }
        let present = self.read_runs(&mut r, out.len())?;
        self.decode_dense(head, &mut r, &mut out[..present])?;
        // From the end, so that no value is overwritten before it has moved.
        let (mut from, mut to) = (present, out.len());
        let mut runs = std::mem::take(&mut self.runs);
        while let Some(n) = runs.pop() {
            if runs.len().is_multiple_of(2) {
                out.copy_within(from - n..from, to - n);
                from -= n;
            } else {
                out[to - n..to].fill(ABSENT);
            }
            to -= n;
        }
        self.runs = runs;
        Some(())
    }

    /// Leaves run lengths that cover `n` cells, present ones first; returns how many are present.
    fn read_runs(&mut self, r: &mut Reader<'_>, n: usize) -> Option<usize> {
        self.runs.clear();
        let (mut left, mut present) = (n, 0);
        for i in 0..r.count()? {
            let run = usize::try_from(r.varint()?).ok()?;
            left = left.checked_sub(run)?;
            present += if i % 2 == 0 { run } else { 0 };
            self.runs.push(run);
        }
        if self.runs.len() % 2 == 1 {
            return None;
        }
        self.runs.push(left);
        Some(present + left)
    }

    fn decode_dense(&mut self, head: u8, r: &mut Reader<'_>, out: &mut [f64]) -> Option<()> {
        let variant = (head & !ABSENT_RUNS) >> 3;
        match head & MODE {
            CONSTANT_BITS => out.fill(f64::from_bits(r.u64()?)),
            CONSTANT => out.fill(scaled(r.zigzag()?, variant, Form::Divide)),
            mode @ (DECIMAL | PATCHED) => {
                let form = *Form::ALL.get(usize::from(variant))?;
                let exponent = exponent(r)?;
                let mut patches = r.clone();
                let mut count = 0;
                if mode == PATCHED {
                    count = r.count()?;
                    patches = r.clone();
                    for _ in 0..count {
                        r.varint()?;
                        r.u64()?;
                    }
                }
                let ints = column(&mut self.column, out.len());
                self.ints.decode(r, ints)?;
                unscale(ints, exponent, form, out);
                let mut i = 0;
                for _ in 0..count {
                    i = usize::try_from(patches.varint()?).ok()?.checked_add(i)?;
                    *out.get_mut(i)? = f64::from_bits(patches.u64()?);
                }
            }
            ULPS => {
                let exponent = exponent(r)?;
                let ulps = column(&mut self.ulps, out.len());
                self.ints.decode(r, ulps)?;
                let ints = column(&mut self.column, out.len());
                self.ints.decode(r, ints)?;
                unscale(ints, exponent, Form::Multiply, out);
                for (o, &ulp) in out.iter_mut().zip(&*ulps) {
                    *o = f64::from_bits(o.to_bits().wrapping_add(ulp.cast_unsigned()));
                }
            }
            ORDERED => {
                let ints = column(&mut self.column, out.len());
                self.ints.decode(r, ints)?;
                for (o, &i) in out.iter_mut().zip(&*ints) {
                    *o = f64::from_bits(order(i).cast_unsigned());
                }
            }
            PLAIN => {
                for o in out {
                    *o = f64::from_bits(r.u64()?);
                }
            }
            _ => return None,
        }
        Some(())
    }
}

fn exponent(r: &mut Reader<'_>) -> Option<u8> {
    r.u8().filter(|&e| e <= MAX_EXPONENT)
}

fn column(buffer: &mut Vec<i64>, n: usize) -> &mut [i64] {
    if buffer.len() < n {
        buffer.resize(n, 0);
    }
    &mut buffer[..n]
}

/// How many bytes a chunk of `n` values can take at most.
#[cfg(test)]
fn bound(n: usize) -> usize {
    // Runs: at most one length of up to two bytes per cell.
    16 + n * 8 + n * 2
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
