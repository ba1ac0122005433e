//! Mapped files: the one place of this crate that is not safe Rust.

#![expect(unsafe_code, reason = "mapping a file is unsafe by nature; callers see a slice of bytes")]

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::Error;

/// The bytes of a whole file.
#[derive(Debug)]
pub(crate) struct Mapped(Option<Mmap>);

impl Mapped {
    /// Maps the file at `path`; an empty file is an empty slice.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::io("open", path, e))?;
        let len = file.metadata().map_err(|e| Error::io("read the size of", path, e))?.len();
        if len == 0 {
            return Ok(Self(None));
        }
        // SAFETY: Prometheus' blocks and finished log segments are never changed in place, only removed, which leaves a map
        // alive. A process that truncates one all the same makes reads fail with SIGBUS, as with any mapped database.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", path, e))?;
        Ok(Self(Some(map)))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
