//! Binary operators on numbers, cell by cell.

use crate::parser::BinaryOp;

/// What an operator does with a pair.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    /// Yields a number.
    Compute(fn(f64, f64) -> f64),
    /// Keeps or drops the left number.
    Compare(fn(f64, f64) -> bool),
    /// Works on native histograms only.
    Histogram,
}

pub(super) fn op(op: BinaryOp) -> Op {
    match op {
        BinaryOp::Add => Op::Compute(|a, b| a + b),
        BinaryOp::Sub => Op::Compute(|a, b| a - b),
        BinaryOp::Mul => Op::Compute(|a, b| a * b),
        BinaryOp::Div => Op::Compute(|a, b| a / b),
        BinaryOp::Mod => Op::Compute(|a, b| a % b),
        // Go's multiplies and squares, so its result is off by the exponent's 1e-16th: by more than 1e-9 where that is above 1e7. Ours is
        // right to the last bits.
        BinaryOp::Pow => Op::Compute(f64::powf),
        BinaryOp::Atan2 => Op::Compute(f64::atan2),
        BinaryOp::Eql => Op::Compare(|a, b| a == b),
        BinaryOp::Neq => Op::Compare(|a, b| a != b),
        BinaryOp::Lte => Op::Compare(|a, b| a <= b),
        BinaryOp::Lss => Op::Compare(|a, b| a < b),
        BinaryOp::Gte => Op::Compare(|a, b| a >= b),
        BinaryOp::Gtr => Op::Compare(|a, b| a > b),
        BinaryOp::TrimUpper | BinaryOp::TrimLower => Op::Histogram,
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => unreachable!("set operators have no cells"),
    }
}

/// `out = a op b` on all cells; absent ones compute to anything. The four common operators get loops of their own, which
/// vectorise.
pub(super) fn compute(op: BinaryOp, f: fn(f64, f64) -> f64, a: &[f64], b: &[f64], out: &mut [f64]) {
    macro_rules! each {
        ($f:expr) => {
            out.iter_mut().zip(a).zip(b).for_each(|((o, a), b)| *o = $f(*a, *b))
        };
    }
    match op {
        BinaryOp::Add => each!(|a: f64, b: f64| a + b),
        BinaryOp::Sub => each!(|a: f64, b: f64| a - b),
        BinaryOp::Mul => each!(|a: f64, b: f64| a * b),
        BinaryOp::Div => each!(|a: f64, b: f64| a / b),
        _ => each!(f),
    }
}

/// One bit per cell: whether the comparison holds.
pub(super) fn compare(f: fn(f64, f64) -> bool, a: &[f64], b: &[f64], bits: &mut [u64]) {
    for ((word, a), b) in bits.iter_mut().zip(a.chunks(64)).zip(b.chunks(64)) {
        *word = a.iter().zip(b).enumerate().fold(0, |w, (i, (a, b))| w | u64::from(f(*a, *b)) << i);
    }
}

/// Whether the operator changes what a metric means, so that its name goes.
pub(super) fn changes_meaning(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
            | BinaryOp::Atan2
    )
}
