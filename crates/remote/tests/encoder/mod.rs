//! Protobuf and snappy, written for tests and independently of the decoder.

#![allow(dead_code, reason = "each test binary uses a part")]

fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn tag(field: u64, wire: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, field << 3 | wire);
    out
}

pub(crate) fn varint(field: u64, value: u64) -> Vec<u8> {
    let mut out = tag(field, 0);
    put(&mut out, value);
    out
}

fn zigzag_of(value: i64) -> u64 {
    if value < 0 { (!(value as u64)) * 2 + 1 } else { value as u64 * 2 }
}

pub(crate) fn double(field: u64, value: f64) -> Vec<u8> {
    let mut out = tag(field, 1);
    out.extend(value.to_le_bytes());
    out
}

pub(crate) fn bytes(field: u64, content: &[u8]) -> Vec<u8> {
    let mut out = tag(field, 2);
    put(&mut out, content.len() as u64);
    out.extend(content);
    out
}

pub(crate) fn packed_zigzag(field: u64, values: &[i64]) -> Vec<u8> {
    let mut content = Vec::new();
    values.iter().for_each(|v| put(&mut content, zigzag_of(*v)));
    bytes(field, &content)
}

pub(crate) fn packed_doubles(field: u64, values: &[f64]) -> Vec<u8> {
    bytes(field, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

pub(crate) fn label(name: &str, value: &str) -> Vec<u8> {
    bytes(1, &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat())
}

/// As Go writes it: zeros are left out.
pub(crate) fn sample(ts: i64, value: f64) -> Vec<u8> {
    let mut content = Vec::new();
    if value.to_bits() != 0 {
        content.extend(double(1, value));
    }
    if ts != 0 {
        content.extend(varint(2, ts as u64));
    }
    bytes(2, &content)
}

/// A block of one literal: valid snappy that any decoder takes.
pub(crate) fn literal_snappy(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, content.len() as u64);
    for part in content.chunks(60) {
        out.push(((part.len() - 1) << 2) as u8);
        out.extend(part);
    }
    out
}

#[derive(Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn varint(self, field: u64, value: u64) -> Self {
        self.raw(varint(field, value))
    }

    pub(crate) fn zigzag(self, field: u64, value: i64) -> Self {
        self.raw(varint(field, zigzag_of(value)))
    }

    pub(crate) fn double(self, field: u64, value: f64) -> Self {
        self.raw(double(field, value))
    }

    pub(crate) fn bytes(self, field: u64, content: &[u8]) -> Self {
        self.raw(bytes(field, content))
    }

    pub(crate) fn raw(mut self, field: Vec<u8>) -> Self {
        self.0.extend(field);
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}
