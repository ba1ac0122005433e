//! TCP connections by state, from the kernel over netlink (`sock_diag`).

use exporters::{Kind, Page};

use crate::collector::Collector;
use crate::fault::Fault;
use crate::flags::Flags;
use crate::netlink;
use crate::paths::Paths;

struct TcpStat;

pub(crate) fn make(_: &Flags) -> Result<Box<dyn Collector>, String> {
    Ok(Box::new(TcpStat))
}

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and the identity of a socket.
const REQUEST_BYTES: usize = 56;
const IPPROTO_TCP: u8 = 6;
const ALL_STATES: u32 = 0xfff;

/// By the kernel's number less 1.
const STATES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

#[derive(Default)]
struct Counts {
    states: [u64; STATES.len()],
    receiving: u64,
    sending: u64,
    any: bool,
}

impl Counts {
    /// Of `struct inet_diag_msg`: family, state, timer, retransmissions, identity (48), expiry, receive queue, send queue.
    fn add(&mut self, message: &[u8]) {
        let queue = |at| netlink::u32_at(message, at).map_or(0, u64::from);
        let state = message.get(1).map_or(0, |state| usize::from(*state));
        if let Some(count) = state.checked_sub(1).and_then(|place| self.states.get_mut(place)) {
            *count += 1;
        }
        self.receiving += queue(56);
        self.sending += queue(60);
        self.any = true;
    }
}

impl Collector for TcpStat {
    fn update(&mut self, paths: &Paths, page: &mut Page) -> Result<(), Fault> {
        let mut counts = Counts::default();
        gather(libc::AF_INET, &mut counts)?;
        if paths.proc("net/tcp6").exists() {
            gather(libc::AF_INET6, &mut counts)?;
        }
        let mut family =
            page.family("node_tcp_connection_states", "Number of connection states.", Kind::Gauge);
        for (state, count) in STATES.iter().zip(counts.states).filter(|(_, count)| *count > 0) {
            family.sample(&[("state", state)], count as f64);
        }
        if counts.any {
            family.sample(&[("state", "rx_queued_bytes")], counts.receiving as f64);
            family.sample(&[("state", "tx_queued_bytes")], counts.sending as f64);
        }
        Ok(())
    }
}

fn gather(family: i32, counts: &mut Counts) -> Result<(), Fault> {
    let mut request = [0; REQUEST_BYTES];
    request[0] = family as u8;
    request[1] = IPPROTO_TCP;
    request[4..8].copy_from_slice(&ALL_STATES.to_ne_bytes());
    let mut each = |kind, message: &[u8]| {
        if kind == BY_FAMILY {
            counts.add(message);
        }
    };
    netlink::dump(netlink::SOCK_DIAG, BY_FAMILY, &request, &mut each)
        .map_err(|e| Fault::Error(format!("TCP sockets over netlink: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_socket_is_counted() {
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut counts = Counts::default();
        gather(libc::AF_INET, &mut counts).unwrap();
        assert!(counts.states[9] >= 1, "{:?}", counts.states);
    }

    #[test]
    fn short_messages_count_as_far_as_they_go() {
        let mut counts = Counts::default();
        for message in [&[][..], &[2], &[2, 0], &[2, 99], &[2, 1]] {
            counts.add(message);
        }
        assert_eq!((counts.states[0], counts.receiving), (1, 0));
    }
}
