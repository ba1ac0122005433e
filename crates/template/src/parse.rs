//! From tokens to trees, with Go's checks (variables and functions must be known) and Go's error texts.

use std::sync::Arc;

use model::float::go_quote;

use crate::ast::{Branch, Command, Expr, ExprKind, Node, Pipe, Source, Tree};
use crate::error::Error;
use crate::lex::{self, Kind, Token};
use crate::limits::MAX_DEPTH;
use crate::unquote::{unquote, unquote_char};

/// Parses one text: its own tree first, then those it defines.
pub(crate) fn parse(name: &str, text: &str, known: &dyn Fn(&str) -> bool) -> Result<Vec<Tree>, Error> {
    let tokens = lex::tokens(name, text)?;
    let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
    let mut parser = Parser {
        name,
        text,
        tokens: &tokens,
        at: 0,
        known,
        variables: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        source: Arc::clone(&source),
        trees: Vec::new(),
    };
    let mut body = Vec::new();
    loop {
        let token = parser.peek();
        match token.kind {
            Kind::Eof => break,
            Kind::LeftDelim if parser.keyword_after_delim() == Some("define") => parser.define()?,
            _ => match parser.node()? {
                Step::Node(node) => body.push(node),
                Step::End => return Err(parser.fail(token.pos, "unexpected {{end}}")),
                Step::Else => return Err(parser.fail(token.pos, "unexpected {{else}}")),
            },
        }
    }
    let mut trees = vec![Tree { name: name.to_owned(), source, body }];
    trees.append(&mut parser.trees);
    Ok(trees)
}

enum Step {
    Node(Node),
    End,
    Else,
}

struct Parser<'a> {
    name: &'a str,
    text: &'a str,
    tokens: &'a [Token<'a>],
    at: usize,
    known: &'a dyn Fn(&str) -> bool,
    variables: Vec<String>,
    ranges: usize,
    depth: usize,
    source: Arc<Source>,
    trees: Vec<Tree>,
}

impl<'a> Parser<'a> {
    fn fail(&self, pos: usize, message: &str) -> Error {
        lex::parse_error(self.name, self.text, pos, message)
    }

    fn unexpected(&self, token: Token<'_>, context: &str) -> Error {
        self.fail(token.pos, &format!("unexpected {} in {context}", token.describe()))
    }

