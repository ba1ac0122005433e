//! From nodes to typed values: the [`Decode`] trait, readers of mappings, and the `section!` macro.

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics};

use super::{Node, Out, Place, Value};

/// Collects the findings while one file is read.
#[derive(Debug)]
pub struct Context<'t> {
    file: PathBuf,
    text: &'t str,
    /// Findings that refuse the file.
    pub errors: Vec<Diagnostic>,
    /// Findings that do not.
    pub warnings: Vec<Diagnostic>,
}

impl<'t> Context<'t> {
    /// For a file and its text.
    #[must_use]
    pub fn new(file: &Path, text: &'t str) -> Self {
        Self { file: file.to_owned(), text, errors: Vec::new(), warnings: Vec::new() }
    }

    /// The file being read.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Notes an error.
    pub fn error(&mut self, place: Place, message: impl Into<String>) {
        self.errors.push(self.at(place, message));
    }

    /// Notes an error with a hint how to mend it.
    pub fn error_hint(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        self.errors.push(self.at(place, message).with_hint(hint));
    }

    /// Notes a warning.
    pub fn warn(&mut self, place: Place, message: impl Into<String>) {
        self.warnings.push(self.at(place, message));
    }

    fn at(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(&self.file, self.text, place.line, place.column, message)
    }

    /// Go's text for a node of the wrong kind.
    pub fn wrong_kind(&mut self, node: &Node, into: &str) {
        let shown = match &node.value {
            Value::Scalar(s) => {
                let short: String = s.text.chars().take(10).collect();
                if short.len() < s.text.len() { format!(" `{short}...`") } else { format!(" `{short}`") }
            }
            _ => String::new(),
        };
        self.error(node.place, format!("cannot unmarshal {}{shown} into {into}", node.tag()));
    }

    /// The value, unless an error was noted.
    ///
    /// # Errors
    /// All errors noted, in the order of the file.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<Diagnostic>), Diagnostics> {
        self.errors.sort_by_key(|d| (d.file != self.file, d.line, d.column));
        match value {
            Some(value) if self.errors.is_empty() => Ok((value, self.warnings)),
            _ if self.errors.is_empty() => {
                Err(Diagnostic::whole_file(&self.file, "the file could not be read").into())
            }
            _ => Err(Diagnostics(self.errors)),
        }
    }
}

/// A value that can be read from a node. `None` means that an error was noted.
pub trait Decode: Sized {
    /// Reads it.
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self>;

    /// What a null in a list stands for; `None` leaves it out (the list's owner reports it where that is an error).
    fn null_item() -> Option<Self> {
        None
    }
}

/// A value that can be written.
pub trait Encode {
    /// Its tree.
    fn encode(&self) -> Out;

    /// Whether Go would leave the field out: a zero, an empty list, nothing.
    fn is_empty(&self) -> bool {
        false
    }
}

/// A mapping with known keys, made by the `section!` macro.
pub trait Section: Sized + Default {
    /// Upstream's name of the type, for error texts.
    const NAME: &'static str;

    /// Takes this section's keys out of `map`.
    fn read(&mut self, map: &mut SectionMap<'_>, cx: &mut Context<'_>);

    /// Adds this section's keys to `out`, in upstream's order.
    fn write(&self, out: &mut Vec<(String, Out)>);

    /// The names of this section's keys.
    fn keys(out: &mut Vec<&'static str>);
}

/// A mapping while its keys are taken.
#[derive(Debug)]
pub struct SectionMap<'n> {
    /// Upstream's name of the type.
    pub name: &'static str,
    /// Where the mapping starts.
    pub place: Place,
    entries: Vec<(&'n Node, &'n Node, bool)>,
}

impl<'n> SectionMap<'n> {
    /// Opens a mapping. A null is an empty one. Repeated keys are errors.
    pub fn open(node: &'n Node, name: &'static str, cx: &mut Context<'_>) -> Option<Self> {
        let entries: &[(Node, Node)] = match &node.value {
            Value::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                cx.wrong_kind(node, name);
                return None;
            }
        };
        let mut map = Self { name, place: node.place, entries: Vec::with_capacity(entries.len()) };
        for (key, value) in entries {
            let Value::Scalar(k) = &key.value else {
                cx.error(key.place, format!("a key of {name} must be a plain name"));
                continue;
            };
            if map.find(&k.text).is_some() {
                cx.error(key.place, format!("field {} already set in type {name}", k.text));
                continue;
            }
            map.entries.push((key, value, false));
        }
        Some(map)
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|(k, _, _)| matches!(&k.value, Value::Scalar(s) if s.text == key))
    }

    /// The value of `key`, marked as known. A null counts as absent.
    pub fn take(&mut self, key: &str) -> Option<&'n Node> {
        let i = self.find(key)?;
        self.entries[i].2 = true;
        let node = self.entries[i].1;
        (!node.is_null()).then_some(node)
    }

    /// The value of `key`, also when it is null; does not mark it.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<&'n Node> {
        self.find(key).map(|i| self.entries[i].1)
    }

    /// Whether the key is written, with any value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Where `key` is written, or where the mapping starts.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Place {
        self.find(key).map_or(self.place, |i| self.entries[i].0.place)
    }

    /// Reads `key` into `slot`; leaves it when the key is absent, null or wrong.
    pub fn read<T: Decode>(&mut self, key: &'static str, slot: &mut T, cx: &mut Context<'_>) {
        let place = self.place_of(key);
        if let Some(node) = self.take(key) {
            if let Some(value) = T::decode(node, cx) {
                *slot = value;
            }
            crate::pending::note(self.name, key, place, cx);
        }
    }

    /// Reports nulls in the list under `key`.
    pub fn no_nulls(&self, key: &str, message: &str, cx: &mut Context<'_>) {
        for item in self.peek(key).and_then(Node::as_seq).unwrap_or(&[]) {
            if item.is_null() {
                cx.error(item.place, message);
            }
        }
    }

    /// Keys that nobody took.
    pub fn rest(&self) -> impl Iterator<Item = (&'n Node, &'n Node)> + '_ {
        self.entries.iter().filter(|(_, _, taken)| !taken).map(|(k, v, _)| (*k, *v))
    }

    /// Reports keys that nobody took; `known` serves the hint.
    pub fn finish(&self, known: &[&'static str], cx: &mut Context<'_>) {
        for (key, _) in self.rest() {
            let Value::Scalar(k) = &key.value else { continue };
            let message = format!("field {} not found in type {}", k.text, self.name);
            let hint = match nearest(&k.text, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected one of: {}", known.join(", ")),
            };
            cx.error_hint(key.place, message, hint);
        }
    }
}

