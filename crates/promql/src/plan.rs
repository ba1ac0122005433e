//! From a syntax tree to what is evaluated: durations, `@` and constants resolved, parentheses gone, range functions joined
//! with their selectors to leaves, and the parts that do not depend on the step marked.

use model::Matcher;

use crate::error::{QueryError, QueryErrorKind};
use crate::eval::first_selector;
use crate::parser::{
    AggregateOp, At, BinaryOp, DurationValue, Expr, Function, RangeModifier, Span, SubqueryExpr,
    VectorMatching, VectorSelector, quote_bytes,
};

/// What constants of the query resolve to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryTimes {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// 0 for an instant query.
    pub(crate) step_ms: i64,
}

impl QueryTimes {
    /// How many times the query is evaluated at.
    pub(crate) fn steps(&self) -> usize {
        if self.step_ms <= 0 {
            return 1;
        }
        let last = self.end_ms.saturating_sub(self.start_ms) / self.step_ms;
        usize::try_from(last).unwrap_or(0).saturating_add(1)
    }
}

/// An evaluable node.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Number(f64),
    Text(String),
    /// Does not depend on the step: evaluated at the first one and repeated.
    Once(Box<Node>),
    /// An instant selector.
    Select(Selector),
    /// `timestamp(selector)`
    SelectTime(Selector),
    /// `start_timestamp(selector)`
    SelectStart(Selector),
    /// A range vector by itself; only at the root of an instant query.
    Range(Box<RangeNode>),
    /// A function of a range vector.
    Window(Box<Window>),
    Aggregate(Box<Aggregate>),
    Binary(Box<Binary>),
    Negate(Box<Node>),
    Call(Box<Call>),
    Info(Box<Info>),
}

/// An instant selector.
#[derive(Debug, Clone)]
pub(crate) struct Selector {
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) offset_ms: i64,
    /// The fixed evaluation time of `@`.
    pub(crate) at_ms: Option<i64>,
    pub(crate) modifier: RangeModifier,
    /// What is needed of native histograms.
    pub(crate) detail: Detail,
    /// For annotations.
    pub(crate) span: Span,
}

/// What an expression needs of native histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// All of them.
    Whole,
    /// Count and sum: the selector is under `histogram_count`, `_sum` or `_avg`. Counter resets are told by the hints, which are
    /// found from the whole histograms while reading; so remarks on buckets are not made, and those on resets are.
    Statistics,
}

/// A range vector.
#[derive(Debug, Clone)]
pub(crate) struct RangeNode {
    pub(crate) source: Source,
    pub(crate) range_ms: i64,
    pub(crate) offset_ms: i64,
    pub(crate) at_ms: Option<i64>,
    /// For annotations; upstream has no position for a subquery.
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    Selector { matchers: Vec<Matcher>, modifier: RangeModifier, detail: Detail },
    Subquery { node: Node, step_ms: Option<i64> },
}

#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) name: &'static str,
    pub(crate) range: RangeNode,
    /// The scalar arguments, in order.
    pub(crate) params: Vec<(Node, Span)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) input: Node,
    pub(crate) param: Option<(Node, Span)>,
    pub(crate) grouping: Vec<String>,
    pub(crate) without: bool,
    /// For annotations: where the operator stands, and what it aggregates.
    pub(crate) span: Span,
    pub(crate) input_span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Node,
    pub(crate) rhs: Node,
    pub(crate) matching: Option<VectorMatching>,
    pub(crate) return_bool: bool,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<(Node, Span)>,
    pub(crate) span: Span,
}

/// `info(input, labels)`
#[derive(Debug, Clone)]
pub(crate) struct Info {
    pub(crate) input: Node,
    /// The matchers of the second argument.
    pub(crate) labels: Option<Vec<Matcher>>,
    /// When the info series are looked up, as in a selector.
    pub(crate) at_ms: Option<i64>,
    pub(crate) offset_ms: i64,
}

/// Functions whose result depends on the step even if their arguments do not.
const STEP_DEPENDENT: &[&str] = &[
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "time",
    "timestamp",
];

