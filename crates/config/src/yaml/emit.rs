//! From a tree back to text, laid out as Go's `yaml.v2` does: two spaces, lists not indented under their key.

use std::fmt::Write as _;

use super::{Node, Scalar, Value};

/// A tree to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Out {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A number.
    Float(f64),
    /// A text.
    Str(String),
    /// A list.
    Seq(Vec<Out>),
    /// A mapping, in this order.
    Map(Vec<(String, Out)>),
}

impl Out {
    /// The YAML text, with a line feed at its end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Seq(items) if !items.is_empty() => write_seq(&mut out, items, 0),
            Self::Map(entries) if !entries.is_empty() => write_map(&mut out, entries, 0),
            scalar => {
                write_scalar(&mut out, scalar, 0);
                out.push('\n');
            }
        }
        out
    }

    /// The tree of a node as read: quoted scalars stay texts.
    #[must_use]
    pub fn from_node(node: &Node) -> Self {
        match &node.value {
            _ if node.is_null() => Self::Null,
            Value::Scalar(Scalar { text, plain: false }) => Self::Str(text.clone()),
            Value::Scalar(Scalar { text, .. }) => {
                if let Some(b) = node.as_bool() {
                    Self::Bool(b)
                } else if let Some(i) = node.as_int() {
                    Self::Int(i)
                } else if let Some(f) = node.as_float() {
                    Self::Float(f)
                } else {
                    Self::Str(text.clone())
                }
            }
            Value::Seq(items) => Self::Seq(items.iter().map(Self::from_node).collect()),
            Value::Map(entries) => Self::Map(
                entries
                    .iter()
                    .map(|(k, v)| {
                        let key = match &k.value {
                            Value::Scalar(s) => s.text.clone(),
                            _ => String::new(),
                        };
                        (key, Self::from_node(v))
                    })
                    .collect(),
            ),
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn write_map(out: &mut String, entries: &[(String, Out)], indent: usize) {
    for (i, (key, value)) in entries.iter().enumerate() {
        // The first key of a list item stands behind its dash.
        if i > 0 || !out.ends_with("- ") {
            pad(out, indent);
        }
        write_text(out, key, indent);
        out.push(':');
        match value {
            Out::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                write_map(out, inner, indent + 2);
            }
            Out::Seq(items) if !items.is_empty() => {
                out.push('\n');
                write_seq(out, items, indent);
            }
            scalar => {
                out.push(' ');
                write_scalar(out, scalar, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn write_seq(out: &mut String, items: &[Out], indent: usize) {
    for (i, item) in items.iter().enumerate() {
        if i > 0 || !out.ends_with("- ") {
            pad(out, indent);
        }
        out.push_str("- ");
        match item {
            Out::Map(inner) if !inner.is_empty() => write_map(out, inner, indent + 2),
            Out::Seq(inner) if !inner.is_empty() => write_seq(out, inner, indent + 2),
            scalar => {
                write_scalar(out, scalar, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn write_scalar(out: &mut String, value: &Out, indent: usize) {
    match value {
        Out::Null => out.push_str("null"),
        Out::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Out::Int(i) => {
            let _ = write!(out, "{i}");
        }
        Out::Float(f) if f.is_nan() => out.push_str(".nan"),
        Out::Float(f) if f.is_infinite() => out.push_str(if *f > 0.0 { ".inf" } else { "-.inf" }),
        Out::Float(f) => out.push_str(&model::float::format_g(*f)),
        Out::Str(s) => write_text(out, s, indent),
        Out::Seq(_) => out.push_str("[]"),
        Out::Map(_) => out.push_str("{}"),
    }
}

/// Writes a text plain where it reads back as the same text, else as a literal block (several lines) or in double quotes.
fn write_text(out: &mut String, text: &str, indent: usize) {
    if text.contains('\n')
        && text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control())
        && !text.starts_with([' ', '\n'])
    {
        let body = text.trim_end_matches('\n');
        let ends = text.len() - body.len();
        out.push_str(match ends {
            0 => "|-",
            1 => "|",
            _ => "|+",
        });
        for line in body.split('\n').chain(std::iter::repeat_n("", ends.saturating_sub(1))) {
            out.push('\n');
            if !line.is_empty() {
                pad(out, indent.max(2));
                out.push_str(line);
            }
        }
    } else if is_plain(text) {
        out.push_str(text);
    } else if reads_as_other(text) || text.chars().any(char::is_control) {
        write_quoted(out, text);
    } else {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    }
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether the plain text would read back as a null, boolean, number or the like; Go writes those in double quotes.
fn reads_as_other(text: &str) -> bool {
    let node = Node {
        value: Value::Scalar(Scalar { text: text.to_owned(), plain: true }),
        place: super::Place::default(),
    };
    node.tag() != "!!str" || text == "<<" || looks_like_base60_or_date(text)
}

fn looks_like_base60_or_date(text: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let base60 = text.contains(':') && {
        let t = text.trim_start_matches(['-', '+']);
        let mut parts = t.split(':');
        parts.next().is_some_and(digits)
            && parts.all(|p| p.len() <= 2 && digits(p.split('.').next().unwrap_or("")))
    };
    let date = text.len() >= 8 && text.get(..4).is_some_and(digits) && text.as_bytes()[4] == b'-' && {
        text[5..].split(['-', 'T', ' ', ':', '.', 'Z', '+']).all(|p| p.is_empty() || digits(p))
    };
    base60 || date
}

/// Whether a text may stand without quotes and reads back as itself.
fn is_plain(text: &str) -> bool {
    if reads_as_other(text) {
        return false;
    }
    let Some(first) = text.chars().next() else { return false };
    if text.starts_with(' ') || text.ends_with(' ') || text.chars().any(char::is_control) {
        return false;
    }
    if "#,[]{}&*!|>'\"%@`".contains(first) {
        return false;
    }
    if "-?:".contains(first) && text.chars().nth(1).is_none_or(|c| c == ' ') {
        return false;
    }
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    !text.contains(": ") && !text.ends_with(':') && !text.contains(" #")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn reads_back_as_written() {
        for text in [
            "",
            " ",
            "a",
            "yes",
            "1",
            "0x1",
            "a: b",
            "a #b",
            "#a",
            "- a",
            "-",
            "'",
            "\"",
            "a\nb",
            "a\n",
            "a\n\n",
            "\na",
            " a\nb",
            "x\ty",
            "\u{7}",
            "*a",
            "1:30",
            "2001-01-01",
            "<<",
            "null",
            "~",
            "{{ $labels.x }}",
            "[a",
            "a:",
            "[]",
            "é",
            "%a",
            "@a",
            "`a",
            "...",
            "---",
            "a\r\nb",
            "\\",
            "a'b",
            "a\n  b\n\n c\n",
        ] {
            let tree = Out::Map(vec![
                ("k".to_owned(), Out::Str(text.to_owned())),
                (
                    text.to_owned(),
                    Out::Seq(vec![Out::Str(text.to_owned()), Out::Seq(vec![Out::Str(text.to_owned())])]),
                ),
                ("z".to_owned(), Out::Map(vec![("n".to_owned(), Out::Str(text.to_owned()))])),
            ]);
            if text.contains('\n') {
                // A key of several lines is nothing a file of ours has.
                let tree = Out::Map(vec![("k".to_owned(), Out::Seq(vec![Out::Str(text.to_owned())]))]);
                let back = super::super::parse(&tree.to_text(), Path::new("t")).unwrap();
                assert_eq!(Out::from_node(&back), tree, "{}", tree.to_text());
                continue;
            }
            let back = super::super::parse(&tree.to_text(), Path::new("t")).unwrap();
            assert_eq!(Out::from_node(&back), tree, "{}", tree.to_text());
        }
    }
}
