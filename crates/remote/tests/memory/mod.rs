//! A store of maps that keeps the rules of [`storage::PointAppender`].

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use model::{Exemplar, Histogram, LabelSet, TimestampMs};
use storage::{Error, ErrorKind, PointAppender, PointsReport, Refusal, RefusalKind, Refusals, SeriesPoints};

/// Samples more than this before the newest are too old; later ones are out of order (no window here).
const TOO_OLD_MS: i64 = 3_600_000;

#[derive(Default, Clone)]
struct Series {
    floats: BTreeMap<TimestampMs, f64>,
    histograms: Vec<(TimestampMs, Histogram)>,
    exemplars: Vec<Exemplar>,
}

#[derive(Default)]
struct State {
    series: BTreeMap<LabelSet, Series>,
    keys: HashMap<u128, LabelSet>,
    asked: usize,
}

#[derive(Default)]
pub(crate) struct MemoryStore {
    state: Mutex<State>,
    failure: Option<ErrorKind>,
}

impl MemoryStore {
    pub(crate) fn failing(kind: ErrorKind) -> Self {
        Self { failure: Some(kind), ..Self::default() }
    }

    pub(crate) fn floats(&self, labels: &LabelSet) -> Vec<(TimestampMs, f64)> {
        let state = self.state.lock().unwrap();
        state.series[labels].floats.iter().map(|(t, v)| (*t, *v)).collect()
    }

    pub(crate) fn histograms(&self, labels: &LabelSet) -> Vec<(TimestampMs, Histogram)> {
        self.state.lock().unwrap().series[labels].histograms.clone()
    }

    pub(crate) fn exemplars(&self, labels: &LabelSet) -> Vec<Exemplar> {
        self.state.lock().unwrap().series[labels].exemplars.clone()
    }

    pub(crate) fn series(&self) -> usize {
        self.state.lock().unwrap().series.len()
    }

    pub(crate) fn keys(&self) -> usize {
        self.state.lock().unwrap().keys.len()
    }

    pub(crate) fn label_sets_asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }
}

fn refusal(series: &Series, ts: TimestampMs, value: f64) -> Option<RefusalKind> {
    if ts > i64::MAX / 2 {
        return Some(RefusalKind::OutOfBounds);
    }
    let (newest, last) = series.floats.last_key_value()?;
    match ts {
        _ if ts > *newest => None,
        _ if ts == *newest && last.to_bits() == value.to_bits() => None,
        _ if ts == *newest => Some(RefusalKind::Duplicate),
        _ if newest - ts > TOO_OLD_MS => Some(RefusalKind::TooOld),
        _ => Some(RefusalKind::OutOfOrder),
    }
}

impl PointAppender for MemoryStore {
    fn append_points(&self, batch: &[SeriesPoints<'_>], refusals: Refusals) -> Result<PointsReport, Error> {
        assert_eq!(refusals, Refusals::FailBatch);
        if let Some(kind) = self.failure {
            return Err(Error::new(kind, "the disk is full"));
        }
        let mut state = self.state.lock().unwrap();
        let mut series = state.series.clone();
        let mut report = PointsReport::default();
        for points in batch {
            let key = points.key.unwrap();
            let labels = match state.keys.get(&key) {
                Some(labels) => labels.clone(),
                None => {
                    let labels = points.labels.label_set()?;
                    state.asked += 1;
                    state.keys.insert(key, labels.clone());
                    labels
                }
            };
            let of = series.entry(labels.clone()).or_default();
            let mut sorted = points.floats.to_vec();
            sorted.sort_by_key(|(t, _)| *t);
            for (ts, value) in sorted {
                if let Some(kind) = refusal(of, ts, value) {
                    report.refused[kind as usize] += 1;
                    report.first.get_or_insert(Refusal { kind, labels: labels.clone(), ts });
                    continue;
                }
                of.floats.insert(ts, value);
                report.floats += 1;
            }
            of.histograms.extend_from_slice(points.histograms);
            of.exemplars.extend_from_slice(points.exemplars);
            report.histograms += points.histograms.len();
            report.exemplars += points.exemplars.len();
        }
        if report.first.is_none() {
            state.series = series;
        }
        Ok(report)
    }
}
