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
    conntrack: on, network;
    cpu: on;
    cpufreq: on;
    diskstats: on;
    entropy: on;
    filefd: on;
    filesystem: on, mount;
    interrupts: off;
    loadavg: on;
    meminfo: on;
    netclass: on, network_files;
    netdev: on, network_files;
    netstat: on, network_files;
    os: on, mount;
    pressure: on;
    processes: off, process;
    schedstat: on;
    selinux: on;
    sockstat: on, network_files;
    softirqs: off;
    softnet: on;
    stat: on;
    swap: off;
    systemd: off, mount;
    tcpstat: off, network;
    textfile: on;
    thermal_zone: on;
    time: on;
    timex: on;
    udp_queues: on, network_files;
    uname: on, name;
    vmstat: on;
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
