//! Go's `fmt`: how values print by themselves and under the verbs of `printf`.

use model::float::{format_g, go_quote};

use crate::limits::{MAX_OUTPUT_BYTES, MAX_PRINTF_WIDTH};
use crate::value::Value;

/// `%v`: what `fmt.Sprint` of one operand gives.
pub(crate) fn value_text(value: &Value) -> String {
    let mut out = String::new();
    write_value(value, &mut out, 0);
    out
}

fn write_value(value: &Value, out: &mut String, depth: usize) {
    // Values come from code and data, not from text, but a template's `dict` and `list` can still nest and grow.
    if depth > 64 || out.len() > MAX_OUTPUT_BYTES {
        out.push('…');
        return;
    }
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Float(f) => out.push_str(&format_g(*f)),
        Value::Str(s) | Value::Safe(_, s) => out.push_str(s),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write_value(item, out, depth + 1);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (i, (k, v)) in map.entries.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(k);
                out.push(':');
                write_value(v, out, depth + 1);
            }
            out.push(']');
        }
        Value::Object(o) => match (o.print(), o.plain()) {
            (Some(text), _) => out.push_str(&text),
            (None, Some(plain)) => write_value(&plain, out, depth + 1),
            (None, None) => out.push_str("{}"),
        },
        Value::Time(t) => out.push_str(&crate::gotime::format(t, crate::gotime::STRING)),
        Value::Duration(ns) => out.push_str(&crate::gotime::duration_text(*ns)),
    }
}

/// `fmt.Sprint`: a space between operands of which neither is a string.
pub(crate) fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    let mut last_was_string = true;
    for (i, arg) in args.iter().enumerate() {
        let is_string = matches!(arg, Value::Str(_) | Value::Safe(..));
        if i > 0 && !is_string && !last_was_string {
            out.push(' ');
        }
        write_value(arg, &mut out, 0);
        last_was_string = is_string;
    }
    out
}

/// `fmt.Sprintln`.
pub(crate) fn sprintln(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, arg) in args.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        write_value(arg, &mut out, 0);
    }
    out.push('\n');
    out
}

#[derive(Default, Clone)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `fmt.Sprintf`.
pub(crate) fn sprintf(format: &str, args: &[Value]) -> String {
    let mut out = String::with_capacity(format.len());
    let mut chars = format.chars().peekable();
    let mut next_arg = 0;
    let mut reordered = false;
    while let Some(c) = chars.next() {
        if out.len() > MAX_OUTPUT_BYTES {
            break;
        }
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(&f) = chars.peek() {
            match f {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => break,
            }
            chars.next();
        }
        let mut index_ok = true;
        index_ok &= explicit_index(&mut chars, &mut next_arg, &mut reordered, args.len());
        if chars.peek() == Some(&'*') {
            chars.next();
            match star(args, &mut next_arg) {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = Some(clamp(width.unsigned_abs()));
                }
                None => out.push_str("%!(BADWIDTH)"),
            }
        } else {
            flags.width = number(&mut chars);
        }
        if chars.peek() == Some(&'.') {
            chars.next();
            index_ok &= explicit_index(&mut chars, &mut next_arg, &mut reordered, args.len());
            if chars.peek() == Some(&'*') {
                chars.next();
                match star(args, &mut next_arg) {
                    Some(p) if p >= 0 => flags.precision = Some(clamp(p.unsigned_abs())),
                    Some(_) => {}
                    None => out.push_str("%!(BADPREC)"),
                }
            } else {
                flags.precision = Some(number(&mut chars).unwrap_or(0));
            }
        }
        index_ok &= explicit_index(&mut chars, &mut next_arg, &mut reordered, args.len());
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
        } else if !index_ok {
            out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(arg) = args.get(next_arg) {
            next_arg += 1;
            verb_text(verb, arg, &flags, &mut out);
        } else {
            out.push_str(&format!("%!{verb}(MISSING)"));
        }
    }
    if !reordered && next_arg < args.len() {
        out.push_str("%!(EXTRA ");
        for (i, arg) in args[next_arg..].iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            match arg {
                Value::Nil => out.push_str("<nil>"),
                arg => {
                    out.push_str(arg.type_name());
                    out.push('=');
                    write_value(arg, &mut out, 0);
                }
            }
        }
        out.push(')');
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn clamp(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX).min(MAX_PRINTF_WIDTH)
}

