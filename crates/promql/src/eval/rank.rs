//! `topk`, `bottomk`, `limitk`, `limit_ratio`: aggregations that keep series as they are.

use kernels::{Grid, bit};
use model::LabelSet;
use model::float::format_g;

use super::Evaluator;
use super::aggregate::extremes;
use super::block::Block;
use super::leaf::Names;
use crate::error::QueryError;
use crate::parser::AggregateOp;
use crate::plan::Aggregate;

impl Evaluator<'_> {
    pub(super) fn rank(&self, node: &Aggregate, grid: &Grid) -> Result<Block, QueryError> {
        let (params, span) = self.scalar_param(node, grid)?;
        let by_value = matches!(node.op, AggregateOp::Topk | AggregateOp::Bottomk);
        // With one group what is kept is found as the rows come, and the others are never held together. (Heaps of many groups would
        // take more than all rows.) All must have come before an error is told.
        let one_group = by_value && node.grouping.is_empty() && !node.without;
        let mut streamed = Best::new(node, &params);
        let mut input = if one_group {
            self.stream(&node.input, grid, Names::Exact, &mut |mut part| {
                part.account(&self.ctx)?;
                let before = streamed.held;
                streamed.add(&part);
                self.ctx.check()?;
                let more = streamed.held - before;
                self.ctx.hold(more)?;
                Ok(self.ctx.hold_bytes(more * size_of::<(f64, usize)>())?)
            })?;
            // What is kept of it is counted as the result is.
            self.ctx.release(streamed.held);
            self.ctx.release_bytes(streamed.held * size_of::<(f64, usize)>());
            Block::new(grid.steps)
        } else {
            self.eval(&node.input, grid)?.vector()?
        };
        let (min, max) = extremes(&params);
        let any_nan = params.iter().any(|p| p.is_nan());
        if node.op == AggregateOp::LimitRatio {
            if max == 0.0 && min == 0.0 {
                return Ok(Block::new(grid.steps));
            }
            if any_nan {
                return Err(QueryError::execution("Ratio value is NaN"));
            }
            let mut notes = self.notes.borrow_mut();
            if max > 1.0 {
                notes.invalid_ratio(max, 1.0, span);
            }
            if min < -1.0 {
                notes.invalid_ratio(min, -1.0, span);
            }
        } else {
            if max < 1.0 {
                return Ok(Block::new(grid.steps));
            }
            if any_nan {
                return Err(QueryError::execution("Parameter value is NaN"));
            }
            if min <= i64::MIN as f64 {
                return Err(QueryError::execution(format!(
                    "Scalar value {} underflows int64",
                    format_g(min)
                )));
            }
            if max >= i64::MAX as f64 {
                return Err(QueryError::execution(format!("Scalar value {} overflows int64", format_g(max))));
            }
        }
        let has_histograms = streamed.met_histograms || input.has_histograms();
        if by_value && has_histograms {
            self.notes.borrow_mut().ignored_in_aggregation(node.op.as_str(), node.span);
            input.drop_histograms();
        }
        if one_group {
            return Ok(streamed.finish());
        }
        let (_, groups) = Self::rows_by_group(node, &input);
        // Rows keep their values; only their presence changes.
        let mut order = Vec::new();
        for rows in &groups {
            self.ctx.check()?;
            for (step, &param) in params.iter().enumerate() {
                let is_here =
                    |&r: &usize| bit(input.cells.row(r).1, step) || input.histogram(r, step).is_some();
                let here: Vec<usize> = rows.iter().copied().filter(is_here).collect();
                let kept = match node.op {
                    AggregateOp::LimitRatio => {
                        let ratio = param.clamp(-1.0, 1.0);
                        here.iter().copied().filter(|&r| sampled(&input, r, ratio)).collect()
                    }
                    _ => {
                        // Not above the number of rows, so the cut is exact.
                        let k = (param as i64).clamp(0, here.len() as i64) as usize;
                        if by_value {
                            let values = here.iter().map(|&r| (input.cells.row(r).0[step], r));
                            best(values, k, node.op == AggregateOp::Topk)
                                .into_iter()
                                .map(|(_, r)| r)
                                .collect()
                        } else {
                            here[..k].to_vec()
                        }
                    }
                };
                for &row in here.iter().filter(|r| !kept.contains(r)) {
                    input.clear_float(row, step);
                    if let Some(histograms) = input.histograms.get_mut(row) {
                        histograms.retain(|h| h.0 != step);
                    }
                }
                if grid.steps == 1 {
                    order.extend(kept);
                }
            }
        }
        if grid.steps == 1 {
            input.select(&order);
        } else {
            input.retain_present();
        }
        Ok(input)
    }
}