    fn peek(&self) -> Token<'a> {
        self.tokens[self.at]
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.tokens[self.at];
        // The last token is `Eof`; staying on it makes every loop end.
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next();
        }
    }

    fn next_non_space(&mut self) -> Token<'a> {
        self.skip_space();
        self.next()
    }

    fn peek_non_space(&mut self) -> Token<'a> {
        self.skip_space();
        self.peek()
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token<'a>, Error> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(token, context)) }
    }

    fn keyword_after_delim(&self) -> Option<&'a str> {
        let token = self.tokens[self.at + 1..].iter().find(|t| t.kind != Kind::Space)?;
        (token.kind == Kind::Keyword).then_some(token.text)
    }

    fn enter(&mut self, pos: usize) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fail(pos, &format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn define(&mut self) -> Result<(), Error> {
        self.next();
        self.next_non_space();
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::Str | Kind::RawStr) {
            return Err(self.unexpected(token, "define clause"));
        }
        let name = self.string(token)?;
        self.expect(Kind::RightDelim, "define clause")?;
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let (body, end) = self.list()?;
        self.variables = variables;
        if matches!(end, Step::Else) {
            return Err(self.fail(self.peek().pos, "unexpected {{else}} in define clause"));
        }
        self.add_tree(name, body, token.pos)
    }

    fn add_tree(&mut self, name: String, body: Vec<Node>, pos: usize) -> Result<(), Error> {
        if let Some(at) = self.trees.iter().position(|t| t.name == name) {
            if is_empty(&self.trees[at].body) {
                self.trees.remove(at);
            } else if is_empty(&body) {
                return Ok(());
            } else {
                let text = format!("multiple definition of template {}", go_quote(&name));
                return Err(self.fail(pos, &text));
            }
        }
        self.trees.push(Tree { name, source: Arc::clone(&self.source), body });
        Ok(())
    }

    /// Nodes up to `{{end}}` or `{{else`, of which the keyword has been read.
    fn list(&mut self) -> Result<(Vec<Node>, Step), Error> {
        let mut nodes = Vec::new();
        self.enter(self.peek().pos)?;
        loop {
            if self.peek().kind == Kind::Eof {
                return Err(self.fail(self.peek().pos, "unexpected EOF"));
            }
            match self.node()? {
                Step::Node(node) => nodes.push(node),
                end => {
                    self.depth -= 1;
                    return Ok((nodes, end));
                }
            }
        }
    }

    fn node(&mut self) -> Result<Step, Error> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Step::Node(Node::Text(Arc::from(token.text)))),
            Kind::LeftDelim => self.action(),
            _ => Err(self.unexpected(token, "input")),
        }
    }

    fn action(&mut self) -> Result<Step, Error> {
        let token = self.peek_non_space();
        if token.kind != Kind::Keyword {
            let pipe = self.pipeline("command", Kind::RightDelim)?;
            return Ok(Step::Node(Node::Action(pipe)));
        }
        self.next();
        match token.text {
            "end" => {
                self.expect(Kind::RightDelim, "end")?;
                Ok(Step::End)
            }
            "else" => {
                let follower = self.peek_non_space();
                if follower.kind == Kind::Keyword && matches!(follower.text, "if" | "with") {
                    return Ok(Step::Else);
                }
                self.expect(Kind::RightDelim, "else")?;
                Ok(Step::Else)
            }
            "if" => Ok(Step::Node(Node::If(self.branch("if")?))),
            "with" => Ok(Step::Node(Node::With(self.branch("with")?))),
            "range" => Ok(Step::Node(Node::Range(self.branch("range")?))),
            "template" => self.template().map(Step::Node),
            "block" => self.block(token.pos).map(Step::Node),
            word @ ("break" | "continue") => {
                let end = self.next_non_space();
                if end.kind != Kind::RightDelim {
                    return Err(self.unexpected(end, &format!("{{{{{word}}}}}")));
                }
                if self.ranges == 0 {
                    return Err(self.fail(token.pos, &format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                Ok(Step::Node(if word == "break" { Node::Break } else { Node::Continue }))
            }
            _ => Err(self.unexpected(token, "command")),
        }
    }

    fn branch(&mut self, context: &'static str) -> Result<Branch, Error> {
        let scope = self.variables.len();
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.ranges += usize::from(context == "range");
        let (body, end) = self.list()?;
        self.ranges -= usize::from(context == "range");
        let mut otherwise = Vec::new();
        if matches!(end, Step::Else) {
            let follower = self.peek();
            // `{{else if x}}` is `{{else}}{{if x}}` whose `{{end}}` serves both; so for `with` after `with`.
            if follower.kind == Kind::Keyword && follower.text == context && context != "range" {
                self.enter(follower.pos)?;
                self.next();
                let inner = self.branch(context)?;
                self.depth -= 1;
                otherwise.push(if context == "if" { Node::If(inner) } else { Node::With(inner) });
            } else if follower.kind == Kind::Keyword {
                return Err(self.unexpected(follower, "else"));
            } else {
                let (nodes, end) = self.list()?;
                if matches!(end, Step::Else) {
                    return Err(self.fail(self.peek().pos, "expected end; found {{else}}"));
                }
                otherwise = nodes;
            }
        }
        self.variables.truncate(scope);
        Ok(Branch { pipe, body, otherwise })
    }

    fn template(&mut self) -> Result<Node, Error> {
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::Str | Kind::RawStr) {
            return Err(self.unexpected(token, "template clause"));
        }
        let name = self.string(token)?;
        let pipe = if self.peek_non_space().kind == Kind::RightDelim {
            self.next();
            None
        } else {
            Some(self.pipeline("template clause", Kind::RightDelim)?)
        };
        Ok(Node::Template { pos: token.pos, name, pipe })
    }

    fn block(&mut self, pos: usize) -> Result<Node, Error> {
        let token = self.next_non_space();
        if !matches!(token.kind, Kind::Str | Kind::RawStr) {
            return Err(self.unexpected(token, "block clause"));
        }
        let name = self.string(token)?;
        let pipe = self.pipeline("block clause", Kind::RightDelim)?;
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let (body, end) = self.list()?;
        self.variables = variables;
        if matches!(end, Step::Else) {
            return Err(self.fail(self.peek().pos, "unexpected {{else}} in block clause"));
        }
        self.add_tree(name.clone(), body, pos)?;
        Ok(Node::Template { pos: token.pos, name, pipe: Some(pipe) })
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe, Error> {
        let pos = self.peek_non_space().pos;
        self.enter(pos)?;
        let mut pipe = Pipe { pos, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_non_space();
            if token.kind == end {
                self.check_pipeline(&pipe, context)?;
                self.depth -= 1;
                return Ok(pipe);
            }
            if !starts_operand(token.kind) {
                return Err(self.unexpected(token, context));
            }
            self.at -= 1;
            let command = self.command()?;
            pipe.commands.push(command);
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Result<(), Error> {
        while self.peek_non_space().kind == Kind::Variable {
            let start = self.at;
            let variable = self.next();
            let follower = self.peek_non_space();
            match follower.kind {
                Kind::Declare | Kind::Assign => {
                    self.next();
                    pipe.assigns = follower.kind == Kind::Assign;
                    if pipe.assigns {
                        self.check_variable(variable)?;
                    }
                    pipe.variables.push(variable.text.to_owned());
                    if !pipe.assigns {
                        self.variables.append(&mut pipe.variables.clone());
                    }
                    return Ok(());
                }
                Kind::Comma => {
                    self.next();
                    if context != "range" || !pipe.variables.is_empty() {
                        return Err(self.fail(variable.pos, &format!("too many declarations in {context}")));
                    }
                    if self.peek_non_space().kind != Kind::Variable {
                        return Err(self.fail(variable.pos, "range can only initialize variables"));
                    }
                    pipe.variables.push(variable.text.to_owned());
                }
                _ => {
                    if !pipe.variables.is_empty() {
                        return Err(self.unexpected(follower, context));
                    }
                    self.at = start;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn check_pipeline(&self, pipe: &Pipe, context: &str) -> Result<(), Error> {
        if pipe.commands.is_empty() {
            return Err(self.fail(pipe.pos, &format!("missing value for {context}")));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = command.args.first().map(|a| &a.kind);
            if matches!(
                first,
                Some(
                    ExprKind::Bool(_)
                        | ExprKind::Dot
                        | ExprKind::Nil
                        | ExprKind::Int(..)
                        | ExprKind::Float(..)
                        | ExprKind::Str(..)
                )
            ) {
                let text = format!("non executable command in pipeline stage {}", i + 1);
                return Err(self.fail(command.pos, &text));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command, Error> {
        let mut command = Command { pos: self.peek_non_space().pos, args: Vec::new() };
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.at -= 1,
                Kind::Pipe => {
                    // A pipe must be followed by another command.
                    let follower = self.peek_non_space();
                    if matches!(follower.kind, Kind::RightDelim | Kind::RightParen) {
                        return Err(self.fail(follower.pos, "missing value for command"));
                    }
                }
                _ => return Err(self.unexpected(token, "operand")),
            }
            break;
        }
        if command.args.is_empty() {
            return Err(self.fail(command.pos, "empty command"));
        }
        Ok(command)
    }

    fn operand(&mut self) -> Result<Option<Expr>, Error> {
        let Some(mut expr) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(expr));
        }
        let pos = self.peek().pos;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(self.next().text[1..].to_owned());
        }
        match &mut expr.kind {
            ExprKind::Field(fields) | ExprKind::Variable(_, fields) => {
                fields.append(&mut names);
                Ok(Some(expr))
            }
            ExprKind::Bool(_)
            | ExprKind::Str(..)
            | ExprKind::Int(..)
            | ExprKind::Float(..)
            | ExprKind::Nil
            | ExprKind::Dot => {
                let text = format!("unexpected . after term {}", go_quote(&expr.to_string()));
                Err(self.fail(pos, &text))
            }
            _ => Ok(Some(Expr { pos, kind: ExprKind::Chain(Box::new(expr), names) })),
        }
    }

    fn term(&mut self) -> Result<Option<Expr>, Error> {
        let token = self.next_non_space();
        let kind = match token.kind {
            Kind::Ident => {
                if !(self.known)(token.text) && !crate::builtins::exists(token.text) {
                    let text = format!("function {} not defined", go_quote(token.text));
                    return Err(self.fail(token.pos, &text));
                }
                ExprKind::Ident(token.text.to_owned())
            }
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Variable => {
                self.check_variable(token)?;
                ExprKind::Variable(token.text.to_owned(), Vec::new())
            }
            Kind::Field => ExprKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => ExprKind::Bool(token.text == "true"),
            Kind::Char | Kind::Number => self.number(token)?,
            Kind::LeftParen => {
                ExprKind::Pipe(Box::new(self.pipeline("parenthesized pipeline", Kind::RightParen)?))
            }
            Kind::Str | Kind::RawStr => {
                ExprKind::Str(Arc::from(self.string(token)?.as_str()), token.text.to_owned())
            }
            _ => {
                self.at -= usize::from(token.kind != Kind::Eof);
                return Ok(None);
            }
        };
        Ok(Some(Expr { pos: token.pos, kind }))
    }

    fn check_variable(&self, token: Token<'_>) -> Result<(), Error> {
        if self.variables.iter().any(|v| v == token.text) {
            return Ok(());
        }
        Err(self.fail(token.pos, &format!("undefined variable {}", go_quote(token.text))))
    }

    fn string(&self, token: Token<'_>) -> Result<String, Error> {
        if token.kind == Kind::RawStr {
            return Ok(token.text[1..token.text.len() - 1].replace('\r', ""));
        }
        unquote(token.text).ok_or_else(|| self.fail(token.pos, "invalid syntax"))
    }

    fn number(&self, token: Token<'_>) -> Result<ExprKind, Error> {
        let text = token.text;
        if token.kind == Kind::Char {
            let c = unquote_char(text)
                .ok_or_else(|| self.fail(token.pos, &format!("malformed character constant: {text}")))?;
            return Ok(ExprKind::Int(i64::from(u32::from(c)), text.to_owned()));
        }
        if let Some(i) = parse_int(text) {
            return Ok(ExprKind::Int(i, text.to_owned()));
        }
        let plain = text.replace('_', "");
        let float = model::float::parse_go_float(&plain).filter(|f| f.is_finite());
        match float {
            Some(f) if text.contains(['.', 'e', 'E', 'p', 'P']) => Ok(ExprKind::Float(f, text.to_owned())),
            Some(_) => Err(self.fail(token.pos, &format!("integer overflow: {}", go_quote(text)))),
            None => Err(self.fail(token.pos, &format!("illegal number syntax: {}", go_quote(text)))),
        }
    }
}

/// A Go integer literal with sign, base prefix and underscores.
fn parse_int(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    i64::from_str_radix(&format!("{sign}{}", body.replace('_', "")), radix).ok()
}

fn starts_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool
            | Kind::Char
            | Kind::Dot
            | Kind::Field
            | Kind::Ident
            | Kind::LeftParen
            | Kind::Nil
            | Kind::Number
            | Kind::RawStr
            | Kind::Str
            | Kind::Variable
    )
}

/// Whether a body is white space only: such a definition does not replace another one.
pub(crate) fn is_empty(body: &[Node]) -> bool {
    body.iter().all(|n| matches!(n, Node::Text(t) if t.trim().is_empty()))
}
