//! What a process and a directory take, as the kernel accounts it.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// Of it the process' own, not mapped from files.
    pub(crate) anonymous: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

pub(crate) fn memory(id: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).context("the process is gone")?;
    let bytes = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Ok(Memory { resident: bytes("VmRSS"), anonymous: bytes("RssAnon"), peak: bytes("VmHWM") })
}

/// Lets the peak of a process begin anew, at what is resident now.
pub(crate) fn forget_peak(id: u32) -> anyhow::Result<()> {
    fs::write(format!("/proc/{id}/clear_refs"), "5").context("the peak of memory cannot be reset")
}

/// User and system time of a process in seconds.
pub(crate) fn cpu_seconds(id: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("the process is gone")?;
    let fields = stat.rsplit_once(')').context("no command name in stat")?.1;
    let ticks = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    // Linux reports these in hundredths of a second on all platforms.
    Ok(ticks as f64 / 100.0)
}

/// User and system time of a process, its children that run, and those that ended, in seconds.
pub(crate) fn family_cpu_seconds(id: u32) -> anyhow::Result<f64> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes come and go.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, fields)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<u64> = fields.split_ascii_whitespace().map(|f| f.parse().unwrap_or(0)).collect();
        // From field 3 on: parent is the second, the times are the 12th to 15th.
        let [_, parent, ..] = fields.as_slice() else { continue };
        if pid == id {
            ticks += fields.get(11..15).map_or(0, |times| times.iter().sum::<u64>());
        } else if *parent == u64::from(id) {
            ticks += fields.get(11..13).map_or(0, |times| times.iter().sum::<u64>());
        }
    }
    Ok(ticks as f64 / 100.0)
}

/// Bytes allocated to the files under `path`, but for those in the directories named `without`.
pub(crate) fn disk_bytes(path: &Path, without: &[&str]) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path).with_context(|| path.display().to_string())? {
        let entry = entry?;
        if without.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        sum += match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_bytes(&entry.path(), without)?,
            // Blocks, not length: logs are preallocated and sparse.
            Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
            // Segments come and go.
            Err(_) => 0,
        };
    }
    Ok(sum)
}

/// Cores and model of the CPU.
pub(crate) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, m)| m);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {model}")
}

/// How many processes wanted to run, on average over the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}
