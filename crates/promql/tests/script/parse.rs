//! The language of upstream's PromQL test scripts: `clear`, `load`, `eval`, and what a query is expected to yield.

use std::sync::Arc;

use model::{Histogram, LabelSet};
use promql::parser::{Expr, ParserOptions, SequenceValue, parse, parse_series_desc};

/// A sample of a series, as a script writes it.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Float(f64),
    Histogram {
        value: Arc<Histogram>,
        /// Whether the reset hint was written; it is compared only then.
        hint_given: bool,
    },
}

/// A block of a script.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start with an empty store.
    Clear,
    /// Series descriptions, a value each `step_ms`.
    Load { step_ms: i64, lines: Vec<String>, nhcb: bool },
    /// A query with its expectations.
    Eval(Box<Eval>),
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// Text that a message must be, or match.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    Any,
    Exact(String),
    Pattern(regex::Regex),
}

impl Text {
    pub(crate) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => text == message,
            Self::Pattern(pattern) => pattern.is_match(message),
        }
    }

    fn parse(rest: &str) -> Result<Self, String> {
        let rest = rest.trim();
        if let Some(text) = rest.strip_prefix("msg:") {
            Ok(Self::Exact(text.trim().to_owned()))
        } else if let Some(pattern) = rest.strip_prefix("regex:") {
            Self::pattern(pattern.trim())
        } else if rest.is_empty() {
            Ok(Self::Any)
        } else {
            Err(format!("neither `msg:` nor `regex:`: {rest:?}"))
        }
    }

    fn pattern(pattern: &str) -> Result<Self, String> {
        regex::Regex::new(pattern).map(Self::Pattern).map_err(|e| e.to_string())
    }
}

/// A query and what it must yield.
#[derive(Debug)]
pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) when: When,
    pub(crate) query: String,
    pub(crate) fail: Option<Text>,
    pub(crate) warn: Vec<Text>,
    pub(crate) info: Vec<Text>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) ordered: bool,
    pub(crate) string: Option<String>,
    /// For an instant query that yields ranges: their times.
    pub(crate) range_vector: Option<(i64, i64)>,
    pub(crate) scalar: Option<f64>,
    pub(crate) series: Vec<(LabelSet, Vec<Option<Cell>>)>,
}

/// The commands of a script.
pub(crate) fn parse_script(text: &str) -> Result<Vec<Command>, String> {
    let mut out = Vec::new();
    let mut lines = text.lines().map(str::trim).enumerate().peekable();
    while let Some((i, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut block = Vec::new();
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if word != "clear" {
            while let Some((_, l)) = lines.next_if(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
                block.push(l.to_owned());
            }
        }
        let fail = |e: String| format!("line {}: {e}", i + 1);
        out.push(match word.as_str() {
            "clear" => Command::Clear,
            w if w.starts_with("load") => {
                let step = line.split_whitespace().nth(1).unwrap_or_default();
                Command::Load {
                    step_ms: millis(step).map_err(fail)?,
                    lines: block,
                    nhcb: w == "load_with_nhcb",
                }
            }
            w if w.starts_with("eval") => {
                Command::Eval(Box::new(eval(i + 1, w, line, &block).map_err(fail)?))
            }
            _ => return Err(fail(format!("invalid command {line:?}"))),
        });
    }
    Ok(out)
}

fn millis(text: &str) -> Result<i64, String> {
    let (sign, body) = text.strip_prefix('-').map_or((1, text), |b| (-1, b));
    let duration = model::duration::parse(body).map_err(|e| format!("{text}: {e}"))?;
    Ok(sign * i64::try_from(duration.as_millis()).map_err(|e| e.to_string())?)
}

/// The first `n` words of a line and the rest.
fn words(line: &str, n: usize) -> (Vec<&str>, &str) {
    let (mut found, mut rest) = (Vec::new(), line.trim());
    for _ in 0..n {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    (found, rest)
}

fn eval(line: usize, word: &str, text: &str, block: &[String]) -> Result<Eval, String> {
    let instant = words(text, 2).0[1] == "instant";
    let (head, query) = words(text, if instant { 4 } else { 8 });
    let when = if instant {
        When::At(millis(head[3])?)
    } else {
        When::Range { start: millis(head[3])?, end: millis(head[5])?, step: millis(head[7])? }
    };
    let mut eval = Eval {
        line,
        when,
        query: query.to_owned(),
        fail: (word == "eval_fail").then_some(Text::Any),
        warn: if word == "eval_warn" { vec![Text::Any] } else { Vec::new() },
        info: if word == "eval_info" { vec![Text::Any] } else { Vec::new() },
        no_warn: false,
        no_info: false,
        ordered: word == "eval_ordered",
        string: None,
        range_vector: None,
        scalar: None,
        series: Vec::new(),
    };
    for line in block {
        let (head, rest) = words(line, 2);
        match (head[0], head[1]) {
            ("expect", "fail") if eval.fail.is_some() => return Err("two `expect fail`".to_owned()),
            ("expect", "fail") => eval.fail = Some(Text::parse(rest)?),
            ("expect", "warn") => eval.warn.push(Text::parse(rest)?),
            ("expect", "info") => eval.info.push(Text::parse(rest)?),
            ("expect", "no_warn") => eval.no_warn = true,
            ("expect", "no_info") => eval.no_info = true,
            ("expect", "ordered") => eval.ordered = true,
            ("expect", "string") => match parse(rest, &ParserOptions::all()) {
                Ok(Expr::String { value, .. }) => eval.string = Some(value),
                other => return Err(format!("no string: {other:?}")),
            },
            ("expect", "range") => {
                let times = words(rest, 7).0;
                let (from, to, step) = (millis(times[2])?, millis(times[4])?, millis(times[6])?);
                eval.range_vector = Some((from, step));
                // As upstream: the end of the range in place of the time written in the first line.
                eval.when = When::At(to);
            }
            ("expect", other) => return Err(format!("unknown expectation {other:?}")),
            ("expected_fail_message", _) => {
                eval.fail = Some(Text::Exact(words(line, 1).1.to_owned()));
            }
            ("expected_fail_regexp", _) => {
                eval.fail = Some(Text::pattern(words(line, 1).1)?);
            }
            _ => match model::float::parse_go_float(line) {
                Some(v) if eval.series.is_empty() => eval.scalar = Some(v),
                _ => {
                    let (labels, cells) = series(line)?;
                    if cells.len() > 1 && instant && eval.range_vector.is_none() {
                        return Err(format!("several values for an instant query: {line}"));
                    }
                    eval.series.push((labels, cells));
                }
            },
        }
    }
    if (eval.no_warn && !eval.warn.is_empty()) || (eval.no_info && !eval.info.is_empty()) {
        return Err("an annotation both expected and not".to_owned());
    }
    Ok(eval)
}

/// A series line: labels, and for each step a sample or nothing.
pub(crate) fn series(line: &str) -> Result<(LabelSet, Vec<Option<Cell>>), String> {
    let desc = parse_series_desc(line).map_err(|e| format!("{line}: {e}"))?;
    let cells = desc.values.into_iter().map(|v| match v {
        SequenceValue::Omitted => None,
        SequenceValue::Float(v) => Some(Cell::Float(v)),
        SequenceValue::Histogram { value, hint_given } => Some(Cell::Histogram { value, hint_given }),
    });
    Ok((desc.labels, cells.collect()))
}
