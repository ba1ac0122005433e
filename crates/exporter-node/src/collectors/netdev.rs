//! Network devices' counters, from the kernel over netlink or from `/proc/net/dev`.

mod addresses;
mod counters;

use std::path::Path;

use exporters::{Kind, Page};

use self::counters::{Counters, LEGACY, Source};
use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::{Network, Paths};
use crate::read;

struct NetDev {
    filter: Filter,
    netlink: bool,
    detailed: bool,
    addresses: bool,
    alias: bool,
}

const EXCLUDE: &str = "collector.netdev.device-exclude";
const INCLUDE: &str = "collector.netdev.device-include";

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let flags = flags.with_former("collector.netdev.device-whitelist", INCLUDE)?;
    let flags = flags.with_former("collector.netdev.device-blacklist", EXCLUDE)?;
    if !flags.get(EXCLUDE).is_empty() && !flags.get(INCLUDE).is_empty() {
        return Err("device-exclude & device-include are mutually exclusive".to_owned());
    }
    Ok(Box::new(NetDev {
        filter: Filter::of(&flags, EXCLUDE, INCLUDE)?,
        netlink: flags.is_on("collector.netdev.netlink"),
        detailed: flags.is_on("collector.netdev.enable-detailed-metrics"),
        addresses: flags.is_on("collector.netdev.address-info"),
        alias: flags.is_on("collector.netdev.label-ifalias"),
    }))
}

impl Collector for NetDev {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        // Over netlink there is only this process's own network.
        let (source, mut devices) = if self.netlink && paths.network == Network::Own {
            (Source::Netlink, counters::from_netlink()?)
        } else {
            let path = paths.proc("net/dev");
            (Source::Proc, counters::from_proc(&path, &read::text(&path)?)?)
        };
        devices.retain(|device| !self.filter.ignores(&device.name));
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        let class = paths.sys("class/net");
        for device in &devices {
            self.write(device, source, &class, page)?;
        }
        if self.addresses {
            addresses::write(&self.filter, page)?;
        }
        Ok(())
    }
}

impl NetDev {
    fn write(&self, device: &Counters, source: Source, class: &Path, page: &mut Page) -> Result<(), Fault> {
        let alias = if self.alias {
            read::if_there(read::trimmed(&class.join(&device.name).join("ifalias")))?.unwrap_or_default()
        } else {
            String::new()
        };
        let labels = [("device", device.name.as_str()), ("ifalias", alias.as_str())];
        let labels = &labels[..1 + usize::from(self.alias)];
        let mut write = |key: &str, value: u64| {
            let help = format!("Network device statistic {key}.");
            page.family(&format!("node_network_{key}_total"), &help, Kind::Counter)
                .sample(labels, value as f64);
        };
        if self.detailed {
            for (key, value) in device.detailed(source) {
                write(key, value);
            }
        } else {
            for (key, parts) in LEGACY {
                if let Some(value) = device.sum(source, parts) {
                    write(key, value);
                }
            }
        }
        Ok(())
    }
}
