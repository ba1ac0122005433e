//! Time by CPU and mode, from `/proc/stat`; throttling, isolation and being online, from `/sys/devices/system/cpu`.

mod info;
mod stat;

use std::collections::BTreeSet;
use std::path::PathBuf;

use exporters::{Kind, Page};

use self::info::Info;
use self::stat::{FIELDS, Times};
use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Cpu {
    guest: bool,
    info: Option<Info>,
    times: Times,
    throttles: Throttles,
}

pub(crate) fn make(flags: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Cpu {
        guest: flags.is_on("collector.cpu.guest"),
        info: Info::of(flags)?,
        times: Times::default(),
        throttles: Throttles::default(),
    }))
}

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

impl Collector for Cpu {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        if let Some(info) = &self.info {
            info.write(paths, page)?;
        }
        let path = paths.proc("stat");
        self.times.update(&path, &read::text(&path)?)?;
        self.write_times(page);

        let directory = paths.sys("devices/system/cpu");
        if let Some(isolated) = read::if_there(read::trimmed(&directory.join("isolated")))? {
            let help = "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.";
            let mut family = page.family("node_cpu_isolated", help, Kind::Gauge);
            for number in read::ranges(&isolated) {
                family.sample(&[("cpu", &number.to_string())], 1.0);
            }
        }
        self.throttles.write(paths, page)?;
        write_online(paths, page)
    }
}

impl Cpu {
    fn write_times(&self, page: &mut Page) {
        let help = "Seconds the CPUs spent in each mode.";
        let mut family = page.family("node_cpu_seconds_total", help, Kind::Counter);
        for (cpu, seconds) in self.times.iter() {
            for (mode, seconds) in MODES.iter().zip(seconds) {
                family.sample(&[("cpu", cpu), ("mode", mode)], *seconds);
            }
        }
        if self.guest {
            let help = "Seconds the CPUs spent in guests (VMs) for each mode.";
            let mut family = page.family("node_cpu_guest_seconds_total", help, Kind::Counter);
            for (cpu, seconds) in self.times.iter() {
                // The kernel counts them among user and nice too.
                for (mode, seconds) in ["user", "nice"].iter().zip(&seconds[FIELDS - 2..]) {
                    family.sample(&[("cpu", cpu), ("mode", mode)], *seconds);
                }
            }
        }
    }
}

/// CPU 0 has no `online` file where it cannot be taken offline; then upstream shows none.
fn write_online(paths: &Paths, page: &mut Page) -> Result<(), Fault> {
    let directory = paths.sys("devices/system/cpu");
    if !directory.join("cpu0/online").exists() {
        return Ok(());
    }
    let mut family = page.family("node_cpu_online", "CPUs that are online and being scheduled.", Kind::Gauge);
    for number in read::numbered(&directory, "cpu")? {
        let online = read::trimmed(&directory.join(format!("cpu{number}/online")));
        let online = online.is_ok_and(|text| text == "1");
        family.sample(&[("cpu", &number.to_string())], f64::from(u8::from(online)));
    }
    Ok(())
}

/// Which files count throttling does not change while the CPUs are the same; reading the topology of each at each scrape would be
/// most of the work.
#[derive(Default)]
struct Throttles {
    cpus: Vec<u32>,
    packages: Vec<(String, PathBuf)>,
    cores: Vec<(String, String, PathBuf)>,
}

impl Throttles {
    fn write(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let directory = paths.sys("devices/system/cpu");
        let cpus = read::if_there(read::numbered(&directory, "cpu"))?.unwrap_or_default();
        if cpus != self.cpus {
            *self = Self::find(paths, cpus);
        }
        let help = "Number of times this CPU package has been throttled.";
        let mut family = page.family("node_cpu_package_throttles_total", help, Kind::Counter);
        for (package, path) in &self.packages {
            if let Some(count) = read::if_there(read::number(path))? {
                family.sample(&[("package", package)], count);
            }
        }
        let help = "Number of times this CPU core has been throttled.";
        let mut family = page.family("node_cpu_core_throttles_total", help, Kind::Counter);
        for (package, core, path) in &self.cores {
            if let Some(count) = read::if_there(read::number(path))? {
                family.sample(&[("core", core), ("package", package)], count);
            }
        }
        Ok(())
    }

    /// The first CPU of each package and core that has the file speaks for it.
    fn find(paths: &Paths, cpus: Vec<u32>) -> Self {
        let mut found = Self { cpus, ..Self::default() };
        let (mut packages, mut cores) = (BTreeSet::new(), BTreeSet::new());
        for number in &found.cpus {
            let cpu = paths.sys(format!("devices/system/cpu/cpu{number}"));
            let topology = |name| read::trimmed(&cpu.join("topology").join(name)).ok()?.parse::<u64>().ok();
            let Some((package, core)) = topology("physical_package_id").zip(topology("core_id")) else {
                continue;
            };
            let file = cpu.join("thermal_throttle/core_throttle_count");
            if !cores.contains(&(package, core)) && file.exists() {
                cores.insert((package, core));
                found.cores.push((package.to_string(), core.to_string(), file));
            }
            let file = cpu.join("thermal_throttle/package_throttle_count");
            if !packages.contains(&package) && file.exists() {
                packages.insert(package);
                found.packages.push((package.to_string(), file));
            }
        }
        found
    }
}
