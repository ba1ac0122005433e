//! An instant vector on all steps: label sets and a row of cells for each.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use kernels::GridBlock;
use model::{Histogram, LabelSet, METRIC_NAME};
use storage::{QueryContext, histogram_cost};

use crate::error::QueryError;

/// Labels that describe a metric rather than tell series apart; dropped where values change their meaning.
pub(crate) const RESERVED: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// The label set without the reserved labels.
pub(crate) fn drop_reserved(labels: &LabelSet) -> LabelSet {
    if labels.byte_pairs().any(|(n, _)| RESERVED.iter().any(|r| r.as_bytes() == n)) {
        labels.without(&RESERVED)
    } else {
        labels.clone()
    }
}

/// A row's histograms with their steps, ascending.
pub(crate) type HistogramRow = Vec<(usize, Arc<Histogram>)>;

/// Rows of one grid with their labels. A step of a row is absent, a float (in `cells`) or a histogram (in `histograms`).
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) labels: Vec<LabelSet>,
    /// With delayed name removal: which rows lose their reserved labels in the end.
    pub(crate) drop_name: Vec<bool>,
    /// The floats.
    pub(crate) cells: GridBlock,
    /// The histograms of each row. Rows past its end have none, so that without any histogram this is empty.
    pub(crate) histograms: Vec<HistogramRow>,
    held: Held,
}

/// What a label set takes besides its bytes: the pointer and the counters of what is shared.
const LABEL_SET_BYTES: usize = 32;

/// A share of the query's budget, given back when dropped.
#[derive(Debug, Default)]
struct Held {
    ctx: Option<Arc<QueryContext>>,
    samples: usize,
    bytes: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(ctx) = &self.ctx {
            ctx.release(self.samples);
            ctx.release_bytes(self.bytes);
        }
    }
}

impl Block {
    pub(crate) fn new(steps: usize) -> Self {
        Self::from_parts(Vec::new(), GridBlock::new(0, steps))
    }

    pub(crate) fn from_parts(labels: Vec<LabelSet>, cells: GridBlock) -> Self {
        debug_assert_eq!(labels.len(), cells.rows(), "a label set per row");
        let drop_name = vec![false; labels.len()];
        Self { labels, drop_name, cells, histograms: Vec::new(), held: Held::default() }
    }

    pub(crate) fn steps(&self) -> usize {
        self.cells.steps()
    }

    pub(crate) fn rows(&self) -> usize {
        self.labels.len()
    }

    pub(crate) fn push(&mut self, labels: LabelSet, drop_name: bool, values: &[f64], present: &[u64]) {
        self.labels.push(labels);
        self.drop_name.push(drop_name);
        self.cells.push(values, present);
    }

    /// Gives a row its histograms.
    pub(crate) fn set_histograms(&mut self, row: usize, histograms: HistogramRow) {
        if histograms.is_empty() && self.histograms.len() <= row {
            return;
        }
        if self.histograms.len() <= row {
            self.histograms.resize_with(row + 1, Vec::new);
        }
        self.histograms[row] = histograms;
    }

    /// A row's histograms with their steps.
    pub(crate) fn histograms_of(&self, row: usize) -> &[(usize, Arc<Histogram>)] {
        self.histograms.get(row).map_or(&[], |h| h)
    }

    /// Takes a row's histograms out.
    pub(crate) fn take_histograms(&mut self, row: usize) -> HistogramRow {
        self.histograms.get_mut(row).map(std::mem::take).unwrap_or_default()
    }

    /// Whether any row has a histogram.
    pub(crate) fn has_histograms(&self) -> bool {
        self.histograms.iter().any(|h| !h.is_empty())
    }

    /// The histogram of a cell, if it is one.
    pub(crate) fn histogram(&self, row: usize, step: usize) -> Option<&Arc<Histogram>> {
        let row = self.histograms_of(row);
        row.binary_search_by_key(&step, |h| h.0).ok().map(|i| &row[i].1)
    }

