//! Caches of block devices, from `/sys/fs/bcache/*-*`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter, gauge};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

/// A file below the set's directory and its family.
#[rustfmt::skip]
const SET: &[(&str, Family)] = &[
    ("average_key_size", gauge("node_bcache_average_key_size_sectors", "Average data per key in the btree (sectors).")),
    ("btree_cache_size", gauge("node_bcache_btree_cache_size_bytes", "Amount of memory currently used by the btree cache.")),
    ("cache_available_percent", gauge("node_bcache_cache_available_percent", "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).")),
    ("congested", gauge("node_bcache_congested", "Congestion.")),
    ("root_usage_percent", gauge("node_bcache_root_usage_percent", "Percentage of the root btree node in use (tree depth increases if too high).")),
    ("tree_depth", gauge("node_bcache_tree_depth", "Depth of the btree.")),
    ("internal/active_journal_entries", gauge("node_bcache_active_journal_entries", "Number of journal entries that are newer than the index.")),
    ("internal/btree_nodes", gauge("node_bcache_btree_nodes", "Total nodes in the btree.")),
    ("internal/cache_read_races", counter("node_bcache_cache_read_races_total", "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed.")),
];
const READ_DURATION: Family =
    gauge("node_bcache_btree_read_average_duration_seconds", "Average btree read duration.");

const DIRTY: Family =
    gauge("node_bcache_dirty_data_bytes", "Amount of dirty data for this backing device in the cache.");

/// A line of a backing device's `writeback_rate_debug`.
#[rustfmt::skip]
const WRITEBACK: &[(&str, Family)] = &[
    ("target:", gauge("node_bcache_dirty_target_bytes", "Current dirty data target threshold for this backing device in bytes.")),
    ("rate:", gauge("node_bcache_writeback_rate", "Current writeback rate for this backing device in bytes.")),
    ("proportional:", gauge("node_bcache_writeback_rate_proportional_term", "Current result of proportional controller, part of writeback rate")),
    ("integral:", gauge("node_bcache_writeback_rate_integral_term", "Current result of integral controller, part of writeback rate")),
    ("change:", gauge("node_bcache_writeback_change", "Last writeback rate change step for this backing device.")),
];

/// A file of a backing device's `stats_total`.
#[rustfmt::skip]
const TOTALS: &[(&str, Family)] = &[
    ("bypassed", counter("node_bcache_bypassed_bytes_total", "Amount of IO (both reads and writes) that has bypassed the cache.")),
    ("cache_hits", counter("node_bcache_cache_hits_total", "Hits counted per individual IO as bcache sees them.")),
    ("cache_misses", counter("node_bcache_cache_misses_total", "Misses counted per individual IO as bcache sees them.")),
    ("cache_bypass_hits", counter("node_bcache_cache_bypass_hits_total", "Hits for IO intended to skip the cache.")),
    ("cache_bypass_misses", counter("node_bcache_cache_bypass_misses_total", "Misses for IO intended to skip the cache.")),
    ("cache_miss_collisions", counter("node_bcache_cache_miss_collisions_total", "Instances where data insertion from cache miss raced with write (data already present).")),
];
const READAHEADS: Family =
    counter("node_bcache_cache_readaheads_total", "Count of times readahead occurred.");

/// A file of a cache device.
#[rustfmt::skip]
const CACHE: &[(&str, Family)] = &[
    ("io_errors", gauge("node_bcache_io_errors", "Number of errors that have occurred, decayed by io_error_halflife.")),
    ("metadata_written", counter("node_bcache_metadata_written_bytes_total", "Sum of all non data writes (btree writes and all other metadata).")),
    ("written", counter("node_bcache_written_bytes_total", "Sum of all data that has been written to the cache.")),
];

/// A line of a cache device's `priority_stats`, which are expensive.
#[rustfmt::skip]
const PRIORITIES: &[(&str, Family)] = &[
    ("Unused:", gauge("node_bcache_priority_stats_unused_percent", "The percentage of the cache that doesn't contain any data.")),
    ("Metadata:", gauge("node_bcache_priority_stats_metadata_percent", "Bcache's metadata overhead.")),
];

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let priorities = flags.is_on("collector.bcache.priorityStats");
    Ok(Box::new(move |paths: &Paths, page: &mut Page| {
        all_or_nothing(page, |page| {
            for (uuid, dir) in sysfs::matching(&paths.sys("fs/bcache"), |name| name.contains('-')) {
                write_set(&uuid, &dir, priorities, page)?;
            }
            Ok(())
        })
    }))
}

fn write_set(uuid: &str, dir: &Path, priorities: bool, page: &mut Page) -> Result<(), Fault> {
    let uuid = ("uuid", uuid);
    for (file, family) in SET {
        family.sample(page, &[uuid], number(&dir.join(file))?);
    }
    let duration = number(&dir.join("internal/btree_read_average_duration_us"))?;
    // The unit is the original's, whatever the file's name says.
    READ_DURATION.sample(page, &[uuid], duration * 1e-9);
    for (name, dir) in sysfs::numbered(dir, "bdev") {
        let labels = [("backing_device", &*name), uuid];
        DIRTY.sample(page, &labels, number(&dir.join("dirty_data"))?);
        write_writeback(&dir.join("writeback_rate_debug"), &labels, page)?;
        let totals = dir.join("stats_total");
        for (file, family) in TOTALS {
            family.sample(page, &labels, number(&totals.join(file))?);
        }
        let readaheads = number(&totals.join("cache_readaheads"))?;
        if readaheads != 0.0 {
            READAHEADS.sample(page, &labels, readaheads);
        }
    }
    for (name, dir) in sysfs::numbered(dir, "cache") {
        let labels = [("cache_device", &*name), uuid];
        for (file, family) in CACHE {
            family.sample(page, &labels, number(&dir.join(file))?);
        }
        if priorities {
            let path = dir.join("priority_stats");
            for (value, family) in lines(&path, PRIORITIES)? {
                let value =
                    value.map_or(Some(0), |text| text.strip_suffix('%').unwrap_or(&text).parse::<u64>().ok());
                let value = value.ok_or_else(|| Fault::garbage(&path, "percentage"))?;
                family.sample(page, &labels, value as f64);
            }
        }
    }
    Ok(())
}

