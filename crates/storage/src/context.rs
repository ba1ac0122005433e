//! What bounds a query while it runs: cancellation, a deadline, a budget of samples.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::{Error, ErrorKind};

/// Shared by all threads that work on one query.
#[derive(Debug)]
pub struct QueryContext {
    cancelled: AtomicBool,
    deadline: Option<Instant>,
    max_samples: u64,
    live: AtomicU64,
    peak: AtomicU64,
    read: AtomicU64,
}

impl QueryContext {
    /// A context that ends at `deadline`, if given, and holds at most `max_samples` samples in memory at once.
    #[must_use]
    pub fn new(deadline: Option<Instant>, max_samples: u64) -> Self {
        Self {
            cancelled: AtomicBool::new(false),
            deadline,
            max_samples,
            live: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    /// A context without bounds, for tools and tests.
    #[must_use]
    pub fn unbounded() -> Self {
        Self::new(None, u64::MAX)
    }

    /// Makes every later [`QueryContext::check`] fail.
    pub fn cancel(&self) {
        // Relaxed: the flag carries no data; a check that misses it sees it at the next one.
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// To be called at least once per series.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] or [`ErrorKind::TimedOut`].
    pub fn check(&self) -> Result<(), Error> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Cancelled, "query was canceled in expression evaluation"));
        }
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(Error::new(ErrorKind::TimedOut, "query timed out in expression evaluation"));
        }
        Ok(())
    }

    /// Counts samples that stay in memory.
    ///
    /// # Errors
    /// [`ErrorKind::TooManySamples`] when the budget is spent.
    pub fn hold(&self, samples: usize) -> Result<(), Error> {
        let n = samples as u64;
        let live = self.live.fetch_add(n, Ordering::Relaxed).saturating_add(n);
        self.peak.fetch_max(live, Ordering::Relaxed);
        if live > self.max_samples {
            return Err(Error::new(
                ErrorKind::TooManySamples,
                "query processing would load too many samples into memory in query execution",
            ));
        }
        Ok(())
    }

    /// Gives back what [`QueryContext::hold`] counted.
    pub fn release(&self, samples: usize) {
        self.live.fetch_sub(samples as u64, Ordering::Relaxed);
    }

    /// Counts samples read from the store, for statistics.
    pub fn count_read(&self, samples: usize) {
        self.read.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// Samples read so far.
    #[must_use]
    pub fn samples_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The most samples that were in memory at once.
    #[must_use]
    pub fn peak_samples(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_counts_what_is_live() {
        let ctx = QueryContext::new(None, 10);
        ctx.hold(8).unwrap();
        ctx.release(8);
        ctx.hold(10).unwrap();
        assert_eq!(ctx.hold(1).unwrap_err().kind(), ErrorKind::TooManySamples);
        assert_eq!(ctx.peak_samples(), 11);
    }

    #[test]
    fn cancellation_and_deadline_end_a_query() {
        let ctx = QueryContext::unbounded();
        ctx.check().unwrap();
        ctx.cancel();
        assert_eq!(ctx.check().unwrap_err().kind(), ErrorKind::Cancelled);
        let late = QueryContext::new(Some(Instant::now()), 1);
        assert_eq!(late.check().unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
