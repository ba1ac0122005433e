//! PCI devices: what they are, their links and power states, from `/sys/bus/pci/devices`.

mod device;
mod ids;

use std::path::Path;

use exporters::Page;

use self::device::{Device, Location};
use self::ids::Ids;
use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

const INFO: Family =
    gauge("node_pcidevice_info", "Non-numeric data from /sys/bus/pci/devices/<location>, value is always 1.");
const MAX_SPEED: Family = gauge(
    "node_pcidevice_max_link_transfers_per_second",
    "Value of maximum link's transfers per second (T/s)",
);
const MAX_WIDTH: Family =
    gauge("node_pcidevice_max_link_width", "Value of maximum link's width (number of lanes)");
const SPEED: Family = gauge(
    "node_pcidevice_current_link_transfers_per_second",
    "Value of current link's transfers per second (T/s)",
);
const WIDTH: Family =
    gauge("node_pcidevice_current_link_width", "Value of current link's width (number of lanes)");
const POWER: Family = gauge(
    "node_pcidevice_power_state",
    "PCIe device power state, one of: D0, D1, D2, D3hot, D3cold, unknown or error.",
);
const NUMA_NODE: Family = gauge(
    "node_pcidevice_numa_node",
    "NUMA node number for the PCI device. -1 indicates unknown or not available.",
);

/// Files that a device need not have, whether they hold a switch, and their families.
const OPTIONS: &[(&str, bool, Family)] = &[
    (
        "d3cold_allowed",
        true,
        gauge("node_pcidevice_d3cold_allowed", "Whether the PCIe device supports D3cold power state (0/1)."),
    ),
    (
        "sriov_drivers_autoprobe",
        true,
        gauge(
            "node_pcidevice_sriov_drivers_autoprobe",
            "Whether SR-IOV drivers autoprobe is enabled for the device (0/1).",
        ),
    ),
    (
        "sriov_numvfs",
        false,
        gauge(
            "node_pcidevice_sriov_numvfs",
            "Number of Virtual Functions (VFs) currently enabled for SR-IOV.",
        ),
    ),
    (
        "sriov_totalvfs",
        false,
        gauge(
            "node_pcidevice_sriov_totalvfs",
            "Total number of Virtual Functions (VFs) supported by the device.",
        ),
    ),
    (
        "sriov_vf_total_msix",
        false,
        gauge("node_pcidevice_sriov_vf_total_msix", "Total number of MSI-X vectors for Virtual Functions."),
    ),
];

const POWER_STATES: &[&str] = &["D0", "D1", "D2", "D3hot", "D3cold", "unknown", "error"];

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let ids = flags.is_on("collector.pcidevice.names").then(|| {
        let file = flags.get("collector.pcidevice.idsfile");
        Ids::load(if file.is_empty() { None } else { Some(Path::new(file)) })
    });
    Ok(Box::new(move |paths: &Paths, page: &mut Page| {
        let dir = paths.sys("bus/pci/devices");
        all_or_nothing(page, |page| {
            for name in read::names(&dir)? {
                let device = Device::read(&dir.join(name), OPTIONS.iter().map(|(file, ..)| *file))?;
                write(&device, ids.as_ref(), page);
            }
            Ok(())
        })
    }))
}

