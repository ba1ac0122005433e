//! Routes, as the kernel tells them over netlink.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::links::{self, find};
use crate::netlink::{self, u16_at, u32_at};
use crate::paths::Paths;

const INFO: Family = gauge("node_network_route_info", "network routing table information");
const ROUTES: Family = gauge("node_network_routes", "network routes by interface");

const RTM_GETROUTE: u16 = 26;
const MESSAGE_BYTES: usize = 12;
/// The type of a route that leads somewhere.
const RTN_UNICAST: u8 = 1;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_PREFSRC: u16 = 7;
const RTA_MULTIPATH: u16 = 9;
const NEXT_HOP_BYTES: usize = 8;

/// Who made a route, by number.
#[rustfmt::skip]
const PROTOCOLS: &[(u8, &str)] = &[
    (0, "unspec"), (1, "redirect"), (2, "kernel"), (3, "boot"), (4, "static"), (8, "gated"), (9, "ra"),
    (10, "mrt"), (11, "zebra"), (12, "bird"), (13, "dnrouted"), (14, "xorp"), (15, "ntk"), (16, "dhcp"),
    (17, "mrouted"), (42, "babel"), (186, "bgp"), (187, "isis"), (188, "ospf"), (189, "rip"), (192, "eigrp"),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(_: &Paths, page: &mut Page) -> Result<(), Fault> {
    let fault = |what: &str, e: std::io::Error| Fault::Error(format!("couldn't {what}: {e}"));
    let links = links::names().map_err(|e| fault("get links", e))?;
    let mut hops = Vec::new();
    let mut each = |_, message: &[u8]| hops.extend(parse(message).unwrap_or_default());
    netlink::dump(netlink::ROUTE, RTM_GETROUTE, &[0; MESSAGE_BYTES], &mut each)
        .map_err(|e| fault("get routes", e))?;

    let mut by_device: BTreeMap<&str, f64> = BTreeMap::new();
    // Routes of several tables may look the same.
    let mut written = BTreeSet::new();
    for hop in &hops {
        let device = links.get(&hop.device).map_or("", String::as_str);
        *by_device.entry(device).or_default() += 1.0;
        let labels = [
            ("dest", &*hop.destination),
            ("device", device),
            ("gw", &*hop.gateway),
            ("priority", &*hop.priority.to_string()),
            ("proto", hop.protocol),
            ("src", &*hop.source),
            ("weight", &*hop.weight.map_or(String::new(), |w| w.to_string())),
        ];
        if written.insert(labels.map(|(_, value)| value.to_owned())) {
            INFO.sample(page, &labels, 1.0);
        }
    }
    for (device, count) in by_device {
        ROUTES.sample(page, &[("device", device)], count);
    }
    Ok(())
}

/// One way that a route leads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hop {
    device: u32,
    source: String,
    destination: String,
    gateway: String,
    priority: u32,
    protocol: &'static str,
    /// Of one way among several.
    weight: Option<u16>,
}

/// The hops of a message; none for a route that leads nowhere or one that is cut off.
fn parse(message: &[u8]) -> Option<Vec<Hop>> {
    let attributes = message.get(MESSAGE_BYTES..)?;
    let (prefix, protocol, kind) = (message[1], message[5], message[7]);
    if kind != RTN_UNICAST {
        return None;
    }
    let text = |kind| find(attributes, kind).and_then(address).map_or(String::new(), |a| a.to_string());
    let number = |kind| find(attributes, kind).and_then(|c| u32_at(c, 0)).unwrap_or(0);
    let hop = Hop {
        device: number(RTA_OIF),
        source: text(RTA_PREFSRC),
        destination: match (prefix, find(attributes, RTA_DST).and_then(address)) {
            (0, _) | (_, None) => "default".to_owned(),
            (prefix, Some(address)) => format!("{}/{prefix}", masked(address, prefix)),
        },
        gateway: text(RTA_GATEWAY),
        priority: number(RTA_PRIORITY),
        protocol: PROTOCOLS
            .iter()
            .find(|(number, _)| *number == protocol)
            .map_or("unknown", |(_, name)| name),
        weight: None,
    };
    let Some(mut ways) = find(attributes, RTA_MULTIPATH).filter(|w| !w.is_empty()) else {
        return Some(vec![hop]);
    };
    let mut hops = Vec::new();
    while let (Some(len), Some(device)) = (u16_at(ways, 0), u32_at(ways, 4)) {
        let Some(way) = ways.get(..usize::from(len)).filter(|way| way.len() >= NEXT_HOP_BYTES) else { break };
        let gateway = find(&way[NEXT_HOP_BYTES..], RTA_GATEWAY).and_then(address);
        hops.push(Hop {
            device,
            gateway: gateway.map_or(String::new(), |a| a.to_string()),
            weight: Some(u16::from(way[3]) + 1),
            ..hop.clone()
        });
        ways = ways.get(way.len().div_ceil(4) * 4..).unwrap_or_default();
    }
    Some(hops)
}

