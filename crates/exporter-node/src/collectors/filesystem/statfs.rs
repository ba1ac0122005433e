//! `statfs(2)` on threads of its own, because it never returns where a network file system's server is gone.
//!
//! Threads wait for work between scrapes; usually there is one. Where one is slow, further ones take over what waits. A mount point
//! whose call does not return in time is stuck: it is an error from then on, and not asked again, until the call returns. Each stuck
//! one costs the thread that waits for it, and no scrape waits twice.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a file system says of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) bytes: f64,
    pub(super) free_bytes: f64,
    /// To those that are not root.
    pub(super) available_bytes: f64,
    pub(super) files: f64,
    pub(super) files_free: f64,
}

/// A call of this length holds the others up no longer.
const SLOW: Duration = Duration::from_millis(50);

/// Threads at most, with those that are stuck. Mounts beyond wait for others, or are stuck too.
const MAX_THREADS: usize = 64;

/// What is said of a stuck mount.
const STUCK: &str = "mountpoint timeout";

type Call = Arc<dyn Fn(&PathBuf) -> Result<Size, String> + Send + Sync>;
type Answer = (PathBuf, Result<Size, String>);

/// The threads and what they are at.
pub(super) struct Stats {
    timeout: Duration,
    workers: usize,
    call: Call,
    jobs: Sender<PathBuf>,
    queue: Arc<Mutex<Receiver<PathBuf>>>,
    answers: Receiver<Answer>,
    answer: Sender<Answer>,
    threads: usize,
    /// Calls that have not returned, and since when.
    running: HashMap<PathBuf, Instant>,
}

impl Stats {
    /// A call may take `timeout`. Where one is slow, `workers` others run at once, and further ones for those that are slow too.
    pub(super) fn new(timeout: Duration, workers: usize) -> Self {
        Self::with(timeout, workers, Arc::new(|path: &PathBuf| statfs(path)))
    }

    fn with(timeout: Duration, workers: usize, call: Call) -> Self {
        let (jobs, queue) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let workers = workers.clamp(1, MAX_THREADS);
        Self { timeout, workers, call, jobs, queue, answers, answer, threads: 0, running: HashMap::new() }
    }

    /// The sizes of all `paths`, in their order.
    pub(super) fn read(&mut self, paths: &[PathBuf]) -> Vec<Result<Size, String>> {
        // Stuck calls of former scrapes that have returned since.
        while let Ok((path, _)) = self.answers.try_recv() {
            self.running.remove(&path);
        }
        let stuck: HashSet<PathBuf> = self.running.keys().cloned().collect();
        let mut pending: HashSet<&PathBuf> = HashSet::new();
        let mut waiting: VecDeque<&PathBuf> =
            paths.iter().filter(|p| !stuck.contains(*p) && pending.insert(*p)).collect();
        let mut answered: HashMap<PathBuf, Result<Size, String>> = HashMap::new();
        let deadline = Instant::now() + self.timeout;
        while !pending.is_empty() {
            self.dispatch(&mut waiting);
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if waiting.is_empty() { left } else { left.min(SLOW) };
            match self.answers.recv_timeout(patience) {
                Ok((path, answer)) => {
                    self.running.remove(&path);
                    if let Some(path) = pending.take(&path) {
                        answered.insert(path.clone(), answer);
                    }
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => break,
                Err(RecvTimeoutError::Timeout) => {}
                // The sender is a field of this very struct.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        for path in &pending {
            tracing::debug!(mountpoint = %path.display(), "Mount point timed out, it is being labeled as stuck");
        }
        paths.iter().map(|p| answered.get(p).cloned().unwrap_or_else(|| Err(STUCK.to_owned()))).collect()
    }

    /// Gives out what waits, as far as threads may run.
    fn dispatch(&mut self, waiting: &mut VecDeque<&PathBuf>) {
        loop {
            // One after the other as long as each returns at once: more threads would cost more than they gain.
            let quick = self.running.values().filter(|since| since.elapsed() < SLOW).count();
            let limit = if quick == self.running.len() { 1 } else { self.workers };
            let may_run = quick < limit && self.running.len() < MAX_THREADS;
            let Some(path) = may_run.then(|| waiting.pop_front()).flatten() else { return };
            if self.running.len() == self.threads && !self.spawn() {
                waiting.push_front(path);
                return;
            }
            self.running.insert(path.clone(), Instant::now());
            // It cannot fail: the receiver is kept in `self.queue`.
            drop(self.jobs.send(path.clone()));
        }
    }

    fn spawn(&mut self) -> bool {
        let (queue, answer, call) = (Arc::clone(&self.queue), self.answer.clone(), Arc::clone(&self.call));
        let work = move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                // The exporter is gone.
                let Ok(path) = next else { return };
                let size = call(&path);
                if answer.send((path, size)).is_err() {
                    return;
                }
            }
        };
        // The call needs little stack.
        let builder = thread::Builder::new().name("statfs".to_owned()).stack_size(64 << 10);
        let spawned = builder.spawn(work);
        self.threads += usize::from(spawned.is_ok());
        spawned.is_ok()
    }
}

