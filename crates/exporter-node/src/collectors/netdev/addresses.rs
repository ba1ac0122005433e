//! The addresses of network devices, over netlink.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use exporters::{Kind, Page};

use crate::fault::Fault;
use crate::filter::Filter;
use crate::netlink;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFLA_IFNAME: u16 = 3;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const LINK_HEADER_BYTES: usize = 16;
/// `struct ifaddrmsg`
const ADDRESS_HEADER_BYTES: usize = 8;

/// Writes `node_network_address_info`.
pub(super) fn write(filter: &Filter, page: &mut Page) -> Result<(), Fault> {
    let fault = |e| Fault::Error(format!("addresses over netlink: {e}"));
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    let mut each = |kind, message: &[u8]| {
        if kind == RTM_NEWLINK {
            names.extend(named(message));
        }
    };
    netlink::dump(netlink::ROUTE, RTM_GETLINK, &[0; LINK_HEADER_BYTES], &mut each).map_err(fault)?;
    let mut addresses = Vec::new();
    let mut each = |kind, message: &[u8]| {
        if kind == RTM_NEWADDR {
            addresses.extend(address(message));
        }
    };
    netlink::dump(netlink::ROUTE, RTM_GETADDR, &[0; ADDRESS_HEADER_BYTES], &mut each).map_err(fault)?;
    let help = "node network address by device";
    let mut family = page.family("node_network_address_info", help, Kind::Gauge);
    for (index, address, length) in addresses {
        let Some(device) = names.get(&index).filter(|name| !filter.ignores(name)) else { continue };
        let labels = [
            ("address", &*address.to_string()),
            ("device", device),
            ("netmask", &length.to_string()),
            ("scope", scope(address)),
        ];
        family.sample(&labels, 1.0);
    }
    Ok(())
}

fn named(message: &[u8]) -> Option<(u32, String)> {
    let index = netlink::u32_at(message, 4)?;
    let mut attributes = netlink::attributes(message.get(LINK_HEADER_BYTES..)?);
    let (_, name) = attributes.find(|(kind, _)| *kind == IFLA_IFNAME)?;
    let name = name.split(|b| *b == 0).next()?;
    Some((index, String::from_utf8_lossy(name).into_owned()))
}

/// Device, address and length of its prefix. Of a point-to-point device, its own address.
fn address(message: &[u8]) -> Option<(u32, IpAddr, u8)> {
    let length = *message.get(1)?;
    let index = netlink::u32_at(message, 4)?;
    let mut found = None;
    for (kind, value) in netlink::attributes(message.get(ADDRESS_HEADER_BYTES..)?) {
        let address = || match value.len() {
            4 => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?))),
            16 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?))),
            _ => None,
        };
        match kind {
            IFA_LOCAL => return Some((index, address()?, length)),
            IFA_ADDRESS => found = address(),
            _ => {}
        }
    }
    Some((index, found?, length))
}

/// In upstream's words.
fn scope(address: IpAddr) -> &'static str {
    let (link_local, interface_local, global) = match address {
        IpAddr::V4(ip) => {
            let multicast = ip.octets()[0] == 224 && ip.octets()[1] == 0 && ip.octets()[2] == 0;
            let global = !ip.is_multicast() && !ip.is_unspecified() && !ip.is_broadcast();
            (ip.is_loopback() || ip.is_link_local() || multicast, false, global)
        }
        IpAddr::V6(ip) => {
            let segment = ip.segments()[0];
            let link_local = ip.is_loopback() || segment & 0xffc0 == 0xfe80 || segment & 0xff0f == 0xff02;
            (link_local, segment & 0xff0f == 0xff01, !ip.is_multicast() && !ip.is_unspecified())
        }
    };
    if link_local {
        "link-local"
    } else if interface_local {
        "interface-local"
    } else if global {
        "global"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_of_upstream() {
        for (address, expect) in [
            ("127.0.0.1", "link-local"),
            ("169.254.1.1", "link-local"),
            ("224.0.0.1", "link-local"),
            ("10.0.0.1", "global"),
            ("0.0.0.0", ""),
            ("::1", "link-local"),
            ("fe80::1", "link-local"),
            ("ff01::1", "interface-local"),
            ("2001:db8::1", "global"),
            ("fd00::1", "global"),
            ("ff05::1", ""),
        ] {
            assert_eq!(scope(address.parse().unwrap()), expect, "{address}");
        }
    }

    #[test]
    fn the_loopback_address_is_there() {
        let mut page = Page::new();
        write(&Filter::default(), &mut page).unwrap();
        let text = page.render();
        let line = "node_network_address_info{address=\"127.0.0.1\",device=\"lo\",netmask=\"8\",scope=\"link-local\"} 1";
        assert!(text.contains(line), "{text}");
    }
}
