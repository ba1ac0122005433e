//! Binary operators on one pair of samples of which at least one is a native histogram.

use std::sync::Arc;

use model::{Histogram, ResetHint};

use crate::annotations::Notes;
use crate::histogram::{HistogramOp, Sample, add, compact, div, equals, mul, sub, trim_lower, trim_upper};
use crate::parser::{BinaryOp, Span};

/// A remark on a pair. Of all pairs of a step the last one's is passed on, as upstream does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Remark {
    /// Info: the operator has no meaning for these kinds of samples.
    Types(&'static str, &'static str),
    /// Warning: exponential and custom buckets.
    Layout,
    /// Warning: hints of a reset and of none.
    Collision(HistogramOp),
    /// Info: custom bounds differed.
    Reconciled(HistogramOp),
}

impl Remark {
    pub(super) fn add_to(self, notes: &mut Notes, op: BinaryOp, span: Span) {
        match self {
            Self::Types(lhs, rhs) => notes.incompatible_types(lhs, op.as_str(), rhs, span),
            Self::Layout => notes.incompatible_layout(op.as_str(), span),
            Self::Collision(op) => notes.reset_collision(op, span),
            Self::Reconciled(op) => notes.mismatched_custom_buckets(op, span),
        }
    }
}

/// What a pair yields.
#[derive(Debug)]
pub(super) enum Element {
    /// A result, and perhaps a remark.
    Value(Sample, Option<Remark>),
    /// A comparison between histograms: whether it holds.
    Compared(bool),
    /// No result. The pair counts as not matched.
    Failed(Remark),
}

/// `lhs op rhs`, where one of both is a histogram (or, for the trimming operators, neither).
pub(super) fn element(op: BinaryOp, lhs: &Sample, rhs: &Sample) -> Element {
    match (lhs, rhs) {
        (Sample::Float(factor), Sample::Histogram(h)) if op == BinaryOp::Mul => {
            changed(h, |h| mul(h, *factor))
        }
        (Sample::Histogram(h), Sample::Float(v)) => match op {
            BinaryOp::Mul => changed(h, |h| mul(h, *v)),
            BinaryOp::Div => changed(h, |h| div(h, *v)),
            BinaryOp::TrimUpper => trimmed(h, |h| trim_upper(h, *v)),
            BinaryOp::TrimLower => trimmed(h, |h| trim_lower(h, *v)),
            _ => types(lhs, rhs),
        },
        (Sample::Histogram(a), Sample::Histogram(b)) => match op {
            BinaryOp::Add | BinaryOp::Sub => sum(op, a, b),
            BinaryOp::Eql => Element::Compared(equals(a, b)),
            BinaryOp::Neq => Element::Compared(!equals(a, b)),
            _ => types(lhs, rhs),
        },
        _ => types(lhs, rhs),
    }
}

fn types(lhs: &Sample, rhs: &Sample) -> Element {
    let word = |sample: &Sample| match sample {
        Sample::Float(_) => "float",
        Sample::Histogram(_) => "histogram",
    };
    Element::Failed(Remark::Types(word(lhs), word(rhs)))
}

fn trimmed(h: &Histogram, f: impl FnOnce(&mut Histogram)) -> Element {
    let mut h = h.clone();
    f(&mut h);
    Element::Value(Sample::Histogram(Arc::new(h)), None)
}

fn changed(h: &Histogram, f: impl FnOnce(&mut Histogram)) -> Element {
    trimmed(h, |h| {
        f(h);
        compact(h, 0);
    })
}

fn sum(op: BinaryOp, a: &Histogram, b: &Histogram) -> Element {
    let mut h = a.clone();
    let (result, word) = if op == BinaryOp::Add {
        (add(&mut h, b), HistogramOp::Add)
    } else {
        (sub(&mut h, b), HistogramOp::Sub)
    };
    let Ok(reconciled) = result else { return Element::Failed(Remark::Layout) };
    // As upstream, which takes this warning for a failure.
    if reconciled.counter_reset_collision {
        return Element::Failed(Remark::Collision(word));
    }
    if op == BinaryOp::Sub {
        h.reset_hint = ResetHint::Gauge;
    }
    compact(&mut h, 0);
    let remark = reconciled.bounds_reconciled.then_some(Remark::Reconciled(word));
    Element::Value(Sample::Histogram(Arc::new(h)), remark)
}
