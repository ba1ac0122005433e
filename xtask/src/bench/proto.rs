//! Bodies of remote write 1.0, written field by field: `WriteRequest{timeseries=1{labels=1{name=1,value=2},samples=2{value=1,timestamp=2}}}`.

/// Appends the labels of a series as fields of `TimeSeries`. Sorted by name.
pub(crate) fn put_labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    let mut label = vec![];
    for (name, value) in labels {
        label.clear();
        put_bytes(1, name.as_bytes(), &mut label);
        put_bytes(2, value.as_bytes(), &mut label);
        put_bytes(1, &label, out);
    }
}

/// Appends one series to a `WriteRequest`: labels as [`put_labels`] made them, samples as timestamp in milliseconds and value.
/// `scratch` is overwritten.
pub(crate) fn put_series(labels: &[u8], samples: &[(i64, f64)], scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    scratch.clear();
    scratch.extend_from_slice(labels);
    for &(ts, value) in samples {
        let at = scratch.len();
        // The length of the sample comes before it, in one byte: 9 of the value and 11 of the timestamp at most.
        scratch.extend_from_slice(&[2 << 3 | 2, 0, 1 << 3 | 1]);
        scratch.extend_from_slice(&value.to_le_bytes());
        scratch.push(2 << 3);
        put_varint(ts as u64, scratch);
        scratch[at + 1] = (scratch.len() - at - 2) as u8;
    }
    put_bytes(1, scratch, out);
}

fn put_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_a_request() {
        let (mut labels, mut scratch, mut out) = (vec![], vec![], vec![]);
        put_labels([("__name__", "up"), ("job", "a")].into_iter(), &mut labels);
        put_series(&labels, &[(300, 1.0), (-1, 0.5)], &mut scratch, &mut out);
        let mut expect = b"\x0a\x41\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x08\x0a\x03job\x12\x01a".to_vec();
        expect.extend_from_slice(b"\x12\x0c\x09\0\0\0\0\0\0\xf0\x3f\x10\xac\x02");
        expect.extend_from_slice(
            b"\x12\x14\x09\0\0\0\0\0\0\xe0\x3f\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        );
        expect[1] = (expect.len() - 2) as u8;
        assert_eq!(out, expect);
    }
}
