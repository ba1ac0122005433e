//! What names series and times: selectors, subqueries and their modifiers.

use model::Matcher;

use super::{DurationValue, Expr, Span};

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
