//! A device's counters: the kernel's names, and the names of `/proc/net/dev` that dashboards know.

use std::path::Path;

use crate::fault::Fault;
use crate::netlink;
use crate::read;

/// A device and its counters, in the order of [`NAMES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) name: String,
    values: [u64; NAMES.len()],
}

/// Where counters came from: `/proc/net/dev` has sums of some, and knows no `nohandler`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Netlink,
    Proc,
}

/// The fields of `struct rtnl_link_stats64` that are exposed, in its order.
const NAMES: [&str; 24] = [
    "receive_packets",
    "transmit_packets",
    "receive_bytes",
    "transmit_bytes",
    "receive_errors",
    "transmit_errors",
    "receive_dropped",
    "transmit_dropped",
    "multicast",
    "collisions",
    "receive_length_errors",
    "receive_over_errors",
    "receive_crc_errors",
    "receive_frame_errors",
    "receive_fifo_errors",
    "receive_missed_errors",
    "transmit_aborted_errors",
    "transmit_carrier_errors",
    "transmit_fifo_errors",
    "transmit_heartbeat_errors",
    "transmit_window_errors",
    "receive_compressed",
    "transmit_compressed",
    "receive_nohandler",
];

/// The families without `--collector.netdev.enable-detailed-metrics`, and what each is the sum of: as the kernel itself adds them up for
/// `/proc/net/dev`.
pub(super) const LEGACY: [(&str, &[&str]); 17] = [
    ("receive_bytes", &["receive_bytes"]),
    ("receive_compressed", &["receive_compressed"]),
    ("receive_drop", &["receive_dropped", "receive_missed_errors"]),
    ("receive_errs", &["receive_errors"]),
    ("receive_fifo", &["receive_fifo_errors"]),
    (
        "receive_frame",
        &["receive_frame_errors", "receive_length_errors", "receive_over_errors", "receive_crc_errors"],
    ),
    ("receive_multicast", &["multicast"]),
    ("receive_nohandler", &["receive_nohandler"]),
    ("receive_packets", &["receive_packets"]),
    ("transmit_bytes", &["transmit_bytes"]),
    (
        "transmit_carrier",
        &[
            "transmit_carrier_errors",
            "transmit_aborted_errors",
            "transmit_heartbeat_errors",
            "transmit_window_errors",
        ],
    ),
    ("transmit_colls", &["collisions"]),
    ("transmit_compressed", &["transmit_compressed"]),
    ("transmit_drop", &["transmit_dropped"]),
    ("transmit_errs", &["transmit_errors"]),
    ("transmit_fifo", &["transmit_fifo_errors"]),
    ("transmit_packets", &["transmit_packets"]),
];

/// The columns of `/proc/net/dev`, each with the counter of [`NAMES`] that it stands for, and what upstream calls it in detail.
const COLUMNS: [(&str, &str); 16] = [
    ("receive_bytes", "receive_bytes"),
    ("receive_packets", "receive_packets"),
    ("receive_errors", "receive_errors"),
    ("receive_dropped", "receive_dropped"),
    ("receive_fifo_errors", "receive_fifo"),
    ("receive_frame_errors", "receive_frame"),
    ("receive_compressed", "receive_compressed"),
    ("multicast", "receive_multicast"),
    ("transmit_bytes", "transmit_bytes"),
    ("transmit_packets", "transmit_packets"),
    ("transmit_errors", "transmit_errors"),
    ("transmit_dropped", "transmit_dropped"),
    ("transmit_fifo_errors", "transmit_fifo"),
    ("collisions", "transmit_colls"),
    ("transmit_carrier_errors", "transmit_carrier"),
    ("transmit_compressed", "transmit_compressed"),
];

impl Counters {
    fn get(&self, name: &str) -> u64 {
        NAMES.iter().position(|n| *n == name).map_or(0, |place| self.values[place])
    }

    /// The sum of counters; nothing where the source does not have them.
    pub(super) fn sum(&self, source: Source, names: &[&str]) -> Option<u64> {
        if source == Source::Proc && names == ["receive_nohandler"] {
            return None;
        }
        Some(names.iter().fold(0, |sum: u64, name| sum.wrapping_add(self.get(name))))
    }

    /// Each counter there is.
    pub(super) fn detailed(&self, source: Source) -> Vec<(&'static str, u64)> {
        match source {
            Source::Netlink => NAMES.iter().copied().zip(self.values).collect(),
            Source::Proc => COLUMNS.iter().map(|(name, shown)| (*shown, self.get(name))).collect(),
        }
    }
}

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const IFLA_IFNAME: u16 = 3;
const IFLA_STATS: u16 = 7;
const IFLA_STATS64: u16 = 23;
/// `struct ifinfomsg`, before the attributes.
const LINK_HEADER_BYTES: usize = 16;

/// All devices of the network namespace.
pub(super) fn from_netlink() -> Result<Vec<Counters>, Fault> {
    let mut devices = Vec::new();
    let mut each = |kind, message: &[u8]| {
        if kind == RTM_NEWLINK {
            devices.extend(link(message));
        }
    };
    netlink::dump(netlink::ROUTE, RTM_GETLINK, &[0; LINK_HEADER_BYTES], &mut each).map_err(|e| {
        Fault::Error(format!("network devices over netlink: {e} (--no-collector.netdev.netlink reads /proc)"))
    })?;
    Ok(devices)
}

