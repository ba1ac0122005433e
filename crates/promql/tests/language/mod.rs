//! The language's texts: errors, printed forms, and properties over random expressions and damaged ones.

mod errors;
mod generate;
mod mutate;
mod printed;

use promql::parser::{Expr, ParserOptions, ast_json, parse, prettify_to};

/// Panics unless the expression's text, plain and broken up, gives the same tree.
pub(crate) fn round_trips(expr: &Expr) {
    let printed = expr.to_string();
    let again = parse(&printed, &ParserOptions::all()).unwrap_or_else(|e| panic!("{printed}: {e}"));
    assert_eq!(again.to_string(), printed);
    assert_eq!(ast_json(&sorted(expr.clone())), ast_json(&sorted(again)), "{printed}");
    let pretty = prettify_to(expr, 20);
    assert_eq!(
        parse(&pretty, &ParserOptions::all()).map(|e| e.to_string()).as_deref(),
        Ok(printed.as_str()),
        "{pretty}"
    );
}

/// The tree with the matchers of each selector in the printer's order; spans do not appear in its JSON.
fn sorted(mut expr: Expr) -> Expr {
    fn visit(expr: &mut Expr) {
        match expr {
            Expr::Vector(v) => v.matchers.sort_by_key(ToString::to_string),
            Expr::Matrix(m) => m.selector.matchers.sort_by_key(ToString::to_string),
            Expr::Subquery(s) => visit(&mut s.expr),
            Expr::Call { args, .. } => args.iter_mut().for_each(visit),
            Expr::Aggregate { expr, param, .. } => {
                visit(expr);
                param.iter_mut().for_each(|p| visit(p));
            }
            Expr::Binary { lhs, rhs, .. } => {
                visit(lhs);
                visit(rhs);
            }
            Expr::Unary { expr, .. } | Expr::Paren { expr, .. } => visit(expr),
            Expr::Number { .. } | Expr::String { .. } => {}
        }
    }
    visit(&mut expr);
    expr
}
