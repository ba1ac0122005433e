//! Queries as trees, so that a part of one can be asked by itself.

use std::fmt;

/// When a query is evaluated: at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; at `start_ms` only where the step is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// First, in milliseconds.
    pub start_ms: i64,
    /// Last, inclusive.
    pub end_ms: i64,
    /// 0 for an instant query.
    pub step_ms: i64,
}

impl Times {
    /// One time.
    #[must_use]
    pub fn instant(ts: i64) -> Self {
        Self { start_ms: ts, end_ms: ts, step_ms: 0 }
    }
}

/// What `@` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `@ 12.5`, in milliseconds.
    Time(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// `offset` and `@`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers {
    /// 0 for none.
    pub offset_ms: i64,
    /// `@`
    pub at: Option<At>,
}

impl Modifiers {
    /// What `ts` becomes by `@`, within a query over `whole`.
    #[must_use]
    pub fn time(&self, ts: i64, whole: Times) -> i64 {
        match self.at {
            None => ts,
            Some(At::Time(at)) => at,
            Some(At::Start) => whole.start_ms,
            Some(At::End) => whole.end_ms,
        }
    }
}

/// A query or a part of one.
#[derive(Debug, Clone)]
pub enum Expr {
    /// Scalars without parts, as written.
    Number(String),
    /// A string, without its quotes.
    Text(String),
    /// An instant selector: name and matchers, as written.
    Select(String, Modifiers),
    /// A range selector with its range in milliseconds.
    Range(String, i64, Modifiers),
    /// `(inner)[range:step]`
    Subquery {
        /// An instant vector.
        inner: Box<Expr>,
        /// In milliseconds.
        range_ms: i64,
        /// The server's default where `None`.
        step_ms: Option<i64>,
        /// Of the whole.
        modifiers: Modifiers,
    },
    /// `name(args)`
    Call(&'static str, Vec<Expr>),
    /// `op clause (param, inner)`
    Aggregate {
        /// `sum` and the like.
        op: &'static str,
        /// `by (…)`, or empty.
        clause: String,
        /// The number of `topk`, the label of `count_values`.
        param: Option<Box<Expr>>,
        /// An instant vector.
        inner: Box<Expr>,
    },
    /// `lhs op rhs`
    Binary {
        /// With `bool`, where it is there.
        op: String,
        /// `on (…) group_left (…)`, or empty.
        matching: String,
        /// The sides.
        sides: Box<(Expr, Expr)>,
    },
    /// `-inner`
    Negate(Box<Expr>),
    /// Something that should fail, as written.
    Wrong(String),
}

/// The step of a subquery that names none: both servers run with the default evaluation interval.
pub const DEFAULT_STEP_MS: i64 = 60_000;

impl Expr {
    /// Its parts, with the times at which it evaluates them.
    #[must_use]
    pub fn parts(&self, times: Times, whole: Times) -> Vec<(&Expr, Times)> {
        match self {
            Self::Number(_) | Self::Text(_) | Self::Select(..) | Self::Range(..) | Self::Wrong(_) => {
                Vec::new()
            }
            Self::Subquery { inner, range_ms, step_ms, modifiers } => {
                let (start, end) =
                    (modifiers.time(times.start_ms, whole), modifiers.time(times.end_ms, whole));
                let step = step_ms.unwrap_or(DEFAULT_STEP_MS);
                let first = start - modifiers.offset_ms - range_ms;
                let start_ms = (first.div_euclid(step) + 1) * step;
                vec![(inner, Times { start_ms, end_ms: end - modifiers.offset_ms, step_ms: step })]
            }
            Self::Call(_, args) => args.iter().map(|arg| (arg, times)).collect(),
            Self::Aggregate { param, inner, .. } => {
                param.iter().map(|p| (&**p, times)).chain([(&**inner, times)]).collect()
            }
            Self::Binary { sides, .. } => vec![(&sides.0, times), (&sides.1, times)],
            Self::Negate(inner) => vec![(inner, times)],
        }
    }

    /// Whether it is a selector or subquery with `@`.
    #[must_use]
    pub fn has_at(&self) -> bool {
        match self {
            Self::Select(_, modifiers) | Self::Range(_, _, modifiers) | Self::Subquery { modifiers, .. } => {
                modifiers.at.is_some()
            }
            _ => false,
        }
    }

    /// Whether it is a range vector.
    #[must_use]
    pub fn is_range(&self) -> bool {
        matches!(self, Self::Range(..) | Self::Subquery { .. })
    }

