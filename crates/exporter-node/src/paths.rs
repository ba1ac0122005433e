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
    /// Whose network `/proc/net` is to be.
    pub(crate) network: Network,
    /// The host's name, where this process's own is not it.
    pub(crate) host_name: Option<String>,
}

/// Whose network `/proc/net` tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Network {
    /// This process's, as the kernel has it.
    #[default]
    Own,
    /// The first process's, because that is the host's and this one's is a container's.
    First,
}

impl Paths {
    /// As the kernel has them.
    #[cfg(test)]
    pub(crate) fn usual() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev: "/run/udev/data".into(),
            network: Network::Own,
            host_name: None,
        }
    }

    /// A file below `/proc`.
    pub(crate) fn proc(&self, name: impl AsRef<Path>) -> PathBuf {
        let name = name.as_ref();
        if self.network == Network::First && name.starts_with("net") {
            return self.procfs.join("1").join(name);
        }
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
            let paths = Paths { rootfs: root.into(), ..Paths::usual() };
            assert_eq!(paths.strip_rootfs(path), expect, "{root} {path}");
        }
    }

    #[test]
    fn the_first_processs_network_is_below_it() {
        let paths = Paths { network: Network::First, ..Paths::usual() };
        assert_eq!(paths.proc("net/dev"), Path::new("/proc/1/net/dev"));
        assert_eq!(paths.proc("netfoo"), Path::new("/proc/netfoo"));
        assert_eq!(Paths::usual().proc("net/dev"), Path::new("/proc/net/dev"));
    }
}
