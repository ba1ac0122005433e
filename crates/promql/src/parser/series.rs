//! Series descriptions of test scripts and rule unit tests: `metric{a="b"} 1 2+3x4 _x2 stale`.

use std::sync::Arc;

use model::{Histogram, LabelSet, LabelSetBuilder, METRIC_NAME, STALE_NAN};

use super::ParserOptions;
use super::ast::Span;
use super::cursor::{Parsed, Parser, Stop};
use super::error::ParseErrors;
use super::histogram_desc::{Described, Wrong, parse_histogram};
use super::lexer::{Lexer, is_space};
use super::literal::{parse_number, unquote};
use super::token::Kind;
use crate::histogram::{add, sub};

/// More values than this are refused, so that `1x99999999999` allocates nothing.
pub const MAX_SERIES_VALUES: usize = 10_000_000;

/// One place in a sequence of values.
#[derive(Debug, Clone)]
pub enum SequenceValue {
    /// `_`: no sample.
    Omitted,
    /// A sample, the staleness marker included.
    Float(f64),
    /// A native histogram with float counts.
    Histogram {
        /// The histogram.
        value: Arc<Histogram>,
        /// Whether the description has a `counter_reset_hint`: expectations without one compare no hints.
        hint_given: bool,
    },
}

/// A series with the values of its steps.
#[derive(Debug, Clone)]
pub struct SeriesDescription {
    /// The series.
    pub labels: LabelSet,
    /// One value per step.
    pub values: Vec<SequenceValue>,
}

/// Parses a line such as `http_requests{job="a"} 0+10x100` or `latency {{sum:1}}+{{sum:2}}x3`.
///
/// # Errors
/// When the line is malformed.
pub fn parse_series_desc(line: &str) -> Result<SeriesDescription, ParseErrors> {
    let mut parser = Parser::new(line, ParserOptions::default());
    let parsed = parser.series_description();
    parser.finish(parsed)
}

/// Parses a series without values: `http_requests{job="a"}`.
///
/// # Errors
/// When the text is malformed.
pub fn parse_metric(text: &str) -> Result<LabelSet, ParseErrors> {
    let mut parser = Parser::new(text, ParserOptions::default());
    let parsed = parser.metric().and_then(|(labels, _)| {
        parser.expect(Kind::End)?;
        Ok(labels)
    });
    parser.finish(parsed)
}

impl Parser<'_> {
    fn series_description(&mut self) -> Parsed<SeriesDescription> {
        let (labels, end) = self.metric()?;
        let text = self.source();
        let mut values = Vec::new();
        let mut pos = end;
        while pos < text.len() {
            let rest = &text[pos..];
            let word = rest.trim_start_matches(is_space);
            pos += rest.len() - word.len();
            if word.is_empty() {
                break;
            }
            if pos == end {
                self.fail(Span::new(pos, pos), "unexpected character in series values, expected a space");
                return Err(Stop);
            }
            let word = &word[..word.find(is_space).unwrap_or(word.len())];
            if word.starts_with("{{") {
                match histogram_item(&text[pos..], &mut values) {
                    Ok(len) => pos += len,
                    Err(Wrong { at, message }) => {
                        self.fail(Span::new(pos + at, text.len()), message);
                        return Err(Stop);
                    }
                }
                continue;
            }
            if let Err(message) = item(word, &mut values) {
                self.fail(Span::new(pos, pos + word.len()), message);
                return Err(Stop);
            }
            pos += word.len();
        }
        Ok(SeriesDescription { labels, values })
    }

    /// A series and where its text ends.
    fn metric(&mut self) -> Parsed<(LabelSet, usize)> {
        const CONTEXT: &str = "label set";
        let mut builder = LabelSetBuilder::default();
        let mut end = 0;
        let kind = self.peek().kind;
        if kind.is_metric_name() {
            let name = self.next();
            end = name.span.end;
            builder.set(METRIC_NAME, self.text(name));
            // Behind a name without braces come values, which are not for this lexer.
            if !self.source()[end..].trim_start_matches(is_space).starts_with('{')
                || self.source()[end..].trim_start_matches(is_space).starts_with("{{")
            {
                return Ok((builder.build(), end));
            }
        } else if kind != Kind::LeftBrace {
            return self.unexpected("a metric name or \"{\"");
        }
        self.expect(Kind::LeftBrace)?;
        if let Some(close) = self.take(Kind::RightBrace) {
            end = end.max(close.span.end);
            return Ok((builder.build(), end));
        }
        loop {
            let token = self.peek();
            let name = match token.kind {
                Kind::Identifier => self.text(token).to_owned(),
                Kind::String => unquote(self.text(token)),
                _ => return self.unexpected_in(CONTEXT, "identifier or \"}\""),
            };
            self.next();
            if self.take(Kind::Equal).is_some() {
                let Some(value) = self.take(Kind::String) else {
                    return self.unexpected_in(CONTEXT, "string");
                };
                builder.set(&name, &unquote(self.text(value)));
            } else if token.kind == Kind::String {
                builder.set(METRIC_NAME, &name);
            } else {
                return self.unexpected_in(CONTEXT, "\"=\"");
            }
            let comma = self.take(Kind::Comma).is_some();
            if let Some(close) = self.take(Kind::RightBrace) {
                return Ok((builder.build(), close.span.end));
            }
            if !comma {
                return self.unexpected_in(CONTEXT, "\",\" or \"}\"");
            }
        }
    }
}

