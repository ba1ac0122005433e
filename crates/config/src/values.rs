//! Scalars with a meaning: secrets, sizes, regular expressions, URLs, and how each is read and written.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use model::{LabelSet, LabelSetBuilder};

use crate::yaml::{Context, Decode, Encode, Node, Out, Value};

/// A text that is never shown: it prints and serialises as `<secret>`.
#[derive(Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(s: &str) -> Self {
        Self(s.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("<secret>")
    }
}

impl Decode for Secret {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        String::decode(node, cx).map(Self)
    }
}

impl Encode for Secret {
    fn encode(&self) -> Out {
        Out::Str(if self.0.is_empty() { String::new() } else { "<secret>".to_owned() })
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A number of bytes, written `15MB`, `1GiB`; the units are powers of 1024 whichever way they are spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, u64); 6] =
    [("E", 1 << 60), ("P", 1 << 50), ("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

impl ByteSize {
    /// Reads a size.
    ///
    /// # Errors
    /// Upstream's text when `text` is not numbers with units.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("units: invalid {text}");
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self(0));
        }
        let mut total = 0.0_f64;
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_len);
            let number: f64 = number.parse().map_err(|_| invalid())?;
            let scale = match unit {
                "B" => 1,
                _ => SIZE_UNITS
                    .iter()
                    .find(|(u, _)| unit.strip_prefix(u).is_some_and(|end| matches!(end, "B" | "iB")))
                    .map(|(_, n)| *n)
                    .ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?,
            };
            total += number * scale as f64;
            rest = tail;
        }
        if total >= i64::MAX as f64 {
            return Err(invalid());
        }
        Ok(Self(total as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        if left == 0 {
            return f.write_str("0B");
        }
        for (unit, size) in SIZE_UNITS {
            if left >= size {
                write!(f, "{}{unit}iB", left / size)?;
                left %= size;
            }
        }
        if left > 0 { write!(f, "{left}B") } else { Ok(()) }
    }
}

impl Decode for ByteSize {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let text = String::decode(node, cx)?;
        Self::parse(&text)
            .map_err(|e| cx.error_hint(node.place, e, "write a number with a unit, such as 512MB or 10GiB"))
            .ok()
    }
}

impl Encode for ByteSize {
    fn encode(&self) -> Out {
        Out::Str(self.to_string())
    }
    fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

/// A regular expression as in relabelling: anchored at both ends, `.` matches line feeds.
#[derive(Clone)]
pub struct Regex {
    text: String,
    compiled: regex::Regex,
}

impl Regex {
    /// Compiles one.
    ///
    /// # Errors
    /// Why the text is no expression.
    pub fn new(text: &str) -> Result<Self, String> {
        let compiled = regex::RegexBuilder::new(&format!("^(?s:{text})$"))
            .size_limit(10 << 20)
            .build()
            .map_err(|e| format!("error parsing regexp: {}", last_line(&e.to_string())))?;
        Ok(Self { text: text.to_owned(), compiled })
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The compiled, anchored expression.
    #[must_use]
    pub fn compiled(&self) -> &regex::Regex {
        &self.compiled
    }
}

fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned()
}

impl Default for Regex {
    fn default() -> Self {
        Self::new("(.*)").expect("a valid expression")
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Regex {}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Regex({:?})", self.text)
    }
}

impl Decode for Regex {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let text = String::decode(node, cx)?;
        Self::new(&text).map_err(|e| cx.error(node.place, e)).ok()
    }
}

impl Encode for Regex {
    fn encode(&self) -> Out {
        Out::Str(self.text.clone())
    }
}

/// A URL as written; printing hides a password in it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConfigUrl(pub String);

impl ConfigUrl {
    /// The text, password included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text with a password replaced by `xxxxx`, as Go's `Redacted`.
    #[must_use]
    pub fn redacted(&self) -> String {
        match url::Url::parse(&self.0) {
            Ok(mut u) if u.password().is_some() => {
                // Setting a password can only fail for URLs that cannot have one.
                let _ = u.set_password(Some("xxxxx"));
                u.to_string()
            }
            _ => self.0.clone(),
        }
    }
}

impl fmt::Display for ConfigUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for ConfigUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Decode for ConfigUrl {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let text = String::decode(node, cx)?;
        match url::Url::parse(&text) {
            Ok(_) => Some(Self(text)),
            // Go's parser takes what is only a path; whoever needs a host says so.
            Err(url::ParseError::RelativeUrlWithoutBase | url::ParseError::EmptyHost) => Some(Self(text)),
            Err(e) => {
                cx.error(node.place, format!("parse {text:?}: {e}"));
                None
            }
        }
    }
}

impl Encode for ConfigUrl {
    fn encode(&self) -> Out {
        Out::Str(self.redacted())
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        match &node.value {
            _ if node.is_null() => Some(Self::new()),
            Value::Scalar(s) => Some(s.text.clone()),
            _ => {
                cx.wrong_kind(node, "string");
                None
            }
        }
    }
    fn null_item() -> Option<Self> {
        Some(Self::new())
    }
}

impl Encode for String {
    fn encode(&self) -> Out {
        Out::Str(self.clone())
    }
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let value = node.as_bool();
        if value.is_none() {
            cx.wrong_kind(node, "bool");
        }
        value
    }
}

