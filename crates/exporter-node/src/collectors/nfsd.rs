//! NFS server: caches, threads and calls by operation, from `/proc/net/rpc/nfsd`.

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;
use crate::rpc::{self, Lines, Procedures};

/// A family is a column of a line.
#[rustfmt::skip]
const FAMILIES: &[(&str, usize, Family)] = &[
    ("rc", 0, counter("node_nfsd_reply_cache_hits_total", "Total number of NFSd Reply Cache hits (client lost server response).")),
    ("rc", 1, counter("node_nfsd_reply_cache_misses_total", "Total number of NFSd Reply Cache an operation that requires caching (idempotent).")),
    ("rc", 2, counter("node_nfsd_reply_cache_nocache_total", "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).")),
    ("fh", 0, counter("node_nfsd_file_handles_stale_total", "Total number of NFSd stale file handles")),
    ("io", 0, counter("node_nfsd_disk_bytes_read_total", "Total NFSd bytes read.")),
    ("io", 1, counter("node_nfsd_disk_bytes_written_total", "Total NFSd bytes written.")),
    ("th", 0, gauge("node_nfsd_server_threads", "Total number of NFSd kernel threads that are running.")),
    ("ra", 0, gauge("node_nfsd_read_ahead_cache_size_blocks", "How large the read ahead cache is in blocks.")),
    ("ra", 11, counter("node_nfsd_read_ahead_cache_not_found_total", "Total number of NFSd read ahead cache not found.")),
    ("net", 3, counter("node_nfsd_connections_total", "Total number of NFSd TCP connections.")),
    ("rpc", 0, counter("node_nfsd_server_rpcs_total", "Total number of NFSd RPCs.")),
];

const PACKETS: Family =
    counter("node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.");
const ERRORS: Family =
    counter("node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.");
const REQUESTS: Family =
    counter("node_nfsd_requests_total", "Total number NFSd Requests by method and protocol.");

/// The first three numbers are not those of operations; `RelLockOwner` is new and may be missing.
#[rustfmt::skip]
const V4_OPERATIONS: &[&str] = &[
    "Op0Unused", "Op1Unused", "Op2Future", "Access", "Close", "Commit", "Create", "DelegPurge",
    "DelegReturn", "GetAttr", "GetFH", "Link", "Lock", "Lockt", "Locku", "Lookup", "LookupRoot",
    "Nverify", "Open", "OpenAttr", "OpenConfirm", "OpenDgrd", "PutFH", "PutPubFH", "PutRootFH", "Read",
    "ReadDir", "ReadLink", "Remove", "Rename", "Renew", "RestoreFH", "SaveFH", "SecInfo", "SetAttr",
    "SetClientID", "SetClientIDConfirm", "Verify", "Write", "RelLockOwner",
];

/// Procedures that are counted and not exposed.
const LEFT_OUT: &[&str] = &["Null", "Op0Unused", "Op1Unused", "Op2Future", "PutPubFH", "PutRootFH"];

const PROCEDURES: &[Procedures] = &[
    Procedures { line: "proc2", proto: "2", names: rpc::V2, least: rpc::V2.len() },
    Procedures { line: "proc3", proto: "3", names: rpc::V3, least: rpc::V3.len() },
    Procedures { line: "proc4ops", proto: "4", names: V4_OPERATIONS, least: V4_OPERATIONS.len() - 1 },
];

/// The lines that are no list of procedures, with their numbers of values.
const LINES: &[(&str, usize)] = &[
    ("rc", 3),
    ("fh", 5),
    ("io", 2),
    ("th", 2),
    ("ra", 12),
    ("net", 4),
    ("rpc", 5),
    ("proc4", 3),
    ("wdeleg_getattr", 1),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("net/rpc/nfsd");
    let text = read::text(&path)?;
    let lines = Lines::parse(&text, LINES, PROCEDURES).map_err(|line| Fault::garbage(&path, line))?;
    for (line, column, family) in FAMILIES {
        family.sample(page, &[], lines.get(line, *column));
    }
    PACKETS.sample(page, &[("proto", "udp")], lines.get("net", 1));
    PACKETS.sample(page, &[("proto", "tcp")], lines.get("net", 2));
    for (column, error) in [(2, "fmt"), (3, "auth"), (4, "cInt")] {
        ERRORS.sample(page, &[("error", error)], lines.get("rpc", column));
    }
    for procedures in PROCEDURES {
        for (at, method) in procedures.names.iter().enumerate().filter(|(_, m)| !LEFT_OUT.contains(m)) {
            let labels = [("method", *method), ("proto", procedures.proto)];
            REQUESTS.sample(page, &labels, lines.get(procedures.line, at + 1));
        }
    }
    REQUESTS.sample(page, &[("method", "WdelegGetattr"), ("proto", "4")], lines.get("wdeleg_getattr", 0));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn caches_and_operations() {
        let tree = Tree::new(&[(
            "proc/net/rpc/nfsd",
            "rc 0 6 18622\nth 8 0 0.000 0.000\nra 32 0 0 0 0 0 0 0 0 0 0 7\nrpc 18628 3 1 2 0\n\
             proc4 2 2 10853\nproc4ops 40 0 0 0 1098 2 0 0 0 0 8179 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 3 9\n\
             wdeleg_getattr 15\n",
        )]);
        let text = tree.samples(make, &[]);
        for line in [
            "node_nfsd_reply_cache_nocache_total 18622",
            "node_nfsd_server_threads 8",
            "node_nfsd_read_ahead_cache_not_found_total 7",
            "node_nfsd_rpc_errors_total{error=\"auth\"} 2",
            "node_nfsd_requests_total{method=\"Access\",proto=\"4\"} 1098",
            "node_nfsd_requests_total{method=\"RelLockOwner\",proto=\"4\"} 9",
            "node_nfsd_requests_total{method=\"WdelegGetattr\",proto=\"4\"} 15",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("Null") && !text.contains("PutPubFH"));
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
