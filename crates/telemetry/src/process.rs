//! The `process_*` family of the Prometheus client libraries, read from `/proc/self`.

use std::fs;
use std::sync::OnceLock;

use model::MetricType;

use exposition::Family;

use crate::registry::{Registry, single};

/// Registers `process_cpu_seconds_total`, `process_resident_memory_bytes` and the rest of the family.
pub fn register_process_metrics(registry: &Registry) {
    registry.register(collect);
}

/// A field that cannot be read is left out, as the clients do on systems without `/proc`.
fn collect() -> Vec<Family> {
    let mut out = Vec::new();
    let mut add = |name: &str, help: &str, kind, value: Option<f64>| {
        out.extend(value.map(|v| single(name, help, kind, v)));
    };
    let ticks = sysconf(libc::_SC_CLK_TCK).unwrap_or(100.0);
    let page = sysconf(libc::_SC_PAGESIZE).unwrap_or(4096.0);
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command name may hold blanks; everything of interest follows its closing parenthesis.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    // Numbered as in proc(5), where the state after the name is field 3.
    let field = |n: usize| fields.get(n - 3).and_then(|f| f.parse::<f64>().ok());
    add(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        MetricType::Counter,
        field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks),
    );
    add("process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricType::Gauge, field(23));
    add(
        "process_virtual_memory_max_bytes",
        "Maximum amount of virtual memory available in bytes.",
        MetricType::Gauge,
        limit("Max address space"),
    );
    add(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        MetricType::Gauge,
        field(24).map(|pages| pages * page),
    );
    add(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        MetricType::Gauge,
        field(22).zip(boot_time()).map(|(start, boot)| boot + start / ticks),
    );
    add(
        "process_open_fds",
        "Number of open file descriptors.",
        MetricType::Gauge,
        fs::read_dir("/proc/self/fd").ok().map(|d| d.count() as f64),
    );
    add(
        "process_max_fds",
        "Maximum number of open file descriptors.",
        MetricType::Gauge,
        limit("Max open files"),
    );
    add("process_threads", "Number of threads of the process.", MetricType::Gauge, field(20));
    out
}

/// Read once: the kernel counts all interrupts for whoever reads this file.
fn boot_time() -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    *BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()
    })
}

/// The soft limit of a resource; without one, what Go's clients have for it: the largest number of 64 bits.
fn limit(resource: &str) -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|l| l.strip_prefix(resource))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX as f64),
        number => number.parse().ok(),
    }
}

fn sysconf(name: libc::c_int) -> Option<f64> {
    #[expect(unsafe_code, reason = "the only way to ask for clock ticks and page size")]
    // SAFETY: sysconf takes an integer, returns an integer and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    (value > 0).then_some(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_process() {
        let families = collect();
        let value =
            |name: &str| families.iter().find(|f| name.starts_with(&f.name)).map(|f| f.samples[0].value);
        assert!(value("process_resident_memory_bytes").unwrap() > 100_000.0);
        assert!(value("process_virtual_memory_max_bytes").unwrap() > 1e6);
        assert!(value("process_open_fds").unwrap() >= 3.0);
        assert!(limit("Max open files").unwrap() >= 3.0);
        assert!(limit("Max address space").unwrap() > 1e6);
        assert_eq!(limit("Max nothing"), None);
        let start = value("process_start_time_seconds").unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((0.0..3600.0 * 24.0).contains(&(now - start)), "started {start}, now {now}");
    }
}
