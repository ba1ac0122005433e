//! Go's `%q` for bytes that need not be UTF-8, and the escapes of label values and help texts.

use std::borrow::Cow;
use std::fmt::Write as _;

use model::float::go_quote;

/// Bytes in double quotes as Go's `%q` prints them; bytes that are no UTF-8 as `\xNN`.
#[must_use]
pub fn go_quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let quoted = go_quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("a String takes all");
        }
    }
    out.push('"');
    out
}

/// Replaces `\\`, `\n` and, with `quotes`, `\"`; any other backslash stays, as upstream.
pub(crate) fn unescape(text: &str, quotes: Quotes) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (c, len) = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => ('\\', 2),
            Some(b'n') => ('\n', 2),
            Some(b'"') if quotes == Quotes::Escaped => ('"', 2),
            _ => ('\\', 1),
        };
        out.push(c);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether `\"` is an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    /// In label values, and in OpenMetrics help texts.
    Escaped,
    /// In help texts of the text format.
    Plain,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_unescapes() {
        assert_eq!(go_quote_bytes(b"a\xff\"\n\xe2\x82"), r#""a\xff\"\n\xe2\x82""#);
        assert_eq!(unescape(r#"a\\n\n\"\x\"#, Quotes::Escaped), "a\\n\n\"\\x\\");
        assert_eq!(unescape(r#"\"\\"#, Quotes::Plain), "\\\"\\");
    }
}
