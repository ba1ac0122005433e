//! The dispatcher on a virtual clock: a script of events, and who is told what and when.

use std::fmt::Write as _;
use std::path::Path;

use model::Matcher;

use super::*;

/// 2023-11-13T00:00:00Z, a Monday.
const START_MS: TimestampMs = 1_699_833_600_000;

/// A core with its state in a directory, a clock that the script moves, and receivers that can be down.
struct World {
    dir: tempfile::TempDir,
    config: Arc<Config>,
    core: Core,
    now_ms: TimestampMs,
    receivers_up: bool,
    killed: bool,
    told: String,
}

fn ms(duration: &str) -> i64 {
    i64::try_from(model::duration::parse(duration).unwrap().as_millis()).unwrap()
}

fn load(config: &str) -> Arc<Config> {
    Arc::new(crate::config::load_str(config, Path::new("am.yml")).unwrap().value)
}

fn open(dir: &Path, config: &Arc<Config>, now_ms: TimestampMs) -> Core {
    let (log, records) = Log::open(dir).unwrap();
    let options = CoreOptions {
        retention_ms: 120 * 3_600_000,
        silence_limits: SilenceLimits::default(),
        per_alertname_limit: 0,
    };
    Core::new(Arc::clone(config), options, log, records, now_ms)
}

impl World {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = load(config);
        let core = open(dir.path(), &config, START_MS);
        Self { dir, config, core, now_ms: START_MS, receivers_up: true, killed: false, told: String::new() }
    }

    /// Moves the clock to `until_ms`, flushing what falls due on the way. What cannot be delivered is given up.
    fn advance(&mut self, until_ms: TimestampMs) {
        while let Some(due) = self.core.next_due_ms().filter(|due| *due <= until_ms && !self.killed) {
            self.now_ms = due.max(self.now_ms);
            for flush in self.core.poll(self.now_ms) {
                for job in &flush.jobs {
                    self.tell(&flush, job);
                    if self.receivers_up {
                        self.core.delivered(job.entry.clone()).unwrap();
                    }
                }
                self.core.flushed(&flush, self.receivers_up || flush.jobs.is_empty());
            }
            self.core.maintain(self.now_ms).unwrap();
        }
        self.now_ms = until_ms;
    }

    fn tell(&mut self, flush: &Flush, job: &Job) {
        if job.alerts.is_empty() {
            return;
        }
        let names: Vec<_> = job
            .alerts
            .iter()
            .map(|a| {
                let sign = if a.resolved_at(self.now_ms) { "-" } else { "+" };
                format!("{sign}{}", a.labels.value("alertname"))
            })
            .collect();
        let since = u64::try_from(self.now_ms - START_MS).unwrap();
        let at = model::duration::format(std::time::Duration::from_millis(since));
        let failed = if self.receivers_up { "" } else { " FAILED" };
        let reason = job.reason.as_str();
        let _ = writeln!(self.told, "{at} {} {}: {reason}{failed}", flush.receiver, names.join(" "));
    }

    /// One line: `TIME VERB ARGUMENTS`.
    fn event(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (at, verb) = (words.next().unwrap(), words.next().unwrap());
        self.advance(START_MS + ms(at));
        let args: Vec<_> = words.collect();
        let now_ms = self.now_ms;
        match verb {
            // Firing for good, from now on or since long ago; firing until the resolve timeout; ended.
            "fire" | "old" | "report" | "resolve" => {
                let mut labels = vec![("alertname", args[0])];
                labels.extend(args[1..].iter().map(|a| a.split_once('=').unwrap()));
                let post = crate::PostAlert {
                    labels: LabelSet::from_pairs(labels),
                    starts_at_ms: match verb {
                        "fire" => Some(now_ms),
                        "report" => None,
                        _ => Some(START_MS - 3_600_000),
                    },
                    ends_at_ms: match verb {
                        "fire" | "old" => Some(now_ms + 1_000_000_000),
                        "report" => None,
                        _ => Some(now_ms),
                    },
                    ..crate::PostAlert::default()
                };
                let alert = Alert::from_post(&post, now_ms, self.config.global.resolve_timeout_ms).unwrap();
                self.core.receive(vec![alert], now_ms).stored.unwrap();
            }
            "silence" => {
                let silence = Silence {
                    id: String::new(),
                    matchers: vec![Matcher::equal("alertname", args[0])],
                    starts_at_ms: now_ms,
                    ends_at_ms: now_ms + ms(args[1]),
                    updated_at_ms: 0,
                    created_by: "me".to_owned(),
                    comment: String::new(),
                    annotations: BTreeMap::new(),
                };
                self.core
                    .set_silence(silence, now_ms, &|| "00000000-0000-4000-8000-000000000001".to_owned())
                    .unwrap();
            }
            "unsilence" => self.core.expire_silence("00000000-0000-4000-8000-000000000001", now_ms).unwrap(),
            // Nothing is closed: what counts is what is in the file.
            "kill" => self.killed = true,
            "restart" => {
                self.core = open(self.dir.path(), &self.config, now_ms);
                self.killed = false;
            }
            "reload" => self.core.reload(Arc::clone(&self.config), now_ms),
            "down" => self.receivers_up = false,
            "up" => self.receivers_up = true,
            "end" => {}
            other => panic!("unknown verb {other}"),
        }
    }
}

