//! Threads for scraping.
//!
//! A scrape is a few hundred microseconds of work, once its reply is there. On a runtime with several workers it would be handed
//! from thread to thread on the way, and each finds its caches cold; so each target belongs to one of few threads, with a runtime
//! of that thread alone: what waits for a socket there goes on there, up to the store.

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// One thread takes millions of samples a second; more of them only keep a slow scrape from delaying all others, and with fewer
/// of them more scrapes find their caches warm (5 % less CPU with one than with two, at 40 scrapes a second).
const MAX_THREADS: usize = 4;

/// The threads. They end, and the loops on them with them, when this is dropped.
#[derive(Debug)]
pub(crate) struct Shards {
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    handle: Handle,
    /// Dropped to end the thread.
    _stop: Option<oneshot::Sender<()>>,
}

impl Shards {
    /// Starts the threads. Where the system gives none, the caller's runtime takes their place.
    pub(crate) fn start() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = processors.div_ceil(2).min(MAX_THREADS);
        let mut shards: Vec<_> = (0..wanted).map_while(Shard::start).collect();
        if shards.is_empty() {
            shards.push(Shard { handle: Handle::current(), _stop: None });
        }
        Self { shards }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    /// The runtime of one of them.
    pub(crate) fn handle(&self, n: usize) -> &Handle {
        &self.shards[n].handle
    }
}

impl Shard {
    fn start(n: usize) -> Option<Self> {
        let failed =
            |error: &std::io::Error| tracing::error!(%error, "a thread for scraping could not be started");
        let runtime = Builder::new_current_thread().enable_all().build().inspect_err(failed).ok()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name(format!("scrape-{n}"));
        let run = move || {
            // The sender says nothing, it is dropped.
            let _ = runtime.block_on(stopped);
        };
        thread.spawn(run).inspect_err(failed).ok()?;
        Some(Self { handle, _stop: Some(stop) })
    }
}
