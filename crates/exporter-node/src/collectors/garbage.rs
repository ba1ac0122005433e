//! What collectors do with files that are not as the kernel writes them: anything but panic.

use crate::fault::Fault;
use crate::table::TABLE;
use crate::tree::{Tree, flags_of};

/// A host that has one of everything.
const HOST: &[(&str, &str)] = &[
    ("proc/buddyinfo", "Node 0, zone      DMA      1      0\n"),
    ("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t5\t47\t1\n"),
    (
        "proc/drbd",
        "version: 8.4.3\n 1: cs:Connected ro:Primary/Primary ds:UpToDate/UpToDate\n ns:173 nr:109 oos:0\n",
    ),
    (
        "proc/mdstat",
        "Personalities : [raid1]\nmd6 : active raid1 sdb2[2](F) sda2[0]\n      195 blocks [2/1] [U_]\n      [=>...]  recovery =  8.5% (16/195) finish=17.0min\n\n",
    ),
    (
        "proc/net/ip_vs",
        "IP Virtual Server\nTCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA      Tunnel  100    248        2\n",
    ),
    ("proc/net/ip_vs_stats", "Total\nConns\n 16AA370 E33656E5        0     51D8C8883AB3        0\n\n"),
    ("proc/net/rpc/nfs", "net 70 70 69 45\nrpc 1 2 3\nproc4 3 98 51 54\n"),
    ("proc/net/rpc/nfsd", "rc 0 6 18622\nth 8 0 0.000\nwdeleg_getattr 15\n"),
    ("proc/net/stat/arp_cache", "entries  allocs\n00000014 00000001\n"),
    ("proc/net/xfrm_stat", "XfrmInError                     1\n"),
    ("proc/self/mountinfo", "2 1 0:2 / /mnt rw - nfs4 a:/b rw,addr=192.168.1.5\n"),
    (
        "proc/self/mountstats",
        "device a:/b mounted on /mnt with fstype nfs4 statvers=1.1\n\tage:\t13968\n\tbytes:\t1 2 3 4 5 6 7 8\n\txprt:\ttcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726\n\tper-op statistics\n\tNULL: 0 0 0 0 0 0 0 0\n\n",
    ),
    (
        "proc/slabinfo",
        "slabinfo - version: 2.1\ntw_sock_TCP 704 864 256 32 2 : tunables 0 0 0 : slabdata 27 27 0\n",
    ),
    ("proc/spl/kstat/zfs/arcstats", "6 1 0x01\nname type data\nhits 4 8772612\n"),
    (
        "proc/spl/kstat/zfs/pool/io",
        "12 3\nnread nwritten reads writes wtime wlentime wupdate rtime rlentime rupdate wcnt rcnt\n1 2 3 4 5 6 7 8 9 10 11 12\n",
    ),
    ("proc/spl/kstat/zfs/pool/objset-1", "name type data\ndataset_name 7 pool/set\nwrites 4 5\n"),
    ("proc/spl/kstat/zfs/pool/state", "ONLINE\n"),
    ("proc/sys/fs/file-nr", "1024\t0\t1631329\n"),
    ("proc/sys/kernel/hung_task_detect_count", "3\n"),
    (
        "proc/zoneinfo",
        "Node 0, zone      DMA\n  pages free     2949\n        min      8\n      protection: (0, 2039)\n",
    ),
    ("sys/block/dm-5/dm/name", "mpathA\n"),
    ("sys/block/dm-5/dm/suspended", "0\n"),
    ("sys/block/dm-5/dm/uuid", "mpath-36\n"),
    ("sys/block/dm-5/size", "100\n"),
    ("sys/block/dm-5/slaves/sdi/x", ""),
    ("sys/block/md0/md/degraded", "1\n"),
    ("sys/block/md0/md/level", "raid1\n"),
    ("sys/block/md0/md/raid_disks", "2 (3)\n"),
    ("sys/block/sdi/device/state", "running\n"),
    ("sys/bus/pci/devices/0000:01:00.0", "-> ../../../devices/pci0000:00/0000:01:00.0"),
    ("sys/class/dmi/id/sys_vendor", "Dell Inc.\n"),
    ("sys/class/drm/card0/device/gpu_busy_percent", "4\n"),
    ("sys/class/drm/card0/device/uevent", "DRIVER=amdgpu\n"),
    ("sys/class/fc_host/host0/port_name", "0x1000\n"),
    ("sys/class/fc_host/host0/port_state", "Online\n"),
    ("sys/class/fc_host/host0/statistics/rx_frames", "0x3\n"),
    ("sys/class/hwmon/hwmon0/freq1_input", "214000000\n"),
    ("sys/class/hwmon/hwmon0/freq1_label", "sclk\n"),
    ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
    ("sys/class/hwmon/hwmon0/temp1_input", "55000\n"),
    ("sys/class/infiniband/mlx4_0/fw_ver", "2.31.5050\n"),
    ("sys/class/infiniband/mlx4_0/ports/1/counters/port_rcv_data", "4631917\n"),
    ("sys/class/infiniband/mlx4_0/ports/1/hw_counters/lifespan", "10\n"),
    ("sys/class/infiniband/mlx4_0/ports/1/phys_state", "5: LinkUp\n"),
    ("sys/class/infiniband/mlx4_0/ports/1/rate", "40 Gb/sec (4X QDR)\n"),
    ("sys/class/infiniband/mlx4_0/ports/1/state", "4: ACTIVE\n"),
    ("sys/class/net/bond0/bonding/slaves", "eth0\n"),
    ("sys/class/net/bond0/lower_eth0/bonding_slave/mii_status", "up\n"),
    ("sys/class/net/bonding_masters", "bond0\n"),
    ("sys/class/nvme-subsystem/nvme-subsys0/iopolicy", "numa\n"),
    ("sys/class/nvme-subsystem/nvme-subsys0/model", "M\n"),
    ("sys/class/nvme-subsystem/nvme-subsys0/nvme0/state", "live\n"),
    ("sys/class/nvme-subsystem/nvme-subsys0/nvme0/transport", "fc\n"),
    ("sys/class/nvme-subsystem/nvme-subsys0/serial", "S\n"),
    ("sys/class/nvme-subsystem/nvme-subsys0/subsysnqn", "nqn\n"),
    ("sys/class/nvme/nvme0/cntlid", "1997\n"),
    ("sys/class/nvme/nvme0/firmware_rev", "1B\n"),
    ("sys/class/nvme/nvme0/model", "M\n"),
    ("sys/class/nvme/nvme0/nvme0n1/nuse", "10\n"),
    ("sys/class/nvme/nvme0/nvme0n1/queue/logical_block_size", "512\n"),
    ("sys/class/nvme/nvme0/nvme0n1/size", "100\n"),
    ("sys/class/nvme/nvme0/serial", "S\n"),
    ("sys/class/nvme/nvme0/state", "live\n"),
    ("sys/class/power_supply/BAT0/status", "Full\n"),
    ("sys/class/power_supply/BAT0/voltage_now", "12229000\n"),
    ("sys/class/powercap/intel-rapl:0/energy_uj", "240422366267\n"),
    ("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n"),
    ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
    ("sys/class/scsi_tape/st0/stats/in_flight", "1\n"),
    ("sys/class/watchdog/watchdog0/bootstatus", "1\n"),
    ("sys/class/watchdog/watchdog0/identity", "Software Watchdog\n"),
    ("sys/devices/pci0000:00/0000:01:00.0/class", "0x010802\n"),
    ("sys/devices/pci0000:00/0000:01:00.0/device", "0x540a\n"),
    ("sys/devices/pci0000:00/0000:01:00.0/max_link_speed", "16.0 GT/s PCIe\n"),
    ("sys/devices/pci0000:00/0000:01:00.0/revision", "0x01\n"),
    ("sys/devices/pci0000:00/0000:01:00.0/subsystem_device", "0x5021\n"),
    ("sys/devices/pci0000:00/0000:01:00.0/subsystem_vendor", "0xc0a9\n"),
    ("sys/devices/pci0000:00/0000:01:00.0/vendor", "0xc0a9\n"),
    ("sys/devices/system/cpu/vulnerabilities/mds", "Mitigation: PTI\n"),
    ("sys/devices/system/edac/mc/mc0/ce_count", "1\n"),
    ("sys/devices/system/edac/mc/mc0/ce_noinfo_count", "2\n"),
    ("sys/devices/system/edac/mc/mc0/csrow0/ce_count", "3\n"),
    ("sys/devices/system/edac/mc/mc0/csrow0/ch0_ce_count", "7\n"),
    ("sys/devices/system/edac/mc/mc0/csrow0/ue_count", "4\n"),
    ("sys/devices/system/edac/mc/mc0/ue_count", "5\n"),
    ("sys/devices/system/edac/mc/mc0/ue_noinfo_count", "6\n"),
    ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       1024 kB\n"),
    ("sys/devices/system/node/node0/numastat", "numa_hit 193460335812\n"),
    ("sys/fs/bcache/a-b/bdev0/dirty_data", "1.5k\n"),
    ("sys/fs/bcache/a-b/bdev0/writeback_rate_debug", "rate:\t\t1.0k/sec\nproportional:\t-1.5k\n"),
    ("sys/fs/bcache/a-b/cache0/priority_stats", "Unused:\t\t99%\n"),
    ("sys/fs/bcachefs/U/btree_cache_size", "524M\n"),
    ("sys/fs/bcachefs/U/btree_write_stats", "nr size\ninitial: 19088 108k\n"),
    ("sys/fs/bcachefs/U/compression_stats", "type\nlz4: 1.0k 2.0k\n"),
    ("sys/fs/bcachefs/U/counters/read", "since filesystem creation: 67.0k\n"),
    ("sys/fs/bcachefs/U/dev-0/io_done", "read:\nsb : 7\n"),
    ("sys/fs/bcachefs/U/dev-0/io_errors", "IO errors since filesystem creation\n  read: 1\n"),
    ("sys/fs/bcachefs/U/errors", "some 5 1\n"),
    ("sys/fs/btrfs/a-b/allocation/data/raid5/total_bytes", "2147483648\n"),
    ("sys/fs/btrfs/a-b/allocation/metadata/x", ""),
    ("sys/fs/btrfs/a-b/allocation/system/x", ""),
    ("sys/fs/btrfs/a-b/commit_stats", "commits 258051\n"),
    ("sys/fs/btrfs/a-b/devices/sda/size", "20971520\n"),
    ("sys/fs/xfs/sda1/stats/stats", "extent_alloc 1 0 2 3\nrw 28 29\n"),
    ("sys/kernel/mm/ksm/full_scans", "323\n"),
];

