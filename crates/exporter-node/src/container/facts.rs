//! What can be seen of the namespaces this process is in, and of a host's root mounted into them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::read;

/// What tells a host from a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `/.dockerenv` is there.
    pub(super) docker_mark: bool,
    /// `/run/.containerenv` is there.
    pub(super) podman_mark: bool,
    /// The variable `container` is set, as systemd asks engines to.
    pub(super) variable: bool,
    /// The variables of a pod are set.
    pub(super) kubernetes: bool,
    /// The control groups of the first process and of this one.
    pub(super) groups: Vec<String>,
    /// The type of the root's file system.
    pub(super) root_type: String,
    /// Whether the namespaces are the kernel's first; unknown where it does not tell.
    pub(super) initial_process_namespace: Option<bool>,
    pub(super) initial_mount_namespace: Option<bool>,
    pub(super) initial_name_namespace: Option<bool>,
    pub(super) initial_network_namespace: bool,
    /// The host's root, its `/proc` and `/sys`, where they are mounted at a usual place.
    pub(super) host_root: Option<PathBuf>,
    pub(super) host_proc: Option<PathBuf>,
    pub(super) host_sys: Option<PathBuf>,
}

/// The inode numbers of the kernel's first namespaces (`include/uapi/linux/nsfs.h`): those of processes and names since 3.8, that of
/// mounts since 6.18, before which it was any.
const INITIAL_PROCESSES: u64 = 0xEFFF_FFFC;
const INITIAL_NAMES: u64 = 0xEFFF_FFFE;
const INITIAL_MOUNTS: u64 = 0xEFFF_FFF8;
/// Numbers given out as namespaces are made begin here.
const FIRST_DYNAMIC: u64 = 0xF000_0000;

/// Where people mount the host's root.
const ROOTS: [&str; 3] = ["/host", "/rootfs", "/host/root"];

impl Facts {
    /// Of this process.
    pub(crate) fn gather() -> Self {
        let first = |inode: Option<u64>, initial: u64| inode.map(|inode| inode == initial);
        let host_root = ROOTS.iter().map(PathBuf::from).find(|root| is_other_root(root));
        let below = |name: &str, proof: &str| {
            let roots = host_root.iter().cloned().chain([PathBuf::from("/host")]);
            roots.map(|root| root.join(name)).find(|path| path.join(proof).exists())
        };
        Self {
            docker_mark: Path::new("/.dockerenv").exists(),
            podman_mark: Path::new("/run/.containerenv").exists(),
            variable: std::env::var_os("container").is_some_and(|v| !v.is_empty()),
            kubernetes: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
            groups: ["/proc/1/cgroup", "/proc/self/cgroup"]
                .iter()
                .flat_map(|p| groups(Path::new(p)))
                .collect(),
            root_type: root_type().unwrap_or_default(),
            initial_process_namespace: first(namespace("pid"), INITIAL_PROCESSES),
            initial_mount_namespace: initial_mounts(namespace("mnt")),
            initial_name_namespace: first(namespace("uts"), INITIAL_NAMES),
            // The kernel has these settings in its first network namespace alone.
            initial_network_namespace: Path::new("/proc/sys/net/core/netdev_budget").exists(),
            host_proc: below("proc", "1/mountinfo"),
            host_sys: below("sys", "class/net"),
            host_root,
        }
    }
}

fn namespace(kind: &str) -> Option<u64> {
    fs::metadata(format!("/proc/self/ns/{kind}")).ok().map(|m| m.ino())
}

/// A number given out at run time says no more than that on a kernel whose first mount namespace had one of these too.
fn initial_mounts(inode: Option<u64>) -> Option<bool> {
    match inode? {
        INITIAL_MOUNTS => Some(true),
        inode if inode < FIRST_DYNAMIC => None,
        inode => {
            // The first process's tells, where it may be read.
            let first = fs::metadata("/proc/1/ns/mnt").ok().map(|m| m.ino())?;
            (first != inode).then_some(false)
        }
    }
}

fn groups(path: &Path) -> Vec<String> {
    let text = read::raw(path).unwrap_or_default();
    text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).map(str::to_owned).collect()
}

fn root_type() -> Option<String> {
    let text = read::raw(Path::new("/proc/self/mountinfo")).ok()?;
    // What was mounted last on the root covers what was before.
    let root = text.lines().rfind(|line| line.split(' ').nth(4) == Some("/"))?;
    let (_, rest) = root.split_once(" - ")?;
    rest.split(' ').next().map(str::to_owned)
}

/// A directory that is a system's root, and not this one's.
fn is_other_root(root: &Path) -> bool {
    let Some((here, there)) = fs::metadata("/").ok().zip(fs::metadata(root).ok()) else { return false };
    (here.dev(), here.ino()) != (there.dev(), there.ino())
        && root.join("etc").is_dir()
        && root.join("usr").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_without_fault() {
        let facts = Facts::gather();
        assert!(!facts.root_type.is_empty());
        assert!(!is_other_root(Path::new("/")) && !is_other_root(Path::new("/no/such/root")));
    }
}
