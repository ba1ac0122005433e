//! Why a query has no result.

use std::fmt;

use crate::parser::ParseErrors;

/// What a caller can branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The query or a parameter is wrong.
    BadData,
    /// The query is right, but cannot be evaluated on this data.
    Execution,
    /// Cancelled by the caller.
    Canceled,
    /// The deadline passed.
    Timeout,
    /// The store failed.
    Internal,
    /// The budget of samples is spent.
    TooManySamples,
    /// The budget of bytes is spent.
    TooManyBytes,
}

/// A failed query; the message is upstream's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// The kind.
    pub kind: QueryErrorKind,
    /// The message.
    pub message: String,
}

impl QueryError {
    /// An error with its message.
    #[must_use]
    pub fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::Execution, message)
    }

    pub(crate) fn same_labelset() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for QueryError {}

impl From<ParseErrors> for QueryError {
    fn from(errors: ParseErrors) -> Self {
        Self::new(QueryErrorKind::BadData, errors.to_string())
    }
}

impl From<storage::Error> for QueryError {
    fn from(error: storage::Error) -> Self {
        let kind = match error.kind() {
            storage::ErrorKind::Cancelled => QueryErrorKind::Canceled,
            storage::ErrorKind::TimedOut => QueryErrorKind::Timeout,
            storage::ErrorKind::TooManySamples => QueryErrorKind::TooManySamples,
            storage::ErrorKind::TooManyBytes => QueryErrorKind::TooManyBytes,
            _ => return Self::new(QueryErrorKind::Internal, format!("expanding series: {error}")),
        };
        Self::new(kind, error.to_string())
    }
}