/// The collectors that this host's files are for.
const COLLECTORS: &[&str] = &[
    "bcache",
    "bcachefs",
    "bonding",
    "btrfs",
    "buddyinfo",
    "cgroups",
    "cpu_vulnerabilities",
    "dmi",
    "dmmultipath",
    "drbd",
    "drm",
    "edac",
    "fibrechannel",
    "hwmon",
    "infiniband",
    "ipvs",
    "kernel_hung",
    "ksmd",
    "lnstat",
    "mdadm",
    "meminfo_numa",
    "mountstats",
    "nfs",
    "nfsd",
    "nvme",
    "nvmesubsystem",
    "pcidevice",
    "powersupplyclass",
    "rapl",
    "slabinfo",
    "sysctl",
    "tapestats",
    "watchdog",
    "xfrm",
    "xfs",
    "zfs",
    "zoneinfo",
];

const FLAGS: &[(&str, &str)] = &[
    ("collector.bcache.priorityStats", "true"),
    ("collector.ipvs.backend-labels", "local_address,remote_port"),
    ("collector.pcidevice.names", "true"),
    ("collector.pcidevice.idsfile", "/dev/null"),
    ("collector.sysctl.include", "fs.file-nr"),
];

/// Runs all on a host; each gives its families or says why not.
fn outcomes(tree: &Tree) -> Vec<(&'static str, String, Result<(), Fault>)> {
    let run = |name: &'static str| {
        let entry = TABLE.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("no {name}"));
        let (text, outcome) = tree.collect(entry.make, FLAGS);
        (name, text, outcome)
    };
    COLLECTORS.iter().map(|name| run(name)).collect()
}

