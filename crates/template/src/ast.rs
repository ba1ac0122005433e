//! The parsed template, and how its pieces are written in error texts.

use std::fmt;
use std::sync::Arc;

use model::float::go_quote;

/// One named template.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The name by which `template` calls it.
    pub(crate) name: String,
    /// The file or text it came from.
    pub(crate) source: Arc<Source>,
    pub(crate) body: Vec<Node>,
}

/// A parsed text, kept for the positions in run-time errors.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// `name:line:col`; the column counts bytes from 0 as Go does.
    pub(crate) fn location(&self, pos: usize) -> String {
        let head = &self.text.as_bytes()[..pos.min(self.text.len())];
        let column = head.iter().rposition(|&b| b == b'\n').map_or(head.len(), |nl| head.len() - nl - 1);
        format!("{}:{}:{column}", self.name, crate::lex::line_of(&self.text, pos))
    }
}

#[derive(Debug)]
pub(crate) enum Node {
    Text(Arc<str>),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { pos: usize, name: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// `if`, `with`, `range`: a pipeline, a body and what comes after `else`.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

/// `$a, $b := cmd | cmd`.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) variables: Vec<String>,
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

/// An operand alone, or a function or method with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Expr>,
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) pos: usize,
    pub(crate) kind: ExprKind,
}

#[derive(Debug)]
pub(crate) enum ExprKind {
    Dot,
    Nil,
    Bool(bool),
    Int(i64, String),
    Float(f64, String),
    /// The value and the text as written.
    Str(Arc<str>, String),
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Chain(Box<Expr>, Vec<String>),
    Ident(String),
    Pipe(Box<Pipe>),
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields =
            |f: &mut fmt::Formatter<'_>, names: &[String]| names.iter().try_for_each(|n| write!(f, ".{n}"));
        match &self.kind {
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Bool(b) => write!(f, "{b}"),
            ExprKind::Int(_, text) | ExprKind::Float(_, text) | ExprKind::Str(_, text) => f.write_str(text),
            ExprKind::Field(names) => fields(f, names),
            ExprKind::Variable(name, names) => {
                f.write_str(name)?;
                fields(f, names)
            }
            ExprKind::Chain(inner, names) => {
                if matches!(inner.kind, ExprKind::Pipe(_)) {
                    write!(f, "({inner})")?;
                } else {
                    write!(f, "{inner}")?;
                }
                fields(f, names)
            }
            ExprKind::Ident(name) => f.write_str(name),
            ExprKind::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            if matches!(arg.kind, ExprKind::Pipe(_)) {
                write!(f, "({arg})")?;
            } else {
                write!(f, "{arg}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            if i > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

/// `{{template "name" pipe}}` as Go shows it in error texts.
pub(crate) fn template_text(name: &str, pipe: Option<&Pipe>) -> String {
    match pipe {
        Some(pipe) => format!("{{{{template {} {pipe}}}}}", go_quote(name)),
        None => format!("{{{{template {}}}}}", go_quote(name)),
    }
}
