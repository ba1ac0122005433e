//! The chunked transfer coding, taken apart as it comes.

/// Sizes of more digits are no sizes.
const MAX_SIZE_DIGITS: u8 = 15;
/// Most bytes of chunk extensions and trailers of one body: nobody reads them.
const MAX_IGNORED: usize = 16 << 10;

/// Where in the coding the next byte lies.
#[derive(Debug)]
pub(crate) struct Chunked {
    state: State,
    size: u64,
    digits: u8,
    ignored: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    /// After the size, up to the line's end.
    Extension,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty one that ends the body.
    TrailerStart,
    Trailer,
    LastLf,
    Done,
}

impl Chunked {
    pub(crate) fn new() -> Self {
        Self { state: State::Size, size: 0, digits: 0, ignored: 0 }
    }

    /// Whether the body's end was seen.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes bytes from the wire and gives data to `sink`. Returns how many bytes belong to this body: fewer than all only
    /// after its end.
    ///
    /// # Errors
    /// `Err(None)` where the coding is broken, `Err(Some(e))` with the sink's error.
    pub(crate) fn take<E>(
        &mut self,
        bytes: &[u8],
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<usize, Option<E>> {
        let mut i = 0;
        while self.state != State::Done
            && let Some(&b) = bytes.get(i)
        {
            if self.state == State::Data {
                let rest = &bytes[i..];
                let len = usize::try_from(self.size).map_or(rest.len(), |size| size.min(rest.len()));
                sink(&rest[..len]).map_err(Some)?;
                self.size -= len as u64;
                i += len;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            i += 1;
            self.state = self.step(b).ok_or(None)?;
        }
        Ok(i)
    }

    /// The state after a byte that is no data.
    fn step(&mut self, b: u8) -> Option<State> {
        Some(match (self.state, b) {
            (State::Size, b'\r' | b'\n' | b';' | b' ' | b'\t') if self.digits == 0 => return None,
            (State::Size, b'\n') | (State::Extension, b'\n') => {
                self.digits = 0;
                if self.size == 0 { State::TrailerStart } else { State::Data }
            }
            (State::Size, b'\r' | b';' | b' ' | b'\t') => State::Extension,
            (State::Size, digit) => {
                let digit = char::from(digit).to_digit(16)?;
                self.digits = self.digits.checked_add(1).filter(|n| *n <= MAX_SIZE_DIGITS)?;
                self.size = self.size << 4 | u64::from(digit);
                State::Size
            }
            (State::Extension | State::Trailer, _) if self.ignored >= MAX_IGNORED => return None,
            (State::Extension, _) => {
                self.ignored += 1;
                State::Extension
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataCr | State::DataLf, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart | State::LastLf, b'\n') => State::Done,
            (State::Trailer, b'\n') => State::TrailerStart,
            (State::TrailerStart | State::Trailer, _) => {
                self.ignored += 1;
                State::Trailer
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `bytes` in pieces of `step`; the data and how many bytes were taken, if the body is whole.
    fn decode(bytes: &[u8], step: usize) -> Option<(Vec<u8>, usize)> {
        let (mut chunked, mut out, mut taken) = (Chunked::new(), Vec::new(), 0);
        for piece in bytes.chunks(step) {
            taken += chunked
                .take(piece, |data| {
                    out.extend_from_slice(data);
                    Ok::<_, ()>(())
                })
                .ok()?;
        }
        chunked.is_done().then_some((out, taken))
    }

    #[test]
    fn bodies_in_pieces_of_any_length() {
        for (wire, data, rest) in [
            (&b"5\r\nhello\r\n0\r\n\r\n"[..], &b"hello"[..], 0),
            (b"5;x=y\r\nhello\r\n1 \r\n!\r\n000\r\nA: b\r\nC: d\r\n\r\nHTTP", b"hello!", 4),
            (b"0A\n0123456789\n0\n\n", b"0123456789", 0),
        ] {
            for step in 1..=wire.len() {
                assert_eq!(decode(wire, step), Some((data.to_vec(), wire.len() - rest)), "{step}");
            }
        }
    }

    #[test]
    fn broken_codings_are_refused() {
        for wire in
            ["\r\n", "g\r\n", "5\r\nhellox\r\n", "1000000000000000\r\n", "-1\r\n", "5\r\nhe", "0\r\n\rx"]
        {
            assert_eq!(decode(wire.as_bytes(), 3), None, "{wire:?}");
        }
        assert_eq!(decode(format!("0\r\nX: {}\r\n\r\n", "x".repeat(20_000)).as_bytes(), 1000), None);
    }

    proptest! {
        #[test]
        fn chunks_round_trip(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
            step in 1..50_usize,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decode(&wire, step), Some((chunks.concat(), wire.len())));
        }

        #[test]
        fn foreign_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1..50_usize) {
            decode(&bytes, step);
        }
    }
}