/// The functions that take `anchored`, and those that take `smoothed`, as upstream lists them.
const ANCHORED: &[&str] = &["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: &[&str] = &["delta", "increase", "rate"];

/// Plans a query.
pub(crate) fn plan(expr: &Expr, times: QueryTimes) -> Result<Node, QueryError> {
    let planner = Planner { times, statistics: false, buckets: false };
    let (node, invariant) = planner.lower(expr)?;
    Ok(if invariant { once(node) } else { node })
}

/// Marks a step-invariant node, unless repeating it costs nothing or it cares for `@` itself.
fn once(node: Node) -> Node {
    match node {
        Node::Number(_) | Node::Text(_) | Node::Select(_) | Node::SelectTime(_) | Node::Range(_) => node,
        node => Node::Once(Box::new(node)),
    }
}

#[derive(Clone, Copy)]
struct Planner {
    times: QueryTimes,
    /// Something around takes statistics of histograms only.
    statistics: bool,
    /// Something around needs their buckets.
    buckets: bool,
}

impl Planner {
    /// The node, and whether it does not depend on the step.
    fn lower(&self, expr: &Expr) -> Result<(Node, bool), QueryError> {
        Ok(match expr {
            Expr::Number { value, .. } => (Node::Number(*value), true),
            Expr::String { value, .. } => (Node::Text(value.clone()), true),
            Expr::Paren { expr, .. } => self.lower(expr)?,
            Expr::Vector(selector) => {
                let selector = self.selector(selector)?;
                let fixed = selector.at_ms.is_some();
                (Node::Select(selector), fixed)
            }
            Expr::Matrix(_) | Expr::Subquery(_) => {
                let range = self.range(expr)?;
                let fixed = range.at_ms.is_some();
                (Node::Range(Box::new(range)), fixed)
            }
            Expr::Unary { negate, expr, .. } => {
                let (node, fixed) = self.lower(expr)?;
                (if *negate { Node::Negate(Box::new(node)) } else { node }, fixed)
            }
            Expr::Binary { op, lhs, rhs, matching, return_bool, span } => {
                let trims = matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
                let inner = Self { buckets: self.buckets || trims, ..*self };
                let ((lhs, fixed_lhs), (rhs, fixed_rhs)) = (inner.lower(lhs)?, inner.lower(rhs)?);
                let fixed = fixed_lhs && fixed_rhs;
                let part = |node, invariant| if invariant && !fixed { once(node) } else { node };
                let (lhs, rhs) = (part(lhs, fixed_lhs), part(rhs, fixed_rhs));
                let (op, return_bool, span) = (*op, *return_bool, *span);
                let matching = matching.clone();
                (Node::Binary(Box::new(Binary { op, lhs, rhs, matching, return_bool, span })), fixed)
            }
            Expr::Aggregate { op, expr, param, grouping, without, span } => {
                let (input, fixed_input) = self.lower(expr)?;
                let mut fixed = fixed_input;
                let param = match param {
                    None => None,
                    Some(p) => {
                        if let Expr::String { bytes: Some(label), .. } = p.unwrap_parens() {
                            let label = quote_bytes(label);
                            return Err(QueryError::execution(format!("invalid label name {label}")));
                        }
                        let (node, fixed_param) = self.lower(p)?;
                        fixed &= fixed_param;
                        Some((node, p.unwrap_parens().span()))
                    }
                };
                let input = if fixed_input && !fixed { once(input) } else { input };
                let grouping = grouping.clone();
                let input_span = expr.unwrap_parens().span();
                let node =
                    Aggregate { op: *op, input, param, grouping, without: *without, span: *span, input_span };
                (Node::Aggregate(Box::new(node)), fixed)
            }
            Expr::Call { func, args, span } => self.call(func, args, *span)?,
        })
    }

    fn call(&self, func: &'static Function, args: &[Expr], span: Span) -> Result<(Node, bool), QueryError> {
        let QueryTimes { start_ms, end_ms, step_ms } = self.times;
        let inner = match func.name {
            "histogram_count" | "histogram_sum" | "histogram_avg" => Self { statistics: true, ..*self },
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                Self { buckets: true, ..*self }
            }
            _ => *self,
        };
        let seconds = |ms: i64| Ok((Node::Number(ms as f64 / 1000.0), true));
        match func.name {
            "start" => return seconds(start_ms),
            "end" => return seconds(end_ms),
            "range" => return seconds(end_ms - start_ms),
            "step" => return seconds(if start_ms == end_ms { 0 } else { step_ms }),
            "info" => return self.info(args),
            "timestamp" | "start_timestamp" => {
                if let Some(Expr::Vector(selector)) = args.first().map(Expr::unwrap_parens) {
                    let selector = inner.selector(selector)?;
                    let fixed = selector.at_ms.is_some();
                    let node = if func.name == "timestamp" { Node::SelectTime } else { Node::SelectStart };
                    return Ok((node(selector), fixed));
                }
            }
            _ => {}
        }
        let args: Vec<&Expr> = args.iter().map(Expr::unwrap_parens).collect();
        let is_range = |e: &&Expr| matches!(e, Expr::Matrix(_) | Expr::Subquery(_));
        if let Some(at) = args.iter().position(is_range) {
            let range = inner.range(args[at])?;
            check_modifier(func.name, &range.source)?;
            let mut lowered = Vec::new();
            let mut fixed = range.at_ms.is_some() && !STEP_DEPENDENT.contains(&func.name);
            for (i, arg) in args.iter().enumerate() {
                if i != at {
                    let (node, fixed_arg) = inner.lower(arg)?;
                    fixed &= fixed_arg;
                    lowered.push((node, fixed_arg, arg.span()));
                }
            }
            let params = wrap_unless(fixed, lowered);
            return Ok((Node::Window(Box::new(Window { name: func.name, range, params })), fixed));
        }
        let mut lowered = Vec::new();
        let mut fixed = !STEP_DEPENDENT.contains(&func.name);
        for arg in args {
            let (node, fixed_arg) = inner.lower(arg)?;
            fixed &= fixed_arg;
            lowered.push((node, fixed_arg, arg.span()));
        }
        let args = wrap_unless(fixed, lowered);
        Ok((Node::Call(Box::new(Call { name: func.name, args, span })), fixed))
    }

    fn info(&self, args: &[Expr]) -> Result<(Node, bool), QueryError> {
        let [input, labels @ ..] = args else {
            return Err(QueryError::execution("info() without an argument"));
        };
        let (mut at_ms, mut offset_ms) = (None, 0);
        if let Some((selector, subqueries)) = first_selector(input) {
            at_ms = self.at(selector.at);
            offset_ms = self.duration(&selector.offset, true)?;
            for subquery in subqueries {
                if at_ms.is_none() {
                    at_ms = self.at(subquery.at);
                    offset_ms += self.duration(&subquery.offset, true)?;
                }
            }
        }
        let (input, fixed) = self.lower(input)?;
        // The second argument is a selector without `@`, so upstream takes the call for dependent on the step.
        let fixed_call = fixed && labels.is_empty();
        let input = if fixed && !fixed_call { once(input) } else { input };
        let labels = labels.first().and_then(|l| match l.unwrap_parens() {
            Expr::Vector(v) => Some(v.matchers.clone()),
            _ => None,
        });
        Ok((Node::Info(Box::new(Info { input, labels, at_ms, offset_ms })), fixed_call))
    }

    fn selector(&self, selector: &VectorSelector) -> Result<Selector, QueryError> {
        Ok(Selector {
            matchers: selector.matchers.clone(),
            offset_ms: self.duration(&selector.offset, true)?,
            at_ms: self.at(selector.at),
            modifier: selector.modifier,
            detail: if self.statistics && !self.buckets { Detail::Statistics } else { Detail::Whole },
            span: selector.span,
        })
    }

    fn range(&self, expr: &Expr) -> Result<RangeNode, QueryError> {
        match expr {
            Expr::Matrix(matrix) => {
                let Selector { matchers, offset_ms, at_ms, modifier, detail, .. } =
                    self.selector(&matrix.selector)?;
                let range_ms = self.duration(&matrix.range, false)?;
                let source = Source::Selector { matchers, modifier, detail };
                Ok(RangeNode { source, range_ms, offset_ms, at_ms, span: matrix.span })
            }
            Expr::Subquery(SubqueryExpr { expr, range, step, offset, at, .. }) => {
                let (node, invariant) = Self { buckets: true, ..*self }.lower(expr)?;
                let node = if invariant { once(node) } else { node };
                let step_ms = step.as_ref().map(|s| self.duration(s, false)).transpose()?;
                Ok(RangeNode {
                    source: Source::Subquery { node, step_ms },
                    range_ms: self.duration(range, false)?,
                    offset_ms: self.duration(offset, true)?,
                    at_ms: self.at(*at),
                    span: Span::default(),
                })
            }
            _ => unreachable!("called for range vectors only"),
        }
    }

    fn duration(&self, value: &DurationValue, allow_negative: bool) -> Result<i64, QueryError> {
        let range_ms = self.times.end_ms - self.times.start_ms;
        value
            .evaluate(self.times.step_ms, range_ms, allow_negative)
            .map_err(|e| QueryError::new(QueryErrorKind::BadData, e.to_string()))
    }

    fn at(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::Timestamp(ms) => ms,
            At::Start => self.times.start_ms,
            At::End => self.times.end_ms,
        })
    }
}

/// Marks the invariant arguments of a call that is not invariant itself.
fn wrap_unless(fixed: bool, args: Vec<(Node, bool, Span)>) -> Vec<(Node, Span)> {
    args.into_iter()
        .map(|(node, invariant, span)| (if invariant && !fixed { once(node) } else { node }, span))
        .collect()
}

fn check_modifier(function: &str, source: &Source) -> Result<(), QueryError> {
    let Source::Selector { modifier, .. } = source else { return Ok(()) };
    let (word, allowed) = match modifier {
        RangeModifier::None => return Ok(()),
        RangeModifier::Anchored => ("anchored", ANCHORED),
        RangeModifier::Smoothed => ("smoothed", SMOOTHED),
    };
    if allowed.contains(&function) {
        return Ok(());
    }
    let list = allowed.join(", ");
    Err(QueryError::execution(format!("{word} modifier can only be used with: {list} - not with {function}")))
}
