//! Remote write 1.0 as a sender does it: series as protobuf, in snappy literals, pushed in the order of time.

use std::collections::BTreeMap;

use anyhow::ensure;

use crate::http;

/// A series with its samples, ascending in time.
#[derive(Debug, Clone)]
pub struct Series {
    /// Names and values, `__name__` included.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds and values; NaNs keep their bits.
    pub samples: Vec<(i64, f64)>,
}

/// Bodies that hold all samples, each body those of one span of time: a receiver takes nothing older than it has.
#[must_use]
pub fn bodies(series: &[Series], span_ms: i64) -> Vec<Vec<u8>> {
    let mut spans: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
    for one in series {
        let mut head = Vec::new();
        for (name, value) in &one.labels {
            let label = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
            head.extend(field(1, &label));
        }
        for part in one.samples.chunk_by(|a, b| a.0.div_euclid(span_ms) == b.0.div_euclid(span_ms)) {
            let mut content = head.clone();
            for (ts, value) in part {
                content.extend(field(2, &sample(*ts, *value)));
            }
            spans.entry(part[0].0.div_euclid(span_ms)).or_default().extend(field(1, &content));
        }
    }
    spans.into_values().map(|content| literals(&content)).collect()
}

/// Posts each body to `ADDRESS/api/v1/write`.
///
/// # Errors
/// Where one is not taken.
pub fn push(address: &str, bodies: &[Vec<u8>]) -> anyhow::Result<()> {
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Content-Encoding", "snappy"),
        ("X-Prometheus-Remote-Write-Version", "0.1.0"),
    ];
    for (i, body) in bodies.iter().enumerate() {
        let answer = http::request("POST", address, "/api/v1/write", &headers, body)?;
        ensure!(
            (200..300).contains(&answer.status),
            "body {i} of {}: status {}: {}",
            bodies.len(),
            answer.status,
            answer.text()
        );
    }
    Ok(())
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

fn sample(ts: i64, value: f64) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend(value.to_le_bytes());
    out.push(2 << 3);
    varint(&mut out, ts as u64);
    out
}

/// Snappy's block format without any copy: valid for every decoder.
fn literals(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 32 + 8);
    varint(&mut out, content.len() as u64);
    for part in content.chunks(60) {
        out.push(((part.len() - 1) << 2) as u8);
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_follow_time() {
        let labels = BTreeMap::from([("__name__".to_owned(), "a".to_owned())]);
        let series = [Series { labels, samples: vec![(5, 1.0), (9, 2.0), (12, 3.0), (31, 4.0)] }];
        let bodies = bodies(&series, 10);
        assert_eq!(bodies.len(), 3);
        // Length, tag of the literal, then a time series: 15 bytes of labels and 13 of one sample.
        assert_eq!(bodies[1][..4], [30, 29 << 2, 0x0a, 28]);
    }

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        let mut out = Vec::new();
        varint(&mut out, 300);
        assert_eq!(out, [0xac, 2]);
    }
}
