//! The table of collectors: one line for each, sorted by name.

use crate::collector::Make;
use crate::collectors;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// As in `collect[]=NAME`.
    pub name: &'static str,
    /// The switch that turns it on or off, without dashes.
    pub flag: &'static str,
    /// The switch's help text.
    pub help: &'static str,
    /// Whether it runs unless told otherwise.
    pub on: bool,
    /// Whether what it reads belongs to a namespace, so that a container's is not the host's.
    pub namespaced: bool,
    pub(crate) make: Make,
}

macro_rules! is {
    (on) => {
        true
    };
    (off) => {
        false
    };
    (namespaced) => {
        true
    };
    () => {
        false
    };
}

macro_rules! state {
    (on) => {
        "enabled"
    };
    (off) => {
        "disabled"
    };
}

/// `NAME: on|off[, namespaced];`, made by `collectors::NAME::make`.
macro_rules! table {
    ($($name:ident: $state:ident $(, $namespaced:ident)?;)*) => {
        /// All collectors, sorted by name.
        pub const TABLE: &[Entry] = &[$(Entry {
            name: stringify!($name),
            flag: concat!("collector.", stringify!($name)),
            help: concat!("Enable the ", stringify!($name), " collector (default: ", state!($state), ")."),
            on: is!($state),
            namespaced: is!($($namespaced)?),
            make: collectors::$name::make,
        }),*];
    };
}

table! {
    arp: on, namespaced;
    bcache: on;
    bcachefs: on;
    bonding: on, namespaced;
    btrfs: on;
    buddyinfo: off;
    cgroups: off;
    conntrack: on, namespaced;
    cpu: on;
    cpu_vulnerabilities: off;
    cpufreq: on;
    diskstats: on;
    dmi: on;
    dmmultipath: on;
    drbd: off;
    drm: off;
    edac: on;
    entropy: on;
    ethtool: off, namespaced;
    fibrechannel: on;
    filefd: on;
    filesystem: on, namespaced;
    hwmon: on;
    infiniband: on;
    ipvs: on, namespaced;
    kernel_hung: on;
    ksmd: off;
    lnstat: off, namespaced;
    loadavg: on;
    mdadm: on;
    meminfo: on;
    meminfo_numa: off;
    mountstats: off, namespaced;
    netclass: on, namespaced;
    netdev: on, namespaced;
    netstat: on, namespaced;
    network_route: off, namespaced;
    nfs: on, namespaced;
    nfsd: on, namespaced;
    nvme: on;
    nvmesubsystem: off;
    os: on;
    pcidevice: off;
    powersupplyclass: on;
    pressure: on;
    qdisc: off, namespaced;
    rapl: on;
    schedstat: on;
    selinux: on;
    slabinfo: off;
    sockstat: on, namespaced;
    softnet: on, namespaced;
    stat: on;
    sysctl: off;
    tapestats: on;
    thermal_zone: on;
    time: on;
    timex: on;
    udp_queues: on, namespaced;
    uname: on, namespaced;
    vmstat: on;
    watchdog: on;
    xfrm: off, namespaced;
    xfs: on;
    zfs: on;
    zoneinfo: off;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_are_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        let row = TABLE.iter().find(|e| e.name == "loadavg").unwrap();
        assert_eq!((row.flag, row.on, row.namespaced), ("collector.loadavg", true, false));
        assert_eq!(row.help, "Enable the loadavg collector (default: enabled).");
    }
}