    /// Whether it may be the whole of a range query.
    #[must_use]
    pub fn has_steps(&self) -> bool {
        !self.is_range() && !matches!(self, Self::Text(_))
    }

    /// The text, `start()` and `end()` being those of the whole query.
    #[must_use]
    pub fn text(&self, whole: Times) -> String {
        Fixed(self, Some(whole)).to_string()
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Fixed(self, None).fmt(f)
    }
}

/// An expression with the times that `start()` and `end()` stand for, where they must be written out.
struct Fixed<'a>(&'a Expr, Option<Times>);

impl Fixed<'_> {
    fn part<'b>(&self, expr: &'b Expr) -> Fixed<'b> {
        Fixed(expr, self.1)
    }

    fn modifiers(&self, f: &mut fmt::Formatter<'_>, modifiers: Modifiers) -> fmt::Result {
        match (modifiers.at, self.1) {
            (None, _) => {}
            (Some(_), Some(whole)) => write!(f, " @ {}", seconds(modifiers.time(0, whole)))?,
            (Some(At::Time(at)), None) => write!(f, " @ {}", seconds(at))?,
            (Some(At::Start), None) => f.write_str(" @ start()")?,
            (Some(At::End), None) => f.write_str(" @ end()")?,
        }
        match modifiers.offset_ms {
            0 => Ok(()),
            ms if ms < 0 => write!(f, " offset -{}", duration(-ms)),
            ms => write!(f, " offset {}", duration(ms)),
        }
    }

    /// As an operand: in parentheses where the text would be read otherwise.
    fn operand(&self, f: &mut fmt::Formatter<'_>, expr: &Expr) -> fmt::Result {
        match expr {
            Expr::Binary { .. } | Expr::Negate(_) | Expr::Number(_) => write!(f, "({})", self.part(expr)),
            _ => fmt::Display::fmt(&self.part(expr), f),
        }
    }
}

impl fmt::Display for Fixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Number(text) | Expr::Wrong(text) => f.write_str(text),
            Expr::Text(text) => {
                write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Expr::Select(text, modifiers) => {
                f.write_str(text)?;
                self.modifiers(f, *modifiers)
            }
            Expr::Range(text, range_ms, modifiers) => {
                write!(f, "{text}[{}]", duration(*range_ms))?;
                self.modifiers(f, *modifiers)
            }
            Expr::Subquery { inner, range_ms, step_ms, modifiers } => {
                let step = step_ms.map_or_else(String::new, duration);
                write!(f, "({})[{}:{step}]", self.part(inner), duration(*range_ms))?;
                self.modifiers(f, *modifiers)
            }
            Expr::Call(name, args) => {
                write!(f, "{name}(")?;
                for (i, arg) in args.iter().enumerate() {
                    write!(f, "{}{}", if i > 0 { ", " } else { "" }, self.part(arg))?;
                }
                f.write_str(")")
            }
            Expr::Aggregate { op, clause, param, inner } => {
                write!(f, "{op} {clause}(")?;
                if let Some(param) = param {
                    write!(f, "{}, ", self.part(param))?;
                }
                write!(f, "{})", self.part(inner))
            }
            Expr::Binary { op, matching, sides } => {
                self.operand(f, &sides.0)?;
                write!(f, " {op} {matching}")?;
                self.operand(f, &sides.1)
            }
            Expr::Negate(inner) => {
                f.write_str("-")?;
                self.operand(f, inner)
            }
        }
    }
}

/// `1m33s313ms`.
#[must_use]
pub fn duration(mut ms: i64) -> String {
    let mut text = String::new();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if ms >= size {
            text.push_str(&format!("{}{unit}", ms / size));
            ms %= size;
        }
    }
    text
}

/// Milliseconds as seconds.
#[must_use]
pub fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(duration(93_313), "1m33s313ms");
        let select = Expr::Select("a".to_owned(), Modifiers { offset_ms: -1000, at: Some(At::End) });
        let query = Expr::Negate(Box::new(Expr::Binary {
            op: "+".to_owned(),
            matching: "on () ".to_owned(),
            sides: Box::new((select, Expr::Number("1".to_owned()))),
        }));
        assert_eq!(query.to_string(), "-(a @ end() offset -1s + on () (1))");
        let whole = Times { start_ms: 1, end_ms: 12_137, step_ms: 1 };
        assert_eq!(query.text(whole), "-(a @ 12.137 offset -1s + on () (1))");
    }
}
