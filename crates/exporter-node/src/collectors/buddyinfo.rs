//! Free memory by block size, from `/proc/buddyinfo`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

const BLOCKS: Family = gauge("node_buddyinfo_blocks", "Count of free blocks according to size.");

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

/// Lines of `Node 0, zone   Normal   4381   1093 …`.
fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("buddyinfo");
    let text = read::text(&path)?;
    all_or_nothing(page, |page| {
        let mut sizes = None;
        for line in text.lines() {
            let malformed = || Fault::garbage(&path, format_args!("{line:?}"));
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, node, _, zone, counts @ ..] = words.as_slice() else { return Err(malformed()) };
            if *sizes.get_or_insert(counts.len()) != counts.len() {
                return Err(malformed());
            }
            for (size, count) in counts.iter().enumerate() {
                let labels = [
                    ("node", node.trim_end_matches(',')),
                    ("size", &*size.to_string()),
                    ("zone", zone.trim_end_matches(',')),
                ];
                BLOCKS.sample(page, &labels, count.parse().map_err(|_| malformed())?);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn blocks_by_zone_and_size() {
        let tree = Tree::new(&[(
            "proc/buddyinfo",
            "Node 0, zone      DMA      1      0\nNode 0, zone   Normal   4381   7\n",
        )]);
        let expect = r#"node_buddyinfo_blocks{node="0",size="0",zone="DMA"} 1
node_buddyinfo_blocks{node="0",size="1",zone="DMA"} 0
node_buddyinfo_blocks{node="0",size="0",zone="Normal"} 4381
node_buddyinfo_blocks{node="0",size="1",zone="Normal"} 7
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        for bad in ["Node 0,", "Node 0, zone DMA x", "Node 0, zone A 1 2\nNode 0, zone B 1"] {
            let (text, outcome) = Tree::new(&[("proc/buddyinfo", bad)]).collect(make, &[]);
            assert!(text.is_empty() && matches!(outcome, Err(Fault::Error(_))), "{bad}: {text}");
        }
    }
}