fn number(chars: &mut Chars<'_>) -> Option<usize> {
    let mut n: Option<usize> = None;
    while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
        chars.next();
        n = Some(n.unwrap_or(0).saturating_mul(10).saturating_add(d as usize).min(MAX_PRINTF_WIDTH));
    }
    n
}

fn star(args: &[Value], next: &mut usize) -> Option<i64> {
    let arg = args.get(*next)?;
    *next += 1;
    match arg {
        Value::Int(i) => Some(*i),
        _ => None,
    }
}

/// `%[2]d`: sets the argument to use next. False where the index is not one.
fn explicit_index(chars: &mut Chars<'_>, next: &mut usize, reordered: &mut bool, count: usize) -> bool {
    if chars.peek() != Some(&'[') {
        return true;
    }
    *reordered = true;
    let mut text = String::new();
    chars.next();
    for c in chars.by_ref() {
        if c == ']' {
            break;
        }
        text.push(c);
    }
    match text.parse::<usize>() {
        Ok(n) if (1..=count).contains(&n) => {
            *next = n - 1;
            true
        }
        _ => false,
    }
}

fn verb_text(verb: char, arg: &Value, flags: &Flags, out: &mut String) {
    match verb {
        'T' => return pad(arg.type_name(), flags, false, out),
        'v' if flags.sharp => return pad(&go_syntax(arg, 0), flags, false, out),
        _ => {}
    }
    match arg {
        Value::Nil => match verb {
            'v' => pad("<nil>", flags, false, out),
            _ => out.push_str(&format!("%!{verb}(<nil>)")),
        },
        Value::Bool(b) if matches!(verb, 't' | 'v') => {
            pad(if *b { "true" } else { "false" }, flags, false, out);
        }
        Value::Int(i) if "vdboOxXcqUeEfFgG".contains(verb) => int_text(verb, *i, flags, arg, out),
        Value::Float(f) if "veEfFgGbxX".contains(verb) => float_text(verb, *f, flags, out),
        Value::Str(s) | Value::Safe(_, s) => string_text(verb, s, flags, arg, out),
        Value::Duration(ns) => match verb {
            'v' | 's' | 'q' => string_text(verb, &value_text(arg), flags, arg, out),
            _ => verb_text(verb, &Value::Int(*ns), flags, out),
        },
        Value::Time(_) => string_text(verb, &value_text(arg), flags, arg, out),
        Value::Object(o) => match (o.print(), o.plain()) {
            (Some(text), _) if "vsqxX".contains(verb) => string_text(verb, &text, flags, arg, out),
            (_, Some(plain)) => verb_text(verb, &plain, flags, out),
            _ => bad_verb(verb, arg, out),
        },
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                if out.len() > MAX_OUTPUT_BYTES {
                    break;
                }
                verb_text(verb, item, flags, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (i, (k, v)) in map.entries.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                if out.len() > MAX_OUTPUT_BYTES {
                    break;
                }
                verb_text(verb, &Value::str(k), flags, out);
                out.push(':');
                verb_text(verb, v, flags, out);
            }
            out.push(']');
        }
        _ => bad_verb(verb, arg, out),
    }
}

fn bad_verb(verb: char, arg: &Value, out: &mut String) {
    out.push_str(&format!("%!{verb}({}={})", arg.type_name(), value_text(arg)));
}

/// `%#v`.
fn go_syntax(arg: &Value, depth: usize) -> String {
    if depth > 64 {
        return "…".to_owned();
    }
    match arg {
        Value::Str(s) | Value::Safe(_, s) => go_quote(s),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|i| go_syntax(i, depth + 1)).collect();
            format!("{}{{{}}}", arg.type_name(), items.join(", "))
        }
        Value::Map(map) => {
            let items: Vec<_> = map
                .entries
                .iter()
                .map(|(k, v)| format!("{}:{}", go_quote(k), go_syntax(v, depth + 1)))
                .collect();
            format!("{}{{{}}}", arg.type_name(), items.join(", "))
        }
        Value::Object(o) => o.plain().map_or_else(|| value_text(arg), |p| go_syntax(&p, depth + 1)),
        arg => value_text(arg),
    }
}

