//! Software RAID: states and sync from `/proc/mdstat`, disks from `/sys/block/md*/md`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const STATE: Family = gauge("node_md_state", "Indicates the state of md-device.");
const DISKS: Family = gauge("node_md_disks", "Number of active/failed/spare disks of device.");
const REQUIRED: Family = gauge("node_md_disks_required", "Total number of disks of device.");
const BLOCKS: Family = gauge("node_md_blocks", "Total number of blocks on device.");
const SYNCED: Family = gauge("node_md_blocks_synced", "Number of blocks synced on device.");
const RAID_DISKS: Family = gauge("node_md_raid_disks", "Number of raid disks on device.");
const DEGRADED: Family = gauge("node_md_degraded", "Number of degraded disks on device.");

/// The label's value, and the words that mean it.
const STATES: &[(&str, &str)] = &[
    ("active", "active"),
    ("inactive", "inactive"),
    ("recovering", "recovering"),
    ("resync", "resyncing"),
    ("check", "checking"),
];

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let path = paths.proc("mdstat");
    let text = read::text(&path)?;
    let arrays = parse(&text).map_err(|what| Fault::garbage(&path, what))?;
    for array in &arrays {
        let device = ("device", array.name);
        REQUIRED.sample(page, &[device], array.total as f64);
        for (state, disks) in [("active", array.active), ("failed", array.failed), ("spare", array.spare)] {
            DISKS.sample(page, &[device, ("state", state)], disks as f64);
        }
        for (label, state) in STATES {
            STATE.sample(page, &[device, ("state", label)], f64::from(u8::from(array.state == *state)));
        }
        BLOCKS.sample(page, &[device], array.blocks as f64);
        SYNCED.sample(page, &[device], array.synced as f64);
    }
    all_or_nothing(page, |page| {
        for (device, dir) in sysfs::matching(&paths.sys("block"), |name| name.starts_with("md")) {
            let dir = dir.join("md");
            if dir.exists() {
                write_disks(&device, &dir, page)?;
            }
        }
        Ok(())
    })
}

fn write_disks(device: &str, dir: &Path, page: &mut Page) -> Result<(), Fault> {
    let level = sysfs::value(&dir.join("level"))?;
    if !matches!(level.as_str(), "container" | "imsm" | "ddf" | "") {
        // `4 (3)` while the array is being reshaped.
        let disks = sysfs::value(&dir.join("raid_disks"))?;
        if let Some(disks) = disks.split(' ').next().and_then(|d| d.parse::<u64>().ok()) {
            RAID_DISKS.sample(page, &[("device", device)], disks as f64);
        }
    }
    let redundant = matches!(level.as_str(), "raid1" | "raid4" | "raid5" | "raid6" | "raid10");
    let degraded = if redundant { sysfs::uint(&dir.join("degraded"))? } else { 0 };
    DEGRADED.sample(page, &[("device", device)], degraded as f64);
    Ok(())
}

/// How lines begin that tell of no array, or more of the one before.
const NO_ARRAY: &[&str] = &[" ", "unused", "Personalities : "];

#[derive(Debug, PartialEq, Eq)]
struct Array<'t> {
    name: &'t str,
    state: &'t str,
    active: u64,
    total: u64,
    failed: u64,
    spare: u64,
    blocks: u64,
    synced: u64,
}

/// An array is a line of its name, state, personality and disks, then a line of its size, then where there is one a line of its
/// bitmap, then where it syncs a line of that.
fn parse(text: &str) -> Result<Vec<Array<'_>>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let line = |at: usize| lines.get(at).copied().unwrap_or_default();
    let mut arrays = Vec::new();
    for (at, head) in lines.iter().enumerate() {
        if head.trim().is_empty() || NO_ARRAY.iter().any(|no| head.starts_with(no)) {
            continue;
        }
        let mut words = head.split_whitespace();
        let (Some(name), Some(_), Some(mut state)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("{head:?}"));
        };
        let (active, total, blocks) =
            size(head, line(at + 1)).ok_or_else(|| format!("{:?}", line(at + 1)))?;
        let sync = if line(at + 2).contains("bitmap") { line(at + 3) } else { line(at + 2) };
        let syncing = [
            ("recovery", "recovering"),
            ("reshape", "reshaping"),
            ("check", "checking"),
            ("resync", "resyncing"),
        ];
        let mut synced = blocks;
        if let Some((_, word)) = syncing.iter().find(|(mark, _)| sync.contains(mark)) {
            state = word;
            let waits = sync.contains("PENDING") || sync.contains("DELAYED");
            synced = if waits { 0 } else { progress(sync).ok_or_else(|| format!("{sync:?}"))? };
        }
        let count = |mark: &str| head.matches(mark).count() as u64;
        arrays.push(Array {
            name,
            state,
            active,
            total,
            failed: count("(F)"),
            spare: count("(S)"),
            blocks,
            synced,
        });
    }
    Ok(arrays)
}

