//! Functions of ranges: the kernel of each, over the rows of a subquery, and what is done with their results' labels.

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use kernels::{Grid, RangeFn, Windows, eval_column};
use model::{LabelSet, METRIC_NAME, MatchOp, Matcher};

use super::Evaluator;
use super::block::{Block, RESERVED};
use super::column::Samples;
use super::leaf::{Asked, Names};
use crate::error::QueryError;
use crate::plan::{Source, Window};

impl Evaluator<'_> {
    /// A range function over the rows of a subquery.
    pub(super) fn over_subquery(
        &self,
        asked: Asked,
        inner: &Block,
        inner_grid: &Grid,
        outer: &Grid,
    ) -> Result<Block, QueryError> {
        let Asked { f, range_ms, .. } = asked;
        let mut out = Block::new(outer.steps);
        let mut samples = Samples::default();
        let mut last_ts = Vec::new();
        let mut windows = Windows::default();
        for row in 0..inner.rows() {
            samples.read_row(inner, row, inner_grid);
            samples.forget_resets();
            if !samples.histograms.is_empty() {
                let labels = &inner.labels[row];
                if let Some(mut block) = self.mixed(asked, labels, samples.column(), outer)? {
                    block.drop_name[0] = inner.drop_name[row];
                    out.append(block);
                }
                continue;
            }
            let Samples { ts, values, .. } = &samples;
            // Most rows have a value at every step, and so the same windows.
            if windows.is_empty() || *ts != last_ts {
                windows = Windows::new(ts, outer, range_ms);
                last_ts.clone_from(ts);
            }
            let to = out.cells.push_row();
            let (cells, present) = out.cells.row_mut(to);
            eval_column(f, ts, values, &windows, outer, range_ms, cells, present);
            if out.cells.is_row_empty(to) {
                out.cells.pop_row();
            } else {
                out.labels.push(inner.labels[row].clone());
                out.drop_name.push(inner.drop_name[row]);
            }
        }
        Ok(out)
    }
}

/// What is done with the rows of a range function: names, duplicates, hints.
pub(super) struct AfterWindow<'a> {
    evaluator: &'a Evaluator<'a>,
    window: &'a Window,
    names: Names,
    /// The label sets so far, where dropping names can make two of them equal.
    seen: HashSet<LabelSet, RandomState>,
    distinct: bool,
    last_hinted: Option<LabelSet>,
}

impl<'a> AfterWindow<'a> {
    pub(super) fn new(evaluator: &'a Evaluator<'a>, window: &'a Window, names: Names) -> Self {
        let one_name = |m: &Matcher| m.name == METRIC_NAME && m.op == MatchOp::Equal;
        let distinct = match &window.range.source {
            Source::Selector { matchers, .. } => matchers.iter().any(one_name),
            Source::Subquery { .. } => false,
        };
        Self { evaluator, window, names, seen: HashSet::default(), distinct, last_hinted: None }
    }

    pub(super) fn apply(&mut self, mut block: Block) -> Result<Block, QueryError> {
        if self.names == Names::Unused {
            return Ok(block);
        }
        if matches!(self.window.name, "rate" | "increase") {
            self.hint_non_counters(&block);
        }
        let delayed = self.evaluator.delayed_name_removal;
        if !matches!(self.window.name, "last_over_time" | "first_over_time") {
            let reserved = |n: &[u8]| RESERVED.iter().any(|r| *r != METRIC_NAME && r.as_bytes() == n);
            let typed = |l: &LabelSet| l.byte_pairs().any(|(n, _)| reserved(n));
            let distinct = self.distinct && !block.labels.iter().any(typed);
            // Remarks on aggregated histograms name the metric, if it still has a name.
            if delayed || self.names == Names::Exact || !distinct || block.has_histograms() {
                block.drop_names(delayed);
            }
            if !delayed && !distinct {
                for labels in &block.labels {
                    if !self.seen.insert(labels.clone()) {
                        return Err(QueryError::same_labelset());
                    }
                }
            }
        } else if !delayed && block.has_duplicates() {
            return Err(QueryError::same_labelset());
        }
        Ok(block)
    }

    fn hint_non_counters(&mut self, block: &Block) {
        let mut notes = self.evaluator.notes.borrow_mut();
        for (row, labels) in block.labels.iter().enumerate() {
            let name = labels.metric_name();
            if !block.histograms_of(row).is_empty() && block.cells.is_row_empty(row) {
                continue;
            }
            if name.is_empty() || self.last_hinted.as_ref().is_some_and(|l| l.metric_name() == name) {
                continue;
            }
            let span = self.window.range.span;
            if self.evaluator.type_and_unit_labels {
                let kind = labels.value("__type__");
                if !matches!(kind, "counter" | "histogram") {
                    notes.possible_non_counter_label(name, kind, span);
                }
            } else {
                if !["_total", "_sum", "_count", "_bucket"].iter().any(|s| name.ends_with(s)) {
                    notes.possible_non_counter(name, span);
                }
                self.last_hinted = Some(labels.clone());
            }
        }
    }
}

/// The kernel of a function with its arguments.
pub(super) fn range_fn(name: &str, params: &[f64]) -> Result<RangeFn, QueryError> {
    let param = |i: usize| params.get(i).copied().unwrap_or(f64::NAN);
    Ok(match name {
        "rate" => RangeFn::Rate,
        "increase" => RangeFn::Increase,
        "delta" => RangeFn::Delta,
        "irate" => RangeFn::Irate,
        "idelta" => RangeFn::Idelta,
        "changes" => RangeFn::Changes,
        "resets" => RangeFn::Resets,
        "deriv" => RangeFn::Deriv,
        "predict_linear" => RangeFn::PredictLinear(param(0)),
        "avg_over_time" => RangeFn::AvgOverTime,
        "sum_over_time" => RangeFn::SumOverTime,
        "min_over_time" => RangeFn::MinOverTime,
        "max_over_time" => RangeFn::MaxOverTime,
        "count_over_time" => RangeFn::CountOverTime,
        "last_over_time" => RangeFn::LastOverTime,
        "first_over_time" => RangeFn::FirstOverTime,
        "present_over_time" => RangeFn::PresentOverTime,
        "stddev_over_time" => RangeFn::StddevOverTime,
        "stdvar_over_time" => RangeFn::StdvarOverTime,
        "quantile_over_time" => RangeFn::QuantileOverTime(param(0)),
        "mad_over_time" => RangeFn::MadOverTime,
        "ts_of_min_over_time" => RangeFn::TsOfMinOverTime,
        "ts_of_max_over_time" => RangeFn::TsOfMaxOverTime,
        "ts_of_first_over_time" => RangeFn::TsOfFirstOverTime,
        "ts_of_last_over_time" => RangeFn::TsOfLastOverTime,
        "double_exponential_smoothing" => {
            let (smoothing, trend) = (param(0), param(1));
            for (word, short, v) in [("smoothing", "sf", smoothing), ("trend", "tf", trend)] {
                if v <= 0.0 || v >= 1.0 {
                    return Err(QueryError::execution(format!(
                        "invalid {word} factor. Expected: 0 < {short} < 1, got: {v:.6}"
                    )));
                }
            }
            RangeFn::DoubleExponentialSmoothing { smoothing, trend }
        }
        other => return Err(QueryError::execution(format!("unknown range function {other:?}"))),
    })
}
