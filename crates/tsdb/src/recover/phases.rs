//! What each part of a start took, for the log.

use std::time::{Duration, Instant};

/// Parts that follow each other.
#[derive(Debug)]
pub(crate) struct Phases {
    began: Instant,
    last: Instant,
    ended: Vec<(&'static str, Duration)>,
}

impl Phases {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, ended: vec![] }
    }

    /// Ends the part that began with the end of the one before.
    pub(crate) fn end(&mut self, name: &'static str) {
        let now = Instant::now();
        self.ended.push((name, now - self.last));
        self.last = now;
    }

    /// One line at level debug: all, and each part by its name.
    pub(crate) fn log(&self) {
        tracing::debug!(took = ?self.last - self.began, parts = ?self.ended, "store opened");
    }
}
