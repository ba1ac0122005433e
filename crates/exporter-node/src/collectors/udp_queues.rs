//! Bytes waiting in UDP sockets, from `/proc/net/udp` and `udp6`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct UdpQueues;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(UdpQueues))
}

impl Collector for UdpQueues {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let mut found = false;
        for (name, ip) in [("net/udp", "v4"), ("net/udp6", "v6")] {
            let path = paths.proc(name);
            let Some(text) = read::if_there(read::text(&path))? else { continue };
            let (mut sending, mut receiving) = (0_u64, 0_u64);
            for line in text.lines().skip(1) {
                let (tx, rx) = queues(line)
                    .ok_or_else(|| Fault::garbage(&path, format_args!("line {:?}", read::shortened(line))))?;
                sending = sending.saturating_add(tx);
                receiving = receiving.saturating_add(rx);
            }
            let help = "Number of allocated memory in the kernel for UDP datagrams in bytes.";
            page.family("node_udp_queues", help, Kind::Gauge)
                .sample(&[("ip", ip), ("queue", "tx")], sending as f64)
                .sample(&[("ip", ip), ("queue", "rx")], receiving as f64);
            found = true;
        }
        if found { Ok(()) } else { Err(Fault::NoData) }
    }
}

/// Of `sl: local remote state TX:RX …`, in hexadecimal.
fn queues(line: &str) -> Option<(u64, u64)> {
    let (tx, rx) = line.split_whitespace().nth(4)?.split_once(':')?;
    Some((u64::from_str_radix(tx, 16).ok()?, u64::from_str_radix(rx, 16).ok()?))
}
