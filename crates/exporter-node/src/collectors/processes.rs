//! Processes and threads by state, from `/proc/PID/stat` and `/proc/PID/task/TID/stat`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::paths::Paths;
use crate::read;

struct Processes;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(Processes))
}

type States = BTreeMap<char, u32>;

impl Collector for Processes {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let (mut states, mut thread_states) = (States::new(), States::new());
        let (mut processes, mut threads) = (0_u32, 0_u64);
        for pid in read::numbered(&paths.procfs, "")? {
            let directory = paths.proc(pid.to_string());
            let Some((state, count)) = stat(&directory.join("stat"))? else { continue };
            processes += 1;
            threads += count;
            *states.entry(state).or_default() += 1;
            // The process's own state is that of its first thread.
            *thread_states.entry(state).or_default() += 1;
            if count > 1 {
                let tasks = directory.join("task");
                let others = read::if_there(read::numbered(&tasks, ""))?.unwrap_or_default();
                for tid in others.into_iter().filter(|tid| *tid != pid) {
                    if let Some((state, _)) = stat(&tasks.join(format!("{tid}/stat")))? {
                        *thread_states.entry(state).or_default() += 1;
                    }
                }
            }
        }
        let mut gauge = |name, help, value| page.single(name, help, Kind::Gauge, value);
        gauge("node_processes_threads", "Allocated threads in system", threads as f64);
        let limit = read::number(&paths.proc("sys/kernel/threads-max"))?;
        gauge("node_processes_max_threads", "Limit of threads in the system", limit);
        gauge("node_processes_pids", "Number of PIDs", f64::from(processes));
        let limit = read::number(&paths.proc("sys/kernel/pid_max"))?;
        gauge("node_processes_max_processes", "Number of max PIDs limit", limit);
        for (name, help, label, states) in [
            ("node_processes_state", "Number of processes in each state.", "state", states),
            (
                "node_processes_threads_state",
                "Number of threads in each state.",
                "thread_state",
                thread_states,
            ),
        ] {
            let mut family = page.family(name, help, Kind::Gauge);
            for (state, count) in states {
                family.sample(&[(label, state.encode_utf8(&mut [0; 4]))], f64::from(count));
            }
        }
        Ok(())
    }
}

/// State and number of threads; nothing where the process ended meanwhile.
fn stat(path: &Path) -> Result<Option<(char, u64)>, Fault> {
    let text = match read::raw(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ESRCH) => {
            return Ok(None);
        }
        Err(e) => return Err(Fault::read(path, &e)),
    };
    let parsed = parse(&text);
    parsed.map(Some).ok_or_else(|| Fault::garbage(path, format_args!("{:?}", read::shortened(&text))))
}

/// Of `pid (name) state …`, whose name may hold anything; the number of threads is the 20th field.
fn parse(text: &str) -> Option<(char, u64)> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.nth(16)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 42 18";
        assert_eq!(parse(&format!("7 (a) S b) R {rest}")), Some(('R', 42)));
        for wrong in ["", "7 (a R 1", "7 (a)", "7 (a) R 1 2"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
