//! Btrfs filesystems: allocation, devices and commits, from `/sys/fs/btrfs`; errors of devices, which only an ioctl tells.

mod devices;

use std::collections::HashMap;
use std::path::Path;

use exporters::Page;

use self::devices::Device;
use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family = gauge("node_btrfs_info", "Filesystem information");
const RESERVE: Family = gauge("node_btrfs_global_rsv_size_bytes", "Size of global reserve.");
const DEVICE_SIZE: Family =
    gauge("node_btrfs_device_size_bytes", "Size of a device that is part of the filesystem.");
const RESERVED: Family = gauge("node_btrfs_reserved_bytes", "Amount of space reserved for a data type");
const USED: Family = gauge("node_btrfs_used_bytes", "Amount of used space by a layout/data type");
const SIZE: Family = gauge("node_btrfs_size_bytes", "Amount of space allocated for a layout/data type");
const RATIO: Family = gauge("node_btrfs_allocation_ratio", "Data allocation ratio for a layout/data type");

const UNUSED: Family = gauge(
    "node_btrfs_device_unused_bytes",
    "Unused bytes unused on a device that is part of the filesystem.",
);
const ERRORS: Family = counter("node_btrfs_device_errors_total", "Errors reported for the device");

/// In the order that the kernel has them in.
const ERROR_TYPES: [&str; 5] = ["write", "read", "flush", "corruption", "generation"];

/// Lines of `commit_stats`, and what their unit is divided by.
const COMMITS: &[(&str, f64, Family)] = &[
    ("commits", 1.0, counter("node_btrfs_commits_total", "The total number of commits that have occurred.")),
    (
        "last_commit_ms",
        1000.0,
        gauge("node_btrfs_last_commit_seconds", "Duration of the most recent commit, in seconds."),
    ),
    (
        "max_commit_ms",
        1000.0,
        gauge("node_btrfs_max_commit_seconds", "Duration of the slowest commit, in seconds."),
    ),
    (
        "total_commit_ms",
        1000.0,
        counter("node_btrfs_commit_seconds_total", "Sum of the duration of all commits, in seconds."),
    ),
];

const SECTOR_BYTES: u64 = 512;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let filesystems = sysfs::matching(&paths.sys("fs/btrfs"), |name| name.contains('-'));
    if filesystems.is_empty() {
        return Ok(());
    }
    let mounted = devices::by_filesystem(paths);
    all_or_nothing(page, |page| {
        for (name, dir) in &filesystems {
            write_filesystem(name, dir, &mounted, page)?;
        }
        Ok(())
    })
}

fn write_filesystem(
    name: &str,
    dir: &Path,
    mounted: &HashMap<String, Vec<Device>>,
    page: &mut Page,
) -> Result<(), Fault> {
    let text = |file: &str| sysfs::optional(&dir.join(file)).map(Option::unwrap_or_default);
    let uuid = match text("metadata_uuid")? {
        uuid if uuid.is_empty() => name.to_owned(),
        uuid => uuid,
    };
    let uuid = ("uuid", uuid.as_str());
    INFO.sample(page, &[("label", &text("label")?), uuid], 1.0);
    RESERVE.sample(page, &[uuid], number(&dir.join("allocation/global_rsv_size"))? as f64);
    write_commits(uuid, &dir.join("commit_stats"), page)?;
    let devices = sysfs::matching(&dir.join("devices"), |_| true);
    for group in ["data", "metadata", "system"] {
        let dir = dir.join("allocation").join(group);
        let group = ("block_group_type", group);
        RESERVED.sample(page, &[group, uuid], number(&dir.join("bytes_reserved"))? as f64);
        for layout in read::names(&dir)?.into_iter().filter(|l| dir.join(l).is_dir()) {
            let labels = [group, ("mode", &*layout), uuid];
            USED.sample(page, &labels, number(&dir.join(&layout).join("used_bytes"))? as f64);
            SIZE.sample(page, &labels, number(&dir.join(&layout).join("total_bytes"))? as f64);
            RATIO.sample(page, &labels, ratio(&layout, devices.len() as f64));
        }
    }
    if let Some(devices) = mounted.get(&uuid.1.replace('-', "")) {
        devices.iter().for_each(|device| write_device(uuid, device, page));
        return Ok(());
    }
    // Not mounted where we may look: what the kernel says of the disks.
    for (device, dir) in &devices {
        let size = number(&dir.join("size"))?.wrapping_mul(SECTOR_BYTES);
        DEVICE_SIZE.sample(page, &[("device", device), uuid], size as f64);
    }
    Ok(())
}

fn write_device(uuid: (&str, &str), device: &Device, page: &mut Page) {
    let labels = [("btrfs_dev_uuid", &*device.uuid), ("device", &*device.name), uuid];
    DEVICE_SIZE.sample(page, &labels, device.total_bytes as f64);
    UNUSED.sample(page, &labels, device.total_bytes.wrapping_sub(device.used_bytes) as f64);
    for (kind, count) in ERROR_TYPES.iter().zip(device.errors) {
        let [dev_uuid, name, uuid] = labels;
        ERRORS.sample(page, &[dev_uuid, name, ("type", kind), uuid], count as f64);
    }
}

