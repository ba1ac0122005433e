//! Temperatures and cooling devices, from `/sys/class/thermal`.

use std::io;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct ThermalZone;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(ThermalZone))
}

impl Collector for ThermalZone {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let class = paths.sys("class/thermal");
        let mut unreadable = None;
        for number in read::numbered(&class, "thermal_zone")? {
            let zone = class.join(format!("thermal_zone{number}"));
            // Zones of drivers that are off answer EINVAL or EAGAIN; they are no reason to lose the others.
            let path = zone.join("temp");
            let text = match read::raw(&path) {
                Ok(text) => text,
                Err(e) => {
                    unreadable = Some(if quiet(&e) { Fault::NoData } else { Fault::read(&path, &e) });
                    continue;
                }
            };
            let millidegrees: i64 = read::parse(&path, text.trim())?;
            let kind = read::trimmed(&zone.join("type"))?;
            page.family("node_thermal_zone_temp", "Zone temperature in Celsius", Kind::Gauge)
                .sample(&[("type", &kind), ("zone", &number.to_string())], millidegrees as f64 / 1000.0);
        }
        for number in read::numbered(&class, "cooling_device")? {
            let device = class.join(format!("cooling_device{number}"));
            let kind = read::trimmed(&device.join("type"))?;
            let labels = [("name", number.to_string()), ("type", kind)];
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            let state = read::number(&device.join("cur_state"))?;
            let help = "Current throttle state of the cooling device";
            page.family("node_cooling_device_cur_state", help, Kind::Gauge).sample(&labels, state);
            let state = read::number(&device.join("max_state"))?;
            let help = "Maximum throttle state of the cooling device";
            page.family("node_cooling_device_max_state", help, Kind::Gauge).sample(&labels, state);
        }
        unreadable.map_or(Ok(()), Err)
    }
}

fn quiet(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
        || matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EAGAIN | libc::ENODATA | libc::EIO))
}
