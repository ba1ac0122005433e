//! Time lost for want of a resource, from `/proc/pressure`.

use std::io;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Pressure;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Pressure))
}

/// File, line in it, family, help text.
const FAMILIES: [(&str, &str, &str, &str); 6] = [
    (
        "cpu",
        "some",
        "node_pressure_cpu_waiting_seconds_total",
        "Total time in seconds that processes have waited for CPU time",
    ),
    (
        "io",
        "some",
        "node_pressure_io_waiting_seconds_total",
        "Total time in seconds that processes have waited due to IO congestion",
    ),
    (
        "io",
        "full",
        "node_pressure_io_stalled_seconds_total",
        "Total time in seconds no process could make progress due to IO congestion",
    ),
    (
        "memory",
        "some",
        "node_pressure_memory_waiting_seconds_total",
        "Total time in seconds that processes have waited for memory",
    ),
    (
        "memory",
        "full",
        "node_pressure_memory_stalled_seconds_total",
        "Total time in seconds no process could make progress due to memory congestion",
    ),
    (
        "irq",
        "full",
        "node_pressure_irq_stalled_seconds_total",
        "Total time in seconds no process could make progress due to IRQ congestion",
    ),
];

impl Collector for Pressure {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let mut found = false;
        for resource in ["cpu", "io", "memory", "irq"] {
            let path = paths.proc(format!("pressure/{resource}"));
            let text = match read::raw(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                // Built in, but off on the kernel's command line.
                Err(e) if e.raw_os_error() == Some(libc::ENOTSUP) => return Err(Fault::NoData),
                Err(e) => return Err(Fault::read(&path, &e)),
            };
            for (_, line, name, help) in FAMILIES.iter().filter(|(file, ..)| *file == resource) {
                let micros = total(&text, line)
                    .ok_or_else(|| Fault::garbage(&path, format_args!("{:?}", read::shortened(&text))))?;
                page.single(name, help, Kind::Counter, micros as f64 / 1000.0 / 1000.0);
            }
            found = true;
        }
        if found { Ok(()) } else { Err(Fault::NoData) }
    }
}

/// The microseconds of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
fn total(text: &str, line: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.split(' ').next() == Some(line))?;
    line.split(' ').find_map(|word| word.strip_prefix("total="))?.parse().ok()
}
