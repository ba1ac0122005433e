//! The scheduler's counters by CPU, from `/proc/schedstat`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct SchedStat;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(SchedStat))
}

/// Family, help text, place after the CPU's name, divisor.
const FAMILIES: [(&str, &str, usize, f64); 3] = [
    ("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.", 7, 1e9),
    (
        "node_schedstat_waiting_seconds_total",
        "Number of seconds spent by processing waiting for this CPU.",
        8,
        1e9,
    ),
    ("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.", 9, 1.0),
];

impl Collector for SchedStat {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("schedstat");
        let text = read::text(&path)?;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(cpu) = words.first().and_then(|w| w.strip_prefix("cpu")) else { continue };
            for (name, help, place, divisor) in FAMILIES {
                let word = words.get(place).copied().unwrap_or_default();
                let value: u64 = read::parse(&path, word)?;
                page.family(name, help, Kind::Counter).sample(&[("cpu", cpu)], value as f64 / divisor);
            }
        }
        Ok(())
    }
}
