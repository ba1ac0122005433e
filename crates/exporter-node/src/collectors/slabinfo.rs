//! The kernel's object caches, from `/proc/slabinfo`, which only root may read.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

/// In the order of the columns after the name.
const COLUMNS: &[Family] = &[
    gauge("node_slabinfo_active_objects", "The number of objects that are currently active (i.e., in use)."),
    gauge(
        "node_slabinfo_objects",
        "The total number of allocated objects (i.e., objects that are both in use and not in use).",
    ),
    gauge("node_slabinfo_object_size_bytes", "The size of objects in this slab, in bytes."),
    gauge("node_slabinfo_objects_per_slab", "The number of objects stored in each slab."),
    gauge("node_slabinfo_pages_per_slab", "The number of pages allocated for each slab."),
];

/// All columns of the format 2.1, with the words between them.
const ALL_COLUMNS: usize = 16;

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let filter = Filter::of(flags, "collector.slabinfo.slabs-exclude", "collector.slabinfo.slabs-include")?;
    Ok(Box::new(move |paths: &Paths, page: &mut Page| update(&filter, paths, page)))
}

fn update(filter: &Filter, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("slabinfo");
    let text = read::text(&path)?;
    all_or_nothing(page, |page| {
        for line in text.lines().filter(|l| !l.contains("slabinfo -") && !l.contains("# name")) {
            let malformed = || Fault::garbage(&path, format_args!("{line:?}"));
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.len() != ALL_COLUMNS {
                return Err(malformed());
            }
            let name = words[0];
            if filter.ignores(name) {
                continue;
            }
            for (family, word) in COLUMNS.iter().zip(&words[1..]) {
                let value: i64 = word.parse().map_err(|_| malformed())?;
                family.sample(page, &[("slab", name)], value as f64);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const SLABINFO: &str = "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> …\n\
        tw_sock_TCP          704    864    256   32    2 : tunables    0    0    0 : slabdata     27     27      0\n\
        dmaengine-unmap-128  1206   1320   1088   30    8 : tunables    0    0    0 : slabdata     44     44      0\n";

    #[test]
    fn caches_that_are_wanted() {
        let tree = Tree::new(&[("proc/slabinfo", SLABINFO)]);
        let expect = r#"node_slabinfo_active_objects{slab="tw_sock_TCP"} 704
node_slabinfo_object_size_bytes{slab="tw_sock_TCP"} 256
node_slabinfo_objects{slab="tw_sock_TCP"} 864
node_slabinfo_objects_per_slab{slab="tw_sock_TCP"} 32
node_slabinfo_pages_per_slab{slab="tw_sock_TCP"} 2
"#;
        assert_eq!(tree.samples(make, &[("collector.slabinfo.slabs-exclude", "^dma")]), expect);
        assert_eq!(tree.samples(make, &[]).lines().count(), 10);
        let bad = Tree::new(&[("proc/slabinfo", "a 1 2\n")]);
        assert!(matches!(bad.collect(make, &[]).1, Err(Fault::Error(_))));
    }
}
