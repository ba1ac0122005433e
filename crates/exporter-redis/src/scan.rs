//! Whatever needs a walk over all keys (`check-keys`, `count-keys`, `check-streams` with patterns, `check-key-groups`), done beside the
//! scrapes.
//!
//! A scan has a connection and a task of its own. A scrape starts one where none runs, waits for it a little (`Budget::wait`), and
//! shows the last one that was completed, with its age. So a small server answers with what is so now, as the original does, and a large
//! one never makes a scrape late: after a scan that took longer than that, scrapes wait no more, and the next scan begins only after as
//! long a rest. What it costs the server is bounded too: a step asks for so many keys that it takes about `Budget::step`, and a scan that
//! nobody waits for rests between its steps, so that it keeps the server busy for `Budget::load` of the time at most.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster;
use crate::connect::{Connection, Fault};
use crate::groups::{self, Groups};
use crate::keys::{self, KeySpec, Keys};
use crate::resp::Value;
use crate::server::Server;
use crate::streams::{self, Consumers, Streams};

/// Fewest keys per step, however slow the server is.
const LEAST_COUNT: u64 = 10;

/// What scans may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Most keys a step asks for: the COUNT of a SCAN.
    pub(crate) batch: u64,
    /// What a step should take at most.
    pub(crate) step: Duration,
    /// Share of the time in which a long scan keeps the server busy, above 0 up to 1.
    pub(crate) load: f64,
    /// All of a scan; what is not done then is given up.
    pub(crate) total: Duration,
    /// Keys found that are kept and asked about; more are only counted.
    pub(crate) keys: usize,
    /// How long a scrape waits for a scan.
    pub(crate) wait: Duration,
}

/// What to look for.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Patterns of keys to tell about.
    pub(crate) keys: Vec<KeySpec>,
    /// Patterns of keys to count.
    pub(crate) counts: Vec<KeySpec>,
    /// Patterns of streams to tell about.
    pub(crate) streams: Vec<KeySpec>,
    /// Lua patterns to group all keys by.
    pub(crate) groups: Vec<String>,
    /// Whether consumers of streams are told.
    pub(crate) consumers: Consumers,
    /// Whether the server is one of a cluster, all of which is scanned then.
    pub(crate) cluster: bool,
    /// What it may take.
    pub(crate) budget: Budget,
}

impl Plan {
    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.has_no_keys() && self.groups.is_empty()
    }

    fn has_no_keys(&self) -> bool {
        self.keys.is_empty() && self.counts.is_empty() && self.streams.is_empty()
    }
}

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Keys that match.
    pub(crate) keys: Keys,
    /// How many match.
    pub(crate) counts: BTreeMap<KeySpec, u64>,
    /// Streams that match.
    pub(crate) streams: Streams,
    /// Groups by database.
    pub(crate) groups: BTreeMap<u32, Groups>,
    /// How long the groups took.
    pub(crate) groups_took: Duration,
    /// How long all of it took.
    pub(crate) took: Duration,
    /// Whether there were more keys than are kept.
    pub(crate) is_cut: bool,
}

/// What one scan is to do.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Whether single keys are told of, or only groups.
    pub(crate) keys: bool,
    /// Databases that have keys.
    pub(crate) databases: Vec<u32>,
}

/// The last scan as a scrape sees it.
#[derive(Debug, Clone)]
pub(crate) struct Latest {
    /// What it found; `None` before the first is complete.
    pub(crate) found: Option<Arc<Found>>,
    /// Time since it was complete.
    pub(crate) age: Duration,
    /// Scans that ended well.
    pub(crate) completed: u64,
    /// Scans that failed or were given up.
    pub(crate) failed: u64,
}

/// Scans one server by one plan, one scan at a time.
#[derive(Debug)]
pub(crate) struct Scanner {
    plan: Plan,
    state: Mutex<State>,
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// When the scan that runs began.
    running: Option<Instant>,
    found: Option<(Arc<Found>, Instant)>,
    last_took: Duration,
    last_end: Option<Instant>,
    completed: u64,
    failed: u64,
}

