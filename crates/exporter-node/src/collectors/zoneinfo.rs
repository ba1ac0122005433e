//! The kernel's memory zones, from `/proc/zoneinfo`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

/// A line's first word and its family.
#[rustfmt::skip]
const FAMILIES: &[(&str, Family)] = &[
    ("nr_free_pages", gauge("node_zoneinfo_nr_free_pages", "Total number of free pages in the zone")),
    ("min", gauge("node_zoneinfo_min_pages", "Zone watermark pages_min")),
    ("low", gauge("node_zoneinfo_low_pages", "Zone watermark pages_low")),
    ("high", gauge("node_zoneinfo_high_pages", "Zone watermark pages_high")),
    ("scanned", gauge("node_zoneinfo_scanned_pages", "Pages scanned since last reclaim")),
    ("spanned", gauge("node_zoneinfo_spanned_pages", "Total pages spanned by the zone, including holes")),
    ("present", gauge("node_zoneinfo_present_pages", "Physical pages existing within the zone")),
    ("managed", gauge("node_zoneinfo_managed_pages", "Present pages managed by the buddy system")),
    ("nr_active_anon", gauge("node_zoneinfo_nr_active_anon_pages", "Number of anonymous pages recently more used")),
    ("nr_inactive_anon", gauge("node_zoneinfo_nr_inactive_anon_pages", "Number of anonymous pages recently less used")),
    ("nr_isolated_anon", gauge("node_zoneinfo_nr_isolated_anon_pages", "Temporary isolated pages from anon lru")),
    ("nr_anon_pages", gauge("node_zoneinfo_nr_anon_pages", "Number of anonymous pages currently used by the system")),
    ("nr_anon_transparent_hugepages", gauge("node_zoneinfo_nr_anon_transparent_hugepages", "Number of anonymous transparent huge pages currently used by the system")),
    ("nr_active_file", gauge("node_zoneinfo_nr_active_file_pages", "Number of active pages with file-backing")),
    ("nr_inactive_file", gauge("node_zoneinfo_nr_inactive_file_pages", "Number of inactive pages with file-backing")),
    ("nr_isolated_file", gauge("node_zoneinfo_nr_isolated_file_pages", "Temporary isolated pages from file lru")),
    ("nr_file_pages", gauge("node_zoneinfo_nr_file_pages", "Number of file pages")),
    ("nr_slab_reclaimable", gauge("node_zoneinfo_nr_slab_reclaimable_pages", "Number of reclaimable slab pages")),
    ("nr_slab_unreclaimable", gauge("node_zoneinfo_nr_slab_unreclaimable_pages", "Number of unreclaimable slab pages")),
    ("nr_mlock_stack", gauge("node_zoneinfo_nr_mlock_stack_pages", "mlock()ed pages found and moved off LRU")),
    ("nr_kernel_stack", gauge("node_zoneinfo_nr_kernel_stacks", "Number of kernel stacks")),
    ("nr_mapped", gauge("node_zoneinfo_nr_mapped_pages", "Number of mapped pages")),
    ("nr_dirty", gauge("node_zoneinfo_nr_dirty_pages", "Number of dirty pages")),
    ("nr_writeback", gauge("node_zoneinfo_nr_writeback_pages", "Number of writeback pages")),
    ("nr_unevictable", gauge("node_zoneinfo_nr_unevictable_pages", "Number of unevictable pages")),
    ("nr_shmem", gauge("node_zoneinfo_nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)")),
    ("nr_dirtied", counter("node_zoneinfo_nr_dirtied_total", "Page dirtyings since bootup")),
    ("nr_written", counter("node_zoneinfo_nr_written_total", "Page writings since bootup")),
    ("numa_hit", counter("node_zoneinfo_numa_hit_total", "Allocated in intended node")),
    ("numa_miss", counter("node_zoneinfo_numa_miss_total", "Allocated in non intended node")),
    ("numa_foreign", counter("node_zoneinfo_numa_foreign_total", "Was intended here, hit elsewhere")),
    ("numa_interleave", counter("node_zoneinfo_numa_interleave_total", "Interleaver preferred this zone")),
    ("numa_local", counter("node_zoneinfo_numa_local_total", "Allocation from local node")),
    ("numa_other", counter("node_zoneinfo_numa_other_total", "Allocation from other node")),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("zoneinfo");
    let text = match read::text(&path) {
        Err(Fault::NoData) => return Err(Fault::Error(format!("{}: no such file", path.display()))),
        text => text?,
    };
    all_or_nothing(page, |page| {
        let mut zone = Zone::new("", "");
        for line in text.lines() {
            if let Some((node, name)) = heading(line) {
                std::mem::replace(&mut zone, Zone::new(node, name)).write(page);
                continue;
            }
            zone.read(line).ok_or_else(|| Fault::garbage(&path, format_args!("{line:?}")))?;
        }
        zone.write(page);
        Ok(())
    })
}

