//! The tree a YAML text becomes: scalars keep their spelling, every node its place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::{Diagnostic, Diagnostics};

/// Nodes a document may have once aliases are expanded.
const MAX_NODES: usize = 2_000_000;
/// Levels a document may nest.
const MAX_DEPTH: usize = 128;

/// Where a node starts; both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

/// A scalar as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text after escapes and folding.
    pub text: String,
    /// Whether it was written without quotes and so may mean a null, a number or a boolean.
    pub plain: bool,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, number, boolean or null.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping in the order of the file; keys may repeat (a reader of the mapping reports that).
    Map(Vec<(Node, Node)>),
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it starts.
    pub place: Place,
}

impl Node {
    /// Whether this is a null: nothing, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(s) if s.plain && matches!(s.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar that is not null.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(s) if !self.is_null() => Some(&s.text),
            _ => None,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a mapping.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Node, Node)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under `key` in a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, v)| v)
    }

    /// A boolean, with all the spellings Go's YAML takes.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar(s) if s.plain => match s.text.as_str() {
                "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                    Some(true)
                }
                "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                    Some(false)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// An integer: decimal, `0x`, `0o` or `0b`, with `_` between digits.
    #[must_use]
    pub fn as_int(&self) -> Option<i128> {
        let Value::Scalar(s) = &self.value else { return None };
        if !s.plain {
            return None;
        }
        let text = s.text.replace('_', "");
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let value = match digits.get(..2) {
            Some("0x" | "0X") => i128::from_str_radix(&digits[2..], 16),
            Some("0o" | "0O") => i128::from_str_radix(&digits[2..], 8),
            Some("0b" | "0B") => i128::from_str_radix(&digits[2..], 2),
            _ if digits.len() > 1 && digits.starts_with('0') => i128::from_str_radix(digits, 8),
            _ => digits.parse(),
        }
        .ok()?;
        Some(if negative { -value } else { value })
    }

    /// A number.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        if let Some(int) = self.as_int() {
            return Some(int as f64);
        }
        let Value::Scalar(s) = &self.value else { return None };
        if !s.plain {
            return None;
        }
        match s.text.as_str() {
            ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" => return Some(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
            _ => {}
        }
        let digits = s.text.trim_start_matches(['-', '+']);
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        s.text.replace('_', "").parse().ok()
    }

    /// What Go's YAML calls the node's kind in error texts.
    #[must_use]
    pub fn tag(&self) -> &'static str {
        match &self.value {
            Value::Seq(_) => "!!seq",
            Value::Map(_) => "!!map",
            Value::Scalar(_) if self.is_null() => "!!null",
            Value::Scalar(_) if self.as_bool().is_some() => "!!bool",
            Value::Scalar(_) if self.as_int().is_some() => "!!int",
            Value::Scalar(_) if self.as_float().is_some() => "!!float",
            Value::Scalar(_) => "!!str",
        }
    }

    /// A null at a place.
    #[must_use]
    pub fn null(place: Place) -> Self {
        Self { value: Value::Scalar(Scalar { text: String::new(), plain: true }), place }
    }
}

/// Reads the first document of `text`. An empty text is a null.
///
/// # Errors
/// The place where the text stops being YAML, or where it nests or expands beyond measure.
pub fn parse(text: &str, file: &Path) -> Result<Node, Diagnostics> {
    let fail = |line: usize, column: usize, message: String| {
        Diagnostics::from(Diagnostic::at(file, text, line, column, message))
    };
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event
            .map_err(|e| fail(e.marker().line(), e.marker().col() + 1, format!("yaml: {}", e.info())))?;
        let place = Place { line: span.start.line(), column: span.start.col() + 1 };
        match builder.event(event, place) {
            Ok(false) => {}
            Ok(true) => break,
            Err(message) => return Err(fail(place.line, place.column, message)),
        }
    }
    Ok(builder.root.unwrap_or_else(|| Node::null(Place { line: 1, column: 1 })))
}