const PLAIN: &str = "
route: {receiver: r, group_by: [g], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: r, webhook_configs: [{url: 'http://x'}]}]
";

fn check(what: &str, config: &str, script: &str, expect: &str) {
    let mut world = World::new(config);
    script.lines().map(str::trim).filter(|l| !l.is_empty()).for_each(|line| world.event(line));
    let expect: Vec<_> = expect.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(world.told.lines().collect::<Vec<_>>(), expect, "{what}");
}

#[test]
fn groups_wait_and_repeat() {
    check(
        "group_wait gathers, group_interval spaces, repeat_interval reminds",
        PLAIN,
        "0s fire A
         10s fire B
         1m fire C
         9h end",
        "30s r +A +B: first notification
         5m30s r +A +B +C: new alerts added
         4h10m30s r +A +B +C: repeat interval elapsed
         8h15m30s r +A +B +C: repeat interval elapsed",
    );
    check(
        "groups are told apart by their labels",
        PLAIN,
        "0s fire A g=1
         20s fire B g=2
         2m end",
        "30s r +A: first notification
         50s r +B: first notification",
    );
    check(
        "an alert that began longer ago than group_wait is told at once; a later one joins the rhythm",
        PLAIN,
        "0s old A
         1m fire B
         20m end",
        "0s r +A: first notification
         5m r +A +B: new alerts added",
    );
    check(
        "a report without an end ends after resolve_timeout, unless it is repeated",
        PLAIN,
        "0s report A
         4m report A
         30m end",
        "30s r +A: first notification
         10m30s r -A: all alerts resolved",
    );
}

#[test]
fn tells_of_ends() {
    check(
        "some resolved, then all; afterwards the group begins anew",
        PLAIN,
        "0s fire A
         0s fire B
         1m resolve A
         6m resolve B
         1h fire A
         2h end",
        "30s r +A +B: first notification
         5m30s r -A +B: some alerts resolved
         10m30s r -B: all alerts resolved
         1h30s r +A: first notification",
    );
    check(
        "what ended before anybody was told is not told",
        PLAIN,
        "0s fire A
         10s resolve A
         1h end",
        "",
    );
    let quiet = "
route: {receiver: r, group_wait: 30s, group_interval: 5m}
receivers: [{name: r, webhook_configs: [{url: 'http://x', send_resolved: false}]}]
";
    check(
        "send_resolved false: ends are not told, yet the next beginning is",
        quiet,
        "0s fire A
         0s fire B
         1m resolve A
         6m resolve B
         1h fire A
         2h end",
        "30s r +A +B: first notification
         1h30s r +A: first notification",
    );
}

#[test]
fn survives_restarts_reloads_and_failures() {
    for verb in ["restart", "reload"] {
        check(
            "nothing is told twice",
            PLAIN,
            &format!(
                "0s fire A
                 1m {verb}
                 2m fire B
                 10m end"
            ),
            // Both begin their rhythm anew with a flush at once, which has nothing to tell.
            "30s r +A: first notification
             6m r +A +B: new alerts added",
        );
    }
    check(
        "before the first flush: told after the restart",
        PLAIN,
        "0s fire A
         10s restart
         2m end",
        "40s r +A: first notification",
    );
    check(
        "an end before the restart is told after it",
        PLAIN,
        "0s fire A
         1m resolve A
         2m restart
         3m end",
        "30s r +A: first notification
         2m r -A: all alerts resolved",
    );
    check(
        "an end that came only because this server was away is not told if the sender comes back",
        PLAIN,
        "0s report A
         30s kill
         1h restart
         1h1m report A
         1h20m end",
        "30s r +A: first notification
         1h10m r -A: all alerts resolved",
    );
    check(
        "a receiver that is down is tried again each group_interval",
        PLAIN,
        "0s down
         0s fire A
         6m up
         12m end",
        "30s r +A: first notification FAILED
         5m30s r +A: first notification FAILED
         10m30s r +A: first notification",
    );
    check(
        "an end that could not be told is kept",
        PLAIN,
        "0s fire A
         1m down
         1m resolve A
         6m up
         12m end",
        "30s r +A: first notification
         5m30s r -A: all alerts resolved FAILED
         10m30s r -A: all alerts resolved",
    );
}

#[test]
fn silences_mute() {
    check(
        "silenced from the start, told when the silence is over",
        PLAIN,
        "0s silence A 10m
         0s fire A
         0s fire B
         20m end",
        "30s r +B: first notification
         10m30s r +A +B: new alerts added",
    );
    check(
        "silences survive restarts, and can be ended",
        PLAIN,
        "0s silence A 10h
         0s fire A
         10m restart
         20m unsilence
         20m restart
         30m end",
        "20m r +A: first notification",
    );
    check(
        "silenced while it fires: the end is not told, as upstream does",
        PLAIN,
        "0s fire A
         1m silence A 10m
         2m resolve A
         1h end",
        "30s r +A: first notification",
    );
}

