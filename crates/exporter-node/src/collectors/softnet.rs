//! Packets by CPU, from `/proc/net/softnet_stat`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct SoftNet;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(SoftNet))
}

/// Family, help text, type, column. Kernels before 2.6.39, 4.18 and 5.14 have 9, 10 and 11 columns.
const FAMILIES: [(&str, &str, Kind, usize); 7] = [
    ("node_softnet_processed_total", "Number of processed packets", Kind::Counter, 0),
    ("node_softnet_dropped_total", "Number of dropped packets", Kind::Counter, 1),
    (
        "node_softnet_times_squeezed_total",
        "Number of times processing packets ran out of quota",
        Kind::Counter,
        2,
    ),
    (
        "node_softnet_cpu_collision_total",
        "Number of collision occur while obtaining device lock while transmitting",
        Kind::Counter,
        8,
    ),
    ("node_softnet_received_rps_total", "Number of times cpu woken up received_rps", Kind::Counter, 9),
    ("node_softnet_flow_limit_count_total", "Number of times flow limit has been reached", Kind::Counter, 10),
    ("node_softnet_backlog_len", "Softnet backlog status", Kind::Gauge, 11),
];

impl Collector for SoftNet {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("net/softnet_stat");
        let text = read::text(&path)?;
        for (number, line) in text.lines().enumerate() {
            let columns: Option<Vec<u32>> =
                line.split_whitespace().map(|word| u32::from_str_radix(word, 16).ok()).collect();
            let columns = columns
                .filter(|c| c.len() >= 9)
                .ok_or_else(|| Fault::garbage(&path, format_args!("line {:?}", read::shortened(line))))?;
            // CPUs that are offline have no line, which the last column lets one see.
            let with_index = columns.len() >= 13;
            let cpu = if with_index { columns[12].to_string() } else { number.to_string() };
            for (name, help, kind, place) in FAMILIES {
                let there = place < 11 || with_index;
                let value = columns.get(place).copied().filter(|_| there).unwrap_or(0);
                page.family(name, help, kind).sample(&[("cpu", &cpu)], f64::from(value));
            }
        }
        Ok(())
    }
}
