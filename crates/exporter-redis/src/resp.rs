//! The protocol's second version (RESP2): commands to bytes, replies to values.
//!
//! A reply is bytes from outside: lengths are believed only as far as [`Limits`] go, memory grows with what has arrived and not with
//! what was announced, and nesting is kept on a stack of our own.

use std::fmt;
use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// Bounds of one reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of all its strings together.
    pub(crate) total_bytes: usize,
    /// Values in it, at all depths.
    pub(crate) values: usize,
    /// Arrays within arrays.
    pub(crate) depth: usize,
}

impl Limits {
    /// Far more than any reply that an exporter asks for.
    pub(crate) const DEFAULT: Self = Self { total_bytes: 64 << 20, values: 1 << 20, depth: 16 };
}

/// Longest line that is not a string's body: a number, a status, an error.
const MAX_LINE_BYTES: u64 = 64 << 10;

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

/// Reads one reply. Not cancel safe: after a cancelled read the connection is of no more use.
pub(crate) async fn read_reply(
    from: &mut (impl AsyncBufRead + Unpin),
    limits: Limits,
) -> Result<Value, Broken> {
    let mut left = Limits { ..limits };
    // Arrays not yet complete, with the number of values each still lacks.
    let mut open: Vec<(usize, Vec<Value>)> = Vec::new();
    let mut line = Vec::new();
    loop {
        left.values = left.values.checked_sub(1).ok_or(Broken::Garbage("too many values"))?;
        read_line(from, &mut line).await?;
        let (&sign, rest) = line.split_first().ok_or(Broken::Garbage("an empty line"))?;
        let mut value = match sign {
            b'+' => Value::Text(rest.to_vec()),
            b'-' => Value::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Value::Number(number(rest)?),
            b'$' => match length(rest)? {
                None => Value::Nil,
                Some(len) => Value::Text(read_body(from, len, &mut left.total_bytes).await?),
            },
            b'*' => match length(rest)? {
                None => Value::Nil,
                Some(0) => Value::List(Vec::new()),
                Some(n) if n > left.values => return Err(Broken::Garbage("too many values")),
                Some(_) if open.len() == left.depth => return Err(Broken::Garbage("nested too deeply")),
                Some(n) => {
                    open.push((n, Vec::with_capacity(n.min(64))));
                    continue;
                }
            },
            _ => return Err(Broken::Garbage("an unknown type of reply")),
        };
        left.total_bytes =
            left.total_bytes.checked_sub(line.len()).ok_or(Broken::Garbage("too many bytes"))?;
        loop {
            let Some((lacking, values)) = open.last_mut() else { return Ok(value) };
            values.push(value);
            *lacking -= 1;
            if *lacking > 0 {
                break;
            }
            value = Value::List(std::mem::take(values));
            open.pop();
        }
    }
}

async fn read_line(from: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> Result<(), Broken> {
    line.clear();
    from.take(MAX_LINE_BYTES).read_until(b'\n', line).await?;
    if line.pop() != Some(b'\n') {
        let full = line.len() as u64 + 1 >= MAX_LINE_BYTES;
        return Err(if full { Broken::Garbage("an endless line") } else { end_of_file() });
    }
    if line.pop() != Some(b'\r') {
        return Err(Broken::Garbage("a line that does not end with CR LF"));
    }
    Ok(())
}

async fn read_body(
    from: &mut (impl AsyncBufRead + Unpin),
    len: usize,
    left: &mut usize,
) -> Result<Vec<u8>, Broken> {
    *left = left.checked_sub(len).ok_or(Broken::Garbage("too many bytes"))?;
    let mut body = Vec::with_capacity(len.min(64 << 10));
    from.take(len as u64).read_to_end(&mut body).await?;
    let mut end = [0; 2];
    if body.len() < len {
        return Err(end_of_file());
    }
    from.read_exact(&mut end).await?;
    if end == *b"\r\n" { Ok(body) } else { Err(Broken::Garbage("a string of another length than said")) }
}

fn end_of_file() -> Broken {
    Broken::Io(io::ErrorKind::UnexpectedEof.into())
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

    fn read_within(mut bytes: &[u8], limits: Limits) -> Result<Value, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(read_reply(&mut bytes, limits)).map_err(|e| e.to_string())
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
        let endless = "+".repeat(70_000);
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