impl Encode for bool {
    fn encode(&self) -> Out {
        Out::Bool(*self)
    }
    fn is_empty(&self) -> bool {
        !*self
    }
}

macro_rules! integer {
    ($($ty:ty as $go:literal),*) => {$(
        impl Decode for $ty {
            fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
                let value = node.as_int().and_then(|i| Self::try_from(i).ok());
                if value.is_none() {
                    cx.wrong_kind(node, $go);
                }
                value
            }
        }
        impl Encode for $ty {
            fn encode(&self) -> Out {
                Out::Int(i128::from(*self))
            }
            fn is_empty(&self) -> bool {
                *self == 0
            }
        }
    )*};
}
integer!(u64 as "uint", i64 as "int", u16 as "uint16");

impl Decode for f64 {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let value = node.as_float();
        if value.is_none() {
            cx.wrong_kind(node, "float64");
        }
        value
    }
}

impl Encode for f64 {
    fn encode(&self) -> Out {
        Out::Float(*self)
    }
    fn is_empty(&self) -> bool {
        *self == 0.0
    }
}

impl Decode for Duration {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let text = String::decode(node, cx)?;
        model::duration::parse(&text)
            .map_err(|e| {
                cx.error_hint(
                    node.place,
                    e.to_string(),
                    "write a number with a unit: 500ms, 15s, 5m, 1h30m, 7d",
                );
            })
            .ok()
    }
}

impl Encode for Duration {
    fn encode(&self) -> Out {
        Out::Str(model::duration::format(*self))
    }
    fn is_empty(&self) -> bool {
        self.is_zero()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::decode(node, cx).map(Some) }
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self) -> Out {
        self.as_ref().map_or(Out::Null, Encode::encode)
    }
    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

/// A list; a lone scalar is a list of one, as in Go. Nulls stand for what [`Decode::null_item`] says.
impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let Value::Seq(items) = &node.value else {
            cx.wrong_kind(node, "a list");
            return None;
        };
        Some(
            items
                .iter()
                .filter_map(|item| if item.is_null() { T::null_item() } else { T::decode(item, cx) })
                .collect(),
        )
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self) -> Out {
        Out::Seq(self.iter().map(Encode::encode).collect())
    }
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

/// A mapping with free keys; repeated keys are errors.
impl<T: Decode> Decode for BTreeMap<String, T> {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            cx.wrong_kind(node, "a map");
            return None;
        };
        let mut out = Self::new();
        for (key, value) in entries {
            let Some(name) = String::decode(key, cx) else { continue };
            if out.contains_key(&name) {
                cx.error(key.place, format!("key {name:?} already set in map"));
                continue;
            }
            let value = if value.is_null() { T::null_item() } else { T::decode(value, cx) };
            if let Some(value) = value {
                out.insert(name, value);
            }
        }
        Some(out)
    }
}

impl<T: Encode> Encode for BTreeMap<String, T> {
    fn encode(&self) -> Out {
        Out::Map(self.iter().map(|(k, v)| (k.clone(), v.encode())).collect())
    }
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

/// Labels; names are checked by whoever knows the validation scheme.
impl Decode for LabelSet {
    fn decode(node: &Node, cx: &mut Context<'_>) -> Option<Self> {
        let map = BTreeMap::<String, String>::decode(node, cx)?;
        let mut builder = LabelSetBuilder::default();
        for (name, value) in &map {
            builder.set(name, value);
        }
        Some(builder.build())
    }
}

impl Encode for LabelSet {
    fn encode(&self) -> Out {
        Out::Map(self.iter().map(|(n, v)| (n.to_owned(), Out::Str(v.to_owned()))).collect())
    }
    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

/// Defines an enum of texts: `name { Variant = "text", … } error |text| message`.
macro_rules! text_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)* } error $error:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)*
        }
        impl $name {
            /// The text in configuration files.
            #[must_use]
            pub fn as_str(&self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// The variant that is written `text`.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
        impl $crate::yaml::Decode for $name {
            fn decode(node: &$crate::yaml::Node, cx: &mut $crate::yaml::Context<'_>) -> Option<Self> {
                let text = <String as $crate::yaml::Decode>::decode(node, cx)?;
                let value = Self::from_text(&text);
                if value.is_none() {
                    let message: fn(&str) -> String = $error;
                    cx.error_hint(node.place, message(&text), concat!("expected one of:", $(" ", $text),*));
                }
                value
            }
        }
        impl $crate::yaml::Encode for $name {
            fn encode(&self) -> $crate::yaml::Out {
                $crate::yaml::Out::Str(self.as_str().to_owned())
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use text_enum;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print_as_upstream() {
        for (text, bytes, shown) in [
            ("15MB", 15 << 20, "15MiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("100B", 100, "100B"),
            ("1536KB", 1536 << 10, "1MiB512KiB"),
            ("0", 0, "0B"),
            ("1.5GB", 3 << 29, "1GiB512MiB"),
        ] {
            let size = ByteSize::parse(text).unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown), "{text}");
        }
        for text in ["", "12", "MB", "1XB", "-1MB", "99999999EB", "1é"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_stay_secret() {
        assert_eq!(format!("{:?} {0}", Secret::from("x")), "<secret> <secret>");
        assert_eq!(ConfigUrl("http://a:b@c/d".into()).to_string(), "http://a:xxxxx@c/d");
    }
}
