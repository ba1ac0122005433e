//! The targets of one scrape config and their loops.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use config::ScrapeConfig;
use model::LabelSet;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::ingest::{Ingest, SampleSettings, Sinks};
use crate::metadata::Families;
use crate::shards::Shards;
use crate::stats::add;
use crate::target::{DroppedTarget, Target, TargetGroup, build};
use crate::task::{Fetch, Order, run};

/// What readers see of a pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) active: Vec<(Arc<Target>, Arc<Mutex<Families>>)>,
    pub(crate) dropped: Vec<DroppedTarget>,
    pub(crate) dropped_count: usize,
}

/// A pool. Changed by one task at a time.
pub(crate) struct Pool {
    sinks: Sinks,
    config: Arc<ScrapeConfig>,
    settings: Arc<SampleSettings>,
    fetch: Arc<Fetch>,
    seed: u64,
    shards: Arc<Shards>,
    groups: BTreeMap<String, TargetGroup>,
    active: HashMap<LabelSet, Loop>,
    /// Loops of targets that are gone and may come back.
    retiring: HashMap<LabelSet, Loop>,
    dropped: Vec<LabelSet>,
    dropped_count: usize,
}

struct Loop {
    target: Arc<Target>,
    families: Arc<Mutex<Families>>,
    orders: watch::Sender<Order>,
    task: JoinHandle<Ingest>,
}

impl Loop {
    /// Ends the loop and takes its state; `None` where it panicked.
    async fn hand_over(self) -> Option<Ingest> {
        self.orders.send_replace(Order::HandOver);
        self.task.await.inspect_err(|e| tracing::error!(error = %e, "a scrape loop ended")).ok()
    }
}

impl Pool {
    pub(crate) fn new(
        sinks: Sinks,
        config: ScrapeConfig,
        fetch: Fetch,
        seed: u64,
        shards: Arc<Shards>,
    ) -> Self {
        let settings = Arc::new(SampleSettings::new(&config));
        Self {
            sinks,
            config: Arc::new(config),
            settings,
            fetch: Arc::new(fetch),
            seed,
            shards,
            groups: BTreeMap::new(),
            active: HashMap::new(),
            retiring: HashMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
        }
    }

