//! The kernel's counters since boot, from `/proc/stat`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Stat {
    softirq: bool,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Stat { softirq: flags.is_on("collector.stat.softirq") }))
}

/// The first word of the line, family, help text, type.
const FAMILIES: [(&str, &str, &str, Kind); 6] = [
    ("intr", "node_intr_total", "Total number of interrupts serviced.", Kind::Counter),
    ("ctxt", "node_context_switches_total", "Total number of context switches.", Kind::Counter),
    ("processes", "node_forks_total", "Total number of forks.", Kind::Counter),
    ("btime", "node_boot_time_seconds", "Node boot time, in unixtime.", Kind::Gauge),
    ("procs_running", "node_procs_running", "Number of processes in runnable state.", Kind::Gauge),
    (
        "procs_blocked",
        "node_procs_blocked",
        "Number of processes blocked waiting for I/O to complete.",
        Kind::Gauge,
    ),
];

/// The vectors in the order of the `softirq` line.
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

impl Collector for Stat {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("stat");
        let text = read::text(&path)?;
        let mut found = false;
        for line in text.lines() {
            // The line of interrupts has a word for each there could be; only the first is of use.
            let mut words = line.split(' ');
            let first = words.next().unwrap_or_default();
            if let Some((_, name, help, kind)) = FAMILIES.iter().find(|(word, ..)| *word == first) {
                let value: u64 = read::parse(&path, words.next().unwrap_or_default())?;
                page.single(name, help, *kind, value as f64);
                found = true;
            } else if first == "softirq" && self.softirq {
                let mut family =
                    page.family("node_softirqs_total", "Number of softirq calls.", Kind::Counter);
                for (vector, word) in VECTORS.iter().zip(words.skip(1)) {
                    let value: u64 = read::parse(&path, word)?;
                    family.sample(&[("vector", vector)], value as f64);
                }
            }
        }
        if found { Ok(()) } else { Err(Fault::garbage(&path, "end of file")) }
    }
}
