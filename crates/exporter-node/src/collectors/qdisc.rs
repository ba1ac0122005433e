//! The root queueing discipline of each network device, as the kernel tells it over netlink.

use std::io;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter, gauge};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::links::{self, find, string};
use crate::netlink::{self, u32_at, u64_at};
use crate::paths::Paths;

const BYTES: Family = counter("node_qdisc_bytes_total", "Number of bytes sent.");
const PACKETS: Family = counter("node_qdisc_packets_total", "Number of packets sent.");
const DROPS: Family = counter("node_qdisc_drops_total", "Number of packets dropped.");
const REQUEUES: Family =
    counter("node_qdisc_requeues_total", "Number of packets dequeued, not transmitted, and requeued.");
const OVERLIMITS: Family = counter("node_qdisc_overlimits_total", "Number of overlimit packets.");
const LENGTH: Family =
    gauge("node_qdisc_current_queue_length", "Number of packets currently in queue to be sent.");
const BACKLOG: Family = gauge("node_qdisc_backlog", "Number of bytes currently in queue to be sent.");

const RTM_GETQDISC: u16 = 38;
const MESSAGE_BYTES: usize = 20;
const TC_H_ROOT: u32 = u32::MAX;
const TCA_KIND: u16 = 1;
const TCA_STATS: u16 = 3;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let name = |kind: &str| {
        let (name, old) =
            (format!("collector.qdisc.device-{kind}"), format!("collector.qdisk.device-{kind}"));
        if flags.get(&old).is_empty() {
            return Ok(name);
        }
        if !flags.get(&name).is_empty() {
            return Err(format!("--{old} and --{name} are mutually exclusive"));
        }
        tracing::warn!("--{old} is DEPRECATED and will be removed in 2.0.0, use --{name}");
        Ok(old)
    };
    let (exclude, include) = (name("exclude")?, name("include")?);
    let exclusive = "collector.qdisc.device-include and collector.qdisc.device-exclude are mutaly exclusive";
    let filter = Filter::either(flags, &exclude, &include, exclusive)?;
    Ok(Box::new(move |_: &Paths, page: &mut Page| {
        write(&filter, page).map_err(|e| Fault::Error(format!("couldn't get qdiscs: {e}")))
    }))
}

fn write(filter: &Filter, page: &mut Page) -> io::Result<()> {
    let links = links::names()?;
    let mut found = Vec::new();
    let mut each = |_, message: &[u8]| found.extend(parse(message));
    netlink::dump(netlink::ROUTE, RTM_GETQDISC, &[0; MESSAGE_BYTES], &mut each)?;
    for qdisc in found {
        let Some(device) = links.get(&qdisc.device).filter(|name| !filter.ignores(name)) else { continue };
        let labels = [("device", device.as_str()), ("kind", qdisc.kind.as_str())];
        BYTES.sample(page, &labels, qdisc.bytes as f64);
        PACKETS.sample(page, &labels, f64::from(qdisc.packets));
        DROPS.sample(page, &labels, f64::from(qdisc.drops));
        REQUEUES.sample(page, &labels, f64::from(qdisc.requeues));
        OVERLIMITS.sample(page, &labels, f64::from(qdisc.overlimits));
        LENGTH.sample(page, &labels, f64::from(qdisc.length));
        BACKLOG.sample(page, &labels, f64::from(qdisc.backlog));
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Qdisc {
    device: u32,
    kind: String,
    bytes: u64,
    packets: u32,
    drops: u32,
    requeues: u32,
    overlimits: u32,
    length: u32,
    backlog: u32,
}

/// None for one that is part of another.
fn parse(message: &[u8]) -> Option<Qdisc> {
    let attributes = message.get(MESSAGE_BYTES..)?;
    let parent = u32_at(message, 12)?;
    if parent != TC_H_ROOT && parent != 0 {
        return None;
    }
    let mut qdisc = Qdisc { device: u32_at(message, 4)?, ..Qdisc::default() };
    qdisc.kind = find(attributes, TCA_KIND).map(string).unwrap_or_default();
    // Before what the newer form says, which has more.
    if let Some(stats) = find(attributes, TCA_STATS) {
        let number = |at| u32_at(stats, at).unwrap_or(0);
        qdisc.bytes = u64_at(stats, 0).unwrap_or(0);
        qdisc.packets = number(8);
        qdisc.drops = number(12);
        qdisc.overlimits = number(16);
        qdisc.length = number(28);
        qdisc.backlog = number(32);
    }
    if let Some(stats) = find(attributes, TCA_STATS2) {
        if let Some(basic) = find(stats, TCA_STATS_BASIC) {
            qdisc.bytes = u64_at(basic, 0).unwrap_or(0);
            qdisc.packets = u32_at(basic, 8).unwrap_or(0);
        }
        if let Some(queue) = find(stats, TCA_STATS_QUEUE) {
            let number = |at| u32_at(queue, at).unwrap_or(0);
            qdisc.length = number(0);
            qdisc.backlog = number(4);
            qdisc.drops = number(8);
            qdisc.requeues = number(12);
            qdisc.overlimits = number(16);
        }
    }
    Some(qdisc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::attribute;
    use crate::tree::{Tree, flags_of};

    fn message(parent: u32) -> Vec<u8> {
        let numbers = |list: &[u32]| list.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<u8>>();
        let basic = [7_u64.to_ne_bytes().to_vec(), numbers(&[8, 0])].concat();
        let stats =
            [attribute(TCA_STATS_BASIC, &basic), attribute(TCA_STATS_QUEUE, &numbers(&[1, 2, 3, 4, 5]))]
                .concat();
        let mut bytes = numbers(&[0, 2, 0, parent, 0]);
        bytes.extend(attribute(TCA_KIND, b"fq\0"));
        bytes.extend(attribute(TCA_STATS2, &stats));
        bytes
    }

    #[test]
    fn root_disciplines_only() {
        let expect = Qdisc {
            device: 2,
            kind: "fq".to_owned(),
            bytes: 7,
            packets: 8,
            drops: 3,
            requeues: 4,
            overlimits: 5,
            length: 1,
            backlog: 2,
        };
        assert_eq!(parse(&message(TC_H_ROOT)), Some(expect));
        assert_eq!(parse(&message(0x0001_0000)), None);
        for cut in 0..message(0).len() {
            let _ = parse(&message(0)[..cut]);
        }
    }

    #[test]
    fn flags_exclude_each_other() {
        for (a, b) in [
            ("qdisc.device-exclude", "qdisc.device-include"),
            ("qdisk.device-include", "qdisc.device-include"),
        ] {
            let (a, b) = (format!("collector.{a}"), format!("collector.{b}"));
            assert!(make(&flags_of(&[(&a, "x"), (&b, "y")])).is_err(), "{a} {b}");
        }
        let none = Tree::new(&[]).samples(make, &[("collector.qdisc.device-include", "^no such device$")]);
        assert_eq!(none, "");
    }
}
