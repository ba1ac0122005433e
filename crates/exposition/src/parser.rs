//! The parser's state, shared by both formats, and its face.

use std::borrow::Cow;

use model::{MetricType, TimestampMs};

use crate::entry::{Entry, Series, Span};
use crate::quote::{Quotes, go_quote_bytes, unescape};
use crate::{Error, Format, openmetrics, text};

/// Walks a body entry by entry. After an error or the end it stays there.
#[derive(Debug)]
pub struct Parser<'a> {
    format: Format,
    state: State<'a>,
    done: bool,
}

/// Where the parser stands and what it found last.
#[derive(Debug)]
pub(crate) struct State<'a> {
    pub(crate) body: &'a [u8],
    /// The start of the entry.
    pub(crate) entry: usize,
    /// The start of the last token.
    pub(crate) token: usize,
    /// One past the last token.
    pub(crate) at: usize,
    pub(crate) mode: Mode,
    /// The type declared last; it decides about `le` and `quantile`.
    pub(crate) kind: MetricType,
    pub(crate) series: Span,
    pub(crate) name: Span,
    pub(crate) has_name: bool,
    pub(crate) labels: Vec<[Span; 2]>,
    pub(crate) exemplar_labels: Vec<[Span; 2]>,
    pub(crate) exemplar: Option<(f64, Option<TimestampMs>)>,
    pub(crate) text: Span,
    pub(crate) value: f64,
    pub(crate) ts: Option<TimestampMs>,
}

/// The lexers' start conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Init,
    Comment,
    MetaName,
    MetaText,
    Labels,
    LabelValue,
    Value,
    Timestamp,
    Exemplar,
    ExemplarValue,
    ExemplarTimestamp,
}

/// The lexers' tokens; the names are upstream's, since error texts show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Invalid,
    Eof,
    Linebreak,
    Whitespace,
    Help,
    Type,
    Unit,
    EofWord,
    Text,
    Comment,
    MetricName,
    Quoted,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Comma,
    Equal,
    Timestamp,
    Value,
}

impl Token {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Eof => "EOF",
            Self::Linebreak => "LINEBREAK",
            Self::Whitespace => "WHITESPACE",
            Self::Help => "HELP",
            Self::Type => "TYPE",
            Self::Unit => "UNIT",
            Self::EofWord => "EOFWORD",
            Self::Text => "TEXT",
            Self::Comment => "COMMENT",
            Self::MetricName => "MNAME",
            Self::Quoted => "QSTRING",
            Self::BraceOpen => "BOPEN",
            Self::BraceClose => "BCLOSE",
            Self::LabelName => "LNAME",
            Self::LabelValue => "LVALUE",
            Self::Comma => "COMMA",
            Self::Equal => "EQUAL",
            Self::Timestamp => "TIMESTAMP",
            Self::Value => "VALUE",
        }
    }
}

/// What the format's parser found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    End,
    Help,
    Type,
    Unit,
    Comment,
    Series,
}

impl<'a> Parser<'a> {
    /// A parser at the start of `body`.
    #[must_use]
    pub fn new(format: Format, body: &'a [u8]) -> Self {
        let empty = Span::default();
        let state = State {
            body,
            entry: 0,
            token: 0,
            at: 0,
            mode: Mode::Init,
            kind: MetricType::Unknown,
            series: empty,
            name: empty,
            has_name: false,
            labels: Vec::new(),
            exemplar_labels: Vec::new(),
            exemplar: None,
            text: empty,
            value: 0.0,
            ts: None,
        };
        Self { format, state, done: false }
    }

    /// Reads the next entry; `None` at the end of the body. OpenMetrics has its end at `# EOF`.
    ///
    /// # Errors
    /// When the body breaks the format's rules.
    #[expect(clippy::should_implement_trait, reason = "entries borrow from the parser, an Iterator's cannot")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        if self.done {
            return Ok(None);
        }
        let state = &mut self.state;
        if u32::try_from(state.body.len()).is_err() {
            self.done = true;
            return Err(state.error("body is larger than 4 GiB".to_owned()));
        }
        state.begin_entry();
        let found = match self.format {
            Format::Text => text::next(state),
            Format::OpenMetrics => openmetrics::next(state),
        };
        let found = found.inspect_err(|_| self.done = true)?;
        let state = &self.state;
        Ok(Some(match found {
            Found::End => {
                self.done = true;
                return Ok(None);
            }
            Found::Help => {
                let quotes = if self.format == Format::Text { Quotes::Plain } else { Quotes::Escaped };
                Entry::Help { family: state.family(), text: unescape(state.str(state.text), quotes) }
            }
            Found::Type => Entry::Type { family: state.family(), kind: state.kind },
            Found::Unit => Entry::Unit { family: state.family(), unit: Cow::Borrowed(state.str(state.text)) },
            Found::Comment => Entry::Comment(&state.body[state.text.range()]),
            Found::Series => Entry::Series(Series { state, value: state.value, ts: state.ts }),
        }))
    }

    /// Where the next entry starts.
    #[must_use]
    pub fn position(&self) -> usize {
        self.state.at.min(self.state.body.len())
    }

    /// Goes on at `position`, which must be the start of a line, under the declared type `kind`: for callers that know the lines
    /// in between.
    pub fn seek(&mut self, position: usize, kind: MetricType) {
        self.state.at = position;
        self.state.mode = Mode::Init;
        self.state.kind = kind;
        self.done = false;
    }

    /// The type declared last.
    #[must_use]
    pub fn kind(&self) -> MetricType {
        self.state.kind
    }
}

