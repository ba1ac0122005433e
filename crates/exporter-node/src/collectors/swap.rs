//! Swap devices, from `/proc/swaps`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Swap;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Swap))
}

impl Collector for Swap {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("swaps");
        let text = read::text(&path)?;
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let &[device, kind, size, used, priority] = words.as_slice() else {
                return Err(Fault::garbage(&path, format_args!("line {:?}", read::shortened(line))));
            };
            for (name, help, word, factor) in [
                ("node_swap_size_bytes", "Swap device size in bytes.", size, 1024.0),
                ("node_swap_used_bytes", "Swap device used in bytes.", used, 1024.0),
                ("node_swap_priority", "Swap device priority.", priority, 1.0),
            ] {
                let value: i64 = read::parse(&path, word)?;
                page.family(name, help, Kind::Gauge)
                    .sample(&[("device", device), ("swap_type", kind)], value as f64 * factor);
            }
        }
        Ok(())
    }
}
