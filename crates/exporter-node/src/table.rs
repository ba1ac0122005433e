//! The table of collectors: one line for each, sorted by name.

use crate::collector::Make;
use crate::collectors;
use crate::container::Namespace;

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
    /// What it reads of what a container has of its own.
    pub namespace: Option<Namespace>,
    pub(crate) make: Make,
}

macro_rules! is {
    (on) => {
        true
    };
    (off) => {
        false
    };
}

macro_rules! namespace {
    (mount) => {
        Some(Namespace::Mount)
    };
    (network_files) => {
        Some(Namespace::NetworkFiles)
    };
    (network) => {
        Some(Namespace::Network)
    };
    (process) => {
        Some(Namespace::Process)
    };
    (name) => {
        Some(Namespace::Name)
    };
    () => {
        None
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

/// `NAME: on|off[, NAMESPACE];`, made by `collectors::NAME::make`.
macro_rules! table {
    ($($name:ident: $state:ident $(, $namespace:ident)?;)*) => {
        /// All collectors, sorted by name.
        pub const TABLE: &[Entry] = &[$(Entry {
            name: stringify!($name),
            flag: concat!("collector.", stringify!($name)),
            help: concat!("Enable the ", stringify!($name), " collector (default: ", state!($state), ")."),
            on: is!($state),
            namespace: namespace!($($namespace)?),
            make: collectors::$name::make,
        }),*];
    };
}

table! {
    arp: on, network_files;
    bcache: on;
    bcachefs: on;
    bonding: on, network_files;
    btrfs: on;
    buddyinfo: off;
    cgroups: off;
    conntrack: on, network;
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
    ethtool: off, network;
    fibrechannel: on;
    filefd: on;
    filesystem: on, mount;
    hwmon: on;
    infiniband: on;
    interrupts: off;
    ipvs: on, network_files;
    kernel_hung: on;
    ksmd: off;
    lnstat: off, network_files;
    loadavg: on;
    mdadm: on;
    meminfo: on;
    meminfo_numa: off;
    mountstats: off, mount;
    netclass: on, network_files;
    netdev: on, network_files;
    netstat: on, network_files;
    network_route: off, network;
    nfs: on, network_files;
    nfsd: on, network_files;
    ntp: off, network;
    nvme: on;
    nvmesubsystem: off;
    os: on, mount;
    pcidevice: off;
    powersupplyclass: on;
    pressure: on;
    processes: off, process;
    qdisc: off, network;
    rapl: on;
    runit: off, mount;
    schedstat: on;
    selinux: on;
    slabinfo: off;
    sockstat: on, network_files;
    softirqs: off;
    softnet: on;
    stat: on;
    swap: off;
    sysctl: off;
    systemd: off, mount;
    tapestats: on;
    tcpstat: off, network;
    textfile: on;
    thermal_zone: on;
    time: on;
    timex: on;
    udp_queues: on, network_files;
    uname: on, name;
    vmstat: on;
    watchdog: on;
    wifi: off, network;
    xfrm: off, network_files;
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
        assert_eq!((row.flag, row.on, row.namespace), ("collector.loadavg", true, None));
        assert_eq!(row.help, "Enable the loadavg collector (default: enabled).");
    }
}
