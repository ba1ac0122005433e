//! Interrupts by CPU, from `/proc/interrupts`.

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::filter::Filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Interrupts {
    filter: Filter,
    zeros: bool,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Interrupts {
        filter: Filter::of(flags, "collector.interrupts.name-exclude", "collector.interrupts.name-include")?,
        zeros: flags.is_on("collector.interrupts.include-zeros"),
    }))
}

impl Collector for Interrupts {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("interrupts");
        let text = read::text(&path)?;
        let mut lines = text.lines();
        let cpus = lines.next().map_or(0, |head| head.split_whitespace().count());
        if cpus == 0 {
            return Err(Fault::garbage(&path, "first line"));
        }
        let mut family = page.family("node_interrupts_total", "Interrupt details.", Kind::Counter);
        for line in lines {
            let Some((name, rest)) = line.split_once(':') else { continue };
            let words: Vec<&str> = rest.split_whitespace().collect();
            // Sums over all CPUs (ERR, MIS) have one number and no details.
            if words.len() < cpus + 1 {
                continue;
            }
            let name = name.trim_start();
            let (values, details) = words.split_at(cpus);
            // A numbered one has the chip first, then the devices.
            let split = if name.parse::<u32>().is_ok() { 1 } else { details.len() };
            let (info, devices) = (details[..split].join(" "), details[split..].join(" "));
            if self.filter.ignores(&format!("{name};{info};{devices}")) {
                continue;
            }
            for (cpu, word) in values.iter().enumerate() {
                let value: f64 = read::parse(&path, word)?;
                if value != 0.0 || self.zeros {
                    let cpu = cpu.to_string();
                    family.sample(
                        &[("cpu", &cpu), ("devices", &devices), ("info", &info), ("type", name)],
                        value,
                    );
                }
            }
        }
        Ok(())
    }
}
