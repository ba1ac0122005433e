//! A client of a message bus (D-Bus), as far as reading systemd's properties takes: method calls with strings, over a Unix socket.
//!
//! Written here because the crates there are bring an executor and code generation for three calls.

mod message;

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub(crate) use message::{Call, Reader, Value};

use message::Reply;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Calls sent before their answers are read. More could fill both directions' buffers, and each side would wait for the other.
const CALLS_AT_ONCE: usize = 32;
/// Messages at most that are none of ours (signals) before an answer.
const MAX_OTHERS: usize = 10_000;
/// Longest line while logging in.
const MAX_LINE_BYTES: u64 = 4096;

/// A connection to a bus, or to a service itself.
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
    serial: u32,
}

/// Whom a socket belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A bus, where one has to introduce oneself.
    Bus,
    /// A service.
    Service,
}

impl Connection {
    /// Connects and logs in as this process's user.
    pub(crate) fn open(path: &Path, peer: Peer) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut connection = Self { stream: BufReader::new(stream), serial: 0 };
        connection.log_in()?;
        if peer == Peer::Bus {
            let hello = Call {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                member: "Hello",
                arguments: &[],
            };
            connection.call(&hello)?;
        }
        Ok(connection)
    }

    /// The user's number, in digits, in hexadecimal; the kernel vouches for it.
    fn log_in(&mut self) -> io::Result<()> {
        let user = std::fs::metadata("/proc/self").map_or(0, |m| m.uid()).to_string();
        let hexadecimal: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.send(format!("\0AUTH EXTERNAL {hexadecimal}\r\n").as_bytes())?;
        let mut line = String::new();
        (&mut self.stream).take(MAX_LINE_BYTES).read_line(&mut line)?;
        if !line.starts_with("OK ") {
            let line = line.trim_end();
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("login refused: {line:?}")));
        }
        self.send(b"BEGIN\r\n")
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// One call's answer.
    pub(crate) fn call(&mut self, call: &Call<'_>) -> io::Result<Reply> {
        let mut answers = self.calls(std::slice::from_ref(call))?;
        answers.pop().unwrap_or_else(|| Err(io::Error::other("no answer")))
    }

    /// Many calls' answers, in their order. What the service refuses is that call's error; what is wrong with the connection is all.
    pub(crate) fn calls(&mut self, calls: &[Call<'_>]) -> io::Result<Vec<io::Result<Reply>>> {
        let mut answers = Vec::with_capacity(calls.len());
        for calls in calls.chunks(CALLS_AT_ONCE) {
            let first = self.serial + 1;
            let mut bytes = Vec::new();
            for call in calls {
                self.serial += 1;
                call.write(self.serial, &mut bytes)?;
            }
            self.send(&bytes)?;
            let mut waiting: Vec<Option<io::Result<Reply>>> = calls.iter().map(|_| None).collect();
            let mut others = 0;
            while waiting.iter().any(Option::is_none) {
                let (serial, answer) = message::read(&mut self.stream)?;
                let place = serial.and_then(|s| s.checked_sub(first)).map(|place| place as usize);
                match place.and_then(|place| waiting.get_mut(place)) {
                    Some(slot) => *slot = Some(answer),
                    None => others += 1,
                }
                if others > MAX_OTHERS {
                    return Err(io::Error::other(format!("no answer among {others} messages")));
                }
            }
            answers.extend(waiting.into_iter().flatten());
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn speaks_with_a_bus() {
        // Only where one is installed: it is what settles disputes about bytes.
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bus");
        let spawned = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile"])
            .arg(format!("--address=unix:path={}", socket.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut bus) = spawned else {
            eprintln!("SKIPPED: no dbus-daemon is installed");
            return;
        };
        crate::test::wait_until(|| socket.exists());
        let mut connection = None;
        crate::test::wait_until(|| {
            connection = Connection::open(&socket, Peer::Bus).ok();
            connection.is_some()
        });
        let mut connection = connection.unwrap();
        let service = "org.freedesktop.DBus";
        let call = |member: &'static str, arguments: &'static [&'static str]| Call {
            destination: service,
            path: "/org/freedesktop/DBus",
            interface: service,
            member,
            arguments,
        };
        let owner = connection.call(&call("GetNameOwner", &["org.freedesktop.DBus"])).unwrap();
        assert_eq!((owner.signature.as_str(), owner.reader().string().unwrap()), ("s", service.to_owned()));
        let error = connection.call(&call("GetNameOwner", &["no.such.name"])).unwrap_err();
        assert!(error.to_string().contains("NameHasNoOwner"), "{error}");
        let wrong = call("Nonsense", &[]);
        let calls: Vec<Call<'_>> = (0..100)
            .map(|i| if i % 2 == 0 { call("GetNameOwner", &["org.freedesktop.DBus"]) } else { wrong })
            .collect();
        let answers = connection.calls(&calls).unwrap();
        assert!(answers.iter().enumerate().all(|(i, a)| a.is_ok() == (i % 2 == 0)) && answers.len() == 100);
        let names = connection.call(&call("ListNames", &[])).unwrap();
        let mut reader = names.reader();
        let names = reader.array(4, Reader::string).unwrap();
        assert!(names.contains(&service.to_owned()), "{names:?}");
        bus.kill().unwrap();
        bus.wait().unwrap();
    }

    #[test]
    fn who_is_refused_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"REJECTED KERBEROS\r\n").unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        });
        let error = Connection::open(&path, Peer::Bus).err().unwrap();
        assert!(error.to_string().contains("login refused: \"REJECTED KERBEROS\""), "{error}");
        assert!(server.join().unwrap().starts_with(b"\0AUTH EXTERNAL 3"));
    }
}
