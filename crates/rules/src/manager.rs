//! Runs groups: one task per group waits for its slots, evaluation happens on blocking threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::rules::RuleFile;
use config::{Config, Diagnostics};
use parking_lot::Mutex;
use promql::Engine;
use promql::parser::ParserOptions;
use storage::{LeafExecutor, PointAppender, SampleAppender};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::alert::AlertSink;
use crate::check::{Making, make_groups};
use crate::group::{Group, Surroundings};
use crate::query::{EngineQuerier, Querier};
use crate::status::{AlertStatus, GroupStatus, RuleDetail, Stats};

/// How a manager behaves; the defaults are those of upstream's flags.
#[derive(Debug, Clone)]
pub struct ManagerOptions {
    /// What stands before links in alerts, without a slash at its end.
    pub external_url: String,
    /// How long an alert is not sent again.
    pub resend_delay: Duration,
    /// How long an outage may be for the `for` state to be restored.
    pub for_outage_tolerance: Duration,
    /// The least time an alert stays pending after a restart; shorter `for`s are not restored.
    pub for_grace_period: Duration,
    /// How many groups are evaluated at once.
    pub max_concurrent_evals: usize,
    /// The language's options.
    pub parser: ParserOptions,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            external_url: String::new(),
            resend_delay: Duration::from_secs(60),
            for_outage_tolerance: Duration::from_secs(3600),
            for_grace_period: Duration::from_secs(600),
            max_concurrent_evals: 16,
            parser: ParserOptions::default(),
        }
    }
}

/// What all groups share.
struct Shared {
    querier: Arc<dyn Querier>,
    appender: Arc<dyn SampleAppender>,
    points: Arc<dyn PointAppender>,
    sink: Arc<dyn AlertSink>,
    options: ManagerOptions,
    turns: Semaphore,
}

struct Running {
    group: Arc<Group>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    groups: BTreeMap<(PathBuf, String), Running>,
    /// Whether groups were applied before: only the first ones have old state to look for.
    restored: bool,
    stopped: bool,
}

/// Owns the groups.
pub struct Manager {
    shared: Arc<Shared>,
    state: tokio::sync::Mutex<State>,
    /// The groups in force, for readers that must not wait.
    current: Mutex<Vec<Arc<Group>>>,
    ended: watch::Sender<bool>,
}

impl Manager {
    /// A manager without groups; [`Manager::apply`] gives it some.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        store: Arc<dyn LeafExecutor>,
        (appender, points): (Arc<dyn SampleAppender>, Arc<dyn PointAppender>),
        sink: Arc<dyn AlertSink>,
        options: ManagerOptions,
    ) -> Self {
        Self::with_querier(Arc::new(EngineQuerier::new(engine, store)), (appender, points), sink, options)
    }

    /// As [`Manager::new`], with any answerer of expressions.
    #[must_use]
    pub fn with_querier(
        querier: Arc<dyn Querier>,
        (appender, points): (Arc<dyn SampleAppender>, Arc<dyn PointAppender>),
        sink: Arc<dyn AlertSink>,
        options: ManagerOptions,
    ) -> Self {
        let turns = Semaphore::new(options.max_concurrent_evals.max(1));
        Self {
            shared: Arc::new(Shared { querier, appender, points, sink, options, turns }),
            state: tokio::sync::Mutex::default(),
            current: Mutex::default(),
            ended: watch::Sender::new(false),
        }
    }

    /// Puts the groups of these files in force. Unchanged groups go on; changed ones end their current evaluation and hand their state
    /// on; vanished ones have their series marked stale two intervals later.
    ///
    /// Not cancel-safe: run it to its end.
    ///
    /// # Errors
    /// When an expression or a template is wrong; then the groups before stay in force.
    pub async fn apply(&self, config: &Config, files: Vec<(PathBuf, RuleFile)>) -> Result<(), Diagnostics> {
        let mut state = self.state.lock().await;
        if state.stopped {
            return Ok(());
        }
        let options = &self.shared.options;
        let making = Making {
            config,
            external_url: options.external_url.trim_end_matches('/'),
            parser: &options.parser,
            restore: !state.restored,
        };
        let made = make_groups(&files, &making)?;
        let restore = making.restore;
        state.restored = true;
        let mut old = std::mem::take(&mut state.groups);
        for group in made {
            let key = (group.spec.file.clone(), group.spec.name.clone());
            let before = old.remove(&key);
            if let Some(running) = before {
                if running.group.same_as(&group) {
                    state.groups.insert(key, running);
                    continue;
                }
                let from = stop(running).await;
                group.copy_state(&from);
            }
            state.groups.insert(key, self.start(Arc::new(group), restore));
        }
        for running in old.into_values() {
            let interval_ms = running.group.spec.interval_ms;
            let group = stop(running).await;
            let (shared, mut ended) = (self.shared.clone(), self.ended.subscribe());
            let at = now_ns() / 1_000_000;
            Handle::current().spawn(async move {
                // A renamed rule may write the same series: it gets two intervals to do so.
                let wait = Duration::from_millis(u64::try_from(2 * interval_ms).unwrap_or(0));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {
                        let done = tokio::task::spawn_blocking(move || group.mark_all_stale(at, &*shared.appender)).await;
                        drop(done);
                    }
                    () = async { drop(ended.wait_for(|e| *e).await) } => {}
                }
            });
        }
        *self.current.lock() = state.groups.values().map(|r| r.group.clone()).collect();
        Ok(())
    }

    fn start(&self, group: Arc<Group>, restore: bool) -> Running {
        let (stop, stopped) = watch::channel(false);
        let task = Handle::current().spawn(run(self.shared.clone(), group.clone(), stopped, restore));
        Running { group, stop, task }
    }

    /// The groups in force, sorted by file and name.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupStatus> {
        let current = self.current.lock().clone();
        current.iter().map(|g| g.status()).collect()
    }

    /// All pending and firing alerts, in the order of the groups.
    #[must_use]
    pub fn alerts(&self) -> Vec<AlertStatus> {
        let rules = self.groups().into_iter().flat_map(|g| g.rules);
        rules
            .flat_map(|r| match r.detail {
                RuleDetail::Alerting { alerts, .. } => alerts,
                RuleDetail::Recording => Vec::new(),
            })
            .collect()
    }

    /// Counters and gauges of all groups.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { groups: self.current.lock().iter().map(|g| g.stats()).collect() }
    }

    /// Ends all groups after their current rule. No later [`Manager::apply`] has an effect.
    pub async fn stop(&self) {
        let mut state = self.state.lock().await;
        state.stopped = true;
        let groups = std::mem::take(&mut state.groups);
        for running in groups.values() {
            running.stop.send_replace(true);
        }
        for running in groups.into_values() {
            stop(running).await;
        }
        self.ended.send_replace(true);
    }
}

