//! The table of tracked connections, from `/proc/sys/net/netfilter` and `/proc/net/stat/nf_conntrack`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Conntrack;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Conntrack))
}

/// Name, column and help text of the counters.
const STATISTICS: [(&str, &str, &str); 8] = [
    ("node_nf_conntrack_stat_found", "found", "Number of searched entries which were successful."),
    ("node_nf_conntrack_stat_invalid", "invalid", "Number of packets seen which can not be tracked."),
    (
        "node_nf_conntrack_stat_ignore",
        "ignore",
        "Number of packets seen which are already connected to a conntrack entry.",
    ),
    ("node_nf_conntrack_stat_insert", "insert", "Number of entries inserted into the list."),
    (
        "node_nf_conntrack_stat_insert_failed",
        "insert_failed",
        "Number of entries for which list insertion was attempted but failed.",
    ),
    ("node_nf_conntrack_stat_drop", "drop", "Number of packets dropped due to conntrack failure."),
    (
        "node_nf_conntrack_stat_early_drop",
        "early_drop",
        "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
    ),
    (
        "node_nf_conntrack_stat_search_restart",
        "search_restart",
        "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
    ),
];

impl Collector for Conntrack {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let entries = read::number(&paths.proc("sys/net/netfilter/nf_conntrack_count"))?;
        let help = "Number of currently allocated flow entries for connection tracking.";
        page.single("node_nf_conntrack_entries", help, Kind::Gauge, entries);
        let limit = read::number(&paths.proc("sys/net/netfilter/nf_conntrack_max"))?;
        let help = "Maximum size of connection tracking table.";
        page.single("node_nf_conntrack_entries_limit", help, Kind::Gauge, limit);

        let path = paths.proc("net/stat/nf_conntrack");
        let text = read::text(&path)?;
        let mut lines = text.lines();
        let columns: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        let mut sums = [0_u64; STATISTICS.len()];
        for line in lines {
            let values: Vec<&str> = line.split_whitespace().collect();
            for (sum, (_, column, _)) in sums.iter_mut().zip(&STATISTICS) {
                let Some(place) = columns.iter().position(|c| c == column) else { continue };
                let word = values.get(place).copied().unwrap_or_default();
                let value = u64::from_str_radix(word, 16)
                    .map_err(|_| Fault::garbage(&path, format_args!("{:?}", read::shortened(line))))?;
                *sum = sum.wrapping_add(value);
            }
        }
        for (sum, (name, _, help)) in sums.iter().zip(&STATISTICS) {
            page.single(name, help, Kind::Gauge, *sum as f64);
        }
        Ok(())
    }
}
