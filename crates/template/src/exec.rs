//! Runs a tree: Go's evaluation rules, with bounds on depth, steps and output.

use std::sync::Arc;

use crate::ast::{Branch, Command, Expr, ExprKind, Node, Pipe, Source, Tree, template_text};
use crate::builtins::{self, arity};
use crate::error::{Error, ErrorKind};
use crate::funcs::Funcs;
use crate::html::Escaper;
use crate::limits::{MAX_DEPTH, MAX_OUTPUT_BYTES, MAX_STEPS};
use crate::set::{Mode, Templates};
use crate::value::Value;
use crate::{gofmt, gotime};

/// What a node did to the loop around it.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

pub(crate) struct Run<'r, 'f> {
    set: &'r Templates,
    funcs: &'r Funcs<'f>,
    out: String,
    /// In HTML mode what the output so far makes of the next value.
    escaper: Option<Escaper>,
    steps: usize,
    depth: usize,
}

/// Where evaluation is: the template's name and text for errors, the variables it sees.
struct Frame<'r> {
    tree: &'r Tree,
    variables: Vec<(&'r str, Value)>,
}

impl Frame<'_> {
    fn source(&self) -> &Arc<Source> {
        &self.tree.source
    }
}

type Eval = Result<Value, Error>;

impl<'r, 'f> Run<'r, 'f> {
    pub(crate) fn new(set: &'r Templates, funcs: &'r Funcs<'f>, mode: Mode) -> Self {
        let escaper = (mode == Mode::Html).then(Escaper::default);
        Self { set, funcs, out: String::new(), escaper, steps: 0, depth: 0 }
    }

    pub(crate) fn execute(mut self, tree: &'r Tree, data: &Value) -> Result<String, Error> {
        self.tree(tree, data)?;
        Ok(self.out)
    }

    fn tree(&mut self, tree: &'r Tree, data: &Value) -> Result<(), Error> {
        let mut frame = Frame { tree, variables: vec![("$", data.clone())] };
        self.list(&mut frame, &tree.body, data)?;
        Ok(())
    }

    fn fail(&self, frame: &Frame<'_>, pos: usize, node: &dyn std::fmt::Display, message: &str) -> Error {
        let text = format!(
            "template: {}: executing {} at <{node}>: {message}",
            frame.source().location(pos),
            model::float::go_quote(&frame.tree.name),
        );
        Error::new(ErrorKind::Exec, text)
    }

    fn limit(&self, frame: &Frame<'_>, what: &str) -> Error {
        let text = format!("template: {}: {what}", frame.source().name);
        Error::new(ErrorKind::Limit, text)
    }

