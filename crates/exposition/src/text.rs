//! Text format 0.0.4 / 1.0.0: blanks between tokens, comments anywhere, metadata in any place, a last newline not needed.

use model::MetricType;

use crate::Error;
use crate::entry::Span;
use crate::parser::{Colons, Found, Inside, Mode, State, Token, name_len, quoted_end};
use crate::quote::go_quote_bytes;
use crate::value::parse_float;

const STRING: Inside = Inside { newline: true, nul: false };
const VALUE: Inside = Inside { newline: true, nul: true };

/// Reads one entry.
pub(crate) fn next(s: &mut State<'_>) -> Result<Found, Error> {
    loop {
        let token = next_token(s);
        match token {
            Token::Eof => return Ok(Found::End),
            Token::Linebreak => s.begin_entry(),
            Token::Help | Token::Type => return metadata(s, token),
            Token::Comment => {
                s.text = Span::new(s.token, s.at);
                let token = next_token(s);
                if token != Token::Linebreak {
                    return Err(unexpected(s, "linebreak expected after comment", token));
                }
                return Ok(Found::Comment);
            }
            Token::BraceOpen => {
                // Blanks before the first token belong to no series.
                s.entry = s.token;
                label_values(s)?;
                s.series = Span::new(s.entry, s.at);
                let token = next_token(s);
                return suffix(s, token);
            }
            Token::MetricName => {
                s.entry = s.token;
                s.set_name(s.token, s.at)?;
                s.series = Span::new(s.entry, s.at);
                let mut token = next_token(s);
                if token == Token::BraceOpen {
                    label_values(s)?;
                    s.series = Span::new(s.entry, s.at);
                    token = next_token(s);
                }
                return suffix(s, token);
            }
            _ => return Err(unexpected(s, "expected a valid start token", token)),
        }
    }
}

fn unexpected(s: &State<'_>, expected: &str, got: Token) -> Error {
    s.unexpected(expected, got, s.body.len() + 1)
}

fn metadata(s: &mut State<'_>, what: Token) -> Result<Found, Error> {
    let token = next_token(s);
    if token != Token::MetricName {
        return Err(unexpected(s, &format!("expected metric name after {}", what.as_str()), token));
    }
    s.set_name(s.token, s.at)?;
    let token = next_token(s);
    if token != Token::Text {
        return Err(s.error(format!("expected text in {}, got {}", what.as_str(), token.as_str())));
    }
    // The byte after the name is taken for a blank, whatever it is.
    s.text = Span::new((s.token + 1).min(s.at), s.at);
    let text = &s.body[s.text.range()];
    let found = if what == Token::Type {
        s.kind = match text {
            b"counter" => MetricType::Counter,
            b"gauge" => MetricType::Gauge,
            b"histogram" => MetricType::Histogram,
            b"summary" => MetricType::Summary,
            b"untyped" => MetricType::Unknown,
            _ => return Err(s.error(format!("invalid metric type {}", go_quote_bytes(text)))),
        };
        Found::Type
    } else {
        if std::str::from_utf8(text).is_err() {
            return Err(s.error(format!("help text {} is not a valid utf8 string", go_quote_bytes(text))));
        }
        Found::Help
    };
    let token = next_token(s);
    if token != Token::Linebreak {
        return Err(unexpected(s, "linebreak expected after metadata", token));
    }
    Ok(found)
}

fn label_values(s: &mut State<'_>) -> Result<(), Error> {
    let mut token = next_token(s);
    loop {
        let (start, end) = (s.token, s.at);
        match token {
            Token::BraceClose => return Ok(()),
            Token::LabelName | Token::Quoted => {}
            _ => return Err(unexpected(s, "expected label name", token)),
        }
        let is_quoted = token == Token::Quoted;
        token = next_token(s);
        if is_quoted && matches!(token, Token::Comma | Token::BraceClose) {
            if s.has_name {
                return Err(s.while_parsing("metric name already set"));
            }
            s.set_name(start, end)?;
            if token == Token::BraceClose {
                return Ok(());
            }
            token = next_token(s);
            continue;
        }
        let name = s.unquoted(start, end)?;
        if token != Token::Equal {
            return Err(unexpected(s, "expected equal", token));
        }
        let value = next_token(s);
        if value != Token::LabelValue {
            return Err(unexpected(s, "expected label value", value));
        }
        if std::str::from_utf8(s.token_bytes()).is_err() {
            return Err(s.error(format!("invalid UTF-8 label value: {}", go_quote_bytes(s.token_bytes()))));
        }
        s.labels.push([name, Span::new(s.token + 1, s.at - 1)]);
        token = next_token(s);
        if token == Token::Comma {
            token = next_token(s);
        }
    }
}

