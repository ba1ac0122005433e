//! Random well-typed expressions: what is printed parses to the same tree.

use model::{METRIC_NAME, MatchOp, Matcher};
use promql::parser::{
    AggregateOp, At, BinaryOp, Cardinality, DurationExpr, DurationOp, DurationValue, Expr, FUNCTIONS,
    FillValues, Function, MatrixSelector, RangeModifier, Span, SubqueryExpr, ValueType, VectorMatching,
    VectorSelector,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::round_trips;

const SPAN: Span = Span { start: 0, end: 0 };

const NAMES: &[&str] =
    &["foo", "a:b", "up", "sum", "offset", "start", "fill", "by", "step", "_x9", "and", "min_of"];
const LABELS: &[&str] = &["job", "instance", "by", "on", "a.b", "é", "le", "with space", "bool", "offset"];
const VALUES: &[&str] = &["", "x", "a\"b", "a'b", "\n", "\\", "5..", "é\u{fffd}", "a|b", "\u{1}", "`"];

/// Makes expressions from random numbers.
struct Maker {
    rng: TestRng,
}

impl Maker {
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.next_u64() % n as u64).unwrap()
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn expr(&mut self, want: ValueType, depth: usize) -> Expr {
        if depth > 0 && self.chance(8) {
            return paren(self.expr(want, depth - 1));
        }
        match want {
            ValueType::String => {
                Expr::String { value: self.pick(VALUES).to_owned(), bytes: None, span: SPAN }
            }
            ValueType::Matrix => self.matrix(depth),
            ValueType::Scalar => self.scalar(depth),
            ValueType::Vector => self.vector(depth),
        }
    }

    fn number(&mut self) -> Expr {
        if self.chance(3) {
            let seconds = (self.below(100_000_000) + 1) as f64 / 1000.0;
            return Expr::Number { value: seconds, duration: true, span: SPAN };
        }
        let value = match self.below(8) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -0.0,
            3 => -(self.below(1000) as f64),
            4 => self.below(1000) as f64 / 7.0,
            5 => 1e300,
            6 => 5e-324,
            _ => self.below(1_000_000) as f64,
        };
        Expr::Number { value, duration: false, span: SPAN }
    }

    fn scalar(&mut self, depth: usize) -> Expr {
        match self.below(if depth == 0 { 1 } else { 4 }) {
            0 => self.number(),
            1 => self.call(ValueType::Scalar, depth),
            2 => self.unary(ValueType::Scalar, depth),
            _ => self.binary(ValueType::Scalar, ValueType::Scalar, depth),
        }
    }

    fn vector(&mut self, depth: usize) -> Expr {
        match self.below(if depth == 0 { 1 } else { 8 }) {
            0 => Expr::Vector(self.selector()),
            1 | 2 => self.call(ValueType::Vector, depth),
            3 | 4 => self.aggregate(depth),
            5 => self.unary(ValueType::Vector, depth),
            6 => {
                let sides = [ValueType::Scalar, ValueType::Vector];
                let at = self.below(2);
                self.binary(sides[at], sides[1 - at], depth)
            }
            _ => self.binary(ValueType::Vector, ValueType::Vector, depth),
        }
    }

    fn matrix(&mut self, depth: usize) -> Expr {
        if depth == 0 || self.chance(2) {
            let selector = self.selector();
            return Expr::Matrix(MatrixSelector { selector, range: self.range(), span: SPAN });
        }
        // An operator binds less tightly than the brackets.
        let expr = Box::new(tight(self.expr(ValueType::Vector, depth - 1)));
        let step = if self.chance(2) { None } else { Some(self.range()) };
        // As upstream's, the lexer wants a number before the colon.
        let range = DurationValue::Millis(self.below(10_000_000) as i64 + 1);
        let (offset, at) = (self.offset(), self.at());
        Expr::Subquery(SubqueryExpr { expr, range, step, offset, at, span: SPAN })
    }

    fn selector(&mut self) -> VectorSelector {
        let name = if self.chance(4) { None } else { Some(self.pick(NAMES).to_owned()) };
        let mut matchers = Vec::new();
        if name.is_none() {
            matchers.push(Matcher::new(METRIC_NAME, MatchOp::Regex, "a.+").unwrap());
        }
        for _ in 0..self.below(3) {
            let op = self.pick(&[MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
            let value = self.pick(VALUES);
            let value = if value == "\\" { "\\\\" } else { value };
            matchers.push(Matcher::new(self.pick(LABELS), op, value).unwrap());
        }
        matchers.extend(name.as_ref().map(|n| Matcher::equal(METRIC_NAME, n)));
        let modifier = self.pick(&[
            RangeModifier::None,
            RangeModifier::None,
            RangeModifier::Anchored,
            RangeModifier::Smoothed,
        ]);
        let (offset, at) = (self.offset(), self.at());
        VectorSelector { name, matchers, offset, at, modifier, bypass_empty_matcher_check: false, span: SPAN }
    }

    fn at(&mut self) -> Option<At> {
        match self.below(6) {
            0 => Some(At::Start),
            1 => Some(At::End),
            2 => Some(At::Timestamp(self.below(1_000_000_000) as i64 - 500_000_000)),
            _ => None,
        }
    }

    fn range(&mut self) -> DurationValue {
        if self.chance(3) {
            return match self.duration(2) {
                DurationExpr::Literal { seconds, .. } => DurationValue::Millis((seconds * 1000.0) as i64),
                expr => DurationValue::Expr(Box::new(expr)),
            };
        }
        DurationValue::Millis(self.below(10_000_000) as i64 + 1)
    }

    fn offset(&mut self) -> DurationValue {
        match self.below(6) {
            0 => DurationValue::Millis(self.below(10_000_000) as i64 + 1),
            1 => DurationValue::Millis(-(self.below(10_000_000) as i64 + 1)),
            2 => DurationValue::Expr(Box::new(in_parens(self.duration(2)))),
            _ => DurationValue::ZERO,
        }
    }

    fn duration(&mut self, depth: usize) -> DurationExpr {
        let pair = |m: &mut Self| (Box::new(m.duration(depth - 1)), Box::new(m.duration(depth - 1)));
        match self.below(if depth == 0 { 3 } else { 7 }) {
            0 => {
                let seconds = (self.below(100_000) + 1) as f64;
                DurationExpr::Literal { seconds, duration: self.chance(2), span: SPAN }
            }
            1 => DurationExpr::Step { span: SPAN },
            2 => DurationExpr::Range { span: SPAN },
            3 => DurationExpr::Negate { expr: Box::new(in_parens(self.duration(depth - 1))), span: SPAN },
            4 => in_parens(self.duration(depth - 1)),
            5 => {
                let (lhs, rhs) = pair(self);
                let op = self.pick(&[DurationOp::MinOf, DurationOp::MaxOf]);
                DurationExpr::Binary { op, lhs, rhs, span: SPAN }
            }
            _ => {
                let (lhs, rhs) = pair(self);
                let op = self.pick(&[
                    DurationOp::Add,
                    DurationOp::Sub,
                    DurationOp::Mul,
                    DurationOp::Div,
                    DurationOp::Mod,
                    DurationOp::Pow,
                ]);
                let (lhs, rhs) = (Box::new(in_parens(*lhs)), Box::new(in_parens(*rhs)));
                DurationExpr::Binary { op, lhs, rhs, span: SPAN }
            }
        }
    }

    fn call(&mut self, want: ValueType, depth: usize) -> Expr {
        let fits = |f: &&Function| f.return_type == want && f.name != "info";
        let all: Vec<&'static Function> = FUNCTIONS.iter().filter(fits).collect();
        let func = self.pick(&all);
        let mut types = func.arg_types.to_vec();
        if func.variadic != 0 {
            let last = types.pop().unwrap();
            let most = usize::try_from(func.variadic).unwrap_or(3);
            types.extend(std::iter::repeat_n(last, self.below(most + 1)));
        }
        let args = types.into_iter().map(|t| self.expr(t, depth - 1)).collect();
        Expr::Call { func, args, span: SPAN }
    }

    fn aggregate(&mut self, depth: usize) -> Expr {
        use AggregateOp::{
            Avg, Bottomk, Count, CountValues, Group, LimitRatio, Limitk, Max, Min, Quantile, Stddev, Stdvar,
            Sum, Topk,
        };
        let op = self.pick(&[
            Avg,
            Bottomk,
            Count,
            CountValues,
            Group,
            LimitRatio,
            Limitk,
            Max,
            Min,
            Quantile,
            Stddev,
            Stdvar,
            Sum,
            Topk,
        ]);
        let param = op.param_type().map(|t| Box::new(self.expr(t, depth - 1)));
        let expr = Box::new(self.expr(ValueType::Vector, depth - 1));
        let (grouping, without) = (self.labels(), self.chance(2));
        Expr::Aggregate { op, expr, param, grouping, without, span: SPAN }
    }

    fn labels(&mut self) -> Vec<String> {
        (0..self.below(3)).map(|_| self.pick(LABELS).to_owned()).collect()
    }

    fn unary(&mut self, want: ValueType, depth: usize) -> Expr {
        let negate = self.chance(2);
        // A sign before a number is the number's.
        Expr::Unary { negate, expr: Box::new(paren(self.expr(want, depth - 1))), span: SPAN }
    }

    fn binary(&mut self, left: ValueType, right: ValueType, depth: usize) -> Expr {
        use BinaryOp::{
            Add, And, Atan2, Div, Eql, Gte, Gtr, Lss, Lte, Mod, Mul, Neq, Or, Pow, Sub, TrimLower, TrimUpper,
            Unless,
        };
        let vectors = left == ValueType::Vector && right == ValueType::Vector;
        let arithmetic = [Add, Sub, Mul, Div, Mod, Pow, Atan2, TrimUpper, TrimLower];
        let op = match self.below(if vectors { 3 } else { 2 }) {
            0 => self.pick(&arithmetic),
            1 => self.pick(&[Eql, Neq, Lte, Lss, Gte, Gtr]),
            _ => self.pick(&[And, Or, Unless]),
        };
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        let return_bool = op.is_comparison() && (scalars || self.chance(2));
        let matching = vectors.then(|| self.matching(op));
        let lhs = Box::new(tight(self.expr(left, depth - 1)));
        let rhs = Box::new(tight(self.expr(right, depth - 1)));
        Expr::Binary { op, lhs, rhs, matching, return_bool, span: SPAN }
    }

    fn matching(&mut self, op: BinaryOp) -> VectorMatching {
        let (labels, on) = (self.labels(), self.chance(2));
        let mut matching = VectorMatching {
            card: Cardinality::OneToOne,
            labels,
            on,
            include: Vec::new(),
            fill: FillValues::default(),
        };
        if op.is_set() {
            matching.card = Cardinality::ManyToMany;
            return matching;
        }
        if self.chance(2) {
            matching.card = self.pick(&[Cardinality::ManyToOne, Cardinality::OneToMany]);
            let include = self.labels();
            matching.include = include.into_iter().filter(|l| !matching.labels.contains(l)).collect();
        }
        let value = |m: &mut Self| m.chance(2).then(|| m.pick(&[0.0, -23.0, 1e9, 0.5, f64::INFINITY, 5.0]));
        matching.fill = FillValues { left: value(self), right: value(self) };
        matching
    }
}

fn paren(expr: Expr) -> Expr {
    Expr::Paren { expr: Box::new(expr), span: SPAN }
}

/// In parentheses unless it holds together by itself.
fn tight(expr: Expr) -> Expr {
    match expr {
        Expr::Binary { .. } | Expr::Unary { .. } => paren(expr),
        // An operator behind an offset in parentheses is the offset's.
        Expr::Vector(VectorSelector { offset: DurationValue::Expr(_), .. })
        | Expr::Subquery(SubqueryExpr { offset: DurationValue::Expr(_), .. }) => paren(expr),
        Expr::Matrix(MatrixSelector {
            selector: VectorSelector { offset: DurationValue::Expr(_), .. },
            ..
        }) => paren(expr),
        Expr::Number { value, .. } if value.is_sign_negative() || value.is_infinite() => paren(expr),
        expr => expr,
    }
}

fn in_parens(expr: DurationExpr) -> DurationExpr {
    match expr {
        DurationExpr::Paren { .. } => expr,
        expr => DurationExpr::Paren { expr: Box::new(expr), span: SPAN },
    }
}

#[test]
fn printed_expressions_parse_to_the_same_tree() {
    let mut runner = TestRunner::new(Config { rng_algorithm: RngAlgorithm::ChaCha, ..Config::default() });
    let mut maker = Maker { rng: runner.new_rng() };
    for _ in 0..2000 {
        let want = maker.pick(&[ValueType::Vector, ValueType::Vector, ValueType::Scalar, ValueType::Matrix]);
        round_trips(&maker.expr(want, 4));
    }
}
