//! Messages: <https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol-messages>.

use std::io::{self, Read};

/// A method call whose arguments are strings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'c> {
    pub(crate) destination: &'c str,
    pub(crate) path: &'c str,
    pub(crate) interface: &'c str,
    pub(crate) member: &'c str,
    pub(crate) arguments: &'c [&'c str],
}

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const VERSION: u8 = 1;

/// Header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Longest message that is read; the units of a large host take a tenth.
const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// What comes before the header fields: byte order, type, flags, version, length of the body, serial, length of the fields.
const FIXED_BYTES: usize = 16;

impl Call<'_> {
    /// Appends the message.
    pub(super) fn write(&self, serial: u32, out: &mut Vec<u8>) -> io::Result<()> {
        let mut body = Vec::new();
        for argument in self.arguments {
            push_string(&mut body, argument)?;
        }
        let mut fields = Vec::new();
        for (field, kind, text) in [
            (PATH, b'o', self.path),
            (INTERFACE, b's', self.interface),
            (MEMBER, b's', self.member),
            (DESTINATION, b's', self.destination),
        ] {
            pad(&mut fields, 8);
            fields.extend_from_slice(&[field, 1, kind, 0]);
            push_string(&mut fields, text)?;
        }
        if !self.arguments.is_empty() {
            pad(&mut fields, 8);
            let count = u8::try_from(self.arguments.len()).map_err(io::Error::other)?;
            fields.extend_from_slice(&[SIGNATURE, 1, b'g', 0, count]);
            fields.extend(self.arguments.iter().map(|_| b's'));
            fields.push(0);
        }
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut message = vec![b'l', METHOD_CALL, 0, VERSION];
        message.extend_from_slice(&length(&body)?.to_le_bytes());
        message.extend_from_slice(&serial.to_le_bytes());
        message.extend_from_slice(&length(&fields)?.to_le_bytes());
        message.extend_from_slice(&fields);
        pad(&mut message, 8);
        message.extend_from_slice(&body);
        out.extend_from_slice(&message);
        Ok(())
    }
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn push_string(bytes: &mut Vec<u8>, text: &str) -> io::Result<()> {
    pad(bytes, 4);
    bytes.extend_from_slice(&u32::try_from(text.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    Ok(())
}

/// A call's answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(super) signature: String,
    body: Vec<u8>,
    big_endian: bool,
}

impl Reply {
    /// Reads the body from its start.
    pub(crate) fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0, big_endian: self.big_endian }
    }

    /// The body, which is a variant as properties are.
    pub(crate) fn variant(&self) -> io::Result<Value> {
        if self.signature != "v" {
            return Err(io::Error::other(format!("expected a variant, found {:?}", self.signature)));
        }
        self.reader().variant()
    }
}

/// Reads one message: the serial that it answers, and the answer.
pub(super) fn read(from: &mut impl Read) -> io::Result<(Option<u32>, io::Result<Reply>)> {
    let mut fixed = [0; FIXED_BYTES];
    from.read_exact(&mut fixed)?;
    let big_endian = match fixed[0] {
        b'l' => false,
        b'B' => true,
        other => return Err(io::Error::other(format!("a message begins with byte {other:#x}"))),
    };
    let mut head = Reader { bytes: &fixed, at: 4, big_endian };
    let (body, _, fields) = (head.u32()? as usize, head.u32()?, head.u32()? as usize);
    let padded = fields.next_multiple_of(8);
    if body > MAX_MESSAGE_BYTES || padded > MAX_MESSAGE_BYTES {
        return Err(io::Error::other(format!("a message of {body} and {fields} bytes")));
    }
    let fields_bytes = read_bytes(from, padded)?;
    let body = read_bytes(from, body)?;
    let mut reader = Reader { bytes: &fields_bytes[..fields], at: 0, big_endian };
    let (mut serial, mut signature, mut error) = (None, String::new(), String::new());
    while reader.at < fields {
        reader.align(8)?;
        let field = reader.byte()?;
        match (field, reader.variant()?) {
            (REPLY_SERIAL, Value::Number(number)) => serial = u32::try_from(number).ok(),
            (SIGNATURE, Value::Text(text)) => signature = text,
            (ERROR_NAME, Value::Text(text)) => error = text,
            _ => {}
        }
    }
    let reply = Reply { signature, body, big_endian };
    Ok(match fixed[1] {
        METHOD_RETURN => (serial, Ok(reply)),
        ERROR => {
            let first = reply.signature.starts_with('s').then(|| reply.reader().string().unwrap_or_default());
            (serial, Err(io::Error::other(format!("{error}: {}", first.unwrap_or_default()))))
        }
        _ => (None, Ok(reply)),
    })
}