fn link(message: &[u8]) -> Option<Counters> {
    let (mut name, mut values, mut wide) = (None, None, false);
    for (kind, value) in netlink::attributes(message.get(LINK_HEADER_BYTES..)?) {
        match kind {
            IFLA_IFNAME => {
                let text = value.split(|b| *b == 0).next().unwrap_or_default();
                name = Some(String::from_utf8_lossy(text).into_owned());
            }
            IFLA_STATS64 => {
                values = Some(read_all(|i| netlink::u64_at(value, 8 * i)));
                wide = true;
            }
            IFLA_STATS if !wide => {
                values = Some(read_all(|i| netlink::u32_at(value, 4 * i).map(u64::from)));
            }
            _ => {}
        }
    }
    Some(Counters { name: name?, values: values? })
}

/// Kernels older than a field leave it out at the end.
fn read_all(field: impl Fn(usize) -> Option<u64>) -> [u64; NAMES.len()] {
    std::array::from_fn(|i| field(i).unwrap_or(0))
}

/// All devices of `/proc/net/dev`.
pub(super) fn from_proc(path: &Path, text: &str) -> Result<Vec<Counters>, Fault> {
    let mut devices = Vec::new();
    for line in text.lines().skip(2) {
        let garbage = || Fault::garbage(path, format_args!("line {:?}", read::shortened(line)));
        // A name may hold a colon, of an alias.
        let (name, numbers) = line.rsplit_once(':').ok_or_else(garbage)?;
        let numbers: Option<Vec<u64>> = numbers.split_whitespace().map(|n| n.parse().ok()).collect();
        let numbers = numbers.filter(|n| n.len() == COLUMNS.len()).ok_or_else(garbage)?;
        let mut values = [0; NAMES.len()];
        for ((column, _), number) in COLUMNS.iter().zip(numbers) {
            if let Some(place) = NAMES.iter().position(|n| n == column) {
                values[place] = number;
            }
        }
        devices.push(Counters { name: name.trim().to_owned(), values });
    }
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_of_the_kernels() {
        let used = LEGACY.iter().flat_map(|(_, parts)| parts.iter()).chain(COLUMNS.iter().map(|(n, _)| n));
        for name in used {
            assert!(NAMES.contains(name), "{name}");
        }
    }

    #[test]
    fn the_loopback_device_is_there_over_netlink() {
        let devices = from_netlink().unwrap();
        let lo = devices.iter().find(|d| d.name == "lo").unwrap();
        // What the loopback device sends it receives.
        assert_eq!(lo.get("receive_bytes"), lo.get("transmit_bytes"));
    }

    #[test]
    fn links_tell_wide_counters_before_narrow_ones() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
            bytes.extend_from_slice(&kind.to_ne_bytes());
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let wide: Vec<u8> = (0..24_u64).flat_map(|n| (n + (1 << 40)).to_ne_bytes()).collect();
        let narrow: Vec<u8> = (0..23_u32).flat_map(u32::to_ne_bytes).collect();
        let mut message = vec![0; LINK_HEADER_BYTES];
        message.extend(attribute(IFLA_IFNAME, b"eth0\0"));
        message.extend(attribute(IFLA_STATS, &narrow));
        let link_of = |message: &[u8]| link(message).unwrap();
        assert_eq!(link_of(&message).sum(Source::Netlink, &["receive_frame_errors", "collisions"]), Some(22));
        assert_eq!(link_of(&message).get("receive_nohandler"), 0);
        message.extend(attribute(IFLA_STATS64, &wide));
        assert_eq!(link_of(&message).get("receive_nohandler"), 23 + (1 << 40));
        assert_eq!(link_of(&message).name, "eth0");
        assert_eq!(link(&message[..LINK_HEADER_BYTES]), None);
    }

    #[test]
    fn reads_proc() {
        let text = "Inter-|\n face |\n    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\nx:1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let path = Path::new("dev");
        let devices = from_proc(path, text).unwrap();
        assert_eq!((devices[0].name.as_str(), devices[1].name.as_str()), ("lo", "x:1"));
        let lo = &devices[0];
        let legacy = |key: &str| {
            let (_, parts) = LEGACY.iter().find(|(k, _)| *k == key).unwrap();
            lo.sum(Source::Proc, parts)
        };
        assert_eq!(
            [legacy("receive_drop"), legacy("receive_frame"), legacy("receive_multicast")],
            [Some(4), Some(6), Some(8)]
        );
        assert_eq!(
            [legacy("transmit_colls"), legacy("transmit_carrier"), legacy("receive_nohandler")],
            [Some(14), Some(15), None]
        );
        for wrong in ["a\nb\nlo 1", "a\nb\nlo: 1 2", "a\nb\nlo: x 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"] {
            assert!(from_proc(path, wrong).is_err(), "{wrong}");
        }
    }
}
