//! Wireless devices and the stations they talk to, over nl80211.

mod nl80211;

use std::io;

use exporters::Page;

use self::nl80211::{Interface, Station};
use crate::collector::Collector;
use crate::families::{Family, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

const FREQUENCY: Family = gauge(
    "node_wifi_interface_frequency_hertz",
    "The current frequency a WiFi interface is operating at, in hertz.",
);
const INFO: Family = gauge(
    "node_wifi_station_info",
    "Labeled WiFi interface station information as provided by the operating system.",
);

/// One value of a station.
type Value = fn(&Station) -> f64;

/// What a station's values are called.
#[rustfmt::skip]
const STATION: &[(Value, Family)] = &[
    (|s| s.connected_seconds, counter("node_wifi_station_connected_seconds_total", "The total number of seconds a station has been connected to an access point.")),
    (|s| s.inactive_seconds, gauge("node_wifi_station_inactive_seconds", "The number of seconds since any wireless activity has occurred on a station.")),
    (|s| s.receive_bits, gauge("node_wifi_station_receive_bits_per_second", "The current WiFi receive bitrate of a station, in bits per second.")),
    (|s| s.transmit_bits, gauge("node_wifi_station_transmit_bits_per_second", "The current WiFi transmit bitrate of a station, in bits per second.")),
    (|s| s.received_bytes, counter("node_wifi_station_receive_bytes_total", "The total number of bytes received by a WiFi station.")),
    (|s| s.transmitted_bytes, counter("node_wifi_station_transmit_bytes_total", "The total number of bytes transmitted by a WiFi station.")),
    (|s| s.signal_dbm, gauge("node_wifi_station_signal_dbm", "The current WiFi signal strength, in decibel-milliwatts (dBm).")),
    (|s| s.retries, counter("node_wifi_station_transmit_retries_total", "The total number of times a station has had to retry while sending a packet.")),
    (|s| s.failures, counter("node_wifi_station_transmit_failed_total", "The total number of times a station has failed to send a packet.")),
    (|s| s.beacon_losses, counter("node_wifi_station_beacon_loss_total", "The total number of times a station has detected a beacon loss.")),
    (|s| s.transmitted_packets, counter("node_wifi_station_transmitted_packets_total", "The total number of packets transmitted by a station.")),
    (|s| s.received_packets, counter("node_wifi_station_received_packets_total", "The total number of packets received by a station.")),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(_: &Paths, page: &mut Page) -> Result<(), Fault> {
    let family = match nl80211::family() {
        // No wireless devices, or none that we may see.
        Ok(None) => return Err(Fault::NoData),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(Fault::NoData),
        Ok(Some(family)) => family,
        Err(e) => return Err(Fault::Error(format!("failed to access wifi data: {e}"))),
    };
    let fault = |what: &str, e: io::Error| Fault::Error(format!("failed to retrieve {what}: {e}"));
    let interfaces = nl80211::interfaces(family).map_err(|e| fault("wifi interfaces", e))?;
    for interface in interfaces.iter().filter(|interface| !interface.name.is_empty()) {
        let network = nl80211::network(family, interface.index)
            .map_err(|e| fault(&format!("BSS for device {}", interface.name), e))?;
        let stations = nl80211::stations(family, interface.index)
            .map_err(|e| fault(&format!("station info for device {:?}", interface.name), e))?;
        write(interface, network.as_ref(), &stations, page);
    }
    Ok(())
}

fn write(interface: &Interface, network: Option<&nl80211::Network>, stations: &[Station], page: &mut Page) {
    let device = ("device", interface.name.as_str());
    FREQUENCY.sample(page, &[device], f64::from(interface.frequency_mhz) * 1e6);
    if let Some(network) = network {
        let labels = [("bssid", &*network.bssid), device, ("mode", network.mode), ("ssid", &*network.ssid)];
        INFO.sample(page, &labels, 1.0);
    }
    for station in stations {
        for (value, family) in STATION {
            family.sample(page, &[device, ("mac_address", &station.address)], value(station));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_a_station() {
        let interface = Interface { index: 3, name: "wlan0".to_owned(), frequency_mhz: 2412 };
        let network = nl80211::Network {
            bssid: "00:11:22:33:44:55".to_owned(),
            ssid: "Example".to_owned(),
            mode: "client",
        };
        let station = Station {
            address: "aa:bb:cc:dd:ee:ff".to_owned(),
            signal_dbm: -52.0,
            inactive_seconds: 0.4,
            ..Station::default()
        };
        let mut page = Page::new();
        write(&interface, Some(&network), &[station], &mut page);
        let text = page.render();
        for line in [
            r#"node_wifi_interface_frequency_hertz{device="wlan0"} 2.412e+09"#,
            r#"node_wifi_station_info{bssid="00:11:22:33:44:55",device="wlan0",mode="client",ssid="Example"} 1"#,
            r#"node_wifi_station_signal_dbm{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} -52"#,
            r#"node_wifi_station_inactive_seconds{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 0.4"#,
            r#"node_wifi_station_receive_bytes_total{device="wlan0",mac_address="aa:bb:cc:dd:ee:ff"} 0"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
