//! Exposition formats: text 0.0.4 / 1.0.0 and OpenMetrics 1.0 / 0.0.1, bytes to samples and back.
//!
//! [`Parser`] walks a body without allocating per line; it is exactly as lenient as Prometheus' own parsers, with their error
//! texts. [`encode`] writes families in either format. [`content`] decides which format a reply is in, what to offer a target
//! and what a client of ours accepts. Nothing here knows of sockets or clocks.

pub mod content;
mod encode;
mod entry;
mod error;
mod openmetrics;
mod parser;
mod quote;
mod text;
mod value;

pub use encode::{Escaping, Family, FamilySample, encode};
pub use entry::{Entry, ExemplarEntry, Labels, Series};
pub use error::Error;
pub use parser::Parser;
pub use quote::go_quote_bytes;
pub use value::{format_openmetrics, parse_float, scan_float};

/// The syntax of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/plain`, versions 0.0.4 and 1.0.0.
    Text,
    /// `application/openmetrics-text`, versions 0.0.1 and 1.0.0.
    OpenMetrics,
}
