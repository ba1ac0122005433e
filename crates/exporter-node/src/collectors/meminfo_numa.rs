//! Memory of each NUMA node, from `/sys/devices/system/node`.

use std::path::Path;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::{all_or_nothing, is_name};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    all_or_nothing(page, |page| {
        for (name, dir) in sysfs::numbered(&paths.sys("devices/system/node"), "node") {
            write_meminfo(&dir.join("meminfo"), page)?;
            write_numastat(&dir.join("numastat"), &name["node".len()..], page)?;
        }
        Ok(())
    })
}

fn write(name: &str, kind: Kind, node: &str, value: f64, page: &mut Page) {
    if is_name(name) {
        let help = format!("Memory information field {name}.");
        page.family(&format!("node_memory_numa_{name}"), &help, kind).sample(&[("node", node)], value);
    }
}

/// Lines of `Node 0 Active(anon):   1234 kB`.
fn write_meminfo(path: &Path, page: &mut Page) -> Result<(), Fault> {
    for line in read::text(path)?.lines().filter(|l| !l.trim().is_empty()) {
        let malformed = || Fault::garbage(path, format_args!("{line:?}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        let (node, name, value, unit) = match words[..] {
            [_, node, name, value] => (node, name, value, 1.0),
            [_, node, name, value, "kB"] => (node, name, value, 1024.0),
            _ => return Err(malformed()),
        };
        let value: f64 = value.parse().map_err(|_| malformed())?;
        let name = name.trim_end_matches(':').replace('(', "_").replace(')', "");
        write(&name, Kind::Gauge, node, value * unit, page);
    }
    Ok(())
}

/// Lines of `numa_hit 193460335812`.
fn write_numastat(path: &Path, node: &str, page: &mut Page) -> Result<(), Fault> {
    for line in read::text(path)?.lines().filter(|l| !l.trim().is_empty()) {
        let pair = line.trim().split_once(char::is_whitespace);
        let pair = pair.and_then(|(name, value)| Some((name, value.trim().parse::<f64>().ok()?)));
        let (name, value) = pair.ok_or_else(|| Fault::garbage(path, format_args!("{line:?}")))?;
        write(&format!("{name}_total"), Kind::Counter, node, value, page);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn nodes() {
        let tree = Tree::new(&[
            (
                "sys/devices/system/node/node0/meminfo",
                "\nNode 0 MemTotal:       1024 kB\nNode 0 Active(anon):    2 kB\nNode 0 HugePages_Free:      7\n",
            ),
            ("sys/devices/system/node/node0/numastat", "numa_hit 193460335812\nother_node 5\n"),
        ]);
        let expect = r#"node_memory_numa_Active_anon{node="0"} 2048
node_memory_numa_HugePages_Free{node="0"} 7
node_memory_numa_MemTotal{node="0"} 1.048576e+06
node_memory_numa_numa_hit_total{node="0"} 1.93460335812e+11
node_memory_numa_other_node_total{node="0"} 5
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).samples(make, &[]), "");
        for bad in ["Node 0 X:", "Node 0 X: y", "Node 0 X: 1 MB", "Node 0 X: 1 kB more"] {
            let tree = Tree::new(&[("sys/devices/system/node/node0/meminfo", bad)]);
            assert!(matches!(tree.collect(make, &[]).1, Err(Fault::Error(_))), "{bad}");
        }
    }
}
