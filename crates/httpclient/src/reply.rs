//! Reading a reply: its head, and its body into a buffer that is used again.

use std::cell::RefCell;

use http::StatusCode;
use http::header::HeaderValue;
use tokio::io::AsyncReadExt as _;

use crate::body::{Bounded, Gzip, Sink, refused};
use crate::chunked::Chunked;
use crate::connect::Stream;
use crate::error::io_text;
use crate::{Error, ErrorKind};

/// A head is not longer.
const MAX_HEAD: usize = 64 << 10;
/// And has no more fields.
const MAX_FIELDS: usize = 128;
/// First room for what comes.
const FIRST_ROOM: usize = 16 << 10;
/// No more is reserved on a server's word.
const MAX_RESERVE: usize = 1 << 20;
/// A buffer that grew further than this is not kept.
const MAX_KEPT: usize = 4 << 20;
/// As many buffers are kept by a thread.
const MAX_SPARE: usize = 2;

thread_local! {
    static SPARE: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
}

/// Room for a reply. Whoever is done with one gives it back by [`Buffer::recycle`], so that the next reply on this thread finds
/// room that is already there, and in the processor's cache.
#[derive(Debug, Default)]
pub struct Buffer {
    /// What came over the wire: head and body, where the body needs no decoding.
    wire: Vec<u8>,
    /// The body where it needed decoding.
    decoded: Vec<u8>,
    body: Place,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Decoded,
    Wire {
        start: usize,
        end: usize,
    },
}

impl Buffer {
    /// A buffer that was given back on this thread, or a new one.
    pub(crate) fn take() -> Self {
        let mut buffer = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        buffer.wire.clear();
        buffer.decoded.clear();
        buffer.body = Place::Decoded;
        buffer
    }

    /// A body that came over no wire.
    #[must_use]
    pub fn of_body(body: Vec<u8>) -> Self {
        Self { wire: Vec::new(), decoded: body, body: Place::Decoded }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match self.body {
            Place::Decoded => &self.decoded,
            Place::Wire { start, end } => &self.wire[start..end],
        }
    }

    /// Gives the room to the next reply that is read on this thread.
    pub fn recycle(self) {
        if self.wire.capacity().max(self.decoded.capacity()) <= MAX_KEPT {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MAX_SPARE {
                    spare.push(self);
                }
            });
        }
    }
}

/// What a reply's head says.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) location: Option<HeaderValue>,
    gzip: Gzip,
    framing: Framing,
    keep_alive: bool,
    /// Where the body starts.
    len: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    ToEnd,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Reuse,
    Close,
}

/// Why no head was read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The connection ended before the reply's first byte: one that was kept open may have been closed by the server meanwhile.
    Unanswered(Error),
    Other(Error),
}

/// Reads the head of the final reply to a GET; what comes with it of the body stays in the buffer.
pub(crate) async fn head(stream: &mut Stream, buffer: &mut Buffer) -> Result<Head, HeadError> {
    let wire = &mut buffer.wire;
    let mut seen = 0;
    loop {
        if wire.capacity() - wire.len() < FIRST_ROOM / 2 {
            wire.reserve(FIRST_ROOM);
        }
        let read = stream.read_buf(wire).await;
        if wire.is_empty() {
            let text = read.map_or_else(|e| io_text(&e), |_| "EOF".to_owned());
            return Err(HeadError::Unanswered(Error::new(ErrorKind::Protocol, text)));
        }
        let broken = |text: String| HeadError::Other(Error::new(ErrorKind::Protocol, text));
        let read = read.map_err(|e| broken(io_text(&e)))?;
        if read == 0 {
            return Err(broken("EOF".to_owned()));
        }
        // A head that comes byte by byte is parsed when it may be whole, not at each byte.
        let tail = &wire[seen.max(3) - 3..];
        let may_be_whole =
            seen == 0 || tail.windows(2).any(|w| w == b"\n\n") || tail.windows(3).any(|w| w == b"\n\r\n");
        seen = wire.len();
        if !may_be_whole {
            if seen > MAX_HEAD {
                return Err(broken("server response headers exceeded 65536 bytes; aborted".to_owned()));
            }
            continue;
        }
        // Interim replies are passed over.
        loop {
            match parse(wire).map_err(HeadError::Other)? {
                Some(head)
                    if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS =>
                {
                    wire.drain(..head.len);
                    seen = 0;
                }
                Some(head) => return Ok(head),
                None => break,
            }
        }
    }
}

