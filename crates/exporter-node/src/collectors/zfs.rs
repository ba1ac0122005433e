//! ZFS on Linux: the counters that its kernel module shows in `/proc/spl/kstat/zfs`.
//!
//! Families are named by what the files hold: `arcstats` has a line `hits 4 8772612`, which becomes `node_zfs_arc_hits`.

use std::path::Path;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::is_name;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

/// A family's subsystem and the file it is read from.
const FILES: &[(&str, &str)] = &[
    ("zfs_abd", "abdstats"),
    ("zfs_arc", "arcstats"),
    ("zfs_dbuf", "dbufstats"),
    ("zfs_dmu_tx", "dmu_tx"),
    ("zfs_dnode", "dnodestats"),
    ("zfs_fm", "fm"),
    ("zfs_vdev_cache", "vdev_cache_stats"),
    ("zfs_vdev_mirror", "vdev_mirror_stats"),
    ("zfs_xuio", "xuio_stats"),
    ("zfs_zfetch", "zfetchstats"),
    ("zfs_zil", "zil"),
];

const POOL_STATES: &[&str] = &["online", "degraded", "faulted", "offline", "removed", "unavail", "suspended"];

/// A pool's `io` has at least as many columns, of which the first is `nread`.
const IO_COLUMNS: usize = 12;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let base = paths.proc("spl/kstat/zfs");
    if !base.exists() {
        return Err(Fault::NoData);
    }
    for (subsystem, file) in FILES {
        let path = base.join(file);
        if path.exists() {
            write_file(subsystem, file, &path, page)?;
        }
    }
    let pools = sysfs::matching(&base, |_| true);
    for (pool, dir) in &pools {
        let path = dir.join("io");
        if path.exists() {
            write_io(pool, &path, page)?;
        }
    }
    for (pool, dir) in &pools {
        for (_, path) in sysfs::matching(dir, |name| name.starts_with("objset-")) {
            write_dataset(pool, &path, page)?;
        }
    }
    for (pool, dir) in &pools {
        let path = dir.join("state");
        if path.exists() {
            let state = read::text(&path)?.lines().next().unwrap_or_default().to_lowercase();
            for name in POOL_STATES {
                let labels = [("state", *name), ("zpool", pool)];
                page.family("node_zfs_zpool_state", "kstat.zfs.misc.state", Kind::Gauge)
                    .sample(&labels, f64::from(u8::from(state == *name)));
            }
        }
    }
    Ok(())
}

/// A family named as the original does; what cannot be a metric's name is left out.
fn write(prefix: &str, file: &str, key: &str, labels: &[(&str, &str)], value: f64, page: &mut Page) {
    // Names nest with dots in some files.
    let last = key.rsplit('.').next().unwrap_or(key).replace('-', "_");
    if is_name(&last) {
        let help = format!("kstat.zfs.misc.{file}.{key}");
        page.family(&format!("node_{prefix}_{last}"), &help, Kind::Untyped).sample(labels, value);
    }
}

/// The lines of a file below its `name type data`.
fn rows<'t>(text: &'t str, path: &Path) -> Result<impl Iterator<Item = (&'t str, Vec<&'t str>)>, Fault> {
    let mut lines = text.lines().map(|line| (line, line.split_whitespace().collect::<Vec<_>>()));
    if !lines.any(|(_, words)| words == ["name", "type", "data"]) {
        return Err(Fault::garbage(path, "text: no line \"name type data\""));
    }
    Ok(lines.filter(|(_, words)| words.len() >= 3))
}

fn write_file(subsystem: &str, file: &str, path: &Path, page: &mut Page) -> Result<(), Fault> {
    let text = read::text(path)?;
    for (line, words) in rows(&text, path)? {
        // Types of kstat: 3 is a signed, 4 an unsigned number.
        let value = match words[1] {
            "3" => words[2].parse::<i64>().ok().map(|v| v as f64),
            "4" => words[2].parse::<u64>().ok().map(|v| v as f64),
            _ => continue,
        };
        let value = value.ok_or_else(|| Fault::garbage(path, format_args!("{line:?}")))?;
        write(subsystem, file, words[0], &[], value, page);
    }
    Ok(())
}

