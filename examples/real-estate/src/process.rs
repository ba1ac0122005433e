//! The `process_*` family, read from `/proc/self` at each scrape.

use std::fmt;
use std::fs;
use std::sync::OnceLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// CPU, memory, file descriptors and start time of this process; silent where there is no `/proc`.
#[derive(Debug)]
pub(crate) struct ProcessCollector;

/// The fields used of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

fn parse_stat(stat: &str) -> Option<Stat> {
    // The command name may hold spaces and parentheses: fields count from the last `)`.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

fn parse_max_fds(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn boot_time_seconds() -> Option<u64> {
    static BOOT: OnceLock<Option<u64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
    })
}

#[expect(unsafe_code, reason = "sysconf has no safe wrapper in std")]
fn sysconf(name: libc::c_int, default: u64) -> u64 {
    // SAFETY: sysconf takes any integer and touches no memory of ours.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|value| *value > 0).unwrap_or(default)
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(stat) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| parse_stat(&stat)) else {
            return Ok(());
        };
        let ticks_per_second = sysconf(libc::_SC_CLK_TCK, 100) as f64;
        let cpu = ConstCounter::new(stat.cpu_ticks as f64 / ticks_per_second);
        let help = "Total user and system CPU time spent in seconds";
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, cpu.metric_type())?)?;

        let mut gauge = |name: &str, help: &str, value: Option<f64>| match value {
            Some(value) => {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
            }
            None => Ok(()),
        };
        let resident = stat.resident_pages * sysconf(libc::_SC_PAGESIZE, 4096);
        gauge("process_resident_memory_bytes", "Resident memory size in bytes", Some(resident as f64))?;
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes",
            Some(stat.virtual_bytes as f64),
        )?;
        let start = boot_time_seconds().map(|boot| boot as f64 + stat.start_ticks as f64 / ticks_per_second);
        let help = "Start time of the process since unix epoch in seconds";
        gauge("process_start_time_seconds", help, start)?;
        // The directory handle of the count itself is one of them.
        let open = fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count().saturating_sub(1) as f64);
        gauge("process_open_fds", "Number of open file descriptors", open)?;
        let max = fs::read_to_string("/proc/self/limits").ok().and_then(|limits| parse_max_fds(&limits));
        gauge("process_max_fds", "Maximum number of open file descriptors", max.map(|max| max as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_an_awkward_command_name() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194304 1 2 3 4 700 50 0 0 20 0 8 0 12345 1073741824 2048 18446744073709551615";
        let expect =
            Stat { cpu_ticks: 750, start_ticks: 12345, virtual_bytes: 1 << 30, resident_pages: 2048 };
        assert_eq!(parse_stat(stat), Some(expect));
        assert_eq!(parse_stat("42 (cut) S 1 2"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn limits() {
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files     \n";
        assert_eq!(parse_max_fds(limits), Some(1024));
        assert_eq!(parse_max_fds("Max open files unlimited unlimited files"), None);
    }
}
