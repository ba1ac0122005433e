//! What the store needs done while it serves: sealing, flushes and log cuts, and beside them merges of blocks and retention.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use web::server::Shutdown;

use super::Clock;

/// Maintenance is done at least this often.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(30);
/// How often it is asked whether so much came in that it is due before.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// As upstream looks for blocks to merge.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(60);

/// Keeps up a store until the shutdown. `sync_interval_ms` is the store's own; 0, where each write syncs.
pub(crate) fn spawn(store: Arc<tsdb::Store>, sync_interval_ms: i64, clock: Clock, shutdown: &Shutdown) {
    // A little less than the time after which a write would do it.
    let interval = Duration::from_millis(u64::try_from(sync_interval_ms).unwrap_or(0)) * 9 / 10;
    if !interval.is_zero() {
        tokio::spawn(keep_synced(Arc::clone(&store), interval, shutdown.clone()));
    }
    tokio::spawn(maintain(Arc::clone(&store), Arc::clone(&clock), shutdown.clone()));
    tokio::spawn(compact(store, clock, shutdown.clone()));
}

async fn maintain(store: Arc<tsdb::Store>, clock: Clock, shutdown: Shutdown) {
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    let mut last = Instant::now();
    loop {
        tokio::select! {
            _ = polls.tick() => {}
            () = shutdown.wait() => return,
        }
        if last.elapsed() < MAINTENANCE_INTERVAL && !store.maintenance_due() {
            continue;
        }
        last = Instant::now();
        let (store, now_ms) = (Arc::clone(&store), clock());
        match tokio::task::spawn_blocking(move || store.maintain(now_ms)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => {
                tracing::error!(err = %e, "Maintenance of the store failed; it will be tried again");
            }
            Err(e) => tracing::error!(err = %e, "Maintenance of the store ended abnormally"),
        }
    }
}

async fn compact(store: Arc<tsdb::Store>, clock: Clock, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(COMPACTION_INTERVAL);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.wait() => return,
        }
        let (store, now_ms) = (Arc::clone(&store), clock());
        match tokio::task::spawn_blocking(move || store.compact(now_ms)).await {
            Ok(Ok(_)) => {}
            Ok(Err(e)) => tracing::error!(err = %e, "Compaction of the store failed; it will be tried again"),
            Err(e) => tracing::error!(err = %e, "Compaction of the store ended abnormally"),
        }
    }
}

/// Syncs the log before a writer finds that it is due: the writers are the scraping threads, and each has other targets to serve.
async fn keep_synced(store: Arc<tsdb::Store>, interval: Duration, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.wait() => return,
        }
        let store = Arc::clone(&store);
        match tokio::task::spawn_blocking(move || store.sync()).await {
            Ok(Ok(())) => {}
            // What the power could take is made good by the checkpoint that is due now.
            Ok(Err(e)) => tracing::error!(err = %e, "fsync of the log failed"),
            Err(e) => tracing::error!(err = %e, "fsync of the log ended abnormally"),
        }
    }
}
