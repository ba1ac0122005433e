//! The flags of `node_exporter`.

use super::{Command, Flag, Style, switch, value};

/// `vigie node-exporter`
pub(crate) const COMMAND: Command = Command {
    name: "node_exporter",
    about: "The host's metrics, as Prometheus' node_exporter exposes them.",
    positional: None,
    flags: &[
        MAIN,
        PATHS,
        SWITCHES,
        COLLECTORS,
        super::node_hardware::HARDWARE,
        ABSENT,
        super::exporter::COMMON,
    ],
    also: None,
    style: Style::Kingpin,
};

const MAIN: &[Flag] = &[
    value("web.listen-address", ":9100", "Addresses on which to expose metrics and web interface.")
        .repeatable(),
    value("web.telemetry-path", "/metrics", "Path under which to expose metrics."),
    switch(
        "web.disable-exporter-metrics",
        "Exclude metrics about the exporter itself (promhttp_*, process_*, go_*).",
    ),
    value("web.max-requests", "40", "Maximum number of parallel scrape requests. Use 0 to disable."),
    value("runtime.gomaxprocs", "1", "The target number of CPUs Go will run on (GOMAXPROCS)")
        .without_effect("there is no Go runtime; a scrape uses one thread"),
];

const PATHS: &[Flag] = &[
    switch("collector.disable-defaults", "Set all collectors to disabled by default."),
    value("path.procfs", "/proc", "procfs mountpoint."),
    value("path.sysfs", "/sys", "sysfs mountpoint."),
    value("path.rootfs", "/", "rootfs mountpoint."),
    value("path.udev.data", "/run/udev/data", "udev data path."),
];

/// What is collected from where: also flags of `vigie run`.
pub(crate) const HOST: &[&[Flag]] = &[PATHS, SWITCHES, COLLECTORS, super::node_hardware::HARDWARE];

/// `--collector.NAME` for each collector there is.
const SWITCHES: &[Flag] = &switches();

const fn switches() -> [Flag; exporter_node::TABLE.len()] {
    let mut flags = [switch("", ""); exporter_node::TABLE.len()];
    let mut i = 0;
    while i < flags.len() {
        let entry = &exporter_node::TABLE[i];
        let flag = switch(entry.flag, entry.help);
        flags[i] = if entry.on { flag.on() } else { flag };
        i += 1;
    }
    flags
}

/// A flag's former name.
const fn former(name: &'static str, help: &'static str) -> Flag {
    value(name, "", help).hidden()
}

