//! The store's directory: its parts' names, and the lock that keeps a second process out.
//!
//! ```text
//! DIR/lock  log/00000001.log  chunks/00000001.chunks  pieces/00000001.chunks  checkpoint.00000001
//!     definitions.00000001  blocks/01J…/  snapshots/
//! ```

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use storage::{Error, ErrorKind};

/// The paths of one store, locked for this process.
#[derive(Debug)]
pub(crate) struct Dir {
    pub(crate) root: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) chunks: PathBuf,
    pub(crate) pieces: PathBuf,
    pub(crate) blocks: PathBuf,
    _lock: File,
}

impl Dir {
    /// Creates what is missing and takes the lock.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let [log, chunks, pieces, blocks] = ["log", "chunks", "pieces", "blocks"].map(|d| root.join(d));
        for dir in [&log, &chunks, &pieces, &blocks] {
            std::fs::create_dir_all(dir)
                .map_err(|e| Error::io(format!("store {}: create directory", root.display()), e))?;
        }
        let path = root.join("lock");
        let failed = |e| Error::io(format!("store {}: lock", root.display()), e);
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::AlreadyOpen,
                    format!("store {}: another process has it open", root.display()),
                ));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        Ok(Self { root: root.to_owned(), log, chunks, pieces, blocks, _lock: lock })
    }
}

/// The numbers of the files in `dir` named by eight or more digits and `suffix`, ascending.
pub(crate) fn numbered(dir: &Path, suffix: &str) -> Result<Vec<u32>, Error> {
    numbered_between(dir, "", suffix)
}

/// As [`numbered`], with a `prefix` too.
pub(crate) fn numbered_between(dir: &Path, prefix: &str, suffix: &str) -> Result<Vec<u32>, Error> {
    let failed = |e| Error::io(format!("list {}", dir.display()), e);
    let mut numbers = vec![];
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let digits = name.to_str().and_then(|n| n.strip_prefix(prefix)?.strip_suffix(suffix));
        if let Some(number) = digits.filter(|d| d.len() >= 8).and_then(|d| d.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}
