//! Asking the kernel over netlink: dumps, and the attributes their messages are made of.
//!
//! Numbers are in the machine's byte order. The kernel is trusted to mean well, not to be free of surprises: lengths are checked, a dump
//! has a limit in bytes and in time.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    self, AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt,
};

/// The most that is taken of one dump: some hundred thousand routes.
const MAX_DUMP_BYTES: usize = 64 << 20;

/// The kernel sends no more than this at once.
const BUFFER_BYTES: usize = 64 << 10;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

const HEADER_BYTES: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;

/// A socket.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// To the part of the kernel that knows links, addresses, routes and queueing disciplines.
    pub(crate) fn route() -> io::Result<Self> {
        // Its protocol number is 0, which is none.
        Self::connect(None)
    }

    /// To what has no protocol number of its own.
    pub(crate) fn generic() -> io::Result<Self> {
        Self::connect(Some(netlink::GENERIC))
    }

    fn connect(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket =
            net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(TIMEOUT))?;
        net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Asks for all objects of a kind. `each` gets every message's type and what comes after its header.
    pub(crate) fn dump(&mut self, kind: u16, body: &[u8], each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.ask(kind, NLM_F_REQUEST | NLM_F_DUMP, body, each)
    }

    /// Asks for one object.
    pub(crate) fn get(&mut self, kind: u16, body: &[u8], each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.ask(kind, NLM_F_REQUEST, body, each)
    }

    fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        mut each: impl FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = Vec::with_capacity(HEADER_BYTES + body.len());
        request.extend(((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend(flags.to_ne_bytes());
        request.extend(self.sequence.to_ne_bytes());
        request.extend(0_u32.to_ne_bytes());
        request.extend(body);
        net::sendto(&self.socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;

        let is_dump = flags & NLM_F_DUMP != 0;
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut taken = 0;
        loop {
            let (_, len) = net::recv(&self.socket, &mut buffer[..], RecvFlags::TRUNC)?;
            if len > buffer.len() {
                return Err(io::Error::other(format!("netlink: a message of {len} bytes")));
            }
            taken += len;
            if len == 0 || taken > MAX_DUMP_BYTES {
                return Err(io::Error::other(format!("netlink: an answer of {taken} bytes")));
            }
            match messages(&buffer[..len], self.sequence, &mut each)? {
                State::Done => return Ok(()),
                State::More(found) if found && !is_dump => return Ok(()),
                State::More(_) => {}
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Done,
    /// Whether there was a message of ours.
    More(bool),
}

/// Hands out the messages of a datagram that answer our request.
fn messages(mut bytes: &[u8], sequence: u32, each: &mut impl FnMut(u16, &[u8])) -> io::Result<State> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "netlink: a message longer than what came");
    let mut found = false;
    while !bytes.is_empty() {
        let len = u32_at(bytes, 0).ok_or_else(malformed)? as usize;
        let message = bytes.get(HEADER_BYTES..len).ok_or_else(malformed)?;
        let kind = u16_at(bytes, 4).ok_or_else(malformed)?;
        if u32_at(bytes, 8) == Some(sequence) {
            found = true;
            match kind {
                NLMSG_DONE => return Ok(State::Done),
                NLMSG_ERROR => {
                    return match u32_at(message, 0).map_or(0, |code| code as i32) {
                        0 => Ok(State::Done),
                        code => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
                    };
                }
                _ => each(kind, message),
            }
        }
        bytes = bytes.get(aligned(len)..).unwrap_or_default();
    }
    Ok(State::More(found))
}

fn aligned(len: usize) -> usize {
    len.div_ceil(4) * 4
}

/// The attributes of a message, type and content; they end where a length makes no sense.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'b>(pub(crate) &'b [u8]);

impl<'b> Iterator for Attributes<'b> {
    type Item = (u16, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let len = usize::from(u16_at(self.0, 0)?);
        // The two highest bits say that it nests, and whose byte order it has.
        let kind = u16_at(self.0, 2)? & 0x3fff;
        let content = self.0.get(4..len)?;
        self.0 = self.0.get(aligned(len)..).unwrap_or_default();
        Some((kind, content))
    }
}

impl<'b> Attributes<'b> {
    /// The content of the first of a type.
    pub(crate) fn get(mut self, kind: u16) -> Option<&'b [u8]> {
        self.find(|(k, _)| *k == kind).map(|(_, content)| content)
    }
}

/// An attribute to send.
pub(crate) fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(aligned(4 + content.len()));
    bytes.extend(((4 + content.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(content);
    bytes.resize(aligned(bytes.len()), 0);
    bytes
}

/// A number at an offset.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A number at an offset.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A number at an offset.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A string that ends with a zero byte or where the content does.
pub(crate) fn string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Names of all links by index.
pub(crate) fn link_names(netlink: &mut Netlink) -> io::Result<std::collections::HashMap<u32, String>> {
    const RTM_GETLINK: u16 = 18;
    const INFO_BYTES: usize = 16;
    const IFLA_IFNAME: u16 = 3;
    let mut names = std::collections::HashMap::new();
    netlink.dump(RTM_GETLINK, &[0; INFO_BYTES], |_, message| {
        let Some(attributes) = message.get(INFO_BYTES..) else { return };
        if let (Some(index), Some(name)) = (u32_at(message, 4), Attributes(attributes).get(IFLA_IFNAME)) {
            names.insert(index, string(name));
        }
    })?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    #[test]
    fn messages_of_ours_until_the_last() {
        let bytes = [message(16, 7, &[1, 2, 3]), message(16, 6, &[9]), message(16, 7, &[4])].concat();
        let mut found = Vec::new();
        let state = messages(&bytes, 7, &mut |kind, body| found.push((kind, body.to_vec())));
        assert_eq!(state.unwrap(), State::More(true));
        assert_eq!(found, [(16, vec![1, 2, 3]), (16, vec![4])]);
        let done = messages(&message(NLMSG_DONE, 7, &[0; 4]), 7, &mut |_, _| ());
        assert_eq!(done.unwrap(), State::Done);
        let refused = messages(&message(NLMSG_ERROR, 7, &(-1_i32).to_ne_bytes()), 7, &mut |_, _| ());
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn attributes_nest_and_end() {
        let bytes =
            [attribute(1, b"ab\0"), attribute(2 | 0x8000, &attribute(3, &7_u32.to_ne_bytes()))].concat();
        let list: Vec<_> = Attributes(&bytes).map(|(kind, content)| (kind, content.len())).collect();
        assert_eq!(list, [(1, 3), (2, 8)]);
        assert_eq!(Attributes(&bytes).get(1).map(string), Some("ab".to_owned()));
        let inner = Attributes(&bytes).get(2).and_then(|nested| Attributes(nested).get(3));
        assert_eq!(inner.and_then(|n| u32_at(n, 0)), Some(7));
        assert_eq!(Attributes(&bytes).get(9), None);
    }

    /// Whatever comes: an end, and no panic.
    #[test]
    fn garbage_is_survived() {
        let mut state = 1_u64;
        for len in 0..2000 {
            let bytes: Vec<u8> = (0..len % 97)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Small numbers make lengths that fit.
                    (state >> 60) as u8
                })
                .collect();
            let _ = messages(&bytes, 0, &mut |_, body| assert!(Attributes(body).count() <= body.len()));
            assert!(Attributes(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn the_kernel_answers() {
        let names = link_names(&mut Netlink::route().unwrap()).unwrap();
        assert!(names.values().any(|name| name == "lo"), "{names:?}");
        let refused = Netlink::route().unwrap().dump(0xfff, &[], |_, _| ());
        assert!(refused.is_err());
    }
}