fn write(device: &Device, ids: Option<&Ids>, page: &mut Page) {
    let Location { segment, bus, device: number, function } = &device.location;
    let anywhere = || "*".to_owned();
    let parent = device.parent.clone().unwrap_or_else(|| Location {
        segment: anywhere(),
        bus: anywhere(),
        device: anywhere(),
        function: anywhere(),
    });
    let hex = |number: u32, width: usize| format!("{number:0width$x}");
    let [class, vendor, model, subsystem_vendor, subsystem, revision] = device.ids;
    let ids_text =
        [(class, 6), (vendor, 4), (model, 4), (subsystem_vendor, 4), (subsystem, 4), (revision, 2)]
            .map(|(number, width)| hex(number, width));
    let [class, vendor, model, subsystem_vendor, subsystem, revision] = &ids_text;
    let prefixed = |id: &String| format!("0x{id}");
    let mut labels = vec![
        ("bus", bus.clone()),
        ("class_id", prefixed(class)),
        ("device", number.clone()),
        ("device_id", prefixed(model)),
        ("function", function.clone()),
        ("parent_bus", parent.bus),
        ("parent_device", parent.device),
        ("parent_function", parent.function),
        ("parent_segment", parent.segment),
        ("revision", prefixed(revision)),
        ("segment", segment.clone()),
        ("subsystem_device_id", prefixed(subsystem)),
        ("subsystem_vendor_id", prefixed(subsystem_vendor)),
        ("vendor_id", prefixed(vendor)),
    ];
    if let Some(ids) = ids {
        labels.extend([
            ("class_name", ids.class(class)),
            ("device_name", ids.device(vendor, model)),
            ("subsystem_device_name", ids.subsystem(vendor, model, subsystem_vendor, subsystem)),
            ("subsystem_vendor_name", ids.vendor(subsystem_vendor)),
            ("vendor_name", ids.vendor(vendor)),
        ]);
        labels.sort_unstable();
    }
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
    INFO.sample(page, &labels, 1.0);

    let place = [
        ("bus", bus.as_str()),
        ("device", number.as_str()),
        ("function", function.as_str()),
        ("segment", segment.as_str()),
    ];
    for (family, value) in [
        (MAX_SPEED, device.max_speed),
        (MAX_WIDTH, device.max_width),
        (SPEED, device.speed),
        (WIDTH, device.width),
    ] {
        family.sample(page, &place, value.unwrap_or(-1.0));
    }
    for ((_, switch, family), value) in OPTIONS.iter().zip(&device.options) {
        let value = if *switch { u64::from(*value != 0) } else { *value };
        family.sample(page, &place, value as f64);
    }
    if let Some(current) = &device.power_state {
        let [bus, device, function, segment] = place;
        for state in POWER_STATES {
            let labels = [bus, device, function, segment, ("state", *state)];
            POWER.sample(page, &labels, f64::from(u8::from(current == state)));
        }
    }
    if let Some(node) = device.numa_node.filter(|node| *node != -1) {
        NUMA_NODE.sample(page, &place, f64::from(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::tree::Tree;

    fn tree() -> Tree {
        let device = "sys/devices/pci0000:00/0000:00:02.1/0000:01:00.0";
        let files = [
            ("class", "0x010802\n"),
            ("vendor", "0xc0a9\n"),
            ("device", "0x540a\n"),
            ("subsystem_vendor", "0xc0a9\n"),
            ("subsystem_device", "0x5021\n"),
            ("revision", "0x01\n"),
            ("max_link_speed", "16.0 GT/s PCIe\n"),
            ("max_link_width", "4\n"),
            ("current_link_speed", "Unknown\n"),
            ("numa_node", "-1\n"),
            ("power_state", "D0\n"),
            ("sriov_totalvfs", "8\n"),
            ("d3cold_allowed", "1\n"),
        ]
        .map(|(name, content)| (format!("{device}/{name}"), content));
        let mut files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), *c)).collect();
        let link = "-> ../../../devices/pci0000:00/0000:00:02.1/0000:01:00.0";
        files.push(("sys/bus/pci/devices/0000:01:00.0", link));
        files.push((
            "root/pci.ids",
            "c0a9  Micron\n\t540a  P2\n\t\tc0a9 5021  PS5021\nC 01  Storage\n\t08  NVM\n",
        ));
        Tree::new(&files)
    }

    #[test]
    fn a_device_behind_a_bridge() {
        let text = tree().samples(make, &[]);
        let place = r#"bus="01",device="00",function="0",segment="0000""#;
        for line in [
            r#"node_pcidevice_info{bus="01",class_id="0x010802",device="00",device_id="0x540a",function="0",parent_bus="00",parent_device="02",parent_function="1",parent_segment="0000",revision="0x01",segment="0000",subsystem_device_id="0x5021",subsystem_vendor_id="0xc0a9",vendor_id="0xc0a9"} 1"#.to_owned(),
            format!("node_pcidevice_max_link_transfers_per_second{{{place}}} 1.6e+10"),
            format!("node_pcidevice_current_link_transfers_per_second{{{place}}} -1"),
            format!("node_pcidevice_max_link_width{{{place}}} 4"),
            format!("node_pcidevice_sriov_totalvfs{{{place}}} 8"),
            format!("node_pcidevice_d3cold_allowed{{{place}}} 1"),
            format!("node_pcidevice_power_state{{{place},state=\"D0\"}} 1"),
            format!("node_pcidevice_power_state{{{place},state=\"D3hot\"}} 0"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("numa_node"), "{text}");
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }

    #[test]
    fn names_from_a_list() {
        let tree = tree();
        let file = tree.path("root/pci.ids");
        let flags =
            [("collector.pcidevice.names", "true"), ("collector.pcidevice.idsfile", file.to_str().unwrap())];
        let text = tree.samples(make, &flags);
        for label in [
            "class_name=\"NVM\"",
            "device_name=\"P2\"",
            "subsystem_device_name=\"PS5021\"",
            "vendor_name=\"Micron\"",
        ] {
            assert!(text.contains(label), "{label}\n{text}");
        }
    }
}
