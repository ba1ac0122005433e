//! Go's built-in functions, all but `and` and `or`, which the evaluator runs itself because they stop early.

use std::cmp::Ordering;

use crate::gofmt;
use crate::value::{CallResult, Value};

const NAMES: [&str; 19] = [
    "and", "or", "not", "call", "html", "index", "slice", "js", "len", "print", "printf", "println",
    "urlquery", "eq", "ge", "gt", "le", "lt", "ne",
];

/// Whether `name` is a built-in function.
pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Runs a built-in; `None` where there is none of that name.
pub(crate) fn call(name: &str, args: &[Value]) -> Option<CallResult> {
    let exactly = |n: usize| arity(name, args.len(), n, Some(n));
    let at_least = |n: usize| arity(name, args.len(), n, None);
    Some(match name {
        "not" => exactly(1).map(|()| Value::Bool(!args[0].truth())),
        "len" => exactly(1).and_then(|()| length(&args[0])),
        "index" => at_least(1).and_then(|()| index(args)),
        "slice" => at_least(1).and_then(|()| slice(args)),
        "print" => Ok(Value::str(gofmt::sprint(args))),
        "println" => Ok(Value::str(gofmt::sprintln(args))),
        "printf" => at_least(1).and_then(|()| match &args[0] {
            Value::Str(format) => Ok(Value::str(gofmt::sprintf(format, &args[1..]))),
            Value::Nil => Err("invalid value; expected string".to_owned()),
            v => Err(format!("wrong type for value; expected string; got {}", v.type_name())),
        }),
        "html" => Ok(Value::str(crate::html::escape_text(&gofmt::sprint(args)))),
        "js" => Ok(Value::str(crate::html::escape_js_string(&gofmt::sprint(args)))),
        "urlquery" => Ok(Value::str(crate::funcs::query_escape(&gofmt::sprint(args)))),
        "eq" => at_least(1).and_then(|()| equal(args)),
        "ne" => exactly(2).and_then(|()| equal(args)).map(|v| Value::Bool(!v.truth())),
        "lt" => exactly(2).and_then(|()| less(&args[0], &args[1])).map(Value::Bool),
        "le" => exactly(2).and_then(|()| less_or_equal(&args[0], &args[1])).map(Value::Bool),
        "gt" => exactly(2).and_then(|()| less_or_equal(&args[0], &args[1])).map(|b| Value::Bool(!b)),
        "ge" => exactly(2).and_then(|()| less(&args[0], &args[1])).map(|b| Value::Bool(!b)),
        "call" => at_least(1).and_then(|()| match &args[0] {
            Value::Nil => Err("call of nil".to_owned()),
            v => Err(format!("non-function of type {}", v.type_name())),
        }),
        _ => return None,
    })
}

/// Go's complaint about the number of arguments.
pub(crate) fn arity(name: &str, got: usize, min: usize, max: Option<usize>) -> Result<(), String> {
    match max {
        None if got < min => Err(format!("wrong number of args for {name}: want at least {min} got {got}")),
        Some(max) if got < min || got > max => {
            Err(format!("wrong number of args for {name}: want {min} got {got}"))
        }
        _ => Ok(()),
    }
}

fn length(value: &Value) -> CallResult {
    let len = match value.plain() {
        Value::Str(s) | Value::Safe(_, s) => s.len(),
        Value::List(l) => l.len(),
        Value::Map(m) => m.entries.len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        v => return Err(format!("len of type {}", v.type_name())),
    };
    Ok(Value::Int(i64::try_from(len).unwrap_or(i64::MAX)))
}

fn position(index: &Value, len: usize) -> Result<usize, String> {
    match index {
        Value::Int(i) => {
            usize::try_from(*i).ok().filter(|&i| i < len).ok_or_else(|| format!("index out of range: {i}"))
        }
        Value::Nil => Err("cannot index slice/array with nil".to_owned()),
        v => Err(format!("cannot index slice/array with type {}", v.type_name())),
    }
}

