//! `/proc/cpuinfo`: what the CPUs are.

use exporters::{Kind, Page};
use regex::Regex;

use crate::fault::Fault;
use crate::filter;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

/// What of `/proc/cpuinfo` is wanted.
pub(super) struct Info {
    flags: Option<Regex>,
    bugs: Option<Regex>,
    frequency: bool,
}

#[derive(Debug, Default, PartialEq)]
struct Processor<'t> {
    number: &'t str,
    vendor: &'t str,
    family: &'t str,
    model: &'t str,
    model_name: &'t str,
    microcode: &'t str,
    stepping: &'t str,
    cache_size: &'t str,
    package: &'t str,
    core: &'t str,
    megahertz: f64,
    flags: &'t str,
    bugs: &'t str,
}

impl Info {
    /// Nothing where no flag asks for it; a filter of flags or bugs asks for it too.
    pub(super) fn of(given: &Flags) -> Result<Option<Self>, String> {
        let flags = filter::optional(given, "collector.cpu.info.flags-include")?;
        let bugs = filter::optional(given, "collector.cpu.info.bugs-include")?;
        if !given.is_on("collector.cpu.info") && flags.is_none() && bugs.is_none() {
            return Ok(None);
        }
        Ok(Some(Self { flags, bugs, frequency: given.is_on("collector.cpufreq") }))
    }

    pub(super) fn write(&self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let path = paths.proc("cpuinfo");
        let text = read::text(&path)?;
        let processors = processors(&text);
        if processors.is_empty() {
            return Err(Fault::garbage(&path, format_args!("{:?}", read::shortened(&text))));
        }
        for p in &processors {
            page.family("node_cpu_info", "CPU information from /proc/cpuinfo.", Kind::Gauge).sample(
                &[
                    ("cachesize", p.cache_size),
                    ("core", p.core),
                    ("cpu", p.number),
                    ("family", p.family),
                    ("microcode", p.microcode),
                    ("model", p.model),
                    ("model_name", p.model_name),
                    ("package", p.package),
                    ("stepping", p.stepping),
                    ("vendor", p.vendor),
                ],
                1.0,
            );
            if self.frequency {
                page.family(
                    "node_cpu_frequency_hertz",
                    "CPU frequency in hertz from /proc/cpuinfo.",
                    Kind::Gauge,
                )
                .sample(&[("core", p.core), ("cpu", p.number), ("package", p.package)], p.megahertz * 1e6);
            }
        }
        let first = &processors[0];
        for (name, label, wanted, words) in [
            ("node_cpu_flag_info", "flag", &self.flags, first.flags),
            ("node_cpu_bug_info", "bug", &self.bugs, first.bugs),
        ] {
            let Some(wanted) = wanted else { continue };
            let help = format!(
                "The `{label}s` field of CPU information from /proc/cpuinfo taken from the first core."
            );
            let mut family = page.family(name, &help, Kind::Gauge);
            for word in words.split_whitespace().filter(|word| wanted.is_match(word)) {
                family.sample(&[(label, word)], 1.0);
            }
        }
        Ok(())
    }
}

fn processors(text: &str) -> Vec<Processor<'_>> {
    let mut processors: Vec<Processor<'_>> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if key == "processor" && value.parse::<u32>().is_ok() {
            processors.push(Processor { number: value, ..Processor::default() });
            continue;
        }
        let Some(last) = processors.last_mut() else { continue };
        match key {
            "vendor" | "vendor_id" | "CPU implementer" => last.vendor = value,
            "cpu family" | "CPU architecture" => last.family = value,
            "model" | "CPU part" => last.model = value,
            "model name" => last.model_name = value,
            "microcode" => last.microcode = value,
            "stepping" | "CPU revision" => last.stepping = value,
            "cache size" => last.cache_size = value,
            "physical id" => last.package = value,
            "core id" => last.core = value,
            "cpu MHz" => last.megahertz = value.parse().unwrap_or(0.0),
            "flags" | "Features" => last.flags = value,
            "bugs" => last.bugs = value,
            _ => {}
        }
    }
    processors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_begins_a_block() {
        let text = "processor\t: 0\nvendor_id\t: X\ncpu MHz\t\t: 799.998\nflags\t\t: fpu aes\npower management:\n\n\
                    processor\t: 1\ncore id\t\t: 4\n";
        let got = processors(text);
        assert_eq!(got.len(), 2);
        assert_eq!(
            (got[0].number, got[0].vendor, got[0].megahertz, got[0].flags),
            ("0", "X", 799.998, "fpu aes")
        );
        assert_eq!((got[1].number, got[1].core, got[1].vendor), ("1", "4", ""));
        assert_eq!(processors("model: 1\nprocessor: x\n"), []);
    }
}