fn address(content: &[u8]) -> Option<IpAddr> {
    match content.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(content).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(content).ok()?).into()),
        _ => None,
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(a) => {
            Ipv4Addr::from(u32::from(a) & (u32::MAX << 32_u32.saturating_sub(prefix).min(31))).into()
        }
        IpAddr::V6(a) => {
            Ipv6Addr::from(u128::from(a) & (u128::MAX << 128_u32.saturating_sub(prefix).min(127))).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::attribute;

    fn route(prefix: u8, protocol: u8, kind: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut message = vec![2, prefix, 0, 0, 254, protocol, 0, kind, 0, 0, 0, 0];
        message.extend(attributes.concat());
        message
    }

    #[test]
    fn a_route_with_one_way() {
        let message = route(
            24,
            2,
            1,
            &[
                attribute(RTA_DST, &[192, 0, 2, 7]),
                attribute(RTA_OIF, &2_u32.to_ne_bytes()),
                attribute(RTA_PREFSRC, &[192, 0, 2, 2]),
                attribute(RTA_PRIORITY, &100_u32.to_ne_bytes()),
            ],
        );
        let expect = Hop {
            device: 2,
            source: "192.0.2.2".to_owned(),
            destination: "192.0.2.0/24".to_owned(),
            priority: 100,
            protocol: "kernel",
            ..Hop::default()
        };
        assert_eq!(parse(&message), Some(vec![expect]));
        assert_eq!(parse(&route(32, 2, 2, &[])), None, "local");
    }

    #[test]
    fn a_route_with_several_ways() {
        let way = |hops: u8, device: u32, gateway: [u8; 4]| {
            let gateway = attribute(RTA_GATEWAY, &gateway);
            let mut way = ((NEXT_HOP_BYTES + gateway.len()) as u16).to_ne_bytes().to_vec();
            way.extend([0, hops]);
            way.extend(device.to_ne_bytes());
            way.extend(gateway);
            way
        };
        let ways = [way(0, 2, [10, 0, 0, 1]), way(4, 3, [10, 0, 0, 2])].concat();
        let message = route(0, 250, 1, &[attribute(RTA_MULTIPATH, &ways)]);
        let hops = parse(&message).unwrap();
        let short: Vec<_> = hops.iter().map(|h| (h.device, h.gateway.as_str(), h.weight)).collect();
        assert_eq!(short, [(2, "10.0.0.1", Some(1)), (3, "10.0.0.2", Some(5))]);
        assert_eq!((hops[0].destination.as_str(), hops[0].protocol), ("default", "unknown"));
        for cut in 0..message.len() {
            let _ = parse(&message[..cut]);
        }
    }

    #[test]
    fn prefixes_mask() {
        let of = |address: &str, prefix| masked(address.parse().unwrap(), prefix).to_string();
        assert_eq!(of("10.1.2.3", 8), "10.0.0.0");
        assert_eq!(of("10.1.2.3", 32), "10.1.2.3");
        assert_eq!(of("fd00::1", 64), "fd00::");
        assert_eq!(of("fe80::1", 200), "fe80::1");
    }
}
