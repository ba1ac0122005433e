//! A file that is written at chosen offsets, with a seam where tests let the disk fill up or an fsync fail.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// What a test makes the disk do. Nothing outside of tests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    pub(crate) inner: Arc<test::Inner>,
}

/// A file shared with whoever syncs it.
#[derive(Debug, Clone)]
pub(crate) struct DiskFile {
    file: Arc<File>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the seam is empty outside of tests"))]
    faults: Faults,
}

impl DiskFile {
    pub(crate) fn new(file: File, faults: &Faults) -> Self {
        Self { file: Arc::new(file), faults: faults.clone() }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(fits) = self.faults.take_space(bytes.len()) {
            self.file.write_all_at(&bytes[..fits], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(bytes, offset)
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check_sync()?;
        self.file.sync_data()
    }
}

/// Makes creations, renames and removals in a directory durable.
pub(crate) fn sync_dir(dir: &std::path::Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
pub(crate) mod test {
    use std::io;
    use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

    use super::Faults;

    #[derive(Debug)]
    pub(crate) struct Inner {
        space: AtomicI64,
        fail_sync: AtomicBool,
    }

    impl Default for Inner {
        fn default() -> Self {
            Self { space: AtomicI64::new(i64::MAX), fail_sync: AtomicBool::new(false) }
        }
    }

    impl Faults {
        /// From now on only this many bytes can be written.
        pub(crate) fn set_space(&self, bytes: i64) {
            self.inner.space.store(bytes, Ordering::SeqCst);
        }

        pub(crate) fn set_fail_sync(&self, fail: bool) {
            self.inner.fail_sync.store(fail, Ordering::SeqCst);
        }

        /// How much of a write still fits, where not all does.
        pub(super) fn take_space(&self, len: usize) -> Option<usize> {
            let before = self.inner.space.load(Ordering::SeqCst);
            let wanted = i64::try_from(len).unwrap();
            if before == i64::MAX {
                return None;
            }
            self.inner.space.store((before - wanted).max(0), Ordering::SeqCst);
            (wanted > before).then(|| usize::try_from(before).unwrap())
        }

        pub(super) fn check_sync(&self) -> io::Result<()> {
            if self.inner.fail_sync.load(Ordering::SeqCst) { Err(io::Error::other("injected")) } else { Ok(()) }
        }
    }
}
