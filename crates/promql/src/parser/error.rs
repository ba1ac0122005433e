//! Parse errors with their positions, in upstream's words.

use std::fmt;

use super::ast::Span;

/// One error in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Where.
    pub span: Span,
    /// The line of the span's start, from 1; 0 where the query is empty.
    pub line: usize,
    /// The byte of that line, from 1; 0 where the query is empty.
    pub column: usize,
    /// What is wrong, without the position.
    pub message: String,
}

impl ParseError {
    pub(super) fn new(query: &str, span: Span, message: String) -> Self {
        let before = &query.as_bytes()[..span.start.min(query.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let (line, column) = if query.is_empty() {
            (0, 0)
        } else {
            (before.iter().filter(|&&b| b == b'\n').count() + 1, before.len() - line_start + 1)
        };
        Self { span, line, column, message }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "unknown position: parse error: {}", self.message)
        } else {
            write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
        }
    }
}

impl std::error::Error for ParseError {}

/// All errors found in a query; at least one. Shown is the first, as upstream does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseErrors {
    /// In the order found.
    pub errors: Vec<ParseError>,
}

impl fmt::Display for ParseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errors.first() {
            Some(first) => first.fmt(f),
            None => f.write_str("error contains no error message"),
        }
    }
}

impl std::error::Error for ParseErrors {}
