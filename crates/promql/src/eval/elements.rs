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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::TestExpression;
    use crate::parser::{SequenceValue, parse_series_desc};

    fn sample(text: &str) -> Sample {
        match parse_series_desc(&format!("m {text}")).expect("a series").values.remove(0) {
            SequenceValue::Float(v) => Sample::Float(v),
            SequenceValue::Histogram { value, .. } => Sample::Histogram(value),
            SequenceValue::Omitted => panic!("no sample"),
        }
    }

    fn show(element: &Element) -> String {
        match element {
            Element::Value(Sample::Float(v), None) => v.to_string(),
            Element::Value(Sample::Histogram(h), None) => TestExpression(h).to_string(),
            Element::Value(sample, Some(remark)) => {
                format!("{}, {remark:?}", show(&Element::Value(sample.clone(), None)))
            }
            Element::Compared(holds) => holds.to_string(),
            Element::Failed(remark) => format!("failed: {remark:?}"),
        }
    }

    const H: &str = "{{schema:0 count:6 sum:12 buckets:[2 4]}}";
    const NHCB: &str = "{{schema:-53 count:3 sum:5 custom_values:[1 2] buckets:[1 2]}}";

    #[test]
    fn pairs_with_a_histogram() {
        use BinaryOp::{Add, Div, Eql, Gtr, Mul, Neq, Sub, TrimUpper};
        for (lhs, op, rhs, expect) in [
            (H, Mul, "2", "{{count:12 sum:24 buckets:[4 8]}}"),
            ("2", Mul, H, "{{count:12 sum:24 buckets:[4 8]}}"),
            (H, Div, "2", "{{count:3 sum:6 buckets:[1 2]}}"),
            ("2", Div, H, r#"failed: Types("float", "histogram")"#),
            (H, Add, "2", r#"failed: Types("histogram", "float")"#),
            (H, Add, H, "{{count:12 sum:24 buckets:[4 8]}}"),
            (
                H,
                Sub,
                "{{schema:0 count:1 sum:2 buckets:[1]}}",
                "{{count:5 sum:10 counter_reset_hint:gauge buckets:[1 4]}}",
            ),
            (H, Mul, H, r#"failed: Types("histogram", "histogram")"#),
            (H, Gtr, H, r#"failed: Types("histogram", "histogram")"#),
            (H, Eql, H, "true"),
            (H, Neq, H, "false"),
            (H, Eql, NHCB, "false"),
            (H, Add, NHCB, "failed: Layout"),
            ("1", TrimUpper, "1", r#"failed: Types("float", "float")"#),
        ] {
            let found = element(op, &sample(lhs), &sample(rhs));
            assert_eq!(show(&found), expect, "{lhs} {} {rhs}", op.as_str());
        }
    }

    #[test]
    fn what_goes_with_a_sum_and_what_undoes_it() {
        let other = "{{schema:-53 count:3 sum:5 custom_values:[2 3] buckets:[1 2]}}";
        let found = element(BinaryOp::Add, &sample(NHCB), &sample(other));
        assert!(matches!(found, Element::Value(_, Some(Remark::Reconciled(HistogramOp::Add)))), "{found:?}");
        let reset = "{{schema:0 count:1 sum:1 counter_reset_hint:reset buckets:[1]}}";
        let none = "{{schema:0 count:1 sum:1 counter_reset_hint:not_reset buckets:[1]}}";
        let found = element(BinaryOp::Sub, &sample(reset), &sample(none));
        assert!(matches!(found, Element::Failed(Remark::Collision(HistogramOp::Sub))), "{found:?}");
    }
}
