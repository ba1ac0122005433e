//! A small HTTP/1.1 client that keeps its connection; what the load needs, and nothing that costs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

/// The longest body that is read.
const MAX_BODY: usize = 256 << 20;

/// A connection to one server.
pub(crate) struct Connection {
    stream: TcpStream,
    address: String,
    buffer: Vec<u8>,
}

/// A reply.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    /// Connects to `HOST:PORT`. A read that takes longer than `timeout` fails.
    pub(crate) fn open(address: &str, timeout: Duration) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        Ok(Self { stream, address: address.to_owned(), buffer: vec![] })
    }

    pub(crate) fn get(&mut self, path: &str) -> anyhow::Result<Reply> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address);
        self.exchange(request.as_bytes())
    }

    /// Sends a whole request, head and body, and reads the reply.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Reply> {
        self.stream.write_all(request)?;
        self.reply()
    }

    /// Sends a line of another protocol and reads a line of answer.
    pub(crate) fn send_line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(line)?;
        self.buffer.clear();
        while find(&self.buffer, b"\r\n").is_none() {
            self.more()?;
        }
        Ok(())
    }

    fn reply(&mut self) -> anyhow::Result<Reply> {
        self.buffer.clear();
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(self.buffer.len() < 64 << 10, "{}: the head of the reply has no end", self.address);
            self.more()?;
        };
        let text = std::str::from_utf8(&self.buffer[..head]).context("the reply's head is not text")?;
        let status = text.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        let status = status.with_context(|| format!("{}: not an HTTP reply", self.address))?;
        let header = |name: &str| {
            text.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let body = if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            self.chunked(head)?
        } else if status == 204 {
            vec![]
        } else {
            let length = header("content-length").context("the reply tells no length")?;
            let length: usize = length.parse().context("content-length")?;
            ensure!(length <= MAX_BODY, "{}: a reply of {length} bytes", self.address);
            while self.buffer.len() < head + length {
                self.more()?;
            }
            self.buffer[head..head + length].to_vec()
        };
        Ok(Reply { status, body })
    }

    fn chunked(&mut self, mut at: usize) -> anyhow::Result<Vec<u8>> {
        let mut body = vec![];
        loop {
            let line = loop {
                if let Some(end) = find(&self.buffer[at..], b"\r\n") {
                    break end;
                }
                self.more()?;
            };
            let size = std::str::from_utf8(&self.buffer[at..at + line])?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16)
                .context("length of a chunk")?;
            ensure!(body.len() + size <= MAX_BODY, "{}: the reply does not end", self.address);
            at += line + 2;
            while self.buffer.len() < at + size + 2 {
                self.more()?;
            }
            body.extend_from_slice(&self.buffer[at..at + size]);
            at += size + 2;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn more(&mut self) -> anyhow::Result<()> {
        let mut chunk = [0; 16 << 10];
        let read =
            self.stream.read(&mut chunk).with_context(|| format!("{} does not answer", self.address))?;
        if read == 0 {
            bail!("{} hung up", self.address);
        }
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}

impl Reply {
    /// Fails, with the body's beginning, unless the status is one of success.
    pub(crate) fn success(self) -> anyhow::Result<Vec<u8>> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]).into_owned();
        bail!("status {}: {}", self.status, text.trim());
    }
}

/// `GET` on a connection of its own.
pub(crate) fn get(address: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    Connection::open(address, Duration::from_secs(60))?
        .get(path)
        .and_then(Reply::success)
        .with_context(|| format!("http://{address}{path}"))
}

/// `POST` without a body, on a connection of its own.
pub(crate) fn post(address: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    let request = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    Connection::open(address, Duration::from_secs(600))?
        .exchange(request.as_bytes())
        .and_then(Reply::success)
        .with_context(|| format!("http://{address}{path}"))
}

/// The `result` of an instant query at `at_ms`.
pub(crate) fn query(connection: &mut Connection, expression: &str, at_ms: i64) -> anyhow::Result<Vec<Value>> {
    let path = format!(
        "/api/v1/query?query={}&time={}.{:03}",
        escape(expression),
        at_ms.div_euclid(1000),
        at_ms.rem_euclid(1000)
    );
    let body = connection.get(&path)?.success()?;
    let mut answer: Value = serde_json::from_slice(&body).context("the answer of a query")?;
    match answer["data"]["result"].take() {
        Value::Array(result) => Ok(result),
        _ => bail!("no result in the answer of a query"),
    }
}

pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(reply: &'static str) -> anyhow::Result<Reply> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let server = std::thread::spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut request = [0; 1024];
            let _ = stream.read(&mut request)?;
            stream.write_all(reply.as_bytes())
        });
        let reply = Connection::open(&address, Duration::from_secs(5))?.get("/");
        server.join().expect("the server does not panic")?;
        reply
    }

    #[test]
    fn bodies() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                200,
                "abc0123456789",
            ),
        ] {
            let reply = answered(text).unwrap();
            assert_eq!((reply.status, reply.body.as_slice()), (status, body.as_bytes()), "{text}");
        }
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(answered(text).is_err(), "{text}");
        }
        assert_eq!(escape("up{a=\"b\"}"), "up%7Ba%3D%22b%22%7D");
    }
}
