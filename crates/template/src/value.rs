//! Values a template computes with: Go's kinds as far as templates can tell them apart.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Zoned;
use model::LabelSet;

/// Why a method, function or built-in refused its arguments; becomes part of an [`crate::Error`].
pub type CallResult = Result<Value, String>;

/// One value. Cloning is cheap.
#[derive(Debug, Clone)]
pub enum Value {
    /// Go's `nil`, also what an absent key of a map of anything gives.
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int` and every other integer type.
    Int(i64),
    /// `float64`.
    Float(f64),
    /// `string`.
    Str(Arc<str>),
    /// A slice.
    List(Arc<Vec<Value>>),
    /// A map with string keys.
    Map(Arc<Map>),
    /// Something with fields and methods of its own.
    Object(Arc<dyn Object>),
    /// `time.Time`.
    Time(Arc<Zoned>),
    /// `time.Duration`, in nanoseconds.
    Duration(i64),
    /// A string that HTML escaping trusts, such as what `safeHtml` gives.
    Safe(Safe, Arc<str>),
}

/// In which context a [`Value::Safe`] needs no escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safe {
    /// `html/template.HTML`.
    Html,
    /// `html/template.URL`.
    Url,
}

/// A map with string keys, in key order, as Go prints and ranges over it.
#[derive(Debug, Clone)]
pub struct Map {
    /// The entries.
    pub entries: BTreeMap<String, Value>,
    /// What an absent key gives (`missingkey=zero`): `""` in a map of strings, nil in a map of anything.
    pub zero: Value,
}

/// A value with named fields and methods.
pub trait Object: fmt::Debug + Send + Sync {
    /// Go's type name, for error texts.
    fn type_name(&self) -> &'static str;

    /// The field, or the result of the method, called `name`; `None` where there is neither.
    ///
    /// # Errors
    /// When the method exists and refuses its arguments.
    fn get(&self, name: &str, args: &[Value]) -> Option<CallResult>;

    /// Whether `name` is a method (and so may take arguments) rather than a field.
    fn is_method(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The list or map this object is underneath, if it is one: for `range`, `len`, `index` and function arguments.
    fn plain(&self) -> Option<Value> {
        None
    }

    /// The object as `{{ . }}` prints it; `None` prints [`Object::plain`].
    fn print(&self) -> Option<String> {
        None
    }

    /// The object for `toJson`; by default [`Object::plain`].
    fn json(&self) -> serde_json::Value {
        self.plain().map_or(serde_json::Value::Null, |v| v.to_json())
    }
}

impl Value {
    /// A string.
    #[must_use]
    pub fn str(s: impl AsRef<str>) -> Self {
        Self::Str(Arc::from(s.as_ref()))
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(items))
    }

    /// A list of strings.
    pub fn strings<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Self {
        Self::list(items.into_iter().map(Self::str).collect())
    }

    /// A map of strings: an absent key gives `""`.
    pub fn string_map<K: Into<String>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let entries = pairs.into_iter().map(|(k, v)| (k.into(), Self::str(v))).collect();
        Self::Map(Arc::new(Map { entries, zero: Self::str("") }))
    }

    /// A map of anything: an absent key gives nil.
    #[must_use]
    pub fn any_map(entries: BTreeMap<String, Self>) -> Self {
        Self::Map(Arc::new(Map { entries, zero: Self::Nil }))
    }

    /// A label set as the map that templates know.
    #[must_use]
    pub fn labels(labels: &LabelSet) -> Self {
        Self::string_map(labels)
    }

    /// An object.
    pub fn object(object: impl Object + 'static) -> Self {
        Self::Object(Arc::new(object))
    }

    /// Go's name of the type, for error texts and `%T`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(items) => {
                if !items.is_empty() && items.iter().all(|i| matches!(i, Self::Str(_))) {
                    "[]string"
                } else {
                    "[]interface {}"
                }
            }
            Self::Map(m) if matches!(m.zero, Self::Str(_)) => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Object(o) => o.type_name(),
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Safe(Safe::Html, _) => "template.HTML",
            Self::Safe(Safe::Url, _) => "template.URL",
        }
    }

    /// The list or map under an object; any other value as it is.
    #[must_use]
    pub fn plain(&self) -> Self {
        match self {
            Self::Object(o) => o.plain().unwrap_or_else(|| self.clone()),
            v => v.clone(),
        }
    }

    /// Go's truth: not zero, not empty, not nil.
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(i) | Self::Duration(i) => *i != 0,
            Self::Float(f) => *f != 0.0,
            Self::Str(s) | Self::Safe(_, s) => !s.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Map(m) => !m.entries.is_empty(),
            Self::Object(o) => o.plain().is_none_or(|v| v.truth()),
            Self::Time(_) => true,
        }
    }

    /// The text of a string, or `None` for any other type.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The value as JSON, as Go's `encoding/json` would write it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as J;
        match self {
            Self::Nil => J::Null,
            Self::Bool(b) => J::Bool(*b),
            Self::Int(i) | Self::Duration(i) => J::from(*i),
            Self::Float(f) if f.fract() == 0.0 && f.abs() < 1e15 => J::from(*f as i64),
            Self::Float(f) => serde_json::Number::from_f64(*f).map_or(J::Null, J::Number),
            Self::Str(s) | Self::Safe(_, s) => J::from(s.as_ref()),
            Self::List(l) => J::Array(l.iter().map(Self::to_json).collect()),
            Self::Map(m) => J::Object(m.entries.iter().map(|(k, v)| (k.clone(), v.to_json())).collect()),
            Self::Object(o) => o.json(),
            Self::Time(t) => J::from(crate::gotime::format(t, crate::gotime::RFC3339_NANO)),
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::str(s)
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::str(s)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Self::Int(i)
    }
}

impl From<f64> for Value {
    fn from(f: f64) -> Self {
        Self::Float(f)
    }
}
