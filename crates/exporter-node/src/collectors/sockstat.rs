//! Sockets by protocol, from `/proc/net/sockstat` and `sockstat6`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct SockStat;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(SockStat))
}

/// The states that have a family.
const STATES: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];

impl Collector for SockStat {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let page_bytes = rustix::param::page_size() as f64;
        for name in ["net/sockstat", "net/sockstat6"] {
            // A kernel without IPv4 or IPv6 has no such file.
            let path = paths.proc(name);
            let Some(text) = read::if_there(read::text(&path))? else { continue };
            for line in text.lines() {
                let garbage = || Fault::garbage(&path, format_args!("line {:?}", read::shortened(line)));
                let (protocol, rest) = line.split_once(':').ok_or_else(garbage)?;
                let words: Vec<&str> = rest.split_whitespace().collect();
                if !protocol.bytes().all(|b| b.is_ascii_alphanumeric()) || !words.len().is_multiple_of(2) {
                    return Err(garbage());
                }
                for pair in words.chunks_exact(2) {
                    let value: f64 = read::parse(&path, pair[1])?;
                    if protocol == "sockets" && pair[0] == "used" {
                        let help = "Number of IPv4 sockets in use.";
                        page.single("node_sockstat_sockets_used", help, Kind::Gauge, value);
                    } else if STATES.contains(&pair[0]) {
                        write(page, protocol, pair[0], value);
                        if pair[0] == "mem" {
                            write(page, protocol, "mem_bytes", value * page_bytes);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

fn write(page: &mut Page, protocol: &str, state: &str, value: f64) {
    let help = format!("Number of {protocol} sockets in state {state}.");
    page.single(&format!("node_sockstat_{protocol}_{state}"), &help, Kind::Gauge, value);
}