    /// Presence words of a row, floats and histograms alike.
    pub(crate) fn presence(&self, row: usize) -> Cow<'_, [u64]> {
        let floats = self.cells.row(row).1;
        let histograms = self.histograms_of(row);
        if histograms.is_empty() {
            return Cow::Borrowed(floats);
        }
        let mut all = floats.to_vec();
        histograms.iter().for_each(|(step, _)| all[step / 64] |= 1 << (step % 64));
        Cow::Owned(all)
    }

    /// Keeps the cells of `row` whose bit is set in `keep`.
    pub(crate) fn mask(&mut self, row: usize, keep: &[u64]) {
        self.cells.row_mut(row).1.iter_mut().zip(keep).for_each(|(p, k)| *p &= k);
        if let Some(histograms) = self.histograms.get_mut(row) {
            histograms.retain(|(step, _)| kernels::bit(keep, *step));
        }
    }

    /// Makes a float cell absent.
    pub(crate) fn clear_float(&mut self, row: usize, step: usize) {
        self.cells.row_mut(row).1[step / 64] &= !(1 << (step % 64));
    }

    /// Leaves floats only; rows without any go.
    pub(crate) fn drop_histograms(&mut self) {
        if !self.histograms.is_empty() {
            self.histograms = Vec::new();
            self.retain_present();
        }
    }

    /// Whether a row has neither floats nor histograms.
    pub(crate) fn is_row_empty(&self, row: usize) -> bool {
        self.cells.is_row_empty(row) && self.histograms_of(row).is_empty()
    }

    pub(crate) fn append(&mut self, other: Self) {
        let Self { labels, drop_name, cells, histograms, .. } = other;
        if self.labels.is_empty() {
            (self.labels, self.drop_name, self.cells) = (labels, drop_name, cells);
            self.histograms = histograms;
            return;
        }
        if !histograms.is_empty() {
            self.histograms.resize_with(self.labels.len(), Vec::new);
            self.histograms.extend(histograms);
        }
        self.labels.extend(labels);
        self.drop_name.extend(drop_name);
        self.cells.append(cells);
    }

    /// Appends a part of a stream and charges it to the query's budget. What is there already is not looked at again: a selector of
    /// very many series comes in thousands of parts.
    pub(crate) fn append_accounted(
        &mut self,
        mut part: Self,
        ctx: &Arc<QueryContext>,
    ) -> Result<(), QueryError> {
        let result = part.account(ctx);
        self.held.ctx.get_or_insert_with(|| ctx.clone());
        self.held.samples += std::mem::take(&mut part.held.samples);
        self.held.bytes += std::mem::take(&mut part.held.bytes);
        self.append(part);
        result
    }

    /// Charges what the block holds now to the query's budget.
    ///
    /// A cell without a sample costs an eighth of one: it takes memory, but a sparse result should not fail where upstream's,
    /// which stores samples only, does not.
    pub(crate) fn account(&mut self, ctx: &Arc<QueryContext>) -> Result<(), QueryError> {
        let (values, present) = self.cells.cells();
        let samples: usize = present.iter().map(|w| w.count_ones() as usize).sum();
        let histograms: usize = self.histograms.iter().flatten().map(|(_, h)| histogram_cost(h)).sum();
        let cost = samples.max(values.len() / 8) + histograms;
        let labels: usize = self.labels.iter().map(|l| LABEL_SET_BYTES + l.as_bytes().len()).sum();
        let bytes = 8 * (values.len() + present.len()) + 16 * histograms + labels;
        if self.held.ctx.is_some() && (self.held.samples, self.held.bytes) == (cost, bytes) {
            return Ok(());
        }
        self.held = Held::default();
        // Counted even where a budget refuses it, so that dropping gives back what was taken.
        let (of_samples, of_bytes) = (ctx.hold(cost), ctx.hold_bytes(bytes));
        self.held = Held { ctx: Some(ctx.clone()), samples: cost, bytes };
        of_samples?;
        Ok(of_bytes?)
    }

    /// Drops the reserved labels of all rows, now or (delayed) in the end.
    pub(crate) fn drop_names(&mut self, delayed: bool) {
        if delayed {
            self.drop_name.fill(true);
        } else {
            for labels in &mut self.labels {
                *labels = drop_reserved(labels);
            }
        }
    }

    /// Removes rows without any value.
    pub(crate) fn retain_present(&mut self) {
        if (0..self.rows()).any(|row| self.is_row_empty(row)) {
            let keep: Vec<usize> = (0..self.rows()).filter(|&r| !self.is_row_empty(r)).collect();
            self.select(&keep);
        }
    }

    /// Keeps the rows listed, in that order.
    pub(crate) fn select(&mut self, rows: &[usize]) {
        let mut cells = GridBlock::new(0, self.steps());
        for &row in rows {
            let (values, present) = self.cells.row(row);
            cells.push(values, present);
        }
        self.labels = rows.iter().map(|&r| self.labels[r].clone()).collect();
        self.drop_name = rows.iter().map(|&r| self.drop_name[r]).collect();
        self.cells = cells;
        if !self.histograms.is_empty() {
            self.histograms = rows.iter().map(|&r| self.histograms_of(r).to_vec()).collect();
        }
    }

    /// Whether two rows have the same labels.
    pub(crate) fn has_duplicates(&self) -> bool {
        let mut seen =
            hashbrown::HashSet::with_capacity_and_hasher(self.rows(), foldhash::fast::RandomState::default());
        self.labels.iter().any(|l| !seen.insert(l.as_bytes()))
    }

    /// Joins rows of equal labels.
    ///
    /// # Errors
    /// When two of them have a value at the same step.
    pub(crate) fn merge_duplicates(&mut self) -> Result<(), QueryError> {
        if self.rows() < 2 || !self.has_duplicates() {
            return Ok(());
        }
        let mut first: HashMap<LabelSet, usize, foldhash::fast::RandomState> = HashMap::default();
        let mut merged = Self::new(self.steps());
        for row in 0..self.rows() {
            let (values, present) = self.cells.row(row);
            let histograms = self.histograms_of(row);
            match first.entry(self.labels[row].clone()) {
                hashbrown::hash_map::Entry::Vacant(entry) => {
                    entry.insert(merged.rows());
                    merged.push(self.labels[row].clone(), self.drop_name[row], values, present);
                    merged.set_histograms(merged.rows() - 1, histograms.to_vec());
                }
                hashbrown::hash_map::Entry::Occupied(entry) => {
                    let there = merged.presence(*entry.get());
                    if there.iter().zip(&*self.presence(row)).any(|(a, b)| a & b != 0) {
                        return Err(QueryError::same_labelset());
                    }
                    if !histograms.is_empty() {
                        let mut all = merged.take_histograms(*entry.get());
                        all.extend_from_slice(histograms);
                        all.sort_by_key(|(step, _)| *step);
                        merged.set_histograms(*entry.get(), all);
                    }
                    let (to, to_present) = merged.cells.row_mut(*entry.get());
                    for (i, v) in values.iter().enumerate() {
                        if kernels::bit(present, i) {
                            to[i] = *v;
                        }
                    }
                    to_present.iter_mut().zip(present).for_each(|(a, b)| *a |= b);
                }
            }
        }
        (self.labels, self.drop_name, self.cells) = (merged.labels, merged.drop_name, merged.cells);
        self.histograms = merged.histograms;
        Ok(())
    }

    /// One step's rows repeated on `steps` steps.
    pub(crate) fn broadcast(mut self, steps: usize) -> Self {
        if steps != 1 {
            self.cells = self.cells.broadcast(steps);
            for row in self.histograms.iter_mut().filter(|r| !r.is_empty()) {
                let histogram = Arc::clone(&row[0].1);
                *row = (0..steps).map(|step| (step, Arc::clone(&histogram))).collect();
            }
        }
        self
    }
}
