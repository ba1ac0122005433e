//! Doubles as integers times a power of ten, exactly.
//!
//! Exporters make decimals in three ways that differ in the last bit: `i / 10^e` (what a printed decimal parses to),
//! `i * 10^-e`, and `i / 1000 / 1000`. Each is tried; what a form does not reproduce bit for bit is an exception.

use super::isa::{self, Hot};

/// How a double is made from its integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Divide,
    Multiply,
    Thousandths,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Divide, Self::Multiply, Self::Thousandths];

    fn exponents(self) -> std::ops::RangeInclusive<u8> {
        match self {
            Self::Divide | Self::Multiply => 0..=MAX_EXPONENT,
            Self::Thousandths => 6..=6,
        }
    }
}

pub(super) const MAX_EXPONENT: u8 = 15;
/// Exponents worth trying with an ulp residual, the likeliest first.
const ULP_EXPONENTS: [u8; 9] = [3, 6, 2, 1, 9, 4, 5, 7, 8];
const MAX_ULPS: u64 = 8;

const POWERS: [f64; 16] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const INVERSES: [f64; 16] =
    [1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15];

/// 1.5 * 2^52: adding it to a double below 2^51 in magnitude leaves the rounded integer in the low bits, and the
/// reverse, without the conversion instructions that portable x86-64 lacks for 64 bits at a time.
const MAGIC: f64 = 6_755_399_441_055_744.0;
const MAGIC_BITS: i64 = MAGIC.to_bits().cast_signed();
const LIMIT: f64 = 2_251_799_813_685_247.0;

#[inline(always)]
fn to_double(i: i64) -> f64 {
    f64::from_bits(i.wrapping_add(MAGIC_BITS).cast_unsigned()) - MAGIC
}

#[inline(always)]
fn nearest(x: f64, e: u8) -> Option<i64> {
    let y = x * POWERS[usize::from(e)];
    // Not `y.abs() >= LIMIT`: a NaN has to fail too.
    (y.abs() < LIMIT).then(|| (y + MAGIC).to_bits().cast_signed().wrapping_sub(MAGIC_BITS))
}

#[inline(always)]
pub(super) fn scaled(i: i64, e: u8, form: Form) -> f64 {
    let y = to_double(i);
    match form {
        Form::Divide => y / POWERS[usize::from(e)],
        Form::Multiply => y * INVERSES[usize::from(e)],
        Form::Thousandths => y / 1e3 / 1e3,
    }
}

#[inline(always)]
fn exact(x: f64, e: u8, form: Form) -> Option<i64> {
    if e == 0 {
        let whole = x + MAGIC;
        return (x.abs() < LIMIT && (whole - MAGIC).to_bits() == x.to_bits())
            .then(|| whole.to_bits().cast_signed().wrapping_sub(MAGIC_BITS));
    }
    nearest(x, e).filter(|&i| scaled(i, e, form).to_bits() == x.to_bits())
}

/// The smallest exponent and its integer for one value printed as a decimal.
pub(super) fn of_one(x: f64) -> Option<(u8, i64)> {
    (0..=MAX_EXPONENT).find_map(|e| exact(x, e, Form::Divide).map(|i| (e, i)))
}

/// The first exponent after `e` that fits one value.
#[inline(never)]
fn next_exponent(x: f64, e: u8, form: Form) -> Option<u8> {
    (e + 1..=*form.exponents().end()).find(|&k| exact(x, k, form).is_some())
}

/// A column in one form: `ints[i]` stands for value `i` unless `exceptions` names it.
#[derive(Debug, Default)]
pub(super) struct Scaled {
    pub(super) exponent: u8,
    pub(super) ints: Vec<i64>,
    pub(super) exceptions: Vec<(usize, u64)>,
}

impl Scaled {
    /// Brings `values` into `form`; `false` when more than `max_exceptions` do not fit it.
    #[inline(always)]
    pub(super) fn fill(&mut self, values: &[f64], form: Form, max_exceptions: usize) -> bool {
        let mut e = *form.exponents().start();
        self.exceptions.clear();
        // All over, at the exponent that a value needs: at most 15 times, mostly once or twice.
        while let Some(misfit) = self.fill_at(values, e, form) {
            match next_exponent(misfit, e, form) {
                Some(k) => e = k,
                None => return self.fill_patched(values, e, form, max_exceptions),
            }
        }
        self.exponent = e;
        true
    }

