//! Keys: which ones a flag names, and what each is: type, size, memory, value.

use std::collections::BTreeMap;

use model::float::parse_go_float;

use crate::address::percent_decode;
use crate::connect::{Batch, Connection, Fault};
use crate::resp::Value;
use crate::sheet::Sheet;

/// Longest value that becomes a label. A longer one is left out, only its size is told.
pub(crate) const MAX_VALUE_BYTES: usize = 4096;

/// Keys asked about at once.
const BATCH: usize = 500;

/// A key or a pattern of keys in a database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeySpec {
    /// The database.
    pub(crate) db: u32,
    /// The key's bytes, or the pattern's.
    pub(crate) key: Vec<u8>,
}

impl KeySpec {
    /// Whether it stands for any number of keys.
    pub(crate) fn is_pattern(&self) -> bool {
        self.key.iter().any(|b| b"?*[]^".contains(b))
    }

    /// Reads a list such as `db0=production_*,db3=sessions:*,single`; keys may be percent-encoded.
    ///
    /// # Errors
    /// When an item has two equals signs, a database that is no number, or a broken encoding.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',')
            .filter(|item| !item.is_empty())
            .filter_map(|item| Self::parse(item).transpose())
            .collect()
    }

    fn parse(item: &str) -> Result<Option<Self>, String> {
        let parts: Vec<&str> = item.split('=').map(str::trim).collect();
        let (db, key) = match *parts.as_slice() {
            [key] => ("0".to_owned(), key),
            [db, key] => (db.replace("db", ""), key),
            _ => return Err(format!("invalid key list argument: {item}")),
        };
        let key = percent_decode(&key.replace('+', " "))
            .ok_or_else(|| format!("couldn't parse db/key string: {item}"))?;
        if db.is_empty() || key.is_empty() {
            tracing::error!(item, "An item without database or key is passed over");
            return Ok(None);
        }
        let db = db.parse().map_err(|_| format!("invalid database index for db {db:?}"))?;
        Ok(Some(Self { db, key: key.into_bytes() }))
    }
}

/// What a key is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Key {
    /// Whether it is not there.
    pub(crate) absent: bool,
    /// Length or number of members; `None` where it is not there or of a module's type.
    pub(crate) size: Option<i64>,
    /// Bytes it takes.
    pub(crate) memory: Option<i64>,
    /// A string's value.
    pub(crate) value: Option<String>,
}

/// Keys, in an order that is always the same.
pub(crate) type Keys = BTreeMap<KeySpec, Key>;

/// Which command tells the size of a type's value.
fn size_command(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "string" => "STRLEN",
        "list" => "LLEN",
        "set" => "SCARD",
        "zset" => "ZCARD",
        "hash" => "HLEN",
        "stream" => "XLEN",
        // Since Redis 8.8.
        "array" => "ARCOUNT",
        _ => return None,
    })
}

/// Asks about keys of one database, a few hundred at once, and adds what is told to `into`.
pub(crate) async fn read(
    connection: &mut Connection,
    specs: &[KeySpec],
    select: bool,
    into: &mut Keys,
) -> Result<(), Fault> {
    for some in specs.chunk_by(|a, b| a.db == b.db).flat_map(|same| same.chunks(BATCH)) {
        if select && let Some(first) = some.first() {
            let reply = connection.ask(&["SELECT", &first.db.to_string()]).await?;
            if let Some(text) = reply.error() {
                tracing::warn!(db = first.db, err = text, "A database cannot be selected");
                continue;
            }
        }
        read_batch(connection, some, into).await?;
    }
    Ok(())
}

