//! What the kernel's wireless part answers, over generic netlink.

use std::io;

use rustix::net::netlink::GENERIC;

use crate::links::{find, string};
use crate::netlink::{self, attributes, u16_at, u32_at, u64_at};

/// The controller, which knows the others' numbers.
const CONTROLLER: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const GET_INTERFACE: u8 = 5;
const GET_STATION: u8 = 17;
const GET_SCAN: u8 = 32;
const IFINDEX: u16 = 3;
const IFNAME: u16 = 4;
const MAC: u16 = 6;
const STATION_INFO: u16 = 21;
const FREQUENCY: u16 = 38;
const BSS: u16 = 47;

/// Command, version and two bytes that mean nothing.
const HEADER_BYTES: usize = 4;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) frequency_mhz: u32,
}

/// The network a device has joined.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) bssid: String,
    pub(super) ssid: String,
    /// `client`, `ad-hoc` or `unknown`.
    pub(super) mode: &'static str,
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Station {
    pub(super) address: String,
    pub(super) connected_seconds: f64,
    pub(super) inactive_seconds: f64,
    pub(super) received_bytes: f64,
    pub(super) transmitted_bytes: f64,
    pub(super) received_packets: f64,
    pub(super) transmitted_packets: f64,
    pub(super) receive_bits: f64,
    pub(super) transmit_bits: f64,
    pub(super) signal_dbm: f64,
    pub(super) retries: f64,
    pub(super) failures: f64,
    pub(super) beacon_losses: f64,
}

