//! Bonded network interfaces and their slaves, from `/sys/class/net`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

const SLAVES: Family = gauge("node_bonding_slaves", "Number of configured slaves per bonding interface.");
const ACTIVE: Family = gauge("node_bonding_active", "Number of active slaves per bonding interface.");

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let net = paths.sys("class/net");
    all_or_nothing(page, |page| {
        for master in read::text(&net.join("bonding_masters"))?.split_whitespace() {
            let dir = net.join(master);
            let (mut slaves, mut active) = (0.0, 0.0);
            for slave in read::text(&dir.join("bonding/slaves"))?.split_whitespace() {
                slaves += 1.0;
                if is_up(&dir, slave)? {
                    active += 1.0;
                }
            }
            SLAVES.sample(page, &[("master", master)], slaves);
            ACTIVE.sample(page, &[("master", master)], active);
        }
        Ok(())
    })
}

/// Old kernels name the slave's link otherwise.
fn is_up(dir: &Path, slave: &str) -> Result<bool, Fault> {
    let state = |prefix: &str| read::trimmed(&dir.join(format!("{prefix}_{slave}/bonding_slave/mii_status")));
    match state("lower") {
        Err(Fault::NoData) => state("slave"),
        state => state,
    }
    .map(|state| state == "up")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn masters_and_their_slaves() {
        let tree = Tree::new(&[
            ("sys/class/net/bonding_masters", "bond0 dmz\n"),
            ("sys/class/net/bond0/bonding/slaves", "\n"),
            ("sys/class/net/dmz/bonding/slaves", "eth0 eth4\n"),
            ("sys/class/net/dmz/lower_eth0/bonding_slave/mii_status", "up\n"),
            ("sys/class/net/dmz/slave_eth4/bonding_slave/mii_status", "down\n"),
        ]);
        let expect = "node_bonding_active{master=\"bond0\"} 0\nnode_bonding_active{master=\"dmz\"} 1\n\
                      node_bonding_slaves{master=\"bond0\"} 0\nnode_bonding_slaves{master=\"dmz\"} 2\n";
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[("sys/class/net/", "")]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
