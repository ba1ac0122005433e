//! Remote-write requests, made before the clock starts, kept in a file, sent as fast as the server takes them.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::http::{Connection, Reply};
use crate::process;

/// How many slices of time one connection may be ahead of another: servers refuse samples that are much older than
/// the newest they have seen.
const LEAD: usize = 2;

/// Requests in the order in which they are sent, by connection.
pub(crate) struct Requests {
    file: File,
    connections: Vec<Vec<Place>>,
    pub(crate) samples: u64,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: usize,
    slice: usize,
}

/// Makes [`Requests`].
pub(crate) struct Builder {
    writer: BufWriter<File>,
    requests: Requests,
    encoder: snap::raw::Encoder,
}

impl Builder {
    /// Requests for `connections` connections, kept in the file `path`.
    pub(crate) fn create(path: &Path, connections: usize) -> anyhow::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.with_context(|| path.display().to_string())?;
        Ok(Self {
            writer: BufWriter::with_capacity(1 << 20, file.try_clone()?),
            requests: Requests { file, connections: vec![vec![]; connections], samples: 0, bytes: 0 },
            encoder: snap::raw::Encoder::new(),
        })
    }

    /// Adds a `WriteRequest` of `samples` samples. The slices of one connection do not fall.
    pub(crate) fn push(
        &mut self,
        connection: usize,
        slice: usize,
        body: &[u8],
        samples: u64,
    ) -> anyhow::Result<()> {
        let body = self.encoder.compress_vec(body)?;
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nUser-Agent: xtask\r\nContent-Encoding: snappy\r\n\
             Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.writer.write_all(head.as_bytes())?;
        self.writer.write_all(&body)?;
        let length = head.len() + body.len();
        let requests = &mut self.requests;
        requests.connections[connection].push(Place { offset: requests.bytes, length, slice });
        requests.bytes += length as u64;
        requests.samples += samples;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> anyhow::Result<Requests> {
        self.writer.flush().context("requests do not fit on the disk")?;
        Ok(self.requests)
    }
}

impl Requests {
    pub(crate) fn count(&self) -> usize {
        self.connections.iter().map(Vec::len).sum()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Sends all of them, each connection its own in their order, each after the answer to the one before; how long it took.
    pub(crate) fn send(&self, address: &str) -> anyhow::Result<Duration> {
        let pace = Pace { slices: Mutex::new(vec![0; self.connections.len()]), moved: Condvar::new() };
        let started = Instant::now();
        std::thread::scope(|scope| {
            let threads = self.connections.iter().enumerate().map(|(number, places)| {
                let pace = &pace;
                scope.spawn(move || {
                    let sent = self.send_own(address, places, |slice| pace.reach(number, slice));
                    // Nobody waits for a connection that is done or has failed.
                    pace.leave(number);
                    sent
                })
            });
            let threads: Vec<_> = threads.collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("senders do not panic"))
        })?;
        Ok(started.elapsed())
    }

    fn send_own(&self, address: &str, places: &[Place], reach: impl Fn(usize)) -> anyhow::Result<()> {
        let mut connection = Connection::open(address, Duration::from_secs(120))?;
        let mut request = vec![];
        for place in places {
            ensure!(!process::interrupted(), "interrupted");
            reach(place.slice);
            request.resize(place.length, 0);
            self.file.read_exact_at(&mut request, place.offset)?;
            connection.exchange(&request).and_then(Reply::success).context("remote write")?;
        }
        Ok(())
    }
}

/// Keeps connections at about the same time.
struct Pace {
    slices: Mutex<Vec<usize>>,
    moved: Condvar,
}

impl Pace {
    fn reach(&self, number: usize, slice: usize) {
        let mut slices = self.slices.lock().expect("no holder panics");
        if slices[number] < slice {
            slices[number] = slice;
            self.moved.notify_all();
        }
        while slices.iter().any(|other| other.saturating_add(LEAD) < slice) {
            slices = self.moved.wait(slices).expect("no holder panics");
        }
    }

    fn leave(&self, number: usize) {
        self.slices.lock().expect("no holder panics")[number] = usize::MAX;
        self.moved.notify_all();
    }
}
