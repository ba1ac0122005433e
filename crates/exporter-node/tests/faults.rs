//! Every file that the collectors read, broken in every way in turn: what reads it fails alone, and nothing panics.

#![expect(clippy::unwrap_used, reason = "all of this binary is tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use exporter_node::{Build, Flags, NodeExporter, TABLE};
use exporters::{Exporter as _, Query};

/// Files of a small system.
const FILES: &[(&str, &str)] = &[
    ("proc/1/mountinfo", "27 1 254:1 / / rw shared:1 - ext4 /dev/vda1 rw,discard\n"),
    ("proc/1/stat", "1 (init) S 0 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 1 1 1\n"),
    (
        "proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: X\ncpu MHz\t\t: 800.0\nflags\t\t: fpu aes\nbugs\t\t: mds\n",
    ),
    ("proc/diskstats", " 254 0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"),
    (
        "proc/interrupts",
        "           CPU0\n  0:  5   IO-APIC  2-edge  timer\nNMI:  0  Non-maskable interrupts\nERR: 0\n",
    ),
    ("proc/loadavg", "0.02 0.04 0.05 1/497 11947\n"),
    ("proc/meminfo", "MemTotal: 3742148 kB\nActive(anon): 1 kB\nHugePages_Total: 0\n"),
    (
        "proc/net/arp",
        "IP address HW type Flags HW address Mask Device\n10.0.0.1 0x1 0x2 00:00:00:00:00:01 * eth0\n",
    ),
    (
        "proc/net/dev",
        "Inter-| Receive | Transmit\n face |bytes\n lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
    ),
    ("proc/net/netstat", "TcpExt: SyncookiesSent A\nTcpExt: 1 2\n"),
    ("proc/net/snmp", "Tcp: ActiveOpens InSegs\nTcp: 1 2\n"),
    ("proc/net/snmp6", "Ip6InReceives 1\nUdp6InDatagrams 2\n"),
    ("proc/net/sockstat", "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1\n"),
    ("proc/net/sockstat6", "TCP6: inuse 17\n"),
    (
        "proc/net/softnet_stat",
        "00015c73 00020e76 000001f7 00000000 00000000 00000000 00000000 00000000 00000000\n",
    ),
    ("proc/net/stat/nf_conntrack", "entries searched found invalid\n00000021 00000000 00000001 00000003\n"),
    (
        "proc/net/udp",
        "  sl  local_address rem_address   st tx_queue rx_queue\n   0: 0:0 0:0 07 00000015:00000000 00:0\n",
    ),
    (
        "proc/net/udp6",
        "  sl  local_address rem_address   st tx_queue rx_queue\n   0: 0:0 0:0 07 00000015:00000000 00:0\n",
    ),
    ("proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\n"),
    ("proc/pressure/io", "some avg10=0 total=1\nfull avg10=0 total=2\n"),
    ("proc/schedstat", "version 15\ncpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 20 30 40\n"),
    ("proc/softirqs", "    CPU0\n  HI:  3\n  TIMER: 2\n"),
    (
        "proc/stat",
        "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\nintr 8 1\nctxt 3\nbtime 1\nsoftirq 5 1 2\n",
    ),
    ("proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 1 2 100\n"),
    ("proc/sys/fs/file-nr", "1024\t0\t1631329\n"),
    ("proc/sys/kernel/pid_max", "123\n"),
    ("proc/sys/kernel/random/entropy_avail", "1337\n"),
    ("proc/sys/kernel/random/poolsize", "4096\n"),
    ("proc/sys/kernel/threads-max", "7801\n"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "123\n"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
    ("proc/vmstat", "pgpgin 7344136\noom_kill 0\n"),
    ("sys/block/vda/queue/rotational", "1\n"),
    ("sys/class/net/eth0/address", "01:01:01:01:01:01\n"),
    ("sys/class/net/eth0/carrier", "1\n"),
    ("sys/class/net/eth0/flags", "0x1303\n"),
    ("sys/class/net/eth0/operstate", "up\n"),
    ("sys/class/net/eth0/speed", "1000\n"),
    ("sys/class/thermal/cooling_device0/cur_state", "0\n"),
    ("sys/class/thermal/cooling_device0/max_state", "3\n"),
    ("sys/class/thermal/cooling_device0/type", "Processor\n"),
    ("sys/class/thermal/thermal_zone0/temp", "49925\n"),
    ("sys/class/thermal/thermal_zone0/type", "bcm2835_thermal\n"),
    ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet\n"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors", "performance powersave\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1219917\n"),
    ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
    ("sys/devices/system/cpu/cpu0/online", "1\n"),
    ("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "5\n"),
    ("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "30\n"),
    ("sys/devices/system/cpu/cpu0/topology/core_id", "0\n"),
    ("sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n"),
    ("sys/devices/system/cpu/isolated", "1,3-5\n"),
    ("sys/devices/system/cpu/offline", "\n"),
    ("etc/os-release", "NAME=\"A system\"\nVERSION_ID=\"12.1\"\nSUPPORT_END=2030-01-01\n"),
    ("udev/b254:0", "E:ID_MODEL=x\nE:ID_FS_TYPE=ext4\nE:ID_ATA=1\nE:ID_ATA_WRITE_CACHE=1\n"),
    ("text/a.prom", "# HELP a A.\n# TYPE a gauge\na{b=\"c\"} 1\n"),
];

/// Collectors whose files are not of this tree, or which read the kernel itself.
fn is_of_the_tree(name: &str) -> bool {
    let own = FILES.iter().any(|(path, _)| path.contains(name));
    let others =
        ["arp", "conntrack", "cpu", "cpufreq", "entropy", "filefd", "filesystem", "netclass", "netdev"];
    let more = ["netstat", "os", "processes", "softnet", "stat", "swap", "textfile", "time", "udp_queues"];
    own || others.contains(&name) || more.contains(&name)
}

fn exporter(root: &Path) -> NodeExporter {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in TABLE {
        values.insert(entry.flag.to_owned(), vec![is_of_the_tree(entry.name).to_string()]);
    }
    let path = |name: &str| root.join(name).display().to_string();
    for (name, value) in [
        ("path.procfs", path("proc")),
        ("path.sysfs", path("sys")),
        ("path.rootfs", path("")),
        ("path.udev.data", path("udev")),
        ("collector.textfile.directory", path("text")),
        ("collector.netstat.fields", ".".to_owned()),
        ("collector.vmstat.fields", ".".to_owned()),
        ("collector.netclass.ignored-devices", "^$".to_owned()),
        ("collector.filesystem.mount-timeout", "5s".to_owned()),
        ("collector.filesystem.stat-workers", "4".to_owned()),
        ("collector.netdev.netlink", "false".to_owned()),
        ("collector.cpu.info", "true".to_owned()),
        ("collector.cpu.guest", "true".to_owned()),
        ("collector.cpu.info.flags-include", ".".to_owned()),
        ("collector.stat.softirq", "true".to_owned()),
        ("collector.interrupts.include-zeros", "true".to_owned()),
    ] {
        values.insert(name.to_owned(), vec![value]);
    }
    NodeExporter::new(&Flags::new(values, vec!["path.procfs".to_owned()]), Build::default()).unwrap()
}

/// Success by collector. The page must be one that can be scraped.
async fn successes(exporter: &NodeExporter) -> BTreeMap<String, bool> {
    let text = exporter.gather(&Query::default()).await.unwrap().render();
    let mut parser = exposition::Parser::new(exposition::Format::Text, text.as_bytes());
    while let Some(entry) = parser.next().unwrap_or_else(|e| panic!("{e} in\n{text}")) {
        drop(entry);
    }
    let prefix = "node_scrape_collector_success{collector=\"";
    let lines = text.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once("\"} "));
    lines.map(|(name, value)| (name.to_owned(), value == "1")).collect()
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn a_broken_file_costs_its_collector_only() {
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::SeqCst);
    }));
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (name, text) in FILES {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let all = exporter(root);
    let whole = successes(&all).await;
    let failing: Vec<&String> = whole.iter().filter(|(_, ok)| !**ok).map(|(name, _)| name).collect();
    assert_eq!(failing, [] as [&String; 0]);

    let long = vec![b'9'; 1 << 20];
    let deep = "1 ".repeat(100_000).into_bytes();
    let binary: Vec<u8> = (0..=255).cycle().take(4096).collect();
    let huge = vec![b'\n'; (16 << 20) + 1];
    let mut broken = 0;
    for (name, text) in FILES {
        let path = root.join(name);
        let half = &text.as_bytes()[..text.len() / 2];
        let lines = text.replace(|c: char| c.is_ascii_digit(), "-99999999999999999999999");
        for (what, bytes) in [
            ("empty", &b""[..]),
            ("half", half),
            ("binary", &binary),
            ("a long line", &long),
            ("many words", &deep),
            ("large numbers", lines.as_bytes()),
            ("huge", &huge),
        ] {
            fs::write(&path, bytes).unwrap();
            let got = successes(&all).await;
            let failed: Vec<&String> = got.iter().filter(|(_, ok)| !**ok).map(|(name, _)| name).collect();
            // /proc/stat has two readers, as has the directory of the CPUs.
            assert!(failed.len() <= 2, "{name}, {what}: {failed:?}");
            assert_eq!(got.len(), whole.len(), "{name}, {what}");
            assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{name}, {what}: a collector panicked");
            broken += usize::from(!failed.is_empty());
        }
        fs::remove_file(&path).unwrap();
        let failed = successes(&all).await.into_values().filter(|ok| !ok).count();
        assert!(failed <= 2, "{name}, missing: {failed}");
        fs::write(&path, text).unwrap();
    }
    assert!(broken > 100, "only {broken} broken files were noticed");
    // What was broken is whole again.
    assert_eq!(successes(&all).await, whole);
}
