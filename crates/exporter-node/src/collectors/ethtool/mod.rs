//! What network drivers say of their devices: modes, versions, counters of their own.

mod answers;
mod kernel;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::LazyLock;

use exporters::{Kind, Page};
use regex::{Captures, Regex};

use self::answers::{Driver, Settings};
use self::kernel::Room;
use crate::collector::Collector;
use crate::families::{Family, gauge, sanitize};
use crate::fault::Fault;
use crate::filter::{self, Filter};
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

const INFO: Family = gauge(
    "node_ethtool_info",
    "A metric with a constant '1' value labeled by bus_info, device, driver, expansion_rom_version, firmware_version, version.",
);
const AUTONEGOTIATE: Family = gauge("node_network_autonegotiate", "If this port is using autonegotiate");
const PORT: Family =
    gauge("node_network_supported_port_info", "Type of ports or PHYs supported by network device");

/// The families of the modes a device supports or advertises: speeds, then one for each bit.
struct Modes {
    speed: Family,
    bits: [(u32, Family); 3],
}

const AUTONEG_BIT: u32 = 6;
const PAUSE_BIT: u32 = 13;
const ASYM_PAUSE_BIT: u32 = 14;

#[rustfmt::skip]
const SUPPORTED: Modes = Modes {
    speed: gauge("node_network_supported_speed_bytes", "Combination of speeds and features supported by network device"),
    bits: [
        (AUTONEG_BIT, gauge("node_network_autonegotiate_supported", "If this port device supports autonegotiate")),
        (PAUSE_BIT, gauge("node_network_pause_supported", "If this port device supports pause frames")),
        (ASYM_PAUSE_BIT, gauge("node_network_asymmetricpause_supported", "If this port device supports asymmetric pause frames")),
    ],
};

#[rustfmt::skip]
const ADVERTISED: Modes = Modes {
    speed: gauge("node_network_advertised_speed_bytes", "Combination of speeds and features offered by network device"),
    bits: [
        (AUTONEG_BIT, gauge("node_network_autonegotiate_advertised", "If this port device offers autonegotiate")),
        (PAUSE_BIT, gauge("node_network_pause_advertised", "If this port device offers pause capability")),
        (ASYM_PAUSE_BIT, gauge("node_network_asymmetricpause_advertised", "If this port device offers asymmetric pause capability")),
    ],
};

/// Bit of a kind of port and its name.
const PORTS: &[(u32, &str)] =
    &[(7, "TP"), (8, "AUI"), (9, "MII"), (10, "FIBRE"), (11, "BNC"), (16, "Backplane")];

/// Bit, Mbit/s, duplex and medium of a mode. Those beyond bit 31 do not fit into the old command, which the original uses too.
#[rustfmt::skip]
const SPEEDS: &[(u32, u32, &str, &str)] = &[
    (0, 10, "half", "T"), (1, 10, "full", "T"), (2, 100, "half", "T"), (3, 100, "full", "T"),
    (4, 1000, "half", "T"), (5, 1000, "full", "T"), (12, 10_000, "full", "T"), (17, 1000, "full", "KX"),
    (18, 10_000, "full", "KX4"), (19, 10_000, "full", "KR"), (20, 10_000, "full", "R_FEC"),
    (21, 20_000, "full", "MLD2"), (22, 20_000, "full", "KR2"), (23, 40_000, "full", "KR4"),
    (24, 40_000, "full", "CR4"), (25, 40_000, "full", "SR4"), (26, 40_000, "full", "LR4"),
    (27, 56_000, "full", "KR4"), (28, 56_000, "full", "CR4"), (29, 56_000, "full", "SR4"),
    (30, 56_000, "full", "LR4"), (31, 25_000, "full", "CR"),
];

const BYTES_OF_MBIT: f64 = 1e6 / 8.0;

