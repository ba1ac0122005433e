//! Functions of instant vectors and scalars.

use kernels::{Grid, GridBlock};
use model::{Histogram, LabelSet, METRIC_NAME, NORMAL_NAN};

use super::block::Block;
use super::leaf::{absent_block, absent_labels, union};
use super::{Evaluator, Out, histogram, labels};
use crate::dates::Date;
use crate::error::QueryError;
use crate::parser::{Span, function};
use crate::plan::{Call, Node};

/// Arguments of a call, evaluated.
pub(super) struct Args<'a> {
    values: std::vec::IntoIter<Out>,
    nodes: &'a [(Node, Span)],
}

impl Args<'_> {
    pub(super) fn vector(&mut self) -> Result<Block, QueryError> {
        self.next()?.vector()
    }

    pub(super) fn scalar(&mut self) -> Result<Vec<f64>, QueryError> {
        self.next()?.scalar()
    }

    pub(super) fn text(&mut self) -> Result<String, QueryError> {
        match self.next()? {
            Out::Text(text) => Ok(text),
            _ => Err(QueryError::execution("expected a string")),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.len() == 0
    }

    /// Where argument `i` stands.
    pub(super) fn span(&self, i: usize) -> Span {
        self.nodes.get(i).map_or_else(Span::default, |(_, span)| *span)
    }

    fn next(&mut self) -> Result<Out, QueryError> {
        self.values.next().ok_or_else(|| QueryError::execution("missing argument"))
    }
}

impl Evaluator<'_> {
    pub(super) fn call(&self, call: &Call, grid: &Grid) -> Result<Out, QueryError> {
        let values: Vec<Out> =
            call.args.iter().map(|(node, _)| self.eval(node, grid)).collect::<Result<_, _>>()?;
        let mut args = Args { values: values.into_iter(), nodes: &call.args };
        let steps = grid.steps;
        if let Some(f) = function(call.name).and_then(|f| f.of_number) {
            return self.map(args.vector()?, |_, v| f(v));
        }
        if let Some(field) = date_field(call.name) {
            let block = if args.is_empty() {
                let now: Vec<f64> = grid.times().map(|t| t.div_euclid(1000) as f64).collect();
                from_scalar(&now)
            } else {
                args.vector()?
            };
            return self.map(block, |_, v| field(&Date::of(v as i64)) as f64);
        }
        Ok(match call.name {
            "pi" => Out::Scalar(vec![std::f64::consts::PI; steps]),
            "time" => Out::Scalar(grid.times().map(|t| t as f64 / 1000.0).collect()),
            "max_of" | "min_of" => {
                let pick = if call.name == "max_of" { go_max } else { go_min };
                let (mut a, b) = (args.scalar()?, args.scalar()?);
                a.iter_mut().zip(&b).for_each(|(a, b)| *a = pick(*a, *b));
                Out::Scalar(a)
            }
            "vector" => Out::Vector(from_scalar(&args.scalar()?)),
            "scalar" => Out::Scalar(to_scalar(&args.vector()?)),
            "clamp" => {
                let (block, min, max) = (args.vector()?, args.scalar()?, args.scalar()?);
                return self.clamp(block, &min, &max);
            }
            "clamp_min" => {
                let (block, min) = (args.vector()?, args.scalar()?);
                return self.clamp(block, &min, &vec![f64::INFINITY; steps]);
            }
            "clamp_max" => {
                let (block, max) = (args.vector()?, args.scalar()?);
                return self.clamp(block, &vec![f64::NEG_INFINITY; steps], &max);
            }
            "round" => {
                let block = args.vector()?;
                let to = if args.is_empty() { vec![1.0; steps] } else { args.scalar()? };
                return self.map(block, |i, v| {
                    let inverse = 1.0 / to[i];
                    (v * inverse + 0.5).floor() / inverse
                });
            }
            "timestamp" => {
                let mut block = args.vector()?;
                each_histogram(&mut block, |_| 0.0);
                return self.map(block, |i, _| grid.at(i) as f64 / 1000.0);
            }
            "absent" => {
                let block = args.vector()?;
                let mut any = vec![0; steps.div_ceil(64)];
                union(&block, &mut any);
                let labels = match &call.args[0].0 {
                    Node::Select(selector) => absent_labels(&selector.matchers),
                    _ => LabelSet::empty(),
                };
                Out::Vector(absent_block(labels, any, steps))
            }
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                if steps > 1 {
                    self.notes.borrow_mut().sort_in_range(call.span);
                }
                let mut block = args.vector()?;
                if matches!(call.name, "sort" | "sort_desc") {
                    block.drop_histograms();
                }
                if steps == 1 {
                    labels::sort(call.name, &mut block, &mut args)?;
                }
                self.settle(&mut block)?;
                Out::Vector(block)
            }
            "label_replace" => Out::Vector(labels::replace(&mut args)?),
            "label_join" => Out::Vector(labels::join(&mut args)?),
            "histogram_quantile" => Out::Vector(histogram::quantile(self, &mut args, grid)?),
            "histogram_quantiles" => Out::Vector(histogram::quantiles(self, &mut args, grid)?),
            "histogram_fraction" => Out::Vector(histogram::fraction(self, &mut args, grid)?),
            "histogram_avg" => return self.of_histograms(args.vector()?, crate::histogram::avg),
            "histogram_count" => return self.of_histograms(args.vector()?, |h| h.count),
            "histogram_sum" => return self.of_histograms(args.vector()?, |h| h.sum),
            "histogram_stddev" => return self.of_histograms(args.vector()?, crate::histogram::stddev),
            "histogram_stdvar" => return self.of_histograms(args.vector()?, crate::histogram::stdvar),
            // Samples have none.
            "start_timestamp" => Out::Vector(Block::new(steps)),
            other => return Err(QueryError::execution(format!("function {other}() is not supported yet"))),
        })
    }

    /// A function of each histogram; floats are left out.
    fn of_histograms(&self, mut block: Block, f: impl Fn(&Histogram) -> f64) -> Result<Out, QueryError> {
        block.cells.cells_mut().1.fill(0);
        each_histogram(&mut block, f);
        block.retain_present();
        if self.delayed_name_removal {
            block.drop_names(true);
        } else {
            // Type and unit stay, other than with all other functions.
            block.labels.iter_mut().for_each(|labels| *labels = labels.without(&[METRIC_NAME]));
        }
        self.settle(&mut block)?;
        Ok(Out::Vector(block))
    }

    /// A function of each float, given its step; drops names, and histograms.
    fn map(&self, mut block: Block, f: impl Fn(usize, f64) -> f64) -> Result<Out, QueryError> {
        block.drop_histograms();
        for row in 0..block.rows() {
            let values = block.cells.row_mut(row).0;
            values.iter_mut().enumerate().for_each(|(i, v)| *v = f(i, *v));
        }
        block.drop_names(self.delayed_name_removal);
        self.settle(&mut block)?;
        Ok(Out::Vector(block))
    }

    fn clamp(&self, mut block: Block, min: &[f64], max: &[f64]) -> Result<Out, QueryError> {
        for row in 0..block.rows() {
            let (values, present) = block.cells.row_mut(row);
            for (i, v) in values.iter_mut().enumerate() {
                *v = go_max(min[i], go_min(max[i], *v));
                if max[i] < min[i] {
                    present[i / 64] &= !(1 << (i % 64));
                }
            }
        }
        block.histograms = Vec::new();
        block.drop_names(self.delayed_name_removal);
        block.retain_present();
        self.settle(&mut block)?;
        Ok(Out::Vector(block))
    }
}

