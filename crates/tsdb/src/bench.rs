//! Doors into the codec for measuring and fuzzing it. Not public API: anything here may change at any time.

use std::sync::Arc;

use model::Histogram;

use crate::MAX_CHUNK_ROWS;
use crate::bytes::Reader;
use crate::codec::histogram::{HistogramCodec, can_share};
use crate::codec::{Decoder, Effort, Encoder, IntDecoder, IntEncoder};

/// Encoder and decoder of all kinds of chunks, with their buffers.
#[derive(Debug, Default)]
pub struct Codec {
    encoder: Encoder,
    decoder: Decoder,
    ints: IntEncoder,
    int_decoder: IntDecoder,
    histograms: HistogramCodec,
}

impl Codec {
    /// For chunks that are soon written again.
    #[must_use]
    pub fn fresh() -> Self {
        Self::default()
    }

    /// For chunks that stay.
    #[must_use]
    pub fn cold() -> Self {
        Self {
            encoder: Encoder::with_effort(Effort::Cold),
            ints: IntEncoder::with_effort(Effort::Cold),
            histograms: HistogramCodec::with_effort(Effort::Cold),
            ..Self::default()
        }
    }

    /// Appends the chunk of `values`.
    pub fn encode(&mut self, values: &[f64], out: &mut Vec<u8>) {
        self.encoder.encode(values, out);
    }

    /// Fills `out` from a chunk of that many values.
    pub fn decode(&mut self, chunk: &[u8], out: &mut [f64]) -> Option<()> {
        self.decoder.decode(chunk, out)
    }

    /// Appends the column of `ints`.
    pub fn encode_ints(&mut self, ints: &[i64], out: &mut Vec<u8>) {
        self.ints.encode(ints, out);
    }

    /// Fills `out` from a column of that many integers.
    pub fn decode_ints(&mut self, bytes: &[u8], out: &mut [i64]) -> Option<()> {
        self.int_decoder.decode(&mut Reader::new(bytes), out)
    }

    /// Appends the chunk of `values`, 1 to [`MAX_CHUNK_ROWS`] of one layout.
    pub fn encode_histograms(&mut self, values: &[Arc<Histogram>], out: &mut Vec<u8>) {
        self.histograms.encode(values, out);
    }

    /// Appends the `n` histograms of a chunk.
    pub fn decode_histograms(&mut self, bytes: &[u8], n: usize, out: &mut Vec<Arc<Histogram>>) -> Option<()> {
        self.histograms.decode(bytes, n, out)
    }
}

/// The first two bytes as a number of rows, 0 to [`MAX_CHUNK_ROWS`], and what follows them.
fn rows_and_rest(data: &[u8]) -> (usize, &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<2>() else { return (0, data) };
    (usize::from(u16::from_le_bytes(*head)) % (MAX_CHUNK_ROWS + 1), rest)
}

/// Decodes what follows the first two bytes as that many values, and the same bytes' own doubles there and back.
///
/// # Panics
/// When a decoder does what it must not; a fuzzer is to see it.
pub fn fuzz_values(data: &[u8]) {
    let (rows, rest) = rows_and_rest(data);
    let mut out = vec![0.0; rows];
    let _ = Decoder::default().decode(rest, &mut out);
    let values: Vec<f64> = rest.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    for mut codec in [Codec::fresh(), Codec::cold()] {
        // What was decoded is a likelier column than the bytes themselves.
        for values in [&values, &out] {
            let mut bytes = Vec::new();
            codec.encode(values, &mut bytes);
            let mut back = vec![0.5; values.len()];
            codec.decode(&bytes, &mut back).expect("an encoded chunk decodes");
            assert!(values.iter().zip(&back).all(|(a, b)| a.to_bits() == b.to_bits()), "values changed");
        }
    }
}

/// Decodes what follows the first two bytes as that many integers, and the same bytes' own integers there and back.
///
/// # Panics
/// As [`fuzz_values`].
pub fn fuzz_ints(data: &[u8]) {
    let (rows, rest) = rows_and_rest(data);
    let mut out = vec![0; rows];
    let _ = IntDecoder::default().decode(&mut Reader::new(rest), &mut out);
    let ints: Vec<i64> = rest.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
    for mut codec in [Codec::fresh(), Codec::cold()] {
        for ints in [&ints, &out] {
            let mut bytes = Vec::new();
            codec.encode_ints(ints, &mut bytes);
            let mut back = vec![7; ints.len()];
            codec.decode_ints(&bytes, &mut back).expect("an encoded column decodes");
            assert_eq!(ints, &back, "integers changed");
        }
    }
}

/// Decodes what follows the first two bytes as that many histograms, and encodes again what that gave.
///
/// # Panics
/// As [`fuzz_values`].
pub fn fuzz_histograms(data: &[u8]) {
    let (rows, rest) = rows_and_rest(data);
    let mut codec = HistogramCodec::default();
    let mut out = Vec::new();
    if codec.decode(rest, rows, &mut out).is_none() {
        assert!(out.is_empty(), "a refused chunk left histograms");
        return;
    }
    assert_eq!(out.len(), rows);
    assert!(out.windows(2).all(|w| can_share(&w[0], &w[1])));
    let (mut bytes, mut back, mut again) = (Vec::new(), Vec::new(), Vec::new());
    codec.encode(&out, &mut bytes);
    codec.decode(&bytes, rows, &mut back).expect("an encoded chunk decodes");
    codec.encode(&back, &mut again);
    assert!(bytes == again, "histograms changed");
}

#[cfg(test)]
#[path = "bench_tests.rs"]
mod tests;
