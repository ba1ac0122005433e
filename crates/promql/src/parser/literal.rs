//! Numbers, durations and strings as the language writes them, and Go's ways of quoting characters in messages.

use model::float::go_quote;

/// The value of a number token: an integer in Go's notation (hexadecimal, octal behind a leading `0`, `_` between
/// digits), else a decimal float. The error is the reason as Go words it.
pub(super) fn parse_number(text: &str) -> Result<f64, String> {
    match text.to_ascii_lowercase().as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(model::NORMAL_NAN),
        _ => {}
    }
    let syntax = || format!("strconv.ParseFloat: parsing {}: invalid syntax", go_quote(text));
    if !underscores_separate_digits(text) {
        return Err(syntax());
    }
    let plain: String = text.chars().filter(|&c| c != '_').collect();
    let integer = match plain.as_bytes() {
        [b'0', b'x' | b'X', ..] => i64::from_str_radix(&plain[2..], 16),
        [b'0', _, ..] => i64::from_str_radix(&plain[1..], 8),
        _ => plain.parse(),
    };
    if let Ok(n) = integer {
        return Ok(n as f64);
    }
    match plain.parse::<f64>() {
        Ok(v) if v.is_infinite() => {
            Err(format!("strconv.ParseFloat: parsing {}: value out of range", go_quote(text)))
        }
        Ok(v) => Ok(v),
        Err(_) => Err(syntax()),
    }
}

/// Go's rule: an underscore stands between digits, or between a base prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let digit =
        |i: usize| bytes.get(i).is_some_and(|b| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() });
    let after_prefix = |i: usize| hex && i == 2;
    (0..bytes.len())
        .filter(|&i| bytes[i] == b'_')
        .all(|i| (after_prefix(i) || (i > 0 && digit(i - 1))) && digit(i + 1))
}

/// The milliseconds of a duration token.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 365 * 24 * 3_600_000),
        ("w", 7 * 24 * 3_600_000),
        ("d", 24 * 3_600_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    /// More milliseconds than this are more than 2^63 nanoseconds.
    const MAX_MS: u64 = (i64::MAX / 1_000_000).unsigned_abs();
    let invalid = || format!("not a valid duration string: {}", go_quote(text));
    let (mut rest, mut next_unit, mut total) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        if unit.is_empty() {
            return Err(invalid());
        }
        let index = UNITS
            .iter()
            .position(|(u, _)| *u == unit)
            .ok_or_else(|| format!("unknown unit {} in duration {}", go_quote(unit), go_quote(text)))?;
        if index < next_unit {
            return Err(invalid());
        }
        total = number
            .checked_mul(UNITS[index].1)
            .and_then(|ms| ms.checked_add(total))
            .filter(|&ms| ms <= MAX_MS)
            .ok_or_else(|| "duration out of range".to_owned())?;
        next_unit = index + 1;
        rest = tail;
    }
    i64::try_from(total).map_err(|_| "duration out of range".to_owned())
}

/// The text of a string token, which the lexer has found well-formed.
///
/// Bytes escaped as `\xff` that form no UTF-8 become the replacement character, as they do in the JSON of an answer: our
/// texts are UTF-8, and no label could hold such bytes. Where that matters, [`unquote_text`] tells.
pub(super) fn unquote(text: &str) -> String {
    String::from_utf8(unquote_bytes(text))
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// As [`unquote`]; `None` where the bytes form no UTF-8.
pub(super) fn unquote_text(text: &str) -> Option<String> {
    String::from_utf8(unquote_bytes(text)).ok()
}

/// A string token's bytes, where they form no UTF-8.
pub(super) fn unquote_invalid(text: &str) -> Option<Box<[u8]>> {
    String::from_utf8(unquote_bytes(text)).err().map(|e| e.into_bytes().into_boxed_slice())
}

/// Bytes as Go's `%q` writes them.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from('"');
    for chunk in bytes.utf8_chunks() {
        let quoted = go_quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out + "\""
}

/// The bytes of a string token.
pub(super) fn unquote_bytes(text: &str) -> Vec<u8> {
    let quote = text.as_bytes()[0];
    let body = &text[1..text.len() - 1];
    if quote == b'`' || !body.contains('\\') {
        return body.as_bytes().to_vec();
    }
    let mut out = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            push_char(&mut out, c);
            continue;
        }
        let escape = chars.next().unwrap_or('\\');
        let mut number = |first: u32, digits: usize, base: u32| {
            chars.by_ref().take(digits).fold(first, |v, c| v * base + c.to_digit(base).unwrap_or(0))
        };
        match escape {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            'x' => out.push(number(0, 2, 16) as u8),
            'u' => push_char(&mut out, char::from_u32(number(0, 4, 16)).unwrap_or_default()),
            'U' => push_char(&mut out, char::from_u32(number(0, 8, 16)).unwrap_or_default()),
            '0'..='7' => out.push(number(escape.to_digit(8).unwrap_or(0), 2, 8) as u8),
            other => push_char(&mut out, other),
        }
    }
    out
}

fn push_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A character as Go's `%q` writes it; the end of input is the replacement character.
pub(super) fn quote_char(c: Option<char>) -> String {
    match c.unwrap_or(char::REPLACEMENT_CHARACTER) {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = go_quote(&c.to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

/// A character as Go's `%#U` writes it: `U+0063 'c'`.
pub(super) fn unicode_name(c: char) -> String {
    let code = u32::from(c);
    if c.is_control() { format!("U+{code:04X}") } else { format!("U+{code:04X} '{c}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_go_s() {
        for (text, value) in [
            ("1", 1.0),
            ("0x1F", 31.0),
            ("0X_1f", 31.0),
            ("017", 15.0),
            ("089", 89.0),
            ("0_17", 15.0),
            ("1_000", 1000.0),
            ("1_2.3_4e1_0", 12.34e10),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("iNf", f64::INFINITY),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }
        for text in ["1__0", "1_", "_1", "0x", "1_.5", "0xffffffffffffffff", "1e400"] {
            assert!(parse_number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_upstream_s() {
        for (text, ms) in [("1y2w3d4h5m6s7ms", 33_019_506_007), ("0s", 0), ("292y", 292 * 365 * 86_400_000)] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
        for (text, error) in [
            ("5y1hs", r#"unknown unit "hs" in duration "5y1hs""#),
            ("5m1h", r#"not a valid duration string: "5m1h""#),
            ("300y", "duration out of range"),
            ("99999999999999999999s", r#"not a valid duration string: "99999999999999999999s""#),
        ] {
            assert_eq!(parse_duration(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn strings_are_go_s() {
        for (text, value) in [
            (r#""a\n\x41\101\u00e9\U0001F600\"""#, "a\nAAé😀\""),
            (r"'it\'s'", "it's"),
            (r"`raw\n`", r"raw\n"),
            (r#""\xc3\xa9\xff""#, "é\u{fffd}"),
        ] {
            assert_eq!(unquote(text), value);
        }
        assert_eq!(unquote_text(r#""\xc3\xa9""#).as_deref(), Some("é"));
        assert_eq!(unquote_text(r#""\xff""#), None);
        assert_eq!(quote_bytes(&unquote_bytes(r"'a\xff\n\xc3\xa9'")), r#""a\xff\né""#);
        assert_eq!((quote_char(Some('\'')), quote_char(None)), ("'\\''".to_owned(), "'\u{fffd}'".to_owned()));
        assert_eq!(unicode_name('c'), "U+0063 'c'");
    }
}
