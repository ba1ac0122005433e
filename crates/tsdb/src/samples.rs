//! The per-series path: samples with their own timestamps.

use hashbrown::HashMap;
use storage::{AppendReport, Error, SampleAppender, SeriesSample};

use crate::Store;
use crate::loose::Verdict;
use crate::record;
use crate::store::{count, put_series_records};

impl SampleAppender for Store {
    fn append(&self, batch: &[SeriesSample]) -> Result<AppendReport, Error> {
        let mut definitions = self.definitions.lock();
        let now = (self.options.clock)();
        let latest = now.saturating_add(self.options.max_future_ms);
        let oldest = self.options.retention_ms.map_or(i64::MIN, |r| now.saturating_sub(r));
        let (refs, new) = self.resolve(batch.iter().map(|s| &s.labels), definitions.next_series)?;

        let mut report = AppendReport::default();
        let mut accepted: Vec<(u32, i64, f64)> = Vec::with_capacity(batch.len());
        // The newest of each series within this batch.
        let mut newest: HashMap<u32, (i64, u64)> = HashMap::new();
        let mut loose = self.loose.write();
        for (sample, &series) in batch.iter().zip(&refs) {
            let (ts, value) = (sample.ts, sample.value);
            if ts > latest || ts < oldest {
                report.out_of_bounds += 1;
                continue;
            }
            let verdict = match newest.get(&series) {
                Some(&last) => crate::loose::judge(Some(last), ts, value),
                None => loose.series.get(&series).map_or(Verdict::New, |s| s.judge(ts, value)),
            };
            match verdict {
                Verdict::New => {
                    newest.insert(series, (ts, value.to_bits()));
                    accepted.push((series, ts, value));
                    report.accepted += 1;
                }
                Verdict::Known => report.accepted += 1,
                Verdict::Duplicate => report.duplicate += 1,
                Verdict::OutOfOrder => report.out_of_order += 1,
            }
        }
        count(&self.counters.out_of_order, report.out_of_order as u64);
        if accepted.is_empty() {
            return Ok(report);
        }
        // A series whose samples were all refused is not created.
        let new: Vec<_> = new.into_iter().filter(|(series, _)| newest.contains_key(series)).collect();
        let mut frames = vec![];
        put_series_records(&mut frames, &new);
        record::put_samples(&mut frames, &accepted);
        self.write_log(&frames)?;
        self.insert_series(&mut definitions, &new)?;
        for &(series, ts, value) in &accepted {
            loose.push(series, ts, value);
        }
        drop(loose);
        drop(definitions);
        count(&self.counters.samples, accepted.len() as u64);
        self.after_write()?;
        Ok(report)
    }
}