impl Scanner {
    /// One that has not scanned yet.
    pub(crate) fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self { plan, state: Mutex::default(), ended: watch::Sender::new(0) })
    }

    /// Starts a scan unless one runs or the server needs rest, waits a little for its end, and gives the last complete one. Cancel safe.
    pub(crate) async fn latest(
        self: &Arc<Self>,
        server: &Server,
        order: Order,
        deadline: Option<Instant>,
    ) -> Latest {
        let mut ended = self.ended.subscribe();
        ended.mark_unchanged();
        if self.begin(server, order) {
            let now = Instant::now();
            // Half of the time there is, so that the rest of the scrape has some too.
            let left = deadline.map(|d| d.saturating_duration_since(now) / 2);
            let until = now + left.map_or(self.plan.budget.wait, |left| left.min(self.plan.budget.wait));
            // Neither running out of time nor a scanner that is gone is a fault: the last result is shown.
            let _ = tokio::time::timeout_at(until, ended.changed()).await;
        }
        let state = self.state.lock();
        let age = state.found.as_ref().map_or(Duration::ZERO, |(_, at)| at.elapsed());
        let found = state.found.as_ref().map(|(found, _)| Arc::clone(found));
        Latest { found, age, completed: state.completed, failed: state.failed }
    }

    /// Starts a scan if it is time; tells whether one runs for which it is worth waiting.
    fn begin(self: &Arc<Self>, server: &Server, order: Order) -> bool {
        let mut state = self.state.lock();
        let is_long = state.last_took > self.plan.budget.wait;
        let rested = state.last_end.is_none_or(|end| !is_long || end.elapsed() >= state.last_took);
        let begin = Instant::now();
        if state.running.is_none() && rested {
            state.running = Some(begin);
            let (scanner, server) = (Arc::clone(self), server.clone());
            tokio::spawn(async move {
                let running = Running { scanner: &scanner, begin, outcome: None };
                running.scan(&server, &order).await;
            });
        }
        state.running.is_some_and(|since| !is_long && since.elapsed() < self.plan.budget.wait)
    }

    async fn scan(&self, server: &Server, order: &Order, begin: Instant) -> Result<Found, Fault> {
        let mut scan = Scan {
            plan: &self.plan,
            order,
            pace: Pace::new(self.plan.budget, begin),
            found: Found::default(),
        };
        if self.plan.cluster {
            let mut connection = server.connect(None).await?;
            let nodes = connection.ask(&["CLUSTER", "NODES"]).await?.into_text().unwrap_or_default();
            drop(connection);
            for node in cluster::parse(&nodes).iter().filter(|n| n.is_serving()) {
                scan.server(&server.at(node.address(&server.address))).await?;
            }
        } else {
            scan.server(server).await?;
        }
        Ok(Found { took: begin.elapsed(), ..scan.found })
    }
}

/// A scan under way: says so until it is dropped, even by a panic.
struct Running<'s> {
    scanner: &'s Arc<Scanner>,
    begin: Instant,
    outcome: Option<Found>,
}

impl Running<'_> {
    async fn scan(mut self, server: &Server, order: &Order) {
        let total = self.scanner.plan.budget.total;
        match tokio::time::timeout(total, self.scanner.scan(server, order, self.begin)).await {
            Ok(Ok(found)) => {
                if found.is_cut {
                    let kept = self.scanner.plan.budget.keys;
                    tracing::warn!(kept, "More keys match than are kept: a part of them is exposed");
                }
                self.outcome = Some(found);
            }
            Ok(Err(e)) => tracing::warn!(err = %e, "A scan of keys failed"),
            Err(_) => {
                tracing::warn!(seconds = total.as_secs_f64(), "A scan of keys took too long and is given up");
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.scanner.state.lock();
        state.running = None;
        state.last_took = now - self.begin;
        state.last_end = Some(now);
        match self.outcome.take() {
            Some(found) => {
                state.completed += 1;
                state.found = Some((Arc::new(found), now));
            }
            None => state.failed += 1,
        }
        drop(state);
        self.scanner.ended.send_modify(|n| *n += 1);
    }
}

/// How fast a scan goes.
#[derive(Debug)]
struct Pace {
    budget: Budget,
    begin: Instant,
    count: u64,
}

impl Pace {
    fn new(budget: Budget, begin: Instant) -> Self {
        Self { budget, begin, count: budget.batch.max(1) }
    }

    /// After a step that began then: a smaller or larger next one, and a rest if nobody waits any more.
    async fn step(&mut self, began: Instant) {
        let took = began.elapsed();
        if let Some(rest) = self.after(took, self.begin.elapsed()) {
            tokio::time::sleep(rest).await;
        }
    }

    fn after(&mut self, took: Duration, since_begin: Duration) -> Option<Duration> {
        if took > self.budget.step {
            self.count = (self.count / 2).max(LEAST_COUNT.min(self.budget.batch.max(1)));
        } else if took < self.budget.step / 4 {
            self.count = (self.count * 2).min(self.budget.batch.max(1));
        }
        let rest = took.mul_f64((1.0 / self.budget.load - 1.0).max(0.0));
        (since_begin > self.budget.wait && !rest.is_zero()).then_some(rest)
    }
}

struct Scan<'p> {
    plan: &'p Plan,
    order: &'p Order,
    pace: Pace,
    found: Found,
}

