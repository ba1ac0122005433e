//! OpenMetrics 1.0 / 0.0.1 as Prometheus reads it: single spaces, `# EOF` at the end, exemplars; families and suffixes are not
//! checked against each other.

use model::{MetricType, TimestampMs};

use crate::Error;
use crate::entry::Span;
use crate::parser::{Colons, Found, Inside, Mode, State, Token, name_len, quoted_end};
use crate::quote::go_quote_bytes;
use crate::value::parse_float;

const STRING: Inside = Inside { newline: true, nul: false };
const LABEL_VALUE: Inside = Inside { newline: false, nul: true };
const EXEMPLAR: Inside = Inside { newline: false, nul: false };

const NO_EOF: &str = "data does not end with # EOF";

/// Reads one entry.
pub(crate) fn next(s: &mut State<'_>) -> Result<Found, Error> {
    let token = lex(s);
    match token {
        Token::EofWord if lex(s) == Token::Eof => Ok(Found::End),
        Token::EofWord => Err(s.error("unexpected data after # EOF".to_owned())),
        Token::Eof => Err(s.error(NO_EOF.to_owned())),
        Token::Help | Token::Type | Token::Unit => metadata(s, token),
        Token::BraceOpen => {
            labels(s, Of::Series)?;
            s.series = Span::new(s.entry, s.at);
            let token = lex(s);
            suffix(s, token)
        }
        Token::MetricName => {
            s.set_name(s.token, s.at)?;
            s.series = Span::new(s.entry, s.at);
            let mut token = lex(s);
            if token == Token::BraceOpen {
                labels(s, Of::Series)?;
                s.series = Span::new(s.entry, s.at);
                token = lex(s);
            }
            suffix(s, token)
        }
        _ => Err(unexpected(s, "expected a valid start token", token)),
    }
}

fn unexpected(s: &State<'_>, expected: &str, got: Token) -> Error {
    s.unexpected(expected, got, s.body.len())
}

fn metadata(s: &mut State<'_>, what: Token) -> Result<Found, Error> {
    let token = lex(s);
    if token != Token::MetricName {
        return Err(unexpected(s, &format!("expected metric name after {}", what.as_str()), token));
    }
    s.set_name(s.token, s.at)?;
    if lex(s) != Token::Text {
        return Err(s.error(format!("expected text in {}", what.as_str())));
    }
    // The token holds the blank before and the newline after.
    s.text = Span::new(s.token + 1, s.at - 1);
    let text = &s.body[s.text.range()];
    match what {
        Token::Type => {
            s.kind = match text {
                b"counter" => MetricType::Counter,
                b"gauge" => MetricType::Gauge,
                b"histogram" => MetricType::Histogram,
                b"gaugehistogram" => MetricType::GaugeHistogram,
                b"summary" => MetricType::Summary,
                b"info" => MetricType::Info,
                b"stateset" => MetricType::StateSet,
                b"unknown" => MetricType::Unknown,
                _ => return Err(s.error(format!("invalid metric type {}", go_quote_bytes(text)))),
            };
            Ok(Found::Type)
        }
        Token::Help => {
            if std::str::from_utf8(text).is_err() {
                return Err(s.error(format!("help text {} is not a valid utf8 string", go_quote_bytes(text))));
            }
            Ok(Found::Help)
        }
        _ => {
            let family = &s.body[s.name.range()];
            let fits = family.strip_suffix(text).is_some_and(|stem| stem.ends_with(b"_"));
            if !text.is_empty() && !fits {
                return Err(s.error(format!(
                    "unit {} not a suffix of metric {}",
                    go_quote_bytes(text),
                    go_quote_bytes(family)
                )));
            }
            Ok(Found::Unit)
        }
    }
}

/// Whose labels are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Series,
    Exemplar,
}

