//! What bounds a query while it runs: cancellation, a deadline, a budget of samples and one of bytes; and what it counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use kernels::Windows;

use crate::append::is_absent;
use crate::{Error, ErrorKind};

/// Shared by all threads that work on one query.
#[derive(Debug)]
pub struct QueryContext {
    cancelled: AtomicBool,
    deadline: Option<Instant>,
    samples: Budget,
    bytes: Budget,
    read: AtomicU64,
    windows: Option<Mutex<WindowCounts>>,
}

/// How much of something there may be at once, is, and was at most.
#[derive(Debug)]
struct Budget {
    max: u64,
    live: AtomicU64,
    peak: AtomicU64,
}

/// How many samples the windows of a leaf saw, by step of its grid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Samples in the windows that end at each step: one that several windows see counts in each.
    pub total: Vec<u64>,
    /// Of these the ones that no earlier window of the leaf saw.
    pub fresh: Vec<u64>,
}

impl Budget {
    const fn new(max: u64) -> Self {
        Self { max, live: AtomicU64::new(0), peak: AtomicU64::new(0) }
    }

    /// Takes `n`; whether the budget allows it. What is refused is taken all the same, and to be given back.
    fn take(&self, n: u64) -> bool {
        // Relaxed: counters that publish nothing.
        let live = self.live.fetch_add(n, Ordering::Relaxed).saturating_add(n);
        self.peak.fetch_max(live, Ordering::Relaxed);
        live <= self.max
    }

    fn give_back(&self, n: u64) {
        self.live.fetch_sub(n, Ordering::Relaxed);
    }
}