/// Whether `limit_ratio` keeps a series: by its hash, so that a ratio and its complement share no series.
fn sampled(block: &Block, row: usize, ratio: f64) -> bool {
    let offset = block.labels[row].upstream_hash() as f64 / u64::MAX as f64;
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

/// The rows with the greatest or least values of each step, as they come.
struct Best {
    greatest: bool,
    /// Of each step.
    ks: Vec<usize>,
    heaps: Vec<Vec<(f64, usize)>>,
    /// What a row must beat; NaN where any row may enter, or must be looked at more closely.
    bars: Vec<f64>,
    /// Of all rows so far.
    rows: Vec<(LabelSet, bool)>,
    /// Samples in all heaps.
    held: usize,
    /// Which do not rank.
    met_histograms: bool,
}

impl Best {
    fn new(node: &Aggregate, params: &[f64]) -> Self {
        Self {
            greatest: node.op == AggregateOp::Topk,
            // Nothing is set aside for a k; heaps grow with the rows there are.
            ks: params.iter().map(|p| *p as usize).collect(),
            heaps: vec![Vec::new(); params.len()],
            bars: vec![f64::NAN; params.len()],
            rows: Vec::new(),
            held: 0,
            met_histograms: false,
        }
    }

    fn add(&mut self, part: &Block) {
        self.met_histograms |= part.has_histograms();
        for (row, labels) in part.labels.iter().enumerate() {
            let id = self.rows.len();
            self.rows.push((labels.clone(), part.drop_name[row]));
            let (values, present) = part.cells.row(row);
            for (word, (values, bars)) in values.chunks(64).zip(self.bars.chunks_mut(64)).enumerate() {
                // Most rows are below the bar at most steps.
                let pairs = values.iter().zip(&*bars).enumerate();
                let enter = if self.greatest {
                    pairs.fold(0, |bits, (i, (v, bar))| {
                        bits | u64::from((v > bar) | v.is_nan() | bar.is_nan()) << i
                    })
                } else {
                    pairs.fold(0, |bits, (i, (v, bar))| {
                        bits | u64::from((v < bar) | v.is_nan() | bar.is_nan()) << i
                    })
                };
                let mut left = enter & present[word];
                while left != 0 {
                    let i = left.trailing_zeros() as usize;
                    left &= left - 1;
                    let step = word * 64 + i;
                    let heap = &mut self.heaps[step];
                    self.held -= heap.len();
                    bars[i] = enter_heap(heap, self.ks[step], (values[i], id), self.greatest);
                    self.held += heap.len();
                }
            }
        }
    }

    fn finish(self) -> Block {
        let steps = self.ks.len();
        let mut out = Block::new(steps);
        if steps == 1 {
            for (v, row) in best_first(self.heaps.concat(), self.greatest) {
                let (labels, drop_name) = &self.rows[row];
                out.push(labels.clone(), *drop_name, &[v], &[1]);
            }
            return out;
        }
        let mut place = vec![usize::MAX; self.rows.len()];
        self.heaps.iter().flatten().for_each(|&(_, row)| place[row] = 0);
        for (place, (labels, drop_name)) in place.iter_mut().zip(self.rows) {
            if *place == 0 {
                *place = out.cells.push_row();
                out.labels.push(labels);
                out.drop_name.push(drop_name);
            }
        }
        for (step, heap) in self.heaps.iter().enumerate() {
            heap.iter().for_each(|&(v, row)| out.cells.set(place[row], step, v));
        }
        out
    }
}

/// Takes a row into the heap of the `k` best if it is one of them; returns what the next must beat.
fn enter_heap(heap: &mut Vec<(f64, usize)>, k: usize, row: (f64, usize), greatest: bool) -> f64 {
    if k == 0 {
        return if greatest { f64::INFINITY } else { f64::NEG_INFINITY };
    }
    // `a` comes before `b` in the heap: it is worse.
    let worse = |a: f64, b: f64| a.is_nan() || if greatest { a < b } else { a > b };
    if heap.len() < k {
        heap.push(row);
        let last = heap.len() - 1;
        sift_up(heap, last, &worse);
    } else {
        let (least, v) = (heap[0].0, row.0);
        let better = if greatest { least < v } else { least > v };
        if better || (least.is_nan() && !v.is_nan()) {
            heap[0] = row;
            sift_down(heap, 0, &worse);
        }
    }
    if heap.len() < k { f64::NAN } else { heap[0].0 }
}

/// The `k` greatest (or least) values with their rows, best first, NaN last; of equal values those that upstream keeps.
fn best(rows: impl Iterator<Item = (f64, usize)>, k: usize, greatest: bool) -> Vec<(f64, usize)> {
    let mut heap = Vec::new();
    for row in rows {
        enter_heap(&mut heap, k, row, greatest);
    }
    best_first(heap, greatest)
}

fn best_first(mut heap: Vec<(f64, usize)>, greatest: bool) -> Vec<(f64, usize)> {
    heap.sort_by(|&(a, _), &(b, _)| match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Greater,
        (false, true) => std::cmp::Ordering::Less,
        (false, false) => {
            let ascending = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
            if greatest { ascending.reverse() } else { ascending }
        }
    });
    heap
}

// A binary heap like Go's `container/heap`, so that among equal values the same ones stay.

fn sift_up(heap: &mut [(f64, usize)], mut at: usize, worse: &impl Fn(f64, f64) -> bool) {
    while at > 0 {
        let parent = (at - 1) / 2;
        if !worse(heap[at].0, heap[parent].0) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

fn sift_down(heap: &mut [(f64, usize)], mut at: usize, worse: &impl Fn(f64, f64) -> bool) {
    loop {
        let mut child = 2 * at + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && worse(heap[child + 1].0, heap[child].0) {
            child += 1;
        }
        if !worse(heap[child].0, heap[at].0) {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_first_and_nan_last() {
        let nan = f64::NAN;
        let values = [3.0, nan, 5.0, 1.0, 5.0];
        let of = |k: usize, greatest: bool| {
            let rows = values.iter().enumerate().map(|(row, &v)| (v, row));
            best(rows, k, greatest).into_iter().map(|(_, row)| row).collect::<Vec<_>>()
        };
        let first: Vec<f64> = of(3, true).iter().map(|&r| values[r]).collect();
        assert_eq!(first, [5.0, 5.0, 3.0]);
        assert_eq!(of(2, false), [3, 0]);
        assert_eq!(of(5, false).last(), Some(&1));
        assert_eq!(of(0, true), [0; 0]);
        assert_eq!(of(9, true).len(), 5);
    }
}
