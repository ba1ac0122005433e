//! Frequencies and governors, from `/sys/devices/system/cpu/cpu*/cpufreq`.

use std::io::ErrorKind;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct CpuFreq;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(CpuFreq))
}

/// File, family, help text. The files are in kHz.
const FAMILIES: [(&str, &str, &str); 7] = [
    ("cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."),
    ("cpuinfo_avg_freq", "node_cpu_frequency_avg_hertz", "Average CPU thread frequency in hertz."),
    ("cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Minimum CPU thread frequency in hertz."),
    ("cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Maximum CPU thread frequency in hertz."),
    ("scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Current scaled CPU thread frequency in hertz."),
    (
        "scaling_min_freq",
        "node_cpu_scaling_frequency_min_hertz",
        "Minimum scaled CPU thread frequency in hertz.",
    ),
    (
        "scaling_max_freq",
        "node_cpu_scaling_frequency_max_hertz",
        "Maximum scaled CPU thread frequency in hertz.",
    ),
];

impl Collector for CpuFreq {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let directory = paths.sys("devices/system/cpu");
        // CPUs that are off keep the directory, but reading there fails.
        let offline = read::if_there(read::trimmed(&directory.join("offline")))?;
        let offline = offline.map(|text| read::ranges(&text)).unwrap_or_default();
        for number in read::numbered(&directory, "cpu")? {
            let cpufreq = directory.join(format!("cpu{number}/cpufreq"));
            if offline.contains(&number) || !cpufreq.is_dir() {
                continue;
            }
            let cpu = number.to_string();
            for (file, name, help) in FAMILIES {
                let path = cpufreq.join(file);
                let text = match read::raw(&path) {
                    Ok(text) => text,
                    // Some files are root's alone, and a driver has some and not others.
                    Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                        continue;
                    }
                    Err(e) => return Err(Fault::read(&path, &e)),
                };
                // A driver that cannot tell writes "<unknown>".
                let Ok(kilohertz) = text.trim().parse::<u64>() else { continue };
                page.family(name, help, Kind::Gauge).sample(&[("cpu", &cpu)], kilohertz as f64 * 1000.0);
            }
            let Some(governor) = read::if_there(read::trimmed(&cpufreq.join("scaling_governor")))? else {
                continue;
            };
            let available = cpufreq.join("scaling_available_governors");
            let available = read::if_there(read::text(&available))?.unwrap_or_default();
            let help = "Current enabled CPU frequency governor.";
            let mut family = page.family("node_cpu_scaling_governor", help, Kind::Gauge);
            for name in available.split_whitespace() {
                let is_it = f64::from(u8::from(name == governor));
                family.sample(&[("cpu", &cpu), ("governor", name)], is_it);
            }
        }
        Ok(())
    }
}
