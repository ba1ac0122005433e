//! What can go wrong with a template, with the place where it did.

use std::fmt;

/// In which of the two phases an error arose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is no template.
    Parse,
    /// The template failed while it ran.
    Exec,
    /// A limit of this engine was reached (see [`crate::limits`]).
    Limit,
}

/// A template error; its text is Go's, `template: name:line:col: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The phase.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with words before its text, for callers that say which template it was.
    #[must_use]
    pub fn prefixed(self, prefix: &str) -> Self {
        Self { kind: self.kind, message: format!("{prefix}{}", self.message) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
