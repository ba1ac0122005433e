//! Leaves: selectors and functions of ranges, asked of the store as a whole and handed on batch by batch.

use kernels::{Grid, GridBlock, RangeFn, Windows, eval_window, linear_regression};
use model::{LabelSet, METRIC_NAME, MatchOp, Matcher};
use storage::{LeafBatch, LeafData, LeafOp, LeafRequest, histogram_cost};

use super::block::Block;
use super::column::{Column, Samples, TakeSeries, each_series};
use super::extended::Extended;
use super::range_call::{AfterWindow, range_fn};
use super::starts::starts_matter;
use super::{Evaluator, Out};
use crate::error::QueryError;
use crate::parser::{RangeModifier, Span};
use crate::plan::{Detail, Node, RangeNode, Selector, Source, Window};
use crate::value::Series;

/// Takes parts of a vector as they come.
pub(crate) type Sink<'a> = dyn FnMut(Block) -> Result<(), QueryError> + 'a;

/// Whether the taker of a stream looks at the reserved labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Exact,
    /// They may stay where they should be dropped, which saves building label sets.
    Irrelevant,
    /// No label at all is looked at: rows may come to be equal.
    Unused,
}

/// What a leaf with a function is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) f: RangeFn,
    pub(super) range_ms: i64,
    pub(super) detail: Detail,
    /// Where remarks point to.
    pub(super) span: Span,
}

/// Where remarks on a function's windows point to: its first argument.
pub(super) fn note_span(window: &Window) -> Span {
    match window.params.first() {
        Some((_, span)) if window.name == "quantile_over_time" => *span,
        _ => window.range.span,
    }
}

