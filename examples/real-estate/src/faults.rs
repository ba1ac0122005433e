//! The switch that makes errors rise, and the API's own share in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// On: the sites fail most of the time and so do many searches. Shared by all who ask.
#[derive(Clone, Debug)]
pub(crate) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(crate) fn new(on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(on)))
    }

    pub(crate) fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Share of searches that fail while the switch is on.
pub(crate) const SEARCH_FAILURES: f64 = 0.4;
