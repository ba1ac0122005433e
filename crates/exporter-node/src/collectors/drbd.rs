//! Replicated block devices of DRBD 8, from `/proc/drbd`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

/// A key, how many units one of its values is, and its family.
#[rustfmt::skip]
const NUMBERS: &[(&str, f64, Family)] = &[
    ("ns", 1024.0, counter("node_drbd_network_sent_bytes_total", "Total number of bytes sent via the network.")),
    ("nr", 1.0, counter("node_drbd_network_received_bytes_total", "Total number of bytes received via the network.")),
    ("dw", 1024.0, counter("node_drbd_disk_written_bytes_total", "Net data written on local hard disk; in bytes.")),
    ("dr", 1024.0, counter("node_drbd_disk_read_bytes_total", "Net data read from local hard disk; in bytes.")),
    ("al", 1.0, counter("node_drbd_activitylog_writes_total", "Number of updates of the activity log area of the meta data.")),
    ("bm", 1.0, counter("node_drbd_bitmap_writes_total", "Number of updates of the bitmap area of the meta data.")),
    ("lo", 1.0, gauge("node_drbd_local_pending", "Number of open requests to the local I/O sub-system.")),
    ("pe", 1.0, gauge("node_drbd_remote_pending", "Number of requests sent to the peer, but that have not yet been answered by the latter.")),
    ("ua", 1.0, gauge("node_drbd_remote_unacknowledged", "Number of requests received by the peer via the network connection, but that have not yet been answered.")),
    ("ap", 1.0, gauge("node_drbd_application_pending", "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD.")),
    ("ep", 1.0, gauge("node_drbd_epochs", "Number of Epochs currently on the fly.")),
    ("oos", 1024.0, gauge("node_drbd_out_of_sync_bytes", "Amount of data known to be out of sync; in bytes.")),
];

/// A key of two states, `local/remote`, the state that is good, and its family.
#[rustfmt::skip]
const STATES: &[(&str, &str, Family)] = &[
    ("ro", "Primary", gauge("node_drbd_node_role_is_primary", "Whether the role of the node is in the primary state.")),
    ("ds", "UpToDate", gauge("node_drbd_disk_state_is_up_to_date", "Whether the disk of the node is up to date.")),
];

const CONNECTED: Family = gauge("node_drbd_connected", "Whether DRBD is connected to the peer.");

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

/// Words of `key:value`, in which `1:` begins a device.
fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("drbd");
    let text = read::text(&path)?;
    let mut device = "unknown".to_owned();
    for word in text.split_whitespace() {
        let Some((key, value)) = word.split_once(':').filter(|(_, v)| !v.contains(':')) else { continue };
        if let (Ok(number), "") = (key.parse::<u64>(), value) {
            device = format!("drbd{number}");
            continue;
        }
        let device = ("device", device.as_str());
        if let Some((_, unit, family)) = NUMBERS.iter().find(|(known, ..)| *known == key) {
            let value: f64 = value.parse().map_err(|_| Fault::garbage(&path, format_args!("{word:?}")))?;
            family.sample(page, &[device], value * unit);
        } else if let Some((_, good, family)) = STATES.iter().find(|(known, ..)| *known == key) {
            let (local, remote) =
                value.split_once('/').ok_or_else(|| Fault::garbage(&path, format_args!("{word:?}")))?;
            for (node, state) in [("local", local), ("remote", remote)] {
                family.sample(page, &[device, ("node", node)], f64::from(u8::from(state == *good)));
            }
        } else if key == "cs" {
            CONNECTED.sample(page, &[device], f64::from(u8::from(value == "Connected")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn a_device() {
        let drbd = "version: 8.4.3 (api:1/proto:86-101)\nsrcversion: 1A9F\n\n 1: cs:Connected ro:Primary/Secondary \
                    ds:UpToDate/Inconsistent C r-----\n    ns:17324442 nr:10961 oos:2 wo:b\n";
        let expect = r#"node_drbd_connected{device="drbd1"} 1
node_drbd_disk_state_is_up_to_date{device="drbd1",node="local"} 1
node_drbd_disk_state_is_up_to_date{device="drbd1",node="remote"} 0
node_drbd_network_received_bytes_total{device="drbd1"} 10961
node_drbd_network_sent_bytes_total{device="drbd1"} 1.7740228608e+10
node_drbd_node_role_is_primary{device="drbd1",node="local"} 1
node_drbd_node_role_is_primary{device="drbd1",node="remote"} 0
node_drbd_out_of_sync_bytes{device="drbd1"} 2048
"#;
        assert_eq!(Tree::new(&[("proc/drbd", drbd)]).samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        for bad in ["1: ns:x", "1: ro:Primary"] {
            let outcome = Tree::new(&[("proc/drbd", bad)]).collect(make, &[]).1;
            assert!(matches!(outcome, Err(Fault::Error(_))), "{bad}");
        }
    }
}
