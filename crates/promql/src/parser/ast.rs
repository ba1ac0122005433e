//! The syntax tree of a PromQL expression. Every node knows where it stands in the query text.
//!
//! Times are milliseconds, as everywhere; only number literals (and the leaves of duration expressions) stay in the
//! seconds the language is written in. Names follow upstream's `promql/parser/ast.go`.

use model::Matcher;

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

/// An instant selector: `name{matchers} @ at offset offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSelector {
    /// The name written before the braces. Where it is `Some`, the last matcher is the one for it.
    pub name: Option<String>,
    /// All matchers, that of the name included.
    pub matchers: Vec<Matcher>,
    /// How far back to look, as written; `Millis(0)` where there is no `offset`.
    pub offset: DurationValue,
    /// The fixed time of `@`.
    pub at: Option<At>,
    /// How the edges of a range are treated (experimental).
    pub modifier: RangeModifier,
    /// Whether all matchers may match the empty string: set for the second argument of `info`.
    pub bypass_empty_matcher_check: bool,
    /// Where, modifiers included.
    pub span: Span,
}

/// A range selector: `selector[range]`. Modifiers written behind the bracket are those of the selector.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSelector {
    /// The selector.
    pub selector: VectorSelector,
    /// The window's length.
    pub range: DurationValue,
    /// Where, modifiers included; `selector.span` is the part before the bracket.
    pub span: Span,
}

/// A subquery: `expr[range:step] @ at offset offset`.
#[derive(Debug, Clone, PartialEq)]
pub struct SubqueryExpr {
    /// What is evaluated at each inner step; an instant vector.
    pub expr: Box<Expr>,
    /// The window's length.
    pub range: DurationValue,
    /// Distance of the inner steps; `None` for the default (the global evaluation interval).
    pub step: Option<DurationValue>,
    /// How far back to look; `Millis(0)` where there is no `offset`.
    pub offset: DurationValue,
    /// The fixed time of `@`.
    pub at: Option<At>,
    /// Where.
    pub span: Span,
}

/// The time of an `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since the Unix epoch.
    Timestamp(i64),
    /// The start of the query's range.
    Start,
    /// The end of the query's range.
    End,
}

/// How samples at the edges of a range are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RangeModifier {
    /// As ever: extrapolation.
    #[default]
    None,
    /// `anchored`: the newest sample at or before the range's start counts.
    Anchored,
    /// `smoothed`: interpolation at both edges.
    Smoothed,
}

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

/// The aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `avg`
    Avg,
    /// `bottomk`, with a parameter.
    Bottomk,
    /// `count`
    Count,
    /// `count_values`, with a string as parameter.
    CountValues,
    /// `group`
    Group,
    /// `max`
    Max,
    /// `min`
    Min,
    /// `quantile`, with a parameter.
    Quantile,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `sum`
    Sum,
    /// `topk`, with a parameter.
    Topk,
    /// `limitk`, with a parameter; experimental.
    Limitk,
    /// `limit_ratio`, with a parameter; experimental.
    LimitRatio,
}

impl AggregateOp {
    /// The name as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Bottomk => "bottomk",
            Self::Count => "count",
            Self::CountValues => "count_values",
            Self::Group => "group",
            Self::Max => "max",
            Self::Min => "min",
            Self::Quantile => "quantile",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Sum => "sum",
            Self::Topk => "topk",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// The type of the parameter, for those operators that take one.
    #[must_use]
    pub fn param_type(self) -> Option<ValueType> {
        match self {
            Self::Bottomk | Self::Quantile | Self::Topk | Self::Limitk | Self::LimitRatio => {
                Some(ValueType::Scalar)
            }
            Self::CountValues => Some(ValueType::String),
            _ => None,
        }
    }

    /// Whether the operator must be enabled.
    #[must_use]
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}

/// The binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
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
    /// `atan2`
    Atan2,
    /// `==`
    Eql,
    /// `!=`
    Neq,
    /// `<=`
    Lte,
    /// `<`
    Lss,
    /// `>=`
    Gte,
    /// `>`
    Gtr,
    /// `</`: cuts a native histogram above a value.
    TrimUpper,
    /// `>/`: cuts a native histogram below a value.
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// The operator as written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eql => "==",
            Self::Neq => "!=",
            Self::Lte => "<=",
            Self::Lss => "<",
            Self::Gte => ">=",
            Self::Gtr => ">",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares: `==`, `!=`, `<`, `<=`, `>`, `>=`.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eql | Self::Neq | Self::Lte | Self::Lss | Self::Gte | Self::Gtr)
    }

    /// Whether it works on sets of series: `and`, `or`, `unless`.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// How series of two instant vectors find each other.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorMatching {
    /// Which side may have several.
    pub card: Cardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether the labels are those that must be equal, rather than those to leave out.
    pub on: bool,
    /// The labels copied from the "one" side: those of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// Values for series without a partner (experimental).
    pub fill: FillValues,
}

/// How many series of each side may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// The default.
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

impl Cardinality {
    /// Upstream's word, `many-to-one`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "one-to-one",
            Self::ManyToOne => "many-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToMany => "many-to-many",
        }
    }
}

/// Values that stand for a missing partner.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FillValues {
    /// For a series missing on the left.
    pub left: Option<f64>,
    /// For a series missing on the right.
    pub right: Option<f64>,
}