fn write_writeback(path: &Path, labels: &[(&str, &str)], page: &mut Page) -> Result<(), Fault> {
    for (text, family) in lines(path, WRITEBACK)? {
        let value =
            text.as_deref().map_or(Some(0.0), |text| signed(text.strip_suffix("/sec").unwrap_or(text)));
        let value = value.ok_or_else(|| Fault::garbage(path, format_args!("{text:?}")))?;
        family.sample(page, labels, value);
    }
    Ok(())
}

/// The last word of each family's line, where there is one.
fn lines<'f>(
    path: &Path,
    families: &'f [(&str, Family)],
) -> Result<impl Iterator<Item = (Option<String>, &'f Family)>, Fault> {
    let text = match read::text(path) {
        Err(Fault::NoData) => return Err(Fault::Error(format!("{}: no such file", path.display()))),
        text => text?,
    };
    Ok(families.iter().map(move |(label, family)| {
        let line = text.lines().find(|line| line.starts_with(label));
        (line.and_then(|l| l.split_whitespace().last()).map(str::to_owned), family)
    }))
}

/// A file's number; 0 where it is not there.
fn number(path: &Path) -> Result<f64, Fault> {
    let Some(text) = sysfs::optional(path)? else { return Ok(0.0) };
    unsigned(&text).ok_or_else(|| Fault::garbage(path, format_args!("{text:?}")))
}

/// `1.5k`, where what follows the point counts 1024ths in tens.
fn unsigned(text: &str) -> Option<f64> {
    let units = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let exponent = units.iter().position(|unit| *unit == &text[digits.len()..])?;
    let number = match digits.split_once('.') {
        Some((whole, part)) if exponent > 0 => whole.parse::<f64>().ok()? + part.parse::<f64>().ok()? / 10.24,
        _ => digits.parse().ok()?,
    };
    Some((number * 1024_f64.powi(exponent as i32)).trunc())
}

fn signed(text: &str) -> Option<f64> {
    match text.strip_prefix('-') {
        Some(text) => unsigned(text).map(|v| -v),
        None => unsigned(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn numbers_for_people_become_numbers() {
        for (text, expect) in [
            ("542", Some(542.0)),
            ("1.0k", Some(1024.0)),
            ("1.1M", Some(1_150_976.0)),
            ("-12k", Some(-12288.0)),
            ("0", Some(0.0)),
            ("1.9", Some(1.0)),
            ("1.0x", None),
            ("k", None),
            ("", None),
        ] {
            assert_eq!(signed(text), expect, "{text}");
        }
    }

    #[test]
    fn a_set_with_a_backing_and_a_cache_device() {
        let files = [
            ("tree_depth", "1\n"),
            ("btree_cache_size", "1.0k\n"),
            ("cache_available_percent", "99\n"),
            ("internal/btree_read_average_duration_us", "1305\n"),
            ("bdev0/dirty_data", "0\n"),
            ("bdev0/writeback_rate_debug", "rate:\t\t1.0k/sec\nproportional:\t-1.5k\nnext io:\t1ms\n"),
            ("bdev0/stats_total/cache_hits", "546\n"),
            ("cache0/written", "0\n"),
            ("cache0/priority_stats", "Unused:\t\t99%\nMetadata:\t0%\n"),
        ]
        .map(|(name, content)| (format!("sys/fs/bcache/aa-bb/{name}"), content));
        let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), *c)).collect();
        let tree = Tree::new(&files);
        let text = tree.samples(make, &[("collector.bcache.priorityStats", "true")]);
        for line in [
            "node_bcache_tree_depth{uuid=\"aa-bb\"} 1",
            "node_bcache_btree_cache_size_bytes{uuid=\"aa-bb\"} 1024",
            "node_bcache_btree_read_average_duration_seconds{uuid=\"aa-bb\"} 1.305e-06",
            "node_bcache_writeback_rate{backing_device=\"bdev0\",uuid=\"aa-bb\"} 1024",
            "node_bcache_writeback_rate_proportional_term{backing_device=\"bdev0\",uuid=\"aa-bb\"} -1524",
            "node_bcache_writeback_change{backing_device=\"bdev0\",uuid=\"aa-bb\"} 0",
            "node_bcache_cache_hits_total{backing_device=\"bdev0\",uuid=\"aa-bb\"} 546",
            "node_bcache_priority_stats_unused_percent{cache_device=\"cache0\",uuid=\"aa-bb\"} 99",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("readaheads"), "{text}");
        assert!(!tree.samples(make, &[]).contains("priority_stats"));
        assert_eq!(Tree::new(&[]).samples(make, &[]), "", "no set is no fault");
    }
}
