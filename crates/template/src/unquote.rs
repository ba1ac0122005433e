//! Go's string and character literals.

/// The string a double-quoted literal (with its quotes) stands for.
///
/// Byte escapes (`\xff`) that do not make valid UTF-8 become the replacement character.
pub(crate) fn unquote(text: &str) -> Option<String> {
    let body = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body;
    while !rest.is_empty() {
        rest = one(rest, '"', &mut bytes)?;
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The character a literal such as `'a'` or `'\n'` stands for.
pub(crate) fn unquote_char(text: &str) -> Option<char> {
    let body = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut bytes = Vec::new();
    if !one(body, '\'', &mut bytes)?.is_empty() {
        return None;
    }
    match bytes.as_slice() {
        [b] => Some(char::from(*b)),
        _ => std::str::from_utf8(&bytes).ok()?.chars().next(),
    }
}

/// Reads one character or escape, appends its bytes and gives what follows.
fn one<'t>(text: &'t str, quote: char, out: &mut Vec<u8>) -> Option<&'t str> {
    let mut chars = text.chars();
    let c = chars.next()?;
    let mut push = |c: char| out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    if c != '\\' {
        if c == quote || c == '\n' {
            return None;
        }
        push(c);
        return Some(chars.as_str());
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let digits = |n: usize, radix: u32| -> Option<(u32, &'t str)> {
        let head = rest.get(..n)?;
        if !head.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        Some((u32::from_str_radix(head, radix).ok()?, &rest[n..]))
    };
    match escape {
        'a' => push('\x07'),
        'b' => push('\x08'),
        'f' => push('\x0c'),
        'n' => push('\n'),
        'r' => push('\r'),
        't' => push('\t'),
        'v' => push('\x0b'),
        '\\' => push('\\'),
        '\'' | '"' if escape == quote => push(escape),
        'x' => {
            let (code, rest) = digits(2, 16)?;
            out.push(u8::try_from(code).ok()?);
            return Some(rest);
        }
        '0'..='7' => {
            let head = text.get(1..4)?;
            if !head.chars().all(|c| c.is_digit(8)) {
                return None;
            }
            out.push(u8::try_from(u32::from_str_radix(head, 8).ok()?).ok()?);
            return text.get(4..);
        }
        'u' | 'U' => {
            let (code, rest) = digits(if escape == 'u' { 4 } else { 8 }, 16)?;
            push(char::from_u32(code)?);
            return Some(rest);
        }
        _ => return None,
    }
    Some(rest)
}