/// One item between spaces: `_`, `_x3`, `1`, `1x3`, `1+2x3`, `stale`.
fn item(word: &str, out: &mut Vec<SequenceValue>) -> Result<(), String> {
    let wrong = || format!("unexpected {word:?} in series values");
    let push = |out: &mut Vec<SequenceValue>, n: usize, mut value: Box<dyn FnMut() -> SequenceValue>| {
        check_room(out, n)?;
        out.extend((0..n).map(|_| value()));
        Ok(())
    };
    if let Some(rest) = word.strip_prefix('_') {
        let n = if rest.is_empty() { 1 } else { times(rest).ok_or_else(wrong)? };
        return push(out, n, Box::new(|| SequenceValue::Omitted));
    }
    let (value, rest) = match word.strip_prefix("stale") {
        Some(rest) => (STALE_NAN, rest),
        None => number(word).ok_or_else(wrong)?,
    };
    if rest.is_empty() {
        return push(out, 1, Box::new(move || SequenceValue::Float(value)));
    }
    let (step, rest) = match rest.as_bytes()[0] {
        b'+' | b'-' => number(rest).ok_or_else(wrong)?,
        _ => (0.0, rest),
    };
    // One more than the count: the value at time 0.
    let n = times(rest).ok_or_else(wrong)?.saturating_add(1);
    let mut next = value;
    let mut first = true;
    push(
        out,
        n,
        Box::new(move || {
            if !first && step != 0.0 {
                next += step;
            }
            first = false;
            SequenceValue::Float(next)
        }),
    )
}

fn check_room(out: &[SequenceValue], more: usize) -> Result<(), String> {
    if more > MAX_SERIES_VALUES - out.len().min(MAX_SERIES_VALUES) {
        return Err(format!("more than {MAX_SERIES_VALUES} values in a series"));
    }
    Ok(())
}

/// One item of histograms: `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`, `{{…}}-{{…}}x3`. Returns its length.
fn histogram_item(text: &str, out: &mut Vec<SequenceValue>) -> Result<usize, Wrong> {
    let wrong = |at: usize, message: String| Wrong { at, message };
    let (first, mut rest) = parse_histogram(text)?;
    let mut step = None;
    if let Some(operator @ ('+' | '-')) = rest.chars().next()
        && rest[1..].starts_with("{{")
    {
        let at = text.len() - rest.len() + 1;
        let (by, after) = parse_histogram(&rest[1..]).map_err(|e| wrong(at + e.at, e.message))?;
        step = Some((operator, by));
        rest = after;
    }
    let at = text.len() - rest.len();
    let len = rest.find(is_space).unwrap_or(rest.len());
    let unexpected = || wrong(at, format!("unexpected {:?} in series values", &rest[..len]));
    // One more than the count: the value at time 0.
    let n = match times(&rest[..len]) {
        Some(n) => n.saturating_add(1),
        None if len == 0 && step.is_none() => 1,
        None => return Err(unexpected()),
    };
    check_room(out, n).map_err(|e| wrong(at, e))?;
    match step {
        None => {
            let Described { histogram, hint_given } = first;
            let value = Arc::new(histogram);
            out.extend((0..n).map(|_| SequenceValue::Histogram { value: Arc::clone(&value), hint_given }));
        }
        Some((operator, by)) => steps(first.histogram, operator, &by, n, out).map_err(|e| wrong(at, e))?,
    }
    Ok(at + len)
}

/// `n` histograms, each made of the one before by adding or subtracting `by`, whose hint decides whether one was given.
fn steps(
    first: Histogram,
    operator: char,
    by: &Described,
    n: usize,
    out: &mut Vec<SequenceValue>,
) -> Result<(), String> {
    let Described { histogram: by, hint_given } = by;
    let each =
        32 + [&first, by].iter().map(|h| h.positive_buckets.len() + h.negative_buckets.len()).sum::<usize>();
    if n > MAX_SERIES_VALUES / each {
        return Err(format!("more than {MAX_SERIES_VALUES} values and buckets in a series"));
    }
    if n > 1 && first.schema > by.schema {
        let (from, to) = (by.schema, first.schema);
        return Err(format!("error combining histograms: cannot merge from schema {from} to {to}"));
    }
    let mut current = first;
    for i in 0..n {
        if i > 0 {
            let change = if operator == '+' { add } else { sub };
            change(&mut current, by).map_err(|e| e.to_string())?;
        }
        out.push(SequenceValue::Histogram { value: Arc::new(current.clone()), hint_given: *hint_given });
    }
    Ok(())
}

/// The count behind an `x`.
fn times(rest: &str) -> Option<usize> {
    let digits = rest.strip_prefix('x')?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A signed number at the start of a text, and what follows it.
pub(super) fn number(text: &str) -> Option<(f64, &str)> {
    let (sign, body) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let word_len = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
    let len = if word_len > 0 {
        // `Inf` and `NaN`, perhaps with an `x` behind.
        body[..word_len].find('x').unwrap_or(word_len)
    } else {
        let mut lexer = Lexer::for_series_values(body);
        lexer.scan_number().then(|| lexer.pos())?
    };
    Some((sign * parse_number(&body[..len]).ok()?, &body[len..]))
}
