//! Why a request failed.

use std::fmt;

/// What a caller can branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The configuration asks for what cannot be: a broken certificate, an unsupported proxy.
    Config,
    /// A secret's file cannot be read, or the token endpoint refused.
    Auth,
    /// No connection: name, network or TLS.
    Connect,
    /// The request's time is over.
    Timeout,
    /// The reply's body is larger than allowed.
    BodyTooLarge,
    /// More redirects than allowed, or one that leads nowhere.
    Redirect,
    /// The connection broke, or what came over it is no HTTP.
    Protocol,
}

/// A failed request or a client that cannot be built. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The same with what was being done before it.
    pub(crate) fn during(self, what: &str) -> Self {
        Self { kind: self.kind, message: format!("{what}: {}", self.message) }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// An I/O error in Go's words where users know those, without the number of the error.
pub(crate) fn io_text(error: &std::io::Error) -> String {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::ConnectionRefused => "connection refused".to_owned(),
        K::ConnectionReset => "connection reset by peer".to_owned(),
        K::NotFound => "no such file or directory".to_owned(),
        K::PermissionDenied => "permission denied".to_owned(),
        K::UnexpectedEof => "unexpected EOF".to_owned(),
        K::HostUnreachable => "no route to host".to_owned(),
        K::NetworkUnreachable => "network is unreachable".to_owned(),
        _ => error.to_string(),
    }
}