impl Evaluator<'_> {
    /// Evaluates a node that yields an instant vector, in parts where it is a leaf.
    pub(crate) fn stream(
        &self,
        node: &Node,
        grid: &Grid,
        names: Names,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        match node {
            Node::Select(selector) => self.select(selector, RangeFn::Last, grid, sink),
            Node::SelectTime(selector) => {
                let mut whole = Block::new(grid.steps);
                self.select(selector, RangeFn::LastTimestamp, grid, &mut |part| {
                    whole.append_accounted(part, &self.ctx)
                })?;
                whole.drop_names(self.delayed_name_removal);
                self.settle(&mut whole)?;
                sink(whole)
            }
            Node::Window(window) => self.window(window, grid, names, sink),
            other => sink(self.eval(other, grid)?.vector()?),
        }
    }

    pub(super) fn select(
        &self,
        selector: &Selector,
        f: RangeFn,
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        if selector.modifier == RangeModifier::Smoothed && f == RangeFn::Last {
            return self.smoothed_select(selector, grid, sink);
        }
        let at = (selector.at_ms, selector.offset_ms);
        let asked = Asked { f, range_ms: self.lookback_ms, detail: selector.detail, span: selector.span };
        self.run_range(&selector.matchers, asked, at, grid, sink)
    }

    /// Runs a leaf with a function. `@` and `offset` are folded into the grid.
    fn run_range(
        &self,
        matchers: &[Matcher],
        asked: Asked,
        (at_ms, offset_ms): (Option<i64>, i64),
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let shifted = shift(grid, at_ms, offset_ms);
        let (op, range_ms) = (LeafOp::Range(asked.f), asked.range_ms);
        let request = LeafRequest { matchers: matchers.to_vec(), op, range_ms, grid: shifted };
        self.run(&request, &mut |batch| match batch.data {
            LeafData::Grid(cells) => {
                let block = Block::from_parts(batch.labels, cells);
                sink(if at_ms.is_some() { block.broadcast(grid.steps) } else { block })
            }
            LeafData::Raw(raw) => each_series(&batch.labels, &raw, asked.detail, &mut |labels, column| {
                let Some(block) = self.mixed(asked, labels, column, &shifted)? else { return Ok(()) };
                sink(if at_ms.is_some() { block.broadcast(grid.steps) } else { block })
            }),
        })
    }

    /// Runs a leaf; an error of `take` ends it and is returned.
    pub(super) fn run(
        &self,
        request: &LeafRequest,
        take: &mut dyn FnMut(LeafBatch) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let mut own = None;
        let mut sink = |batch: LeafBatch| {
            self.tally_batch(request, &batch).and_then(|()| take(batch)).map_err(|e| {
                own = Some(e);
                storage::Error::new(storage::ErrorKind::Cancelled, "the evaluation ended the leaf")
            })
        };
        let result = self.store.run(request, &self.ctx, &mut sink);
        self.tally_leaf();
        match own {
            Some(error) => Err(error),
            None => Ok(result?),
        }
    }

    /// A function of a range vector.
    fn window(
        &self,
        window: &Window,
        grid: &Grid,
        names: Names,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        if window.name == "absent_over_time" {
            return sink(self.absent_over_time(&window.range, grid)?);
        }
        let params = self.params(window, grid)?;
        let mut after = AfterWindow::new(self, window, names);
        let mut sink = |block: Block| {
            let block = after.apply(block)?;
            if !block.labels.is_empty() {
                for ((_, span), q) in window.params.iter().zip(&params) {
                    self.check_quantile(window.name, q, *span);
                }
            }
            sink(block)
        };
        let RangeNode { source, range_ms, offset_ms, at_ms, .. } = &window.range;
        if let Some(range) = extended(&window.range) {
            return self.extended_window(window.name, &range, grid, &mut sink);
        }
        let span = note_span(window);
        let constant = params.iter().all(|p| p.iter().all(|v| v.to_bits() == p[0].to_bits()));
        // The prediction starts at the evaluation time, not at the end of a shifted window.
        let shifted = at_ms.is_some() || *offset_ms != 0;
        if !constant || (shifted && window.name == "predict_linear") {
            return self.window_by_step(window, &params, grid, &mut sink);
        }
        let first: Vec<f64> = params.iter().map(|p| p[0]).collect();
        let f = range_fn(window.name, &first)?;
        if self.use_start_timestamps && starts_matter(f) && matches!(source, Source::Selector { .. }) {
            return self.window_with_starts(f, window, grid, &mut sink);
        }
        match source {
            Source::Selector { matchers, detail, .. } => {
                let asked = Asked { f, range_ms: *range_ms, detail: *detail, span };
                self.run_range(matchers, asked, (*at_ms, *offset_ms), grid, &mut sink)
            }
            Source::Subquery { node, step_ms } => {
                let outer = shift(grid, *at_ms, *offset_ms);
                let Some((inner_grid, inner)) = self.subquery(node, *step_ms, *range_ms, &outer)? else {
                    return Ok(());
                };
                let asked = Asked { f, range_ms: *range_ms, detail: Detail::Whole, span };
                let block = self.over_subquery(asked, &inner, &inner_grid, &outer)?;
                sink(if at_ms.is_some() { block.broadcast(grid.steps) } else { block })
            }
        }
    }

    fn params(&self, window: &Window, grid: &Grid) -> Result<Vec<Vec<f64>>, QueryError> {
        window.params.iter().map(|(node, _)| self.eval(node, grid)?.scalar()).collect()
    }

    fn check_quantile(&self, name: &str, qs: &[f64], span: Span) {
        if name == "quantile_over_time" {
            for &q in qs.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                self.notes.borrow_mut().invalid_quantile(q, span);
            }
        }
    }

    /// Step by step on raw samples, for parameters that differ between steps.
    fn window_by_step(
        &self,
        window: &Window,
        params: &[Vec<f64>],
        grid: &Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), QueryError> {
        let RangeNode { range_ms, at_ms, offset_ms, .. } = &window.range;
        let range_ms = *range_ms;
        let ends = shift(grid, *at_ms, *offset_ms);
        let fns: Vec<RangeFn> = (0..grid.steps)
            .map(|i| range_fn(window.name, &params.iter().map(|p| p[i]).collect::<Vec<_>>()))
            .collect::<Result<_, _>>()?;
        self.raw(&window.range, grid, &mut |labels, column| {
            if !column.histograms.is_empty() {
                let Some(block) = self.mixed_by_step(window, &fns, labels, column, grid)? else {
                    return Ok(());
                };
                return sink(block);
            }
            let Column { ts, values, .. } = column;
            let windows: Vec<_> = Windows::new(ts, &ends, range_ms).iter().collect();
            let mut block = Block::from_parts(vec![labels.clone()], GridBlock::new(1, grid.steps));
            for (i, f) in fns.iter().enumerate() {
                let w = windows[if at_ms.is_some() { 0 } else { i }].clone();
                let (ts, values) = (&ts[w.clone()], &values[w]);
                let value = match f {
                    RangeFn::PredictLinear(_) if values.len() < 2 => None,
                    RangeFn::PredictLinear(ahead) => {
                        let (slope, intercept) = linear_regression(ts, values, grid.at(i));
                        Some(slope * ahead + intercept)
                    }
                    f => {
                        let end = ends.at(if at_ms.is_some() { 0 } else { i });
                        eval_window(*f, ts, values, end, range_ms)
                    }
                };
                if let Some(v) = value {
                    block.cells.set(0, i, v);
                }
            }
            block.retain_present();
            if block.rows() == 0 { Ok(()) } else { sink(block) }
        })
    }

    /// Hands on each series' samples of a range vector on all windows of `grid`.
    pub(crate) fn raw(
        &self,
        range: &RangeNode,
        grid: &Grid,
        take: &mut TakeSeries<'_>,
    ) -> Result<(), QueryError> {
        let RangeNode { source, range_ms, at_ms, offset_ms, .. } = range;
        let ends = shift(grid, *at_ms, *offset_ms);
        match source {
            Source::Selector { matchers, detail, .. } => {
                let matchers = matchers.clone();
                let request = LeafRequest { matchers, op: LeafOp::Select, range_ms: *range_ms, grid: ends };
                self.run(&request, &mut |batch| {
                    let LeafData::Raw(raw) = &batch.data else { return Err(wrong_batch()) };
                    let cost = raw.cost();
                    self.ctx.hold(cost)?;
                    let result = each_series(&batch.labels, raw, *detail, take);
                    self.ctx.release(cost);
                    result
                })
            }
            Source::Subquery { node, step_ms } => {
                let Some((inner_grid, inner)) = self.subquery(node, *step_ms, *range_ms, &ends)? else {
                    return Ok(());
                };
                let mut samples = Samples::default();
                for (row, labels) in inner.labels.iter().enumerate() {
                    samples.read_row(&inner, row, &inner_grid);
                    samples.forget_resets();
                    take(labels, samples.column())?;
                }
                Ok(())
            }
        }
    }

    /// Evaluates a subquery's inside on the grid that all windows ending on `outer` need; `None` where that is empty.
    fn subquery(
        &self,
        node: &Node,
        step_ms: Option<i64>,
        range_ms: i64,
        outer: &Grid,
    ) -> Result<Option<(Grid, Block)>, QueryError> {
        let step = step_ms.unwrap_or(self.default_subquery_step_ms).max(1);
        let after = outer.start.saturating_sub(range_ms);
        // The first multiple of the step after the first window's open start (division cuts towards zero).
        let mut start = step * (after / step);
        if start <= after {
            start += step;
        }
        if start > outer.end() {
            return Ok(None);
        }
        let grid = Grid::range(start, outer.end(), step);
        // Before anything of the grid's length is made: `vector(1)[100y:1ms]` ends here, not the process.
        self.ctx.hold(grid.steps)?;
        self.ctx.release(grid.steps);
        let evaluated = self.tally_subquery(&grid, outer, range_ms, || self.eval(node, &grid));
        let inner = match evaluated? {
            Out::Vector(block) => block,
            Out::Scalar(values) => {
                let mut block = Block::from_parts(vec![LabelSet::empty()], GridBlock::new(1, grid.steps));
                values.iter().enumerate().for_each(|(i, v)| block.cells.set(0, i, *v));
                block
            }
            Out::Text(_) => return Err(QueryError::execution("a subquery of a string")),
        };
        self.tally_windows(&inner, &grid, outer, range_ms);
        Ok(Some((grid, inner)))
    }

    /// A range vector at the root of an instant query.
    pub(crate) fn range_root(&self, range: &RangeNode, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        if let Some(range) = extended(range) {
            return self.extended_root(&range, grid);
        }
        let mut all = Vec::new();
        if let Source::Subquery { node, step_ms } = &range.source {
            let outer = shift(grid, range.at_ms, range.offset_ms);
            if let Some((inner_grid, mut inner)) = self.subquery(node, *step_ms, range.range_ms, &outer)? {
                self.finish(&mut inner)?;
                let mut samples = Samples::default();
                for (row, labels) in inner.labels.iter().enumerate() {
                    samples.read_row(&inner, row, &inner_grid);
                    all.push(samples.column().to_series(labels.clone()));
                }
            }
        } else {
            self.raw(range, grid, &mut |labels, column| {
                // Until the result is sent: `raw` gives back only what the batch held.
                self.ctx.hold(column_cost(column))?;
                self.ctx.hold_bytes(size_of::<Series>() + 16 * column_cost(column))?;
                all.push(column.to_series(labels.clone()));
                Ok(())
            })?;
        }
        all.retain(|s: &Series| !s.samples.is_empty() || !s.histograms.is_empty());
        Ok(all)
    }

    /// 1 at each step where no series has a sample in the window.
    fn absent_over_time(&self, range: &RangeNode, grid: &Grid) -> Result<Block, QueryError> {
        let present = Window { name: "present_over_time", range: range.clone(), params: Vec::new() };
        let mut any = vec![0_u64; grid.steps.div_ceil(64)];
        self.window(&present, grid, Names::Unused, &mut |block| {
            union(&block, &mut any);
            Ok(())
        })?;
        let labels = match &range.source {
            Source::Selector { matchers, .. } => absent_labels(matchers),
            Source::Subquery { .. } => LabelSet::empty(),
        };
        Ok(absent_block(labels, any, grid.steps))
    }
}

