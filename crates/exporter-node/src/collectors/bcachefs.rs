//! Bcachefs filesystems: compression, counters, writes and devices, from `/sys/fs/bcachefs`.

use std::path::Path;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter, gauge, sanitize};
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

const INFO: Family = gauge("node_bcachefs_info", "Filesystem information.");
const CACHE_SIZE: Family =
    gauge("node_bcachefs_btree_cache_size_bytes", "Btree cache memory usage in bytes.");
const COMPRESSED: Family =
    gauge("node_bcachefs_compression_compressed_bytes", "Compressed size by algorithm.");
const UNCOMPRESSED: Family =
    gauge("node_bcachefs_compression_uncompressed_bytes", "Uncompressed size by algorithm.");
const ERRORS: Family = counter("node_bcachefs_errors_total", "Error count by error type.");
const WRITES: Family = counter("node_bcachefs_btree_writes_total", "Number of btree writes by type.");
const WRITE_SIZE: Family =
    gauge("node_bcachefs_btree_write_average_size_bytes", "Average btree write size by type.");
const DEVICE: Family = gauge("node_bcachefs_device_info", "Device information.");
const BUCKET_SIZE: Family = gauge("node_bcachefs_device_bucket_size_bytes", "Bucket size in bytes.");
const BUCKETS: Family = gauge("node_bcachefs_device_buckets", "Total number of buckets.");
const DURABILITY: Family = gauge("node_bcachefs_device_durability", "Device durability setting.");
const IO_DONE: Family =
    counter("node_bcachefs_device_io_done_bytes_total", "IO bytes by operation type and data type.");
const IO_ERRORS: Family = counter("node_bcachefs_device_io_errors_total", "IO errors by error type.");

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(update))
}

fn update(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let base = paths.sys("fs/bcachefs");
    let mut filesystems = read::names(&base)?;
    filesystems.retain(|name| base.join(name).is_dir());
    if filesystems.is_empty() {
        return Err(Fault::NoData);
    }
    all_or_nothing(page, |page| {
        for uuid in &filesystems {
            write_filesystem(("uuid", uuid), &base.join(uuid), page)?;
        }
        Ok(())
    })
}

type Label<'l> = (&'static str, &'l str);

fn write_filesystem(uuid: Label<'_>, dir: &Path, page: &mut Page) -> Result<(), Fault> {
    INFO.sample(page, &[uuid], 1.0);
    CACHE_SIZE.sample(page, &[uuid], size_file(&dir.join("btree_cache_size"))?);

    let path = dir.join("compression_stats");
    for words in rows(&text(&path)?, 1, 3) {
        let algorithm = ("algorithm", words[0].trim_end_matches(':'));
        COMPRESSED.sample(page, &[algorithm, uuid], size(&path, words[1])?);
        UNCOMPRESSED.sample(page, &[algorithm, uuid], size(&path, words[2])?);
    }
    let path = dir.join("errors");
    for words in rows(&text(&path)?, 0, 2) {
        ERRORS.sample(page, &[("error_type", words[0]), uuid], whole(&path, words[1])?);
    }
    write_counters(uuid, &dir.join("counters"), page)?;
    let path = dir.join("btree_write_stats");
    for words in rows(&text(&path)?, 1, 3) {
        let labels = [("type", words[0].trim_end_matches(':')), uuid];
        WRITES.sample(page, &labels, whole(&path, words[1])?);
        WRITE_SIZE.sample(page, &labels, size(&path, words[2])?);
    }
    for (name, dir) in sysfs::matching(dir, |name| name.starts_with("dev-")) {
        if dir.is_dir() {
            write_device(uuid, ("device", &name["dev-".len()..]), &dir, page)?;
        }
    }
    Ok(())
}

/// A file is a counter; what its family is called comes from the kernel.
fn write_counters(uuid: Label<'_>, dir: &Path, page: &mut Page) -> Result<(), Fault> {
    for (name, path) in sysfs::matching(dir, |_| true) {
        if path.is_dir() {
            continue;
        }
        let text = text(&path)?;
        let since = |mark: &str| text.lines().find_map(|line| line.strip_prefix(mark));
        let value = match (since("since filesystem creation:"), since("since mount:")) {
            (Some(value), _) => size(&path, value)?,
            (None, Some(_)) => 0.0,
            (None, None) => return Err(Fault::garbage(&path, "format of a counter")),
        };
        let help = format!("Bcachefs counter {name} since filesystem creation.");
        page.family(&format!("node_bcachefs_{}_total", sanitize(&name)), &help, Kind::Counter)
            .sample(&[uuid], value);
    }
    Ok(())
}

