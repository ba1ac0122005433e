//! The type checker. It also settles what only types decide: whether a binary operation matches series at all.

use model::METRIC_NAME;
use model::float::go_quote;

use super::ast::{BinaryOp, Cardinality, Expr, FillValues, Span, ValueType, VectorMatching, VectorSelector};
use super::functions::Function;

/// Checks a tree and returns its errors, in upstream's order.
pub(super) fn check(expr: &mut Expr, query: &str) -> Vec<(Span, String)> {
    let mut checker = Checker { query, errors: Vec::new() };
    checker.visit(expr);
    checker.errors
}

struct Checker<'a> {
    query: &'a str,
    errors: Vec<(Span, String)>,
}

impl Checker<'_> {
    fn fail(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push((span, message.into()));
    }

    fn expect(&mut self, expr: &mut Expr, want: ValueType, context: &str) {
        let got = self.visit(expr);
        if got != want {
            let (want, got) = (want.documented(), got.documented());
            self.fail(expr.span(), format!("expected type {want} in {context}, got {got}"));
        }
    }

    fn visit(&mut self, expr: &mut Expr) -> ValueType {
        match expr {
            Expr::Number { .. } | Expr::String { .. } => {}
            Expr::Paren { expr, .. } => {
                return self.visit(expr);
            }
            Expr::Vector(selector) => self.selector(selector),
            Expr::Matrix(m) => self.selector(&m.selector),
            Expr::Subquery(s) => {
                let got = self.visit(&mut s.expr);
                if got != ValueType::Vector {
                    let got = got.as_str();
                    self.fail(
                        s.span,
                        format!("subquery is only allowed on instant vector, got {got} instead"),
                    );
                }
            }
            Expr::Unary { expr, span, .. } => {
                let got = self.visit(expr);
                if !is_operand(got) {
                    let got = go_quote(got.documented());
                    self.fail(
                        *span,
                        format!(
                            "unary expression only allowed on expressions of type scalar or instant vector, got {got}"
                        ),
                    );
                }
                return got;
            }
            Expr::Aggregate { op, expr, param, .. } => {
                self.expect(expr, ValueType::Vector, "aggregation expression");
                if let (Some(param), Some(want)) = (param, op.param_type()) {
                    self.expect(param, want, "aggregation parameter");
                }
            }
            Expr::Binary { .. } => return self.binary(expr),
            Expr::Call { func, args, span } => {
                self.call(func, args, *span);
                return func.return_type;
            }
        }
        expr.value_type()
    }

    fn binary(&mut self, expr: &mut Expr) -> ValueType {
        let Expr::Binary { op, lhs, rhs, matching, return_bool, span } = expr else {
            return expr.value_type();
        };
        let (op, span) = (*op, *span);
        let (left, right) = (self.visit(lhs), self.visit(rhs));
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        let operator = || operator_span(self.query, lhs.span(), rhs.span());
        let mut found = Vec::new();
        if *return_bool && !op.is_comparison() {
            found.push((operator(), "bool modifier can only be used on comparison operators".to_owned()));
        }
        if op.is_comparison() && !*return_bool && scalars {
            found.push((operator(), "comparisons between scalars must use BOOL modifier".to_owned()));
        }
        if let Some(matching) = matching {
            if op.is_set() && matching.card == Cardinality::OneToOne {
                matching.card = Cardinality::ManyToMany;
            }
            for label in &matching.labels {
                for _ in matching.include.iter().filter(|l| matching.on && *l == label) {
                    let label = go_quote(label);
                    found.push((
                        operator(),
                        format!("label {label} must not occur in ON and GROUP clause at once"),
                    ));
                }
            }
        }
        for (got, side) in [(left, &*lhs), (right, &*rhs)] {
            if !is_operand(got) {
                found.push((
                    side.span(),
                    "binary expression must contain only scalar and instant vector types".to_owned(),
                ));
            }
        }
        self.errors.append(&mut found);
        if left == ValueType::Vector && right == ValueType::Vector {
            if let Some(matching) = matching.as_ref().filter(|_| op.is_set()) {
                self.set_operation(op, matching, span);
            }
        } else if let Some(matching) = matching.take() {
            if !matching.labels.is_empty() {
                self.fail(span, "vector matching only allowed between instant vectors");
            }
            if matching.fill != FillValues::default() {
                self.fail(span, "filling in missing series only allowed between instant vectors");
            }
        }
        if op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
            let op = go_quote(op.as_str());
            self.fail(span, format!("set operator {op} not allowed in binary scalar expression"));
        }
        if scalars { ValueType::Scalar } else { ValueType::Vector }
    }

    fn set_operation(&mut self, op: BinaryOp, matching: &VectorMatching, span: Span) {
        if matching.card != Cardinality::ManyToMany {
            self.fail(span, format!("no grouping allowed for {} operation", go_quote(op.as_str())));
            self.fail(span, "set operations must always be many-to-many");
        }
        if matching.fill != FillValues::default() {
            self.fail(span, "filling in missing series not allowed for set operators");
        }
    }

    fn call(&mut self, func: &Function, args: &mut [Expr], span: Span) {
        let name = go_quote(func.name);
        let (types, got) = (func.arg_types.len(), args.len());
        if func.variadic == 0 {
            if got != types {
                self.fail(span, format!("expected {types} argument(s) in call to {name}, got {got}"));
            }
        } else {
            let least = types.saturating_sub(1);
            let most = usize::try_from(func.variadic).ok().map(|n| least + n);
            if got < least {
                self.fail(
                    span,
                    format!("expected at least {least} argument(s) in call to {name}, got {got}"),
                );
            } else if let Some(most) = most.filter(|&most| got > most) {
                self.fail(span, format!("expected at most {most} argument(s) in call to {name}, got {got}"));
            }
        }
        if func.name == "info"
            && let Some(labels) = args.get_mut(1)
        {
            self.info_labels(labels, span);
        }
        for (i, arg) in args.iter_mut().enumerate() {
            let want = match func.arg_types.get(i) {
                Some(want) => *want,
                // Too many arguments were reported above.
                None if func.variadic == 0 => break,
                None => match func.arg_types.last() {
                    Some(want) => *want,
                    None => break,
                },
            };
            self.expect(arg, want, &format!("call to function {name}"));
        }
    }

    /// The second argument of `info` is a selector without a name, and may match everything.
    fn info_labels(&mut self, labels: &mut Expr, call: Span) {
        let got = labels.value_type();
        if got != ValueType::Vector {
            let got = got.documented();
            self.fail(call, format!("expected type instant vector in call to function \"info\", got {got}"));
        }
        match labels {
            Expr::Vector(v) if v.name.is_none() => v.bypass_empty_matcher_check = true,
            Expr::Vector(v) => {
                self.fail(v.span, "expected label selectors only, got vector selector instead");
            }
            other => self.fail(other.span(), "expected label selectors only"),
        }
    }

    fn selector(&mut self, selector: &VectorSelector) {
        match &selector.name {
            Some(name) => {
                let inside = selector.matchers.len().saturating_sub(1);
                for m in selector.matchers[..inside].iter().filter(|m| m.name == METRIC_NAME) {
                    let (a, b) = (go_quote(name), go_quote(&m.value));
                    self.fail(selector.span, format!("metric name must not be set twice: {a} or {b}"));
                }
            }
            None if selector.bypass_empty_matcher_check => {}
            None => {
                if selector.matchers.iter().all(model::Matcher::matches_empty) {
                    self.fail(selector.span, "vector selector must contain at least one non-empty matcher");
                }
            }
        }
    }
}

fn is_operand(t: ValueType) -> bool {
    matches!(t, ValueType::Scalar | ValueType::Vector)
}

/// The operator and its modifiers: what lies between the operands, without the spaces around it.
fn operator_span(query: &str, lhs: Span, rhs: Span) -> Span {
    let between = query.get(lhs.end..rhs.start).unwrap_or_default();
    let start = lhs.end + (between.len() - between.trim_start().len());
    Span::new(start, start + between.trim().len())
}