/// Puts a number in the place of each histogram.
fn each_histogram(block: &mut Block, f: impl Fn(&Histogram) -> f64) {
    for (row, histograms) in std::mem::take(&mut block.histograms).into_iter().enumerate() {
        histograms.iter().for_each(|(step, h)| block.cells.set(row, *step, f(h)));
    }
}

/// Go's `math.Max`: NaN wins, except over +Inf.
fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        NORMAL_NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`: NaN wins, except over -Inf.
fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

fn from_scalar(values: &[f64]) -> Block {
    let mut block = Block::from_parts(vec![LabelSet::empty()], GridBlock::new(1, values.len()));
    let (cells, present) = block.cells.row_mut(0);
    cells.copy_from_slice(values);
    present.fill(u64::MAX);
    kernels::mask_tail(present, values.len());
    block
}

/// The value at each step where there is exactly one, else NaN.
fn to_scalar(block: &Block) -> Vec<f64> {
    let mut out = vec![NORMAL_NAN; block.steps()];
    let mut found = vec![0_u32; block.steps()];
    for row in 0..block.rows() {
        let (values, present) = block.cells.row(row);
        for (i, v) in values.iter().enumerate() {
            if kernels::bit(present, i) {
                found[i] += 1;
                out[i] = if found[i] == 1 { *v } else { NORMAL_NAN };
            }
        }
    }
    out
}

fn date_field(name: &str) -> Option<fn(&Date) -> i64> {
    Some(match name {
        "year" => |d| d.year,
        "month" => |d| d.month,
        "day_of_month" => |d| d.day,
        "day_of_week" => |d| d.weekday,
        "day_of_year" => |d| d.day_of_year,
        "days_in_month" => |d| d.days_in_month(),
        "hour" => |d| d.hour,
        "minute" => |d| d.minute,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_gos() {
        let nan = f64::NAN;
        assert!(go_max(nan, 1.0).is_nan() && go_min(1.0, nan).is_nan());
        assert_eq!(go_max(nan, f64::INFINITY), f64::INFINITY);
        assert_eq!(go_min(nan, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!((go_max(1.0, 2.0), go_min(1.0, 2.0)), (2.0, 1.0));
        assert!(go_max(-0.0, 0.0).is_sign_positive() && go_min(0.0, -0.0).is_sign_negative());
    }
}
