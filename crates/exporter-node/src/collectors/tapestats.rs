//! Tape drives, from `/sys/class/scsi_tape/st*/stats`.

use std::path::Path;

use exporters::Page;

use crate::collector::Collector;
use crate::families::{Family, all_or_nothing, counter, gauge};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::{read, sysfs};

/// A file, what a unit of it is, and its family.
#[rustfmt::skip]
const STATS: &[(&str, f64, Family)] = &[
    ("in_flight", 1.0, gauge("node_tape_io_now", "The number of I/Os currently outstanding to this device.")),
    ("io_ns", 1e-9, counter("node_tape_io_time_seconds_total", "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape devices are used.")),
    ("other_cnt", 1.0, counter("node_tape_io_others_total", "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total")),
    ("read_byte_cnt", 1.0, counter("node_tape_read_bytes_total", "The number of bytes read from the tape drive.")),
    ("read_cnt", 1.0, counter("node_tape_reads_completed_total", "The number of read requests issued to the tape drive.")),
    ("read_ns", 1e-9, counter("node_tape_read_time_seconds_total", "The amount of time spent waiting for read requests to complete.")),
    ("resid_cnt", 1.0, counter("node_tape_residual_total", "The number of times during a read or write we found the residual amount to be non-zero. This should mean that a program is issuing a read larger thean the block size on tape. For write not all data made it to tape.")),
    ("write_byte_cnt", 1.0, counter("node_tape_written_bytes_total", "The number of bytes written to the tape drive.")),
    ("write_cnt", 1.0, counter("node_tape_writes_completed_total", "The number of write requests issued to the tape drive.")),
    ("write_ns", 1e-9, counter("node_tape_write_time_seconds_total", "The amount of time spent waiting for write requests to complete.")),
];

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    let filter = Filter::of(flags, "collector.tapestats.ignored-devices", "")?;
    Ok(Box::new(move |paths: &Paths, page: &mut Page| {
        let class = paths.sys("class/scsi_tape");
        all_or_nothing(page, |page| {
            for device in read::names(&class)?.into_iter().filter(|d| is_drive(d) && !filter.ignores(d)) {
                write_drive(&class.join(&device).join("stats"), &device, page)?;
            }
            Ok(())
        })
    }))
}

/// `st0`: others of the class are the same drive in another mode.
fn is_drive(name: &str) -> bool {
    name.strip_prefix("st").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn write_drive(dir: &Path, device: &str, page: &mut Page) -> Result<(), Fault> {
    let files = read::names(dir)?;
    for (file, unit, family) in STATS {
        let mut value = 0;
        if files.iter().any(|f| f == file) {
            let path = dir.join(file);
            let text = sysfs::value(&path)?;
            value =
                sysfs::parse_uint(&text).ok_or_else(|| Fault::garbage(&path, format_args!("{text:?}")))?;
        }
        family.sample(page, &[("device", device)], value as f64 * unit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    #[test]
    fn a_drive() {
        let tree = Tree::new(&[
            ("sys/class/scsi_tape/st0/stats/in_flight", "1\n"),
            ("sys/class/scsi_tape/st0/stats/io_ns", "9247011087720\n"),
            ("sys/class/scsi_tape/st0/stats/read_byte_cnt", "979383912\n"),
            ("sys/class/scsi_tape/nst0a/device", ""),
        ]);
        let text = tree.samples(make, &[]);
        assert_eq!(text.lines().count(), 10);
        for line in [
            "node_tape_io_now{device=\"st0\"} 1",
            "node_tape_io_time_seconds_total{device=\"st0\"} 9247.01108772",
            "node_tape_read_bytes_total{device=\"st0\"} 9.79383912e+08",
            "node_tape_residual_total{device=\"st0\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert_eq!(tree.samples(make, &[("collector.tapestats.ignored-devices", "0$")]), "");
        assert_eq!(Tree::new(&[]).collect(make, &[]).1, Err(Fault::NoData));
    }
}
