//! The kernel's load balancer: `/proc/net/ip_vs_stats` and the backends of `/proc/net/ip_vs`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

const TOTALS: &[Family] = &[
    counter("node_ipvs_connections_total", "The total number of connections made."),
    counter("node_ipvs_incoming_packets_total", "The total number of incoming packets."),
    counter("node_ipvs_outgoing_packets_total", "The total number of outgoing packets."),
    counter("node_ipvs_incoming_bytes_total", "The total amount of incoming data."),
    counter("node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."),
];
const ACTIVE: Family = gauge(
    "node_ipvs_backend_connections_active",
    "The current active connections by local and remote address.",
);
const INACTIVE: Family = gauge(
    "node_ipvs_backend_connections_inactive",
    "The current inactive connections by local and remote address.",
);
const WEIGHT: Family =
    gauge("node_ipvs_backend_weight", "The current backend weight by local and remote address.");

/// Labels a user may choose from; sorted.
const LABELS: &[&str] =
    &["local_address", "local_mark", "local_port", "proto", "remote_address", "remote_port"];

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let labels = labels(flags.get("collector.ipvs.backend-labels"))?;
    Ok(Box::new(move |paths: &Paths, page: &mut Page| update(&labels, paths, page)))
}

/// Indexes into [`LABELS`].
fn labels(list: &str) -> Result<Vec<usize>, String> {
    let mut chosen: Vec<&str> = list.split(',').filter(|l| !l.is_empty()).collect();
    let indexes = (0..LABELS.len()).filter(|i| chosen.contains(&LABELS[*i])).collect();
    chosen.retain(|label| !LABELS.contains(label));
    if chosen.is_empty() {
        return Ok(indexes);
    }
    chosen.sort_unstable();
    chosen.dedup();
    Err(format!("unknown IPVS backend labels: {:?}", chosen.join(", ")))
}

fn update(labels: &[usize], paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("net/ip_vs_stats");
    let text = read::text(&path)?;
    let line = text.lines().nth(2).unwrap_or_default();
    let totals: Option<Vec<u64>> = line.split_whitespace().map(|w| u64::from_str_radix(w, 16).ok()).collect();
    let totals = totals
        .filter(|t| t.len() == TOTALS.len())
        .ok_or_else(|| Fault::garbage(&path, format_args!("third line {line:?}")))?;
    for (family, value) in TOTALS.iter().zip(totals) {
        family.sample(page, &[], value as f64);
    }

    let path = paths.proc("net/ip_vs");
    // Backends that the chosen labels do not tell apart count together.
    let mut sums: BTreeMap<Vec<String>, [u64; 3]> = BTreeMap::new();
    for backend in backends(&read::text(&path)?).map_err(|line| Fault::garbage(&path, line))? {
        let key = labels.iter().map(|i| backend.labels[*i].clone()).collect();
        let sum = sums.entry(key).or_default();
        for (total, value) in sum.iter_mut().zip(backend.values) {
            *total = total.wrapping_add(value);
        }
    }
    for (values, [active, inactive, weight]) in &sums {
        let labels: Vec<(&str, &str)> =
            labels.iter().zip(values).map(|(i, value)| (LABELS[*i], value.as_str())).collect();
        ACTIVE.sample(page, &labels, *active as f64);
        INACTIVE.sample(page, &labels, *inactive as f64);
        WEIGHT.sample(page, &labels, *weight as f64);
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Backend {
    /// In the order of [`LABELS`].
    labels: [String; 6],
    /// Active and inactive connections, weight.
    values: [u64; 3],
}

/// A service is a line, `TCP C0A80016:0CEA wlc` or `FWM 10001000 wlc`, and each of its backends one after it.
fn backends(text: &str) -> Result<Vec<Backend>, String> {
    let mut backends = Vec::new();
    let (mut proto, mut mark, mut local) = ("", "", (String::new(), 0));
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let malformed = || format!("{line:?}");
        match words[..] {
            ["IP" | "Prot", ..] | [_, "RemoteAddress:Port", ..] | [] => {}
            ["TCP" | "UDP", address, ..] => {
                proto = words[0];
                mark = "";
                local = address_and_port(address).ok_or_else(malformed)?;
            }
            ["FWM", fwmark, ..] => {
                proto = "FWM";
                mark = fwmark;
                local = (String::new(), 0);
            }
            ["->", remote, _, weight, active, inactive, ..] => {
                let (address, port) = address_and_port(remote).ok_or_else(malformed)?;
                let number = |word: &str| word.parse::<u64>().map_err(|_| malformed());
                backends.push(Backend {
                    labels: [
                        local.0.clone(),
                        mark.to_owned(),
                        local.1.to_string(),
                        proto.to_owned(),
                        address,
                        port.to_string(),
                    ],
                    values: [number(active)?, number(inactive)?, number(weight)?],
                });
            }
            _ => {}
        }
    }
    Ok(backends)
}

/// `C0A80016:0CEA` or `[2620:0000:0000:0000:0000:0000:0000:0001]:0050`.
fn address_and_port(text: &str) -> Option<(String, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let address: IpAddr = match (address.len(), address.strip_prefix('[')) {
        (8, None) => Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?).into(),
        (_, Some(inner)) => inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into(),
        _ => return None,
    };
    (port.len() == 4).then(|| u16::from_str_radix(port, 16).ok().map(|port| (address.to_string(), port)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const STATS: &str = "   Total Incoming Outgoing         Incoming         Outgoing\n   \
        Conns  Packets  Packets            Bytes            Bytes\n 16AA370 E33656E5        0     51D8C8883AB3        0\n\n";
    const TABLE: &str = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  \
        -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  C0A80016:0CEA wlc\n  \
        -> C0A85216:0CEA      Tunnel  100    248        2\n  -> C0A85318:0CEA      Tunnel  100    248        1\n\
        FWM  10001000 wlc\n  -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050      Route   20     64         5\n";
    const ALL: &str = "local_address,local_port,remote_address,remote_port,proto,local_mark";

    #[test]
    fn totals_and_backends() {
        let tree = Tree::new(&[("proc/net/ip_vs_stats", STATS), ("proc/net/ip_vs", TABLE)]);
        let text = tree.samples(make, &[("collector.ipvs.backend-labels", ALL)]);
        for line in [
            r#"node_ipvs_backend_connections_active{local_address="",local_mark="10001000",local_port="0",proto="FWM",remote_address="2620::2",remote_port="80"} 64"#,
            r#"node_ipvs_backend_connections_inactive{local_address="192.168.0.22",local_mark="",local_port="3306",proto="TCP",remote_address="192.168.82.22",remote_port="3306"} 2"#,
            "node_ipvs_connections_total 2.3765872e+07",
            "node_ipvs_outgoing_bytes_total 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        let text = tree.samples(make, &[("collector.ipvs.backend-labels", "proto")]);
        assert!(text.contains("node_ipvs_backend_weight{proto=\"TCP\"} 200\n"), "{text}");
    }

    #[test]
    fn labels_must_be_known() {
        let flags = crate::tree::flags_of(&[("collector.ipvs.backend-labels", "proto,no,never")]);
        assert_eq!(make(&flags).err().as_deref(), Some("unknown IPVS backend labels: \"never, no\""));
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        let short = Tree::new(&[("proc/net/ip_vs_stats", "a\nb\n1 2 3\n")]);
        assert!(matches!(short.collect(make, &[]).1, Err(Fault::Error(_))));
    }
}
