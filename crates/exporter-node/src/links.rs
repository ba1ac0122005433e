//! Network devices by number, and what else messages of the routing subsystem have in common.

use std::collections::HashMap;
use std::io;

use crate::netlink::{self, attributes, u32_at};

const RTM_GETLINK: u16 = 18;
const LINK_HEADER_BYTES: usize = 16;
const IFLA_IFNAME: u16 = 3;

/// Names of all devices by index.
pub(crate) fn names() -> io::Result<HashMap<u32, String>> {
    let mut names = HashMap::new();
    netlink::dump(netlink::ROUTE, RTM_GETLINK, &[0; LINK_HEADER_BYTES], &mut |_, message| {
        let Some(rest) = message.get(LINK_HEADER_BYTES..) else { return };
        if let (Some(index), Some(name)) = (u32_at(message, 4), find(rest, IFLA_IFNAME)) {
            names.insert(index, string(name));
        }
    })?;
    Ok(names)
}

/// The first attribute of a type.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

/// A string that ends with a zero byte or where the attribute does.
pub(crate) fn string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// For tests: an attribute as the kernel sends it.
#[cfg(test)]
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_nest() {
        let bytes =
            [attribute(1, b"ab\0"), attribute(2 | 0x8000, &attribute(3, &7_u32.to_ne_bytes()))].concat();
        assert_eq!(find(&bytes, 1).map(string), Some("ab".to_owned()));
        let inner = find(&bytes, 2).and_then(|nested| find(nested, 3));
        assert_eq!(inner.and_then(|n| u32_at(n, 0)), Some(7));
        assert_eq!(find(&bytes, 9), None);
    }

    #[test]
    fn the_kernel_answers() {
        let names = names().unwrap();
        assert!(names.values().any(|name| name == "lo"), "{names:?}");
    }
}