/// Counters that all drivers mean the same by: theirs and our name, help text.
#[rustfmt::skip]
const KNOWN: &[(&str, &str, &str)] = &[
    ("rx_bytes", "node_ethtool_received_bytes_total", "Network interface bytes received"),
    ("rx_dropped", "node_ethtool_received_dropped_total", "Number of received frames dropped"),
    ("rx_errors", "node_ethtool_received_errors_total", "Number of received frames with errors"),
    ("rx_packets", "node_ethtool_received_packets_total", "Network interface packets received"),
    ("tx_bytes", "node_ethtool_transmitted_bytes_total", "Network interface bytes sent"),
    ("tx_errors", "node_ethtool_transmitted_errors_total", "Number of sent frames with errors"),
    ("tx_packets", "node_ethtool_transmitted_packets_total", "Network interface packets sent"),
];

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let devices = Filter::of(flags, "collector.ethtool.device-exclude", "collector.ethtool.device-include")?;
    let metrics = filter::pattern(flags, "collector.ethtool.metrics-include")?;
    Ok(Box::new(move |paths: &Paths, page: &mut Page| update(&devices, &metrics, paths, page)))
}

fn update(devices: &Filter, metrics: &Regex, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let class = paths.sys("class/net");
    let mut names = read::names(&class)?;
    // Such as bonding_masters.
    names.retain(|name| !fs::symlink_metadata(class.join(name)).is_ok_and(|m| m.is_file()));
    if names.is_empty() {
        return Err(Fault::Error("no network devices found".to_owned()));
    }
    let mut room = Room::new().map_err(|e| Fault::Error(format!("room for ethtool: {e}")))?;
    for device in names.iter().filter(|name| !devices.ignores(name)) {
        if let Some(settings) = told(device, "link info", answers::settings(&mut room, device)) {
            write_settings(device, &settings, page);
        }
        if let Some(driver) = told(device, "driver info", answers::driver(&mut room, device)) {
            write_driver(device, &driver, page);
        }
        if let Some(stats) = told(device, "stats", answers::stats(&mut room, device)) {
            write_stats(device, &stats, metrics, page);
        }
    }
    Ok(())
}

/// Most virtual devices say nothing, which is no fault.
fn told<T>(device: &str, what: &str, answer: io::Result<T>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            tracing::debug!(device, %error, "ethtool {what} error");
            None
        }
        Err(error) => {
            tracing::error!(device, %error, "ethtool {what} error");
            None
        }
    }
}

fn write_settings(device: &str, settings: &Settings, page: &mut Page) {
    let own = [("device", device)];
    for (modes, bits) in [(&SUPPORTED, settings.supported), (&ADVERTISED, settings.advertised)] {
        let has = |bit: u32| bits & (1 << bit) != 0;
        for (bit, mbit, duplex, medium) in SPEEDS.iter().filter(|(bit, ..)| has(*bit)) {
            debug_assert!(*bit < u32::BITS);
            let mode = format!("{mbit}base{medium}");
            let labels = [("device", device), ("duplex", *duplex), ("mode", &*mode)];
            modes.speed.sample(page, &labels, f64::from(*mbit) * BYTES_OF_MBIT);
        }
        for (bit, family) in &modes.bits {
            family.sample(page, &own, f64::from(u8::from(has(*bit))));
        }
    }
    for (bit, port) in PORTS {
        if settings.supported & (1 << bit) != 0 {
            PORT.sample(page, &[("device", device), ("type", port)], 1.0);
        }
    }
    AUTONEGOTIATE.sample(page, &own, f64::from(settings.autonegotiation));
}

fn write_driver(device: &str, driver: &Driver, page: &mut Page) {
    let labels = [
        ("bus_info", &*driver.bus_info),
        ("device", device),
        ("driver", &*driver.driver),
        ("expansion_rom_version", &*driver.expansion_rom_version),
        ("firmware_version", &*driver.firmware_version),
        ("version", &*driver.version),
    ];
    INFO.sample(page, &labels, 1.0);
}

