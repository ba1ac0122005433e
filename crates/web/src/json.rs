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
    let (sign, abs) = if ms < 0 { ("-", ms.unsigned_abs()) } else { ("", ms.unsigned_abs()) };
    let fraction = abs % 1000;
    let text = if fraction == 0 {
        format!("{sign}{}", abs / 1000)
    } else {
        format!("{sign}{}.{fraction:03}", abs / 1000)
    };
    out.extend_from_slice(text.as_bytes());
}

/// `[t,"v"]`
pub(crate) fn write_point(out: &mut Vec<u8>, ts_ms: i64, value: f64) {
    out.push(b'[');
    write_timestamp(out, ts_ms);
    out.extend_from_slice(b",\"");
    out.extend_from_slice(float::format_api(value).as_bytes());
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
    }
}
