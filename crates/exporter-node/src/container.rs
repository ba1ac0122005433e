//! Whether this process sees the host or a container, and what of a container's view is the host's after all.
//!
//! In a container `/proc/meminfo` is the host's, but mounts, network devices and processes are the container's own. Published under the
//! host's names they would be taken for the host's. So they are not, unless the host's are to be had: from a namespace that is shared, or
//! from the host's root mounted at a usual place. Whoever gives a `--path.*` flag gets what is there.

mod facts;

use std::path::PathBuf;

pub(crate) use facts::Facts;

/// What a collector reads that a container has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// Mounted file systems, and files below the root.
    Mount,
    /// `/proc/net` and `/sys/class/net`, which the host's `/proc` and `/sys` have too.
    NetworkFiles,
    /// Sockets and settings of the process's own network.
    Network,
    /// Processes.
    Process,
    /// The host's name.
    Name,
}

/// A container's own view on the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// Whether it is a container's.
    pub(crate) container: bool,
    /// The host's root, where it was found.
    pub(crate) rootfs: Option<PathBuf>,
    /// The host's `/proc`.
    pub(crate) procfs: Option<PathBuf>,
    /// The host's `/sys`.
    pub(crate) sysfs: Option<PathBuf>,
    /// What is not the host's.
    pub(crate) refused: Vec<Namespace>,
    /// What would make it so: flags of the container's engine.
    pub(crate) advice: Vec<&'static str>,
}

/// Programs that run containers, as they name control groups.
const ENGINES: [&str; 7] = ["docker", "kubepods", "containerd", "lxc", "libpod", "crio", "machine.slice"];

/// Whether the facts are those of a container.
///
/// A process namespace or control group of one's own is proof. Marks that engines leave (`/.dockerenv`, a variable) are not: a virtual
/// machine made from an image has them too. Nor is a root of layers, which live systems and routers have. Both together are.
fn is_container(facts: &Facts) -> bool {
    let names_engine = |group: &str| ENGINES.iter().any(|engine| group.contains(engine));
    let own_processes = facts.initial_process_namespace == Some(false);
    let layered = ["overlay", "aufs", "fuse.fuse-overlayfs"].contains(&facts.root_type.as_str());
    let own_mounts = facts.initial_mount_namespace == Some(false);
    let marked = facts.docker_mark || facts.podman_mark || facts.variable || facts.kubernetes;
    own_processes
        || facts.groups.iter().any(|group| names_engine(group))
        || (marked && (layered || own_mounts))
}

/// What to read and what to leave out.
pub(crate) fn view(facts: &Facts) -> View {
    if !is_container(facts) {
        return View::default();
    }
    let mut view = View {
        container: true,
        rootfs: facts.host_root.clone(),
        procfs: facts.host_proc.clone(),
        sysfs: facts.host_sys.clone(),
        ..View::default()
    };
    // The host's processes are seen in the host's /proc, wherever that is; and so are the files of its first process's network.
    let processes = facts.initial_process_namespace == Some(true) || facts.host_proc.is_some();
    let network = facts.initial_network_namespace;
    let mut need = |namespace, there: bool, advice: &'static str| {
        if !there {
            view.refused.push(namespace);
            if !view.advice.contains(&advice) {
                view.advice.push(advice);
            }
        }
    };
    const MOUNT: &str = "-v /:/host:ro,rslave (and --path.rootfs=/host if mounted elsewhere)";
    need(Namespace::Mount, facts.host_root.is_some() && processes, MOUNT);
    let files = network || (facts.host_proc.is_some() && facts.host_sys.is_some());
    need(Namespace::NetworkFiles, files, "--net=host");
    need(Namespace::Network, network, "--net=host");
    need(Namespace::Process, processes, "--pid=host");
    need(Namespace::Name, facts.initial_name_namespace == Some(true), "--uts=host");
    view
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Facts {
        Facts {
            docker_mark: false,
            podman_mark: false,
            variable: false,
            kubernetes: false,
            groups: vec!["/init.scope".to_owned(), "/system.slice/node_exporter.service".to_owned()],
            root_type: "ext4".to_owned(),
            initial_process_namespace: Some(true),
            initial_mount_namespace: None,
            initial_name_namespace: Some(true),
            initial_network_namespace: true,
            host_root: None,
            host_proc: None,
            host_sys: None,
        }
    }

    fn docker() -> Facts {
        Facts {
            docker_mark: true,
            groups: vec!["/".to_owned()],
            root_type: "overlay".to_owned(),
            initial_process_namespace: Some(false),
            initial_name_namespace: Some(false),
            initial_network_namespace: false,
            ..host()
        }
    }

    #[test]
    fn tells_hosts_from_containers() {
        for (what, facts, expect) in [
            ("a host", host(), false),
            (
                "a virtual machine made from an image",
                Facts { docker_mark: true, variable: true, ..host() },
                false,
            ),
            (
                "the same, by its mounts",
                Facts { docker_mark: true, initial_mount_namespace: Some(true), ..host() },
                false,
            ),
            ("a live system", Facts { root_type: "overlay".to_owned(), ..host() }, false),
            (
                "a unit with mounts of its own",
                Facts { initial_mount_namespace: Some(false), ..host() },
                false,
            ),
            ("an old kernel", Facts { initial_process_namespace: None, ..host() }, false),
            ("docker", docker(), true),
            ("docker with --pid=host", Facts { initial_process_namespace: Some(true), ..docker() }, true),
            ("lxc", Facts { initial_process_namespace: Some(false), ..host() }, true),
            (
                "kubernetes with hostPID",
                Facts { kubernetes: true, root_type: "overlay".to_owned(), ..host() },
                true,
            ),
            ("an old docker", Facts { groups: vec!["/docker/0123abc".to_owned()], ..host() }, true),
            (
                "podman on btrfs with --pid=host",
                Facts { podman_mark: true, initial_mount_namespace: Some(false), ..host() },
                true,
            ),
        ] {
            assert_eq!(is_container(&facts), expect, "{what}");
        }
    }

    #[test]
    fn leaves_out_what_is_not_the_hosts() {
        use Namespace::*;
        let mounted = Facts {
            host_root: Some("/host".into()),
            host_proc: Some("/host/proc".into()),
            host_sys: Some("/host/sys".into()),
            ..docker()
        };
        for (what, facts, refused) in [
            ("a host", host(), &[][..]),
            ("nothing shared", docker(), &[Mount, NetworkFiles, Network, Process, Name]),
            ("--net=host", Facts { initial_network_namespace: true, ..docker() }, &[Mount, Process, Name]),
            ("the root mounted", mounted.clone(), &[Network, Name]),
            (
                "as upstream advises",
                Facts {
                    initial_network_namespace: true,
                    initial_process_namespace: Some(true),
                    initial_name_namespace: Some(true),
                    ..mounted
                },
                &[],
            ),
            (
                "the root without what is mounted below",
                Facts { host_root: Some("/host".into()), ..docker() },
                &[Mount, NetworkFiles, Network, Process, Name],
            ),
        ] {
            let view = view(&facts);
            assert_eq!(view.refused, refused, "{what}");
            assert_eq!(view.advice.is_empty(), refused.is_empty(), "{what}");
        }
    }
}
