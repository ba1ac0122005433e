//! Groups over a virtual clock: expressions are answered from a table, samples and alerts are recorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::rules::{RuleFile, load_str};
use model::{Histogram, LabelSet, TimestampMs, is_stale};
use parking_lot::Mutex;
use promql::parser::ParserOptions;
use storage::{
    AppendReport, PointAppender, PointsReport, Refusals, SampleAppender, SeriesPoints, SeriesSample,
};

use crate::check::{Making, make_groups};
use crate::group::{Group, Surroundings};
use crate::{
    Alert, AlertSink, Asker, Manager, ManagerOptions, Querier, QueryFailure, RuleDetail, Sample, check_file,
};

const MINUTE: i64 = 60_000;

/// What an expression gives at a time.
type Answer = dyn Fn(&str, TimestampMs) -> Result<Vec<Sample>, String> + Send + Sync;

/// A world without network and disk.
struct World {
    answer: Box<Answer>,
    written: Mutex<Vec<SeriesSample>>,
    histograms: Mutex<Vec<(LabelSet, TimestampMs, Histogram)>>,
    sent: Mutex<Vec<Alert>>,
}

impl World {
    fn new(
        answer: impl Fn(&str, TimestampMs) -> Result<Vec<Sample>, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Box::new(answer),
            written: Mutex::default(),
            histograms: Mutex::default(),
            sent: Mutex::default(),
        }
    }

    fn around(&self) -> Surroundings<'_> {
        Surroundings { querier: self, appender: self, points: self, sink: self, resend_delay_ms: MINUTE }
    }

    /// What was written since the last call, a line per sample; `stale` for markers.
    fn written(&self) -> String {
        let mut lines: Vec<String> = std::mem::take(&mut *self.written.lock())
            .iter()
            .map(|s| {
                let value = if is_stale(s.value) { "stale".to_owned() } else { s.value.to_string() };
                format!("{} {value} @{}", s.labels, s.ts)
            })
            .collect();
        lines.sort();
        lines.join("\n")
    }

    fn sent(&self) -> Vec<Alert> {
        std::mem::take(&mut *self.sent.lock())
    }
}

impl Querier for World {
    fn instant(&self, _: Asker<'_>, expr: &str, ts: TimestampMs) -> Result<Vec<Sample>, QueryFailure> {
        (self.answer)(expr, ts).map_err(|message| QueryFailure { message, cancelled: false })
    }

    fn newest(
        &self,
        matchers: &[model::Matcher],
        mint: TimestampMs,
        maxt: TimestampMs,
    ) -> Result<Vec<(LabelSet, TimestampMs, f64)>, QueryFailure> {
        let mut out: std::collections::BTreeMap<LabelSet, (TimestampMs, f64)> =
            std::collections::BTreeMap::new();
        for s in self.written.lock().iter().filter(|s| (mint..=maxt).contains(&s.ts)) {
            if matchers.iter().all(|m| m.matches(s.labels.value(&m.name))) {
                out.insert(s.labels.clone(), (s.ts, s.value));
            }
        }
        Ok(out.into_iter().map(|(l, (t, v))| (l, t, v)).collect())
    }
}

impl SampleAppender for World {
    fn append(&self, batch: &[SeriesSample]) -> Result<AppendReport, storage::Error> {
        self.written.lock().extend(batch.iter().cloned());
        Ok(AppendReport { accepted: batch.len(), ..AppendReport::default() })
    }
}

impl PointAppender for World {
    fn append_points(&self, batch: &[SeriesPoints<'_>], _: Refusals) -> Result<PointsReport, storage::Error> {
        let mut written = self.histograms.lock();
        for series in batch {
            let labels = series.labels.label_set()?;
            written.extend(series.histograms.iter().map(|(ts, h)| (labels.clone(), *ts, h.clone())));
        }
        Ok(PointsReport { histograms: batch.len(), ..PointsReport::default() })
    }
}

impl AlertSink for World {
    fn send(&self, alerts: &[Alert]) {
        // The state is in the store before anyone is told.
        for alert in alerts.iter().filter(|a| a.ends_at > a.starts_at) {
            let name = alert.labels.value("alertname");
            let _ = name;
        }
        self.sent.lock().extend(alerts.iter().cloned());
    }
}

fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
    Sample { labels: LabelSet::from_pairs(labels.iter().copied()), value, histogram: None }
}

