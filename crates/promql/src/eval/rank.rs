//! `topk`, `bottomk`, `limitk`, `limit_ratio`: aggregations that keep series as they are.

use kernels::{Grid, bit};
use model::float::format_g;

use super::Evaluator;
use super::aggregate::extremes;
use super::block::Block;
use crate::error::QueryError;
use crate::parser::AggregateOp;
use crate::plan::Aggregate;

impl Evaluator<'_> {
    pub(super) fn rank(&self, node: &Aggregate, grid: &Grid) -> Result<Block, QueryError> {
        let (params, span) = self.scalar_param(node, grid)?;
        let mut input = self.eval(&node.input, grid)?.vector()?;
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
        if matches!(node.op, AggregateOp::Topk | AggregateOp::Bottomk) && input.has_histograms() {
            self.notes.borrow_mut().ignored_in_aggregation(node.op.as_str(), node.span);
            input.drop_histograms();
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
                    op => {
                        // Not above the number of rows, so the cut is exact.
                        let k = (param as i64).clamp(0, here.len() as i64) as usize;
                        if op == AggregateOp::Limitk {
                            here[..k].to_vec()
                        } else {
                            let value = |r: usize| input.cells.row(r).0[step];
                            top(&here, k, op == AggregateOp::Topk, value)
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

/// The `k` rows with the greatest (or least) values, best first, NaN last; of equal values those that upstream keeps.
fn top(rows: &[usize], k: usize, greatest: bool, value: impl Fn(usize) -> f64) -> Vec<usize> {
    if k == 0 {
        return Vec::new();
    }
    // `a` comes before `b` in the heap: it is worse.
    let worse = |a: f64, b: f64| a.is_nan() || if greatest { a < b } else { a > b };
    let mut heap: Vec<(f64, usize)> = Vec::with_capacity(k);
    for &row in rows {
        let v = value(row);
        if heap.len() < k {
            heap.push((v, row));
            let last = heap.len() - 1;
            sift_up(&mut heap, last, &worse);
            continue;
        }
        let least = heap[0].0;
        let better = if greatest { least < v } else { least > v };
        if better || (least.is_nan() && !v.is_nan()) {
            heap[0] = (v, row);
            sift_down(&mut heap, 0, &worse);
        }
    }
    heap.sort_by(|&(a, _), &(b, _)| match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Greater,
        (false, true) => std::cmp::Ordering::Less,
        (false, false) => {
            let ascending = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
            if greatest { ascending.reverse() } else { ascending }
        }
    });
    heap.into_iter().map(|(_, row)| row).collect()
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
        let of = |k, greatest| top(&[0, 1, 2, 3, 4], k, greatest, |r| values[r]);
        let best: Vec<f64> = of(3, true).iter().map(|&r| values[r]).collect();
        assert_eq!(best, [5.0, 5.0, 3.0]);
        assert_eq!(of(2, false), [3, 0]);
        assert_eq!(of(5, false).last(), Some(&1));
        assert_eq!(of(0, true), [0; 0]);
    }
}
