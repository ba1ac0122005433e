//! The notation of native histograms in series descriptions: `{{schema:1 count:3 sum:4.5 buckets:[1 2]}}`.

use model::{Histogram, ResetHint, Span};

use super::lexer::is_space;
use super::series::number;

/// A histogram of a description.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) histogram: Histogram,
    /// Whether it has a `counter_reset_hint`.
    pub(super) hint_given: bool,
}

/// What is wrong, and where in the text.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) message: String,
}

/// Reads the histogram at the start of `text`, which begins with `{{`; returns what follows it, too.
pub(super) fn parse_histogram(text: &str) -> Result<(Described, &str), Wrong> {
    let mut reader = Reader { text, pos: 2 };
    let mut seen = Vec::new();
    let mut out = Described { histogram: Histogram::default(), hint_given: false };
    let (mut positive, mut negative) = (0, 0);
    let spaces = reader.spaces();
    if spaces && !reader.rest().starts_with("}}") {
        return reader.fail(format!("unexpected {:?} in series values", reader.word()));
    }
    while !reader.take("}}") {
        if !seen.is_empty() && !text[..reader.pos].ends_with(is_space) {
            return reader.fail(
                "unexpected character in histogram description, expected a space or \"}}\"".to_owned(),
            );
        }
        let key = reader.key()?;
        if seen.contains(&key) {
            return reader.fail(format!("duplicate key \"{key}\" in histogram"));
        }
        let h = &mut out.histogram;
        match key {
            "schema" => h.schema = reader.integer()?,
            "sum" => h.sum = reader.number()?,
            "count" => h.count = reader.number()?,
            "z_bucket" => h.zero_count = reader.number()?,
            "z_bucket_w" => h.zero_threshold = reader.number()?,
            "custom_values" => h.custom_values = reader.list()?,
            "buckets" => h.positive_buckets = reader.list()?,
            "n_buckets" => h.negative_buckets = reader.list()?,
            "offset" => positive = reader.integer()?,
            "n_offset" => negative = reader.integer()?,
            _ => {
                h.reset_hint = reader.hint()?;
                out.hint_given = true;
            }
        }
        seen.push(key);
        reader.spaces();
        if reader.rest().is_empty() {
            return reader.fail("histogram description incomplete, expected \"}}\"".to_owned());
        }
    }
    let h = &mut out.histogram;
    let spans = |offset, buckets: &[f64]| {
        let length = u32::try_from(buckets.len()).unwrap_or(u32::MAX);
        if length > 0 { vec![Span { offset, length }] } else { Vec::new() }
    };
    h.positive_spans = spans(positive, &h.positive_buckets);
    h.negative_spans = spans(negative, &h.negative_buckets);
    Ok((out, reader.rest()))
}

const KEYS: [&str; 11] = [
    "schema",
    "sum",
    "count",
    "z_bucket",
    "z_bucket_w",
    "custom_values",
    "buckets",
    "n_buckets",
    "offset",
    "n_offset",
    "counter_reset_hint",
];

struct Reader<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn fail<T>(&self, message: String) -> Result<T, Wrong> {
        Err(Wrong { at: self.pos, message })
    }

    fn take(&mut self, what: &str) -> bool {
        let found = self.rest().starts_with(what);
        self.pos += if found { what.len() } else { 0 };
        found
    }

    fn spaces(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(is_space);
        self.pos += rest.len() - trimmed.len();
        rest.len() > trimmed.len()
    }

    /// Letters and underscores; at least what comes next, for messages.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        &rest[..letters.max(first)]
    }

    /// A key with its colon.
    fn key(&mut self) -> Result<&'static str, Wrong> {
        let word = self.word();
        let Some(key) = KEYS.iter().find(|key| key.eq_ignore_ascii_case(word)) else {
            return self.fail(format!("bad histogram descriptor found: {word:?}"));
        };
        if !self.text[self.pos + word.len()..].starts_with(':') {
            return self.fail("missing `:` for histogram descriptor".to_owned());
        }
        self.pos += word.len() + 1;
        Ok(key)
    }

    fn number(&mut self) -> Result<f64, Wrong> {
        let Some((value, rest)) = number(self.rest()) else {
            return self.fail(format!("unexpected {:?} in series values", self.word()));
        };
        self.pos = self.text.len() - rest.len();
        Ok(value)
    }

    fn integer(&mut self) -> Result<i32, Wrong> {
        let rest = self.rest();
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let len =
            digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()) + rest.len() - digits.len();
        let Ok(value) = rest[..len].parse() else {
            return self.fail(format!("invalid integer {:?} in histogram", &rest[..len]));
        };
        self.pos += len;
        Ok(value)
    }

    fn list(&mut self) -> Result<Vec<f64>, Wrong> {
        if !self.take("[") {
            return self.fail(format!("unexpected {:?} in series values, expected \"[\"", self.word()));
        }
        let mut values = vec![self.number()?];
        loop {
            let spaces = self.spaces();
            if self.take("]") {
                return Ok(values);
            }
            if !spaces {
                return self.fail(format!("invalid character in buckets description: {:?}", self.word()));
            }
            values.push(self.number()?);
        }
    }

    fn hint(&mut self) -> Result<ResetHint, Wrong> {
        let word = self.word();
        let hint = match word.to_ascii_lowercase().as_str() {
            "unknown" => ResetHint::Unknown,
            "reset" => ResetHint::Reset,
            "not_reset" => ResetHint::NoReset,
            "gauge" => ResetHint::Gauge,
            _ => return self.fail(format!("bad histogram descriptor found: {word:?}")),
        };
        self.pos += word.len();
        Ok(hint)
    }
}