/// The known key closest to `word`, where it is close enough to be a slip.
fn nearest(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let limit = (word.len() / 3).clamp(1, 4);
    known.iter().map(|k| (distance(word, k), *k)).filter(|(d, _)| *d <= limit).min().map(|(_, k)| k)
}

/// Levenshtein distance in bytes, capped at lengths of keys.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Reads a section from a node of its own.
pub(crate) fn decode_section<T: Section>(
    node: &Node,
    cx: &mut Context<'_>,
    check: impl FnOnce(&mut T, &SectionMap<'_>, &mut Context<'_>),
) -> Option<T> {
    let mut map = SectionMap::open(node, T::NAME, cx)?;
    let mut value = T::default();
    value.read(&mut map, cx);
    let mut known = Vec::new();
    T::keys(&mut known);
    map.finish(&known, cx);
    check(&mut value, &map, cx);
    Some(value)
}

/// Defines a section: the struct, its defaults, and how it is read and written.
///
/// A field is `name: Type = default, "key" mode;` with mode `always` (written even when empty), `omit` (left out when empty, as
/// Go's `omitempty`) or `inline` (the keys of another section, at this place). The type's checks are `fn check(&mut self, map,
/// cx)`, called once its keys are read; `unchecked` at the head means that there are none.
macro_rules! section {
    ($(#[$meta:meta])* $name:ident as $go:literal unchecked { $($body:tt)* }) => {
        $crate::yaml::section! { $(#[$meta])* $name as $go { $($body)* } }
        impl $name {
            fn check(&mut self, _: &$crate::yaml::SectionMap<'_>, _: &mut $crate::yaml::Context<'_>) {}
        }
    };
    ($(#[$meta:meta])* $name:ident as $go:literal {
        $($(#[$fmeta:meta])* $field:ident : $ty:ty = $default:expr, $key:literal $mode:ident;)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$fmeta])* pub $field: $ty,)*
        }
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
        impl $crate::yaml::Section for $name {
            const NAME: &'static str = $go;
            fn read(&mut self, map: &mut $crate::yaml::SectionMap<'_>, cx: &mut $crate::yaml::Context<'_>) {
                $($crate::yaml::section_read!($mode, map, cx, self.$field, $key);)*
            }
            fn write(&self, out: &mut Vec<(String, $crate::yaml::Out)>) {
                $($crate::yaml::section_write!($mode, out, self.$field, $key);)*
            }
            fn keys(out: &mut Vec<&'static str>) {
                $($crate::yaml::section_keys!($mode, out, $ty, $key);)*
            }
        }
        impl $crate::yaml::Decode for $name {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::yaml::Context<'_>) -> Option<Self> {
                $crate::yaml::decode_section(node, cx, Self::check)
            }
        }
        impl $crate::yaml::Encode for $name {
            fn encode(&self) -> $crate::yaml::Out {
                let mut out = Vec::new();
                $crate::yaml::Section::write(self, &mut out);
                $crate::yaml::Out::Map(out)
            }
            // As Go: a struct is left out when each of its fields has its zero value.
            fn is_empty(&self) -> bool {
                $($crate::yaml::section_empty!($mode, self.$field) &&)* true
            }
        }
    };
}

macro_rules! section_read {
    (inline, $map:ident, $cx:ident, $slot:expr, $key:literal) => {
        $crate::yaml::Section::read(&mut $slot, $map, $cx)
    };
    ($mode:ident, $map:ident, $cx:ident, $slot:expr, $key:literal) => {
        $map.read($key, &mut $slot, $cx)
    };
}

macro_rules! section_write {
    (inline, $out:ident, $slot:expr, $key:literal) => {
        $crate::yaml::Section::write(&$slot, $out)
    };
    (always, $out:ident, $slot:expr, $key:literal) => {
        $out.push(($key.to_owned(), $crate::yaml::Encode::encode(&$slot)))
    };
    (omit, $out:ident, $slot:expr, $key:literal) => {
        if !$crate::yaml::Encode::is_empty(&$slot) {
            $out.push(($key.to_owned(), $crate::yaml::Encode::encode(&$slot)))
        }
    };
}

macro_rules! section_keys {
    (inline, $out:ident, $ty:ty, $key:literal) => {
        <$ty as $crate::yaml::Section>::keys($out)
    };
    ($mode:ident, $out:ident, $ty:ty, $key:literal) => {
        $out.push($key)
    };
}

macro_rules! section_empty {
    ($mode:ident, $slot:expr) => {
        $crate::yaml::Encode::is_empty(&$slot)
    };
}

pub(crate) use {section, section_empty, section_keys, section_read, section_write};
