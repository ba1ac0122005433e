//! The grammar of selectors and of what may follow an expression: `[…]`, `offset`, `@`, `anchored`, `smoothed`.

use model::{METRIC_NAME, MatchOp, Matcher, MatcherError};

use super::ast::{
    At, BinaryOp, DurationExpr, DurationValue, Expr, MatrixSelector, RangeModifier, Span, SubqueryExpr,
    VectorSelector,
};
use super::cursor::{Parsed, Parser, Tree};
use super::literal::{unquote, unquote_text};
use super::token::{Keyword, Kind, Token};

impl Parser<'_> {
    /// A selector alone, to the end of the text.
    pub(super) fn lone_selector(&mut self) -> Parsed<VectorSelector> {
        let name = match self.peek().kind {
            Kind::LeftBrace => None,
            kind if kind.is_metric_name() => Some(self.next()),
            _ => return self.unexpected("a metric name or \"{\""),
        };
        let selector = self.selector(name)?;
        if self.peek().kind != Kind::End {
            let braces = self.previous() == Some(b'}');
            let rest = "the end of the selector";
            return self.unexpected(if braces { rest } else { "\"{\" or the end of the selector" });
        }
        Ok(selector)
    }

    /// A selector whose name, if any, is consumed already.
    pub(super) fn selector(&mut self, name: Option<Token>) -> Parsed<VectorSelector> {
        let mut matchers = Vec::new();
        let mut span = name.map(|t| t.span);
        if name.is_none() || self.peek().kind == Kind::LeftBrace {
            let braces = self.matchers(&mut matchers)?;
            span = Some(span.map_or(braces, |s| s.to(braces)));
        }
        let name = name.map(|t| self.text(t).to_owned());
        if let Some(name) = &name {
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        Ok(VectorSelector {
            name,
            matchers,
            offset: DurationValue::ZERO,
            at: None,
            modifier: RangeModifier::None,
            bypass_empty_matcher_check: false,
            span: span.unwrap_or_default(),
        })
    }

    /// `{a="b", …}` with its braces.
    fn matchers(&mut self, out: &mut Vec<Matcher>) -> Parsed<Span> {
        const CONTEXT: &str = "label matching";
        let open = self.expect(Kind::LeftBrace)?;
        if let Some(close) = self.take(Kind::RightBrace) {
            return Ok(open.span.to(close.span));
        }
        loop {
            let token = self.peek();
            let name = match token.kind {
                Kind::Identifier => self.text(token).to_owned(),
                Kind::String => unquote(self.text(token)),
                _ => return self.unexpected_in(CONTEXT, "identifier or \"}\""),
            };
            self.next();
            let op = match self.peek().kind {
                Kind::Equal => Some(MatchOp::Equal),
                Kind::Operator(BinaryOp::Neq) => Some(MatchOp::NotEqual),
                Kind::EqualRegex => Some(MatchOp::Regex),
                Kind::NotRegex => Some(MatchOp::NotRegex),
                _ if token.kind == Kind::String => None,
                _ => return self.unexpected_in(CONTEXT, "label matching operator"),
            };
            match op {
                None => out.push(Matcher::equal(METRIC_NAME, name)),
                Some(op) => {
                    self.next();
                    let Some(value) = self.take(Kind::String) else {
                        return self.unexpected_in(CONTEXT, "string");
                    };
                    let pattern = unquote(self.text(value));
                    let is_regex = matches!(op, MatchOp::Regex | MatchOp::NotRegex);
                    if is_regex && unquote_text(self.text(value)).is_none() {
                        let span = token.span.to(value.span);
                        self.fail(span, format!("error parsing regexp: invalid UTF-8: `{pattern}`"));
                    }
                    match Matcher::new(name, op, &pattern) {
                        Ok(matcher) => out.push(matcher),
                        Err(e) => self.fail(token.span.to(value.span), regex_message(&e, &pattern)),
                    }
                }
            }
            let comma = self.take(Kind::Comma).is_some();
            if let Some(close) = self.take(Kind::RightBrace) {
                return Ok(open.span.to(close.span));
            }
            if !comma {
                return self.unexpected_in(CONTEXT, "\",\" or \"}\"");
            }
        }
    }

    /// All that follows an operand and binds more tightly than any operator.
    pub(super) fn postfix(&mut self, mut tree: Tree) -> Parsed<Tree> {
        loop {
            let token = self.peek();
            match token.kind {
                Kind::LeftBracket => tree = self.bracket(tree)?,
                Kind::Keyword(Keyword::Offset) => {
                    self.next();
                    let (offset, end) =
                        self.within("offset", "number, duration, step(), or range()", Self::offset)?;
                    self.set_offset(&mut tree.expr, offset, end);
                }
                Kind::At => {
                    self.next();
                    let (at, end) = self.within("@", "timestamp", |p| p.at(&tree.expr))?;
                    self.set_at(&mut tree.expr, at, end);
                }
                Kind::Keyword(word @ (Keyword::Anchored | Keyword::Smoothed)) => {
                    self.next();
                    self.set_modifier(&mut tree.expr, word);
                }
                _ => return Ok(tree),
            }
        }
    }

    /// `[range]` or `[range:step]`.
    fn bracket(&mut self, tree: Tree) -> Parsed<Tree> {
        let open = self.next();
        let range = self.within(
            "subquery or range selector",
            "number, duration, step(), or range()",
            Self::positive_duration,
        )?;
        if let Some(close) = self.take(Kind::RightBracket) {
            return Ok(self.range_selector(tree, range, open.span.to(close.span)));
        }
        if self.take(Kind::Colon).is_none() {
            return self.unexpected_in("subquery or range", "\":\" or \"]\"");
        }
        let step = if self.peek().kind == Kind::RightBracket {
            None
        } else {
            Some(self.within(
                "subquery selector",
                "number, duration, step(), range(), or \"]\"",
                Self::positive_duration,
            )?)
        };
        let Some(close) = self.take(Kind::RightBracket) else {
            return self.unexpected_in("subquery selector", "\"]\"");
        };
        let span = tree.expr.span().to(close.span);
        let expr = Box::new(tree.expr);
        let subquery = SubqueryExpr { expr, range, step, offset: DurationValue::ZERO, at: None, span };
        self.tree(Expr::Subquery(subquery), tree.height)
    }

    fn range_selector(&mut self, tree: Tree, range: DurationValue, brackets: Span) -> Tree {
        let problem = match &tree.expr {
            Expr::Vector(v) if v.offset != DurationValue::ZERO => "no offset modifiers allowed before range",
            Expr::Vector(v) if v.at.is_some() => "no @ modifiers allowed before range",
            Expr::Vector(_) => "",
            _ => "ranges only allowed for vector selectors",
        };
        if !problem.is_empty() {
            self.fail(brackets, problem);
        }
        match tree.expr {
            Expr::Vector(selector) => {
                let span = selector.span.to(brackets);
                Tree { expr: Expr::Matrix(MatrixSelector { selector, range, span }), height: tree.height }
            }
            // An error already; what follows is checked as if the bracket were not there.
            expr => {
                self.broken_range = Some(expr.span().to(brackets));
                Tree { expr, height: tree.height }
            }
        }
    }

    /// The range, brackets included, that was given to what is no selector and starts where `span` does.
    fn broken_range_at(&self, span: Span) -> Option<Span> {
        self.broken_range.filter(|b| b.start == span.start)
    }

    fn fails_on_broken_range(&mut self, span: Span) -> bool {
        let broken = self.broken_range_at(span);
        if let Some(range) = broken {
            self.fail(range, "ranges only allowed for vector selectors");
        }
        broken.is_some()
    }

    fn set_offset(&mut self, expr: &mut Expr, value: DurationValue, end: usize) {
        let span = expr.span();
        let (offset, whole) = match expr {
            Expr::Vector(v) => (&mut v.offset, &mut v.span),
            Expr::Matrix(m) => (&mut m.selector.offset, &mut m.span),
            Expr::Subquery(s) => (&mut s.offset, &mut s.span),
            _ if self.fails_on_broken_range(span) => return,
            _ => {
                return self.fail(
                    span,
                    "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                );
            }
        };
        whole.end = end;
        if *offset == DurationValue::ZERO {
            *offset = value;
        } else {
            self.fail(span, "offset may not be set multiple times");
        }
    }

    /// The time behind `@` and where it ends.
    fn at(&mut self, of: &Expr) -> Parsed<(At, usize)> {
        let word = match self.peek().kind {
            Kind::Start => Some(At::Start),
            Kind::EndWord => Some(At::End),
            _ => None,
        };
        if let Some(at) = word {
            self.next();
            self.expect(Kind::LeftParen)?;
            return Ok((at, self.expect(Kind::RightParen)?.span.end));
        }
        let negate = self.take(Kind::Operator(BinaryOp::Sub)).is_some();
        if !negate {
            self.take(Kind::Operator(BinaryOp::Add));
        }
        let (value, _, span) = self.number()?;
        let seconds = if negate { -value } else { value };
        if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
            let shown = match seconds {
                s if s.is_nan() => "NaN".to_owned(),
                f64::INFINITY => "+Inf".to_owned(),
                f64::NEG_INFINITY => "-Inf".to_owned(),
                s => format!("{s:.6}"),
            };
            self.fail(of.span(), format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        // `as` saturates, which ends no later than any stored sample.
        Ok((At::Timestamp((seconds * 1000.0).round() as i64), span.end))
    }

    fn set_at(&mut self, expr: &mut Expr, value: At, end: usize) {
        let span = expr.span();
        let (at, whole) = match expr {
            Expr::Vector(v) => (&mut v.at, &mut v.span),
            Expr::Matrix(m) => (&mut m.selector.at, &mut m.span),
            Expr::Subquery(s) => (&mut s.at, &mut s.span),
            _ if self.fails_on_broken_range(span) => return,
            _ => {
                return self.fail(
                    span,
                    "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
                );
            }
        };
        if at.is_some() {
            return self.fail(span, "@ <timestamp> may not be set multiple times");
        }
        *at = Some(value);
        whole.end = end;
    }

    fn set_modifier(&mut self, expr: &mut Expr, word: Keyword) {
        let span = expr.span();
        let (name, modifier) = match word {
            Keyword::Anchored => ("anchored", RangeModifier::Anchored),
            _ => ("smoothed", RangeModifier::Smoothed),
        };
        if !self.options.extended_range_selectors {
            return self.fail(span, format!("{name} modifier is experimental and not enabled"));
        }
        let current = match expr {
            Expr::Vector(v) => &mut v.modifier,
            Expr::Matrix(m) => &mut m.selector.modifier,
            Expr::Subquery(_) => {
                return self.fail(span, format!("{name} modifier is not supported for subqueries"));
            }
            _ if self.broken_range_at(span).is_some() => return,
            _ => return self.fail(span, format!("{name} modifier not implemented")),
        };
        if *current != RangeModifier::None && *current != modifier {
            self.fail(span, "anchored and smoothed modifiers cannot be used together");
        } else {
            *current = modifier;
        }
    }

    fn positive_duration(&mut self) -> Parsed<DurationValue> {
        match self.duration_expr(0)? {
            DurationExpr::Literal { seconds, span, .. } => {
                if seconds <= 0.0 {
                    self.fail(span, "duration must be greater than 0");
                }
                Ok(DurationValue::Millis(millis(seconds)))
            }
            expr => Ok(DurationValue::Expr(Box::new(expr))),
        }
    }

    /// The duration behind `offset` and where it ends.
    fn offset(&mut self) -> Parsed<(DurationValue, usize)> {
        let expr = self.offset_duration()?;
        let end = expr.span().end;
        Ok(match expr {
            DurationExpr::Literal { seconds, .. } => (DurationValue::Millis(millis(seconds)), end),
            expr => (DurationValue::Expr(Box::new(expr)), end),
        })
    }
}

/// Whole milliseconds by way of whole nanoseconds, as upstream.
fn millis(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64 / 1_000_000
}

/// The one line Go would print for the commonest mistakes, else our engine's reason on one line.
fn regex_message(error: &MatcherError, pattern: &str) -> String {
    let text = error.to_string();
    let reason = text.rsplit("error: ").next().unwrap_or_default().trim();
    let reason = match reason {
        "unclosed group" => format!("missing closing ): `{pattern}`"),
        "unopened group" => format!("unexpected ): `{pattern}`"),
        "unclosed character class" => format!("missing closing ]: `{pattern}`"),
        "repetition operator missing expression" => {
            let op = pattern.chars().find(|c| "*+?".contains(*c)).unwrap_or('*');
            format!("missing argument to repetition operator: `{op}`")
        }
        other => other.replace('\n', " "),
    };
    format!("error parsing regexp: {reason}")
}
