//! Streams: length, groups, consumers.

use std::collections::BTreeMap;

use crate::connect::{Batch, Connection, Fault};
use crate::keys::KeySpec;
use crate::resp::Value;
use crate::sheet::Sheet;

/// Streams asked about at once.
const BATCH: usize = 200;

/// Streams, in an order that is always the same.
pub(crate) type Streams = BTreeMap<KeySpec, Stream>;

/// What XINFO STREAM says, and of each group what XINFO GROUPS says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    fields: Fields,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, Default)]
struct Group {
    fields: Fields,
    consumers: Vec<Fields>,
}

/// Names and values of an XINFO reply; of an entry, its id.
#[derive(Debug, Clone, Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn of(reply: Value) -> Option<Self> {
        let mut fields = Vec::new();
        let mut values = reply.into_list()?.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            let value = match value {
                // An entry: its id, then its content, which is nobody's business.
                Value::List(entry) => entry.into_iter().next().and_then(Value::into_text),
                other => other.into_text(),
            };
            fields.extend(name.into_text().zip(value));
        }
        Some(Self(fields))
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// A number; 0 where there is none, as in the original.
    fn number(&self, name: &str) -> f64 {
        self.get(name).parse::<i64>().unwrap_or(0) as f64
    }

    /// The milliseconds of an id such as `1638006862521-0`.
    fn id(&self, name: &str) -> f64 {
        self.get(name).split('-').next().and_then(|ms| ms.parse().ok()).unwrap_or(0.0)
    }
}

/// Whether consumers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consumers {
    /// Each.
    Told,
    /// None.
    LeftOut,
}

/// Asks about streams of one or more databases and adds what is told to `into`.
pub(crate) async fn read(
    connection: &mut Connection,
    specs: &[KeySpec],
    select: bool,
    consumers: Consumers,
    into: &mut Streams,
) -> Result<(), Fault> {
    for some in specs.chunk_by(|a, b| a.db == b.db).flat_map(|same| same.chunks(BATCH)) {
        if select && let Some(first) = some.first() {
            let reply = connection.ask(&["SELECT", &first.db.to_string()]).await?;
            if reply.error().is_some() {
                continue;
            }
        }
        read_batch(connection, some, consumers, into).await?;
    }
    Ok(())
}

async fn read_batch(
    connection: &mut Connection,
    specs: &[KeySpec],
    consumers: Consumers,
    into: &mut Streams,
) -> Result<(), Fault> {
    let mut batch = Batch::default();
    for spec in specs {
        batch.ask_bytes(&[b"XINFO", b"STREAM", &spec.key]);
        batch.ask_bytes(&[b"XINFO", b"GROUPS", &spec.key]);
    }
    let mut replies = connection.run(&batch).await?.into_iter();
    let mut streams: Vec<(&KeySpec, Stream)> = Vec::new();
    for spec in specs {
        let (stream, groups) = (replies.next().unwrap_or(Value::Nil), replies.next().unwrap_or(Value::Nil));
        if let Some(text) = stream.error().or_else(|| groups.error()) {
            tracing::debug!(key = %String::from_utf8_lossy(&spec.key), err = text, "A stream cannot be read");
            continue;
        }
        let Some(fields) = Fields::of(stream) else { continue };
        let groups = groups.into_list().unwrap_or_default().into_iter().filter_map(Fields::of);
        let groups = groups.map(|fields| Group { fields, consumers: Vec::new() }).collect();
        streams.push((spec, Stream { fields, groups }));
    }
    if consumers == Consumers::Told {
        let mut batch = Batch::default();
        for (spec, stream) in &streams {
            for group in &stream.groups {
                let name = group.fields.get("name").as_bytes();
                batch.ask_bytes(&[b"XINFO", b"CONSUMERS", &spec.key, name]);
            }
        }
        let mut replies = connection.run(&batch).await?.into_iter();
        for group in streams.iter_mut().flat_map(|(_, s)| &mut s.groups) {
            let list = replies.next().and_then(Value::into_list).unwrap_or_default();
            group.consumers = list.into_iter().filter_map(Fields::of).collect();
        }
    }
    into.extend(streams.into_iter().map(|(spec, stream)| (spec.clone(), stream)));
    Ok(())
}

/// Writes streams.
pub(crate) fn write<'s>(sheet: &mut Sheet, streams: impl Iterator<Item = (&'s KeySpec, &'s Stream)>) {
    for (spec, stream) in streams {
        let (db, name) = (format!("db{}", spec.db), String::from_utf8_lossy(&spec.key));
        let labels = [("db", db.as_str()), ("stream", &name)];
        write_stream(sheet, stream, &labels);
        for group in &stream.groups {
            write_group(sheet, group, &[labels[0], labels[1], ("group", group.fields.get("name"))]);
        }
    }
}

