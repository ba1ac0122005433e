//! Expressions back to text, exactly as upstream's `String()` writes them.

use std::fmt::{self, Write as _};
use std::time::Duration;

use model::float::{format_f, format_g};
use model::{METRIC_NAME, MatchOp, is_valid_label_name};

use super::ast::{
    At, Cardinality, DurationExpr, DurationOp, DurationValue, Expr, MatrixSelector, RangeModifier,
    SubqueryExpr, VectorMatching, VectorSelector,
};
use super::literal::quote_bytes;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { value, duration: true, .. } => write_seconds(f, *value),
            Self::Number { value, .. } => f.write_str(&format_f(*value)),
            Self::String { bytes: Some(bytes), .. } => f.write_str(&quote_bytes(bytes)),
            Self::String { value, .. } => f.write_str(&quoted(value)),
            Self::Vector(v) => v.fmt(f),
            Self::Matrix(m) => m.fmt(f),
            Self::Subquery(s) => {
                s.expr.fmt(f)?;
                f.write_str(&subquery_suffix(s))
            }
            Self::Call { func, args, .. } => {
                write!(f, "{}(", func.name)?;
                for (i, arg) in args.iter().enumerate() {
                    f.write_str(if i > 0 { ", " } else { "" })?;
                    arg.fmt(f)?;
                }
                f.write_char(')')
            }
            Self::Aggregate { expr, param, .. } => {
                write!(f, "{}(", aggregation_head(self))?;
                if let Some(param) = param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{expr})")
            }
            Self::Binary { lhs, rhs, .. } => write!(f, "{lhs} {} {rhs}", operator(self)),
            Self::Unary { negate, expr, .. } => write!(f, "{}{expr}", if *negate { '-' } else { '+' }),
            Self::Paren { expr, .. } => write!(f, "({expr})"),
        }
    }
}

/// `name by (labels) ` of an aggregation.
pub(super) fn aggregation_head(expr: &Expr) -> String {
    let Expr::Aggregate { op, grouping, without, .. } = expr else { return String::new() };
    match (without, grouping.is_empty()) {
        (true, _) => format!("{} without ({}) ", op.as_str(), labels(grouping)),
        (false, false) => format!("{} by ({}) ", op.as_str(), labels(grouping)),
        (false, true) => op.as_str().to_owned(),
    }
}

/// The operator of a binary operation with all its modifiers.
pub(super) fn operator(expr: &Expr) -> String {
    let Expr::Binary { op, return_bool, matching, .. } = expr else { return String::new() };
    let mut out = op.as_str().to_owned();
    if *return_bool {
        out.push_str(" bool");
    }
    if let Some(matching) = matching {
        out.push_str(&matching_text(matching));
    }
    out
}

fn matching_text(m: &VectorMatching) -> String {
    let mut out = String::new();
    let group = match m.card {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !m.labels.is_empty() || m.on || group.is_some() {
        out += &format!(" {} ({})", if m.on { "on" } else { "ignoring" }, labels(&m.labels));
    }
    if let Some(side) = group {
        out += &format!(" group_{side} ({})", labels(&m.include));
    }
    match (m.fill.left, m.fill.right) {
        (Some(l), Some(r)) if l == r => out += &format!(" fill ({})", format_g(l)),
        (left, right) => {
            if let Some(v) = left {
                out += &format!(" fill_left ({})", format_g(v));
            }
            if let Some(v) = right {
                out += &format!(" fill_right ({})", format_g(v));
            }
        }
    }
    out
}

fn labels(names: &[String]) -> String {
    let quoted: Vec<_> =
        names.iter().map(|n| if is_valid_label_name(n) { n.clone() } else { quoted(n) }).collect();
    quoted.join(", ")
}

fn quoted(text: &str) -> String {
    readable(model::float::go_quote(text))
}

/// A quoted text in which the replacement character, which a query cannot hold as it is, is escaped.
fn readable(quoted: String) -> String {
    if quoted.contains(char::REPLACEMENT_CHARACTER) {
        return quoted.replace(char::REPLACEMENT_CHARACTER, "\\ufffd");
    }
    quoted
}

/// `[range:step] @ at offset offset` of a subquery.
pub(super) fn subquery_suffix(s: &SubqueryExpr) -> String {
    let step = s.step.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("[{}:{step}]{}{}", s.range, at_text(s.at), offset_text(&s.offset))
}

impl fmt::Display for MatrixSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = &self.selector;
        write_series(f, s)?;
        write!(f, "[{}]{}", self.range, modifier_text(s.modifier))?;
        write!(f, "{}{}", at_text(s.at), offset_text(&s.offset))
    }
}

impl fmt::Display for VectorSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_series(f, self)?;
        write!(f, "{}{}{}", at_text(self.at), modifier_text(self.modifier), offset_text(&self.offset))
    }
}

/// Name and matchers, those sorted by their text.
fn write_series(f: &mut fmt::Formatter<'_>, s: &VectorSelector) -> fmt::Result {
    let name = s.name.as_deref().unwrap_or("");
    f.write_str(name)?;
    let is_the_name = |m: &model::Matcher| {
        m.name == METRIC_NAME && m.op == MatchOp::Equal && m.value == name && !name.is_empty()
    };
    let mut matchers: Vec<_> =
        s.matchers.iter().filter(|m| !is_the_name(m)).map(|m| readable(m.to_string())).collect();
    if matchers.is_empty() {
        return Ok(());
    }
    matchers.sort();
    write!(f, "{{{}}}", matchers.join(","))
}

fn at_text(at: Option<At>) -> String {
    match at {
        None => String::new(),
        Some(At::Timestamp(ms)) => format!(" @ {:.3}", ms as f64 / 1000.0),
        Some(At::Start) => " @ start()".to_owned(),
        Some(At::End) => " @ end()".to_owned(),
    }
}

fn modifier_text(modifier: RangeModifier) -> &'static str {
    match modifier {
        RangeModifier::None => "",
        RangeModifier::Anchored => " anchored",
        RangeModifier::Smoothed => " smoothed",
    }
}

fn offset_text(offset: &DurationValue) -> String {
    if *offset == DurationValue::ZERO { String::new() } else { format!(" offset {offset}") }
}

impl fmt::Display for DurationValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Millis(ms) => write_millis(f, *ms),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal { seconds, duration: true, .. } => write_seconds(f, *seconds),
            Self::Literal { seconds, .. } => f.write_str(&format_f(*seconds)),
            Self::Step { .. } => f.write_str("step()"),
            Self::Range { .. } => f.write_str("range()"),
            Self::Negate { expr, .. } => write!(f, "-{expr}"),
            Self::Binary { op: op @ (DurationOp::MinOf | DurationOp::MaxOf), lhs, rhs, .. } => {
                write!(f, "{}({lhs}, {rhs})", op.as_str())
            }
            Self::Binary { op, lhs, rhs, .. } => write!(f, "{lhs} {} {rhs}", op.as_str()),
            Self::Paren { expr, .. } => write!(f, "({expr})"),
        }
    }
}

fn write_seconds(f: &mut fmt::Formatter<'_>, seconds: f64) -> fmt::Result {
    // A duration literal has whole milliseconds. Upstream cuts here, and writes 2h16m59s361ms for 2h16m59s362ms.
    write_millis(f, (seconds * 1e9).round() as i64 / 1_000_000)
}

fn write_millis(f: &mut fmt::Formatter<'_>, ms: i64) -> fmt::Result {
    if ms < 0 {
        f.write_char('-')?;
    }
    f.write_str(&model::duration::format(Duration::from_millis(ms.unsigned_abs())))
}
