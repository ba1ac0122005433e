//! NFS client: calls by procedure, from `/proc/net/rpc/nfs`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;
use crate::rpc::{self, Lines, Procedures};

const PACKETS: Family =
    counter("node_nfs_packets_total", "Total NFSd network packets (sent+received) by protocol type.");
const CONNECTIONS: Family = counter("node_nfs_connections_total", "Total number of NFSd TCP connections.");
const RPCS: Family = counter("node_nfs_rpcs_total", "Total number of RPCs performed.");
const RETRANSMISSIONS: Family =
    counter("node_nfs_rpc_retransmissions_total", "Number of RPC transmissions performed.");
const REFRESHES: Family = counter(
    "node_nfs_rpc_authentication_refreshes_total",
    "Number of RPC authentication refreshes performed.",
);
const REQUESTS: Family = counter("node_nfs_requests_total", "Number of NFS procedures invoked.");

#[rustfmt::skip]
const V4: &[&str] = &[
    "Null", "Read", "Write", "Commit", "Open", "OpenConfirm", "OpenNoattr", "OpenDowngrade", "Close",
    "Setattr", "FsInfo", "Renew", "SetClientID", "SetClientIDConfirm", "Lock", "Lockt", "Locku",
    "Access", "Getattr", "Lookup", "LookupRoot", "Remove", "Rename", "Link", "Symlink", "Create",
    "Pathconf", "StatFs", "ReadLink", "ReadDir", "ServerCaps", "DelegReturn", "GetACL", "SetACL",
    "FsLocations", "ReleaseLockowner", "Secinfo", "FsidPresent", "ExchangeID", "CreateSession",
    "DestroySession", "Sequence", "GetLeaseTime", "ReclaimComplete", "GetDeviceInfo", "LayoutGet",
    "LayoutCommit", "LayoutReturn", "SecinfoNoName", "TestStateID", "FreeStateID", "GetDeviceList",
    "BindConnToSession", "DestroyClientID", "Seek", "Allocate", "DeAllocate", "LayoutStats", "Clone",
];

const PROCEDURES: &[Procedures] = &[
    Procedures { line: "proc2", proto: "2", names: rpc::V2, least: rpc::V2.len() },
    Procedures { line: "proc3", proto: "3", names: rpc::V3, least: rpc::V3.len() },
    Procedures { line: "proc4", proto: "4", names: V4, least: 0 },
];

/// The lines that are no list of procedures, with their numbers of values.
const LINES: &[(&str, usize)] = &[("net", 4), ("rpc", 3)];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("net/rpc/nfs");
    let text = read::text(&path)?;
    let lines = Lines::parse(&text, LINES, PROCEDURES).map_err(|line| Fault::garbage(&path, line))?;
    PACKETS.sample(page, &[("protocol", "udp")], lines.get("net", 1));
    PACKETS.sample(page, &[("protocol", "tcp")], lines.get("net", 2));
    CONNECTIONS.sample(page, &[], lines.get("net", 3));
    RPCS.sample(page, &[], lines.get("rpc", 0));
    RETRANSMISSIONS.sample(page, &[], lines.get("rpc", 1));
    REFRESHES.sample(page, &[], lines.get("rpc", 2));
    for procedures in PROCEDURES {
        for (at, method) in procedures.names.iter().enumerate() {
            let labels = [("method", *method), ("proto", procedures.proto)];
            REQUESTS.sample(page, &labels, lines.get(procedures.line, at + 1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn procedures_by_version() {
        let tree = Tree::new(&[(
            "proc/net/rpc/nfs",
            "net 70 71 69 45\nrpc 1218785755 374636 1218815394\nproc4 3 98 51 54\n",
        )]);
        let text = tree.samples(make, &[]);
        for line in [
            "node_nfs_packets_total{protocol=\"udp\"} 71",
            "node_nfs_packets_total{protocol=\"tcp\"} 69",
            "node_nfs_connections_total 45",
            "node_nfs_rpc_retransmissions_total 374636",
            "node_nfs_requests_total{method=\"Null\",proto=\"4\"} 98",
            "node_nfs_requests_total{method=\"Write\",proto=\"4\"} 54",
            "node_nfs_requests_total{method=\"Clone\",proto=\"4\"} 0",
            "node_nfs_requests_total{method=\"FsStat\",proto=\"2\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
