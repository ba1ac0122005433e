//! Protobuf's wire format over a byte slice: tags, varints, lengths. Every length is checked against what is there.

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("unexpected end")]
    End,
    #[error("a varint is longer than ten bytes")]
    LongVarint,
    #[error("field number 0")]
    FieldZero,
    #[error("wire type {0} does not exist")]
    WireType(u8),
    #[error("a group ends that did not begin, or the reverse")]
    Group,
    #[error("field {field} has wire type {found}")]
    Mismatch { field: u32, found: u8 },
}

pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const BYTES: u8 = 2;
const GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// Groups within groups that are skipped; nobody sends any.
const MAX_GROUPS: u32 = 16;

/// What is left of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
}

/// A field's number and wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) field: u32,
    pub(crate) wire: u8,
}

impl Tag {
    pub(crate) fn mismatch(self) -> WireError {
        WireError::Mismatch { field: self.field, found: self.wire }
    }
}

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next field, `None` at the end.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<Option<Tag>, WireError> {
        let raw = match self.rest {
            [] => return Ok(None),
            [byte @ 0..0x80, tail @ ..] => {
                self.rest = tail;
                u64::from(*byte)
            }
            _ => self.varint()?,
        };
        let field = u32::try_from(raw >> 3).unwrap_or(u32::MAX);
        if field == 0 {
            return Err(WireError::FieldZero);
        }
        Ok(Some(Tag { field, wire: (raw & 7) as u8 }))
    }

    /// Seven bits a byte, low ones first. Bits beyond the 64th are dropped, as Go does.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        if let [byte @ 0..0x80, tail @ ..] = self.rest {
            self.rest = tail;
            return Ok(u64::from(*byte));
        }
        let mut value = 0_u64;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { WireError::End } else { WireError::LongVarint })
    }

    /// A `sint`: zigzag.
    #[inline]
    pub(crate) fn zigzag(&mut self) -> Result<i64, WireError> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        let (head, tail) = self.rest.split_first_chunk::<8>().ok_or(WireError::End)?;
        self.rest = tail;
        Ok(u64::from_le_bytes(*head))
    }

    /// A length and that many bytes.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let len = usize::try_from(self.varint()?).map_err(|_| WireError::End)?;
        let (head, tail) = self.rest.split_at_checked(len).ok_or(WireError::End)?;
        self.rest = tail;
        Ok(head)
    }

    /// The bytes of a field that must be such.
    #[inline]
    pub(crate) fn bytes_of(&mut self, tag: Tag) -> Result<&'a [u8], WireError> {
        if tag.wire == BYTES { self.bytes() } else { Err(tag.mismatch()) }
    }

    /// The double of a field that must be one.
    #[inline]
    pub(crate) fn double_of(&mut self, tag: Tag) -> Result<f64, WireError> {
        if tag.wire == FIXED64 { self.fixed64().map(f64::from_bits) } else { Err(tag.mismatch()) }
    }

    /// The varint of a field that must be one.
    #[inline]
    pub(crate) fn varint_of(&mut self, tag: Tag) -> Result<u64, WireError> {
        if tag.wire == VARINT { self.varint() } else { Err(tag.mismatch()) }
    }

    /// A field of no interest.
    pub(crate) fn skip(&mut self, tag: Tag) -> Result<(), WireError> {
        let mut depth = 0_u32;
        let mut tag = tag;
        loop {
            match tag.wire {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.fixed64()?),
                BYTES => drop(self.bytes()?),
                FIXED32 => self.rest = self.rest.get(4..).ok_or(WireError::End)?,
                GROUP if depth < MAX_GROUPS => depth += 1,
                END_GROUP if depth > 0 => depth -= 1,
                GROUP | END_GROUP => return Err(WireError::Group),
                other => return Err(WireError::WireType(other)),
            }
            if depth == 0 {
                return Ok(());
            }
            tag = self.tag()?.ok_or(WireError::Group)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Result<u64, WireError> {
        Reader::new(bytes).varint()
    }

    #[test]
    fn varints() {
        for (bytes, value) in [
            (&[0][..], 0),
            (&[0x7f], 127),
            (&[0x80, 1], 128),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], u64::MAX),
        ] {
            assert_eq!(varint(bytes), Ok(value));
        }
        assert_eq!(varint(&[0x80]), Err(WireError::End));
        assert_eq!(varint(&[]), Err(WireError::End));
        assert_eq!(varint(&[0xff; 11]), Err(WireError::LongVarint));
        for (raw, value) in [(0, 0), (1, -1), (2, 1), (3, -2)] {
            assert_eq!(Reader::new(&[raw]).zigzag(), Ok(value));
        }
    }

    #[test]
    fn skips_what_it_does_not_know() {
        // varint, fixed64, bytes, group with a varint within, fixed32
        let cases: [&[u8]; 5] = [
            &[0x08, 0x96, 0x01],
            &[0x09, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x0a, 2, 0xff, 0xff],
            &[0x0b, 0x10, 5, 0x0c],
            &[0x0d, 1, 2, 3, 4],
        ];
        for bytes in cases {
            let mut reader = Reader::new(bytes);
            let tag = reader.tag().unwrap().unwrap();
            assert_eq!(reader.skip(tag), Ok(()));
            assert!(reader.rest.is_empty());
            let mut short = Reader::new(&bytes[..bytes.len() - 1]);
            let tag = short.tag().unwrap().unwrap();
            assert!(short.skip(tag).is_err(), "{bytes:?}");
        }
        let deep = [0x0b; 40];
        let mut reader = Reader::new(&deep);
        let tag = reader.tag().unwrap().unwrap();
        assert_eq!(reader.skip(tag), Err(WireError::Group));
        assert_eq!(Reader::new(&[0x00]).tag(), Err(WireError::FieldZero));
    }
}
