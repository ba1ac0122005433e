//! Energy counters of the CPU's power domains, from `/sys/class/powercap`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::sanitize;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let zone_label = flags.is_on("collector.rapl.enable-zone-label");
    Ok(Box::new(move |paths: &Paths, page: &mut Page| update(zone_label, paths, page)))
}

fn update(zone_label: bool, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let class = paths.sys("class/powercap");
    let mut uses: HashMap<String, u64> = HashMap::new();
    let mut zones = Vec::new();
    for dir in read::names(&class)? {
        let dir = class.join(dir);
        // Control types such as intel-rapl itself have no name.
        let Ok(name) = read::trimmed(&dir.join("name")) else { continue };
        let (name, index) = match name.split_once('-').map(|(name, rest)| (name, rest.parse::<u64>())) {
            Some((name, Ok(index))) => (name.to_owned(), index),
            _ => (name.clone(), uses.get(&name).copied().unwrap_or(0)),
        };
        number(&dir.join("max_energy_range_uj"))?;
        uses.insert(name.clone(), index.saturating_add(1));
        zones.push((name, index, dir));
    }
    for (name, index, dir) in zones {
        let joules = number(&dir.join("energy_uj"))? as f64 / 1e6;
        let (index, path) = (index.to_string(), dir.to_string_lossy());
        if zone_label {
            let labels = [("index", &*index), ("path", &*path), ("rapl_zone", &*name)];
            page.family("node_rapl_joules_total", "Current RAPL value in joules", Kind::Counter)
                .sample(&labels, joules);
        } else {
            let family = format!("node_rapl_{}_joules_total", sanitize(&name));
            let help = format!("Current RAPL {name} value in joules");
            page.family(&family, &help, Kind::Counter)
                .sample(&[("index", &*index), ("path", &*path)], joules);
        }
    }
    Ok(())
}

/// A counter; one that only root may read is no data.
fn number(path: &Path) -> Result<u64, Fault> {
    match sysfs::attribute(path) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(Fault::NoData),
        _ => sysfs::uint(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn zones_with_and_without_a_number() {
        let mut files = Vec::new();
        let zones =
            [("0", "package-0", "240422366267"), ("0:0", "core", "118821284256"), ("1:0", "core", "5")];
        for (dir, name, value) in zones {
            let dir = format!("sys/class/powercap/intel-rapl:{dir}");
            files.push((format!("{dir}/name"), format!("{name}\n")));
            files.push((format!("{dir}/energy_uj"), format!("{value}\n")));
            files.push((format!("{dir}/max_energy_range_uj"), "262143328850\n".to_owned()));
        }
        files.push(("sys/class/powercap/intel-rapl/enabled".to_owned(), "1\n".to_owned()));
        let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), c.as_str())).collect();
        let tree = Tree::new(&files);
        let base = tree.path("sys/class/powercap");
        let base = base.display();
        let expect = format!(
            "node_rapl_core_joules_total{{index=\"0\",path=\"{base}/intel-rapl:0:0\"}} 118821.284256\n\
             node_rapl_core_joules_total{{index=\"1\",path=\"{base}/intel-rapl:1:0\"}} 5e-06\n\
             node_rapl_package_joules_total{{index=\"0\",path=\"{base}/intel-rapl:0\"}} 240422.366267\n"
        );
        assert_eq!(tree.samples(make, &[]), expect);
        let labelled = tree.samples(make, &[("collector.rapl.enable-zone-label", "true")]);
        let first = format!(
            "node_rapl_joules_total{{index=\"0\",path=\"{base}/intel-rapl:0\",rapl_zone=\"package\"}}"
        );
        assert!(labelled.starts_with(&first), "{labelled}");
    }
}