fn write_commits(uuid: (&str, &str), path: &Path, page: &mut Page) -> Result<(), Fault> {
    let text = match read::text(path) {
        // Kernels before 6.0 have no such file.
        Err(Fault::NoData) => String::new(),
        text => text?,
    };
    let mut values = [0; COMMITS.len()];
    for line in text.lines() {
        let pair = line.split_once(char::is_whitespace).and_then(|(k, v)| Some((k, v.trim().parse().ok()?)));
        let (key, value) = pair.ok_or_else(|| Fault::garbage(path, format_args!("{line:?}")))?;
        if let Some(at) = COMMITS.iter().position(|(name, ..)| *name == key) {
            values[at] = value;
        }
    }
    for ((_, divisor, family), value) in COMMITS.iter().zip(values) {
        let value: u64 = value;
        family.sample(page, &[uuid], value as f64 / divisor);
    }
    Ok(())
}

/// A number; 0 where there is none.
fn number(path: &Path) -> Result<u64, Fault> {
    Ok(sysfs::optional(path)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// How many bytes of disk a byte takes.
fn ratio(layout: &str, devices: f64) -> f64 {
    match layout {
        "single" | "raid0" => 1.0,
        "dup" | "raid1" | "raid10" => 2.0,
        "raid1c3" => 3.0,
        "raid1c4" => 4.0,
        "raid5" => devices / (devices - 1.0),
        "raid6" => devices / (devices - 2.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const UUID: &str = "0abb23a9-579b-43e6-ad30-227ef47fcb9d";

    #[test]
    fn a_filesystem_of_two_devices() {
        let files = [
            ("label", "fixture\n"),
            ("allocation/global_rsv_size", "16777216\n"),
            ("allocation/data/bytes_reserved", "0\n"),
            ("allocation/data/raid5/total_bytes", "2147483648\n"),
            ("allocation/data/raid5/used_bytes", "808189952\n"),
            ("allocation/metadata/", ""),
            ("allocation/system/", ""),
            ("devices/loop25/size", "20971520\n"),
            ("devices/loop26/size", "20971520\n"),
            (
                "commit_stats",
                "commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090\n",
            ),
        ]
        .map(|(name, content)| (format!("sys/fs/btrfs/{UUID}/{name}"), content));
        let mut files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), *c)).collect();
        files.push(("sys/fs/btrfs/features/x", "1"));
        let expect = r#"node_btrfs_allocation_ratio{block_group_type="data",mode="raid5",uuid="U"} 2
node_btrfs_commit_seconds_total{uuid="U"} 47836.09
node_btrfs_commits_total{uuid="U"} 258051
node_btrfs_device_size_bytes{device="loop25",uuid="U"} 1.073741824e+10
node_btrfs_device_size_bytes{device="loop26",uuid="U"} 1.073741824e+10
node_btrfs_global_rsv_size_bytes{uuid="U"} 1.6777216e+07
node_btrfs_info{label="fixture",uuid="U"} 1
node_btrfs_last_commit_seconds{uuid="U"} 1
node_btrfs_max_commit_seconds{uuid="U"} 51.462
node_btrfs_reserved_bytes{block_group_type="data",uuid="U"} 0
node_btrfs_reserved_bytes{block_group_type="metadata",uuid="U"} 0
node_btrfs_reserved_bytes{block_group_type="system",uuid="U"} 0
node_btrfs_size_bytes{block_group_type="data",mode="raid5",uuid="U"} 2.147483648e+09
node_btrfs_used_bytes{block_group_type="data",mode="raid5",uuid="U"} 8.08189952e+08
"#;
        assert_eq!(Tree::new(&files).samples(make, &[]).replace(UUID, "U"), expect);
        assert_eq!(Tree::new(&[]).samples(make, &[]), "", "no filesystem is no fault");
    }

    #[test]
    fn a_device_that_an_ioctl_told_of() {
        let device = Device {
            name: "sda".to_owned(),
            uuid: "D".to_owned(),
            total_bytes: 100,
            used_bytes: 40,
            errors: [0, 0, 0, 7, 1],
        };
        let mut page = Page::new();
        write_device(("uuid", "U"), &device, &mut page);
        let text = page.render();
        for line in [
            r#"node_btrfs_device_size_bytes{btrfs_dev_uuid="D",device="sda",uuid="U"} 100"#,
            r#"node_btrfs_device_unused_bytes{btrfs_dev_uuid="D",device="sda",uuid="U"} 60"#,
            r#"node_btrfs_device_errors_total{btrfs_dev_uuid="D",device="sda",type="corruption",uuid="U"} 7"#,
            r#"node_btrfs_device_errors_total{btrfs_dev_uuid="D",device="sda",type="write",uuid="U"} 0"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