fn suffix(s: &mut State<'_>, token: Token) -> Result<Found, Error> {
    if !s.has_name {
        return Err(s.while_parsing("metric name not set"));
    }
    if token != Token::Value {
        return Err(unexpected(s, "expected value after metric", token));
    }
    s.value = parse_float(s.token_bytes()).map_err(|e| s.while_parsing(&e))?;
    match next_token(s) {
        Token::Linebreak => {}
        Token::Timestamp => {
            let digits = s.token_bytes();
            let ts = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok()).ok_or_else(|| {
                let digits = go_quote_bytes(digits);
                s.while_parsing(&format!("strconv.ParseInt: parsing {digits}: value out of range"))
            })?;
            s.ts = Some(ts);
            let token = next_token(s);
            if token != Token::Linebreak {
                return Err(unexpected(s, "expected next entry after timestamp", token));
            }
        }
        token => return Err(unexpected(s, "expected timestamp or new record", token)),
    }
    Ok(Found::Series)
}

fn next_token(s: &mut State<'_>) -> Token {
    loop {
        let token = lex(s);
        if token != Token::Whitespace {
            return token;
        }
    }
}

/// The byte at `i`; a newline is supplied at the end.
fn byte(body: &[u8], i: usize) -> Option<u8> {
    body.get(i).copied().or_else(|| (i == body.len()).then_some(b'\n'))
}

fn lex(s: &mut State<'_>) -> Token {
    s.token = s.at;
    let Some(first) = byte(s.body, s.at) else { return Token::Eof };
    let rest = s.body.get(s.at..).unwrap_or_default();
    if s.mode != Mode::MetaText && matches!(first, b' ' | b'\t') {
        s.at += blanks(rest);
        return Token::Whitespace;
    }
    match (s.mode, first) {
        (Mode::Init, 0) => Token::Eof,
        (Mode::Init | Mode::Timestamp, b'\n') => one(s, Mode::Init, Token::Linebreak),
        (Mode::Init, b'#') => comment(s),
        (Mode::Init | Mode::Value, b'{') => one(s, Mode::Labels, Token::BraceOpen),
        (Mode::Init, _) => name(s, Mode::Value, Token::MetricName, Colons::Allowed),
        (Mode::MetaName, b'"') => string(s, Mode::MetaText, Token::MetricName, STRING),
        (Mode::MetaName, _) => name(s, Mode::MetaText, Token::MetricName, Colons::Allowed),
        (Mode::MetaText, _) => {
            let len = memchr_newline(rest);
            s.at += len;
            // A line of blanks only is white space to the lexer, which then finds an empty text.
            if blanks(rest) >= len {
                s.token = s.at;
            }
            s.mode = Mode::Init;
            Token::Text
        }
        (Mode::Labels, b'}') => one(s, Mode::Value, Token::BraceClose),
        (Mode::Labels, b'=') => one(s, Mode::LabelValue, Token::Equal),
        (Mode::Labels, b',') => one(s, Mode::Labels, Token::Comma),
        (Mode::Labels, b'"') => string(s, Mode::Labels, Token::Quoted, STRING),
        (Mode::Labels, _) => name(s, Mode::Labels, Token::LabelName, Colons::Refused),
        (Mode::LabelValue, _) => string(s, Mode::Labels, Token::LabelValue, VALUE),
        (Mode::Value, _) => {
            let len =
                rest.iter().position(|b| matches!(b, b'{' | b' ' | b'\t' | b'\n' | 0)).unwrap_or(rest.len());
            s.at += len;
            if len == 0 {
                return Token::Invalid;
            }
            s.mode = Mode::Timestamp;
            Token::Value
        }
        (Mode::Timestamp, b'0'..=b'9') => {
            s.at += rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
            Token::Timestamp
        }
        _ => Token::Invalid,
    }
}

fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(bytes.len())
}

fn memchr_newline(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len())
}

fn one(s: &mut State<'_>, mode: Mode, token: Token) -> Token {
    s.at += 1;
    s.mode = mode;
    token
}

fn name(s: &mut State<'_>, mode: Mode, token: Token, colons: Colons) -> Token {
    let len = name_len(s.body.get(s.at..).unwrap_or_default(), colons);
    if len == 0 {
        return Token::Invalid;
    }
    s.at += len;
    s.mode = mode;
    token
}

fn string(s: &mut State<'_>, mode: Mode, token: Token, inside: Inside) -> Token {
    match quoted_end(s.body, s.at, inside) {
        Ok(end) => {
            s.at = end;
            s.mode = mode;
            token
        }
        Err(stopped) => {
            s.at = stopped;
            Token::Invalid
        }
    }
}

/// `#`, then `HELP name` or `TYPE name` after blanks, or anything up to the line's end.
fn comment(s: &mut State<'_>) -> Token {
    let rest = &s.body[s.at + 1..];
    let gap = blanks(rest);
    if gap > 0 {
        let word = &rest[gap..];
        for (keyword, token) in [(&b"HELP"[..], Token::Help), (b"TYPE", Token::Type)] {
            if let Some(after) = word.strip_prefix(keyword)
                && blanks(after) > 0
            {
                s.at += 1 + gap + keyword.len() + blanks(after);
                s.mode = Mode::MetaName;
                return token;
            }
        }
    }
    let len = memchr_newline(rest);
    // Without a blank after `#` a NUL ends the input, as elsewhere between tokens.
    if gap == 0 && rest[..len].contains(&0) {
        return Token::Eof;
    }
    s.at += 1 + len;
    s.mode = Mode::Init;
    Token::Comment
}
