//! The text of `mountstats`.

/// Numbers of a line `bytes:`, `events:`, of an operation's, and of a transport's with what all kinds have.
const BYTES: usize = 8;
const EVENTS: usize = 27;
const OPERATION: usize = 8;
const TRANSPORT: usize = 13;

/// RDMA has at least these many, and more that are its own.
const RDMA: usize = 20;

pub(super) struct Mount<'t> {
    pub(super) device: &'t str,
    pub(super) point: &'t str,
    /// Of NFS only.
    pub(super) stats: Option<Stats<'t>>,
}

#[derive(Default)]
pub(super) struct Stats<'t> {
    pub(super) age: f64,
    pub(super) bytes: [u64; BYTES],
    pub(super) events: [u64; EVENTS],
    pub(super) transports: Vec<Transport<'t>>,
    pub(super) operations: Vec<(&'t str, [u64; OPERATION])>,
}

pub(super) struct Transport<'t> {
    pub(super) protocol: &'t str,
    /// Port, binds, connects, time of the last connect, idle time, sends, receives, bad ids, active requests, backlog, slots, sending
    /// and pending queue: as TCP has them.
    pub(super) numbers: [u64; TRANSPORT],
}

/// All mounts.
///
/// # Errors
/// The line that is not as the kernel writes it.
pub(super) fn mounts(text: &str) -> Result<Vec<Mount<'_>>, String> {
    let mut mounts = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() != Some(&"device") {
            continue;
        }
        let malformed = || format!("{line:?}");
        let [_, device, "mounted", "on", point, "with", "fstype", kind, more @ ..] = words.as_slice() else {
            return Err(malformed());
        };
        let mut stats = None;
        if let Some(version) = more.first() {
            if !matches!(*kind, "nfs" | "nfs4") {
                return Err(malformed());
            }
            stats = Some(nfs(&mut lines, version.trim_start_matches("statvers="))?);
        }
        mounts.push(Mount { device, point, stats });
    }
    Ok(mounts)
}

/// The lines below an NFS mount's: its own until `per-op statistics`, then one for each operation until an empty one.
fn nfs<'t>(lines: &mut std::str::Lines<'t>, version: &str) -> Result<Stats<'t>, String> {
    let mut stats = Stats::default();
    let mut by_operation = false;
    for line in lines {
        let malformed = || format!("{line:?}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((first, rest)) = words.split_first() else { break };
        if by_operation {
            let numbers = numbers(rest).filter(|n| n.len() >= OPERATION).ok_or_else(malformed)?;
            let (numbers, _) = numbers.split_first_chunk().ok_or_else(malformed)?;
            stats.operations.push((first.trim_end_matches(':'), *numbers));
            continue;
        }
        match *first {
            "age:" => stats.age = rest.first().and_then(|w| w.parse().ok()).ok_or_else(malformed)?,
            "bytes:" => stats.bytes = exactly(rest).ok_or_else(malformed)?,
            "events:" => stats.events = exactly(rest).ok_or_else(malformed)?,
            "xprt:" => stats.transports.push(transport(rest, version).ok_or_else(malformed)?),
            "per-op" => by_operation = true,
            _ => {}
        }
    }
    Ok(stats)
}

fn numbers(words: &[&str]) -> Option<Vec<u64>> {
    words.iter().map(|w| w.parse().ok()).collect()
}

fn exactly<const N: usize>(words: &[&str]) -> Option<[u64; N]> {
    numbers(words)?.try_into().ok()
}

fn transport<'t>(words: &[&'t str], version: &str) -> Option<Transport<'t>> {
    let (protocol, words) = words.split_first()?;
    let numbers = numbers(words)?;
    let fits = match (version, *protocol) {
        ("1.0", "tcp") => numbers.len() == 10,
        ("1.0", "udp") => numbers.len() == 7,
        ("1.1", "tcp") => numbers.len() == 13,
        ("1.1", "udp") => numbers.len() == 10,
        ("1.1", "rdma") => numbers.len() >= RDMA,
        _ => false,
    };
    if !fits {
        return None;
    }
    let mut all = [0; TRANSPORT];
    // UDP has no connections, and RDMA no slots and queues.
    let (head, gap, tail) = match *protocol {
        "udp" => (2, 3, numbers.len()),
        "rdma" => (10, 0, 10),
        _ => (numbers.len(), 0, numbers.len()),
    };
    all[..head].copy_from_slice(&numbers[..head]);
    all[head + gap..tail + gap].copy_from_slice(&numbers[head..tail]);
    Some(Transport { protocol, numbers: all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports_of_all_kinds() {
        let of = |text: &str, version: &str| {
            let words: Vec<&str> = text.split(' ').collect();
            transport(&words, version).map(|t| t.numbers)
        };
        assert_eq!(of("tcp 1 2 3 4 5 6 7 8 9 10", "1.0"), Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0]));
        assert_eq!(of("udp 1 2 3 4 5 6 7", "1.0"), Some([1, 2, 0, 0, 0, 3, 4, 5, 6, 7, 0, 0, 0]));
        assert_eq!(of("udp 1 2 3 4 5 6 7 8 9 10", "1.1"), Some([1, 2, 0, 0, 0, 3, 4, 5, 6, 7, 8, 9, 10]));
        let rdma = format!("rdma {}", (1..=28).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
        assert_eq!(of(&rdma, "1.1"), Some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0]));
        for (bad, version) in [
            ("tcp 1", "1.1"),
            ("tcp 1 2 3 4 5 6 7 8 9 10", "1.1"),
            ("sctp 1", "1.1"),
            ("rdma 1", "1.0"),
            ("tcp x", "1.0"),
        ] {
            assert_eq!(of(bad, version), None, "{bad}");
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_named() {
        for bad in [
            "device a mounted at b",
            "device a mounted on /b with fstype ext4 statvers=1.1",
            "device a mounted on /b with fstype nfs statvers=1.1\n bytes: 1 2",
            "device a mounted on /b with fstype nfs statvers=1.1\n age:",
            "device a mounted on /b with fstype nfs statvers=1.1\n per-op statistics\n NULL: 1 2",
            "device a mounted on /b with fstype nfs statvers=9\n xprt: tcp 1",
        ] {
            let expect = format!("{:?}", bad.lines().last().unwrap());
            assert_eq!(mounts(bad).err(), Some(expect));
        }
    }
}
