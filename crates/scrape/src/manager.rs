//! All pools, and what the API asks about them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use config::{Config, ScrapeConfig};
use httpclient::{Client, ClientOptions};
use model::LabelSet;
use parking_lot::RwLock;
use storage::{RowAppender, SampleAppender};
use tokio::sync::Mutex;

use crate::ingest::Sinks;
use crate::local::{LocalAddresses, LocalPages};
use crate::metadata::MetricMetadata;
use crate::pool::{Others, Pool, View};
use crate::shards::Shards;
use crate::stats::{StatsSnapshot, add};
use crate::target::{DroppedTarget, TargetGroup, TargetStatus};
use crate::task::Fetch;

/// What scraping needs beyond the configuration.
#[derive(Debug, Clone)]
pub struct ManagerOptions {
    /// `User-Agent` of scrapes.
    pub user_agent: String,
    /// This server's name; with the external labels it decides where in the interval a target is scraped, so that two
    /// servers do not scrape it at the same moment.
    pub hostname: String,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self { user_agent: "Prometheus/3.14.0".to_owned(), hostname: String::new() }
    }
}

/// Runs the scrape pools. Calls that change them queue; readers never wait for them.
pub struct Manager {
    sinks: Sinks,
    options: ManagerOptions,
    pools: Mutex<Pools>,
    views: RwLock<BTreeMap<String, View>>,
    shards: Arc<Shards>,
    local: LocalAddresses,
}

#[derive(Default)]
struct Pools {
    running: BTreeMap<String, Pool>,
    /// Pools of removed jobs whose targets still retire.
    leaving: HashMap<String, Pool>,
    stopped: bool,
}

impl Manager {
    /// A manager without pools; starts its threads. Must be used within a tokio runtime.
    #[must_use]
    pub fn new(
        rows: Arc<dyn RowAppender>,
        samples: Arc<dyn SampleAppender>,
        options: ManagerOptions,
    ) -> Self {
        let sinks = Sinks { rows, samples, stats: Arc::default(), metadata: Arc::default() };
        let shards = Arc::new(Shards::start());
        let local = LocalAddresses::default();
        Self { sinks, options, pools: Mutex::default(), views: RwLock::default(), shards, local }
    }

    /// Has targets with these addresses (`HOST:PORT`, as a configuration writes them) answered by `pages`, without a socket.
    pub fn add_local(&self, addresses: impl IntoIterator<Item = String>, pages: &Arc<dyn LocalPages>) {
        self.local.add(addresses, pages);
    }

