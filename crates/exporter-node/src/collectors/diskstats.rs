//! Block devices: counters from `/proc/diskstats`, what they are from udev's data.

mod udev;

use std::path::Path;

use exporters::{Kind, Page};

use self::udev::Properties;
use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct DiskStats {
    filter: Filter,
}

const EXCLUDE: &str = "collector.diskstats.device-exclude";
const INCLUDE: &str = "collector.diskstats.device-include";
const FORMER: &str = "collector.diskstats.ignored-devices";

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let flags = &flags.with_former(FORMER, EXCLUDE)?;
    let error = "device-exclude & device-include are mutually exclusive";
    Ok(Box::new(DiskStats { filter: Filter::either(flags, EXCLUDE, INCLUDE, error)? }))
}

/// `/proc/diskstats` counts sectors of this many bytes, whatever the device's.
const SECTOR_BYTES: f64 = 512.0;
/// And milliseconds.
const TICK_SECONDS: f64 = 0.001;

/// The columns after the device's name: family, help text, type, factor. Kernels before 4.18 and 5.5 have 11 and 15.
const COLUMNS: [(&str, &str, Kind, f64); 17] = [
    (
        "node_disk_reads_completed_total",
        "The total number of reads completed successfully.",
        Kind::Counter,
        1.0,
    ),
    ("node_disk_reads_merged_total", "The total number of reads merged.", Kind::Counter, 1.0),
    (
        "node_disk_read_bytes_total",
        "The total number of bytes read successfully.",
        Kind::Counter,
        SECTOR_BYTES,
    ),
    (
        "node_disk_read_time_seconds_total",
        "The total number of seconds spent by all reads.",
        Kind::Counter,
        TICK_SECONDS,
    ),
    (
        "node_disk_writes_completed_total",
        "The total number of writes completed successfully.",
        Kind::Counter,
        1.0,
    ),
    ("node_disk_writes_merged_total", "The number of writes merged.", Kind::Counter, 1.0),
    (
        "node_disk_written_bytes_total",
        "The total number of bytes written successfully.",
        Kind::Counter,
        SECTOR_BYTES,
    ),
    (
        "node_disk_write_time_seconds_total",
        "This is the total number of seconds spent by all writes.",
        Kind::Counter,
        TICK_SECONDS,
    ),
    ("node_disk_io_now", "The number of I/Os currently in progress.", Kind::Gauge, 1.0),
    ("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", Kind::Counter, TICK_SECONDS),
    (
        "node_disk_io_time_weighted_seconds_total",
        "The weighted # of seconds spent doing I/Os.",
        Kind::Counter,
        TICK_SECONDS,
    ),
    (
        "node_disk_discards_completed_total",
        "The total number of discards completed successfully.",
        Kind::Counter,
        1.0,
    ),
    ("node_disk_discards_merged_total", "The total number of discards merged.", Kind::Counter, 1.0),
    (
        "node_disk_discarded_sectors_total",
        "The total number of sectors discarded successfully.",
        Kind::Counter,
        1.0,
    ),
    (
        "node_disk_discard_time_seconds_total",
        "This is the total number of seconds spent by all discards.",
        Kind::Counter,
        TICK_SECONDS,
    ),
    (
        "node_disk_flush_requests_total",
        "The total number of flush requests completed successfully",
        Kind::Counter,
        1.0,
    ),
    (
        "node_disk_flush_requests_time_seconds_total",
        "This is the total number of seconds spent by all flush requests.",
        Kind::Counter,
        TICK_SECONDS,
    ),
];

/// The columns that every kernel since 2.6 has.
const LEAST_COLUMNS: usize = 11;

impl Collector for DiskStats {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("diskstats");
        let text = read::text(&path)?;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Partitions of Linux 2.4 and early 2.6 have 4 numbers only, as had upstream's reader no use for.
            let &[major, minor, device, ref values @ ..] = words.as_slice() else {
                return Err(Fault::garbage(&path, format_args!("line {:?}", read::shortened(line))));
            };
            if values.len() < LEAST_COLUMNS || self.filter.ignores(device) {
                continue;
            }
            let (major, minor): (u32, u32) = (read::parse(&path, major)?, read::parse(&path, minor)?);
            let properties = Properties::read(&paths.udev.join(format!("b{major}:{minor}")));
            write_info(paths, page, device, [major, minor], &properties);
            for (word, (name, help, kind, factor)) in values.iter().zip(COLUMNS) {
                let value: u64 = read::parse(&path, word)?;
                page.family(name, help, kind).sample(&[("device", device)], value as f64 * factor);
            }
        }
        Ok(())
    }
}

fn write_info(paths: &Paths, page: &mut Page, device: &str, [major, minor]: [u32; 2], udev: &Properties) {
    let serials = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(|name| udev.get(name));
    let serial = serials.into_iter().find(|s| !s.is_empty()).unwrap_or_default();
    page.family("node_disk_info", "Info of /sys/block/<block_device>.", Kind::Gauge).sample(
        &[
            ("device", device),
            ("major", &major.to_string()),
            ("minor", &minor.to_string()),
            ("model", udev.get("ID_MODEL")),
            ("path", udev.get("ID_PATH")),
            ("revision", udev.get("ID_REVISION")),
            ("rotational", rotational(&paths.sys("block"), device)),
            ("serial", serial),
            ("wwn", udev.get("ID_WWN")),
        ],
        1.0,
    );
    let kind = udev.get("ID_FS_TYPE");
    if !kind.is_empty() {
        page.family("node_disk_filesystem_info", "Info about disk filesystem.", Kind::Gauge).sample(
            &[
                ("device", device),
                ("type", kind),
                ("usage", udev.get("ID_FS_USAGE")),
                ("uuid", udev.get("ID_FS_UUID")),
                ("version", udev.get("ID_FS_VERSION")),
            ],
            1.0,
        );
    }
    let name = udev.get("DM_NAME");
    if !name.is_empty() {
        page.family("node_disk_device_mapper_info", "Info about disk device mapper.", Kind::Gauge).sample(
            &[
                ("device", device),
                ("lv_layer", udev.get("DM_LV_LAYER")),
                ("lv_name", udev.get("DM_LV_NAME")),
                ("name", name),
                ("uuid", udev.get("DM_UUID")),
                ("vg_name", udev.get("DM_VG_NAME")),
            ],
            1.0,
        );
    }
    if udev.get("ID_ATA").is_empty() {
        return;
    }
    for (property, name, help) in [
        ("ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "ATA disk has a write cache."),
        (
            "ID_ATA_WRITE_CACHE_ENABLED",
            "node_disk_ata_write_cache_enabled",
            "ATA disk has its write cache enabled.",
        ),
        (
            "ID_ATA_ROTATION_RATE_RPM",
            "node_disk_ata_rotation_rate_rpm",
            "ATA disk rotation rate in RPMs (0 for SSDs).",
        ),
    ] {
        if let Ok(value) = udev.get(property).parse() {
            page.family(name, help, Kind::Gauge).sample(&[("device", device)], value);
        }
    }
}

/// As a label; upstream says `0` where it cannot be told.
fn rotational(block: &Path, device: &str) -> &'static str {
    let path = block.join(device.replace('/', "!")).join("queue/rotational");
    if read::trimmed(&path).is_ok_and(|text| text == "1") { "1" } else { "0" }
}
