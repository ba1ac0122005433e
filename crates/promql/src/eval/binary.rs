//! Binary operations: scalars, a vector with a scalar, sets of series; vectors matched by labels are in [`matched`].

mod matched;

use kernels::Grid;

use self::matched::Match;
use super::arith::{self, Op};
use super::block::{Block, HistogramRow};
use super::elements::{Element, Remark, element};
use super::grouping::Grouping;
use super::{Evaluator, Out};
use crate::error::QueryError;
use crate::histogram::Sample;
use crate::parser::{BinaryOp, Cardinality, VectorMatching};
use crate::plan::Binary;

impl Evaluator<'_> {
    pub(super) fn binary(&self, node: &Binary, grid: &Grid) -> Result<Out, QueryError> {
        let lhs = self.eval(&node.lhs, grid)?;
        let rhs = self.eval(&node.rhs, grid)?;
        match (lhs, rhs) {
            (Out::Scalar(a), Out::Scalar(b)) => scalars(node.op, &a, &b).map(Out::Scalar),
            (Out::Vector(block), Out::Scalar(scalar)) => self.with_scalar(node, block, &scalar, false),
            (Out::Scalar(scalar), Out::Vector(block)) => self.with_scalar(node, block, &scalar, true),
            (Out::Vector(lhs), Out::Vector(rhs)) => {
                let everything;
                let matching = match &node.matching {
                    Some(matching) => matching,
                    None => {
                        everything = VectorMatching {
                            card: Cardinality::OneToOne,
                            labels: Vec::new(),
                            on: false,
                            include: Vec::new(),
                            fill: crate::parser::FillValues::default(),
                        };
                        &everything
                    }
                };
                let mut out = if node.op.is_set() {
                    set_operation(node.op, matching, lhs, rhs)
                } else {
                    Match { evaluator: self, node, matching, steps: grid.steps }.run(lhs, rhs)?
                };
                self.settle(&mut out)?;
                Ok(Out::of(out))
            }
            _ => Err(QueryError::execution("a string is no operand")),
        }
    }

    fn with_scalar(
        &self,
        node: &Binary,
        mut block: Block,
        scalar: &[f64],
        swapped: bool,
    ) -> Result<Out, QueryError> {
        let op = arith::op(node.op);
        let steps = block.steps();
        let mut results = vec![0.0; steps];
        let mut holds = vec![0; steps.div_ceil(64)];
        let mut remarks = Remarks::default();
        for row in 0..block.rows() {
            if matches!(op, Op::Histogram) {
                remarks.on_floats(block.cells.row(row).1, steps);
            }
            let histograms = block.take_histograms(row);
            let (values, present) = block.cells.row_mut(row);
            let (a, b) = if swapped { (scalar, &*values) } else { (&*values, scalar) };
            match op {
                Op::Compute(f) => {
                    arith::compute(node.op, f, a, b, &mut results);
                    values.copy_from_slice(&results);
                }
                Op::Compare(f) => {
                    arith::compare(f, a, b, &mut holds);
                    if node.return_bool {
                        as_numbers(&holds, values);
                    } else {
                        present.iter_mut().zip(&holds).for_each(|(p, h)| *p &= h);
                    }
                }
                Op::Histogram => present.fill(0),
            }
            if histograms.is_empty() {
                continue;
            }
            let mut kept: HistogramRow = Vec::new();
            for (step, h) in histograms {
                let (mut lhs, mut rhs) = (Sample::Histogram(h), Sample::Float(scalar[step]));
                if swapped {
                    std::mem::swap(&mut lhs, &mut rhs);
                }
                match element(node.op, &lhs, &rhs) {
                    Element::Value(Sample::Histogram(h), _) => kept.push((step, h)),
                    Element::Failed(remark) => remarks.set(step, steps, remark),
                    Element::Value(..) | Element::Compared(_) => {}
                }
            }
            block.set_histograms(row, kept);
        }
        remarks.pass_on(self, node);
        if arith::changes_meaning(node.op) || node.return_bool {
            block.drop_names(self.delayed_name_removal);
        }
        block.retain_present();
        self.settle(&mut block)?;
        Ok(Out::Vector(block))
    }
}

