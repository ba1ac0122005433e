//! Many scrape targets on one port: `GET /N` is target N's exposition.
//!
//! Bodies are never compressed, whatever the scraper offers: the cost of inflating is not the store's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;

use super::load::Target;

/// Targets being served; no longer when dropped.
pub(crate) struct Targets {
    pub(crate) address: String,
    shared: Arc<Shared>,
}

/// One exposition that a scraper took wholly.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    /// When it was asked for.
    pub(crate) at_ms: i64,
    /// Which one it was.
    pub(crate) tick: u64,
}

struct Shared {
    targets: Vec<Target>,
    started: Instant,
    tick: Duration,
    /// The share of series replaced a minute, and since when.
    churn_per_minute: f64,
    churn_since: OnceLock<Instant>,
    samples: AtomicU64,
    served: Vec<Mutex<Vec<Served>>>,
    stopped: AtomicBool,
}

impl Targets {
    /// Serves `targets` on a free port of loopback; values move once a `tick`.
    pub(crate) fn serve(targets: Vec<Target>, tick: Duration, churn_per_minute: f64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot serve targets")?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            served: targets.iter().map(|_| Mutex::default()).collect(),
            targets,
            started: Instant::now(),
            tick,
            churn_per_minute,
            churn_since: OnceLock::new(),
            samples: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accepting.accept(&listener));
        Ok(Self { address, shared })
    }

    /// A scrape configuration for all of them, one static config per target: they differ by path and by `instance`.
    pub(crate) fn configuration(&self) -> String {
        let mut yaml = format!(
            "global:\n  scrape_interval: {0}s\n  scrape_timeout: {0}s\nscrape_configs:\n  - job_name: load\n    static_configs:\n",
            self.shared.tick.as_secs()
        );
        for number in 0..self.shared.targets.len() {
            yaml.push_str(&format!(
                "      - targets: ['{}']\n        labels:\n          __metrics_path__: /{number}\n          instance: {}\n",
                self.address,
                instance(number)
            ));
        }
        yaml
    }

    /// Samples served so far.
    pub(crate) fn samples(&self) -> u64 {
        self.shared.samples.load(Ordering::Relaxed)
    }

    /// What each target served so far, in order.
    pub(crate) fn served(&self) -> Vec<Vec<Served>> {
        let served = self.shared.served.iter();
        served.map(|one| one.lock().expect("no holder panics").clone()).collect()
    }

    /// From now on series are replaced.
    pub(crate) fn start_churn(&self) {
        self.shared.churn_since.get_or_init(Instant::now);
    }

    /// Series that have been replaced so far.
    pub(crate) fn replaced(&self) -> u64 {
        let replaced = self.shared.replaced();
        self.shared.targets.iter().map(|target| target.replaced(replaced)).sum()
    }

    pub(crate) fn get(&self, number: usize) -> &Target {
        &self.shared.targets[number]
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees that.
        drop(TcpStream::connect(&self.address));
    }
}

/// The label `instance` of a target.
pub(crate) fn instance(number: usize) -> String {
    format!("host-{number:04}")
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(&self);
            // One thread per connection: a scraper keeps one per target. One that hangs up ends its thread, and one
            // that cannot have a thread sees its connection closed.
            let thread = std::thread::Builder::new().stack_size(128 << 10);
            drop(thread.spawn(move || drop(shared.connection(stream))));
        }
    }

    fn connection(&self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let (mut line, mut body, mut head) = (String::new(), vec![], vec![]);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let path = line.split(' ').nth(1).unwrap_or_default();
            let number = path.trim_start_matches('/').parse::<usize>().ok();
            while line.trim_end() != "" {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
            }
            let at_ms = now_ms();
            let tick = self.started.elapsed().as_millis() / self.tick.as_millis().max(1);
            let tick = u64::try_from(tick).unwrap_or(u64::MAX);
            body.clear();
            head.clear();
            let target = number.and_then(|number| Some((number, self.targets.get(number)?)));
            let status = match target {
                Some((_, target)) => {
                    target.render(tick, self.replaced(), &mut body);
                    "200 OK"
                }
                None => "404 Not Found",
            };
            write!(
                head,
                "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            reader.get_mut().write_all(&head)?;
            reader.get_mut().write_all(&body)?;
            if let Some((number, target)) = target {
                self.samples.fetch_add(target.series, Ordering::Relaxed);
                self.served[number].lock().expect("no holder panics").push(Served { at_ms, tick });
            }
        }
    }

    fn replaced(&self) -> f64 {
        let minutes = self.churn_since.get().map_or(0.0, |since| since.elapsed().as_secs_f64() / 60.0);
        minutes * self.churn_per_minute
    }
}