/// The head at the start of `wire`; `None` while it is not whole.
fn parse(wire: &[u8]) -> Result<Option<Head>, Error> {
    let malformed = |what: &str| Error::new(ErrorKind::Protocol, format!("malformed HTTP response: {what}"));
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut reply = httparse::Response::new(&mut fields);
    let len = match reply.parse(wire) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(e) => return Err(malformed(&e.to_string())),
    };
    let status = reply.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| malformed("invalid status code"))?;
    let mut head = Head {
        status,
        content_type: None,
        location: None,
        gzip: Gzip::Plain,
        framing: Framing::ToEnd,
        keep_alive: reply.version == Some(1),
        len,
    };
    let (mut length, mut coded) = (None, None);
    for field in reply.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let first = |slot: &mut Option<HeaderValue>| {
            if slot.is_none() {
                *slot = HeaderValue::from_bytes(field.value).ok();
            }
        };
        if is("content-type") {
            first(&mut head.content_type);
        } else if is("location") {
            first(&mut head.location);
        } else if is("content-encoding") {
            head.gzip =
                if field.value.eq_ignore_ascii_case(b"gzip") { Gzip::Compressed } else { Gzip::Plain };
        } else if is("content-length") {
            let digits =
                std::str::from_utf8(field.value).ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
            let n: u64 =
                digits.and_then(|v| v.parse().ok()).ok_or_else(|| malformed("bad Content-Length"))?;
            if length.is_some_and(|before| before != n) {
                return Err(malformed("contradicting Content-Length"));
            }
            length = Some(n);
        } else if is("transfer-encoding") {
            let last = field.value.rsplit(|b| *b == b',').next().unwrap_or_default();
            coded = Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        } else if is("connection") {
            for word in field.value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                if word.eq_ignore_ascii_case(b"close") {
                    head.keep_alive = false;
                } else if word.eq_ignore_ascii_case(b"keep-alive") && reply.version == Some(0) {
                    head.keep_alive = true;
                }
            }
        }
    }
    head.framing = match (coded, length) {
        _ if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => Framing::Length(0),
        (Some(true), None) => Framing::Chunked,
        (Some(true), Some(_)) => {
            // A length beside the coding is how requests get smuggled: read by the coding, never read on.
            head.keep_alive = false;
            Framing::Chunked
        }
        (Some(false), _) | (None, None) => Framing::ToEnd,
        (None, Some(length)) => Framing::Length(length),
    };
    Ok(Some(head))
}

/// Reads the body that follows `head`, at most `max` bytes after decompression.
pub(crate) async fn body(
    stream: &mut Stream,
    head: &Head,
    max: Option<u64>,
    buffer: &mut Buffer,
) -> Result<After, Error> {
    let reusable = if head.keep_alive { After::Reuse } else { After::Close };
    match (head.gzip, head.framing) {
        (Gzip::Plain, Framing::Length(length)) => {
            if max.is_some_and(|max| length > max) {
                return Err(too_large());
            }
            let too_long = || Error::new(ErrorKind::Protocol, "body longer than memory");
            let end =
                usize::try_from(length).ok().and_then(|l| l.checked_add(head.len)).ok_or_else(too_long)?;
            while buffer.wire.len() < end {
                let missing = end - buffer.wire.len();
                buffer.wire.reserve(missing.min(MAX_RESERVE));
                if read(stream, &mut buffer.wire).await? == 0 {
                    return Err(cut());
                }
            }
            buffer.body = Place::Wire { start: head.len, end };
            // What comes unasked cannot be told from the next reply.
            Ok(if buffer.wire.len() == end { reusable } else { After::Close })
        }
        (Gzip::Plain, Framing::ToEnd) => {
            loop {
                if max.is_some_and(|max| (buffer.wire.len() - head.len) as u64 > max) {
                    return Err(too_large());
                }
                buffer.wire.reserve(FIRST_ROOM);
                if read(stream, &mut buffer.wire).await? == 0 {
                    break;
                }
            }
            buffer.body = Place::Wire { start: head.len, end: buffer.wire.len() };
            Ok(After::Close)
        }
        (gzip, framing) => {
            let bounded = Bounded { bytes: std::mem::take(&mut buffer.decoded), max };
            let mut sink = Sink::new(gzip, bounded);
            let whole = decode(stream, head.len, framing, &mut buffer.wire, &mut sink).await;
            let exact = whole?;
            buffer.decoded = sink.finish()?;
            Ok(if exact && framing != Framing::ToEnd { reusable } else { After::Close })
        }
    }
}

