//! The network caches' counters by CPU, from `/proc/net/stat`.

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
        for (subsystem, path) in sysfs::matching(&paths.proc("net/stat"), |_| true) {
            write_file(&subsystem, &path, page)?;
        }
        Ok(())
    })
}

/// A line of names, then for each CPU one of hexadecimal numbers.
fn write_file(subsystem: &str, path: &Path, page: &mut Page) -> Result<(), Fault> {
    let text = read::text(path)?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    for (cpu, line) in lines.enumerate() {
        for (at, word) in line.split_whitespace().enumerate() {
            let value = u64::from_str_radix(word, 16).ok();
            let Some((value, name)) = value.zip(names.get(at)) else {
                return Err(Fault::garbage(path, format_args!("{word:?} in line {}", cpu + 2)));
            };
            if is_name(name) {
                let labels = [("cpu", &*cpu.to_string()), ("subsystem", subsystem)];
                page.family(&format!("node_lnstat_{name}_total"), "linux network cache stats", Kind::Counter)
                    .sample(&labels, value as f64);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn columns_by_cpu() {
        let tree = Tree::new(&[(
            "proc/net/stat/arp_cache",
            "entries  allocs\n00000014 00000001\n00000014 0000000d\n",
        )]);
        let expect = r#"node_lnstat_allocs_total{cpu="0",subsystem="arp_cache"} 1
node_lnstat_allocs_total{cpu="1",subsystem="arp_cache"} 13
node_lnstat_entries_total{cpu="0",subsystem="arp_cache"} 20
node_lnstat_entries_total{cpu="1",subsystem="arp_cache"} 20
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).samples(make, &[]), "");
        for bad in ["a\n1 2\n", "a\nx\n"] {
            let outcome = Tree::new(&[("proc/net/stat/x", bad)]).collect(make, &[]).1;
            assert!(matches!(outcome, Err(Fault::Error(_))), "{bad}");
        }
    }
}