fn pad(text: &str, flags: &Flags, zeros: bool, out: &mut String) {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        out.push_str(text);
    } else if flags.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if zeros {
        // Zeros go between the sign and the digits.
        let (sign, digits) = match text.chars().next() {
            Some(c @ ('+' | '-' | ' ')) => (Some(c), &text[1..]),
            _ => (None, text),
        };
        out.extend(sign);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}

fn int_text(verb: char, i: i64, flags: &Flags, arg: &Value, out: &mut String) {
    let magnitude = i.unsigned_abs();
    let digits = match verb {
        'v' | 'd' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' | 'q' | 'U' => {
            let c = u32::try_from(i).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            let text = match verb {
                'c' => c.to_string(),
                'U' => format!("U+{magnitude:04X}"),
                _ if c == '\'' => "'\\''".to_owned(),
                _ if c == '"' => "'\"'".to_owned(),
                _ => format!("'{}'", go_quote(&c.to_string()).trim_matches('"')),
            };
            return pad(&text, flags, false, out);
        }
        _ => return bad_verb(verb, arg, out),
    };
    let prefix = match verb {
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        'o' if flags.sharp => "0",
        'b' if flags.sharp => "0b",
        'O' => "0o",
        _ => "",
    };
    let sign = match (i < 0, flags.plus, flags.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    let digits = match flags.precision {
        Some(0) if i == 0 => String::new(),
        Some(p) => format!("{digits:0>p$}"),
        None => digits,
    };
    pad(&format!("{sign}{prefix}{digits}"), flags, flags.zero && flags.precision.is_none(), out);
}

fn float_text(verb: char, f: f64, flags: &Flags, out: &mut String) {
    // Beyond about 1100 digits a double has only zeros; Rust's own formatting stops at 65535.
    let precision = flags.precision.map(|p| p.min(2000));
    let mut text = if f.is_finite() {
        match verb {
            'f' | 'F' => format!("{f:.*}", precision.unwrap_or(6)),
            'e' | 'E' => go_exponent(&format!("{f:.*e}", precision.unwrap_or(6))),
            'g' | 'G' | 'v' => match precision {
                Some(p) => model::float::format_g_precision(f, p.max(1)),
                None => format_g(f),
            },
            // %b and %x of floats are Go's own notation that no alert template needs.
            _ => return bad_verb(verb, &Value::Float(f), out),
        }
    } else {
        format_g(f)
    };
    if matches!(verb, 'E' | 'G') {
        text = text.to_uppercase();
    }
    if !f.is_finite() {
        // Infinities carry a sign already; Go drops the plus unless it is asked for.
        if f == f64::INFINITY && flags.space && !flags.plus {
            text = " Inf".to_owned();
        } else if f.is_nan() && flags.plus {
            text = "+NaN".to_owned();
        }
        return pad(&text, flags, false, out);
    }
    if !text.starts_with('-') {
        if flags.plus {
            text.insert(0, '+');
        } else if flags.space {
            text.insert(0, ' ');
        }
    }
    pad(&text, flags, flags.zero, out);
}

/// Rust's `1.5e-7` as Go's `1.5e-07`.
fn go_exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn string_text(verb: char, s: &str, flags: &Flags, arg: &Value, out: &mut String) {
    let cut: String;
    let s = match flags.precision {
        Some(p) if matches!(verb, 's' | 'v' | 'q') => {
            cut = s.chars().take(p).collect();
            &cut
        }
        _ => s,
    };
    match verb {
        'v' | 's' => pad(s, flags, flags.zero, out),
        'q' if flags.sharp && !s.contains('`') => pad(&format!("`{s}`"), flags, false, out),
        'q' => pad(&go_quote(s), flags, false, out),
        'x' | 'X' => {
            let mut hex = String::new();
            for (i, b) in s.bytes().take(flags.precision.unwrap_or(usize::MAX)).enumerate() {
                if flags.space && i > 0 {
                    hex.push(' ');
                }
                if flags.sharp && (i == 0 || flags.space) {
                    hex.push_str(if verb == 'x' { "0x" } else { "0X" });
                }
                hex.push_str(&if verb == 'x' { format!("{b:02x}") } else { format!("{b:02X}") });
            }
            pad(&hex, flags, false, out);
        }
        _ => bad_verb(verb, arg, out),
    }
}