/// Gives the body's bytes to `sink` as they come. Whether nothing came after it.
async fn decode(
    stream: &mut Stream,
    head_len: usize,
    framing: Framing,
    wire: &mut Vec<u8>,
    sink: &mut Sink,
) -> Result<bool, Error> {
    let mut chunked = Chunked::new();
    let mut left = match framing {
        Framing::Length(length) => length,
        Framing::Chunked | Framing::ToEnd => u64::MAX,
    };
    let mut from = head_len;
    loop {
        let bytes = &wire[from..];
        let (taken, done) = if framing == Framing::Chunked {
            let taken = chunked.take(bytes, |data| sink.write(data)).map_err(|e| {
                e.unwrap_or_else(|| Error::new(ErrorKind::Protocol, "malformed chunked encoding"))
            })?;
            (taken, chunked.is_done())
        } else {
            let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
            sink.write(&bytes[..len])?;
            left -= len as u64;
            (len, left == 0)
        };
        if done {
            return Ok(taken == bytes.len());
        }
        wire.clear();
        from = 0;
        wire.reserve(FIRST_ROOM);
        if read(stream, wire).await? == 0 {
            return if framing == Framing::ToEnd { Ok(true) } else { Err(cut()) };
        }
    }
}

async fn read(stream: &mut Stream, into: &mut Vec<u8>) -> Result<usize, Error> {
    stream.read_buf(into).await.map_err(|e| Error::new(ErrorKind::Protocol, io_text(&e)))
}

fn cut() -> Error {
    Error::new(ErrorKind::Protocol, "unexpected EOF")
}

fn too_large() -> Error {
    refused(&std::io::Error::from(std::io::ErrorKind::FileTooLarge))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(head: &str) -> Result<(Framing, bool), String> {
        let head = parse(head.replace('\n', "\r\n").as_bytes()).map_err(|e| e.to_string())?;
        let head = head.ok_or("partial")?;
        Ok((head.framing, head.keep_alive))
    }

    #[test]
    fn heads_say_where_bodies_end() {
        use Framing::{Chunked, Length, ToEnd};
        for (head, expect) in [
            ("HTTP/1.1 200 OK\nContent-Length: 12\n\n", (Length(12), true)),
            (
                "HTTP/1.1 200 OK\ncontent-length: 12\nContent-Length: 12\nConnection: foo, Close\n\n",
                (Length(12), false),
            ),
            ("HTTP/1.0 200 OK\nContent-Length: 1\n\n", (Length(1), false)),
            ("HTTP/1.0 200 OK\nContent-Length: 1\nConnection: keep-alive\n\n", (Length(1), true)),
            ("HTTP/1.1 200\nTransfer-Encoding: gzip, Chunked\n\n", (Chunked, true)),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5\n\n", (Chunked, false)),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: identity\n\n", (ToEnd, true)),
            ("HTTP/1.1 204 No Content\nContent-Length: 7\n\n", (Length(0), true)),
            ("HTTP/1.1 200 OK\n\n", (ToEnd, true)),
        ] {
            assert_eq!(check(head), Ok(expect), "{head}");
        }
        for head in [
            "HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2\n\n",
            "HTTP/1.1 200 OK\nContent-Length: +1\n\n",
            "HTTP/1.1 200 OK\nContent-Length: \n\n",
            "HTTP/1.1 2x0 OK\n\n",
            "SSH-2.0-OpenSSH_9.2\n",
        ] {
            let error = check(head).unwrap_err();
            assert!(error.starts_with("malformed HTTP response: "), "{head}: {error}");
        }
    }

    proptest! {
        #[test]
        fn foreign_heads_do_no_harm(text in "(HTTP/1.[01] [0-9]{3}( OK)?\r\n)?([a-zA-Z-]{0,20}: ?\\PC{0,30}\r?\n){0,6}\r?\n?") {
            drop(parse(text.as_bytes()));
        }
    }
}