fn file(text: &str) -> RuleFile {
    load_str(text, Path::new("r.yml")).unwrap_or_else(|e| panic!("{e}"))
}

fn groups(text: &str, restore: bool) -> Vec<Group> {
    let config = config::load_str("global: {external_labels: {dc: par}}", Path::new("p.yml")).unwrap().value;
    let parser = ParserOptions::default();
    let making = Making { config: &config, external_url: "http://here", parser: &parser, restore };
    make_groups(&[(PathBuf::from("r.yml"), file(text))], &making).unwrap_or_else(|e| panic!("{e}"))
}

fn states(group: &Group) -> Vec<String> {
    let rules = group.status().rules;
    rules
        .iter()
        .flat_map(|r| match &r.detail {
            RuleDetail::Alerting { alerts, .. } => alerts.clone(),
            RuleDetail::Recording => Vec::new(),
        })
        .map(|a| format!("{} {} since {}", a.labels, a.state.as_str(), a.active_at_ms))
        .collect()
}

#[test]
fn recording_rules_write_label_and_mark_stale() {
    let world = World::new(|expr, ts| match expr {
        "sum by (job) (up)" if ts < 2 * MINUTE => {
            Ok(vec![sample(&[("job", "a"), ("x", "1")], 3.0), sample(&[("job", "b")], 4.0)])
        }
        "sum by (job) (up)" => Ok(vec![sample(&[("job", "a"), ("x", "1")], 5.0)]),
        other => Err(format!("unexpected {other}")),
    });
    let text = "
groups:
  - name: g
    query_offset: 30s
    labels: {team: t, kind: group}
    rules:
      - {record: 'job:up:sum', expr: 'sum by(job)(up)', labels: {kind: rule, x: ''}}
";
    let group = &groups(text, false)[0];
    group.eval(MINUTE, &world.around(), &|| false);
    assert_eq!(
        world.written(),
        r#"{__name__="job:up:sum", job="a", kind="rule", team="t"} 3 @30000
{__name__="job:up:sum", job="b", kind="rule", team="t"} 4 @30000"#
    );
    group.eval(3 * MINUTE, &world.around(), &|| false);
    assert_eq!(
        world.written(),
        r#"{__name__="job:up:sum", job="a", kind="rule", team="t"} 5 @150000
{__name__="job:up:sum", job="b", kind="rule", team="t"} stale @150000"#
    );
}

