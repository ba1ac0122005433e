//! The functions a set of templates may call, and what Prometheus and Alertmanager have in common.

use std::collections::HashMap;

use model::float::format_g_precision;

use crate::value::{CallResult, Value};

type Body<'f> = Box<dyn Fn(&[Value]) -> CallResult + 'f>;

/// A function with the numbers of arguments it takes.
pub(crate) struct Func<'f> {
    pub(crate) min: usize,
    /// `None` for any number.
    pub(crate) max: Option<usize>,
    pub(crate) body: Body<'f>,
}

/// Functions by name. Go's built-ins are always there and can be hidden by one of the same name.
#[derive(Default)]
pub struct Funcs<'f> {
    map: HashMap<&'static str, Func<'f>>,
}

impl std::fmt::Debug for Funcs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.map.keys()).finish()
    }
}

impl<'f> Funcs<'f> {
    /// Adds a function of exactly `count` arguments.
    pub fn add(
        &mut self,
        name: &'static str,
        count: usize,
        body: impl Fn(&[Value]) -> CallResult + 'f,
    ) -> &mut Self {
        self.map.insert(name, Func { min: count, max: Some(count), body: Box::new(body) });
        self
    }

    /// Adds a function of `min` arguments and any number more.
    pub fn add_variadic(
        &mut self,
        name: &'static str,
        min: usize,
        body: impl Fn(&[Value]) -> CallResult + 'f,
    ) -> &mut Self {
        self.map.insert(name, Func { min, max: None, body: Box::new(body) });
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Func<'f>> {
        self.map.get(name)
    }

    /// Whether there is a function of that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }
}

/// The string in argument `i`, or Go's complaint.
///
/// # Errors
/// When the argument is of another type.
pub fn string_arg(args: &[Value], i: usize) -> Result<&str, String> {
    match args.get(i) {
        Some(Value::Str(s)) => Ok(s),
        Some(Value::Nil) | None => Err("invalid value; expected string".to_owned()),
        Some(v) => Err(format!("wrong type for value; expected string; got {}", v.type_name())),
    }
}

/// A number from a number or a numeric string, as upstream's humanizing functions take it.
///
/// # Errors
/// When it is neither.
pub fn float_arg(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(f) => Ok(*f),
        Value::Int(i) => Ok(*i as f64),
        Value::Duration(ns) => Ok(*ns as f64 / 1e9),
        Value::Str(s) => model::float::parse_go_float(s)
            .filter(|f| f.is_finite() || !s.contains(|c: char| c.is_ascii_digit()))
            .ok_or_else(|| {
                let why = if model::float::parse_go_float(s).is_some() {
                    "value out of range"
                } else {
                    "invalid syntax"
                };
                format!("strconv.ParseFloat: parsing {}: {why}", model::float::go_quote(s))
            }),
        v => Err(format!("can't convert {} to float", v.type_name())),
    }
}

/// `humanizeDuration`: `1d 2h 3m 4s` from a minute on, else four significant digits with a prefix.
///
/// # Errors
/// When the value is no number.
pub fn humanize_duration(value: &Value) -> Result<String, String> {
    let v = float_arg(value)?;
    if !v.is_finite() {
        return Ok(format_g_precision(v, 4));
    }
    if v == 0.0 {
        return Ok(format!("{}s", format_g_precision(v, 4)));
    }
    let magnitude = v.abs();
    if magnitude < 1.0 {
        let (scaled, prefix) = scale_down(v);
        return Ok(format!("{}{prefix}s", format_g_precision(scaled, 4)));
    }
    let sign = if v < 0.0 { "-" } else { "" };
    let total = magnitude as i64;
    let (d, h, m, s) = (total / 86_400, total / 3_600 % 24, total / 60 % 60, total % 60);
    Ok(match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", format_g_precision(magnitude, 4)),
        (0, 0, m) => format!("{sign}{m}m {s}s"),
        (0, h, m) => format!("{sign}{h}h {m}m {s}s"),
        (d, h, m) => format!("{sign}{d}d {h}h {m}m {s}s"),
    })
}

/// A value below one in the unit (milli, micro, …) that brings it to one or more.
pub(crate) fn scale_down(mut v: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for p in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if v.abs() >= 1.0 {
            break;
        }
        prefix = p;
        v *= 1000.0;
    }
    (v, prefix)
}

/// Whether the rest of a word is left alone or made lower case by [`title`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TitleRest {
    /// Prometheus: `fooBAR` is `FooBAR`.
    Keep,
    /// Alertmanager: `fooBAR` is `Foobar`.
    Lower,
}

/// Each word with a capital first letter. Words end at anything but letters, digits, `_` and single `'`, `.`, `:`
/// between letters, which is how `golang.org/x/text/cases` sees English words.
#[must_use]
pub fn title(text: &str, rest: TitleRest) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_word, mut was_mid) = (false, false);
    for c in text.chars() {
        let mid = matches!(c, '\'' | '.' | ':' | '·' | '’' | '‘' | '․');
        let joins = c.is_alphanumeric() || c == '_';
        if (mid && was_mid) || (!mid && !joins) {
            in_word = false;
        }
        was_mid = mid;
        let cased = c.is_uppercase() || c.is_lowercase();
        if cased && !in_word {
            // Title case of the digraph letters differs from upper case; they do not occur in labels.
            out.extend(c.to_uppercase());
            in_word = true;
        } else if cased && rest == TitleRest::Lower {
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// Compiles a pattern as Go's `regexp` would, with its error text.
///
/// # Errors
/// When it does not compile.
pub fn regex(pattern: &str) -> Result<regex::Regex, String> {
    regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|e| match e {
        regex::Error::Syntax(text) => {
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("error parsing regexp: {reason}: `{pattern}`")
        }
        e => format!("error parsing regexp: {e}: `{pattern}`"),
    })
}

/// Go's `url.QueryEscape`.
#[must_use]
pub fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(b)),
            b' ' => out.push('+'),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
