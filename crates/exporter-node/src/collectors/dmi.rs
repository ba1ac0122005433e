//! What the firmware says of the machine, from `/sys/class/dmi/id`.

use std::io;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::sysfs;

const INFO: Family = gauge(
    "node_dmi_info",
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, \
     board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, \
     chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, \
     product_sku, product_uuid, product_version, system_vendor if provided by DMI.",
);

/// Files and labels, which but for the last have the same names.
const FILES: &[&str] = &[
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "sys_vendor",
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let dir = paths.sys("class/dmi/id");
    let mut values = Vec::new();
    for file in sysfs::files(&dir)? {
        let Some(name) = FILES.iter().find(|f| **f == file) else { continue };
        let path = dir.join(&file);
        match sysfs::attribute(&path) {
            Ok(value) => values.push((if *name == "sys_vendor" { "system_vendor" } else { name }, value)),
            // Serial numbers are root's alone.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
            Err(e) => return Err(Fault::read(&path, &e)),
        }
    }
    if values.is_empty() {
        return Err(Fault::NoData);
    }
    let labels: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    INFO.sample(page, &labels, 1.0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn what_there_is_becomes_labels() {
        let tree = Tree::new(&[
            ("sys/class/dmi/id/sys_vendor", "Dell Inc.\n"),
            ("sys/class/dmi/id/board_version", " A01 \n"),
            ("sys/class/dmi/id/chassis_type", "17\n"),
            ("sys/class/dmi/id/modalias", "dmi\n"),
            ("sys/class/dmi/id/product_sku", "\n"),
            ("sys/class/dmi/id/subsystem", "-> ../../x"),
        ]);
        let expect = "node_dmi_info{board_version=\"A01\",product_sku=\"\",system_vendor=\"Dell Inc.\"} 1\n";
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        assert_eq!(Tree::new(&[("sys/class/dmi/id/", "")]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
