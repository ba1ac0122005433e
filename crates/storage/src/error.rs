//! One error for both sides of storage.

use std::fmt;

/// What a caller can branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The query was cancelled.
    Cancelled,
    /// The query's deadline passed.
    TimedOut,
    /// The query's budget of samples is spent.
    TooManySamples,
    /// The query's budget of bytes is spent.
    TooManyBytes,
    /// A sample older than what the store takes.
    OutOfOrder,
    /// A timestamp that is present already.
    Duplicate,
    /// An id that is not open.
    NotOpen,
    /// A group that is open already.
    AlreadyOpen,
    /// The disk is full.
    NoSpace,
    /// Any other failure of a file.
    Io,
    /// Bytes on disk that are not what was written.
    Corrupt,
    /// The executor cannot do what was asked.
    Unsupported,
}

/// A failure of a store, with what, where and why.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with its message (lower case, no full stop).
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// An I/O failure while doing `what`; a full disk or quota gets its own kind.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Self { kind, message: what.into(), source: Some(Box::new(source)) }
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
        self.source.as_ref().map(|s| &**s as _)
    }
}
