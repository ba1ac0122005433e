//! JSON as Go's encoder writes it: `<`, `>` and `&` escaped, and PromQL values in upstream's compact forms.

use std::io;

use model::{LabelSet, float};
use serde::Serialize;
use serde_json::ser::Formatter;

/// Escapes what Go's `encoding/json` escapes for HTML's sake.
struct HtmlSafe;

impl Formatter for HtmlSafe {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (head, tail) = rest.split_at(at);
            out.write_all(head.as_bytes())?;
            let c = tail.chars().next().expect("found there");
            write!(out, "\\u{:04x}", c as u32)?;
            rest = &tail[c.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Serialises into `out`.
///
/// # Panics
/// Never for the types of this crate: they have string keys and no failing serialisers.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = serde_json::Serializer::with_formatter(out, HtmlSafe);
    value.serialize(&mut serializer).expect("plain data with string keys");
}

/// A label set as an object.
pub(crate) fn write_labels(out: &mut Vec<u8>, labels: &LabelSet) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, name);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

/// A timestamp in seconds: no fraction when whole, else three digits.
pub(crate) fn write_timestamp(out: &mut Vec<u8>, ms: i64) {
    if ms < 0 {
        out.push(b'-');
    }
    let abs = ms.unsigned_abs();
    write_integer(out, abs / 1000);
    let fraction = abs % 1000;
    if fraction != 0 {
        out.push(b'.');
        out.extend([fraction / 100, fraction / 10 % 10, fraction % 10].map(digit));
    }
}

/// A digit, 0 to 9, as a character.
fn digit(d: u64) -> u8 {
    b'0' + (d % 10) as u8
}

/// Points are most of what is written, and most of them whole numbers: this spares the formatting machinery.
fn write_integer(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = digit(n);
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A sample's value as the API has it, without quotes.
pub(crate) fn write_value(out: &mut Vec<u8>, value: f64) {
    /// Up to here each whole number is a double, and the cast below exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let abs = value.abs();
    if abs < EXACT && abs.fract() == 0.0 && (abs != 0.0 || value.is_sign_positive()) {
        if value < 0.0 {
            out.push(b'-');
        }
        write_integer(out, abs as u64);
    } else if (1e-5..1e15).contains(&abs) {
        // The shortest digits that read back equal, in the range where it writes them without exponent.
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(float::format_api(value).as_bytes());
    }
}

/// `[t,"v"]`
pub(crate) fn write_point(out: &mut Vec<u8>, ts_ms: i64, value: f64) {
    out.push(b'[');
    write_timestamp(out, ts_ms);
    out.extend_from_slice(b",\"");
    write_value(out, value);
    out.extend_from_slice(b"\"]");
}

/// A list, each element written by `each`.
pub(crate) fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// Sets as a list of objects of the API's kind, for serde.
pub(crate) struct Labels<'a>(pub &'a LabelSet);

impl Serialize for Labels<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_as_go_does() {
        let mut out = Vec::new();
        write(&mut out, "a<b>&\"\u{2028}é");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\u003cb\\u003e\\u0026\\\"\\u2028é\"");
        for (ms, text) in
            [(0, "0"), (1_435_781_451_781, "1435781451.781"), (1010, "1.010"), (-5, "-0.005"), (2000, "2")]
        {
            let mut out = Vec::new();
            write_timestamp(&mut out, ms);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        let mut out = Vec::new();
        write_point(&mut out, 1500, f64::INFINITY);
        assert_eq!(out, b"[1.500,\"+Inf\"]");
        let odd = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.1,
            1e15,
            -1e15,
            1e16,
            1.5e20,
            1e21,
            1e-6,
            9e-7,
            5e-324,
            f64::MAX,
            f64::NAN,
            9.99e-6,
            1e-5,
            1.000_000_000_000_000_2e-5,
            999_999_999_999_999.9,
            -1_000_000_000_000_000.1,
        ];
        // Eighths just below 2^48 lie between two shortest forms.
        let ties = (0..64).map(|i| 154_514_545_742_521.0 + f64::from(i) * 0.125);
        let fractions = (0..2000).map(|i| f64::from(i - 1000) * 0.37);
        // All magnitudes, odd bits.
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let others = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            f64::from_bits(bits)
        });
        for value in odd.into_iter().chain(ties).chain(fractions).chain(others.take(20_000)) {
            let mut out = Vec::new();
            write_value(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), float::format_api(value));
        }
    }
}
