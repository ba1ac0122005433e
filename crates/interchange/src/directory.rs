//! A whole data directory of Prometheus: blocks and the head's log, joined by series.

use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use model::{Histogram, LabelSet, Matcher};

use crate::Error;
use crate::block::{Block, TimeRange, is_ulid};
use crate::chunk::{self, Encoded, Samples};
use crate::wal::{self, Event, head_chunks};

/// Labels and samples of one series.
pub type SeriesSamples = (LabelSet, Samples);

/// A data directory that is only read.
#[derive(Debug)]
pub struct Directory {
    dir: PathBuf,
    blocks: Vec<Block>,
}

impl Directory {
    /// Opens all blocks of `dir`. Half-written ones (`.tmp-for-creation`) are passed over. The log is read by
    /// [`Directory::read_head`].
    ///
    /// # Errors
    /// When `dir` or a block in it cannot be read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let mut blocks = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(|e| Error::io("read", dir, e))? {
            let path = entry.map_err(|e| Error::io("read", dir, e))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if is_ulid(name) && path.is_dir() {
                blocks.push(Block::open(&path)?);
            }
        }
        blocks.sort_by(|a, b| (a.meta().min_time, &a.meta().ulid).cmp(&(b.meta().min_time, &b.meta().ulid)));
        Ok(Self { dir: dir.to_owned(), blocks })
    }

    /// Whether `dir` looks like one: it has a block, or a log.
    #[must_use]
    pub fn is_one(dir: &Path) -> bool {
        let is_block = |path: PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(is_ulid);
        dir.join("wal").is_dir()
            || std::fs::read_dir(dir).is_ok_and(|mut all| all.any(|e| e.is_ok_and(|e| is_block(e.path()))))
    }

    /// The blocks by time.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Samples of the log before this time are in blocks: the end of the last block that was made in order.
    #[must_use]
    pub fn head_begins(&self) -> i64 {
        let ends = self.blocks.iter().map(Block::meta).filter(|m| !m.is_out_of_order()).map(|m| m.max_time);
        ends.max().unwrap_or(i64::MIN)
    }

    /// Reads the log into memory, compressed. When it is damaged, what `chunks_head/` still has is added.
    ///
    /// # Errors
    /// When files cannot be opened; damage is told in [`Head::report`].
    pub fn read_head(&self) -> Result<Head, Error> {
        Head::read(&self.dir, self.head_begins())
    }

    /// Hands each series that any of the matcher sets selects, with its samples within `range`, to `sink`: in label order, each once,
    /// those without samples left out. Without sets: all series.
    ///
    /// # Errors
    /// Damage in a block; what `sink` returns.
    pub fn for_each(
        &self,
        head: Option<&Head>,
        matcher_sets: &[Vec<Matcher>],
        range: TimeRange,
        sink: &mut dyn FnMut(SeriesSamples) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut sources = Vec::new();
        for block in &self.blocks {
            let meta = block.meta();
            if meta.min_time <= range.maxt && range.mint < meta.max_time.max(meta.min_time.saturating_add(1))
            {
                let references = select_any(block, matcher_sets)?;
                let series = references.into_iter().map(|r| {
                    let series = block.resolve(r)?;
                    Ok((series.labels.clone(), block.samples(&series, range)?))
                });
                sources.push((Box::new(series) as Source<'_>).peekable());
            }
        }
        if let Some(head) = head {
            let selects = move |l: &LabelSet| {
                matcher_sets.is_empty()
                    || matcher_sets.iter().any(|set| set.iter().all(|m| m.matches_labels(l)))
            };
            let series = head.series.iter().filter(move |(l, _)| selects(l));
            let series = series.map(move |(l, s)| Ok((l.clone(), s.samples(range)?)));
            sources.push((Box::new(series) as Source<'_>).peekable());
        }
        while let Some(series) = next_merged(&mut sources)? {
            if !series.1.is_empty() {
                sink(series)?;
            }
        }
        Ok(())
    }
}

type Source<'a> = Box<dyn Iterator<Item = Result<SeriesSamples, Error>> + 'a>;

fn select_any(block: &Block, matcher_sets: &[Vec<Matcher>]) -> Result<Vec<u64>, Error> {
    match matcher_sets {
        [] => block.select(&[]),
        [one] => block.select(one),
        many => {
            let mut all = Vec::new();
            for set in many {
                all.append(&mut block.select(set)?);
            }
            all.sort_unstable();
            all.dedup();
            Ok(all)
        }
    }
}

/// The least series of all sources, their samples joined.
fn next_merged(sources: &mut [Peekable<Source<'_>>]) -> Result<Option<SeriesSamples>, Error> {
    let mut least: Option<LabelSet> = None;
    for source in sources.iter_mut() {
        if let Some(Err(e)) = source.next_if(Result::is_err) {
            return Err(e);
        }
        if let Some(Ok((labels, _))) = source.peek()
            && least.as_ref().is_none_or(|l| labels < l)
        {
            least = Some(labels.clone());
        }
    }
    let Some(labels) = least else { return Ok(None) };
    let mut samples = Samples::default();
    for source in sources {
        if let Some(Ok((_, more))) = source.next_if(|s| s.as_ref().is_ok_and(|(l, _)| *l == labels)) {
            samples = join(samples, more);
        }
    }
    Ok(Some((labels, samples)))
}

/// Both in order of time; where they share a time the first wins, and a float before a histogram.
fn join(mut a: Samples, mut b: Samples) -> Samples {
    if a.is_empty() {
        return b;
    }
    a.floats.append(&mut b.floats);
    a.histograms.append(&mut b.histograms);
    in_order(&mut a);
    a
}

fn in_order(s: &mut Samples) {
    // Stable, so that of equal times the first stays.
    if !s.floats.is_sorted_by(|a, b| a.0 < b.0) {
        s.floats.sort_by_key(|(ts, _)| *ts);
        s.floats.dedup_by_key(|(ts, _)| *ts);
    }
    if s.histograms.is_empty() {
        return;
    }
    if !s.histograms.is_sorted_by(|a, b| a.0 < b.0) {
        s.histograms.sort_by_key(|(ts, _)| *ts);
        s.histograms.dedup_by_key(|(ts, _)| *ts);
    }
    let floats = &s.floats;
    s.histograms.retain(|(ts, _)| floats.binary_search_by_key(ts, |(t, _)| *t).is_err());
}

/// The head's series, from its log.
#[derive(Debug, Default)]
pub struct Head {
    series: BTreeMap<LabelSet, HeadSeries>,
    /// What reading the log met.
    pub report: wal::Report,
    /// Samples whose series the log does not name (its record was damaged).
    pub unknown: u64,
}

/// A series' samples, compressed as they come.
#[derive(Debug, Default)]
struct HeadSeries {
    sealed: Vec<Encoded>,
    open: Samples,
    deleted: Vec<TimeRange>,
}

impl HeadSeries {
    fn push_float(&mut self, ts: i64, value: f64) {
        self.open.floats.push((ts, value));
        self.seal_when_full();
    }

    fn push_histogram(&mut self, ts: i64, histogram: Histogram) {
        self.open.histograms.push((ts, histogram));
        self.seal_when_full();
    }

    fn seal_when_full(&mut self) {
        if self.open.len() >= chunk::SAMPLES_PER_CHUNK {
            in_order(&mut self.open);
            // In order now, so that encoding cannot fail; were it to, the samples stay as they are.
            if let Ok(mut chunks) = chunk::encode(&self.open) {
                self.sealed.append(&mut chunks);
                self.open = Samples::default();
            }
        }
    }

    fn samples(&self, range: TimeRange) -> Result<Samples, Error> {
        let mut out = Samples::default();
        for chunk in self.sealed.iter().filter(|c| c.mint <= range.maxt && range.mint <= c.maxt) {
            chunk::decode(chunk.encoding, &chunk.data, &mut out)?;
        }
        out.floats.extend_from_slice(&self.open.floats);
        out.histograms.extend_from_slice(&self.open.histograms);
        let keep = |ts: i64| range.contains(ts) && !self.deleted.iter().any(|d| d.contains(ts));
        out.floats.retain(|(ts, _)| keep(*ts));
        out.histograms.retain(|(ts, _)| keep(*ts));
        in_order(&mut out);
        Ok(out)
    }
}

impl Head {
    /// Reads the log of the data directory `dir`, its samples from `begins` on and all late ones.
    fn read(dir: &Path, begins: i64) -> Result<Self, Error> {
        let mut head = Self::default();
        let mut labels_of: HashMap<u64, LabelSet> = HashMap::new();
        let mut report = wal::read(dir, &mut |e| head.take(&mut labels_of, begins, e))?;
        let late = wal::read_late(dir, &mut |e| head.take(&mut labels_of, i64::MIN, e))?;
        report.segments += late.segments;
        report.records += late.records;
        report.bytes_left_out += late.bytes_left_out;
        report.damage.extend(late.damage);
        if !report.damage.is_empty() {
            let chunks = head_chunks::read(dir, &mut |chunk| {
                let Some(series) = labels_of.get(&chunk.reference).and_then(|l| head.series.get_mut(l))
                else {
                    return;
                };
                let wanted = |ts: i64| chunk.is_late || ts >= begins;
                chunk.samples.floats.iter().filter(|s| wanted(s.0)).for_each(|s| series.push_float(s.0, s.1));
                for (ts, h) in chunk.samples.histograms.into_iter().filter(|s| s.0 >= begins || chunk.is_late)
                {
                    series.push_histogram(ts, h);
                }
            })?;
            report.damage.extend(chunks.damage);
        }
        head.report = report;
        Ok(head)
    }

    fn take(&mut self, labels_of: &mut HashMap<u64, LabelSet>, begins: i64, event: Event) {
        let reference = match &event {
            Event::Series { reference, labels } => {
                self.series.entry(labels.clone()).or_default();
                labels_of.insert(*reference, labels.clone());
                return;
            }
            Event::Sample { reference, ts, .. } | Event::Histogram { reference, ts, .. } => {
                if *ts < begins {
                    return;
                }
                *reference
            }
            Event::Tombstone { reference, .. } => *reference,
            Event::Exemplar { .. } | Event::Metadata { .. } => return,
        };
        let Some(series) = labels_of.get(&reference).and_then(|l| self.series.get_mut(l)) else {
            self.unknown += 1;
            return;
        };
        match event {
            Event::Sample { ts, value, .. } => series.push_float(ts, value),
            Event::Histogram { ts, histogram, .. } => series.push_histogram(ts, *histogram),
            Event::Tombstone { mint, maxt, .. } => series.deleted.push(TimeRange { mint, maxt }),
            Event::Series { .. } | Event::Exemplar { .. } | Event::Metadata { .. } => {}
        }
    }

    /// First and last sample, deleted ones too.
    #[must_use]
    pub fn bounds(&self) -> Option<TimeRange> {
        let sealed = self.series.values().flat_map(|s| &s.sealed).map(|c| (c.mint, c.maxt));
        let open = self.series.values().map(|s| &s.open);
        let times = open.flat_map(|o| o.floats.iter().map(|f| f.0).chain(o.histograms.iter().map(|h| h.0)));
        let all = sealed.chain(times.map(|t| (t, t)));
        all.map(|(mint, maxt)| TimeRange { mint, maxt })
            .reduce(|a, b| TimeRange { mint: a.mint.min(b.mint), maxt: a.maxt.max(b.maxt) })
    }

    /// Hands each series that has samples within `range` to `sink`, in label order.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn for_each<E: From<Error>>(
        &self,
        range: TimeRange,
        sink: &mut dyn FnMut(SeriesSamples) -> Result<(), E>,
    ) -> Result<(), E> {
        for (labels, series) in &self.series {
            let samples = series.samples(range)?;
            if !samples.is_empty() {
                sink((labels.clone(), samples))?;
            }
        }
        Ok(())
    }

    /// How many series it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}