/// The last remark of each step.
#[derive(Debug, Default)]
struct Remarks {
    /// As many as there are steps, or none.
    by_step: Vec<Option<Remark>>,
}

impl Remarks {
    fn set(&mut self, step: usize, steps: usize, remark: Remark) {
        self.by_step.resize(steps, None);
        self.by_step[step] = Some(remark);
    }

    /// Floats met an operator on histograms.
    fn on_floats(&mut self, present: &[u64], steps: usize) {
        for step in (0..steps).filter(|step| kernels::bit(present, *step)) {
            self.set(step, steps, Remark::Types("float", "float"));
        }
    }

    fn pass_on(self, ev: &Evaluator<'_>, node: &Binary) {
        let mut notes = ev.notes.borrow_mut();
        self.by_step.into_iter().flatten().for_each(|r| r.add_to(&mut notes, node.op, node.span));
    }
}

fn scalars(op: BinaryOp, a: &[f64], b: &[f64]) -> Result<Vec<f64>, QueryError> {
    let mut out = vec![0.0; a.len()];
    match arith::op(op) {
        Op::Compute(f) => arith::compute(op, f, a, b, &mut out),
        Op::Compare(f) => {
            out.iter_mut().zip(a.iter().zip(b)).for_each(|(o, (a, b))| *o = f64::from(u8::from(f(*a, *b))));
        }
        Op::Histogram => {
            return Err(QueryError::execution(format!(
                "operator {:?} not allowed for Scalar operations",
                op.as_str()
            )));
        }
    }
    Ok(out)
}

fn as_numbers(bits: &[u64], out: &mut [f64]) {
    for (i, v) in out.iter_mut().enumerate() {
        *v = f64::from(u8::from(kernels::bit(bits, i)));
    }
}

/// The match group of each row of both sides, and how many there are.
fn match_groups(matching: &VectorMatching, lhs: &Block, rhs: &Block) -> (Vec<usize>, Vec<usize>, usize) {
    let mut grouping = Grouping::new(&matching.labels, !matching.on);
    let left = lhs.labels.iter().map(|l| grouping.group_of(l)).collect();
    let right = rhs.labels.iter().map(|l| grouping.group_of(l)).collect();
    (left, right, grouping.len())
}

/// For each match group, the steps at which any of its rows has a value.
fn presence(block: &Block, groups: &[usize], count: usize) -> Vec<u64> {
    let words = block.steps().div_ceil(64);
    let mut all = vec![0; count * words];
    for (row, &group) in groups.iter().enumerate() {
        let to = &mut all[group * words..][..words];
        to.iter_mut().zip(&*block.presence(row)).for_each(|(a, b)| *a |= b);
    }
    all
}

fn set_operation(op: BinaryOp, matching: &VectorMatching, mut lhs: Block, mut rhs: Block) -> Block {
    let (left, right, count) = match_groups(matching, &lhs, &rhs);
    let words = lhs.steps().div_ceil(64);
    let mask = |block: &mut Block, groups: &[usize], by: &[u64], keep: bool| {
        let mut kept = vec![0; words];
        for (row, &group) in groups.iter().enumerate() {
            let by = &by[group * words..][..words];
            kept.iter_mut().zip(by).for_each(|(k, m)| *k = if keep { *m } else { !*m });
            block.mask(row, &kept);
        }
        block.retain_present();
    };
    match op {
        BinaryOp::And => mask(&mut lhs, &left, &presence(&rhs, &right, count), true),
        BinaryOp::Unless => mask(&mut lhs, &left, &presence(&rhs, &right, count), false),
        _ => {
            mask(&mut rhs, &right, &presence(&lhs, &left, count), false);
            lhs.append(rhs);
        }
    }
    lhs
}
