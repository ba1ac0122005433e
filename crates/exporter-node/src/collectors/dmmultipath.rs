//! Multipath devices of the device mapper and their paths, from `/sys/block/dm-*`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family =
    gauge("node_dmmultipath_device_info", "Non-numeric information about a DM-multipath device.");
const ACTIVE: Family = gauge(
    "node_dmmultipath_device_active",
    "Whether the multipath device-mapper device is active (1) or suspended (0).",
);
const SIZE: Family = gauge(
    "node_dmmultipath_device_size_bytes",
    "Size of the multipath device in bytes, read from /sys/block/<dm>/size.",
);
const PATHS: Family = gauge("node_dmmultipath_device_paths", "Number of paths for a multipath device.");
const PATHS_ACTIVE: Family = gauge(
    "node_dmmultipath_device_paths_active",
    "Number of paths in active state (SCSI running or NVMe live) for a multipath device.",
);
const PATHS_FAILED: Family = gauge(
    "node_dmmultipath_device_paths_failed",
    "Number of paths not in active state for a multipath device.",
);
const PATH_STATE: Family = gauge(
    "node_dmmultipath_path_state",
    "Reports the underlying device state for a multipath path, as read from /sys/block/<dev>/device/state.",
);

const SECTOR_BYTES: u64 = 512;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let block = paths.sys("block");
    all_or_nothing(page, |page| {
        for name in read::names(&block)?.into_iter().filter(|n| n.starts_with("dm-")) {
            let uuid = sysfs::optional(&block.join(&name).join("dm/uuid"))?;
            if let Some(uuid) = uuid.filter(|uuid| uuid.starts_with("mpath-")) {
                write_device(&block, &name, &uuid, page)?;
            }
        }
        Ok(())
    })
}

fn write_device(block: &Path, name: &str, uuid: &str, page: &mut Page) -> Result<(), Fault> {
    let dir = block.join(name);
    let device = sysfs::value(&dir.join("dm/name"))?;
    let device = ("device", device.as_str());
    let labels = [device, ("sysfs_name", name)];
    INFO.sample(page, &[device, ("sysfs_name", name), ("uuid", uuid)], 1.0);
    let suspended = sysfs::uint(&dir.join("dm/suspended"))? == 1;
    ACTIVE.sample(page, &labels, f64::from(u8::from(!suspended)));
    SIZE.sample(page, &labels, sysfs::uint(&dir.join("size"))?.wrapping_mul(SECTOR_BYTES) as f64);
    let (mut count, mut active) = (0.0, 0.0);
    for (path, _) in sysfs::matching(&dir.join("slaves"), |_| true) {
        let state = sysfs::value(&block.join(&path).join("device/state"))?;
        count += 1.0;
        if matches!(state.as_str(), "running" | "live") {
            active += 1.0;
        }
        PATH_STATE.sample(page, &[device, ("path", &path), ("state", &state)], 1.0);
    }
    PATHS.sample(page, &labels, count);
    PATHS_ACTIVE.sample(page, &labels, active);
    PATHS_FAILED.sample(page, &labels, count - active);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn devices_with_their_paths() {
        let tree = Tree::new(&[
            ("sys/block/dm-0/dm/uuid", "LVM-x\n"),
            ("sys/block/dm-1/size", "0\n"),
            ("sys/block/dm-5/dm/uuid", "mpath-36\n"),
            ("sys/block/dm-5/dm/name", "mpathA\n"),
            ("sys/block/dm-5/dm/suspended", "0\n"),
            ("sys/block/dm-5/size", "100\n"),
            ("sys/block/dm-5/slaves/sdi", "-> ../../sdi"),
            ("sys/block/dm-5/slaves/sdj", "-> ../../sdj"),
            ("sys/block/sdi/device/state", "running\n"),
            ("sys/block/sdj/device/state", "offline\n"),
        ]);
        let expect = r#"node_dmmultipath_device_active{device="mpathA",sysfs_name="dm-5"} 1
node_dmmultipath_device_info{device="mpathA",sysfs_name="dm-5",uuid="mpath-36"} 1
node_dmmultipath_device_paths{device="mpathA",sysfs_name="dm-5"} 2
node_dmmultipath_device_paths_active{device="mpathA",sysfs_name="dm-5"} 1
node_dmmultipath_device_paths_failed{device="mpathA",sysfs_name="dm-5"} 1
node_dmmultipath_device_size_bytes{device="mpathA",sysfs_name="dm-5"} 51200
node_dmmultipath_path_state{device="mpathA",path="sdi",state="running"} 1
node_dmmultipath_path_state{device="mpathA",path="sdj",state="offline"} 1
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[("sys/block/sda/size", "1")]).samples(make, &[]), "");
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
