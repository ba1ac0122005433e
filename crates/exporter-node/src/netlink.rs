//! Dumps over netlink sockets.

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

/// `NLM_F_REQUEST | NLM_F_DUMP`
const REQUEST_DUMP: u16 = 0x001 | 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// The header of a message: length, type, flags, sequence, port.
const HEADER_BYTES: usize = 16;
/// Messages come in datagrams of at most 32 KiB.
const BUFFER_BYTES: usize = 32 << 10;
/// Datagrams at most in one dump; a host with a million connections has fewer.
const MAX_DATAGRAMS: usize = 1 << 16;
/// The sequence number of the one request of a socket.
const SEQUENCE: u32 = 1;

/// The routing subsystem, whose number is 0.
pub(crate) const ROUTE: Option<Protocol> = None;

/// The subsystem that tells of sockets.
pub(crate) const SOCK_DIAG: Option<Protocol> = Some(rustix::net::netlink::SOCK_DIAG);

/// Asks for a dump and gives each message's type and payload to `each`.
pub(crate) fn dump(
    protocol: Option<Protocol>,
    kind: u16,
    payload: &[u8],
    each: &mut dyn FnMut(u16, &[u8]),
) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
    // The kernel's answers come at once; this is for a kernel that does not answer.
    let timeout = std::time::Duration::from_secs(2);
    rustix::net::sockopt::set_socket_timeout(&socket, rustix::net::sockopt::Timeout::Recv, Some(timeout))?;
    let length = u32::try_from(HEADER_BYTES + payload.len()).map_err(io::Error::other)?;
    let mut request = Vec::with_capacity(HEADER_BYTES + payload.len());
    request.extend_from_slice(&length.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
    request.extend_from_slice(&SEQUENCE.to_ne_bytes());
    request.extend_from_slice(&0_u32.to_ne_bytes());
    request.extend_from_slice(payload);
    rustix::net::sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    for _ in 0..MAX_DATAGRAMS {
        let (taken, length) = rustix::net::recv(&socket, buffer.as_mut_slice(), RecvFlags::TRUNC)?;
        if length > taken {
            return Err(io::Error::other(format!("a netlink message of {length} bytes was cut off")));
        }
        if datagram(&buffer[..taken], each)? {
            return Ok(());
        }
    }
    Err(io::Error::other("a netlink dump without an end"))
}

/// The messages of a datagram. True where the dump is at its end.
fn datagram(mut bytes: &[u8], each: &mut dyn FnMut(u16, &[u8])) -> io::Result<bool> {
    while bytes.len() >= HEADER_BYTES {
        let length = u32_at(bytes, 0).unwrap_or(0) as usize;
        let Some(payload) = bytes.get(HEADER_BYTES..length) else {
            return Err(io::Error::other(format!("a netlink message of {length} bytes in {}", bytes.len())));
        };
        match u16_at(bytes, 4).unwrap_or(0) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = u32_at(payload, 0).unwrap_or(0).cast_signed();
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            kind => each(kind, payload),
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    Ok(false)
}

/// The attributes after a message's fixed part: type and value.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Without the bits that say an attribute is nested or in network byte order.
const NLA_TYPE_MASK: u16 = 0x3fff;

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    type Messages = Vec<(u16, Vec<u8>)>;

    fn messages(bytes: &[u8]) -> io::Result<(bool, Messages)> {
        let mut got = Vec::new();
        let end = datagram(bytes, &mut |kind, payload| got.push((kind, payload.to_vec())))?;
        Ok((end, got))
    }

    #[test]
    fn messages_follow_each_other() {
        let mut bytes = message(16, b"abcde");
        bytes.extend(message(17, b""));
        let got = vec![(16, b"abcde".to_vec()), (17, Vec::new())];
        assert_eq!(messages(&bytes).unwrap(), (false, got.clone()));
        bytes.extend(message(NLMSG_DONE, &[0; 4]));
        bytes.extend(message(18, b"after"));
        assert_eq!(messages(&bytes).unwrap(), (true, got));
        let error = messages(&message(NLMSG_ERROR, &(-13_i32).to_ne_bytes())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn garbage_ends() {
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut bytes = vec![0; 64];
            for byte in &mut bytes {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Small numbers, so that lengths fit now and then.
                *byte = if seed >> 63 == 0 { 0 } else { (seed >> 40) as u8 & 0x1f };
            }
            drop(messages(&bytes));
            assert!(attributes(&bytes).count() <= 16);
        }
    }
}
