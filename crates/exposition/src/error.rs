//! What is wrong with a body, and in which line.

/// A body that cannot be parsed. The text is Prometheus', the line number ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line})")]
pub struct Error {
    /// The line, counted from 1.
    pub line: usize,
    /// What was expected and found.
    pub message: String,
}