impl State<'_> {
    pub(crate) fn begin_entry(&mut self) {
        self.entry = self.at;
        self.has_name = false;
        self.labels.clear();
        self.exemplar_labels.clear();
        self.exemplar = None;
        self.ts = None;
    }

    /// The text of a span; spans of names, values and texts are checked to be UTF-8 before they are shown.
    pub(crate) fn str(&self, span: Span) -> &str {
        std::str::from_utf8(&self.body[span.range()]).unwrap_or("")
    }

    fn family(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.str(self.name))
    }

    /// The last token's bytes.
    pub(crate) fn token_bytes(&self) -> &[u8] {
        self.body.get(self.token..self.at.min(self.body.len())).unwrap_or_default()
    }

    /// Sets the metric name; with its quotes, if it has any.
    ///
    /// # Errors
    /// When a quoted name is no UTF-8.
    pub(crate) fn set_name(&mut self, start: usize, end: usize) -> Result<(), Error> {
        self.name = self.unquoted(start, end)?;
        self.has_name = true;
        Ok(())
    }

    pub(crate) fn unquoted(&self, start: usize, end: usize) -> Result<Span, Error> {
        let quoted = self.body[start] == b'"';
        let span = if quoted { Span::new(start + 1, end - 1) } else { Span::new(start, end) };
        if quoted && std::str::from_utf8(&self.body[span.range()]).is_err() {
            let name = go_quote_bytes(&self.body[span.range()]);
            return Err(self.error(format!("invalid metric name or label names: {name}")));
        }
        Ok(span)
    }

    /// An error in the current entry.
    pub(crate) fn error(&self, message: String) -> Error {
        let before = &self.body[..self.token.min(self.body.len())];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Error { line, message }
    }

    /// Upstream's `expected …, got "…" ("TOKEN") while parsing: "…"`.
    pub(crate) fn unexpected(&self, expected: &str, got: Token, end: usize) -> Error {
        let end = end.min(self.at + 1);
        self.error(format!(
            "{expected}, got {} (\"{}\") while parsing: {}",
            self.quote(self.token, end),
            got.as_str(),
            self.quote(self.entry, end)
        ))
    }

    /// Upstream's `… while parsing: "…"`.
    pub(crate) fn while_parsing(&self, message: &str) -> Error {
        self.error(format!("{message} while parsing: {}", self.quote(self.entry, self.at)))
    }

    /// Quotes a piece of the body; one past its end stands for the newline that the text parser supplies.
    fn quote(&self, start: usize, end: usize) -> String {
        let len = self.body.len();
        if end <= len {
            return go_quote_bytes(&self.body[start.min(end)..end]);
        }
        let mut bytes = self.body[start.min(len)..].to_vec();
        bytes.push(b'\n');
        go_quote_bytes(&bytes)
    }
}

/// The length of a name at the start of `bytes`, 0 if there is none.
pub(crate) fn name_len(bytes: &[u8], colons: Colons) -> usize {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || (b == b':' && colons == Colons::Allowed);
    if !bytes.first().is_some_and(|b| letter(*b)) {
        return 0;
    }
    bytes.iter().position(|b| !letter(*b) && !b.is_ascii_digit()).unwrap_or(bytes.len())
}

/// Whether a name may hold colons: metric names may, label names not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colons {
    Allowed,
    Refused,
}

/// Scans a quoted string that starts at `start`; `Ok` is one past its closing quote, `Err` where scanning stopped.
pub(crate) fn quoted_end(body: &[u8], start: usize, inside: Inside) -> Result<usize, usize> {
    if body.get(start) != Some(&b'"') {
        return Err(start);
    }
    let mut i = start + 1;
    loop {
        match body.get(i) {
            None => return Err(i),
            Some(b'"') => return Ok(i + 1),
            Some(b'\\') => match body.get(i + 1) {
                None | Some(b'\n') => return Err(i + 1),
                Some(0) if !inside.nul => return Err(i + 1),
                Some(_) => i += 2,
            },
            Some(b'\n') if !inside.newline => return Err(i),
            Some(0) if !inside.nul => return Err(i),
            Some(_) => i += 1,
        }
    }
}

/// What else may stand inside quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside {
    pub(crate) newline: bool,
    pub(crate) nul: bool,
}