/// `Node 0, zone   Normal`.
fn heading(line: &str) -> Option<(&str, &str)> {
    let (node, zone) = line.strip_prefix("Node ")?.split_once(", zone")?;
    Some((node.trim(), zone.trim()))
}

/// What the lines of a zone say; of two of the same word the last counts.
struct Zone<'t> {
    node: &'t str,
    name: &'t str,
    values: [Option<i64>; FAMILIES.len()],
    protection: Vec<i64>,
}

impl<'t> Zone<'t> {
    fn new(node: &'t str, name: &'t str) -> Self {
        Self { node, name, values: [None; FAMILIES.len()], protection: Vec::new() }
    }

    /// None for a line whose value is no number; lines of other things are passed over.
    fn read(&mut self, line: &'t str) -> Option<()> {
        let mut words = line.split_whitespace();
        let (Some(first), Some(value)) = (words.next(), words.next()) else { return Some(()) };
        if first == "protection:" {
            let list = line.split_once(':')?.1.trim().trim_start_matches('(').trim_end_matches(')');
            self.protection = list.split(", ").map(str::parse).collect::<Result<_, _>>().unwrap_or_default();
        } else if let Some(at) = FAMILIES.iter().position(|(word, _)| *word == first) {
            self.values[at] = Some(sysfs::parse_int(value)?);
        }
        Some(())
    }

    fn write(&self, page: &mut Page) {
        let labels = [("node", self.node), ("zone", self.name)];
        for ((_, family), value) in FAMILIES.iter().zip(self.values) {
            if let Some(value) = value {
                family.sample(page, &labels, value as f64);
            }
        }
        for (at, value) in self.protection.iter().enumerate() {
            let help = format!("Protection array {at}. field");
            page.family(&format!("node_zoneinfo_protection_{at}"), &help, Kind::Gauge)
                .sample(&labels, *value as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const ZONEINFO: &str = "\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 95612
      nr_dirtied   151
  pages free     2949
        min      8
        high     14
        spanned  4095
      protection: (0, 2039)
      numa_hit   1
  pagesets
    cpu: 0
              count: 0
              high:  0
Node 0, zone    DMA32
  pages free     528427
        min      1078
";

    #[test]
    fn zones() {
        let expect = r#"node_zoneinfo_high_pages{node="0",zone="DMA"} 14
node_zoneinfo_min_pages{node="0",zone="DMA"} 8
node_zoneinfo_min_pages{node="0",zone="DMA32"} 1078
node_zoneinfo_nr_dirtied_total{node="0",zone="DMA"} 151
node_zoneinfo_nr_inactive_anon_pages{node="0",zone="DMA"} 95612
node_zoneinfo_numa_hit_total{node="0",zone="DMA"} 1
node_zoneinfo_protection_0{node="0",zone="DMA"} 0
node_zoneinfo_protection_1{node="0",zone="DMA"} 2039
node_zoneinfo_spanned_pages{node="0",zone="DMA"} 4095
"#;
        assert_eq!(Tree::new(&[("proc/zoneinfo", ZONEINFO)]).samples(make, &[]), expect);
        for bad in ["Node 0, zone A\n min x\n", "min 99999999999999999999"] {
            let (text, outcome) = Tree::new(&[("proc/zoneinfo", bad)]).collect(make, &[]);
            assert!(text.is_empty() && matches!(outcome, Err(Fault::Error(_))), "{bad}");
        }
    }
}
