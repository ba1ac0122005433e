//! The attributes of one device in `/sys`: many short files of one directory.
//!
//! The directory is opened once, because most of what such a file costs is the walk to it; and a file is read once, because the kernel
//! gives an attribute, at most a page, in one piece.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

/// A page: the most that an attribute holds.
const MAX_BYTES: usize = 4096;

/// A device's directory.
pub(crate) struct Attributes {
    directory: OwnedFd,
}

impl Attributes {
    /// Opens a directory.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { directory: openat(CWD, path, flags, Mode::empty())? })
    }

    /// An attribute's text.
    pub(crate) fn text(&self, name: &str) -> io::Result<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.directory, name, flags, Mode::empty())?;
        let mut buffer = [0; MAX_BYTES];
        let length = rustix::io::read(&file, &mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_at_most_a_page() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("speed"), "1000\n").unwrap();
        std::fs::write(directory.path().join("long"), [b'9'; 10_000]).unwrap();
        let attributes = Attributes::of(directory.path()).unwrap();
        assert_eq!(attributes.text("speed").unwrap(), "1000\n");
        assert_eq!(attributes.text("long").unwrap().len(), MAX_BYTES);
        assert_eq!(attributes.text("none").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(Attributes::of(&directory.path().join("speed")).is_err());
    }
}
