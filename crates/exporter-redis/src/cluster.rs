//! A cluster's nodes: who they are, and which one has a key.

use crate::address::Address;
use crate::keys::KeySpec;

/// Slots of a cluster.
const SLOTS: u16 = 16384;

/// Most nodes of a cluster that are looked at.
const MAX_NODES: usize = 2000;

/// A node as CLUSTER NODES tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its address; empty where it does not know it yet.
    pub(crate) ip: String,
    /// Its name, if it has one.
    pub(crate) hostname: Option<String>,
    /// Its port.
    pub(crate) port: u16,
    /// The slots it serves; a replica has none.
    slots: Vec<(u16, u16)>,
}

impl Node {
    /// `id ip:port@bus-port[,hostname] flags primary ping pong epoch link slot…`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let address = words.nth(1)?;
        let (endpoint, names) = address.split_once('@')?;
        let (ip, port) = endpoint.rsplit_once(':')?;
        let mut names = names.split(',').skip(1);
        let hostname = names.next().filter(|n| !n.is_empty() && !n.contains('=')).map(str::to_owned);
        let slots = words.skip(6).filter_map(slots).collect();
        Some(Self { ip: ip.to_owned(), hostname, port: port.parse().ok()?, slots })
    }

    /// `host:port`, the host by name if so wished.
    pub(crate) fn endpoint(&self, by_name: ByName) -> String {
        let host = match by_name {
            ByName::Yes => self.hostname.as_deref().unwrap_or(&self.ip),
            ByName::No => &self.ip,
        };
        format!("{host}:{}", self.port)
    }

    /// Whether it serves slots.
    pub(crate) fn is_serving(&self) -> bool {
        !self.slots.is_empty()
    }

    fn serves(&self, slot: u16) -> bool {
        self.slots.iter().any(|&(first, last)| (first..=last).contains(&slot))
    }

    /// Where it is, seen from another node.
    pub(crate) fn address(&self, from: &Address) -> Address {
        if self.ip.is_empty() { from.clone() } else { from.at(&self.ip, self.port) }
    }
}

/// Whether nodes are named by their host names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByName {
    /// Where they have one.
    Yes,
    /// By address.
    No,
}

/// `5461-10922` or `7`; slots on their way elsewhere (`[…]`) are still where they were.
fn slots(word: &str) -> Option<(u16, u16)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// The nodes of a reply to CLUSTER NODES.
pub(crate) fn parse(text: &str) -> Vec<Node> {
    text.lines().filter_map(Node::parse).take(MAX_NODES).collect()
}

/// Keys by the node that serves them; keys whose slot nobody serves are left out.
pub(crate) fn by_node<'n>(nodes: &'n [Node], specs: &[KeySpec]) -> Vec<(&'n Node, Vec<KeySpec>)> {
    let mut all: Vec<(&Node, Vec<KeySpec>)> = nodes.iter().map(|n| (n, Vec::new())).collect();
    for spec in specs {
        let slot = slot(&spec.key);
        if let Some((_, keys)) = all.iter_mut().find(|(node, _)| node.serves(slot)) {
            // A cluster has one database.
            keys.push(KeySpec { db: 0, key: spec.key.clone() });
        }
    }
    all.retain(|(_, keys)| !keys.is_empty());
    all
}

/// The slot of a key: of what is between its first braces, if that is something.
fn slot(key: &[u8]) -> u16 {
    let open = key.iter().position(|b| *b == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|b| *b == b'}').filter(|len| *len > 0).map(|len| &rest[..len])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| (crc << 1) ^ ((crc >> 15) * 0x1021))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "eaf6 127.0.0.1:7002@17002,db2.example master - 0 1742836359057 3 connected 10923-16383\n\
        67ed 127.0.0.1:7001@17001 master - 0 1742836358045 2 connected 5461-10922 [93-<-eaf6]\n\
        9f0a :7000@17000,,tls-port=0 myself,master - 0 0 1 connected 0-5459 5460\n\
        2922 fd00::4:7003@17003 slave 67ed 0 1742836358045 2 connected\n\
        bad\nbad bad bad\n";

    #[test]
    fn reads_nodes() {
        let nodes = parse(NODES);
        let endpoints: Vec<String> = nodes.iter().map(|n| n.endpoint(ByName::Yes)).collect();
        assert_eq!(endpoints, ["db2.example:7002", "127.0.0.1:7001", ":7000", "fd00::4:7003"]);
        assert_eq!(nodes[0].endpoint(ByName::No), "127.0.0.1:7002");
        assert_eq!(nodes.iter().map(Node::is_serving).collect::<Vec<_>>(), [true, true, true, false]);
        let from = Address::parse("redis://u:p@10.0.0.1:7000").unwrap();
        assert_eq!(nodes[2].address(&from), from);
        assert_eq!(nodes[1].address(&from).place.to_string(), "127.0.0.1:7001");
    }

    #[test]
    fn keys_go_to_who_serves_their_slot() {
        // What CLUSTER KEYSLOT answers.
        for (key, expect) in [("123456789", 12739), ("foo", 12182), ("{foo}.bar", 12182), ("a{}b", 13_694)] {
            assert_eq!(slot(key.as_bytes()), expect, "{key}");
        }
        let nodes = parse(NODES);
        let specs = KeySpec::parse_list("foo,{foo}.bar,bar").unwrap();
        let found: Vec<(u16, usize)> =
            by_node(&nodes, &specs).iter().map(|(n, keys)| (n.port, keys.len())).collect();
        assert_eq!(found, [(7002, 2), (7000, 1)]);
    }
}
