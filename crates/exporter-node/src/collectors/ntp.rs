//! What a local NTP daemon answers. The original calls it deprecated.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;

const STRATUM: Family = gauge("node_ntp_stratum", "NTPD stratum.");
const LEAP: Family = gauge("node_ntp_leap", "NTPD leap second indicator, 2 bits.");
const RTT: Family = gauge("node_ntp_rtt_seconds", "RTT to NTPD.");
const OFFSET: Family = gauge("node_ntp_offset_seconds", "ClockOffset between NTP and local clock.");
const REFERENCE: Family =
    gauge("node_ntp_reference_timestamp_seconds", "NTPD ReferenceTime, UNIX timestamp.");
const ROOT_DELAY: Family = gauge("node_ntp_root_delay_seconds", "NTPD RootDelay.");
const ROOT_DISPERSION: Family = gauge("node_ntp_root_dispersion_seconds", "NTPD RootDispersion.");
const SANITY: Family =
    gauge("node_ntp_sanity", "NTPD sanity according to RFC5905 heuristics and configured limits.");

const PACKET_BYTES: usize = 48;
const TIMEOUT: Duration = Duration::from_secs(1);

/// Seconds from 1900, when NTP's first era begins, to 1970.
const ERA_TO_1970: f64 = 2_208_988_800.0;

const DAY: f64 = 86_400.0;

struct Ntp {
    server: SocketAddr,
    version: u8,
    ttl: u32,
    max_distance: f64,
    tolerance: f64,
    /// The end of a day with a leap second, in Unix time.
    leap_midnight: f64,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let host = flags.get("collector.ntp.server");
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if !flags.is_on("collector.ntp.server-is-local") && !is_loopback {
        return Err("only IP address of local NTP server is valid for --collector.ntp.server".to_owned());
    }
    let text = flags.get("collector.ntp.protocol-version");
    let version = text.parse().ok().filter(|v| (2..=4).contains(v));
    let version =
        version.ok_or_else(|| format!("invalid NTP protocol version {text}; must be 2, 3, or 4"))?;
    let text = flags.get("collector.ntp.server-port");
    let port: Option<u16> = text.parse().ok().filter(|port| *port > 0);
    let port =
        port.ok_or_else(|| format!("invalid NTP port number {text}; must be between 1 and 65535 inclusive"))?;
    let text = flags.get("collector.ntp.ip-ttl");
    let ttl = text.parse().map_err(|_| format!("--collector.ntp.ip-ttl: {text:?} is no number"))?;
    let addresses =
        (host, port).to_socket_addrs().map_err(|e| format!("--collector.ntp.server: {host}: {e}"))?;
    let server = { addresses }.next().ok_or_else(|| format!("--collector.ntp.server: {host}: no address"))?;
    tracing::warn!("the ntp collector is deprecated and will be removed in the next major version release.");
    Ok(Box::new(Ntp {
        server,
        version,
        ttl,
        max_distance: duration(flags, "collector.ntp.max-distance")?,
        tolerance: duration(flags, "collector.ntp.local-offset-tolerance")?,
        leap_midnight: f64::NEG_INFINITY,
    }))
}

/// A flag's seconds: `3.46608s`, `1m30s`, with fractions as Go has them.
fn duration(flags: &Flags, name: &str) -> Result<f64, String> {
    let text = flags.get(name);
    seconds(text).ok_or_else(|| format!("--{name}: {text:?} is no duration; write it as 500ms or 3.5s"))
}