/// Asks on this thread.
pub(super) fn statfs(path: &Path) -> Result<Size, String> {
    let s = rustix::fs::statfs(path).map_err(|e| wording(&e.into()))?;
    let unit = s.f_bsize as f64;
    Ok(Size {
        bytes: s.f_blocks as f64 * unit,
        free_bytes: s.f_bfree as f64 * unit,
        available_bytes: s.f_bavail as f64 * unit,
        files: s.f_files as f64,
        files_free: s.f_ffree as f64,
    })
}

/// As Go words it: `permission denied`.
fn wording(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size =
        Size { bytes: 1.0, free_bytes: 1.0, available_bytes: 1.0, files: 1.0, files_free: 1.0 };

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_root_has_a_size_and_what_is_not_there_an_error() {
        let mut stats = Stats::new(Duration::from_secs(20), 4);
        let read = stats.read(&paths(&["/", "/no/such/mount", "/"]));
        assert!(read[0].as_ref().is_ok_and(|s| s.bytes > 0.0 && s.available_bytes <= s.free_bytes));
        assert_eq!(read[1], Err("no such file or directory".to_owned()));
        assert!(read[2].is_ok());
        assert!((1..=2).contains(&stats.threads), "{}", stats.threads);
    }

    #[test]
    fn a_mount_that_hangs_costs_one_wait_and_comes_back() {
        let (release, hang) = mpsc::channel::<()>();
        let hang = Mutex::new(hang);
        let call: Call = Arc::new(move |path: &PathBuf| {
            if path.starts_with("/hung") {
                let _ = hang.lock().unwrap().recv();
            }
            Ok(SIZE)
        });
        let mut stats = Stats::with(Duration::from_millis(300), 1, call);
        let wanted = ["/hung/1", "/a", "/hung/2", "/b"];
        let stuck = || Err(STUCK.to_owned());
        let begin = Instant::now();
        assert_eq!(stats.read(&paths(&wanted)), [stuck(), Ok(SIZE), stuck(), Ok(SIZE)]);
        assert!(begin.elapsed() >= Duration::from_millis(300));
        // Not asked again: no wait.
        let begin = Instant::now();
        assert_eq!(stats.read(&paths(&wanted)), [stuck(), Ok(SIZE), stuck(), Ok(SIZE)]);
        assert!(begin.elapsed() < Duration::from_millis(300), "{:?}", begin.elapsed());
        assert_eq!(stats.threads, 3);
        // One server is back.
        release.send(()).unwrap();
        drop(release);
        crate::test::wait_until(|| {
            let read = stats.read(&paths(&wanted));
            read == [Ok(SIZE), Ok(SIZE), Ok(SIZE), Ok(SIZE)]
        });
    }

    #[test]
    fn more_hung_mounts_than_threads_end_too() {
        let (release, hang) = mpsc::channel::<()>();
        let hang = Mutex::new(hang);
        let call: Call = Arc::new(move |_: &PathBuf| {
            let _ = hang.lock().unwrap().recv();
            Ok(SIZE)
        });
        let mut stats = Stats::with(Duration::from_millis(200), MAX_THREADS, call);
        let wanted: Vec<PathBuf> = (0..2 * MAX_THREADS).map(|n| format!("/{n}").into()).collect();
        let read = stats.read(&wanted);
        assert!(read.iter().all(Result::is_err));
        assert_eq!(stats.threads, MAX_THREADS);
        drop(release);
    }
}