fn write_stream(sheet: &mut Sheet, stream: &Stream, labels: &[(&str, &str)]) {
    let s = &stream.fields;
    let mut gauge = |name: &str, help: &str, value| sheet.gauge(name, help, labels, value);
    gauge("stream_length", "The number of elements of the stream", s.number("length"));
    gauge("stream_radix_tree_keys", "Radix tree keys count\"", s.number("radix-tree-keys"));
    gauge("stream_radix_tree_nodes", "Radix tree nodes count", s.number("radix-tree-nodes"));
    let help = "The epoch timestamp (ms) of the latest message on the stream";
    gauge("stream_last_generated_id", help, s.id("last-generated-id"));
    gauge("stream_groups", "Groups count of stream", s.number("groups"));
    let help = "The epoch timestamp (ms) of last message was deleted from the stream";
    gauge("stream_max_deleted_entry_id", help, s.id("max-deleted-entry-id"));
    let help = "The epoch timestamp (ms) of the first message in the stream";
    gauge("stream_first_entry_id", help, s.id("first-entry"));
    let help = "The epoch timestamp (ms) of the last message in the stream";
    gauge("stream_last_entry_id", help, s.id("last-entry"));
    let help = "The count of all entries added to the stream during its lifetime";
    sheet.counter("stream_entries_added_total", help, labels, s.number("entries-added"));
}

fn write_group(sheet: &mut Sheet, group: &Group, labels: &[(&str, &str); 3]) {
    let g = &group.fields;
    let mut gauge = |name: &str, help: &str, value| sheet.gauge(name, help, labels, value);
    gauge("stream_group_consumers", "Consumers count of stream group", g.number("consumers"));
    let help = "Pending number of messages in that stream group";
    gauge("stream_group_messages_pending", help, g.number("pending"));
    let help = "The epoch timestamp (ms) of the last delivered message";
    gauge("stream_group_last_delivered_id", help, g.id("last-delivered-id"));
    let help = "Total number of entries read from the stream group";
    gauge("stream_group_entries_read", help, g.number("entries-read"));
    let help = "The number of messages waiting to be delivered to the stream group's consumers";
    gauge("stream_group_lag", help, g.number("lag"));
    for consumer in &group.consumers {
        let labels = [labels[0], labels[1], labels[2], ("consumer", consumer.get("name"))];
        let help = "Pending number of messages for this specific consumer";
        sheet.gauge("stream_group_consumer_messages_pending", help, &labels, consumer.number("pending"));
        let idle = consumer.number("idle") / 1e3;
        sheet.gauge("stream_group_consumer_idle_seconds", "Consumer idle time in seconds", &labels, idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    fn list(values: impl IntoIterator<Item = Value>) -> Value {
        Value::List(values.into_iter().collect())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn a_stream_with_a_group() {
        let entry = list([text("1638006862521-0"), list([text("secret")])]);
        let fields = list([
            text("length"),
            Value::Number(2),
            text("first-entry"),
            entry,
            text("last-entry"),
            Value::Nil,
        ]);
        let group =
            list([text("name"), text("g"), text("lag"), Value::Nil, text("last-delivered-id"), text("7-1")]);
        let consumer = list([
            text("name"),
            text("c"),
            text("pending"),
            Value::Number(1),
            text("idle"),
            Value::Number(1500),
        ]);
        let stream = Stream {
            fields: Fields::of(fields).unwrap(),
            groups: vec![Group {
                fields: Fields::of(group).unwrap(),
                consumers: vec![Fields::of(consumer).unwrap()],
            }],
        };
        let mut sheet = Sheet::new("redis");
        let streams: Streams = [(KeySpec { db: 0, key: b"s".to_vec() }, stream)].into();
        write(&mut sheet, streams.iter());
        let found = lines(sheet);
        for expect in [
            "redis_stream_length{db=\"db0\",stream=\"s\"} 2",
            "redis_stream_first_entry_id{db=\"db0\",stream=\"s\"} 1.638006862521e+12",
            "redis_stream_last_entry_id{db=\"db0\",stream=\"s\"} 0",
            "redis_stream_group_lag{db=\"db0\",group=\"g\",stream=\"s\"} 0",
            "redis_stream_group_last_delivered_id{db=\"db0\",group=\"g\",stream=\"s\"} 7",
            "redis_stream_group_consumer_idle_seconds{consumer=\"c\",db=\"db0\",group=\"g\",stream=\"s\"} 1.5",
        ] {
            assert!(found.contains(&expect.to_owned()), "{expect} in {found:#?}");
        }
        assert_eq!(found.len(), 9 + 5 + 2);
    }
}