/// Takes memory as bytes come, not as a length promises.
fn read_bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A value of a basic type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Number(u64),
    /// Of a type that nobody here asks for.
    Other,
}

/// Reads values; each is aligned to its size.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
    big_endian: bool,
}

#[cfg(test)]
impl<'m> Reader<'m> {
    /// Of bytes, the least significant first.
    pub(crate) fn new(bytes: &'m [u8]) -> Self {
        Self { bytes, at: 0, big_endian: false }
    }
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let bytes = *rest.first_chunk::<N>().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.at += N;
        Ok(bytes)
    }

    pub(crate) fn align(&mut self, to: usize) -> io::Result<()> {
        self.at = self.at.next_multiple_of(to);
        if self.at <= self.bytes.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn byte(&mut self) -> io::Result<u8> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> io::Result<u32> {
        self.align(4)?;
        let bytes = self.take()?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.align(8)?;
        let bytes = self.take()?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    fn text(&mut self, length: usize) -> io::Result<String> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.get(..length));
        let text = String::from_utf8_lossy(bytes.ok_or(io::ErrorKind::UnexpectedEof)?).into_owned();
        self.at += length;
        // Each ends with a zero byte.
        self.byte()?;
        Ok(text)
    }

    /// A string or the path of an object.
    pub(crate) fn string(&mut self) -> io::Result<String> {
        let length = self.u32()? as usize;
        self.text(length)
    }

    fn signature(&mut self) -> io::Result<String> {
        let length = usize::from(self.byte()?);
        self.text(length)
    }

    /// A variant of a basic type. After one that is not, nothing more can be read.
    pub(crate) fn variant(&mut self) -> io::Result<Value> {
        Ok(match self.signature()?.as_str() {
            "s" | "o" => Value::Text(self.string()?),
            "g" => Value::Text(self.signature()?),
            "u" | "b" | "i" => Value::Number(u64::from(self.u32()?)),
            "t" | "x" => Value::Number(self.u64()?),
            "y" => Value::Number(u64::from(self.byte()?)),
            _ => Value::Other,
        })
    }

    /// An array whose elements are aligned to `align`.
    pub(crate) fn array<T>(
        &mut self,
        align: usize,
        mut element: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let length = self.u32()? as usize;
        self.align(align)?;
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut elements = Vec::new();
        while self.at < end {
            let before = self.at;
            self.align(align)?;
            elements.push(element(self)?);
            if self.at == before {
                return Err(io::Error::other("an element of no length"));
            }
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_never_panics() {
        let mut seed = vec![b'l', METHOD_RETURN, 0, 1, 12, 0, 0, 0, 1, 0, 0, 0, 15, 0, 0, 0];
        seed.extend([REPLY_SERIAL, 1, b'u', 0, 7, 0, 0, 0, SIGNATURE, 1, b'g', 0, 1, b'v', 0, 0]);
        seed.extend([1, b's', 0, 0, 3, 0, 0, 0, b'a', b'b', b'c', 0]);
        let (serial, reply) = read(&mut seed.as_slice()).unwrap();
        assert_eq!((serial, reply.unwrap().variant().unwrap()), (Some(7), Value::Text("abc".to_owned())));
        let mut state = 3_u64;
        for _ in 0..50_000 {
            let mut bytes = seed.clone();
            for _ in 0..2 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (state >> 33) as usize % bytes.len();
                bytes[place] = (state >> 20) as u8;
            }
            if let Ok((_, Ok(reply))) = read(&mut bytes.as_slice()) {
                drop(reply.variant());
                drop(reply.reader().array(8, Reader::string));
            }
        }
    }
}