fn write_stats(device: &str, stats: &[(String, u64)], wanted: &Regex, page: &mut Page) {
    // Of counters whose names become the same, none.
    let mut families: BTreeMap<String, Option<(String, u64)>> = BTreeMap::new();
    for (name, value) in stats {
        let name = sanitize(name);
        if wanted.is_match(&name) {
            families
                .entry(family_name(&name))
                .and_modify(|other| *other = None)
                .or_insert(Some((name, *value)));
        }
    }
    for (family, counter) in families {
        let Some((name, value)) = counter else {
            tracing::debug!(device, family, "dropping duplicate metric name");
            continue;
        };
        let known = KNOWN.iter().find(|(theirs, ..)| *theirs == name);
        let help = known.map_or_else(|| format!("Network interface {name}"), |(.., help)| (*help).to_owned());
        let family = known.map_or(family.as_str(), |(_, ours, _)| ours);
        page.family(family, &help, Kind::Untyped).sample(&[("device", device)], value as f64);
    }
}

/// `rx_xdp_tx` becomes `received_xdp_transmitted`.
fn family_name(name: &str) -> String {
    static RX: LazyLock<Regex> = LazyLock::new(|| Regex::new("(^|_)rx(_|$)").expect("a valid expression"));
    static TX: LazyLock<Regex> = LazyLock::new(|| Regex::new("(^|_)tx(_|$)").expect("a valid expression"));
    let name = name.to_lowercase();
    let name = name.trim_start_matches('_');
    let spelled =
        |word: &'static str| move |found: &Captures<'_>| format!("{}{word}{}", &found[1], &found[2]);
    let name = RX.replace_all(name, spelled("received"));
    format!("node_ethtool_{}", TX.replace_all(&name, spelled("transmitted")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn names_are_spelled_out() {
        for (name, expect) in [
            ("rx_bytes", "received_bytes"),
            ("rx_xdp_tx", "received_xdp_transmitted"),
            ("tx_tx_timeouts", "transmitted_tx_timeouts"),
            ("rx0_drops", "rx0_drops"),
            ("_Port_RX", "port_received"),
        ] {
            assert_eq!(family_name(name), format!("node_ethtool_{expect}"));
        }
    }

    #[test]
    fn counters_known_unknown_unwanted_and_twice() {
        let stats = [("rx_bytes", 1), ("align errors", 2), ("tx_a", 3), ("tx-a", 4), ("other", 5)]
            .map(|(name, value)| (name.to_owned(), value));
        let mut page = Page::new();
        write_stats("eth0", &stats, &Regex::new("bytes|align|tx").unwrap(), &mut page);
        let expect = "# HELP node_ethtool_align_errors Network interface align_errors\n\
                      # TYPE node_ethtool_align_errors untyped\nnode_ethtool_align_errors{device=\"eth0\"} 2\n\
                      # HELP node_ethtool_received_bytes_total Network interface bytes received\n\
                      # TYPE node_ethtool_received_bytes_total untyped\n\
                      node_ethtool_received_bytes_total{device=\"eth0\"} 1\n";
        assert_eq!(page.render(), expect);
    }

    #[test]
    fn modes_are_bits() {
        let settings =
            Settings { supported: 0b1111 | 1 << 7, advertised: 1 << 6 | 1 << 31, autonegotiation: 1 };
        let mut page = Page::new();
        write_settings("eth0", &settings, &mut page);
        let text = page.render();
        for line in [
            r#"node_network_supported_speed_bytes{device="eth0",duplex="half",mode="10baseT"} 1.25e+06"#,
            r#"node_network_supported_speed_bytes{device="eth0",duplex="full",mode="100baseT"} 1.25e+07"#,
            r#"node_network_advertised_speed_bytes{device="eth0",duplex="full",mode="25000baseCR"} 3.125e+09"#,
            r#"node_network_supported_port_info{device="eth0",type="TP"} 1"#,
            r#"node_network_autonegotiate_supported{device="eth0"} 0"#,
            r#"node_network_autonegotiate_advertised{device="eth0"} 1"#,
            r#"node_network_autonegotiate{device="eth0"} 1"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn devices_of_the_tree_are_asked() {
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        let none = Tree::new(&[("sys/class/net/bonding_masters", "")]).collect(make, &[]).1;
        assert_eq!(none, Err(Fault::Error("no network devices found".to_owned())));
        // Not one of this host, most likely.
        let tree = Tree::new(&[("sys/class/net/absent0/", "")]);
        assert_eq!(tree.samples(make, &[]), "");
    }
}
