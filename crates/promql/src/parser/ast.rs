//! The syntax tree of a PromQL expression. Every node knows where it stands in the query text.
//!
//! Times are milliseconds, as everywhere; only number literals (and the leaves of duration expressions) stay in the
//! seconds the language is written in. Names follow upstream's `promql/parser/ast.go`.

mod duration;
mod operator;
mod selector;

pub use duration::{DurationExpr, DurationOp, DurationValue};
pub use operator::{AggregateOp, BinaryOp, Cardinality, FillValues, VectorMatching};
pub use selector::{At, MatrixSelector, RangeModifier, SubqueryExpr, VectorSelector};

use super::functions::Function;

/// Half-open byte offsets into the query text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes from `start` up to, not including, `end`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of `self` to the end of `other`.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// What an expression evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number.
    Scalar,
    /// A sample per series.
    Vector,
    /// A range of samples per series.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The name used by the API: `scalar`, `vector`, `matrix`, `string`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }

    /// The name used in messages for users: `instant vector`, `range vector`, …
    #[must_use]
    pub fn documented(self) -> &'static str {
        match self {
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            other => other.as_str(),
        }
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A number, sign included.
    Number {
        /// The value; of a duration, in seconds.
        value: f64,
        /// Whether it was written as a duration (`5m`).
        duration: bool,
        /// Where.
        span: Span,
    },
    /// A text, unquoted.
    String {
        /// The text, the replacement character standing for what is no UTF-8.
        value: String,
        /// The bytes, where they are no UTF-8 (by escapes such as `\xff`).
        bytes: Option<Box<[u8]>>,
        /// Where.
        span: Span,
    },
    /// An instant selector.
    Vector(VectorSelector),
    /// A range selector.
    Matrix(MatrixSelector),
    /// A subquery.
    Subquery(SubqueryExpr),
    /// A function call.
    Call {
        /// The function.
        func: &'static Function,
        /// Its arguments, as many as the function takes.
        args: Vec<Expr>,
        /// Where.
        span: Span,
    },
    /// An aggregation.
    Aggregate {
        /// Which.
        op: AggregateOp,
        /// What is aggregated; an instant vector.
        expr: Box<Expr>,
        /// The first of two arguments; present exactly for those operators that take it.
        param: Option<Box<Expr>>,
        /// The labels of `by` or `without`.
        grouping: Vec<String>,
        /// Whether the labels are those to drop.
        without: bool,
        /// Where.
        span: Span,
    },
    /// A binary operation.
    Binary {
        /// Which.
        op: BinaryOp,
        /// Left operand.
        lhs: Box<Expr>,
        /// Right operand.
        rhs: Box<Expr>,
        /// How series are matched; `None` unless both operands are instant vectors.
        matching: Option<VectorMatching>,
        /// Whether a comparison returns 0 or 1 rather than filtering.
        return_bool: bool,
        /// Where: from the left operand's start to the right one's end.
        span: Span,
    },
    /// A sign before anything but a number.
    Unary {
        /// Whether the sign is minus.
        negate: bool,
        /// The operand, scalar or instant vector.
        expr: Box<Expr>,
        /// Where.
        span: Span,
    },
    /// An expression in parentheses.
    Paren {
        /// The expression.
        expr: Box<Expr>,
        /// Where, parentheses included.
        span: Span,
    },
}

impl Expr {
    /// What the expression evaluates to.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number { .. } => ValueType::Scalar,
            Self::String { .. } => ValueType::String,
            Self::Vector(_) | Self::Aggregate { .. } => ValueType::Vector,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Call { func, .. } => func.return_type,
            Self::Binary { lhs, rhs, .. } => match (lhs.value_type(), rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            Self::Unary { expr, .. } | Self::Paren { expr, .. } => expr.value_type(),
        }
    }

    /// Where the expression stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Self::Number { span, .. }
            | Self::String { span, .. }
            | Self::Call { span, .. }
            | Self::Aggregate { span, .. }
            | Self::Binary { span, .. }
            | Self::Unary { span, .. }
            | Self::Paren { span, .. } => *span,
            Self::Vector(v) => v.span,
            Self::Matrix(m) => m.span,
            Self::Subquery(s) => s.span,
        }
    }

    /// The expression without the parentheses around it.
    #[must_use]
    pub fn unwrap_parens(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren { expr: inner, .. } = expr {
            expr = inner;
        }
        expr
    }

    /// The direct operands, in the order upstream visits them (an aggregation's expression before its parameter).
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number { .. } | Self::String { .. } | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Subquery(s) => vec![&s.expr],
            Self::Call { args, .. } => args.iter().collect(),
            Self::Aggregate { expr, param, .. } => std::iter::once(&**expr).chain(param.as_deref()).collect(),
            Self::Binary { lhs, rhs, .. } => vec![lhs, rhs],
            Self::Unary { expr, .. } | Self::Paren { expr, .. } => vec![expr],
        }
    }

    /// Calls `visit` for each instant selector, those inside range selectors included, from left to right.
    pub fn for_each_selector<'a>(&'a self, visit: &mut dyn FnMut(&'a VectorSelector)) {
        match self {
            Self::Vector(v) => visit(v),
            Self::Matrix(m) => visit(&m.selector),
            other => {
                for child in other.children() {
                    child.for_each_selector(visit);
                }
            }
        }
    }
}
