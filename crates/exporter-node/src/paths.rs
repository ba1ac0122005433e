//! Where the host's files are.

use std::path::{Path, PathBuf};

/// The roots that `--path.*` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// `--path.procfs`
    pub(crate) procfs: PathBuf,
    /// `--path.sysfs`
    pub(crate) sysfs: PathBuf,
    /// `--path.rootfs`
    pub(crate) rootfs: PathBuf,
    /// `--path.udev.data`
    pub(crate) udev: PathBuf,
}

impl Paths {
    /// A file below `/proc`.
    pub(crate) fn proc(&self, name: impl AsRef<Path>) -> PathBuf {
        self.procfs.join(name)
    }

    /// A file below `/sys`.
    pub(crate) fn sys(&self, name: impl AsRef<Path>) -> PathBuf {
        self.sysfs.join(name)
    }

    /// A file of the host; `name` may be absolute.
    pub(crate) fn root(&self, name: &str) -> PathBuf {
        self.rootfs.join(name.trim_start_matches('/'))
    }

    /// A mount point as the host sees it: without the root's prefix.
    pub(crate) fn strip_rootfs<'p>(&self, path: &'p str) -> &'p str {
        let root = self.rootfs.to_str().unwrap_or("/").trim_end_matches('/');
        match path.strip_prefix(root) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_lose_the_roots_prefix() {
        for (root, path, expect) in [
            ("/", "/boot", "/boot"),
            ("/host", "/host", "/"),
            ("/host", "/host/boot", "/boot"),
            ("/host", "/hosted", "/hosted"),
            ("/host/", "/boot", "/boot"),
        ] {
            let paths = Paths {
                procfs: "/proc".into(),
                sysfs: "/sys".into(),
                rootfs: root.into(),
                udev: "/run/udev/data".into(),
            };
            assert_eq!(paths.strip_rootfs(path), expect, "{root} {path}");
        }
    }
}