#[test]
fn inhibition_mutes() {
    let config = "
route: {receiver: r, group_by: [alertname], group_wait: 30s, group_interval: 5m}
receivers: [{name: r, webhook_configs: [{url: 'http://x'}]}]
inhibit_rules: [{source_matchers: [sev=high], target_matchers: [sev=low], equal: [dc]}]
";
    check(
        "the low one is quiet while the high one fires in the same place",
        config,
        "0s fire High sev=high dc=1
         0s fire Low sev=low dc=1
         0s fire Far sev=low dc=2
         7m resolve High sev=high dc=1
         20m end",
        "30s r +Far: first notification
         30s r +High: first notification
         10m30s r -High: all alerts resolved
         10m30s r +Low: first notification",
    );
}

#[test]
fn time_intervals_mute() {
    let config = |key: &str| {
        format!(
            "
route:
  receiver: r
  group_wait: 30s
  group_interval: 5m
  routes: [{{matchers: [x=y], {key}: [night]}}]
receivers: [{{name: r, webhook_configs: [{{url: 'http://x'}}]}}]
time_intervals: [{{name: night, time_intervals: [{{times: [{{start_time: '00:00', end_time: '06:00'}}], weekdays: [monday]}}]}}]
"
        )
    };
    let script = "0s fire A x=y
                  12h end";
    check(
        "muted until six",
        &config("mute_time_intervals"),
        script,
        "6h30s r +A: first notification\n10h5m30s r +A: repeat interval elapsed",
    );
    check(
        "active until six",
        &config("active_time_intervals"),
        &format!("{script}\n12h fire B x=y\n20h end"),
        "30s r +A: first notification
         4h5m30s r +A: repeat interval elapsed",
    );
}

/// What is in the file at any moment is a state to go on from: every cut through the last record of each kind.
#[test]
fn survives_a_kill_at_each_byte() {
    let mut world = World::new(PLAIN);
    world.event("0s fire A");
    world.event("0s silence Z 10h");
    world.event("1m end");
    let path = world.dir.path().join("state.log");
    let told = std::fs::read(&path).unwrap();
    // Dropped without a close; the file is what a kill leaves.
    drop(world.core);
    let dir = tempfile::tempdir().unwrap();
    let cut_path = dir.path().join("state.log");
    let mut seen = Vec::new();
    for cut in 8..=told.len() {
        std::fs::write(&cut_path, &told[..cut]).unwrap();
        let core = open(dir.path(), &world.config, START_MS + 60_000);
        let state = (core.alerts.len(), core.silences.iter().count(), core.nflog.iter().count());
        if seen.last() != Some(&state) {
            seen.push(state);
        }
        assert_eq!(core.groups.len(), core.alerts.len(), "cut at {cut}");
    }
    // Each record counts from its last byte on, in the order of writing, and none before it is lost.
    assert_eq!(seen, [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]);
    // A whole file: nothing to tell. Without the last byte of the notification: told again rather than never.
    for (len, expect) in [(told.len(), 0), (told.len() - 1, 1)] {
        std::fs::write(&cut_path, &told[..len]).unwrap();
        let mut core = open(dir.path(), &world.config, START_MS + 60_000);
        let flushes = core.poll(START_MS + 60_000);
        assert_eq!(flushes.iter().map(|f| f.jobs.len()).sum::<usize>(), expect);
    }
}

#[test]
fn a_reload_does_not_repeat_what_is_under_way() {
    let mut world = World::new(PLAIN);
    world.event("0s fire A");
    let now_ms = START_MS + 30_000;
    let flushes = world.core.poll(now_ms);
    assert_eq!(flushes.len(), 1);
    world.core.reload(Arc::clone(&world.config), now_ms + 40_000);
    assert!(world.core.poll(now_ms + 40_000).is_empty(), "still under way");
    world.core.delivered(flushes[0].jobs[0].entry.clone()).unwrap();
    world.core.flushed(&flushes[0], true);
    assert!(world.core.poll(now_ms + 40_000).iter().all(|f| f.jobs.is_empty()), "told already");
}

/// A log that cannot be written keeps nobody from being paged.
#[test]
fn pages_with_a_broken_disk() {
    let mut world = World::new(PLAIN);
    world.core.log = Log::broken(world.dir.path());
    let post = crate::PostAlert {
        labels: LabelSet::from_pairs([("alertname", "A")]),
        ..crate::PostAlert::default()
    };
    let alert = Alert::from_post(&post, START_MS, 300_000).unwrap();
    assert!(world.core.receive(vec![alert], START_MS).stored.is_err());
    assert_eq!(world.core.poll(START_MS + 30_000)[0].jobs.len(), 1);
}