fn labels(s: &mut State<'_>, of: Of) -> Result<(), Error> {
    let mut token = lex(s);
    loop {
        let (start, end) = (s.token, s.at);
        match token {
            Token::BraceClose => return Ok(()),
            Token::LabelName | Token::Quoted => {}
            _ => return Err(unexpected(s, "expected label name", token)),
        }
        let is_quoted = token == Token::Quoted;
        token = lex(s);
        if is_quoted && matches!(token, Token::Comma | Token::BraceClose) {
            if of == Of::Exemplar {
                return Err(unexpected(s, "expected label name", token));
            }
            if s.has_name {
                return Err(s.while_parsing("metric name already set"));
            }
            s.set_name(start, end)?;
            if token == Token::BraceClose {
                return Ok(());
            }
            token = lex(s);
            continue;
        }
        let name = s.unquoted(start, end)?;
        if token != Token::Equal {
            return Err(unexpected(s, "expected equal", token));
        }
        let value = lex(s);
        if value != Token::LabelValue {
            return Err(unexpected(s, "expected label value", value));
        }
        if std::str::from_utf8(s.token_bytes()).is_err() {
            return Err(s.error(format!("invalid UTF-8 label value: {}", go_quote_bytes(s.token_bytes()))));
        }
        let pair = [name, Span::new(s.token + 1, s.at - 1)];
        match of {
            Of::Series => s.labels.push(pair),
            Of::Exemplar => s.exemplar_labels.push(pair),
        }
        token = lex(s);
        if token == Token::Comma {
            token = lex(s);
        } else if token != Token::BraceClose {
            return Err(unexpected(s, "expected comma or brace close", token));
        }
    }
}

fn suffix(s: &mut State<'_>, token: Token) -> Result<Found, Error> {
    if !s.has_name {
        return Err(s.while_parsing("metric name not set"));
    }
    s.value = float_value(s, token, "expected value after metric")?;
    match lex(s) {
        Token::Eof => return Err(s.error(NO_EOF.to_owned())),
        Token::Linebreak => {}
        Token::Comment => exemplar(s)?,
        Token::Timestamp => {
            s.ts = Some(timestamp(s, "invalid timestamp")?);
            match lex(s) {
                Token::Eof => return Err(s.error(NO_EOF.to_owned())),
                Token::Linebreak => {}
                Token::Comment => exemplar(s)?,
                token => return Err(unexpected(s, "expected next entry after timestamp", token)),
            }
        }
        token => return Err(unexpected(s, "expected timestamp or comment", token)),
    }
    Ok(Found::Series)
}

fn exemplar(s: &mut State<'_>) -> Result<(), Error> {
    labels(s, Of::Exemplar)?;
    let token = lex(s);
    let value = float_value(s, token, "expected value after exemplar labels")?;
    let ts = match lex(s) {
        Token::Eof => return Err(s.error(NO_EOF.to_owned())),
        Token::Linebreak => None,
        Token::Timestamp => {
            let ts = timestamp(s, "invalid exemplar timestamp")?;
            match lex(s) {
                Token::Eof => return Err(s.error(NO_EOF.to_owned())),
                Token::Linebreak => Some(ts),
                token => return Err(unexpected(s, "expected next entry after exemplar timestamp", token)),
            }
        }
        token => return Err(unexpected(s, "expected timestamp or comment", token)),
    };
    s.exemplar = Some((value, ts));
    Ok(())
}

fn float_value(s: &State<'_>, token: Token, expected: &str) -> Result<f64, Error> {
    if token != Token::Value {
        return Err(unexpected(s, expected, token));
    }
    parse_float(&s.token_bytes()[1..]).map_err(|e| s.while_parsing(&e))
}

/// Seconds as a float, to milliseconds towards zero.
fn timestamp(s: &State<'_>, invalid: &str) -> Result<TimestampMs, Error> {
    let seconds = parse_float(&s.token_bytes()[1..]).map_err(|e| s.while_parsing(&e))?;
    if !seconds.is_finite() {
        return Err(s.error(format!("{invalid} {}", model::float::format_f(seconds))));
    }
    Ok((seconds * 1000.0) as TimestampMs)
}

