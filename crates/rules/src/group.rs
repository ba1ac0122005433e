//! A group: rules that are evaluated one after another, all at the same time of evaluation.
//!
//! Evaluation is synchronous and takes its time as a parameter; [`crate::Manager`] has the loop around it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::{Histogram, LabelSet, STALE_NAN, TimestampMs};
use parking_lot::Mutex;
use storage::{PointAppender, RefusalKind, Refusals, SampleAppender, SeriesPoints, SeriesSample};

use crate::alert::AlertSink;
use crate::query::{Asker, Querier};
use crate::rule::{Recorded, Rule};
use crate::status::{GroupStats, GroupStatus};

/// What evaluation needs from outside.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Who answers expressions.
    pub querier: &'a dyn Querier,
    /// Where samples go.
    pub appender: &'a dyn SampleAppender,
    /// Where histograms go.
    pub points: &'a dyn PointAppender,
    /// Where alerts go.
    pub sink: &'a dyn AlertSink,
    /// How long an alert is not sent again.
    pub resend_delay_ms: i64,
}

/// What makes a group the same after a reload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GroupSpec {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) interval_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) limit: u64,
}

/// A group and its state.
#[derive(Debug)]
pub struct Group {
    pub(crate) spec: GroupSpec,
    pub(crate) rules: Vec<Rule>,
    series: Mutex<WrittenSeries>,
    stats: Mutex<GroupStats>,
}

/// Series that were written, so that those that vanish can be marked stale.
#[derive(Debug, Default)]
struct WrittenSeries {
    /// Of the last evaluation, per rule.
    previous: Vec<Vec<LabelSet>>,
    /// Of rules that are no more.
    orphaned: Vec<LabelSet>,
}

impl Group {
    pub(crate) fn new(spec: GroupSpec, rules: Vec<Rule>) -> Self {
        let stats = GroupStats {
            key: format!("{};{}", spec.file.display(), spec.name),
            rules: rules.len() as u64,
            interval: millis(spec.interval_ms),
            ..GroupStats::default()
        };
        let series = WrittenSeries { previous: vec![Vec::new(); rules.len()], orphaned: Vec::new() };
        Self { spec, rules, series: Mutex::new(series), stats: Mutex::new(stats) }
    }

