//! Reading a reply's body under a limit, decompressing as it comes.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::{Error, ErrorKind};

/// No more is reserved on a server's word.
const MAX_RESERVE: u64 = 1 << 20;

/// Collects a body of at most `max` bytes, counted after decompression.
pub(crate) async fn read(body: Incoming, gzip: Gzip, max: Option<u64>) -> Result<Bytes, Error> {
    let hint = body.size_hint().lower().min(MAX_RESERVE);
    let room = Vec::with_capacity(usize::try_from(hint).unwrap_or(0));
    let mut sink = Sink::new(gzip, Bounded { bytes: room, max });
    let mut body = body;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| broken(&e))?;
        if let Some(data) = frame.data_ref() {
            sink.write(data)?;
        }
    }
    Ok(Bytes::from(sink.finish()?))
}

/// Whether the body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gzip {
    Plain,
    Compressed,
}

/// Takes a body's bytes as they come.
pub(crate) enum Sink {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

impl Sink {
    /// Appends the body's plain bytes to those of `bounded`.
    pub(crate) fn new(gzip: Gzip, bounded: Bounded) -> Self {
        match gzip {
            Gzip::Plain => Self::Plain(bounded),
            Gzip::Compressed => Self::Gzip(Box::new(MultiGzDecoder::new(bounded))),
        }
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        match self {
            Self::Plain(sink) => sink.write_all(data).map_err(|e| refused(&e)),
            Self::Gzip(sink) => sink.write_all(data).map_err(|e| refused(&e)),
        }
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Plain(sink) => Ok(sink.bytes),
            Self::Gzip(sink) => sink.finish().map(|s| s.bytes).map_err(|e| refused(&e)),
        }
    }
}

/// Takes so many bytes and not one more.
pub(crate) struct Bounded {
    pub(crate) bytes: Vec<u8>,
    pub(crate) max: Option<u64>,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let len = (self.bytes.len() + data.len()) as u64;
        if self.max.is_some_and(|max| len > max) {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn refused(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::FileTooLarge => Error::new(ErrorKind::BodyTooLarge, "body size limit exceeded"),
        std::io::ErrorKind::UnexpectedEof => Error::new(ErrorKind::Protocol, "unexpected EOF"),
        _ => Error::new(ErrorKind::Protocol, format!("gzip: invalid body: {error}")),
    }
}

fn broken(error: &hyper::Error) -> Error {
    let text = if error.is_incomplete_message() || error.is_body_write_aborted() {
        "unexpected EOF".to_owned()
    } else {
        let source = std::error::Error::source(error);
        let io = source.and_then(|s| s.downcast_ref::<std::io::Error>()).map(crate::error::io_text);
        io.unwrap_or_else(|| error.to_string())
    };
    Error::new(ErrorKind::Protocol, text)
}