async fn stop(running: Running) -> Arc<Group> {
    running.stop.send_replace(true);
    if let Err(err) = running.task.await {
        tracing::error!(group = running.group.spec.name, %err, "rule group ended badly");
    }
    running.group
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|d| i64::try_from(d.as_nanos()).ok())
        .unwrap_or(0)
}

/// Evaluates a group at each of its slots until it is stopped. After the second evaluation following a start, old state is restored.
async fn run(shared: Arc<Shared>, group: Arc<Group>, mut stopped: watch::Receiver<bool>, restore: bool) {
    let interval_ns = group.spec.interval_ms * 1_000_000;
    let mut slot = group.slot_before(now_ns()) + interval_ns;
    let mut evaluations = 0_u64;
    loop {
        let wait = Duration::from_nanos(u64::try_from(slot - now_ns()).unwrap_or(0));
        tokio::select! {
            biased;
            () = async { drop(stopped.wait_for(|s| *s).await) } => return,
            () = tokio::time::sleep(wait) => {}
        }
        if evaluations > 0 {
            // Slots that passed while the last evaluation ran are left out.
            let missed = ((now_ns() - (slot - interval_ns)) / interval_ns - 1).max(0);
            if missed > 0 {
                group.note_missed(missed.unsigned_abs());
                slot += missed * interval_ns;
            }
        }
        let Ok(turn) = shared.turns.acquire().await else { return };
        let (work, flag) = ((shared.clone(), group.clone()), stopped.clone());
        let restore_now = restore && evaluations == 1;
        let done = tokio::task::spawn_blocking(move || {
            let (shared, group) = work;
            let around = Surroundings {
                querier: &*shared.querier,
                appender: &*shared.appender,
                points: &*shared.points,
                sink: &*shared.sink,
                resend_delay_ms: millis(shared.options.resend_delay),
            };
            group.eval(slot / 1_000_000, &around, &|| *flag.borrow());
            if restore_now {
                let options = &shared.options;
                let (tolerance, grace) =
                    (millis(options.for_outage_tolerance), millis(options.for_grace_period));
                group.restore(&*shared.querier, now_ns() / 1_000_000, tolerance, grace);
            }
        });
        if let Err(err) = done.await {
            tracing::error!(group = group.spec.name, %err, "evaluating a rule group failed");
        }
        drop(turn);
        evaluations += 1;
        slot += interval_ns;
    }
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}
