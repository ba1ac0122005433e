//! How many queries run at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use storage::QueryContext;

use crate::engine::Priority;
use crate::error::QueryError;

/// How long a waiting query may go without a look at whether it was cancelled.
const CANCEL_LATENCY: Duration = Duration::from_millis(50);

/// Admits queries up to a limit; rules may take a reserve beyond it, so that dashboards cannot hold up alerts.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
    freed: Condvar,
    limit: usize,
    reserve: usize,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
}

/// A query's turn; ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Gate);

impl Gate {
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { state: Mutex::default(), freed: Condvar::new(), limit, reserve: (limit / 4).max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The counts are right whatever happened to a thread that held the lock: nothing under it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queries that run or wait.
    pub(crate) fn inside(&self) -> usize {
        let state = self.lock();
        state.running + state.waiting
    }

    /// How many turns there are at most, the reserve included.
    pub(crate) fn turns(&self) -> usize {
        self.limit + self.reserve
    }

    /// Waits for a turn until the query is cancelled or its deadline passes.
    pub(crate) fn enter(&self, priority: Priority, ctx: &QueryContext) -> Result<Turn<'_>, QueryError> {
        let limit = match priority {
            Priority::Interactive => self.limit,
            Priority::Rule => self.turns(),
        };
        let mut state = self.lock();
        state.waiting += 1;
        while state.running >= limit {
            if let Err(refused) = ctx.check_in("query queue") {
                state.waiting -= 1;
                return Err(refused.into());
            }
            let left = ctx.deadline().map(|d| d.saturating_duration_since(Instant::now()));
            let wait = left.map_or(CANCEL_LATENCY, |left| left.min(CANCEL_LATENCY));
            state = self.freed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.waiting -= 1;
        state.running += 1;
        Ok(Turn(self))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        // All: a waiting interactive query may not be admissible where a waiting rule is.
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::QueryErrorKind;

    #[test]
    fn rules_have_a_reserve() {
        let gate = Gate::new(1);
        let patient = QueryContext::unbounded();
        let now = QueryContext::new(Some(Instant::now()), 1);
        let first = gate.enter(Priority::Interactive, &patient).unwrap();
        let refused = gate.enter(Priority::Interactive, &now).unwrap_err();
        assert_eq!(refused.kind, QueryErrorKind::Timeout);
        assert_eq!(refused.message, "query timed out in query queue");
        let rule = gate.enter(Priority::Rule, &now).unwrap();
        assert!(gate.enter(Priority::Rule, &now).is_err());
        assert_eq!(gate.inside(), 2);
        drop((first, rule));
        gate.enter(Priority::Interactive, &now).unwrap();
        assert_eq!(gate.inside(), 0);
    }

    #[test]
    fn who_waits_can_be_cancelled() {
        let gate = Gate::new(1);
        let ctx = QueryContext::unbounded();
        let _turn = gate.enter(Priority::Interactive, &ctx).unwrap();
        let waiting = QueryContext::unbounded();
        std::thread::scope(|scope| {
            let refused = scope.spawn(|| gate.enter(Priority::Interactive, &waiting).map(drop));
            waiting.cancel();
            let refused = refused.join().unwrap().unwrap_err();
            assert_eq!(refused.kind, QueryErrorKind::Canceled);
            assert_eq!(refused.message, "query was canceled in query queue");
        });
    }
}
