//! The chunk codec: a column of doubles to bytes and back, every bit pattern exactly.
//!
//! A column goes through four steps: absent cells are taken out as runs ([`values`]); doubles become integers where a
//! short decimal made them ([`decimal`]); integers become small residuals by plain, delta or delta² coding
//! ([`ints`]); residuals are packed in blocks of 64 with their outliers patched ([`bitpack`]). A constant column is two
//! to ten bytes, an absent one none.
//!
//! Chunks do not carry their number of samples nor a checksum: their container does both. Decoders bound all
//! they do by the length of the output they were handed.

mod bitpack;
mod decimal;
pub(crate) mod histogram;
mod huffman;
mod ints;
mod isa;
mod values;

/// How much work an encoder puts into making chunks small. Decoders read both alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Effort {
    /// For chunks of few values that are written again within minutes.
    Brief,
    /// For chunks that are soon written again.
    #[default]
    Fresh,
    /// For chunks that stay: a wider search, and the slower to decode of two ways as soon as it is a little smaller.
    Cold,
}

pub(crate) use ints::{IntDecoder, IntEncoder};
pub(crate) use values::{Constant, Decoder, Encoder};
