//! For tests: a host's files as a list of texts, and what a collector tells of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use exporters::Page;

use crate::collector::Make;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

/// A directory with `proc`, `sys`, `root` and `udev` in it, gone when dropped.
pub(crate) struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    /// Of files by path, `proc/stat`; a content of `-> target` makes a symbolic link, a path that ends in `/` an empty directory.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self { dir: tempfile::tempdir().expect("a directory") };
        for (path, content) in files {
            tree.put(path, content.as_bytes());
        }
        tree
    }

    /// Adds a file.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        if let Some(target) = content.strip_prefix(b"-> ") {
            std::os::unix::fs::symlink(OsStr::from_bytes(target), &path).expect("a link");
        } else if name.ends_with('/') {
            fs::create_dir_all(&path).expect("a directory");
        } else {
            fs::write(&path, content).expect("a file");
        }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths {
            procfs: self.path("proc"),
            sysfs: self.path("sys"),
            rootfs: self.path("root"),
            udev: self.path("udev"),
            ..Paths::usual()
        }
    }

    /// What a collector writes, and whether it succeeds.
    pub(crate) fn collect(&self, make: Make, flags: &[(&str, &str)]) -> (String, Result<(), Fault>) {
        let mut collector = make(&flags_of(flags)).expect("valid flags");
        let mut page = Page::new();
        let outcome = collector.update(&self.paths(), &mut page);
        (page.render(), outcome)
    }

    /// The same without comments, of a collector that succeeds.
    pub(crate) fn samples(&self, make: Make, flags: &[(&str, &str)]) -> String {
        let (text, outcome) = self.collect(make, flags);
        assert_eq!(outcome, Ok(()), "{text}");
        text.lines().filter(|l| !l.starts_with('#')).map(|l| format!("{l}\n")).collect()
    }
}

/// Flags with these values; a name may come several times.
pub(crate) fn flags_of(values: &[(&str, &str)]) -> Flags {
    let mut all: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for (name, value) in values {
        all.entry((*name).to_owned()).or_default().push((*value).to_owned());
    }
    let given = all.keys().cloned().collect();
    Flags::new(all, given)
}
