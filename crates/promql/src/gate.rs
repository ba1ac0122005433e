//! How many queries run at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::engine::Priority;
use crate::error::{QueryError, QueryErrorKind};

/// Admits queries up to a limit; rules may take a reserve beyond it, so that dashboards cannot hold up alerts.
#[derive(Debug)]
pub(crate) struct Gate {
    running: Mutex<usize>,
    freed: Condvar,
    limit: usize,
    reserve: usize,
}

/// A query's turn; ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { running: Mutex::new(0), freed: Condvar::new(), limit, reserve: (limit / 4).max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        // The count is right whatever happened to a thread that held the lock: nothing under it panics.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn until `deadline`.
    pub(crate) fn enter(
        &self,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<Turn<'_>, QueryError> {
        let limit = match priority {
            Priority::Interactive => self.limit,
            Priority::Rule => self.limit + self.reserve,
        };
        let mut running = self.lock();
        while *running >= limit {
            running = match deadline {
                None => self.freed.wait(running).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())
                    else {
                        return Err(QueryError::new(
                            QueryErrorKind::Timeout,
                            "query timed out in query queue",
                        ));
                    };
                    self.freed.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *running += 1;
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        // All: a waiting interactive query may not be admissible where a waiting rule is.
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_a_reserve() {
        let gate = Gate::new(1);
        let now = Some(Instant::now());
        let first = gate.enter(Priority::Interactive, None).unwrap();
        let refused = gate.enter(Priority::Interactive, now).unwrap_err();
        assert_eq!(refused.kind, QueryErrorKind::Timeout);
        let rule = gate.enter(Priority::Rule, now).unwrap();
        assert!(gate.enter(Priority::Rule, now).is_err());
        drop((first, rule));
        gate.enter(Priority::Interactive, now).unwrap();
    }
}