impl Scan<'_> {
    /// All of one server.
    async fn server(&mut self, server: &Server) -> Result<(), Fault> {
        let mut connection = server.connect(None).await?;
        if self.order.keys {
            self.patterns(&mut connection).await?;
        }
        if !self.plan.groups.is_empty() {
            let begin = Instant::now();
            self.groups(&mut connection).await?;
            self.found.groups_took += begin.elapsed();
        }
        Ok(())
    }

    async fn patterns(&mut self, connection: &mut Connection) -> Result<(), Fault> {
        let plan = self.plan;
        // The same pattern may be wanted for several reasons; it is walked through once.
        let all: BTreeSet<&KeySpec> = plan.keys.iter().chain(&plan.counts).chain(&plan.streams).collect();
        let (mut keys, mut streams) = (BTreeSet::new(), BTreeSet::new());
        for spec in all {
            let (as_key, as_stream) = (plan.keys.contains(spec), plan.streams.contains(spec));
            if !self.select(connection, spec.db).await? {
                continue;
            }
            let mut cursor = b"0".to_vec();
            let mut matched = 0;
            loop {
                let began = Instant::now();
                let Some((next, names)) = page(self.ask_scan(connection, &cursor, &spec.key).await?) else {
                    break;
                };
                matched += names.len() as u64;
                for name in names.into_iter().filter(|_| as_key || as_stream) {
                    let db = if plan.cluster { 0 } else { spec.db };
                    let key = KeySpec { db, key: name };
                    for (wanted, set) in [(as_key, &mut keys), (as_stream, &mut streams)] {
                        if wanted && set.len() < plan.budget.keys {
                            set.insert(key.clone());
                        } else if wanted && !set.contains(&key) {
                            self.found.is_cut = true;
                        }
                    }
                }
                self.pace.step(began).await;
                cursor = next;
                if cursor == b"0" {
                    break;
                }
            }
            if plan.counts.contains(spec) {
                *self.found.counts.entry(spec.clone()).or_default() += matched;
            }
        }
        self.tell(connection, &Vec::from_iter(keys), &Vec::from_iter(streams)).await
    }

    async fn ask_scan(
        &self,
        connection: &mut Connection,
        cursor: &[u8],
        pattern: &[u8],
    ) -> Result<Value, Fault> {
        let mut batch = crate::connect::Batch::default();
        let count = self.pace.count.to_string();
        batch.ask_bytes(&[b"SCAN", cursor, b"MATCH", pattern, b"COUNT", count.as_bytes()]);
        Ok(connection.run(&batch).await?.pop().unwrap_or(Value::Nil))
    }

    /// Asks about what was found.
    async fn tell(
        &mut self,
        connection: &mut Connection,
        keys: &[KeySpec],
        streams: &[KeySpec],
    ) -> Result<(), Fault> {
        let select = !self.plan.cluster;
        let (mut keys, mut streams) = (keys, streams);
        while !keys.is_empty() {
            let began = Instant::now();
            let (now, later) = keys.split_at(keys.len().min(self.pace.count as usize));
            keys::read(connection, now, select, &mut self.found.keys).await?;
            keys = later;
            self.pace.step(began).await;
        }
        while !streams.is_empty() {
            let began = Instant::now();
            let (now, later) = streams.split_at(streams.len().min(self.pace.count as usize));
            streams::read(connection, now, select, self.plan.consumers, &mut self.found.streams).await?;
            streams = later;
            self.pace.step(began).await;
        }
        Ok(())
    }

    async fn groups(&mut self, connection: &mut Connection) -> Result<(), Fault> {
        let databases = if self.plan.cluster { vec![0] } else { self.order.databases.clone() };
        for db in databases {
            if !self.select(connection, db).await? {
                continue;
            }
            let mut cursor = "0".to_owned();
            loop {
                let began = Instant::now();
                let count = self.pace.count.to_string();
                let mut words = vec!["EVAL", groups::SCRIPT, "0", &cursor, &count];
                words.extend(self.plan.groups.iter().map(String::as_str));
                let reply = connection.ask(&words).await?;
                if let Some(text) = reply.error() {
                    return Err(Fault::Refused(format!("key groups: {text}")));
                }
                let mut values = reply.into_list().unwrap_or_default().into_iter();
                let (next, found) = (values.next(), values.next().unwrap_or(Value::Nil));
                self.found.groups.entry(db).or_default().add(found);
                self.pace.step(began).await;
                match next.and_then(Value::into_text) {
                    Some(next) if next != "0" => cursor = next,
                    _ => break,
                }
            }
        }
        Ok(())
    }

    async fn select(&self, connection: &mut Connection, db: u32) -> Result<bool, Fault> {
        if self.plan.cluster {
            return Ok(true);
        }
        let reply = connection.ask(&["SELECT", &db.to_string()]).await?;
        if let Some(text) = reply.error() {
            tracing::warn!(db, err = text, "A database cannot be selected");
        }
        Ok(reply.error().is_none())
    }
}