/// Asks for all objects of a kind; `parse` gets each one's attributes.
fn dump<T>(
    family: u16,
    command: u8,
    request: &[u8],
    parse: impl Fn(&[u8]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut payload = vec![command, 1, 0, 0];
    payload.extend(request);
    let mut found = Vec::new();
    netlink::dump(Some(GENERIC), family, &payload, &mut |_, message| {
        found.extend(message.get(HEADER_BYTES..).and_then(&parse));
    })?;
    Ok(found)
}

/// An attribute with a number.
fn index(index: u32) -> [u8; 8] {
    let ([a, b], [c, d]) = (8_u16.to_ne_bytes(), IFINDEX.to_ne_bytes());
    let [e, f, g, h] = index.to_ne_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The number of the wireless part; none where the kernel has none.
pub(super) fn family() -> io::Result<Option<u16>> {
    let families = dump(CONTROLLER, GET_FAMILY, &[], |message| {
        let is_wireless = find(message, FAMILY_NAME).is_some_and(|name| string(name) == "nl80211");
        u16_at(find(message, FAMILY_ID)?, 0).filter(|_| is_wireless)
    })?;
    Ok(families.first().copied())
}

/// All wireless devices.
pub(super) fn interfaces(family: u16) -> io::Result<Vec<Interface>> {
    dump(family, GET_INTERFACE, &[], parse_interface)
}

fn parse_interface(message: &[u8]) -> Option<Interface> {
    let number = |kind| find(message, kind).and_then(|value| u32_at(value, 0));
    Some(Interface {
        index: number(IFINDEX)?,
        name: find(message, IFNAME).map(string).unwrap_or_default(),
        frequency_mhz: number(FREQUENCY).unwrap_or(0),
    })
}

/// The network that a device has joined, among those it sees.
pub(super) fn network(family: u16, device: u32) -> io::Result<Option<Network>> {
    Ok(dump(family, GET_SCAN, &index(device), parse_network)?.into_iter().next())
}

/// None of one that it only sees.
fn parse_network(message: &[u8]) -> Option<Network> {
    const BSSID: u16 = 1;
    const ELEMENTS: u16 = 6;
    const STATUS: u16 = 9;
    let network = find(message, BSS)?;
    let status = u32_at(find(network, STATUS)?, 0)?;
    Some(Network {
        bssid: find(network, BSSID).map(address).unwrap_or_default(),
        ssid: find(network, ELEMENTS).and_then(ssid).unwrap_or_default(),
        mode: match status {
            // Authenticated, associated.
            0 | 1 => "client",
            2 => "ad-hoc",
            _ => "unknown",
        },
    })
}

/// Elements of a kind, a length and as many bytes; the one of kind 0 is the name.
fn ssid(mut elements: &[u8]) -> Option<String> {
    while let [kind, len, rest @ ..] = elements {
        let value = rest.get(..usize::from(*len))?;
        if *kind == 0 {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
        elements = &rest[value.len()..];
    }
    None
}

/// The stations that a device talks to.
pub(super) fn stations(family: u16, device: u32) -> io::Result<Vec<Station>> {
    dump(family, GET_STATION, &index(device), parse_station)
}

fn parse_station(message: &[u8]) -> Option<Station> {
    let mut station = Station { address: find(message, MAC).map(address)?, ..Station::default() };
    let mut wide = (None, None);
    for (kind, value) in attributes(find(message, STATION_INFO)?) {
        let number = f64::from(u32_at(value, 0).unwrap_or(0));
        match kind {
            1 => station.inactive_seconds = number / 1000.0,
            2 => station.received_bytes = number,
            3 => station.transmitted_bytes = number,
            7 => station.signal_dbm = value.first().map_or(0.0, |v| f64::from(v.cast_signed())),
            8 => station.transmit_bits = bit_rate(value),
            9 => station.received_packets = number,
            10 => station.transmitted_packets = number,
            11 => station.retries = number,
            12 => station.failures = number,
            14 => station.receive_bits = bit_rate(value),
            16 => station.connected_seconds = number,
            18 => station.beacon_losses = number,
            23 => wide.0 = u64_at(value, 0),
            24 => wide.1 = u64_at(value, 0),
            _ => {}
        }
    }
    // Counters of 32 bits wrap soon.
    station.received_bytes = wide.0.map_or(station.received_bytes, |v| v as f64);
    station.transmitted_bytes = wide.1.map_or(station.transmitted_bytes, |v| v as f64);
    Some(station)
}

/// Bits a second; the kernel counts hundreds of kilobits, in a wide and for old programs in a narrow number.
fn bit_rate(info: &[u8]) -> f64 {
    const NARROW: u16 = 1;
    const WIDE: u16 = 5;
    let wide = find(info, WIDE).and_then(|value| u32_at(value, 0));
    let narrow = || find(info, NARROW).and_then(|value| u16_at(value, 0)).map(u32::from);
    f64::from(wide.or_else(narrow).unwrap_or(0)) * 1e5
}

fn address(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::links::attribute;

    fn number(kind: u16, value: u32) -> Vec<u8> {
        attribute(kind, &value.to_ne_bytes())
    }

    fn station() -> Vec<u8> {
        let rate = [attribute(1, &540_u16.to_ne_bytes()), number(5, 1280)].concat();
        let info = [
            number(1, 400),
            number(2, 7),
            attribute(7, &[0xcc]),
            attribute(8, &rate),
            attribute(14, &attribute(1, &540_u16.to_ne_bytes())),
            number(16, 30),
            attribute(23, &(1_u64 << 33).to_ne_bytes()),
        ]
        .concat();
        [attribute(MAC, &[0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]), attribute(STATION_INFO, &info)].concat()
    }

    #[test]
    fn stations_are_nested() {
        let expect = Station {
            address: "aa:bb:cc:dd:ee:ff".to_owned(),
            connected_seconds: 30.0,
            inactive_seconds: 0.4,
            received_bytes: 8_589_934_592.0,
            receive_bits: 54e6,
            transmit_bits: 128e6,
            signal_dbm: -52.0,
            ..Station::default()
        };
        assert_eq!(parse_station(&station()), Some(expect));
        for cut in 0..station().len() {
            let _ = parse_station(&station()[..cut]);
        }
    }

    #[test]
    fn networks_and_interfaces() {
        let bss = [
            attribute(1, &[0, 0x11, 0x22, 0x33, 0x44, 0x55]),
            attribute(6, b"\x01\x01x\0\x07Example"),
            number(9, 1),
        ]
        .concat();
        let joined =
            Network { bssid: "00:11:22:33:44:55".to_owned(), ssid: "Example".to_owned(), mode: "client" };
        assert_eq!(parse_network(&attribute(BSS, &bss)), Some(joined));
        assert_eq!(parse_network(&attribute(BSS, &bss[..12])), None, "seen, not joined");
        assert_eq!([ssid(b"\x00\x09short"), ssid(b"\x00"), ssid(b"")], [None, None, None]);
        let message = [number(IFINDEX, 3), attribute(IFNAME, b"wlan0\0"), number(FREQUENCY, 2412)].concat();
        let expect = Interface { index: 3, name: "wlan0".to_owned(), frequency_mhz: 2412 };
        assert_eq!(parse_interface(&message), Some(expect));
        assert_eq!(parse_interface(&[]), None);
    }

    #[test]
    fn the_kernel_has_wireless_or_not() {
        // Either is fine; an error is not, nor one where devices are listed.
        if let Some(family) = family().unwrap() {
            interfaces(family).unwrap();
        }
    }
}
