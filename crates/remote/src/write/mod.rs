//! The receiver of remote write 1.0 (`prometheus.WriteRequest`), with upstream's rules and answers.
//!
//! A body goes through [`snap`]'s block format, then [`decode`], which builds nothing per series: label sets stay bytes of the
//! body and are known to the store by a hash of those bytes. Then the store takes all or nothing.

mod budget;
mod decode;
mod histogram;
mod labels;
mod limits;
mod media;
mod receiver;

pub use decode::{Buffers, DecodeError, Decoded, KeySecret, LabelCheck, decode, fuzz_decode};
pub use limits::{Limit, Limits};
pub use receiver::{Receiver, Rejection};
