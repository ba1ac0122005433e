//! An instant vector on all steps: label sets and a row of cells for each.

use std::sync::Arc;

use hashbrown::HashMap;
use kernels::GridBlock;
use model::{LabelSet, METRIC_NAME};
use storage::QueryContext;

use crate::error::QueryError;

/// Labels that describe a metric rather than tell series apart; dropped where values change their meaning.
pub(crate) const RESERVED: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// The label set without the reserved labels.
pub(crate) fn drop_reserved(labels: &LabelSet) -> LabelSet {
    if labels.iter().any(|(n, _)| RESERVED.contains(&n)) { labels.without(&RESERVED) } else { labels.clone() }
}

/// Rows of one grid with their labels.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) labels: Vec<LabelSet>,
    /// With delayed name removal: which rows lose their reserved labels in the end.
    pub(crate) drop_name: Vec<bool>,
    pub(crate) cells: GridBlock,
    held: Held,
}

/// A share of the query's budget, given back when dropped.
#[derive(Debug, Default)]
struct Held {
    ctx: Option<Arc<QueryContext>>,
    samples: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(ctx) = &self.ctx {
            ctx.release(self.samples);
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
        Self { labels, drop_name, cells, held: Held::default() }
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

    pub(crate) fn append(&mut self, other: Self) {
        let Self { labels, drop_name, cells, .. } = other;
        if self.labels.is_empty() {
            (self.labels, self.drop_name, self.cells) = (labels, drop_name, cells);
            return;
        }
        self.labels.extend(labels);
        self.drop_name.extend(drop_name);
        self.cells.append(cells);
    }

    /// Charges what the block holds now to the query's budget.
    ///
    /// A cell without a sample costs an eighth of one: it takes memory, but a sparse result should not fail where upstream's,
    /// which stores samples only, does not.
    pub(crate) fn account(&mut self, ctx: &Arc<QueryContext>) -> Result<(), QueryError> {
        let (values, present) = self.cells.cells();
        let samples: usize = present.iter().map(|w| w.count_ones() as usize).sum();
        let cost = samples.max(values.len() / 8);
        if self.held.ctx.is_some() && self.held.samples == cost {
            return Ok(());
        }
        self.held = Held::default();
        // Counted even where the budget refuses it, so that dropping gives back what was taken.
        let result = ctx.hold(cost);
        self.held = Held { ctx: Some(ctx.clone()), samples: cost };
        Ok(result?)
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
        if (0..self.rows()).any(|row| self.cells.is_row_empty(row)) {
            let keep: Vec<usize> = (0..self.rows()).filter(|&r| !self.cells.is_row_empty(r)).collect();
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
            match first.entry(self.labels[row].clone()) {
                hashbrown::hash_map::Entry::Vacant(entry) => {
                    entry.insert(merged.rows());
                    merged.push(self.labels[row].clone(), self.drop_name[row], values, present);
                }
                hashbrown::hash_map::Entry::Occupied(entry) => {
                    let (to, to_present) = merged.cells.row_mut(*entry.get());
                    if to_present.iter().zip(present).any(|(a, b)| a & b != 0) {
                        return Err(QueryError::same_labelset());
                    }
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
        Ok(())
    }

    /// One step's rows repeated on `steps` steps.
    pub(crate) fn broadcast(mut self, steps: usize) -> Self {
        if steps != 1 {
            self.cells = self.cells.broadcast(steps);
        }
        self
    }
}