/// Adds a block's presence to `any`.
pub(crate) fn union(block: &Block, any: &mut [u64]) {
    for row in 0..block.rows() {
        any.iter_mut().zip(&*block.presence(row)).for_each(|(a, b)| *a |= b);
    }
}

/// The row of 1 at the steps that are not in `any`.
pub(crate) fn absent_block(labels: LabelSet, mut any: Vec<u64>, steps: usize) -> Block {
    any.iter_mut().for_each(|w| *w = !*w);
    kernels::mask_tail(&mut any, steps);
    let mut block = Block::new(steps);
    if any.iter().any(|w| *w != 0) {
        block.push(labels, false, &vec![1.0; steps], &any);
    }
    block
}

/// The labels that a selector matches by equality, once each: what the missing series would have.
pub(crate) fn absent_labels(matchers: &[Matcher]) -> LabelSet {
    let mut labels = model::LabelSetBuilder::default();
    let mut seen = Vec::new();
    for m in matchers.iter().filter(|m| m.name != METRIC_NAME) {
        if m.op == MatchOp::Equal && !seen.contains(&&m.name) {
            labels.set(&m.name, &m.value);
            seen.push(&m.name);
        } else {
            labels.remove(&m.name);
        }
    }
    labels.build()
}

/// The times at which windows end: the grid moved by `offset`, or the one time of `@`.
pub(super) fn shift(grid: &Grid, at_ms: Option<i64>, offset_ms: i64) -> Grid {
    match at_ms {
        Some(at) => Grid { start: at.saturating_sub(offset_ms), step: grid.step, steps: 1 },
        None => Grid { start: grid.start.saturating_sub(offset_ms), ..*grid },
    }
}

/// A range selector with a modifier, if it has one.
fn extended(range: &RangeNode) -> Option<Extended<'_>> {
    match &range.source {
        Source::Selector { matchers, modifier, detail } if *modifier != RangeModifier::None => {
            Some(Extended {
                matchers,
                detail: *detail,
                span: range.span,
                modifier: *modifier,
                range_ms: range.range_ms,
                at: (range.at_ms, range.offset_ms),
            })
        }
        _ => None,
    }
}

fn column_cost(column: Column<'_>) -> usize {
    column.ts.len() + column.histograms.iter().map(|(_, h)| histogram_cost(h)).sum::<usize>()
}

pub(super) fn wrong_batch() -> QueryError {
    QueryError::execution("the store answered a leaf with the wrong kind of batch")
}
