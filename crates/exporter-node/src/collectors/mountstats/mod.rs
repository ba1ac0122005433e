//! NFS mounts in detail, from `/proc/self/mountstats`.

mod families;
mod parse;

use std::collections::HashSet;

use exporters::Page;

use self::families::{AGE, BYTES, EVENTS, INFO, OPERATION, TRANSPORT};
use self::parse::Stats;
use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

/// Beyond it, a 64-bit number is no whole number as a float; the original lets counters of time begin anew there.
const MANTISSA: u64 = 1 << 53;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("self/mountstats");
    let text = read::text(&path)?;
    let mounts = parse::mounts(&text).map_err(|line| Fault::garbage(&path, line))?;
    let info = read::text(&paths.proc("self/mountinfo"))?;
    // Both files list the mounts in the same order.
    let mut addresses = info.lines().map(server_address);
    let mut points = HashSet::new();
    let mut devices = HashSet::new();
    for mount in &mounts {
        let address = addresses.next().flatten().unwrap_or_default();
        let Some(stats) = &mount.stats else { continue };
        for transport in &stats.transports {
            let labels = [("export", mount.device), ("mountaddr", address), ("protocol", transport.protocol)];
            if points.insert((labels, mount.point)) {
                let [export, mountaddr, protocol] = labels;
                INFO.sample(page, &[export, mountaddr, ("mountpoint", mount.point), protocol], 1.0);
            }
            if !devices.insert(labels) {
                break;
            }
            write_stats(stats, &labels, page);
        }
    }
    Ok(())
}

/// `addr` of the options after the `-`.
fn server_address(line: &str) -> Option<&str> {
    let options = line.split(" - ").nth(1)?.split(' ').nth(2)?;
    options.split(',').find_map(|option| option.strip_prefix("addr="))
}

fn write_stats(stats: &Stats<'_>, labels: &[(&str, &str); 3], page: &mut Page) {
    let [export, mountaddr, protocol] = *labels;
    AGE.sample(page, labels, stats.age);
    for (at, family) in BYTES {
        family.sample(page, labels, stats.bytes[*at] as f64);
    }
    for (at, family) in EVENTS {
        family.sample(page, labels, stats.events[*at] as f64);
    }
    for (index, transport) in stats.transports.iter().enumerate() {
        let labels = [export, mountaddr, protocol, ("transport", &*index.to_string())];
        for (at, family) in TRANSPORT {
            family.sample(page, &labels, transport.numbers[*at] as f64);
        }
    }
    for (operation, numbers) in &stats.operations {
        let labels = [export, mountaddr, ("operation", operation), protocol];
        for (at, divisor, family) in OPERATION {
            let number = if *divisor > 1.0 { numbers[*at] % MANTISSA } else { numbers[*at] };
            family.sample(page, &labels, number as f64 / divisor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const STATS: &str = "device rootfs mounted on / with fstype rootfs\n\
        device 192.168.1.1:/srv/test mounted on /mnt/nfs/test with fstype nfs4 statvers=1.1\n\
        \topts:\trw,vers=4.0,addr=192.168.1.5\n\tage:\t13968\n\tcaps:\tcaps=0xfff7\n\
        \tbytes:\t1207640230 1 2 3 1210214218 4 295483 5\n\
        \tevents:\t52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 0 0 0 0 0 0 0 0 9\n\
        \tRPC iostats version: 1.0  p/v: 100003/4 (nfs)\n\
        \txprt:\ttcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726\n\
        \tper-op statistics\n\t        NULL: 0 0 0 0 0 0 0 0\n\t        READ: 1298 1298 0 207680 1210292152 6 79386 79407 9\n\n\
        device 192.168.1.1:/srv/test mounted on /mnt/again with fstype nfs4 statvers=1.1\n\
        \tage:\t1\n\txprt:\ttcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726\n\tper-op statistics\n\n";
    const INFO: &str = "1 1 0:1 / / rw - rootfs rootfs rw\n2 1 0:2 / /mnt/nfs/test rw - nfs4 192.168.1.1:/srv/test rw,addr=192.168.1.5\n\
        3 1 0:2 / /mnt/again rw - nfs4 192.168.1.1:/srv/test rw,addr=192.168.1.5\n";

    #[test]
    fn a_mount_in_two_places() {
        let tree = Tree::new(&[("proc/self/mountstats", STATS), ("proc/self/mountinfo", INFO)]);
        let text = tree.samples(make, &[]);
        let common = r#"export="192.168.1.1:/srv/test",mountaddr="192.168.1.5""#;
        for (name, rest, value) in [
            ("mountpoint_info", r#","mountpoint="/mnt/nfs/test",protocol="tcp"}"#, "1"),
            ("mountpoint_info", r#","mountpoint="/mnt/again",protocol="tcp"}"#, "1"),
            ("age_seconds_total", r#","protocol="tcp"}"#, "13968"),
            ("read_bytes_total", r#","protocol="tcp"}"#, "1.20764023e+09"),
            ("event_pnfs_write_total", r#","protocol="tcp"}"#, "9"),
            ("transport_pending_queue_total", r#","protocol="tcp",transport="0"}"#, "5726"),
            ("operations_requests_total", r#","operation="READ",protocol="tcp"}"#, "1298"),
            ("operations_response_time_seconds_total", r#","operation="READ",protocol="tcp"}"#, "79.386"),
        ] {
            let rest = rest.replacen(",\"", ",", 1);
            let line = format!("node_mountstats_nfs_{name}{{{common}{rest} {value}");
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("age_seconds_total").count(), 1);
    }

    #[test]
    fn without_nfs_there_is_nothing() {
        let tree = Tree::new(&[
            ("proc/self/mountstats", "device proc mounted on /proc with fstype proc\n"),
            ("proc/self/mountinfo", ""),
        ]);
        assert_eq!(tree.samples(make, &[]), "");
    }
}