fn lex(s: &mut State<'_>) -> Token {
    s.token = s.at;
    let rest = s.body.get(s.at..).unwrap_or_default();
    let Some(&first) = rest.first() else { return Token::Eof };
    match (s.mode, first) {
        (Mode::Init, b'#') => keyword(s),
        (Mode::Init | Mode::Value, b'{') => one(s, Mode::Labels, Token::BraceOpen),
        (Mode::Init, _) => name(s, Mode::Value, Token::MetricName, Colons::Allowed),
        (Mode::MetaName, b'"') => string(s, Mode::MetaText, Token::MetricName, STRING),
        (Mode::MetaName, _) => name(s, Mode::MetaText, Token::MetricName, Colons::Allowed),
        (Mode::MetaText, b' ') => match rest.iter().position(|b| *b == b'\n') {
            Some(len) => {
                s.at += len + 1;
                s.mode = Mode::Init;
                Token::Text
            }
            None => Token::Invalid,
        },
        (Mode::Labels, b'}') => one(s, Mode::Value, Token::BraceClose),
        (Mode::Labels, b'=') => one(s, Mode::LabelValue, Token::Equal),
        (Mode::Labels, b',') => one(s, Mode::Labels, Token::Comma),
        (Mode::Labels, b'"') => string(s, Mode::Labels, Token::Quoted, STRING),
        (Mode::Labels, _) => name(s, Mode::Labels, Token::LabelName, Colons::Refused),
        (Mode::LabelValue, _) => string(s, Mode::Labels, Token::LabelValue, LABEL_VALUE),
        (Mode::Timestamp | Mode::ExemplarTimestamp, b'\n') => one(s, Mode::Init, Token::Linebreak),
        (Mode::Timestamp, b' ') if rest.starts_with(b" # {") => {
            s.at += 4;
            s.mode = Mode::Exemplar;
            Token::Comment
        }
        (Mode::Exemplar, b'}') => one(s, Mode::ExemplarValue, Token::BraceClose),
        (Mode::Exemplar, b'=') => one(s, Mode::ExemplarValue, Token::Equal),
        (Mode::Exemplar, b',') => one(s, Mode::Exemplar, Token::Comma),
        (Mode::Exemplar, b'"') => string(s, Mode::Exemplar, Token::Quoted, EXEMPLAR),
        (Mode::Exemplar, _) => name(s, Mode::Exemplar, Token::LabelName, Colons::Refused),
        (Mode::ExemplarValue, b'"') => string(s, Mode::Exemplar, Token::LabelValue, EXEMPLAR),
        (Mode::Value, b' ') => word(s, Mode::Timestamp, Token::Value),
        (Mode::ExemplarValue, b' ') => word(s, Mode::ExemplarTimestamp, Token::Value),
        (Mode::Timestamp, b' ') => word(s, Mode::Timestamp, Token::Timestamp),
        (Mode::ExemplarTimestamp, b' ') => word(s, Mode::ExemplarTimestamp, Token::Timestamp),
        _ => Token::Invalid,
    }
}

/// `# HELP `, `# TYPE `, `# UNIT `, or `# EOF` with or without a newline.
fn keyword(s: &mut State<'_>) -> Token {
    let rest = &s.body[s.at..];
    for (prefix, token) in
        [(&b"# HELP "[..], Token::Help), (b"# TYPE ", Token::Type), (b"# UNIT ", Token::Unit)]
    {
        if rest.starts_with(prefix) {
            s.at += prefix.len();
            s.mode = Mode::MetaName;
            return token;
        }
    }
    if rest.starts_with(b"# EOF") {
        s.at += if rest.get(5) == Some(&b'\n') { 6 } else { 5 };
        return Token::EofWord;
    }
    s.at += rest.iter().zip(b"# ").take_while(|(a, b)| a == b).count();
    s.mode = Mode::Comment;
    Token::Invalid
}

fn one(s: &mut State<'_>, mode: Mode, token: Token) -> Token {
    s.at += 1;
    s.mode = mode;
    token
}

fn name(s: &mut State<'_>, mode: Mode, token: Token, colons: Colons) -> Token {
    let len = name_len(&s.body[s.at..], colons);
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

/// A blank and at least one byte up to the next blank or line end.
fn word(s: &mut State<'_>, mode: Mode, token: Token) -> Token {
    let rest = &s.body[s.at + 1..];
    let len = rest.iter().position(|b| matches!(b, b' ' | b'\n' | 0)).unwrap_or(rest.len());
    s.at += 1 + len;
    if len == 0 {
        return Token::Invalid;
    }
    s.mode = mode;
    token
}
