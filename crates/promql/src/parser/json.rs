//! The tree as JSON, in the shape of `/api/v1/parse_query`.

use std::fmt::Write as _;

use model::Matcher;
use model::float::format_f;

use super::ast::{
    At, DurationExpr, DurationValue, Expr, FillValues, RangeModifier, VectorMatching, VectorSelector,
};

/// The tree as a JSON text; keys are sorted, as upstream's are.
#[must_use]
pub fn ast_json(expr: &Expr) -> String {
    match expr {
        Expr::Number { value, .. } => {
            object(&[("type", text("numberLiteral")), ("val", text(&format_f(*value)))])
        }
        Expr::String { value, .. } => object(&[("type", text("stringLiteral")), ("val", text(value))]),
        Expr::Vector(v) => selector("vectorSelector", v, &[]),
        Expr::Matrix(m) => selector(
            "matrixSelector",
            &m.selector,
            &[("range", millis(&m.range)), ("rangeExpr", formula(&m.range))],
        ),
        Expr::Subquery(s) => {
            let step = s.step.as_ref();
            let mut fields = vec![
                ("expr", ast_json(&s.expr)),
                ("offset", millis(&s.offset)),
                ("offsetExpr", formula(&s.offset)),
                ("range", millis(&s.range)),
                ("rangeExpr", formula(&s.range)),
                ("step", step.map_or_else(|| "0".to_owned(), millis)),
                ("stepExpr", step.map_or_else(null, formula)),
                ("type", text("subquery")),
            ];
            fields.extend(at_fields(s.at));
            object(&fields)
        }
        Expr::Call { func, args, .. } => {
            let function = object(&[
                ("argTypes", list(func.arg_types.iter().map(|t| text(t.as_str())))),
                ("name", text(func.name)),
                ("returnType", text(func.return_type.as_str())),
                ("variadic", func.variadic.to_string()),
            ]);
            object(&[("args", list(args.iter().map(ast_json))), ("func", function), ("type", text("call"))])
        }
        Expr::Aggregate { op, expr, param, grouping, without, .. } => object(&[
            ("expr", ast_json(expr)),
            ("grouping", list(grouping.iter().map(|l| text(l)))),
            ("op", text(op.as_str())),
            ("param", param.as_deref().map_or_else(null, ast_json)),
            ("type", text("aggregation")),
            ("without", without.to_string()),
        ]),
        Expr::Binary { op, lhs, rhs, matching, return_bool, .. } => object(&[
            ("bool", return_bool.to_string()),
            ("lhs", ast_json(lhs)),
            ("matching", matching.as_ref().map_or_else(null, matching_json)),
            ("op", text(op.as_str())),
            ("rhs", ast_json(rhs)),
            ("type", text("binaryExpr")),
        ]),
        Expr::Unary { negate, expr, .. } => object(&[
            ("expr", ast_json(expr)),
            ("op", text(if *negate { "-" } else { "+" })),
            ("type", text("unaryExpr")),
        ]),
        Expr::Paren { expr, .. } => object(&[("expr", ast_json(expr)), ("type", text("parenExpr"))]),
    }
}

fn selector(kind: &str, v: &VectorSelector, more: &[(&'static str, String)]) -> String {
    let mut fields = vec![
        ("anchored", (v.modifier == RangeModifier::Anchored).to_string()),
        ("matchers", list(v.matchers.iter().map(matcher))),
        ("name", text(v.name.as_deref().unwrap_or(""))),
        ("offset", millis(&v.offset)),
        ("offsetExpr", formula(&v.offset)),
        ("smoothed", (v.modifier == RangeModifier::Smoothed).to_string()),
        ("type", text(kind)),
    ];
    fields.extend(at_fields(v.at));
    fields.extend_from_slice(more);
    object(&fields)
}

fn matcher(m: &Matcher) -> String {
    object(&[("name", text(&m.name)), ("type", text(m.op.as_str())), ("value", text(&m.value))])
}

fn matching_json(m: &VectorMatching) -> String {
    let FillValues { left, right } = m.fill;
    let number = |v: Option<f64>| v.filter(|v| v.is_finite()).map_or_else(null, format_f);
    object(&[
        ("card", text(m.card.as_str())),
        ("fillValues", object(&[("lhs", number(left)), ("rhs", number(right))])),
        ("include", list(m.include.iter().map(|l| text(l)))),
        ("labels", list(m.labels.iter().map(|l| text(l)))),
        ("on", m.on.to_string()),
    ])
}

fn at_fields(at: Option<At>) -> [(&'static str, String); 2] {
    let (timestamp, word) = match at {
        None => (null(), null()),
        Some(At::Timestamp(ms)) => (ms.to_string(), null()),
        Some(At::Start) => (null(), text("start")),
        Some(At::End) => (null(), text("end")),
    };
    [("startOrEnd", word), ("timestamp", timestamp)]
}

fn millis(d: &DurationValue) -> String {
    d.as_millis().unwrap_or(0).to_string()
}

fn formula(d: &DurationValue) -> String {
    match d {
        DurationValue::Millis(_) => null(),
        DurationValue::Expr(expr) => duration(expr, false),
    }
}

fn duration(expr: &DurationExpr, wrapped: bool) -> String {
    let node = |op: &str, lhs: String, rhs: String| {
        object(&[
            ("lhs", lhs),
            ("op", text(op)),
            ("rhs", rhs),
            ("type", text("durationExpr")),
            ("wrapped", wrapped.to_string()),
        ])
    };
    match expr {
        // Upstream has no node for parentheses; around a literal it puts a unary plus.
        DurationExpr::Literal { .. } if wrapped => node("+", null(), duration(expr, false)),
        DurationExpr::Literal { seconds, duration, .. } => object(&[
            ("duration", duration.to_string()),
            ("type", text("numberLiteral")),
            ("val", text(&format_f(*seconds))),
        ]),
        DurationExpr::Step { .. } => node("step", null(), null()),
        DurationExpr::Range { .. } => node("range", null(), null()),
        DurationExpr::Negate { expr, .. } => node("-", null(), duration(expr, false)),
        DurationExpr::Binary { op, lhs, rhs, .. } => {
            node(op.as_str(), duration(lhs, false), duration(rhs, false))
        }
        DurationExpr::Paren { expr, .. } => duration(expr, true),
    }
}

fn null() -> String {
    "null".to_owned()
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn object(fields: &[(&'static str, String)]) -> String {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn text(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes all"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
