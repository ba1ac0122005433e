//! What scraping counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters since start, written by all loops.
        #[derive(Debug, Default)]
        pub struct Stats { $($(#[$doc])* pub(crate) $name: AtomicU64,)* }

        /// The counters at one moment.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct StatsSnapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Stats {
            /// Reads all counters.
            #[must_use]
            pub fn snapshot(&self) -> StatsSnapshot {
                // Relaxed: the counters carry no other data and need not agree with each other.
                StatsSnapshot { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

stats! {
    /// Scrapes, failed ones included.
    scrapes,
    /// Failed scrapes.
    failed_scrapes,
    /// Samples given to the store, staleness markers and report series included.
    samples_appended,
    /// Samples that the quick way placed, without parsing their series.
    samples_fast,
    /// Samples whose series had to be parsed.
    samples_slow,
    /// `prometheus_target_scrapes_sample_out_of_order_total`
    sample_out_of_order,
    /// `prometheus_target_scrapes_sample_duplicate_timestamp_total`
    sample_duplicate_timestamp,
    /// `prometheus_target_scrapes_sample_out_of_bounds_total`
    sample_out_of_bounds,
    /// `prometheus_target_scrapes_exceeded_sample_limit_total`
    exceeded_sample_limit,
    /// `prometheus_target_scrapes_exceeded_body_size_limit_total`
    exceeded_body_size_limit,
    /// `prometheus_target_scrape_pool_exceeded_label_limits_total`
    exceeded_label_limits,
    /// `prometheus_target_scrape_pool_exceeded_target_limit_total`
    exceeded_target_limit,
    /// `prometheus_target_scrape_pool_sync_total`
    pool_syncs,
    /// `prometheus_target_scrape_pool_reloads_total`
    pool_reloads,
    /// `prometheus_target_scrape_pool_reloads_failed_total`
    pool_reloads_failed,
    /// Groups closed and opened again because most of their slots were dead.
    groups_reopened,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
