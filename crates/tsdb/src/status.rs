//! What the store says of itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::{Cardinality, HeadStats, NameCount, StoreStatus, TimeRange};

use crate::Store;
use crate::foreign;
use crate::group::Group;

impl Store {
    fn all_groups(&self) -> Vec<Arc<Group>> {
        self.groups.read().by_id.values().cloned().collect()
    }

    /// Oldest and newest sample.
    pub(crate) fn bounds(&self) -> Option<TimeRange> {
        let blocks = self.state.get();
        let of_blocks = blocks.blocks.iter().map(|b| (b.meta().mint, b.meta().maxt));
        let of_foreign = blocks.foreign.iter().map(|b| foreign::range_of(b)).map(|r| (r.mint, r.maxt));
        let of_head = self.head_bounds().map(|r| (r.mint, r.maxt));
        of_head.into_iter().chain(of_blocks).chain(of_foreign).fold(None, wider)
    }

    /// Those of the head.
    pub(crate) fn head_bounds(&self) -> Option<TimeRange> {
        let groups = self.all_groups();
        let of_groups = groups.iter().filter_map(|g| g.state.read().bounds());
        let of_loose = self.loose.read().bounds();
        of_groups.chain(of_loose).fold(None, wider)
    }
}

fn wider(all: Option<TimeRange>, (mint, maxt): (i64, i64)) -> Option<TimeRange> {
    let (mint, maxt) = all.map_or((mint, maxt), |a| (a.mint.min(mint), a.maxt.max(maxt)));
    Some(TimeRange { mint, maxt })
}

impl StoreStatus for Store {
    fn head_stats(&self) -> HeadStats {
        let range = self.head_bounds();
        let of_groups: u64 = self.all_groups().iter().map(|g| g.state.read().chunks()).sum();
        let of_loose: u64 = self.loose.read().iter().map(crate::loose::LooseSeries::chunks).sum();
        let (num_series, num_label_pairs) = {
            let index = self.index.read();
            let pairs = (0..index.pairs.count()).filter(|&id| !index.pairs.postings(id).is_empty());
            (index.live().len(), pairs.count() as u64)
        };
        let c = &self.counters;
        HeadStats {
            num_series,
            num_label_pairs,
            chunk_count: of_groups + of_loose,
            min_time: range.map_or(i64::MAX, |r| r.mint),
            max_time: range.map_or(i64::MIN, |r| r.maxt),
            samples_appended: c.samples.load(Ordering::Relaxed),
            series_created: c.series_created.load(Ordering::Relaxed),
            out_of_order: c.out_of_order.load(Ordering::Relaxed),
            log_bytes: self.log.lock().len_bytes(),
            chunk_bytes: self.chunks.lock().totals().1 + self.pieces.lock().totals().1,
            corruptions: c.corruptions.load(Ordering::Relaxed),
        }
    }

    fn cardinality(&self, limit: usize) -> Cardinality {
        let index = self.index.read();
        let mut by_metric = vec![];
        let mut by_pair = vec![];
        let mut values = vec![];
        let mut bytes = vec![];
        for name in index.pairs.names() {
            let (mut count, mut size) = (0, 0);
            for (value, postings) in index.pairs.of_name(name) {
                count += 1;
                // As upstream: each series counts the bytes of its value.
                size += value.len() as u64 * postings.len();
                by_pair.push((postings.len(), name, value));
                if name == model::METRIC_NAME {
                    by_metric.push((postings.len(), value));
                }
            }
            values.push((count, name));
            bytes.push((size, name));
        }
        let pairs = top(by_pair, limit).into_iter();
        Cardinality {
            series_count_by_metric_name: named(by_metric, limit),
            label_value_count_by_label_name: named(values, limit),
            memory_in_bytes_by_label_name: named(bytes, limit),
            series_count_by_label_value_pair: pairs
                .map(|(value, n, v)| NameCount { name: format!("{n}={v}"), value })
                .collect(),
        }
    }
}

fn named(all: Vec<(u64, &str)>, limit: usize) -> Vec<NameCount> {
    let all = all.into_iter().map(|(value, name)| (value, name, "")).collect();
    top(all, limit).into_iter().map(|(value, name, _)| NameCount { name: name.to_owned(), value }).collect()
}

/// The largest first; equal ones by name.
fn top<'a>(mut all: Vec<(u64, &'a str, &'a str)>, limit: usize) -> Vec<(u64, &'a str, &'a str)> {
    all.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    all.truncate(limit);
    all
}