/// A collection that is still open.
struct Open {
    value: Value,
    place: Place,
    anchor: usize,
    key: Option<Node>,
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    /// Takes one event; true when the document is complete.
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<bool, String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if tag.as_ref().is_some_and(|t| t.suffix() == "binary" || t.suffix().ends_with(":binary")) {
                    let alphabet = |b: u8| b.is_ascii_alphanumeric() || b"+/=\n ".contains(&b);
                    return Err(match text.bytes().all(alphabet) {
                        true => "yaml: !!binary values are not taken; write the text itself".to_owned(),
                        false => "yaml: !!binary value contains invalid base64 data".to_owned(),
                    });
                }
                let forced = tag.as_ref().and_then(|t| t.core_suffix().map(|s| s == "str")).unwrap_or(false);
                let plain = style == ScalarStyle::Plain && !forced;
                // The parser stands "~" for a value that is not there.
                let text = if plain && text == "~" { Cow::Borrowed("") } else { text };
                let node = Node { value: Value::Scalar(Scalar { text: text.into_owned(), plain }), place };
                self.count(1)?;
                self.complete(node, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.open(Value::Seq(Vec::new()), place, anchor)?,
            Event::MappingStart(_, anchor, _) => self.open(Value::Map(Vec::new()), place, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                let open = self.stack.pop().ok_or("yaml: unexpected end of a collection")?;
                let mut value = open.value;
                if let Value::Map(entries) = &mut value {
                    merge_keys(entries)?;
                }
                self.complete(Node { value, place: open.place }, open.anchor)?;
            }
            Event::Alias(id) => {
                let (node, size) =
                    self.anchors.get(&id).cloned().ok_or("yaml: alias of an anchor that is not complete")?;
                self.count(size)?;
                self.complete(node, 0)?;
            }
            Event::DocumentEnd => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            Err("yaml: document contains excessive aliasing".to_owned())
        } else {
            Ok(())
        }
    }

    fn open(&mut self, value: Value, place: Place, anchor: usize) -> Result<(), String> {
        self.count(1)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(format!("yaml: nested deeper than {MAX_DEPTH} levels"));
        }
        self.stack.push(Open { value, place, anchor, key: None });
        Ok(())
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            let size = size(&node);
            self.count(size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open { value: Value::Seq(items), .. }) => items.push(node),
            Some(Open { value: Value::Map(entries), key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(k) => entries.push((k, node)),
            },
            Some(Open { value: Value::Scalar(_), .. }) => {
                return Err("yaml: a scalar has no parts".to_owned());
            }
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::Seq(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|(k, v)| size(k) + size(v)).sum(),
    }
}

/// Replaces `<<: *base` and `<<: [*a, *b]` by the entries they bring; keys of the mapping itself win.
fn merge_keys(entries: &mut Vec<(Node, Node)>) -> Result<(), String> {
    let is_merge = |k: &Node| matches!(&k.value, Value::Scalar(s) if s.plain && s.text == "<<");
    if !entries.iter().any(|(k, _)| is_merge(k)) {
        return Ok(());
    }
    let (merges, mut own): (Vec<_>, Vec<_>) =
        std::mem::take(entries).into_iter().partition(|(k, _)| is_merge(k));
    for (_, source) in merges {
        let maps = match source.value {
            Value::Map(_) => vec![source],
            Value::Seq(items) => items,
            Value::Scalar(_) => {
                return Err("yaml: map merge requires map or sequence of maps as the value".to_owned());
            }
        };
        for map in maps {
            let Value::Map(brought) = map.value else {
                return Err("yaml: map merge requires map or sequence of maps as the value".to_owned());
            };
            for (k, v) in brought {
                if !own.iter().any(|(o, _)| o.value == k.value) {
                    own.push((k, v));
                }
            }
        }
    }
    *entries = own;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(text, Path::new("t.yml")).unwrap()
    }

    #[test]
    fn keeps_places_and_spelling() {
        let n = tree("a: 1\nb:\n  - x: 0x10\n  - 'null'\n  -\nc: yes\n");
        let b = n.get("b").unwrap().as_seq().unwrap();
        assert_eq!(b[0].get("x").unwrap().place, Place { line: 3, column: 8 });
        assert_eq!(b[0].get("x").unwrap().as_int(), Some(16));
        assert_eq!(b[1].as_str(), Some("null"));
        assert!(b[2].is_null());
        assert_eq!(n.get("c").unwrap().as_bool(), Some(true));
        assert_eq!(n.get("c").unwrap().as_str(), Some("yes"));
        assert!(tree("").is_null());
        assert!(tree("# only a comment\n").is_null());
    }

    #[test]
    fn merges_and_bounds_aliases() {
        let n = tree("base: &b {x: 1, y: 2}\nc:\n  <<: *b\n  y: 3\n");
        let c = n.get("c").unwrap();
        assert_eq!((c.get("x").unwrap().as_int(), c.get("y").unwrap().as_int()), (Some(1), Some(3)));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..9 {
            let p = i - 1;
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{p}"); 10].join(", "));
        }
        assert!(parse(&bomb, Path::new("b.yml")).unwrap_err().to_string().contains("excessive aliasing"));
        assert!(parse(&"[".repeat(100_000), Path::new("d.yml")).is_err());
    }

    #[test]
    fn says_where_it_stops_being_yaml() {
        let e = parse("a: 1\nb: [1, 2\nc: 3\n", Path::new("t.yml")).unwrap_err();
        assert!(e.0[0].line >= 2, "{e}");
    }
}
