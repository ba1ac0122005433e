//! Durations of selectors: constants, and arithmetic on them.

use super::Span;

/// A duration in a selector.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationValue {
    /// A constant, in milliseconds; negative only in an offset.
    Millis(i64),
    /// Depends on the query, or was written as an expression: evaluate it with [`DurationExpr::evaluate`].
    Expr(Box<DurationExpr>),
}

impl DurationValue {
    /// The absent offset.
    pub const ZERO: Self = Self::Millis(0);

    /// The constant, if it is one.
    #[must_use]
    pub fn as_millis(&self) -> Option<i64> {
        match self {
            Self::Millis(ms) => Some(*ms),
            Self::Expr(_) => None,
        }
    }
}

/// Arithmetic on durations: `5m * 2`, `step()`, `max_of(step(), 1m)`.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationExpr {
    /// A number, sign included.
    Literal {
        /// In seconds.
        seconds: f64,
        /// Whether it was written as a duration.
        duration: bool,
        /// Where.
        span: Span,
    },
    /// `step()`: the query's step, 0 for instant queries.
    Step {
        /// Where.
        span: Span,
    },
    /// `range()`: the query's end minus its start.
    Range {
        /// Where.
        span: Span,
    },
    /// A minus before anything but a literal.
    Negate {
        /// The operand.
        expr: Box<DurationExpr>,
        /// Where.
        span: Span,
    },
    /// Two operands, `min_of` and `max_of` included.
    Binary {
        /// Which.
        op: DurationOp,
        /// Left operand.
        lhs: Box<DurationExpr>,
        /// Right operand.
        rhs: Box<DurationExpr>,
        /// Where.
        span: Span,
    },
    /// An expression in parentheses.
    Paren {
        /// The expression, itself not in parentheses.
        expr: Box<DurationExpr>,
        /// Where.
        span: Span,
    },
}

impl DurationExpr {
    /// Where the expression stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Literal { span, .. }
            | Self::Step { span }
            | Self::Range { span }
            | Self::Negate { span, .. }
            | Self::Binary { span, .. }
            | Self::Paren { span, .. } => *span,
        }
    }
}

/// The operators of duration expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `min_of(a, b)`
    MinOf,
    /// `max_of(a, b)`
    MaxOf,
}

impl DurationOp {
    /// The operator or function name as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::MinOf => "min_of",
            Self::MaxOf => "max_of",
        }
    }
}
