//! PromQL text to a checked syntax tree, and back.
//!
//! A hand-written lexer, a Pratt parser and a type checker, with upstream's grammar (3.14), error texts and positions.

mod arithmetic;
pub mod ast;
mod check;
mod cursor;
mod duration;
mod error;
mod expr;
pub mod functions;
mod histogram_desc;
mod json;
mod lexer;
mod literal;
mod pretty;
mod print;
mod selector;
mod series;
mod token;

use cursor::Parser;

pub use ast::{
    AggregateOp, At, BinaryOp, Cardinality, DurationExpr, DurationOp, DurationValue, Expr, FillValues,
    MatrixSelector, RangeModifier, Span, SubqueryExpr, ValueType, VectorMatching, VectorSelector,
};
pub use duration::DurationExprError;
pub use error::{ParseError, ParseErrors};
pub use functions::{FUNCTIONS, Function, function};
pub use json::ast_json;
pub(crate) use literal::quote_bytes;
pub use pretty::{prettify, prettify_to};
pub use series::{MAX_SERIES_VALUES, SequenceValue, SeriesDescription, parse_metric, parse_series_desc};

/// Which parts of the language are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParserOptions {
    /// Experimental functions and aggregators.
    pub experimental_functions: bool,
    /// Arithmetic in durations; on by default.
    pub duration_expr: bool,
    /// `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `fill`, `fill_left`, `fill_right`.
    pub binop_fill_modifiers: bool,
}

impl Default for ParserOptions {
    fn default() -> Self {
        Self {
            experimental_functions: false,
            duration_expr: true,
            extended_range_selectors: false,
            binop_fill_modifiers: false,
        }
    }
}

impl ParserOptions {
    /// Everything on.
    #[must_use]
    pub fn all() -> Self {
        Self {
            experimental_functions: true,
            duration_expr: true,
            extended_range_selectors: true,
            binop_fill_modifiers: true,
        }
    }
}

/// The deepest nesting of parentheses, calls, signs and right operands: what recursion in the parser is bounded by.
pub const MAX_NESTING: usize = 128;

/// The greatest height of a tree, chains of operators such as `a + b + …` included: what recursion over a tree, the
/// engine's too, is bounded by.
pub const MAX_HEIGHT: usize = 512;

/// The most errors that are reported of one text.
pub const MAX_ERRORS: usize = 1000;

/// Parses and checks an expression.
///
/// # Errors
/// A list of at least one error. The first error of grammar ends the list; types are checked only where there is none.
pub fn parse(query: &str, options: &ParserOptions) -> Result<Expr, ParseErrors> {
    let mut parser = Parser::new(query, *options);
    let parsed = parser.query();
    let mut expr = parser.finish(parsed)?;
    let errors = check::check(&mut expr, query);
    if errors.is_empty() {
        return Ok(expr);
    }
    let errors = errors
        .into_iter()
        .take(MAX_ERRORS)
        .map(|(span, message)| ParseError::new(query, span, message))
        .collect();
    Err(ParseErrors { errors })
}

/// Parses a series selector, as in `match[]`.
///
/// # Errors
/// When the text is not a selector. A selector that matches everything is no error here.
pub fn parse_metric_selector(text: &str) -> Result<Vec<model::Matcher>, ParseErrors> {
    let mut parser = Parser::new(text, ParserOptions::default());
    let parsed = parser.lone_selector();
    parser.finish(parsed).map(|selector| selector.matchers)
}