/// The cursor and the names of a SCAN's reply; `None` where the server refused it.
fn page(reply: Value) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    if let Some(text) = reply.error() {
        tracing::warn!(err = text, "SCAN was refused");
    }
    let mut values = reply.into_list()?.into_iter();
    let Some(Value::Text(cursor)) = values.next() else { return None };
    let names = values.next()?.into_list()?.into_iter();
    let names = names.filter_map(|v| if let Value::Text(name) = v { Some(name) } else { None });
    Some((cursor, names.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget {
        batch: 1000,
        step: Duration::from_millis(20),
        load: 0.25,
        total: Duration::from_secs(5),
        keys: 3,
        wait: Duration::from_millis(100),
    };

    #[test]
    fn slow_steps_become_smaller_and_rest_once_nobody_waits() {
        let mut pace = Pace::new(BUDGET, Instant::now());
        let ms = Duration::from_millis;
        assert_eq!(pace.after(ms(40), ms(50)), None);
        assert_eq!(pace.count, 500);
        assert_eq!(pace.after(ms(40), ms(150)), Some(ms(120)));
        assert_eq!(pace.count, 250);
        for _ in 0..10 {
            pace.after(ms(40), ms(150));
        }
        assert_eq!(pace.count, LEAST_COUNT);
        pace.after(ms(10), ms(150));
        assert_eq!(pace.count, LEAST_COUNT);
        for _ in 0..10 {
            pace.after(ms(1), ms(150));
        }
        assert_eq!(pace.count, 1000);
        let mut busy = Pace::new(Budget { load: 1.0, ..BUDGET }, Instant::now());
        assert_eq!(busy.after(ms(40), ms(150)), None);
    }

    #[test]
    fn pages_that_are_none_end_a_walk() {
        let text = |t: &str| Value::Text(t.into());
        let good = Value::List(vec![text("7"), Value::List(vec![text("a"), Value::Nil])]);
        assert_eq!(page(good), Some((b"7".to_vec(), vec![b"a".to_vec()])));
        for bad in [Value::Nil, Value::Error("ERR".into()), Value::List(vec![text("7")]), text("0")] {
            assert_eq!(page(bad), None);
        }
    }
}
