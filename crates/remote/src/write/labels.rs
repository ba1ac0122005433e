//! Label sets as they stand in a request: the bytes of the `labels` fields of one `TimeSeries`, in order.

use std::borrow::Cow;

use model::{LabelSet, METRIC_NAME};
use storage::{Error, ErrorKind, LabelSource};

use crate::wire::{Reader, WireError};

/// Tag of `TimeSeries.labels`, of `Exemplar.labels` and of `Label.name`.
pub(super) const LABEL_TAG: u8 = 0x0a;
const VALUE_TAG: u8 = 0x12;

/// Whether a label set may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    /// No metric name, an empty or repeated name, bytes that are not UTF-8.
    Invalid,
}

/// The `labels` fields of a series, one after the other, tags included. Whether they are [`Verdict::Valid`] is found out when the
/// label set is asked for.
#[derive(Debug)]
pub(super) struct RawLabels<'a>(pub(super) Cow<'a, [u8]>);

/// Name and value of one `Label`; the last of a repeated field wins, an absent one is empty.
#[inline]
fn label(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    // What every sender writes: name, value, nothing else, both shorter than 128 bytes.
    if let [LABEL_TAG, n @ 0..0x80, tail @ ..] = bytes
        && let Some((name, [VALUE_TAG, v @ 0..0x80, value @ ..])) = tail.split_at_checked(usize::from(*n))
        && value.len() == usize::from(*v)
    {
        return Ok((name, value));
    }
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(bytes);
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => name = reader.bytes_of(tag)?,
            2 => value = reader.bytes_of(tag)?,
            _ => reader.skip(tag)?,
        }
    }
    Ok((name, value))
}

/// Name and value of each label of `raw`.
fn pairs(raw: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), WireError>> {
    let mut reader = Reader::new(raw);
    std::iter::from_fn(move || {
        let next = reader.tag().transpose()?;
        Some(next.and_then(|tag| label(reader.bytes_of(tag)?)))
    })
}

/// What a walk over labels has found.
struct Findings<'a> {
    last: &'a [u8],
    sorted: bool,
    named: bool,
    /// A name is empty, or bytes are no UTF-8.
    unsound: bool,
}

impl<'a> Findings<'a> {
    fn new() -> Self {
        Self { last: &[], sorted: true, named: false, unsound: false }
    }

    #[inline]
    fn add(&mut self, name: &'a [u8], value: &[u8]) {
        self.sorted &= name > self.last;
        self.last = name;
        self.named |= name == METRIC_NAME.as_bytes() && !value.is_empty();
        self.unsound |= name.is_empty() || !is_text(name) || !is_text(value);
    }

    fn verdict(&self, raw: &[u8]) -> Result<Verdict, WireError> {
        let valid = !self.unsound && self.named && (self.sorted || !repeats_a_name(raw)?);
        Ok(if valid { Verdict::Valid } else { Verdict::Invalid })
    }
}

#[inline]
fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// The `labels` fields that `body` begins with: their length in bytes, and whether they may be stored if they are all.
#[inline]
pub(super) fn scan(body: &[u8]) -> Result<(usize, Verdict), WireError> {
    let mut findings = Findings::new();
    let mut reader = Reader::new(body);
    while let [LABEL_TAG, tail @ ..] = reader.rest {
        reader.rest = tail;
        let (name, value) = label(reader.bytes()?)?;
        findings.add(name, value);
    }
    let len = body.len() - reader.rest.len();
    Ok((len, findings.verdict(&body[..len])?))
}

/// The length of the `labels` fields that `body` begins with, whatever they hold.
#[inline]
pub(super) fn extent(body: &[u8]) -> Result<usize, WireError> {
    let mut reader = Reader::new(body);
    while let [LABEL_TAG, tail @ ..] = reader.rest {
        reader.rest = tail;
        reader.bytes()?;
    }
    Ok(body.len() - reader.rest.len())
}

fn repeats_a_name(raw: &[u8]) -> Result<bool, WireError> {
    let mut names = pairs(raw).map(|pair| pair.map(|(name, _)| name)).collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    Ok(names.windows(2).any(|two| two[0] == two[1]))
}

/// The label set of `raw`, `None` where names or values are no UTF-8. Of several labels of one name the last stays.
pub(super) fn build(raw: &[u8]) -> Result<Option<LabelSet>, WireError> {
    let mut texts: Vec<(&str, &str)> = Vec::with_capacity(16);
    for pair in pairs(raw) {
        let (name, value) = pair?;
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return Ok(None);
        };
        texts.push((name, value));
    }
    if !texts.is_sorted_by(|a, b| a.0 < b.0) {
        return Ok(Some(LabelSet::from_pairs(texts)));
    }
    let mut packed = Vec::with_capacity(raw.len());
    for (name, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
        pack(&mut packed, name);
        pack(&mut packed, value);
    }
    Ok(LabelSet::from_bytes(&packed))
}

/// One text of [`LabelSet::as_bytes`]'s form.
fn pack(out: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(len @ 0..=254) => out.push(len),
        _ => {
            out.push(255);
            // Bodies are bounded far below 4 GiB.
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

impl LabelSource for RawLabels<'_> {
    fn label_set(&self) -> Result<LabelSet, Error> {
        let wrong = || Error::new(ErrorKind::Corrupt, "remote write: labels of a series are no label set");
        match scan(&self.0) {
            Ok((len, Verdict::Valid)) if len == self.0.len() => {}
            _ => return Err(wrong()),
        }
        build(&self.0).ok().flatten().ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = vec![];
        for (name, value) in pairs {
            let mut one = vec![LABEL_TAG, name.len() as u8];
            one.extend_from_slice(name);
            one.extend_from_slice(&[VALUE_TAG, value.len() as u8]);
            one.extend_from_slice(value);
            out.extend_from_slice(&[LABEL_TAG, one.len() as u8]);
            out.extend_from_slice(&one);
        }
        out
    }

    #[test]
    fn judges_as_upstream() {
        type Pairs = &'static [(&'static [u8], &'static [u8])];
        let cases: [(Pairs, bool, &str); 9] = [
            (&[(b"__name__", b"up"), (b"job", b"x")], true, r#"{__name__="up", job="x"}"#),
            (&[(b"job", b"x"), (b"__name__", b"up")], true, r#"{__name__="up", job="x"}"#),
            (&[(b"__name__", b"up"), (b"job", b"")], true, r#"{__name__="up"}"#),
            (
                &[(b"__name__", b"\xc3\xa9"), (b"gr\xc3\xb6\xc3\x9fe", b"1")],
                true,
                r#"{__name__="é", "größe"="1"}"#,
            ),
            (&[(b"job", b"x")], false, ""),
            (&[(b"__name__", b"")], false, ""),
            (&[(b"__name__", b"up"), (b"", b"x")], false, ""),
            (&[(b"__name__", b"up"), (b"a", b"1"), (b"a", b"2")], false, ""),
            (&[(b"__name__", b"up"), (b"a", b"\xff")], false, ""),
        ];
        for (pairs, valid, text) in cases {
            let raw = raw(pairs);
            assert_eq!(
                scan(&raw),
                Ok((raw.len(), if valid { Verdict::Valid } else { Verdict::Invalid })),
                "{pairs:?}"
            );
            if valid {
                assert_eq!(RawLabels(Cow::Borrowed(&raw)).label_set().unwrap().to_string(), text);
            }
        }
        assert_eq!(scan(&[]), Ok((0, Verdict::Invalid)));
    }
}