async fn read_batch(connection: &mut Connection, specs: &[KeySpec], into: &mut Keys) -> Result<(), Fault> {
    let mut batch = Batch::default();
    for spec in specs {
        batch.ask_bytes(&[b"TYPE", &spec.key]);
        batch.ask_bytes(&[b"MEMORY", b"USAGE", &spec.key]);
    }
    let mut replies = connection.run(&batch).await?.into_iter();
    let mut found: Vec<(Key, Option<String>)> = Vec::with_capacity(specs.len());
    for _ in specs {
        let kind = replies.next().and_then(Value::into_text);
        let memory = replies.next().and_then(|v| v.number());
        found.push((Key { absent: kind.as_deref() == Some("none"), memory, ..Key::default() }, kind));
    }
    let mut batch = Batch::default();
    for (spec, (_, kind)) in specs.iter().zip(&found) {
        let Some(command) = kind.as_deref().and_then(size_command) else { continue };
        batch.ask_bytes(&[command.as_bytes(), &spec.key]);
        if command == "STRLEN" {
            // As much as can become a label, not what may be half a gigabyte.
            let last = (MAX_VALUE_BYTES - 1).to_string();
            batch.ask_bytes(&[b"GETRANGE", &spec.key, b"0", last.as_bytes()]);
        }
    }
    let mut replies = connection.run(&batch).await?.into_iter();
    let mut sketches = Vec::new();
    for (place, (key, kind)) in found.iter_mut().enumerate() {
        let Some(command) = kind.as_deref().and_then(size_command) else { continue };
        key.size = replies.next().and_then(|v| v.number());
        if command == "STRLEN" {
            let bytes = match replies.next() {
                Some(Value::Text(bytes)) => bytes,
                _ => continue,
            };
            // How a HyperLogLog begins. To ask for its count only then spares an error for each string.
            if bytes.starts_with(b"HYLL") {
                sketches.push(place);
            } else if key.size.is_some_and(|n| n as usize <= MAX_VALUE_BYTES) {
                key.value = Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    let mut batch = Batch::default();
    for &place in &sketches {
        batch.ask_bytes(&[b"PFCOUNT", &specs[place].key]);
    }
    for (place, reply) in sketches.into_iter().zip(connection.run(&batch).await?) {
        let key = &mut found[place].0;
        match reply.number() {
            Some(count) => key.size = Some(count),
            // A string that only begins like one: its value is not told.
            None => key.value = None,
        }
    }
    into.extend(specs.iter().cloned().zip(found.into_iter().map(|(key, _)| key)));
    Ok(())
}

/// How keys are exposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposed {
    /// Whether values are.
    pub(crate) values: bool,
    /// Whether a key that is not there has size 0, as in 1.45.
    pub(crate) absent: bool,
}

/// Writes keys.
pub(crate) fn write<'k>(
    sheet: &mut Sheet,
    keys: impl Iterator<Item = (&'k KeySpec, &'k Key)>,
    exposed: Exposed,
) {
    for (spec, key) in keys {
        let (db, name) = (format!("db{}", spec.db), String::from_utf8_lossy(&spec.key));
        let labels = [("db", db.as_str()), ("key", &name)];
        if let Some(memory) = key.memory {
            let help = "The memory usage of \"key\" in bytes";
            sheet.gauge("key_memory_usage_bytes", help, &labels, memory as f64);
        }
        if let Some(size) = key.size.or((key.absent && exposed.absent).then_some(0)) {
            sheet.gauge("key_size", "The length or size of \"key\"", &labels, size as f64);
        }
        let Some(value) = key.value.as_deref().filter(|v| exposed.values && !v.is_empty()) else { continue };
        match parse_go_float(value) {
            Some(number) => sheet.gauge("key_value", "The value of \"key\"", &labels, number),
            None => {
                let labels = [labels[0], labels[1], ("val", value)];
                sheet.gauge("key_value_as_string", "The value of \"key\" as a string", &labels, 1.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    #[test]
    fn reads_lists_of_keys() {
        for (text, expect) in [
            ("", ""),
            ("a", "0 a"),
            ("db3=s:*, db0=b ,c", "3 s:*;0 b;0 c"),
            ("7=a%2Cb,x+y", "7 a,b;0 x y"),
            ("db2=,=a,,z", "0 z"),
            ("a=b=c", "invalid key list argument: a=b=c"),
            ("dbx=a", "invalid database index for db \"x\""),
            ("-1=a", "invalid database index for db \"-1\""),
            ("a%zz", "couldn't parse db/key string: a%zz"),
        ] {
            let found = match KeySpec::parse_list(text) {
                Ok(specs) => {
                    let all: Vec<String> = specs
                        .iter()
                        .map(|s| format!("{} {}", s.db, String::from_utf8_lossy(&s.key)))
                        .collect();
                    all.join(";")
                }
                Err(error) => error,
            };
            assert_eq!(found, expect, "{text:?}");
        }
    }

    #[test]
    fn values_are_numbers_or_labels() {
        let spec = |key: &str| KeySpec { db: 1, key: key.into() };
        let key = |size, value: Option<&str>| Key {
            absent: false,
            size,
            memory: Some(9),
            value: value.map(str::to_owned),
        };
        let keys: Keys = [
            (spec("a"), key(Some(3), Some("1e3"))),
            (spec("b"), key(Some(2), Some("hi"))),
            (spec("c"), Key { absent: true, ..Key::default() }),
            (spec("d"), Key::default()),
        ]
        .into();
        let check = |values, absent| {
            let mut sheet = Sheet::new("redis");
            write(&mut sheet, keys.iter(), Exposed { values, absent });
            lines(sheet)
        };
        assert_eq!(
            check(true, true),
            [
                "redis_key_memory_usage_bytes{db=\"db1\",key=\"a\"} 9",
                "redis_key_memory_usage_bytes{db=\"db1\",key=\"b\"} 9",
                "redis_key_size{db=\"db1\",key=\"a\"} 3",
                "redis_key_size{db=\"db1\",key=\"b\"} 2",
                "redis_key_size{db=\"db1\",key=\"c\"} 0",
                "redis_key_value{db=\"db1\",key=\"a\"} 1000",
                "redis_key_value_as_string{db=\"db1\",key=\"b\",val=\"hi\"} 1",
            ]
        );
        assert_eq!(check(false, false).len(), 4);
    }
}
