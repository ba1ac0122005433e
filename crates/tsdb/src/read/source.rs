//! The head as blocks are written from it: its series in label order, each with all that is stored of it.

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::HashSet;
use kernels::Grid;
use model::LabelSet;
use roaring::RoaringBitmap;
use storage::{Error, LeafOp, LeafRequest, TimeRange};

use super::column::SeriesReader;
use super::join::Selection;
use super::view::LooseView;
use crate::Store;
use crate::block::SeriesData;
use crate::index::Index;

/// Series that are read at once.
const WAVE_SERIES: usize = 4096;

impl Store {
    /// Hands each series of the head that has samples in `range` to `take`, in label order; those of rows, and loose ones where
    /// they are asked for. Rows that blocks have are left out, and what is deleted.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) fn each_of_head(
        &self,
        range: TimeRange,
        with_loose: bool,
        take: &mut dyn FnMut(&LabelSet, &SeriesData<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let request = LeafRequest {
            matchers: vec![],
            op: LeafOp::Samples,
            range_ms: range.maxt.saturating_sub(range.mint).saturating_add(1),
            grid: Grid::instant(range.maxt),
        };
        let state = self.state.get();
        let buckets = first_pairs(&self.index.read());
        let mut waiting: Vec<u32> = vec![];
        for (i, &bucket) in buckets.iter().enumerate() {
            waiting.extend(in_label_order(&self.index.read(), bucket));
            if waiting.len() < WAVE_SERIES && i + 1 < buckets.len() {
                continue;
            }
            for wave in waiting.chunks(WAVE_SERIES) {
                let selection = Selection::of_head(Arc::clone(&state), wave);
                let (units, mut wave) = self.describe(&selection, &[&selection.entries], &request);
                if !with_loose {
                    wave.loose = LooseView::default();
                }
                let mut reader = SeriesReader::default();
                for selected in units.iter().flatten() {
                    self.read_series(selected, &selection, &wave, &request, &mut reader);
                    let (ts, values) = reader.samples();
                    let histograms = reader.histograms();
                    if !ts.is_empty() || !histograms.is_empty() {
                        take(&selected.labels, &SeriesData { ts, values, histograms })?;
                    }
                }
            }
            waiting.clear();
        }
        Ok(())
    }
}

/// The first pair of each series, in order; series are read bucket by bucket so that the index is never held for long. `None` is
/// the series without labels.
fn first_pairs(index: &Index) -> Vec<Option<u32>> {
    let firsts: HashSet<Option<u32>> = index.live().iter().map(|s| index.pair_ids(s).next()).collect();
    let mut firsts: Vec<Option<u32>> = firsts.into_iter().collect();
    firsts.sort_unstable_by_key(|id| id.map(|id| index.pairs.get(id)));
    firsts
}

fn in_label_order(index: &Index, bucket: Option<u32>) -> Vec<u32> {
    let first = |s: &u32| index.pair_ids(*s).next() == bucket;
    let mut of_pair = RoaringBitmap::new();
    let all = match bucket {
        Some(pair) => {
            index.pairs.postings(pair).add_to(&mut of_pair);
            &of_pair
        }
        None => index.live(),
    };
    let mut series: Vec<u32> = all.iter().filter(first).collect();
    series.sort_unstable_by(|&a, &b| by_labels(index, a, b));
    series
}

/// The order of the label sets, by their pairs: equal numbers are equal pairs.
fn by_labels(index: &Index, a: u32, b: u32) -> Ordering {
    let (a, b) = (index.pair_ids(a), index.pair_ids(b));
    let differ = a.clone().zip(b.clone()).find(|(a, b)| a != b);
    differ.map_or_else(|| a.len().cmp(&b.len()), |(a, b)| index.pairs.get(a).cmp(&index.pairs.get(b)))
}
