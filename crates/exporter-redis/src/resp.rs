//! The protocol's second version (RESP2): commands to bytes, replies to values.
//!
//! A reply is bytes from outside: lengths are believed only as far as [`Limits`] go, memory grows with what has arrived and not with
//! what was announced, and nesting is kept on a stack of our own.

use std::fmt;
use std::io;

/// Bounds of the replies to one batch of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of all their lines and strings together.
    pub(crate) total_bytes: usize,
    /// Values in them, at all depths.
    pub(crate) values: usize,
    /// Arrays within arrays.
    pub(crate) depth: usize,
}

impl Limits {
    /// Far more than anything that an exporter asks for.
    pub(crate) const DEFAULT: Self = Self { total_bytes: 64 << 20, values: 1 << 20, depth: 16 };
}

/// Longest line that is not a string's body: a number, a status, an error.
const MAX_LINE_BYTES: usize = 64 << 10;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A status or a string.
    Text(Vec<u8>),
    /// A number.
    Number(i64),
    /// What the server objects, with its code as the first word.
    Error(String),
    /// Nothing.
    Nil,
    /// Values.
    List(Vec<Value>),
}

impl Value {
    /// As text, damaged characters replaced; a number in digits.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(bytes) => Some(
                String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into()),
            ),
            Self::Number(n) => Some(n.to_string()),
            _ => None,
        }
    }

    /// As a number, also from digits.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Text(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
            _ => None,
        }
    }

    /// The values of a list.
    pub(crate) fn into_list(self) -> Option<Vec<Value>> {
        match self {
            Self::List(values) => Some(values),
            _ => None,
        }
    }

    /// A list of names and values by turns, as text; pairs that are neither text nor number are left out.
    pub(crate) fn into_pairs(self) -> Option<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        let mut values = self.into_list()?.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            pairs.extend(name.into_text().zip(value.into_text()));
        }
        Some(pairs)
    }

    /// The server's objection.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection failed.
    Io(io::Error),
    /// It is open, but what came is no reply.
    Garbage(&'static str),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => f.write_str("EOF"),
            Self::Io(e) => write!(f, "{e}"),
            Self::Garbage(what) => write!(f, "the server's reply is not in its protocol: {what}"),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// Appends a command.
pub(crate) fn push_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    let head = |out: &mut Vec<u8>, sign: u8, n: usize| {
        out.push(sign);
        out.extend_from_slice(n.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    head(out, b'*', words.len());
    for word in words {
        head(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Puts the replies to one batch together from bytes as they come.
///
/// Each line and each string is looked at once it is there as a whole, so that nothing is decoded twice, and no future is polled for what
/// has arrived.
#[derive(Debug)]
pub(crate) struct Decoder {
    left: Limits,
    /// Arrays not yet complete, with the number of values each still lacks.
    open: Vec<(usize, Vec<Value>)>,
    /// Length of the string whose body comes next.
    body: Option<usize>,
}

impl Decoder {
    /// For the replies to one batch.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { left: limits, open: Vec::new(), body: None }
    }

    /// Takes what it can from the front of `bytes`; gives the next reply if it is complete. What it took is gone from `bytes`.
    pub(crate) fn feed(&mut self, bytes: &mut &[u8]) -> Result<Option<Value>, Broken> {
        loop {
            let value = match self.body {
                Some(len) => match body(bytes, len)? {
                    Some(text) => {
                        self.body = None;
                        Value::Text(text)
                    }
                    None => return Ok(None),
                },
                None => match line(bytes)? {
                    Some(line) => match self.begin(line)? {
                        Some(value) => value,
                        None => continue,
                    },
                    None => return Ok(None),
                },
            };
            if let Some(reply) = self.place(value) {
                return Ok(Some(reply));
            }
        }
    }

    /// A line: a whole value, or the head of a string or an array.
    fn begin(&mut self, line: &[u8]) -> Result<Option<Value>, Broken> {
        self.left.values = self.left.values.checked_sub(1).ok_or(Broken::Garbage("too many values"))?;
        let (&sign, rest) = line.split_first().ok_or(Broken::Garbage("an empty line"))?;
        self.spend(line.len())?;
        Ok(Some(match sign {
            b'+' => Value::Text(rest.to_vec()),
            b'-' => Value::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Value::Number(number(rest)?),
            b'$' => match length(rest)? {
                None => Value::Nil,
                Some(len) => {
                    self.spend(len)?;
                    self.body = Some(len);
                    return Ok(None);
                }
            },
            b'*' => match length(rest)? {
                None => Value::Nil,
                Some(0) => Value::List(Vec::new()),
                Some(n) if n > self.left.values => return Err(Broken::Garbage("too many values")),
                Some(_) if self.open.len() == self.left.depth => {
                    return Err(Broken::Garbage("nested too deeply"));
                }
                Some(n) => {
                    self.open.push((n, Vec::with_capacity(n.min(64))));
                    return Ok(None);
                }
            },
            _ => return Err(Broken::Garbage("an unknown type of reply")),
        }))
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Broken> {
        let left = self.left.total_bytes.checked_sub(bytes);
        self.left.total_bytes = left.ok_or(Broken::Garbage("too many bytes"))?;
        Ok(())
    }

    /// Puts a value where it belongs; gives the reply if nothing lacks.
    fn place(&mut self, mut value: Value) -> Option<Value> {
        loop {
            let Some((lacking, values)) = self.open.last_mut() else { return Some(value) };
            values.push(value);
            *lacking -= 1;
            if *lacking > 0 {
                return None;
            }
            value = Value::List(std::mem::take(values));
            self.open.pop();
        }
    }
}

/// A line without its end, if it is there.
fn line<'b>(bytes: &mut &'b [u8]) -> Result<Option<&'b [u8]>, Broken> {
    let all = *bytes;
    let Some(end) = all.iter().position(|b| *b == b'\n') else {
        let endless = all.len() >= MAX_LINE_BYTES;
        return if endless { Err(Broken::Garbage("an endless line")) } else { Ok(None) };
    };
    let Some(line) = all[..end].strip_suffix(b"\r") else {
        return Err(Broken::Garbage("a line that does not end with CR LF"));
    };
    *bytes = &all[end + 1..];
    Ok(Some(line))
}

/// The body of a string with its end, if it is there.
fn body(bytes: &mut &[u8], len: usize) -> Result<Option<Vec<u8>>, Broken> {
    let all = *bytes;
    let Some((text, rest)) = all.split_at_checked(len) else { return Ok(None) };
    let Some((end, rest)) = rest.split_at_checked(2) else { return Ok(None) };
    if end != b"\r\n" {
        return Err(Broken::Garbage("a string of another length than said"));
    }
    *bytes = rest;
    Ok(Some(text.to_vec()))
}

fn number(digits: &[u8]) -> Result<i64, Broken> {
    let text = std::str::from_utf8(digits).map_err(|_| Broken::Garbage("a number that is none"))?;
    text.parse().map_err(|_| Broken::Garbage("a number that is none"))
}

fn length(digits: &[u8]) -> Result<Option<usize>, Broken> {
    match number(digits)? {
        -1 => Ok(None),
        n => usize::try_from(n).map(Some).map_err(|_| Broken::Garbage("a negative length")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Value, String> {
        read_within(bytes, Limits::DEFAULT)
    }

    /// Whole, and in all ways byte by byte: both must come to the same.
    fn read_within(bytes: &[u8], limits: Limits) -> Result<Value, String> {
        let whole = feed(bytes, bytes.len().max(1), limits);
        assert_eq!(feed(bytes, 1, limits), whole, "{bytes:?}");
        whole
    }

    fn feed(bytes: &[u8], step: usize, limits: Limits) -> Result<Value, String> {
        let (mut decoder, mut held) = (Decoder::new(limits), Vec::new());
        for some in bytes.chunks(step) {
            held.extend_from_slice(some);
            let mut rest = held.as_slice();
            if let Some(value) = decoder.feed(&mut rest).map_err(|e| e.to_string())? {
                return Ok(value);
            }
            held.drain(..held.len() - rest.len());
        }
        Err("EOF".to_owned())
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn reads_each_type() {
        for (bytes, value) in [
            ("+OK\r\n", text("OK")),
            ("-ERR no\r\n", Value::Error("ERR no".into())),
            (":-7\r\n", Value::Number(-7)),
            ("$5\r\na\r\nbc\r\n", text("a\r\nbc")),
            ("$0\r\n\r\n", text("")),
            ("$-1\r\n", Value::Nil),
            ("*-1\r\n", Value::Nil),
            ("*0\r\n", Value::List(vec![])),
            (
                "*3\r\n*2\r\n:1\r\n*0\r\n$1\r\nx\r\n*1\r\n-E\r\n",
                Value::List(vec![
                    Value::List(vec![Value::Number(1), Value::List(vec![])]),
                    text("x"),
                    Value::List(vec![Value::Error("E".into())]),
                ]),
            ),
        ] {
            assert_eq!(read(bytes.as_bytes()), Ok(value), "{bytes:?}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        let nested = "*1\r\n".repeat(17);
        let endless = "+".repeat(65_536);
        let garbage = "the server's reply is not in its protocol: ";
        for (bytes, error) in [
            ("", "EOF"),
            ("+OK", "EOF"),
            ("$5\r\nab", "EOF"),
            ("$2\r\nabc\r\n", "a string of another length than said"),
            ("$-2\r\n", "a negative length"),
            ("$99999999999\r\n", "too many bytes"),
            ("*99999999999\r\n", "too many values"),
            (nested.as_str(), "nested too deeply"),
            (endless.as_str(), "an endless line"),
            ("+OK\n", "a line that does not end with CR LF"),
            ("\r\n", "an empty line"),
            ("?1\r\n", "an unknown type of reply"),
            (":x\r\n", "a number that is none"),
        ] {
            assert_eq!(read(bytes.as_bytes()).unwrap_err().trim_start_matches(garbage), error, "{bytes:.40}");
        }
        let tight = Limits { total_bytes: 8, values: 3, depth: 1 };
        assert!(read_within(b"*2\r\n:1\r\n:2\r\n", tight).is_ok());
        assert!(read_within(b"*3\r\n:1\r\n:2\r\n:3\r\n", tight).is_err());
        assert!(read_within(b"*1\r\n*1\r\n:1\r\n", tight).is_err());
        assert!(read_within(b"$9\r\n123456789\r\n", tight).is_err());
    }

    #[test]
    fn writes_commands() {
        let mut out = Vec::new();
        push_command(&mut out, &[b"GET", b"a\r\nb"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn pairs_leave_out_what_is_no_text() {
        let list = |values| Value::List(values);
        let reply = list(vec![text("a"), Value::Number(1), text("b"), Value::Nil, text("odd")]);
        assert_eq!(reply.into_pairs(), Some(vec![("a".to_owned(), "1".to_owned())]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_reply_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn almost_replies_are_a_reply_or_an_error(text in "([*$:+-]-?[0-9]{0,3}\r\n|[a-z]{0,5}\r\n){0,20}") {
            let _ = read(text.as_bytes());
        }
    }
}
