//! Mounted file systems: from `/proc/1/mountinfo` and `statfs(2)`.

pub(crate) mod mounts;
mod statfs;

use std::collections::HashSet;
use std::time::Duration;

use exporters::{Kind, Page};

use self::mounts::Mount;
use self::statfs::{Size, Stats};
use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;

struct FileSystem {
    points: Filter,
    types: Filter,
    stats: Stats,
}

/// A filter's two flags, its former name, and what is said where both are given.
fn filter(flags: &Flags, what: &str, former: &str) -> Result<Filter, String> {
    let [exclude, include] = ["exclude", "include"].map(|e| format!("collector.filesystem.{what}-{e}"));
    let flags = flags.with_former(&format!("collector.filesystem.{former}"), &exclude)?;
    let error = format!("--{exclude} and --{include} are mutually exclusive");
    Filter::either(&flags, &exclude, &include, &error)
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let timeout: Duration = flags.duration("collector.filesystem.mount-timeout")?;
    let workers: usize = flags.number("collector.filesystem.stat-workers")?;
    Ok(Box::new(FileSystem {
        points: filter(flags, "mount-points", "ignored-mount-points")?,
        types: filter(flags, "fs-types", "ignored-fs-types")?,
        stats: Stats::new(timeout, workers),
    }))
}

impl Collector for FileSystem {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let mut mounts = mounts::of_host(paths)?;
        let slow: Vec<String> = mounts.iter().filter(|m| !is_local(m)).map(|m| m.point.clone()).collect();
        let mut seen = HashSet::new();
        mounts.retain(|mount| {
            !self.points.ignores(&mount.point)
                && !self.types.ignores(&mount.kind)
                && seen.insert([mount.device.clone(), mount.point.clone(), mount.kind.clone()])
        });
        let at_once =
            |mount: &Mount| is_local(mount) && !slow.iter().any(|other| is_below(&mount.point, other));
        let wanted: Vec<_> =
            mounts.iter().filter(|m| !at_once(m)).map(|mount| paths.root(&mount.point)).collect();
        let mut others = self.stats.read(&wanted).into_iter();
        for mount in &mounts {
            let size = if at_once(mount) {
                statfs::statfs(&paths.root(&mount.point))
            } else {
                others.next().expect("as many as were wanted")
            };
            write(page, mount, &size);
        }
        Ok(())
    }
}

/// Types of file systems that answer `statfs` from what the kernel has in memory: no thread is needed to ask them. All others may wait for a
/// server or a program.
const LOCAL: [&str; 11] =
    ["btrfs", "devtmpfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "ramfs", "tmpfs", "vfat", "xfs"];

fn is_local(mount: &Mount) -> bool {
    LOCAL.contains(&mount.kind.as_str())
}

/// Whether the way to `point` leads over the mount point `other`, which would have to answer too.
fn is_below(point: &str, other: &str) -> bool {
    let rest = point.strip_prefix(other.trim_end_matches('/'));
    point != other && rest.is_some_and(|rest| rest.starts_with('/'))
}

fn write(page: &mut Page, mount: &Mount, size: &Result<Size, String>) {
    let labels = [
        ("device", mount.device.as_str()),
        ("device_error", size.as_ref().map_or_else(String::as_str, |_| "")),
        ("fstype", &mount.kind),
        ("mountpoint", &mount.point),
    ];
    let mut gauge = |name: &str, help, value| {
        page.family(name, help, Kind::Gauge).sample(&labels, value);
    };
    let help = "Whether an error occurred while getting statistics for the given device.";
    gauge("node_filesystem_device_error", help, f64::from(u8::from(size.is_err())));
    let read_only = f64::from(u8::from(mount.read_only));
    gauge("node_filesystem_readonly", "Filesystem read-only status.", read_only);
    let Ok(size) = size else { return };
    gauge("node_filesystem_size_bytes", "Filesystem size in bytes.", size.bytes);
    gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.", size.free_bytes);
    let help = "Filesystem space available to non-root users in bytes.";
    gauge("node_filesystem_avail_bytes", help, size.available_bytes);
    gauge("node_filesystem_files", "Filesystem total file nodes.", size.files);
    gauge("node_filesystem_files_free", "Filesystem total free file nodes.", size.files_free);
    let help = "Filesystem mount information.";
    page.family("node_filesystem_mount_info", help, Kind::Gauge).sample(
        &[
            ("device", &mount.device),
            ("major", &mount.major),
            ("minor", &mount.minor),
            ("mountpoint", &mount.point),
        ],
        1.0,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_over_another_mount_is_known() {
        for (point, other, expect) in [
            ("/", "/", false),
            ("/a", "/", true),
            ("/nfs/a", "/nfs", true),
            ("/nfs", "/nfs", false),
            ("/nfsd", "/nfs", false),
        ] {
            assert_eq!(is_below(point, other), expect, "{point} {other}");
        }
    }
}