fn seconds(text: &str) -> Option<f64> {
    const UNITS: &[(&str, f64)] =
        &[("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let len = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        sum += number * UNITS.iter().find(|(unit, _)| *unit == &rest[..len])?.1;
        rest = &rest[len..];
    }
    (!text.is_empty()).then_some(sum)
}

impl Collector for Ntp {
    fn update(&mut self, _: &Paths, page: &mut Page) -> Result<(), Fault> {
        let reply = self.ask().map_err(|e| Fault::Error(format!("couldn't get SNTP reply: {e}")))?;
        let sane = self.is_sane(&reply);
        STRATUM.sample(page, &[], f64::from(reply.stratum));
        LEAP.sample(page, &[], f64::from(reply.leap));
        RTT.sample(page, &[], reply.rtt());
        OFFSET.sample(page, &[], reply.offset());
        REFERENCE.sample(page, &[], reply.reference.max(0.0));
        ROOT_DELAY.sample(page, &[], reply.root_delay);
        ROOT_DISPERSION.sample(page, &[], reply.root_dispersion);
        SANITY.sample(page, &[], f64::from(u8::from(sane)));
        Ok(())
    }
}

impl Ntp {
    fn ask(&self) -> io::Result<Reply> {
        let local: SocketAddr =
            if self.server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(local)?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.set_ttl(self.ttl)?;
        socket.connect(self.server)?;
        const CLIENT: u8 = 3;
        let mut packet = [0; PACKET_BYTES];
        packet[0] = self.version << 3 | CLIENT;
        let sent = now();
        // The server repeats it, which tells its answer from others.
        let cookie = sent.to_bits();
        packet[40..48].copy_from_slice(&cookie.to_be_bytes());
        socket.send(&packet)?;
        let mut answer = [0; PACKET_BYTES];
        let len = socket.recv(&mut answer)?;
        Reply::parse(&answer[..len], cookie, sent, now()).map_err(io::Error::other)
    }

    /// By what RFC 5905 has a client check, and the user's limits.
    fn is_sane(&mut self, reply: &Reply) -> bool {
        if matches!(reply.leap, 1 | 2) {
            self.leap_midnight = ((reply.transmitted / DAY).floor() + 1.0) * DAY;
        }
        let near_leap = (reply.transmitted - self.leap_midnight).abs() < DAY;
        let tolerance = self.tolerance + if near_leap { 1.0 } else { 0.0 };
        let distance = (reply.rtt() + reply.root_delay) / 2.0 + reply.root_dispersion;
        reply.is_valid() && distance <= self.max_distance && reply.least_error() <= tolerance
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

/// An answer; times in seconds since 1970.
#[derive(Debug, Clone, PartialEq)]
struct Reply {
    leap: u8,
    stratum: u8,
    root_delay: f64,
    root_dispersion: f64,
    reference: f64,
    /// When the question was sent and received, the answer sent and received.
    sent: f64,
    received: f64,
    transmitted: f64,
    arrived: f64,
}

impl Reply {
    fn parse(packet: &[u8], cookie: u64, sent: f64, arrived: f64) -> Result<Self, &'static str> {
        const SERVER: u8 = 4;
        let packet: &[u8; PACKET_BYTES] = packet.try_into().map_err(|_| "a packet that is too short")?;
        let word =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let long = |at: usize| u64::from(word(at)) << 32 | u64::from(word(at + 4));
        if packet[0] & 7 != SERVER {
            return Err("invalid mode in response");
        }
        if long(40) == 0 {
            return Err("invalid transmit time in response");
        }
        if long(24) != cookie {
            return Err("server response mismatch");
        }
        if long(32) > long(40) {
            return Err("server clock ticked backwards");
        }
        let time = |at: usize| long(at) as f64 / 2_f64.powi(32) - ERA_TO_1970;
        let short = |at: usize| f64::from(word(at)) / 65536.0;
        Ok(Self {
            leap: packet[0] >> 6,
            stratum: packet[1],
            root_delay: short(4),
            root_dispersion: short(8),
            reference: time(16),
            sent,
            received: time(32),
            transmitted: time(40),
            arrived,
        })
    }

    fn rtt(&self) -> f64 {
        ((self.arrived - self.sent) - (self.transmitted - self.received)).max(0.0)
    }

    fn offset(&self) -> f64 {
        ((self.received - self.sent) + (self.transmitted - self.arrived)) / 2.0
    }

    /// The least that the clocks differ, whatever the way there and back took.
    fn least_error(&self) -> f64 {
        (self.sent - self.received).max(self.transmitted - self.arrived).max(0.0)
    }

    fn is_valid(&self) -> bool {
        const MAX_STRATUM: u8 = 16;
        const MAX_POLL_SECONDS: f64 = 131_072.0;
        const MAX_DISPERSION_SECONDS: f64 = 16.0;
        const NOT_IN_SYNC: u8 = 3;
        let age = self.transmitted - self.reference;
        (1..MAX_STRATUM).contains(&self.stratum)
            && (0.0..=MAX_POLL_SECONDS).contains(&age)
            && self.root_delay / 2.0 + self.root_dispersion <= MAX_DISPERSION_SECONDS
            && self.leap != NOT_IN_SYNC
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Tree, flags_of};

    const FLAGS: [(&str, &str); 6] = [
        ("collector.ntp.server", "127.0.0.1"),
        ("collector.ntp.server-port", "123"),
        ("collector.ntp.protocol-version", "4"),
        ("collector.ntp.ip-ttl", "1"),
        ("collector.ntp.max-distance", "3.46608s"),
        ("collector.ntp.local-offset-tolerance", "1ms"),
    ];

    fn reply() -> Reply {
        let time = 1_700_000_000.0;
        Reply {
            leap: 0,
            stratum: 2,
            root_delay: 0.01,
            root_dispersion: 0.02,
            reference: time - 60.0,
            sent: time,
            received: time + 0.25,
            transmitted: time + 0.5,
            arrived: time + 1.0,
        }
    }

    #[test]
    fn times_there_and_back() {
        assert_eq!([reply().rtt(), reply().offset(), reply().least_error()], [0.75, -0.125, 0.0]);
        assert!(reply().is_valid());
        for bad in [
            Reply { stratum: 0, ..reply() },
            Reply { stratum: 16, ..reply() },
            Reply { leap: 3, ..reply() },
            Reply { root_dispersion: 17.0, ..reply() },
            Reply { reference: 0.0, ..reply() },
            Reply { reference: reply().transmitted + 1.0, ..reply() },
        ] {
            assert!(!bad.is_valid(), "{bad:?}");
        }
    }

    #[test]
    fn durations() {
        for (text, expect) in
            [("3.46608s", Some(3.46608)), ("1ms", Some(0.001)), ("1m30s", Some(90.0)), ("0s", Some(0.0))]
        {
            assert_eq!(seconds(text), expect, "{text}");
        }
        for bad in ["", "1", "s", "1x", "-1s", "1.2.3s"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn packets_that_are_no_answer() {
        let mut packet = [0; PACKET_BYTES];
        let check = |packet: &[u8]| Reply::parse(packet, 7, 0.0, 0.0).map(|_| ());
        assert!(check(&packet[1..]).is_err());
        assert_eq!(check(&packet), Err("invalid mode in response"));
        packet[0] = 4;
        assert_eq!(check(&packet), Err("invalid transmit time in response"));
        packet[40] = 1;
        assert_eq!(check(&packet), Err("server response mismatch"));
        packet[31] = 7;
        assert_eq!(check(&packet), Ok(()));
        packet[32] = 2;
        assert_eq!(check(&packet), Err("server clock ticked backwards"));
    }

    #[test]
    fn flags_that_make_no_sense() {
        for (name, value) in [
            ("collector.ntp.server", "192.0.2.1"),
            ("collector.ntp.server", "localhost"),
            ("collector.ntp.server-port", "0"),
            ("collector.ntp.protocol-version", "5"),
            ("collector.ntp.ip-ttl", "x"),
            ("collector.ntp.max-distance", ""),
        ] {
            let flags = FLAGS.map(|(n, v)| (n, if n == name { value } else { v }));
            assert!(make(&flags_of(&flags)).is_err(), "{name} {value}");
        }
        assert!(make(&flags_of(&FLAGS)).is_ok());
    }

    #[test]
    fn a_daemon_on_loopback() {
        let daemon = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        daemon.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let port = daemon.local_addr().unwrap().port().to_string();
        let answering = std::thread::spawn(move || {
            let mut packet = [0; PACKET_BYTES];
            let (_, from) = daemon.recv_from(&mut packet).unwrap();
            assert_eq!(packet[0], 4 << 3 | 3);
            let cookie: [u8; 8] = packet[40..48].try_into().unwrap();
            let time = (((now() + ERA_TO_1970) * 2_f64.powi(32)) as u64).to_be_bytes();
            packet[0] = 4 << 3 | 4;
            packet[1] = 3;
            packet[24..32].copy_from_slice(&cookie);
            for at in [16, 32, 40] {
                packet[at..at + 8].copy_from_slice(&time);
            }
            daemon.send_to(&packet, from).unwrap();
        });
        let flags = FLAGS.map(|(n, v)| (n, if n == "collector.ntp.server-port" { port.as_str() } else { v }));
        let text = Tree::new(&[]).samples(make, &flags);
        answering.join().unwrap();
        assert!(text.contains("node_ntp_stratum 3\n") && text.contains("node_ntp_sanity 1\n"), "{text}");
        let value = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap();
            line.trim().parse::<f64>().unwrap()
        };
        assert!(value("node_ntp_rtt_seconds").abs() < 5.0 && value("node_ntp_offset_seconds").abs() < 5.0);
    }
}
