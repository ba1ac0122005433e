//! CLIENT LIST. The original of today and that of Debian 12 (1.45) expose it under different families; see
//! [`Options::legacy_families`](crate::Options::legacy_families).

use std::collections::HashSet;

use crate::sheet::Sheet;

/// Most clients that are told.
pub(crate) const MAX_CLIENTS: usize = 20_000;

/// What of the clients is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Whether a client's port is.
    pub(crate) port: bool,
    /// Whether the family of 1.45 is.
    pub(crate) legacy: bool,
    /// Seconds since the Unix epoch.
    pub(crate) now_s: i64,
}

/// Numbers by client: key in the list, family.
const NUMBERS: [(&str, &str); 10] = [
    ("omem", "connected_client_output_buffer_memory_usage_bytes"),
    ("tot-mem", "connected_client_total_memory_consumed_bytes"),
    ("age", "connected_client_created_at_timestamp"),
    ("idle", "connected_client_idle_since_timestamp"),
    ("sub", "connected_client_channel_subscriptions_count"),
    ("psub", "connected_client_pattern_matching_subscriptions_count"),
    ("qbuf", "connected_client_query_buffer_length_bytes"),
    ("qbuf-free", "connected_client_query_buffer_free_space_bytes"),
    ("obl", "connected_client_output_buffer_length_bytes"),
    ("oll", "connected_client_output_list_length"),
];

/// The same, but not told by every server.
const LATER_NUMBERS: [(&str, &str); 2] = [
    ("ssub", "connected_client_shard_channel_subscriptions_count"),
    ("watch", "connected_client_shard_channel_watched_keys"),
];

/// Writes the clients of a list.
pub(crate) fn write(sheet: &mut Sheet, list: &str, wanted: Wanted) {
    let mut seen = HashSet::new();
    let clients = list.lines().filter_map(Client::parse).take(MAX_CLIENTS);
    let mut counted = 0;
    for client in clients {
        counted += 1;
        client.write(sheet, wanted);
        if wanted.legacy {
            let labels = client.legacy_labels(wanted);
            if seen.insert(format!("{labels:?}")) {
                let labels: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
                sheet.gauge("connected_clients_details", "Details about connected clients", &labels, 1.0);
            }
        }
    }
    if counted == MAX_CLIENTS {
        tracing::warn!(clients = MAX_CLIENTS, "More clients are connected than are exposed");
    }
}

/// A line: `id=11 addr=127.0.0.1:63508 name= age=6321 idle=6320 flags=N db=0 … cmd=setex user=default resp=2`.
struct Client<'l> {
    fields: Vec<(&'l str, &'l str)>,
    host: &'l str,
    port: &'l str,
}

impl<'l> Client<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let fields: Vec<_> = line.trim_end().split(' ').map(|f| f.split_once('=')).collect::<Option<_>>()?;
        let get = |name: &str| fields.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let (host, port) = get("addr")?.rsplit_once(':')?;
        let numbers = ["id", "age", "idle"];
        let complete = numbers.iter().all(|name| get(name).is_some_and(|v| v.parse::<i64>().is_ok()));
        complete.then_some(Self { fields, host, port })
    }

    fn get(&self, name: &str) -> &'l str {
        self.fields.iter().find(|(n, _)| *n == name).map_or("", |(_, v)| v)
    }

    fn number(&self, name: &str, now_s: i64) -> f64 {
        let number = self.get(name).parse::<i64>().unwrap_or(0);
        let since = matches!(name, "age" | "idle");
        (if since { now_s.saturating_sub(number) } else { number }) as f64
    }

    fn write(&self, sheet: &mut Sheet, wanted: Wanted) {
        let mut labels = vec![
            ("id", self.get("id")),
            ("name", self.get("name")),
            ("flags", self.get("flags")),
            ("db", self.get("db")),
            ("host", self.host),
        ];
        if wanted.port {
            labels.push(("port", self.port));
        }
        let later = ["user", "resp"].map(|name| (name, self.get(name)));
        labels.extend(later.into_iter().filter(|(_, value)| !value.is_empty()));
        sheet.gauge("connected_client_info", "connected_client_info metric", &labels, 1.0);
        let given = |key: &str| self.fields.iter().any(|(n, _)| *n == key);
        let numbers = NUMBERS.iter().chain(LATER_NUMBERS.iter().filter(|(key, _)| given(key)));
        for (key, name) in numbers {
            let value = self.number(key, wanted.now_s);
            sheet.gauge(name, &format!("{name} metric"), &labels[..2], value);
        }
    }

    fn legacy_labels(&self, wanted: Wanted) -> Vec<(&'static str, String)> {
        let text = |name| self.get(name).to_owned();
        let mut labels = vec![
            ("name", text("name")),
            ("created_at", self.number("age", wanted.now_s).to_string()),
            ("idle_since", self.number("idle", wanted.now_s).to_string()),
            ("flags", text("flags")),
            ("db", text("db")),
            ("omem", text("omem")),
            ("cmd", text("cmd")),
            ("host", self.host.to_owned()),
        ];
        if wanted.port {
            labels.push(("port", self.port.to_owned()));
        }
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::tests::lines;

    const NOW: Wanted = Wanted { port: true, legacy: true, now_s: 1000 };

    fn check(list: &str, wanted: Wanted) -> Vec<String> {
        let mut sheet = Sheet::new("redis");
        write(&mut sheet, list, wanted);
        lines(sheet)
    }

    #[test]
    fn a_client_under_both_names() {
        let line = "id=3 addr=fd40::1:44426 fd=19 name=w age=10 idle=4 flags=N db=2 sub=1 qbuf=26 omem=0 tot-mem=61466 \
                    watch=5 cmd=client|list user=default resp=3";
        let found = check(line, NOW);
        for expect in [
            "redis_connected_client_info{db=\"2\",flags=\"N\",host=\"fd40::1\",id=\"3\",name=\"w\",port=\"44426\",resp=\"3\",user=\"default\"} 1",
            "redis_connected_client_created_at_timestamp{id=\"3\",name=\"w\"} 990",
            "redis_connected_client_total_memory_consumed_bytes{id=\"3\",name=\"w\"} 61466",
            "redis_connected_client_shard_channel_watched_keys{id=\"3\",name=\"w\"} 5",
            "redis_connected_clients_details{cmd=\"client|list\",created_at=\"990\",db=\"2\",flags=\"N\",host=\"fd40::1\",idle_since=\"996\",name=\"w\",omem=\"0\",port=\"44426\"} 1",
        ] {
            assert!(found.contains(&expect.to_owned()), "{expect} in {found:#?}");
        }
        assert_eq!(found.len(), 13);
    }

    #[test]
    fn equal_labels_are_told_once_and_bad_lines_not_at_all() {
        let line = "addr=h:1 name= age=1 idle=1 flags=N db=0 omem=0 cmd=get";
        let list = format!("id=1 {line}\nid=2 {line}\nid=3 addr=h age=1 idle=1\nid=4\n\nrubbish");
        let found = check(&list, Wanted { port: false, ..NOW });
        let count = |name: &str| found.iter().filter(|l| l.starts_with(name)).count();
        assert_eq!((count("redis_connected_clients_details"), count("redis_connected_client_info")), (1, 2));
        assert_eq!(check(&list, Wanted { legacy: false, ..NOW }).len(), 22);
    }
}