    /// Takes values that all fit exponent `e`, or else returns one of the first that do not.
    #[inline(always)]
    fn fill_at(&mut self, values: &[f64], e: u8, form: Form) -> Option<f64> {
        // Enough for loops without branches, and few enough that a misfit is seen soon.
        const STRIP: usize = 32;
        self.ints.resize(values.len(), 0);
        let (power, inverse) = (POWERS[usize::from(e)], INVERSES[usize::from(e)]);
        for (values, ints) in values.chunks(STRIP).zip(self.ints.chunks_mut(STRIP)) {
            let all = match form {
                Form::Divide if e == 0 => fit(values, ints, |x| x, |y| y),
                Form::Divide => fit(values, ints, |x| x * power, |y| y / power),
                Form::Multiply => fit(values, ints, |x| x * power, |y| y * inverse),
                Form::Thousandths => fit(values, ints, |x| x * power, |y| y / 1e3 / 1e3),
            };
            if !all {
                for &x in values {
                    if exact(x, e, form).is_none() {
                        return Some(x);
                    }
                }
            }
        }
        None
    }

    /// Takes what fits exponent `e` or larger ones, with exceptions.
    fn fill_patched(&mut self, values: &[f64], mut e: u8, form: Form, max_exceptions: usize) -> bool {
        let mut misfits = 0;
        let mut last = 0;
        self.ints.clear();
        let mut i = 0;
        while let Some(&x) = values.get(i) {
            if let Some(int) = exact(x, e, form) {
                last = int;
                self.ints.push(int);
                i += 1;
                continue;
            }
            match next_exponent(x, e, form) {
                Some(k) => {
                    e = k;
                    (i, last) = (0, 0);
                    self.ints.clear();
                    self.exceptions.clear();
                }
                None => {
                    misfits += 1;
                    // A value that fits a small exponent may overflow at the one another value needs.
                    if misfits > max_exceptions {
                        return false;
                    }
                    self.exceptions.push((i, x.to_bits()));
                    self.ints.push(last);
                    i += 1;
                }
            }
            misfits = misfits.max(self.exceptions.len());
        }
        self.exponent = e;
        self.exceptions.len() <= max_exceptions
    }

    /// As [`Form::Multiply`] with a correction of at most 8 units in the last place per value in `ulps`; `false` when
    /// some value is not that close to any short decimal.
    pub(super) fn fill_with_ulps(&mut self, values: &[f64], ulps: &mut Vec<i64>) -> bool {
        ULP_EXPONENTS.iter().any(|&e| {
            self.exponent = e;
            self.ints.clear();
            self.exceptions.clear();
            ulps.clear();
            values.iter().all(|&x| {
                let Some(i) = nearest(x, e) else { return false };
                let ulp = x.to_bits().wrapping_sub(scaled(i, e, Form::Multiply).to_bits()).cast_signed();
                self.ints.push(i);
                ulps.push(ulp);
                ulp.unsigned_abs() <= MAX_ULPS
            })
        })
    }
}

/// Writes the integers nearest to the `scale`d values; whether `back` makes each value of its integer. Without branches, so that
/// it is done several at a time.
#[inline(always)]
fn fit(values: &[f64], ints: &mut [i64], scale: impl Fn(f64) -> f64, back: impl Fn(f64) -> f64) -> bool {
    let mut all = true;
    for (&x, o) in values.iter().zip(ints) {
        let scaled = scale(x);
        let whole = scaled + MAGIC;
        all &= (scaled.abs() < LIMIT) & (back(whole - MAGIC).to_bits() == x.to_bits());
        *o = whole.to_bits().cast_signed().wrapping_sub(MAGIC_BITS);
    }
    all
}

/// Writes the doubles that `ints` stand for to `out`.
pub(super) fn unscale(ints: &[i64], e: u8, form: Form, out: &mut [f64]) {
    isa::run(Unscale { ints, e, form, out });
}

struct Unscale<'a> {
    ints: &'a [i64],
    e: u8,
    form: Form,
    out: &'a mut [f64],
}

impl Hot for Unscale<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        unscale_here(self.ints, self.e, self.form, self.out);
    }
}

#[inline(always)]
fn unscale_here(ints: &[i64], e: u8, form: Form, out: &mut [f64]) {
    let pairs = out.iter_mut().zip(ints);
    match form {
        Form::Divide if e == 0 => pairs.for_each(|(o, &i)| *o = to_double(i)),
        Form::Divide => {
            let power = POWERS[usize::from(e)];
            pairs.for_each(|(o, &i)| *o = to_double(i) / power);
        }
        Form::Multiply => {
            let inverse = INVERSES[usize::from(e)];
            pairs.for_each(|(o, &i)| *o = to_double(i) * inverse);
        }
        Form::Thousandths => pairs.for_each(|(o, &i)| *o = to_double(i) / 1e3 / 1e3),
    }
}
