//! Kernel same-page merging, from `/sys/kernel/mm/ksm`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::sysfs;

/// A file, what its unit is divided by, and its family.
#[rustfmt::skip]
const FILES: &[(&str, f64, Family)] = &[
    ("full_scans", 1.0, counter("node_ksmd_full_scans_total", "How many times all mergeable areas have been scanned.")),
    ("general_profit", 1.0, gauge("node_ksmd_general_profit_bytes", "How effective is KSM. ksm_saved_pages * sizeof(page) - (all_rmap_items) * sizeof(rmap_item)")),
    ("merge_across_nodes", 1.0, gauge("node_ksmd_merge_across_nodes", "Specifies if pages from different NUMA nodes can be merged.")),
    ("pages_shared", 1.0, gauge("node_ksmd_pages_shared", "How many shared pages are being used.")),
    ("pages_sharing", 1.0, gauge("node_ksmd_pages_sharing", "How many more sites are sharing them i.e. how much saved.")),
    ("pages_to_scan", 1.0, gauge("node_ksmd_pages_to_scan", "How many pages to scan before ksmd goes to sleep.")),
    ("pages_unshared", 1.0, gauge("node_ksmd_pages_unshared", "How many pages unique but repeatedly checked for merging.")),
    ("pages_volatile", 1.0, gauge("node_ksmd_pages_volatile", "How many pages changing too fast to be placed in a tree.")),
    ("run", 1.0, gauge("node_ksmd_run", "The status of ksmd. stopped = 0, running = 1")),
    ("sleep_millisecs", 1000.0, gauge("node_ksmd_sleep_seconds", "How many seconds ksmd should sleep before next scan.")),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let dir = paths.sys("kernel/mm/ksm");
    for (file, divisor, family) in FILES {
        let path = dir.join(file);
        let Some(text) = sysfs::optional(&path)? else { continue };
        // A profit may be a loss.
        let value: i128 = text.parse().map_err(|_| Fault::garbage(&path, format_args!("{text:?}")))?;
        family.sample(page, &[], value as f64 / divisor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn files_that_are_there() {
        let tree = Tree::new(&[
            ("sys/kernel/mm/ksm/full_scans", "323\n"),
            ("sys/kernel/mm/ksm/general_profit", "-64\n"),
            ("sys/kernel/mm/ksm/sleep_millisecs", "20\n"),
        ]);
        let expect = "node_ksmd_full_scans_total 323\nnode_ksmd_general_profit_bytes -64\nnode_ksmd_sleep_seconds 0.02\n";
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).samples(make, &[]), "");
    }
}
