//! A store in memory, and the conformance data's place.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{LabelSet, TimestampMs, is_stale};
use parking_lot::Mutex;
use scrape::ingest::{Ingest, SampleSettings, Sinks};
use storage::{
    AppendReport, Error, ErrorKind, GroupId, RowAppender, SampleAppender, SeriesSample, Slot, is_absent,
};

/// Keeps everything.
#[derive(Default)]
pub struct Memory {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    groups: Vec<Group>,
    open: HashMap<LabelSet, u32>,
    rows: Vec<(TimestampMs, Vec<(LabelSet, f64)>)>,
    singles: Vec<SeriesSample>,
    defined: usize,
    fail: Option<ErrorKind>,
    keep_slots: bool,
}

#[derive(Default)]
struct Group {
    key: Option<LabelSet>,
    series: Vec<LabelSet>,
    places: HashMap<LabelSet, usize>,
    last: Option<TimestampMs>,
}

impl Memory {
    /// The rows so far, label sets as text, staleness markers as `stale`.
    pub fn rows(&self) -> Vec<(TimestampMs, BTreeMap<String, String>)> {
        self.inner.lock().rows.iter().map(as_text).collect()
    }

    /// The last of them.
    fn last_row(&self) -> BTreeMap<String, String> {
        self.inner.lock().rows.last().map(as_text).expect("a row").1
    }

    /// The last row without the report series.
    pub fn last(&self) -> BTreeMap<String, String> {
        let mut row = self.last_row();
        row.retain(|l, _| !l.contains("__name__=\"scrape_") && !l.contains("__name__=\"up\""));
        row
    }

    /// A report series of the last row.
    pub fn report(&self, name: &str) -> String {
        let row = self.last_row();
        let hit = row.iter().find(|(l, _)| l.contains(&format!("__name__=\"{name}\"")));
        hit.map_or(String::new(), |(_, v)| v.clone())
    }

    pub fn singles(&self) -> Vec<(String, TimestampMs, f64)> {
        self.inner.lock().singles.iter().map(|s| (s.labels.to_string(), s.ts, s.value)).collect()
    }

    pub fn defined(&self) -> usize {
        self.inner.lock().defined
    }

    pub fn open_groups(&self) -> usize {
        self.inner.lock().open.len()
    }

    /// How many slots each group has had, by the order in which they were opened.
    pub fn slots(&self) -> Vec<usize> {
        self.inner.lock().groups.iter().map(|g| g.series.len()).collect()
    }

    /// From now on a group that is opened again has its slots as before.
    pub fn keep_slots(&self) {
        self.inner.lock().keep_slots = true;
    }

    pub fn fail_with(&self, kind: Option<ErrorKind>) {
        self.inner.lock().fail = kind;
    }
}

fn as_text((ts, row): &(TimestampMs, Vec<(LabelSet, f64)>)) -> (TimestampMs, BTreeMap<String, String>) {
    let text = |v: f64| if is_stale(v) { "stale".to_owned() } else { model::float::format_api(v) };
    (*ts, row.iter().map(|(l, v)| (l.to_string(), text(*v))).collect())
}

impl RowAppender for Memory {
    fn open_group(&self, key: &LabelSet) -> Result<GroupId, Error> {
        let mut inner = self.inner.lock();
        if inner.open.contains_key(key) {
            return Err(Error::new(ErrorKind::AlreadyOpen, "group is open"));
        }
        let id = u32::try_from(inner.groups.len()).unwrap();
        inner.open.insert(key.clone(), id);
        let (series, places) = match inner.groups.last() {
            Some(last) if inner.keep_slots => (last.series.clone(), last.places.clone()),
            _ => Default::default(),
        };
        inner.groups.push(Group { key: Some(key.clone()), series, places, ..Group::default() });
        Ok(GroupId(id))
    }

    fn define(&self, group: GroupId, series: &[LabelSet]) -> Result<Vec<Slot>, Error> {
        let mut inner = self.inner.lock();
        inner.defined += series.len();
        let group = &mut inner.groups[group.0 as usize];
        let slot = |labels: &LabelSet| {
            let Group { series, places, .. } = &mut *group;
            let at = places.entry(labels.clone()).or_insert_with(|| {
                series.push(labels.clone());
                series.len() - 1
            });
            Slot(u32::try_from(*at).unwrap())
        };
        Ok(series.iter().map(slot).collect())
    }

    fn append_row(&self, group: GroupId, ts: TimestampMs, row: &[f64]) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        if let Some(kind) = inner.fail {
            return Err(Error::new(kind, "no space left on device"));
        }
        let group = &mut inner.groups[group.0 as usize];
        assert!(group.key.is_some(), "closed");
        if group.last.is_some_and(|last| ts <= last) {
            return Err(Error::new(ErrorKind::OutOfOrder, "out of order"));
        }
        group.last = Some(ts);
        assert!(row.len() <= group.series.len());
        let row = row.iter().enumerate().filter(|(_, v)| !is_absent(**v));
        let row = row.map(|(i, v)| (group.series[i].clone(), *v)).collect();
        inner.rows.push((ts, row));
        Ok(())
    }

    fn close_group(&self, group: GroupId) {
        let mut inner = self.inner.lock();
        let key = inner.groups[group.0 as usize].key.take().expect("open");
        inner.open.remove(&key);
    }
}

impl SampleAppender for Memory {
    fn append(&self, batch: &[SeriesSample]) -> Result<AppendReport, Error> {
        self.inner.lock().singles.extend_from_slice(batch);
        Ok(AppendReport { accepted: batch.len(), ..AppendReport::default() })
    }
}

pub fn sinks(memory: &Arc<Memory>) -> Sinks {
    Sinks { rows: memory.clone(), samples: memory.clone(), stats: Arc::default(), metadata: Arc::default() }
}

pub fn settings() -> SampleSettings {
    SampleSettings::new(&config::ScrapeConfig::default())
}

pub fn ingest(memory: &Arc<Memory>, settings: SampleSettings) -> Ingest {
    let target = LabelSet::from_pairs([("job", "j"), ("instance", "i")]);
    Ingest::new(sinks(memory), Arc::new(settings), target.clone(), target, Duration::from_secs(10))
}

/// The shared conformance folder, a sibling of an ancestor of this crate.
pub fn conformance(part: &str) -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = here.ancestors().map(|a| a.join("shared/conformance").join(part)).find(|p| p.is_dir());
    if found.is_none() {
        println!("SKIPPED: conformance data {part} is not there");
    }
    found
}
