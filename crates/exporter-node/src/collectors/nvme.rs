//! NVMe controllers and their namespaces, from `/sys/class/nvme`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family =
    gauge("node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.");
const NAMESPACE: Family =
    gauge("node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1");
const CAPACITY: Family = gauge(
    "node_nvme_namespace_capacity_bytes",
    "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
);
const SIZE: Family = gauge(
    "node_nvme_namespace_size_bytes",
    "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
);
const USED: Family = gauge(
    "node_nvme_namespace_used_bytes",
    "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
);
const BLOCK_SIZE: Family = gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in \
     /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
);

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let class = paths.sys("class/nvme");
    all_or_nothing(page, |page| {
        for device in read::names(&class)? {
            write_device(&class.join(&device), &device, page)?;
        }
        Ok(())
    })
}

fn write_device(dir: &Path, device: &str, page: &mut Page) -> Result<(), Fault> {
    let text = |name: &str| sysfs::value(&dir.join(name));
    let labels = [
        ("cntlid", &*text("cntlid")?),
        ("device", device),
        ("firmware_revision", &*text("firmware_rev")?),
        ("model", &*text("model")?),
        ("serial", &*text("serial")?),
        ("state", &*text("state")?),
    ];
    INFO.sample(page, &labels, 1.0);
    for name in read::names(dir)? {
        let Some(nsid) = namespace_id(&name) else { continue };
        let dir = dir.join(&name);
        // A value that is no number counts as 0, a file that is not there as an error.
        let number = |name: &str| sysfs::value(&dir.join(name)).map(|v| v.parse::<u64>().unwrap_or(0));
        let (used, size) = (number("nuse")?, number("size")?);
        let block = number("queue/logical_block_size")?;
        let state = sysfs::attribute(&dir.join("ana_state")).unwrap_or_else(|_| "unknown".to_owned());
        NAMESPACE.sample(page, &[("ana_state", &state), ("device", device), ("nsid", nsid)], 1.0);
        let labels = [("device", device), ("nsid", nsid)];
        CAPACITY.sample(page, &labels, size.wrapping_mul(block) as f64);
        SIZE.sample(page, &labels, size.wrapping_mul(block) as f64);
        USED.sample(page, &labels, used.wrapping_mul(block) as f64);
        BLOCK_SIZE.sample(page, &labels, block as f64);
    }
    Ok(())
}

/// The number in `nvme0n1`, and in `nvme0c0n1` none: that is a path.
fn namespace_id(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("nvme")?.trim_start_matches(|c: char| c.is_ascii_digit());
    if name.len() == rest.len() + 4 {
        return None;
    }
    let digits = rest.strip_prefix('n')?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    (end > 0).then_some(&digits[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn namespaces_have_numbers() {
        for (name, expect) in [
            ("nvme0n1", Some("1")),
            ("nvme10n2", Some("2")),
            ("nvme0c0n1", None),
            ("nvmen1", None),
            ("nvme0", None),
        ] {
            assert_eq!(namespace_id(name), expect, "{name}");
        }
    }

    #[test]
    fn a_controller_with_a_namespace() {
        let mut files = vec![
            ("sys/class/nvme/nvme0/cntlid", "1997\n"),
            ("sys/class/nvme/nvme0/firmware_rev", "1B2QEXP7\n"),
            ("sys/class/nvme/nvme0/model", "Samsung SSD 970 PRO 512GB               \n"),
            ("sys/class/nvme/nvme0/serial", "S680HF8N190894I     \n"),
            ("sys/class/nvme/nvme0/nvme0n1/nuse", "10\n"),
            ("sys/class/nvme/nvme0/nvme0n1/size", "100\n"),
            ("sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size", "512\n"),
        ];
        assert_eq!(Tree::new(&files).collect(make, &[]), (String::new(), Err(Fault::NoData)), "no state");
        files.push(("sys/class/nvme/nvme0/state", "live\n"));
        let expect = r#"node_nvme_info{cntlid="1997",device="nvme0",firmware_revision="1B2QEXP7",model="Samsung SSD 970 PRO 512GB",serial="S680HF8N190894I",state="live"} 1
node_nvme_namespace_capacity_bytes{device="nvme0",nsid="1"} 51200
node_nvme_namespace_info{ana_state="unknown",device="nvme0",nsid="1"} 1
node_nvme_namespace_logical_block_size_bytes{device="nvme0",nsid="1"} 512
node_nvme_namespace_size_bytes{device="nvme0",nsid="1"} 51200
node_nvme_namespace_used_bytes{device="nvme0",nsid="1"} 5120
"#;
        assert_eq!(Tree::new(&files).samples(make, &[]), expect);
    }
}
