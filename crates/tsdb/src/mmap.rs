//! Mapped files: the one place of this crate that is not safe Rust.

#![expect(unsafe_code, reason = "mapping a file is unsafe by nature; everything else goes through `Blob`")]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};

/// Maps the first `len` bytes of `file`, which may not have grown to that length yet.
pub(crate) fn map(file: &File, len: usize) -> io::Result<Arc<Mmap>> {
    // SAFETY: chunk files are written by this process only, append-only, under the store's directory lock; bytes that a
    // `Blob` names were written before it was made and are never changed or cut off after. Another process that truncates
    // the file all the same makes reads fail with SIGBUS, as with any mapped database.
    let map = unsafe { MmapOptions::new().len(len).map(file)? };
    Ok(Arc::new(map))
}

/// Immutable bytes, in memory or in a mapped file. Cloning is a reference count.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    Memory(Arc<[u8]>),
    Mapped(Arc<Mmap>, Range<usize>),
}

impl Blob {
    /// Bytes of a map; `None` when the range lies outside.
    pub(crate) fn mapped(map: &Arc<Mmap>, range: Range<usize>) -> Option<Self> {
        (range.start <= range.end && range.end <= map.len()).then(|| Self::Mapped(Arc::clone(map), range))
    }
}

impl Blob {
    /// Whether these are bytes of memory.
    pub(crate) fn in_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }

    /// Whether these are bytes of that map.
    pub(crate) fn is_of(&self, of: &Arc<Mmap>) -> bool {
        matches!(self, Self::Mapped(map, _) if Arc::ptr_eq(map, of))
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Mapped(map, range) => &map[range.clone()],
        }
    }
}
