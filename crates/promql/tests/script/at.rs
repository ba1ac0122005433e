//! The same query pinned to its evaluation time by `@`, to be asked at other times.

use promql::parser::{At, Expr, ParserOptions, parse};

/// Functions whose result depends on the evaluation time even where their arguments do not.
const UNSAFE: &[&str] = &[
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "year",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
];

/// The query with `@ t` on each selector and subquery that has none, and the times at which it must yield the same;
/// `None` where it depends on the evaluation time all the same.
pub(crate) fn pinned(query: &str, t: i64) -> Option<(String, Vec<i64>)> {
    let mut expr = parse(query, &ParserOptions::all()).ok()?;
    if !pin(&mut expr, t) {
        return None;
    }
    let times = if t == 0 { vec![-1000, 0, 1000] } else { vec![-10 * t, 0, t / 5, t, 10 * t] };
    Some((expr.to_string(), times))
}

/// Whether the expression does not depend on the evaluation time any more.
fn pin(expr: &mut Expr, t: i64) -> bool {
    let fix = |at: &mut Option<At>| {
        if !matches!(at, Some(At::Timestamp(_))) {
            *at = Some(At::Timestamp(t));
        }
        true
    };
    match expr {
        Expr::Vector(v) => fix(&mut v.at),
        Expr::Matrix(m) => fix(&mut m.selector.at),
        // What is inside is at the subquery's times, which are fixed by this.
        Expr::Subquery(s) => fix(&mut s.at),
        Expr::Call { func, args, .. } => {
            let safe = !UNSAFE.contains(&func.name);
            args.iter_mut().fold(safe, |safe, arg| pin(arg, t) && safe)
        }
        Expr::Aggregate { expr, param, .. } => {
            let safe = param.as_deref_mut().is_none_or(|p| pin(p, t));
            pin(expr, t) && safe
        }
        Expr::Binary { lhs, rhs, .. } => {
            let safe = pin(lhs, t);
            pin(rhs, t) && safe
        }
        Expr::Unary { expr, .. } | Expr::Paren { expr, .. } => pin(expr, t),
        Expr::Number { .. } | Expr::String { .. } => true,
    }
}
