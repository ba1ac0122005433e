//! How many requests may hold a thread that blocks. What waits, waits without one, so that rules and ingestion always find theirs.

use std::sync::Arc;
use std::time::Instant;

use storage::QueryContext;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::envelope::{ApiError, ErrorType};

/// Requests for label names, series and the like that are worked on at once; more wait.
const METADATA_TURNS: usize = 64;

/// Turns of requests.
#[derive(Debug)]
pub struct Turns {
    queries: Arc<Semaphore>,
    metadata: Arc<Semaphore>,
}

impl Turns {
    /// As many turns for queries as the engine lets dashboards run at once.
    #[must_use]
    pub fn new(max_concurrency: usize) -> Self {
        Self {
            queries: Arc::new(Semaphore::new(max_concurrency.clamp(1, Semaphore::MAX_PERMITS))),
            metadata: Arc::new(Semaphore::new(METADATA_TURNS)),
        }
    }

    /// A query's turn.
    pub(super) async fn query(&self, ctx: &QueryContext) -> Result<OwnedSemaphorePermit, ApiError> {
        wait(&self.queries, ctx, "query timed out in query queue").await
    }

    /// The turn of any other request that reads the store.
    pub(super) async fn metadata(&self, ctx: &QueryContext) -> Result<OwnedSemaphorePermit, ApiError> {
        wait(&self.metadata, ctx, "the request timed out waiting for its turn").await
    }
}

async fn wait(
    turns: &Arc<Semaphore>,
    ctx: &QueryContext,
    late: &str,
) -> Result<OwnedSemaphorePermit, ApiError> {
    let turn = Arc::clone(turns).acquire_owned();
    let deadline = ctx.deadline().unwrap_or_else(|| Instant::now() + std::time::Duration::from_secs(3600));
    match tokio::time::timeout_at(deadline.into(), turn).await {
        Ok(turn) => Ok(turn.expect("these semaphores are never closed")),
        Err(_) => Err(ApiError::new(ErrorType::Timeout, late)),
    }
}

/// Cancels the work when the client goes away, which drops the handler.
pub(super) struct CancelOnDrop(pub(super) Arc<QueryContext>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