impl QueryContext {
    /// A context that ends at `deadline`, if given, and holds at most `max_samples` samples in memory at once.
    #[must_use]
    pub fn new(deadline: Option<Instant>, max_samples: u64) -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            deadline,
            samples: Budget::new(max_samples),
            bytes: Budget::new(u64::MAX),
            read: AtomicU64::new(0),
            windows: None,
        }
    }

    /// A context without bounds, for tools and tests.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::new(None, u64::MAX)
    }

    /// The same with a bound on the bytes held at once.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: u64) -> Self {
        self.bytes = Budget::new(max_bytes);
        self
    }

    /// The same, asking executors to count what windows see ([`QueryContext::count_windows`]).
    #[must_use]
    pub fn with_window_counts(mut self) -> Self {
        self.windows = Some(Mutex::default());
        self
    }

    /// When the query must have ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Makes every later [`QueryContext::check`] fail.
    pub fn cancel(&self) {
        // Relaxed: the flag carries no data; a check that misses it sees it at the next one.
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether [`QueryContext::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// To be called at least once per series.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] or [`ErrorKind::TimedOut`].
    pub fn check(&self) -> Result<(), Error> {
        self.check_in("expression evaluation")
    }

    /// As [`QueryContext::check`], for another `stage` than the evaluation: its name is in the error.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] or [`ErrorKind::TimedOut`].
    pub fn check_in(&self, stage: &str) -> Result<(), Error> {
        if self.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, format!("query was canceled in {stage}")));
        }
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(Error::new(ErrorKind::TimedOut, format!("query timed out in {stage}")));
        }
        Ok(())
    }

    /// Counts samples that stay in memory. What it refuses is counted too: give it back as well.
    ///
    /// # Errors
    /// [`ErrorKind::TooManySamples`] when the budget is spent.
    pub fn hold(&self, samples: usize) -> Result<(), Error> {
        if self.samples.take(samples as u64) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooManySamples,
            "query processing would load too many samples into memory in query execution",
        ))
    }

    /// Gives back what [`QueryContext::hold`] counted.
    pub fn release(&self, samples: usize) {
        self.samples.give_back(samples as u64);
    }

    /// Counts bytes that stay in memory, label sets and empty cells included. What it refuses is counted too.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyBytes`] when the budget is spent.
    pub fn hold_bytes(&self, bytes: usize) -> Result<(), Error> {
        if self.bytes.take(bytes as u64) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::TooManyBytes,
            format!(
                "query processing would take more than {} bytes of memory in query execution; select less, \
                 or raise --query.vigie.max-memory",
                self.bytes.max
            ),
        ))
    }

    /// Gives back what [`QueryContext::hold_bytes`] counted.
    pub fn release_bytes(&self, bytes: usize) {
        self.bytes.give_back(bytes as u64);
    }

    /// Counts samples read from the store, for statistics.
    pub fn count_read(&self, samples: usize) {
        self.read.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// Whether executors are asked to call [`QueryContext::count_windows`] once per series of a leaf whose function looks at
    /// whole windows. It costs a pass over the samples, so only queries whose statistics somebody reads ask for it.
    #[must_use]
    pub fn counts_windows(&self) -> bool {
        self.windows.is_some()
    }

    /// Counts what the windows of one series saw; staleness markers and absent samples are not counted.
    pub fn count_windows(&self, values: &[f64], windows: &Windows) {
        let Some(counts) = &self.windows else { return };
        let mut live = 0_u64;
        let before: Vec<u64> = std::iter::once(0)
            .chain(values.iter().map(|v| {
                live += u64::from(!model::is_stale(*v) && !is_absent(*v));
                live
            }))
            .collect();
        // A panic under the lock leaves sums that are at worst incomplete.
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = 0;
        for (step, window) in windows.iter().enumerate() {
            let (start, end) = (window.start.min(window.end), window.end);
            let fresh = before[end] - before[start.max(seen).min(end)];
            counts.add(step, before[end] - before[start], fresh);
            seen = seen.max(end);
        }
    }

    /// What was counted since the last call.
    #[must_use]
    pub fn take_window_counts(&self) -> WindowCounts {
        self.windows.as_ref().map_or_else(WindowCounts::default, |counts| {
            std::mem::take(&mut *counts.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Samples read so far.
    #[must_use]
    pub fn samples_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The most samples that were in memory at once.
    #[must_use]
    pub fn peak_samples(&self) -> u64 {
        self.samples.peak.load(Ordering::Relaxed)
    }

    /// The most bytes that were accounted at once.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        self.bytes.peak.load(Ordering::Relaxed)
    }
}

impl WindowCounts {
    /// Adds to one step.
    pub fn add(&mut self, step: usize, total: u64, fresh: u64) {
        if self.total.len() <= step {
            self.total.resize(step + 1, 0);
            self.fresh.resize(step + 1, 0);
        }
        self.total[step] += total;
        self.fresh[step] += fresh;
    }
}

#[cfg(test)]
mod tests {
    use kernels::Grid;

    use super::*;

    #[test]
    fn the_budgets_count_what_is_live() {
        let ctx = QueryContext::new(None, 10).with_max_bytes(100);
        ctx.hold(8).unwrap();
        ctx.release(8);
        ctx.hold(10).unwrap();
        assert_eq!(ctx.hold(1).unwrap_err().kind(), ErrorKind::TooManySamples);
        assert_eq!(ctx.peak_samples(), 11);
        ctx.hold_bytes(100).unwrap();
        assert_eq!(ctx.hold_bytes(1).unwrap_err().kind(), ErrorKind::TooManyBytes);
        ctx.release_bytes(101);
        ctx.hold_bytes(100).unwrap();
        assert_eq!(ctx.peak_bytes(), 101);
    }

    #[test]
    fn cancellation_and_deadline_end_a_query() {
        let ctx = QueryContext::unbounded();
        ctx.check().unwrap();
        ctx.cancel();
        assert_eq!(ctx.check().unwrap_err().kind(), ErrorKind::Cancelled);
        let late = QueryContext::new(Some(Instant::now()), 1);
        assert_eq!(late.check().unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(late.check_in("query queue").unwrap_err().to_string(), "query timed out in query queue");
    }

    #[test]
    fn windows_are_counted_by_step() {
        // Samples at 0, 10, … 90 s; the one at 50 s is a staleness marker.
        let ts: Vec<i64> = (0..10).map(|i| i * 10_000).collect();
        let mut values = vec![1.0; 10];
        values[5] = model::STALE_NAN;
        for (grid, range_ms, total, fresh) in [
            // (10, 40], (30, 60], (50, 80]
            (Grid::range(40_000, 80_000, 20_000), 30_000, [3, 2, 3], [3, 1, 2]),
            // Gaps between windows.
            (Grid::range(20_000, 80_000, 30_000), 10_000, [1, 0, 1], [1, 0, 1]),
        ] {
            let ctx = QueryContext::unbounded().with_window_counts();
            let windows = Windows::new(&ts, &grid, range_ms);
            ctx.count_windows(&values, &windows);
            let got = ctx.take_window_counts();
            assert_eq!((got.total, got.fresh), (total.to_vec(), fresh.to_vec()));
            assert_eq!(ctx.take_window_counts(), WindowCounts::default());
        }
    }
}