    /// Brings the pools in line with a configuration: pools whose scrape config is unchanged go on undisturbed, changed ones
    /// restart their loops and keep their series, removed ones retire their targets.
    ///
    /// # Errors
    /// One text per scrape config that cannot be used (such as a broken certificate); the others are in force, and a pool that
    /// ran before goes on with its old scrape config.
    pub async fn apply(&self, config: &Config) -> Result<(), Vec<String>> {
        let seed = self.seed(&config.global.external_labels);
        let mut errors = Vec::new();
        let mut pools = self.pools.lock().await;
        if pools.stopped {
            return Ok(());
        }
        let wanted: BTreeMap<&str, &ScrapeConfig> = config
            .scrape_configs
            .iter()
            .chain(config.imported_scrape_configs.iter())
            .map(|c| (c.job_name.as_str(), c))
            .collect();
        pools.leaving.retain(|_, pool| !pool.is_idle());
        let removed: Vec<_> =
            pools.running.keys().filter(|j| !wanted.contains_key(j.as_str())).cloned().collect();
        for job in removed {
            if let Some(mut pool) = pools.running.remove(&job) {
                pool.remove_all().await;
                pools.leaving.insert(job, pool);
            }
        }
        for (job, config) in wanted {
            let returning = pools.leaving.remove(job);
            let known = pools.running.remove(job).or(returning);
            match self.pool(known, config, seed).await {
                Ok(pool) => {
                    pools.running.insert(job.to_owned(), pool);
                }
                Err((known, error)) => {
                    add(&self.sinks.stats.pool_reloads_failed, 1);
                    errors.push(format!("error creating scrape pool for {job:?}: {error}"));
                    if let Some(pool) = known {
                        pools.running.insert(job.to_owned(), *pool);
                    }
                }
            }
        }
        self.publish(&pools);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The pool for a scrape config, new or the known one changed; the known one as it was where that fails.
    async fn pool(
        &self,
        known: Option<Pool>,
        config: &ScrapeConfig,
        seed: u64,
    ) -> Result<Pool, (Option<Box<Pool>>, httpclient::Error)> {
        let mut pool = match known {
            Some(pool) if pool.config() == config && pool.seed() == seed => pool,
            known => {
                let options = ClientOptions { user_agent: self.options.user_agent.clone() };
                let client = match Client::new(&config.http, options) {
                    Ok(client) => client,
                    Err(e) => return Err((known.map(Box::new), e)),
                };
                let fetch = Fetch::new(config, &client, self.shards.len(), self.local.clone());
                match known {
                    Some(mut pool) => {
                        add(&self.sinks.stats.pool_reloads, 1);
                        pool.reload(config.clone(), fetch, seed, TargetGroup::from_static(&config.discovery))
                            .await;
                        return Ok(pool);
                    }
                    None => {
                        let shards = Arc::clone(&self.shards);
                        Pool::new(self.sinks.clone(), config.clone(), fetch, seed, shards)
                    }
                }
            }
        };
        pool.update(TargetGroup::from_static(&config.discovery), Others::Keep).await;
        Ok(pool)
    }

    /// Takes target groups that a discovery found for a job; groups with the same source are replaced, others stay. Sources
    /// that are plain numbers belong to `static_configs`.
    pub async fn update_groups(&self, job: &str, groups: Vec<TargetGroup>) {
        let mut pools = self.pools.lock().await;
        if let Some(pool) = pools.running.get_mut(job) {
            pool.update(groups, Others::Keep).await;
            self.publish(&pools);
        }
    }

    /// Ends all loops, without staleness markers: after a restart the series go on. What is being stored is stored.
    pub async fn stop(&self) {
        let mut pools = self.pools.lock().await;
        pools.stopped = true;
        let running = std::mem::take(&mut pools.running).into_values();
        let leaving = std::mem::take(&mut pools.leaving).into_values();
        for pool in running.chain(leaving) {
            pool.stop().await;
        }
        self.views.write().clear();
    }

    fn publish(&self, pools: &Pools) {
        *self.views.write() = pools.running.iter().map(|(job, pool)| (job.clone(), pool.view())).collect();
    }

    fn seed(&self, external_labels: &LabelSet) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in format!("{}{external_labels}", self.options.hostname).bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash
    }

    /// The active targets, by pool.
    #[must_use]
    pub fn active_targets(&self) -> Vec<TargetStatus> {
        self.views.read().values().flat_map(|v| v.active.iter().map(|(t, _)| t.status())).collect()
    }

    /// The targets that relabelling dropped, as many as `keep_dropped_targets` says, by pool.
    #[must_use]
    pub fn dropped_targets(&self) -> Vec<DroppedTarget> {
        self.views.read().values().flat_map(|v| v.dropped.iter().cloned()).collect()
    }

    /// How many targets relabelling dropped, by pool.
    #[must_use]
    pub fn dropped_target_counts(&self) -> BTreeMap<String, usize> {
        self.views.read().iter().map(|(job, v)| (job.clone(), v.dropped_count)).collect()
    }

    /// What the active targets say of their metric families.
    #[must_use]
    pub fn target_metadata(&self) -> Vec<MetricMetadata> {
        let mut out = Vec::new();
        for (target, families) in self.views.read().values().flat_map(|v| &v.active) {
            out.extend(families.lock().iter().map(|(metric, metadata)| MetricMetadata {
                target: target.labels.clone(),
                metric: metric.to_owned(),
                metadata: metadata.clone(),
            }));
        }
        out
    }

    /// The names of the pools, sorted.
    #[must_use]
    pub fn scrape_pools(&self) -> Vec<String> {
        self.views.read().keys().cloned().collect()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> StatsSnapshot {
        self.sinks.stats.snapshot()
    }
}
