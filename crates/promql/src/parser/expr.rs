//! The grammar of expressions: precedence climbing over operators, with calls, aggregations and parentheses.

use model::float::go_quote;

use super::ast::{
    AggregateOp, BinaryOp, Cardinality, DurationValue, Expr, FillValues, Span, ValueType, VectorMatching,
};
use super::cursor::{Parsed, Parser, Stop, Tree};
use super::functions::{Function, function};
use super::literal::{
    parse_duration, parse_number, quote_bytes, unquote, unquote_bytes, unquote_invalid, unquote_text,
};
use super::token::{Keyword, Kind, Token};

/// What an expression may begin with.
const OPERAND: &str =
    "a metric name, a number, a duration, a string, a function, an aggregation, a sign, \"(\" or \"{\"";

/// Stands for a function that does not exist while parsing goes on to find more errors.
static UNKNOWN_FUNCTION: Function = Function {
    name: "",
    arg_types: &[],
    variadic: -1,
    return_type: ValueType::Vector,
    experimental: false,
    of_number: None,
};

impl Parser<'_> {
    /// A whole query.
    pub(super) fn query(&mut self) -> Parsed<Expr> {
        if self.peek().kind == Kind::End {
            self.fail(Span::default(), "no expression found in input");
            return Err(Stop);
        }
        let tree = self.expr(0)?;
        self.expect_behind(Kind::End, &["the end of the query"])?;
        Ok(tree.expr)
    }

    /// An expression whose binary operators all bind at least as tightly as `min`.
    pub(super) fn expr(&mut self, min: u8) -> Parsed<Tree> {
        self.nested(|p| {
            let mut lhs = p.operand()?;
            while let Kind::Operator(op) = p.peek().kind {
                let (precedence, right_associative) = precedence(op);
                if precedence < min {
                    break;
                }
                p.next();
                lhs = p.binary(lhs, op, if right_associative { precedence } else { precedence + 1 })?;
            }
            Ok(lhs)
        })
    }

    fn operand(&mut self) -> Parsed<Tree> {
        let token = self.peek();
        let sign = match token.kind {
            Kind::Operator(BinaryOp::Sub) => true,
            Kind::Operator(BinaryOp::Add) => false,
            _ => {
                let tree = self.primary()?;
                let tree = self.postfix(tree)?;
                self.behind = follows(&tree.expr, self.previous() == Some(b'}'));
                return Ok(tree);
            }
        };
        self.next();
        let Tree { mut expr, height } = self.expr(precedence(BinaryOp::Pow).0)?;
        if let Expr::Number { value, span, .. } = &mut expr {
            if sign {
                *value = -*value;
            }
            span.start = token.span.start;
            return Ok(Tree { expr, height });
        }
        let span = token.span.to(expr.span());
        self.tree(Expr::Unary { negate: sign, expr: Box::new(expr), span }, height)
    }

    fn primary(&mut self) -> Parsed<Tree> {
        let token = self.peek();
        let expr = match token.kind {
            Kind::Number | Kind::Duration => {
                let (value, duration, span) = self.number()?;
                Expr::Number { value, duration, span }
            }
            Kind::String => {
                self.next();
                let text = self.text(token);
                Expr::String { value: unquote(text), bytes: unquote_invalid(text), span: token.span }
            }
            Kind::LeftParen => {
                self.next();
                let Tree { expr, height } = self.expr(0)?;
                let close = self.expect_behind(Kind::RightParen, &["\")\""])?;
                let span = token.span.to(close.span);
                return self.tree(Expr::Paren { expr: Box::new(expr), span }, height);
            }
            Kind::Aggregate(op) => {
                self.next();
                return match self.peek().kind {
                    Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without) => {
                        self.within("aggregation", "", |p| p.aggregation(op, token))
                    }
                    _ => {
                        let selector = self.selector(Some(token))?;
                        self.tree(Expr::Vector(selector), 0)
                    }
                };
            }
            Kind::Identifier
            | Kind::Start
            | Kind::EndWord
            | Kind::Step
            | Kind::Range
            | Kind::MaxOf
            | Kind::MinOf => {
                self.next();
                if self.peek().kind == Kind::LeftParen {
                    return self.call(token);
                }
                Expr::Vector(self.selector(Some(token))?)
            }
            Kind::LeftBrace => Expr::Vector(self.selector(None)?),
            kind if kind.is_metric_name() => {
                self.next();
                Expr::Vector(self.selector(Some(token))?)
            }
            _ => return self.unexpected(OPERAND),
        };
        self.tree(expr, 0)
    }

    /// A number or duration token: value in seconds, whether it is a duration, and where.
    pub(super) fn number(&mut self) -> Parsed<(f64, bool, Span)> {
        let token = self.peek();
        let text = self.text(token);
        match token.kind {
            Kind::Number => {
                self.next();
                let value = parse_number(text).unwrap_or_else(|e| {
                    self.fail(token.span, format!("error parsing number: {e}"));
                    0.0
                });
                Ok((value, false, token.span))
            }
            Kind::Duration => {
                self.next();
                let ms = parse_duration(text).unwrap_or_else(|e| {
                    self.fail(token.span, e);
                    0
                });
                Ok((ms as f64 / 1000.0, true, token.span))
            }
            _ => self.unexpected("a number or a duration"),
        }
    }

    fn call(&mut self, name: Token) -> Parsed<Tree> {
        let (args, height, end) = self.arguments()?;
        let text = self.text(name);
        let func = function(text);
        if func.is_none() {
            self.fail(name.span, format!("unknown function with name {}", go_quote(text)));
        }
        if func.is_some_and(|f| f.experimental) && !self.options.experimental_functions {
            self.fail(name.span, format!("function {} is not enabled", go_quote(text)));
        }
        let span = Span::new(name.span.start, end);
        self.tree(Expr::Call { func: func.unwrap_or(&UNKNOWN_FUNCTION), args, span }, height)
    }

    /// `(a, b)`: the expressions, their greatest height and where the parenthesis ends.
    fn arguments(&mut self) -> Parsed<(Vec<Expr>, usize, usize)> {
        self.expect(Kind::LeftParen)?;
        let (mut args, mut height) = (Vec::new(), 0);
        if let Some(close) = self.take(Kind::RightParen) {
            return Ok((args, height, close.span.end));
        }
        loop {
            let tree = self.expr(0)?;
            height = height.max(tree.height);
            args.push(tree.expr);
            let mut another = false;
            while let Some(comma) = self.take(Kind::Comma) {
                another = starts_expr(self.peek().kind);
                if another {
                    break;
                }
                self.fail(comma.span, "trailing commas not allowed in function call args");
            }
            if !another {
                let close = self.expect_behind(Kind::RightParen, &["\",\"", "\")\""])?;
                return Ok((args, height, close.span.end));
            }
        }
    }

    fn aggregation(&mut self, op: AggregateOp, name: Token) -> Parsed<Tree> {
        let mut modifier = self.aggregation_modifier()?;
        let (mut args, height, mut end) = self.arguments()?;
        if modifier.is_none() {
            modifier = self.aggregation_modifier()?;
            end = modifier.as_ref().map_or(end, |m| m.2);
        }
        let span = Span::new(name.span.start, end);
        let (without, grouping, _) = modifier.unwrap_or_default();
        let wanted = if op.param_type().is_some() { 2 } else { 1 };
        let problem = if args.is_empty() {
            Some("no arguments for aggregate expression provided".to_owned())
        } else if op.is_experimental() && !self.options.experimental_functions {
            Some(format!(
                "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                op.as_str()
            ))
        } else if args.len() == wanted {
            None
        } else {
            Some(format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {}",
                args.len()
            ))
        };
        let (expr, param) = if let Some(message) = problem {
            self.fail(span, message);
            (Expr::String { value: String::new(), bytes: None, span }, None)
        } else {
            let expr = args.pop().expect("the number of arguments was checked");
            (expr, args.pop().map(Box::new))
        };
        self.tree(Expr::Aggregate { op, expr: Box::new(expr), param, grouping, without, span }, height)
    }

    fn aggregation_modifier(&mut self) -> Parsed<Option<(bool, Vec<String>, usize)>> {
        let without = match self.peek().kind {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.next();
        let (labels, end) = self.grouping()?;
        Ok(Some((without, labels, end)))
    }

    /// `(a, "b.c",)`: the labels and where the parenthesis ends.
    fn grouping(&mut self) -> Parsed<(Vec<String>, usize)> {
        const CONTEXT: &str = "grouping opts";
        if self.take(Kind::LeftParen).is_none() {
            return self.unexpected_in(CONTEXT, "\"(\"");
        }
        let mut labels = Vec::new();
        if let Some(close) = self.take(Kind::RightParen) {
            return Ok((labels, close.span.end));
        }
        loop {
            let token = self.peek();
            let text = self.text(token);
            let label = match token.kind {
                Kind::String => unquote_text(text),
                kind if kind.is_label_name() => Some(text.to_owned()),
                _ => return self.unexpected_in(CONTEXT, "label"),
            };
            self.next();
            match label.filter(|l| !l.is_empty()) {
                Some(label) => labels.push(label),
                None => {
                    let name = quote_bytes(&unquote_bytes(text));
                    self.fail(token.span, format!("invalid label name for grouping: {name}"));
                }
            }
            let comma = self.take(Kind::Comma).is_some();
            if let Some(close) = self.take(Kind::RightParen) {
                return Ok((labels, close.span.end));
            }
            if !comma {
                return self.unexpected_in(CONTEXT, "\",\" or \")\"");
            }
        }
    }

    /// What follows an operator: its modifiers and the right operand.
    fn binary(&mut self, lhs: Tree, op: BinaryOp, min: u8) -> Parsed<Tree> {
        let return_bool = self.take(Kind::Keyword(Keyword::Bool)).is_some();
        let mut matching = VectorMatching {
            card: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill: FillValues::default(),
        };
        if let Kind::Keyword(word @ (Keyword::On | Keyword::Ignoring)) = self.peek().kind {
            self.next();
            matching.on = word == Keyword::On;
            matching.labels = self.grouping()?.0;
            if let Kind::Keyword(word @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.peek().kind {
                self.next();
                matching.card = match word {
                    Keyword::GroupLeft => Cardinality::ManyToOne,
                    _ => Cardinality::OneToMany,
                };
                if self.peek().kind == Kind::LeftParen {
                    matching.include = self.grouping()?.0;
                }
            }
        }
        self.fill_modifiers(&mut matching.fill)?;
        let rhs = self.expr(min)?;
        let span = lhs.expr.span().to(rhs.expr.span());
        if !self.options.binop_fill_modifiers && matching.fill != FillValues::default() {
            self.fail(span, "binop fill modifiers are experimental and not enabled");
        }
        let height = lhs.height.max(rhs.height);
        let (lhs, rhs) = (Box::new(lhs.expr), Box::new(rhs.expr));
        self.tree(Expr::Binary { op, lhs, rhs, matching: Some(matching), return_bool, span }, height)
    }

    fn fill_modifiers(&mut self, fill: &mut FillValues) -> Parsed<()> {
        loop {
            let (left, right) = match self.peek().kind {
                Kind::Keyword(Keyword::Fill) if *fill == FillValues::default() => (true, true),
                Kind::Keyword(Keyword::FillLeft) if fill.left.is_none() => (true, false),
                Kind::Keyword(Keyword::FillRight) if fill.right.is_none() => (false, true),
                _ => return Ok(()),
            };
            self.next();
            self.expect(Kind::LeftParen)?;
            let negate = self.take(Kind::Operator(BinaryOp::Sub)).is_some();
            if !negate {
                self.take(Kind::Operator(BinaryOp::Add));
            }
            let value = self.number()?.0;
            self.expect(Kind::RightParen)?;
            let value = Some(if negate { -value } else { value });
            if left {
                fill.left = value;
            }
            if right {
                fill.right = value;
            }
        }
    }
}

/// How tightly an operator binds, and whether it associates to the right.
pub(super) fn precedence(op: BinaryOp) -> (u8, bool) {
    match op {
        BinaryOp::Or => (1, false),
        BinaryOp::And | BinaryOp::Unless => (2, false),
        BinaryOp::Add | BinaryOp::Sub => (4, false),
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => (5, false),
        BinaryOp::Pow => (6, true),
        _ => (3, false),
    }
}

/// What may follow an operand, besides what closes the construct it stands in.
fn follows(expr: &Expr, braces: bool) -> &'static [&'static str] {
    match expr {
        Expr::Vector(v) if v.at.is_none() && v.offset == DurationValue::ZERO && !braces => {
            &["\"{\"", "\"[\"", "\"offset\"", "\"@\"", "an operator"]
        }
        Expr::Vector(_) => &["\"[\"", "\"offset\"", "\"@\"", "an operator"],
        Expr::Matrix(_) | Expr::Subquery(_) => &["\"offset\"", "\"@\"", "an operator"],
        Expr::Number { .. } | Expr::String { .. } => &["an operator"],
        _ => &["\"[\"", "an operator"],
    }
}

fn starts_expr(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Number
            | Kind::Duration
            | Kind::String
            | Kind::LeftParen
            | Kind::LeftBrace
            | Kind::Operator(BinaryOp::Add | BinaryOp::Sub)
    ) || kind.is_metric_name()
}
