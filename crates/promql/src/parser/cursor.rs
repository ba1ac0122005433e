//! What a parser of this language knows while it reads: the next token, the errors so far, and what it is in the midst of.
//!
//! Which words a syntax error gets ("in aggregation", "in offset, expected …") depends on the innermost construct that
//! is open when the unexpected token comes; [`Parser::contexts`] is the stack of these. Parsing ends at the first
//! syntax error. Errors of meaning are collected.

use super::ast::{Expr, Span};
use super::error::{ParseError, ParseErrors};
use super::lexer::Lexer;
use super::token::{Kind, Token};
use super::{MAX_ERRORS, MAX_HEIGHT, MAX_NESTING, ParserOptions};

/// Parsing cannot go on; the error is in [`Parser::errors`].
#[derive(Debug)]
pub(super) struct Stop;

pub(super) type Parsed<T> = Result<T, Stop>;

/// An expression and the height of its tree.
pub(super) struct Tree {
    pub(super) expr: Expr,
    pub(super) height: usize,
}

pub(super) struct Parser<'a> {
    query: &'a str,
    lexer: Lexer<'a>,
    pub(super) options: ParserOptions,
    pub(super) errors: Vec<ParseError>,
    lookahead: Option<Token>,
    /// Context and expectation of error messages.
    contexts: Vec<(&'static str, &'static str)>,
    nesting: usize,
    /// What may follow the operand read last, besides what closes the construct it stands in.
    pub(super) behind: &'static [&'static str],
    /// Where something that is no selector was given a range, an error already: upstream goes on with it as a range.
    pub(super) broken_range: Option<Span>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(query: &'a str, options: ParserOptions) -> Self {
        Self {
            query,
            lexer: Lexer::new(query),
            options,
            errors: Vec::new(),
            lookahead: None,
            contexts: Vec::new(),
            nesting: 0,
            behind: &[],
            broken_range: None,
        }
    }

    pub(super) fn peek(&mut self) -> Token {
        if let Some(token) = self.lookahead {
            return token;
        }
        let token = self.lexer.next_token();
        if token.kind == Kind::Error {
            let message = self.lexer.error().unwrap_or_default().to_owned();
            self.fail(token.span, message);
        }
        self.lookahead = Some(token);
        token
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        self.lookahead = None;
        token
    }

    pub(super) fn take(&mut self, kind: Kind) -> Option<Token> {
        (self.peek().kind == kind).then(|| self.next())
    }

    /// The last byte that was read before the token looked ahead at, spaces left out.
    pub(super) fn previous(&self) -> Option<u8> {
        let end = self.lookahead.map_or(self.lexer.pos(), |t| t.span.start).min(self.query.len());
        self.query.as_bytes()[..end].iter().rev().find(|b| !b.is_ascii_whitespace()).copied()
    }

    pub(super) fn source(&self) -> &'a str {
        self.query
    }

    pub(super) fn text(&self, token: Token) -> &'a str {
        &self.query[token.span.start..token.span.end]
    }

    /// Records an error without ending the parse; past [`MAX_ERRORS`] nothing.
    pub(super) fn fail(&mut self, span: Span, message: impl Into<String>) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        self.errors.push(ParseError::new(self.query, span, message.into()));
    }

    /// Records the next token as unexpected, in the words of the innermost context. Where upstream does not say what it
    /// expects, `valid` does.
    pub(super) fn unexpected<T>(&mut self, valid: &str) -> Parsed<T> {
        let (context, expected) = self.contexts.last().copied().unwrap_or_default();
        self.unexpected_in(context, if expected.is_empty() { valid } else { expected })
    }

    /// As [`Parser::unexpected`], behind an operand: what may follow it is valid, and `closers`.
    fn unexpected_behind<T>(&mut self, closers: &[&str]) -> Parsed<T> {
        let valid = [self.behind, closers].concat();
        match valid.split_last() {
            Some((last, [])) => self.unexpected(last),
            Some((last, rest)) => self.unexpected(&format!("{} or {last}", rest.join(", "))),
            None => self.unexpected(""),
        }
    }

    /// Takes what must follow an operand if no operator does.
    pub(super) fn expect_behind(&mut self, kind: Kind, closers: &[&str]) -> Parsed<Token> {
        match self.take(kind) {
            Some(token) => Ok(token),
            None => self.unexpected_behind(closers),
        }
    }

    pub(super) fn unexpected_in<T>(&mut self, context: &str, expected: &str) -> Parsed<T> {
        let token = self.peek();
        // The lexer's error is recorded already.
        if token.kind != Kind::Error {
            let mut message = format!("unexpected {}", token.kind.describe(self.text(token)));
            for (word, part) in [(" in ", context), (", expected ", expected)] {
                if !part.is_empty() {
                    message.push_str(word);
                    message.push_str(part);
                }
            }
            self.fail(token.span, message);
        }
        Err(Stop)
    }

    /// Runs `parse` with a context for its error messages.
    pub(super) fn within<T>(
        &mut self,
        context: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.contexts.push((context, expected));
        let result = parse(self);
        self.contexts.pop();
        result
    }

    pub(super) fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        match self.take(kind) {
            Some(token) => Ok(token),
            None => self.unexpected(kind.spelling()),
        }
    }

    /// Counts a level of nesting around `parse`; the stack bears [`MAX_NESTING`] of them.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            let span = self.peek().span;
            self.fail(
                span,
                format!("expression nested too deeply, at most {MAX_NESTING} levels are allowed"),
            );
            return Err(Stop);
        }
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    pub(super) fn tree(&mut self, expr: Expr, below: usize) -> Parsed<Tree> {
        if below >= MAX_HEIGHT {
            self.fail(
                expr.span(),
                format!("expression too long, at most {MAX_HEIGHT} operations in a row are allowed"),
            );
            return Err(Stop);
        }
        Ok(Tree { expr, height: below + 1 })
    }

    /// The errors as the result's, or the value.
    pub(super) fn finish<T>(self, value: Parsed<T>) -> Result<T, ParseErrors> {
        match value {
            Ok(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ParseErrors { errors: self.errors }),
        }
    }
}