fn write_io(pool: &str, path: &Path, page: &mut Page) -> Result<(), Fault> {
    let text = read::text(path)?;
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let header = lines.find(|words| words.len() >= IO_COLUMNS && words[0] == "nread");
    let Some(header) = header else { return Ok(()) };
    for words in lines {
        if words.len() < header.len() {
            return Err(Fault::garbage(path, format_args!("{words:?}")));
        }
        for (key, word) in header.iter().zip(words) {
            let value: u64 = word.parse().map_err(|_| Fault::garbage(path, format_args!("{word:?}")))?;
            write("zfs_zpool", "io", key, &[("zpool", pool)], value as f64, page);
        }
    }
    Ok(())
}

fn write_dataset(pool: &str, path: &Path, page: &mut Page) -> Result<(), Fault> {
    let text = read::text(path)?;
    let mut dataset = "";
    for (line, words) in rows(&text, path)? {
        if words[0] == "dataset_name" {
            // A name may hold spaces.
            dataset = line.find(words[2]).map_or("", |at| &line[at..]);
        } else if words[1] == "4" {
            let value: u64 = words[2].parse().map_err(|_| Fault::garbage(path, format_args!("{line:?}")))?;
            let labels = [("dataset", dataset), ("zpool", pool)];
            write("zfs_zpool_dataset", "objset", words[0], &labels, value as f64, page);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn files_pools_and_datasets() {
        let tree = Tree::new(&[
            (
                "proc/spl/kstat/zfs/arcstats",
                "6 1 0x01 91 4368 5266997922 97951858082072\nname                            type data\n\
                 hits                            4    8772612\nmemory_available_bytes          3    -922337203\n\
                 other                           1    x\nbad/name 4 1\n",
            ),
            ("proc/spl/kstat/zfs/zil", "name type data\nzil-commit-count 4 10\n"),
            (
                "proc/spl/kstat/zfs/pool1/io",
                "12 3 0x00 1 80 79205351707403 395818011156865\n\
                 nread    nwritten reads    writes   wtime    wlentime wupdate  rtime    rlentime rupdate  wcnt     rcnt\n\
                 1884160  3206144  22       132      7155162  104112268 79210489694949 24168078 104112268 79210489849220 0 0\n",
            ),
            (
                "proc/spl/kstat/zfs/pool1/objset-1",
                "23 1 0x01 7 2160 221578688875 6665999035587\nname type data\n\
                 dataset_name                    7    pool 1/data set\nwrites                          4    5\n",
            ),
            ("proc/spl/kstat/zfs/pool1/state", "ONLINE\n"),
        ]);
        let text = tree.samples(make, &[]);
        let expect = r#"node_zfs_arc_hits 8.772612e+06
node_zfs_arc_memory_available_bytes -9.22337203e+08
node_zfs_zil_zil_commit_count 10
node_zfs_zpool_dataset_writes{dataset="pool 1/data set",zpool="pool1"} 5
node_zfs_zpool_nread{zpool="pool1"} 1.88416e+06
"#;
        let mut kept: Vec<_> = expect.lines().filter(|l| !text.lines().any(|t| t == *l)).collect();
        assert!(kept.is_empty(), "missing {kept:?} in\n{text}");
        kept = text.lines().filter(|l| l.starts_with("node_zfs_zpool_state")).collect();
        assert_eq!(kept.len(), 7);
        assert_eq!(kept[0], "node_zfs_zpool_state{state=\"online\",zpool=\"pool1\"} 1");
        let help = tree.collect(make, &[]).0;
        assert!(help.contains("# HELP node_zfs_zil_zil_commit_count kstat.zfs.misc.zil.zil-commit-count\n"));
        assert!(!text.contains("bad"), "{text}");
    }

    #[test]
    fn without_zfs_there_is_nothing() {
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        assert_eq!(Tree::new(&[("proc/spl/kstat/zfs/", "")]).samples(make, &[]), "");
        let bad = Tree::new(&[("proc/spl/kstat/zfs/zil", "no header\n")]);
        assert!(matches!(bad.collect(make, &[]).1, Err(Fault::Error(_))));
    }
}
