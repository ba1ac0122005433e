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
        let mut seen = HashSet::new();
        mounts.retain(|mount| {
            !self.points.ignores(&mount.point)
                && !self.types.ignores(&mount.kind)
                && seen.insert([mount.device.clone(), mount.point.clone(), mount.kind.clone()])
        });
        let wanted: Vec<_> = mounts.iter().map(|mount| paths.root(&mount.point)).collect();
        for (mount, size) in mounts.iter().zip(self.stats.read(&wanted)) {
            write(page, mount, &size);
        }
        Ok(())
    }
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