    fn step(&mut self, frame: &Frame<'_>) -> Result<(), Error> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            return Err(self.limit(frame, &format!("more than {MAX_STEPS} steps")));
        }
        Ok(())
    }

    fn enter(&mut self, frame: &Frame<'_>) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.limit(frame, &format!("exceeded maximum template depth ({MAX_DEPTH})")));
        }
        Ok(())
    }

    fn write(&mut self, frame: &Frame<'_>, text: &str) -> Result<(), Error> {
        if self.out.len() + text.len() > MAX_OUTPUT_BYTES {
            return Err(self.limit(frame, &format!("more than {MAX_OUTPUT_BYTES} bytes of output")));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn list(&mut self, frame: &mut Frame<'r>, nodes: &'r [Node], dot: &Value) -> Result<Flow, Error> {
        self.enter(frame)?;
        let mut flow = Flow::On;
        for node in nodes {
            self.step(frame)?;
            flow = self.node(frame, node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn node(&mut self, frame: &mut Frame<'r>, node: &'r Node, dot: &Value) -> Result<Flow, Error> {
        match node {
            Node::Text(text) => match &mut self.escaper {
                Some(escaper) => {
                    let text = escaper.literal(text);
                    self.write(frame, &text)?;
                }
                None => self.write(frame, text)?,
            },
            Node::Action(pipe) => {
                let value = self.pipeline(frame, pipe, dot)?;
                if pipe.variables.is_empty() {
                    let text = match &mut self.escaper {
                        Some(escaper) => escaper.value(&value, last_function(pipe)),
                        None => match value {
                            Value::Nil => "<no value>".to_owned(),
                            value => gofmt::value_text(&value),
                        },
                    };
                    self.write(frame, &text)?;
                }
            }
            Node::If(branch) => return self.branch(frame, branch, dot, Dot::Kept),
            Node::With(branch) => return self.branch(frame, branch, dot, Dot::Set),
            Node::Range(branch) => return self.range(frame, branch, dot),
            Node::Template { pos, name, pipe } => {
                let Some(tree) = self.set.tree(name) else {
                    let text = format!("template {} not defined", model::float::go_quote(name));
                    return Err(self.fail(frame, *pos, &template_text(name, pipe.as_ref()), &text));
                };
                let data = match pipe {
                    Some(pipe) => self.pipeline(frame, pipe, dot)?,
                    None => Value::Nil,
                };
                self.enter(frame)?;
                self.tree(tree, &data)?;
                self.depth -= 1;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(
        &mut self,
        frame: &mut Frame<'r>,
        branch: &'r Branch,
        dot: &Value,
        mode: Dot,
    ) -> Result<Flow, Error> {
        let scope = frame.variables.len();
        let value = self.pipeline(frame, &branch.pipe, dot)?;
        let flow = match (value.truth(), mode) {
            (true, Dot::Set) => self.list(frame, &branch.body, &value),
            (true, Dot::Kept) => self.list(frame, &branch.body, dot),
            (false, _) => self.list(frame, &branch.otherwise, dot),
        };
        frame.variables.truncate(scope);
        flow
    }

    fn range(&mut self, frame: &mut Frame<'r>, branch: &'r Branch, dot: &Value) -> Result<Flow, Error> {
        let scope = frame.variables.len();
        let value = self.pipeline(frame, &branch.pipe, dot)?.plain();
        let declared = frame.variables.len();
        let mut ran = false;
        let mut flow = Flow::On;
        let iterate = |run: &mut Self, frame: &mut Frame<'r>, key: Value, item: &Value| {
            // An empty body has no nodes that would count.
            run.step(frame)?;
            let pipe = &branch.pipe;
            match (pipe.variables.as_slice(), pipe.assigns) {
                ([one], true) => set_variable(frame, one, item.clone()),
                ([k, v], true) => {
                    set_variable(frame, k, key);
                    set_variable(frame, v, item.clone());
                }
                ([one], false) => frame.variables.push((one, item.clone())),
                ([k, v], false) => {
                    frame.variables.push((k, key));
                    frame.variables.push((v, item.clone()));
                }
                _ => {}
            }
            let flow = run.list(frame, &branch.body, item);
            frame.variables.truncate(declared);
            flow
        };
        match value {
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    ran = true;
                    let key = Value::Int(i64::try_from(i).unwrap_or(i64::MAX));
                    if iterate(self, frame, key, item)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in &map.entries {
                    ran = true;
                    if iterate(self, frame, Value::str(key), item)? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Int(n) => {
                for i in 0..n.max(0) {
                    ran = true;
                    if iterate(self, frame, Value::Int(i), &Value::Int(i))? == Flow::Break {
                        break;
                    }
                }
            }
            Value::Nil => {}
            other => {
                let text = format!("range can't iterate over {}", gofmt::value_text(&other));
                return Err(self.fail(frame, branch.pipe.pos, &branch.pipe, &text));
            }
        }
        if !ran {
            flow = self.list(frame, &branch.otherwise, dot)?;
        }
        frame.variables.truncate(scope);
        Ok(flow)
    }

    fn pipeline(&mut self, frame: &mut Frame<'r>, pipe: &'r Pipe, dot: &Value) -> Eval {
        self.enter(frame)?;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(frame, command, dot, value)?);
        }
        self.depth -= 1;
        let value = value.unwrap_or(Value::Nil);
        // `range` sets its variables itself, once per item; with one name here it is an `if`, `with` or action.
        if let [name] = pipe.variables.as_slice() {
            if pipe.assigns {
                set_variable(frame, name, value.clone());
            } else {
                frame.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        frame: &mut Frame<'r>,
        command: &'r Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Eval {
        self.step(frame)?;
        let first = &command.args[0];
        let extra = command.args.len() > 1 || last.is_some();
        match &first.kind {
            ExprKind::Ident(name) => return self.function(frame, command, name, dot, last),
            ExprKind::Field(_) | ExprKind::Variable(..) | ExprKind::Chain(..) => {
                return self.fields(frame, command, dot, last);
            }
            _ if extra => {
                let text = format!("can't give argument to non-function {first}");
                return Err(self.fail(frame, first.pos, first, &text));
            }
            ExprKind::Nil => return Err(self.fail(frame, first.pos, first, "nil is not a command")),
            _ => {}
        }
        self.argument(frame, first, dot)
    }

    /// An operand by itself, or as an argument.
    fn argument(&mut self, frame: &mut Frame<'r>, expr: &'r Expr, dot: &Value) -> Eval {
        self.step(frame)?;
        match &expr.kind {
            ExprKind::Dot => Ok(dot.clone()),
            ExprKind::Nil => Ok(Value::Nil),
            ExprKind::Bool(b) => Ok(Value::Bool(*b)),
            ExprKind::Int(i, _) => Ok(Value::Int(*i)),
            ExprKind::Float(f, _) => Ok(Value::Float(*f)),
            ExprKind::Str(s, _) => Ok(Value::Str(Arc::clone(s))),
            ExprKind::Pipe(pipe) => self.pipeline(frame, pipe, dot),
            ExprKind::Ident(name) => self.invoke(frame, expr, expr, name, &[]),
            ExprKind::Field(names) => self.walk(frame, expr, dot.clone(), names, &[], Start::Dot),
            ExprKind::Variable(name, names) => {
                let value = self.variable(frame, expr, name)?;
                self.walk(frame, expr, value, names, &[], Start::Dot)
            }
            ExprKind::Chain(inner, names) => {
                let value = self.chain_start(frame, expr, inner, dot)?;
                self.walk(frame, expr, value, names, &[], Start::Inner)
            }
        }
    }

    fn chain_start(&mut self, frame: &mut Frame<'r>, expr: &Expr, inner: &'r Expr, dot: &Value) -> Eval {
        if matches!(inner.kind, ExprKind::Nil) {
            return Err(self.fail(frame, expr.pos, expr, "indirection through explicit nil"));
        }
        self.argument(frame, inner, dot)
    }

    fn variable(&self, frame: &Frame<'_>, expr: &Expr, name: &str) -> Eval {
        frame
            .variables
            .iter()
            .rev()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.clone())
            .ok_or_else(|| self.fail(frame, expr.pos, expr, &format!("undefined variable: {name}")))
    }

    /// A command that starts with a field: the last name may be a method that takes the arguments.
    fn fields(
        &mut self,
        frame: &mut Frame<'r>,
        command: &'r Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Eval {
        let first = &command.args[0];
        let (value, names, start) = match &first.kind {
            ExprKind::Field(names) => (dot.clone(), names, Start::Dot),
            ExprKind::Variable(name, names) => (self.variable(frame, first, name)?, names, Start::Dot),
            ExprKind::Chain(inner, names) => {
                (self.chain_start(frame, first, inner, dot)?, names, Start::Inner)
            }
            _ => return self.argument(frame, first, dot),
        };
        let args = self.arguments(frame, command, dot, last)?;
        if names.is_empty() && !args.is_empty() {
            let text = format!("can't give argument to non-function {first}");
            return Err(self.fail(frame, first.pos, first, &text));
        }
        self.walk(frame, first, value, names, &args, start)
    }

    fn arguments(
        &mut self,
        frame: &mut Frame<'r>,
        command: &'r Command,
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Vec<Value>, Error> {
        let mut args = Vec::with_capacity(command.args.len());
        for arg in &command.args[1..] {
            args.push(self.argument(frame, arg, dot)?);
        }
        args.extend(last);
        Ok(args)
    }

    fn walk(
        &self,
        frame: &Frame<'_>,
        expr: &Expr,
        start: Value,
        names: &[String],
        args: &[Value],
        from: Start,
    ) -> Eval {
        let mut value = start;
        if matches!(value, Value::Nil) && from == Start::Dot {
            // No data at all: Go gives the zero value, which has no fields either.
            return Ok(value);
        }
        for (i, name) in names.iter().enumerate() {
            let args = if i + 1 == names.len() { args } else { &[] };
            if matches!(value, Value::Nil) {
                let text = format!("nil pointer evaluating interface {{}}.{name}");
                return Err(self.fail(frame, expr.pos, expr, &text));
            }
            value = field(&value, name, args).map_err(|text| self.fail(frame, expr.pos, expr, &text))?;
        }
        Ok(value)
    }

    fn function(
        &mut self,
        frame: &mut Frame<'r>,
        command: &'r Command,
        name: &str,
        dot: &Value,
        last: Option<Value>,
    ) -> Eval {
        let first = &command.args[0];
        if matches!(name, "and" | "or") && !self.funcs.contains(name) {
            return self.and_or(frame, command, name == "or", dot, last);
        }
        let args = self.arguments(frame, command, dot, last)?;
        self.invoke(frame, first, command, name, &args)
    }

    /// Calls a function; `call` is what a failed call is shown as, `node` what a wrong one is.
    fn invoke(
        &self,
        frame: &Frame<'_>,
        node: &Expr,
        call: &dyn std::fmt::Display,
        name: &str,
        args: &[Value],
    ) -> Eval {
        let failed = |text: String| {
            if text.starts_with("wrong ") || text.starts_with("invalid value; expected") {
                return self.fail(frame, node.pos, node, &text);
            }
            self.fail(frame, node.pos, call, &format!("error calling {name}: {text}"))
        };
        if let Some(func) = self.funcs.get(name) {
            arity(name, args.len(), func.min, func.max).map_err(failed)?;
            return (func.body)(args).map_err(failed);
        }
        match builtins::call(name, args) {
            Some(result) => result.map_err(failed),
            None if matches!(name, "and" | "or") => {
                Err(failed(format!("wrong number of args for {name}: want at least 1 got 0")))
            }
            None => {
                Err(self.fail(frame, node.pos, node, &format!("{} is not a defined function", go_name(name))))
            }
        }
    }

    /// `and` and `or` evaluate no argument beyond the one that decides.
    fn and_or(
        &mut self,
        frame: &mut Frame<'r>,
        command: &'r Command,
        stop_at: bool,
        dot: &Value,
        last: Option<Value>,
    ) -> Eval {
        let first = &command.args[0];
        let mut value = None;
        for arg in &command.args[1..] {
            let v = self.argument(frame, arg, dot)?;
            if v.truth() == stop_at {
                return Ok(v);
            }
            value = Some(v);
        }
        let name = if stop_at { "or" } else { "and" };
        last.or(value).ok_or_else(|| {
            let text = format!("wrong number of args for {name}: want at least 1 got 0");
            self.fail(frame, first.pos, first, &text)
        })
    }
}

#[derive(Clone, Copy)]
enum Dot {
    Kept,
    Set,
}

/// Whether a walk along fields starts at dot or a variable, or at an inner expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Dot,
    Inner,
}

/// The function at the end of a pipeline, which may have escaped already.
fn last_function(pipe: &Pipe) -> Option<&str> {
    match &pipe.commands.last()?.args.first()?.kind {
        ExprKind::Ident(name) => Some(name),
        _ => None,
    }
}

fn go_name(name: &str) -> String {
    model::float::go_quote(name)
}

fn set_variable(frame: &mut Frame<'_>, name: &str, value: Value) {
    if let Some(slot) = frame.variables.iter_mut().rev().find(|(n, _)| *n == name) {
        slot.1 = value;
    }
}

/// A field, an entry of a map, or a method's result.
fn field(value: &Value, name: &str, args: &[Value]) -> Result<Value, String> {
    let unknown = || format!("can't evaluate field {name} in type {}", value.type_name());
    let called = |result: Result<Value, String>| {
        result.map_err(|text| {
            if text.starts_with("wrong ") { text } else { format!("error calling {name}: {text}") }
        })
    };
    match value {
        Value::Map(map) => {
            if !args.is_empty() {
                return Err(format!("{name} is not a method but has arguments"));
            }
            Ok(map.entries.get(name).cloned().unwrap_or_else(|| map.zero.clone()))
        }
        Value::Object(object) => {
            if !args.is_empty() && !object.is_method(name) {
                return Err(match object.get(name, &[]) {
                    Some(_) => format!("{name} has arguments but cannot be invoked as function"),
                    None => unknown(),
                });
            }
            match object.get(name, args) {
                Some(result) => called(result),
                None => match object.plain() {
                    Some(plain @ Value::Map(_)) => field(&plain, name, args),
                    _ => Err(unknown()),
                },
            }
        }
        Value::Time(t) => called(gotime::time_method(t, name, args).ok_or_else(unknown)?),
        Value::Duration(ns) => called(gotime::duration_method(*ns, name, args).ok_or_else(unknown)?),
        _ => Err(unknown()),
    }
}
