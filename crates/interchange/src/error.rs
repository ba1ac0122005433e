//! One error for all files of this crate.

use std::fmt;
use std::path::Path;

/// What a caller can branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A file cannot be read or written.
    Io,
    /// Bytes that are not what Prometheus writes.
    Corrupt,
    /// Right, but of a version or an encoding that is not read here.
    Unsupported,
    /// A caller's mistake: series out of order, samples that go backwards.
    Misuse,
}

/// A failure, with what, where and why.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<std::io::Error>,
}

impl Error {
    /// An error with its message (lower case, no full stop).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Bytes that are not what they should be.
    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// An I/O failure while doing `what` to `path`.
    pub(crate) fn io(what: &str, path: &Path, source: std::io::Error) -> Self {
        Self { kind: ErrorKind::Io, message: format!("{what} {}", path.display()), source: Some(source) }
    }

    /// The same failure, with where it was met in front.
    #[must_use]
    pub(crate) fn within(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| s as _)
    }
}
