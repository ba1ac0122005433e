//! The `cpuN` lines of `/proc/stat`, held where the kernel's counters step back.

use std::collections::BTreeMap;
use std::path::Path;

use crate::fault::Fault;
use crate::read;

/// User, nice, system, idle, iowait, irq, softirq, steal, guest, guest nice.
pub(super) const FIELDS: usize = 10;
const IDLE: usize = 3;

/// `USER_HZ`: a constant of the interface to user space, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// Idle time that steps back by as much was reset, because the CPU was unplugged; by less, it is the known jitter of idle and iowait.
const RESET_SECONDS: f64 = 3.0;

/// Seconds by CPU.
#[derive(Debug, Default)]
pub(super) struct Times {
    by_cpu: BTreeMap<u32, (String, [f64; FIELDS])>,
}

impl Times {
    /// Takes a new reading in. A value that stepped back by little keeps the one before. A CPU that went away keeps its last ones.
    pub(super) fn update(&mut self, path: &Path, text: &str) -> Result<(), Fault> {
        let mut found = false;
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("cpu") else { continue };
            found = true;
            let garbage = || Fault::garbage(path, format_args!("line {:?}", read::shortened(line)));
            let mut words = rest.split(' ');
            let name = words.next().unwrap_or_default();
            // The first line is the sum of all.
            if name.is_empty() {
                continue;
            }
            let number: u32 = name.parse().map_err(|_| garbage())?;
            let mut seconds = [0.0; FIELDS];
            let mut read = 0;
            // Kernels before 2.6.33 have fewer fields.
            for (place, word) in seconds.iter_mut().zip(words.filter(|w| !w.is_empty())) {
                *place = word.parse::<u64>().map_err(|_| garbage())? as f64 / TICKS_PER_SECOND;
                read += 1;
            }
            if read < 4 {
                return Err(garbage());
            }
            let (_, held) = self.by_cpu.entry(number).or_insert_with(|| (number.to_string(), [0.0; FIELDS]));
            if held[IDLE] - seconds[IDLE] >= RESET_SECONDS {
                *held = [0.0; FIELDS];
            }
            for (held, new) in held.iter_mut().zip(seconds) {
                *held = held.max(new);
            }
        }
        if found { Ok(()) } else { Err(Fault::garbage(path, "end of file")) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[f64; FIELDS])> {
        self.by_cpu.values().map(|(name, seconds)| (name.as_str(), seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(times: &mut Times, idle: u64, user: u64) -> (f64, f64) {
        let text = format!("cpu  9 9 9 9\ncpu0 {user} 0 0 {idle} 0 0 0 0 0 0\nintr 1\n");
        times.update(Path::new("stat"), &text).unwrap();
        let (name, seconds) = times.iter().next().unwrap();
        assert_eq!(name, "0");
        (seconds[IDLE], seconds[0])
    }

    #[test]
    fn small_steps_back_are_held_and_large_ones_reset() {
        let mut times = Times::default();
        assert_eq!(read(&mut times, 1000, 500), (10.0, 5.0));
        assert_eq!(read(&mut times, 990, 600), (10.0, 6.0));
        assert_eq!(read(&mut times, 1010, 550), (10.1, 6.0));
        // 2.99 s back is held, 3 s is a reset of all fields.
        assert_eq!(read(&mut times, 711, 550), (10.1, 6.0));
        assert_eq!(read(&mut times, 710, 1), (7.1, 0.01));
    }

    #[test]
    fn what_is_no_line_of_a_cpu_is_an_error() {
        let mut times = Times::default();
        for wrong in ["", "intr 1\n", "cpux 1 2 3 4\n", "cpu0 1 2 3\n", "cpu0 1 2 3 -4\n", "cpu0\n"] {
            assert!(times.update(Path::new("stat"), wrong).is_err(), "{wrong:?}");
        }
        times.update(Path::new("stat"), "cpu  1 2 3 4\n").unwrap();
    }
}