fn write_device(uuid: Label<'_>, device: Label<'_>, dir: &Path, page: &mut Page) -> Result<(), Fault> {
    let label = sysfs::attribute(&dir.join("label")).unwrap_or_default();
    let state = sysfs::attribute(&dir.join("state")).unwrap_or_default();
    DEVICE.sample(page, &[device, ("label", &label), ("state", &state), uuid], 1.0);
    BUCKET_SIZE.sample(page, &[device, uuid], size_file(&dir.join("bucket_size"))?);
    for (file, family) in [("nbuckets", BUCKETS), ("durability", DURABILITY)] {
        let path = dir.join(file);
        let value = sysfs::optional(&path)?.map_or(Ok(0.0), |text| whole(&path, &text))?;
        family.sample(page, &[device, uuid], value);
    }
    // `read:` and `write:`, each followed by `TYPE : BYTES`.
    let path = dir.join("io_done");
    let mut operation = "";
    for line in text(&path)?.lines().map(str::trim) {
        match line.split_once(':') {
            Some((name @ ("read" | "write"), "")) => {
                operation = if name == "read" { "read" } else { "write" }
            }
            Some((kind, value)) if !operation.is_empty() => {
                let labels = [("data_type", kind.trim()), device, ("operation", operation), uuid];
                IO_DONE.sample(page, &labels, whole(&path, value.trim())?);
            }
            _ => {}
        }
    }
    // Only the first of its sections counts from the filesystem's creation.
    let path = dir.join("io_errors");
    let text = text(&path)?;
    let lines = text.lines().skip_while(|l| !l.starts_with("IO errors since filesystem creation")).skip(1);
    for line in lines.take_while(|l| !l.starts_with("IO errors since ")) {
        if let Some((kind, value)) = line.split_once(':') {
            IO_ERRORS.sample(page, &[device, ("type", kind.trim()), uuid], whole(&path, value.trim())?);
        }
    }
    Ok(())
}

/// A file's text; none where it is not there.
fn text(path: &Path) -> Result<String, Fault> {
    match read::text(path) {
        Err(Fault::NoData) => Ok(String::new()),
        text => text,
    }
}

/// The words of the lines after the first `skip` that have at least `least`.
fn rows(text: &str, skip: usize, least: usize) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .skip(skip)
        .map(|l| l.split_whitespace().collect::<Vec<_>>())
        .filter(move |w| w.len() >= least)
}

fn whole(path: &Path, text: &str) -> Result<f64, Fault> {
    text.parse::<u64>().map(|v| v as f64).map_err(|_| Fault::garbage(path, format_args!("{text:?}")))
}

fn size_file(path: &Path) -> Result<f64, Fault> {
    match sysfs::optional(path)? {
        Some(text) if !text.is_empty() => size(path, &text),
        _ => Ok(0.0),
    }
}

/// `5.37G`, in units of 1024.
fn size(path: &Path, text: &str) -> Result<f64, Fault> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let exponent = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => Some(0),
        unit if unit.len() == 1 => "kmgtpe".find(unit).map(|at| at as i32 + 1),
        _ => None,
    };
    let number = digits.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    match (number, exponent) {
        (Some(number), Some(exponent)) => Ok((number * 1024_f64.powi(exponent)).trunc()),
        _ => Err(Fault::garbage(path, format_args!("{text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn sizes_for_people_become_numbers() {
        let of = |text: &str| size(Path::new("f"), text);
        for (text, expect) in
            [("524M", 549_453_824.0), ("1.5k", 1536.0), (" 7 ", 7.0), ("2.00 G", 2_147_483_648.0)]
        {
            assert_eq!(of(text), Ok(expect), "{text}");
        }
        for bad in ["", "k", "1.5kb", "x", "inf"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filesystem() {
        let files = [
            ("btree_cache_size", "524M\n"),
            ("compression_stats", "type    compressed    uncompressed     average extent size\nlz4:      1.0k     2.0k    22.0k\nnone\n"),
            ("errors", "btree_node_read_err 5 1234567890\n"),
            ("counters/btree-node_read", "since mount: 67027\nsince filesystem creation: 67.0k\n"),
            ("btree_write_stats", "nr size\ninitial: 19088 108k\n"),
            ("dev-0/label", "ssd.ssd1\n"),
            ("dev-0/state", "rw\n"),
            ("dev-0/bucket_size", "512k\n"),
            ("dev-0/nbuckets", "524288\n"),
            ("dev-0/io_done", "read:\nsb          :       3989504\nwrite:\nuser : 7\n"),
            ("dev-0/io_errors", "IO errors since filesystem creation\n  read:    197346\nIO errors since 8 y ago\n  read: 0\n"),
        ]
        .map(|(name, content)| (format!("sys/fs/bcachefs/U/{name}"), content));
        let files: Vec<_> = files.iter().map(|(p, c)| (p.as_str(), *c)).collect();
        let expect = r#"node_bcachefs_btree_cache_size_bytes{uuid="U"} 5.49453824e+08
node_bcachefs_btree_node_read_total{uuid="U"} 68608
node_bcachefs_btree_write_average_size_bytes{type="initial",uuid="U"} 110592
node_bcachefs_btree_writes_total{type="initial",uuid="U"} 19088
node_bcachefs_compression_compressed_bytes{algorithm="lz4",uuid="U"} 1024
node_bcachefs_compression_uncompressed_bytes{algorithm="lz4",uuid="U"} 2048
node_bcachefs_device_bucket_size_bytes{device="0",uuid="U"} 524288
node_bcachefs_device_buckets{device="0",uuid="U"} 524288
node_bcachefs_device_durability{device="0",uuid="U"} 0
node_bcachefs_device_info{device="0",label="ssd.ssd1",state="rw",uuid="U"} 1
node_bcachefs_device_io_done_bytes_total{data_type="sb",device="0",operation="read",uuid="U"} 3.989504e+06
node_bcachefs_device_io_done_bytes_total{data_type="user",device="0",operation="write",uuid="U"} 7
node_bcachefs_device_io_errors_total{device="0",type="read",uuid="U"} 197346
node_bcachefs_errors_total{error_type="btree_node_read_err",uuid="U"} 5
node_bcachefs_info{uuid="U"} 1
"#;
        assert_eq!(Tree::new(&files).samples(make, &[]), expect);
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
        assert_eq!(Tree::new(&[("sys/fs/bcachefs/", "")]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
