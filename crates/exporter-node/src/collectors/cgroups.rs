//! How many cgroups each controller has, from `/proc/cgroups`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

const CGROUPS: Family = gauge("node_cgroups_cgroups", "Current cgroup number of the subsystem.");
const ENABLED: Family = gauge("node_cgroups_enabled", "Current cgroup number of the subsystem.");

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

/// Lines of `cpu  2  7  1`: name, hierarchy, number, whether it is enabled.
fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("cgroups");
    let text = read::text(&path)?;
    all_or_nothing(page, |page| {
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let malformed = || Fault::garbage(&path, format_args!("{line:?}"));
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, hierarchy, cgroups, enabled, ..] = words[..] else { return Err(malformed()) };
            let number = |word: &str| word.parse::<i64>().map(|v| v as f64).map_err(|_| malformed());
            number(hierarchy)?;
            CGROUPS.sample(page, &[("subsys_name", name)], number(cgroups)?);
            ENABLED.sample(page, &[("subsys_name", name)], number(enabled)?);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn controllers() {
        let tree = Tree::new(&[(
            "proc/cgroups",
            "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t47\t1\n",
        )]);
        let expect = "node_cgroups_cgroups{subsys_name=\"cpuset\"} 47\nnode_cgroups_enabled{subsys_name=\"cpuset\"} 1\n";
        assert_eq!(tree.samples(make, &[]), expect);
        for bad in ["cpu 1 2", "cpu x 1 1", "cpu 1 x 1"] {
            let outcome = Tree::new(&[("proc/cgroups", bad)]).collect(make, &[]).1;
            assert!(matches!(outcome, Err(Fault::Error(_))), "{bad}");
        }
    }
}
