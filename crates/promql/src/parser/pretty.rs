//! Long expressions over several lines, by upstream's rules: what fits into a line stays in it.

use super::ast::Expr;
use super::print::{aggregation_head, operator, subquery_suffix};

/// A node longer than this is broken up.
const MAX_LINE: usize = 100;

/// The expression, broken up and indented where it is long.
#[must_use]
pub fn prettify(expr: &Expr) -> String {
    prettify_to(expr, MAX_LINE)
}

/// As [`prettify`], with the length in bytes from which on a node is broken up.
#[must_use]
pub fn prettify_to(expr: &Expr, max_line: usize) -> String {
    pretty(expr, 0, max_line)
}

fn pretty(expr: &Expr, level: usize, max_line: usize) -> String {
    let pretty = |expr: &Expr, level| pretty(expr, level, max_line);
    let indent = "  ".repeat(level);
    let flat = expr.to_string();
    let split = flat.len() > max_line;
    match expr {
        Expr::Subquery(s) if split => format!("{}{}", pretty(&s.expr, level), subquery_suffix(s)),
        // Upstream leaves out the indentation here.
        Expr::Subquery(_) => flat,
        Expr::Unary { negate, expr, .. } => {
            format!("{indent}{}{}", if *negate { '-' } else { '+' }, pretty(expr, level).trim())
        }
        _ if !split => indent + &flat,
        Expr::Aggregate { expr: inner, param, .. } => {
            let param = param.as_ref().map(|p| pretty(p, level + 1) + ",\n").unwrap_or_default();
            let inner = pretty(inner, level + 1);
            format!("{indent}{}(\n{param}{inner}\n{indent})", aggregation_head(expr))
        }
        Expr::Binary { lhs, rhs, .. } => {
            let (lhs, rhs) = (pretty(lhs, level + 1), pretty(rhs, level + 1));
            format!("{lhs}\n{indent}{}\n{rhs}", operator(expr))
        }
        Expr::Call { func, args, .. } => {
            let args: Vec<_> = args.iter().map(|a| pretty(a, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", func.name, args.join(",\n"))
        }
        Expr::Paren { expr, .. } => format!("{indent}(\n{}\n{indent})", pretty(expr, level + 1)),
        Expr::Number { .. } | Expr::String { .. } | Expr::Vector(_) | Expr::Matrix(_) => indent + &flat,
    }
}