fn index(args: &[Value]) -> CallResult {
    let mut item = args[0].clone();
    if matches!(item, Value::Nil) {
        return Err("index of untyped nil".to_owned());
    }
    for index in &args[1..] {
        item = match item.plain() {
            Value::List(list) => list[position(index, list.len())?].clone(),
            Value::Str(s) => Value::Int(i64::from(s.as_bytes()[position(index, s.len())?])),
            Value::Map(map) => match index {
                Value::Str(key) => map.entries.get(key.as_ref()).cloned().unwrap_or_else(|| map.zero.clone()),
                Value::Nil => return Err("value is nil; should be of type string".to_owned()),
                v => return Err(format!("value has type {}; should be string", v.type_name())),
            },
            Value::Nil => return Err("index of nil pointer".to_owned()),
            v => return Err(format!("can't index item of type {}", v.type_name())),
        };
    }
    Ok(item)
}

fn slice(args: &[Value]) -> CallResult {
    let item = args[0].plain();
    let len = match &item {
        Value::Str(s) => {
            if args.len() == 4 {
                return Err("cannot 3-index slice a string".to_owned());
            }
            s.len()
        }
        Value::List(l) => l.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        v => return Err(format!("can't slice item of type {}", v.type_name())),
    };
    if args.len() > 4 {
        return Err(format!("too many slice indexes: {}", args.len() - 1));
    }
    let mut bounds = [0, len, len];
    for (bound, index) in bounds.iter_mut().zip(&args[1..]) {
        *bound = position(index, len + 1)?;
    }
    let [from, to, cap] = bounds;
    if from > to || to > cap {
        let (a, b) = if from > to { (from, to) } else { (to, cap) };
        return Err(format!("invalid slice index: {a} > {b}"));
    }
    Ok(match item {
        // A cut inside a character leaves bytes that are no UTF-8; Go would print them as they are.
        Value::Str(s) => Value::str(String::from_utf8_lossy(&s.as_bytes()[from..to])),
        Value::List(l) => Value::list(l[from..to].to_vec()),
        v => v,
    })
}

/// Go's `basicKind`, by which comparison decides what is comparable.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Basic {
    Bool,
    Int,
    Float,
    Str,
}

fn basic(value: &Value) -> Option<Basic> {
    Some(match value {
        Value::Bool(_) => Basic::Bool,
        Value::Int(_) | Value::Duration(_) => Basic::Int,
        Value::Float(_) => Basic::Float,
        Value::Str(_) | Value::Safe(..) => Basic::Str,
        _ => return None,
    })
}

fn same(a: &Value, b: &Value) -> Result<bool, String> {
    const MISMATCH: &str = "incompatible types for comparison";
    match (a, b) {
        (Value::Nil, Value::Nil) => return Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => return Ok(false),
        (Value::Time(x), Value::Time(y)) => return Ok(x == y),
        _ => {}
    }
    match (basic(a), basic(b)) {
        (Some(x), Some(y)) if x != y => Err(MISMATCH.to_owned()),
        (Some(_), Some(_)) => Ok(match (a, b) {
            (Value::Bool(x), Value::Bool(y)) => x == y,
            (Value::Int(x) | Value::Duration(x), Value::Int(y) | Value::Duration(y)) => x == y,
            (Value::Float(x), Value::Float(y)) => x == y,
            (Value::Str(x) | Value::Safe(_, x), Value::Str(y) | Value::Safe(_, y)) => x == y,
            _ => false,
        }),
        (None, None) => {
            let value = if matches!(a.plain(), Value::List(_) | Value::Map(_)) { a } else { b };
            Err(format!("non-comparable type {}: {}", value.type_name(), gofmt::value_text(value)))
        }
        _ => Err(MISMATCH.to_owned()),
    }
}

fn equal(args: &[Value]) -> CallResult {
    if args.len() < 2 {
        return Err("missing argument for comparison".to_owned());
    }
    for other in &args[1..] {
        if same(&args[0], other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    Ok(match (a, b) {
        (Value::Int(x) | Value::Duration(x), Value::Int(y) | Value::Duration(y)) => Some(x.cmp(y)),
        (Value::Float(x), Value::Float(y)) => x.partial_cmp(y),
        (Value::Str(x) | Value::Safe(_, x), Value::Str(y) | Value::Safe(_, y)) => Some(x.cmp(y)),
        _ if basic(a).is_some() && basic(b).is_some() && basic(a) != basic(b) => {
            return Err("incompatible types for comparison".to_owned());
        }
        _ => return Err("invalid type for comparison".to_owned()),
    })
}

fn less(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(order(a, b)? == Some(Ordering::Less))
}

fn less_or_equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(matches!(order(a, b)?, Some(Ordering::Less | Ordering::Equal)))
}
