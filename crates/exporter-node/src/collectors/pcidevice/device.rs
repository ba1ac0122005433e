//! A device's files.

use std::fs;
use std::path::Path;

use crate::fault::Fault;
use crate::sysfs;

/// `0000:01:00.0`, its parts with the digits they are written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) segment: String,
    pub(super) bus: String,
    pub(super) device: String,
    pub(super) function: String,
}

impl Location {
    fn parse(text: &str) -> Option<Self> {
        let (segment, rest) = text.split_once(':')?;
        let (bus, rest) = rest.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        let hex = |text: &str, width: usize| {
            let number = u32::from_str_radix(text, 16).ok().filter(|n| i32::try_from(*n).is_ok())?;
            Some(format!("{number:0width$x}"))
        };
        Some(Self {
            segment: hex(segment, 4)?,
            bus: hex(bus, 2)?,
            device: hex(device, 2)?,
            function: hex(function, 1)?,
        })
    }
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) location: Location,
    /// The bridge it is behind; none on a root bus.
    pub(super) parent: Option<Location>,
    /// Class, vendor, device, the subsystem's vendor and device, revision.
    pub(super) ids: [u32; 6],
    /// Transfers a second.
    pub(super) max_speed: Option<f64>,
    /// Lanes.
    pub(super) max_width: Option<f64>,
    pub(super) speed: Option<f64>,
    pub(super) width: Option<f64>,
    pub(super) numa_node: Option<i32>,
    pub(super) power_state: Option<String>,
    /// The numbers of the files asked for; 0 where one is not there.
    pub(super) options: Vec<u64>,
}

impl Device {
    /// Of the link in `/sys/bus/pci/devices`, whose target tells where the device is.
    pub(super) fn read(link: &Path, options: impl Iterator<Item = &'static str>) -> Result<Self, Fault> {
        let target = fs::read_link(link).map_err(|e| Fault::read(link, &e))?;
        let name = |path: Option<&Path>| {
            path.and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let location = |text: &str| {
            Location::parse(text).ok_or_else(|| Fault::garbage(link, format_args!("location {text:?}")))
        };
        let parent = name(target.parent());
        let mut device = Self {
            location: location(&name(Some(&target)))?,
            parent: if parent.starts_with("pci") { None } else { Some(location(&parent)?) },
            ids: [0; 6],
            max_speed: speed(&link.join("max_link_speed"))?,
            max_width: width(&link.join("max_link_width"))?,
            speed: speed(&link.join("current_link_speed"))?,
            width: width(&link.join("current_link_width"))?,
            numa_node: known(&link.join("numa_node"), |text| text.parse().ok())?,
            power_state: known(&link.join("power_state"), |text| Some(text.to_owned()))?,
            options: Vec::new(),
        };
        let files = ["class", "vendor", "device", "subsystem_vendor", "subsystem_device", "revision"];
        for (id, file) in device.ids.iter_mut().zip(files) {
            let path = link.join(file);
            let text = sysfs::value(&path)?;
            *id = sysfs::parse_uint(&text)
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| Fault::garbage(&path, format_args!("{text:?}")))?;
        }
        for file in options {
            device.options.push(known(&link.join(file), |text| text.parse().ok())?.unwrap_or(0));
        }
        Ok(device)
    }
}

/// What a file that need not be there says, unless that is nothing or `Unknown`.
fn known<T>(path: &Path, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Fault> {
    match sysfs::optional(path)? {
        Some(text) if !text.is_empty() && !text.starts_with("Unknown") => match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(Fault::garbage(path, format_args!("{text:?}"))),
        },
        _ => Ok(None),
    }
}

/// `8.0 GT/s PCIe`.
fn speed(path: &Path) -> Result<Option<f64>, Fault> {
    known(path, |text| text.strip_suffix(" GT/s PCIe")?.parse::<f64>().ok().map(|v| v * 1e9))
}

fn width(path: &Path) -> Result<Option<f64>, Fault> {
    known(path, |text| text.parse::<i64>().ok().map(|v| v as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        let of =
            |text: &str| Location::parse(text).map(|l| [l.segment, l.bus, l.device, l.function].join("/"));
        assert_eq!(of("0000:40:1f.3").as_deref(), Some("0000/40/1f/3"));
        assert_eq!(of("10000:1:0.0").as_deref(), Some("10000/01/00/0"));
        for bad in ["", "0000:40", "0000:40:01", "x:40:01.3", "0000:40:01.", "0:0:0:0.0", "ffffffff:0:0.0"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
