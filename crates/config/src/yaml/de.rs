//! `serde` over nodes: for types that derive `Deserialize`, with errors placed at the node that caused them.

use std::fmt;
use std::path::Path;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
};

use crate::diagnostic::{Diagnostic, Diagnostics};

use super::{Node, Place, Value, parse};

/// Reads a text into a type. An empty text and a null are an empty mapping.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn from_str<T: DeserializeOwned>(text: &str, file: &Path) -> Result<T, Diagnostics> {
    from_node(&parse(text, file)?, file, text)
}

/// Reads a node into a type; `file` and `text` serve the diagnostic.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn from_node<T: DeserializeOwned>(node: &Node, file: &Path, text: &str) -> Result<T, Diagnostics> {
    T::deserialize(NodeDe(node)).map_err(|e| {
        let place = e.place.unwrap_or(node.place);
        Diagnostic::at(file, text, place.line, place.column, e.message).into()
    })
}

/// An error, placed as soon as a node is known for it.
#[derive(Debug)]
struct DeError {
    message: String,
    place: Option<Place>,
}

impl DeError {
    fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), place: None }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("field {field} not found; expected one of: {}", expected.join(", ")))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format_args!("field {field} already set"))
    }
}

#[derive(Clone, Copy)]
struct NodeDe<'n>(&'n Node);

impl<'n> NodeDe<'n> {
    fn wrong<T>(self, expected: &str) -> Result<T, DeError> {
        let shown = match &self.0.value {
            Value::Scalar(s) => format!(" `{}`", s.text.chars().take(40).collect::<String>()),
            _ => String::new(),
        };
        Err(DeError {
            message: format!("cannot unmarshal {}{shown} into {expected}", self.0.tag()),
            place: Some(self.0.place),
        })
    }

    fn placed<T>(self, result: Result<T, DeError>) -> Result<T, DeError> {
        result.map_err(|e| e.at(self.0.place))
    }
}

macro_rules! int {
    ($($method:ident $visit:ident $ty:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
            match self.0.as_int().and_then(|i| <$ty>::try_from(i).ok()) {
                Some(i) => self.placed(visitor.$visit(i)),
                None => self.wrong(stringify!($ty)),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for NodeDe<'_> {
    type Error = DeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let result = match &self.0.value {
            Value::Seq(items) => visitor.visit_seq(Items(items.iter())),
            Value::Map(entries) => visitor.visit_map(Entries { iter: entries.iter(), value: None }),
            Value::Scalar(_) if self.0.is_null() => visitor.visit_unit(),
            Value::Scalar(s) => {
                if let Some(b) = self.0.as_bool() {
                    visitor.visit_bool(b)
                } else if let Some(i) = self.0.as_int() {
                    match (i64::try_from(i), u64::try_from(i)) {
                        (Ok(i), _) => visitor.visit_i64(i),
                        (_, Ok(u)) => visitor.visit_u64(u),
                        _ => visitor.visit_str(&s.text),
                    }
                } else if let Some(f) = self.0.as_float() {
                    visitor.visit_f64(f)
                } else {
                    visitor.visit_str(&s.text)
                }
            }
        };
        self.placed(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0.as_bool() {
            Some(b) => self.placed(visitor.visit_bool(b)),
            None => self.wrong("bool"),
        }
    }

    int!(deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
         deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
         deserialize_i128 visit_i128 i128);

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match self.0.as_float() {
            Some(f) => self.placed(visitor.visit_f64(f)),
            None => self.wrong("float64"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.0.value {
            _ if self.0.is_null() => self.placed(visitor.visit_str("")),
            Value::Scalar(s) => self.placed(visitor.visit_str(&s.text)),
            _ => self.wrong("string"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        let result = if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) };
        self.placed(result)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        self.placed(visitor.visit_unit())
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.placed(visitor.visit_unit())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::Seq(items) => self.placed(visitor.visit_seq(Items(items.iter()))),
            _ if self.0.is_null() => self.placed(visitor.visit_seq(Items([].iter()))),
            _ => self.wrong("a list"),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::Map(entries) => {
                for (i, (key, _)) in entries.iter().enumerate() {
                    if entries[..i].iter().any(|(k, _)| k.value == key.value) {
                        let name = key.as_str().unwrap_or("");
                        return Err(DeError {
                            message: format!("field {name} already set"),
                            place: Some(key.place),
                        });
                    }
                }
                self.placed(visitor.visit_map(Entries { iter: entries.iter(), value: None }))
            }
            _ if self.0.is_null() => self.placed(visitor.visit_map(Entries { iter: [].iter(), value: None })),
            _ => self.wrong("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        match &self.0.value {
            Value::Scalar(s) => self.placed(visitor.visit_enum(s.text.as_str().into_deserializer())),
            Value::Map(entries) if entries.len() == 1 => {
                let access =
                    de::value::MapAccessDeserializer::new(Entries { iter: entries.iter(), value: None });
                self.placed(visitor.visit_enum(access))
            }
            _ => self.wrong("one of several names"),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }
}

struct Items<'n>(std::slice::Iter<'n, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DeError;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DeError> {
        self.0.next().map(|n| NodeDe(n).placed(seed.deserialize(NodeDe(n)))).transpose()
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'n> {
    iter: std::slice::Iter<'n, (Node, Node)>,
    value: Option<&'n Node>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DeError> {
        // Go's reader leaves a field as it is when its value is null; here the default does that, unless the type wants the null.
        let Some((key, value)) = self.iter.next() else { return Ok(None) };
        self.value = Some(value);
        NodeDe(key).placed(seed.deserialize(NodeDe(key))).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let Some(node) = self.value.take() else {
            return Err(de::Error::custom("a value is asked for before its key"));
        };
        NodeDe(node).placed(seed.deserialize(NodeDe(node)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        name: String,
        #[serde(default)]
        flag: bool,
        #[serde(default)]
        list: Vec<String>,
        #[serde(default)]
        map: BTreeMap<String, String>,
        #[serde(default)]
        n: Option<u16>,
    }

    #[test]
    fn reads_derived_types_with_places() {
        let f = Path::new("x.yml");
        let got: Vec<Inner> =
            from_str("- name: 1.10\n  flag: yes\n  list:\n  map: {a: yes, b: }\n- name:\n  n: 0x10\n", f)
                .unwrap();
        assert_eq!(got[0].name, "1.10");
        assert!(got[0].flag && got[0].list.is_empty());
        assert_eq!(got[0].map["a"], "yes");
        assert_eq!(got[0].map["b"], "");
        assert_eq!((got[1].name.as_str(), got[1].n), ("", Some(16)));
        for (text, place, part) in [
            ("- name: a\n  nmae: b\n", (2, 3), "field nmae not found"),
            ("- name: a\n  n: x\n", (2, 6), "cannot unmarshal !!str `x` into u16"),
            ("- name: a\n  name: b\n", (2, 3), "field name already set"),
            ("- flag: no\n", (1, 3), "missing field `name`"),
        ] {
            let e = from_str::<Vec<Inner>>(text, f).unwrap_err();
            assert_eq!((e.0[0].line, e.0[0].column), place, "{e}");
            assert!(e.to_string().contains(part), "{e}");
        }
    }
}
