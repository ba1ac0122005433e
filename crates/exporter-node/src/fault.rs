//! Why a collector gave nothing.

use std::io;
use std::path::Path;

/// Why a collector gave nothing, or not all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// This host has nothing of the kind: success 0 like an error, but only worth a debug line.
    #[error("collector returned no data")]
    NoData,
    /// What could not be read or understood.
    #[error("{0}")]
    Error(String),
}

impl Fault {
    /// A file that could not be read; one that is not there is no data.
    pub(crate) fn read(path: &Path, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            return Self::NoData;
        }
        Self::Error(format!("read {}: {error}", path.display()))
    }

    /// A file that is not as the kernel writes it.
    pub(crate) fn garbage(path: &Path, found: impl std::fmt::Display) -> Self {
        Self::Error(format!("{}: unexpected {found}", path.display()))
    }
}
