//! Soft interrupts by CPU, from `/proc/softirqs`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct SoftIrqs;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(SoftIrqs))
}

impl Collector for SoftIrqs {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("softirqs");
        let text = read::text(&path)?;
        if text.is_empty() {
            return Err(Fault::garbage(&path, "end of file"));
        }
        let mut family =
            page.family("node_softirqs_functions_total", "Softirq counts per CPU.", Kind::Counter);
        for line in text.lines().skip(1) {
            let garbage = || Fault::garbage(&path, format_args!("line {:?}", read::shortened(line)));
            let (kind, counts) = line.split_once(':').ok_or_else(garbage)?;
            for (cpu, word) in counts.split_whitespace().enumerate() {
                let count: u64 = read::parse(&path, word)?;
                family.sample(&[("cpu", &cpu.to_string()), ("type", kind.trim())], count as f64);
            }
        }
        Ok(())
    }
}