    pub(crate) fn config(&self) -> &ScrapeConfig {
        &self.config
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Takes a new scrape config: all loops start anew and keep their series.
    pub(crate) async fn reload(
        &mut self,
        config: ScrapeConfig,
        fetch: Fetch,
        seed: u64,
        groups: Vec<TargetGroup>,
    ) {
        // Discoveries of the old scrape config have nothing to say any more.
        self.groups = groups.into_iter().map(|g| (g.source.clone(), g)).collect();
        self.settings = Arc::new(SampleSettings::new(&config));
        self.config = Arc::new(config);
        self.fetch = Arc::new(fetch);
        self.seed = seed;
        let mut states = HashMap::new();
        let running: Vec<_> = self.active.drain().chain(self.retiring.drain()).map(|(_, l)| l).collect();
        for running in running {
            let target = Arc::clone(&running.target);
            if let Some(ingest) = running.hand_over().await {
                states.insert(target.key(), State { ingest, target });
            }
        }
        self.sync_with(states).await;
    }

    /// Takes groups: instead of all others, or instead of those with the same sources.
    pub(crate) async fn update(&mut self, groups: Vec<TargetGroup>, others: Others) {
        if others == Others::Forget {
            self.groups.clear();
        }
        self.groups.extend(groups.into_iter().map(|g| (g.source.clone(), g)));
        self.sync_with(HashMap::new()).await;
    }

    /// Starts loops of new targets, with the state of earlier ones where there is some, and retires those of vanished ones.
    async fn sync_with(&mut self, mut states: HashMap<LabelSet, State>) {
        add(&self.sinks.stats.pool_syncs, 1);
        self.retiring.retain(|_, l| !l.task.is_finished());
        let built = build(&self.config, self.groups.values());
        for error in &built.errors {
            tracing::error!(scrape_pool = %self.config.job_name, %error, "creating target failed");
        }
        let limit = self.config.target_limit;
        let forced = (limit > 0 && built.targets.len() as u64 > limit).then(|| {
            add(&self.sinks.stats.exceeded_target_limit, 1);
            format!("target_limit exceeded (number of targets: {}, limit: {limit})", built.targets.len())
        });
        *self.fetch.forced_error.lock() = forced;
        let gone: Vec<_> = self.active.keys().filter(|k| !built.targets.contains_key(*k)).cloned().collect();
        for key in gone {
            if let Some(vanished) = self.active.remove(&key) {
                self.retire(vanished);
            }
        }
        for (all, target) in built.targets {
            if self.active.contains_key(&all) {
                continue;
            }
            let key = target.key();
            let earlier = match states.remove(&key) {
                Some(state) => Some(state.ingest),
                None => match self.retiring.remove(&key) {
                    Some(retiring) => retiring.hand_over().await,
                    None => None,
                },
            };
            let started = self.start(target, key, earlier);
            self.active.insert(all, started);
        }
        // States that no target wants retire under a loop that never scrapes.
        for (key, State { ingest, target }) in states {
            let started = self.start(target, key, Some(ingest));
            self.retire(started);
        }
        self.dropped = built.dropped;
        self.dropped_count = built.dropped_count;
    }

    fn start(&self, target: Arc<Target>, key: LabelSet, earlier: Option<Ingest>) -> Loop {
        let settings = Arc::clone(&self.settings);
        let key_hash = key.upstream_hash();
        let ingest = match earlier {
            Some(mut ingest) => {
                ingest.reconfigure(settings, target.labels.clone(), target.timeout);
                ingest
            }
            None => Ingest::new(self.sinks.clone(), settings, key, target.labels.clone(), target.timeout),
        };
        let families = ingest.families();
        let (orders, receiver) = watch::channel(Order::Run);
        // By the group's key, so that a target keeps its thread when its settings change.
        let shard = usize::try_from(key_hash % self.shards.len() as u64).unwrap_or(0);
        let running = run(Arc::clone(&target), Arc::clone(&self.fetch), shard, ingest, self.seed, receiver);
        let task = self.shards.handle(shard).spawn(running);
        Loop { target, families, orders, task }
    }

    fn retire(&mut self, vanished: Loop) {
        vanished.orders.send_replace(Order::Retire);
        self.retiring.insert(vanished.target.key(), vanished);
    }

    /// Ends all loops; with markers for their series where the job is gone, without where the process stops.
    pub(crate) async fn stop(mut self) {
        let loops: Vec<_> = self.active.drain().chain(self.retiring.drain()).map(|(_, l)| l).collect();
        for running in &loops {
            running.orders.send_replace(Order::Shutdown);
        }
        for running in loops {
            if let Err(error) = running.task.await {
                tracing::error!(%error, "a scrape loop ended");
            }
        }
    }

    /// Retires all targets: the job is gone from the configuration.
    pub(crate) async fn remove_all(&mut self) {
        self.update(Vec::new(), Others::Forget).await;
    }

    /// Whether no loop is left, not even a retiring one.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.retiring.retain(|_, l| !l.task.is_finished());
        self.active.is_empty() && self.retiring.is_empty()
    }

    pub(crate) fn view(&self) -> View {
        let mut active: Vec<_> =
            self.active.values().map(|l| (Arc::clone(&l.target), Arc::clone(&l.families))).collect();
        active.sort_by(|a, b| a.0.all.cmp(&b.0.all));
        let pool = &self.config.job_name;
        let dropped = self.dropped.iter().cloned();
        let dropped =
            dropped.map(|discovered_labels| DroppedTarget { discovered_labels, scrape_pool: pool.clone() });
        View { active, dropped: dropped.collect(), dropped_count: self.dropped_count }
    }
}

/// A loop's state after its end.
struct State {
    ingest: Ingest,
    target: Arc<Target>,
}

/// What becomes of groups that are not named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Keep,
    Forget,
}
