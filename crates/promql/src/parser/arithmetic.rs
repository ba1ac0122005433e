//! The grammar of duration expressions: `5m * 2`, `-step()`, `max_of(1m, range() / 2)`.

use super::ast::{BinaryOp, DurationExpr, DurationOp, Span};
use super::cursor::{Parsed, Parser, Stop};
use super::duration::MAX_SECONDS;
use super::expr::precedence;
use super::token::{Kind, Token};

impl Parser<'_> {
    /// What may follow `offset`: a literal or a function with an optional sign, without any operator behind it, or an
    /// expression that begins with a parenthesis or two signs.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let first = self.peek();
        let Some(negate) = sign(first.kind) else {
            return match first.kind {
                Kind::LeftParen => self.duration_expr(0),
                _ => self.duration_atom(),
            };
        };
        self.next();
        match self.peek().kind {
            Kind::LeftParen => {
                self.next();
                let inner = self.nested(|p| p.duration_expr(0))?;
                let close = self.expect(Kind::RightParen)?;
                let inner = parenthesised(inner, first.span.to(close.span));
                Ok(self.signed(negate, first, inner))
            }
            kind if sign(kind).is_some() => {
                let inner = self.duration_expr(precedence(BinaryOp::Pow).0)?;
                let lhs = self.signed(negate, first, inner);
                self.duration_operators(lhs, 0)
            }
            _ => {
                let inner = self.duration_atom()?;
                Ok(self.signed(negate, first, inner))
            }
        }
    }

    /// A duration expression whose operators all bind at least as tightly as `min`.
    pub(super) fn duration_expr(&mut self, min: u8) -> Parsed<DurationExpr> {
        self.nested(|p| {
            let first = p.peek();
            let lhs = match sign(first.kind) {
                Some(negate) => {
                    p.next();
                    let inner = p.duration_expr(precedence(BinaryOp::Pow).0)?;
                    p.signed(negate, first, inner)
                }
                None => p.duration_atom()?,
            };
            p.duration_operators(lhs, min)
        })
    }

    fn duration_operators(&mut self, mut lhs: DurationExpr, min: u8) -> Parsed<DurationExpr> {
        let mut length = 0;
        while let Kind::Operator(binary) = self.peek().kind {
            let op = match binary {
                BinaryOp::Add => DurationOp::Add,
                BinaryOp::Sub => DurationOp::Sub,
                BinaryOp::Mul => DurationOp::Mul,
                BinaryOp::Div => DurationOp::Div,
                BinaryOp::Mod => DurationOp::Mod,
                BinaryOp::Pow => DurationOp::Pow,
                _ => break,
            };
            let (precedence, right_associative) = precedence(binary);
            if precedence < min {
                break;
            }
            length += 1;
            if length > super::MAX_HEIGHT {
                self.fail(lhs.span(), "duration expression too long");
                return Err(Stop);
            }
            let token = self.next();
            let rhs = self.duration_expr(if right_associative { precedence } else { precedence + 1 })?;
            self.require_duration_expr(&lhs);
            let span = lhs.span().to(rhs.span());
            let zero = matches!(&rhs, DurationExpr::Literal { seconds, .. } if *seconds == 0.0);
            match op {
                DurationOp::Div if zero => self.fail(token.span, "division by zero"),
                DurationOp::Mod if zero => self.fail(token.span, "modulo by zero"),
                _ => {}
            }
            lhs = DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs), span };
        }
        Ok(lhs)
    }

    /// A literal, a function, or an expression in parentheses.
    fn duration_atom(&mut self) -> Parsed<DurationExpr> {
        let first = self.peek();
        match first.kind {
            Kind::Step | Kind::Range => {
                self.next();
                self.expect(Kind::LeftParen)?;
                let span = first.span.to(self.expect(Kind::RightParen)?.span);
                let expr = match first.kind {
                    Kind::Step => DurationExpr::Step { span },
                    _ => DurationExpr::Range { span },
                };
                self.require_duration_expr(&expr);
                Ok(expr)
            }
            Kind::MinOf | Kind::MaxOf => {
                self.next();
                self.expect(Kind::LeftParen)?;
                let lhs = Box::new(self.duration_expr(0)?);
                self.expect(Kind::Comma)?;
                let rhs = Box::new(self.duration_expr(0)?);
                let span = first.span.to(self.expect(Kind::RightParen)?.span);
                let op = if first.kind == Kind::MinOf { DurationOp::MinOf } else { DurationOp::MaxOf };
                let expr = DurationExpr::Binary { op, lhs, rhs, span };
                self.require_duration_expr(&expr);
                Ok(expr)
            }
            Kind::LeftParen => {
                self.next();
                let inner = self.duration_expr(0)?;
                let close = self.expect(Kind::RightParen)?;
                self.require_duration_expr(&inner);
                Ok(parenthesised(inner, first.span.to(close.span)))
            }
            _ => {
                let (seconds, duration, span) = self.number()?;
                let seconds = self.in_range(seconds, span);
                Ok(DurationExpr::Literal { seconds, duration, span })
            }
        }
    }

    fn in_range(&mut self, seconds: f64, span: Span) -> f64 {
        if seconds.abs() > MAX_SECONDS {
            self.fail(span, "duration out of range");
            return 0.0;
        }
        seconds
    }

    /// Applies a sign; a plus vanishes.
    fn signed(&mut self, negate: bool, sign: Token, expr: DurationExpr) -> DurationExpr {
        match expr {
            DurationExpr::Literal { seconds, duration, span } => DurationExpr::Literal {
                seconds: if negate { -seconds } else { seconds },
                duration,
                span: sign.span.to(span),
            },
            expr if negate => {
                let span = sign.span.to(expr.span());
                DurationExpr::Negate { expr: Box::new(expr), span }
            }
            expr => expr,
        }
    }

    fn require_duration_expr(&mut self, expr: &DurationExpr) {
        if !self.options.duration_expr {
            self.fail(expr.span(), "experimental duration expression is not enabled");
        }
    }
}

fn sign(kind: Kind) -> Option<bool> {
    match kind {
        Kind::Operator(BinaryOp::Sub) => Some(true),
        Kind::Operator(BinaryOp::Add) => Some(false),
        _ => None,
    }
}

/// Several pairs of parentheses count as one.
fn parenthesised(expr: DurationExpr, span: Span) -> DurationExpr {
    match expr {
        DurationExpr::Paren { expr, .. } => DurationExpr::Paren { expr, span },
        expr => DurationExpr::Paren { expr: Box::new(expr), span },
    }
}