/// Active and all disks and blocks of `248896 blocks [2/2] [UU]`.
fn size(head: &str, line: &str) -> Option<(u64, u64, u64)> {
    let blocks: u64 = line.split_whitespace().next()?.parse().ok()?;
    if head.contains("raid0") || head.contains("linear") {
        let disks = head.matches('[').count() as u64;
        return Some((disks, disks, blocks));
    }
    if head.contains("inactive") {
        return Some((0, 0, blocks));
    }
    let (_, rest) = line.split_once(" blocks ")?;
    let pair = rest.split('[').find_map(|part| {
        let (total, active) = part.split_once(']')?.0.split_once('/')?;
        Some((active.parse().ok()?, total.parse().ok()?))
    })?;
    Some((pair.0, pair.1, blocks))
}

/// The blocks done of `recovery =  8.5% (16775552/195310144) finish=17.0min`.
fn progress(line: &str) -> Option<u64> {
    line.split('(').find_map(|part| part.split_once(')')?.0.split_once('/')?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    const MDSTAT: &str = "\
Personalities : [raid1] [raid6] [raid0]

md0 : active raid1 sdi1[0] sdj1[1]
      248896 blocks [2/2] [UU]

md4 : inactive raid1 sda3[0](F) sdb3[1](S)
      4883648 blocks [2/2] [UU]

md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]
      195310144 blocks [2/1] [U_]
      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec

md8 : active (read-only) raid1 sdb1[1] sda1[0]
      1953 blocks super 1.2 [2/2] [UU]
      bitmap: 0/30 pages [0KB], 65536KB chunk
      \tresync=PENDING

md9 : active raid0 sda1[0] sdb1[1]
      314159265 blocks 64k chunks

unused devices: <none>
";

    #[test]
    fn arrays_of_all_kinds() {
        let rows: Vec<_> = parse(MDSTAT)
            .unwrap()
            .iter()
            .map(|a| (a.name, a.state, [a.active, a.total, a.failed, a.spare, a.blocks, a.synced]))
            .collect();
        let expect = [
            ("md0", "active", [2, 2, 0, 0, 248_896, 248_896]),
            ("md4", "inactive", [0, 0, 1, 1, 4_883_648, 4_883_648]),
            ("md6", "recovering", [1, 2, 1, 1, 195_310_144, 16_775_552]),
            ("md8", "resyncing", [2, 2, 0, 0, 1953, 0]),
            ("md9", "active", [2, 2, 0, 0, 314_159_265, 314_159_265]),
        ];
        assert_eq!(rows, expect);
        for bad in [
            "md0 :",
            "md0 : active raid1",
            "md0 : active raid1 a[0]\n  x blocks",
            "md0 : active raid1 a\n 5 no",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_page() {
        let tree = Tree::new(&[
            ("proc/mdstat", "md0 : active raid1 sdi1[0]\n      5 blocks [2/1] [U_]\n\n"),
            ("sys/block/md0/md/level", "raid1\n"),
            ("sys/block/md0/md/raid_disks", "2 (3)\n"),
            ("sys/block/md0/md/degraded", "1\n"),
            ("sys/block/md1/md/level", "container\n"),
            ("sys/block/md2/size", "0\n"),
        ]);
        let expect = r#"node_md_blocks{device="md0"} 5
node_md_blocks_synced{device="md0"} 5
node_md_degraded{device="md0"} 1
node_md_degraded{device="md1"} 0
node_md_disks{device="md0",state="active"} 1
node_md_disks{device="md0",state="failed"} 0
node_md_disks{device="md0",state="spare"} 0
node_md_disks_required{device="md0"} 2
node_md_raid_disks{device="md0"} 2
node_md_state{device="md0",state="active"} 1
node_md_state{device="md0",state="inactive"} 0
node_md_state{device="md0",state="recovering"} 0
node_md_state{device="md0",state="resync"} 0
node_md_state{device="md0",state="check"} 0
"#;
        assert_eq!(tree.samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
