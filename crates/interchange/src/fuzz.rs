//! Entry points for fuzzers: each takes any bytes and must return, without a panic and with memory in proportion to them.

use crate::block::fuzz_index;
use crate::chunk::{self, Encoding, Samples};
use crate::wal;

/// An XOR chunk.
pub fn xor(bytes: &[u8]) {
    let mut samples = Samples::default();
    if chunk::decode(Encoding::Xor, bytes, &mut samples).is_ok() {
        assert_eq!(samples.floats.len(), usize::from(chunk::num_samples(bytes)));
    }
}

/// A histogram chunk, as integers and as floats.
pub fn histogram(bytes: &[u8]) {
    for encoding in [Encoding::Histogram, Encoding::FloatHistogram] {
        let mut samples = Samples::default();
        if chunk::decode(encoding, bytes, &mut samples).is_ok() {
            assert_eq!(samples.histograms.len(), usize::from(chunk::num_samples(bytes)));
        }
    }
}

/// An index and all that can be reached from it.
pub fn index(bytes: &[u8]) {
    fuzz_index(bytes);
}

/// A segment of the log, and the same bytes as a file of head chunks.
pub fn wal(bytes: &[u8]) {
    let _ = wal::read_bytes(bytes, &mut |_| {});
    let _ = wal::head_chunks::read_bytes(bytes, &mut |_| {});
}