/// With each file's content through `change`; links stay.
fn host(change: impl Fn(&str, &str) -> Option<Vec<u8>>) -> Tree {
    let tree = Tree::new(&[]);
    for (path, content) in HOST {
        match change(path, content) {
            _ if content.starts_with("-> ") => tree.put(path, content.as_bytes()),
            Some(bytes) => tree.put(path, &bytes),
            None => tree.put(&format!("{path}/"), b""),
        }
    }
    tree
}

/// Else the other tests would show nothing.
#[test]
fn on_a_good_host_all_succeed_and_tell_something() {
    for (name, text, outcome) in outcomes(&host(|_, content| Some(content.as_bytes().to_vec()))) {
        assert_eq!(outcome, Ok(()), "{name}");
        assert!(!text.is_empty(), "{name}");
    }
    assert!(flags_of(FLAGS).is_on("collector.bcache.priorityStats"));
}

#[test]
fn the_same_garbage_in_all_files() {
    let nines = "9".repeat(400);
    let long_line = "word ".repeat(10_000);
    let contents: &[&[u8]] = &[
        b"",
        b"\n",
        b"\n\n\n\n",
        b"\0\xff\xfe\x80",
        b"18446744073709551616\n",
        b"-9223372036854775808\n",
        b"0x\n",
        b"NaN\n",
        b"a: b: c [1/2] (3/4) [U_]\n -> x\n",
        b"name type data\n\n1\n\xc3\x28 4 \xff\n",
        b"device a mounted on b with fstype nfs statvers=1.1\n",
        nines.as_bytes(),
        long_line.as_bytes(),
    ];
    for content in contents {
        outcomes(&host(|_, _| Some(content.to_vec())));
    }
    outcomes(&host(|_, _| None));
    outcomes(&Tree::new(&[]));
}

#[test]
fn good_files_cut_and_changed() {
    let seed = std::cell::Cell::new(7_u64);
    let random = |below: usize| {
        seed.set(seed.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        (seed.get() >> 33) as usize % below.max(1)
    };
    for round in 0..24 {
        let tree = host(|_, content| {
            let mut bytes = content.as_bytes().to_vec();
            match random(5) {
                0 => bytes.truncate(random(bytes.len())),
                1 if !bytes.is_empty() => {
                    let at = random(bytes.len());
                    bytes[at] = b" \n\t0-.:[](/x\xff\0"[random(13)];
                }
                2 if !bytes.is_empty() => drop(bytes.remove(random(bytes.len()))),
                3 if round % 3 == 0 => return None,
                _ => {}
            }
            Some(bytes)
        });
        outcomes(&tree);
    }
}