    /// Whether both say the same.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.spec == other.spec
            && self.rules.len() == other.rules.len()
            && self.rules.iter().zip(&other.rules).all(|(a, b)| a.spec == b.spec)
    }

    /// The evaluation slot at or before `now_ns`, in nanoseconds: aligned with the interval, shifted by a hash of file and name
    /// so that groups spread over it.
    #[must_use]
    pub fn slot_before(&self, now_ns: i64) -> i64 {
        let interval_ns = self.spec.interval_ms.max(1) * 1_000_000;
        let key = LabelSet::from_pairs([
            ("name", self.spec.name.as_str()),
            ("file", &self.spec.file.to_string_lossy()),
        ]);
        let offset = i64::try_from(key.upstream_hash() % interval_ns.unsigned_abs()).unwrap_or(0);
        let adjusted = now_ns - offset;
        adjusted - adjusted % interval_ns + offset
    }

    /// Evaluates all rules at `ts`: queries, writes samples and staleness markers, then sends the alerts that are due. `stopped` is asked
    /// between rules.
    pub fn eval(&self, ts: TimestampMs, around: &Surroundings<'_>, stopped: &dyn Fn() -> bool) {
        let started = Instant::now();
        let mut samples = 0;
        let mut rule_time = Duration::ZERO;
        for (i, rule) in self.rules.iter().enumerate() {
            if stopped() {
                return;
            }
            let rule_started = Instant::now();
            let outcome = self.eval_rule(i, rule, ts, around);
            let took = rule_started.elapsed();
            rule_time += took;
            let failed = match outcome {
                Ok(count) => {
                    samples += count as u64;
                    rule.set_report(None, took, ts);
                    false
                }
                Err(message) => {
                    rule.set_report(Some(message), took, ts);
                    true
                }
            };
            let mut stats = self.stats.lock();
            stats.evaluations += 1;
            stats.failures += u64::from(failed);
        }
        self.mark_orphans(ts, around.appender);
        let mut stats = self.stats.lock();
        stats.samples = samples;
        stats.iterations += 1;
        stats.last_duration = started.elapsed();
        stats.last_rule_duration_sum = rule_time;
        stats.last_evaluation_ms = Some(ts);
    }

    /// Evaluates one rule; the number of samples, or why there are none.
    fn eval_rule(
        &self,
        i: usize,
        rule: &Rule,
        ts: TimestampMs,
        around: &Surroundings<'_>,
    ) -> Result<usize, String> {
        let offset_ms = self.spec.offset_ms;
        let asker = Asker { file: &self.spec.file, group: &self.spec.name };
        let results = match rule.eval((around.querier, asker), ts, offset_ms, self.spec.limit) {
            Ok(results) => results,
            Err(failure) => {
                if !failure.cancelled {
                    let (file, group) = (self.spec.file.display(), &self.spec.name);
                    tracing::warn!(%file, group, name = rule.spec.name, index = i, err = failure.message, "Evaluating rule failed");
                }
                return Err(failure.message);
            }
        };
        // The state of alerts is in the store before anyone is told. When the store cannot take it, telling goes on: silence would be worse.
        let written = self.write(i, &results, ts - offset_ms, around);
        let due = rule.due(ts, around.resend_delay_ms, self.spec.interval_ms);
        if !due.is_empty() {
            around.sink.send(&due);
        }
        written.map(|()| results.len())
    }

    /// Writes a rule's samples, and staleness markers for series it had last time.
    fn write(
        &self,
        i: usize,
        results: &Recorded,
        at: TimestampMs,
        around: &Surroundings<'_>,
    ) -> Result<(), String> {
        let (file, group) = (self.spec.file.display(), &self.spec.name);
        let mut problem = self.write_histograms(results, around.points)?;
        let floats = &results.floats;
        if !floats.is_empty() {
            match around.appender.append(floats) {
                Ok(report) if report.accepted < floats.len() => {
                    let refused = floats.len() - report.accepted;
                    tracing::warn!(%file, group, num_dropped = refused, out_of_order = report.out_of_order, duplicate = report.duplicate,
                        out_of_bounds = report.out_of_bounds, "Error on ingesting results from rule evaluation");
                    problem = Some(match () {
                        () if report.out_of_order > 0 => "out of order sample".to_owned(),
                        () if report.duplicate > 0 => "duplicate sample for timestamp".to_owned(),
                        () => "out of bounds".to_owned(),
                    });
                }
                Ok(_) => {}
                Err(err) => {
                    tracing::warn!(%file, group, %err, "Rule sample appending failed");
                    return Err(err.to_string());
                }
            }
        }
        let histograms = results.histograms.iter().map(|(labels, ..)| labels);
        let mut now: Vec<LabelSet> =
            results.floats.iter().map(|s| &s.labels).chain(histograms).cloned().collect();
        now.sort_unstable();
        let previous = std::mem::take(&mut self.series.lock().previous[i]);
        let vanished: Vec<LabelSet> =
            previous.into_iter().filter(|l| now.binary_search(l).is_err()).collect();
        if let Err(err) = append_stale(&vanished, at, around.appender) {
            tracing::warn!(%file, group, %err, "Adding stale sample failed");
        }
        self.series.lock().previous[i] = now;
        problem.map_or(Ok(()), Err)
    }

    /// Writes a rule's histograms; what was wrong with some of them, if anything.
    fn write_histograms(
        &self,
        results: &Recorded,
        points: &dyn PointAppender,
    ) -> Result<Option<String>, String> {
        if results.histograms.is_empty() {
            return Ok(None);
        }
        let (file, group) = (self.spec.file.display(), &self.spec.name);
        let owned: Vec<_> = results.histograms.iter().map(|(_, ts, h)| (*ts, Histogram::clone(h))).collect();
        let batch: Vec<SeriesPoints<'_>> = results
            .histograms
            .iter()
            .zip(&owned)
            .map(|((labels, ..), point)| SeriesPoints {
                key: None,
                labels,
                floats: &[],
                histograms: std::slice::from_ref(point),
                exemplars: &[],
            })
            .collect();
        let report = points.append_points(&batch, Refusals::Skip).map_err(|err| {
            tracing::warn!(%file, group, %err, "Rule sample appending failed");
            err.to_string()
        })?;
        let Some(first) = report.first else { return Ok(None) };
        let num_dropped: usize = report.refused.iter().sum();
        tracing::warn!(%file, group, num_dropped, series = %first.labels, "Error on ingesting results from rule evaluation");
        Ok(Some(match first.kind {
            RefusalKind::OutOfOrder | RefusalKind::TooOld => "out of order sample".to_owned(),
            RefusalKind::Duplicate => "duplicate sample for timestamp".to_owned(),
            RefusalKind::OutOfBounds => "out of bounds".to_owned(),
            RefusalKind::InvalidHistogram => "the histogram contradicts itself".to_owned(),
        }))
    }

    fn mark_orphans(&self, ts: TimestampMs, appender: &dyn SampleAppender) {
        let orphaned = std::mem::take(&mut self.series.lock().orphaned);
        if let Err(err) = append_stale(&orphaned, ts - self.spec.offset_ms, appender) {
            tracing::warn!(group = self.spec.name, %err, "Stale sample appending for previous configuration failed");
            self.series.lock().orphaned = orphaned;
        }
    }

    /// Marks everything the group has written as stale: it is no more.
    pub(crate) fn mark_all_stale(&self, ts: TimestampMs, appender: &dyn SampleAppender) {
        {
            let mut series = self.series.lock();
            let all: Vec<LabelSet> = series.previous.iter_mut().flat_map(std::mem::take).collect();
            series.orphaned.extend(all);
        }
        self.mark_orphans(ts, appender);
    }

    /// Gives alerts that were pending before a restart their time back.
    pub(crate) fn restore(&self, querier: &dyn Querier, now: TimestampMs, tolerance_ms: i64, grace_ms: i64) {
        let started = Instant::now();
        for rule in &self.rules {
            rule.restore(querier, now, tolerance_ms, grace_ms);
        }
        self.stats.lock().last_restore = started.elapsed();
    }

    /// Takes over the state of an older version of this group. Rules are found by name and labels, the first by the first.
    pub(crate) fn copy_state(&self, from: &Self) {
        let mut by_identity: HashMap<_, std::collections::VecDeque<usize>> = HashMap::new();
        for (i, rule) in from.rules.iter().enumerate() {
            by_identity.entry(rule.identity()).or_default().push_back(i);
        }
        let old = std::mem::take(&mut *from.series.lock());
        let mut old_series: Vec<Option<Vec<LabelSet>>> = old.previous.into_iter().map(Some).collect();
        let mut series = self.series.lock();
        for (i, rule) in self.rules.iter().enumerate() {
            let Some(at) =
                by_identity.get_mut(&rule.identity()).and_then(std::collections::VecDeque::pop_front)
            else {
                continue;
            };
            series.previous[i] = old_series[at].take().unwrap_or_default();
            if rule.spec.alerting && from.rules[at].spec.alerting {
                rule.copy_alerts(&from.rules[at]);
            }
        }
        series.orphaned = old.orphaned;
        series.orphaned.extend(old_series.into_iter().flatten().flatten());
        let (mut mine, theirs) = (self.stats.lock(), from.stats.lock());
        mine.last_duration = theirs.last_duration;
        mine.last_evaluation_ms = theirs.last_evaluation_ms;
        mine.iterations = theirs.iterations;
        mine.iterations_missed = theirs.iterations_missed;
        mine.evaluations = theirs.evaluations;
        mine.failures = theirs.failures;
    }

    pub(crate) fn note_missed(&self, count: u64) {
        let mut stats = self.stats.lock();
        stats.iterations += count;
        stats.iterations_missed += count;
    }

    pub(crate) fn stats(&self) -> GroupStats {
        self.stats.lock().clone()
    }

    pub(crate) fn status(&self) -> GroupStatus {
        let stats = self.stats();
        GroupStatus {
            name: self.spec.name.clone(),
            file: self.spec.file.clone(),
            interval: millis(self.spec.interval_ms),
            limit: self.spec.limit,
            evaluation_time: stats.last_duration,
            last_evaluation_ms: stats.last_evaluation_ms,
            rules: self.rules.iter().map(Rule::status).collect(),
        }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// Marks series stale. Refused markers are expected where another rule writes the same series.
fn append_stale(
    series: &[LabelSet],
    at: TimestampMs,
    appender: &dyn SampleAppender,
) -> Result<(), storage::Error> {
    if series.is_empty() {
        return Ok(());
    }
    let batch: Vec<SeriesSample> = series
        .iter()
        .map(|labels| SeriesSample { labels: labels.clone(), ts: at, value: STALE_NAN })
        .collect();
    appender.append(&batch).map(drop)
}