const COLLECTORS: &[Flag] = &[
    value(
        "collector.arp.device-include",
        "",
        "Regexp of arp devices to include (mutually exclusive to device-exclude).",
    ),
    value(
        "collector.arp.device-exclude",
        "",
        "Regexp of arp devices to exclude (mutually exclusive to device-include).",
    ),
    switch("collector.arp.netlink", "Use netlink to gather stats instead of /proc/net/arp.")
        .on()
        .without_effect("/proc/net/arp has the same entries, and is read either way"),
    switch("collector.cpu.guest", "Enables metric node_cpu_guest_seconds_total").on(),
    switch("collector.cpu.info", "Enables metric cpu_info"),
    value(
        "collector.cpu.info.flags-include",
        "",
        "Filter the `flags` field in cpuInfo with a value that must be a regular expression",
    ),
    value(
        "collector.cpu.info.bugs-include",
        "",
        "Filter the `bugs` field in cpuInfo with a value that must be a regular expression",
    ),
    value(
        "collector.diskstats.device-exclude",
        r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
        "Regexp of diskstats devices to exclude (mutually exclusive to device-include).",
    ),
    former(
        "collector.diskstats.ignored-devices",
        "DEPRECATED: Use collector.diskstats.device-exclude",
    ),
    value(
        "collector.diskstats.device-include",
        "",
        "Regexp of diskstats devices to include (mutually exclusive to device-exclude).",
    ),
    value(
        "collector.filesystem.mount-points-exclude",
        "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
        "Regexp of mount points to exclude for filesystem collector. (mutually exclusive to mount-points-include)",
    ),
    former(
        "collector.filesystem.ignored-mount-points",
        "Regexp of mount points to ignore for filesystem collector.",
    ),
    value(
        "collector.filesystem.mount-points-include",
        "",
        "Regexp of mount points to include for filesystem collector. (mutually exclusive to mount-points-exclude)",
    ),
    value(
        "collector.filesystem.fs-types-exclude",
        "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|\
         overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
        "Regexp of filesystem types to exclude for filesystem collector. (mutually exclusive to fs-types-include)",
    ),
    former(
        "collector.filesystem.ignored-fs-types",
        "Regexp of filesystem types to ignore for filesystem collector.",
    ),
    value(
        "collector.filesystem.fs-types-include",
        "",
        "Regexp of filesystem types to include for filesystem collector. (mutually exclusive to fs-types-exclude)",
    ),
    value(
        "collector.filesystem.mount-timeout",
        "5s",
        "how long to wait for a mount to respond before marking it as stale",
    )
    .hidden(),
    value("collector.filesystem.stat-workers", "4", "how many stat calls to process simultaneously")
        .hidden(),
    value(
        "collector.interrupts.name-include",
        "",
        "Regexp of interrupts name to include (mutually exclusive to --collector.interrupts.name-exclude).",
    ),
    value(
        "collector.interrupts.name-exclude",
        "",
        "Regexp of interrupts name to exclude (mutually exclusive to --collector.interrupts.name-include).",
    ),
    switch("collector.interrupts.include-zeros", "Include interrupts that have a zero value").on(),
    value(
        "collector.netclass.ignored-devices",
        "^$",
        "Regexp of net devices to ignore for netclass collector.",
    ),
    switch(
        "collector.netclass.ignore-invalid-speed",
        "Ignore devices where the speed is invalid. This will be the default behavior in 2.x.",
    ),
    switch("collector.netclass.netlink", "Use netlink to gather stats instead of /proc/net/dev.")
        .without_effect("the properties are read from /sys/class/net"),
    switch(
        "collector.netclass_rtnl.with-stats",
        "Expose the statistics for each network device, replacing netdev collector.",
    )
    .without_effect("the netdev collector has them"),
    value(
        "collector.netdev.device-include",
        "",
        "Regexp of net devices to include (mutually exclusive to device-exclude).",
    ),
    former("collector.netdev.device-whitelist", "DEPRECATED: Use collector.netdev.device-include"),
    value(
        "collector.netdev.device-exclude",
        "",
        "Regexp of net devices to exclude (mutually exclusive to device-include).",
    ),
    former("collector.netdev.device-blacklist", "DEPRECATED: Use collector.netdev.device-exclude"),
    switch("collector.netdev.address-info", "Collect address-info for every device"),
    switch(
        "collector.netdev.enable-detailed-metrics",
        "Use (incompatible) metric names that provide more detailed stats on Linux",
    ),
    switch("collector.netdev.netlink", "Use netlink to gather stats instead of /proc/net/dev.").on(),
    switch("collector.netdev.label-ifalias", "Add ifAlias label"),
    value(
        "collector.netstat.fields",
        "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|\
         TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
         Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
         Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
        "Regexp of fields to return for netstat collector.",
    ),
    switch("collector.stat.softirq", "Export softirq calls per vector"),
    value(
        "collector.systemd.unit-include",
        ".+",
        "Regexp of systemd units to include. Units must both match include and not match exclude to be included.",
    ),
    former("collector.systemd.unit-whitelist", "DEPRECATED: Use --collector.systemd.unit-include"),
    value(
        "collector.systemd.unit-exclude",
        r".+\.(automount|device|mount|scope|slice)",
        "Regexp of systemd units to exclude. Units must both match include and not match exclude to be included.",
    ),
    former("collector.systemd.unit-blacklist", "DEPRECATED: Use collector.systemd.unit-exclude"),
    switch(
        "collector.systemd.private",
        "Establish a private, direct connection to systemd without dbus (Strongly discouraged since it requires \
         root. For testing purposes only).",
    )
    .hidden(),
    switch(
        "collector.systemd.enable-task-metrics",
        "Enables service unit tasks metrics unit_tasks_current and unit_tasks_max",
    ),
    switch(
        "collector.systemd.enable-restarts-metrics",
        "Enables service unit metric service_restart_total",
    ),
    switch(
        "collector.systemd.enable-start-time-metrics",
        "Enables service unit metric unit_start_time_seconds",
    ),
    value(
        "collector.textfile.directory",
        "",
        "Directory to read text files with metrics from, supports glob matching. (repeatable)",
    )
    .repeatable(),
    value(
        "collector.vmstat.fields",
        "^(oom_kill|pgpg|pswp|pg.*fault).*",
        "Regexp of fields to return for vmstat collector.",
    ),
];

/// Upstream's collectors that there are not here, with their flags: who turns them off, or has left a flag behind, is served as before.
const ABSENT: &[Flag] = &[
    absent("collector.logind"),
    absent("collector.ntp"),
    absent_value("collector.ntp.server"),
    absent_value("collector.ntp.server-port"),
    absent_value("collector.ntp.protocol-version"),
    absent("collector.ntp.server-is-local"),
    absent_value("collector.ntp.ip-ttl"),
    absent_value("collector.ntp.max-distance"),
    absent_value("collector.ntp.local-offset-tolerance"),
    absent("collector.runit"),
    absent_value("collector.runit.servicedir"),
    absent("collector.supervisord"),
    absent_value("collector.supervisord.url"),
    absent("collector.wifi"),
    absent_value("collector.wifi.fixtures"),
];

const WHY_ABSENT: &str = "this collector is not part of this version";

const fn absent(name: &'static str) -> Flag {
    switch(name, "").without_effect(WHY_ABSENT).hidden()
}

const fn absent_value(name: &'static str) -> Flag {
    value(name, "", "").without_effect(WHY_ABSENT).hidden()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Outcome;

    fn parse(args: &[&str]) -> Result<crate::flags::Parsed, String> {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        match COMMAND.parse(&args)? {
            Outcome::Run(parsed) => Ok(parsed),
            Outcome::Print(text) => Err(text),
        }
    }

    #[test]
    fn each_collector_has_its_switch() {
        let parsed = parse(&["--no-collector.loadavg", "--collector.disable-defaults"]).unwrap();
        assert!(!parsed.is_on("collector.loadavg"));
        assert_eq!(parsed.given(), ["collector.loadavg", "collector.disable-defaults"]);
        let help = COMMAND.help();
        for entry in exporter_node::TABLE {
            assert!(help.contains(&format!("--[no-]{}", entry.flag)), "{}", entry.name);
        }
    }

    #[test]
    fn no_flag_is_there_twice() {
        let mut names: Vec<_> = COMMAND.flags.iter().flat_map(|f| f.iter()).map(|f| f.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
