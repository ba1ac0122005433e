//! Network devices' properties, from `/sys/class/net`.

use std::io::ErrorKind;
use std::path::Path;

use exporters::{Kind, Page};
use regex::Regex;

use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct NetClass {
    ignored: Regex,
    ignore_invalid_speed: bool,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(NetClass {
        ignored: filter::pattern(flags, "collector.netclass.ignored-devices")?,
        ignore_invalid_speed: flags.is_on("collector.netclass.ignore-invalid-speed"),
    }))
}

/// File, family, help text, type.
const FAMILIES: [(&str, &str, &str, Kind); 17] = [
    (
        "addr_assign_type",
        "node_network_address_assign_type",
        "Network device property: address_assign_type",
        Kind::Gauge,
    ),
    ("carrier", "node_network_carrier", "Network device property: carrier", Kind::Gauge),
    (
        "carrier_changes",
        "node_network_carrier_changes_total",
        "Network device property: carrier_changes_total",
        Kind::Counter,
    ),
    (
        "carrier_up_count",
        "node_network_carrier_up_changes_total",
        "Network device property: carrier_up_changes_total",
        Kind::Counter,
    ),
    (
        "carrier_down_count",
        "node_network_carrier_down_changes_total",
        "Network device property: carrier_down_changes_total",
        Kind::Counter,
    ),
    ("dev_id", "node_network_device_id", "Network device property: device_id", Kind::Gauge),
    ("dormant", "node_network_dormant", "Network device property: dormant", Kind::Gauge),
    ("flags", "node_network_flags", "Network device property: flags", Kind::Gauge),
    ("ifindex", "node_network_iface_id", "Network device property: iface_id", Kind::Gauge),
    ("iflink", "node_network_iface_link", "Network device property: iface_link", Kind::Gauge),
    ("link_mode", "node_network_iface_link_mode", "Network device property: iface_link_mode", Kind::Gauge),
    ("mtu", "node_network_mtu_bytes", "Network device property: mtu_bytes", Kind::Gauge),
    (
        "name_assign_type",
        "node_network_name_assign_type",
        "Network device property: name_assign_type",
        Kind::Gauge,
    ),
    ("netdev_group", "node_network_net_dev_group", "Network device property: net_dev_group", Kind::Gauge),
    ("speed", "node_network_speed_bytes", "Network device property: speed_bytes", Kind::Gauge),
    (
        "tx_queue_len",
        "node_network_transmit_queue_length",
        "Network device property: transmit_queue_length",
        Kind::Gauge,
    ),
    ("type", "node_network_protocol_type", "Network device property: protocol_type", Kind::Gauge),
];

/// `IFF_UP`
const UP: i64 = 1;

impl Collector for NetClass {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let class = paths.sys("class/net");
        for device in read::names(&class)? {
            let directory = class.join(&device);
            // `bonding_masters` is a file among them.
            if !self.ignored.is_match(&device) && directory.is_dir() {
                self.write(&device, &directory, page)?;
            }
        }
        Ok(())
    }
}

impl NetClass {
    fn write(&self, device: &str, directory: &Path, page: &mut Page) -> Result<(), Fault> {
        let mut flags = None;
        for (file, name, help, kind) in FAMILIES {
            let path = directory.join(file);
            let Some(text) = attribute(&path)? else { continue };
            let mut value = integer(text.trim())
                .ok_or_else(|| Fault::garbage(&path, format_args!("{:?}", read::shortened(&text))))?;
            match file {
                "flags" => flags = Some(value),
                // Mbit/s; -1 where nobody knows.
                "speed" if value < 0 && self.ignore_invalid_speed => continue,
                "speed" => value = value.saturating_mul(1_000_000) / 8,
                _ => {}
            }
            page.family(name, help, kind).sample(&[("device", device)], value as f64);
        }
        let text = |file| -> Result<String, Fault> {
            let text = attribute(&directory.join(file))?;
            Ok(text.map(|t| t.trim().to_owned()).unwrap_or_default())
        };
        let state = text("operstate")?;
        let help = "Value is 1 if operstate is 'up', 0 otherwise.";
        let up = f64::from(u8::from(state == "up"));
        page.family("node_network_up", help, Kind::Gauge).sample(&[("device", device)], up);
        let admin = match flags {
            None => "unknown",
            Some(flags) if flags & UP != 0 => "up",
            Some(_) => "down",
        };
        let help = "Non-numeric data from /sys/class/net/<iface>, value is always 1.";
        page.family("node_network_info", help, Kind::Gauge).sample(
            &[
                ("address", &text("address")?),
                ("adminstate", admin),
                ("broadcast", &text("broadcast")?),
                ("device", device),
                ("duplex", &text("duplex")?),
                ("ifalias", &text("ifalias")?),
                ("operstate", &state),
            ],
            1.0,
        );
        Ok(())
    }
}

/// An attribute, or nothing where the device has none: its driver answers EOPNOTSUPP or EINVAL while it is down, and it may vanish.
fn attribute(path: &Path) -> Result<Option<String>, Fault> {
    match read::raw(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENODEV)) => {
            Ok(None)
        }
        Err(e) => Err(Fault::read(path, &e)),
    }
}

/// Decimal, or hexadecimal with `0x`.
fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