#[test]
fn an_alert_goes_through_its_states() {
    let world = World::new(|_, ts| {
        Ok(if (MINUTE..=4 * MINUTE).contains(&ts) {
            vec![sample(&[("__name__", "up"), ("instance", "i")], 7.0)]
        } else {
            Vec::new()
        })
    });
    let text = "
groups:
  - name: g
    interval: 1m
    rules:
      - alert: Down
        expr: up == 0
        for: 2m
        keep_firing_for: 1m
        labels: {severity: 'page-{{ $value }}'}
        annotations: {summary: '{{ $labels.instance }} in {{ $externalLabels.dc }}'}
";
    let group = &groups(text, false)[0];
    let mut log = Vec::new();
    for minute in 0..=7 {
        group.eval(minute * MINUTE, &world.around(), &|| false);
        let sent: Vec<String> = world
            .sent()
            .iter()
            .map(|a| format!("sent {}..{} {} {}", a.starts_at, a.ends_at, a.annotations, a.generator_url))
            .collect();
        log.push(format!("{minute}: {} | {}", states(group).join("; "), sent.join("; ")));
    }
    let labels = r#"{alertname="Down", instance="i", severity="page-7"}"#;
    let note = r#"{summary="i in par"} http://here/graph?g0.expr=up+%3D%3D+0&g0.tab=1"#;
    assert_eq!(
        log,
        [
            "0:  | ".to_owned(),
            format!("1: {labels} pending since 60000 | "),
            format!("2: {labels} pending since 60000 | "),
            format!("3: {labels} firing since 60000 | sent 180000..420000 {note}"),
            // The resend delay has to be over, not just reached.
            format!("4: {labels} firing since 60000 | "),
            format!("5: {labels} firing since 60000 | sent 180000..540000 {note}"),
            format!("6:  | sent 180000..360000 {note}"),
            "7:  | ".to_owned(),
        ]
    );
    // Resolved: the marker in both series.
    let written = world.written();
    assert!(written.contains(r#"{__name__="ALERTS", alertname="Down", alertstate="pending", instance="i", severity="page-7"} stale @180000"#), "{written}");
    assert!(written.contains(r#"{__name__="ALERTS", alertname="Down", alertstate="firing", instance="i", severity="page-7"} stale @360000"#), "{written}");
    assert!(
        written.contains(
            r#"{__name__="ALERTS_FOR_STATE", alertname="Down", instance="i", severity="page-7"} 60 @180000"#
        ),
        "{written}"
    );
    // Kept and sent again for 15 minutes, then forgotten.
    let mut last = 0;
    for minute in 8..=40 {
        group.eval(minute * MINUTE, &world.around(), &|| false);
        if !world.sent().is_empty() {
            last = minute;
        }
    }
    assert!((20..=22).contains(&last), "{last}");
}

#[test]
fn failures_are_reported_per_rule() {
    let world = World::new(|expr, _| match expr {
        "dup" => Ok(vec![sample(&[("a", "1")], 1.0), sample(&[("a", "2")], 1.0)]),
        "many" => Ok((0..5).map(|i| sample(&[("i", &i.to_string())], 1.0)).collect()),
        "bad" => Err("query timed out in expression evaluation".to_owned()),
        _ => Ok(vec![sample(&[], 1.0)]),
    });
    let text = "
groups:
  - name: g
    limit: 2
    rules:
      - {record: r1, expr: dup, labels: {a: ''}}
      - {record: r2, expr: many}
      - {alert: A1, expr: dup, labels: {a: ''}}
      - {alert: A2, expr: many}
      - {record: r3, expr: bad}
      - {alert: A3, expr: fine, annotations: {x: '{{ query \"bad\" }}'}}
";
    let group = &groups(text, false)[0];
    group.eval(MINUTE, &world.around(), &|| false);
    let errors: Vec<_> = group.status().rules.into_iter().map(|r| r.last_error.unwrap_or_default()).collect();
    assert_eq!(
        errors,
        [
            "vector contains metrics with the same labelset after applying rule labels",
            "exceeded limit of 2 with 5 series",
            "vector contains metrics with the same labelset after applying alert labels",
            "exceeded limit of 2 with 5 alerts",
            "query timed out in expression evaluation",
            "",
        ]
    );
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert!(
        sent[0].annotations.value("x").starts_with("<error expanding template: "),
        "{}",
        sent[0].annotations
    );
    let stats = group.stats();
    assert_eq!((stats.evaluations, stats.failures, stats.iterations), (6, 5, 1));
}

#[test]
fn a_restart_gives_pending_alerts_their_time_back() {
    let text = "
groups:
  - name: g
    rules:
      - {alert: Slow, expr: x, for: 30m, labels: {s: '{{ $labels.i }}'}}
      - {alert: Quick, expr: x, for: 5m}
";
    // (down at minute, up at minute) and when the alert, active since minute 0, shall fire.
    for (down, up, fires) in [
        // 20 of 30 minutes are left: downtime does not count.
        (10, 15, 35),
        // 2 minutes would be left: the grace period is 10.
        (28, 40, 50),
        // It was firing: at once.
        (31, 40, 40),
        // Too long an outage: all over again.
        (10, 100, 100 + 30),
    ] {
        let world = World::new(|_, _| Ok(vec![sample(&[("i", "1")], 1.0)]));
        let before = &groups(text, false)[0];
        for minute in 0..=down {
            before.eval(minute * MINUTE, &world.around(), &|| false);
        }
        let after = &groups(text, true)[0];
        after.eval((up - 1) * MINUTE, &world.around(), &|| false);
        let written = world.written.lock().len();
        after.eval(up * MINUTE, &world.around(), &|| false);
        assert_eq!(world.written.lock().len(), written, "state is written only once it is restored");
        after.restore(&world, up * MINUTE, 60 * MINUTE, 10 * MINUTE);
        world.sent();
        let mut fired = None;
        for minute in up..=up + 60 {
            after.eval(minute * MINUTE, &world.around(), &|| false);
            if fired.is_none() && world.sent().iter().any(|a| a.labels.value("alertname") == "Slow") {
                fired = Some(minute);
            }
        }
        // The first evaluation after a restart is one minute before `up`; an alert that is not restored counts from there.
        let want = if up - down > 60 { fires - 1 } else { fires };
        assert_eq!(fired, Some(want), "down {down}, up {up}");
    }
}

#[test]
fn a_reload_keeps_state_by_name_and_labels() {
    let world = World::new(|_, _| Ok(vec![sample(&[("i", "1")], 1.0)]));
    let old = &groups(
        "groups: [{name: g, rules: [{alert: A, expr: x, for: 2m}, {record: r, expr: x}, {record: gone, expr: x}]}]",
        false,
    )[0];
    for minute in 0..=1 {
        old.eval(minute * MINUTE, &world.around(), &|| false);
    }
    world.written();
    let same = &groups(
        "groups: [{name: g, rules: [{alert: A, expr: x, for: 2m}, {record: r, expr: x}, {record: gone, expr: x}]}]",
        false,
    )[0];
    assert!(old.same_as(same));
    // Moved, with another `for`; one rule is gone.
    let new =
        &groups("groups: [{name: g, rules: [{record: r, expr: y}, {alert: A, expr: x, for: 3m}]}]", false)[0];
    assert!(!old.same_as(new));
    new.copy_state(old);
    assert_eq!(states(new), [r#"{alertname="A", i="1"} pending since 0"#]);
    new.eval(2 * MINUTE, &world.around(), &|| false);
    assert_eq!(
        world.written(),
        r#"{__name__="ALERTS", alertname="A", alertstate="pending", i="1"} 1 @120000
{__name__="ALERTS_FOR_STATE", alertname="A", i="1"} 0 @120000
{__name__="gone", i="1"} stale @120000
{__name__="r", i="1"} 1 @120000"#
    );
    new.eval(3 * MINUTE, &world.around(), &|| false);
    assert_eq!(states(new), [r#"{alertname="A", i="1"} firing since 0"#]);
    world.written();
    // A longer `for` makes a firing alert pending again.
    let longer = &groups("groups: [{name: g, rules: [{alert: A, expr: x, for: 10m}]}]", false)[0];
    longer.copy_state(new);
    longer.eval(4 * MINUTE, &world.around(), &|| false);
    assert_eq!(states(longer), [r#"{alertname="A", i="1"} pending since 0"#]);
    longer.mark_all_stale(5 * MINUTE, &world);
    assert!(
        world
            .written()
            .contains(r#"{__name__="ALERTS", alertname="A", alertstate="pending", i="1"} stale @300000"#)
    );
}

#[test]
fn slots_are_aligned_and_shifted() {
    let group = &groups("groups: [{name: g, interval: 1m, rules: []}]", false)[0];
    let interval = 60_000_000_000;
    let now = 1_700_000_000_123_456_789;
    let slot = group.slot_before(now);
    assert!(slot <= now && now - slot < interval);
    assert_eq!(group.slot_before(slot), slot);
    assert_eq!(group.slot_before(slot + interval), slot + interval);
    let other = &groups("groups: [{name: h, interval: 1m, rules: []}]", false)[0];
    assert_ne!(other.slot_before(now), slot);
}

#[test]
fn wrong_expressions_and_templates_have_a_place() {
    let text = "groups:
  - name: g
    rules:
      - alert: A
        expr: sum(up
        annotations: {s: '{{ $labelz.x }}'}
      - record: r
        expr: |
          up
          + (
";
    let found = check_file(Path::new("r.yml"), text, &file(text), &ParserOptions::default());
    let lines: Vec<_> = found.iter().map(config::Diagnostic::headline).collect();
    assert_eq!(found.len(), 3, "{lines:?}");
    assert!(
        lines[0].starts_with(r#"r.yml:5:"#)
            && lines[0].contains(r#"group "g", rule 1, "A": could not parse expression: 1:"#),
        "{}",
        lines[0]
    );
    assert!(lines[1].contains("undefined variable"), "{}", lines[1]);
    assert!(lines[2].contains(r#"rule 2, "r""#), "{}", lines[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_evaluates_reloads_and_stops() {
    let world = Arc::new(World::new(|_, _| Ok(vec![sample(&[("i", "1")], 1.0)])));
    let manager = Manager::with_querier(
        world.clone(),
        (world.clone(), world.clone()),
        world.clone(),
        ManagerOptions::default(),
    );
    let config = config::load_str("", Path::new("p.yml")).unwrap().value;
    let rules = |text: &str| vec![(PathBuf::from("r.yml"), file(text))];
    manager
        .apply(&config, rules("groups: [{name: g, interval: 20ms, rules: [{alert: A, expr: x}]}]"))
        .await
        .unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while manager.alerts().is_empty() || world.sent.lock().is_empty() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A wrong reload changes nothing.
    let err = manager
        .apply(&config, rules("groups: [{name: g, rules: [{alert: A, expr: 'sum('}]}]"))
        .await
        .unwrap_err();
    assert!(err.to_string().contains("could not parse expression"), "{err}");
    assert_eq!(manager.groups()[0].interval, Duration::from_millis(20));
    manager
        .apply(&config, rules("groups: [{name: g, interval: 1h, rules: [{alert: A, expr: x}]}]"))
        .await
        .unwrap();
    assert_eq!(manager.alerts().len(), 1, "state survives the reload");
    manager.apply(&config, Vec::new()).await.unwrap();
    assert!(manager.groups().is_empty());
    manager.stop().await;
}

#[test]
fn histograms_are_recorded_and_alerted_on() {
    let histogram = Arc::new(Histogram { count: 3.0, sum: 2.5, zero_count: 3.0, ..Histogram::default() });
    let found = Arc::clone(&histogram);
    let world = World::new(move |_, ts| {
        let one = |job| Sample { histogram: Some(Arc::clone(&found)), ..sample(&[("job", job)], 0.0) };
        Ok(if ts < 2 * MINUTE { vec![one("a"), sample(&[("job", "b")], 7.0)] } else { vec![] })
    });
    let group = &groups(
        "groups: [{name: g, interval: 1m, rules: [{record: r, expr: x}, {alert: A, expr: x, annotations: {v: \"{{ $value }}\"}}]}]",
        false,
    )[0];
    group.eval(MINUTE, &world.around(), &|| false);
    let written = std::mem::take(&mut *world.histograms.lock());
    let labels = LabelSet::from_pairs([("__name__", "r"), ("job", "a")]);
    assert_eq!(written, [(labels, MINUTE, (*histogram).clone())]);
    let text = world.written();
    assert!(text.contains("r{job=\"b\"} 7 @60000") || text.contains("__name__=\"r\""), "{text}");
    let mut annotations: Vec<String> =
        world.sent().iter().map(|a| a.annotations.value("v").to_owned()).collect();
    annotations.sort();
    let shown = promql::histogram::Text(&histogram).to_string();
    assert_eq!(annotations, ["7".to_owned(), shown]);
    // What vanishes is marked stale, a histogram's series too.
    group.eval(2 * MINUTE, &world.around(), &|| false);
    assert_eq!(world.written().lines().filter(|l| l.contains("stale")).count(), 2 + 4);
    assert!(world.histograms.lock().is_empty());
}
