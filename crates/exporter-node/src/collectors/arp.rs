//! Neighbours by device, from `/proc/net/arp`.

use std::collections::BTreeMap;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Arp {
    filter: Filter,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let filter = Filter::of(flags, "collector.arp.device-exclude", "collector.arp.device-include")?;
    Ok(Box::new(Arp { filter }))
}

impl Collector for Arp {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("net/arp");
        let text = read::text(&path)?;
        let mut entries: BTreeMap<&str, u32> = BTreeMap::new();
        for line in text.lines().skip(1) {
            // Address, type, flags, hardware address, mask, device.
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.len() != 6 {
                return Err(Fault::garbage(&path, format_args!("line {:?}", read::shortened(line))));
            }
            *entries.entry(words[5]).or_default() += 1;
        }
        let mut family = page.family("node_arp_entries", "ARP entries by device", Kind::Gauge);
        for (device, count) in entries.iter().filter(|(device, _)| !self.filter.ignores(device)) {
            family.sample(&[("device", device)], f64::from(*count));
        }
        Ok(())
    }
}
